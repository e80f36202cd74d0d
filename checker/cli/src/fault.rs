//! Faults that are planted in a program to see which control notices.
//!
//! In: the programs as they are written. Out: [`Fault`]s (`sheet` and the files of what they change), the checks that
//! read what a fault touches (`selection`), and what became of each (`trial`). A fault never changes a file: it is a
//! few edits of the parsed program, and is applied to an embedded AWS of its own.
//!
//! Reading order: `sheet`, `resource`, `scalar`, `statement`, `pattern`, `environment`, `function`; then `remarks`,
//! `selection`, `trial`, `kept`.

use std::collections::BTreeSet;

use checker_lab::program::Edit;

mod environment;
mod function;
mod kept;
mod pattern;
mod remarks;
mod resource;
mod scalar;
mod selection;
mod sheet;
mod statement;
mod trial;

pub(crate) use function::{faulty_function, faulty_functions};
pub(crate) use kept::Kept;
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
