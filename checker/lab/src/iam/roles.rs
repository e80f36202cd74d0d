//! Roles: trust, boundary, tags, attached and inline policies.

use serde_json::{Value, json};

use super::grammar::{PolicyKind, counted_length};
use super::{
    Role, State, boundary_view, checked_policy, conflict, listing, merge_tags, no_entity, path_of,
    percent_encoded, set, tags_of, time,
};
use crate::service::{Answer, ApiError, Call};
use crate::world::World;

/// AWS's default quotas.
const ATTACHED_LIMIT: usize = 10;
const INLINE_LENGTH: usize = 10_240;
const TRUST_LENGTH: usize = 2_048;

pub(super) fn create(world: &mut World, call: &Call<'_>) -> Answer {
    let name = call.required("RoleName")?.to_owned();
    if world
        .iam
        .roles
        .keys()
        .any(|known| known.eq_ignore_ascii_case(&name))
    {
        return Err(conflict(
            "EntityAlreadyExists",
            format!("Role with name {name} already exists."),
        ));
    }
    let path = path_of(call)?;
    let trust = checked_trust(&world.iam, call, call.required("AssumeRolePolicyDocument")?)?;
    let boundary = call.text("PermissionsBoundary").map(str::to_owned);
    if let Some(arn) = &boundary {
        world.iam.must_be_attachable(arn)?;
    }
    let mut tags = crate::tagging::Tags::default();
    merge_tags(&mut tags, tags_of(call)?)?;
    let role = Role {
        arn: format!("arn:aws:iam::{}:role{path}{name}", call.account),
        id: format!("AROA{}", world.ids.upper(17)),
        name: name.clone(),
        path,
        trust,
        boundary,
        tags,
        inline: std::collections::BTreeMap::new(),
        attached: Vec::new(),
        max_session: call.number("MaxSessionDuration").unwrap_or(3600),
        description: call.text("Description").map(str::to_owned),
        created: call.now,
    };
    let mut answer = summary(&role);
    if !role.tags.is_empty() {
        set(&mut answer, "Tags", Some(role.tags.to_list()));
    }
    set(
        &mut answer,
        "PermissionsBoundary",
        role.boundary.as_deref().map(boundary_view),
    );
    world.iam.roles.insert(name, role);
    Ok(json!({"Role": answer}))
}

pub(super) fn get(state: &State, call: &Call<'_>) -> Answer {
    let role = state.role(call)?;
    let mut view = summary(role);
    set(
        &mut view,
        "PermissionsBoundary",
        role.boundary.as_deref().map(boundary_view),
    );
    set(
        &mut view,
        "Tags",
        (!role.tags.is_empty()).then(|| role.tags.to_list()),
    );
    set(&mut view, "RoleLastUsed", Some(json!({})));
    Ok(json!({"Role": view}))
}

/// As on AWS, the list has neither tags nor boundaries.
pub(super) fn list(state: &State, call: &Call<'_>) -> Answer {
    let prefix = call.text("PathPrefix").unwrap_or("/");
    let roles = state
        .roles
        .values()
        .filter(|role| role.path.starts_with(prefix))
        .map(summary)
        .collect();
    listing(call, "Roles", roles)
}

pub(super) fn delete(state: &mut State, call: &Call<'_>) -> Answer {
    let role = state.role(call)?;
    if !role.attached.is_empty() {
        return Err(conflict(
            "DeleteConflict",
            "Cannot delete entity, must detach all policies first.",
        ));
    }
    if !role.inline.is_empty() {
        return Err(conflict(
            "DeleteConflict",
            "Cannot delete entity, must delete policies first.",
        ));
    }
    let name = role.name.clone();
    state.roles.remove(&name);
    Ok(json!({}))
}

pub(super) fn update_trust(state: &mut State, call: &Call<'_>) -> Answer {
    let trust = checked_trust(state, call, call.required("PolicyDocument")?)?;
    state.role_mut(call)?.trust = trust;
    Ok(json!({}))
}

pub(super) fn put_boundary(state: &mut State, call: &Call<'_>) -> Answer {
    let arn = call.required("PermissionsBoundary")?;
    state.must_be_attachable(arn)?;
    state.role_mut(call)?.boundary = Some(arn.to_owned());
    Ok(json!({}))
}

pub(super) fn delete_boundary(state: &mut State, call: &Call<'_>) -> Answer {
    let role = state.role_mut(call)?;
    if role.boundary.take().is_none() {
        return Err(no_entity(format!(
            "Role {} does not have a permissions boundary",
            role.name
        )));
    }
    Ok(json!({}))
}

pub(super) fn tag(state: &mut State, call: &Call<'_>) -> Answer {
    let more = tags_of(call)?;
    merge_tags(&mut state.role_mut(call)?.tags, more)?;
    Ok(json!({}))
}

pub(super) fn list_tags(state: &State, call: &Call<'_>) -> Answer {
    let tags = state.role(call)?.tags.to_list();
    listing(call, "Tags", tags.as_array().cloned().unwrap_or_default())
}

/// Attaching twice is no error, as on AWS.
pub(super) fn attach(state: &mut State, call: &Call<'_>) -> Answer {
    let arn = call.required("PolicyArn")?;
    state.must_be_attachable(arn)?;
    let role = state.role_mut(call)?;
    if role.attached.iter().any(|known| known == arn) {
        return Ok(json!({}));
    }
    if role.attached.len() >= ATTACHED_LIMIT {
        return Err(conflict(
            "LimitExceeded",
            format!("Cannot exceed quota for PoliciesPerRole: {ATTACHED_LIMIT}"),
        ));
    }
    role.attached.push(arn.to_owned());
    Ok(json!({}))
}

