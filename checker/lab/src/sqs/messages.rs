//! Messages: sent, seen, hidden, gone.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::{State, invalid};
use crate::ids::Ids;
use crate::service::{Answer, ApiError, Call};
use crate::world::World;

/// One message. No `Debug`: a body may hold anything.
pub(super) struct Message {
    id: String,
    body: String,
    attributes: BTreeMap<String, Value>,
    sender: String,
    sent: DateTime<Utc>,
    visible_from: DateTime<Utc>,
    first_received: Option<DateTime<Utc>>,
    receives: u32,
    /// Handles of all receives; any of them deletes the message, as on AWS.
    handles: Vec<String>,
}

impl Message {
    pub(super) fn new(
        ids: &mut Ids,
        now: DateTime<Utc>,
        body: String,
        attributes: BTreeMap<String, Value>,
        sender: &str,
        delay: TimeDelta,
    ) -> Self {
        Self {
            id: ids.uuid(),
            body,
            attributes,
            sender: sender.to_owned(),
            sent: now,
            visible_from: now + delay,
            first_received: None,
            receives: 0,
            handles: Vec::new(),
        }
    }

    pub(super) fn is_visible(&self, now: DateTime<Utc>) -> bool {
        self.visible_from <= now
    }

    pub(super) fn is_in_flight(&self, now: DateTime<Utc>) -> bool {
        !self.is_visible(now) && self.receives > 0
    }

    pub(super) fn is_delayed(&self, now: DateTime<Utc>) -> bool {
        !self.is_visible(now) && self.receives == 0
    }
}

pub(super) fn send(world: &mut World, call: &Call<'_>) -> Answer {
    if call.text("MessageGroupId").is_some() || call.text("MessageDeduplicationId").is_some() {
        return Err(invalid("the lab serves no FIFO queues and no fair queues"));
    }
    let body = call.required("MessageBody")?;
    if body.is_empty() {
        return Err(ApiError::new(
            "MissingParameter",
            "The request must contain the parameter MessageBody.",
        ));
    }
    let legal = |character: char| matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    if !body.chars().all(legal) {
        return Err(ApiError::new(
            "InvalidMessageContents",
            "The message contains characters outside the allowed set.",
        ));
    }
    let attributes = message_attributes(call)?;
    let sender = call.caller.id();
    let queue = world.sqs.queue_mut(call)?;
    let limit = queue.attributes.maximum_message_size();
    if body.len() > limit {
        return Err(invalid(format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes."
        )));
    }
    let delay = call
        .number("DelaySeconds")
        .map_or_else(|| queue.attributes.delay(), TimeDelta::seconds);
    if delay > TimeDelta::seconds(900) || delay < TimeDelta::zero() {
        return Err(invalid(
            "Value for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.",
        ));
    }
    let message = Message::new(
        &mut world.ids,
        call.now,
        body.to_owned(),
        attributes,
        &sender,
        delay,
    );
    let id = message.id.clone();
    queue.messages.push_back(message);
    Ok(json!({"MessageId": id}))
}

pub(super) fn receive(world: &mut World, call: &Call<'_>) -> Answer {
    let count = call.number("MaxNumberOfMessages").unwrap_or(1);
    if !(1..=10).contains(&count) {
        return Err(invalid(
            "Value for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.",
        ));
    }
    if call
        .number("WaitTimeSeconds")
        .is_some_and(|wait| !(0..=20).contains(&wait))
    {
        return Err(invalid(
            "Value for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.",
        ));
    }
    let count = usize::try_from(count).unwrap_or(1);
    let (rows, dead) = take(world, call, count)?;
    for (target, message) in dead {
        if let Some(queue) = world.sqs.queues.get_mut(&target) {
            queue.messages.push_back(message);
        }
    }
    Ok(if rows.is_empty() {
        json!({})
    } else {
        json!({"Messages": rows})
    })
}

pub(super) fn delete(state: &mut State, call: &Call<'_>) -> Answer {
    let handle = call.required("ReceiptHandle")?;
    let queue = state.queue_mut(call)?;
    let of_this_queue = queue
        .messages
        .iter()
        .any(|message| message.handles.iter().any(|known| known == handle));
    if of_this_queue {
        queue
            .messages
            .retain(|message| !message.handles.iter().any(|known| known == handle));
    } else if !handle.starts_with("AQEB") {
        return Err(ApiError::new(
            "ReceiptHandleIsInvalid",
            "The input receipt handle is invalid.",
        ));
    }
    // A handle of a message that is already gone is no error, as on AWS.
    Ok(json!({}))
}

