//! The grammar that IAM enforces when a policy is written.
//!
//! Input: the text of a policy and the kind of place where it is put. Output: the parsed document, or the message of
//! the `MalformedPolicyDocument` that AWS answers with. Only what makes AWS refuse a policy is checked: an action that
//! no service has, or a condition key that never occurs, is accepted there and therefore here. What a policy *means*
//! is `checker-iam`'s business.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Where a policy is put, which decides the elements that it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PolicyKind {
    /// A managed or inline policy of a role, or a permissions boundary.
    Identity,
    /// The trust policy of a role.
    Trust,
    /// A policy on a resource: a secret, key, topic, queue or log group.
    Resource,
}

/// Why a policy is refused; the text follows AWS's where that is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct MalformedPolicyError(String);

/// Reads a policy as IAM would when it is put.
pub(crate) fn parse(text: &str, kind: PolicyKind) -> Result<Value, MalformedPolicyError> {
    if !text.trim_start().starts_with('{') {
        return refuse("Syntax errors in policy.");
    }
    let document: Value = serde_json::from_str(text)
        .map_err(|_| MalformedPolicyError("Syntax errors in policy.".to_owned()))?;
    let Some(top) = document.as_object() else {
        return refuse("Syntax errors in policy.");
    };
    only_members(top, &["Version", "Id", "Statement"])?;
    match top.get("Version") {
        None => {}
        Some(Value::String(version)) if version == "2012-10-17" || version == "2008-10-17" => {}
        Some(_) => return refuse("The policy must contain a valid version string."),
    }
    if top.get("Id").is_some_and(|id| !id.is_string()) {
        return refuse("Syntax errors in policy.");
    }
    let statements = match top.get("Statement") {
        Some(Value::Array(list)) if !list.is_empty() => list.iter().collect(),
        Some(single @ Value::Object(_)) => vec![single],
        Some(_) | None => return refuse("Syntax errors in policy."),
    };
    let mut sids = BTreeSet::new();
    for each in statements {
        let Some(members) = each.as_object() else {
            return refuse("Syntax errors in policy.");
        };
        statement(members, kind)?;
        if let Some(sid) = members.get("Sid").and_then(Value::as_str)
            && !sid.is_empty()
            && !sids.insert(sid)
        {
            return refuse("Statement IDs (SID) in a single policy must be unique.");
        }
    }
    Ok(document)
}

/// The length that AWS's quotas count: everything but white space.
pub(crate) fn counted_length(text: &str) -> usize {
    text.chars().filter(|c| !c.is_whitespace()).count()
}

fn statement(members: &Map<String, Value>, kind: PolicyKind) -> Result<(), MalformedPolicyError> {
    only_members(
        members,
        &[
            "Sid",
            "Effect",
            "Principal",
            "NotPrincipal",
            "Action",
            "NotAction",
            "Resource",
            "NotResource",
            "Condition",
        ],
    )?;
    match members.get("Sid") {
        None => {}
        Some(Value::String(sid))
            if kind == PolicyKind::Resource || sid.chars().all(|c| c.is_ascii_alphanumeric()) => {}
        Some(Value::String(_)) => {
            return refuse(
                "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*",
            );
        }
        Some(_) => return refuse("Syntax errors in policy."),
    }
    match members.get("Effect").and_then(Value::as_str) {
        Some("Allow" | "Deny") => {}
        Some(other) => return refuse(format!("Invalid effect: {other}")),
        None => return refuse("Missing required field Effect"),
    }
    principals(members, kind)?;
    actions(members, kind)?;
    resources(members, kind)?;
    match members.get("Condition") {
        None => Ok(()),
        Some(Value::Object(blocks)) => conditions(blocks),
        Some(_) => refuse("Syntax errors in policy."),
    }
}

