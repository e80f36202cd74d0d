//! `CloudWatch` Logs through the real SDK client.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::error::ProvideErrorMetadata;
use aws_sdk_cloudwatchlogs::types::{InputLogEvent, LogGroup, PolicyType};
use checker_lab::{Lab, LabOptions};

const GROUP: &str = "/aws/secretsmanager/bank-access-dev";

async fn start() -> (Lab, Client) {
    let lab = Lab::start(LabOptions::default()).await.unwrap();
    let client = Client::new(&lab.sdk_config());
    client
        .create_log_group()
        .log_group_name(GROUP)
        .send()
        .await
        .unwrap();
    client
        .create_log_stream()
        .log_group_name(GROUP)
        .log_stream_name("s")
        .send()
        .await
        .unwrap();
    (lab, client)
}

fn code<T, E: ProvideErrorMetadata>(answer: Result<T, E>) -> String {
    match answer {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.code().unwrap_or("none").to_owned(),
    }
}

async fn group(client: &Client) -> LogGroup {
    let answer = client
        .describe_log_groups()
        .log_group_name_prefix(GROUP)
        .send()
        .await
        .unwrap();
    answer.log_groups().first().unwrap().clone()
}

fn event(at: i64, message: &str) -> InputLogEvent {
    InputLogEvent::builder()
        .timestamp(at)
        .message(message)
        .build()
        .unwrap()
}

#[tokio::test]
async fn only_the_enumerated_retentions() {
    let (_lab, client) = start().await;
    let put = |days: i32| {
        client
            .put_retention_policy()
            .log_group_name(GROUP)
            .retention_in_days(days)
            .send()
    };
    for days in [0, 2, 17, 2190, 2555, 2560, 3650, 4000] {
        assert_eq!(code(put(days).await), "InvalidParameterException", "{days}");
    }
    for days in [1, 2557, 3653] {
        put(days).await.unwrap();
    }
    assert_eq!(group(&client).await.retention_in_days(), Some(3653));
    client
        .delete_retention_policy()
        .log_group_name(GROUP)
        .send()
        .await
        .unwrap();
    assert_eq!(group(&client).await.retention_in_days(), None);
}

