//! Probes: what they will do, as data, and what they left behind, as facts.
//!
//! In: the catalogue and the [`Setting`](crate::population::Setting). Out: the [`Plan`], every step with its AWS operation,
//! resource and actor, known before the first change. The command line carries it out and leaves a [`Trace`] a script,
//! which is evidence like any other answer; `judge` puts the expectations of the controls to it. Deliberately
//! without any call: the same traces give the same verdicts years later.

use serde::{Deserialize, Serialize};

use crate::control::ProbeDecl;
use crate::expression::types::Typed as _;
use crate::population::Item;

pub mod anomaly;
pub mod clean_up;
pub mod denied;
mod judgement;
mod measurement;
pub mod needle;
mod plan;
pub mod rotation;
mod step;
pub mod sweep;
pub mod trace;

pub use anomaly::Anomaly;
pub use clean_up::CleanUp;
pub use denied::Denied;
pub(crate) use judgement::judge;
pub(crate) use measurement::measurements;
pub use plan::{Actor, Plan, Planned, Script, Step, cleaning, plan};
pub use rotation::Rotation;
pub use step::{CLOUDTRAIL, TRIABLE, undone_by};
pub use sweep::Sweep;

/// What one script left behind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trace {
    /// Of a forced rotation.
    Rotate(Box<Rotation>),
    /// Of provoked alerts.
    Anomaly(Box<Anomaly>),
    /// Of calls that must be refused.
    Denied(Box<Denied>),
    /// Of a search for planted values.
    Sweep(Box<Sweep>),
    /// Of the clean-up.
    CleanUp(CleanUp),
}

impl Trace {
    /// The trace as rules read it, under the name of its resource.
    pub(crate) fn item(&self) -> Item {
        match self {
            Self::Rotate(trace) => Item::of(&trace.secret, "trace", trace.as_ref()),
            Self::Anomaly(trace) => Item::of(&trace.secret, "trace", trace.as_ref()),
            Self::Denied(trace) => Item::of(&trace.resource, "trace", trace.as_ref()),
            Self::Sweep(trace) => Item::of(&trace.secret, "trace", trace.as_ref()),
            Self::CleanUp(trace) => Item::of("clean-up", "trace", trace),
        }
    }
}

/// The code of a trace that does not exist because nobody asked for it.
pub const NOT_RUN: &str = "NotRun";

/// The probes that controls may speak of.
pub fn declarations() -> Vec<ProbeDecl> {
    [
        (
            "rotate",
            Rotation::ty(),
            "Rotates a probe secret while it is being read.",
        ),
        (
            "anomaly",
            Anomaly::ty(),
            "Provokes alerts layer by layer, and looks at the access records.",
        ),
        (
            "denied",
            Denied::ty(),
            "Tries what must be refused, on twins that carry the probe tag.",
        ),
        (
            "sweep",
            Sweep::ty(),
            "Plants values, sends them every way, and searches everything that is written down.",
        ),
    ]
    .into_iter()
    .map(|(name, trace, doc)| ProbeDecl {
        name: name.to_owned(),
        trace,
        doc: doc.to_owned(),
    })
    .collect()
}
