//! Setting right what probes changed, whether they ended, failed, were interrupted or were killed, and leaving a trace
//! of it.

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use checker_core::observation::{Answer, Observation, Observed, Origin, Outcome, Unseen};
use checker_core::probe::clean_up::{CleanUp, Righted};
use checker_core::probe::{Actor, Plan, Script, Trace};

use super::fence::{self, Twin};
use super::scene::Scene;
use super::value::Value;
use super::{CLEAN_UP, denied, lease, sweep};
use crate::aws::{incomplete, unseen};

/// How long a lost connection is given to set something right after all.
const LAST_ATTEMPT: std::time::Duration = std::time::Duration::from_secs(10);

/// Something that has to be set right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Undo {
    /// The lease is held.
    Lease,
    /// A rotation of a secret may be left halfway, or its value may not work.
    Labels {
        /// Name of the secret.
        secret: String,
    },
    /// A log group with decoys.
    Decoys {
        /// Its name.
        group: String,
    },
    /// A call that should be refused is being tried.
    Twin {
        /// Name of the role that tries.
        principal: String,
        /// On what.
        twin: Twin,
        /// What.
        action: String,
    },
}

impl Undo {
    /// How it is once that is done, in words.
    fn aim(&self) -> String {
        match self {
            Self::Lease => "the lease is given back".to_owned(),
            Self::Labels { secret } => {
                format!("{secret} has a value that works, and no rotation of it is left halfway")
            }
            Self::Decoys { group } => format!("{group} is gone"),
            Self::Twin { twin, action, .. } => {
                format!("{action} on {} is undone if it was allowed", twin.arn())
            }
        }
    }
}

