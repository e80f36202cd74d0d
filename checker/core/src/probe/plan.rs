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

/// ARNs in the place of a run.
struct Place<'a>(&'a Setting);

impl Place<'_> {
    fn secret(&self, name: &str) -> String {
        let Setting {
            region, account, ..
        } = self.0;
        format!("arn:aws:secretsmanager:{region}:{account}:secret:{name}-??????")
    }

    fn role(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:role/{name}", self.0.account)
    }

    fn regional(&self, service: &str, rest: &str) -> String {
        let Setting {
            region, account, ..
        } = self.0;
        format!("arn:aws:{service}:{region}:{account}:{rest}")
    }

    fn queue(&self) -> String {
        let name = self.0.organisation.probe_queue(&self.0.stage);
        self.regional("sqs", &name)
    }

    fn log_group(&self, name: &str) -> String {
        self.regional("logs", &format!("log-group:{name}"))
    }

    /// A log group when the name begins with a slash, otherwise a secret.
    fn thing(&self, name: &str) -> String {
        if name.starts_with('/') {
            self.log_group(name)
        } else {
            self.secret(name)
        }
    }

    fn detector(&self) -> String {
        let name = self.0.organisation.detector(&self.0.stage);
        self.regional("lambda", &format!("function:{name}"))
    }

    fn rotation_function(&self) -> String {
        let name = self.0.organisation.rotation_function(&self.0.stage);
        self.regional("lambda", &format!("function:{name}"))
    }

    fn reader(&self) -> String {
        self.role(&self.0.organisation.probe_reader(&self.0.stage))
    }
}

fn step(
    actor: &Actor,
    operation: &'static str,
    resource: impl Into<String>,
    purpose: &'static str,
) -> Step {
    Step {
        actor: actor.clone(),
        operation,
        resource: resource.into(),
        purpose,
    }
}

/// Becoming the checker, and the lease.
fn frame(setting: &Setting) -> Vec<Step> {
    let at = Place(setting);
    let (caller, checker) = (Actor::Caller, Actor::Checker);
    let organisation = &setting.organisation;
    let lease = at.regional("ssm", &format!("parameter{}", organisation.lease()));
    vec![
        step(
            &caller,
            "sts:AssumeRole",
            at.role(&organisation.checker_role(&setting.stage)),
            "act as the one identity that probes are allowed to",
        ),
        step(
            &checker,
            "ssm:PutParameter",
            &lease,
            "take and renew the lease",
        ),
        step(
            &checker,
            "ssm:AddTagsToResource",
            &lease,
            "mark the lease as a probe's",
        ),
        step(
            &checker,
            "ssm:GetParameter",
            &lease,
            "see who holds the lease",
        ),
        step(
            &checker,
            "ssm:DeleteParameter",
            &lease,
            "give the lease back",
        ),
    ]
}

fn rotation_steps(at: &Place<'_>, secret: &str) -> Vec<Step> {
    let (checker, reader) = (Actor::Checker, Actor::Reader);
    let arn = at.secret(secret);
    vec![
        step(
            &checker,
            "sts:AssumeRole",
            at.reader(),
            "read as an application does",
        ),
        step(
            &checker,
            "secretsmanager:DescribeSecret",
            &arn,
            "see its tags and labels",
        ),
        step(
            &reader,
            "secretsmanager:GetSecretValue",
            &arn,
            "read it while it is rotated",
        ),
        step(
            &checker,
            "secretsmanager:RotateSecret",
            &arn,
            "force the rotation",
        ),
        step(
            &checker,
            "lambda:InvokeFunction",
            at.rotation_function(),
            "needed to force a rotation",
        ),
        step(
            &checker,
            "cloudtrail:LookupEvents",
            "*",
            "see the steps in order",
        ),
        step(
            &checker,
            "sqs:GetQueueUrl",
            at.queue(),
            "find the probes' queue",
        ),
        step(
            &checker,
            "sqs:ReceiveMessage",
            at.queue(),
            "see that the label moved",
        ),
        step(
            &checker,
            "sqs:DeleteMessage",
            at.queue(),
            "see that the label moved",
        ),
    ]
}

/// A value that works, with both labels on it, so that no rotation is left halfway.
fn restore_steps(at: &Place<'_>, secret: &str) -> Vec<Step> {
    let checker = Actor::Checker;
    let arn = at.secret(secret);
    vec![
        step(
            &checker,
            "secretsmanager:DescribeSecret",
            &arn,
            "see its tags and labels",
        ),
        step(
            &checker,
            "secretsmanager:PutSecretValue",
            &arn,
            "leave a value that works",
        ),
    ]
}

