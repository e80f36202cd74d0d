//! The function's real process behind the Runtime API, with logging turned up as far as an environment can.

use serde_json::{Value, json};

use crate::runtime_api;
use crate::secrets_server::Server;

const BINARY: &str = env!("CARGO_BIN_EXE_rotation");

fn settings(url: &str) -> Vec<(&str, &str)> {
    vec![
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "CANARY-key"),
        ("AWS_SECRET_ACCESS_KEY", "CANARY-secret-key"),
        ("AWS_ENDPOINT_URL", url),
    ]
}

fn event(id: &str, step: &str) -> Vec<u8> {
    json!({"Step": step, "SecretId": id, "ClientRequestToken": "v-2", "RotationToken": "CANARY-token"})
        .to_string()
        .into_bytes()
}

#[tokio::test]
async fn four_steps_and_no_value_anywhere() {
    let server = Server::start().await;
    let old = "CANARY-old-value-that-is-long-enough-to-be-a-key";
    server.add("good", "API_KEY", Some(old));
    server.stage("good", "v-2");
    server.add(
        "broken",
        "API_KEY",
        Some(r#"{"CANARY-name":"CANARY-value"}"#),
    );
    server.stage("broken", "v-2");
    let mut payloads: Vec<Vec<u8>> = ["createSecret", "setSecret", "testSecret", "finishSecret"]
        .map(|step| event("good", step))
        .to_vec();
    payloads.extend([
        event("broken", "createSecret"),
        event("CANARY-none", "createSecret"),
        b"CANARY {".to_vec(),
    ]);
    let served = runtime_api::serve(BINARY, &settings(&server.url), &payloads).await;
    let kinds: Vec<&str> = served
        .outcomes
        .iter()
        .map(|(kind, _)| kind.as_str())
        .collect();
    assert_eq!(
        kinds,
        [
            "response", "response", "response", "response", "error", "error", "error"
        ]
    );
    assert_eq!(server.holder("good", "AWSCURRENT").as_deref(), Some("v-2"));
    let new = server.text("good", "AWSCURRENT").unwrap();
    let said: Vec<String> = served
        .outcomes
        .iter()
        .map(|(_, body)| body.clone())
        .collect();
    for text in said.iter().chain([&served.written]) {
        assert!(!text.contains(&new) && !text.contains("CANARY"), "{text}");
    }
    let error: Value = serde_json::from_str(&served.outcomes[4].1).unwrap();
    assert_eq!(
        (&error["errorType"], &error["errorMessage"]),
        (
            &json!("Content"),
            &json!(
                "read the secret's content: no member of it is known to be the key; tag `secret_member`"
            )
        )
    );
    assert!(
        served.written.contains(r#""done":"promoted""#),
        "{}",
        served.written
    );
}
