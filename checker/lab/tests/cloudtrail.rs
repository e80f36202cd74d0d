//! `CloudTrail` through the real SDK clients: records, and their way to `EventBridge`.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::error::ProvideErrorMetadata;
use aws_sdk_cloudtrail::types::{
    EventSelector, LookupAttribute, LookupAttributeKey, ReadWriteType,
};
use aws_sdk_eventbridge::types::{RuleState, Target};
use aws_sdk_sqs::types::{Message, QueueAttributeName};
use checker_lab::{Lab, LabOptions};
use serde_json::Value;

const CANARY: &str = "CNRY-7Q2M4XKZ";

struct Watched {
    lab: Lab,
    trail: Client,
    secrets: aws_sdk_secretsmanager::Client,
}

async fn start() -> Watched {
    let lab = Lab::start(LabOptions::default()).await.unwrap();
    let trail = Client::new(&lab.sdk_config());
    let secrets = aws_sdk_secretsmanager::Client::new(&lab.sdk_config());
    Watched {
        lab,
        trail,
        secrets,
    }
}

fn code<T, E: ProvideErrorMetadata>(answer: Result<T, E>) -> String {
    match answer {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.code().unwrap_or("none").to_owned(),
    }
}

impl Watched {
    async fn make_trail(&self) {
        self.trail
            .create_trail()
            .name("bank")
            .s3_bucket_name("bank-trail")
            .is_multi_region_trail(true)
            .send()
            .await
            .unwrap();
    }

