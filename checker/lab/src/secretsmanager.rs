//! Secrets Manager, complete for the operations that it serves, and strict.
//!
//! Versions are immutable, a staging label is on one version at a time, moving
//! `AWSCURRENT` moves `AWSPREVIOUS`, a rotation begins with `AWSPENDING` on a version
//! without a value. Values never appear in messages or in `Debug`.
//!
//! Not served: secrets of partners and of other AWS services, cross-account replicas.

mod labels;
mod listing;
mod password;
pub(crate) mod policies;
pub(crate) mod rotating;
mod secrets;
mod state;
mod versions;

pub(crate) use labels::Labels;
pub(crate) use state::State;

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::few::Few;
use crate::schedule::Schedule;
use crate::service::{Answer, ApiError, Call, timestamp};
use crate::tagging::Tags;
use crate::world::World;

/// AWS's limit of staging labels on all versions of a secret.
pub(crate) const LABEL_LIMIT: usize = 20;

/// A staging label that moved to another version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) version: String,
}

/// A secret. There may be very many: what is the same for all is shared, and what few have stands apart.
#[derive(Debug, Clone)]
pub(crate) struct Secret {
    pub(crate) arn: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) description: Option<Box<str>>,
    /// As the caller gave it; `None` is `alias/aws/secretsmanager`.
    pub(crate) key: Option<Arc<str>>,
    pub(crate) tags: Tags,
    pub(crate) versions: Few<Box<str>, Version>,
    pub(crate) rotation: Rotation,
    pub(crate) created: DateTime<Utc>,
    pub(crate) changed: DateTime<Utc>,
    pub(crate) accessed: Option<DateTime<Utc>>,
    rare: Option<Box<Rare>>,
}

/// What few secrets have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rare {
    /// The resource policy's text.
    pub(crate) policy: Option<String>,
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
    pub(crate) function: Option<Arc<str>>,
    /// As `DescribeSecret` shows them.
    pub(crate) rules: Option<Arc<Value>>,
    pub(crate) schedule: Option<Arc<Schedule>>,
    pub(crate) last: Option<DateTime<Utc>>,
    /// The end of the next window, as shown.
    pub(crate) next: Option<DateTime<Utc>>,
    /// When the lab rotates next.
    pub(crate) due: Option<DateTime<Utc>>,
    pub(crate) running: Option<Box<Running>>,
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
    pub(crate) key: Option<Arc<str>>,
}

/// What most secrets have of it.
static NOTHING_RARE: Rare = Rare {
    policy: None,
    deletion: None,
    replicas: Vec::new(),
    primary_region: None,
    replica_of: None,
};

/// A version of a secret.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    /// `None` while a rotation has not put it yet.
    pub(crate) value: Option<SecretValue>,
    pub(crate) stages: Labels,
    pub(crate) created: DateTime<Utc>,
    pub(crate) accessed: Option<DateTime<Utc>>,
    /// The key that it was encrypted with.
    pub(crate) key: Option<Arc<str>>,
}

/// A secret's value; `Debug` shows none of it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum SecretValue {
    /// `SecretString`.
    Text(Box<str>),
    /// `SecretBinary`, in base64.
    Binary(Box<str>),
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

impl Secret {
    /// A secret without a version, made now.
    pub(crate) fn new(arn: &str, name: &str, now: DateTime<Utc>) -> Self {
        Self {
            arn: arn.into(),
            name: name.into(),
            description: None,
            key: None,
            tags: Tags::default(),
            versions: Few::default(),
            rotation: Rotation::default(),
            created: now,
            changed: now,
            accessed: None,
            rare: None,
        }
    }

    /// What few secrets have.
    pub(crate) fn rare(&self) -> &Rare {
        self.rare.as_deref().unwrap_or(&NOTHING_RARE)
    }

    /// The same, to be changed.
    pub(crate) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// The version that carries a staging label.
    pub(crate) fn staged(&self, stage: &str) -> Option<&str> {
        self.versions
            .iter()
            .find(|(_, version)| version.stages.contains(stage))
            .map(|(id, _)| id.as_ref())
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
            version.stages.insert(stage);
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
        if self.rare().deletion.is_some() {
            return Err(invalid_request(
                "You can't perform this operation on the secret because it was marked for deletion.",
            ));
        }
        Ok(())
    }

    fn copy_for(&self, replica: &Replica) -> Self {
        let mut copy = self.clone();
        let home = self.arn.split(':').nth(3).unwrap_or_default().to_owned();
        let (from, to) = (format!(":{home}:"), format!(":{}:", replica.region));
        copy.arn = self.arn.replacen(&from, &to, 1).into();
        copy.key.clone_from(&replica.key);
        let rare = copy.rare_mut();
        rare.replicas = Vec::new();
        rare.primary_region = Some(home);
        rare.replica_of = Some(self.arn.to_string());
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
        let (rotation, rare) = (&self.rotation, self.rare());
        put("ARN", Some(json!(*self.arn)));
        put("Name", Some(json!(*self.name)));
        put(
            "Description",
            self.description.as_ref().map(|text| json!(text)),
        );
        put("KmsKeyId", self.key.as_ref().map(|key| json!(**key)));
        // A secret that never rotated has no such member.
        let known = rotation.enabled || rotation.rules.is_some();
        put("RotationEnabled", known.then(|| json!(rotation.enabled)));
        put(
            "RotationLambdaARN",
            rotation.function.as_ref().map(|arn| json!(**arn)),
        );
        put("RotationRules", rotation.rules.as_deref().cloned());
        put("LastRotatedDate", rotation.last.map(timestamp));
        put(
            "NextRotationDate",
            rotation.next.filter(|_| rotation.enabled).map(timestamp),
        );
        put("LastChangedDate", Some(timestamp(self.changed)));
        put("LastAccessedDate", self.accessed.map(timestamp));
        put(
            "DeletedDate",
            rare.deletion.map(|deletion| timestamp(deletion.marked)),
        );
        put("CreatedDate", Some(timestamp(self.created)));
        put(
            "PrimaryRegion",
            rare.primary_region.as_ref().map(|name| json!(name)),
        );
        put(
            "Tags",
            self.tags.was_ever_tagged().then(|| self.tags.to_list()),
        );
        let labelled: Map<String, Value> = self
            .versions
            .iter()
            .filter(|(_, version)| !version.stages.is_empty())
            .map(|(id, version)| (id.to_string(), json!(version.stages)))
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