fn principals(members: &Map<String, Value>, kind: PolicyKind) -> Result<(), MalformedPolicyError> {
    let given = one_of(members, "Principal", "NotPrincipal")?;
    let element = match (kind, given) {
        (PolicyKind::Identity, Some(_)) => {
            return refuse("Policy document should not specify a principal.");
        }
        (PolicyKind::Identity, None) => return Ok(()),
        (PolicyKind::Trust | PolicyKind::Resource, None) => {
            return refuse("Missing required field Principal");
        }
        (PolicyKind::Trust | PolicyKind::Resource, Some((_, element))) => element,
    };
    let kinds = match element {
        Value::String(star) if star == "*" => return Ok(()),
        Value::Object(kinds) if !kinds.is_empty() => kinds,
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => {
            return refuse("Invalid principal in policy");
        }
    };
    for (name, value) in kinds {
        for principal in strings(value, "Invalid principal in policy")? {
            let valid = match name.as_str() {
                "AWS" => is_aws_principal(principal),
                "Service" => is_service_name(principal),
                "Federated" => principal.starts_with("arn:") || principal.contains('.'),
                "CanonicalUser" => kind == PolicyKind::Resource,
                _ => false,
            };
            if !valid {
                return refuse(format!(
                    "Invalid principal in policy: \"{name}\":\"{principal}\""
                ));
            }
        }
    }
    Ok(())
}

fn is_aws_principal(text: &str) -> bool {
    let is_account = |part: &str| part.len() == 12 && part.bytes().all(|b| b.is_ascii_digit());
    if text == "*" || is_account(text) {
        return true;
    }
    // Ids that stand for a deleted principal or for one role or user.
    if text.starts_with("AROA") || text.starts_with("AIDA") {
        return true;
    }
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    match parts.as_slice() {
        [
            "arn",
            partition,
            service @ ("iam" | "sts"),
            "",
            account,
            name,
        ] => {
            partition.starts_with("aws")
                && is_account(account)
                && match *service {
                    "iam" => {
                        *name == "root" || name.starts_with("role/") || name.starts_with("user/")
                    }
                    _ => name.starts_with("assumed-role/") || name.starts_with("federated-user/"),
                }
                && !name.contains('*')
        }
        _ => false,
    }
}

fn is_service_name(text: &str) -> bool {
    (text.ends_with(".amazonaws.com")
        || text.ends_with(".amazonaws.com.cn")
        || text.ends_with(".aws.internal"))
        && !text.contains('*')
        && text.split('.').all(|part| !part.is_empty())
}

fn actions(members: &Map<String, Value>, kind: PolicyKind) -> Result<(), MalformedPolicyError> {
    let Some((_, element)) = one_of(members, "Action", "NotAction")? else {
        return refuse("Missing required field Action");
    };
    for action in strings(element, "Syntax errors in policy.")? {
        if action == "*" {
            if kind == PolicyKind::Trust {
                return refuse("AssumeRole policy may only specify STS AssumeRole actions.");
            }
            continue;
        }
        let Some((vendor, name)) = action.split_once(':') else {
            return refuse(
                "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
            );
        };
        if vendor.is_empty()
            || !vendor
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        {
            return refuse(format!("Vendor {vendor} is not valid"));
        }
        if name.is_empty()
            || !name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'*' | b'?' | b'-' | b'_' | b':'))
        {
            return refuse(format!("Action {action} is not valid"));
        }
        if kind == PolicyKind::Trust && !vendor.eq_ignore_ascii_case("sts") {
            return refuse("AssumeRole policy may only specify STS AssumeRole actions.");
        }
    }
    Ok(())
}

