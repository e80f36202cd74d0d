//! One run: what was judged, with what result and why. This is `run.json`, version 1.
//!
//! Everything here is derived from facts, controls and the time of the run, so that a replay of the same
//! facts gives the same bytes.

use std::collections::BTreeMap;
use std::io::Write;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

mod finding;
mod fold;

use crate::json;
use crate::observation::{Facts, Time, hex};
use crate::shard::Shard;
use crate::verdict::Verdict;

pub use finding::Finding;
pub(crate) use fold::{Fold, fold};
pub use fold::{Folded, MANY_FINDINGS};

/// So many findings of a control stay in the outline of a run.
const OUTLINED: usize = 100;

/// Findings stand in a list of a control of the list of controls of a run.
const FINDINGS_LEVEL: usize = 4;

/// How the words end that say that only one resource was judged.
const ONLY: &str = " was judged";

/// The version of this format.
pub const VERSION: u32 = 1;

/// A judged run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Always [`VERSION`].
    pub version: u32,
    /// Time and digest of what was judged.
    pub run_id: String,
    /// What was judged.
    pub target: Target,
    /// Stage.
    pub stage: String,
    /// Twelve digits; empty when it could not be found out.
    pub account: String,
    /// AWS region.
    pub region: String,
    /// The time at which everything is judged.
    pub started: Time,
    /// When the verdicts stood.
    pub finished: Time,
    /// Version of the checker.
    pub tool: String,
    /// Over all controls.
    pub verdict: Verdict,
    /// Counts of all controls.
    pub summary: Vec<Summary>,
    /// The controls, in order of their ids.
    pub controls: Vec<ControlRun>,
    /// What the run could not prove, in plain words.
    pub not_proven: Vec<String>,
    /// What a reader must know about how the facts came about.
    pub notes: Vec<String>,
    /// Calls that the checker made, by operation.
    pub api_calls: BTreeMap<String, u64>,
    /// Waivers that were in force or had run out, whether or not they matched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waivers: Vec<WaiverNote>,
    /// Ways by which a principal reaches what it must not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reach: Vec<ReachPath>,
    /// What probes measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measurements: Vec<Measurement>,
    /// The share of every population that was judged, where it was not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// The accounts, regions and shards that this run is put together from, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// Where the program declares what did not pass: `file:line:column` by the name of the resource.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub places: BTreeMap<String, String>,
}

/// A run that is part of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The account, twelve digits; empty when it could not be found out.
    pub account: String,
    /// The region.
    pub region: String,
    /// The share, where the place was cut into several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// The time at which it was judged.
    pub started: Time,
    /// Its own id.
    pub run_id: String,
}

/// A waiver as reports show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaiverNote {
    /// Its id.
    pub id: String,
    /// The control.
    pub control: String,
    /// The rule.
    pub assertion: String,
    /// The resource, exactly.
    pub resource: String,
    /// Why the finding is accepted.
    pub reason: String,
    /// What protects meanwhile.
    pub compensating: String,
    /// Who approved it.
    pub approver: String,
    /// The day of the approval, `2026-11-26`.
    pub approved_on: String,
    /// The last day on which it holds, UTC.
    pub expires: String,
    /// Where it was decided.
    pub ticket: String,
    /// Whole days left at the time of the run; negative once expired.
    pub days_left: i64,
    /// How many findings it covered.
    pub covered: u64,
    /// Where it stands, `file:line:column`.
    pub source: String,
}

/// A way from one principal to a secret, edge by edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReachPath {
    /// `CONTROL.assertion` of the rule that asked.
    pub rule: String,
    /// The principal at the start, ARN.
    pub from: String,
    /// What is reached, ARN or pattern.
    pub to: String,
    /// The steps, in order.
    pub steps: Vec<ReachStep>,
}

/// One step of a [`ReachPath`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReachStep {
    /// Who acts, ARN.
    pub from: String,
    /// What is done, such as `sts:AssumeRole` or `lambda:UpdateFunctionCode`.
    pub by: String,
    /// Who or what is reached, ARN.
    pub to: String,
}

/// What a probe measured: a series against its limit, and what happened when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// `CONTROL.check` of the probe.
    pub probe: String,
    /// What was measured, in words, such as `alert latency`.
    pub what: String,
    /// Milliseconds, one a run.
    pub values_ms: Vec<u64>,
    /// The most that is allowed, in milliseconds.
    pub limit_ms: Option<u64>,
    /// What happened when, in order.
    pub timeline: Vec<Moment>,
}

/// One moment on the timeline of a [`Measurement`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// Milliseconds since the probe's first step.
    pub at_ms: u64,
    /// What happened, in words.
    pub what: String,
}

/// What a run judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The program, in the embedded AWS.
    Lab,
    /// A live account.
    Aws,
    /// A plan, before a deploy.
    Plan,
}

impl Target {
    /// The word that stands in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Lab => "lab",
            Self::Aws => "aws",
            Self::Plan => "plan",
        }
    }
}

/// One row of the acceptance table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Control id.
    pub control: String,
    /// `AUTO`.
    pub mode: String,
    /// All findings but those that do not apply.
    pub tests: u64,
    /// Passed.
    pub passed: u64,
    /// Failed.
    pub failed: u64,
    /// Inconclusive.
    pub inconclusive: u64,
    /// Waived.
    pub waived: u64,
    /// Not applicable.
    pub not_applicable: u64,
    /// All findings.
    pub total: u64,
}

