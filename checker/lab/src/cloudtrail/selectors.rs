//! Event selectors: which management events a trail captures.
//!
//! Selectors on data, network and Insights events are stored; nothing of that kind is recorded.

use serde_json::{Value, json};

use super::State;
use super::trails::{find, find_mut};
use crate::service::{Answer, ApiError, Call};

/// A trail's selectors, as they were put.
#[derive(Debug, Clone)]
pub(super) enum Selectors {
    Basic { list: Vec<Value>, custom: bool },
    Advanced(Vec<Value>),
}

impl Default for Selectors {
    fn default() -> Self {
        let all = json!({
            "ReadWriteType": "All",
            "IncludeManagementEvents": true,
            "DataResources": [],
            "ExcludeManagementEventSources": [],
        });
        Self::Basic {
            list: vec![all],
            custom: false,
        }
    }
}

impl Selectors {
    pub(super) fn are_custom(&self) -> bool {
        match self {
            Self::Basic { custom, .. } => *custom,
            Self::Advanced(_) => true,
        }
    }

    /// Whether a management event is captured.
    pub(super) fn capture(&self, source: &str, read_only: bool) -> bool {
        match self {
            Self::Basic { list, .. } => list.iter().any(|selector| {
                let kind = selector
                    .get("ReadWriteType")
                    .and_then(Value::as_str)
                    .unwrap_or("All");
                let management = selector
                    .get("IncludeManagementEvents")
                    .and_then(Value::as_bool)
                    .unwrap_or(true);
                let excluded = selector
                    .get("ExcludeManagementEventSources")
                    .and_then(Value::as_array);
                management
                    && match kind {
                        "ReadOnly" => read_only,
                        "WriteOnly" => !read_only,
                        _ => true,
                    }
                    && !excluded
                        .into_iter()
                        .flatten()
                        .any(|name| name.as_str() == Some(source))
            }),
            Self::Advanced(list) => list.iter().any(|selector| {
                let fields = selector.get("FieldSelectors").and_then(Value::as_array);
                fields.into_iter().flatten().all(|field| {
                    match field.get("Field").and_then(Value::as_str) {
                        Some("eventCategory") => holds(field, "Management"),
                        Some("readOnly") => holds(field, if read_only { "true" } else { "false" }),
                        Some("eventSource") => holds(field, source),
                        // Fields that management events don't have.
                        Some(_) | None => false,
                    }
                })
            }),
        }
    }
}

pub(super) fn put(state: &mut State, call: &Call<'_>) -> Answer {
    let (basic, advanced) = (
        call.list("EventSelectors"),
        call.list("AdvancedEventSelectors"),
    );
    let trail = find_mut(state, call, "TrailName")?;
    trail.selectors = match (basic, advanced) {
        ([_, ..], []) if basic.len() <= 5 => {
            for selector in basic {
                check_excluded(selector)?;
            }
            Selectors::Basic {
                list: basic.iter().map(filled).collect(),
                custom: true,
            }
        }
        ([], [_, ..]) => {
            for selector in advanced {
                check_advanced(selector)?;
            }
            Selectors::Advanced(advanced.to_vec())
        }
        _ => {
            return Err(invalid(
                "Exactly one of EventSelectors (at most 5) and AdvancedEventSelectors must be given.",
            ));
        }
    };
    let arn = trail.arn.clone();
    Ok(view(&arn, &trail.selectors))
}

pub(super) fn get(state: &State, call: &Call<'_>) -> Answer {
    let trail = find(state, call, "TrailName")?;
    Ok(view(&trail.arn, &trail.selectors))
}

fn view(arn: &str, selectors: &Selectors) -> Value {
    match selectors {
        Selectors::Basic { list, .. } => json!({"TrailARN": arn, "EventSelectors": list}),
        Selectors::Advanced(list) => json!({"TrailARN": arn, "AdvancedEventSelectors": list}),
    }
}

