//! Rotation: four steps in a real process, and what is left when one of them fails.

use std::time::Duration;

use aws_sdk_secretsmanager::error::ProvideErrorMetadata as _;

use crate::stage::{Stage, every};

const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn a_secret_without_a_value_gets_its_first_version_by_rotation() {
    let stage = Stage::new().await;
    let function = stage.function("rotation", "").await;
    let secret = stage.secret("bank/one").await;
    let started = stage
        .secrets
        .rotate_secret()
        .secret_id("bank/one")
        .rotation_lambda_arn(&function)
        .rotation_rules(every(90))
        .send()
        .await
        .unwrap();
    stage.lab.settle().await;
    let version = started.version_id.unwrap();
    assert_eq!(
        stage.staged(&secret, "AWSCURRENT").await.as_ref(),
        Some(&version)
    );
    assert_eq!(stage.staged(&secret, "AWSPREVIOUS").await, None);
    let described = stage
        .secrets
        .describe_secret()
        .secret_id(&secret)
        .send()
        .await
        .unwrap();
    assert_eq!(described.rotation_enabled, Some(true));
    assert!(described.last_rotated_date.is_some());
    let gap =
        described.next_rotation_date.unwrap().secs() - described.last_rotated_date.unwrap().secs();
    assert!((90 * 86_400..91 * 86_400).contains(&gap), "{gap}");
    let value = stage
        .secrets
        .get_secret_value()
        .secret_id(&secret)
        .send()
        .await
        .unwrap();
    assert_eq!(value.secret_string.unwrap().len(), 43);
}

#[tokio::test]
async fn a_second_rotation_moves_current_and_previous() {
    let stage = Stage::new().await;
    let function = stage.function("rotation", "").await;
    let secret = stage.secret("bank/one").await;
    let rotate = stage.secrets.rotate_secret().secret_id(&secret);
    let first = rotate
        .rotation_lambda_arn(&function)
        .rotation_rules(every(90))
        .send()
        .await
        .unwrap();
    stage.lab.settle().await;
    let second = stage
        .secrets
        .rotate_secret()
        .secret_id(&secret)
        .send()
        .await
        .unwrap();
    stage.lab.settle().await;
    assert_eq!(stage.staged(&secret, "AWSCURRENT").await, second.version_id);
    assert_eq!(stage.staged(&secret, "AWSPREVIOUS").await, first.version_id);
}

#[tokio::test]
async fn ninety_one_days_pass_and_the_schedule_fires_once() {
    let stage = Stage::new().await;
    let function = stage.function("rotation", "").await;
    let secret = stage.secret("bank/one").await;
    let rotate = stage.secrets.rotate_secret().secret_id(&secret);
    let first = rotate
        .rotation_lambda_arn(&function)
        .rotation_rules(every(90))
        .send()
        .await
        .unwrap();
    stage.lab.settle().await;
    let before = stage.lab.clock().now();
    stage.lab.clock().advance(DAY * 89).await;
    assert_eq!(
        stage.staged(&secret, "AWSCURRENT").await,
        first.version_id,
        "89 days"
    );
    stage.lab.clock().advance(DAY * 2).await;
    assert_ne!(
        stage.staged(&secret, "AWSCURRENT").await,
        first.version_id,
        "91 days"
    );
    assert_eq!(stage.staged(&secret, "AWSPREVIOUS").await, first.version_id);
    let described = stage
        .secrets
        .describe_secret()
        .secret_id(&secret)
        .send()
        .await
        .unwrap();
    let days = (described.last_rotated_date.unwrap().secs() - before.timestamp()) / 86_400;
    assert!((89..=90).contains(&days), "{days}");
}

#[tokio::test]
async fn a_function_that_does_nothing_promotes_nothing() {
    let stage = Stage::new().await;
    let function = stage.function("rotation", "nothing").await;
    let secret = stage.secret("bank/one").await;
    let rotate = stage.secrets.rotate_secret().secret_id(&secret);
    let started = rotate
        .rotation_lambda_arn(&function)
        .rotation_rules(every(90))
        .send()
        .await
        .unwrap();
    stage.lab.settle().await;
    assert_eq!(stage.staged(&secret, "AWSCURRENT").await, None);
    assert_eq!(
        stage.staged(&secret, "AWSPENDING").await,
        started.version_id
    );
    let described = stage
        .secrets
        .describe_secret()
        .secret_id(&secret)
        .send()
        .await
        .unwrap();
    assert_eq!(described.last_rotated_date, None);
}

