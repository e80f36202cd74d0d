//! Faults that are planted in a program to see which control notices.
//!
//! In: the programs as they are written. Out: [`Fault`]s (`sheet` and the files of what they change), the checks that
//! read what a fault touches (`selection`), and what became of each (`trial`). A fault never changes a file: it is a
//! few edits of the parsed program, and is applied to an embedded AWS of its own.
//!
//! Reading order: `sheet`, `resource`, `scalar`, `statement`, `pattern`, `environment`; then `remarks`, `selection`,
//! `trial`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use checker_lab::program::Edit;

mod environment;
mod pattern;
mod remarks;
mod resource;
mod scalar;
mod selection;
mod sheet;
mod statement;
mod trial;

pub(crate) use remarks::Remarks;
pub(crate) use sheet::{Hand, faults_of};
pub(crate) use trial::{Bench, Trial};

/// One single fault.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fault {
    /// `anomalyRule.state~ENABLED`.
    pub(crate) id: String,
    /// What kind of change it is.
    pub(crate) kind: String,
    /// In words.
    pub(crate) what: String,
    /// `file:line:column`.
    pub(crate) place: String,
    /// Which program of the stack is changed, from the lowest; none where it is a function's code.
    pub(crate) program: usize,
    /// The changes.
    pub(crate) edits: Vec<Edit>,
    /// Types of the resources that change, or that depend on one that does; empty when it can't be told.
    pub(crate) touches: BTreeSet<String>,
    /// Whether a rotation may come out otherwise.
    pub(crate) rotates: bool,
    /// The function whose process is a faulty one, and how that behaves.
    pub(crate) behaviour: Option<(String, String)>,
}

/// The executable of functions that misbehave: it is built beside this one, for tests only.
pub(crate) fn faulty_function() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let beside = own.parent()?.join("faulty-function");
    beside.exists().then_some(beside)
}

/// Faults of the functions' code; none where the executable that plays them isn't built.
pub(crate) fn faulty_functions(place: &str, stage: &str) -> Vec<Fault> {
    let behaviours = [
        (
            "bank-secrets-rotation",
            "rotation-fails",
            "fails every `setSecret`",
        ),
        (
            "bank-secrets-rotation",
            "rotation-no-promote",
            "reports success without moving `AWSCURRENT`",
        ),
        (
            "bank-secrets-rotation",
            "rotation-repeats-value",
            "stores the current value again",
        ),
        (
            "bank-secrets-rotation",
            "rotation-logs-value",
            "writes the new value to its log",
        ),
        (
            "bank-secrets-anomaly",
            "detector-substring",
            "allows whoever has an allowed name somewhere in the ARN",
        ),
        (
            "bank-secrets-anomaly",
            "detector-value-in-record",
            "writes values into access records",
        ),
        (
            "bank-secrets-anomaly",
            "detector-no-record",
            "writes no access record",
        ),
        (
            "bank-secrets-anomaly",
            "detector-no-alert",
            "publishes no alert",
        ),
        (
            "bank-secrets-anomaly",
            "detector-late-alert",
            "publishes alerts 400 seconds late",
        ),
    ];
    behaviours
        .into_iter()
        .filter(|_| faulty_function().is_some())
        .map(|(function, behaviour, what)| Fault {
            id: format!("{function}~{behaviour}"),
            kind: "function".to_owned(),
            what: format!("`{function}` {what}"),
            place: place.to_owned(),
            program: usize::MAX,
            edits: Vec::new(),
            touches: BTreeSet::new(),
            rotates: true,
            behaviour: Some((format!("{function}-{stage}"), behaviour.to_owned())),
        })
        .collect()
}
