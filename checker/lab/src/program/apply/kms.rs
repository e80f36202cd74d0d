//! Keys, their policies and aliases.

use aws_sdk_kms::types::{KeySpec, KeyUsageType, Tag};

use super::Made;
use super::failure::{Failure, refused};
use super::inputs::Inputs;
use super::target::{Target, tag_list};

/// `aws:kms:Key`.
pub(super) async fn key(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let client = target.kms();
    let rotation = inputs.bool("enableKeyRotation")?.unwrap_or(false);
    let period = inputs.integer("rotationPeriodInDays")?;
    let enabled = inputs.bool("isEnabled")?.unwrap_or(true);
    let policy = inputs.document("policy")?;
    let created = client
        .create_key()
        .set_policy(policy.clone())
        .set_description(inputs.text("description")?)
        .set_key_usage(inputs.text("keyUsage")?.as_deref().map(KeyUsageType::from))
        .set_key_spec(
            inputs
                .text("customerMasterKeySpec")?
                .as_deref()
                .map(KeySpec::from),
        )
        .set_multi_region(inputs.bool("multiRegion")?)
        .set_bypass_policy_lockout_safety_check(inputs.bool("bypassPolicyLockoutSafetyCheck")?)
        .set_tags(tags(target)?)
        .send()
        .await
        .map_err(refused("kms:CreateKey"))?;
    // What happens on deletion is nothing that a new key shows.
    inputs.skip(&["deletionWindowInDays"]);
    let metadata = created
        .key_metadata
        .ok_or_else(|| Failure::whole("`kms:CreateKey` answered without a key"))?;
    let id = metadata.key_id();
    if rotation {
        client
            .enable_key_rotation()
            .key_id(id)
            .set_rotation_period_in_days(period)
            .send()
            .await
            .map_err(refused("kms:EnableKeyRotation"))?;
    }
    if !enabled {
        client
            .disable_key()
            .key_id(id)
            .send()
            .await
            .map_err(refused("kms:DisableKey"))?;
    }
    let policy = match policy {
        Some(policy) => Some(policy),
        None => {
            client
                .get_key_policy()
                .key_id(id)
                .send()
                .await
                .map_err(refused("kms:GetKeyPolicy"))?
                .policy
        }
    };
    Ok(Made::new(id)
        .with("arn", metadata.arn())
        .with("keyId", id)
        .with("policy", policy)
        .with("enableKeyRotation", rotation)
        .with("isEnabled", enabled)
        .with("description", metadata.description())
        .with("multiRegion", metadata.multi_region()))
}

/// `aws:kms:KeyPolicy`.
pub(super) async fn key_policy(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let key = inputs.required("keyId")?;
    target
        .kms()
        .put_key_policy()
        .key_id(&key)
        .set_policy(inputs.document("policy")?)
        .set_bypass_policy_lockout_safety_check(inputs.bool("bypassPolicyLockoutSafetyCheck")?)
        .send()
        .await
        .map_err(refused("kms:PutKeyPolicy"))?;
    Ok(Made::new(key))
}

/// `aws:kms:Alias`.
pub(super) async fn alias(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let client = target.kms();
    let name = inputs
        .text("name")?
        .unwrap_or_else(|| format!("alias/{}", target.auto_name));
    let key = inputs.required("targetKeyId")?;
    client
        .create_alias()
        .alias_name(&name)
        .target_key_id(&key)
        .send()
        .await
        .map_err(refused("kms:CreateAlias"))?;
    let described = client
        .describe_key()
        .key_id(&name)
        .send()
        .await
        .map_err(refused("kms:DescribeKey"))?
        .key_metadata
        .ok_or_else(|| Failure::whole("`kms:DescribeKey` answered without a key"))?;
    Ok(Made::new(name.clone())
        .with("arn", target.arn("kms", &name))
        .with("name", name)
        .with("namePrefix", "")
        .with("targetKeyArn", described.arn())
        .with("targetKeyId", described.key_id()))
}

tag_list!(Tag, tag_key, tag_value);
