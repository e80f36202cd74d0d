//! Each signal: a case in which it holds, and the nearest one in which it does not.

use serde_json::{Value, json};

use crate::{ACCOUNT, ROTATION, SECRET, allowed_read, changed, enveloped, judged, rules};

fn check(changes: &[(&str, Value)], settings: &[(&str, &str)], expected: &[&str]) {
    let event = changed(changes);
    let (_, signals) = judged(&event, &rules(settings));
    assert_eq!(signals, expected, "{changes:?} with {settings:?}");
}

fn stranger() -> (&'static str, Value) {
    (
        "/userIdentity",
        json!({"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/u", "accountId": ACCOUNT}),
    )
}

#[test]
fn s1_strangers() {
    check(&[], &[], &[]);
    check(&[stranger()], &[], &["S1-principal"]);
    check(
        &[stranger(), ("/eventName", json!("ListSecrets"))],
        &[],
        &["S1-principal-metadata"],
    );
    check(
        &[stranger(), ("/eventName", json!("CallOfTomorrow"))],
        &[],
        &["S1-principal"],
    );
}

#[test]
fn s2_prefixes() {
    let narrow = format!("{ROTATION}=bank/dev/,{ROTATION}=bank/shared/");
    let narrow = [("ALLOWED_ROLE_PATTERNS", narrow.as_str())];
    let other = |name: &str| {
        json!(format!(
            "arn:aws:secretsmanager:eu-west-2:111122223333:secret:{name}-AbCdEf"
        ))
    };
    let outside = ["S2-outside-prefix"];
    check(&[], &narrow, &[]);
    check(
        &[("/requestParameters/secretId", json!("bank/shared/x"))],
        &narrow,
        &[],
    );
    check(
        &[("/requestParameters/secretId", other("bank/prod/api"))],
        &narrow,
        &outside,
    );
    check(
        &[("/requestParameters/secretId", json!("bank/prod/api"))],
        &narrow,
        &outside,
    );
    check(
        &[("/requestParameters/secretId", other("x-bank/dev/api"))],
        &narrow,
        &outside,
    );
    check(&[("/requestParameters", Value::Null)], &narrow, &outside);
    let foreign = json!("arn:aws:secretsmanager:eu-west-2:999999999999:secret:bank/dev/api-AbCdEf");
    check(
        &[("/requestParameters/secretId", foreign)],
        &narrow,
        &outside,
    );
    // Metadata does not need reach, changes do.
    let prod = ("/requestParameters/secretId", other("bank/prod/api"));
    check(
        &[prod.clone(), ("/eventName", json!("DescribeSecret"))],
        &narrow,
        &[],
    );
    check(
        &[prod, ("/eventName", json!("PutSecretValue"))],
        &narrow,
        &outside,
    );
    // A name that ends like an ARN's suffix.
    let exact = format!("{ROTATION}=bank/dev/my-secret");
    let mine = json!("arn:aws:secretsmanager:eu-west-2:111122223333:secret:bank/dev/my-secret");
    check(
        &[("/requestParameters/secretId", mine)],
        &[("ALLOWED_ROLE_PATTERNS", &exact)],
        &[],
    );
    // Batch: each named secret, or a name filter that stays inside.
    let batch = |parameters: Value| {
        [
            ("/eventName", json!("BatchGetSecretValue")),
            ("/requestParameters", parameters),
        ]
    };
    check(
        &batch(json!({"secretIdList": [SECRET, "bank/shared/x"]})),
        &narrow,
        &[],
    );
    check(
        &batch(json!({"secretIdList": [SECRET, "bank/prod/x"]})),
        &narrow,
        &outside,
    );
    check(
        &batch(json!({"filters": [{"key": "name", "values": ["bank/dev/a"]}]})),
        &narrow,
        &[],
    );
    check(
        &batch(json!({"filters": [{"key": "name", "values": ["bank/"]}]})),
        &narrow,
        &outside,
    );
    check(
        &batch(json!({"filters": [{"key": "tag-key", "values": ["team"]}]})),
        &narrow,
        &outside,
    );
}

#[test]
fn s3_refused_reads() {
    let denied = ("/errorCode", json!("AccessDenied"));
    check(std::slice::from_ref(&denied), &[], &["S3-denied"]);
    check(
        &[denied.clone(), ("/requestParameters", Value::Null)],
        &[],
        &["S3-denied"],
    );
    check(&[denied, ("/eventName", json!("DescribeSecret"))], &[], &[]);
    check(
        &[("/errorCode", json!("ResourceNotFoundException"))],
        &[],
        &[],
    );
}

