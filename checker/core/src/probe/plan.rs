//! What all probes will do, step by step: from the catalogue to operations, resources and actors.
//!
//! In: the probes of every control, with their placeholders filled in. Out: each different script once, however many
//! controls judge it, with its steps, its clean-up and its deadline. The executor may call nothing that is not here,
//! and a permission policy follows from here.

use std::fmt;

use crate::control::{self, Catalog, Check};
use crate::duration::Duration;
use crate::expression::{Bindings, with_deep_stack};
use crate::judge::common;
use crate::observation::Observation;
use crate::population::Setting;

use super::Trace;
use super::step::{
    Place, anomaly_steps, denied_steps, frame, mail_steps, restore_steps, rotation_steps,
    sweep_clean_up, sweep_steps, undo_steps,
};

/// Everything that probes will do in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What every run with probes does, before and after.
    pub frame: Vec<Step>,
    /// Each script, in the order of the controls.
    pub probes: Vec<Planned>,
}

/// One script with everything that it will call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What it does.
    pub script: Script,
    /// The checks that judge it, `CONTROL.check`.
    pub checks: Vec<String>,
    /// Its calls.
    pub steps: Vec<Step>,
    /// The calls that leave everything as it was, which also run when a step failed or the run was interrupted.
    pub clean_up: Vec<Step>,
    /// After this long it is given up.
    pub deadline: Duration,
}

/// One call that a probe may make, as often as it needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// With whose credentials.
    pub actor: Actor,
    /// `service:Operation`; for `sts:AssumeRole` and all others the action of the same name is needed.
    pub operation: &'static str,
    /// ARN or pattern; `*` where the operation knows no resource.
    pub resource: String,
    /// What for, in a few words.
    pub purpose: &'static str,
}

/// Who makes a call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    /// Whoever runs the checker, before becoming the checker's role.
    Caller,
    /// The checker's role.
    Checker,
    /// The role that reads the probe secret.
    Reader,
    /// The role that is on no allow-list.
    Canary,
    /// A role that must be refused, by name.
    Role(String),
}

/// A script with nothing left to fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// Rotates a secret while it is being read.
    Rotate {
        /// Name of the secret.
        secret: String,
        /// How often it is read meanwhile.
        reader_every: Option<Duration>,
        /// How long it may take.
        within: Duration,
    },
    /// Reads a secret that nobody may read unnoticed.
    Anomaly {
        /// Name of the secret.
        secret: String,
        /// How often.
        runs: u32,
        /// How long an alert may take.
        within: Duration,
    },
    /// Tries what must be refused.
    Denied {
        /// Name of the role that tries.
        principal: String,
        /// Actions.
        actions: Vec<String>,
        /// Name of a secret, or of a log group when it begins with a slash.
        resource: String,
    },
    /// Searches for planted values.
    Sweep {
        /// Name of the secret that holds them.
        secret: String,
        /// Names of log groups (with a slash), queues, and `cloudtrail`.
        places: Vec<String>,
        /// How long traces may take to arrive.
        within: Duration,
    },
}

/// How long traces may take to arrive where a control says nothing.
const ARRIVAL_MINUTES: i64 = 15;

fn arrival() -> Duration {
    Duration::minutes(ARRIVAL_MINUTES).unwrap_or(Duration::ZERO)
}

/// The plan for all probes of a catalogue.
pub fn plan(catalog: &Catalog, setting: &Setting) -> Plan {
    with_deep_stack(|| {
        let mut probes: Vec<Planned> = Vec::new();
        for control in &catalog.controls {
            for check in &control.checks {
                let Check::Probe(probe) = check else { continue };
                let script = Script::of(&probe.script, &common(control, setting));
                let check = format!("{}.{}", control.id, probe.id);
                match probes.iter_mut().find(|known| known.script == script) {
                    Some(known) => known.checks.push(check),
                    None => probes.push(Planned::new(script, check, setting)),
                }
            }
        }
        Plan {
            frame: frame(setting),
            probes,
        }
    })
}

impl Plan {
    /// Every step of the plan, clean-up included, each once, in order.
    pub fn steps(&self) -> Vec<&Step> {
        let mut steps: Vec<&Step> = self
            .probes
            .iter()
            .flat_map(|planned| planned.steps.iter().chain(&planned.clean_up))
            .chain(&self.frame)
            .collect();
        steps.sort_unstable();
        steps.dedup();
        steps
    }
}