/// One control's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlRun {
    /// Control id.
    pub id: String,
    /// Title.
    pub title: String,
    /// Severity.
    pub severity: String,
    /// Who owns it.
    pub owner: String,
    /// `AUTO`.
    pub mode: String,
    /// What it demands.
    pub statement: String,
    /// What to do when it fails.
    pub remediation: String,
    /// Where the steps are written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// Where it comes from: catalogue name to the ids there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mapping: BTreeMap<String, Vec<String>>,
    /// SHA-256 of the control file.
    pub digest: String,
    /// Parameters in force, rendered.
    pub parameters: BTreeMap<String, String>,
    /// Over its findings.
    pub verdict: Verdict,
    /// The findings, in order of the control file and then of the resources.
    pub findings: Vec<Finding>,
}

impl ControlRun {
    /// The row of the acceptance table.
    pub fn summary(&self) -> Summary {
        let of = |verdict: Verdict| -> u64 {
            self.findings
                .iter()
                .filter(|finding| finding.verdict == verdict)
                .map(|finding| finding.count.unwrap_or(1))
                .sum()
        };
        let (passed, failed) = (of(Verdict::Pass), of(Verdict::Fail));
        let (inconclusive, waived) = (of(Verdict::Inconclusive), of(Verdict::Waived));
        let not_applicable = of(Verdict::NotApplicable);
        let tests = passed + failed + inconclusive + waived;
        Summary {
            control: self.id.clone(),
            mode: self.mode.clone(),
            tests,
            passed,
            failed,
            inconclusive,
            waived,
            not_applicable,
            total: tests + not_applicable,
        }
    }
}

impl Run {
    /// How many findings there are, condensed ones counted in full.
    pub fn findings(&self) -> u64 {
        self.summary.iter().map(|row| row.total).sum()
    }

    /// What this run says of one resource; nothing when it says nothing.
    pub fn only(mut self, resource: &str) -> Option<Self> {
        for control in &mut self.controls {
            control
                .findings
                .retain(|finding| finding.resource == resource);
        }
        self.controls.retain(|control| !control.findings.is_empty());
        if self.controls.is_empty() {
            return None;
        }
        self.total();
        self.not_proven.push(format!("only {resource}{ONLY}"));
        self.run_id = named(
            self.started,
            Sha256::new()
                .chain_update(&self.run_id)
                .chain_update(resource),
        );
        Some(self)
    }

    /// Whether every resource was judged, and not only one that was asked for.
    pub fn is_whole(&self) -> bool {
        !self
            .not_proven
            .iter()
            .any(|gap| gap.starts_with("only ") && gap.ends_with(ONLY))
    }

    /// The id: the time, and a digest of everything that the run follows from and says about itself.
    pub(crate) fn id(&self, facts: &Facts) -> String {
        let mut hash = Sha256::new();
        for record in facts.records() {
            hash.update(record.digest.as_bytes());
        }
        for control in &self.controls {
            hash.update(control.digest.as_bytes());
        }
        let about = serde_json::json!([
            self.target,
            self.stage,
            self.account,
            self.region,
            self.finished,
            self.tool,
            self.not_proven,
            self.notes,
            self.api_calls,
            self.waivers,
        ]);
        hash.update(about.to_string().as_bytes());
        named(self.started, hash)
    }

    /// Puts the verdicts of findings together again. No finding at all is no pass.
    pub(crate) fn total(&mut self) {
        for control in &mut self.controls {
            control.verdict = Verdict::over(control.findings.iter().map(|finding| finding.verdict))
                .unwrap_or(Verdict::Inconclusive);
        }
        self.summary = self.controls.iter().map(ControlRun::summary).collect();
        self.verdict = Verdict::over(self.controls.iter().map(|control| control.verdict))
            .unwrap_or(Verdict::Inconclusive);
    }

    /// What later runs need to know of this one: its verdicts, and what did not pass.
    #[must_use]
    pub fn outline(mut self) -> Self {
        for control in &mut self.controls {
            control.statement.clear();
            control.remediation.clear();
            control.runbook = None;
            control.mapping.clear();
            control.parameters.clear();
            control
                .findings
                .retain(|finding| matches!(finding.verdict, Verdict::Fail | Verdict::Inconclusive));
            control.findings.truncate(OUTLINED);
            for finding in &mut control.findings {
                finding.because.clear();
                finding.evidence.clear();
            }
        }
        // What was not proven stays: it says whether the run was a whole one.
        self.notes.clear();
        self.api_calls.clear();
        self.waivers.clear();
        self.reach.clear();
        self.measurements.clear();
        self
    }

    /// The run with the passed findings of every rule as one entry.
    #[must_use]
    pub(crate) fn folded(mut self) -> Self {
        for control in &mut self.controls {
            control.findings = fold(std::mem::take(&mut control.findings));
        }
        self
    }

    /// Writes `run.json`: one finding a line.
    pub fn write_json(&self, out: &mut impl Write) -> Result<(), serde_json::Error> {
        json::lines(self, FINDINGS_LEVEL, out)
    }
}

fn named(at: Time, hash: Sha256) -> String {
    let digest: String = hex(&hash.finalize()).chars().take(8).collect();
    format!("{}-{digest}", at.format("%Y%m%dT%H%M%SZ"))
}
