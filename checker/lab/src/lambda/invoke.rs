//! `Invoke`: synchronous, asynchronous and dry.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::host::Ended;
use crate::service::{Answer, ApiError, Call};
use crate::shared::Shared;
use crate::world::{AsyncInvoke, Later};

/// AWS shows the last 4 KB of the log.
const TAIL: usize = 4096;

/// Asynchronous events are at most 1 MB.
const ASYNC_LIMIT: usize = 1 << 20;

pub(crate) async fn handle(shared: &Arc<Shared>, call: &Call<'_>) -> Answer {
    for member in ["ClientContext", "DurableExecutionName", "TenantId"] {
        if call.input.contains_key(member) {
            let text = format!("the lab does not serve `{member}`");
            return Err(ApiError::new("InvalidParameterValueException", text));
        }
    }
    let function = shared.act(|world| world.lambda.find(call).cloned())?;
    let payload = call
        .text("Payload")
        .and_then(|text| STANDARD.decode(text).ok())
        .filter(|payload| !payload.is_empty())
        .unwrap_or_else(|| b"{}".to_vec());
    let event: Value = serde_json::from_slice(&payload).map_err(|_| {
        ApiError::new(
            "InvalidRequestContentException",
            "Could not parse request body into json",
        )
    })?;
    match call.text("InvocationType").unwrap_or("RequestResponse") {
        "DryRun" => return Ok(json!({"StatusCode": 204})),
        "Event" => {
            if payload.len() > ASYNC_LIMIT {
                let text = format!("the event is larger than {ASYNC_LIMIT} bytes");
                return Err(ApiError::new("RequestTooLargeException", text).with_status(413));
            }
            shared.act(|world| {
                world.later.push(Later::Invoke(AsyncInvoke {
                    function_arn: function.arn.clone(),
                    payload: event,
                    source: None,
                    attempt: 0,
                    sent: call.now,
                }));
            });
            return Ok(json!({"StatusCode": 202}));
        }
        _ => {}
    }
    let finished = shared
        .host
        .run(shared, &function, call.request_id, Bytes::from(payload))
        .await;
    let mut answer = json!({"StatusCode": 200, "ExecutedVersion": "$LATEST"});
    let (body, failed) = match finished.ended {
        Ended::Answer(body) => (body, false),
        Ended::Failure(body) => (body, true),
    };
    if let Some(object) = answer.as_object_mut() {
        object.insert("Payload".to_owned(), Value::from(STANDARD.encode(body)));
        if failed {
            object.insert("FunctionError".to_owned(), Value::from("Unhandled"));
        }
        if call.text("LogType") == Some("Tail") {
            let text = finished.lines.join("\n");
            let start = text.len().saturating_sub(TAIL);
            let tail = text.as_bytes().get(start..).unwrap_or_default();
            object.insert("LogResult".to_owned(), Value::from(STANDARD.encode(tail)));
        }
    }
    Ok(answer)
}
