//! What a program declares of a resource, as far as rules may read it.
//!
//! In: the evaluated inputs of a resource. Out: its settings by dotted path, and the policies that stand in it. Settings
//! are kept of types whose settings can't hold a secret, and even there nothing that has the form of one.

use std::collections::BTreeMap;

use checker_core::observation::environment::Variable;
use checker_lab::program::UNKNOWN;
use serde_json::Value;

/// Types whose settings are kept.
const KINDS: [&str; 12] = [
    "aws:cloudtrail/trail:Trail",
    "aws:cloudwatch/eventRule:EventRule",
    "aws:cloudwatch/eventTarget:EventTarget",
    "aws:cloudwatch/logGroup:LogGroup",
    "aws:cloudwatch/metricAlarm:MetricAlarm",
    "aws:kms/key:Key",
    "aws:lambda/function:Function",
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
    "aws:lambda/permission:Permission",
    "aws:secretsmanager/secret:Secret",
    "aws:sqs/queue:Queue",
    "aws:iam/role:Role",
];

/// Settings that are prose, documents, or made to carry anything.
const LEFT_OUT: [&str; 13] = [
    "alarmDescription",
    "assumeRolePolicy",
    "code",
    "description",
    "environment",
    "eventPattern",
    "inlinePolicies",
    "input",
    "inputPath",
    "inputTransformer",
    "policy",
    "tags",
    "tagsAll",
];

/// Properties that hold a policy which says whom it lets in.
const POLICIES: [&str; 2] = ["assumeRolePolicy", "policy"];

/// What stands for a setting that is known only once it is deployed.
const LATER: &str = "(known once deployed)";

/// The settings of a resource.
pub(crate) fn settings(kind: &str, inputs: &Value) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    if KINDS.contains(&kind) {
        for (name, value) in inputs.as_object().into_iter().flatten() {
            if !LEFT_OUT.contains(&name.as_str()) {
                flatten(name, value, &mut settings);
            }
        }
    }
    settings
}

fn flatten(path: &str, value: &Value, settings: &mut BTreeMap<String, String>) {
    match value {
        Value::Null => {}
        Value::Bool(switch) => drop(settings.insert(path.to_owned(), switch.to_string())),
        Value::Number(number) => drop(settings.insert(path.to_owned(), plain(number))),
        Value::String(text) if text.contains(UNKNOWN) => {
            settings.insert(path.to_owned(), LATER.to_owned());
        }
        Value::String(text) => {
            if !Variable::of(path, text).credential {
                settings.insert(path.to_owned(), text.clone());
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                flatten(&format!("{path}.{index}"), item, settings);
            }
        }
        Value::Object(entries) => {
            for (name, value) in entries {
                flatten(&format!("{path}.{name}"), value, settings);
            }
        }
    }
}

/// `90`, not `90.0`.
fn plain(number: &serde_json::Number) -> String {
    let text = number.to_string();
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

/// The policies of a resource by property; `None` is known only once it is deployed.
pub(crate) fn policies(inputs: &Value) -> BTreeMap<String, Option<String>> {
    POLICIES
        .iter()
        .filter_map(|property| {
            let text = inputs.get(property)?.as_str()?;
            let known = (!text.contains(UNKNOWN)).then(|| text.to_owned());
            Some(((*property).to_owned(), known))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_flat_and_hold_no_documents() {
        let inputs = json!({"retryPolicy": {"maximumRetryAttempts": 185.0}, "input": "{}", "arn": UNKNOWN,
            "ids": ["a"], "name": "AKIAIOSFODNN7EXAMPLE"});
        let settings = settings("aws:cloudwatch/eventTarget:EventTarget", &inputs);
        let expected = [
            ("arn", LATER),
            ("ids.0", "a"),
            ("retryPolicy.maximumRetryAttempts", "185"),
        ];
        let found: Vec<(&str, &str)> = settings
            .iter()
            .map(|(path, value)| (path.as_str(), value.as_str()))
            .collect();
        assert_eq!(found, expected);
        assert!(super::settings("aws:ssm/parameter:Parameter", &inputs).is_empty());
    }
}
