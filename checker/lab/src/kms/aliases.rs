//! Aliases of keys.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::paged;
use crate::service::{Answer, ApiError, Call, timestamp};
use crate::world::World;

/// An alias.
pub(super) struct Alias {
    pub(super) name: String,
    pub(super) key_arn: String,
    arn: String,
    created: DateTime<Utc>,
    updated: DateTime<Utc>,
}

impl Alias {
    pub(super) fn new(
        region: &str,
        account: &str,
        name: String,
        key_arn: String,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            arn: format!("arn:aws:kms:{region}:{account}:{name}"),
            name,
            key_arn,
            created: now,
            updated: now,
        }
    }
}

pub(super) fn create(world: &mut World, call: &Call<'_>) -> Answer {
    let name = name(call)?;
    let place = (call.region.to_owned(), name.to_owned());
    if world.kms.aliases.contains_key(&place) {
        return Err(ApiError::new(
            "AlreadyExistsException",
            format!("An alias with the name {} already exists", call.arn(name)),
        ));
    }
    let key_arn = target(world, call)?;
    let alias = Alias::new(
        call.region,
        call.account,
        name.to_owned(),
        key_arn,
        call.now,
    );
    world.kms.aliases.insert(place, alias);
    Ok(json!({}))
}

pub(super) fn update(world: &mut World, call: &Call<'_>) -> Answer {
    let name = name(call)?;
    let key_arn = target(world, call)?;
    let alias = world
        .kms
        .aliases
        .get_mut(&(call.region.to_owned(), name.to_owned()))
        .ok_or_else(|| missing(call, name))?;
    alias.key_arn = key_arn;
    alias.updated = call.now;
    Ok(json!({}))
}

pub(super) fn delete(world: &mut World, call: &Call<'_>) -> Answer {
    let name = name(call)?;
    world
        .kms
        .aliases
        .remove(&(call.region.to_owned(), name.to_owned()))
        .map(|_| json!({}))
        .ok_or_else(|| missing(call, name))
}

pub(super) fn list(world: &World, call: &Call<'_>) -> Answer {
    let only = match call.text("KeyId") {
        Some(_) => Some(world.kms.find(call)?.arn.clone()),
        None => None,
    };
    let rows: Vec<Value> = world
        .kms
        .aliases
        .iter()
        .filter(|((region, _), _)| region == call.region)
        .filter(|(_, alias)| only.as_ref().is_none_or(|arn| *arn == alias.key_arn))
        .map(|(_, alias)| {
            json!({
                "AliasName": alias.name,
                "AliasArn": alias.arn,
                "TargetKeyId": alias.key_arn.rsplit('/').next().unwrap_or_default(),
                "CreationDate": timestamp(alias.created),
                "LastUpdatedDate": timestamp(alias.updated),
            })
        })
        .collect();
    paged(call, "Aliases", rows, 50)
}

fn name<'a>(call: &'a Call<'_>) -> Result<&'a str, ApiError> {
    let name = call.required("AliasName")?;
    if name.starts_with("alias/aws/") {
        return Err(ApiError::new(
            "NotAuthorizedException",
            "aliases that begin with alias/aws/ belong to AWS",
        ));
    }
    let allowed = |character: char| character.is_ascii_alphanumeric() || "/_-".contains(character);
    let rest = name.strip_prefix("alias/").unwrap_or_default();
    if rest.is_empty() || !rest.chars().all(allowed) {
        return Err(ApiError::new(
            "InvalidAliasNameException",
            format!("`{name}` is not an alias name"),
        ));
    }
    Ok(name)
}

/// The key that an alias is to name; an alias of an alias is refused.
fn target(world: &World, call: &Call<'_>) -> Result<String, ApiError> {
    let id = call.required("TargetKeyId")?;
    if id.contains("alias/") {
        return Err(ApiError::new(
            "ValidationException",
            "Aliases must refer to keys. Not aliases",
        ));
    }
    let key = world.kms.named(call, id)?;
    key.refuse_deleted()?;
    Ok(key.arn.clone())
}

fn missing(call: &Call<'_>, name: &str) -> ApiError {
    ApiError::new(
        "NotFoundException",
        format!("Alias {} is not found.", call.arn(name)),
    )
}
