//! Setting right what probes changed, whether they ended, failed or were interrupted, and leaving a trace of it.

use checker_core::observation::{Answer, Observation, Observed, Origin, Outcome, Unseen};
use checker_core::probe::Trace;
use checker_core::probe::clean_up::{CleanUp, Righted};

use super::scene::Scene;
use super::value::Value;
use super::{CLEAN_UP, fence, lease};
use crate::aws::unseen;

/// Something that has to be set right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Undo {
    /// The lease is held.
    Lease,
    /// A rotation of a secret may be left halfway.
    Labels {
        /// Name of the secret.
        secret: String,
    },
}

/// Sets everything right that the scene noted, the last first, and tells what was done.
pub(super) async fn run(scene: &Scene) -> Observed {
    let mut steps = Vec::new();
    for undo in scene.noted() {
        steps.push(right(scene, &undo).await);
    }
    Observed {
        observation: Observation::Trace(CLEAN_UP.to_owned()),
        origin: Origin {
            region: scene.setting.region.clone(),
            ..Origin::default()
        },
        outcome: Outcome::Seen(Answer::Trace(Trace::CleanUp(CleanUp { steps }))),
    }
}

async fn right(scene: &Scene, undo: &Undo) -> Righted {
    let (what, done) = match undo {
        Undo::Lease => (
            "the lease is given back".to_owned(),
            lease::give_back(scene).await.map(|()| true),
        ),
        Undo::Labels { secret } => (
            format!("no rotation of {secret} is left halfway"),
            labels(scene, secret).await,
        ),
    };
    Righted {
        what,
        changed: done.as_ref().is_ok_and(|changed| *changed),
        failed: done.err().map(|unseen| unseen.to_string()),
    }
}

/// Ends a rotation that was left halfway; whether there was one.
async fn labels(scene: &Scene, secret: &str) -> Result<bool, Unseen> {
    let clients = scene.checker().await?;
    let found = fence::secret(&clients, &scene.setting, secret).await?;
    if !found.is_stuck() {
        return Ok(false);
    }
    restore(scene, &found.arn).await.map(|()| true)
}

/// Stores a value that works, with both labels on it: a rotation that was under way is over, and the next may begin.
async fn restore(scene: &Scene, arn: &str) -> Result<(), Unseen> {
    let operation = "secretsmanager:PutSecretValue";
    let value = Value::random().ok_or_else(|| Unseen {
        operation: operation.to_owned(),
        code: "NoRandomness".to_owned(),
        advice: "the system has no randomness; run `checker clean` elsewhere".to_owned(),
    })?;
    scene
        .checker()
        .await?
        .secrets
        .put_secret_value()
        .secret_id(arn)
        .secret_string(value.exposed())
        .version_stages("AWSCURRENT")
        .version_stages("AWSPENDING")
        .send()
        .await
        .map(drop)
        .map_err(|error| unseen(operation, &error))
}

/// What a run that died left behind.
pub(super) async fn after_a_crash(scene: &Scene) -> Result<Vec<Righted>, Unseen> {
    lease::give_back(scene).await?;
    Ok(Vec::new())
}
