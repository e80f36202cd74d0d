//! What `RotateSecret` and `CancelRotateSecret` decide, and when a rotation is due.
//!
//! The steps themselves run in [`crate::rotation`].

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::{Labels, Running, Secret, State, Version, invalid_parameter, invalid_request};
use crate::rotation::Rotation;
use crate::schedule::Schedule;
use crate::service::{Answer, ApiError, Call};
use crate::world::{Later, World};

/// The principal that the function's policy must let in.
pub(crate) const PRINCIPAL: &str = "secretsmanager.amazonaws.com";

pub(super) fn rotate(world: &mut World, call: &Call<'_>) -> Answer {
    for member in [
        "ExternalSecretRotationMetadata",
        "ExternalSecretRotationRoleArn",
    ] {
        if call.input.contains_key(member) {
            return Err(invalid_parameter(format!(
                "the lab does not serve `{member}`"
            )));
        }
    }
    let secret = world.secretsmanager.live(call)?;
    if secret.rare().replica_of.is_some() {
        return Err(invalid_request(
            "Operation not permitted on a replica secret. Call must be made in primary secret's region.",
        ));
    }
    let function = call
        .text("RotationLambdaARN")
        .filter(|arn| !arn.is_empty())
        .or(secret.rotation.function.as_deref())
        .ok_or_else(|| {
            invalid_request("No Lambda rotation function ARN is associated with this secret.")
        })?
        .to_owned();
    let rules = call.object("RotationRules").map(Rules::parse).transpose()?;
    if rules.is_none() && secret.rotation.schedule.is_none() {
        return Err(invalid_parameter(
            "You must specify RotationRules the first time that you configure rotation.",
        ));
    }
    let arn = Arc::clone(&secret.arn);
    let lets_in =
        |function: &crate::lambda::Function| function.lets_in(PRINCIPAL, call.account, &arn);
    match world.lambda.function(&function) {
        None => {
            return Err(ApiError::new(
                "ResourceNotFoundException",
                format!("Lambda function {function} does not exist."),
            ));
        }
        Some(known) if !lets_in(known) => {
            return Err(ApiError::new(
                "AccessDeniedException",
                "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the principal secretsmanager.amazonaws.com.",
            ));
        }
        Some(_) => {}
    }
    let token = call.required("ClientRequestToken")?.to_owned();
    let immediately = call.flag("RotateImmediately") != Some(false);
    let secret = world.secretsmanager.primary_mut(call)?;
    secret.rotation.function = Some(function.into());
    secret.rotation.enabled = true;
    secret.changed = call.now;
    if let Some(rules) = rules {
        secret.rotation.rules = Some(Arc::new(rules.shown(call.now)));
        secret.rotation.schedule = Some(Arc::new(rules.schedule));
        secret.plan_next(call.now);
    } else if secret.rotation.due.is_none() {
        secret.plan_next(call.now);
    }
    let unfinished = secret.unfinished().map(str::to_owned);
    if secret.rotation.running.is_some() || unfinished.as_ref().is_some_and(|id| *id != token) {
        if let (None, Some(version)) = (&secret.rotation.running, unfinished) {
            start(world, &arn, &version, false);
        }
        return Err(invalid_request(
            "A previous rotation isn't complete. That rotation will be reattempted.",
        ));
    }
    if let Some(known) = secret.versions.get(token.as_str())
        && known.value.is_some()
        && unfinished.is_none()
    {
        // The rotation that this token began has ended: asking again changes nothing.
        return Ok(json!({"ARN": *arn, "Name": *secret.name, "VersionId": token}));
    }
    let name = Arc::clone(&secret.name);
    start(world, &arn, &token, !immediately);
    Ok(json!({"ARN": *arn, "Name": *name, "VersionId": token}))
}

pub(super) fn cancel(world: &mut World, call: &Call<'_>) -> Answer {
    let secret = world.secretsmanager.primary_mut(call)?;
    let mut answer = json!({"ARN": *secret.arn, "Name": *secret.name});
    secret.rotation.enabled = false;
    secret.rotation.due = None;
    secret.changed = call.now;
    if let Some(running) = secret.rotation.running.take()
        && let Some(answer) = answer.as_object_mut()
    {
        answer.insert("VersionId".to_owned(), json!(running.version));
    }
    Ok(answer)
}

