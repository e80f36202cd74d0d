//! IAM and STS through the real SDK clients.
#![expect(clippy::unwrap_used, clippy::too_many_lines, reason = "tests")]

use aws_credential_types::Credentials;
use aws_sdk_iam::Client;
use aws_sdk_iam::error::ProvideErrorMetadata;
use aws_sdk_iam::types::{EntityType, PolicyScopeType, Tag};
use checker_lab::{Lab, LabOptions};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const READ: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*"}]}"#;

async fn start() -> (Lab, Client) {
    let lab = Lab::start(LabOptions::default()).await.unwrap();
    let client = Client::new(&lab.sdk_config());
    (lab, client)
}

/// The code of a refusal; an accepted call is `accepted`.
fn code<T, E: ProvideErrorMetadata>(answer: Result<T, E>) -> String {
    match answer {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.code().unwrap_or("none").to_owned(),
    }
}

async fn policy(client: &Client, name: &str) -> String {
    let made = client
        .create_policy()
        .policy_name(name)
        .policy_document(READ)
        .send()
        .await
        .unwrap();
    made.policy().unwrap().arn().unwrap().to_owned()
}

async fn role(client: &Client, name: &str) -> String {
    let made = client
        .create_role()
        .role_name(name)
        .assume_role_policy_document(TRUST)
        .send()
        .await
        .unwrap();
    made.role().unwrap().arn().to_owned()
}

#[tokio::test]
async fn a_role_keeps_boundary_tags_and_policies() {
    let (lab, client) = start().await;
    let boundary = policy(&client, "boundary").await;
    let attached = policy(&client, "attached").await;
    let tag = Tag::builder()
        .key("tenant_id")
        .value("totara-bank")
        .build()
        .unwrap();
    client
        .create_role()
        .role_name("reader")
        .path("/apps/")
        .assume_role_policy_document(TRUST)
        .permissions_boundary(&boundary)
        .tags(tag)
        .send()
        .await
        .unwrap();
    client
        .attach_role_policy()
        .role_name("reader")
        .policy_arn(&attached)
        .send()
        .await
        .unwrap();
    client
        .put_role_policy()
        .role_name("reader")
        .policy_name("inline")
        .policy_document(READ)
        .send()
        .await
        .unwrap();

    let answer = client.get_role().role_name("reader").send().await.unwrap();
    let seen = answer.role().unwrap();
    assert_eq!(
        seen.arn(),
        format!("arn:aws:iam::{}:role/apps/reader", lab.account())
    );
    assert_eq!(
        seen.permissions_boundary()
            .unwrap()
            .permissions_boundary_arn(),
        Some(boundary.as_str())
    );
    assert_eq!(seen.tags().first().unwrap().value(), "totara-bank");
    assert!(
        seen.assume_role_policy_document()
            .unwrap()
            .starts_with("%7B%22Version%22")
    );

    let inline = client
        .get_role_policy()
        .role_name("reader")
        .policy_name("inline")
        .send()
        .await
        .unwrap();
    assert!(
        inline
            .policy_document()
            .contains("secretsmanager%3AGetSecretValue")
    );

    let details = client
        .get_account_authorization_details()
        .send()
        .await
        .unwrap();
    let role = details.role_detail_list().first().unwrap();
    assert_eq!(role.role_policy_list().len(), 1);
    assert_eq!(
        role.attached_managed_policies()
            .first()
            .unwrap()
            .policy_arn(),
        Some(attached.as_str())
    );
    assert_eq!(
        role.permissions_boundary()
            .unwrap()
            .permissions_boundary_arn(),
        Some(boundary.as_str())
    );
    assert_eq!(role.tags().len(), 1);
    assert_eq!(role.instance_profile_list().len(), 0);
    let named: Vec<_> = details
        .policies()
        .iter()
        .filter_map(|each| each.policy_name())
        .collect();
    assert_eq!(named, ["attached", "boundary"]);
    let bounded = details.policies().last().unwrap();
    assert_eq!(bounded.permissions_boundary_usage_count(), Some(1));
    assert!(
        bounded
            .policy_version_list()
            .first()
            .unwrap()
            .document()
            .unwrap()
            .starts_with("%7B")
    );

    let users = client
        .list_entities_for_policy()
        .policy_arn(&boundary)
        .send()
        .await
        .unwrap();
    assert!(users.policy_roles().is_empty());
}

#[tokio::test]
async fn the_details_come_in_pages() {
    let (_lab, client) = start().await;
    for number in 0..7 {
        role(&client, &format!("role-{number}")).await;
    }
    policy(&client, "only").await;
    let (mut roles, mut policies, mut pages, mut marker) = (Vec::new(), 0, 0, None);
    loop {
        let page = client
            .get_account_authorization_details()
            .filter(EntityType::Role)
            .filter(EntityType::LocalManagedPolicy)
            .max_items(3)
            .set_marker(marker)
            .send()
            .await
            .unwrap();
        pages += 1;
        roles.extend(
            page.role_detail_list()
                .iter()
                .map(|role| role.role_name().unwrap().to_owned()),
        );
        policies += page.policies().len();
        assert_eq!(page.is_truncated(), page.marker().is_some());
        marker = page.marker().map(str::to_owned);
        if marker.is_none() {
            break;
        }
    }
    assert_eq!((roles.len(), policies, pages), (7, 1, 3));
    let refused = client.list_roles().marker("elsewhere").send().await;
    assert_eq!(code(refused), "ValidationError");
}