/// Messages that were received too often, with their dead-letter queue.
type Dead = Vec<(String, Message)>;

/// The rows of the answer, and what goes to a dead-letter queue instead.
fn take(world: &mut World, call: &Call<'_>, count: usize) -> Result<(Vec<Value>, Dead), ApiError> {
    let ids = &mut world.ids;
    let queue = world.sqs.queue_mut(call)?;
    let hidden = match call.number("VisibilityTimeout") {
        Some(seconds) if (0..=43_200).contains(&seconds) => TimeDelta::seconds(seconds),
        Some(_) => {
            return Err(invalid(
                "Value for parameter VisibilityTimeout is invalid. Reason: Must be >= 0 and <= 43200.",
            ));
        }
        None => queue.attributes.visibility(),
    };
    let retention = queue.attributes.retention();
    let redrive = queue.attributes.redrive();
    queue
        .messages
        .retain(|message| call.now - message.sent < retention);
    let (mut rows, mut dead, mut kept) =
        (Vec::new(), Vec::new(), std::collections::VecDeque::new());
    for mut message in queue.messages.drain(..) {
        if rows.len() < count && message.is_visible(call.now) {
            match &redrive {
                Some((target, limit)) if message.receives >= *limit => {
                    dead.push((target.clone(), message));
                    continue;
                }
                Some(_) | None => {}
            }
            message.receives = message.receives.saturating_add(1);
            message.first_received.get_or_insert(call.now);
            message.visible_from = call.now + hidden;
            let handle = format!("AQEB{}", ids.alphanumeric(84));
            rows.push(view(&message, &handle, call));
            message.handles.push(handle);
        }
        kept.push_back(message);
    }
    queue.messages = kept;
    Ok((rows, dead))
}

fn view(message: &Message, handle: &str, call: &Call<'_>) -> Value {
    let mut row = Map::new();
    row.insert("MessageId".to_owned(), message.id.as_str().into());
    row.insert("ReceiptHandle".to_owned(), handle.into());
    row.insert("Body".to_owned(), message.body.as_str().into());
    let asked: Vec<&str> = call
        .list("MessageSystemAttributeNames")
        .iter()
        .chain(call.list("AttributeNames"))
        .filter_map(Value::as_str)
        .collect();
    let system: Map<String, Value> = [
        ("SenderId", message.sender.clone()),
        ("SentTimestamp", message.sent.timestamp_millis().to_string()),
        ("ApproximateReceiveCount", message.receives.to_string()),
        (
            "ApproximateFirstReceiveTimestamp",
            message
                .first_received
                .unwrap_or(call.now)
                .timestamp_millis()
                .to_string(),
        ),
    ]
    .into_iter()
    .filter(|(name, _)| asked.contains(name) || asked.contains(&"All"))
    .map(|(name, value)| (name.to_owned(), value.into()))
    .collect();
    if !system.is_empty() {
        row.insert("Attributes".to_owned(), system.into());
    }
    let wanted: Vec<&str> = call
        .list("MessageAttributeNames")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let own: Map<String, Value> = message
        .attributes
        .iter()
        .filter(|(name, _)| {
            wanted.iter().any(|wanted| match wanted.strip_suffix(".*") {
                Some(prefix) => name.starts_with(prefix),
                None => *wanted == "All" || *wanted == name.as_str(),
            })
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if !own.is_empty() {
        row.insert("MessageAttributes".to_owned(), own.into());
    }
    row.into()
}

/// Attributes of a message as SQS takes them: at most ten, typed.
fn message_attributes(call: &Call<'_>) -> Result<BTreeMap<String, Value>, ApiError> {
    let given = call.object("MessageAttributes");
    let count = given.map_or(0, Map::len);
    if count > 10 {
        return Err(invalid(format!(
            "Number of message attributes [{count}] exceeds the allowed maximum [10]."
        )));
    }
    let mut attributes = BTreeMap::new();
    for (name, value) in given.into_iter().flatten() {
        let kind = value
            .get("DataType")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let base = kind.split('.').next().unwrap_or_default();
        let text = value.get("StringValue").and_then(Value::as_str);
        let valid = match base {
            "String" => text.is_some_and(|text| !text.is_empty()),
            "Number" => text.is_some_and(|text| text.parse::<f64>().is_ok()),
            "Binary" => value.get("BinaryValue").is_some(),
            _ => false,
        };
        if !valid {
            return Err(invalid(format!(
                "The message attribute '{name}' has an invalid type or value."
            )));
        }
        attributes.insert(name.clone(), value.clone());
    }
    Ok(attributes)
}
