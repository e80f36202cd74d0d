//! Managed policies and their versions.

use serde_json::{Value, json};

use super::grammar::{PolicyKind, counted_length};
use super::{
    Policy, PolicyVersion, State, checked_policy, conflict, listing, managed, merge_tags,
    no_entity, path_of, percent_encoded, set, tags_of, time,
};
use crate::service::{Answer, ApiError, Call};
use crate::world::World;

/// AWS's quotas: characters but white space, and versions.
const LENGTH: usize = 6_144;
const VERSIONS: usize = 5;

pub(super) fn create(world: &mut World, call: &Call<'_>) -> Answer {
    let name = call.required("PolicyName")?.to_owned();
    let path = path_of(call)?;
    if world
        .iam
        .policies
        .values()
        .any(|known| known.name.eq_ignore_ascii_case(&name))
    {
        return Err(conflict(
            "EntityAlreadyExists",
            format!("A policy called {name} already exists. Duplicate names are not allowed."),
        ));
    }
    let document = checked_document(call)?;
    let mut tags = crate::tagging::Tags::default();
    merge_tags(&mut tags, tags_of(call)?)?;
    let arn = format!("arn:aws:iam::{}:policy{path}{name}", call.account);
    let policy = Policy {
        name,
        path,
        id: format!("ANPA{}", world.ids.upper(17)),
        arn: arn.clone(),
        description: call.text("Description").map(str::to_owned),
        tags,
        created: call.now,
        updated: call.now,
        versions: vec![PolicyVersion {
            id: "v1".to_owned(),
            document,
            created: call.now,
        }],
        default_version: "v1".to_owned(),
        next_version: 2,
    };
    let mut view = summary(&world.iam, &policy);
    set(
        &mut view,
        "Tags",
        (!policy.tags.is_empty()).then(|| policy.tags.to_list()),
    );
    world.iam.policies.insert(arn, policy);
    Ok(json!({"Policy": view}))
}

pub(super) fn get(state: &State, call: &Call<'_>) -> Answer {
    let arn = call.required("PolicyArn")?;
    if let Some(policy) = state.policies.get(arn) {
        let mut view = summary(state, policy);
        set(
            &mut view,
            "Description",
            policy.description.as_deref().map(Value::from),
        );
        set(
            &mut view,
            "Tags",
            (!policy.tags.is_empty()).then(|| policy.tags.to_list()),
        );
        return Ok(json!({"Policy": view}));
    }
    match managed::find(arn) {
        Some(policy) => Ok(json!({"Policy": managed_summary(state, policy)})),
        None => Err(no_policy(arn)),
    }
}

/// As on AWS, the list has neither tags nor descriptions.
pub(super) fn list(state: &State, call: &Call<'_>) -> Answer {
    let scope = call.text("Scope").unwrap_or("All");
    let prefix = call.text("PathPrefix").unwrap_or("/");
    let only_attached = call.flag("OnlyAttached").unwrap_or(false);
    let usage = call.text("PolicyUsageFilter");
    let local = state
        .policies
        .values()
        .filter(|_| scope != "AWS")
        .map(|policy| (policy.arn.as_str(), summary(state, policy)));
    let aws = managed::ALL
        .iter()
        .filter(|_| scope != "Local")
        .map(|policy| (policy.arn, managed_summary(state, policy)));
    let rows = local
        .chain(aws)
        .filter(|(arn, view)| {
            let path = view.get("Path").and_then(Value::as_str).unwrap_or("/");
            let attached = attachments(state, arn) > 0;
            let bounding = boundaries(state, arn) > 0;
            path.starts_with(prefix)
                && (!only_attached || attached || bounding)
                && match usage {
                    Some("PermissionsPolicy") => attached,
                    Some("PermissionsBoundary") => bounding,
                    Some(_) | None => true,
                }
        })
        .map(|(_, view)| view)
        .collect();
    listing(call, "Policies", rows)
}

pub(super) fn delete(state: &mut State, call: &Call<'_>) -> Answer {
    let policy = own(state, call)?;
    let arn = policy.arn.clone();
    if policy.versions.len() > 1 {
        return Err(conflict(
            "DeleteConflict",
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.",
        ));
    }
    if attachments(state, &arn) > 0 || boundaries(state, &arn) > 0 {
        return Err(conflict(
            "DeleteConflict",
            "Cannot delete a policy attached to entities.",
        ));
    }
    state.policies.remove(&arn);
    Ok(json!({}))
}

