//! KMS grants: permissions on a key that no policy shows.
//!
//! In: a grant as `kms:ListGrants` returns it. Out: whether it lets a caller use the key.
//! Source: KMS developer guide, "Grants in AWS KMS". Explicit denials of policies still win.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::principal::{Kind, Named, Principal, Reach};
use crate::request::Request;

/// One grant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grant {
    /// Its id, shown when it decides.
    pub id: String,
    /// ARN of the user, role or session, or a service, that may use the key.
    pub grantee: String,
    /// Operations as KMS names them, such as `Decrypt`.
    pub operations: Vec<String>,
    /// `EncryptionContextSubset`: pairs that the request's encryption context must contain.
    pub context_subset: BTreeMap<String, String>,
    /// `EncryptionContextEquals`: the whole of the request's encryption context.
    pub context_equals: Option<BTreeMap<String, String>>,
}

/// The prefix of the keys that carry a request's encryption context, lower-cased.
const CONTEXT_PREFIX: &str = "kms:encryptioncontext:";

/// A JSON value that is no grant.
#[derive(Debug, Error)]
#[error("not a KMS grant: {0}")]
pub struct GrantError(#[from] serde_json::Error);

/// The members of `kms:ListGrants` that decide.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    #[serde(default)]
    grant_id: String,
    grantee_principal: String,
    operations: Vec<String>,
    #[serde(default)]
    constraints: Option<Constraints>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Constraints {
    #[serde(default)]
    encryption_context_subset: Option<BTreeMap<String, String>>,
    #[serde(default)]
    encryption_context_equals: Option<BTreeMap<String, String>>,
}

impl Grant {
    /// Reads an entry of `kms:ListGrants`: `GrantId`, `GranteePrincipal`, `Operations`, `Constraints`.
    pub fn from_value(value: &Value) -> Result<Self, GrantError> {
        let listed = Listed::deserialize(value)?;
        let constraints = listed.constraints.unwrap_or_default();
        Ok(Self {
            id: listed.grant_id,
            grantee: listed.grantee_principal,
            operations: listed.operations,
            context_subset: constraints.encryption_context_subset.unwrap_or_default(),
            context_equals: constraints.encryption_context_equals,
        })
    }

    /// Whether the grant allows the request.
    pub(crate) fn allows(&self, request: &Request) -> bool {
        request.action.service() == "kms"
            && self
                .operations
                .iter()
                .any(|operation| operation.eq_ignore_ascii_case(request.action.name()))
            && self.reaches(&request.principal)
            && self.admits_context(request)
    }

    /// Whether the caller is the grantee.
    pub(crate) fn reaches(&self, caller: &Principal) -> bool {
        if *caller.kind() == Kind::Service {
            return self.grantee == caller.as_str();
        }
        Named::parse("AWS", &self.grantee).is_some_and(|named| named.reach(caller) != Reach::No)
    }

    /// Whether the operation is granted at all.
    pub(crate) fn covers(&self, operation: &str) -> bool {
        self.operations
            .iter()
            .any(|own| own.eq_ignore_ascii_case(operation))
    }

    /// Whether an encryption context is demanded.
    pub(crate) fn is_constrained(&self) -> bool {
        self.context_equals.is_some() || !self.context_subset.is_empty()
    }

    fn admits_context(&self, request: &Request) -> bool {
        let given = |name: &str| {
            request
                .values(&format!("{CONTEXT_PREFIX}{}", name.to_ascii_lowercase()))
                .single()
                .map(str::to_owned)
        };
        let contains = |wanted: &BTreeMap<String, String>| {
            wanted
                .iter()
                .all(|(name, value)| given(name).as_deref() == Some(value))
        };
        let size = || {
            request
                .context
                .iter()
                .filter(|(key, values)| key.starts_with(CONTEXT_PREFIX) && !values.is_empty())
                .count()
        };
        contains(&self.context_subset)
            && self
                .context_equals
                .as_ref()
                .is_none_or(|wanted| contains(wanted) && size() == wanted.len())
    }
}
