//! Log groups and the account's policies on their retention.

use aws_sdk_cloudwatchlogs::operation::RequestId as _;
use aws_sdk_cloudwatchlogs::types::{LogGroup as Row, PolicyType};
use checker_core::observation::answer::{LogGroup, RetentionPolicy};
use checker_core::observation::{Answer, Unseen};

use super::page::{Page, confirmed, every};
use super::unseen::{incomplete, unseen};
use super::{Aws, Seen};

/// `DescribeLogGroups` with the name as prefix, every page; other groups that begin alike are left out.
pub(super) async fn group(aws: &Aws, name: &str) -> Seen {
    let operation = "logs:DescribeLogGroups";
    let (rows, origin) = confirmed(operation, &aws.region, |token, size| async move {
        let output = aws
            .logs
            .describe_log_groups()
            .log_group_name_prefix(name)
            .set_limit(size.map(|size| size.min(50)))
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| unseen(operation, &error))?;
        Ok(Page {
            next: output.next_token().map(str::to_owned),
            request_id: output.request_id().map(str::to_owned),
            rows: output
                .log_groups()
                .iter()
                .map(|row| group_of(operation, row))
                .collect::<Result<_, _>>()?,
        })
    })
    .await?;
    let group = rows.into_iter().find(|group: &LogGroup| group.name == name);
    Ok((Answer::LogGroup(group), origin))
}

fn group_of(operation: &str, row: &Row) -> Result<LogGroup, Unseen> {
    let text = |member: Option<&str>, name: &str| {
        member
            .map(str::to_owned)
            .ok_or_else(|| incomplete(operation, name))
    };
    Ok(LogGroup {
        name: text(row.log_group_name(), "logGroupName")?,
        arn: text(row.arn(), "arn")?.trim_end_matches(":*").to_owned(),
        retention_days: row.retention_in_days().map(i64::from),
        retention_policy: row.retention_policy_name().map(str::to_owned),
        deletion_protected: row.deletion_protection_enabled().unwrap_or(false),
        key: row.kms_key_id().map(str::to_owned),
    })
}

/// `DescribeAccountPolicies` on retention, every page.
pub(super) async fn retention_policies(aws: &Aws) -> Seen {
    let operation = "logs:DescribeAccountPolicies";
    let (rows, origin) = every(operation, &aws.region, |token| async move {
        let output = aws
            .logs
            .describe_account_policies()
            .policy_type(PolicyType::RetentionPolicy)
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| unseen(operation, &error))?;
        let text = |member: Option<&str>, name: &str| {
            member
                .map(str::to_owned)
                .ok_or_else(|| incomplete(operation, name))
        };
        Ok(Page {
            next: output.next_token().map(str::to_owned),
            request_id: output.request_id().map(str::to_owned),
            rows: output
                .account_policies()
                .iter()
                .map(|row| {
                    Ok(RetentionPolicy {
                        name: text(row.policy_name(), "policyName")?,
                        document: text(row.policy_document(), "policyDocument")?,
                        selection: row.selection_criteria().map(str::to_owned),
                    })
                })
                .collect::<Result<_, _>>()?,
        })
    })
    .await?;
    Ok((Answer::RetentionPolicies(rows), origin))
}
