//! The strictness of the protocol layer, the faults, and the handle itself.

use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_secretsmanager::error::ProvideErrorMetadata as _;
use aws_smithy_types::retry::RetryConfig;
use checker_lab::{Fault, LabOptions};
use chrono::{TimeZone as _, Utc};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::stage::{Stage, every};

/// A raw JSON call of Secrets Manager: status line and body.
async fn raw(stage: &Stage, operation: &str, body: &str) -> String {
    let address = stage.lab.endpoint().replace("http://", "");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: lab\r\nconnection: close\r\ncontent-length: {}\r\ncontent-type: application/x-amz-json-1.1\r\nx-amz-target: secretsmanager.{operation}\r\nauthorization: AWS4-HMAC-SHA256 Credential=AKIA/20260101/ap-southeast-2/secretsmanager/aws4_request, SignedHeaders=host, Signature=0\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn what_does_not_fit_the_model_is_refused_by_name() {
    let stage = Stage::new().await;
    let cases = [
        (
            "ListSecrets",
            r#"{"Surprise":1}"#,
            "unknown member `Surprise`",
        ),
        ("ListSecrets", r#"{"MaxResults":101}"#, "`MaxResults`"),
        (
            "ListSecrets",
            r#"{"MaxResults":"2"}"#,
            "`MaxResults` is not a whole number",
        ),
        ("ListSecrets", r#"{"SortBy":"colour"}"#, "`SortBy`"),
        ("CreateSecret", "{}", "`Name`"),
        (
            "CreateSecret",
            r#"{"Name":"a","Tags":[{"Key":"k","Wrong":"v"}]}"#,
            "`Tags[0].Wrong`",
        ),
        (
            "StopReplicationToReplica",
            "{}",
            "does not serve `secretsmanager:StopReplicationToReplica`",
        ),
        ("ListSecrets", "{", "not a JSON object"),
    ];
    for (operation, body, expected) in cases {
        let answer = raw(&stage, operation, body).await;
        assert!(answer.contains(expected), "{operation} {body}: {answer}");
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
}

#[tokio::test]
async fn a_refusal_never_quotes_a_value() {
    let stage = Stage::new().await;
    for body in [
        r#"{"Name":"a","SecretString":{"canary-value":1}}"#,
        r#"{"Name":"a","SecretString":"canary-value""#,
        r#"{"Name":"a","SecretBinary":"canary-value"}"#,
    ] {
        let answer = raw(&stage, "CreateSecret", body).await;
        assert!(!answer.contains("canary"), "{answer}");
    }
}

#[tokio::test]
async fn the_clock_starts_where_it_is_told_and_dates_the_answers() {
    let start = Utc.with_ymd_and_hms(2031, 2, 3, 4, 5, 6).unwrap();
    let stage = Stage::with(LabOptions {
        clock: Some(start),
        ..LabOptions::default()
    })
    .await;
    let answer = raw(&stage, "ListSecrets", "{}").await;
    assert!(
        answer.contains("date: Mon, 03 Feb 2031 04:05:0"),
        "{answer}"
    );
    assert!(answer.contains("x-amzn-requestid: "), "{answer}");
    stage.lab.clock().advance(Duration::from_hours(24)).await;
    assert!(stage.lab.clock().now() >= start + chrono::TimeDelta::days(1));
}

#[tokio::test]
async fn faults_strike_as_often_as_they_are_told() {
    let stage = Stage::new().await;
    for number in 0..4 {
        stage.secret(&format!("bank/{number}")).await;
    }
    let list = || stage.secrets.list_secrets().send();
    let plant = |text: &str| stage.lab.faults().plant(text.parse().unwrap());
    plant("secretsmanager:ListSecrets=access-denied*1");
    assert_eq!(
        list().await.unwrap_err().code(),
        Some("AccessDeniedException")
    );
    assert_eq!(list().await.unwrap().secret_list().len(), 4);
    plant("secretsmanager:ListSecrets=throttled*2");
    assert_eq!(
        list().await.unwrap().secret_list().len(),
        4,
        "the client tries again"
    );
    plant("secretsmanager:ListSecrets=truncated-page*1");
    let half = list().await.unwrap();
    assert_eq!((half.secret_list().len(), half.next_token()), (2, None));
    plant("secretsmanager:*=empty-page-with-token*1");
    let mut pages = stage.secrets.list_secrets().into_paginator().send();
    let mut count = 0;
    while let Some(page) = pages.next().await {
        count += page.unwrap().secret_list().len();
    }
    assert_eq!(count, 4);
    for broken in ["malformed-body", "wrong-type", "reset"] {
        plant(&format!("secretsmanager:ListSecrets={broken}"));
        assert!(list().await.is_err(), "{broken}");
        stage.lab.faults().clear();
    }
    plant("secretsmanager:ListSecrets=repeated-token");
    let first = list().await.unwrap().next_token.unwrap();
    let second = stage
        .secrets
        .list_secrets()
        .next_token(&first)
        .send()
        .await
        .unwrap();
    assert_eq!(second.next_token, Some(first));
    stage.lab.faults().clear();
    plant("secretsmanager:ListSecrets=hang*1");
    let waited = tokio::time::timeout(Duration::from_millis(200), list()).await;
    assert!(waited.is_err(), "it hangs");
}

#[tokio::test]
async fn a_rate_is_of_one_caller() {
    let stage = Stage::new().await;
    let ask = |key: &'static str| {
        let config = stage
            .lab
            .sdk_config()
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                key, "secret", None, None, "test",
            )))
            .retry_config(RetryConfig::disabled())
            .build();
        async move {
            let client = aws_sdk_secretsmanager::Client::new(&config);
            client.list_secrets().send().await
        }
    };
    stage.lab.faults().plant("*:*=throttled@1".parse().unwrap());
    assert!(ask("one").await.is_ok());
    assert_eq!(
        ask("one").await.unwrap_err().code(),
        Some("ThrottlingException")
    );
    assert!(ask("other").await.is_ok());
}

