//! Keys: made, described, their policy, rotation, tags and deletion.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{Key, invalid_state, paged, unsupported};
use crate::iam::grammar::{self, PolicyKind};
use crate::ids::Ids;
use crate::service::{Answer, ApiError, Call, timestamp};
use crate::tagging::Tags;
use crate::world::World;

/// The days of automatic rotation when none are given.
const ROTATION_DAYS: i64 = 365;

pub(super) fn create(world: &mut World, call: &Call<'_>) -> Answer {
    for member in ["CustomKeyStoreId", "XksKeyId"] {
        if call.input.contains_key(member) {
            return Err(unsupported(&format!("the lab does not serve `{member}`")));
        }
    }
    let spec = call
        .text("KeySpec")
        .or_else(|| call.text("CustomerMasterKeySpec"))
        .unwrap_or("SYMMETRIC_DEFAULT");
    let usage = call.text("KeyUsage").unwrap_or("ENCRYPT_DECRYPT");
    if spec == "SYMMETRIC_DEFAULT" && usage != "ENCRYPT_DECRYPT" {
        return Err(ApiError::new(
            "ValidationException",
            format!("KeyUsage {usage} is not compatible with KeySpec {spec}"),
        ));
    }
    let tags = tags(call)?;
    let policy = match call.text("Policy") {
        Some(policy) => {
            check_policy(call, policy)?;
            policy.to_owned()
        }
        None => default_policy(call.account),
    };
    let id = if call.flag("MultiRegion") == Some(true) {
        format!("mrk-{}", world.ids.hex(32))
    } else {
        world.ids.key()
    };
    let key = Key {
        arn: call.arn(&format!("key/{id}")),
        id,
        policy,
        tags,
        grants: Vec::new(),
        managed: false,
        description: call.text("Description").unwrap_or_default().to_owned(),
        spec: spec.to_owned(),
        usage: usage.to_owned(),
        origin: call.text("Origin").unwrap_or("AWS_KMS").to_owned(),
        multi_region: call.flag("MultiRegion") == Some(true),
        rotation: None,
        rotation_since: call.now,
        created: call.now,
        deletion: None,
        material: world.ids.alphanumeric(32).into_bytes(),
    };
    let answer = json!({"KeyMetadata": metadata(&key, call.account)});
    world.kms.keys.insert(key.arn.clone(), key);
    Ok(answer)
}

/// AWS's own key for a service.
pub(super) fn managed(
    ids: &mut Ids,
    region: &str,
    account: &str,
    service: &str,
    now: DateTime<Utc>,
) -> Key {
    let id = ids.uuid();
    let policy = json!({
        "Version": "2012-10-17",
        "Id": format!("auto-{service}-2"),
        "Statement": [
            {
                "Sid": format!("Allow access through AWS {service} for all principals in the account that are authorized to use it"),
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:CreateGrant", "kms:DescribeKey"],
                "Resource": "*",
                "Condition": {"StringEquals": {
                    "kms:CallerAccount": account,
                    "kms:ViaService": format!("{service}.{region}.amazonaws.com"),
                }},
            },
            {
                "Sid": "Allow data key generation",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": "kms:GenerateDataKey*",
                "Resource": "*",
                "Condition": {
                    "StringEquals": {"kms:CallerAccount": account},
                    "StringLike": {"kms:ViaService": format!("{service}.*.amazonaws.com")},
                },
            },
            {
                "Sid": "Allow direct access to key metadata to the account",
                "Effect": "Allow",
                "Principal": {"AWS": format!("arn:aws:iam::{account}:root")},
                "Action": ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"],
                "Resource": "*",
            },
        ],
    });
    Key {
        arn: format!("arn:aws:kms:{region}:{account}:key/{id}"),
        id,
        policy: policy.to_string(),
        tags: Tags::default(),
        grants: Vec::new(),
        managed: true,
        description: format!(
            "Default key that protects my {service} data when no other key is defined"
        ),
        spec: "SYMMETRIC_DEFAULT".to_owned(),
        usage: "ENCRYPT_DECRYPT".to_owned(),
        origin: "AWS_KMS".to_owned(),
        multi_region: false,
        rotation: Some(ROTATION_DAYS),
        rotation_since: now,
        created: now,
        deletion: None,
        material: ids.alphanumeric(32).into_bytes(),
    }
}