impl Planned {
    fn new(script: Script, check: String, setting: &Setting) -> Self {
        let at = Place(setting);
        let (steps, clean_up, deadline) = match &script {
            Script::Rotate { secret, within, .. } => (
                rotation_steps(&at, secret),
                restore_steps(&at, secret),
                *within,
            ),
            Script::Anomaly {
                secret,
                runs,
                within,
            } => (anomaly_steps(&at, secret, *runs), Vec::new(), *within),
            Script::Denied {
                principal,
                actions,
                resource,
            } => (
                denied_steps(&at, principal, actions, resource),
                undo_steps(&at, principal, actions, resource),
                arrival(),
            ),
            Script::Sweep {
                secret,
                places,
                within,
            } => (
                sweep_steps(&at, secret, places),
                sweep_clean_up(&at, secret),
                *within,
            ),
        };
        Self {
            script,
            checks: vec![check],
            steps,
            clean_up,
            deadline,
        }
    }

    /// The question that its trace answers.
    pub fn question(&self) -> Observation {
        self.script.question()
    }
}

impl Script {
    /// A control's script with its placeholders filled in.
    pub(crate) fn of(script: &control::Script, bindings: &Bindings) -> Self {
        match script {
            control::Script::Rotate {
                secret,
                reader_every,
                within,
            } => Self::Rotate {
                secret: secret.render(bindings),
                reader_every: *reader_every,
                within: *within,
            },
            control::Script::Anomaly {
                secret,
                runs,
                within,
            } => Self::Anomaly {
                secret: secret.render(bindings),
                runs: *runs,
                within: *within,
            },
            control::Script::Denied {
                principal,
                actions,
                resource,
            } => Self::Denied {
                principal: principal.render(bindings),
                actions: actions
                    .iter()
                    .flat_map(|action| action.expand(bindings))
                    .collect(),
                resource: resource.render(bindings),
            },
            control::Script::Sweep {
                secret,
                places,
                within,
            } => Self::Sweep {
                secret: secret.render(bindings),
                places: places
                    .iter()
                    .flat_map(|place| place.expand(bindings))
                    .collect(),
                within: within.unwrap_or_else(arrival),
            },
        }
    }

    /// The question that its trace answers.
    pub fn question(&self) -> Observation {
        Observation::Trace(self.name())
    }

    /// Its name, which holds every setting: scripts of the same name are the same.
    pub fn name(&self) -> String {
        self.to_string()
    }

    /// What it is about.
    pub fn subject(&self) -> &str {
        match self {
            Self::Rotate { secret, .. }
            | Self::Anomaly { secret, .. }
            | Self::Sweep { secret, .. } => secret,
            Self::Denied { resource, .. } => resource,
        }
    }

    /// Whether a trace is of this kind of script.
    pub(crate) fn left(&self, trace: &Trace) -> bool {
        match trace {
            Trace::Rotate(_) => matches!(self, Self::Rotate { .. }),
            Trace::Anomaly(_) => matches!(self, Self::Anomaly { .. }),
            Trace::Denied(_) => matches!(self, Self::Denied { .. }),
            Trace::Sweep(_) => matches!(self, Self::Sweep { .. }),
            Trace::CleanUp(_) => false,
        }
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rotate {
                secret,
                reader_every,
                within,
            } => {
                write!(f, "rotate {secret} within {within}")?;
                match reader_every {
                    Some(every) => write!(f, ", read every {every}"),
                    None => Ok(()),
                }
            }
            Self::Anomaly {
                secret,
                runs,
                within,
            } => write!(f, "anomaly on {secret}, {runs} times, within {within}"),
            Self::Denied {
                principal,
                actions,
                resource,
            } => write!(
                f,
                "denied as {principal} on {resource}: {}",
                actions.join(" ")
            ),
            Self::Sweep {
                secret,
                places,
                within,
            } => write!(
                f,
                "sweep for {secret} within {within}: {}",
                places.join(" ")
            ),
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Caller => "the caller",
            Self::Checker => "the checker's role",
            Self::Reader => "the probe reader",
            Self::Canary => "the canary role",
            Self::Role(name) => name,
        })
    }
}

/// What `checker clean` does: the clean-up of every script that was ever planned, found by tag and by lease.
pub fn cleaning(catalog: &Catalog, setting: &Setting) -> Plan {
    let mut plan = plan(catalog, setting);
    for planned in &mut plan.probes {
        planned.steps.clear();
    }
    let queue = mail_steps(&Place(setting));
    plan.frame.extend(
        queue
            .into_iter()
            .filter(|step| step.operation.starts_with("sqs:")),
    );
    plan
}
