//! From a matched event to a target: input, permission, dead letters.
//!
//! Queues, topics and log groups are asked at once and decide by their own policies. A function is invoked
//! asynchronously afterwards, so whether it exists and lets the rule in is asked here; what happens inside it is no
//! longer `EventBridge`'s business. AWS doesn't retry what these refusals are, so the retry policy has nothing to do:
//! the event goes to the target's dead-letter queue, or is lost.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::Rule;
use super::targets::{Input, Target};
use super::template::{self, Surroundings};
use crate::iam::resource_access::ActingService;
use crate::logs::Unwritten;
use crate::sns::{Notification, PublishRefused};
use crate::sqs::Undelivered;
use crate::world::{AsyncInvoke, InvokeSource, Later, World};

const PRINCIPAL: &str = "events.amazonaws.com";

/// One event for one target.
pub(super) struct Order {
    rule_arn: String,
    rule_name: String,
    target: Target,
}

impl Order {
    pub(super) fn new(rule: &Rule, target: &Target) -> Self {
        Self {
            rule_arn: rule.arn.clone(),
            rule_name: rule.name.clone(),
            target: target.clone(),
        }
    }
}

/// Why a target did not get an event, in the codes of dead letters.
#[derive(Debug, Clone, Copy)]
enum Failure {
    NoPermission,
    NoResource,
    Rejected,
}

pub(super) fn deliver(world: &mut World, now: DateTime<Utc>, event: &Value, order: &Order) {
    let account = world.account.clone();
    let service = ActingService {
        principal: PRINCIPAL,
        source_arn: &order.rule_arn,
        source_account: &account,
    };
    let input = input(now, event, order);
    let target = order.target.arn.as_str();
    let delivered = match target.split(':').nth(2).unwrap_or_default() {
        "sqs" => {
            crate::sqs::deliver_as_service(world, now, target, input, BTreeMap::new(), service)
                .map_err(|refused| match refused {
                    Undelivered::NoQueue => Failure::NoResource,
                    Undelivered::NoPermission => Failure::NoPermission,
                    Undelivered::TooLong => Failure::Rejected,
                })
        }
        "sns" => {
            let notification = Notification {
                subject: None,
                messages: BTreeMap::from([("default".to_owned(), input)]),
                attributes: BTreeMap::new(),
            };
            crate::sns::publish_as_service(world, now, target, &notification, service)
                .map(drop)
                .map_err(|refused| match refused {
                    PublishRefused::NoTopic => Failure::NoResource,
                    PublishRefused::NoPermission => Failure::NoPermission,
                })
        }
        "logs" => {
            let stream = world.ids.uuid();
            crate::logs::append_as_service(&mut world.logs, now, target, &stream, input, service)
                .map_err(|refused| match refused {
                    Unwritten::NoGroup => Failure::NoResource,
                    Unwritten::NoPermission => Failure::NoPermission,
                })
        }
        "lambda" => invoke(world, now, target, &input, service),
        _ => Err(Failure::Rejected),
    };
    if let (Err(failure), Some(queue)) = (delivered, &order.target.dead_letters) {
        bury(world, now, event, order, failure, queue, service);
    }
}

fn invoke(
    world: &mut World,
    now: DateTime<Utc>,
    function: &str,
    input: &str,
    service: ActingService<'_>,
) -> Result<(), Failure> {
    let known = world.lambda.function(function).ok_or(Failure::NoResource)?;
    if !known.lets_in(
        service.principal,
        service.source_account,
        service.source_arn,
    ) {
        return Err(Failure::NoPermission);
    }
    let source = InvokeSource {
        principal: service.principal.to_owned(),
        source_arn: service.source_arn.to_owned(),
        source_account: service.source_account.to_owned(),
    };
    // A template may render to plain text, which reaches a function as a JSON text.
    let payload = serde_json::from_str(input).unwrap_or_else(|_| input.into());
    world.later.push(Later::Invoke(AsyncInvoke {
        function_arn: function.to_owned(),
        payload,
        source: Some(source),
        attempt: 0,
        sent: now,
    }));
    Ok(())
}

/// A queue that refuses the dead letter too loses the event, as on AWS.
fn bury(
    world: &mut World,
    now: DateTime<Utc>,
    event: &Value,
    order: &Order,
    failure: Failure,
    queue: &str,
    service: ActingService<'_>,
) {
    let (code, message) = match failure {
        Failure::NoPermission => (
            "NO_PERMISSIONS",
            "The target's policy does not allow the rule.",
        ),
        Failure::NoResource => ("RESOURCE_NOT_FOUND", "The target does not exist."),
        Failure::Rejected => ("SDK_CLIENT_ERROR", "The target does not take the event."),
    };
    let text = |value: &str| json!({"DataType": "String", "StringValue": value});
    let attributes = BTreeMap::from([
        ("ERROR_CODE".to_owned(), text(code)),
        ("ERROR_MESSAGE".to_owned(), text(message)),
        ("RULE_ARN".to_owned(), text(&order.rule_arn)),
        ("TARGET_ARN".to_owned(), text(&order.target.arn)),
    ]);
    crate::sqs::deliver_as_service(world, now, queue, event.to_string(), attributes, service).ok();
}

fn input(now: DateTime<Utc>, event: &Value, order: &Order) -> String {
    match &order.target.input {
        Input::Event => event.to_string(),
        Input::Constant(text) => text.clone(),
        Input::Part(path) => {
            template::at_path(event, path).map_or_else(|| "{}".to_owned(), ToString::to_string)
        }
        Input::Template(template) => {
            let time = now.to_rfc3339_opts(SecondsFormat::Secs, true);
            let around = Surroundings {
                rule_arn: &order.rule_arn,
                rule_name: &order.rule_name,
                ingestion_time: &time,
            };
            template.render(event, around)
        }
    }
}