/// Ways of knowing that alerts come, and what is kept of them.
fn anomaly_steps(at: &Place<'_>, secret: &str, runs: u32) -> Vec<Step> {
    let (checker, canary) = (Actor::Checker, Actor::Canary);
    let (organisation, stage) = (&at.0.organisation, &at.0.stage);
    let arn = at.secret(secret);
    let role = at.role(&organisation.canary_role(stage));
    let rule = at.regional("events", &format!("rule/{}", organisation.detector(stage)));
    let log = at.log_group(&organisation.access_log(stage));
    let mut steps = vec![
        step(
            &checker,
            "secretsmanager:DescribeSecret",
            &arn,
            "see its tags",
        ),
        step(
            &checker,
            "events:DescribeRule",
            &rule,
            "read the deployed rule",
        ),
        step(
            &checker,
            "events:TestEventPattern",
            "*",
            "ask whether it matches",
        ),
        step(
            &checker,
            "lambda:InvokeFunction",
            at.detector(),
            "have a labelled event examined",
        ),
        step(
            &checker,
            "events:PutEvents",
            at.regional("events", "event-bus/default"),
            "put a synthetic event on the bus, under the probes' own source",
        ),
        step(
            &checker,
            "logs:FilterLogEvents",
            &log,
            "read the access records",
        ),
        step(
            &checker,
            "cloudtrail:LookupEvents",
            "*",
            "hold the records against CloudTrail",
        ),
    ];
    if runs > 0 {
        steps.push(step(
            &checker,
            "sts:AssumeRole",
            role,
            "become somebody who must raise an alert",
        ));
        steps.push(step(
            &canary,
            "secretsmanager:GetSecretValue",
            &arn,
            "raise an alert",
        ));
    }
    steps.extend(mail_steps(at));
    steps
}

/// The control message, and the queue in which everything arrives.
fn mail_steps(at: &Place<'_>) -> Vec<Step> {
    let checker = Actor::Checker;
    let topic = at.0.organisation.alert_topic(&at.0.stage);
    vec![
        step(
            &checker,
            "sns:Publish",
            at.regional("sns", &topic),
            "send a marked message, to know that the way to the queue works",
        ),
        step(
            &checker,
            "sqs:GetQueueUrl",
            at.queue(),
            "find the probes' queue",
        ),
        step(
            &checker,
            "sqs:ReceiveMessage",
            at.queue(),
            "take out what arrived",
        ),
        step(
            &checker,
            "sqs:DeleteMessage",
            at.queue(),
            "take out what arrived",
        ),
    ]
}

fn denied_steps(at: &Place<'_>, principal: &str, actions: &[String], resource: &str) -> Vec<Step> {
    let checker = Actor::Checker;
    let role = Actor::Role(principal.to_owned());
    let arn = at.thing(resource);
    let mut steps = vec![
        step(
            &checker,
            "sts:AssumeRole",
            at.role(principal),
            "try with its credentials",
        ),
        step(
            &checker,
            "cloudtrail:LookupEvents",
            "*",
            "find the records of the refusals",
        ),
    ];
    steps.extend(look_steps(at, resource));
    steps.extend(
        TRIABLE
            .iter()
            .filter(|triable| actions.iter().any(|action| action == **triable))
            .map(|triable| step(&role, triable, &arn, "be refused")),
    );
    steps
}

/// How the fence looks at a twin.
fn look_steps(at: &Place<'_>, resource: &str) -> Vec<Step> {
    let checker = Actor::Checker;
    let arn = at.thing(resource);
    if resource.starts_with('/') {
        vec![
            step(&checker, "logs:DescribeLogGroups", "*", "see its settings"),
            step(&checker, "logs:ListTagsForResource", &arn, "see its tags"),
        ]
    } else {
        vec![step(
            &checker,
            "secretsmanager:DescribeSecret",
            &arn,
            "see its tags",
        )]
    }
}

/// What undoes a call that should have been refused: with the credentials that were able to make it.
fn undo_steps(at: &Place<'_>, principal: &str, actions: &[String], resource: &str) -> Vec<Step> {
    let role = Actor::Role(principal.to_owned());
    let arn = at.thing(resource);
    let mut steps: Vec<Step> = actions
        .iter()
        .filter_map(|action| undone_by(action))
        .map(|undo| step(&role, undo, &arn, "undo what should have been refused"))
        .collect();
    if !resource.starts_with('/') {
        steps.extend(restore_steps(at, resource));
        for operation in [
            "secretsmanager:DeleteResourcePolicy",
            "secretsmanager:RestoreSecret",
            "secretsmanager:RotateSecret",
            "secretsmanager:UntagResource",
        ] {
            if actions
                .iter()
                .any(|action| undone_by(action) == Some(operation))
            {
                steps.push(step(
                    &Actor::Checker,
                    operation,
                    &arn,
                    "undo what should have been refused",
                ));
            }
        }
    }
    steps
}

