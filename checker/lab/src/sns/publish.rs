//! Publishing: from one message to every subscription that its filter lets through.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use super::{filter, invalid};
use crate::iam::resource_access::{ActingService, may_use_key};
use crate::service::{Answer, ApiError, Call};
use crate::world::{AsyncInvoke, InvokeSource, Later, World};

/// The longest message, in bytes.
const LONGEST: usize = 262_144;

/// A message on its way. No `Debug`: a message may hold anything.
pub(crate) struct Notification {
    /// The subject, for subscribers that show one.
    pub(crate) subject: Option<String>,
    /// The message, by protocol, with `default` for all others.
    pub(crate) messages: BTreeMap<String, String>,
    /// Attributes as SNS takes them: `{DataType, StringValue | BinaryValue}`.
    pub(crate) attributes: BTreeMap<String, Value>,
}

/// Why a service's message is not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PublishRefused {
    /// There is no such topic.
    NoTopic,
    /// The topic's policy or its key doesn't let the service in.
    NoPermission,
}

pub(super) fn publish(world: &mut World, call: &Call<'_>) -> Answer {
    let topic = match (
        call.text("TopicArn"),
        call.text("TargetArn"),
        call.text("PhoneNumber"),
    ) {
        (Some(arn), None, None) | (None, Some(arn), None) => arn,
        (None, None, Some(_)) => return Err(invalid("the lab sends no text messages")),
        _ => {
            return Err(invalid(
                "TopicArn or TargetArn Reason: exactly one is required",
            ));
        }
    };
    if call.text("MessageGroupId").is_some() || call.text("MessageDeduplicationId").is_some() {
        return Err(invalid("the lab serves no FIFO topics"));
    }
    world.sns.topic(topic)?;
    if let Some(key) = world
        .sns
        .key(topic)
        .filter(|key| !key.contains("alias/aws/"))
        && !world.kms.usable(call.region, call.account, key)
    {
        return Err(ApiError::new(
            "KMSDisabled",
            format!("{key} does not exist or does not encrypt."),
        ));
    }
    let topic = topic.to_owned();
    let message = call.required("Message")?;
    let subject = call.text("Subject").map(str::to_owned);
    let attributes = message_attributes(call)?;
    let size: usize = message.len()
        + attributes
            .iter()
            .map(|(name, value)| name.len() + value.to_string().len())
            .sum::<usize>();
    if message.is_empty() {
        return Err(invalid("Empty message"));
    }
    if size > LONGEST {
        return Err(invalid("Message too long"));
    }
    if let Some(subject) = &subject
        && (subject.is_empty()
            || subject.chars().count() > 100
            || subject.chars().any(|c| c.is_control() || !c.is_ascii()))
    {
        return Err(invalid("Subject"));
    }
    let messages = match call.text("MessageStructure") {
        None | Some("") => BTreeMap::from([("default".to_owned(), message.to_owned())]),
        Some("json") => by_protocol(message)?,
        Some(_) => return Err(invalid("MessageStructure")),
    };
    let id = fan_out(
        world,
        call.now,
        &topic,
        &Notification {
            subject,
            messages,
            attributes,
        },
    );
    Ok(json!({"MessageId": id}))
}

/// Publishes for a service, such as `EventBridge`, that the topic's policy must let in. Answers the message's id.
pub(crate) fn publish_as_service(
    world: &mut World,
    now: DateTime<Utc>,
    topic: &str,
    notification: &Notification,
    service: ActingService<'_>,
) -> Result<String, PublishRefused> {
    let policy = world.sns.policy(topic).ok_or(PublishRefused::NoTopic)?;
    let region = topic.split(':').nth(3).unwrap_or_default();
    let let_in = service.may("sns:Publish", topic, Some(policy))
        && may_use_key(world, world.sns.key(topic), region, service);
    if !let_in {
        return Err(PublishRefused::NoPermission);
    }
    Ok(fan_out(world, now, topic, notification))
}

/// Publishes with a role's rights, as Lambda does for destinations; what is refused is lost.
pub(crate) fn deliver(
    world: &mut World,
    topic: &str,
    message: &str,
    role_arn: &str,
    now: DateTime<Utc>,
) {
    let policy = world.sns.policy(topic);
    if policy.is_none()
        || !crate::iam::resource_access::role_may(
            &world.iam,
            role_arn,
            "sns:Publish",
            topic,
            policy,
        )
    {
        return;
    }
    let notification = Notification {
        subject: None,
        messages: BTreeMap::from([("default".to_owned(), message.to_owned())]),
        attributes: BTreeMap::new(),
    };
    fan_out(world, now, topic, &notification);
}

fn fan_out(
    world: &mut World,
    now: DateTime<Utc>,
    topic: &str,
    notification: &Notification,
) -> String {
    let id = world.ids.uuid();
    let receivers: Vec<Receiver> = world
        .sns
        .subscriptions
        .values()
        .filter(|each| each.topic == topic && !each.pending)
        .filter(|each| {
            let Some(text) = each.filter_policy() else {
                return true;
            };
            let scope = each.attributes.get("FilterPolicyScope").map(String::as_str);
            let body = notification.message(&each.protocol);
            filter::Filter::parse(text, scope)
                .is_ok_and(|filter| filter.passes(body, &notification.attributes))
        })
        .map(|each| Receiver {
            arn: each.arn.clone(),
            protocol: each.protocol.clone(),
            endpoint: each.endpoint.clone(),
            raw: each.is_raw(),
            dead_letters: each.dead_letters(),
        })
        .collect();
    for receiver in receivers {
        send(world, now, topic, &id, notification, &receiver);
    }
    id
}

