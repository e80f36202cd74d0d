//! Event rules, their targets, and whether an event matches a pattern.

use aws_sdk_eventbridge::operation::RequestId as _;
use aws_sdk_eventbridge::operation::describe_rule::DescribeRuleError;
use aws_sdk_eventbridge::operation::list_targets_by_rule::ListTargetsByRuleError;
use aws_sdk_eventbridge::types::{RetryPolicy, RuleState, Target};
use checker_core::observation::answer::{EventRule, EventTarget};
use checker_core::observation::{Answer, Origin};

use super::page::{Page, confirmed};
use super::unseen::{incomplete, unseen};
use super::{Aws, Seen};

/// `DescribeRule`.
pub(super) async fn rule(aws: &Aws, name: &str) -> Seen {
    let operation = "events:DescribeRule";
    let output = match aws.events.describe_rule().name(name).send().await {
        Ok(output) => output,
        Err(error)
            if error
                .as_service_error()
                .is_some_and(DescribeRuleError::is_resource_not_found_exception) =>
        {
            return Ok((Answer::EventRule(None), aws.origin(None)));
        }
        Err(error) => return Err(unseen(operation, &error)),
    };
    let text = |member: Option<&str>, name: &str| {
        member
            .map(str::to_owned)
            .ok_or_else(|| incomplete(operation, name))
    };
    let rule = EventRule {
        name: text(output.name(), "Name")?,
        arn: text(output.arn(), "Arn")?,
        state: text(output.state().map(RuleState::as_str), "State")?,
        pattern: output.event_pattern().map(str::to_owned),
    };
    Ok((
        Answer::EventRule(Some(rule)),
        aws.origin(output.request_id()),
    ))
}

/// `ListTargetsByRule`, every page. A rule that is gone has no first page.
pub(super) async fn targets(aws: &Aws, rule: &str) -> Seen {
    let operation = "events:ListTargetsByRule";
    let pages = confirmed(operation, &aws.region, |token, size| async move {
        let output = match aws
            .events
            .list_targets_by_rule()
            .rule(rule)
            .limit(size.unwrap_or(100))
            .set_next_token(token)
            .send()
            .await
        {
            Ok(output) => output,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(ListTargetsByRuleError::is_resource_not_found_exception) =>
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
                .targets()
                .iter()
                .map(|row| Some(target(row)))
                .collect(),
        })
    })
    .await;
    let (rows, origin): (Vec<Option<EventTarget>>, Origin) = pages?;
    Ok((Answer::EventTargets(rows.into_iter().collect()), origin))
}

fn target(row: &Target) -> EventTarget {
    let retry = row.retry_policy();
    EventTarget {
        id: row.id().to_owned(),
        arn: row.arn().to_owned(),
        whole_event: row.input().is_none()
            && row.input_path().is_none_or(|path| path == "$")
            && row.input_transformer().is_none(),
        maximum_retries: retry
            .and_then(RetryPolicy::maximum_retry_attempts)
            .map(i64::from),
        maximum_event_age: retry
            .and_then(RetryPolicy::maximum_event_age_in_seconds)
            .map(i64::from),
        dead_letter_queue: row
            .dead_letter_config()
            .and_then(|config| config.arn())
            .map(str::to_owned),
    }
}

/// `TestEventPattern`.
pub(super) async fn matches(aws: &Aws, pattern: &str, event: &str) -> Seen {
    let operation = "events:TestEventPattern";
    let output = aws
        .events
        .test_event_pattern()
        .event_pattern(pattern)
        .event(event)
        .send()
        .await
        .map_err(|error| unseen(operation, &error))?;
    Ok((
        Answer::EventMatch(output.result()),
        aws.origin(output.request_id()),
    ))
}
