//! What a resource policy grants, read from its text, as far as populations need it.
//!
//! This is a conservative reading for facts such as "grants nothing outside the account": conditions are
//! not credited except where a function here says so. Universal statements are proved by `checker-iam`.

use serde_json::Value;

/// The statements of a policy text; an error when the text is no policy.
pub fn statements(text: &str) -> Result<Vec<Value>, String> {
    let document: Value = serde_json::from_str(text)
        .map_err(|error| format!("the policy is no JSON at line {}", error.line()))?;
    match document.get("Statement") {
        Some(Value::Array(statements)) => Ok(statements.clone()),
        Some(statement @ Value::Object(_)) => Ok(vec![statement.clone()]),
        Some(_) | None => Err("the policy has no statements".to_owned()),
    }
}

/// Principals outside `account` that the policy allows anything: `*`, ARNs and account ids.
/// A statement with `NotPrincipal` allows everyone it does not name.
pub fn outside(text: &str, account: &str) -> Result<Vec<String>, String> {
    if account.is_empty() {
        return Err(
            "nobody said which account this is, so nobody can be called outside".to_owned(),
        );
    }
    let mut found = Vec::new();
    for statement in statements(text)? {
        if !is(&statement, "Effect", "Allow") {
            continue;
        }
        if statement.get("NotPrincipal").is_some() {
            found.push("everyone but those named in NotPrincipal".to_owned());
        }
        match statement.get("Principal") {
            Some(Value::String(everyone)) => found.push(everyone.clone()),
            Some(Value::Object(kinds)) => {
                for (kind, who) in kinds {
                    let foreign = texts(who).into_iter().filter(|who| {
                        kind != "Service" && (kind != "AWS" || !belongs(who, account))
                    });
                    found.extend(foreign);
                }
            }
            Some(_) | None => {}
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Statements that allow everyone something, without demanding a caller of `account` or of one organisation.
pub fn open(text: &str, account: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    for (place, statement) in statements(text)?.iter().enumerate() {
        let everyone = match statement.get("Principal") {
            Some(Value::String(who)) => who == "*",
            Some(Value::Object(kinds)) => kinds
                .values()
                .any(|who| texts(who).iter().any(|who| who == "*")),
            Some(_) | None => statement.get("NotPrincipal").is_some(),
        };
        if is(statement, "Effect", "Allow") && everyone && !demands_own_caller(statement, account) {
            found.push(super::grant::label(statement, place + 1));
        }
    }
    Ok(found)
}

/// Whether a condition demands that the caller is of this account, or of one named organisation.
fn demands_own_caller(statement: &Value, account: &str) -> bool {
    let own = [
        "kms:CallerAccount",
        "aws:PrincipalAccount",
        "aws:SourceAccount",
    ]
    .iter()
    .map(|key| super::grant::condition(statement, "StringEquals", key))
    .any(|values| !values.is_empty() && values.iter().all(|value| value == account));
    let organisation = super::grant::condition(statement, "StringEquals", "aws:PrincipalOrgID");
    own || (!organisation.is_empty() && organisation.iter().all(|id| id.starts_with("o-")))
}

/// Whether `service` may call `action` by an Allow statement, and whether every such statement is
/// confined to `account` by `aws:SourceAccount`. A Deny leaves it open, since its reach is not decided here.
pub fn service_grant(
    text: &str,
    service: &str,
    action: &str,
    account: &str,
) -> Result<ServiceGrant, String> {
    let mut grant = ServiceGrant {
        granted: false,
        confined: true,
    };
    for statement in statements(text)? {
        if !names_service(&statement, service) || !names_action(&statement, action) {
            continue;
        }
        if !is(&statement, "Effect", "Allow") {
            return Err("a Deny statement speaks of the same service and action".to_owned());
        }
        grant.granted = true;
        grant.confined &= confined_to(&statement, account);
    }
    grant.confined &= grant.granted;
    Ok(grant)
}

/// What a service was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceGrant {
    /// At least one statement allows it.
    pub granted: bool,
    /// Every statement that allows it demands the source account.
    pub confined: bool,
}

fn names_service(statement: &Value, service: &str) -> bool {
    match statement.get("Principal") {
        Some(Value::String(everyone)) => everyone == "*",
        Some(Value::Object(kinds)) => {
            let list = |kind: &str| kinds.get(kind).map(texts).unwrap_or_default();
            list("Service").iter().any(|who| who == service)
                || list("AWS").iter().any(|who| who == "*")
        }
        Some(_) | None => statement.get("NotPrincipal").is_some(),
    }
}

fn names_action(statement: &Value, action: &str) -> bool {
    let service = action.split(':').next().unwrap_or(action);
    match statement.get("Action") {
        Some(actions) => texts(actions).iter().any(|candidate| {
            candidate == "*"
                || candidate.eq_ignore_ascii_case(action)
                || candidate.eq_ignore_ascii_case(&format!("{service}:*"))
                || (candidate.contains(['*', '?'])
                    && candidate
                        .to_ascii_lowercase()
                        .starts_with(&format!("{service}:").to_ascii_lowercase()))
        }),
        None => statement.get("NotAction").is_some(),
    }
}

/// Whether `StringEquals` (or `StringLike`) demands exactly this account as source.
fn confined_to(statement: &Value, account: &str) -> bool {
    let Some(Value::Object(operators)) = statement.get("Condition") else {
        return false;
    };
    operators.iter().any(|(operator, keys)| {
        matches!(operator.as_str(), "StringEquals" | "StringLike")
            && keys.as_object().is_some_and(|keys| {
                keys.iter().any(|(key, values)| {
                    key.eq_ignore_ascii_case("aws:SourceAccount")
                        && !texts(values).is_empty()
                        && texts(values).iter().all(|value| value == account)
                })
            })
    })
}

fn belongs(principal: &str, account: &str) -> bool {
    principal == account
        || principal
            .strip_prefix("arn:")
            .is_some_and(|rest| rest.split(':').nth(3) == Some(account))
}

pub(super) fn is(statement: &Value, member: &str, text: &str) -> bool {
    statement.get(member).and_then(Value::as_str) == Some(text)
}

pub(super) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    const OWN: &str = "647751526084";

    fn policy(statement: &Value) -> String {
        json!({"Version": "2012-10-17", "Statement": statement}).to_string()
    }

    #[test]
    fn outsiders_are_named() {
        let check = |principal: Value, expected: &[&str]| {
            let text = policy(
                &json!({"Effect": "Allow", "Principal": principal, "Action": "*", "Resource": "*"}),
            );
            assert_eq!(outside(&text, OWN).unwrap(), expected, "{text}");
        };
        check(json!("*"), &["*"]);
        check(json!({"AWS": "*"}), &["*"]);
        check(json!({"AWS": OWN}), &[]);
        check(json!({"AWS": format!("arn:aws:iam::{OWN}:role/x")}), &[]);
        check(
            json!({"AWS": ["arn:aws:iam::111122223333:root", OWN]}),
            &["arn:aws:iam::111122223333:root"],
        );
        check(json!({"Service": "lambda.amazonaws.com"}), &[]);
        check(
            json!({"Federated": "accounts.example"}),
            &["accounts.example"],
        );
    }

    #[test]
    fn a_grant_to_a_service_counts_only_with_its_action_and_account() {
        let grant = |statement: Value| {
            service_grant(
                &policy(&statement),
                "secretsmanager.amazonaws.com",
                "lambda:InvokeFunction",
                OWN,
            )
            .unwrap()
        };
        let statement = |condition: Value| {
            json!({"Effect": "Allow", "Principal": {"Service": "secretsmanager.amazonaws.com"},
                   "Action": "lambda:InvokeFunction", "Resource": "*", "Condition": condition})
        };
        let confined = grant(statement(
            json!({"StringEquals": {"AWS:SourceAccount": OWN}}),
        ));
        assert_eq!(
            confined,
            ServiceGrant {
                granted: true,
                confined: true
            }
        );
        let foreign = grant(statement(
            json!({"StringEquals": {"AWS:SourceAccount": "111122223333"}}),
        ));
        assert_eq!(
            foreign,
            ServiceGrant {
                granted: true,
                confined: false
            }
        );
        let open = grant(statement(json!({})));
        assert_eq!(
            open,
            ServiceGrant {
                granted: true,
                confined: false
            }
        );
        let one_of_two = grant(json!([
            statement(json!({"StringEquals": {"aws:SourceAccount": OWN}})),
            statement(json!({}))
        ]));
        assert_eq!(
            one_of_two,
            ServiceGrant {
                granted: true,
                confined: false
            }
        );
        let other = grant(
            json!({"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"},
            "Action": "lambda:InvokeFunction", "Resource": "*"}),
        );
        assert_eq!(
            other,
            ServiceGrant {
                granted: false,
                confined: false
            }
        );
    }

    #[test]
    fn a_grant_to_everyone_is_open_unless_it_demands_callers_of_our_own() {
        let check = |principal: Value, condition: Value, expected: &[&str]| {
            let text = policy(
                &json!({"Sid": "s", "Effect": "Allow", "Principal": principal, "Action": "kms:*",
                                      "Resource": "*", "Condition": condition}),
            );
            assert_eq!(open(&text, OWN).unwrap(), expected, "{text}");
        };
        check(json!("*"), json!({}), &["s"]);
        check(json!({"AWS": ["*"]}), json!({}), &["s"]);
        check(
            json!({"AWS": "*"}),
            json!({"StringEquals": {"kms:CallerAccount": OWN}}),
            &[],
        );
        check(
            json!({"AWS": "*"}),
            json!({"StringEquals": {"kms:CallerAccount": [OWN, "1"]}}),
            &["s"],
        );
        check(
            json!({"AWS": "*"}),
            json!({"StringLike": {"kms:ViaService": "s3.*"}}),
            &["s"],
        );
        check(
            json!({"AWS": "*"}),
            json!({"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
            &[],
        );
        check(json!({"AWS": OWN}), json!({}), &[]);
    }

    #[test]
    fn a_policy_that_is_none_is_an_error() {
        assert!(outside("{", OWN).is_err());
        let nobody =
            policy(&json!({"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}));
        assert!(outside(&nobody, "").is_err());
        assert!(outside("{}", OWN).is_err());
    }
}