/// Sets everything right that the scene noted, the last first, and tells what was done.
pub(super) async fn run(scene: &Scene) -> Observed {
    let mut steps = Vec::new();
    let mut gone = false;
    for undo in scene.noted() {
        let step = if scene.is_lost() {
            last_attempt(scene, &undo, &mut gone).await
        } else {
            right(scene, &undo).await
        };
        steps.push(step);
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

/// One more try after the connection was lost; once that fails too, none for what is left.
async fn last_attempt(scene: &Scene, undo: &Undo, gone: &mut bool) -> Righted {
    if !*gone
        && let Ok(step) = tokio::time::timeout(LAST_ATTEMPT, right(scene, undo)).await
        && step.failed.is_none()
    {
        return step;
    }
    *gone = true;
    let unseen = Unseen {
        operation: "probe".to_owned(),
        code: "ConnectionLost".to_owned(),
        advice: "AWS does not answer; run `checker clean` once it does".to_owned(),
    };
    told(undo.aim(), Err(unseen))
}

async fn right(scene: &Scene, undo: &Undo) -> Righted {
    let aim = undo.aim();
    match undo {
        Undo::Lease => told(aim, lease::give_back(scene).await),
        Undo::Labels { secret } => told(aim, labels(scene, secret).await),
        Undo::Decoys { group } => told(aim, forget_decoys(scene, group).await),
        Undo::Twin {
            principal,
            twin: on,
            action,
        } => told(aim, twin(scene, principal, on, action).await.map(|()| true)),
    }
}

fn told(what: String, done: Result<bool, Unseen>) -> Righted {
    Righted {
        what,
        changed: done.as_ref().is_ok_and(|changed| *changed),
        failed: done.err().map(|unseen| unseen.to_string()),
    }
}

/// Leaves a value that works, with no rotation halfway; whether that had to be done.
async fn labels(scene: &Scene, secret: &str) -> Result<bool, Unseen> {
    let clients = scene.checker().await?;
    let mut found = fence::secret(&clients, &scene.setting, secret).await?;
    if found.is_stuck() {
        // A rotation that is under way may end by itself.
        let settled = scene
            .waiting
            .until(std::time::Duration::from_secs(5), async || {
                let now = fence::secret(&clients, &scene.setting, secret).await;
                now.ok().filter(|now| !now.is_stuck())
            })
            .await;
        if let Some(settled) = settled {
            found = settled;
        }
    }
    if !found.is_stuck() && works(scene, &found.arn).await? {
        return Ok(false);
    }
    restore(scene, &found.arn).await.map(|()| true)
}

/// Whether the current value is there, and is not one that a sweep made to be unreadable.
async fn works(scene: &Scene, arn: &str) -> Result<bool, Unseen> {
    let reader = scene.clients(&Actor::Reader).await?;
    let answer = reader
        .secrets
        .get_secret_value()
        .secret_id(arn)
        .version_stage("AWSCURRENT")
        .send()
        .await;
    match answer {
        Ok(answer) => Ok(answer
            .secret_string()
            .is_some_and(|text| !text.starts_with(sweep::MALFORMED))),
        Err(error) => {
            let unseen = unseen("secretsmanager:GetSecretValue", &error);
            if unseen.code == "ResourceNotFoundException" {
                Ok(false)
            } else {
                Err(unseen)
            }
        }
    }
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

/// Deletes a log group with decoys, if it is there and carries the tag.
async fn forget_decoys(scene: &Scene, group: &str) -> Result<bool, Unseen> {
    let clients = scene.checker().await?;
    for (name, arn) in decoy_groups(scene).await? {
        if name == group && fence::is_tagged(&clients, &arn).await? {
            clients
                .logs
                .delete_log_group()
                .log_group_name(group)
                .send()
                .await
                .map_err(|error| unseen("logs:DeleteLogGroup", &error))?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Names and ARNs of the log groups with decoys.
async fn decoy_groups(scene: &Scene) -> Result<Vec<(String, String)>, Unseen> {
    let clients = scene.checker().await?;
    let operation = "logs:DescribeLogGroups";
    let mut groups = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let page = clients
            .logs
            .describe_log_groups()
            .log_group_name_prefix(scene.setting.organisation.decoys(&scene.setting.stage))
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| unseen(operation, &error))?;
        for group in page.log_groups() {
            let name = group.log_group_name();
            let (Some(name), Some(arn)) = (name, group.arn()) else {
                return Err(incomplete(operation, "arn"));
            };
            groups.push((name.to_owned(), arn.trim_end_matches(":*").to_owned()));
        }
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            return Ok(groups);
        }
    }
}

/// Undoes a call that was allowed: with the credentials that made it, otherwise with the checker's own.
pub(super) async fn twin(
    scene: &Scene,
    principal: &str,
    twin: &Twin,
    action: &str,
) -> Result<(), Unseen> {
    let tried = scene.clients(&Actor::Role(principal.to_owned())).await?;
    if denied::undo(&tried, action, twin).await.is_ok() {
        return Ok(());
    }
    let checker = scene.checker().await?;
    denied::undo(&checker, action, twin).await
}

/// What a run that died left behind, found by what the plan would touch.
pub(super) async fn after_a_crash(scene: &Scene, plan: &Plan) -> Vec<Righted> {
    let mut done = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for planned in &plan.probes {
        let subject = planned.script.subject();
        if seen.contains(&subject) {
            continue;
        }
        match &planned.script {
            Script::Rotate { secret, .. } | Script::Sweep { secret, .. } => {
                seen.push(subject);
                let undo = Undo::Labels {
                    secret: secret.clone(),
                };
                done.push(right(scene, &undo).await);
            }
            Script::Denied { resource, .. } if !resource.starts_with('/') => {
                seen.push(subject);
                done.push(told(
                    format!("{resource} is as it was"),
                    secret_twin(scene, resource).await,
                ));
            }
            Script::Denied { .. } | Script::Anomaly { .. } => {}
        }
    }
    match decoy_groups(scene).await {
        Ok(groups) => {
            for (group, _) in groups {
                done.push(right(scene, &Undo::Decoys { group }).await);
            }
        }
        Err(unseen) => done.push(told("decoys are gone".to_owned(), Err(unseen))),
    }
    done.push(told(
        "the probes' queue is empty".to_owned(),
        empty_queue(scene).await,
    ));
    // The lease last: until then nobody else begins.
    done.push(right(scene, &Undo::Lease).await);
    done
}

async fn empty_queue(scene: &Scene) -> Result<bool, Unseen> {
    let checker = scene.checker().await?;
    let before = scene.mailbox.letters().len();
    scene.mailbox.collect(&checker).await?;
    Ok(scene.mailbox.letters().len() > before)
}

/// Undoes on a twin whatever a call may have done that should have been refused.
async fn secret_twin(scene: &Scene, name: &str) -> Result<bool, Unseen> {
    let checker = scene.checker().await?;
    let found = fence::secret(&checker, &scene.setting, name).await?;
    let described = checker
        .secrets
        .describe_secret()
        .secret_id(&found.arn)
        .send()
        .await
        .map_err(|error| unseen("secretsmanager:DescribeSecret", &error))?;
    let on = Twin::Secret(found);
    let mut changed = false;
    for action in marks(&described) {
        denied::undo(&checker, action, &on).await?;
        changed = true;
    }
    Ok(changed)
}

/// The actions whose traces a description shows.
fn marks(described: &DescribeSecretOutput) -> Vec<&'static str> {
    let mut actions = Vec::new();
    if described.deleted_date().is_some() {
        actions.push("secretsmanager:DeleteSecret");
    }
    if described
        .tags()
        .iter()
        .any(|tag| tag.key() == Some(denied::TRIED_TAG))
    {
        actions.push("secretsmanager:TagResource");
    }
    if described.rotation_enabled() == Some(false) {
        actions.push("secretsmanager:CancelRotateSecret");
    }
    actions
}