fn resources(members: &Map<String, Value>, kind: PolicyKind) -> Result<(), MalformedPolicyError> {
    let given = one_of(members, "Resource", "NotResource")?;
    let element = match (kind, given) {
        (PolicyKind::Trust, None) => return Ok(()),
        (PolicyKind::Trust, Some((name, _))) => {
            return refuse(format!("Has prohibited field {name}"));
        }
        (PolicyKind::Identity | PolicyKind::Resource, None) => {
            return refuse("Policy statement must contain resources.");
        }
        (PolicyKind::Identity | PolicyKind::Resource, Some((_, element))) => element,
    };
    for resource in strings(element, "Syntax errors in policy.")? {
        if resource == "*" {
            continue;
        }
        let parts: Vec<&str> = resource.splitn(6, ':').collect();
        let &["arn", partition, vendor, _, account, path] = parts.as_slice() else {
            return refuse(format!(
                "Resource {resource} must be in ARN format or \"*\"."
            ));
        };
        // A partial ARN with a variable or wildcard for its partition is legal.
        if partition.is_empty() || path.is_empty() {
            return refuse(format!(
                "Resource {resource} must be in ARN format or \"*\"."
            ));
        }
        if vendor.is_empty() || vendor.contains(['*', '?']) && vendor != "*" {
            return refuse(format!(
                "Resource vendor must be fully qualified and cannot contain regexes: {resource}"
            ));
        }
        if !account.is_empty()
            && !account
                .bytes()
                .all(|b| b.is_ascii_digit() || b"*?$".contains(&b) || b == b'{')
            && !account.contains("${")
            && account != "aws"
        {
            return refuse(format!("Account identifier is not valid: {resource}"));
        }
    }
    Ok(())
}

const OPERATORS: [&str; 27] = [
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "DateEquals",
    "DateNotEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "NotIpAddress",
    "ArnEquals",
    "ArnLike",
    "ArnNotEquals",
    "ArnNotLike",
    "Null",
];

fn conditions(blocks: &Map<String, Value>) -> Result<(), MalformedPolicyError> {
    for (operator, keys) in blocks {
        let bare = operator
            .strip_prefix("ForAllValues:")
            .or_else(|| operator.strip_prefix("ForAnyValue:"))
            .unwrap_or(operator);
        let base = bare.strip_suffix("IfExists").unwrap_or(bare);
        let known = OPERATORS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(base));
        if !known || base == "Null" && bare != base {
            return refuse(format!("Invalid Condition type : {operator}."));
        }
        let Some(keys) = keys.as_object() else {
            return refuse("Syntax errors in policy.");
        };
        for (key, values) in keys {
            if !key
                .split_once(':')
                .is_some_and(|(vendor, name)| !vendor.is_empty() && !name.is_empty())
            {
                return refuse(
                    "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
                );
            }
            let scalar =
                |value: &Value| value.is_string() || value.is_boolean() || value.is_number();
            let legal = match values.as_array() {
                Some(list) => list.iter().all(scalar),
                None => scalar(values),
            };
            if !legal {
                return refuse("Syntax errors in policy.");
            }
        }
    }
    Ok(())
}

/// An element and its negation exclude each other.
fn one_of<'a>(
    members: &'a Map<String, Value>,
    plain: &'static str,
    negated: &'static str,
) -> Result<Option<(&'static str, &'a Value)>, MalformedPolicyError> {
    match (members.get(plain), members.get(negated)) {
        (Some(_), Some(_)) => refuse(format!(
            "Statement must not contain both {plain} and {negated}."
        )),
        (Some(value), None) => Ok(Some((plain, value))),
        (None, Some(value)) => Ok(Some((negated, value))),
        (None, None) => Ok(None),
    }
}

/// A string or a list of strings that is not empty.
fn strings<'a>(value: &'a Value, message: &str) -> Result<Vec<&'a str>, MalformedPolicyError> {
    let list = match value {
        Value::String(single) => vec![single.as_str()],
        Value::Array(list) => list
            .iter()
            .map(Value::as_str)
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| MalformedPolicyError(message.to_owned()))?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    };
    if list.is_empty() {
        refuse(message)
    } else {
        Ok(list)
    }
}

fn only_members(members: &Map<String, Value>, known: &[&str]) -> Result<(), MalformedPolicyError> {
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(_) => refuse("Syntax errors in policy."),
    }
}

