//! Secrets Manager, complete for the operations that it serves, and strict.
//!
//! Versions are immutable, a staging label is on one version at a time, moving
//! `AWSCURRENT` moves `AWSPREVIOUS`, a rotation begins with `AWSPENDING` on a version
//! without a value. Values never appear in messages or in `Debug`.
//!
//! Not served: secrets of partners and of other AWS services, cross-account replicas.

mod listing;
mod password;
pub(crate) mod policies;
pub(crate) mod rotating;
mod secrets;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::schedule::Schedule;
use crate::service::{Answer, ApiError, Call, timestamp};
use crate::tagging::Tags;
use crate::world::World;

/// AWS's limit of staging labels on all versions of a secret.
pub(crate) const LABEL_LIMIT: usize = 20;

/// What the service keeps.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Secrets by ARN.
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// ARN by region and name.
    pub(crate) names: BTreeMap<(String, String), String>,
    /// Labels that moved and were not told yet.
    pub(crate) moved: Vec<Moved>,
}

/// A staging label that moved to another version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) version: String,
}

/// A secret.
#[derive(Debug, Clone)]
pub(crate) struct Secret {
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    /// As the caller gave it; `None` is `alias/aws/secretsmanager`.
    pub(crate) key: Option<String>,
    pub(crate) tags: Tags,
    pub(crate) versions: BTreeMap<String, Version>,
    /// The resource policy's text.
    pub(crate) policy: Option<String>,
    pub(crate) rotation: Rotation,
    pub(crate) created: DateTime<Utc>,
    pub(crate) changed: DateTime<Utc>,
    pub(crate) accessed: Option<DateTime<Utc>>,
    /// When it was marked for deletion, and when that is final.
    pub(crate) deletion: Option<Deletion>,
    pub(crate) replicas: Vec<Replica>,
    /// The region of the primary, once it is replicated.
    pub(crate) primary_region: Option<String>,
    /// The primary's ARN, when this is a replica.
    pub(crate) replica_of: Option<String>,
}

/// When a secret goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deletion {
    pub(crate) marked: DateTime<Utc>,
    pub(crate) ends: DateTime<Utc>,
}

/// How a secret rotates.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rotation {
    pub(crate) enabled: bool,
    pub(crate) function: Option<String>,
    /// As `DescribeSecret` shows them.
    pub(crate) rules: Option<Value>,
    pub(crate) schedule: Option<Schedule>,
    pub(crate) last: Option<DateTime<Utc>>,
    /// The end of the next window, as shown.
    pub(crate) next: Option<DateTime<Utc>>,
    /// When the lab rotates next.
    pub(crate) due: Option<DateTime<Utc>>,
    pub(crate) running: Option<Running>,
}

/// A rotation in progress.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    /// The version that is being made.
    pub(crate) version: String,
    /// The token that the function hands back.
    pub(crate) token: String,
}

/// A replica in another region.
#[derive(Debug, Clone)]
pub(crate) struct Replica {
    pub(crate) region: String,
    pub(crate) key: Option<String>,
}

/// A version of a secret.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    /// `None` while a rotation has not put it yet.
    pub(crate) value: Option<SecretValue>,
    pub(crate) stages: BTreeSet<String>,
    pub(crate) created: DateTime<Utc>,
    pub(crate) accessed: Option<DateTime<Utc>>,
    /// The key that it was encrypted with.
    pub(crate) key: Option<String>,
}

/// A secret's value; `Debug` shows none of it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum SecretValue {
    /// `SecretString`.
    Text(String),
    /// `SecretBinary`, in base64.
    Binary(String),
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretValue(..)")
    }
}

pub(crate) fn handle(world: &mut World, call: &Call<'_>) -> Answer {
    let before = call
        .text("SecretId")
        .and_then(|id| world.secretsmanager.arn_of(call.region, id))
        .map(|arn| {
            let state = &world.secretsmanager;
            (arn.to_owned(), state.told(arn), state.rotates(arn))
        });
    let answer = match call.operation {
        "CreateSecret" => secrets::create(world, call),
        "DescribeSecret" => secrets::describe(world, call),
        "UpdateSecret" => secrets::update(world, call),
        "DeleteSecret" => secrets::delete(world, call),
        "RestoreSecret" => secrets::restore(world, call),
        "TagResource" => secrets::tag(world, call),
        "UntagResource" => secrets::untag(world, call),
        "ReplicateSecretToRegions" => secrets::replicate(world, call),
        "ListSecrets" => listing::list(world, call),
        "GetSecretValue" => versions::get(world, call),
        "BatchGetSecretValue" => versions::get_batch(world, call),
        "PutSecretValue" => versions::put(world, call),
        "UpdateSecretVersionStage" => versions::update_stage(world, call),
        "ListSecretVersionIds" => versions::list(world, call),
        "GetRandomPassword" => password::get(call),
        "RotateSecret" => rotating::rotate(world, call),
        "CancelRotateSecret" => rotating::cancel(world, call),
        "GetResourcePolicy" => policies::get(world, call),
        "PutResourcePolicy" => policies::put(world, call),
        "DeleteResourcePolicy" => policies::delete(world, call),
        "ValidateResourcePolicy" => policies::validate(world, call),
        _ => Err(call.unserved()),
    };
    if let Some((arn, before, rotated)) = before {
        world.secretsmanager.tell(&arn, &before);
        let stopped = rotated && !world.secretsmanager.rotates(&arn);
        if stopped && call.operation != "CancelRotateSecret" {
            crate::trail::service_event(world, &arn, "RotationAbandoned", None, call.now);
        }
    }
    world.secretsmanager.synchronise();
    crate::trail::labels(world, call.now);
    answer
}