pub(super) fn detach(state: &mut State, call: &Call<'_>) -> Answer {
    let arn = call.required("PolicyArn")?;
    let role = state.role_mut(call)?;
    let before = role.attached.len();
    role.attached.retain(|known| known != arn);
    if role.attached.len() == before {
        return Err(no_entity(format!("Policy {arn} was not found.")));
    }
    Ok(json!({}))
}

pub(super) fn list_attached(state: &State, call: &Call<'_>) -> Answer {
    let prefix = call.text("PathPrefix").unwrap_or("/");
    let role = state.role(call)?;
    let attached = role
        .attached
        .iter()
        .filter(|arn| policy_path(arn).starts_with(prefix))
        .map(|arn| attachment(arn))
        .collect();
    listing(call, "AttachedPolicies", attached)
}

pub(super) fn put_inline(state: &mut State, call: &Call<'_>) -> Answer {
    let name = call.required("PolicyName")?;
    let document = checked_policy(call.required("PolicyDocument")?, PolicyKind::Identity)?;
    let role = state.role_mut(call)?;
    let others: usize = role
        .inline
        .iter()
        .filter(|(known, _)| known.as_str() != name)
        .map(|(_, text)| counted_length(text))
        .sum();
    if others.saturating_add(counted_length(&document)) > INLINE_LENGTH {
        return Err(conflict(
            "LimitExceeded",
            format!(
                "Maximum policy size of {INLINE_LENGTH} bytes exceeded for role {}",
                role.name
            ),
        ));
    }
    role.inline.insert(name.to_owned(), document);
    Ok(json!({}))
}

pub(super) fn get_inline(state: &State, call: &Call<'_>) -> Answer {
    let role = state.role(call)?;
    let name = call.required("PolicyName")?;
    let document = role.inline.get(name).ok_or_else(|| no_inline(name))?;
    Ok(json!({
        "RoleName": role.name,
        "PolicyName": name,
        "PolicyDocument": percent_encoded(document),
    }))
}

pub(super) fn delete_inline(state: &mut State, call: &Call<'_>) -> Answer {
    let name = call.required("PolicyName")?;
    match state.role_mut(call)?.inline.remove(name) {
        Some(_) => Ok(json!({})),
        None => Err(no_inline(name)),
    }
}

pub(super) fn list_inline(state: &State, call: &Call<'_>) -> Answer {
    let names = state
        .role(call)?
        .inline
        .keys()
        .map(|name| Value::from(name.as_str()))
        .collect();
    listing(call, "PolicyNames", names)
}

/// What all answers show of a role.
pub(super) fn summary(role: &Role) -> Value {
    let mut view = json!({
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.id,
        "Arn": role.arn,
        "CreateDate": time(role.created),
        "AssumeRolePolicyDocument": percent_encoded(&role.trust),
        "MaxSessionDuration": role.max_session,
    });
    set(
        &mut view,
        "Description",
        role.description.as_deref().map(Value::from),
    );
    view
}

pub(super) fn attachment(arn: &str) -> Value {
    json!({"PolicyName": arn.rsplit('/').next().unwrap_or_default(), "PolicyArn": arn})
}

fn policy_path(arn: &str) -> String {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
    let path = resource.strip_prefix("policy").unwrap_or_default();
    path.rfind('/')
        .and_then(|end| path.get(..=end))
        .unwrap_or("/")
        .to_owned()
}

/// A trust policy that names no role or user of this account that doesn't exist.
fn checked_trust(state: &State, call: &Call<'_>, text: &str) -> Result<String, ApiError> {
    let document = checked_policy(text, PolicyKind::Trust)?;
    if super::grammar::counted_length(&document) > TRUST_LENGTH {
        return Err(conflict(
            "LimitExceeded",
            format!("Cannot exceed quota for ACLSizePerRole: {TRUST_LENGTH}"),
        ));
    }
    let parsed: Value = serde_json::from_str(&document).unwrap_or_default();
    let here = format!("arn:aws:iam::{}:", call.account);
    for arn in named_principals(&parsed) {
        let Some(name) = arn.strip_prefix(&here) else {
            continue;
        };
        let exists = name == "root"
            || state.roles.values().any(|role| role.arn == arn)
            || state.users.values().any(|user| user.arn == arn);
        if !exists {
            return Err(ApiError::new(
                "MalformedPolicyDocument",
                format!("Invalid principal in policy: \"AWS\":\"{arn}\""),
            ));
        }
    }
    Ok(document)
}

fn named_principals(document: &Value) -> Vec<&str> {
    let statements = match document.get("Statement") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(single) => vec![single],
        None => Vec::new(),
    };
    statements
        .into_iter()
        .filter_map(|each| each.get("Principal")?.get("AWS"))
        .flat_map(|names| match names.as_array() {
            Some(list) => list.iter().filter_map(Value::as_str).collect(),
            None => names.as_str().into_iter().collect::<Vec<_>>(),
        })
        .collect()
}

fn no_inline(name: &str) -> ApiError {
    no_entity(format!("The role policy with name {name} cannot be found."))
}
