//! Subscriptions: who gets what a topic publishes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{State, Subscription, filter, invalid, listing};
use crate::service::{Answer, ApiError, Call};
use crate::world::World;

/// Subscribing the same endpoint again answers the subscription there is.
pub(super) fn subscribe(world: &mut World, call: &Call<'_>) -> Answer {
    let topic = call.required("TopicArn")?.to_owned();
    world.sns.topic(&topic)?;
    let protocol = call.required("Protocol")?;
    let endpoint = call.required("Endpoint")?;
    check_endpoint(protocol, endpoint)?;
    let mut attributes = BTreeMap::new();
    for (name, value) in call.object("Attributes").into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        check_attribute(name, value, protocol)?;
        attributes.insert(name.clone(), value.to_owned());
    }
    check_filter(&attributes)?;
    let known =
        world.sns.subscriptions.values().find(|each| {
            each.topic == topic && each.protocol == protocol && each.endpoint == endpoint
        });
    if let Some(known) = known {
        if attributes
            .iter()
            .any(|(name, value)| known.attributes.get(name) != Some(value))
        {
            return Err(invalid(
                "Attributes Reason: Subscription already exists with different attributes",
            ));
        }
        return Ok(json!({"SubscriptionArn": known.shown_arn(call)}));
    }
    let pending = !matches!(protocol, "sqs" | "lambda");
    let subscription = Subscription {
        arn: format!("{topic}:{}", world.ids.uuid()),
        topic,
        protocol: protocol.to_owned(),
        endpoint: endpoint.to_owned(),
        owner: call.account.to_owned(),
        pending,
        attributes,
    };
    let arn = subscription.shown_arn(call).to_owned();
    world
        .sns
        .subscriptions
        .insert(subscription.arn.clone(), subscription);
    Ok(json!({"SubscriptionArn": arn}))
}

/// Unsubscribing what isn't subscribed is no error, as on AWS.
pub(super) fn unsubscribe(state: &mut State, call: &Call<'_>) -> Answer {
    let arn = call.required("SubscriptionArn")?;
    if arn == "PendingConfirmation" || !arn.starts_with("arn:") {
        return Err(invalid(
            "SubscriptionArn Reason: An ARN must have at least 6 elements, not 1",
        ));
    }
    if let Some(gone) = state.subscriptions.remove(arn)
        && let Some(topic) = state.topics.get_mut(&gone.topic)
    {
        topic.unsubscribed = topic.unsubscribed.saturating_add(1);
    }
    Ok(json!({}))
}

pub(super) fn list(state: &State, call: &Call<'_>) -> Answer {
    let here = format!("arn:aws:sns:{}:", call.region);
    let rows = state
        .subscriptions
        .values()
        .filter(|each| each.arn.starts_with(&here))
        .map(row)
        .collect();
    listing(call, "Subscriptions", rows)
}

pub(super) fn list_by_topic(state: &State, call: &Call<'_>) -> Answer {
    let topic = state.topic(call.required("TopicArn")?)?;
    let rows = state
        .subscriptions
        .values()
        .filter(|each| each.topic == topic.arn)
        .map(row)
        .collect();
    listing(call, "Subscriptions", rows)
}

pub(super) fn get_attributes(state: &State, call: &Call<'_>) -> Answer {
    let subscription = state
        .subscriptions
        .get(call.required("SubscriptionArn")?)
        .ok_or_else(no_subscription)?;
    let mut attributes: Map<String, Value> = [
        ("SubscriptionArn", subscription.arn.as_str()),
        ("TopicArn", &subscription.topic),
        ("Protocol", &subscription.protocol),
        ("Endpoint", &subscription.endpoint),
        ("Owner", &subscription.owner),
        (
            "ConfirmationWasAuthenticated",
            if subscription.pending {
                "false"
            } else {
                "true"
            },
        ),
        (
            "PendingConfirmation",
            if subscription.pending {
                "true"
            } else {
                "false"
            },
        ),
        ("RawMessageDelivery", "false"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.into()))
    .collect();
    if subscription.filter_policy().is_some() {
        attributes.insert("FilterPolicyScope".to_owned(), "MessageAttributes".into());
    }
    for (name, value) in &subscription.attributes {
        attributes.insert(name.clone(), value.as_str().into());
    }
    Ok(json!({"Attributes": attributes}))
}

