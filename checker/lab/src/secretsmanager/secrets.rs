//! Secrets themselves: made, described, changed, deleted, restored, tagged, replicated.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{
    Deletion, Labels, Replica, Secret, SecretValue, Version, invalid_parameter, invalid_request,
};
use crate::service::{Answer, ApiError, Call, timestamp};
use crate::tagging::Tags;
use crate::world::World;

pub(super) fn create(world: &mut World, call: &Call<'_>) -> Answer {
    let name = call.required("Name")?;
    check_name(name)?;
    if call.text("Type").is_some() {
        return Err(invalid_parameter("the lab does not serve `Type`"));
    }
    let value = value(call)?;
    let tags = Tags::from_list(call.list("Tags")).map_err(invalid_parameter)?;
    let replicas = replicas(call, "AddReplicaRegions")?;
    if let Some(known) = world.secretsmanager.named(call.region, name) {
        return again(known, call, value.as_ref());
    }
    let key = match key(world, call)? {
        Key::Given(key) => Some(key),
        Key::NotGiven | Key::Aws => None,
    };
    if key.is_none() {
        world.kms.ensure_managed(
            &mut world.ids,
            call.region,
            call.account,
            "secretsmanager",
            call.now,
        );
    }
    let arn = call.arn(&format!("secret:{name}-{}", world.ids.suffix()));
    let mut secret = Secret::new(&arn, name, call.now);
    secret.description = call.text("Description").map(Box::from);
    secret.key.clone_from(&key);
    secret.tags = tags;
    let mut answer = json!({"ARN": arn, "Name": name});
    if let Some(value) = value {
        let token = call.required("ClientRequestToken")?;
        secret.versions.insert(
            token.into(),
            Version {
                value: Some(value),
                stages: Labels::one("AWSCURRENT"),
                created: call.now,
                accessed: None,
                key,
            },
        );
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("VersionId".to_owned(), json!(token));
        }
    }
    if let (false, Some(answer)) = (replicas.is_empty(), answer.as_object_mut()) {
        answer.insert("ReplicationStatus".to_owned(), statuses(&replicas));
        let rare = secret.rare_mut();
        rare.primary_region = Some(call.region.to_owned());
        rare.replicas = replicas;
    }
    world.secretsmanager.insert(call.region, secret);
    Ok(answer)
}

pub(super) fn describe(world: &World, call: &Call<'_>) -> Answer {
    let secret = world.secretsmanager.any(call)?;
    let mut shown = secret.shown("VersionIdsToStages");
    let replicas = &secret.rare().replicas;
    if !replicas.is_empty() {
        shown.insert("ReplicationStatus".to_owned(), statuses(replicas));
    }
    Ok(Value::Object(shown))
}

pub(super) fn update(world: &mut World, call: &Call<'_>) -> Answer {
    if call.text("Type").is_some() {
        return Err(invalid_parameter("the lab does not serve `Type`"));
    }
    let value = value(call)?;
    let key = key(world, call)?;
    let now = call.now;
    let token = value
        .is_some()
        .then(|| call.required("ClientRequestToken").map(str::to_owned))
        .transpose()?;
    let secret = world.secretsmanager.primary_mut(call)?;
    if let Some(token) = &token
        && secret.versions.contains_key(token.as_str())
    {
        return Err(ApiError::new(
            "ResourceExistsException",
            "You can't use ClientRequestToken of an existing version: versions can't be changed.",
        ));
    }
    let key = match key {
        Key::NotGiven => None,
        Key::Aws => Some(None),
        Key::Given(key) => Some(Some(key)),
    };
    if let Some(key) = key {
        for version in secret.versions.values_mut() {
            let staged = ["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"];
            if staged.iter().any(|stage| version.stages.contains(stage)) {
                version.key.clone_from(&key);
            }
        }
        secret.key = key;
    }
    if let Some(description) = call.text("Description") {
        secret.description = Some(description.into());
    }
    secret.changed = now;
    let mut answer = json!({"ARN": *secret.arn, "Name": *secret.name});
    if let (Some(value), Some(token)) = (value, token) {
        secret.add_version(&token, value, &["AWSCURRENT"], now)?;
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("VersionId".to_owned(), json!(token));
        }
    }
    Ok(answer)
}

