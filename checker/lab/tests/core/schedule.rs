//! Rotation schedules: what is shown as the next date, and what fires.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use aws_sdk_secretsmanager::types::RotationRulesType;
use checker_lab::LabOptions;
use chrono::{DateTime, Utc};

use crate::stage::Stage;

#[tokio::test]
async fn the_next_date_is_the_end_of_the_next_window() {
    let start: DateTime<Utc> = "2027-01-15T10:30:00Z".parse().unwrap();
    let cases = [
        ("rate(10 days)", None, "2027-01-25T23:59:59Z"),
        ("rate(10 days)", Some("3h"), "2027-01-25T03:00:00Z"),
        ("rate(4 hours)", None, "2027-01-15T15:00:00Z"),
        ("cron(0 8 1 * ? *)", None, "2027-02-01T23:59:59Z"),
        ("cron(0 8 1 * ? *)", Some("2h"), "2027-02-01T10:00:00Z"),
        ("cron(0 16 ? * SUN *)", Some("1h"), "2027-01-17T17:00:00Z"),
        ("cron(0 0 L * ? *)", Some("1h"), "2027-01-31T01:00:00Z"),
        ("cron(0 6 ? * 2#2 *)", Some("1h"), "2027-02-08T07:00:00Z"),
        ("cron(0 6 ? * FRIL *)", Some("1h"), "2027-01-29T07:00:00Z"),
        ("cron(0 1 1 1/3 ? *)", Some("1h"), "2027-04-01T02:00:00Z"),
        (
            "cron(0 12,18 15 JAN-MAR ? *)",
            Some("1h"),
            "2027-01-15T13:00:00Z",
        ),
        ("cron(0 0 29 2 ? *)", Some("1h"), "2028-02-29T01:00:00Z"),
    ];
    let options = LabOptions {
        clock: Some(start),
        ..LabOptions::default()
    };
    let stage = Stage::with(options).await;
    let function = stage.function("rotation", "").await;
    for (at, (expression, duration, expected)) in cases.into_iter().enumerate() {
        let secret = stage.secret(&format!("bank/{at}")).await;
        let rules = RotationRulesType::builder().schedule_expression(expression);
        let rules = rules.set_duration(duration.map(str::to_owned)).build();
        let rotate = stage.secrets.rotate_secret().secret_id(&secret);
        rotate
            .rotation_lambda_arn(&function)
            .rotation_rules(rules)
            .send()
            .await
            .unwrap();
        stage.lab.settle().await;
        let described = stage
            .secrets
            .describe_secret()
            .secret_id(&secret)
            .send()
            .await
            .unwrap();
        let expected: DateTime<Utc> = expected.parse().unwrap();
        let next = described.next_rotation_date.unwrap().secs();
        assert_eq!(
            DateTime::from_timestamp(next, 0),
            Some(expected),
            "{expression} {duration:?}"
        );
    }
}

#[tokio::test]
async fn a_schedule_of_hours_fires_every_time() {
    let start: DateTime<Utc> = "2027-01-15T10:30:00Z".parse().unwrap();
    let options = LabOptions {
        clock: Some(start),
        ..LabOptions::default()
    };
    let stage = Stage::with(options).await;
    let function = stage.function("rotation", "").await;
    let secret = stage.secret("bank/one").await;
    let rules = RotationRulesType::builder()
        .schedule_expression("rate(4 hours)")
        .build();
    let rotate = stage.secrets.rotate_secret().secret_id(&secret);
    rotate
        .rotation_lambda_arn(&function)
        .rotation_rules(rules)
        .send()
        .await
        .unwrap();
    stage.lab.settle().await;
    stage.lab.clock().advance(Duration::from_hours(24)).await;
    let versions = stage.secrets.list_secret_version_ids().secret_id(&secret);
    let versions = versions.include_deprecated(true).send().await.unwrap();
    assert_eq!(
        versions.versions().len(),
        7,
        "the first, and six by the schedule"
    );
    stage
        .secrets
        .cancel_rotate_secret()
        .secret_id(&secret)
        .send()
        .await
        .unwrap();
    stage.lab.clock().advance(Duration::from_hours(24)).await;
    let after = stage.secrets.list_secret_version_ids().secret_id(&secret);
    let after = after.include_deprecated(true).send().await.unwrap();
    assert_eq!(
        after.versions().len(),
        7,
        "a cancelled schedule does not fire"
    );
}

