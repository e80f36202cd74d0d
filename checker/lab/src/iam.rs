//! Identity and Access Management: roles, policies, boundaries, users, simulation.
//!
//! Strict where AWS is: policies are parsed ([`grammar`]) and refused with `MalformedPolicyDocument`, a managed policy
//! has at most five versions, what is in use can't be deleted, a trust policy can't name a role that doesn't exist.
//! Policy documents leave percent-encoded, as on AWS. State is global, whatever the region of the call.
//! It does not serve groups, instance profiles, access keys or identity providers: the answers that list them list none.

mod details;
pub(crate) mod grammar;
mod managed;
mod policies;
pub(crate) mod resource_access;
mod roles;
mod simulate;
mod users;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::service::{Answer, ApiError, Call, page, timestamp};
use crate::tagging::Tags;
use crate::world::World;
use grammar::PolicyKind;

/// What the service keeps.
#[derive(Debug, Default)]
pub(crate) struct State {
    roles: BTreeMap<String, Role>,
    users: BTreeMap<String, User>,
    /// Customer managed policies by ARN.
    policies: BTreeMap<String, Policy>,
}

/// A role.
#[derive(Debug, Clone)]
pub(crate) struct Role {
    /// The name, unique in the account whatever its case.
    pub(crate) name: String,
    /// The path, `/` or `/a/b/`.
    pub(crate) path: String,
    /// `AROA...`
    pub(crate) id: String,
    /// The ARN, path included.
    pub(crate) arn: String,
    /// The text of the trust policy.
    pub(crate) trust: String,
    /// The ARN of the permissions boundary.
    pub(crate) boundary: Option<String>,
    /// The role's tags.
    pub(crate) tags: Tags,
    /// Inline policies by name.
    pub(crate) inline: BTreeMap<String, String>,
    /// ARNs of attached managed policies, in order of attachment.
    pub(crate) attached: Vec<String>,
    /// In seconds.
    pub(crate) max_session: i64,
    description: Option<String>,
    created: DateTime<Utc>,
}

/// A user, who has no policies and no keys here.
#[derive(Debug, Clone)]
struct User {
    name: String,
    path: String,
    id: String,
    arn: String,
    boundary: Option<String>,
    tags: Tags,
    created: DateTime<Utc>,
}

/// A customer managed policy.
#[derive(Debug, Clone)]
struct Policy {
    name: String,
    path: String,
    id: String,
    arn: String,
    description: Option<String>,
    tags: Tags,
    created: DateTime<Utc>,
    updated: DateTime<Utc>,
    versions: Vec<PolicyVersion>,
    default_version: String,
    /// The number of the next version; numbers are never used again.
    next_version: u32,
}

#[derive(Debug, Clone)]
struct PolicyVersion {
    id: String,
    document: String,
    created: DateTime<Utc>,
}

/// The texts that decide what a role may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RolePolicies {
    /// Name or ARN of each identity policy, and its text.
    pub(crate) identity: Vec<(String, String)>,
    /// ARN and text of the permissions boundary.
    pub(crate) boundary: Option<(String, String)>,
}

pub(crate) fn handle(world: &mut World, call: &Call<'_>) -> Answer {
    match call.operation {
        "CreateRole" => roles::create(world, call),
        "GetRole" => roles::get(&world.iam, call),
        "ListRoles" => roles::list(&world.iam, call),
        "DeleteRole" => roles::delete(&mut world.iam, call),
        "UpdateAssumeRolePolicy" => roles::update_trust(&mut world.iam, call),
        "PutRolePermissionsBoundary" => roles::put_boundary(&mut world.iam, call),
        "DeleteRolePermissionsBoundary" => roles::delete_boundary(&mut world.iam, call),
        "TagRole" => roles::tag(&mut world.iam, call),
        "ListRoleTags" => roles::list_tags(&world.iam, call),
        "AttachRolePolicy" => roles::attach(&mut world.iam, call),
        "DetachRolePolicy" => roles::detach(&mut world.iam, call),
        "ListAttachedRolePolicies" => roles::list_attached(&world.iam, call),
        "PutRolePolicy" => roles::put_inline(&mut world.iam, call),
        "GetRolePolicy" => roles::get_inline(&world.iam, call),
        "DeleteRolePolicy" => roles::delete_inline(&mut world.iam, call),
        "ListRolePolicies" => roles::list_inline(&world.iam, call),
        "CreatePolicy" => policies::create(world, call),
        "GetPolicy" => policies::get(&world.iam, call),
        "ListPolicies" => policies::list(&world.iam, call),
        "DeletePolicy" => policies::delete(&mut world.iam, call),
        "TagPolicy" => policies::tag(&mut world.iam, call),
        "ListPolicyTags" => policies::list_tags(&world.iam, call),
        "CreatePolicyVersion" => policies::create_version(&mut world.iam, call),
        "GetPolicyVersion" => policies::get_version(&world.iam, call),
        "DeletePolicyVersion" => policies::delete_version(&mut world.iam, call),
        "SetDefaultPolicyVersion" => policies::set_default(&mut world.iam, call),
        "ListPolicyVersions" => policies::list_versions(&world.iam, call),
        "ListEntitiesForPolicy" => policies::list_entities(&world.iam, call),
        "CreateUser" => users::create(world, call),
        "ListUsers" => users::list(&world.iam, call),
        "GetAccountAuthorizationDetails" => details::get(&world.iam, call),
        "SimulateCustomPolicy" => simulate::custom(call),
        "SimulatePrincipalPolicy" => simulate::principal(&world.iam, call),
        _ => Err(call.unserved()),
    }
}

