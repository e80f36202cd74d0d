//! `EventBridge` through the real SDK client: rules, states, delivery, dead letters.
#![expect(clippy::unwrap_used, reason = "tests")]

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::ProvideErrorMetadata;
use aws_sdk_eventbridge::types::{
    DeadLetterConfig, InputTransformer, PutEventsRequestEntry, RuleState, Target,
};
use aws_sdk_sqs::types::{Message, QueueAttributeName};
use checker_lab::{Lab, LabOptions};
use serde_json::Value;

const PATTERN: &str = r#"{"source":["bank.synthetic"],"detail":{"n":[{"numeric":[">",1]}]}}"#;

struct Bus {
    lab: Lab,
    events: Client,
    sqs: aws_sdk_sqs::Client,
}

async fn start() -> Bus {
    let lab = Lab::start(LabOptions::default()).await.unwrap();
    let (events, sqs) = (
        Client::new(&lab.sdk_config()),
        aws_sdk_sqs::Client::new(&lab.sdk_config()),
    );
    Bus { lab, events, sqs }
}

fn code<T, E: ProvideErrorMetadata>(answer: Result<T, E>) -> String {
    match answer {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.code().unwrap_or("none").to_owned(),
    }
}

impl Bus {
    fn arn(&self, service: &str, name: &str) -> String {
        format!(
            "arn:aws:{service}:{}:{}:{name}",
            self.lab.region(),
            self.lab.account()
        )
    }

    /// A queue that rules may send to, or nobody.
    async fn queue(&self, name: &str, open: bool) -> String {
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{}","Principal":{{"Service":"events.amazonaws.com"}},"Action":"sqs:SendMessage","Resource":"{}","Condition":{{"ArnLike":{{"aws:SourceArn":"{}"}}}}}}]}}"#,
            if open { "Allow" } else { "Deny" },
            self.arn("sqs", name),
            self.arn("events", "rule/*"),
        );
        let create = self
            .sqs
            .create_queue()
            .queue_name(name)
            .attributes(QueueAttributeName::Policy, policy);
        create.send().await.unwrap().queue_url().unwrap().to_owned()
    }

    async fn rule(&self, name: &str, target: Target) {
        self.events
            .put_rule()
            .name(name)
            .event_pattern(PATTERN)
            .send()
            .await
            .unwrap();
        let put = self
            .events
            .put_targets()
            .rule(name)
            .targets(target)
            .send()
            .await
            .unwrap();
        assert_eq!(put.failed_entry_count(), 0, "{put:?}");
    }

    /// Puts one event; answers its error code, if any.
    async fn put(&self, source: &str, detail: &str) -> Option<String> {
        let entry = PutEventsRequestEntry::builder()
            .source(source)
            .detail_type("Probe")
            .detail(detail)
            .build();
        let answer = self
            .events
            .put_events()
            .entries(entry)
            .send()
            .await
            .unwrap();
        answer
            .entries()
            .first()
            .unwrap()
            .error_code()
            .map(str::to_owned)
    }

    async fn bodies(&self, url: &str) -> Vec<Value> {
        let receive = self
            .sqs
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(10)
            .message_attribute_names("All");
        let messages = receive.send().await.unwrap().messages.unwrap_or_default();
        messages
            .iter()
            .filter_map(Message::body)
            .map(|body| serde_json::from_str(body).unwrap())
            .collect()
    }
}

fn target(arn: String) -> aws_sdk_eventbridge::types::builders::TargetBuilder {
    Target::builder().id("t").arn(arn)
}

