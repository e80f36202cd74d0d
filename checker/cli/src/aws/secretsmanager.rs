//! Secrets: the list, and what only single calls tell. No operation that returns a value is called here.

use std::collections::BTreeMap;

use aws_sdk_secretsmanager::operation::RequestId as _;
use aws_sdk_secretsmanager::types::SecretListEntry;
use aws_smithy_types::DateTime;
use checker_core::observation::answer::{
    DescribedSecret, ListedSecret, RotationRules, SecretVersion, Tags,
};
use checker_core::observation::{Answer, Time, Unseen};

use super::page::{Page, confirmed, every};
use super::unseen::{incomplete, unseen};
use super::{Aws, Seen};

/// `ListSecrets`, every page, secrets pending deletion included.
pub(super) async fn list(aws: &Aws) -> Seen {
    let operation = "secretsmanager:ListSecrets";
    let (rows, origin) = confirmed(operation, &aws.region, |token, size| async move {
        let output = aws
            .secretsmanager
            .list_secrets()
            .include_planned_deletion(true)
            .max_results(size.unwrap_or(100))
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| unseen(operation, &error))?;
        let entries = output.secret_list().iter();
        let rows: Result<Vec<_>, _> = entries.map(|entry| listed(operation, entry)).collect();
        let mut rows = rows?;
        Tags::share(rows.iter_mut().map(|row| &mut row.tags));
        Ok(Page {
            next: output.next_token().map(str::to_owned),
            request_id: output.request_id().map(str::to_owned),
            rows,
        })
    })
    .await?;
    Ok((Answer::Secrets(rows), origin))
}

fn listed(operation: &str, entry: &SecretListEntry) -> Result<ListedSecret, Unseen> {
    let text = |member: Option<&str>, name: &str| {
        member
            .map(str::to_owned)
            .ok_or_else(|| incomplete(operation, name))
    };
    let mut version_stages: BTreeMap<String, Vec<String>> = entry
        .secret_versions_to_stages()
        .map(|versions| versions.clone().into_iter().collect())
        .unwrap_or_default();
    for stages in version_stages.values_mut() {
        stages.sort();
    }
    Ok(ListedSecret {
        arn: text(entry.arn(), "ARN")?,
        name: text(entry.name(), "Name")?,
        kms_key_id: entry.kms_key_id().map(str::to_owned),
        rotation_enabled: entry.rotation_enabled().unwrap_or(false),
        rotation_function_arn: entry.rotation_lambda_arn().map(str::to_owned),
        rotation_rules: entry.rotation_rules().map(|rules| RotationRules {
            automatically_after_days: rules.automatically_after_days(),
            duration: rules.duration().map(str::to_owned),
            schedule_expression: rules.schedule_expression().map(str::to_owned),
        }),
        created: time(entry.created_date()),
        last_changed: time(entry.last_changed_date()),
        last_rotated: time(entry.last_rotated_date()),
        deleted: time(entry.deleted_date()),
        next_rotation: time(entry.next_rotation_date()),
        tags: entry
            .tags()
            .iter()
            .map(|tag| {
                (
                    tag.key().unwrap_or_default().to_owned(),
                    tag.value().unwrap_or_default().to_owned(),
                )
            })
            .collect::<BTreeMap<_, _>>()
            .into(),
        version_stages: version_stages.into(),
        owning_service: entry.owning_service().map(str::to_owned),
        primary_region: entry.primary_region().map(str::to_owned),
    })
}

/// `DescribeSecret`.
pub(super) async fn describe(aws: &Aws, arn: &str) -> Seen {
    let operation = "secretsmanager:DescribeSecret";
    let output = match aws
        .secretsmanager
        .describe_secret()
        .secret_id(arn)
        .send()
        .await
    {
        Ok(output) => output,
        Err(error)
            if error
                .as_service_error()
                .is_some_and(aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretError::is_resource_not_found_exception) =>
        {
            return Ok((Answer::Secret(None), aws.origin(None)));
        }
        Err(error) => return Err(unseen(operation, &error)),
    };
    let mut replica_regions: Vec<String> = output
        .replication_status()
        .iter()
        .filter_map(|replica| replica.region().map(str::to_owned))
        .collect();
    replica_regions.sort();
    let secret = DescribedSecret {
        arn: output
            .arn()
            .ok_or_else(|| incomplete(operation, "ARN"))?
            .to_owned(),
        replica_regions,
    };
    Ok((
        Answer::Secret(Some(secret)),
        aws.origin(output.request_id()),
    ))
}

/// `ListSecretVersionIds`, every page.
pub(super) async fn versions(aws: &Aws, arn: &str) -> Seen {
    let operation = "secretsmanager:ListSecretVersionIds";
    let (rows, origin) = every(operation, &aws.region, |token| async move {
        let output = aws
            .secretsmanager
            .list_secret_version_ids()
            .secret_id(arn)
            .max_results(100)
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| unseen(operation, &error))?;
        Ok(Page {
            next: output.next_token().map(str::to_owned),
            request_id: output.request_id().map(str::to_owned),
            rows: output
                .versions()
                .iter()
                .map(|version| SecretVersion {
                    id: version.version_id().unwrap_or_default().to_owned(),
                    created: time(version.created_date()),
                    stages: version.version_stages().to_vec(),
                })
                .collect(),
        })
    })
    .await?;
    Ok((Answer::SecretVersions(rows), origin))
}

/// `GetResourcePolicy`.
pub(super) async fn policy(aws: &Aws, arn: &str) -> Seen {
    let operation = "secretsmanager:GetResourcePolicy";
    let output = aws
        .secretsmanager
        .get_resource_policy()
        .secret_id(arn)
        .send()
        .await
        .map_err(|error| unseen(operation, &error))?;
    Ok((
        Answer::SecretPolicy(output.resource_policy().map(str::to_owned)),
        aws.origin(output.request_id()),
    ))
}

/// A time of AWS in UTC; one out of range is none, and what needs it is Inconclusive.
fn time(at: Option<&DateTime>) -> Option<Time> {
    // Fractions arrive as floating-point seconds, exact to the millisecond at best.
    chrono::DateTime::from_timestamp_millis(at?.to_millis().ok()?)
}
