//! Each behaviour really misbehaves, in the deployed program, and the honest ones don't: a test that relies on a
//! fault would otherwise prove nothing.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use checker_lab::program::{ApplyOptions, Program, apply};
use checker_lab::{Lab, LabOptions, Replacement};
use serde_json::{Value, json};

const STAGE: &str = "dev";
const ROTATION: &str = "bank-secrets-rotation-dev";
const DETECTOR: &str = "bank-secrets-anomaly-dev";
const PROBE: &str = "bank-platform/rotation/probe-dev";
const CANARY: &str = "bank-platform/canary-dev";

/// The program in a lab whose functions are played by this crate's binary.
struct Scene {
    lab: Lab,
    secrets: aws_sdk_secretsmanager::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    sqs: aws_sdk_sqs::Client,
    lambda: aws_sdk_lambda::Client,
}

/// An alert: its body and its attributes.
struct Alert {
    body: String,
    attributes: BTreeMap<String, String>,
    /// When it came, by the lab's clock, in milliseconds.
    sent: i64,
}

fn plays(function: &str, behaviour: &str) -> Replacement {
    let binary = env!("CARGO_BIN_EXE_faulty-function");
    format!("{function}={binary} {behaviour}").parse().unwrap()
}

impl Scene {
    async fn new(rotation: &str, detector: &str) -> Self {
        let lab = Lab::start(LabOptions {
            replace: vec![plays(ROTATION, rotation), plays(DETECTOR, detector)],
            ..LabOptions::default()
        })
        .await
        .unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra-pulumi-yaml");
        for folder in [root.join("prerequisites"), root] {
            let program = Program::load(&folder, STAGE).unwrap_or_else(|errors| panic!("{errors}"));
            let options = ApplyOptions {
                account: lab.account().to_owned(),
                stand_in: Some(PathBuf::from("/never/started")),
            };
            apply(&program, &lab.sdk_config(), &options)
                .await
                .unwrap_or_else(|error| panic!("{error}"));
        }
        lab.settle().await;
        let config = lab.sdk_config();
        let scene = Self {
            secrets: aws_sdk_secretsmanager::Client::new(&config),
            logs: aws_sdk_cloudwatchlogs::Client::new(&config),
            sqs: aws_sdk_sqs::Client::new(&config),
            lambda: aws_sdk_lambda::Client::new(&config),
            lab,
        };
        // What deploying itself led to.
        scene.alerts().await;
        scene
    }

    async fn current(&self, secret: &str) -> Option<String> {
        let read = self.secrets.get_secret_value().secret_id(secret).send();
        read.await.ok()?.secret_string
    }

    /// The lines of a log group.
    async fn lines(&self, group: &str) -> Vec<String> {
        let read = self.logs.filter_log_events().log_group_name(group).send();
        let lines = read.await.unwrap().events.unwrap_or_default();
        lines.into_iter().filter_map(|line| line.message).collect()
    }

    /// The access records of an event.
    async fn records(&self, event_id: &str) -> Vec<Value> {
        let lines = self.lines("/aws/secretsmanager/bank-access-dev").await;
        let records = lines.iter().map(|line| serde_json::from_str(line).unwrap());
        records
            .filter(|record: &Value| record["event_id"] == event_id)
            .collect()
    }

    /// The alerts that wait, which are taken away.
    async fn alerts(&self) -> Vec<Alert> {
        let account = self.lab.account();
        let region = self.lab.region();
        let queue =
            format!("https://sqs.{region}.amazonaws.com/{account}/bank-secrets-probe-alerts-dev");
        let mut alerts = Vec::new();
        loop {
            let received = self
                .sqs
                .receive_message()
                .queue_url(&queue)
                .max_number_of_messages(10)
                .message_attribute_names("All")
                .message_system_attribute_names(
                    aws_sdk_sqs::types::MessageSystemAttributeName::SentTimestamp,
                )
                .send()
                .await
                .unwrap();
            if received.messages().is_empty() {
                return alerts;
            }
            for message in received.messages() {
                let attributes = message.message_attributes().into_iter().flatten();
                let system = message.attributes().unwrap();
                alerts.push(Alert {
                    body: message.body().unwrap_or_default().to_owned(),
                    attributes: attributes
                        .map(|(name, value)| {
                            (name.clone(), value.string_value().unwrap().to_owned())
                        })
                        .collect(),
                    sent: system[&aws_sdk_sqs::types::MessageSystemAttributeName::SentTimestamp]
                        .parse()
                        .unwrap(),
                });
                let handle = message.receipt_handle().unwrap();
                let delete = self.sqs.delete_message().queue_url(&queue);
                delete.receipt_handle(handle).send().await.unwrap();
            }
        }
    }

