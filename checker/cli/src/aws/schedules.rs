//! Event rules that run on a schedule, with their targets. The default bus alone takes schedules.

use aws_sdk_eventbridge::operation::RequestId as _;
use aws_sdk_eventbridge::types::{InputTransformer, Target};
use checker_core::observation::answer::{ScheduledRule, ScheduledTarget};
use checker_core::observation::{Answer, Origin, Unseen};

use super::page::{Page, confirmed};
use super::unseen::{incomplete, unseen};
use super::{Aws, Seen};

/// `ListRules`, every page, then `ListTargetsByRule` for each rule with a schedule.
pub(super) async fn list(aws: &Aws) -> Seen {
    let (mut rules, mut origin) = rules(aws).await?;
    for rule in &mut rules {
        let (targets, further) = targets(aws, &rule.name).await?;
        rule.targets = targets;
        origin.request_ids.extend(further.request_ids);
        origin.pages += further.pages;
    }
    Ok((Answer::Schedules(rules), origin))
}

async fn rules(aws: &Aws) -> Result<(Vec<ScheduledRule>, Origin), Unseen> {
    let (rules, origin) = every_rule(aws).await?;
    Ok((rules.into_iter().flatten().collect(), origin))
}

/// Every rule; one without a schedule is nothing here, and still counts when the list is confirmed.
async fn every_rule(aws: &Aws) -> Result<(Vec<Option<ScheduledRule>>, Origin), Unseen> {
    let operation = "events:ListRules";
    confirmed(operation, &aws.region, |token, size| async move {
        let output = aws
            .events
            .list_rules()
            .limit(size.unwrap_or(100))
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| unseen(operation, &error))?;
        let mut rows = Vec::new();
        for row in output.rules() {
            let Some(expression) = row.schedule_expression() else {
                rows.push(None);
                continue;
            };
            rows.push(Some(ScheduledRule {
                arn: row
                    .arn()
                    .ok_or_else(|| incomplete(operation, "Arn"))?
                    .to_owned(),
                name: row
                    .name()
                    .ok_or_else(|| incomplete(operation, "Name"))?
                    .to_owned(),
                expression: expression.to_owned(),
                targets: Vec::new(),
            }));
        }
        Ok(Page {
            next: output.next_token().map(str::to_owned),
            request_id: output.request_id().map(str::to_owned),
            rows,
        })
    })
    .await
}

async fn targets(aws: &Aws, rule: &str) -> Result<(Vec<ScheduledTarget>, Origin), Unseen> {
    let operation = "events:ListTargetsByRule";
    confirmed(operation, &aws.region, |token, size| async move {
        let output = aws
            .events
            .list_targets_by_rule()
            .rule(rule)
            .limit(size.unwrap_or(100))
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| unseen(operation, &error))?;
        Ok(Page {
            next: output.next_token().map(str::to_owned),
            request_id: output.request_id().map(str::to_owned),
            rows: output.targets().iter().map(target).collect(),
        })
    })
    .await
}

/// What is kept of a target: its input is searched here and dropped.
fn target(target: &Target) -> ScheduledTarget {
    let texts = [
        Some(target.arn()),
        target.input(),
        target
            .input_transformer()
            .map(InputTransformer::input_template),
    ];
    ScheduledTarget {
        id: target.id().to_owned(),
        arn: target.arn().to_owned(),
        calls_rotate_secret: texts.into_iter().flatten().any(names_rotation),
    }
}

/// Whether a text names `RotateSecret`, in any API's spelling, or a step of a rotation.
fn names_rotation(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    [
        "rotatesecret",
        "rotate_secret",
        "rotate-secret",
        "createsecret\"",
        "finishsecret",
    ]
    .iter()
    .any(|word| text.contains(word))
}