impl State {
    /// The secret that an id means: a name, an ARN, or an ARN without its six last characters.
    pub(crate) fn arn_of(&self, region: &str, id: &str) -> Option<&str> {
        if let Some((arn, _)) = self.secrets.get_key_value(id) {
            return Some(arn);
        }
        let name = if id.starts_with("arn:") {
            let mut parts = id.splitn(7, ':');
            let (given, name) = (parts.nth(3)?, parts.nth(2)?);
            if given != region {
                return None;
            }
            name
        } else {
            id
        };
        self.names
            .get(&(region.to_owned(), name.to_owned()))
            .map(String::as_str)
    }

    /// The secret of a call; one that is marked for deletion too.
    pub(crate) fn any(&self, call: &Call<'_>) -> Result<&Secret, ApiError> {
        let id = call.required("SecretId")?;
        self.arn_of(call.region, id)
            .and_then(|arn| self.secrets.get(arn))
            .ok_or_else(not_found)
    }

    fn any_mut(&mut self, call: &Call<'_>) -> Result<&mut Secret, ApiError> {
        let arn = self.any(call)?.arn.clone();
        self.secrets.get_mut(&arn).ok_or_else(not_found)
    }

    /// The secret of a call, unless it is marked for deletion.
    fn live(&self, call: &Call<'_>) -> Result<&Secret, ApiError> {
        let secret = self.any(call)?;
        secret.refuse_deleted()?;
        Ok(secret)
    }

    /// The secret of a changing call: neither marked for deletion nor a replica.
    fn primary_mut(&mut self, call: &Call<'_>) -> Result<&mut Secret, ApiError> {
        let secret = self.any_mut(call)?;
        secret.refuse_deleted()?;
        if secret.replica_of.is_some() {
            return Err(invalid_request(
                "Operation not permitted on a replica secret. Call must be made in primary secret's region.",
            ));
        }
        Ok(secret)
    }

    /// Which version carries which label, of the labels that AWS tells about.
    fn told(&self, arn: &str) -> BTreeMap<String, String> {
        let versions = self.secrets.get(arn).map(|secret| &secret.versions);
        versions
            .into_iter()
            .flatten()
            .flat_map(|(id, version)| {
                let labels = version.stages.iter();
                labels.map(|label| (label.clone(), id.clone()))
            })
            .filter(|(label, _)| label != "AWSPENDING" && label != "AWSPREVIOUS")
            .collect()
    }

    /// Whether a rotation of a secret is in progress.
    fn rotates(&self, arn: &str) -> bool {
        let secret = self.secrets.get(arn);
        secret.is_some_and(|secret| secret.rotation.running.is_some())
    }

    /// Notes the labels that are on another version than before.
    fn tell(&mut self, arn: &str, before: &BTreeMap<String, String>) {
        let after = self.told(arn);
        let Some(secret) = self.secrets.get(arn) else {
            return;
        };
        let moved = after
            .into_iter()
            .filter(|(label, version)| before.get(label) != Some(version));
        self.moved.extend(moved.map(|(label, version)| Moved {
            arn: secret.arn.clone(),
            name: secret.name.clone(),
            label,
            version,
        }));
    }

    /// Adds a secret.
    pub(crate) fn insert(&mut self, region: &str, secret: Secret) {
        self.names
            .insert((region.to_owned(), secret.name.clone()), secret.arn.clone());
        self.secrets.insert(secret.arn.clone(), secret);
    }

    fn remove(&mut self, arn: &str) {
        self.secrets.remove(arn);
        self.names.retain(|_, known| known != arn);
    }

    /// Tagged secrets, for the tagging API.
    pub(crate) fn tagged(&self) -> Vec<(&str, &Tags)> {
        self.secrets
            .values()
            .filter(|secret| secret.deletion.is_none())
            .map(|secret| (secret.arn.as_str(), &secret.tags))
            .collect()
    }

    /// Brings replicas to the state of their primaries.
    pub(crate) fn synchronise(&mut self) {
        let copies: Vec<(String, Secret)> = self
            .secrets
            .values()
            .filter(|secret| !secret.replicas.is_empty())
            .flat_map(|primary| {
                primary
                    .replicas
                    .iter()
                    .map(|replica| (replica.region.clone(), primary.copy_for(replica)))
            })
            .collect();
        for (region, copy) in copies {
            self.insert(&region, copy);
        }
    }
}