    /// Hands the detector an event as from `CloudTrail`, and returns its records and alerts.
    async fn detect(&self, id: &str, role: &str) -> (Vec<Value>, Vec<Alert>) {
        let event = read_by(
            self.lab.account(),
            id,
            role,
            &self.lab.clock().now().to_rfc3339(),
        );
        let payload = aws_sdk_lambda::primitives::Blob::new(event.to_string());
        let invoked = self
            .lambda
            .invoke()
            .function_name(DETECTOR)
            .payload(payload);
        let answer = invoked.send().await.unwrap();
        assert_eq!(answer.function_error(), None);
        self.lab.settle().await;
        let alerts = self.alerts().await;
        let of_it = alerts.into_iter().filter(|alert| alert.body.contains(id));
        (self.records(id).await, of_it.collect())
    }
}

/// `role` reads the probe's secret.
fn read_by(account: &str, id: &str, role: &str, time: &str) -> Value {
    json!({
        "source": "aws.secretsmanager", "detail-type": "AWS API Call via CloudTrail", "id": id, "account": account,
        "detail": {
            "eventSource": "secretsmanager.amazonaws.com", "eventName": "GetSecretValue", "eventType": "AwsApiCall",
            "eventID": id, "requestID": format!("r-{id}"), "awsRegion": "ap-southeast-2", "eventTime": time,
            "recipientAccountId": account, "requestParameters": {"secretId": PROBE},
            "userIdentity": {
                "type": "AssumedRole", "accountId": account,
                "arn": format!("arn:aws:sts::{account}:assumed-role/{role}/session"),
                "sessionContext": {"sessionIssuer": {
                    "type": "Role", "accountId": account, "arn": format!("arn:aws:iam::{account}:role/{role}"),
                }},
            },
        },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotations() {
    let honest = Scene::new("rotation-honest", "detector-honest").await;
    let first = honest.current(CANARY).await;
    assert!(first.is_some());
    let log = honest.lines(&format!("/aws/lambda/{ROTATION}")).await;
    assert!(!log.concat().contains(&first.unwrap()), "{log:?}");

    for behaviour in ["rotation-no-promote", "rotation-fails"] {
        let scene = Scene::new(behaviour, "detector-honest").await;
        assert_eq!(scene.current(CANARY).await, None, "{behaviour}");
        let described = scene.secrets.describe_secret().secret_id(CANARY).send();
        assert_eq!(described.await.unwrap().last_rotated_date, None);
    }

    let loud = Scene::new("rotation-logs-value", "detector-honest").await;
    let value = loud.current(CANARY).await.unwrap();
    let log = loud.lines(&format!("/aws/lambda/{ROTATION}")).await;
    assert!(log.concat().contains(&value), "{log:?}");

    // The first rotation has nothing to repeat.
    let same = Scene::new("rotation-repeats-value", "detector-honest").await;
    let first = same.current(CANARY).await;
    let rotate = same.secrets.rotate_secret().secret_id(CANARY).send();
    let made = rotate.await.unwrap().version_id;
    same.lab.settle().await;
    let read = same.secrets.get_secret_value().secret_id(CANARY).send();
    let read = read.await.unwrap();
    assert_eq!(read.version_id, made);
    assert!(first.is_some());
    assert_eq!(read.secret_string, first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn detectors() {
    let honest = Scene::new("rotation-honest", "detector-honest").await;
    let (records, alerts) = honest.detect("e-own", ROTATION).await;
    assert_eq!((records.len(), alerts.len()), (1, 0));
    let stranger = format!("{ROTATION}-x");
    let (records, alerts) = honest.detect("e-stranger", &stranger).await;
    assert_eq!((records.len(), alerts.len()), (1, 1));
    assert_eq!(alerts[0].attributes["severity"], "high");
    let soon = honest.lab.clock().now().timestamp_millis() - alerts[0].sent;
    assert!(soon < 10_000, "{soon}");

    let substring = Scene::new("rotation-honest", "detector-substring").await;
    let (records, alerts) = substring.detect("e-stranger", &stranger).await;
    assert_eq!((records.len(), alerts.len()), (1, 0));

    let value = Scene::new("rotation-honest", "detector-value-in-record").await;
    let (records, _) = value.detect("e-stranger", &stranger).await;
    let current = value.current(PROBE).await.unwrap();
    assert!(records[0]["session"].as_str().unwrap().contains(&current));

    let silent = Scene::new("rotation-honest", "detector-no-record").await;
    let (records, alerts) = silent.detect("e-stranger", &stranger).await;
    assert_eq!((records.len(), alerts.len()), (0, 1));

    let dumb = Scene::new("rotation-honest", "detector-no-alert").await;
    let (records, alerts) = dumb.detect("e-stranger", &stranger).await;
    assert_eq!((records.len(), alerts.len()), (1, 0));

    let bare = Scene::new("rotation-honest", "detector-no-attributes").await;
    let (_, alerts) = bare.detect("e-stranger", &stranger).await;
    assert!(alerts[0].attributes.is_empty());

    let late = Scene::new("rotation-honest", "detector-late-alert").await;
    let before = late.lab.clock().now();
    let begun = std::time::Instant::now();
    let (_, alerts) = late.detect("e-stranger", &stranger).await;
    let waited = alerts[0].sent - before.timestamp_millis();
    assert!(waited >= 400_000, "{waited}");
    assert!(begun.elapsed() < Duration::from_mins(1));
}
