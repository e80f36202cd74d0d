//! What became of faults that were planted on purpose: which control noticed, and what nobody noticed.
//!
//! This is `faults.json`, version 1. `killed` means that a rule which reads what the fault touches failed;
//! inconclusive is not a kill. `survived` means that none did, `equivalent` that none did and that a reviewer wrote
//! down why none should. `refused` faults never came to be: the program with them, or AWS, says no. `not_run` faults
//! were not tried, and each says what is missing for it.

use serde::{Deserialize, Serialize};

/// The version of this format.
pub const VERSION: u32 = 1;

/// The outcome of a set of faults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultReport {
    /// Always [`VERSION`].
    pub version: u32,
    /// The program, as its folder was named.
    pub program: String,
    /// The stage.
    pub stage: String,
    /// Version of the checker.
    pub tool: String,
    /// How many there are of each outcome.
    pub summary: FaultSummary,
    /// The faults, in order of their ids.
    pub faults: Vec<FaultRun>,
    /// Reasons that no surviving fault needs any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unneeded_reasons: Vec<String>,
    /// Reasons that also fit a fault which a rule notices, each with the first of those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub too_broad_reasons: Vec<String>,
}

/// How many faults there are of each outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSummary {
    /// All that came to be: killed, survived and equivalent.
    pub planted: u64,
    /// A rule failed.
    pub killed: u64,
    /// No rule failed, and nobody wrote down why that is right.
    pub survived: u64,
    /// No rule failed, for a reviewed reason.
    pub equivalent: u64,
    /// The program with the fault, or AWS, says no: these never came to be.
    pub refused: u64,
    /// Not tried: something is missing for it.
    pub not_run: u64,
}

/// One fault and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRun {
    /// Says what is changed, and stays the same as long as the program does: `anomalyRule.state~ENABLED`.
    pub id: String,
    /// The kind of fault, such as `reference` or `policy`.
    pub kind: String,
    /// The fault in words.
    pub what: String,
    /// Where it was planted, `file:line:column`.
    #[serde(rename = "where")]
    pub place: String,
    /// What became of it.
    pub outcome: FaultOutcome,
    /// Rules that failed, `CONTROL.rule`.
    pub killed_by: Vec<String>,
    /// Rules that could not be decided, which is no kill.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inconclusive: Vec<String>,
    /// Why it may survive, why it was refused, or why it was not tried.
    pub reason: Option<String>,
}

/// What became of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultOutcome {
    /// A rule that reads what the fault touches failed.
    Killed,
    /// No rule failed.
    Survived,
    /// No rule failed, for a reviewed reason.
    Equivalent,
    /// The program with the fault, or AWS, says no.
    Refused,
    /// It was not tried.
    NotRun,
}

impl FaultOutcome {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Survived => "survived",
            Self::Equivalent => "equivalent",
            Self::Refused => "refused",
            Self::NotRun => "not run",
        }
    }
}

impl FaultSummary {
    /// Counts outcomes.
    pub fn over(faults: &[FaultRun]) -> Self {
        let mut summary = Self::default();
        for fault in faults {
            let count = match fault.outcome {
                FaultOutcome::Killed => &mut summary.killed,
                FaultOutcome::Survived => &mut summary.survived,
                FaultOutcome::Equivalent => &mut summary.equivalent,
                FaultOutcome::Refused => &mut summary.refused,
                FaultOutcome::NotRun => &mut summary.not_run,
            };
            *count += 1;
        }
        summary.planted = summary.killed + summary.survived + summary.equivalent;
        summary
    }
}
