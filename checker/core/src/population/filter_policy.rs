//! Filter policies of SNS subscriptions: whether a message passes.
//!
//! The grammar of the developer guide's page "Subscription filter policies": exact texts and numbers, `prefix`,
//! `suffix`, `equals-ignore-case`, `anything-but`, `exists`, `numeric` and `$or`. A key that the message lacks drops
//! it, unless `exists: false` is among its conditions. Anything else (`cidr`, `wildcard`, ...) is an error, never a
//! guess.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Whether a message with these attributes, all texts, passes.
pub fn passes_attributes(
    policy: &str,
    attributes: &BTreeMap<String, String>,
) -> Result<bool, String> {
    let message = attributes
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect::<Map<String, Value>>();
    passes(&parsed(policy)?, Some(&Value::Object(message)))
}

/// Whether a message with this body passes.
pub fn passes_body(policy: &str, body: &Value) -> Result<bool, String> {
    passes(&parsed(policy)?, Some(body))
}

fn parsed(policy: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(policy).map_err(|error| {
        format!(
            "the filter policy is no JSON object (column {})",
            error.column()
        )
    })
}

/// All keys must hold; below a key stand either its conditions or the keys of an object.
fn passes(policy: &Map<String, Value>, message: Option<&Value>) -> Result<bool, String> {
    let mut all = true;
    for (key, below) in policy {
        let found = message.and_then(|message| message.get(key));
        // Every key is looked at, so that one that can't be judged is never hidden behind one that fails.
        all &= match (key.as_str(), below) {
            ("$or", Value::Array(alternatives)) => one_of(alternatives, message)?,
            (_, Value::Array(conditions)) => matches_any(conditions, found)?,
            (_, Value::Object(nested)) => passes(nested, found)?,
            (_, Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                return Err(format!("the filter has no list of conditions for `{key}`"));
            }
        };
    }
    Ok(all)
}

fn one_of(alternatives: &[Value], message: Option<&Value>) -> Result<bool, String> {
    let mut any = false;
    for alternative in alternatives {
        let Value::Object(policy) = alternative else {
            return Err("an alternative of `$or` is no object".to_owned());
        };
        any |= passes(policy, message)?;
    }
    Ok(any)
}

/// Whether one of the conditions holds for the value, or for an element of it where it is a list.
fn matches_any(conditions: &[Value], found: Option<&Value>) -> Result<bool, String> {
    let mut any = false;
    for condition in conditions {
        any |= match found {
            Some(Value::Array(items)) => {
                let mut holds = false;
                for item in items {
                    holds |= matches(condition, Some(item))?;
                }
                holds
            }
            other => matches(condition, other)?,
        };
    }
    Ok(any)
}

fn matches(condition: &Value, found: Option<&Value>) -> Result<bool, String> {
    let Value::Object(operator) = condition else {
        return Ok(found == Some(condition));
    };
    let mut entries = operator.iter();
    let (Some((name, argument)), None) = (entries.next(), entries.next()) else {
        return Err("a condition of the filter must have exactly one operator".to_owned());
    };
    let text = found.and_then(Value::as_str);
    let wrong = || format!("the filter's operator `{name}` has an argument that is not known here");
    match (name.as_str(), argument) {
        ("exists", Value::Bool(wanted)) => Ok(found.is_some() == *wanted),
        ("prefix", Value::String(prefix)) => {
            Ok(text.is_some_and(|text| text.starts_with(prefix.as_str())))
        }
        ("suffix", Value::String(suffix)) => {
            Ok(text.is_some_and(|text| text.ends_with(suffix.as_str())))
        }
        ("equals-ignore-case", Value::String(other)) => {
            Ok(text.is_some_and(|text| text.to_lowercase() == other.to_lowercase()))
        }
        ("anything-but", Value::Array(excluded)) => {
            let is_excluded = |found: &Value| excluded.contains(found);
            Ok(found.is_some_and(|found| !is_excluded(found)))
        }
        ("anything-but", Value::String(_) | Value::Number(_)) => {
            Ok(found.is_some_and(|found| found != argument))
        }
        ("anything-but", Value::Object(inner)) => {
            let known = inner
                .keys()
                .all(|name| ["prefix", "suffix", "equals-ignore-case"].contains(&name.as_str()));
            if !known {
                return Err(wrong());
            }
            Ok(found.is_some() && !matches(argument, found)?)
        }
        ("numeric", Value::Array(parts)) => numeric(parts, found).ok_or_else(wrong),
        _ => Err(format!("the filter's operator `{name}` is not known here")),
    }
}

