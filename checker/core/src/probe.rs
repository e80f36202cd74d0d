//! Probes: what they will do, as data, and what they left behind, as facts.
//!
//! In: the catalogue and the [`Setting`](crate::population::Setting). Out: the [`Plan`], every step with its AWS operation,
//! resource and actor, known before the first change. The command line carries it out and leaves a [`Trace`] a script,
//! which is evidence like any other answer; [`judge`] puts the expectations of the controls to it. Deliberately
//! without any call: the same traces give the same verdicts years later.

use serde::{Deserialize, Serialize};

use crate::control::ProbeDecl;
use crate::expression::types::Typed as _;
use crate::population::Item;

pub mod clean_up;
mod judgement;
mod measurement;
mod plan;
pub mod rotation;
pub mod trace;

pub use clean_up::CleanUp;
pub(crate) use judgement::judge;
pub(crate) use measurement::measurements;
pub use plan::{Actor, Plan, Planned, Script, Step, plan};
pub use rotation::Rotation;

/// What one script left behind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trace {
    /// Of a forced rotation.
    Rotate(Box<Rotation>),
    /// Of the clean-up.
    CleanUp(CleanUp),
}

impl Trace {
    /// The trace as rules read it, under the name of its resource.
    pub(crate) fn item(&self) -> Item {
        match self {
            Self::Rotate(trace) => Item::of(&trace.secret, "trace", trace.as_ref()),
            Self::CleanUp(trace) => Item::of("clean-up", "trace", trace),
        }
    }
}

/// The code of a trace that does not exist because nobody asked for it.
pub const NOT_RUN: &str = "NotRun";

/// The probes that controls may speak of.
pub fn declarations() -> Vec<ProbeDecl> {
    vec![ProbeDecl {
        name: "rotate".to_owned(),
        trace: Rotation::ty(),
        doc: "Rotates a probe secret while it is being read.".to_owned(),
    }]
}
