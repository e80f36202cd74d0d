//! Trails: made, switched on and off, described.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use super::State;
use super::selectors::Selectors;
use crate::service::{Answer, ApiError, Call, timestamp};
use crate::tagging::Tags;

/// AWS's quota per region.
const LIMIT: usize = 5;

#[derive(Debug)]
pub(super) struct Trail {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) region: String,
    pub(super) multi_region: bool,
    pub(super) selectors: Selectors,
    pub(super) tags: Tags,
    /// What was given when it was made, by the names of the answers.
    settings: Map<String, Value>,
    started: Option<DateTime<Utc>>,
    stopped: Option<DateTime<Utc>>,
    logging: bool,
}

impl Trail {
    pub(super) fn is_logging(&self) -> bool {
        self.logging
    }

    /// What is the same in all answers.
    fn summary(&self) -> Map<String, Value> {
        let mut summary = self.settings.clone();
        summary.insert("Name".to_owned(), self.name.as_str().into());
        summary.insert("TrailARN".to_owned(), self.arn.as_str().into());
        summary.insert("IsMultiRegionTrail".to_owned(), self.multi_region.into());
        summary.insert("IsOrganizationTrail".to_owned(), false.into());
        summary
    }

    fn view(&self) -> Value {
        let mut view = self.summary();
        view.insert("HomeRegion".to_owned(), self.region.as_str().into());
        view.insert(
            "HasCustomEventSelectors".to_owned(),
            self.selectors.are_custom().into(),
        );
        view.insert("HasInsightSelectors".to_owned(), false.into());
        view.into()
    }
}

pub(super) fn create(state: &mut State, call: &Call<'_>) -> Answer {
    let name = call.required("Name")?;
    check_name(name)?;
    let key = (call.region.to_owned(), name.to_owned());
    if state.trails.contains_key(&key) {
        return Err(ApiError::new(
            "TrailAlreadyExistsException",
            format!("Trail {name} already exists for customer: {}", call.account),
        ));
    }
    if state
        .trails
        .values()
        .filter(|trail| trail.region == call.region)
        .count()
        >= LIMIT
    {
        return Err(ApiError::new(
            "MaximumNumberOfTrailsExceededException",
            format!(
                "User: {} already has {LIMIT} trails in {}.",
                call.account, call.region
            ),
        ));
    }
    if call.flag("IsOrganizationTrail").unwrap_or(false) {
        return Err(ApiError::new(
            "OrganizationsNotInUseException",
            "The lab's account belongs to no organization.",
        ));
    }
    let multi_region = call.flag("IsMultiRegionTrail").unwrap_or(false);
    let global = call.flag("IncludeGlobalServiceEvents").unwrap_or(true);
    if multi_region && !global {
        return Err(ApiError::new(
            "InvalidParameterCombinationException",
            "Multi-Region trail must include global service events.",
        ));
    }
    if let Some(key) = call
        .text("KmsKeyId")
        .filter(|key| key.starts_with("arn:") && !key.contains(":kms:"))
    {
        return Err(ApiError::new(
            "InvalidKmsKeyIdException",
            format!("{key} is no KMS key."),
        ));
    }
    let logs = (
        call.text("CloudWatchLogsLogGroupArn"),
        call.text("CloudWatchLogsRoleArn"),
    );
    if matches!(logs, (Some(_), None) | (None, Some(_))) {
        return Err(ApiError::new(
            "InvalidCloudWatchLogsLogGroupArnException",
            "CloudWatch Logs log group and role must be given together.",
        ));
    }
    let mut settings = Map::new();
    for member in [
        "S3BucketName",
        "S3KeyPrefix",
        "CloudWatchLogsLogGroupArn",
        "CloudWatchLogsRoleArn",
        "KmsKeyId",
    ] {
        if let Some(text) = call.text(member).filter(|text| !text.is_empty()) {
            settings.insert(member.to_owned(), text.into());
        }
    }
    if let Some(topic) = call.text("SnsTopicName") {
        let arn = if topic.starts_with("arn:") {
            topic.to_owned()
        } else {
            format!("arn:aws:sns:{}:{}:{topic}", call.region, call.account)
        };
        settings.insert(
            "SnsTopicName".to_owned(),
            arn.rsplit(':').next().unwrap_or_default().into(),
        );
        settings.insert("SnsTopicARN".to_owned(), arn.into());
    }
    settings.insert("IncludeGlobalServiceEvents".to_owned(), global.into());
    let validated = call.flag("EnableLogFileValidation").unwrap_or(false);
    settings.insert("LogFileValidationEnabled".to_owned(), validated.into());
    let trail = Trail {
        name: name.to_owned(),
        arn: call.arn(&format!("trail/{name}")),
        region: call.region.to_owned(),
        multi_region,
        selectors: Selectors::default(),
        tags: tags(call)?,
        settings,
        started: None,
        stopped: None,
        logging: false,
    };
    let answer = trail.summary();
    state.trails.insert(key, trail);
    Ok(answer.into())
}

