//! A forced rotation: a reader fetches the value all the time while the secret is rotated.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Instant;

use aws_sdk_cloudtrail::types::LookupAttributeKey;
use checker_core::duration::Duration;
use checker_core::expression::types::Known;
use checker_core::observation::Unseen;
use checker_core::probe::Actor;
use checker_core::probe::rotation::{Reader, Rotation, Steps};

use super::aged;
use super::clean_up::Undo;
use super::fence::{self, Fenced};
use super::history::{self, Call, local};
use super::scene::Scene;
use super::session::Clients;
use super::timeline::{Timeline, real, span};
use super::value::Value;
use crate::aws::{incomplete, unseen};

/// How often a secret is read where the control does not say.
const READ_EVERY: std::time::Duration = std::time::Duration::from_millis(200);
/// Reads after the rotation ended, to see that it stays readable.
const READS_AFTER: u32 = 2;

/// A value with the version that it belongs to.
struct Read {
    version: String,
    value: Value,
}

/// Rotates the secret and tells what happened.
pub(super) async fn run(
    scene: &Scene,
    secret: &str,
    every: Option<Duration>,
    within: Duration,
) -> Result<Rotation, Unseen> {
    let (rotation, aged) = tokio::join!(forced(scene, secret, every, within), aged::run(scene));
    rotation.map(|rotation| match aged {
        Some(aged) => Rotation {
            clock_moved: true,
            aged,
            ..rotation
        },
        None => rotation,
    })
}

async fn forced(
    scene: &Scene,
    secret: &str,
    every: Option<Duration>,
    within: Duration,
) -> Result<Rotation, Unseen> {
    let _alone = scene.changing.lock().await;
    let checker = scene.checker().await?;
    let before = fence::secret(&checker, &scene.setting, secret).await?;
    let reader = scene.clients(&Actor::Reader).await?;
    let old = read(&reader, &before.arn, "AWSCURRENT").await;
    scene.note(Undo::Labels {
        secret: secret.to_owned(),
    });
    let timeline = Timeline::begin();
    let stop = Cell::new(false);
    let every = every.map_or(READ_EVERY, real);
    let (reader_saw, outcome) = tokio::join!(watch(&reader, &before.arn, every, &stop), async {
        let outcome = rotate(scene, &checker, &before, within, &timeline).await;
        stop.set(true);
        outcome
    });
    let mut trace = Rotation {
        secret: before.arn.clone(),
        refused: None,
        current_moved: Known::Known(false),
        took: Known::Unknown("nothing was rotated".to_owned()),
        value_differs: Known::Unknown("nothing was rotated".to_owned()),
        previous_kept: Known::Unknown("nothing was rotated".to_owned()),
        stuck: Known::Known(before.is_stuck()),
        reader: Known::Known(reader_saw),
        steps: Known::Unknown("nothing was rotated".to_owned()),
        label_told: Known::Unknown("nothing was rotated".to_owned()),
        clock_moved: false,
        aged: Known::Unknown("the clock of AWS cannot be moved".to_owned()),
        timeline: Vec::new(),
    };
    match outcome {
        Asked::Refused(code) => trace.refused = Some(code),
        Asked::Unseen(unseen) => trace.current_moved = Known::Unknown(unseen.to_string()),
        Asked::Begun { version, took } => {
            let after = fence::secret(&checker, &scene.setting, secret).await;
            trace.stuck = known(after.as_ref().map(Fenced::is_stuck).map_err(Clone::clone));
            trace.current_moved = Known::Known(took.is_some());
            if let Some(took) = took {
                trace.took = Known::Known(took);
                (trace.value_differs, trace.previous_kept) =
                    compare(&reader, &before.arn, old, &version).await;
                trace.label_told = told(scene, &checker, &before.arn, &version).await;
                timeline.mark("the label's move was looked for");
            }
            let expected = took.is_some();
            trace.steps = steps(scene, &checker, &before.arn, &version, expected).await;
            timeline.mark("the records of the rotation were looked up");
        }
    }
    trace.timeline = timeline.marks();
    Ok(trace)
}

/// What came of asking for a rotation.
enum Asked {
    /// AWS refused: the secret cannot be rotated as it is.
    Refused(String),
    /// It could not be asked.
    Unseen(Unseen),
    /// It began; how long until it was done, if it was done in time.
    Begun {
        version: String,
        took: Option<Duration>,
    },
}

