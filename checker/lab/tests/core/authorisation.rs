//! Calls with a role's credentials: the role's policies, boundaries, keys and records decide.

use aws_credential_types::Credentials;
use aws_sdk_secretsmanager::error::ProvideErrorMetadata as _;

use crate::stage::{Stage, every};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::647751526084:root"},"Action":"sts:AssumeRole"}]}"#;

/// A client with the credentials of a new role that has this policy.
async fn reader(stage: &Stage, name: &str, statements: &str) -> aws_sdk_secretsmanager::Client {
    let role = stage
        .iam
        .create_role()
        .role_name(name)
        .assume_role_policy_document(TRUST);
    let role = role.send().await.unwrap().role.unwrap();
    stage
        .iam
        .put_role_policy()
        .role_name(name)
        .policy_name("policy")
        .policy_document(format!(
            r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#
        ))
        .send()
        .await
        .unwrap();
    let sts = aws_sdk_sts::Client::new(&stage.lab.sdk_config());
    let assumed = sts
        .assume_role()
        .role_arn(role.arn)
        .role_session_name("session")
        .send()
        .await;
    let issued = assumed.unwrap().credentials.unwrap();
    let credentials = Credentials::new(
        issued.access_key_id,
        issued.secret_access_key,
        Some(issued.session_token),
        None,
        "test",
    );
    aws_sdk_secretsmanager::Client::new(&stage.lab.sdk_config_with(credentials))
}

async fn read(client: &aws_sdk_secretsmanager::Client, id: &str) -> Result<(), String> {
    match client.get_secret_value().secret_id(id).send().await {
        Ok(_) => Ok(()),
        Err(error) => {
            assert_eq!(error.code(), Some("AccessDeniedException"));
            Err(error.message().unwrap().to_owned())
        }
    }
}

async fn filled(stage: &Stage, name: &str, key: Option<&str>) -> String {
    let create = stage
        .secrets
        .create_secret()
        .name(name)
        .secret_string("value");
    let tag = aws_sdk_secretsmanager::types::Tag::builder()
        .key("team")
        .value("red")
        .build();
    let create = create.set_kms_key_id(key.map(str::to_owned)).tags(tag);
    create.send().await.unwrap().arn.unwrap()
}

#[tokio::test]
async fn a_role_reads_what_its_policy_names_and_nothing_else() {
    let stage = Stage::new().await;
    let one = filled(&stage, "bank/one", None).await;
    let two = filled(&stage, "bank/two", None).await;
    let client = reader(
        &stage,
        "reader",
        r#"{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"arn:aws:secretsmanager:*:*:secret:bank/one-??????","Condition":{"StringEquals":{"secretsmanager:ResourceTag/team":"red"}}}"#,
    )
    .await;
    assert_eq!(read(&client, "bank/one").await, Ok(()));
    assert_eq!(read(&client, &one).await, Ok(()));
    let refused = read(&client, "bank/two").await.unwrap_err();
    assert_eq!(
        refused,
        format!(
            "User: arn:aws:sts::647751526084:assumed-role/reader/session is not authorized to perform: secretsmanager:GetSecretValue on resource: {two} because no identity-based policy allows the secretsmanager:GetSecretValue action"
        )
    );
    stage
        .secrets
        .untag_resource()
        .secret_id(&one)
        .tag_keys("team")
        .send()
        .await
        .unwrap();
    read(&client, "bank/one").await.unwrap_err();
}