#[test]
fn s4_batches() {
    let batch = |parameters: Value| {
        [
            ("/eventName", json!("BatchGetSecretValue")),
            ("/requestParameters", parameters),
        ]
    };
    for all in [
        json!({}),
        json!({"filters": []}),
        json!({"filters": [{"key": "all", "values": ["bank"]}]}),
        json!({"filters": [{"key": "name", "values": ["!nothing"]}]}),
        json!({"filters": [{"key": "name", "values": [""]}]}),
        json!({"filters": [{"key": "name"}]}),
        json!({"filters": [{"values": ["x"]}]}),
    ] {
        check(&batch(all), &[], &["S4-batch"]);
    }
    check(
        &batch(json!({"filters": [{"key": "name", "values": ["bank/dev/"]}]})),
        &[],
        &[],
    );
    check(&batch(json!({"secretIdList": [SECRET]})), &[], &[]);
    let [name, list] = batch(json!({"secretIdList": [SECRET]}));
    check(
        &[name, list, stranger()],
        &[],
        &["S1-principal", "S4-batch"],
    );
}

#[test]
fn s5_accounts_s6_regions_s7_console_s8_endpoints() {
    check(
        &[("/recipientAccountId", json!("999999999999"))],
        &[],
        &["S5-cross-account"],
    );
    check(&[("/recipientAccountId", Value::Null)], &[], &[]);

    let regions = [("ALLOWED_REGIONS", "eu-central-1, eu-west-2")];
    check(&[], &regions, &[]);
    check(
        &[("/awsRegion", json!("us-east-1"))],
        &regions,
        &["S6-region"],
    );
    check(&[("/awsRegion", json!("us-east-1"))], &[], &[]);
    check(&[("/awsRegion", Value::Null)], &regions, &["S6-region"]);

    check(
        &[("/sessionCredentialFromConsole", json!("true"))],
        &[],
        &["S7-console"],
    );
    check(
        &[("/sessionCredentialFromConsole", json!(true))],
        &[],
        &["S7-console"],
    );
    check(
        &[("/sessionCredentialFromConsole", json!("false"))],
        &[],
        &[],
    );
    check(
        &[("/userAgent", json!("Mozilla/5.0 (X11)"))],
        &[],
        &["S7-console"],
    );

    let any = [("REQUIRE_VPC_ENDPOINT", "true")];
    let one = [("REQUIRE_VPC_ENDPOINT", "vpce-1,vpce-2")];
    check(&[], &any, &["S8-no-endpoint"]);
    check(&[("/vpcEndpointId", json!("vpce-9"))], &any, &[]);
    check(
        &[("/vpcEndpointId", json!("vpce-9"))],
        &one,
        &["S8-no-endpoint"],
    );
    check(&[("/vpcEndpointId", json!("vpce-2"))], &one, &[]);
    check(
        &[("/userIdentity/invokedBy", json!("ecs-tasks.amazonaws.com"))],
        &any,
        &[],
    );
    check(&[("/eventName", json!("DescribeSecret"))], &any, &[]);
}

#[test]
fn s9_tampering_by_an_allowed_role() {
    for (name, parameters, tampers) in [
        (
            "PutResourcePolicy",
            json!({"secretId": SECRET, "resourcePolicy": "{\"Statement\":[]}"}),
            true,
        ),
        (
            "DeleteSecret",
            json!({"secretId": SECRET, "forceDeleteWithoutRecovery": true}),
            true,
        ),
        (
            "DeleteSecret",
            json!({"secretId": SECRET, "recoveryWindowInDays": 30}),
            false,
        ),
        ("CancelRotateSecret", json!({"secretId": SECRET}), true),
        (
            "UpdateSecret",
            json!({"secretId": SECRET, "kmsKeyId": "alias/other"}),
            true,
        ),
        (
            "UpdateSecret",
            json!({"secretId": SECRET, "description": "d"}),
            false,
        ),
        (
            "ReplicateSecretToRegions",
            json!({"secretId": SECRET}),
            true,
        ),
        (
            "AssociateCrossAccountReplica",
            json!({"secretId": SECRET}),
            true,
        ),
        (
            "UpdateSecretVersionStage",
            json!({"secretId": SECRET}),
            false,
        ),
        ("PutSecretValue", json!({"secretId": SECRET}), false),
    ] {
        let expected: &[&str] = if tampers { &["S9-tampering"] } else { &[] };
        check(
            &[
                ("/eventName", json!(name)),
                ("/requestParameters", parameters),
            ],
            &[],
            expected,
        );
    }
    let stage = [("/eventName", json!("UpdateSecretVersionStage"))];
    check(&stage, &[("ROTATION_ROLE_ARN", ROTATION)], &[]);
    check(
        &stage,
        &[("ROTATION_ROLE_ARN", "arn:aws:iam::111122223333:role/other")],
        &["S9-tampering"],
    );
    let rule = |name: &str| {
        [
            ("/eventSource", json!("events.amazonaws.com")),
            ("/eventName", json!(name)),
        ]
    };
    check(&rule("DisableRule"), &[], &["S9-plumbing"]);
    check(&rule("DescribeRule"), &[], &[]);
}