impl State {
    /// A role by its ARN, path included.
    pub(crate) fn role_by_arn(&self, arn: &str) -> Option<&Role> {
        self.roles.values().find(|role| role.arn == arn)
    }

    /// What decides a role's calls, by the role's ARN; `None` when there is no such role.
    pub(crate) fn role_policies(&self, arn: &str) -> Option<RolePolicies> {
        let role = self.role_by_arn(arn)?;
        let attached = role
            .attached
            .iter()
            .filter_map(|arn| Some((arn.clone(), self.policy_document(arn)?.to_owned())));
        let inline = role
            .inline
            .iter()
            .map(|(name, document)| (name.clone(), document.clone()));
        let boundary = role
            .boundary
            .as_ref()
            .and_then(|arn| Some((arn.clone(), self.policy_document(arn)?.to_owned())));
        Some(RolePolicies {
            identity: attached.chain(inline).collect(),
            boundary,
        })
    }

    /// The text of a managed policy's default version, customer's or AWS's.
    pub(crate) fn policy_document(&self, arn: &str) -> Option<&str> {
        match self.policies.get(arn) {
            Some(policy) => policy
                .versions
                .iter()
                .find(|version| version.id == policy.default_version)
                .map(|version| version.document.as_str()),
            None => managed::find(arn).map(|policy| policy.document),
        }
    }

    /// Tagged resources that the tagging API knows: of IAM only customer managed policies.
    pub(crate) fn tagged(&self) -> Vec<(&str, &Tags)> {
        self.policies
            .values()
            .map(|policy| (policy.arn.as_str(), &policy.tags))
            .collect()
    }

    fn role(&self, call: &Call<'_>) -> Result<&Role, ApiError> {
        let name = call.required("RoleName")?;
        self.roles.get(name).ok_or_else(|| no_role(name))
    }

    fn role_mut(&mut self, call: &Call<'_>) -> Result<&mut Role, ApiError> {
        let name = call.required("RoleName")?;
        self.roles.get_mut(name).ok_or_else(|| no_role(name))
    }

    /// Refuses a policy ARN that names nothing.
    fn must_be_attachable(&self, arn: &str) -> Result<(), ApiError> {
        if self.policies.contains_key(arn) || managed::find(arn).is_some() {
            Ok(())
        } else {
            Err(no_entity(format!(
                "Policy {arn} does not exist or is not attachable."
            )))
        }
    }
}

fn no_entity(message: impl Into<String>) -> ApiError {
    ApiError::new("NoSuchEntity", message).with_status(404)
}

fn no_role(name: &str) -> ApiError {
    no_entity(format!("The role with name {name} cannot be found."))
}

fn conflict(code: &str, message: impl Into<String>) -> ApiError {
    ApiError::new(code, message).with_status(409)
}

/// A policy that IAM would store, refused otherwise.
fn checked_policy(text: &str, kind: PolicyKind) -> Result<String, ApiError> {
    match grammar::parse(text, kind) {
        Ok(_) => Ok(text.to_owned()),
        Err(reason) => Err(ApiError::new("MalformedPolicyDocument", reason.to_string())),
    }
}

fn tags_of(call: &Call<'_>) -> Result<Tags, ApiError> {
    Tags::from_list(call.list("Tags")).map_err(|reason| ApiError::new("InvalidInput", reason))
}

/// Adds tags within the limit.
fn merge_tags(tags: &mut Tags, more: Tags) -> Result<(), ApiError> {
    let mut merged = tags.clone();
    merged.merge(more);
    if merged.entries().len() > Tags::LIMIT {
        return Err(conflict(
            "LimitExceeded",
            "The number of tags has reached the maximum limit.",
        ));
    }
    *tags = merged;
    Ok(())
}

/// One page under `member`, with `IsTruncated` and `Marker`.
fn listing(call: &Call<'_>, member: &str, items: Vec<Value>) -> Answer {
    let (rows, marker) = paged(call, items)?;
    let mut answer = Map::new();
    answer.insert(member.to_owned(), rows.into());
    answer.insert("IsTruncated".to_owned(), marker.is_some().into());
    if let Some(marker) = marker {
        answer.insert("Marker".to_owned(), marker.into());
    }
    Ok(answer.into())
}

fn paged(call: &Call<'_>, items: Vec<Value>) -> Result<(Vec<Value>, Option<String>), ApiError> {
    let size = call
        .number("MaxItems")
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(100);
    page(items, call.text("Marker"), size).map_err(|_| {
        ApiError::new(
            "ValidationError",
            "Invalid Marker: the marker is not valid.",
        )
    })
}

/// The path that new things get.
fn path_of(call: &Call<'_>) -> Result<String, ApiError> {
    let path = call.text("Path").unwrap_or("/");
    if path.starts_with('/') && path.ends_with('/') && !path.contains("//") {
        Ok(path.to_owned())
    } else {
        Err(ApiError::new(
            "ValidationError",
            "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.",
        ))
    }
}

fn boundary_view(arn: &str) -> Value {
    json!({"PermissionsBoundaryType": "PermissionsBoundaryPolicy", "PermissionsBoundaryArn": arn})
}

/// Percent-encoding as IAM answers policy documents with (RFC 3986, everything but unreserved characters).
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len().saturating_mul(2));
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.extend(format!("%{byte:02X}").chars());
        }
    }
    encoded
}

/// Sets a member that is left out when there is nothing to say.
fn set(target: &mut Value, member: &str, value: Option<Value>) {
    if let (Some(members), Some(value)) = (target.as_object_mut(), value) {
        members.insert(member.to_owned(), value);
    }
}

fn time(at: DateTime<Utc>) -> Value {
    timestamp(at)
}
