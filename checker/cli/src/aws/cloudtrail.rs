//! Trails: which there are, whether they log, and what they record.

use aws_sdk_cloudtrail::operation::RequestId as _;
use aws_sdk_cloudtrail::operation::get_event_selectors::GetEventSelectorsError;
use aws_sdk_cloudtrail::operation::get_trail_status::GetTrailStatusError;
use aws_sdk_cloudtrail::types::{AdvancedEventSelector, EventSelector};
use checker_core::observation::Answer;
use checker_core::observation::answer::{
    AdvancedSelector, BasicSelector, FieldSelector, Trail, TrailSelectors,
};

use super::unseen::{incomplete, unseen};
use super::{Aws, Seen};

/// `DescribeTrails`, which has no pages: trails of this region, and those of others that record it.
pub(super) async fn trails(aws: &Aws) -> Seen {
    let operation = "cloudtrail:DescribeTrails";
    let output = aws
        .cloudtrail
        .describe_trails()
        .include_shadow_trails(true)
        .send()
        .await
        .map_err(|error| unseen(operation, &error))?;
    let text = |member: Option<&str>, name: &str| {
        member
            .map(str::to_owned)
            .ok_or_else(|| incomplete(operation, name))
    };
    let mut trails = output
        .trail_list()
        .iter()
        .map(|row| {
            Ok(Trail {
                name: text(row.name(), "Name")?,
                arn: text(row.trail_arn(), "TrailARN")?,
                home_region: text(row.home_region(), "HomeRegion")?,
                multi_region: row.is_multi_region_trail().unwrap_or(false),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    trails.sort_by(|left, right| left.arn.cmp(&right.arn));
    Ok((Answer::Trails(trails), aws.origin(output.request_id())))
}

/// `GetTrailStatus`.
pub(super) async fn logging(aws: &Aws, arn: &str) -> Seen {
    let operation = "cloudtrail:GetTrailStatus";
    match aws.cloudtrail.get_trail_status().name(arn).send().await {
        Ok(output) => Ok((
            Answer::TrailLogging(Some(
                output
                    .is_logging()
                    .ok_or_else(|| incomplete(operation, "IsLogging"))?,
            )),
            aws.origin(output.request_id()),
        )),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(GetTrailStatusError::is_trail_not_found_exception) =>
        {
            Ok((Answer::TrailLogging(None), aws.origin(None)))
        }
        Err(error) => Err(unseen(operation, &error)),
    }
}

/// `GetEventSelectors`.
pub(super) async fn selectors(aws: &Aws, arn: &str) -> Seen {
    let operation = "cloudtrail:GetEventSelectors";
    match aws
        .cloudtrail
        .get_event_selectors()
        .trail_name(arn)
        .send()
        .await
    {
        Ok(output) => Ok((
            Answer::TrailSelectors(Some(TrailSelectors {
                basic: output.event_selectors().iter().map(basic).collect(),
                advanced: output
                    .advanced_event_selectors()
                    .iter()
                    .map(advanced)
                    .collect(),
            })),
            aws.origin(output.request_id()),
        )),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(GetEventSelectorsError::is_trail_not_found_exception) =>
        {
            Ok((Answer::TrailSelectors(None), aws.origin(None)))
        }
        Err(error) => Err(unseen(operation, &error)),
    }
}

/// What is left out of a basic selector has AWS's defaults: all management events.
fn basic(row: &EventSelector) -> BasicSelector {
    BasicSelector {
        read_write: row
            .read_write_type()
            .map_or("All", |kind| kind.as_str())
            .to_owned(),
        management: row.include_management_events().unwrap_or(true),
        excluded_sources: row.exclude_management_event_sources().to_vec(),
    }
}

fn advanced(row: &AdvancedEventSelector) -> AdvancedSelector {
    AdvancedSelector {
        fields: row
            .field_selectors()
            .iter()
            .map(|field| FieldSelector {
                field: field.field().to_owned(),
                equals: field.equals().to_vec(),
                starts_with: field.starts_with().to_vec(),
                ends_with: field.ends_with().to_vec(),
                not_equals: field.not_equals().to_vec(),
                not_starts_with: field.not_starts_with().to_vec(),
                not_ends_with: field.not_ends_with().to_vec(),
            })
            .collect(),
    }
}