/// Actions that the denied probe knows how to try and how to undo.
pub const TRIABLE: [&str; 10] = [
    "secretsmanager:GetSecretValue",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecret",
    "secretsmanager:PutResourcePolicy",
    "secretsmanager:TagResource",
    "secretsmanager:CancelRotateSecret",
    "secretsmanager:DeleteSecret",
    "logs:PutRetentionPolicy",
    "logs:DeleteRetentionPolicy",
    "logs:PutLogGroupDeletionProtection",
];

/// The operation that undoes an action; nothing where there is nothing to undo.
pub fn undone_by(action: &str) -> Option<&'static str> {
    Some(match action {
        "secretsmanager:PutSecretValue" => "secretsmanager:PutSecretValue",
        "secretsmanager:PutResourcePolicy" => "secretsmanager:DeleteResourcePolicy",
        "secretsmanager:TagResource" => "secretsmanager:UntagResource",
        "secretsmanager:CancelRotateSecret" => "secretsmanager:RotateSecret",
        "secretsmanager:DeleteSecret" => "secretsmanager:RestoreSecret",
        "logs:PutRetentionPolicy" | "logs:DeleteRetentionPolicy" => "logs:PutRetentionPolicy",
        "logs:PutLogGroupDeletionProtection" => "logs:PutLogGroupDeletionProtection",
        _ => return None,
    })
}

fn sweep_steps(at: &Place<'_>, secret: &str, places: &[String]) -> Vec<Step> {
    let (checker, reader) = (Actor::Checker, Actor::Reader);
    let arn = at.secret(secret);
    let decoys = at.log_group(&format!("{}-*", at.0.organisation.decoys(&at.0.stage)));
    let mut steps = vec![
        step(
            &checker,
            "sts:AssumeRole",
            at.reader(),
            "read what the rotation made",
        ),
        step(
            &checker,
            "secretsmanager:DescribeSecret",
            &arn,
            "see its tags and labels",
        ),
        step(
            &checker,
            "secretsmanager:PutSecretValue",
            &arn,
            "plant values",
        ),
        step(
            &checker,
            "secretsmanager:RotateSecret",
            &arn,
            "have a planted value rotated",
        ),
        step(
            &reader,
            "secretsmanager:GetSecretValue",
            &arn,
            "know the value that the rotation made",
        ),
        step(
            &checker,
            "lambda:InvokeFunction",
            at.rotation_function(),
            "provoke failures",
        ),
        step(
            &checker,
            "lambda:InvokeFunction",
            at.detector(),
            "have an event with planted values examined",
        ),
        step(&checker, "logs:CreateLogGroup", &decoys, "plant decoys"),
        step(
            &checker,
            "logs:TagResource",
            &decoys,
            "mark the decoys as a probe's",
        ),
        step(&checker, "logs:CreateLogStream", &decoys, "plant decoys"),
        step(&checker, "logs:PutLogEvents", &decoys, "plant decoys"),
        step(&checker, "logs:FilterLogEvents", &decoys, "search"),
        step(&checker, "logs:Unmask", &decoys, "search behind masks"),
    ];
    for place in places {
        if place.starts_with('/') {
            let group = at.log_group(place);
            steps.push(step(&checker, "logs:FilterLogEvents", &group, "search"));
            steps.push(step(&checker, "logs:Unmask", &group, "search behind masks"));
        } else if place == CLOUDTRAIL {
            steps.push(step(&checker, "cloudtrail:LookupEvents", "*", "search"));
        } else if *place != at.0.organisation.probe_queue(&at.0.stage) {
            let queue = at.regional("sqs", place);
            steps.push(step(&checker, "sqs:GetQueueUrl", &queue, "search"));
            steps.push(step(
                &checker,
                "sqs:ReceiveMessage",
                &queue,
                "search; what is there stays",
            ));
        }
    }
    steps.extend(mail_steps(at));
    steps
}

/// The name under which the event history is searched.
pub const CLOUDTRAIL: &str = "cloudtrail";

fn sweep_clean_up(at: &Place<'_>, secret: &str) -> Vec<Step> {
    let decoys = at.log_group(&format!("{}-*", at.0.organisation.decoys(&at.0.stage)));
    let mut steps = restore_steps(at, secret);
    steps.push(step(
        &Actor::Reader,
        "secretsmanager:GetSecretValue",
        at.secret(secret),
        "see whether its value works",
    ));
    steps.push(step(
        &Actor::Checker,
        "sts:AssumeRole",
        at.reader(),
        "see whether its value works",
    ));
    steps.push(step(
        &Actor::Checker,
        "logs:DescribeLogGroups",
        "*",
        "find decoys",
    ));
    steps.push(step(
        &Actor::Checker,
        "logs:ListTagsForResource",
        &decoys,
        "see that they are a probe's",
    ));
    steps.push(step(
        &Actor::Checker,
        "logs:DeleteLogGroup",
        &decoys,
        "take the decoys away",
    ));
    steps
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
