//! Versions: read, put, relabelled, listed.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::{
    LABEL_LIMIT, Labels, Secret, SecretValue, Version, day, invalid_parameter, invalid_request,
    secrets,
};
use crate::service::{Answer, ApiError, Call, page, timestamp};
use crate::world::World;

/// AWS keeps this many versions, and all of the last day.
const VERSION_LIMIT: usize = 100;

pub(super) fn get(world: &mut World, call: &Call<'_>) -> Answer {
    let secret = world.secretsmanager.live(call)?;
    let (id, version) = secret.find(call.text("VersionId"), call.text("VersionStage"))?;
    readable(world, call, version)?;
    let (arn, id) = (Arc::clone(&secret.arn), id.to_owned());
    let answer = shown(secret, &id, version);
    world.secretsmanager.touch(&arn, &id, call.now);
    Ok(answer)
}

pub(super) fn get_batch(world: &mut World, call: &Call<'_>) -> Answer {
    let ids = call.list("SecretIdList");
    let filters = call.list("Filters");
    if ids.is_empty() == filters.is_empty() {
        return Err(invalid_parameter(
            "You must include Filters or SecretIdList, but not both.",
        ));
    }
    if !ids.is_empty() && (call.number("MaxResults").is_some() || call.text("NextToken").is_some())
    {
        return Err(invalid_parameter(
            "MaxResults and NextToken can only be used with Filters.",
        ));
    }
    let mut values = Vec::new();
    let mut errors = Vec::new();
    let mut token = None;
    let wanted: Vec<String> = if filters.is_empty() {
        let texts = ids.iter().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    } else {
        let matching = super::listing::matching(&world.secretsmanager, call, filters)?;
        let size = call
            .number("MaxResults")
            .and_then(|size| usize::try_from(size).ok())
            .unwrap_or(20);
        let rows = matching
            .into_iter()
            .map(|secret| json!(*secret.arn))
            .collect();
        let (rows, next) = page(rows, call.text("NextToken"), size)?;
        token = next;
        let texts = rows.iter().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    };
    for id in wanted {
        let input = Map::from_iter([("SecretId".to_owned(), Value::from(id.as_str()))]);
        let single = Call {
            operation: "GetSecretValue",
            input: &input,
            ..*call
        };
        let read = crate::authorise::check(world, &single).and_then(|()| get(world, &single));
        // AWS records a read of its own for every secret of a batch.
        crate::cloudtrail::record(world, &single, &read);
        match read {
            Ok(value) => values.push(value),
            Err(error) => errors.push(json!({
                "SecretId": id, "ErrorCode": error.code, "Message": error.message,
            })),
        }
    }
    let mut answer = json!({"SecretValues": values, "Errors": errors});
    if let (Some(token), Some(answer)) = (token, answer.as_object_mut()) {
        answer.insert("NextToken".to_owned(), json!(token));
    }
    Ok(answer)
}

pub(super) fn put(world: &mut World, call: &Call<'_>) -> Answer {
    let value = secrets::value(call)?.ok_or_else(|| {
        invalid_parameter("You must provide either SecretString or SecretBinary.")
    })?;
    let id = call.required("ClientRequestToken")?.to_owned();
    let given: Vec<&str> = call
        .list("VersionStages")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let stages = if given.is_empty() {
        vec!["AWSCURRENT"]
    } else {
        given
    };
    let secret = world.secretsmanager.primary_mut(call)?;
    if let Some(token) = call.text("RotationToken") {
        let running = secret.rotation.running.as_ref();
        if running.is_none_or(|running| running.token != token || running.version != id) {
            return Err(ApiError::new(
                "AccessDeniedException",
                "The rotation token does not belong to a rotation of this secret that is in progress.",
            ));
        }
    }
    secret.add_version(&id, value, &stages, call.now)?;
    let labels = secret
        .versions
        .get(id.as_str())
        .map(|version| json!(version.stages))
        .unwrap_or_default();
    Ok(json!({
        "ARN": *secret.arn, "Name": *secret.name, "VersionId": id, "VersionStages": labels,
    }))
}

