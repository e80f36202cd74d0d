//! Log groups, their streams and resource policies.

use aws_sdk_cloudwatchlogs::types::LogGroupClass;

use super::Made;
use super::failure::{Failure, refused};
use super::inputs::Inputs;
use super::target::Target;
use crate::program::value::Value;

/// `aws:cloudwatch:LogGroup`.
pub(super) async fn log_group(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let client = target.logs();
    let name = target.name(inputs)?;
    let retention: Option<i32> = inputs.integer("retentionInDays")?;
    let protected = inputs.bool("deletionProtectionEnabled")?;
    let class = inputs.text("logGroupClass")?;
    client
        .create_log_group()
        .log_group_name(&name)
        .set_kms_key_id(inputs.text("kmsKeyId")?)
        .set_log_group_class(class.as_deref().map(LogGroupClass::from))
        .set_deletion_protection_enabled(protected)
        .set_tags((!target.tags.is_empty()).then(|| target.tags.clone().into_iter().collect()))
        .send()
        .await
        .map_err(refused("logs:CreateLogGroup"))?;
    // 0 stands for "never expire", as for the provider.
    if let Some(days) = retention.filter(|days| *days != 0) {
        client
            .put_retention_policy()
            .log_group_name(&name)
            .retention_in_days(days)
            .send()
            .await
            .map_err(refused("logs:PutRetentionPolicy"))?;
    }
    inputs.skip(&["skipDestroy"]);
    Ok(Made::new(name.clone())
        .with("arn", target.arn("logs", &format!("log-group:{name}")))
        .with("name", name)
        .with("namePrefix", "")
        .with(
            "logGroupClass",
            class.unwrap_or_else(|| "STANDARD".to_owned()),
        )
        .with("deletionProtectionEnabled", protected.unwrap_or(false))
        .with(
            "retentionInDays",
            Value::Number(f64::from(retention.unwrap_or(0))),
        )
        .with("skipDestroy", false))
}

/// `aws:cloudwatch:LogStream`.
pub(super) async fn log_stream(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let name = target.name(inputs)?;
    let group = inputs.required("logGroupName")?;
    target
        .logs()
        .create_log_stream()
        .log_group_name(&group)
        .log_stream_name(&name)
        .send()
        .await
        .map_err(refused("logs:CreateLogStream"))?;
    let arn = target.arn("logs", &format!("log-group:{group}:log-stream:{name}"));
    Ok(Made::new(name.clone()).with("arn", arn).with("name", name))
}

/// `aws:cloudwatch:LogResourcePolicy`.
pub(super) async fn log_resource_policy(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let name = inputs.text("policyName")?;
    let resource = inputs.text("resourceArn")?;
    target
        .logs()
        .put_resource_policy()
        .set_policy_name(name.clone())
        .set_policy_document(inputs.document("policyDocument")?)
        .set_resource_arn(resource.clone())
        .send()
        .await
        .map_err(refused("logs:PutResourcePolicy"))?;
    let id = name
        .or(resource)
        .ok_or_else(|| Failure::whole("needs `policyName` or `resourceArn`"))?;
    Ok(Made::new(id))
}
