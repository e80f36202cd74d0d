//! A function's resource policy: who may invoke it.
//!
//! Lambda writes the statements itself from `AddPermission`, so only the few
//! conditions that it can write are decided here.

use serde_json::{Map, Value, json};

use super::{Function, invalid};
use crate::service::{Answer, ApiError, Call};
use crate::world::World;

pub(super) fn add(world: &mut World, call: &Call<'_>) -> Answer {
    let account = call.account.to_owned();
    let revision = world.ids.uuid();
    let function = world.lambda.find_mut(call)?;
    check_revision(function, call)?;
    let id = call.required("StatementId")?;
    let taken = function
        .statements
        .iter()
        .any(|statement| statement.get("Sid").and_then(Value::as_str) == Some(id));
    if taken {
        return Err(ApiError::new(
            "ResourceConflictException",
            format!("The statement id ({id}) provided already exists. Please provide a new statement id, or remove the existing statement."),
        )
        .with_status(409));
    }
    let mut conditions = Map::new();
    let mut require = |operator: &str, key: &str, value: Option<Value>| {
        if let Some(value) = value {
            let entry = conditions
                .entry(operator.to_owned())
                .or_insert_with(|| json!({}));
            if let Some(entry) = entry.as_object_mut() {
                entry.insert(key.to_owned(), value);
            }
        }
    };
    let text = |member: &str| call.text(member).map(Value::from);
    require("StringEquals", "AWS:SourceAccount", text("SourceAccount"));
    require("StringEquals", "aws:PrincipalOrgID", text("PrincipalOrgID"));
    require(
        "StringEquals",
        "lambda:EventSourceToken",
        text("EventSourceToken"),
    );
    require(
        "StringEquals",
        "lambda:FunctionUrlAuthType",
        text("FunctionUrlAuthType"),
    );
    require(
        "Bool",
        "lambda:InvokedViaFunctionUrl",
        call.flag("InvokedViaFunctionUrl")
            .map(|flag| Value::from(flag.to_string())),
    );
    require("ArnLike", "AWS:SourceArn", text("SourceArn"));
    let mut statement = json!({
        "Sid": id,
        "Effect": "Allow",
        "Principal": principal(call.required("Principal")?, &account)?,
        "Action": call.required("Action")?,
        "Resource": function.arn,
    });
    if let (false, Some(statement)) = (conditions.is_empty(), statement.as_object_mut()) {
        statement.insert("Condition".to_owned(), Value::Object(conditions));
    }
    let answer = json!({"Statement": statement.to_string()});
    function.statements.push(statement);
    function.policy_revision = revision;
    Ok(answer)
}

pub(super) fn remove(world: &mut World, call: &Call<'_>) -> Answer {
    let revision = world.ids.uuid();
    let function = world.lambda.find_mut(call)?;
    check_revision(function, call)?;
    let id = call.required("StatementId")?;
    let before = function.statements.len();
    function
        .statements
        .retain(|statement| statement.get("Sid").and_then(Value::as_str) != Some(id));
    if function.statements.len() == before {
        return Err(missing(&format!(
            "Statement {id} is not found in resource policy."
        )));
    }
    function.policy_revision = revision;
    Ok(json!({}))
}

pub(super) fn get(world: &World, call: &Call<'_>) -> Answer {
    let function = world.lambda.find(call)?;
    let policy = function
        .policy()
        .ok_or_else(|| missing("The resource you requested does not exist."))?;
    Ok(json!({"Policy": policy.to_string(), "RevisionId": function.policy_revision}))
}

/// Whether the statements let a service, acting for an account and a resource, invoke the function.
pub(super) fn lets_in(
    statements: &[Value],
    principal: &str,
    account: &str,
    source_arn: &str,
) -> bool {
    statements.iter().any(|statement| {
        let who = statement.get("Principal");
        let named = who.and_then(Value::as_str) == Some("*")
            || statement
                .pointer("/Principal/Service")
                .and_then(Value::as_str)
                == Some(principal);
        let action = statement
            .get("Action")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let invokes = matches!(action, "lambda:InvokeFunction" | "lambda:*" | "*");
        named && invokes && holds(statement.get("Condition"), account, source_arn)
    })
}

/// Whether a statement's conditions hold; one that this can't decide does not hold.
fn holds(conditions: Option<&Value>, account: &str, source_arn: &str) -> bool {
    let conditions = conditions.and_then(Value::as_object);
    conditions
        .into_iter()
        .flatten()
        .flat_map(|(operator, keys)| {
            let keys = keys.as_object().into_iter().flatten();
            keys.map(move |(key, value)| (operator.as_str(), key.to_ascii_lowercase(), value))
        })
        .all(|(operator, key, value)| {
            let value = value.as_str().unwrap_or_default();
            match (operator, key.as_str()) {
                ("StringEquals", "aws:sourceaccount") => value == account,
                ("ArnLike", "aws:sourcearn") => arn_like(value, source_arn),
                _ => false,
            }
        })
}

/// `ArnLike`: `*` and `?` within each of the six parts.
pub(crate) fn arn_like(pattern: &str, arn: &str) -> bool {
    let patterns: Vec<&str> = pattern.splitn(6, ':').collect();
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    patterns.len() == parts.len()
        && patterns
            .iter()
            .zip(&parts)
            .all(|(pattern, part)| like(pattern.as_bytes(), part.as_bytes()))
}

/// Wildcards, matched in linear time: on a mismatch only the last `*` is extended.
fn like(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || Some(byte) == text.get(t) => {
                p += 1;
                t += 1;
            }
            Some(_) | None => match back {
                Some((star, from)) => {
                    back = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|byte| *byte == b'*')
}

fn principal(given: &str, account: &str) -> Result<Value, ApiError> {
    if given == "*" {
        return Ok(Value::from("*"));
    }
    if given.ends_with(".amazonaws.com") {
        return Ok(json!({"Service": given}));
    }
    let digits = given.len() == 12 && given.bytes().all(|byte| byte.is_ascii_digit());
    if digits {
        return Ok(json!({"AWS": format!("arn:aws:iam::{given}:root")}));
    }
    if given.starts_with("arn:aws:iam::") || given.starts_with("arn:aws:sts::") {
        return Ok(json!({"AWS": given}));
    }
    Err(invalid(format!(
        "The provided principal was invalid. Please check the principal and try again. (account {account})"
    )))
}

fn check_revision(function: &Function, call: &Call<'_>) -> Result<(), ApiError> {
    match call.text("RevisionId") {
        Some(revision) if revision != function.policy_revision => Err(ApiError::new(
            "PreconditionFailedException",
            "The RevisionId provided does not match the latest RevisionId.",
        )
        .with_status(412)),
        Some(_) | None => Ok(()),
    }
}

fn missing(message: &str) -> ApiError {
    ApiError::new("ResourceNotFoundException", message).with_status(404)
}