/// Multi-region trails of other regions show up as shadows unless they are not wanted.
pub(super) fn describe(state: &State, call: &Call<'_>) -> Value {
    let names: Vec<&str> = call
        .list("trailNameList")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let shadows = call.flag("includeShadowTrails").unwrap_or(true);
    let rows: Vec<Value> = state
        .trails
        .values()
        .filter(|trail| trail.region == call.region || trail.multi_region && shadows)
        .filter(|trail| {
            names.is_empty()
                || names.contains(&trail.name.as_str())
                || names.contains(&trail.arn.as_str())
        })
        .map(Trail::view)
        .collect();
    json!({"trailList": rows})
}

pub(super) fn get(state: &State, call: &Call<'_>) -> Answer {
    Ok(json!({"Trail": find(state, call, "Name")?.view()}))
}

pub(super) fn status(state: &State, call: &Call<'_>) -> Answer {
    let trail = find(state, call, "Name")?;
    let mut status = Map::new();
    status.insert("IsLogging".to_owned(), trail.logging.into());
    let text = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let times = [
        ("StartLoggingTime", "TimeLoggingStarted", trail.started),
        ("StopLoggingTime", "TimeLoggingStopped", trail.stopped),
    ];
    for (moment, shown, at) in times {
        status.insert(shown.to_owned(), at.map(text).unwrap_or_default().into());
        if let Some(at) = at {
            status.insert(moment.to_owned(), timestamp(at));
        }
    }
    Ok(status.into())
}

pub(super) fn log(state: &mut State, call: &Call<'_>, on: bool) -> Answer {
    let trail = find_mut(state, call, "Name")?;
    trail.logging = on;
    if on {
        trail.started = Some(call.now);
    } else {
        trail.stopped = Some(call.now);
    }
    Ok(json!({}))
}

pub(super) fn add_tags(state: &mut State, call: &Call<'_>) -> Answer {
    let mut more = Tags::from_list(call.list("TagsList")).map_err(invalid_tag)?;
    let trail = find_mut(state, call, "ResourceId")?;
    let mut merged = trail.tags.clone();
    merged.merge(std::mem::take(&mut more));
    if merged.entries().len() > Tags::LIMIT {
        return Err(ApiError::new(
            "TagsLimitExceededException",
            "A trail can have no more than 50 tags.",
        ));
    }
    trail.tags = merged;
    Ok(json!({}))
}

pub(super) fn list_tags(state: &State, call: &Call<'_>) -> Answer {
    let mut rows = Vec::new();
    for arn in call.list("ResourceIdList").iter().filter_map(Value::as_str) {
        let trail = state
            .trails
            .values()
            .find(|trail| trail.arn == arn)
            .ok_or_else(|| no_trail(arn))?;
        rows.push(json!({"ResourceId": arn, "TagsList": trail.tags.to_list()}));
    }
    Ok(json!({"ResourceTagList": rows}))
}

/// A trail by name (of this region) or by ARN.
pub(super) fn find<'a>(
    state: &'a State,
    call: &Call<'_>,
    member: &str,
) -> Result<&'a Trail, ApiError> {
    let asked = call.required(member)?;
    state
        .trails
        .values()
        .find(|trail| is_asked(trail, asked, call))
        .ok_or_else(|| no_trail(asked))
}

pub(super) fn find_mut<'a>(
    state: &'a mut State,
    call: &Call<'_>,
    member: &str,
) -> Result<&'a mut Trail, ApiError> {
    let asked = call.required(member)?;
    state
        .trails
        .values_mut()
        .find(|trail| is_asked(trail, asked, call))
        .ok_or_else(|| no_trail(asked))
}

fn is_asked(trail: &Trail, asked: &str, call: &Call<'_>) -> bool {
    trail.arn == asked || trail.name == asked && trail.region == call.region
}

fn tags(call: &Call<'_>) -> Result<Tags, ApiError> {
    Tags::from_list(call.list("TagsList")).map_err(invalid_tag)
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let refuse = |reason: &str| Err(ApiError::new("InvalidTrailNameException", reason));
    let special = |character: char| "._-".contains(character);
    if !(3..=128).contains(&name.len()) {
        return refuse("Trail name must be between 3 and 128 characters.");
    }
    if !name
        .chars()
        .all(|character| character.is_ascii_alphanumeric() || special(character))
    {
        return refuse("Trail name contains invalid characters.");
    }
    if name.starts_with(special) || name.ends_with(special) {
        return refuse("Trail name must start and end with a letter or number.");
    }
    if name
        .chars()
        .zip(name.chars().skip(1))
        .any(|(left, right)| special(left) && special(right))
    {
        return refuse("Trail name can't have adjacent periods, underscores or dashes.");
    }
    Ok(())
}

fn invalid_tag(reason: String) -> ApiError {
    ApiError::new("InvalidTagParameterException", reason)
}

fn no_trail(asked: &str) -> ApiError {
    ApiError::new("TrailNotFoundException", format!("Unknown trail: {asked}"))
}
