//! The detector's real process behind the Runtime API.

use serde_json::Value;

use crate::delivery::{Server, State, alarming};
use crate::runtime_api;
use crate::{ROTATION, allowed_read};

const BINARY: &str = env!("CARGO_BIN_EXE_anomaly-detector");

fn settings(url: &str) -> Vec<(&str, &str)> {
    vec![
        ("AWS_REGION", "eu-west-2"),
        ("AWS_ACCESS_KEY_ID", "CANARY-key"),
        ("AWS_SECRET_ACCESS_KEY", "CANARY-secret-key"),
        ("AWS_ENDPOINT_URL", url),
        (
            "ALERT_TOPIC_ARN",
            "arn:aws:sns:eu-west-2:111122223333:alerts",
        ),
        ("ACCESS_LOG_GROUP", "/access"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/03/27/[$LATEST]abc"),
        ("ALLOWED_ROLE_PATTERNS", ROTATION),
    ]
}

#[tokio::test]
async fn no_payload_is_lost_whatever_it_is() {
    let server = Server::start(State::default()).await;
    let deep = "[".repeat(5000);
    let payloads: Vec<Vec<u8>> = vec![
        allowed_read().to_string().into_bytes(),
        alarming().into_bytes(),
        b"CANARY not json".to_vec(),
        b"\xff\xfe\x00".to_vec(),
        Vec::new(),
        deep.into_bytes(),
        br#"{"detail":{"eventName":"\ud800CANARY"}}"#.to_vec(),
    ];
    let served = runtime_api::serve(BINARY, &settings(&server.url), &payloads).await;
    let verdicts: Vec<String> = served
        .outcomes
        .iter()
        .map(|(kind, body)| {
            format!(
                "{kind} {}",
                serde_json::from_str::<Value>(body).unwrap()["verdict"]
            )
        })
        .collect();
    let unreadable = r#"response "unreadable""#;
    let expected = [r#"response "allowed""#, r#"response "anomalous""#];
    assert_eq!(verdicts[..2], expected);
    assert!(
        verdicts[2..].iter().all(|verdict| verdict == unreadable),
        "{verdicts:?}"
    );
    {
        let state = server.state.lock().unwrap();
        assert_eq!((state.records.len(), state.published.len()), (7, 6));
    }
    assert!(
        served.written.contains("DetectionLatencySeconds"),
        "{}",
        served.written
    );
    assert!(!served.written.contains("CANARY"), "{}", served.written);
}

#[tokio::test]
async fn a_failed_delivery_fails_the_invocation_with_a_fixed_text() {
    let server = Server::start(State {
        denied_topic: true,
        ..State::default()
    })
    .await;
    let served =
        runtime_api::serve(BINARY, &settings(&server.url), &[alarming().into_bytes()]).await;
    let (kind, body) = &served.outcomes[0];
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        (kind.as_str(), &body["errorType"]),
        ("error", &Value::from("AlertNotPublished"))
    );
    assert_eq!(
        body["errorMessage"],
        "publish the alert: call `sns:Publish`: `AuthorizationError` (request r-1)"
    );
}

#[tokio::test]
async fn a_missing_setting_is_named_before_anything_is_served() {
    let output = tokio::process::Command::new(BINARY)
        .env_clear()
        .output()
        .await
        .unwrap();
    assert!(!output.status.success());
    let written = String::from_utf8_lossy(&output.stdout);
    assert!(
        written.contains("read the setting `ACCESS_LOG_GROUP`: it is not set"),
        "{written}"
    );
}