/// A basic selector with AWS's defaults filled in.
fn filled(selector: &Value) -> Value {
    let mut selector = selector.clone();
    if let Some(members) = selector.as_object_mut() {
        members
            .entry("ReadWriteType")
            .or_insert_with(|| "All".into());
        members
            .entry("IncludeManagementEvents")
            .or_insert(Value::Bool(true));
        members.entry("DataResources").or_insert_with(|| json!([]));
        members
            .entry("ExcludeManagementEventSources")
            .or_insert_with(|| json!([]));
    }
    selector
}

/// Only the sources with very many events can be left out.
fn check_excluded(selector: &Value) -> Result<(), ApiError> {
    let excluded = selector
        .get("ExcludeManagementEventSources")
        .and_then(Value::as_array);
    for name in excluded.into_iter().flatten().filter_map(Value::as_str) {
        if !matches!(name, "kms.amazonaws.com" | "rdsdata.amazonaws.com") {
            return Err(invalid(format!("The source {name} can't be excluded.")));
        }
    }
    Ok(())
}

/// Every advanced selector names one category.
fn check_advanced(selector: &Value) -> Result<(), ApiError> {
    let fields = selector.get("FieldSelectors").and_then(Value::as_array);
    let category = fields
        .into_iter()
        .flatten()
        .find(|field| field.get("Field").and_then(Value::as_str) == Some("eventCategory"))
        .and_then(|field| field.get("Equals")?.as_array()?.first()?.as_str());
    match category {
        Some("Management" | "Data" | "NetworkActivity") => Ok(()),
        Some(_) | None => Err(invalid(
            "A field selector with the field eventCategory and a valid value is required.",
        )),
    }
}

/// The conditions of one field; several are joined by "and".
fn holds(field: &Value, actual: &str) -> bool {
    let any = |operator: &str, test: &dyn Fn(&str) -> bool| -> Option<bool> {
        let values = field.get(operator)?.as_array()?;
        Some(values.iter().filter_map(Value::as_str).any(test))
    };
    let all = [
        any("Equals", &|value| actual == value),
        any("StartsWith", &|value| actual.starts_with(value)),
        any("EndsWith", &|value| actual.ends_with(value)),
        any("NotEquals", &|value| actual == value).map(|found| !found),
        any("NotStartsWith", &|value| actual.starts_with(value)).map(|found| !found),
        any("NotEndsWith", &|value| actual.ends_with(value)).map(|found| !found),
    ];
    all.into_iter().flatten().all(|holds| holds)
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidEventSelectorsException", message)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Selectors;

    fn check(selectors: &Selectors, source: &str, read_only: bool, expected: bool) {
        assert_eq!(
            selectors.capture(source, read_only),
            expected,
            "{selectors:?} on {source} {read_only}"
        );
    }

    #[test]
    fn basic() {
        check(&Selectors::default(), "kms.amazonaws.com", true, true);
        let one = |selector: Value| Selectors::Basic {
            list: vec![selector],
            custom: true,
        };
        check(
            &one(json!({"ReadWriteType": "WriteOnly"})),
            "sts.amazonaws.com",
            true,
            false,
        );
        check(
            &one(json!({"ReadWriteType": "WriteOnly"})),
            "sts.amazonaws.com",
            false,
            true,
        );
        check(
            &one(json!({"IncludeManagementEvents": false})),
            "sts.amazonaws.com",
            false,
            false,
        );
        check(
            &one(json!({"ExcludeManagementEventSources": ["kms.amazonaws.com"]})),
            "kms.amazonaws.com",
            true,
            false,
        );
    }

    #[test]
    fn advanced() {
        let one = |fields: Value| Selectors::Advanced(vec![json!({"FieldSelectors": fields})]);
        let management = json!({"Field": "eventCategory", "Equals": ["Management"]});
        check(&one(json!([management])), "sts.amazonaws.com", true, true);
        check(
            &one(json!([management, {"Field": "readOnly", "Equals": ["false"]}])),
            "sts.amazonaws.com",
            true,
            false,
        );
        check(
            &one(json!([management, {"Field": "eventSource", "NotEquals": ["kms.amazonaws.com"]}])),
            "kms.amazonaws.com",
            false,
            false,
        );
        check(
            &one(json!([{"Field": "eventCategory", "Equals": ["Data"]}])),
            "sts.amazonaws.com",
            false,
            false,
        );
    }
}
