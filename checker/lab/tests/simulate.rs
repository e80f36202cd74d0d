//! The policy simulator through the real SDK client.
#![expect(clippy::unwrap_used, reason = "tests")]

use aws_sdk_iam::Client;
use aws_sdk_iam::types::{
    ContextEntry, ContextKeyTypeEnum, PolicyEvaluationDecisionType as Decision,
};
use checker_lab::{Lab, LabOptions};

const SECRET: &str = "arn:aws:secretsmanager:ap-southeast-2:647751526084:secret:bank-x-AbCdEf";

fn statement(effect: &str, action: &str, rest: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Action":"{action}",{rest}}}]}}"#
    )
}

struct Case<'a> {
    policies: &'a [String],
    boundary: Option<String>,
    resource_policy: Option<String>,
    context: Option<(&'a str, &'a str)>,
    expected: Decision,
}

async fn check(client: &Client, case: Case<'_>) {
    let context = case.context.map(|(key, value)| {
        let entry = ContextEntry::builder()
            .context_key_name(key)
            .context_key_values(value);
        vec![entry.context_key_type(ContextKeyTypeEnum::String).build()]
    });
    let answer = client
        .simulate_custom_policy()
        .set_policy_input_list(Some(case.policies.to_vec()))
        .set_permissions_boundary_policy_input_list(case.boundary.clone().map(|text| vec![text]))
        .set_resource_policy(case.resource_policy.clone())
        .set_context_entries(context)
        .action_names("secretsmanager:GetSecretValue")
        .resource_arns(SECRET)
        .send()
        .await
        .unwrap();
    let decision = answer.evaluation_results().first().unwrap().eval_decision();
    assert_eq!(
        decision, &case.expected,
        "{:?} {:?}",
        case.policies, case.boundary
    );
}

#[tokio::test]
async fn custom_policies() {
    let lab = Lab::start(LabOptions::default()).await.unwrap();
    let client = Client::new(&lab.sdk_config());
    let allow = [statement(
        "Allow",
        "secretsmanager:get*",
        r#""Resource":"*""#,
    )];
    let tagged = [statement(
        "Allow",
        "secretsmanager:*",
        r#""Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"a"}}"#,
    )];
    let elsewhere = statement(
        "Deny",
        "*",
        r#""NotResource":"arn:aws:secretsmanager:*:*:secret:other-*""#,
    );
    let nothing = statement("Allow", "s3:*", r#""Resource":"*""#);
    let principal = r#""Principal":"*","Resource":"*""#;
    let base = |expected| Case {
        policies: &allow,
        boundary: None,
        resource_policy: None,
        context: None,
        expected,
    };
    check(&client, base(Decision::Allowed)).await;
    check(
        &client,
        Case {
            policies: &tagged,
            ..base(Decision::ImplicitDeny)
        },
    )
    .await;
    let team = |value| Some(("aws:PrincipalTag/team", value));
    check(
        &client,
        Case {
            policies: &tagged,
            context: team("a"),
            ..base(Decision::Allowed)
        },
    )
    .await;
    check(
        &client,
        Case {
            policies: &tagged,
            context: team("b"),
            ..base(Decision::ImplicitDeny)
        },
    )
    .await;
    let both = [allow.first().unwrap().clone(), elsewhere];
    check(
        &client,
        Case {
            policies: &both,
            ..base(Decision::ExplicitDeny)
        },
    )
    .await;
    check(
        &client,
        Case {
            boundary: Some(nothing),
            ..base(Decision::ImplicitDeny)
        },
    )
    .await;
    let deny = statement("Deny", "secretsmanager:*", principal);
    check(
        &client,
        Case {
            resource_policy: Some(deny),
            ..base(Decision::ExplicitDeny)
        },
    )
    .await;

    let malformed = client
        .simulate_custom_policy()
        .policy_input_list(r#"{"Statement":[]}"#)
        .action_names("secretsmanager:GetSecretValue");
    assert!(malformed.send().await.is_err());
}

#[tokio::test]
async fn the_policies_of_a_role() {
    let lab = Lab::start(LabOptions::default()).await.unwrap();
    let client = Client::new(&lab.sdk_config());
    let trust = r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
    let role = client
        .create_role()
        .role_name("r")
        .assume_role_policy_document(trust)
        .send()
        .await
        .unwrap();
    let arn = role.role().unwrap().arn().to_owned();
    let read = statement(
        "Allow",
        "secretsmanager:GetSecretValue",
        r#""Resource":"*""#,
    );
    client
        .put_role_policy()
        .role_name("r")
        .policy_name("read")
        .policy_document(read)
        .send()
        .await
        .unwrap();
    let simulate = || {
        let simulate = client.simulate_principal_policy().policy_source_arn(&arn);
        simulate
            .action_names("secretsmanager:GetSecretValue")
            .action_names("secretsmanager:DeleteSecret")
            .send()
    };
    let decisions = |answer: aws_sdk_iam::operation::simulate_principal_policy::SimulatePrincipalPolicyOutput| {
        answer.evaluation_results().iter().map(|row| row.eval_decision().clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        decisions(simulate().await.unwrap()),
        [Decision::Allowed, Decision::ImplicitDeny]
    );
    let narrow = statement("Allow", "s3:*", r#""Resource":"*""#);
    let boundary = client
        .create_policy()
        .policy_name("b")
        .policy_document(narrow)
        .send()
        .await
        .unwrap();
    let boundary = boundary.policy().unwrap().arn().unwrap().to_owned();
    client
        .put_role_permissions_boundary()
        .role_name("r")
        .permissions_boundary(boundary)
        .send()
        .await
        .unwrap();
    let bounded = simulate().await.unwrap();
    let detail = bounded
        .evaluation_results()
        .first()
        .unwrap()
        .permissions_boundary_decision_detail()
        .unwrap();
    assert!(!detail.allowed_by_permissions_boundary());
    assert_eq!(
        decisions(bounded),
        [Decision::ImplicitDeny, Decision::ImplicitDeny]
    );
}