#[test]
fn a_fault_that_cannot_strike_is_refused() {
    let cases = [
        ("secretsmanager:ListSecrets", "expected"),
        ("ListSecrets=hang", "expected"),
        (
            "secretsmanager:ListSecrets=explode",
            "`explode` is none of access-denied",
        ),
        (
            "secretsmanager:ListSecret=hang",
            "does not serve `secretsmanager:ListSecret`",
        ),
        (
            "tagging:GetResources=hang",
            "does not serve `tagging:GetResources`",
        ),
        ("tag:GetResources=hang*x", "expected"),
    ];
    for (text, expected) in cases {
        let refused = text.parse::<Fault>().unwrap_err().to_string();
        assert!(refused.contains(expected), "{text}: {refused}");
    }
}

#[tokio::test]
async fn a_thousand_filled_secrets_are_listed_in_ten_pages() {
    let stage = Stage::new().await;
    let function = stage.function("rotation", "").await;
    stage.secret("bank/one").await;
    let rotate = stage.secrets.rotate_secret().secret_id("bank/one");
    rotate
        .rotation_lambda_arn(&function)
        .rotation_rules(every(90))
        .send()
        .await
        .unwrap();
    stage.lab.settle().await;
    stage.lab.fill_secrets(999, &function).unwrap();
    let begun = Instant::now();
    let mut pages = stage
        .secrets
        .list_secrets()
        .max_results(100)
        .into_paginator()
        .send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        assert!(
            page.secret_list()
                .iter()
                .all(|secret| secret.last_rotated_date.is_some())
        );
        sizes.push(page.secret_list().len());
    }
    assert_eq!(sizes, [100; 10]);
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    assert!(
        stage
            .lab
            .fill_secrets(
                1,
                "arn:aws:lambda:ap-southeast-2:647751526084:function:none"
            )
            .is_err()
    );
}

#[tokio::test]
async fn the_lab_is_up_at_once() {
    let begun = Instant::now();
    let stage = Stage::new().await;
    assert!(
        begun.elapsed() < Duration::from_millis(500),
        "{:?}",
        begun.elapsed()
    );
    stage.lab.stop().await;
}