/// What of a subscription a delivery needs.
struct Receiver {
    arn: String,
    protocol: String,
    endpoint: String,
    raw: bool,
    dead_letters: Option<String>,
}

fn send(
    world: &mut World,
    now: DateTime<Utc>,
    topic: &str,
    id: &str,
    notification: &Notification,
    receiver: &Receiver,
) {
    let account = topic.split(':').nth(4).unwrap_or_default().to_owned();
    let service = ActingService {
        principal: "sns.amazonaws.com",
        source_arn: topic,
        source_account: &account,
    };
    let envelope = notification.envelope(now, topic, id, receiver);
    match receiver.protocol.as_str() {
        "sqs" => {
            let (body, attributes) = if receiver.raw {
                (
                    notification.message("sqs").to_owned(),
                    notification.attributes.clone(),
                )
            } else {
                (envelope.to_string(), BTreeMap::new())
            };
            let sent = crate::sqs::deliver_as_service(
                world,
                now,
                &receiver.endpoint,
                body.clone(),
                attributes.clone(),
                service,
            );
            if let (Err(_), Some(queue)) = (sent, &receiver.dead_letters) {
                // A dead-letter queue that refuses too loses the message, as on AWS.
                crate::sqs::deliver_as_service(world, now, queue, body, attributes, service).ok();
            }
        }
        "lambda" => {
            let payload = json!({"Records": [{
                "EventSource": "aws:sns",
                "EventVersion": "1.0",
                "EventSubscriptionArn": receiver.arn,
                "Sns": envelope,
            }]});
            world.later.push(Later::Invoke(AsyncInvoke {
                function_arn: receiver.endpoint.clone(),
                payload,
                source: Some(InvokeSource {
                    principal: service.principal.to_owned(),
                    source_arn: topic.to_owned(),
                    source_account: account.clone(),
                }),
                attempt: 0,
                sent: now,
            }));
        }
        _ => {}
    }
}

impl Notification {
    /// The text for subscribers of one protocol.
    fn message(&self, protocol: &str) -> &str {
        self.messages
            .get(protocol)
            .or_else(|| self.messages.get("default"))
            .map_or("", String::as_str)
    }

    /// The JSON that subscribers get who did not ask for raw delivery.
    fn envelope(&self, now: DateTime<Utc>, topic: &str, id: &str, receiver: &Receiver) -> Value {
        let region = topic.split(':').nth(3).unwrap_or_default();
        let host = format!("https://sns.{region}.amazonaws.com");
        let mut envelope = Map::new();
        let mut set = |name: &str, value: &str| envelope.insert(name.to_owned(), value.into());
        set("Type", "Notification");
        set("MessageId", id);
        set("TopicArn", topic);
        if let Some(subject) = &self.subject {
            set("Subject", subject);
        }
        set("Message", self.message(&receiver.protocol));
        set(
            "Timestamp",
            &now.to_rfc3339_opts(SecondsFormat::Millis, true),
        );
        set("SignatureVersion", "1");
        set("Signature", "AA==");
        set(
            "SigningCertURL",
            &format!("{host}/SimpleNotificationService-lab.pem"),
        );
        set(
            "UnsubscribeURL",
            &format!(
                "{host}/?Action=Unsubscribe&SubscriptionArn={}",
                receiver.arn
            ),
        );
        let attributes: Map<String, Value> = self
            .attributes
            .iter()
            .map(|(name, value)| {
                let content = value
                    .get("StringValue")
                    .or_else(|| value.get("BinaryValue"));
                (
                    name.clone(),
                    json!({"Type": value.get("DataType"), "Value": content}),
                )
            })
            .collect();
        if !attributes.is_empty() {
            envelope.insert("MessageAttributes".to_owned(), attributes.into());
        }
        envelope.into()
    }
}

/// `MessageStructure=json`: an object of texts with a `default`.
fn by_protocol(message: &str) -> Result<BTreeMap<String, String>, ApiError> {
    let members: Map<String, Value> = serde_json::from_str(message)
        .map_err(|_| invalid("Message Structure - JSON message body failed to parse"))?;
    let texts: BTreeMap<String, String> = members
        .iter()
        .filter_map(|(protocol, text)| Some((protocol.clone(), text.as_str()?.to_owned())))
        .collect();
    if texts.contains_key("default") {
        Ok(texts)
    } else {
        Err(invalid(
            "Message Structure - No default entry in JSON message body",
        ))
    }
}

fn message_attributes(call: &Call<'_>) -> Result<BTreeMap<String, Value>, ApiError> {
    let mut attributes = BTreeMap::new();
    for (name, value) in call.object("MessageAttributes").into_iter().flatten() {
        let kind = value
            .get("DataType")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let text = value.get("StringValue").and_then(Value::as_str);
        let refuse = |what: &str| {
            ApiError::new(
                "ParameterValueInvalid",
                format!("The message attribute '{name}' {what}."),
            )
        };
        let filled = match kind.split('.').next().unwrap_or_default() {
            "String" => text.is_some_and(|text| !text.is_empty()),
            "Number" => text.is_some_and(|text| text.parse::<f64>().is_ok()),
            "Binary" => value.get("BinaryValue").is_some(),
            _ => {
                return Err(refuse(
                    "has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String",
                ));
            }
        };
        if !filled {
            return Err(refuse("must contain a non-empty value of its type"));
        }
        if kind == "String.Array"
            && text.is_none_or(|text| serde_json::from_str::<Vec<Value>>(text).is_err())
        {
            return Err(refuse("is no JSON array"));
        }
        attributes.insert(name.clone(), value.clone());
    }
    Ok(attributes)
}
