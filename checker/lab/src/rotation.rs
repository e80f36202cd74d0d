//! The rotation engine: the four steps of a rotation, called in the function's process.
//!
//! It stops at the first error and promotes nothing by itself: a rotation has
//! succeeded when the function moved `AWSCURRENT` to the new version, and only then.
//! With `test_only` just `testSecret` runs, on a version that is taken away again.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::lambda::host::Ended;
use crate::secretsmanager::rotating::PRINCIPAL;
use crate::shared::Shared;
use crate::world::World;

/// One rotation to run; `Debug` would show the token, so there is none of it.
pub(crate) struct Rotation {
    /// The secret's ARN.
    pub(crate) secret_arn: String,
    /// The function's ARN.
    pub(crate) function_arn: String,
    /// The version being made: the `ClientRequestToken` of every step.
    pub(crate) version: String,
    /// What the function hands back with `PutSecretValue`.
    pub(crate) token: String,
    /// Only `testSecret`.
    pub(crate) test_only: bool,
}

const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

/// Runs a rotation to its end.
pub(crate) async fn run(shared: Arc<Shared>, rotation: Rotation) {
    let steps: &[&str] = if rotation.test_only {
        &["testSecret"]
    } else {
        &STEPS
    };
    note(&shared, &rotation, Moment::Started, None);
    let mut problem = None;
    for step in steps {
        if let Err(error) = call(&shared, &rotation, step).await {
            problem = Some(error);
            break;
        }
    }
    let now = shared.clock.now();
    let ended = shared.act(|world| end(world, &rotation, problem, now));
    match ended {
        Ok(()) => note(&shared, &rotation, Moment::Succeeded, None),
        Err(Some(problem)) => note(&shared, &rotation, Moment::Failed, Some(&problem)),
        // Cancelled or abandoned meanwhile: somebody else has said so.
        Err(None) => {}
    }
}

/// Calls the function for one step.
async fn call(shared: &Arc<Shared>, rotation: &Rotation, step: &str) -> Result<(), String> {
    let (function, running, request_id) = shared.act(|world| {
        let running = is_running(world, rotation);
        let function = world.lambda.function(&rotation.function_arn).cloned();
        (function, running, world.ids.uuid())
    });
    if !running {
        return Err("the rotation was cancelled".to_owned());
    }
    let function = function
        .filter(|function| function.lets_in(PRINCIPAL, &shared.account, &rotation.secret_arn))
        .ok_or_else(|| "Secrets Manager cannot invoke the rotation function".to_owned())?;
    let event = json!({
        "Step": step,
        "SecretId": rotation.secret_arn,
        "ClientRequestToken": rotation.version,
        "RotationToken": rotation.token,
    });
    let finished = shared
        .host
        .run(
            shared,
            &function,
            &request_id,
            Bytes::from(event.to_string()),
        )
        .await;
    match finished.ended {
        Ended::Answer(_) => Ok(()),
        Ended::Failure(body) => {
            let error: Value = serde_json::from_slice(&body).unwrap_or_default();
            let kind = error.get("errorType").and_then(Value::as_str);
            Err(format!(
                "{step} failed: {}",
                kind.unwrap_or("unhandled error")
            ))
        }
    }
}

/// Writes the rotation's end into the secret; `Err(None)` when it was no longer ours.
fn end(
    world: &mut World,
    rotation: &Rotation,
    problem: Option<String>,
    now: DateTime<Utc>,
) -> Result<(), Option<String>> {
    if !is_running(world, rotation) {
        return Err(None);
    }
    let secret = world
        .secretsmanager
        .get_mut(&rotation.secret_arn)
        .ok_or(None)?;
    secret.rotation.running = None;
    if rotation.test_only {
        secret.label("AWSPENDING", None);
        secret
            .versions
            .retain(|id, version| **id != *rotation.version || version.value.is_some());
        return problem.map_or(Ok(()), |problem| Err(Some(problem)));
    }
    let promoted = secret.staged("AWSCURRENT") == Some(rotation.version.as_str());
    let problem = problem.or_else(|| {
        (!promoted).then(|| "the function did not move AWSCURRENT to the new version".to_owned())
    });
    if let Some(problem) = problem {
        secret.retry_tomorrow(now);
        world.secretsmanager.synchronise();
        return Err(Some(problem));
    }
    secret.rotation.last = Some(now);
    secret.changed = now;
    secret.plan_next(now);
    world.secretsmanager.synchronise();
    Ok(())
}

fn is_running(world: &World, rotation: &Rotation) -> bool {
    world
        .secretsmanager
        .get(&rotation.secret_arn)
        .and_then(|secret| secret.rotation.running.as_ref())
        .is_some_and(|running| running.token == rotation.token)
}

/// The moments of a rotation that leave a service event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Started,
    Succeeded,
    Failed,
}

fn note(shared: &Arc<Shared>, rotation: &Rotation, moment: Moment, problem: Option<&str>) {
    let now = shared.clock.now();
    shared.act(|world| {
        crate::trail::rotation(world, rotation, moment, problem, now);
    });
}
