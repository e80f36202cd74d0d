//! Targets of rules.

use serde_json::{Map, Value, json};

use super::template::{self, Template};
use super::{State, listing};
use crate::service::{Answer, Call};

/// AWS's quota of targets a rule.
const LIMIT: usize = 5;

/// A target as it was put, and what delivery needs of it.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) id: String,
    pub(super) arn: String,
    pub(super) input: Input,
    pub(super) dead_letters: Option<String>,
    /// As put, for listing.
    shown: Value,
}

/// What of an event reaches a target.
#[derive(Debug, Clone)]
pub(super) enum Input {
    /// The whole event.
    Event,
    /// A constant.
    Constant(String),
    /// The part at a path.
    Part(String),
    /// A text made of parts.
    Template(Template),
}

/// A target with a known id is replaced. What is wrong with a target fails that entry only.
pub(super) fn put(state: &mut State, call: &Call<'_>) -> Answer {
    let rule = state.rule_mut(call, "Rule")?;
    let mut failures = Vec::new();
    let mut targets = rule.targets.clone();
    for entry in call.list("Targets") {
        let id = entry.get("Id").and_then(Value::as_str).unwrap_or_default();
        match Target::parse(entry) {
            Ok(target) => match targets.iter_mut().find(|known| known.id == target.id) {
                Some(known) => *known = target,
                None => targets.push(target),
            },
            Err(reason) => {
                failures.push(json!({"TargetId": id, "ErrorCode": "ValidationException", "ErrorMessage": reason}));
            }
        }
    }
    if targets.len() > LIMIT {
        return Err(crate::service::ApiError::new(
            "LimitExceededException",
            "The requested resource exceeds the maximum number allowed.",
        ));
    }
    rule.targets = targets;
    Ok(json!({"FailedEntryCount": failures.len(), "FailedEntries": failures}))
}

pub(super) fn remove(state: &mut State, call: &Call<'_>) -> Answer {
    let gone = call.list("Ids");
    let rule = state.rule_mut(call, "Rule")?;
    rule.targets
        .retain(|target| !gone.iter().any(|id| id.as_str() == Some(&target.id)));
    Ok(json!({"FailedEntryCount": 0, "FailedEntries": []}))
}

pub(super) fn list(state: &State, call: &Call<'_>) -> Answer {
    let rule = state.rule(call, "Rule")?;
    listing(
        call,
        "Targets",
        rule.targets
            .iter()
            .map(|target| target.shown.clone())
            .collect(),
    )
}

impl Target {
    fn parse(entry: &Value) -> Result<Self, String> {
        let text = |member: &str| entry.get(member).and_then(Value::as_str);
        let arn = text("Arn").unwrap_or_default();
        if arn.splitn(6, ':').count() != 6 || !arn.starts_with("arn:") {
            return Err(format!(
                "Parameter {arn} is not valid. Reason: Provided Arn is not in correct format."
            ));
        }
        let given = [
            text("Input").is_some(),
            text("InputPath").is_some(),
            entry.get("InputTransformer").is_some(),
        ];
        if given.into_iter().filter(|given| *given).count() > 1 {
            return Err(
                "Only one of Input, InputPath, or InputTransformer must be provided for target."
                    .to_owned(),
            );
        }
        let input = if let Some(constant) = text("Input") {
            serde_json::from_str::<Value>(constant)
                .map_err(|_| "JSON syntax error in input for target.".to_owned())?;
            Input::Constant(constant.to_owned())
        } else if let Some(path) = text("InputPath") {
            template::check_path(path)?;
            if path == "$" {
                Input::Event
            } else {
                Input::Part(path.to_owned())
            }
        } else if let Some(transformer) = entry.get("InputTransformer") {
            let paths = transformer
                .get("InputPathsMap")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_else(Map::new);
            let text = transformer
                .get("InputTemplate")
                .and_then(Value::as_str)
                .unwrap_or_default();
            Input::Template(Template::parse(&paths, text)?)
        } else {
            Input::Event
        };
        let dead_letters = entry
            .get("DeadLetterConfig")
            .and_then(|config| config.get("Arn"))
            .and_then(Value::as_str);
        if dead_letters
            .is_some_and(|arn| !arn.starts_with("arn:aws:sqs:") || crate::sqs::is_fifo(arn))
        {
            return Err("The dead-letter queue must be a standard queue.".to_owned());
        }
        Ok(Self {
            id: text("Id").unwrap_or_default().to_owned(),
            arn: arn.to_owned(),
            input,
            dead_letters: dead_letters.map(str::to_owned),
            shown: entry.clone(),
        })
    }
}
