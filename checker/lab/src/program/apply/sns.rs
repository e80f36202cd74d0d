//! Topics, their policies and subscriptions.

use std::collections::HashMap;

use aws_sdk_sns::types::Tag;

use super::Made;
use super::failure::{Failure, refused};
use super::inputs::Inputs;
use super::target::{Target, tag_list};
use crate::program::value::Value;

/// Attributes of a topic that are passed on as they are, by the property that holds each.
const TOPIC: [(&str, &str); 6] = [
    ("displayName", "DisplayName"),
    ("kmsMasterKeyId", "KmsMasterKeyId"),
    ("signatureVersion", "SignatureVersion"),
    ("tracingConfig", "TracingConfig"),
    ("fifoTopic", "FifoTopic"),
    ("contentBasedDeduplication", "ContentBasedDeduplication"),
];

/// Attributes of a subscription that are passed on as they are.
const SUBSCRIPTION: [(&str, &str); 3] = [
    ("filterPolicyScope", "FilterPolicyScope"),
    ("rawMessageDelivery", "RawMessageDelivery"),
    ("subscriptionRoleArn", "SubscriptionRoleArn"),
];

/// `aws:sns:Topic`.
pub(super) async fn topic(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let name = target.name(inputs)?;
    let mut attributes = attributes(inputs, &TOPIC)?;
    for (property, attribute) in [("policy", "Policy"), ("deliveryPolicy", "DeliveryPolicy")] {
        if let Some(document) = inputs.document(property)? {
            attributes.insert(attribute.to_owned(), document);
        }
    }
    let created = target
        .sns()
        .create_topic()
        .name(&name)
        .set_attributes((!attributes.is_empty()).then_some(attributes))
        .set_tags(tags(target)?)
        .send()
        .await
        .map_err(refused("sns:CreateTopic"))?;
    let arn = created
        .topic_arn
        .ok_or_else(|| Failure::whole("`sns:CreateTopic` answered without an ARN"))?;
    Ok(Made::new(arn.clone())
        .with("arn", arn)
        .with("name", name)
        .with("namePrefix", "")
        .with("owner", target.account.as_str()))
}

/// `aws:sns:TopicPolicy`.
pub(super) async fn topic_policy(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let arn = inputs.required("arn")?;
    target
        .sns()
        .set_topic_attributes()
        .topic_arn(&arn)
        .attribute_name("Policy")
        .set_attribute_value(inputs.document("policy")?)
        .send()
        .await
        .map_err(refused("sns:SetTopicAttributes"))?;
    Ok(Made::new(arn).with("owner", target.account.as_str()))
}

/// `aws:sns:TopicSubscription`.
pub(super) async fn subscription(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let topic = inputs.required("topic")?;
    let protocol = inputs.required("protocol")?;
    let mut attributes = attributes(inputs, &SUBSCRIPTION)?;
    for (property, attribute) in [
        ("filterPolicy", "FilterPolicy"),
        ("deliveryPolicy", "DeliveryPolicy"),
        ("redrivePolicy", "RedrivePolicy"),
    ] {
        if let Some(document) = inputs.document(property)? {
            attributes.insert(attribute.to_owned(), document);
        }
    }
    let subscribed = target
        .sns()
        .subscribe()
        .topic_arn(topic)
        .protocol(&protocol)
        .endpoint(inputs.required("endpoint")?)
        .return_subscription_arn(true)
        .set_attributes((!attributes.is_empty()).then_some(attributes))
        .send()
        .await
        .map_err(refused("sns:Subscribe"))?;
    inputs.skip(&["confirmationTimeoutInMinutes", "endpointAutoConfirms"]);
    let arn = subscribed
        .subscription_arn
        .ok_or_else(|| Failure::whole("`sns:Subscribe` answered without an ARN"))?;
    // Queues and functions of the same account confirm by themselves, people and web addresses don't.
    let confirmed = matches!(protocol.as_str(), "sqs" | "lambda" | "firehose");
    Ok(Made::new(arn.clone())
        .with("arn", arn)
        .with("ownerId", target.account.as_str())
        .with("pendingConfirmation", Value::Bool(!confirmed)))
}

fn attributes(inputs: &Inputs, known: &[(&str, &str)]) -> Result<HashMap<String, String>, Failure> {
    let mut found = HashMap::new();
    for (property, attribute) in known {
        if let Some(value) = inputs.text(property)? {
            found.insert((*attribute).to_owned(), value);
        }
    }
    Ok(found)
}

tag_list!(Tag, key, value);
