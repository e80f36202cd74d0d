//! Filter policies: the grammar of event patterns, over a message's attributes or its body.
//!
//! With the scope `MessageAttributes` a policy has no nesting, and a key matches only a message that *has* the
//! attribute, unless `exists: false` is asked for: that is what makes `anything-but` drop messages without it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::events::pattern::{Pattern, PatternError};

/// AWS's quota of keys in one policy.
const KEYS: usize = 5;

/// A filter policy that SNS would accept.
#[derive(Debug)]
pub(super) struct Filter {
    pattern: Pattern,
    on_body: bool,
}

/// Why a filter policy is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum FilterError {
    /// Not a policy by its grammar.
    #[error("{0}")]
    Grammar(#[from] PatternError),
    /// Nesting is for bodies only.
    #[error("Filter policy scope MessageAttributes does not support nested filter policy")]
    Nested,
    /// Too many keys.
    #[error("Filter policy can not have more than {KEYS} keys")]
    TooManyKeys,
}

impl Filter {
    /// Reads a policy as Subscribe does.
    pub(super) fn parse(text: &str, scope: Option<&str>) -> Result<Self, FilterError> {
        let on_body = scope == Some("MessageBody");
        let pattern = Pattern::parse(text)?;
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let members = value.as_object();
        if members.is_some_and(|members| members.len() > KEYS) {
            return Err(FilterError::TooManyKeys);
        }
        if !on_body
            && members
                .into_iter()
                .flatten()
                .any(|(_, each)| each.is_object())
        {
            return Err(FilterError::Nested);
        }
        Ok(Self { pattern, on_body })
    }

    /// Whether a message passes.
    pub(super) fn passes(&self, body: &str, attributes: &BTreeMap<String, Value>) -> bool {
        if self.on_body {
            // A body that is not JSON passes no filter on bodies.
            return serde_json::from_str(body).is_ok_and(|body| self.pattern.matches(&body));
        }
        let visible: Map<String, Value> = attributes
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), comparable(value)?)))
            .collect();
        self.pattern.matches(&visible.into())
    }
}

/// An attribute's value as the policy sees it; binary attributes are not seen.
fn comparable(attribute: &Value) -> Option<Value> {
    let text = attribute.get("StringValue").and_then(Value::as_str)?;
    match attribute.get("DataType").and_then(Value::as_str)? {
        "String.Array" => serde_json::from_str(text).ok().filter(Value::is_array),
        kind if kind == "Number" || kind.starts_with("Number.") => serde_json::from_str(text).ok(),
        kind if kind == "String" || kind.starts_with("String.") => Some(text.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::Filter;

    fn check(policy: &str, attributes: &Value, expected: bool) {
        let attributes: BTreeMap<String, Value> = attributes
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| {
                let kind = if value.is_number() {
                    "Number"
                } else if value.is_array() {
                    "String.Array"
                } else {
                    "String"
                };
                let text = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                (name.clone(), json!({"DataType": kind, "StringValue": text}))
            })
            .collect();
        let passes = Filter::parse(policy, None)
            .unwrap()
            .passes("text", &attributes);
        assert_eq!(passes, expected, "{policy} on {attributes:?}");
    }

    #[test]
    fn a_missing_attribute_passes_only_where_the_policy_says_so() {
        let naive = r#"{"synthetic":[{"anything-but":["true"]}]}"#;
        let right = r#"{"synthetic":[{"exists":false},{"anything-but":["true"]}]}"#;
        check(naive, &json!({}), false);
        check(naive, &json!({"synthetic": "false"}), true);
        check(right, &json!({}), true);
        check(right, &json!({"synthetic": "false"}), true);
        check(right, &json!({"synthetic": "true"}), false);
    }

    #[test]
    fn types_of_attributes() {
        check(
            r#"{"n":[{"numeric":[">",1,"<=",5]}]}"#,
            &json!({"n": 5}),
            true,
        );
        check(
            r#"{"n":[{"numeric":[">",1,"<=",5]}]}"#,
            &json!({"n": "5"}),
            false,
        );
        check(r#"{"a":["x"]}"#, &json!({"a": ["y", "x"]}), true);
        check(
            r#"{"a":[{"prefix":"ab"}],"b":["c"]}"#,
            &json!({"a": "abc"}),
            false,
        );
    }

    #[test]
    fn refusals() {
        for (policy, scope, part) in [
            (r#"{"a":{"b":["c"]}}"#, None, "does not support nested"),
            (
                r#"{"a":["1"],"b":["1"],"c":["1"],"d":["1"],"e":["1"],"f":["1"]}"#,
                None,
                "more than 5 keys",
            ),
            (r#"{"a":"b"}"#, None, "must be an object or an array"),
            (
                r#"{"a":[{"starts":"b"}]}"#,
                Some("MessageBody"),
                "Unrecognized match type",
            ),
        ] {
            let text = Filter::parse(policy, scope).unwrap_err().to_string();
            assert!(text.contains(part), "{policy}: {text}");
        }
    }

    #[test]
    fn on_the_body() {
        let filter = Filter::parse(r#"{"a":{"b":["c"]}}"#, Some("MessageBody")).unwrap();
        assert!(filter.passes(r#"{"a":{"b":"c"}}"#, &BTreeMap::new()));
        assert!(!filter.passes("no JSON", &BTreeMap::new()));
    }
}
