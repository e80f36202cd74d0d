//! Who is subscribed to a topic, and which messages reach them.

use aws_sdk_sns::operation::RequestId as _;
use aws_sdk_sns::operation::get_subscription_attributes::GetSubscriptionAttributesError;
use aws_sdk_sns::operation::list_subscriptions_by_topic::ListSubscriptionsByTopicError;
use aws_sdk_sns::types::Subscription;
use checker_core::observation::answer::{SubscriptionFilter, TopicSubscription};
use checker_core::observation::{Answer, Origin, Unseen};

use super::page::{Page, every};
use super::unseen::{incomplete, unseen};
use super::{Aws, Seen};

/// `ListSubscriptionsByTopic`, every page.
pub(super) async fn subscriptions(aws: &Aws, topic: &str) -> Seen {
    let operation = "sns:ListSubscriptionsByTopic";
    let pages = every(operation, &aws.region, |token| async move {
        let output = match aws
            .sns
            .list_subscriptions_by_topic()
            .topic_arn(topic)
            .set_next_token(token)
            .send()
            .await
        {
            Ok(output) => output,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(ListSubscriptionsByTopicError::is_not_found_exception) =>
            {
                return Ok(Page {
                    next: None,
                    request_id: None,
                    rows: vec![None],
                });
            }
            Err(error) => return Err(unseen(operation, &error)),
        };
        Ok(Page {
            next: output.next_token().map(str::to_owned),
            request_id: output.request_id().map(str::to_owned),
            rows: output
                .subscriptions()
                .iter()
                .map(|row| subscription(operation, row).map(Some))
                .collect::<Result<_, _>>()?,
        })
    })
    .await;
    let (rows, mut origin): (Vec<Option<TopicSubscription>>, Origin) = pages?;
    let rows: Option<Vec<TopicSubscription>> = rows.into_iter().collect();
    if let Some(rows) = &rows {
        let further = counted(aws, topic, rows.len()).await?;
        origin.request_ids.extend(further.request_ids);
        origin.pages += further.pages;
    }
    Ok((Answer::TopicSubscriptions(rows), origin))
}

/// `GetTopicAttributes`: the size of a page cannot be chosen, so the topic's own count confirms the list.
async fn counted(aws: &Aws, topic: &str, listed: usize) -> Result<Origin, Unseen> {
    let operation = "sns:GetTopicAttributes";
    let output = aws
        .sns
        .get_topic_attributes()
        .topic_arn(topic)
        .send()
        .await
        .map_err(|error| unseen(operation, &error))?;
    let count = |name: &str| {
        output
            .attributes()
            .and_then(|attributes| attributes.get(name))
            .and_then(|count| count.parse::<usize>().ok())
            .ok_or_else(|| incomplete(operation, name))
    };
    let expected = count("SubscriptionsConfirmed")? + count("SubscriptionsPending")?;
    if listed < expected {
        return Err(Unseen {
            operation: "sns:ListSubscriptionsByTopic".to_owned(),
            code: "IncompleteList".to_owned(),
            advice: format!(
                "the topic counts {expected} subscriptions, the list has {listed}; run again"
            ),
        });
    }
    Ok(aws.origin(output.request_id()))
}

fn subscription(operation: &str, row: &Subscription) -> Result<TopicSubscription, Unseen> {
    let text = |member: Option<&str>, name: &str| {
        member
            .map(str::to_owned)
            .ok_or_else(|| incomplete(operation, name))
    };
    Ok(TopicSubscription {
        arn: text(row.subscription_arn(), "SubscriptionArn")?,
        protocol: text(row.protocol(), "Protocol")?,
        endpoint: shown(row.endpoint().unwrap_or_default()),
    })
}

/// An ARN as it is; of a web address the host, of a mail address the domain, of anything else nothing: the rest may
/// be a key of a paging service or say who a person is.
fn shown(endpoint: &str) -> String {
    if endpoint.starts_with("arn:") {
        return endpoint.to_owned();
    }
    let host = endpoint
        .split_once("://")
        .map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    host.unwrap_or(endpoint)
        .rsplit_once('@')
        .map_or(host, |(_, domain)| Some(domain))
        .unwrap_or_default()
        .to_owned()
}

/// `GetSubscriptionAttributes`.
pub(super) async fn filter(aws: &Aws, subscription: &str) -> Seen {
    let operation = "sns:GetSubscriptionAttributes";
    let output = match aws
        .sns
        .get_subscription_attributes()
        .subscription_arn(subscription)
        .send()
        .await
    {
        Ok(output) => output,
        Err(error)
            if error
                .as_service_error()
                .is_some_and(GetSubscriptionAttributesError::is_not_found_exception) =>
        {
            return Ok((Answer::SubscriptionFilter(None), aws.origin(None)));
        }
        Err(error) => return Err(unseen(operation, &error)),
    };
    let attributes = output
        .attributes()
        .ok_or_else(|| incomplete(operation, "Attributes"))?;
    let filter = SubscriptionFilter {
        policy: attributes.get("FilterPolicy").cloned(),
        scope: attributes
            .get("FilterPolicyScope")
            .cloned()
            .unwrap_or_else(|| "MessageAttributes".to_owned()),
    };
    Ok((
        Answer::SubscriptionFilter(Some(filter)),
        aws.origin(output.request_id()),
    ))
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn only_arns_are_kept_whole() {
        for (endpoint, expected) in [
            (
                "arn:aws:sqs:eu-west-1:647751526084:q",
                "arn:aws:sqs:eu-west-1:647751526084:q",
            ),
            (
                "https://events.pager.example/integration/0a1b2c/enqueue",
                "events.pager.example",
            ),
            ("https://user:word@hook.example?key=1", "hook.example"),
            ("someone@bank.example", "bank.example"),
            ("+6421000000", ""),
        ] {
            assert_eq!(shown(endpoint), expected, "{endpoint}");
        }
    }
}