impl Secret {
    /// The version that carries a staging label.
    pub(crate) fn staged(&self, stage: &str) -> Option<&str> {
        self.versions
            .iter()
            .find(|(_, version)| version.stages.contains(stage))
            .map(|(id, _)| id.as_str())
    }

    /// How many staging labels there are on all versions.
    pub(crate) fn labels(&self) -> usize {
        self.versions
            .values()
            .map(|version| version.stages.len())
            .sum()
    }

    /// Moves a label to a version, or only away from where it is.
    ///
    /// Moving `AWSCURRENT` moves `AWSPREVIOUS` to the version that it left.
    pub(crate) fn label(&mut self, stage: &str, to: Option<&str>) {
        let from = self.staged(stage).map(str::to_owned);
        for version in self.versions.values_mut() {
            version.stages.remove(stage);
        }
        if let Some(version) = to.and_then(|id| self.versions.get_mut(id)) {
            version.stages.insert(stage.to_owned());
        }
        if stage == "AWSCURRENT" && from.is_some() && from.as_deref() != to {
            self.label("AWSPREVIOUS", from.as_deref());
        }
    }

    /// When the value changed last: what a schedule counts from.
    pub(crate) fn value_changed(&self) -> DateTime<Utc> {
        self.staged("AWSCURRENT")
            .and_then(|id| self.versions.get(id))
            .map_or(self.created, |version| version.created)
            .max(self.rotation.last.unwrap_or(self.created))
    }

    fn refuse_deleted(&self) -> Result<(), ApiError> {
        if self.deletion.is_some() {
            return Err(invalid_request(
                "You can't perform this operation on the secret because it was marked for deletion.",
            ));
        }
        Ok(())
    }

    fn copy_for(&self, replica: &Replica) -> Self {
        let mut copy = self.clone();
        let home = self.arn.split(':').nth(3).unwrap_or_default().to_owned();
        copy.arn = self
            .arn
            .replacen(&format!(":{home}:"), &format!(":{}:", replica.region), 1);
        copy.key.clone_from(&replica.key);
        copy.replicas = Vec::new();
        copy.primary_region = Some(home);
        copy.replica_of = Some(self.arn.clone());
        // Only the primary rotates.
        copy.rotation.due = None;
        copy.rotation.running = None;
        copy
    }

    /// What `DescribeSecret` and `ListSecrets` both show; `stages` is the name of the version map.
    fn shown(&self, stages: &str) -> Map<String, Value> {
        let mut shown = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                shown.insert(name.to_owned(), value);
            }
        };
        let rotation = &self.rotation;
        put("ARN", Some(json!(self.arn)));
        put("Name", Some(json!(self.name)));
        put(
            "Description",
            self.description.as_ref().map(|text| json!(text)),
        );
        put("KmsKeyId", self.key.as_ref().map(|key| json!(key)));
        // A secret that never rotated has no such member.
        let known = rotation.enabled || rotation.rules.is_some();
        put("RotationEnabled", known.then(|| json!(rotation.enabled)));
        put(
            "RotationLambdaARN",
            rotation.function.as_ref().map(|arn| json!(arn)),
        );
        put("RotationRules", rotation.rules.clone());
        put("LastRotatedDate", rotation.last.map(timestamp));
        put(
            "NextRotationDate",
            rotation.next.filter(|_| rotation.enabled).map(timestamp),
        );
        put("LastChangedDate", Some(timestamp(self.changed)));
        put("LastAccessedDate", self.accessed.map(timestamp));
        put(
            "DeletedDate",
            self.deletion.map(|deletion| timestamp(deletion.marked)),
        );
        put("CreatedDate", Some(timestamp(self.created)));
        put(
            "PrimaryRegion",
            self.primary_region.as_ref().map(|name| json!(name)),
        );
        put(
            "Tags",
            self.tags.was_ever_tagged().then(|| self.tags.to_list()),
        );
        let labelled: Map<String, Value> = self
            .versions
            .iter()
            .filter(|(_, version)| !version.stages.is_empty())
            .map(|(id, version)| (id.clone(), json!(version.stages)))
            .collect();
        put(
            stages,
            (!labelled.is_empty()).then_some(Value::Object(labelled)),
        );
        shown
    }
}

pub(crate) fn not_found() -> ApiError {
    ApiError::new(
        "ResourceNotFoundException",
        "Secrets Manager can't find the specified secret.",
    )
}

pub(crate) fn invalid_request(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidRequestException", message)
}

pub(crate) fn invalid_parameter(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterException", message)
}

/// The day of a time: last accesses are kept by the day.
fn day(at: DateTime<Utc>) -> DateTime<Utc> {
    at.date_naive()
        .and_hms_opt(0, 0, 0)
        .map_or(at, |midnight| midnight.and_utc())
}
