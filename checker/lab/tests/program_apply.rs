//! Applying programs to the embedded AWS, and refusing to apply them anywhere else.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::path::{Path, PathBuf};

use aws_types::SdkConfig;
use checker_lab::program::{Applied, ApplyError, ApplyOptions, Program, apply};
use checker_lab::{Lab, LabOptions};

const RESOURCES: &str = "tests/data/program/resources.yaml";

fn options(lab: &Lab) -> ApplyOptions {
    ApplyOptions {
        account: lab.account().to_owned(),
        stand_in: Some(PathBuf::from("/usr/bin/true")),
    }
}

fn program(text: &str) -> (tempfile::TempDir, Program) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Pulumi.yaml"), text).unwrap();
    std::fs::write(
        folder.path().join("Pulumi.test.yaml"),
        "config: {aws:defaultTags: {tags: {tenant_id: totara-bank, environment: test}}}\n",
    )
    .unwrap();
    let loaded = Program::load(folder.path(), "test").unwrap_or_else(|errors| panic!("{errors}"));
    (folder, loaded)
}

async fn applied(lab: &Lab, text: &str) -> Applied {
    let (_folder, program) = program(text);
    apply(&program, &lab.sdk_config(), &options(lab))
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

/// The error of a program that can't be applied, as `line:column: message`.
async fn refused(lab: &Lab, text: &str, options: &ApplyOptions) -> (String, Option<String>) {
    let (_folder, program) = program(text);
    match apply(&program, &lab.sdk_config(), options).await {
        Err(ApplyError::Program(errors)) => {
            let error = &errors.errors()[0];
            (
                format!("{}:{}: {}", error.line, error.column, error.message),
                error.help.clone(),
            )
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn only_loopback_endpoints_are_accepted() {
    let (_folder, program) = program("name: a\nruntime: yaml\n");
    let options = ApplyOptions::default();
    for endpoint in [
        "https://secretsmanager.eu-west-1.amazonaws.com",
        "http://10.0.0.1:4566",
        "http://127.0.0.1@example.com:80",
        "http://localhost.example.com",
        "http://0.0.0.0:1",
        "http://[::ffff:10.0.0.1]:1",
        "not an address",
    ] {
        let config = SdkConfig::builder().endpoint_url(endpoint).build();
        let error = apply(&program, &config, &options).await.unwrap_err();
        assert!(
            matches!(error, ApplyError::NotLoopback(_)),
            "{endpoint}: {error}"
        );
        assert!(error.to_string().contains("pulumi up"), "{error}");
    }
    let error = apply(&program, &SdkConfig::builder().build(), &options)
        .await
        .unwrap_err();
    assert!(matches!(error, ApplyError::NoEndpoint), "{error}");
    for endpoint in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1"] {
        let config = SdkConfig::builder().endpoint_url(endpoint).build();
        apply(&program, &config, &options).await.unwrap();
    }
}

#[tokio::test]
async fn the_programs_of_this_repository_apply_in_every_stage() {
    for stage in ["dev", "prod"] {
        let lab = Lab::start(LabOptions::default()).await.unwrap();
        let mut names = Vec::new();
        for folder in [
            "../../infra-pulumi-yaml/prerequisites",
            "../../infra-pulumi-yaml",
        ] {
            let program =
                Program::load(Path::new(folder), stage).unwrap_or_else(|errors| panic!("{errors}"));
            let applied = apply(&program, &lab.sdk_config(), &options(&lab))
                .await
                .unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(applied.resources.len(), program.resources().len());
            names.extend(applied.resources.into_iter().map(|resource| resource.name));
        }
        assert!(
            names.contains(&"sanctionsKeyRotation".to_owned()),
            "{names:?}"
        );
    }
}

#[tokio::test]
async fn resources_get_what_the_provider_computes() {
    let lab = Lab::start(LabOptions::default()).await.unwrap();
    let text = std::fs::read_to_string(RESOURCES).unwrap();
    let applied = applied(&lab, &text).await;
    let account = lab.account();
    let region = lab.region();
    let outputs = |name: &str| applied.outputs[name].as_str().unwrap().to_owned();
    for (name, wanted) in [
        ("role", format!("arn:aws:iam::{account}:role/service/role")),
        ("policy", format!("arn:aws:iam::{account}:policy/policy")),
        ("alias", format!("arn:aws:kms:{region}:{account}:alias/own")),
        (
            "function",
            format!("arn:aws:lambda:{region}:{account}:function:stood-in"),
        ),
        (
            "parameter",
            format!("arn:aws:ssm:{region}:{account}:parameter/a/b"),
        ),
        (
            "group",
            format!("arn:aws:logs:{region}:{account}:log-group:/a/b"),
        ),
        (
            "rule",
            format!("arn:aws:events:{region}:{account}:rule/rule"),
        ),
        ("topic", format!("arn:aws:sns:{region}:{account}:topic")),
        ("queue", format!("arn:aws:sqs:{region}:{account}:queue")),
        (
            "trail",
            format!("arn:aws:cloudtrail:{region}:{account}:trail/trail"),
        ),
        ("bucket", "arn:aws:s3:::bucket-of-trails".to_owned()),
        ("tag", "totara-bank".to_owned()),
        ("overridden", "own".to_owned()),
        ("account", account.to_owned()),
        ("region", region.to_owned()),
        ("found", "x".to_owned()),
    ] {
        assert_eq!(outputs(name), wanted, "{name}");
    }
    assert_eq!(outputs("secure"), "[secret]");
    let stored: Vec<&str> = applied
        .resources
        .iter()
        .filter(|resource| resource.stored_only)
        .map(|resource| resource.name.as_str())
        .collect();
    assert_eq!(stored, ["bucket", "bucketPolicy", "alarm"]);
    let stood_in: Vec<(&str, &str)> = applied
        .stood_in
        .iter()
        .map(|found| (found.function.as_str(), found.archive.as_str()))
        .collect();
    assert_eq!(stood_in, [("stood-in", "./dist/rotation.zip")]);
    let topic = applied
        .resources
        .iter()
        .find(|found| found.name == "topic")
        .unwrap();
    assert_eq!(topic.position.line, 150);
    assert_eq!(topic.tags.as_ref().unwrap()["environment"], "test");
    let described = aws_sdk_cloudwatchlogs::Client::new(&lab.sdk_config())
        .describe_log_groups()
        .send()
        .await
        .unwrap();
    let group = &described.log_groups()[0];
    assert_eq!(group.retention_in_days(), Some(3653));
    assert_eq!(group.deletion_protection_enabled(), Some(true));
}

#[tokio::test]
async fn the_same_program_makes_the_same_resources() {
    let text = std::fs::read_to_string(RESOURCES).unwrap();
    let first = Lab::start(LabOptions::default()).await.unwrap();
    let second = Lab::start(LabOptions::default()).await.unwrap();
    let names = |applied: &Applied| -> Vec<(String, String)> {
        applied
            .resources
            .iter()
            .filter(|resource| {
                resource.kind != "aws:sqs/queue:Queue"
                    && resource.kind != "aws:sqs/queuePolicy:QueuePolicy"
            })
            .map(|resource| (resource.name.clone(), resource.id.clone()))
            .collect()
    };
    let (first, second) = (applied(&first, &text).await, applied(&second, &text).await);
    let (one, other) = (names(&first), names(&second));
    // From the first rotation on, a function's process draws identifiers beside the program, in any order.
    let still_alone = |(name, _): &&(String, String)| name != "rotation";
    let before = |all: &[(String, String)]| -> Vec<(String, String)> {
        all.iter().take_while(still_alone).cloned().collect()
    };
    assert!(before(&one).len() > 5 && before(&one).len() < one.len());
    assert_eq!(before(&one), before(&other));
    let kinds = |applied: &Applied| -> Vec<(String, String)> {
        applied
            .resources
            .iter()
            .map(|resource| (resource.name.clone(), resource.kind.clone()))
            .collect()
    };
    assert_eq!(kinds(&first), kinds(&second));
}

#[tokio::test]
async fn what_the_target_refuses_is_said_at_the_resource() {
    let lab = Lab::start(LabOptions::default()).await.unwrap();
    let text = "name: a\nruntime: yaml\nresources:\n  alias:\n    type: aws:kms:Alias\n    properties:\n      name: alias/a\n      targetKeyId: nothing\n";
    let (error, _) = refused(&lab, text, &options(&lab)).await;
    assert!(
        error.starts_with("4:3: `alias`: `kms:CreateAlias` was refused: "),
        "{error}"
    );
}

#[tokio::test]
async fn a_missing_archive_without_a_stand_in_is_said_at_its_property() {
    let lab = Lab::start(LabOptions::default()).await.unwrap();
    let text = "name: a\nruntime: yaml\nresources:\n  f:\n    type: aws:lambda:Function\n    properties:\n      role: r\n      code: {fn::fileArchive: ./dist/rotation.zip}\n";
    let without = ApplyOptions {
        stand_in: None,
        ..options(&lab)
    };
    let (error, help) = refused(&lab, text, &without).await;
    assert_eq!(
        error,
        "8:7: `f`: `code`: the archive `./dist/rotation.zip` isn't there"
    );
    assert!(help.unwrap().contains("build the function `rotation`"));
}

#[tokio::test]
async fn what_cannot_be_applied_is_said_at_its_place() {
    let lab = Lab::start(LabOptions::default()).await.unwrap();
    for (properties, wanted) in [
        (
            "  k:\n    type: aws:kms:Key\n    properties:\n      description: d\n      customKeyStoreId: s\n",
            "8:7: `k`: `customKeyStoreId`: this property isn't applied here",
        ),
        (
            "  p:\n    type: pulumi:providers:aws\n    properties: {assumeRoles: [{roleArn: r}]}\n",
            "6:18: `p`: `assumeRoles`: this property isn't applied here",
        ),
        (
            "  k:\n    type: aws:kms:Key\n    get: {id: x}\n",
            "6:15: `k`: `kms:DescribeKey` was refused: NotFoundException",
        ),
        (
            "  q:\n    type: aws:sqs:Queue\n    get: {id: x}\n",
            "6:15: `q`: a resource of type `aws:sqs:Queue` can't be read here",
        ),
        (
            "  k:\n    type: aws:kms:Alias\n    properties:\n      name: alias/x\n      targetKeyId: ${a}\nvariables:\n  a: {fn::invoke: {function: aws:kms:getAlias, arguments: {name: alias/none}, return: targetKeyArn}}\n",
            "10:6: `aws:kms:getAlias`: `kms:DescribeKey` was refused: NotFoundException",
        ),
    ] {
        let text = format!("name: a\nruntime: yaml\nresources:\n{properties}");
        let (error, _) = refused(&lab, &text, &options(&lab)).await;
        assert!(error.starts_with(wanted), "{error}");
    }
}

#[tokio::test]
async fn a_provider_of_its_own_brings_its_own_tags_and_region() {
    let lab = Lab::start(LabOptions::default()).await.unwrap();
    let text = "name: a\nruntime: yaml\nresources:\n  own:\n    type: pulumi:providers:aws\n    properties:\n      region: eu-west-1\n      defaultTags: {tags: {owner: other}}\n  topic:\n    type: aws:sns:Topic\n    properties: {name: there}\n    options: {provider: \"${alias}\"}\n  child:\n    type: aws:sns:Topic\n    properties: {name: below}\n    options: {parent: \"${topic}\"}\n  default:\n    type: aws:sns:Topic\n    properties: {name: here}\nvariables:\n  alias: ${own}\n";
    let applied = applied(&lab, text).await;
    let topic = applied
        .resources
        .iter()
        .find(|found| found.name == "topic")
        .unwrap();
    assert!(
        topic.id.starts_with("arn:aws:sns:eu-west-1:"),
        "{}",
        topic.id
    );
    for (name, region) in [("child", "eu-west-1"), ("default", lab.region())] {
        let found = applied
            .resources
            .iter()
            .find(|found| found.name == name)
            .unwrap();
        assert!(
            found.id.starts_with(&format!("arn:aws:sns:{region}:")),
            "{}",
            found.id
        );
    }
    let tags: Vec<_> = topic.tags.clone().unwrap().into_iter().collect();
    assert_eq!(tags, [("owner".to_owned(), "other".to_owned())]);
}

#[tokio::test]
async fn an_account_that_the_settings_forbid_is_refused() {
    let lab = Lab::start(LabOptions::default()).await.unwrap();
    let text =
        "name: a\nruntime: yaml\nconfig:\n  aws:allowedAccountIds: {value: [\"111122223333\"]}\n";
    let (error, _) = refused(&lab, text, &options(&lab)).await;
    assert_eq!(
        error,
        format!(
            "1:1: the provider's settings don't allow the account `{}`",
            lab.account()
        )
    );
}

#[tokio::test]
async fn what_exists_is_read_and_is_no_resource_of_the_program() {
    let lab = Lab::start(LabOptions::default()).await.unwrap();
    applied(
        &lab,
        "name: a\nruntime: yaml\nresources:\n  key: {type: aws:kms:Key}\n  named: {type: aws:kms:Alias, properties: {name: alias/mine, targetKeyId: \"${key.keyId}\"}}\n  topic: {type: aws:sns:Topic, properties: {name: alerts}}\n",
    )
    .await;
    let text = "name: b\nruntime: yaml\nresources:\n  key:\n    type: aws:kms:Key\n    get: {id: alias/mine}\n  topic:\n    type: aws:sns:Topic\n    get:\n      id: arn:aws:sns:${region}:${account}:alerts\n  held:\n    type: aws:secretsmanager:Secret\n    properties: {name: x, kmsKeyId: \"${key.arn}\"}\nvariables:\n  account: {fn::invoke: {function: aws:getCallerIdentity, return: accountId}}\n  region: {fn::invoke: {function: aws:getRegion, return: region}}\noutputs:\n  topic: ${topic.arn}\n";
    let found = applied(&lab, text).await;
    assert_eq!(found.resources.len(), 1, "{:?}", found.resources);
    assert!(
        found.resources[0].inputs["kmsKeyId"]
            .as_str()
            .unwrap()
            .contains(":key/")
    );
    assert!(
        found.outputs["topic"]
            .as_str()
            .unwrap()
            .ends_with(":alerts")
    );
}

#[tokio::test]
async fn an_encrypted_setting_leaves_open_what_rests_on_it() {
    let lab = Lab::start(LabOptions::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = "name: a\nruntime: yaml\nconfig:\n  password: {type: string, secret: true}\nresources:\n  secret: {type: aws:secretsmanager:Secret, properties: {name: bank-x, description: plain}}\n  version:\n    type: aws:secretsmanager:SecretVersion\n    properties:\n      secretId: ${secret.id}\n      secretString: ${password}\n  topic: {type: aws:sns:Topic, properties: {name: \"t-${password}\"}}\n";
    std::fs::write(folder.path().join("Pulumi.yaml"), text).unwrap();
    std::fs::write(
        folder.path().join("Pulumi.test.yaml"),
        "config:\n  a:password: {secure: AAABBB}\n",
    )
    .unwrap();
    let program = Program::load(folder.path(), "test").unwrap_or_else(|errors| panic!("{errors}"));
    let applied = apply(&program, &lab.sdk_config(), &options(&lab))
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let open: Vec<String> = applied
        .gaps
        .iter()
        .map(|gap| format!("{}.{}", gap.name, gap.property.clone().unwrap()))
        .collect();
    assert_eq!(open, ["version.secretString", "topic.name"]);
    let secret = applied.gaps[0].subject.clone().unwrap();
    assert!(secret.contains(":secret:bank-x-"), "{secret}");
    assert_eq!(applied.resources[1].inputs["secretString"], "[secret]");
}

#[tokio::test]
async fn a_policy_document_is_written_as_json() {
    let lab = Lab::start(LabOptions::default()).await.unwrap();
    let text = "name: a\nruntime: yaml\nvariables:\n  document:\n    fn::invoke:\n      function: aws:iam:getPolicyDocument\n      arguments:\n        statements:\n          - sid: Read\n            actions: [s3:GetObject, s3:ListBucket]\n            resources: [\"*\"]\n            conditions:\n              - {test: StringEquals, variable: aws:a, values: [x]}\n          - effect: Deny\n            principals:\n              - {type: AWS, identifiers: [\"1\"]}\n              - {type: Service, identifiers: [b.amazonaws.com]}\n            actions: [\"*\"]\n      return: json\noutputs:\n  document: ${document}\n";
    let found = applied(&lab, text).await;
    assert_eq!(
        found.outputs["document"],
        r#"{"Statement":[{"Action":["s3:GetObject","s3:ListBucket"],"Condition":{"StringEquals":{"aws:a":"x"}},"Effect":"Allow","Resource":"*","Sid":"Read"},{"Action":"*","Effect":"Deny","Principal":{"AWS":"1","Service":"b.amazonaws.com"}}],"Version":"2012-10-17"}"#
    );
}

#[tokio::test]
async fn roles_keep_exactly_the_policies_that_exclusive_resources_name() {
    let lab = Lab::start(LabOptions::default()).await.unwrap();
    let policy =
        r#"{Version: "2012-10-17", Statement: [{Effect: Allow, Action: "s3:*", Resource: "*"}]}"#;
    let text = format!(
        "name: a\nruntime: yaml\nresources:\n  role: {{type: aws:iam:Role, properties: {{name: r, assumeRolePolicy: {{fn::toJSON: {{Version: \"2012-10-17\", Statement: [{{Effect: Allow, Principal: {{Service: lambda.amazonaws.com}}, Action: sts:AssumeRole}}]}}}}}}}}\n  kept: {{type: aws:iam:RolePolicy, properties: {{role: \"${{role.name}}\", name: kept, policy: {{fn::toJSON: {policy}}}}}}}\n  gone: {{type: aws:iam:RolePolicy, properties: {{role: \"${{role.name}}\", name: gone, policy: {{fn::toJSON: {policy}}}}}}}\n  only:\n    type: aws:iam:RolePoliciesExclusive\n    properties: {{roleName: \"${{role.name}}\", policyNames: [\"${{kept.name}}\"]}}\n    options: {{dependsOn: [\"${{gone}}\"]}}\n"
    );
    applied(&lab, &text).await;
    let client = aws_sdk_iam::Client::new(&lab.sdk_config());
    let left = client
        .list_role_policies()
        .role_name("r")
        .send()
        .await
        .unwrap();
    assert_eq!(left.policy_names(), ["kept"]);
}
