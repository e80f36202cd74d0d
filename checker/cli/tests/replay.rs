//! `checker lambda replay` from outside: dead letters of both kinds are taken once the detector works again, and
//! stay where they are while it doesn't.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use checker_lab::program::{ApplyOptions, Program, apply};
use checker_lab::{Fault, Lab, LabOptions};
use serde_json::{Value, json};

const CHECKER: &str = env!("CARGO_BIN_EXE_checker");

struct Scene {
    lab: Lab,
    logs: aws_sdk_cloudwatchlogs::Client,
    sqs: aws_sdk_sqs::Client,
    queue: String,
}

impl Scene {
    async fn new() -> Self {
        let lab = Lab::start(LabOptions::default()).await.unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra-pulumi-yaml");
        for folder in [root.join("prerequisites"), root] {
            let program = Program::load(&folder, "dev").unwrap_or_else(|errors| panic!("{errors}"));
            let options = ApplyOptions {
                account: lab.account().to_owned(),
                stand_in: Some(PathBuf::from(CHECKER)),
            };
            apply(&program, &lab.sdk_config(), &options)
                .await
                .unwrap_or_else(|error| panic!("{error}"));
        }
        lab.settle().await;
        let config = lab.sdk_config();
        let sqs = aws_sdk_sqs::Client::new(&config);
        let name = "bank-secrets-anomaly-dead-letters-dev";
        let found = sqs.get_queue_url().queue_name(name).send().await.unwrap();
        Self {
            logs: aws_sdk_cloudwatchlogs::Client::new(&config),
            queue: found.queue_url.unwrap(),
            sqs,
            lab,
        }
    }

    /// Puts a letter into the queue.
    async fn letter(&self, body: &str) {
        let send = self.sqs.send_message().queue_url(&self.queue);
        send.message_body(body).send().await.unwrap();
    }

    /// Letters of the queue, hidden ones included.
    async fn letters(&self) -> usize {
        let asked = self.sqs.get_queue_attributes().queue_url(&self.queue);
        let all = aws_sdk_sqs::types::QueueAttributeName::All;
        let answer = asked.attribute_names(all).send().await.unwrap();
        let attributes = answer.attributes.unwrap();
        attributes
            .iter()
            .filter(|(name, _)| name.as_str().starts_with("ApproximateNumberOfMessages"))
            .map(|(_, count)| count.parse::<usize>().unwrap())
            .sum()
    }

    /// How many access records an event has.
    async fn records(&self, event_id: &str) -> usize {
        let group = "/aws/secretsmanager/bank-access-dev";
        let read = self.logs.filter_log_events().log_group_name(group);
        let lines = read.send().await.unwrap().events.unwrap_or_default();
        let records = lines
            .iter()
            .map(|line| serde_json::from_str::<Value>(line.message().unwrap()).unwrap());
        records
            .filter(|record| record["event_id"] == event_id)
            .count()
    }

    async fn replay(&self, arguments: &[&str]) -> Output {
        tokio::process::Command::new(CHECKER)
            .args(["lambda", "replay", "--endpoint-url", &self.lab.endpoint()])
            .args(arguments)
            .env("AWS_REGION", self.lab.region())
            .env("AWS_ACCESS_KEY_ID", "lab")
            .env("AWS_SECRET_ACCESS_KEY", "lab")
            .output()
            .await
            .unwrap()
    }
}

fn event(id: &str) -> Value {
    json!({"source": "aws.secretsmanager", "detail-type": "AWS API Call via CloudTrail", "id": id,
        "detail": {"eventSource": "secretsmanager.amazonaws.com", "eventName": "GetSecretValue", "eventID": id,
            "userIdentity": {"type": "Root"}}})
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_are_taken_once_the_detector_took_their_events() {
    let scene = Scene::new().await;
    let from_lambda = json!({"version": "1.0", "requestContext": {"condition": "RetriesExhausted"},
        "requestPayload": event("e-lambda"), "responsePayload": {"errorType": "NothingSent"}});
    scene.letter(&from_lambda.to_string()).await;
    scene.letter(&event("e-bridge").to_string()).await;
    scene.letter("no JSON at all").await;

    let dry = scene.replay(&["--dry-run"]).await;
    assert_eq!(dry.status.code(), Some(0), "{dry:?}");
    assert_eq!(lines(&dry).len(), 3);
    assert_eq!(
        (scene.records("e-lambda").await, scene.letters().await),
        (0, 3)
    );

    // Two minutes later the letters are seen again; the detector can't write.
    scene.lab.clock().advance(Duration::from_mins(3)).await;
    let denied = "logs:PutLogEvents=access-denied".parse::<Fault>().unwrap();
    scene.lab.faults().plant(denied);
    let failed = scene.replay(&[]).await;
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    assert_eq!(lines(&failed)[0]["result"]["errorType"], "RecordNotWritten");
    assert_eq!(scene.letters().await, 3);

    scene.lab.faults().clear();
    scene.lab.clock().advance(Duration::from_mins(3)).await;
    let done = scene.replay(&[]).await;
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(lines(&done).iter().all(|line| line["replayed"] == true));
    assert_eq!(scene.records("e-lambda").await, 1);
    assert_eq!(scene.records("e-bridge").await, 1);
    assert_eq!(scene.letters().await, 0);

    let empty = scene.replay(&[]).await;
    assert_eq!((empty.status.code(), lines(&empty).len()), (Some(0), 0));
    scene.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_letters_and_what_is_wrong_with_the_command_line() {
    let scene = Scene::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letters.jsonl");
    let wrapped = json!({"requestContext": {}, "requestPayload": event("e-file")});
    std::fs::write(
        &file,
        format!("{wrapped}\n{}\nbroken {{\n", event("e-line")),
    )
    .unwrap();
    let replayed = scene.replay(&["--file", file.to_str().unwrap()]).await;
    assert_eq!(replayed.status.code(), Some(1), "a line is no JSON");
    assert_eq!(
        lines(&replayed)[2]["error"],
        "the line is no JSON at column 1"
    );
    for event in ["e-file", "e-line"] {
        assert_eq!(scene.records(event).await, 1, "{event}");
    }
    for (arguments, code, says) in [
        (
            &["--file", "/no/such/file"][..],
            2,
            "`/no/such/file` cannot be read",
        ),
        (
            &["--stage", "none"],
            4,
            "failed to find the queue `bank-secrets-anomaly-dead-letters-none`",
        ),
        (
            &["--queue", "https://x/1/q", "--file", "f"],
            2,
            "cannot be used with",
        ),
    ] {
        let output = scene.replay(arguments).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
    scene.lab.stop().await;
}
