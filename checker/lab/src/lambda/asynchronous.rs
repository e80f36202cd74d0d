//! Asynchronous invocation: retries after one and two minutes, then the on-failure
//! destination or the dead-letter queue.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use super::Function;
use super::host::Ended;
use crate::shared::Shared;
use crate::world::{AsyncInvoke, Later, World};

/// AWS's defaults: two retries, six hours.
const RETRIES: i64 = 2;
const AGE_SECONDS: i64 = 21_600;

/// Runs one attempt; what follows from its end is left to the world.
pub(crate) async fn run(shared: Arc<Shared>, invoke: AsyncInvoke) {
    let account = shared.account.clone();
    let (function, request_id) = shared.act(|world| {
        let function = world.lambda.function(&invoke.function_arn).cloned();
        (function, world.ids.uuid())
    });
    // A service that names a missing function, or one that doesn't let it in, loses its event.
    let Some(function) = function.filter(|function| {
        invoke.source.as_ref().is_none_or(|source| {
            let of = if source.source_account.is_empty() {
                &account
            } else {
                &source.source_account
            };
            function.lets_in(&source.principal, of, &source.source_arn)
        })
    }) else {
        return;
    };
    if shared.quiet {
        super::host::keep_log(&shared, &function, "", &[]);
        return;
    }
    let payload = Bytes::from(invoke.payload.to_string());
    let finished = shared
        .host
        .run(&shared, &function, &request_id, payload)
        .await;
    let now = shared.clock.now();
    shared.act(|world| follow(world, &function, invoke, &request_id, &finished.ended, now));
}

/// What follows from the end of an attempt.
fn follow(
    world: &mut World,
    function: &Function,
    mut invoke: AsyncInvoke,
    request_id: &str,
    ended: &Ended,
    now: DateTime<Utc>,
) {
    let settings = function.event_invoke.as_ref();
    let retries = settings
        .and_then(|settings| settings.maximum_retries)
        .unwrap_or(RETRIES);
    let age = settings
        .and_then(|settings| settings.maximum_age)
        .unwrap_or(AGE_SECONDS);
    let (destination, condition, body) = match ended {
        Ended::Answer(body) => (
            settings.and_then(|settings| settings.on_success.clone()),
            "Success",
            body,
        ),
        Ended::Failure(body) => {
            let wait = TimeDelta::minutes(i64::from(invoke.attempt) + 1);
            let next = now.checked_add_signed(wait).unwrap_or(now);
            let too_old = next.signed_duration_since(invoke.sent) > TimeDelta::seconds(age);
            if i64::from(invoke.attempt) < retries && !too_old {
                invoke.attempt += 1;
                world.timers.push((next, Later::Invoke(invoke)));
                return;
            }
            let condition = if too_old {
                "EventAgeExceeded"
            } else {
                "RetriesExhausted"
            };
            dead_letter(world, function, &invoke.payload, now);
            (
                settings.and_then(|settings| settings.on_failure.clone()),
                condition,
                body,
            )
        }
    };
    let Some(destination) = destination else {
        return;
    };
    let mut response = json!({"statusCode": 200, "executedVersion": "$LATEST"});
    if condition != "Success"
        && let Some(response) = response.as_object_mut()
    {
        response.insert("functionError".to_owned(), Value::from("Unhandled"));
    }
    let record = json!({
        "version": "1.0",
        "timestamp": now.to_rfc3339_opts(SecondsFormat::Millis, true),
        "requestContext": {
            "requestId": request_id,
            "functionArn": format!("{}:$LATEST", function.arn),
            "condition": condition,
            "approximateInvokeCount": invoke.attempt + 1,
        },
        "requestPayload": invoke.payload,
        "responseContext": response,
        "responsePayload": serde_json::from_slice::<Value>(body).unwrap_or_default(),
    });
    deliver(world, function, &destination, &record, now);
}

/// A dead-letter queue gets the event itself.
fn dead_letter(world: &mut World, function: &Function, payload: &Value, now: DateTime<Utc>) {
    let target = function
        .shown
        .get("DeadLetterConfig")
        .and_then(|config| config.get("TargetArn"))
        .and_then(Value::as_str)
        .filter(|target| !target.is_empty())
        .map(str::to_owned);
    if let Some(target) = target {
        deliver(world, function, &target, payload, now);
    }
}

/// Sends a record to a destination, in the function's name.
fn deliver(
    world: &mut World,
    function: &Function,
    destination: &str,
    record: &Value,
    now: DateTime<Utc>,
) {
    let text = record.to_string();
    match destination.split(':').nth(2).unwrap_or_default() {
        "sqs" => crate::sqs::deliver(world, destination, &text, &function.role, now),
        "sns" => crate::sns::deliver(world, destination, &text, &function.role, now),
        "lambda" => world.later.push(Later::Invoke(AsyncInvoke {
            function_arn: destination.to_owned(),
            payload: record.clone(),
            source: None,
            attempt: 0,
            sent: now,
        })),
        _ => {}
    }
}