/// Begins a rotation: `AWSPENDING` on a version without a value, then the steps, later.
pub(crate) fn start(world: &mut World, arn: &str, version: &str, test_only: bool) {
    let token = world.ids.uuid();
    let Some(secret) = world.secretsmanager.get_mut(arn) else {
        return;
    };
    let Some(function) = secret.rotation.function.clone() else {
        return;
    };
    if !secret.versions.contains_key(version) {
        secret.versions.insert(
            version.into(),
            Version {
                value: None,
                stages: Labels::default(),
                created: secret.changed,
                accessed: None,
                key: secret.key.clone(),
            },
        );
    }
    secret.label("AWSPENDING", Some(version));
    secret.rotation.running = Some(Box::new(Running {
        version: version.to_owned(),
        token: token.clone(),
    }));
    world.later.push(Later::Rotate(Rotation {
        secret_arn: arn.to_owned(),
        function_arn: function.to_string(),
        version: version.to_owned(),
        token,
        test_only,
    }));
}

/// When the next rotation is due, in all regions.
pub(crate) fn next_due(state: &State) -> Option<DateTime<Utc>> {
    state
        .all()
        .filter(|secret| secret.rare().deletion.is_none() && secret.rotation.running.is_none())
        .filter_map(|secret| secret.rotation.due)
        .min()
}

/// Starts the rotations that are due.
pub(crate) fn fire(world: &mut World, now: DateTime<Utc>) {
    super::secrets::purge(&mut world.secretsmanager, now);
    let due: Vec<(Arc<str>, Option<String>)> = world
        .secretsmanager
        .all()
        .filter(|secret| secret.rare().deletion.is_none() && secret.rotation.running.is_none())
        .filter(|secret| secret.rotation.due.is_some_and(|due| due <= now))
        .map(|secret| {
            (
                Arc::clone(&secret.arn),
                secret.unfinished().map(str::to_owned),
            )
        })
        .collect();
    for (arn, unfinished) in due {
        if let Some(secret) = world.secretsmanager.get_mut(&arn) {
            secret.retry_tomorrow(now);
        }
        let version = unfinished.unwrap_or_else(|| world.ids.uuid());
        start(world, &arn, &version, false);
    }
}

impl Secret {
    /// The version of a rotation that was begun and not completed.
    pub(crate) fn unfinished(&self) -> Option<&str> {
        let pending = self.staged("AWSPENDING")?;
        (self.staged("AWSCURRENT") != Some(pending)).then_some(pending)
    }

    /// Plans the next rotation after the value changed.
    pub(crate) fn plan_next(&mut self, now: DateTime<Utc>) {
        let changed = self.value_changed();
        let rotation = &mut self.rotation;
        if !rotation.enabled {
            return;
        }
        let window = rotation
            .schedule
            .as_ref()
            .and_then(|schedule| schedule.next(changed, now));
        rotation.next = window.map(|window| window.closes);
        rotation.due = window.map(|window| window.opens);
    }

    /// A rotation that doesn't succeed is tried again a day later; the date shown stays in the past.
    pub(crate) fn retry_tomorrow(&mut self, now: DateTime<Utc>) {
        self.rotation.due = now.checked_add_signed(TimeDelta::days(1));
    }
}

/// Rotation rules as given.
struct Rules {
    schedule: Schedule,
    days: Option<i64>,
    duration: Option<String>,
    expression: Option<String>,
}

impl Rules {
    fn parse(rules: &Map<String, Value>) -> Result<Self, ApiError> {
        let text = |name: &str| rules.get(name).and_then(Value::as_str).map(str::to_owned);
        let days = rules.get("AutomaticallyAfterDays").and_then(Value::as_i64);
        let (duration, expression) = (text("Duration"), text("ScheduleExpression"));
        let schedule = match (days, &expression) {
            (Some(_), Some(_)) => {
                return Err(invalid_parameter(
                    "You can't specify both AutomaticallyAfterDays and ScheduleExpression in RotationRules.",
                ));
            }
            (Some(days), None) => Schedule::days(days.unsigned_abs(), duration.as_deref()),
            (None, Some(expression)) => Schedule::expression(expression, duration.as_deref()),
            (None, None) => {
                return Err(invalid_parameter(
                    "RotationRules needs AutomaticallyAfterDays or ScheduleExpression.",
                ));
            }
        };
        Ok(Self {
            schedule: schedule.map_err(invalid_parameter)?,
            days,
            duration,
            expression,
        })
    }

    /// The rules as `DescribeSecret` shows them: with calculated days for an expression.
    fn shown(&self, now: DateTime<Utc>) -> Value {
        let days = self
            .days
            .unwrap_or_else(|| self.schedule.calculated_days(now));
        let mut shown = Map::from_iter([("AutomaticallyAfterDays".to_owned(), json!(days))]);
        if let Some(duration) = &self.duration {
            shown.insert("Duration".to_owned(), json!(duration));
        }
        if let Some(expression) = &self.expression {
            shown.insert("ScheduleExpression".to_owned(), json!(expression));
        }
        Value::Object(shown)
    }
}
