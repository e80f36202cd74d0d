//! A queue's attributes: names, ranges, defaults.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::{Map, Value, json};

use super::{Queue, invalid};
use crate::service::{ApiError, Call};

/// Attributes as they were set; what was not set has its default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes(BTreeMap<String, String>);

/// Name, least and greatest value, default.
const NUMBERS: [(&str, i64, i64, &str); 6] = [
    ("DelaySeconds", 0, 900, "0"),
    ("KmsDataKeyReusePeriodSeconds", 60, 86_400, "300"),
    ("MaximumMessageSize", 1024, 1_048_576, "1048576"),
    ("MessageRetentionPeriod", 60, 1_209_600, "345600"),
    ("ReceiveMessageWaitTimeSeconds", 0, 20, "0"),
    ("VisibilityTimeout", 0, 43_200, "30"),
];

impl Attributes {
    /// Attributes as a client sets them.
    pub(crate) fn parse(given: Option<&Map<String, Value>>) -> Result<Self, ApiError> {
        let mut attributes = Self::default();
        for (name, value) in given.into_iter().flatten() {
            let value = value.as_str().unwrap_or_default();
            check(name, value)?;
            attributes.0.insert(name.clone(), value.to_owned());
        }
        Ok(attributes)
    }

    /// An attribute that was set, empty ones being none.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Overrides with the attributes of another.
    pub(crate) fn merge(&mut self, changes: Self) {
        self.0.extend(changes.0);
    }

    /// Whether a repeated creation asks for another queue than there is.
    pub(crate) fn differ_from(&self, known: &Self) -> bool {
        self.0
            .iter()
            .any(|(name, value)| known.effective(name) != Some(value.as_str()))
    }

    /// The longest body, in bytes.
    pub(crate) fn maximum_message_size(&self) -> usize {
        usize::try_from(self.number("MaximumMessageSize")).unwrap_or(usize::MAX)
    }

    /// How long a new message stays hidden.
    pub(crate) fn delay(&self) -> TimeDelta {
        TimeDelta::seconds(self.number("DelaySeconds"))
    }

    /// How long a received message stays hidden.
    pub(crate) fn visibility(&self) -> TimeDelta {
        TimeDelta::seconds(self.number("VisibilityTimeout"))
    }

    /// How long a message is kept.
    pub(crate) fn retention(&self) -> TimeDelta {
        TimeDelta::seconds(self.number("MessageRetentionPeriod"))
    }

    /// The dead-letter queue and the receives before it, when there is one.
    pub(crate) fn redrive(&self) -> Option<(String, u32)> {
        let policy: Value = serde_json::from_str(self.get("RedrivePolicy")?).ok()?;
        Some((
            policy.get("deadLetterTargetArn")?.as_str()?.to_owned(),
            max_receives(&policy)?,
        ))
    }

