//! Secrets themselves: made, described, changed, deleted, restored, tagged, replicated.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{
    Deletion, Replica, Rotation, Secret, SecretValue, Version, invalid_parameter, invalid_request,
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
    let known = world
        .secretsmanager
        .names
        .get(&(call.region.to_owned(), name.to_owned()))
        .and_then(|arn| world.secretsmanager.secrets.get(arn));
    if let Some(known) = known {
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
    let mut secret = Secret {
        arn: arn.clone(),
        name: name.to_owned(),
        description: call.text("Description").map(str::to_owned),
        key: key.clone(),
        tags,
        versions: BTreeMap::new(),
        policy: None,
        rotation: Rotation::default(),
        created: call.now,
        changed: call.now,
        accessed: None,
        deletion: None,
        primary_region: (!replicas.is_empty()).then(|| call.region.to_owned()),
        replicas,
        replica_of: None,
    };
    let mut answer = json!({"ARN": arn, "Name": name});
    if let Some(value) = value {
        let token = call.required("ClientRequestToken")?;
        secret.versions.insert(
            token.to_owned(),
            Version {
                value: Some(value),
                stages: BTreeSet::from(["AWSCURRENT".to_owned()]),
                created: call.now,
                accessed: None,
                key,
            },
        );
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("VersionId".to_owned(), json!(token));
        }
    }
    if let (false, Some(answer)) = (secret.replicas.is_empty(), answer.as_object_mut()) {
        answer.insert("ReplicationStatus".to_owned(), statuses(&secret.replicas));
    }
    world.secretsmanager.insert(call.region, secret);
    Ok(answer)
}

pub(super) fn describe(world: &World, call: &Call<'_>) -> Answer {
    let secret = world.secretsmanager.any(call)?;
    let mut shown = secret.shown("VersionIdsToStages");
    if !secret.replicas.is_empty() {
        shown.insert("ReplicationStatus".to_owned(), statuses(&secret.replicas));
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
        && secret.versions.contains_key(token)
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
            if staged.iter().any(|stage| version.stages.contains(*stage)) {
                version.key.clone_from(&key);
            }
        }
        secret.key = key;
    }
    if let Some(description) = call.text("Description") {
        secret.description = Some(description.to_owned());
    }
    secret.changed = now;
    let mut answer = json!({"ARN": secret.arn, "Name": secret.name});
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
    if !secret.replicas.is_empty() {
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
        "ARN": secret.arn,
        "Name": secret.name,
        "DeletionDate": timestamp(ends),
    });
    if force {
        let arn = secret.arn.clone();
        world.secretsmanager.remove(&arn);
    } else {
        secret.deletion = Some(Deletion {
            marked: call.now,
            ends,
        });
    }
    Ok(answer)
}

pub(super) fn restore(world: &mut World, call: &Call<'_>) -> Answer {
    let secret = world.secretsmanager.any_mut(call)?;
    if secret.deletion.take().is_none() {
        return Err(invalid_request("Secret is not marked for deletion."));
    }
    secret.changed = call.now;
    Ok(json!({"ARN": secret.arn, "Name": secret.name}))
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
            .replicas
            .iter()
            .any(|each| each.region == replica.region);
        if known || replica.region == call.region {
            return Err(invalid_parameter(format!(
                "the secret is in region `{}` already",
                replica.region
            )));
        }
        secret.replicas.push(replica);
    }
    secret.primary_region = Some(call.region.to_owned());
    Ok(json!({"ARN": secret.arn, "ReplicationStatus": statuses(&secret.replicas)}))
}

/// Final deletions whose time has come.
pub(crate) fn purge(state: &mut super::State, now: DateTime<Utc>) {
    let gone: Vec<String> = state
        .secrets
        .values()
        .filter(|secret| secret.deletion.is_some_and(|deletion| deletion.ends <= now))
        .map(|secret| secret.arn.clone())
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
        (Some(text), None) => Some((SecretValue::Text(text.to_owned()), text.len())),
        (None, Some(binary)) => {
            Some((SecretValue::Binary(binary.to_owned()), binary.len() / 4 * 3))
        }
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
    if known.deletion.is_some() {
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
        return Ok(json!({"ARN": known.arn, "Name": known.name, "VersionId": token}));
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
    Given(String),
}

fn key(world: &World, call: &Call<'_>) -> Result<Key, ApiError> {
    let Some(key) = call.text("KmsKeyId") else {
        return Ok(Key::NotGiven);
    };
    if key.is_empty() || key == "alias/aws/secretsmanager" {
        return Ok(Key::Aws);
    }
    if world.kms.usable(call.region, call.account, key) {
        return Ok(Key::Given(key.to_owned()));
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
            key: text("KmsKeyId"),
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