async fn rotate(
    scene: &Scene,
    checker: &Clients,
    secret: &Fenced,
    within: Duration,
    timeline: &Timeline,
) -> Asked {
    let begun = timeline.mark("the rotation was asked for");
    let answer = checker
        .secrets
        .rotate_secret()
        .secret_id(&secret.arn)
        .send()
        .await;
    let operation = "secretsmanager:RotateSecret";
    let version = match answer {
        Ok(answer) => match answer.version_id() {
            Some(version) => version.to_owned(),
            None => return Asked::Unseen(incomplete(operation, "VersionId")),
        },
        Err(error) => {
            let error = unseen(operation, &error);
            // Only what AWS says of the secret is a finding: a call that we may not make is not.
            return if error.code == "InvalidRequestException" {
                Asked::Refused(error.code)
            } else {
                Asked::Unseen(error)
            };
        }
    };
    let moved = scene
        .waiting
        .until(real(within), async || {
            let now = fence::secret(checker, &scene.setting, name(&secret.arn)).await;
            now.ok()
                .filter(|now| now.holder("AWSCURRENT") == Some(&version))
        })
        .await;
    let took = moved.map(|_| {
        let at = timeline.mark("AWSCURRENT is on the new version");
        Duration::from(at.as_delta() - begun.as_delta())
    });
    Asked::Begun { version, took }
}

/// The name in a full ARN: without the random suffix.
fn name(arn: &str) -> &str {
    let name = arn.rsplit_once(":secret:").map_or(arn, |(_, name)| name);
    name.rsplit_once('-').map_or(name, |(name, _)| name)
}