#[tokio::test]
async fn schedules_that_aws_refuses_are_refused() {
    let stage = Stage::new().await;
    let function = stage.function("rotation", "").await;
    let secret = stage.secret("bank/one").await;
    let cases = [
        ("rate(3 hours)", None),
        ("rate(1001 days)", None),
        ("rate(10 weeks)", None),
        ("every day", None),
        ("cron(0 8 1 * ? 2027)", None),
        ("cron(30 8 1 * ? *)", None),
        ("cron(0 8 1 * 2 *)", None),
        ("cron(0 8 32 * ? *)", None),
        ("cron(0 8 * *)", None),
        ("rate(4 hours)", Some("5h")),
        ("cron(0 22 1 * ? *)", Some("3h")),
    ];
    for (expression, duration) in cases {
        let rules = RotationRulesType::builder().schedule_expression(expression);
        let rules = rules.set_duration(duration.map(str::to_owned)).build();
        let rotate = stage.secrets.rotate_secret().secret_id(&secret);
        let refused = rotate
            .rotation_lambda_arn(&function)
            .rotation_rules(rules)
            .send()
            .await;
        let error = refused.unwrap_err().into_service_error();
        assert!(
            error.is_invalid_parameter_exception(),
            "{expression} {duration:?}: {error}"
        );
    }
}

/// One request to the lab itself: the status and the body.
async fn ask(endpoint: &str, method: &str, path: &str) -> (u16, String) {
    let address = endpoint.trim_start_matches("http://").to_owned();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: lab\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    let asked = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = asked.await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_moves_the_clock_and_schedules_fire() {
    let start: DateTime<Utc> = "2027-01-15T10:30:00Z".parse().unwrap();
    let options = LabOptions {
        clock: Some(start),
        ..LabOptions::default()
    };
    let stage = Stage::with(options).await;
    let function = stage.function("rotation", "").await;
    let secret = stage.secret("bank/one").await;
    let rotate = stage.secrets.rotate_secret().secret_id(&secret);
    let first = rotate
        .rotation_lambda_arn(&function)
        .rotation_rules(crate::stage::every(90))
        .send()
        .await
        .unwrap();
    stage.lab.settle().await;
    let endpoint = stage.lab.endpoint();
    let (status, body) = ask(&endpoint, "POST", "/_lab/advance?seconds=7948800").await;
    assert_eq!(status, 200);
    assert!(body.starts_with(r#"{"clock":"2027-04-17T10:3"#), "{body}");
    let current = stage.staged(&secret, "AWSCURRENT").await;
    assert_ne!(current, first.version_id, "92 days later it was rotated");
    let (_, body) = ask(&endpoint, "POST", "/_lab/advance?seconds=60&wait=no").await;
    let (_, now) = ask(&endpoint, "GET", "/_lab/clock").await;
    assert!(
        body.contains("T10:31") && now.contains("T10:31"),
        "{body} {now}"
    );
    for (method, path, status) in [
        ("POST", "/_lab/advance", 400),
        ("POST", "/_lab/advance?seconds=-1", 400),
        ("POST", "/_lab/advance?seconds=1&wait=maybe", 400),
        ("GET", "/_lab/advance?seconds=1", 404),
        ("GET", "/_lab/", 404),
    ] {
        assert_eq!(
            ask(&endpoint, method, path).await.0,
            status,
            "{method} {path}"
        );
    }
}