#[tokio::test]
async fn after_a_failure_between_any_two_steps_rotating_again_ends_rotated() {
    for (way, step) in [
        ("fail", "createSecret"),
        ("fail", "setSecret"),
        ("crash", "testSecret"),
        ("crash", "finishSecret"),
    ] {
        let stage = Stage::new().await;
        let function = stage.function("rotation", "").await;
        let secret = stage.secret("bank/one").await;
        let rotate = stage.secrets.rotate_secret().secret_id(&secret);
        let first = rotate
            .rotation_lambda_arn(&function)
            .rotation_rules(every(90))
            .send()
            .await
            .unwrap();
        stage.lab.settle().await;
        stage.set_mode("rotation", &format!("{way}:{step}")).await;
        let second = stage
            .secrets
            .rotate_secret()
            .secret_id(&secret)
            .send()
            .await
            .unwrap();
        stage.lab.settle().await;
        assert_eq!(
            stage.staged(&secret, "AWSCURRENT").await,
            first.version_id,
            "{way} {step}"
        );
        assert_eq!(
            stage.staged(&secret, "AWSPENDING").await,
            second.version_id,
            "{way} {step}"
        );
        stage.set_mode("rotation", "").await;
        let again = stage
            .secrets
            .rotate_secret()
            .secret_id(&secret)
            .send()
            .await;
        let error = again.unwrap_err().into_service_error();
        assert_eq!(error.code(), Some("InvalidRequestException"));
        assert!(
            error
                .message()
                .unwrap()
                .starts_with("A previous rotation isn't complete.")
        );
        stage.lab.settle().await;
        assert_eq!(
            stage.staged(&secret, "AWSCURRENT").await,
            second.version_id,
            "{way} {step}"
        );
        assert_eq!(
            stage.staged(&secret, "AWSPREVIOUS").await,
            first.version_id,
            "{way} {step}"
        );
    }
}

#[tokio::test]
async fn without_immediate_rotation_only_the_test_step_runs() {
    let stage = Stage::new().await;
    let function = stage.function("rotation", "dry").await;
    stage
        .secrets
        .create_secret()
        .name("bank/one")
        .secret_string("first")
        .send()
        .await
        .unwrap();
    let before = stage.stages("bank/one").await;
    stage
        .secrets
        .rotate_secret()
        .secret_id("bank/one")
        .rotation_lambda_arn(&function)
        .rotation_rules(every(30))
        .rotate_immediately(false)
        .send()
        .await
        .unwrap();
    stage.lab.settle().await;
    assert_eq!(stage.stages("bank/one").await, before);
}

#[tokio::test]
async fn rotation_is_refused_as_aws_refuses_it() {
    let stage = Stage::new().await;
    let secret = stage.secret("bank/one").await;
    let function = stage.function("rotation", "").await;
    let missing = format!("{function}-missing");
    let closed = stage.function("closed", "").await;
    stage
        .lambda
        .remove_permission()
        .function_name("closed")
        .statement_id("rotation")
        .send()
        .await
        .unwrap();
    let both = aws_sdk_secretsmanager::types::RotationRulesType::builder()
        .automatically_after_days(3)
        .schedule_expression("rate(3 days)")
        .build();
    let cron = aws_sdk_secretsmanager::types::RotationRulesType::builder()
        .schedule_expression("cron(5 8 1 * ? *)")
        .build();
    let cases = [
        (None, Some(every(90)), "InvalidRequestException"),
        (Some(&function), None, "InvalidParameterException"),
        (Some(&missing), Some(every(90)), "ResourceNotFoundException"),
        (Some(&closed), Some(every(90)), "AccessDeniedException"),
        (Some(&function), Some(both), "InvalidParameterException"),
        (Some(&function), Some(cron), "InvalidParameterException"),
        (Some(&function), Some(every(1001)), "ValidationException"),
    ];
    for (at, (function, rules, code)) in cases.into_iter().enumerate() {
        let refused = stage
            .secrets
            .rotate_secret()
            .secret_id(&secret)
            .set_rotation_lambda_arn(function.cloned())
            .set_rotation_rules(rules)
            .send()
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Some(code), "case {at}");
    }
    assert_eq!(stage.stages(&secret).await, []);
}
