//! The known ways from one principal to another, read from the data that the crate carries.
//!
//! In: `data/escalation-paths.json` (its `README.md` explains the kinds). Out: [`Path`]s by kind.

use serde::Deserialize;

/// One way.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Path {
    /// Short name, shown in reports.
    pub(super) id: String,
    /// The permissions in words.
    pub(super) name: String,
    pub(super) kind: PathKind,
    /// Every one of them is needed.
    pub(super) actions: Vec<String>,
    /// Services of which the passed role has to trust one.
    #[serde(default)]
    pub(super) trusts: Vec<String>,
    /// Services whose resources carry a role.
    #[serde(default)]
    pub(super) carriers: Vec<String>,
}

/// What a path needs and gives; `data/README.md` says it in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PathKind {
    Assume,
    TakeOver,
    #[serde(rename = "self")]
    Rewrite,
    Unbound,
    PassRole,
    Carrier,
}

/// All known ways.
pub(super) fn paths() -> Result<Vec<Path>, serde_json::Error> {
    serde_json::from_str(include_str!("../../data/escalation-paths.json"))
}
