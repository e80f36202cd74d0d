//! How a function is invoked asynchronously: age, retries, destinations.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{Function, invalid};
use crate::service::{Answer, ApiError, Call, timestamp};
use crate::world::World;

/// The settings of asynchronous invocation.
#[derive(Debug, Clone)]
pub(crate) struct EventInvoke {
    /// In seconds; `None` is six hours.
    pub(crate) maximum_age: Option<i64>,
    /// 0 to 2; `None` is 2.
    pub(crate) maximum_retries: Option<i64>,
    /// Where a failed event goes.
    pub(crate) on_failure: Option<String>,
    /// Where the result of a successful event goes.
    pub(crate) on_success: Option<String>,
    changed: DateTime<Utc>,
}

pub(super) fn put(world: &mut World, call: &Call<'_>) -> Answer {
    let destination = |side: &str| -> Result<Option<String>, ApiError> {
        let given = call
            .object("DestinationConfig")
            .and_then(|config| config.get(side))
            .and_then(|side| side.get("Destination"))
            .and_then(Value::as_str)
            .filter(|destination| !destination.is_empty());
        given
            .map(|destination| known_destination(destination).map(str::to_owned))
            .transpose()
    };
    let settings = EventInvoke {
        maximum_age: call.number("MaximumEventAgeInSeconds"),
        maximum_retries: call.number("MaximumRetryAttempts"),
        on_failure: destination("OnFailure")?,
        on_success: destination("OnSuccess")?,
        changed: call.now,
    };
    let function = world.lambda.find_mut(call)?;
    function.event_invoke = Some(settings);
    Ok(shown(function).unwrap_or_default())
}

pub(super) fn get(world: &World, call: &Call<'_>) -> Answer {
    let function = world.lambda.find(call)?;
    shown(function).ok_or_else(|| {
        ApiError::new(
            "ResourceNotFoundException",
            format!(
                "The function {} doesn't have an EventInvokeConfig",
                function.arn
            ),
        )
        .with_status(404)
    })
}

pub(super) fn list(world: &World, call: &Call<'_>) -> Answer {
    let function = world.lambda.find(call)?;
    let rows: Vec<Value> = shown(function).into_iter().collect();
    Ok(json!({"FunctionEventInvokeConfigs": rows}))
}

fn shown(function: &Function) -> Option<Value> {
    let settings = function.event_invoke.as_ref()?;
    let mut answer = json!({
        "FunctionArn": format!("{}:$LATEST", function.arn),
        "LastModified": timestamp(settings.changed),
        "DestinationConfig": {"OnSuccess": {}, "OnFailure": {}},
    });
    let numbers = [
        ("MaximumEventAgeInSeconds", settings.maximum_age),
        ("MaximumRetryAttempts", settings.maximum_retries),
    ];
    let sides = [
        ("OnFailure", &settings.on_failure),
        ("OnSuccess", &settings.on_success),
    ];
    let object = answer.as_object_mut()?;
    for (name, number) in numbers {
        if let Some(number) = number {
            object.insert(name.to_owned(), Value::from(number));
        }
    }
    let config = object.get_mut("DestinationConfig")?.as_object_mut()?;
    for (side, destination) in sides {
        if let Some(destination) = destination {
            config.insert(side.to_owned(), json!({"Destination": destination}));
        }
    }
    Some(answer)
}

fn known_destination(destination: &str) -> Result<&str, ApiError> {
    let service = destination.split(':').nth(2).unwrap_or_default();
    match service {
        "sqs" | "sns" | "lambda" | "events" => Ok(destination),
        _ => Err(invalid(format!(
            "The provided destination config DestinationConfig is invalid: the lab does not serve `{destination}`"
        ))),
    }
}
