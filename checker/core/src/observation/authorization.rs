//! Every principal of the account with its policies, as `GetAccountAuthorizationDetails` shows them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// All of it. Policy documents are JSON text, decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Authorization {
    /// Roles and users.
    pub principals: Vec<Principal>,
    /// Groups.
    pub groups: Vec<Group>,
    /// Managed policies: those of the account, and those of AWS that are attached to something.
    pub policies: Vec<ManagedPolicy>,
}

/// A role or a user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Principal {
    /// ARN.
    pub arn: String,
    /// Name.
    pub name: String,
    /// Who may assume it; roles only.
    pub trust: Option<String>,
    /// Inline policies by name.
    pub inline: BTreeMap<String, String>,
    /// ARNs of attached managed policies.
    pub attached: Vec<String>,
    /// Names of groups; users only.
    pub groups: Vec<String>,
    /// ARN of the permission boundary.
    pub boundary: Option<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// A group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Group {
    /// Name.
    pub name: String,
    /// Inline policies by name.
    pub inline: BTreeMap<String, String>,
    /// ARNs of attached managed policies.
    pub attached: Vec<String>,
}

/// A managed policy with its default version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ManagedPolicy {
    /// ARN.
    pub arn: String,
    /// Name.
    pub name: String,
    /// The default version's document.
    pub document: String,
}