pub(super) fn delete(world: &mut World, call: &Call<'_>) -> Answer {
    let force = call.flag("ForceDeleteWithoutRecovery") == Some(true);
    let days = call.number("RecoveryWindowInDays");
    if force && days.is_some() {
        return Err(invalid_parameter(
            "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
        ));
    }
    let days = days.unwrap_or(30);
    if !(7..=30).contains(&days) {
        return Err(invalid_parameter(
            "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
        ));
    }
    if force && world.secretsmanager.any(call).is_err() {
        // As on AWS: forcing the deletion of what isn't there is no error.
        let id = call.required("SecretId")?;
        return Ok(json!({
            "ARN": call.arn(&format!("secret:{id}-{}", world.ids.alphanumeric(6))),
            "Name": id,
            "DeletionDate": timestamp(call.now),
        }));
    }
    let secret = world.secretsmanager.any_mut(call)?;
    if !force {
        secret.refuse_deleted()?;
    }
    if !secret.rare().replicas.is_empty() {
        return Err(invalid_request(
            "You can't delete secret that still has replicas. Remove the replicas first.",
        ));
    }
    let ends = if force {
        call.now
    } else {
        call.now
            .checked_add_signed(TimeDelta::days(days))
            .unwrap_or(call.now)
    };
    let answer = json!({
        "ARN": *secret.arn,
        "Name": *secret.name,
        "DeletionDate": timestamp(ends),
    });
    if force {
        let arn = Arc::clone(&secret.arn);
        world.secretsmanager.remove(&arn);
    } else {
        secret.rare_mut().deletion = Some(Deletion {
            marked: call.now,
            ends,
        });
    }
    Ok(answer)
}

pub(super) fn restore(world: &mut World, call: &Call<'_>) -> Answer {
    let secret = world.secretsmanager.any_mut(call)?;
    if secret.rare().deletion.is_none() {
        return Err(invalid_request("Secret is not marked for deletion."));
    }
    secret.rare_mut().deletion = None;
    secret.changed = call.now;
    Ok(json!({"ARN": *secret.arn, "Name": *secret.name}))
}

pub(super) fn tag(world: &mut World, call: &Call<'_>) -> Answer {
    let tags = Tags::from_list(call.list("Tags")).map_err(invalid_parameter)?;
    let secret = world.secretsmanager.primary_mut(call)?;
    let mut merged = secret.tags.clone();
    merged.merge(tags);
    if merged.entries().len() > Tags::LIMIT {
        return Err(invalid_parameter("a secret has at most 50 tags"));
    }
    secret.tags = merged;
    secret.changed = call.now;
    Ok(json!({}))
}

pub(super) fn untag(world: &mut World, call: &Call<'_>) -> Answer {
    let secret = world.secretsmanager.primary_mut(call)?;
    secret
        .tags
        .remove(call.list("TagKeys").iter().filter_map(Value::as_str));
    secret.changed = call.now;
    Ok(json!({}))
}

pub(super) fn replicate(world: &mut World, call: &Call<'_>) -> Answer {
    let added = replicas(call, "AddReplicaRegions")?;
    let secret = world.secretsmanager.primary_mut(call)?;
    for replica in added {
        let known = secret
            .rare()
            .replicas
            .iter()
            .any(|each| each.region == replica.region);
        if known || replica.region == call.region {
            return Err(invalid_parameter(format!(
                "the secret is in region `{}` already",
                replica.region
            )));
        }
        secret.rare_mut().replicas.push(replica);
    }
    secret.rare_mut().primary_region = Some(call.region.to_owned());
    let arn = Arc::clone(&secret.arn);
    let answer = json!({"ARN": *arn, "ReplicationStatus": statuses(&secret.rare().replicas)});
    world.secretsmanager.has_replicas(arn);
    Ok(answer)
}