fn refuse<T>(message: impl Into<String>) -> Result<T, MalformedPolicyError> {
    Err(MalformedPolicyError(message.into()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::{PolicyKind, counted_length, parse};

    fn check(kind: PolicyKind, text: &str, expected: Option<&str>) {
        let answer = parse(text, kind);
        match expected {
            None => assert!(answer.is_ok(), "{text}: {answer:?}"),
            Some(part) => {
                let message = answer.unwrap_err().to_string();
                assert!(message.contains(part), "{text}: `{message}` lacks `{part}`");
            }
        }
    }

    #[test]
    fn identity_policies() {
        let good = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["secretsmanager:Get*"],"NotResource":"arn:aws:secretsmanager:*:123456789012:secret:bank-*","Condition":{"ForAllValues:StringLikeIfExists":{"aws:TagKeys":["a","b"]},"Null":{"aws:x":true}}}}"#;
        for (text, expected) in [
            (good, None),
            ("[]", Some("Syntax errors")),
            ("{", Some("Syntax errors")),
            (
                r#"{"Version":"2012-10-18","Statement":[]}"#,
                Some("valid version string"),
            ),
            (r#"{"Statement":[]}"#, Some("Syntax errors")),
            (
                r#"{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}],"Extra":1}"#,
                Some("Syntax errors"),
            ),
            (
                r#"{"Statement":[{"Effect":"allow","Action":"s3:*","Resource":"*"}]}"#,
                Some("Invalid effect: allow"),
            ),
            (
                r#"{"Statement":[{"Effect":"Allow","Action":"GetObject","Resource":"*"}]}"#,
                Some("prefaced by a vendor"),
            ),
            (
                r#"{"Statement":[{"Effect":"Allow","Action":[],"Resource":"*"}]}"#,
                Some("Syntax errors"),
            ),
            (
                r#"{"Statement":[{"Effect":"Allow","Action":"s3:*"}]}"#,
                Some("must contain resources"),
            ),
            (
                r#"{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"bucket"}]}"#,
                Some("must be in ARN format"),
            ),
            (
                r#"{"Statement":[{"Effect":"Allow","Action":"s3:*","NotAction":"s3:x","Resource":"*"}]}"#,
                Some("both Action and NotAction"),
            ),
            (
                r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}]}"#,
                Some("should not specify a principal"),
            ),
            (
                r#"{"Statement":[{"Sid":"a b","Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#,
                Some("alpha-numeric"),
            ),
            (
                r#"{"Statement":[{"Sid":"a","Effect":"Allow","Action":"s3:*","Resource":"*"},{"Sid":"a","Effect":"Deny","Action":"s3:*","Resource":"*"}]}"#,
                Some("must be unique"),
            ),
            (
                r#"{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringSame":{"aws:x":"y"}}}]}"#,
                Some("Invalid Condition type"),
            ),
            (
                r#"{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringLike":{"x":"y"}}}]}"#,
                Some("prefaced by a vendor"),
            ),
            (
                r#"{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"NullIfExists":{"aws:x":true}}}]}"#,
                Some("Invalid Condition type"),
            ),
        ] {
            check(PolicyKind::Identity, text, expected);
        }
    }

    #[test]
    fn trust_policies() {
        for (text, expected) in [
            (
                r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#,
                None,
            ),
            (
                r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":["123456789012","arn:aws:iam::123456789012:root"]},"Action":"sts:AssumeRole"}]}"#,
                None,
            ),
            (
                r#"{"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole"}]}"#,
                Some("Missing required field Principal"),
            ),
            (
                r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":"role"},"Action":"sts:AssumeRole"}]}"#,
                Some("Invalid principal"),
            ),
            (
                r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:role/*"},"Action":"sts:AssumeRole"}]}"#,
                Some("Invalid principal"),
            ),
            (
                r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":"lambda"},"Action":"sts:AssumeRole"}]}"#,
                Some("Invalid principal"),
            ),
            (
                r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"s3:GetObject"}]}"#,
                Some("STS AssumeRole actions"),
            ),
            (
                r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole","Resource":"*"}]}"#,
                Some("prohibited field Resource"),
            ),
        ] {
            check(PolicyKind::Trust, text, expected);
        }
    }

    #[test]
    fn white_space_does_not_count() {
        assert_eq!(counted_length("{ \"a\" :\n 1 }"), 7);
    }
}
