//! The probes: the only calls of the checker that change something.
//!
//! In: the plan and the subject. Out: a trace for every script, or the reason why there is none, and what the clean-up
//! did. Nothing is called that the plan does not name (`session`), nothing is changed that does not carry the probe
//! tag (`fence`), one run at a time does so (`lease`), and what was changed is set right again whatever happens
//! (`clean_up`). Values are compared here and never leave: a trace cannot hold one.

use std::rc::Rc;
use std::sync::Arc;

use checker_core::control::Catalog;
use checker_core::observation::{Answer, Observation, Observed, Origin, Outcome, Unseen};
use checker_core::population::Setting;
use checker_core::probe::clean_up::Righted;
use checker_core::probe::{NOT_RUN, Plan, Planned, Script, Trace};
use tokio::task::{JoinSet, LocalSet};

use crate::aws::Aws;
use crate::console::Console;
use crate::subject::Subject;

mod aged;
mod anomaly;
mod clean_up;
mod credentials;
mod denied;
mod fence;
mod history;
mod lease;
mod logs;
mod mailbox;
mod records;
mod rotation;
mod scene;
mod session;
mod sweep;
mod timeline;
mod value;
mod waiting;

use scene::{Ground, Scene};

/// The name under which the clean-up's trace is kept.
const CLEAN_UP: &str = "clean-up";

/// Traces that say that nobody asked for them.
pub(crate) fn not_run(plan: &Plan) -> Vec<Observed> {
    let reason = Unseen {
        operation: "probe".to_owned(),
        code: NOT_RUN.to_owned(),
        advice: "probes were not asked for; run with --probes".to_owned(),
    };
    all_unseen(plan, &reason)
}

/// Prints the plan: what will be called, by whom and on what.
pub(crate) fn announce(plan: &Plan, console: Console, whole: bool) {
    for planned in &plan.probes {
        console.line(&format!(
            "probe {}: {} (given up after {})",
            planned.checks.join(", "),
            planned.script,
            planned.deadline
        ));
        if whole {
            for step in planned.steps.iter().chain(&planned.clean_up) {
                console.line(&format!(
                    "  as {}: {} on {}, to {}",
                    step.actor, step.operation, step.resource, step.purpose
                ));
            }
        }
    }
}

/// Carries out the plan and cleans up after it.
pub(crate) async fn run(
    plan: &Plan,
    subject: &Subject,
    setting: &Setting,
    aws: &Aws,
    console: Console,
) -> Vec<Observed> {
    if plan.probes.is_empty() {
        return Vec::new();
    }
    let ground = Ground {
        plan: plan.clone(),
        setting: setting.clone(),
        config: subject.config.clone(),
        calls: Arc::clone(aws.calls()),
        clock: subject.lab.as_ref().map(checker_lab::Lab::clock),
        here: subject.is_loopback(),
        recipe: subject.recipe.clone(),
    };
    let done = on_one_thread(move || async move { all(ground, console).await }).await;
    done.unwrap_or_else(|| {
        let lost = Unseen {
            operation: "probe".to_owned(),
            code: "Lost".to_owned(),
            advice: "the probes ended without a trace; run `checker clean`, and report it"
                .to_owned(),
        };
        all_unseen(plan, &lost)
    })
}

/// What a clean-up by itself came to.
pub(crate) enum Cleaned {
    /// It was done; some of it may have failed.
    Done(Vec<Righted>),
    /// Somebody is at work.
    Held(Unseen),
    /// It could not be begun.
    Unseen(Unseen),
}

/// Removes what interrupted probes left behind, unless whoever holds the lease may still be at work.
pub(crate) async fn clean(
    catalog: &Catalog,
    subject: &Subject,
    setting: &Setting,
    force: bool,
) -> Cleaned {
    let ground = Ground {
        plan: checker_core::probe::cleaning(catalog, setting),
        setting: setting.clone(),
        config: subject.config.clone(),
        calls: Arc::default(),
        clock: None,
        here: subject.is_loopback(),
        recipe: None,
    };
    let cleaned = on_one_thread(move || async move {
        let plan = ground.plan.clone();
        let scene = match Scene::open(ground).await {
            Ok(scene) => scene,
            Err(unseen) => return Cleaned::Unseen(unseen),
        };
        match lease::holder(&scene).await {
            Ok(Some(holder)) if !force && holder.lives(scene.waiting.now()) => {
                Cleaned::Held(lease::is_held(&holder))
            }
            Ok(_) => Cleaned::Done(clean_up::after_a_crash(&scene, &plan).await),
            Err(unseen) => Cleaned::Unseen(unseen),
        }
    })
    .await;
    cleaned.unwrap_or_else(|| {
        Cleaned::Unseen(Unseen {
            operation: "clean".to_owned(),
            code: "Lost".to_owned(),
            advice: "run it again, and report it if it stays".to_owned(),
        })
    })
}