    fn number(&self, name: &str) -> i64 {
        self.effective(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or_default()
    }

    fn effective(&self, name: &str) -> Option<&str> {
        let default = NUMBERS
            .iter()
            .find(|(known, ..)| *known == name && name != "KmsDataKeyReusePeriodSeconds");
        self.get(name).or(default.map(|(.., default)| *default))
    }
}

pub(super) fn get(queue: &Queue, call: &Call<'_>) -> Value {
    let all = view(queue, call);
    let asked = call.list("AttributeNames");
    let mut answer = Map::new();
    for name in asked.iter().filter_map(Value::as_str) {
        if name == "All" {
            answer.extend(all.clone());
        } else if let Some(value) = all.get(name) {
            answer.insert(name.to_owned(), value.clone());
        }
    }
    if answer.is_empty() {
        json!({})
    } else {
        json!({"Attributes": answer})
    }
}

fn view(queue: &Queue, call: &Call<'_>) -> Map<String, Value> {
    let counted = |keep: &dyn Fn(&super::Message) -> bool| {
        queue
            .messages
            .iter()
            .filter(|message| keep(message))
            .count()
            .to_string()
    };
    let mut all: Map<String, Value> = NUMBERS
        .iter()
        .filter_map(|(name, ..)| {
            Some(((*name).to_owned(), queue.attributes.effective(name)?.into()))
        })
        .collect();
    for (name, value) in &queue.attributes.0 {
        if !value.is_empty() {
            all.insert(name.clone(), value.as_str().into());
        }
    }
    // Encryption with the service's own keys is on unless a key is named or it was switched off.
    let own_encryption = queue.attributes.get("SqsManagedSseEnabled").unwrap_or(
        if queue.attributes.get("KmsMasterKeyId").is_some() {
            "false"
        } else {
            "true"
        },
    );
    let facts = [
        ("QueueArn", queue.arn.clone()),
        (
            "ApproximateNumberOfMessages",
            counted(&|message| message.is_visible(call.now)),
        ),
        (
            "ApproximateNumberOfMessagesNotVisible",
            counted(&|message| message.is_in_flight(call.now)),
        ),
        (
            "ApproximateNumberOfMessagesDelayed",
            counted(&|message| message.is_delayed(call.now)),
        ),
        ("CreatedTimestamp", queue.created.timestamp().to_string()),
        (
            "LastModifiedTimestamp",
            queue.modified.timestamp().to_string(),
        ),
        ("SqsManagedSseEnabled", own_encryption.to_owned()),
    ];
    all.extend(
        facts
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into())),
    );
    all
}

fn check(name: &str, value: &str) -> Result<(), ApiError> {
    if let Some((_, least, greatest, _)) = NUMBERS.iter().find(|(known, ..)| *known == name) {
        return match value.parse::<i64>() {
            Ok(number) if (*least..=*greatest).contains(&number) => Ok(()),
            Ok(_) | Err(_) => Err(bad_value(name)),
        };
    }
    match name {
        "KmsMasterKeyId" => Ok(()),
        "Policy" | "RedrivePolicy" if value.is_empty() => Ok(()),
        "Policy" => {
            match crate::iam::grammar::parse(value, crate::iam::grammar::PolicyKind::Resource) {
                Ok(_) => Ok(()),
                Err(_) => Err(bad_value(name)),
            }
        }
        "RedrivePolicy" => {
            let policy: Value = serde_json::from_str(value).map_err(|_| bad_value(name))?;
            let target = policy
                .get("deadLetterTargetArn")
                .and_then(Value::as_str)
                .is_some_and(|arn| arn.starts_with("arn:aws:sqs:"));
            let receives = max_receives(&policy).is_some_and(|count| (1..=1000).contains(&count));
            if target && receives {
                Ok(())
            } else {
                Err(bad_value(name))
            }
        }
        "RedriveAllowPolicy" => match serde_json::from_str::<Value>(value) {
            Ok(Value::Object(_)) => Ok(()),
            Ok(_) | Err(_) => Err(bad_value(name)),
        },
        "SqsManagedSseEnabled" if matches!(value, "true" | "false") => Ok(()),
        "SqsManagedSseEnabled" => Err(bad_value(name)),
        "FifoQueue"
        | "ContentBasedDeduplication"
        | "DeduplicationScope"
        | "FifoThroughputLimit" => Err(invalid("the lab serves no FIFO queues")),
        _ => Err(ApiError::new(
            "InvalidAttributeName",
            format!("Unknown Attribute {name}."),
        )),
    }
}

/// AWS takes the count as a number and as text.
fn max_receives(policy: &Value) -> Option<u32> {
    let count = policy.get("maxReceiveCount")?;
    match count.as_str() {
        Some(text) => text.parse().ok(),
        None => count.as_u64().and_then(|count| u32::try_from(count).ok()),
    }
}

fn bad_value(name: &str) -> ApiError {
    ApiError::new(
        "InvalidAttributeValue",
        format!("Invalid value for the parameter {name}."),
    )
}
