//! Log groups: retention, deletion protection, key, tags.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::{Group, State, group_by_name_mut, invalid, key_of, listing, millis, no_group};
use crate::iam::resource_access::ActingService;
use crate::service::{Answer, ApiError, Call};
use crate::tagging::Tags;
use crate::world::World;

/// The only retention periods there are, in days.
pub(super) const RETENTIONS: [i64; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];

pub(super) fn create(world: &mut World, call: &Call<'_>) -> Answer {
    let name = call.required("logGroupName")?;
    if name.starts_with("aws/") {
        return Err(invalid(
            "Log groups starting with AWS/ are reserved for AWS.",
        ));
    }
    let key = (call.region.to_owned(), name.to_owned());
    if world.logs.groups.contains_key(&key) {
        return Err(ApiError::new(
            "ResourceAlreadyExistsException",
            "The specified log group already exists",
        ));
    }
    let arn = call.arn(&format!("log-group:{name}"));
    let kms_key = call
        .text("kmsKeyId")
        .map(|text| checked_key(world, call, &arn, text))
        .transpose()?;
    let class = call.text("logGroupClass").unwrap_or("STANDARD");
    let tags = call
        .object("tags")
        .map(Tags::from_map)
        .transpose()
        .map_err(invalid)?
        .unwrap_or_default();
    let group = Group {
        protected: call.flag("deletionProtectionEnabled").unwrap_or(false),
        key: kms_key,
        class: class.to_owned(),
        tags,
        ..Group::new(name, arn, call.now)
    };
    world.logs.groups.insert(key, group);
    Ok(json!({}))
}

pub(super) fn delete(state: &mut State, call: &Call<'_>) -> Answer {
    let group = group_by_name_mut(state, call)?;
    refuse_if_protected(group)?;
    let key = (call.region.to_owned(), group.name.clone());
    state.groups.remove(&key);
    Ok(json!({}))
}

pub(super) fn describe(state: &State, call: &Call<'_>) -> Answer {
    let (prefix, part) = (
        call.text("logGroupNamePrefix"),
        call.text("logGroupNamePattern"),
    );
    if prefix.is_some() && part.is_some() {
        return Err(invalid(
            "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.",
        ));
    }
    if call.flag("includeLinkedAccounts").unwrap_or(false)
        || !call.list("accountIdentifiers").is_empty()
    {
        return Err(invalid("the lab has no linked accounts"));
    }
    let identifiers: Vec<(String, String)> = call
        .list("logGroupIdentifiers")
        .iter()
        .filter_map(Value::as_str)
        .map(|each| key_of(each, call))
        .collect();
    let rows = state
        .groups
        .iter()
        .filter(|((region, name), group)| {
            region == call.region
                && prefix.is_none_or(|prefix| name.starts_with(prefix))
                && part.is_none_or(|part| name.to_lowercase().contains(&part.to_lowercase()))
                && call
                    .text("logGroupClass")
                    .is_none_or(|class| group.class == class)
        })
        .filter(|(key, _)| identifiers.is_empty() || identifiers.contains(key))
        .map(|(_, group)| row(state, group, call.now))
        .collect();
    listing(call, "logGroups", rows, 50)
}

pub(super) fn put_retention(state: &mut State, call: &Call<'_>) -> Answer {
    let days = call.number("retentionInDays").unwrap_or_default();
    if !RETENTIONS.contains(&days) {
        let valid: Vec<String> = RETENTIONS.iter().map(ToString::to_string).collect();
        return Err(invalid(format!(
            "1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum value set: [{}]",
            valid.join(", ")
        )));
    }
    group_by_name_mut(state, call)?.retention = Some(days);
    Ok(json!({}))
}

pub(super) fn delete_retention(state: &mut State, call: &Call<'_>) -> Answer {
    group_by_name_mut(state, call)?.retention = None;
    Ok(json!({}))
}

pub(super) fn put_protection(state: &mut State, call: &Call<'_>) -> Answer {
    let key = key_of(call.required("logGroupIdentifier")?, call);
    let group = state.groups.get_mut(&key).ok_or_else(no_group)?;
    group.protected = call.flag("deletionProtectionEnabled").unwrap_or(false);
    Ok(json!({}))
}

pub(super) fn tag(state: &mut State, call: &Call<'_>) -> Answer {
    let more = call
        .object("tags")
        .map(Tags::from_map)
        .transpose()
        .map_err(invalid)?
        .unwrap_or_default();
    let key = key_of(call.required("resourceArn")?, call);
    let group = state.groups.get_mut(&key).ok_or_else(no_group)?;
    let mut merged = group.tags.clone();
    merged.merge(more);
    if merged.entries().len() > Tags::LIMIT {
        return Err(ApiError::new(
            "TooManyTagsException",
            "A resource can have no more than 50 tags.",
        ));
    }
    group.tags = merged;
    Ok(json!({}))
}

