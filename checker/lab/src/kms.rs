//! Key Management Service: keys, aliases, policies, grants, and encryption that
//! round-trips without being real cryptography.
//!
//! AWS's own keys (`alias/aws/secretsmanager`) appear when they are first asked for,
//! as on AWS. Signing, MACs, custom key stores, imported material and multi-Region
//! replicas are not served; a key can be described as any of those.

mod aliases;
mod crypto;
mod grants;
mod keys;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::ids::Ids;
use crate::service::{Answer, ApiError, Call, page};
use crate::tagging::Tags;
use crate::world::World;

/// What the service keeps.
#[derive(Default)]
pub(crate) struct State {
    /// Keys by ARN.
    keys: BTreeMap<String, Key>,
    /// By region and name.
    aliases: BTreeMap<(String, String), aliases::Alias>,
}

/// A key.
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) arn: String,
    /// The text of the key policy.
    pub(crate) policy: String,
    pub(crate) tags: Tags,
    pub(crate) grants: Vec<grants::Grant>,
    /// Made and managed by AWS for one of its services.
    managed: bool,
    description: String,
    spec: String,
    usage: String,
    origin: String,
    multi_region: bool,
    /// The rotation period in days, while rotation is on.
    rotation: Option<i64>,
    rotation_since: DateTime<Utc>,
    created: DateTime<Utc>,
    /// The end of the waiting period and its days, once deletion is scheduled.
    deletion: Option<(DateTime<Utc>, i64)>,
    /// What encrypts; never shown.
    material: Vec<u8>,
}

pub(crate) fn handle(world: &mut World, call: &Call<'_>) -> Answer {
    match call.operation {
        "CreateKey" => keys::create(world, call),
        "DescribeKey" => keys::describe(world, call),
        "ListKeys" => keys::list(world, call),
        "GetKeyPolicy" => keys::get_policy(world, call),
        "PutKeyPolicy" => keys::put_policy(world, call),
        "GetKeyRotationStatus" => keys::rotation_status(world, call),
        "EnableKeyRotation" => keys::enable_rotation(world, call),
        "DisableKeyRotation" => keys::disable_rotation(world, call),
        "ListResourceTags" => keys::list_tags(world, call),
        "TagResource" => keys::tag(world, call),
        "UntagResource" => keys::untag(world, call),
        "ScheduleKeyDeletion" => keys::schedule_deletion(world, call),
        "CancelKeyDeletion" => keys::cancel_deletion(world, call),
        "CreateAlias" => aliases::create(world, call),
        "UpdateAlias" => aliases::update(world, call),
        "DeleteAlias" => aliases::delete(world, call),
        "ListAliases" => aliases::list(world, call),
        "Encrypt" => crypto::encrypt(world, call),
        "Decrypt" => crypto::decrypt(world, call),
        "GenerateDataKey" => crypto::generate_data_key(world, call),
        "CreateGrant" => grants::create(world, call),
        "ListGrants" => grants::list(world, call),
        _ => Err(call.unserved()),
    }
}

/// The key that a ciphertext names, for a call that doesn't name one.
pub(crate) fn key_of(world: &World, call: &Call<'_>) -> Option<String> {
    crypto::key_of(world, call)
}

impl State {
    /// The ARN of the key that an id, ARN, alias or alias ARN means.
    pub(crate) fn arn_of(&self, region: &str, account: &str, id: &str) -> Option<&str> {
        let alias = id
            .strip_prefix(&format!("arn:aws:kms:{region}:{account}:"))
            .unwrap_or(id);
        if alias.starts_with("alias/") {
            let known = self.aliases.get(&(region.to_owned(), alias.to_owned()))?;
            return self.keys.get(&known.key_arn).map(|key| key.arn.as_str());
        }
        let arn = if id.starts_with("arn:") {
            id.to_owned()
        } else {
            format!("arn:aws:kms:{region}:{account}:key/{id}")
        };
        self.keys
            .get(&arn)
            .filter(|key| key.arn.split(':').nth(3) == Some(region))
            .map(|key| key.arn.as_str())
    }

    /// Whether a key exists and encrypts now.
    pub(crate) fn usable(&self, region: &str, account: &str, id: &str) -> bool {
        self.arn_of(region, account, id)
            .and_then(|arn| self.keys.get(arn))
            .is_some_and(Key::encrypts)
    }

    /// The names of a key's aliases.
    pub(crate) fn aliases_of(&self, arn: &str) -> Vec<String> {
        self.aliases
            .values()
            .filter(|alias| alias.key_arn == arn)
            .map(|alias| alias.name.clone())
            .collect()
    }

    /// A key by ARN.
    pub(crate) fn by_arn(&self, arn: &str) -> Option<&Key> {
        self.keys.get(arn)
    }