#[tokio::test]
async fn a_resource_policy_can_deny_and_allow() {
    let stage = Stage::new().await;
    let one = filled(&stage, "bank/one", None).await;
    let client = reader(
        &stage,
        "reader",
        r#"{"Effect":"Allow","Action":"secretsmanager:ListSecrets","Resource":"*"}"#,
    )
    .await;
    read(&client, &one).await.unwrap_err();
    for (effect, expected) in [("Allow", true), ("Deny", false)] {
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Principal":{{"AWS":"arn:aws:iam::647751526084:role/reader"}},"Action":"secretsmanager:GetSecretValue","Resource":"*"}}]}}"#
        );
        let put = stage
            .secrets
            .put_resource_policy()
            .secret_id(&one)
            .resource_policy(policy);
        put.send().await.unwrap();
        assert_eq!(read(&client, &one).await.is_ok(), expected, "{effect}");
    }
    let refused = read(&client, &one).await.unwrap_err();
    assert!(
        refused.ends_with("with an explicit deny in a resource-based policy"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_secret_under_a_key_needs_the_key() {
    let stage = Stage::new().await;
    let key = stage
        .kms
        .create_key()
        .send()
        .await
        .unwrap()
        .key_metadata
        .unwrap();
    filled(&stage, "bank/one", Some(&key.key_id)).await;
    let secrets = r#"{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*"}"#;
    let without = reader(&stage, "without", secrets).await;
    let refused = read(&without, "bank/one").await.unwrap_err();
    assert!(
        refused.contains("perform: kms:Decrypt on resource: arn:aws:kms:"),
        "{refused}"
    );
    let through = r#"{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"kms:ViaService":"secretsmanager.ap-southeast-2.amazonaws.com"}}}"#;
    let with = reader(&stage, "with", &format!("{secrets},{through}")).await;
    assert_eq!(read(&with, "bank/one").await, Ok(()));
}

#[tokio::test]
async fn a_boundary_narrows_and_a_batch_is_decided_one_by_one() {
    let stage = Stage::new().await;
    filled(&stage, "bank/one", None).await;
    filled(&stage, "bank/two", None).await;
    let client = reader(
        &stage,
        "reader",
        r#"{"Effect":"Allow","Action":["secretsmanager:GetSecretValue","secretsmanager:BatchGetSecretValue"],"Resource":"*"}"#,
    )
    .await;
    let boundary = stage
        .iam
        .create_policy()
        .policy_name("boundary")
        .policy_document(r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:BatchGetSecretValue","Resource":"*"},{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"arn:aws:secretsmanager:*:*:secret:bank/one-*"}]}"#)
        .send()
        .await
        .unwrap();
    let put = stage
        .iam
        .put_role_permissions_boundary()
        .role_name("reader");
    put.permissions_boundary(boundary.policy.unwrap().arn.unwrap())
        .send()
        .await
        .unwrap();
    let refused = read(&client, "bank/two").await.unwrap_err();
    assert!(
        refused.contains("because no permissions boundary allows"),
        "{refused}"
    );
    let batch = client
        .batch_get_secret_value()
        .secret_id_list("bank/one")
        .secret_id_list("bank/two");
    let batch = batch.send().await.unwrap();
    assert_eq!(batch.secret_values().len(), 1);
    assert_eq!(batch.errors().len(), 1);
}

#[tokio::test]
async fn a_function_without_a_permission_fails_its_rotation_and_leaves_the_record() {
    let stage = Stage::new().await;
    let function = stage.function("rotation", "").await;
    stage
        .iam
        .put_role_policy()
        .role_name("rotation")
        .policy_name("rotate")
        .policy_document(r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["secretsmanager:GetSecretValue","secretsmanager:GetRandomPassword"],"Resource":"*"}]}"#)
        .send()
        .await
        .unwrap();
    let secret = stage.secret("bank/one").await;
    let rotate = stage
        .secrets
        .rotate_secret()
        .secret_id(&secret)
        .rotation_lambda_arn(function);
    rotate.rotation_rules(every(90)).send().await.unwrap();
    stage.lab.settle().await;
    assert_eq!(stage.staged(&secret, "AWSCURRENT").await, None);
    let trail = aws_sdk_cloudtrail::Client::new(&stage.lab.sdk_config());
    let events = trail.lookup_events().send().await.unwrap();
    let names = |wanted: &str| {
        let texts = events
            .events()
            .iter()
            .filter_map(|event| event.cloud_trail_event());
        texts.filter(|text| text.contains(wanted)).count()
    };
    let denied = "is not authorized to perform: secretsmanager:PutSecretValue on resource: ";
    assert!(names(denied) > 0);
    assert_eq!(names(r#""eventName":"RotationStarted""#), 1);
    assert_eq!(names(r#""eventName":"RotationFailed""#), 1);
    assert_eq!(names(r#""eventName":"RotationSucceeded""#), 0);
}
