//! Secrets, their rotation, policies and versions.

use aws_sdk_secretsmanager::primitives::Blob;
use aws_sdk_secretsmanager::types::{ReplicaRegionType, RotationRulesType, Tag};
use base64::Engine as _;

use super::Made;
use super::failure::{Failure, refused};
use super::inputs::Inputs;
use super::target::Target;
use crate::program::value::Value;

/// `aws:secretsmanager:Secret`.
pub(super) async fn secret(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let client = target.secretsmanager();
    let name = target.name(inputs)?;
    let replicas = inputs
        .objects("replicas")?
        .into_iter()
        .map(|replica| {
            Ok(ReplicaRegionType::builder()
                .region(replica.required("region")?)
                .set_kms_key_id(replica.text("kmsKeyId")?)
                .build())
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let created = client
        .create_secret()
        .name(&name)
        .client_request_token(&target.token)
        .set_description(inputs.text("description")?)
        .set_kms_key_id(inputs.text("kmsKeyId")?)
        .set_add_replica_regions((!replicas.is_empty()).then_some(replicas))
        .set_force_overwrite_replica_secret(inputs.bool("forceOverwriteReplicaSecret")?)
        .set_tags(tags(target))
        .send()
        .await
        .map_err(refused("secretsmanager:CreateSecret"))?;
    let arn = created
        .arn
        .ok_or_else(|| Failure::whole("`secretsmanager:CreateSecret` answered without an ARN"))?;
    let policy = inputs.document("policy")?;
    if let Some(policy) = &policy {
        client
            .put_resource_policy()
            .secret_id(&arn)
            .resource_policy(policy)
            .send()
            .await
            .map_err(refused("secretsmanager:PutResourcePolicy"))?;
    }
    let window = inputs.number("recoveryWindowInDays")?.unwrap_or(30.0);
    Ok(Made::new(arn.clone())
        .with("arn", arn)
        .with("name", name)
        .with("namePrefix", "")
        .with("policy", policy.unwrap_or_default())
        .with("recoveryWindowInDays", Value::Number(window))
        .with("forceOverwriteReplicaSecret", false))
}

/// `aws:secretsmanager:SecretRotation`. Unless `rotateImmediately` is false, AWS rotates once right away.
pub(super) async fn secret_rotation(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let client = target.secretsmanager();
    let secret = inputs.required("secretId")?;
    let immediately = inputs.bool("rotateImmediately")?.unwrap_or(true);
    let rules = match inputs.object("rotationRules")? {
        Some(rules) => Some(
            RotationRulesType::builder()
                .set_automatically_after_days(rules.integer("automaticallyAfterDays")?)
                .set_duration(rules.text("duration")?)
                .set_schedule_expression(rules.text("scheduleExpression")?)
                .build(),
        ),
        None => None,
    };
    let rotated = client
        .rotate_secret()
        .secret_id(&secret)
        .client_request_token(&target.token)
        .set_rotation_lambda_arn(inputs.text("rotationLambdaArn")?)
        .set_rotation_rules(rules)
        .rotate_immediately(immediately)
        .send()
        .await
        .map_err(refused("secretsmanager:RotateSecret"))?;
    let described = client
        .describe_secret()
        .secret_id(&secret)
        .send()
        .await
        .map_err(refused("secretsmanager:DescribeSecret"))?;
    Ok(Made::new(rotated.arn.unwrap_or(secret))
        .with("rotateImmediately", immediately)
        .with("rotationEnabled", described.rotation_enabled))
}

/// `aws:secretsmanager:SecretPolicy`.
pub(super) async fn secret_policy(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let secret = inputs.required("secretArn")?;
    let put = target
        .secretsmanager()
        .put_resource_policy()
        .secret_id(&secret)
        .set_resource_policy(inputs.document("policy")?)
        .set_block_public_policy(inputs.bool("blockPublicPolicy")?)
        .send()
        .await
        .map_err(refused("secretsmanager:PutResourcePolicy"))?;
    Ok(Made::new(put.arn.unwrap_or(secret)))
}

/// `aws:secretsmanager:SecretVersion`: a value in a program, which a control may well object to.
pub(super) async fn secret_version(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let secret = inputs.required("secretId")?;
    let text = match inputs.text("secretString")? {
        Some(text) => Some(text),
        None => inputs.text("secretStringWo")?,
    };
    inputs.skip(&["secretStringWoVersion"]);
    let binary = match inputs.text("secretBinary")? {
        Some(text) => Some(
            base64::engine::general_purpose::STANDARD
                .decode(text)
                .map_err(|_| Failure::of("secretBinary", "isn't Base64"))?,
        ),
        None => None,
    };
    let put = target
        .secretsmanager()
        .put_secret_value()
        .secret_id(&secret)
        .client_request_token(&target.token)
        .set_secret_string(text)
        .set_secret_binary(binary.map(Blob::new))
        .set_version_stages(inputs.texts("versionStages")?)
        .send()
        .await
        .map_err(refused("secretsmanager:PutSecretValue"))?;
    let arn = put.arn.unwrap_or(secret);
    let version = put.version_id.unwrap_or_default();
    let stages = put.version_stages.unwrap_or_default();
    Ok(Made::new(format!("{arn}|{version}"))
        .with("arn", arn)
        .with("versionId", version)
        .with(
            "versionStages",
            Value::List(stages.into_iter().map(Value::Text).collect()),
        ))
}

fn tags(target: &Target) -> Option<Vec<Tag>> {
    let tags: Vec<Tag> = target
        .tags
        .iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect();
    (!tags.is_empty()).then_some(tags)
}
