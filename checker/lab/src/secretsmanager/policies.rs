//! Resource policies of secrets; public ones are refused when asked to.

use serde_json::{Value, json};

use super::Secret;
use crate::iam::grammar::{self, PolicyKind};
use crate::service::{Answer, ApiError, Call};
use crate::world::World;

/// Conditions that bind a caller to something known, so that `*` isn't everybody.
const BINDING: [&str; 11] = [
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceorgid",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "kms:calleraccount",
];

pub(super) fn get(world: &World, call: &Call<'_>) -> Answer {
    let secret = world.secretsmanager.any(call)?;
    let mut answer = named(secret);
    if let (Some(policy), Some(answer)) = (&secret.rare().policy, answer.as_object_mut()) {
        answer.insert("ResourcePolicy".to_owned(), json!(policy));
    }
    Ok(answer)
}

pub(super) fn put(world: &mut World, call: &Call<'_>) -> Answer {
    let policy = call.required("ResourcePolicy")?.to_owned();
    let document = parse(&policy)?;
    let block = call.flag("BlockPublicPolicy") == Some(true);
    if block && is_public(&document) {
        return Err(ApiError::new(
            "PublicPolicyException",
            "You can't attach a resource policy that allows broad access to the secret.",
        ));
    }
    let secret = world.secretsmanager.primary_mut(call)?;
    secret.rare_mut().policy = Some(policy);
    secret.changed = call.now;
    Ok(named(secret))
}

pub(super) fn delete(world: &mut World, call: &Call<'_>) -> Answer {
    let secret = world.secretsmanager.primary_mut(call)?;
    secret.rare_mut().policy = None;
    secret.changed = call.now;
    Ok(named(secret))
}

pub(super) fn validate(world: &World, call: &Call<'_>) -> Answer {
    if call.text("SecretId").is_some() {
        world.secretsmanager.any(call)?;
    }
    let error = |check: &str, message: String| {
        json!({
            "PolicyValidationPassed": false,
            "ValidationErrors": [{"CheckName": check, "ErrorMessage": message}],
        })
    };
    Ok(match parse(call.required("ResourcePolicy")?) {
        Err(problem) => error("POLICY_SYNTAX", problem.message),
        Ok(document) if is_public(&document) => error(
            "BLOCK_PUBLIC_POLICY",
            "The policy allows broad access to the secret.".to_owned(),
        ),
        Ok(_) => json!({"PolicyValidationPassed": true, "ValidationErrors": []}),
    })
}

fn parse(policy: &str) -> Result<Value, ApiError> {
    grammar::parse(policy, PolicyKind::Resource).map_err(|problem| {
        ApiError::new(
            "MalformedPolicyDocumentException",
            format!("This resource policy contains a syntax error: {problem}"),
        )
    })
}

/// Whether a statement lets anybody in: any principal, and no condition that binds it.
fn is_public(document: &Value) -> bool {
    let statements = match document.get("Statement") {
        Some(Value::Array(statements)) => statements.as_slice(),
        Some(statement) => std::slice::from_ref(statement),
        None => &[],
    };
    statements.iter().any(|statement| {
        let allows = statement.get("Effect").and_then(Value::as_str) == Some("Allow");
        let anybody =
            statement.get("NotPrincipal").is_some() || anybody(statement.get("Principal"));
        allows && anybody && !bound(statement.get("Condition"))
    })
}

fn anybody(principal: Option<&Value>) -> bool {
    match principal {
        Some(Value::String(text)) => text == "*",
        Some(Value::Array(many)) => many.iter().any(|one| anybody(Some(one))),
        Some(Value::Object(kinds)) => anybody(kinds.get("AWS")),
        Some(_) | None => false,
    }
}

fn bound(conditions: Option<&Value>) -> bool {
    let conditions = conditions.and_then(Value::as_object);
    conditions.into_iter().flatten().any(|(operator, keys)| {
        let positive = !operator.contains("Not")
            && !operator.contains("IfExists")
            && !operator.starts_with("Null")
            && !operator.starts_with("ForAllValues");
        let keys = keys.as_object().into_iter().flatten();
        positive
            && keys.into_iter().any(|(key, values)| {
                BINDING.contains(&key.to_ascii_lowercase().as_str()) && !any_value(values)
            })
    })
}

fn any_value(values: &Value) -> bool {
    match values {
        Value::String(text) => text.trim_matches('*').is_empty(),
        Value::Array(many) => many.iter().any(any_value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

fn named(secret: &Secret) -> Value {
    json!({"ARN": *secret.arn, "Name": *secret.name})
}