/// Comparisons in pairs, `[">=", 1, "<", 5]`, all of which must hold; `None` when it is none.
fn numeric(parts: &[Value], found: Option<&Value>) -> Option<bool> {
    let number = found.and_then(Value::as_f64);
    let mut all = true;
    for pair in parts.chunks(2) {
        let [operator, bound] = pair else {
            return None;
        };
        let bound = bound.as_f64()?;
        let compare: fn(&f64, &f64) -> bool = match operator.as_str()? {
            "=" => |left, right| left.total_cmp(right).is_eq(),
            "<" => f64::lt,
            "<=" => f64::le,
            ">" => f64::gt,
            ">=" => f64::ge,
            _ => return None,
        };
        all &= number.is_some_and(|number| compare(&number, &bound));
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::{passes_attributes, passes_body};

    fn check(policy: &Value, attributes: &[(&str, &str)], expected: bool) {
        let attributes: BTreeMap<String, String> = attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let found = passes_attributes(&policy.to_string(), &attributes).unwrap();
        assert_eq!(found, expected, "{policy} on {attributes:?}");
    }

    #[test]
    fn a_message_without_the_attribute_passes_only_where_that_is_allowed() {
        let kept = json!({"synthetic": [{"exists": false}, {"anything-but": ["true"]}]});
        check(&kept, &[], true);
        check(&kept, &[("synthetic", "false")], true);
        check(&kept, &[("synthetic", "true")], false);
        check(
            &json!({"synthetic": [{"anything-but": ["true"]}]}),
            &[],
            false,
        );
        check(&json!({"synthetic": ["false"]}), &[], false);
        check(
            &json!({"synthetic": ["false"]}),
            &[("synthetic", "false")],
            true,
        );
    }

    #[test]
    fn operators() {
        let on = [("severity", "high"), ("count", "5")];
        check(&json!({"severity": ["low", "high"]}), &on, true);
        check(&json!({"severity": [{"prefix": "hi"}]}), &on, true);
        check(&json!({"severity": [{"suffix": "hi"}]}), &on, false);
        check(
            &json!({"severity": [{"equals-ignore-case": "HIGH"}]}),
            &on,
            true,
        );
        check(
            &json!({"severity": [{"anything-but": {"prefix": "hi"}}]}),
            &on,
            false,
        );
        check(
            &json!({"severity": [{"exists": true}], "none": [{"exists": false}]}),
            &on,
            true,
        );
        check(&json!({"count": [{"numeric": [">", 1]}]}), &on, false);
        check(
            &json!({"$or": [{"severity": ["low"]}, {"severity": ["high"]}]}),
            &on,
            true,
        );
        check(&json!({"severity": ["high"], "other": ["x"]}), &on, false);
    }

    #[test]
    fn bodies_have_numbers_lists_and_objects() {
        let body =
            json!({"record": {"event": "GetSecretValue"}, "reasons": ["a", "b"], "count": 5});
        for (policy, expected) in [
            (json!({"record": {"event": ["GetSecretValue"]}}), true),
            (json!({"record": {"event": ["PutSecretValue"]}}), false),
            (json!({"reasons": ["b"]}), true),
            (json!({"count": [{"numeric": [">=", 1, "<", 6]}]}), true),
            (json!({"count": [{"numeric": [">", 5]}]}), false),
            (json!({"missing": {"deep": [{"exists": false}]}}), true),
        ] {
            assert_eq!(
                passes_body(&policy.to_string(), &body).unwrap(),
                expected,
                "{policy}"
            );
        }
    }

    #[test]
    fn what_is_not_known_is_an_error_even_behind_a_key_that_fails() {
        for policy in [
            "{",
            "[]",
            r#"{"a": "x"}"#,
            r#"{"a": [{"cidr": "10.0.0.0/8"}]}"#,
            r#"{"a": ["x"], "b": [{"wildcard": "*"}]}"#,
            r#"{"a": [{"exists": true, "prefix": "x"}]}"#,
            r#"{"a": [{"numeric": ["~", 1]}]}"#,
        ] {
            assert!(
                passes_attributes(policy, &BTreeMap::new()).is_err(),
                "{policy}"
            );
        }
    }
}
