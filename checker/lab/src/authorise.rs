//! Whether a call made with a role's credentials is allowed.
//!
//! Everything that has a say on AWS has it here: the role's policies, its boundary,
//! the session's policies, the resource's policy, key policies and grants; also what
//! a call needs besides itself (a secret's key, the function of a rotation, the role
//! handed to a function). `checker-iam` decides; this only collects. The lab's
//! administrator may do everything and never comes here.
//!
//! There is no organisation, so no SCPs. Which context keys a service sets is written
//! down in [`context`] for the keys that policies of secrets and keys use.

pub(crate) mod compiled;
mod context;
mod need;

use checker_iam::{
    Action, Decision, Grant, Layer, Layers, PolicyKind, Principal, Request, Resource, Verdict,
    decide,
};
use serde_json::json;

use crate::credentials::{Caller, RoleSession};
use crate::service::{ApiError, Call};
use crate::world::World;
use need::Need;

/// Refuses a call that its caller may not make.
pub(crate) fn check(world: &World, call: &Call<'_>) -> Result<(), ApiError> {
    let session = match call.caller {
        Caller::Administrator { .. } => return Ok(()),
        Caller::Role(session) => session,
    };
    // AWS answers this one to everybody.
    if call.service == "sts" && call.operation == "GetCallerIdentity" {
        return Ok(());
    }
    let principal = Principal::parse(&session.arn())
        .map_err(|problem| ApiError::internal(format!("decide a call: {problem}")))?;
    for need in need::of(world, call) {
        let decision = decided(world, call, &principal, session, &need)?;
        if !decision.is_allowed() {
            return Err(denied(call, &need, &decision));
        }
    }
    Ok(())
}

fn decided(
    world: &World,
    call: &Call<'_>,
    principal: &Principal,
    session: &RoleSession,
    need: &Need,
) -> Result<Decision, ApiError> {
    let action = Action::new(&need.action)
        .map_err(|problem| ApiError::internal(format!("decide a call: {problem}")))?;
    let request = Request::new(principal.clone(), action, Resource::new(&need.resource))
        .in_context(context::of(world, call, session, need))
        .owned_by(call.account);
    Ok(decide(&request, &layers(world, session, &need.resource)))
}

fn layers(world: &World, session: &RoleSession, resource: &str) -> Layers {
    // The session of a role that was deleted may do nothing.
    let policies = world
        .iam
        .role_policies(&session.role_arn)
        .unwrap_or_default();
    let texts = |policies: Vec<(_, String)>| policies.into_iter().map(|(_, text)| text).collect();
    let identity = |texts| compiled::policies(PolicyKind::Identity, texts);
    let session = &session.session_policies;
    Layers {
        identity: identity(texts(policies.identity)),
        resource: resource_policy(world, resource)
            .and_then(|text| compiled::policy(PolicyKind::Resource, &text)),
        boundary: policies.boundary.map(|(_, text)| identity(vec![text])),
        session: (!session.is_empty()).then(|| identity(session.clone())),
        grants: grants(world, resource),
        ..Layers::default()
    }
}

/// The policy that hangs on a resource.
fn resource_policy(world: &World, resource: &str) -> Option<String> {
    match resource.split(':').nth(2).unwrap_or_default() {
        "secretsmanager" => world
            .secretsmanager
            .get(resource)
            .and_then(|secret| secret.rare().policy.clone()),
        "kms" => world.kms.by_arn(resource).map(|key| key.policy.clone()),
        "lambda" => world
            .lambda
            .function(resource)
            .and_then(|function| Some(function.policy()?.to_string())),
        "iam" => world
            .iam
            .role_by_arn(resource)
            .map(|role| role.trust.clone()),
        "sqs" => world.sqs.policy(resource).map(str::to_owned),
        "sns" => world.sns.policy(resource).map(str::to_owned),
        _ => None,
    }
}

fn grants(world: &World, resource: &str) -> Vec<Grant> {
    let key = world.kms.by_arn(resource);
    let listed = key.into_iter().flat_map(|key| &key.grants);
    listed
        .filter_map(|grant| {
            Grant::from_value(&json!({
                "GrantId": grant.id,
                "GranteePrincipal": grant.grantee,
                "Operations": grant.operations,
                "Constraints": grant.constraints,
            }))
            .ok()
        })
        .collect()
}

fn denied(call: &Call<'_>, need: &Need, decision: &Decision) -> ApiError {
    let kind = match decision.by.layer {
        Layer::Identity => "an identity-based policy",
        Layer::Resource | Layer::Grant => "a resource-based policy",
        Layer::Boundary => "a permissions boundary",
        Layer::Session => "a session policy",
        Layer::Scp(_) => "a service control policy",
        Layer::Rcp(_) => "a resource control policy",
    };
    let because = match decision.verdict {
        Verdict::ExplicitDeny => format!("with an explicit deny in {kind}"),
        Verdict::Allowed | Verdict::ImplicitDeny => {
            let kind = kind.trim_start_matches("an ").trim_start_matches("a ");
            format!("because no {kind} allows the {} action", need.action)
        }
    };
    let (code, status) = match call.service {
        "iam" | "sts" | "sqs" | "cloudwatch" => ("AccessDenied", 403),
        "sns" => ("AuthorizationError", 403),
        "lambda" => ("AccessDeniedException", 403),
        _ => ("AccessDeniedException", 400),
    };
    ApiError::new(
        code,
        format!(
            "User: {} is not authorized to perform: {} on resource: {} {because}",
            call.caller.arn(call.account),
            need.action,
            need.resource
        ),
    )
    .with_status(status)
}
