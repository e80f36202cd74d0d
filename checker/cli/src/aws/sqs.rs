//! Queues: who may send to them.

use aws_sdk_sqs::operation::RequestId as _;
use aws_sdk_sqs::operation::get_queue_attributes::GetQueueAttributesError;
use aws_sdk_sqs::types::QueueAttributeName;
use checker_core::observation::answer::Queue;
use checker_core::observation::{Answer, Unseen};

use super::unseen::{incomplete, unseen};
use super::{Aws, Seen};

/// `GetQueueAttributes`.
pub(super) async fn queue(aws: &Aws, arn: &str) -> Seen {
    let operation = "sqs:GetQueueAttributes";
    let url = url(arn).ok_or_else(|| Unseen {
        operation: operation.to_owned(),
        code: "NoQueue".to_owned(),
        advice: format!("`{arn}` is no ARN of a queue"),
    })?;
    let output = match aws
        .sqs
        .get_queue_attributes()
        .queue_url(url)
        .attribute_names(QueueAttributeName::QueueArn)
        .attribute_names(QueueAttributeName::Policy)
        .send()
        .await
    {
        Ok(output) => output,
        Err(error)
            if error
                .as_service_error()
                .is_some_and(GetQueueAttributesError::is_queue_does_not_exist) =>
        {
            return Ok((Answer::Queue(None), aws.origin(None)));
        }
        Err(error) => return Err(unseen(operation, &error)),
    };
    let attributes = output
        .attributes()
        .ok_or_else(|| incomplete(operation, "Attributes"))?;
    let queue = Queue {
        arn: attributes
            .get(&QueueAttributeName::QueueArn)
            .ok_or_else(|| incomplete(operation, "QueueArn"))?
            .clone(),
        policy: attributes
            .get(&QueueAttributeName::Policy)
            .filter(|policy| !policy.is_empty())
            .cloned(),
    };
    Ok((Answer::Queue(Some(queue)), aws.origin(output.request_id())))
}

/// The address of a queue follows from its ARN, which spares the call that looks it up.
fn url(arn: &str) -> Option<String> {
    let mut parts = arn.splitn(6, ':');
    let ("arn", partition, "sqs", region, account, name) = (
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
    ) else {
        return None;
    };
    let domain = if partition == "aws-cn" {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    Some(format!("https://sqs.{region}.{domain}/{account}/{name}"))
}
