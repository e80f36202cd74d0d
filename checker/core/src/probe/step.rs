//! The calls of each script, in order, each with who makes it, on what, and what for.
//!
//! In: a script's settings and the place. Out: [`Step`]s. A call that is not here is refused before it is sent, and what
//! is here is what the probing role must be allowed.

use crate::population::Setting;

use super::plan::{Actor, Step};

/// ARNs in the place of a run.
pub(super) struct Place<'a>(pub(super) &'a Setting);

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
pub(super) fn frame(setting: &Setting) -> Vec<Step> {
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

pub(super) fn rotation_steps(at: &Place<'_>, secret: &str) -> Vec<Step> {
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
pub(super) fn restore_steps(at: &Place<'_>, secret: &str) -> Vec<Step> {
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
pub(super) fn anomaly_steps(at: &Place<'_>, secret: &str, runs: u32) -> Vec<Step> {
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
pub(super) fn mail_steps(at: &Place<'_>) -> Vec<Step> {
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

pub(super) fn denied_steps(
    at: &Place<'_>,
    principal: &str,
    actions: &[String],
    resource: &str,
) -> Vec<Step> {
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
pub(super) fn undo_steps(
    at: &Place<'_>,
    principal: &str,
    actions: &[String],
    resource: &str,
) -> Vec<Step> {
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

pub(super) fn sweep_steps(at: &Place<'_>, secret: &str, places: &[String]) -> Vec<Step> {
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

pub(super) fn sweep_clean_up(at: &Place<'_>, secret: &str) -> Vec<Step> {
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