pub(super) fn list_tags(state: &State, call: &Call<'_>) -> Answer {
    let key = key_of(call.required("resourceArn")?, call);
    let group = state.groups.get(&key).ok_or_else(no_group)?;
    Ok(json!({"tags": group.tags.to_map()}))
}

pub(super) fn associate_key(world: &mut World, call: &Call<'_>) -> Answer {
    let arn = keyed_group(&mut world.logs, call)?.arn.clone();
    let key = checked_key(world, call, &arn, call.required("kmsKeyId")?)?;
    keyed_group(&mut world.logs, call)?.key = Some(key);
    Ok(json!({}))
}

pub(super) fn disassociate_key(state: &mut State, call: &Call<'_>) -> Answer {
    keyed_group(state, call)?.key = None;
    Ok(json!({}))
}

impl Group {
    /// A group with AWS's defaults: kept for ever, unprotected, encrypted with the service's own key.
    pub(super) fn new(name: &str, arn: String, now: DateTime<Utc>) -> Self {
        Self {
            name: name.to_owned(),
            arn,
            created: now,
            retention: None,
            protected: false,
            key: None,
            class: "STANDARD".to_owned(),
            tags: Tags::default(),
            streams: BTreeMap::new(),
        }
    }
}

/// "Deletion protection blocks all deletion operations", of the group's streams too.
pub(super) fn refuse_if_protected(group: &Group) -> Result<(), ApiError> {
    if group.protected {
        return Err(ApiError::new(
            "ValidationException",
            format!(
                "Deletion protection is enabled for log group {}. Disable it before deleting.",
                group.name
            ),
        ));
    }
    Ok(())
}

fn keyed_group<'a>(state: &'a mut State, call: &Call<'_>) -> Result<&'a mut Group, ApiError> {
    match (call.text("logGroupName"), call.text("resourceIdentifier")) {
        (Some(_), None) => group_by_name_mut(state, call),
        (None, Some(identifier)) => state
            .groups
            .get_mut(&key_of(identifier, call))
            .ok_or_else(no_group),
        (Some(_), Some(_)) | (None, None) => Err(invalid(
            "Exactly one of logGroupName and resourceIdentifier must be given.",
        )),
    }
}

/// A group's key is given by the key's ARN and by nothing else, and its policy must let the Logs service use it.
fn checked_key(
    world: &World,
    call: &Call<'_>,
    group_arn: &str,
    text: &str,
) -> Result<String, ApiError> {
    let missing = || invalid("The specified KMS Key Id could not be found.");
    if !text.starts_with("arn:")
        || !text.contains(":key/")
        || !world.kms.usable(call.region, call.account, text)
    {
        return Err(missing());
    }
    let key = world.kms.by_arn(text).ok_or_else(missing)?;
    let service = ActingService {
        principal: &format!("logs.{}.amazonaws.com", call.region),
        source_arn: group_arn,
        source_account: call.account,
    };
    let needed = [
        "kms:Encrypt",
        "kms:Decrypt",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
        "kms:GenerateDataKey",
        "kms:DescribeKey",
    ];
    let context = [("kms:EncryptionContext:aws:logs:arn", group_arn)];
    if needed
        .iter()
        .all(|action| service.may_with(action, text, Some(&key.policy), &context))
    {
        return Ok(text.to_owned());
    }
    Err(invalid(format!(
        "The specified KMS key does not exist or is not allowed to be used with Arn '{group_arn}'"
    )))
}

fn row(state: &State, group: &Group, now: DateTime<Utc>) -> Value {
    let (retention, policy) = state.retention(group, now);
    let bytes: usize = group
        .streams
        .values()
        .map(super::Stream::stored_bytes)
        .sum();
    let mut row: Map<String, Value> = [
        ("logGroupName", group.name.as_str().into()),
        ("creationTime", millis(group.created)),
        ("metricFilterCount", 0.into()),
        ("arn", format!("{}:*", group.arn).into()),
        ("logGroupArn", group.arn.as_str().into()),
        ("storedBytes", bytes.into()),
        ("logGroupClass", group.class.as_str().into()),
        ("deletionProtectionEnabled", group.protected.into()),
    ]
    .into_iter()
    .map(|(name, value): (&str, Value)| (name.to_owned(), value))
    .collect();
    let optional = [
        ("retentionInDays", retention.map(Value::from)),
        ("retentionPolicyName", policy.map(Value::from)),
        ("kmsKeyId", group.key.as_deref().map(Value::from)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            row.insert(name.to_owned(), value);
        }
    }
    row.into()
}