pub(super) fn tag(state: &mut State, call: &Call<'_>) -> Answer {
    let more = tags_of(call)?;
    merge_tags(&mut own_mut(state, call)?.tags, more)?;
    Ok(json!({}))
}

pub(super) fn list_tags(state: &State, call: &Call<'_>) -> Answer {
    let tags = own(state, call)?.tags.to_list();
    listing(call, "Tags", tags.as_array().cloned().unwrap_or_default())
}

pub(super) fn create_version(state: &mut State, call: &Call<'_>) -> Answer {
    let document = checked_document(call)?;
    let policy = own_mut(state, call)?;
    if policy.versions.len() >= VERSIONS {
        return Err(conflict(
            "LimitExceeded",
            "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.",
        ));
    }
    let id = format!("v{}", policy.next_version);
    policy.next_version = policy.next_version.saturating_add(1);
    policy.versions.push(PolicyVersion {
        id: id.clone(),
        document,
        created: call.now,
    });
    let is_default = call.flag("SetAsDefault").unwrap_or(false);
    if is_default {
        policy.default_version.clone_from(&id);
    }
    policy.updated = call.now;
    Ok(json!({"PolicyVersion": {
        "VersionId": id,
        "IsDefaultVersion": is_default,
        "CreateDate": time(call.now),
    }}))
}

pub(super) fn get_version(state: &State, call: &Call<'_>) -> Answer {
    let arn = call.required("PolicyArn")?;
    let id = call.required("VersionId")?;
    if let Some(policy) = managed::find(arn) {
        if id != policy.version {
            return Err(no_version(arn, id));
        }
        return Ok(json!({"PolicyVersion": {
            "VersionId": id,
            "IsDefaultVersion": true,
            "CreateDate": managed::CREATED,
            "Document": percent_encoded(policy.document),
        }}));
    }
    let policy = own(state, call)?;
    let version = policy
        .versions
        .iter()
        .find(|version| version.id == id)
        .ok_or_else(|| no_version(arn, id))?;
    Ok(json!({"PolicyVersion": version_view(policy, version, true)}))
}

pub(super) fn delete_version(state: &mut State, call: &Call<'_>) -> Answer {
    let id = call.required("VersionId")?;
    let policy = own_mut(state, call)?;
    if policy.default_version == id {
        return Err(conflict(
            "DeleteConflict",
            "Cannot delete the default version of a policy.",
        ));
    }
    let before = policy.versions.len();
    policy.versions.retain(|version| version.id != id);
    if policy.versions.len() == before {
        return Err(no_version(&policy.arn, id));
    }
    Ok(json!({}))
}

pub(super) fn set_default(state: &mut State, call: &Call<'_>) -> Answer {
    let id = call.required("VersionId")?;
    let policy = own_mut(state, call)?;
    if !policy.versions.iter().any(|version| version.id == id) {
        return Err(no_version(&policy.arn, id));
    }
    id.clone_into(&mut policy.default_version);
    policy.updated = call.now;
    Ok(json!({}))
}

pub(super) fn list_versions(state: &State, call: &Call<'_>) -> Answer {
    if let Some(policy) = managed::find(call.required("PolicyArn")?) {
        let only = json!({"VersionId": policy.version, "IsDefaultVersion": true, "CreateDate": managed::CREATED});
        return listing(call, "Versions", vec![only]);
    }
    let policy = own(state, call)?;
    let rows = policy
        .versions
        .iter()
        .rev()
        .map(|version| version_view(policy, version, false))
        .collect();
    listing(call, "Versions", rows)
}

