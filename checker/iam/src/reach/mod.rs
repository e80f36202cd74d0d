//! Reach: which principals can get at a permission, over how many steps.
//!
//! In: an account's principals with their policies, what carries which role, and a [`Goal`]. Out: [`Reached`]: a
//! route, which can be put into words, or the set of principals over which it is proved that there is none.
//! A step is taken wherever the proof finds an escalation allowed, or possible; a route says which of the two, and
//! only the absence of both is a proof. What is not in the inventory (other accounts, data already
//! copied, credentials in logs) is not seen.

mod escalation;
mod route;
mod steps;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use self::escalation::paths;
pub use self::route::{Route, Step};
use self::walk::{Node, Walk};
use crate::layers::PolicySet;
use crate::policy::{Policy, PolicyError, PolicyKind};
use crate::proof::{Account, Limits, ProofError, Question};
use crate::request::Context;

/// An account as the reach sees it.
#[derive(Debug, Clone, Default)]
pub struct Estate {
    /// Principals, guarded resources (trust policies of roles among them) and control policies.
    pub account: Account,
    /// What carries a role.
    pub carriers: Vec<Carrier>,
    /// Services of which `carriers` is known to be complete. A role that trusts another service may be carried by
    /// something that nobody listed, so that a step over it is possible.
    pub surveyed: BTreeSet<String>,
    /// What each principal holds, by its ARN; a step that needs to know it is only possible where it is missing.
    pub held: BTreeMap<String, Held>,
}

/// What is attached to a principal by name, because some escalations act on the policy or the group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// ARNs of the managed policies, those of its groups included.
    pub policies: Vec<String>,
    /// Names of its groups.
    pub groups: Vec<String>,
}

/// A resource that runs with a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carrier {
    /// Its ARN.
    pub arn: String,
    /// The service's prefix, such as `lambda` or `ec2`.
    pub service: String,
    /// The ARN of the role.
    pub role: String,
}

/// What must not be reached: any of the alternatives, each of which needs all of its demands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Goal {
    /// For a secret: reading it together with decrypting its key; or copying it.
    pub alternatives: Vec<Vec<Demand>>,
}

/// Something that must be possible, in circumstances that are known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Demand {
    /// Any of these requests.
    pub question: Question,
    /// Context keys that the way of asking settles, such as `kms:ViaService`.
    pub known: Context,
}

impl From<Question> for Demand {
    fn from(question: Question) -> Self {
        Self {
            question,
            known: Context::new(),
        }
    }
}

/// The answer for one principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// Neither the principal nor any that it can become reaches the goal.
    Nowhere {
        /// Everyone it can become, itself included.
        closure: Vec<String>,
    },
    /// It gets there, every step confirmed.
    Yes(Route),
    /// It may get there; some step or the goal itself could not be resolved.
    Possibly(Route),
    /// A bound was hit.
    Unknown {
        /// Which.
        because: String,
    },
}

/// Why the reach could not be computed.
#[derive(Debug, Error)]
pub enum ReachError {
    /// The proof failed.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// A policy that the reach writes itself did not parse.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The crate's own data did not parse.
    #[error("the escalation paths can't be read: {0}")]
    Paths(#[from] serde_json::Error),
    /// The principal is not in the estate.
    #[error("`{arn}` is not a principal of the account")]
    Stranger {
        /// Its ARN.
        arn: String,
    },
}

/// Whether the principal, or anyone that it can become, reaches the goal.
pub fn reach(
    estate: &Estate,
    from: &str,
    goal: &Goal,
    limits: Limits,
) -> Result<Reached, ReachError> {
    let start = estate
        .account
        .askers
        .iter()
        .position(|asker| asker.principal.as_str() == from)
        .ok_or_else(|| ReachError::Stranger {
            arn: from.to_owned(),
        })?;
    let everything = "{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}}";
    let everything = PolicySet::from(Policy::parse(everything, PolicyKind::Identity)?);
    Walk::new(estate, paths()?, everything, limits).run(
        Node {
            asker: start,
            rewritten: false,
            unbound: false,
        },
        goal,
    )
}