/// Final deletions whose time has come.
pub(crate) fn purge(state: &mut super::State, now: DateTime<Utc>) {
    let over = |deletion: Deletion| deletion.ends <= now;
    let gone: Vec<Arc<str>> = state
        .all()
        .filter(|secret| secret.rare().deletion.is_some_and(over))
        .map(|secret| Arc::clone(&secret.arn))
        .collect();
    for arn in gone {
        state.remove(&arn);
    }
}

/// The value of a call, when it has one.
pub(super) fn value(call: &Call<'_>) -> Result<Option<SecretValue>, ApiError> {
    let (text, binary) = (call.text("SecretString"), call.text("SecretBinary"));
    let value = match (text, binary) {
        (Some(_), Some(_)) => {
            return Err(invalid_parameter(
                "You can't specify both a binary secret value and a string secret value in the same secret.",
            ));
        }
        (Some(text), None) => Some((SecretValue::Text(text.into()), text.len())),
        (None, Some(binary)) => Some((SecretValue::Binary(binary.into()), binary.len() / 4 * 3)),
        (None, None) => None,
    };
    match value {
        Some((_, size)) if size > 65_536 => Err(invalid_parameter(
            "The secret value is longer than 65536 bytes.",
        )),
        Some((value, _)) => Ok(Some(value)),
        None => Ok(None),
    }
}

/// A second call with the same token and value succeeds; any other is refused.
fn again(known: &Secret, call: &Call<'_>, value: Option<&SecretValue>) -> Answer {
    if known.rare().deletion.is_some() {
        return Err(invalid_request(
            "You can't create this secret because a secret with this name is already scheduled for deletion.",
        ));
    }
    let token = call.text("ClientRequestToken").unwrap_or_default();
    let same = value.is_some()
        && known
            .versions
            .get(token)
            .is_some_and(|version| version.value.as_ref() == value);
    if same {
        return Ok(json!({"ARN": *known.arn, "Name": *known.name, "VersionId": token}));
    }
    Err(ApiError::new(
        "ResourceExistsException",
        format!(
            "The operation failed because the secret {} already exists.",
            known.name
        ),
    ))
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let allowed =
        |character: char| character.is_ascii_alphanumeric() || "/_+=.@!-".contains(character);
    if name.is_empty() || name.len() > 512 || !name.chars().all(allowed) {
        return Err(ApiError::new(
            "ValidationException",
            "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!",
        ));
    }
    Ok(())
}

/// The key of a call.
enum Key {
    NotGiven,
    /// AWS's own: the empty text, or its alias.
    Aws,
    /// One that exists and is enabled.
    Given(Arc<str>),
}

fn key(world: &World, call: &Call<'_>) -> Result<Key, ApiError> {
    let Some(key) = call.text("KmsKeyId") else {
        return Ok(Key::NotGiven);
    };
    if key.is_empty() || key == "alias/aws/secretsmanager" {
        return Ok(Key::Aws);
    }
    if world.kms.usable(call.region, call.account, key) {
        return Ok(Key::Given(key.into()));
    }
    Err(ApiError::new(
        "EncryptionFailure",
        "Secrets Manager can't encrypt the protected secret text using the provided KMS key. Check that the KMS key is available, enabled, and not in an invalid state.",
    ))
}

fn replicas(call: &Call<'_>, member: &str) -> Result<Vec<Replica>, ApiError> {
    let mut replicas: Vec<Replica> = Vec::new();
    for each in call.list(member) {
        let text = |name: &str| each.get(name).and_then(Value::as_str).map(str::to_owned);
        let region = text("Region")
            .filter(|region| region != call.region)
            .ok_or_else(|| invalid_parameter("Invalid replica region."))?;
        if replicas.iter().any(|known| known.region == region) {
            return Err(invalid_parameter("a replica region is given twice"));
        }
        replicas.push(Replica {
            region,
            key: text("KmsKeyId").map(Arc::from),
        });
    }
    Ok(replicas)
}

fn statuses(replicas: &[Replica]) -> Value {
    replicas
        .iter()
        .map(|replica| {
            json!({
                "Region": replica.region,
                "KmsKeyId": replica.key.as_deref().unwrap_or("alias/aws/secretsmanager"),
                "Status": "InSync",
            })
        })
        .collect()
}
