//! Policies that let other AWS services write events.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{State, invalid, listing, millis};
use crate::iam::grammar::{PolicyKind, parse};
use crate::iam::resource_access::ActingService;
use crate::service::{Answer, ApiError, Call};
use crate::world::World;

/// AWS's quota of policies that are not bound to one group.
const LIMIT: usize = 10;

pub(super) struct ResourcePolicy {
    name: Option<String>,
    resource: Option<String>,
    document: String,
    revision: String,
    updated: DateTime<Utc>,
}

pub(super) fn put(world: &mut World, call: &Call<'_>) -> Answer {
    let document = call.required("policyDocument")?;
    parse(document, PolicyKind::Resource)
        .map_err(|reason| invalid(format!("Invalid policy document: {reason}")))?;
    let (name, resource) = (call.text("policyName"), call.text("resourceArn"));
    let key = match (name, resource) {
        (Some(name), None) => name,
        (None, Some(resource)) => resource,
        (Some(_), Some(_)) | (None, None) => {
            return Err(invalid(
                "Exactly one of policyName and resourceArn must be given.",
            ));
        }
    };
    let key = (call.region.to_owned(), key.to_owned());
    let policies = &mut world.logs.resource_policies;
    let named = policies
        .iter()
        .filter(|((region, _), policy)| region == call.region && policy.name.is_some())
        .count();
    if name.is_some() && !policies.contains_key(&key) && named >= LIMIT {
        return Err(ApiError::new(
            "LimitExceededException",
            "Resource limit exceeded.",
        ));
    }
    let expected = call.text("expectedRevisionId");
    if expected.is_some() && policies.get(&key).map(|known| known.revision.as_str()) != expected {
        return Err(ApiError::new(
            "OperationAbortedException",
            "The expected revision is not the current one.",
        ));
    }
    let policy = ResourcePolicy {
        name: name.map(str::to_owned),
        resource: resource.map(str::to_owned),
        document: document.to_owned(),
        revision: world.ids.uuid(),
        updated: call.now,
    };
    let answer = json!({"resourcePolicy": view(&policy), "revisionId": policy.revision});
    policies.insert(key, policy);
    Ok(answer)
}

pub(super) fn describe(state: &State, call: &Call<'_>) -> Answer {
    let scope = call.text("policyScope").unwrap_or("ACCOUNT");
    let rows = state
        .resource_policies
        .iter()
        .filter(|((region, _), policy)| {
            region == call.region
                && match call.text("resourceArn") {
                    Some(arn) => policy.resource.as_deref() == Some(arn),
                    None => policy.resource.is_some() == (scope == "RESOURCE"),
                }
        })
        .map(|(_, policy)| view(policy))
        .collect();
    listing(call, "resourcePolicies", rows, 50)
}

/// Whether some policy of the region lets a service write to a group.
pub(super) fn allow(
    state: &State,
    service: ActingService<'_>,
    region: &str,
    group_arn: &str,
) -> bool {
    let stream = format!("{group_arn}:log-stream:any");
    state
        .resource_policies
        .iter()
        .filter(|((place, _), policy)| {
            place == region
                && policy
                    .resource
                    .as_deref()
                    .is_none_or(|arn| arn == group_arn)
        })
        .any(|(_, policy)| service.may("logs:PutLogEvents", &stream, Some(&policy.document)))
}

fn view(policy: &ResourcePolicy) -> Value {
    let mut view = json!({
        "policyDocument": policy.document,
        "lastUpdatedTime": millis(policy.updated),
        "policyScope": if policy.resource.is_some() { "RESOURCE" } else { "ACCOUNT" },
        "revisionId": policy.revision,
    });
    if let Some(members) = view.as_object_mut() {
        let optional = [
            ("policyName", &policy.name),
            ("resourceArn", &policy.resource),
        ];
        for (member, text) in optional
            .into_iter()
            .filter_map(|(member, text)| Some((member, text.as_ref()?)))
        {
            members.insert(member.to_owned(), text.as_str().into());
        }
    }
    view
}