    /// Tagged keys, for the tagging API; AWS's own are not among them.
    pub(crate) fn tagged(&self) -> Vec<(&str, &Tags)> {
        self.keys
            .values()
            .filter(|key| !key.managed)
            .map(|key| (key.arn.as_str(), &key.tags))
            .collect()
    }

    /// AWS's own key for a service, made when it is first needed.
    pub(crate) fn ensure_managed(
        &mut self,
        ids: &mut Ids,
        region: &str,
        account: &str,
        service: &str,
        now: DateTime<Utc>,
    ) {
        let alias = format!("alias/aws/{service}");
        if self
            .aliases
            .contains_key(&(region.to_owned(), alias.clone()))
        {
            return;
        }
        let key = keys::managed(ids, region, account, service, now);
        let alias = aliases::Alias::new(region, account, alias, key.arn.clone(), now);
        self.aliases
            .insert((region.to_owned(), alias.name.clone()), alias);
        self.keys.insert(key.arn.clone(), key);
    }

    /// Forgets keys whose waiting period is over, with their aliases.
    pub(crate) fn purge(&mut self, now: DateTime<Utc>) {
        self.keys
            .retain(|_, key| key.deletion.is_none_or(|(ends, _)| ends > now));
        let keys = &self.keys;
        self.aliases
            .retain(|_, alias| keys.contains_key(&alias.key_arn));
    }

    fn find(&self, call: &Call<'_>) -> Result<&Key, ApiError> {
        let id = call.required("KeyId")?;
        self.named(call, id)
    }

    fn named(&self, call: &Call<'_>, id: &str) -> Result<&Key, ApiError> {
        self.arn_of(call.region, call.account, id)
            .and_then(|arn| self.keys.get(arn))
            .ok_or_else(|| not_found(call, id))
    }

    fn find_mut(&mut self, call: &Call<'_>) -> Result<&mut Key, ApiError> {
        let arn = self.find(call)?.arn.clone();
        let id = call.required("KeyId")?;
        self.keys.get_mut(&arn).ok_or_else(|| not_found(call, id))
    }

    /// The key of a call that changes it: AWS's own can't be changed.
    fn own_mut(&mut self, call: &Call<'_>) -> Result<&mut Key, ApiError> {
        let key = self.find_mut(call)?;
        if key.managed {
            return Err(ApiError::new(
                "AccessDeniedException",
                format!(
                    "{} is not authorized to perform: kms:{} on resource: {}: it is managed by AWS",
                    call.caller.arn(call.account),
                    call.operation,
                    key.arn
                ),
            ));
        }
        Ok(key)
    }
}

impl Key {
    fn state(&self) -> &'static str {
        if self.deletion.is_some() {
            "PendingDeletion"
        } else if self.origin == "EXTERNAL" {
            "PendingImport"
        } else {
            "Enabled"
        }
    }

    fn encrypts(&self) -> bool {
        self.state() == "Enabled" && self.spec == "SYMMETRIC_DEFAULT"
    }

    fn refuse_deleted(&self) -> Result<(), ApiError> {
        if self.deletion.is_some() {
            return Err(invalid_state(&format!("{} is pending deletion.", self.arn)));
        }
        Ok(())
    }
}

/// A page of KMS: `Limit` and `Marker` in, `NextMarker` and `Truncated` out.
fn paged(call: &Call<'_>, name: &str, rows: Vec<Value>, default: usize) -> Answer {
    let size = call
        .number("Limit")
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(default);
    let (rows, next) = page(rows, call.text("Marker"), size)
        .map_err(|_| ApiError::new("InvalidMarkerException", "the marker is not valid"))?;
    let mut answer = Map::from_iter([
        (name.to_owned(), Value::Array(rows)),
        ("Truncated".to_owned(), json!(next.is_some())),
    ]);
    if let Some(next) = next {
        answer.insert("NextMarker".to_owned(), json!(next));
    }
    Ok(Value::Object(answer))
}

fn not_found(call: &Call<'_>, id: &str) -> ApiError {
    let name = if id.starts_with("arn:") {
        id.to_owned()
    } else if id.starts_with("alias/") {
        return ApiError::new(
            "NotFoundException",
            format!("Alias {} is not found.", call.arn(id)),
        );
    } else {
        call.arn(&format!("key/{id}"))
    };
    ApiError::new("NotFoundException", format!("Key '{name}' does not exist"))
}

fn invalid_state(message: &str) -> ApiError {
    ApiError::new("KMSInvalidStateException", message)
}

fn unsupported(message: &str) -> ApiError {
    ApiError::new("UnsupportedOperationException", message)
}
