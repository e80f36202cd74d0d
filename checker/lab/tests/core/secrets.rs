//! Secrets Manager's own rules: versions, labels, lists, names, policies.

use aws_sdk_secretsmanager::error::ProvideErrorMetadata as _;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType, Tag};

use crate::stage::Stage;

#[tokio::test]
async fn a_version_cannot_be_changed_and_there_is_one_previous() {
    let stage = Stage::new().await;
    let secret = stage.secret("bank/one").await;
    let tokens = ["a", "b", "c"].map(|letter| letter.repeat(32));
    for token in &tokens {
        let put = stage.secrets.put_secret_value().secret_id(&secret);
        put.client_request_token(token)
            .secret_string(token)
            .send()
            .await
            .unwrap();
    }
    assert_eq!(
        stage.stages(&secret).await,
        [
            (tokens[1].clone(), vec!["AWSPREVIOUS".to_owned()]),
            (tokens[2].clone(), vec!["AWSCURRENT".to_owned()]),
        ]
    );
    let again = stage.secrets.put_secret_value().secret_id(&secret);
    again
        .client_request_token(&tokens[2])
        .secret_string(&tokens[2])
        .send()
        .await
        .unwrap();
    let other = stage.secrets.put_secret_value().secret_id(&secret);
    let refused = other
        .client_request_token(&tokens[2])
        .secret_string("other")
        .send()
        .await;
    assert!(
        refused
            .unwrap_err()
            .into_service_error()
            .is_resource_exists_exception()
    );
}

#[tokio::test]
async fn labels_move_only_from_where_they_are() {
    let stage = Stage::new().await;
    let secret = stage.secret("bank/one").await;
    let tokens = ["a", "b"].map(|letter| letter.repeat(32));
    for token in &tokens {
        let put = stage.secrets.put_secret_value().secret_id(&secret);
        put.client_request_token(token)
            .secret_string(token)
            .send()
            .await
            .unwrap();
    }
    let [first, second] = &tokens;
    let cases = [
        (
            "AWSCURRENT",
            Some(first),
            None,
            Some("InvalidParameterException"),
        ),
        (
            "AWSCURRENT",
            Some(first),
            Some(first),
            Some("InvalidParameterException"),
        ),
        (
            "AWSCURRENT",
            None,
            Some(second),
            Some("InvalidParameterException"),
        ),
        ("MINE", None, Some(first), Some("InvalidParameterException")),
        ("MINE", Some(first), None, None),
        ("AWSCURRENT", Some(first), Some(second), None),
    ];
    for (stage_name, to, from, expected) in cases {
        let moved = stage
            .secrets
            .update_secret_version_stage()
            .secret_id(&secret)
            .version_stage(stage_name)
            .set_move_to_version_id(to.cloned())
            .set_remove_from_version_id(from.cloned())
            .send()
            .await;
        let code = moved
            .as_ref()
            .err()
            .and_then(|error| error.code().map(str::to_owned));
        assert_eq!(
            code.as_deref(),
            expected,
            "{stage_name} to {to:?} from {from:?}"
        );
    }
    assert_eq!(
        stage.staged(&secret, "AWSCURRENT").await.as_ref(),
        Some(first)
    );
    assert_eq!(
        stage.staged(&secret, "AWSPREVIOUS").await.as_ref(),
        Some(second)
    );
}

#[tokio::test]
async fn a_secret_has_at_most_twenty_labels() {
    let stage = Stage::new().await;
    let secret = stage.secret("bank/one").await;
    let token = "a".repeat(32);
    let put = stage.secrets.put_secret_value().secret_id(&secret);
    put.client_request_token(&token)
        .secret_string("value")
        .send()
        .await
        .unwrap();
    for number in 1..20 {
        let label = stage
            .secrets
            .update_secret_version_stage()
            .secret_id(&secret);
        label
            .version_stage(format!("L{number}"))
            .move_to_version_id(&token)
            .send()
            .await
            .unwrap();
    }
    let label = stage
        .secrets
        .update_secret_version_stage()
        .secret_id(&secret);
    let refused = label
        .version_stage("L20")
        .move_to_version_id(&token)
        .send()
        .await;
    assert!(
        refused
            .unwrap_err()
            .into_service_error()
            .is_limit_exceeded_exception()
    );
    // AWSPREVIOUS would be the twenty-first.
    let put = stage.secrets.put_secret_value().secret_id(&secret);
    let refused = put.secret_string("other").send().await;
    assert!(
        refused
            .unwrap_err()
            .into_service_error()
            .is_limit_exceeded_exception()
    );
    assert_eq!(stage.staged(&secret, "AWSCURRENT").await, Some(token));
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let stage = Stage::new().await;
    for number in 0..7 {
        let tag = Tag::builder()
            .key("team")
            .value(if number < 3 { "red" } else { "blue" });
        let create = stage.secrets.create_secret().name(format!("bank/{number}"));
        create.tags(tag.build()).send().await.unwrap();
    }
    let mut pages = stage
        .secrets
        .list_secrets()
        .max_results(3)
        .into_paginator()
        .send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page.unwrap().secret_list().len());
    }
    assert_eq!(sizes, [3, 3, 1]);
    let cases = [
        (FilterNameStringType::Name, "bank/3", 1),
        (FilterNameStringType::Name, "!bank/3", 6),
        (FilterNameStringType::Name, "ank", 0),
        (FilterNameStringType::TagKey, "team", 7),
        (FilterNameStringType::TagValue, "red", 3),
        (FilterNameStringType::TagValue, "!red", 4),
        (FilterNameStringType::All, "blue", 4),
    ];
    for (key, value, expected) in cases {
        let filter = Filter::builder().key(key.clone()).values(value).build();
        let found = stage
            .secrets
            .list_secrets()
            .filters(filter)
            .send()
            .await
            .unwrap();
        assert_eq!(found.secret_list().len(), expected, "{key} {value}");
    }
}