#[tokio::test]
async fn an_account_policy_overrides_a_day_later() {
    let (lab, client) = start().await;
    client
        .put_retention_policy()
        .log_group_name(GROUP)
        .retention_in_days(3653)
        .send()
        .await
        .unwrap();
    let put = |name: &str, document: &str| {
        let put = client
            .put_account_policy()
            .policy_name(name)
            .policy_document(document);
        put.policy_type(PolicyType::RetentionPolicy)
    };
    let short = r#"{"retentionInDays":90,"enforcementMode":"RETROACTIVE"}"#;
    assert_eq!(
        code(
            put(
                "p",
                r#"{"retentionInDays":14,"enforcementMode":"RETROACTIVE"}"#
            )
            .send()
            .await
        ),
        "InvalidParameterException"
    );
    put("p", short).send().await.unwrap();
    put(
        "new",
        r#"{"retentionInDays":"NEVER_EXPIRE","enforcementMode":"NEW_ONLY"}"#,
    )
    .send()
    .await
    .unwrap();
    put(
        "other",
        r#"{"retentionInDays":365,"enforcementMode":"RETROACTIVE"}"#,
    )
    .selection_criteria(r#"LogGroupNamePrefix IN ["/other"]"#)
    .send()
    .await
    .unwrap();
    assert_eq!(group(&client).await.retention_in_days(), Some(3653));
    lab.clock().advance(Duration::from_hours(25)).await;
    let seen = group(&client).await;
    assert_eq!(
        (seen.retention_in_days(), seen.retention_policy_name()),
        (Some(90), Some("p"))
    );
    put(
        "p",
        r#"{"retentionInDays":365,"enforcementMode":"RETROACTIVE"}"#,
    )
    .send()
    .await
    .unwrap();
    assert_eq!(group(&client).await.retention_in_days(), Some(90));
    let policies = client
        .describe_account_policies()
        .policy_type(PolicyType::RetentionPolicy)
        .send()
        .await
        .unwrap();
    assert_eq!(policies.account_policies().len(), 3);
}

#[tokio::test]
async fn a_protected_group_stays() {
    let (_lab, client) = start().await;
    let protect = |on: bool| {
        client
            .put_log_group_deletion_protection()
            .log_group_identifier(GROUP)
            .deletion_protection_enabled(on)
            .send()
    };
    protect(true).await.unwrap();
    assert_eq!(
        code(client.delete_log_group().log_group_name(GROUP).send().await),
        "ValidationException"
    );
    let stream = client
        .delete_log_stream()
        .log_group_name(GROUP)
        .log_stream_name("s")
        .send()
        .await;
    assert_eq!(code(stream), "ValidationException");
    assert_eq!(
        group(&client).await.deletion_protection_enabled(),
        Some(true)
    );
    protect(false).await.unwrap();
    client
        .delete_log_group()
        .log_group_name(GROUP)
        .send()
        .await
        .unwrap();
    assert_eq!(
        code(client.delete_log_group().log_group_name(GROUP).send().await),
        "ResourceNotFoundException"
    );
}

#[tokio::test]
async fn events_are_kept_rejected_and_found() {
    let (lab, client) = start().await;
    let now = lab.clock().now().timestamp_millis();
    let day = 86_400_000;
    let put = |events: Vec<InputLogEvent>| {
        client
            .put_log_events()
            .log_group_name(GROUP)
            .log_stream_name("s")
            .set_log_events(Some(events))
            .send()
    };
    let rejected = put(vec![
        event(now - 15 * day, "old"),
        event(now - 1000, r#"{"identity":"a","verdict":"alert","n":3}"#),
        event(now, r#"{"identity":"b","verdict":"ok","n":4}"#),
        event(now + day, "new"),
    ])
    .await
    .unwrap();
    let info = rejected.rejected_log_events_info().unwrap();
    assert_eq!(
        (
            info.too_old_log_event_end_index(),
            info.too_new_log_event_start_index()
        ),
        (Some(1), Some(3))
    );
    assert_eq!(
        code(put(vec![event(now, "b"), event(now - 1, "a")]).await),
        "InvalidParameterException"
    );
    assert_eq!(
        code(put(vec![event(now - 2 * day, "a"), event(now, "b")]).await),
        "InvalidParameterException"
    );

    for (pattern, expected) in [
        ("", 2),
        ("alert", 1),
        ("\"\\\"verdict\\\":\\\"ok\\\"\"", 1),
        ("{ $.identity = \"a\" }", 1),
        ("{ $.n >= 3 && $.verdict != \"ok\" }", 1),
        ("{ $.n > 4 }", 0),
    ] {
        let found = client
            .filter_log_events()
            .log_group_name(GROUP)
            .filter_pattern(pattern)
            .send()
            .await
            .unwrap();
        assert_eq!(found.events().len(), expected, "{pattern}");
    }
    let bad = client
        .filter_log_events()
        .log_group_name(GROUP)
        .filter_pattern("{ $.a }")
        .send()
        .await;
    assert_eq!(code(bad), "InvalidParameterException");
    let first = client
        .get_log_events()
        .log_group_name(GROUP)
        .log_stream_name("s")
        .start_from_head(true)
        .limit(1)
        .send()
        .await
        .unwrap();
    assert_eq!(
        first.events().first().unwrap().timestamp(),
        Some(now - 1000)
    );
    let after = client
        .get_log_events()
        .log_group_name(GROUP)
        .log_stream_name("s")
        .next_token(first.next_forward_token().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(after.events().first().unwrap().timestamp(), Some(now));
    client
        .put_retention_policy()
        .log_group_name(GROUP)
        .retention_in_days(1)
        .send()
        .await
        .unwrap();
    lab.clock().advance(Duration::from_hours(48)).await;
    let gone = client
        .filter_log_events()
        .log_group_name(GROUP)
        .send()
        .await
        .unwrap();
    assert!(gone.events().is_empty());
}

#[tokio::test]
async fn a_key_is_named_by_its_arn_and_must_let_the_service_in() {
    let (lab, client) = start().await;
    let kms = aws_sdk_kms::Client::new(&lab.sdk_config());
    let policy = |logs: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{account}:root"}},"Action":"kms:*","Resource":"*"}},{{"Effect":"Allow","Principal":{{"Service":"{logs}"}},"Action":["kms:Encrypt*","kms:Decrypt*","kms:ReEncrypt*","kms:GenerateDataKey*","kms:Describe*"],"Resource":"*","Condition":{{"ArnEquals":{{"kms:EncryptionContext:aws:logs:arn":"arn:aws:logs:{region}:{account}:log-group:{GROUP}"}}}}}}]}}"#,
            account = lab.account(),
            region = lab.region(),
        )
    };
    let service = format!("logs.{}.amazonaws.com", lab.region());
    let good = kms
        .create_key()
        .policy(policy(&service))
        .send()
        .await
        .unwrap();
    let bare = kms.create_key().send().await.unwrap();
    let (good, bare) = (good.key_metadata().unwrap(), bare.key_metadata().unwrap());
    for (key, expected) in [
        (good.key_id(), "InvalidParameterException"),
        (bare.arn().unwrap(), "InvalidParameterException"),
        (good.arn().unwrap(), "accepted"),
    ] {
        let answer = client
            .associate_kms_key()
            .log_group_name(GROUP)
            .kms_key_id(key)
            .send()
            .await;
        assert_eq!(code(answer), expected, "{key}");
    }
    assert_eq!(group(&client).await.kms_key_id(), good.arn());
    client
        .disassociate_kms_key()
        .log_group_name(GROUP)
        .send()
        .await
        .unwrap();
    assert_eq!(group(&client).await.kms_key_id(), None);
}