pub(super) fn update_stage(world: &mut World, call: &Call<'_>) -> Answer {
    let stage = call.required("VersionStage")?.to_owned();
    let to = call.text("MoveToVersionId");
    let from = call.text("RemoveFromVersionId");
    let secret = world.secretsmanager.primary_mut(call)?;
    if to.is_none() && from.is_none() {
        return Err(invalid_parameter(
            "You must provide MoveToVersionId, RemoveFromVersionId, or both.",
        ));
    }
    for id in [to, from].into_iter().flatten() {
        if !secret.versions.contains_key(id) {
            return Err(ApiError::new(
                "ResourceNotFoundException",
                format!("Secrets Manager can't find the specified secret version: {id}."),
            ));
        }
    }
    let holder = secret.staged(&stage).map(str::to_owned);
    match (&holder, from) {
        (Some(holder), None) if to != Some(holder) => {
            return Err(invalid_parameter(format!(
                "The parameter RemoveFromVersionId can't be empty. Staging label {stage} is currently attached to version {holder}, so you must explicitly reference that version in RemoveFromVersionId."
            )));
        }
        (Some(holder), Some(from)) if from != holder => {
            return Err(invalid_parameter(format!(
                "Staging label {stage} is currently attached to version {holder}, not to version {from} given in RemoveFromVersionId."
            )));
        }
        (None, Some(from)) => {
            return Err(invalid_parameter(format!(
                "Staging label {stage} is not attached to version {from}."
            )));
        }
        (Some(_) | None, _) => {}
    }
    if stage == "AWSCURRENT" {
        let Some(to) = to else {
            return Err(invalid_parameter(
                "You can't remove the staging label AWSCURRENT; move it to another version.",
            ));
        };
        let empty = secret
            .versions
            .get(to)
            .is_some_and(|version| version.value.is_none());
        if empty {
            return Err(invalid_request(format!(
                "You can't move AWSCURRENT to version {to}: it has no secret value."
            )));
        }
    }
    // A label that is new to the secret counts; AWSPREVIOUS may come with AWSCURRENT.
    let adds = usize::from(to.is_some() && holder.is_none());
    if secret.labels() + adds > LABEL_LIMIT {
        return Err(too_many_labels());
    }
    secret.label(&stage, to);
    secret.changed = call.now;
    Ok(json!({"ARN": *secret.arn, "Name": *secret.name}))
}

pub(super) fn list(world: &World, call: &Call<'_>) -> Answer {
    let secret = world.secretsmanager.any(call)?;
    let deprecated = call.flag("IncludeDeprecated") == Some(true);
    let rows = secret
        .versions
        .iter()
        .filter(|(_, version)| version.value.is_some())
        .filter(|(_, version)| deprecated || !version.stages.is_empty())
        .map(|(id, version)| {
            let key = version.key.as_deref().unwrap_or("DefaultEncryptionKey");
            let mut row = json!({
                "VersionId": id,
                "CreatedDate": timestamp(version.created),
                "KmsKeyIds": [key],
            });
            if let Some(row) = row.as_object_mut() {
                if !version.stages.is_empty() {
                    row.insert("VersionStages".to_owned(), json!(version.stages));
                }
                if let Some(accessed) = version.accessed {
                    row.insert("LastAccessedDate".to_owned(), timestamp(accessed));
                }
            }
            row
        })
        .collect();
    let size = call
        .number("MaxResults")
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(100);
    let (rows, next) = page(rows, call.text("NextToken"), size)?;
    let mut answer = json!({"ARN": *secret.arn, "Name": *secret.name, "Versions": rows});
    if let (Some(next), Some(answer)) = (next, answer.as_object_mut()) {
        answer.insert("NextToken".to_owned(), json!(next));
    }
    Ok(answer)
}

impl super::State {
    /// Notes that a version was read.
    fn touch(&mut self, arn: &str, id: &str, now: DateTime<Utc>) {
        let today = day(now);
        if let Some(secret) = self.get_mut(arn) {
            secret.accessed = Some(today);
            if let Some(version) = secret.versions.get_mut(id) {
                version.accessed = Some(today);
            }
        }
    }
}

impl Secret {
    /// A version with a value, by id, by label, or the current one.
    fn find(&self, id: Option<&str>, stage: Option<&str>) -> Result<(&str, &Version), ApiError> {
        let missing = |what: String| {
            ApiError::new(
                "ResourceNotFoundException",
                format!("Secrets Manager can't find the specified secret value for {what}"),
            )
        };
        let found = match (id, stage) {
            (Some(id), stage) => {
                let (id, version) = self
                    .versions
                    .get_key_value(id)
                    .ok_or_else(|| missing(format!("VersionId: {id}")))?;
                if stage.is_some_and(|stage| !version.stages.contains(stage)) {
                    return Err(invalid_request(
                        "You provided a VersionStage that is not associated to the provided VersionId.",
                    ));
                }
                (id.as_ref(), version)
            }
            (None, stage) => {
                let stage = stage.unwrap_or("AWSCURRENT");
                let held = self
                    .versions
                    .iter()
                    .find(|(_, version)| version.stages.contains(stage));
                let (id, version) =
                    held.ok_or_else(|| missing(format!("staging label: {stage}")))?;
                (id.as_ref(), version)
            }
        };
        if found.1.value.is_none() {
            return Err(missing(match (id, stage) {
                (Some(id), _) => format!("VersionId: {id}"),
                (None, stage) => format!("staging label: {}", stage.unwrap_or("AWSCURRENT")),
            }));
        }
        Ok(found)
    }

