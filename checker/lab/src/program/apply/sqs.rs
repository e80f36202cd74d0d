//! Queues and their policies.

use std::collections::HashMap;

use aws_sdk_sqs::types::QueueAttributeName;

use super::Made;
use super::failure::{Failure, refused};
use super::inputs::Inputs;
use super::target::Target;

/// Attributes that are passed on as they are, by the property that holds each.
const PLAIN: [(&str, QueueAttributeName); 12] = [
    (
        "contentBasedDeduplication",
        QueueAttributeName::ContentBasedDeduplication,
    ),
    ("deduplicationScope", QueueAttributeName::DeduplicationScope),
    ("delaySeconds", QueueAttributeName::DelaySeconds),
    ("fifoQueue", QueueAttributeName::FifoQueue),
    (
        "fifoThroughputLimit",
        QueueAttributeName::FifoThroughputLimit,
    ),
    (
        "kmsDataKeyReusePeriodSeconds",
        QueueAttributeName::KmsDataKeyReusePeriodSeconds,
    ),
    ("kmsMasterKeyId", QueueAttributeName::KmsMasterKeyId),
    ("maxMessageSize", QueueAttributeName::MaximumMessageSize),
    (
        "messageRetentionSeconds",
        QueueAttributeName::MessageRetentionPeriod,
    ),
    (
        "receiveWaitTimeSeconds",
        QueueAttributeName::ReceiveMessageWaitTimeSeconds,
    ),
    (
        "sqsManagedSseEnabled",
        QueueAttributeName::SqsManagedSseEnabled,
    ),
    (
        "visibilityTimeoutSeconds",
        QueueAttributeName::VisibilityTimeout,
    ),
];

/// Attributes that are JSON documents.
const DOCUMENTS: [(&str, QueueAttributeName); 3] = [
    ("policy", QueueAttributeName::Policy),
    ("redriveAllowPolicy", QueueAttributeName::RedriveAllowPolicy),
    ("redrivePolicy", QueueAttributeName::RedrivePolicy),
];

/// `aws:sqs:Queue`.
pub(super) async fn queue(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let client = target.sqs();
    let name = target.name(inputs)?;
    let mut attributes = HashMap::new();
    for (property, attribute) in PLAIN {
        if let Some(value) = inputs.text(property)? {
            attributes.insert(attribute, value);
        }
    }
    for (property, attribute) in DOCUMENTS {
        if let Some(value) = inputs.document(property)? {
            attributes.insert(attribute, value);
        }
    }
    let created = client
        .create_queue()
        .queue_name(&name)
        .set_attributes((!attributes.is_empty()).then_some(attributes))
        .set_tags((!target.tags.is_empty()).then(|| target.tags.clone().into_iter().collect()))
        .send()
        .await
        .map_err(refused("sqs:CreateQueue"))?;
    let url = created
        .queue_url
        .ok_or_else(|| Failure::whole("`sqs:CreateQueue` answered without an address"))?;
    Ok(Made::new(url.clone())
        .with("arn", target.arn("sqs", &name))
        .with("url", url)
        .with("name", name)
        .with("namePrefix", ""))
}

/// `aws:sqs:QueuePolicy`.
pub(super) async fn queue_policy(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let url = inputs.required("queueUrl")?;
    let policy = inputs
        .document("policy")?
        .ok_or_else(|| Failure::of("policy", "a value is needed"))?;
    target
        .sqs()
        .set_queue_attributes()
        .queue_url(&url)
        .attributes(QueueAttributeName::Policy, policy)
        .send()
        .await
        .map_err(refused("sqs:SetQueueAttributes"))?;
    Ok(Made::new(url))
}