pub(super) fn describe(world: &mut World, call: &Call<'_>) -> Answer {
    let id = call.required("KeyId")?;
    let alias = id.rsplit(':').next().unwrap_or_default();
    if let Some(service) = alias.strip_prefix("alias/aws/")
        && matches!(service, "secretsmanager" | "lambda" | "ssm" | "sns" | "sqs")
    {
        world
            .kms
            .ensure_managed(&mut world.ids, call.region, call.account, service, call.now);
    }
    let key = world.kms.find(call)?;
    Ok(json!({"KeyMetadata": metadata(key, call.account)}))
}

pub(super) fn list(world: &World, call: &Call<'_>) -> Answer {
    if call.input.contains_key("ResourceOwners") {
        return Err(unsupported("the lab does not serve `ResourceOwners`"));
    }
    let here = call.arn("key/");
    let rows = world
        .kms
        .keys
        .values()
        .filter(|key| key.arn.starts_with(&here))
        .map(|key| json!({"KeyId": key.id, "KeyArn": key.arn}))
        .collect();
    paged(call, "Keys", rows, 100)
}

pub(super) fn get_policy(world: &World, call: &Call<'_>) -> Answer {
    check_policy_name(call)?;
    let key = world.kms.find(call)?;
    Ok(json!({"Policy": key.policy, "PolicyName": "default"}))
}

pub(super) fn put_policy(world: &mut World, call: &Call<'_>) -> Answer {
    check_policy_name(call)?;
    let policy = call.required("Policy")?;
    check_policy(call, policy)?;
    let key = world.kms.own_mut(call)?;
    policy.clone_into(&mut key.policy);
    Ok(json!({}))
}

pub(super) fn rotation_status(world: &World, call: &Call<'_>) -> Answer {
    let key = world.kms.find(call)?;
    let mut answer = json!({"KeyId": key.arn, "KeyRotationEnabled": key.rotation.is_some()});
    if let (Some(days), Some(answer)) = (key.rotation, answer.as_object_mut()) {
        answer.insert("RotationPeriodInDays".to_owned(), json!(days));
        let since = call
            .now
            .signed_duration_since(key.rotation_since)
            .num_days();
        let periods = since.div_euclid(days) + 1;
        let next = key
            .rotation_since
            .checked_add_signed(TimeDelta::days(periods.saturating_mul(days)));
        if let Some(next) = next {
            answer.insert("NextRotationDate".to_owned(), timestamp(next));
        }
    }
    Ok(answer)
}

pub(super) fn enable_rotation(world: &mut World, call: &Call<'_>) -> Answer {
    let now = call.now;
    let key = world.kms.own_mut(call)?;
    key.refuse_deleted()?;
    if key.spec != "SYMMETRIC_DEFAULT" || key.origin != "AWS_KMS" {
        return Err(unsupported(
            "automatic rotation is only for symmetric keys with material of AWS KMS",
        ));
    }
    key.rotation = Some(
        call.number("RotationPeriodInDays")
            .or(key.rotation)
            .unwrap_or(ROTATION_DAYS),
    );
    key.rotation_since = now;
    Ok(json!({}))
}

pub(super) fn disable_rotation(world: &mut World, call: &Call<'_>) -> Answer {
    let key = world.kms.own_mut(call)?;
    key.refuse_deleted()?;
    key.rotation = None;
    Ok(json!({}))
}

pub(super) fn list_tags(world: &World, call: &Call<'_>) -> Answer {
    let key = world.kms.find(call)?;
    let rows = key
        .tags
        .entries()
        .iter()
        .map(|(key, value)| json!({"TagKey": key, "TagValue": value}))
        .collect();
    paged(call, "Tags", rows, 50)
}

pub(super) fn tag(world: &mut World, call: &Call<'_>) -> Answer {
    let tags = tags(call)?;
    let key = world.kms.own_mut(call)?;
    key.refuse_deleted()?;
    key.tags.merge(tags);
    Ok(json!({}))
}

pub(super) fn untag(world: &mut World, call: &Call<'_>) -> Answer {
    let key = world.kms.own_mut(call)?;
    key.refuse_deleted()?;
    key.tags
        .remove(call.list("TagKeys").iter().filter_map(Value::as_str));
    Ok(json!({}))
}