/// Reads the current value again and again until told to stop, and a little longer.
async fn watch(
    reader: &Clients,
    arn: &str,
    every: std::time::Duration,
    stop: &Cell<bool>,
) -> Reader {
    let (mut reads, mut failed, mut after) = (0_i64, 0_i64, 0);
    let codes = RefCell::new(BTreeSet::new());
    let mut last = Instant::now();
    let mut longest = std::time::Duration::ZERO;
    while after < READS_AFTER {
        if stop.get() {
            after += 1;
        }
        let next = Instant::now() + every;
        reads += 1;
        match read(reader, arn, "AWSCURRENT").await {
            Ok(_) => {
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
            Err(unseen) => {
                failed += 1;
                codes.borrow_mut().insert(unseen.code);
            }
        }
        // Told to stop while it waits, it need not wait to the end: the gap would only be shorter.
        tokio::time::sleep_until(next.into()).await;
    }
    Reader {
        reads,
        failed,
        codes: codes.into_inner().into_iter().collect(),
        longest_gap: span(longest.max(last.elapsed().saturating_sub(every))),
    }
}

async fn read(reader: &Clients, arn: &str, label: &str) -> Result<Read, Unseen> {
    let operation = "secretsmanager:GetSecretValue";
    let answer = reader
        .secrets
        .get_secret_value()
        .secret_id(arn)
        .version_stage(label)
        .send()
        .await
        .map_err(|error| unseen(operation, &error))?;
    Ok(Read {
        version: answer
            .version_id()
            .ok_or_else(|| incomplete(operation, "VersionId"))?
            .to_owned(),
        value: Value::new(
            answer
                .secret_string()
                .ok_or_else(|| incomplete(operation, "SecretString"))?,
        ),
    })
}

/// Whether the value is a new one, and whether the old one is kept.
async fn compare(
    reader: &Clients,
    arn: &str,
    old: Result<Read, Unseen>,
    version: &str,
) -> (Known<bool>, Known<bool>) {
    let old = match old {
        Ok(old) => old,
        Err(unseen) => {
            let unknown = || Known::Unknown(format!("of the old value: {unseen}"));
            return (unknown(), unknown());
        }
    };
    let differs = read(reader, arn, "AWSCURRENT")
        .await
        .map(|new| new.version == version && !new.value.is(&old.value));
    let kept = match read(reader, arn, "AWSPREVIOUS").await {
        Ok(previous) => Ok(previous.version == old.version && previous.value.is(&old.value)),
        // There is no such version: it was not kept.
        Err(unseen) if unseen.code == "ResourceNotFoundException" => Ok(false),
        Err(unseen) => Err(unseen),
    };
    (known(differs), known(kept))
}

/// Whether the native event told of the move.
async fn told(scene: &Scene, checker: &Clients, arn: &str, version: &str) -> Known<bool> {
    let seen = scene
        .waiting
        .until(scene.waiting.arrival(), async || {
            // An error shows in the end: nothing was seen, and the mailbox is broken.
            drop(scene.mailbox.collect(checker).await);
            scene.mailbox.find(|letter| {
                let text = |pointer: &str| letter.body.pointer(pointer).and_then(|it| it.as_str());
                text("/detail-type") == Some("Secret Label Updated")
                    && text("/resources/0") == Some(arn)
                    && text("/detail/labelUpdated") == Some("AWSCURRENT")
                    && text("/detail/versionId") == Some(version)
            })
        })
        .await;
    match seen {
        Some(_) => Known::Known(true),
        None if scene.mailbox.is_broken() => {
            Known::Unknown("the probes' queue could not be read".to_owned())
        }
        None if scene.mailbox.letters().is_empty() => Known::Unknown(
            "nothing at all arrived in the probes' queue: the way there is broken".to_owned(),
        ),
        None => Known::Known(false),
    }
}

/// The rotation as `CloudTrail` recorded it.
async fn steps(
    scene: &Scene,
    checker: &Clients,
    arn: &str,
    version: &str,
    succeeded: bool,
) -> Known<Steps> {
    let problem = RefCell::new(None);
    let last = if succeeded {
        "RotationSucceeded"
    } else {
        "RotationFailed"
    };
    let calls = scene
        .waiting
        .until(scene.waiting.arrival(), async || {
            let calls = history::lookup(
                checker,
                LookupAttributeKey::EventSource,
                "secretsmanager.amazonaws.com",
                scene.begun,
            )
            .await;
            match calls {
                Ok(calls) => {
                    let own = of_rotation(&calls, arn, version);
                    own.iter().any(|call| call.name == last).then_some(own)
                }
                Err(unseen) => {
                    *problem.borrow_mut() = Some(unseen.to_string());
                    None
                }
            }
        })
        .await;
    match calls {
        Some(calls) => Known::Known(told_steps(&calls, &scene.setting.account)),
        None => Known::Unknown(problem.into_inner().unwrap_or_else(|| {
            format!("CloudTrail shows no {last} of this rotation yet; it may take 15 minutes")
        })),
    }
}

/// The records that belong to one rotation, from the request on.
fn of_rotation(calls: &[Call], arn: &str, version: &str) -> Vec<Call> {
    let about = |call: &&Call| {
        call.secret
            .as_deref()
            .is_some_and(|secret| secret == arn || secret == name(arn))
    };
    let mut own: Vec<Call> = Vec::new();
    for call in calls.iter().filter(about) {
        let asked = call.name == "RotateSecret" && call.version.as_deref() == Some(version);
        if asked || !own.is_empty() {
            own.push(call.clone());
        }
        if call.name == "RotationSucceeded" || call.name == "RotationFailed" {
            if own.is_empty() {
                continue;
            }
            break;
        }
    }
    own
}

fn told_steps(calls: &[Call], account: &str) -> Steps {
    let changes = [
        "RotateSecret",
        "PutSecretValue",
        "UpdateSecretVersionStage",
        "RotationSucceeded",
    ];
    let done: Vec<&Call> = calls
        .iter()
        .filter(|call| call.error.is_none() && changes.contains(&call.name.as_str()))
        .collect();
    let place = |name: &str| done.iter().position(|call| call.name == name);
    let places: Vec<Option<usize>> = changes.iter().map(|name| place(name)).collect();
    let in_order = places.iter().all(Option::is_some) && places.is_sorted();
    let writers: BTreeSet<String> = done
        .iter()
        .filter(|call| call.name == "PutSecretValue")
        .map(|call| local(&call.caller, account))
        .collect();
    Steps {
        seen: done
            .iter()
            .map(|call| format!("{} by {}", call.name, local(&call.caller, account)))
            .collect(),
        in_order,
        writers: writers.into_iter().collect(),
        errors: calls
            .iter()
            .filter_map(|call| {
                let code = call.error.as_ref()?;
                let caller = local(&call.caller, account);
                Some(format!(
                    "{} by {caller}: {code} (record {})",
                    call.name, call.id
                ))
            })
            .collect(),
    }
}

fn known<T>(found: Result<T, Unseen>) -> Known<T> {
    match found {
        Ok(value) => Known::Known(value),
        Err(unseen) => Known::Unknown(unseen.to_string()),
    }
}
