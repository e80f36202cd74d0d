//! Rules of `EventBridge` and their targets.

use aws_sdk_eventbridge::types::{
    DeadLetterConfig, InputTransformer, RetryPolicy, RuleState, SqsParameters, Tag,
    Target as RuleTarget,
};

use super::Made;
use super::failure::{Failure, refused};
use super::inputs::Inputs;
use super::target::{Target, tag_list};

/// `aws:cloudwatch:EventRule`.
pub(super) async fn rule(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let name = target.name(inputs)?;
    let bus = inputs.text("eventBusName")?;
    let enabled = inputs.bool("isEnabled")?;
    let state = inputs.text("state")?.unwrap_or_else(|| {
        if enabled == Some(false) {
            "DISABLED"
        } else {
            "ENABLED"
        }
        .to_owned()
    });
    let put = target
        .events()
        .put_rule()
        .name(&name)
        .state(RuleState::from(state.as_str()))
        .set_event_bus_name(bus.clone())
        .set_event_pattern(inputs.document("eventPattern")?)
        .set_schedule_expression(inputs.text("scheduleExpression")?)
        .set_description(inputs.text("description")?)
        .set_role_arn(inputs.text("roleArn")?)
        .set_tags(tags(target)?)
        .send()
        .await
        .map_err(refused("events:PutRule"))?;
    inputs.skip(&["forceDestroy"]);
    let id = match &bus {
        Some(bus) if bus != "default" => format!("{bus}/{name}"),
        Some(_) | None => name.clone(),
    };
    Ok(Made::new(id)
        .with("arn", put.rule_arn)
        .with("name", name)
        .with("namePrefix", "")
        .with("eventBusName", bus.unwrap_or_else(|| "default".to_owned()))
        .with("isEnabled", state != "DISABLED")
        .with("state", state)
        .with("forceDestroy", false))
}

/// `aws:cloudwatch:EventTarget`.
pub(super) async fn rule_target(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let rule = inputs.required("rule")?;
    let id = inputs
        .text("targetId")?
        .unwrap_or_else(|| target.auto_name.clone());
    let built = RuleTarget::builder()
        .id(&id)
        .arn(inputs.required("arn")?)
        .set_role_arn(inputs.text("roleArn")?)
        .set_input(inputs.text("input")?)
        .set_input_path(inputs.text("inputPath")?)
        .set_input_transformer(transformer(inputs)?)
        .set_dead_letter_config(dead_letters(inputs)?)
        .set_retry_policy(retries(inputs)?)
        .set_sqs_parameters(queue(inputs)?)
        .build()
        .map_err(|_| Failure::of("arn", "a target needs an id and an ARN"))?;
    let put = target
        .events()
        .put_targets()
        .rule(&rule)
        .set_event_bus_name(inputs.text("eventBusName")?)
        .targets(built)
        .send()
        .await
        .map_err(refused("events:PutTargets"))?;
    if let Some(failed) = put.failed_entries.unwrap_or_default().first() {
        return Err(Failure::whole(format!(
            "`events:PutTargets` was refused: {}: {}",
            failed.error_code().unwrap_or("an unnamed error"),
            failed.error_message().unwrap_or("no message")
        )));
    }
    inputs.skip(&["forceDestroy"]);
    Ok(Made::new(format!("{rule}-{id}"))
        .with("targetId", id)
        .with("rule", rule)
        .with("forceDestroy", false))
}

fn transformer(inputs: &Inputs) -> Result<Option<InputTransformer>, Failure> {
    let Some(config) = inputs.object("inputTransformer")? else {
        return Ok(None);
    };
    InputTransformer::builder()
        .set_input_paths_map(
            config
                .text_map("inputPaths")?
                .map(|paths| paths.into_iter().collect()),
        )
        .input_template(config.required("inputTemplate")?)
        .build()
        .map(Some)
        .map_err(|_| Failure::of("inputTransformer", "needs an `inputTemplate`"))
}

fn dead_letters(inputs: &Inputs) -> Result<Option<DeadLetterConfig>, Failure> {
    match inputs.object("deadLetterConfig")? {
        Some(config) => Ok(Some(
            DeadLetterConfig::builder()
                .set_arn(config.text("arn")?)
                .build(),
        )),
        None => Ok(None),
    }
}

fn retries(inputs: &Inputs) -> Result<Option<RetryPolicy>, Failure> {
    match inputs.object("retryPolicy")? {
        Some(config) => Ok(Some(
            RetryPolicy::builder()
                .set_maximum_event_age_in_seconds(config.integer("maximumEventAgeInSeconds")?)
                .set_maximum_retry_attempts(config.integer("maximumRetryAttempts")?)
                .build(),
        )),
        None => Ok(None),
    }
}

fn queue(inputs: &Inputs) -> Result<Option<SqsParameters>, Failure> {
    match inputs.object("sqsTarget")? {
        Some(config) => Ok(Some(
            SqsParameters::builder()
                .set_message_group_id(config.text("messageGroupId")?)
                .build(),
        )),
        None => Ok(None),
    }
}

tag_list!(Tag, key, value);
