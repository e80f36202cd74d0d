//! IAM decided exactly and proved universally, offline.
//!
//! In: policy documents as text. Out: one request's decision with its reasons ([`decide`], [`explain`]), the proof
//! that nobody can do something or a request that shows otherwise ([`proof`]), who can become someone that can
//! ([`reach`]), and JSON-lines forms of decision and comparison ([`batch`]).
//! Knows nothing of controls, files or AWS calls, and asks no clock for anything that decides.

mod action;
mod arn;
pub mod batch;
mod condition;
mod decision;
mod glob;
mod grant;
mod json;
mod layers;
mod place;
mod policy;
mod principal;
pub mod proof;
pub mod reach;
mod request;
mod template;
mod value;

pub use action::{Action, ActionError};
pub use arn::Resource;
pub use decision::{
    DecidedBy, Decision, Explanation, NearMiss, StatementRef, Verdict, decide, explain,
};
pub use grant::{Grant, GrantError};
pub use layers::{Layer, Layers, PolicySet};
pub use policy::{Effect, MAX_BYTES, Policy, PolicyError, PolicyKind, Position};
pub use principal::{Kind, Principal, PrincipalError};
pub use request::{Context, Request};

/// Whether IAM documents a condition operator of this name.
pub fn is_operator(name: &str) -> bool {
    condition::Operator::parse(name).comparison != condition::Comparison::Unknown
}