#[tokio::test]
async fn policies_are_refused_like_on_aws() {
    let (lab, client) = start().await;
    let bad = client
        .create_policy()
        .policy_name("bad")
        .policy_document(r#"{"Statement":[]}"#)
        .send()
        .await;
    assert_eq!(code(bad), "MalformedPolicyDocument");
    let arn = policy(&client, "p").await;
    let twice = client
        .create_policy()
        .policy_name("P")
        .policy_document(READ)
        .send()
        .await;
    assert_eq!(code(twice), "EntityAlreadyExists");
    for _ in 0..4 {
        client
            .create_policy_version()
            .policy_arn(&arn)
            .policy_document(READ)
            .send()
            .await
            .unwrap();
    }
    let sixth = client
        .create_policy_version()
        .policy_arn(&arn)
        .policy_document(READ)
        .send()
        .await;
    assert_eq!(code(sixth), "LimitExceeded");
    assert_eq!(
        code(client.delete_policy().policy_arn(&arn).send().await),
        "DeleteConflict"
    );
    client
        .set_default_policy_version()
        .policy_arn(&arn)
        .version_id("v3")
        .send()
        .await
        .unwrap();
    let default = client
        .delete_policy_version()
        .policy_arn(&arn)
        .version_id("v3")
        .send()
        .await;
    assert_eq!(code(default), "DeleteConflict");
    client
        .delete_policy_version()
        .policy_arn(&arn)
        .version_id("v1")
        .send()
        .await
        .unwrap();
    let next = client
        .create_policy_version()
        .policy_arn(&arn)
        .policy_document(READ)
        .send()
        .await
        .unwrap();
    assert_eq!(next.policy_version().unwrap().version_id(), Some("v6"));

    role(&client, "r").await;
    let stranger = format!("arn:aws:iam::{}:policy/none", lab.account());
    assert_eq!(
        code(
            client
                .attach_role_policy()
                .role_name("r")
                .policy_arn(stranger)
                .send()
                .await
        ),
        "NoSuchEntity"
    );
    client
        .attach_role_policy()
        .role_name("r")
        .policy_arn(&arn)
        .send()
        .await
        .unwrap();
    assert_eq!(
        code(client.delete_role().role_name("r").send().await),
        "DeleteConflict"
    );
    let trust = format!(
        r#"{{"Statement":[{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{}:role/ghost"}},"Action":"sts:AssumeRole"}}]}}"#,
        lab.account()
    );
    let ghost = client
        .create_role()
        .role_name("g")
        .assume_role_policy_document(trust)
        .send()
        .await;
    assert_eq!(code(ghost), "MalformedPolicyDocument");
    assert_eq!(
        code(client.get_role().role_name("g").send().await),
        "NoSuchEntity"
    );
}

#[tokio::test]
async fn policies_of_aws_can_be_attached_and_not_changed() {
    let (_lab, client) = start().await;
    role(&client, "r").await;
    let basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";
    client
        .attach_role_policy()
        .role_name("r")
        .policy_arn(basic)
        .send()
        .await
        .unwrap();
    let attached = client
        .list_attached_role_policies()
        .role_name("r")
        .send()
        .await
        .unwrap();
    assert_eq!(
        attached.attached_policies().first().unwrap().policy_name(),
        Some("AWSLambdaBasicExecutionRole")
    );
    let version = client
        .get_policy_version()
        .policy_arn(basic)
        .version_id("v1")
        .send()
        .await
        .unwrap();
    assert!(
        version
            .policy_version()
            .unwrap()
            .document()
            .unwrap()
            .contains("logs%3APutLogEvents")
    );
    assert_eq!(
        code(client.delete_policy().policy_arn(basic).send().await),
        "NoSuchEntity"
    );
    let local = client
        .list_policies()
        .scope(PolicyScopeType::Local)
        .send()
        .await
        .unwrap();
    assert!(local.policies().is_empty());
}

#[tokio::test]
async fn a_session_is_the_roles() {
    let (lab, client) = start().await;
    let arn = role(&client, "worker").await;
    let sts = aws_sdk_sts::Client::new(&lab.sdk_config());
    let me = sts.get_caller_identity().send().await.unwrap();
    assert_eq!(me.account(), Some(lab.account()));
    let answer = sts
        .assume_role()
        .role_arn(&arn)
        .role_session_name("probe")
        .send()
        .await
        .unwrap();
    let keys = answer.credentials().unwrap();
    let expires = std::time::SystemTime::try_from(*keys.expiration()).unwrap();
    let credentials = Credentials::new(
        keys.access_key_id(),
        keys.secret_access_key(),
        Some(keys.session_token().to_owned()),
        Some(expires),
        "test",
    );
    let session = aws_sdk_sts::Client::new(&lab.sdk_config_with(credentials));
    let me = session.get_caller_identity().send().await.unwrap();
    assert_eq!(
        me.arn().unwrap(),
        format!("arn:aws:sts::{}:assumed-role/worker/probe", lab.account())
    );

    let ghost = format!("arn:aws:iam::{}:role/ghost", lab.account());
    assert_eq!(
        code(
            sts.assume_role()
                .role_arn(ghost)
                .role_session_name("xy")
                .send()
                .await
        ),
        "AccessDenied"
    );
    let long = sts
        .assume_role()
        .role_arn(&arn)
        .role_session_name("xy")
        .duration_seconds(7200)
        .send()
        .await;
    assert_eq!(code(long), "ValidationError");
}