    /// Puts a value: into a new version, or into the empty one that a rotation began.
    pub(super) fn add_version(
        &mut self,
        id: &str,
        value: SecretValue,
        stages: &[&str],
        now: DateTime<Utc>,
    ) -> Result<(), ApiError> {
        let known = self
            .versions
            .get(id)
            .and_then(|version| version.value.as_ref());
        if let Some(known) = known {
            if *known == value {
                return Ok(());
            }
            return Err(ApiError::new(
                "ResourceExistsException",
                format!(
                    "A resource with the ID you requested already exists: version {id} can't be changed."
                ),
            ));
        }
        let mut stages: BTreeSet<&str> = stages.iter().copied().collect();
        if self.versions.is_empty() {
            stages.insert("AWSCURRENT");
        }
        let before: Vec<(Box<str>, Labels)> = self
            .versions
            .iter()
            .map(|(id, version)| (id.clone(), version.stages.clone()))
            .collect();
        let known = self.versions.get(id).cloned();
        let stood = known.as_ref();
        let version = Version {
            value: Some(value),
            stages: stood.map(|it| it.stages.clone()).unwrap_or_default(),
            created: now,
            accessed: stood.and_then(|it| it.accessed),
            key: self.key.clone(),
        };
        self.versions.insert(id.into(), version);
        for stage in stages {
            self.label(stage, Some(id));
        }
        if self.labels() > LABEL_LIMIT {
            self.versions.remove(id);
            self.versions
                .extend(known.map(|version| (id.into(), version)));
            for (id, stages) in before {
                if let Some(version) = self.versions.get_mut(&id) {
                    version.stages = stages;
                }
            }
            return Err(too_many_labels());
        }
        self.changed = now;
        self.written(id, now);
        self.forget_old(now);
        Ok(())
    }

    /// A value written by hand counts as a rotation for the schedule, and ends one that is in progress.
    fn written(&mut self, id: &str, now: DateTime<Utc>) {
        let by_rotation = self
            .rotation
            .running
            .as_ref()
            .is_some_and(|running| running.version == id);
        if by_rotation || self.staged("AWSCURRENT") != Some(id) {
            return;
        }
        if let Some(running) = self.rotation.running.take() {
            if self.staged("AWSPENDING") == Some(running.version.as_str()) {
                self.label("AWSPENDING", None);
            }
            self.versions
                .retain(|id, version| **id != *running.version || version.value.is_some());
        }
        self.plan_next(now);
    }

    /// Forgets versions without labels beyond AWS's hundred, and older than a day.
    fn forget_old(&mut self, now: DateTime<Utc>) {
        let day_ago = now
            .checked_sub_signed(TimeDelta::days(1))
            .unwrap_or(DateTime::<Utc>::MIN_UTC);
        while self.versions.len() > VERSION_LIMIT {
            let oldest = self
                .versions
                .iter()
                .filter(|(_, version)| version.stages.is_empty() && version.created < day_ago)
                .min_by_key(|(_, version)| version.created)
                .map(|(id, _)| id.clone());
            let Some(oldest) = oldest else { return };
            self.versions.remove(&oldest);
        }
    }
}

/// Whether the key of a version still decrypts.
fn readable(world: &World, call: &Call<'_>, version: &Version) -> Result<(), ApiError> {
    match &version.key {
        Some(key) if !world.kms.usable(call.region, call.account, key) => Err(ApiError::new(
            "DecryptionFailure",
            "Secrets Manager can't decrypt the secret value: the KMS key is not available, not enabled, or in an invalid state.",
        )),
        Some(_) | None => Ok(()),
    }
}

fn shown(secret: &Secret, id: &str, version: &Version) -> Value {
    let mut answer = json!({
        "ARN": *secret.arn,
        "Name": *secret.name,
        "VersionId": id,
        "VersionStages": version.stages,
        "CreatedDate": timestamp(version.created),
    });
    if let Some(answer) = answer.as_object_mut() {
        match &version.value {
            Some(SecretValue::Text(text)) => {
                answer.insert("SecretString".to_owned(), json!(text));
            }
            Some(SecretValue::Binary(binary)) => {
                answer.insert("SecretBinary".to_owned(), json!(binary));
            }
            None => {}
        }
    }
    answer
}

fn too_many_labels() -> ApiError {
    ApiError::new(
        "LimitExceededException",
        format!(
            "You can't attach more than {LABEL_LIMIT} staging labels to the versions of a secret."
        ),
    )
}