pub(super) fn list_entities(state: &State, call: &Call<'_>) -> Answer {
    let arn = call.required("PolicyArn")?;
    if !state.policies.contains_key(arn) && managed::find(arn).is_none() {
        return Err(no_policy(arn));
    }
    let wanted = |kind: &str| {
        call.text("EntityFilter")
            .is_none_or(|filter| filter == kind)
    };
    let bounding = call.text("PolicyUsageFilter") == Some("PermissionsBoundary");
    let prefix = call.text("PathPrefix").unwrap_or("/");
    let rows = state
        .roles
        .values()
        .filter(|role| role.path.starts_with(prefix) && wanted("Role"))
        .filter(|role| {
            if bounding {
                role.boundary.as_deref() == Some(arn)
            } else {
                role.attached.iter().any(|attached| attached == arn)
            }
        })
        .map(|role| json!({"RoleName": role.name, "RoleId": role.id}))
        .collect();
    let mut answer = listing(call, "PolicyRoles", rows)?;
    set(&mut answer, "PolicyGroups", Some(json!([])));
    let users: Vec<Value> = state
        .users
        .values()
        .filter(|user| bounding && wanted("User") && user.boundary.as_deref() == Some(arn))
        .map(|user| json!({"UserName": user.name, "UserId": user.id}))
        .collect();
    set(&mut answer, "PolicyUsers", Some(users.into()));
    Ok(answer)
}

/// What all answers show of a policy.
pub(super) fn summary(state: &State, policy: &Policy) -> Value {
    json!({
        "PolicyName": policy.name,
        "PolicyId": policy.id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": policy.default_version,
        "AttachmentCount": attachments(state, &policy.arn),
        "PermissionsBoundaryUsageCount": boundaries(state, &policy.arn),
        "IsAttachable": true,
        "CreateDate": time(policy.created),
        "UpdateDate": time(policy.updated),
    })
}

/// The same of a policy that AWS manages.
pub(super) fn managed_summary(state: &State, policy: &managed::ManagedPolicy) -> Value {
    let resource = policy.arn.splitn(6, ':').nth(5).unwrap_or_default();
    let path = resource.strip_prefix("policy").unwrap_or_default();
    let (path, name) = path.rsplit_once('/').unwrap_or(("", path));
    json!({
        "PolicyName": name,
        "PolicyId": policy.id,
        "Arn": policy.arn,
        "Path": format!("{path}/"),
        "DefaultVersionId": policy.version,
        "AttachmentCount": attachments(state, policy.arn),
        "PermissionsBoundaryUsageCount": boundaries(state, policy.arn),
        "IsAttachable": true,
        "CreateDate": managed::CREATED,
        "UpdateDate": managed::CREATED,
    })
}

pub(super) fn version_view(policy: &Policy, version: &PolicyVersion, with_document: bool) -> Value {
    let mut view = json!({
        "VersionId": version.id,
        "IsDefaultVersion": version.id == policy.default_version,
        "CreateDate": time(version.created),
    });
    set(
        &mut view,
        "Document",
        with_document.then(|| percent_encoded(&version.document).into()),
    );
    view
}

pub(super) fn attachments(state: &State, arn: &str) -> usize {
    state
        .roles
        .values()
        .filter(|role| role.attached.iter().any(|attached| attached == arn))
        .count()
}

fn boundaries(state: &State, arn: &str) -> usize {
    let roles = state
        .roles
        .values()
        .filter(|role| role.boundary.as_deref() == Some(arn))
        .count();
    let users = state
        .users
        .values()
        .filter(|user| user.boundary.as_deref() == Some(arn))
        .count();
    roles.saturating_add(users)
}

fn checked_document(call: &Call<'_>) -> Result<String, ApiError> {
    let document = checked_policy(call.required("PolicyDocument")?, PolicyKind::Identity)?;
    if counted_length(&document) > LENGTH {
        return Err(conflict(
            "LimitExceeded",
            format!("Cannot exceed quota for PolicySize: {LENGTH}"),
        ));
    }
    Ok(document)
}

/// A customer managed policy: those of AWS can't be changed.
fn own<'a>(state: &'a State, call: &Call<'_>) -> Result<&'a Policy, ApiError> {
    let arn = call.required("PolicyArn")?;
    state.policies.get(arn).ok_or_else(|| no_policy(arn))
}

fn own_mut<'a>(state: &'a mut State, call: &Call<'_>) -> Result<&'a mut Policy, ApiError> {
    let arn = call.required("PolicyArn")?;
    state.policies.get_mut(arn).ok_or_else(|| no_policy(arn))
}

fn no_policy(arn: &str) -> ApiError {
    no_entity(format!("Policy {arn} was not found."))
}

fn no_version(arn: &str, id: &str) -> ApiError {
    no_entity(format!(
        "Policy {arn} version {id} does not exist or is not attachable."
    ))
}