    /// A rule on Secrets Manager's events in a state, and the URL of the queue that it feeds.
    async fn rule(&self, name: &str, state: RuleState) -> String {
        let (region, account) = (self.lab.region(), self.lab.account());
        let arn = format!("arn:aws:sqs:{region}:{account}:{name}");
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Service":"events.amazonaws.com"}},"Action":"sqs:SendMessage","Resource":"{arn}"}}]}}"#
        );
        let sqs = aws_sdk_sqs::Client::new(&self.lab.sdk_config());
        let queue = sqs
            .create_queue()
            .queue_name(name)
            .attributes(QueueAttributeName::Policy, policy)
            .send()
            .await
            .unwrap();
        let events = aws_sdk_eventbridge::Client::new(&self.lab.sdk_config());
        let pattern =
            r#"{"source":["aws.secretsmanager"],"detail-type":["AWS API Call via CloudTrail"]}"#;
        events
            .put_rule()
            .name(name)
            .event_pattern(pattern)
            .state(state)
            .send()
            .await
            .unwrap();
        let target = Target::builder().id("q").arn(arn).build().unwrap();
        events
            .put_targets()
            .rule(name)
            .targets(target)
            .send()
            .await
            .unwrap();
        queue.queue_url().unwrap().to_owned()
    }

    /// The names of the calls whose events are in a queue, which is emptied.
    async fn seen(&self, url: &str) -> Vec<String> {
        let sqs = aws_sdk_sqs::Client::new(&self.lab.sdk_config());
        let answer = sqs
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(10)
            .send()
            .await
            .unwrap();
        let events = answer.messages().iter().filter_map(Message::body);
        events
            .map(|body| {
                let event: Value = serde_json::from_str(body).unwrap();
                assert_eq!(event.get("time"), event.pointer("/detail/eventTime"));
                event
                    .pointer("/detail/eventName")
                    .unwrap()
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    }

    async fn records(&self, key: LookupAttributeKey, value: &str) -> Vec<Value> {
        let attribute = LookupAttribute::builder()
            .attribute_key(key)
            .attribute_value(value)
            .build()
            .unwrap();
        let answer = self
            .trail
            .lookup_events()
            .lookup_attributes(attribute)
            .send()
            .await
            .unwrap();
        let events = answer
            .events()
            .iter()
            .filter_map(|event| event.cloud_trail_event());
        events
            .map(|text| serde_json::from_str(text).unwrap())
            .collect()
    }

    async fn read(&self) {
        self.secrets
            .get_secret_value()
            .secret_id("bank-platform/x")
            .send()
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn only_the_third_state_sees_reads_and_only_while_a_trail_logs() {
    let watched = start().await;
    watched
        .secrets
        .create_secret()
        .name("bank-platform/x")
        .secret_string(CANARY)
        .send()
        .await
        .unwrap();
    watched.make_trail().await;
    let plain = watched.rule("plain", RuleState::Enabled).await;
    let all = watched
        .rule("all", RuleState::EnabledWithAllCloudtrailManagementEvents)
        .await;
    let put = || {
        watched
            .secrets
            .put_secret_value()
            .secret_id("bank-platform/x")
            .secret_string(CANARY)
            .send()
    };

    watched.read().await;
    put().await.unwrap();
    assert!(watched.seen(&plain).await.is_empty() && watched.seen(&all).await.is_empty());

    watched
        .trail
        .start_logging()
        .name("bank")
        .send()
        .await
        .unwrap();
    watched.read().await;
    put().await.unwrap();
    assert_eq!(watched.seen(&plain).await, ["PutSecretValue"]);
    assert_eq!(
        watched.seen(&all).await,
        ["GetSecretValue", "PutSecretValue"]
    );

    let writes = EventSelector::builder()
        .read_write_type(ReadWriteType::WriteOnly)
        .include_management_events(true)
        .build();
    watched
        .trail
        .put_event_selectors()
        .trail_name("bank")
        .event_selectors(writes)
        .send()
        .await
        .unwrap();
    watched.read().await;
    assert!(watched.seen(&all).await.is_empty());

    watched
        .trail
        .stop_logging()
        .name("bank")
        .send()
        .await
        .unwrap();
    put().await.unwrap();
    assert!(watched.seen(&plain).await.is_empty());
}

#[tokio::test]
async fn records_are_genuine_in_shape_and_hold_no_value() {
    let watched = start().await;
    let made = watched
        .secrets
        .create_secret()
        .name("bank-platform/x")
        .secret_string(CANARY)
        .send()
        .await
        .unwrap();
    let arn = made.arn().unwrap();
    watched.read().await;
    let missing = watched
        .secrets
        .get_secret_value()
        .secret_id("bank-platform/none")
        .send()
        .await;
    assert_eq!(code(missing), "ResourceNotFoundException");
    let ssm = aws_sdk_ssm::Client::new(&watched.lab.sdk_config());
    let secure = aws_sdk_ssm::types::ParameterType::SecureString;
    ssm.put_parameter()
        .name("/s")
        .value(CANARY)
        .r#type(secure)
        .send()
        .await
        .unwrap();

    let created = watched
        .records(LookupAttributeKey::EventName, "CreateSecret")
        .await;
    let record = created.first().unwrap();
    for (pointer, expected) in [
        ("/eventSource", "secretsmanager.amazonaws.com"),
        ("/awsRegion", watched.lab.region()),
        ("/recipientAccountId", watched.lab.account()),
        ("/userIdentity/type", "IAMUser"),
        ("/requestParameters/name", "bank-platform/x"),
        ("/responseElements/aRN", arn),
        ("/eventType", "AwsApiCall"),
    ] {
        assert_eq!(record.pointer(pointer).unwrap(), expected, "{pointer}");
    }
    assert_eq!(record.pointer("/readOnly"), Some(&Value::Bool(false)));
    let reads = watched
        .records(LookupAttributeKey::EventName, "GetSecretValue")
        .await;
    assert_eq!(reads.len(), 2);
    assert_eq!(
        reads.first().unwrap().pointer("/errorCode").unwrap(),
        "ResourceNotFoundException"
    );
    assert_eq!(
        reads.last().unwrap().pointer("/responseElements"),
        Some(&Value::Null)
    );
    assert_eq!(
        reads.last().unwrap().pointer("/readOnly"),
        Some(&Value::Bool(true))
    );
    let hidden = watched
        .records(LookupAttributeKey::EventName, "PutParameter")
        .await;
    let shown = hidden
        .first()
        .unwrap()
        .pointer("/requestParameters/value")
        .unwrap();
    assert_eq!(shown, "HIDDEN_DUE_TO_SECURITY_REASONS");

    let all = watched.trail.lookup_events().send().await.unwrap();
    assert!(all.events().len() >= 4);
    assert!(!format!("{all:?}").contains(CANARY));
    assert_eq!(
        watched
            .records(LookupAttributeKey::ResourceName, "bank-platform/x")
            .await
            .len(),
        2
    );
    watched
        .lab
        .clock()
        .advance(Duration::from_hours(2184))
        .await;
    assert!(
        watched
            .records(LookupAttributeKey::EventName, "CreateSecret")
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn trails_are_described_and_refused_like_on_aws() {
    let watched = start().await;
    watched.make_trail().await;
    let create = |name: &str| {
        watched
            .trail
            .create_trail()
            .name(name)
            .s3_bucket_name("bank-trail")
            .send()
    };
    assert_eq!(code(create("bank").await), "TrailAlreadyExistsException");
    assert_eq!(code(create("a--b").await), "InvalidTrailNameException");
    assert_eq!(
        code(watched.trail.get_trail_status().name("none").send().await),
        "TrailNotFoundException"
    );
    let status = watched
        .trail
        .get_trail_status()
        .name("bank")
        .send()
        .await
        .unwrap();
    assert_eq!(status.is_logging(), Some(false));
    watched
        .trail
        .start_logging()
        .name("bank")
        .send()
        .await
        .unwrap();
    let status = watched
        .trail
        .get_trail_status()
        .name("bank")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (status.is_logging(), status.start_logging_time().is_some()),
        (Some(true), true)
    );
    let trails = watched.trail.describe_trails().send().await.unwrap();
    let trail = trails.trail_list().first().unwrap();
    assert_eq!(
        (trail.is_multi_region_trail(), trail.home_region()),
        (Some(true), Some(watched.lab.region()))
    );
    let selectors = watched
        .trail
        .get_event_selectors()
        .trail_name("bank")
        .send()
        .await
        .unwrap();
    let selector = selectors.event_selectors().first().unwrap();
    assert_eq!(selector.read_write_type(), Some(&ReadWriteType::All));
}