pub(super) fn set_attribute(state: &mut State, call: &Call<'_>) -> Answer {
    let name = call.required("AttributeName")?;
    let value = call.text("AttributeValue").unwrap_or_default();
    let subscription = state
        .subscriptions
        .get_mut(call.required("SubscriptionArn")?)
        .ok_or_else(no_subscription)?;
    check_attribute(name, value, &subscription.protocol)?;
    let mut attributes = subscription.attributes.clone();
    if value.is_empty() || name == "FilterPolicy" && value == "{}" {
        attributes.remove(name);
    } else {
        attributes.insert(name.to_owned(), value.to_owned());
    }
    check_filter(&attributes)?;
    subscription.attributes = attributes;
    Ok(json!({}))
}

impl Subscription {
    /// The text of its filter policy, when it has one.
    pub(super) fn filter_policy(&self) -> Option<&str> {
        self.attributes.get("FilterPolicy").map(String::as_str)
    }

    pub(super) fn is_raw(&self) -> bool {
        self.attributes
            .get("RawMessageDelivery")
            .is_some_and(|value| value == "true")
    }

    pub(super) fn dead_letters(&self) -> Option<String> {
        let policy: Value = serde_json::from_str(self.attributes.get("RedrivePolicy")?).ok()?;
        Some(policy.get("deadLetterTargetArn")?.as_str()?.to_owned())
    }

    fn shown_arn(&self, call: &Call<'_>) -> &str {
        if self.pending && !call.flag("ReturnSubscriptionArn").unwrap_or(false) {
            "pending confirmation"
        } else {
            &self.arn
        }
    }
}

fn row(subscription: &Subscription) -> Value {
    json!({
        "SubscriptionArn": if subscription.pending { "PendingConfirmation" } else { &subscription.arn },
        "Owner": subscription.owner,
        "Protocol": subscription.protocol,
        "Endpoint": subscription.endpoint,
        "TopicArn": subscription.topic,
    })
}

fn check_endpoint(protocol: &str, endpoint: &str) -> Result<(), ApiError> {
    let valid = match protocol {
        "sqs" => endpoint.starts_with("arn:aws:sqs:"),
        "lambda" => endpoint.starts_with("arn:aws:lambda:"),
        "email" | "email-json" => endpoint.contains('@'),
        "http" => endpoint.starts_with("http://"),
        "https" => endpoint.starts_with("https://"),
        "sms" => endpoint.starts_with('+'),
        "firehose" => endpoint.starts_with("arn:aws:firehose:"),
        "application" => return Err(invalid("the lab serves no platform endpoints")),
        _ => {
            return Err(invalid(&format!(
                "Amazon SNS does not support this protocol string: {protocol}"
            )));
        }
    };
    if valid {
        Ok(())
    } else {
        Err(invalid(&format!(
            "{} endpoint ARN",
            protocol.to_uppercase()
        )))
    }
}

fn check_attribute(name: &str, value: &str, protocol: &str) -> Result<(), ApiError> {
    let is_object = || serde_json::from_str::<Map<String, Value>>(value).is_ok();
    match name {
        "RawMessageDelivery" if matches!(value, "true" | "false") => {
            if matches!(protocol, "sqs" | "http" | "https" | "firehose") || value == "false" {
                Ok(())
            } else {
                Err(invalid(
                    "Delivery protocol [lambda] does not support raw message delivery.",
                ))
            }
        }
        "FilterPolicyScope" if matches!(value, "MessageAttributes" | "MessageBody") => Ok(()),
        "FilterPolicy" => Ok(()),
        "RedrivePolicy" | "DeliveryPolicy" if value.is_empty() || is_object() => Ok(()),
        "SubscriptionRoleArn" if protocol == "firehose" => Ok(()),
        "RawMessageDelivery" | "FilterPolicyScope" | "RedrivePolicy" | "DeliveryPolicy" => {
            Err(invalid(name))
        }
        _ => Err(invalid("AttributeName")),
    }
}

/// Scope and policy are judged together.
fn check_filter(attributes: &BTreeMap<String, String>) -> Result<(), ApiError> {
    match attributes.get("FilterPolicy") {
        None => Ok(()),
        Some(text) => match filter::Filter::parse(
            text,
            attributes.get("FilterPolicyScope").map(String::as_str),
        ) {
            Ok(_) => Ok(()),
            Err(reason) => Err(invalid(&format!("FilterPolicy: {reason}"))),
        },
    }
}

fn no_subscription() -> ApiError {
    ApiError::new("NotFound", "Subscription does not exist").with_status(404)
}