/// Probes share what they know without locks, so that they all run on one thread.
async fn on_one_thread<T, F, Fut>(work: F) -> Option<T>
where
    T: Send + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = T>,
{
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        runtime.block_on(async { LocalSet::new().run_until(work()).await })
    })
    .await
    .ok()
}

async fn all(ground: Ground, console: Console) -> Vec<Observed> {
    let plan = ground.plan.clone();
    let scene = match Scene::open(ground).await {
        Ok(scene) => Rc::new(scene),
        Err(unseen) => return all_unseen(&plan, &unseen),
    };
    if let Err(unseen) = lease::take(&scene, &plan).await {
        return all_unseen(&plan, &unseen);
    }
    let mut observed = carry_out(&plan, &scene, console).await;
    console.progress("cleaning up after the probes");
    observed.push(clean_up::run(&scene).await);
    observed
}

/// All scripts at once; those that change the same secret wait for each other.
async fn carry_out(plan: &Plan, scene: &Rc<Scene>, console: Console) -> Vec<Observed> {
    let mut running = JoinSet::new();
    for planned in plan.probes.clone() {
        let scene = Rc::clone(scene);
        running.spawn_local(async move {
            let trace = Box::pin(act(&planned, &scene)).await;
            observed(planned.question(), &scene, trace)
        });
    }
    let total = plan.probes.len();
    let mut done = Vec::new();
    let mut interrupted = std::pin::pin!(interruption());
    let mut lost = std::pin::pin!(connection_lost(scene));
    let mut why = ("Interrupted", "the probe was interrupted");
    loop {
        console.progress(&format!("{} of {total} probes done", done.len()));
        tokio::select! {
            next = running.join_next() => match next {
                Some(Ok(one)) => done.push(one),
                // A probe that was lost has no trace; it is reported below.
                Some(Err(_)) => {}
                None => break,
            },
            () = &mut interrupted => {
                running.abort_all();
                break;
            }
            () = &mut lost => {
                why = ("ConnectionLost", "AWS did not answer any more while the probe ran");
                running.abort_all();
                break;
            }
        }
    }
    let lost = Unseen {
        operation: "probe".to_owned(),
        code: why.0.to_owned(),
        advice: format!(
            "{}; the trace of the clean-up says what was set right",
            why.1
        ),
    };
    let missing: Vec<Observed> = plan
        .probes
        .iter()
        .filter(|planned| !done.iter().any(|one| one.observation == planned.question()))
        .map(|planned| observed(planned.question(), scene, Err(lost.clone())))
        .collect();
    done.extend(missing);
    done
}

/// Ends once nothing at all was answered for a while.
async fn connection_lost(scene: &Scene) {
    while !scene.is_lost() {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

async fn act(planned: &Planned, scene: &Scene) -> Result<Trace, Unseen> {
    match &planned.script {
        Script::Rotate {
            secret,
            reader_every,
            within,
        } => Box::pin(rotation::run(scene, secret, *reader_every, *within))
            .await
            .map(|trace| Trace::Rotate(Box::new(trace))),
        Script::Anomaly {
            secret,
            runs,
            within,
        } => Box::pin(anomaly::run(scene, secret, *runs, *within))
            .await
            .map(|trace| Trace::Anomaly(Box::new(trace))),
        Script::Denied {
            principal,
            actions,
            resource,
        } => Box::pin(denied::run(scene, principal, actions, resource))
            .await
            .map(|trace| Trace::Denied(Box::new(trace))),
        Script::Sweep {
            secret,
            places,
            within,
        } => Box::pin(sweep::run(scene, secret, places, *within))
            .await
            .map(|trace| Trace::Sweep(Box::new(trace))),
    }
}

fn observed(question: Observation, scene: &Scene, trace: Result<Trace, Unseen>) -> Observed {
    Observed {
        observation: question,
        origin: Origin {
            region: scene.setting.region.clone(),
            ..Origin::default()
        },
        outcome: match trace {
            Ok(trace) => Outcome::Seen(Answer::Trace(trace)),
            Err(unseen) => Outcome::Unseen(unseen),
        },
    }
}

fn all_unseen(plan: &Plan, reason: &Unseen) -> Vec<Observed> {
    plan.probes
        .iter()
        .map(|planned| Observed {
            observation: planned.question(),
            origin: Origin::default(),
            outcome: Outcome::Unseen(reason.clone()),
        })
        .collect()
}

/// Ends when somebody wants the run to end: Ctrl-C, or the signal of a job that is stopped.
async fn interruption() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        // Without signals there is nothing that could interrupt.
        std::future::pending::<()>().await;
    }
}