pub(super) fn schedule_deletion(world: &mut World, call: &Call<'_>) -> Answer {
    let days = call.number("PendingWindowInDays").unwrap_or(30);
    if !(7..=30).contains(&days) {
        return Err(ApiError::new(
            "ValidationException",
            "PendingWindowInDays must be between 7 and 30 (inclusive).",
        ));
    }
    let now = call.now;
    let key = world.kms.own_mut(call)?;
    key.refuse_deleted()?;
    let ends = now.checked_add_signed(TimeDelta::days(days)).unwrap_or(now);
    key.deletion = Some((ends, days));
    Ok(json!({
        "KeyId": key.arn,
        "DeletionDate": timestamp(ends),
        "KeyState": key.state(),
        "PendingWindowInDays": days,
    }))
}

pub(super) fn cancel_deletion(world: &mut World, call: &Call<'_>) -> Answer {
    let key = world.kms.own_mut(call)?;
    if key.deletion.take().is_none() {
        return Err(invalid_state(&format!(
            "{} is not pending deletion.",
            key.arn
        )));
    }
    Ok(json!({"KeyId": key.arn}))
}

/// Tags of KMS are `TagKey` and `TagValue`.
fn tags(call: &Call<'_>) -> Result<Tags, ApiError> {
    let list: Vec<Value> = call
        .list("Tags")
        .iter()
        .map(|tag| json!({"Key": tag.get("TagKey"), "Value": tag.get("TagValue")}))
        .collect();
    Tags::from_list(&list).map_err(|problem| ApiError::new("TagException", problem))
}

fn check_policy_name(call: &Call<'_>) -> Result<(), ApiError> {
    match call.text("PolicyName") {
        None | Some("default") => Ok(()),
        Some(_) => Err(ApiError::new(
            "NotFoundException",
            "the only key policy is `default`",
        )),
    }
}

/// Refuses a policy that is malformed, or that would lock the account out of its key.
fn check_policy(call: &Call<'_>, policy: &str) -> Result<(), ApiError> {
    let malformed = |problem: &str| ApiError::new("MalformedPolicyDocumentException", problem);
    let document = grammar::parse(policy, PolicyKind::Resource)
        .map_err(|problem| malformed(&problem.to_string()))?;
    if call.flag("BypassPolicyLockoutSafetyCheck") == Some(true) {
        return Ok(());
    }
    let text = document.to_string();
    let administers = ["\"kms:*\"", "\"kms:Put*\"", "\"kms:PutKeyPolicy\"", "\"*\""]
        .iter()
        .any(|action| text.contains(action));
    let own = text.contains(&format!(":{}:", call.account))
        || text.contains(&format!("\"{}\"", call.account));
    if administers && own {
        Ok(())
    } else {
        Err(malformed(
            "The new key policy will not allow you to update the key policy in the future.",
        ))
    }
}

fn default_policy(account: &str) -> String {
    json!({
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [{
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": {"AWS": format!("arn:aws:iam::{account}:root")},
            "Action": "kms:*",
            "Resource": "*",
        }],
    })
    .to_string()
}

fn metadata(key: &Key, account: &str) -> Value {
    let mut metadata = json!({
        "AWSAccountId": account,
        "KeyId": key.id,
        "Arn": key.arn,
        "CreationDate": timestamp(key.created),
        "Enabled": key.state() == "Enabled",
        "Description": key.description,
        "KeyUsage": key.usage,
        "KeyState": key.state(),
        "Origin": key.origin,
        "KeyManager": if key.managed { "AWS" } else { "CUSTOMER" },
        "KeySpec": key.spec,
        "MultiRegion": key.multi_region,
    });
    let Some(object) = metadata.as_object_mut() else {
        return metadata;
    };
    if key.spec == "SYMMETRIC_DEFAULT" {
        object.insert("CustomerMasterKeySpec".to_owned(), json!(key.spec));
        object.insert(
            "EncryptionAlgorithms".to_owned(),
            json!(["SYMMETRIC_DEFAULT"]),
        );
    }
    if key.multi_region {
        let region = key.arn.split(':').nth(3).unwrap_or_default();
        object.insert(
            "MultiRegionConfiguration".to_owned(),
            json!({
                "MultiRegionKeyType": "PRIMARY",
                "PrimaryKey": {"Arn": key.arn, "Region": region},
                "ReplicaKeys": [],
            }),
        );
    }
    if let Some((ends, days)) = key.deletion {
        object.insert("DeletionDate".to_owned(), timestamp(ends));
        if key.multi_region {
            object.insert("PendingDeletionWindowInDays".to_owned(), json!(days));
        }
    }
    metadata
}
