//! IAM decided exactly and proved universally, offline.
//!
//! In: policy documents as text. Out: one request's decision with its reasons ([`decide`], [`explain`]).
//! Knows nothing of controls, files, clocks or AWS calls.

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