#[tokio::test]
async fn events_reach_the_targets_of_matching_rules() {
    let bus = start().await;
    let url = bus.queue("q", true).await;
    bus.rule("r", target(bus.arn("sqs", "q")).build().unwrap())
        .await;
    assert_eq!(bus.put("bank.synthetic", r#"{"n":2}"#).await, None);
    assert_eq!(bus.put("bank.synthetic", r#"{"n":1}"#).await, None);
    assert_eq!(bus.put("bank.other", r#"{"n":2}"#).await, None);
    let bodies = bus.bodies(&url).await;
    assert_eq!(bodies.len(), 1);
    assert_eq!(bodies.first().unwrap().get("detail-type").unwrap(), "Probe");
    assert_eq!(
        bodies.first().unwrap().get("region").unwrap(),
        bus.lab.region()
    );

    bus.events.disable_rule().name("r").send().await.unwrap();
    bus.put("bank.synthetic", r#"{"n":2}"#).await;
    assert!(bus.bodies(&url).await.is_empty());
}

#[tokio::test]
async fn entries_fail_one_by_one() {
    let bus = start().await;
    assert_eq!(
        bus.put("aws.secretsmanager", "{}").await.as_deref(),
        Some("NotAuthorizedForSourceException")
    );
    assert_eq!(
        bus.put("bank.x", "no JSON").await.as_deref(),
        Some("MalformedDetail")
    );
    assert_eq!(
        bus.put("bank.x", "[1]").await.as_deref(),
        Some("MalformedDetail")
    );
    assert_eq!(bus.put("", "{}").await.as_deref(), Some("InvalidArgument"));
}

#[tokio::test]
async fn rules_are_refused_like_on_aws() {
    let bus = start().await;
    let put = || bus.events.put_rule().name("r");
    assert_eq!(code(put().send().await), "ValidationException");
    assert_eq!(
        code(put().event_pattern(r#"{"a":"b"}"#).send().await),
        "InvalidEventPatternException"
    );
    assert_eq!(
        code(put().schedule_expression("every day").send().await),
        "ValidationException"
    );
    let all = RuleState::EnabledWithAllCloudtrailManagementEvents;
    assert_eq!(
        code(
            put()
                .schedule_expression("rate(1 day)")
                .state(all.clone())
                .send()
                .await
        ),
        "ValidationException"
    );
    put()
        .event_pattern(PATTERN)
        .state(all.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(
        bus.events
            .describe_rule()
            .name("r")
            .send()
            .await
            .unwrap()
            .state(),
        Some(&all)
    );
    // Replacing a rule without naming a state resets it, and so does EnableRule.
    put().event_pattern(PATTERN).send().await.unwrap();
    assert_eq!(
        bus.events
            .describe_rule()
            .name("r")
            .send()
            .await
            .unwrap()
            .state(),
        Some(&RuleState::Enabled)
    );
    bus.events
        .put_targets()
        .rule("r")
        .targets(target(bus.arn("sqs", "q")).build().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(
        code(bus.events.delete_rule().name("r").send().await),
        "ValidationException"
    );
    let other = bus
        .events
        .describe_rule()
        .name("r")
        .event_bus_name("custom")
        .send()
        .await;
    assert_eq!(code(other), "ResourceNotFoundException");
    let both = target(bus.arn("sqs", "q"))
        .input("{}")
        .input_path("$.detail")
        .build()
        .unwrap();
    let failed = bus
        .events
        .put_targets()
        .rule("r")
        .targets(both)
        .send()
        .await
        .unwrap();
    assert_eq!(failed.failed_entry_count(), 1);
}

#[tokio::test]
async fn patterns_are_tried() {
    let bus = start().await;
    let envelope = r#"{"id":"1","account":"1","source":"aws.secretsmanager","time":"2026-01-01T00:00:00Z","region":"r","resources":[],"detail-type":"x","detail":{"n":2}}"#;
    let test = |pattern: &str, event: &str| {
        bus.events
            .test_event_pattern()
            .event_pattern(pattern)
            .event(event)
            .send()
    };
    assert!(
        test(r#"{"source":["aws.secretsmanager"]}"#, envelope)
            .await
            .unwrap()
            .result()
    );
    assert!(
        !test(r#"{"source":["aws.kms"]}"#, envelope)
            .await
            .unwrap()
            .result()
    );
    assert_eq!(
        code(test(r#"{"source":"aws.kms"}"#, envelope).await),
        "InvalidEventPatternException"
    );
    assert_eq!(
        code(test(r#"{"source":["aws.kms"]}"#, "{}").await),
        "ValidationException"
    );
}

#[tokio::test]
async fn templates_and_dead_letters() {
    let bus = start().await;
    let shaped = bus.queue("shaped", true).await;
    bus.queue("closed", false).await;
    let dead = bus.queue("dead", true).await;
    let transformer = InputTransformer::builder()
        .input_paths_map("n", "$.detail.n")
        .input_template(r#"{"seen": <n>, "rule": "<aws.events.rule-name>"}"#)
        .build()
        .unwrap();
    bus.rule(
        "shape",
        target(bus.arn("sqs", "shaped"))
            .input_transformer(transformer)
            .build()
            .unwrap(),
    )
    .await;
    let letters = DeadLetterConfig::builder()
        .arn(bus.arn("sqs", "dead"))
        .build();
    bus.rule(
        "lost",
        target(bus.arn("sqs", "closed"))
            .dead_letter_config(letters.clone())
            .build()
            .unwrap(),
    )
    .await;
    let function = bus.arn("lambda", "function:none");
    bus.rule(
        "none",
        target(function)
            .dead_letter_config(letters)
            .build()
            .unwrap(),
    )
    .await;
    bus.put("bank.synthetic", r#"{"n":5}"#).await;
    let bodies = bus.bodies(&shaped).await;
    assert_eq!(
        bodies.first().unwrap(),
        &serde_json::json!({"seen": 5, "rule": "shape"})
    );
    let receive = bus
        .sqs
        .receive_message()
        .queue_url(&dead)
        .max_number_of_messages(10)
        .message_attribute_names("All");
    let letters = receive.send().await.unwrap().messages.unwrap_or_default();
    let mut codes: Vec<_> = letters
        .iter()
        .map(|letter| {
            letter
                .message_attributes()
                .unwrap()
                .get("ERROR_CODE")
                .unwrap()
                .string_value()
                .unwrap()
        })
        .collect();
    codes.sort_unstable();
    assert_eq!(codes, ["NO_PERMISSIONS", "RESOURCE_NOT_FOUND"]);
}