#[tokio::test]
async fn a_secret_is_found_by_name_arn_and_partial_arn() {
    let stage = Stage::new().await;
    let arn = stage.secret("bank/one").await;
    let partial = arn.rsplit_once('-').unwrap().0;
    for id in ["bank/one", &arn, partial] {
        let described = stage
            .secrets
            .describe_secret()
            .secret_id(id)
            .send()
            .await
            .unwrap();
        assert_eq!(described.arn.as_ref(), Some(&arn));
    }
    let elsewhere = arn.replace("ap-southeast-2", "eu-west-1");
    for id in ["bank/on", &elsewhere, "bank/one-"] {
        let missing = stage.secrets.describe_secret().secret_id(id).send().await;
        assert!(
            missing
                .unwrap_err()
                .into_service_error()
                .is_resource_not_found_exception(),
            "{id}"
        );
    }
}

#[tokio::test]
async fn deletion_waits_and_can_be_taken_back() {
    let stage = Stage::new().await;
    let arn = stage.secret("bank/one").await;
    stage
        .secrets
        .delete_secret()
        .secret_id(&arn)
        .recovery_window_in_days(7)
        .send()
        .await
        .unwrap();
    let refused = stage
        .secrets
        .get_secret_value()
        .secret_id(&arn)
        .send()
        .await;
    assert!(
        refused
            .unwrap_err()
            .into_service_error()
            .is_invalid_request_exception()
    );
    assert!(
        stage
            .secrets
            .list_secrets()
            .send()
            .await
            .unwrap()
            .secret_list()
            .is_empty()
    );
    stage
        .secrets
        .restore_secret()
        .secret_id(&arn)
        .send()
        .await
        .unwrap();
    stage
        .secrets
        .delete_secret()
        .secret_id(&arn)
        .recovery_window_in_days(7)
        .send()
        .await
        .unwrap();
    stage
        .lab
        .clock()
        .advance(std::time::Duration::from_hours(8 * 24))
        .await;
    let gone = stage.secrets.describe_secret().secret_id(&arn).send().await;
    assert!(
        gone.unwrap_err()
            .into_service_error()
            .is_resource_not_found_exception()
    );
}

#[tokio::test]
async fn a_public_policy_is_refused() {
    let stage = Stage::new().await;
    let arn = stage.secret("bank/one").await;
    let statement = |principal: &str, condition: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{principal},"Action":"secretsmanager:GetSecretValue","Resource":"*"{condition}}}]}}"#
        )
    };
    let bound = r#","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}"#;
    let loose = r#","Condition":{"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}}"#;
    let cases = [
        (statement("\"*\"", ""), Some("PublicPolicyException")),
        (
            statement(r#"{"AWS":"*"}"#, loose),
            Some("PublicPolicyException"),
        ),
        (statement(r#"{"AWS":"*"}"#, bound), None),
        (
            statement(r#"{"AWS":"arn:aws:iam::111122223333:root"}"#, ""),
            None,
        ),
        ("{".to_owned(), Some("MalformedPolicyDocumentException")),
    ];
    for (policy, expected) in cases {
        let put = stage.secrets.put_resource_policy().secret_id(&arn);
        let put = put
            .block_public_policy(true)
            .resource_policy(&policy)
            .send()
            .await;
        let code = put
            .as_ref()
            .err()
            .and_then(|error| error.code().map(str::to_owned));
        assert_eq!(code.as_deref(), expected, "{policy}");
        let valid = stage
            .secrets
            .validate_resource_policy()
            .resource_policy(&policy)
            .send()
            .await;
        assert_eq!(
            valid.unwrap().policy_validation_passed,
            expected.is_none(),
            "{policy}"
        );
    }
}

#[tokio::test]
async fn a_replica_follows_its_primary_and_cannot_be_changed() {
    let stage = Stage::new().await;
    let arn = stage.secret("bank/one").await;
    let region = aws_sdk_secretsmanager::types::ReplicaRegionType::builder().region("eu-west-1");
    let replicate = stage.secrets.replicate_secret_to_regions().secret_id(&arn);
    replicate
        .add_replica_regions(region.build())
        .send()
        .await
        .unwrap();
    let put = stage
        .secrets
        .put_secret_value()
        .secret_id(&arn)
        .secret_string("value");
    put.send().await.unwrap();
    let elsewhere = aws_sdk_secretsmanager::config::Builder::from(&stage.lab.sdk_config())
        .region(aws_sdk_secretsmanager::config::Region::new("eu-west-1"))
        .build();
    let elsewhere = aws_sdk_secretsmanager::Client::from_conf(elsewhere);
    let read = elsewhere
        .get_secret_value()
        .secret_id("bank/one")
        .send()
        .await
        .unwrap();
    assert_eq!(read.secret_string.as_deref(), Some("value"));
    let refused = elsewhere
        .put_secret_value()
        .secret_id("bank/one")
        .secret_string("x")
        .send()
        .await;
    assert!(
        refused
            .unwrap_err()
            .into_service_error()
            .is_invalid_request_exception()
    );
}
