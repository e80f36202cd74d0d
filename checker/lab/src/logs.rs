//! `CloudWatch` Logs: groups, streams, events, retention, protection, filters.
//!
//! Strict where AWS is: only the enumerated retention values, an account policy overrides a group's own retention (a
//! day after it was put, the longest of several), a protected group and its streams can't be deleted, events too old,
//! too new or expired are rejected inside a success. Expired events are gone at once, where AWS takes up to 72 hours.
//! It does not serve data protection, subscription and metric filters (listings are empty), Insights, or filter
//! patterns for space-delimited events and regular expressions (refused).

mod account_policies;
mod groups;
mod pattern;
mod resource_policies;
mod streams;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::service::{Answer, ApiError, Call, page};
use crate::tagging::Tags;
use crate::world::World;
use account_policies::AccountPolicy;
use resource_policies::ResourcePolicy;
use streams::Stream;
pub(crate) use streams::{Unwritten, append_as_service, write};

/// What the service keeps, by region and name.
#[derive(Default)]
pub(crate) struct State {
    groups: BTreeMap<(String, String), Group>,
    account_policies: BTreeMap<(String, String), AccountPolicy>,
    resource_policies: BTreeMap<(String, String), ResourcePolicy>,
    /// The number of the next event.
    next_event: u64,
}

struct Group {
    name: String,
    /// Without the trailing `:*`.
    arn: String,
    created: DateTime<Utc>,
    retention: Option<i64>,
    protected: bool,
    key: Option<String>,
    class: String,
    tags: Tags,
    streams: BTreeMap<String, Stream>,
}

pub(crate) fn handle(world: &mut World, call: &Call<'_>) -> Answer {
    match call.operation {
        "CreateLogGroup" => groups::create(world, call),
        "DeleteLogGroup" => groups::delete(&mut world.logs, call),
        "DescribeLogGroups" => groups::describe(&world.logs, call),
        "PutRetentionPolicy" => groups::put_retention(&mut world.logs, call),
        "DeleteRetentionPolicy" => groups::delete_retention(&mut world.logs, call),
        "PutLogGroupDeletionProtection" => groups::put_protection(&mut world.logs, call),
        "TagResource" => groups::tag(&mut world.logs, call),
        "ListTagsForResource" => groups::list_tags(&world.logs, call),
        "AssociateKmsKey" => groups::associate_key(world, call),
        "DisassociateKmsKey" => groups::disassociate_key(&mut world.logs, call),
        "DescribeSubscriptionFilters" => {
            group_by_name(&world.logs, call)?;
            Ok(json!({"subscriptionFilters": []}))
        }
        "CreateLogStream" => streams::create(&mut world.logs, call),
        "DeleteLogStream" => streams::delete(&mut world.logs, call),
        "DescribeLogStreams" => streams::describe(&world.logs, call),
        "PutLogEvents" => streams::put_events(&mut world.logs, call),
        "GetLogEvents" => streams::get_events(&world.logs, call),
        "FilterLogEvents" => streams::filter_events(&world.logs, call),
        "PutAccountPolicy" => account_policies::put(&mut world.logs, call),
        "DescribeAccountPolicies" => account_policies::describe(&world.logs, call),
        "PutResourcePolicy" => resource_policies::put(world, call),
        "DescribeResourcePolicies" => resource_policies::describe(&world.logs, call),
        _ => Err(call.unserved()),
    }
}

impl State {
    /// Tagged resources, for the tagging API.
    pub(crate) fn tagged(&self) -> Vec<(&str, &Tags)> {
        self.groups
            .values()
            .map(|group| (group.arn.as_str(), &group.tags))
            .collect()
    }

    /// The retention that counts, in days, and the account policy that sets it.
    fn retention(&self, group: &Group, now: DateTime<Utc>) -> (Option<i64>, Option<&str>) {
        account_policies::retention_for(self, group, now)
            .map_or((group.retention, None), |(days, policy)| {
                (days, Some(policy))
            })
    }
}

/// The group that a call names by `logGroupName`.
fn group_by_name<'a>(state: &'a State, call: &Call<'_>) -> Result<&'a Group, ApiError> {
    let name = call.required("logGroupName")?;
    state
        .groups
        .get(&(call.region.to_owned(), name.to_owned()))
        .ok_or_else(no_group)
}

fn group_by_name_mut<'a>(state: &'a mut State, call: &Call<'_>) -> Result<&'a mut Group, ApiError> {
    let name = call.required("logGroupName")?;
    state
        .groups
        .get_mut(&(call.region.to_owned(), name.to_owned()))
        .ok_or_else(no_group)
}

/// The group that a call names by `logGroupName` or `logGroupIdentifier` (name or ARN), exactly one of them.
fn named_group<'a>(state: &'a State, call: &Call<'_>) -> Result<&'a Group, ApiError> {
    match (call.text("logGroupName"), call.text("logGroupIdentifier")) {
        (Some(_), None) => group_by_name(state, call),
        (None, Some(identifier)) => state
            .groups
            .get(&key_of(identifier, call))
            .ok_or_else(no_group),
        (Some(_), Some(_)) => Err(invalid(
            "LogGroup name and LogGroup ARN are mutually exclusive parameters.",
        )),
        (None, None) => Err(invalid(
            "One of logGroupName or logGroupIdentifier must be given.",
        )),
    }
}

/// The key of a group by its name or ARN, with or without `:*`.
fn key_of(identifier: &str, call: &Call<'_>) -> (String, String) {
    let name = identifier
        .split_once(":log-group:")
        .map_or(identifier, |(_, name)| name);
    let region = identifier
        .split(':')
        .nth(3)
        .filter(|_| identifier.starts_with("arn:"))
        .unwrap_or(call.region);
    (region.to_owned(), name.trim_end_matches(":*").to_owned())
}

/// One page under `member`, with `nextToken`.
fn listing(call: &Call<'_>, member: &str, rows: Vec<Value>, default: usize) -> Answer {
    let size = call
        .number("limit")
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(default);
    let (rows, next) = page(rows, call.text("nextToken"), size)
        .map_err(|_| invalid("The specified nextToken is invalid."))?;
    let mut answer = Map::new();
    answer.insert(member.to_owned(), rows.into());
    if let Some(next) = next {
        answer.insert("nextToken".to_owned(), next.into());
    }
    Ok(answer.into())
}

fn millis(at: DateTime<Utc>) -> Value {
    at.timestamp_millis().into()
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterException", message)
}

fn no_group() -> ApiError {
    ApiError::new(
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    )
}