#[test]
fn s10_borrowed_credentials() {
    let scope =
        |account: &str| json!({"issuerType": "AWS::Lambda::Function", "sourceAccount": account});
    let agent = |environment: &str| {
        (
            "/userAgent",
            json!(format!("aws-sdk/1 exec-env/{environment} x/1")),
        )
    };
    let borrowed = ["S10-borrowed-credentials"];
    let at_home = ("/userIdentity/inScopeOf", scope(ACCOUNT));
    check(
        &[at_home.clone(), agent("AWS_Lambda_provided.al2023")],
        &[],
        &[],
    );
    check(&[at_home, agent("CloudShell")], &[], &borrowed);
    check(
        &[("/userIdentity/inScopeOf", scope("999999999999"))],
        &[],
        &borrowed,
    );
    check(
        &[
            ("/userIdentity/sessionContext/ec2RoleDelivery", json!("2.0")),
            agent("AWS_Lambda_x"),
        ],
        &[],
        &borrowed,
    );
}

#[test]
fn service_events_are_benign_and_failed_rotations_operational() {
    let service = |name: &str| {
        json!({"eventType": "AwsServiceEvent", "eventSource": "secretsmanager.amazonaws.com", "eventName": name,
            "eventID": "i", "eventTime": "2026-01-01T00:00:00Z", "recipientAccountId": ACCOUNT,
            "userIdentity": {"accountId": ACCOUNT, "invokedBy": "secretsmanager.amazonaws.com"},
            "requestParameters": null, "additionalEventData": {"SecretId": SECRET}})
    };
    for (name, verdict) in [
        ("RotationStarted", "allowed"),
        ("RotationSucceeded", "allowed"),
        ("RotationFailed", "operational"),
        ("RotationAbandoned", "operational"),
        ("TestRotationStarted", "allowed"),
        ("TestRotationFailed", "operational"),
        ("StartSecretVersionDelete", "allowed"),
        ("CancelSecretVersionDelete", "allowed"),
        ("EndSecretVersionDelete", "allowed"),
    ] {
        let mut event = service(name);
        assert_eq!(judged(&enveloped(&event), &rules(&[])).0, verdict, "{name}");
        assert_eq!(
            anomaly_detector::assess(&event, &rules(&[]))
                .record
                .secret_reference
                .as_deref(),
            Some(SECRET)
        );
        // Whoever else writes such an event is a stranger.
        event["userIdentity"]["invokedBy"] = json!("evil.amazonaws.com");
        assert_eq!(judged(&event, &rules(&[])).0, "anomalous", "{name}");
    }
    let label = |source: &str| {
        json!({"source": source, "detail-type": "Secret Label Updated", "id": "i", "time": "2026-01-01T00:00:00Z",
            "resources": [SECRET], "detail": {"name": "bank/dev/api", "labelUpdated": "AWSCURRENT", "versionId": "v"}})
    };
    assert_eq!(
        judged(&label("aws.secretsmanager"), &rules(&[])).0,
        "allowed"
    );
    assert_eq!(
        judged(&label("bank.synthetic"), &rules(&[])).0,
        "unreadable"
    );
}

#[test]
fn a_probe_is_known_by_its_identity_not_by_its_text() {
    let canary = "arn:aws:iam::111122223333:role/bank-probe-canary-dev";
    let settings = [
        ("CANARY_ROLE_ARN", canary),
        ("CANARY_SECRET", "bank/dev/api"),
    ];
    let synthetic = |event: &Value| {
        let assessment = anomaly_detector::assess(event, &rules(&settings));
        assert_eq!(
            assessment.alert.as_ref().map(|alert| alert.synthetic),
            Some(assessment.record.synthetic)
        );
        let subject = assessment
            .alert
            .map(|alert| alert.subject)
            .unwrap_or_default();
        assert_eq!(
            subject.starts_with("[SYNTHETIC] "),
            assessment.record.synthetic,
            "{subject}"
        );
        assessment.record.synthetic
    };
    let by_canary = (
        "/userIdentity/sessionContext/sessionIssuer/arn",
        json!(canary),
    );
    assert!(synthetic(&changed(std::slice::from_ref(&by_canary))));
    assert!(!synthetic(&changed(&[
        by_canary.clone(),
        ("/requestParameters/secretId", json!("bank/dev/other"))
    ])));
    assert!(!synthetic(&changed(&[
        by_canary,
        ("/eventName", json!("DeleteSecret"))
    ])));
    assert!(!synthetic(&changed(&[
        stranger(),
        ("/synthetic", json!(true)),
        ("/userAgent", json!("synthetic=true"))
    ])));
    let mut put = enveloped(&changed(&[stranger()]));
    assert!(!synthetic(&put));
    put["source"] = json!("bank.synthetic");
    assert!(synthetic(&put));
}

#[test]
fn an_event_that_cannot_be_read_is_an_alert_and_a_record() {
    for event in [
        Value::Null,
        json!({}),
        json!([allowed_read()]),
        json!("text"),
        json!({"detail-type": "x", "detail": "{\"eventName\":\"GetSecretValue\"}"}),
        json!({"detail": {"userIdentity": {}}}),
        json!({"detail": {"eventName": 7}}),
    ] {
        let (verdict, signals) = judged(&event, &rules(&[]));
        assert_eq!(verdict, "unreadable", "{event}");
        assert_eq!(signals.first(), Some(&"U1-unreadable"), "{event}");
    }
}
