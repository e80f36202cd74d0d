//! The policy simulator, as far as `checker-iam` decides what AWS's simulator decides.
//!
//! Custom policies, or those of a role, against actions and resources in a given context. Organisation policies,
//! exclusion lists and EC2's resource handling are refused. Positions of statements are left out; AWS's simulator
//! judges a resource policy only where one is given, and so does this.

use checker_iam::{
    Action, Context, Effect, Explanation, Layer, Layers, Policy, PolicyKind, PolicySet, Principal,
    Request, Resource, Verdict, explain,
};
use serde_json::{Value, json};

use super::{RolePolicies, State, listing, no_entity};
use crate::service::{Answer, ApiError, Call};

/// Simulates policies that the caller hands over.
pub(super) fn custom(call: &Call<'_>) -> Answer {
    let caller = call
        .text("CallerArn")
        .map_or_else(|| call.caller.arn(call.account), str::to_owned);
    run(call, &caller, &RolePolicies::default())
}

/// Simulates the policies of a role, and those handed over besides.
pub(super) fn principal(state: &State, call: &Call<'_>) -> Answer {
    let source = call.required("PolicySourceArn")?;
    if !call.list("PolicyExclusionList").is_empty() {
        return Err(invalid("the lab's simulator excludes no policies"));
    }
    let of_role = match state.role_policies(source) {
        Some(policies) => policies,
        None if state.users.values().any(|user| user.arn == source) => RolePolicies::default(),
        None => {
            return Err(no_entity(format!(
                "{source} does not exist or is not a role or user."
            )));
        }
    };
    run(call, call.text("CallerArn").unwrap_or(source), &of_role)
}

fn run(call: &Call<'_>, caller: &str, of_role: &RolePolicies) -> Answer {
    if call.text("ResourceHandlingOption").is_some()
        || !call.list("OrderedOrganizationPolicyInputList").is_empty()
    {
        return Err(invalid(
            "the lab's simulator knows no resource handling and no organization policies",
        ));
    }
    let principal = Principal::parse(caller).map_err(|problem| invalid(problem.to_string()))?;
    let given = texts(call, "PolicyInputList");
    let own = of_role
        .identity
        .iter()
        .map(|(name, text)| (name.clone(), text.as_str()));
    let named = given
        .iter()
        .enumerate()
        .map(|(at, text)| (format!("PolicyInputList.{}", at.saturating_add(1)), *text));
    let identity = own
        .chain(named)
        .map(|(name, text)| parse(text, PolicyKind::Identity, &name))
        .collect::<Result<_, _>>()?;
    let boundary: Vec<&str> = match texts(call, "PermissionsBoundaryPolicyInputList") {
        list if list.is_empty() => of_role
            .boundary
            .iter()
            .map(|(_, text)| text.as_str())
            .collect(),
        list => list,
    };
    let bounded = (!boundary.is_empty())
        .then(|| {
            boundary
                .iter()
                .map(|text| parse(text, PolicyKind::Identity, "boundary"))
                .collect::<Result<Vec<_>, _>>()
        })
        .transpose()?
        .map(PolicySet::new);
    let resource_policy = call
        .text("ResourcePolicy")
        .map(|text| parse(text, PolicyKind::Resource, "ResourcePolicy"))
        .transpose()?
        .map(PolicySet::from);
    let layers = Layers {
        identity: PolicySet::new(identity),
        resource: resource_policy,
        boundary: bounded,
        ..Layers::default()
    };
    let mut resources = texts(call, "ResourceArns");
    if resources.is_empty() {
        resources.push("*");
    }
    let context = std::sync::Arc::new(context(call));
    let principal = std::sync::Arc::new(principal);
    let mut rows = Vec::new();
    for action in texts(call, "ActionNames") {
        let parsed = Action::new(action).map_err(|problem| invalid(problem.to_string()))?;
        for resource in &resources {
            let owner = call
                .text("ResourceOwner")
                .and_then(|arn| arn.split(':').nth(4))
                .unwrap_or(call.account);
            let request = Request::new(principal.clone(), parsed.clone(), Resource::new(resource))
                .in_context(context.clone())
                .owned_by(owner);
            rows.push(row(action, resource, &layers, &explain(&request, &layers)));
        }
    }
    listing(call, "EvaluationResults", rows)
}

fn row(action: &str, resource: &str, layers: &Layers, explanation: &Explanation) -> Value {
    let decision = match explanation.decision.verdict {
        Verdict::Allowed => "allowed",
        Verdict::ImplicitDeny => "implicitDeny",
        Verdict::ExplicitDeny => "explicitDeny",
    };
    let matched: Vec<Value> = explanation
        .matched
        .iter()
        .filter(|(layer, ..)| *layer != Layer::Boundary)
        .map(|(layer, statement, _)| {
            let kind = if *layer == Layer::Resource {
                "resource"
            } else {
                "none"
            };
            json!({"SourcePolicyId": statement.policy_name, "SourcePolicyType": kind})
        })
        .collect();
    let mut row = json!({
        "EvalActionName": action,
        "EvalResourceName": resource,
        "EvalDecision": decision,
        "MatchedStatements": matched,
        "MissingContextValues": explanation.decision.missing_context,
    });
    if let (Some(members), Some(_)) = (row.as_object_mut(), &layers.boundary) {
        let of_boundary = |wanted: Effect| {
            explanation
                .matched
                .iter()
                .any(|(layer, _, effect)| *layer == Layer::Boundary && *effect == wanted)
        };
        let allowed = of_boundary(Effect::Allow) && !of_boundary(Effect::Deny);
        members.insert(
            "PermissionsBoundaryDecisionDetail".to_owned(),
            json!({"AllowedByPermissionsBoundary": allowed}),
        );
    }
    row
}

/// The context as given, with the keys that every simulated request has.
fn context(call: &Call<'_>) -> Context {
    let mut context = Context::new();
    for entry in call.list("ContextEntries") {
        let key = entry
            .get("ContextKeyName")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let values = entry
            .get("ContextKeyValues")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        context.set(key, values.filter_map(Value::as_str));
    }
    context
}

fn parse(text: &str, kind: PolicyKind, name: &str) -> Result<Policy, ApiError> {
    let grammar = match kind {
        PolicyKind::Identity | PolicyKind::ResourceControl => super::PolicyKind::Identity,
        PolicyKind::Resource => super::PolicyKind::Resource,
    };
    super::grammar::parse(text, grammar).map_err(|reason| invalid(reason.to_string()))?;
    let policy = Policy::parse(text, kind).map_err(|reason| invalid(reason.to_string()))?;
    Ok(policy.named(name))
}

fn texts<'a>(call: &'a Call<'_>, member: &str) -> Vec<&'a str> {
    call.list(member).iter().filter_map(Value::as_str).collect()
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidInput", message)
}
