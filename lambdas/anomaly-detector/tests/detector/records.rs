//! The form of records and alerts, and that nothing of an event leaks into them.

use std::path::PathBuf;

use anomaly_detector::assess;
use serde_json::{Value, json};

use crate::{SECRET, allowed_read, changed, rules};

pub(crate) fn schema() -> jsonschema::Validator {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/access-record.schema.json");
    let mut schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    // Readers must accept new members; this test must not, so that every member is documented.
    schema["additionalProperties"] = json!(false);
    jsonschema::validator_for(&schema).unwrap()
}

fn record_of(event: &Value) -> Value {
    serde_json::to_value(assess(event, &rules(&[])).record).unwrap()
}

#[test]
fn every_record_keeps_to_its_schema() {
    let schema = schema();
    let hostile = "x\n\u{1b}[2J\u{202e}".repeat(2000);
    let mut events = vec![Value::Null, json!({}), allowed_read()];
    for pointer in [
        "/eventName",
        "/eventTime",
        "/eventID",
        "/awsRegion",
        "/requestParameters/secretId",
        "/recipientAccountId",
        "/errorCode",
        "/sourceIPAddress",
        "/userIdentity/arn",
        "/userIdentity/type",
        "/userIdentity/accountId",
        "/userIdentity/principalId",
        "/eventSource",
        "/requestID",
    ] {
        for value in [
            json!(hostile),
            json!(""),
            json!(1),
            json!({"a": []}),
            Value::Null,
        ] {
            events.push(changed(&[(pointer, value)]));
        }
    }
    let many: Vec<String> = (0..50).map(|number| format!("bank/{number}")).collect();
    events.push(changed(&[(
        "/requestParameters",
        json!({"secretIdList": many}),
    )]));
    for event in events {
        let record = record_of(&event);
        let errors: Vec<String> = schema
            .iter_errors(&record)
            .map(|error| error.to_string())
            .collect();
        assert_eq!(errors, Vec::<String>::new(), "{record}");
    }
}

#[test]
fn a_record_has_identity_reference_name_and_time() {
    let record = record_of(&allowed_read());
    assert_eq!(record["identity"], crate::ROTATION);
    assert_eq!(record["secret_reference"], SECRET);
    assert_eq!(record["secret_reference_resolved"], true);
    assert_eq!(record["event_name"], "GetSecretValue");
    assert_eq!(record["event_time"], "2026-03-27T17:08:40Z");
    assert_eq!(
        (&record["region"], &record["account"]),
        (&json!("eu-west-2"), &json!("111122223333"))
    );
}

#[test]
fn every_place_of_a_reference_is_known() {
    let bare = ("/requestParameters", Value::Null);
    for (place, value) in [
        ("/responseElements", json!({"arn": SECRET})),
        (
            "/responseElements",
            json!({"aRN": SECRET, "deletionDate": "Jul 10, 2023, 12:07:59 PM"}),
        ),
        ("/additionalEventData", json!({"SecretId": SECRET})),
        (
            "/additionalEventData",
            json!({"ARN": SECRET, "Name": "bank/dev/api"}),
        ),
        ("/serviceEventDetails", json!({"secretId": SECRET})),
        (
            "/resources",
            json!([{"ARN": "arn:aws:kms:eu-west-2:1:key/k"}, {"ARN": SECRET, "type": "AWS::SecretsManager::Secret"}]),
        ),
        ("/requestParameters", json!({"secretId": SECRET})),
        (
            "/errorMessage",
            json!(format!(
                "User: u is not authorized to perform: x on resource: {SECRET} because y"
            )),
        ),
    ] {
        let record = record_of(&changed(&[bare.clone(), (place, value)]));
        assert_eq!(record["secret_reference"], SECRET, "{place}");
        assert_eq!(record["further_references"], json!([]), "{place}");
    }
    let named = record_of(&changed(&[
        ("/requestParameters/secretId", json!("bank/dev/api")),
        ("/resources", json!([{"ARN": SECRET}])),
    ]));
    assert_eq!(
        (
            &named["secret_reference"],
            &named["secret_reference_resolved"]
        ),
        (&json!(SECRET), &json!(true))
    );
}

#[test]
fn values_and_free_text_of_an_event_go_nowhere() {
    let event = changed(&[
        (
            "/requestParameters",
            json!({"secretId": "bank/x", "secretString": "CANARY-1", "clientRequestToken": "CANARY-2", "resourcePolicy": "CANARY-3"}),
        ),
        ("/responseElements", json!({"secretString": "CANARY-4"})),
        (
            "/errorMessage",
            json!("CANARY-5 on resource: bank/y CANARY-6"),
        ),
        ("/additionalEventData", json!({"note": "CANARY-7"})),
        ("/eventName", json!("PutSecretValue")),
        (
            "/userIdentity",
            json!({"type": "IAMUser", "arn": "arn:u", "accessKeyId": "CANARY-8"}),
        ),
    ]);
    let assessment = assess(&event, &rules(&[]));
    let record = serde_json::to_string(&assessment.record).unwrap();
    let alert = assessment.alert.unwrap();
    for text in [record, alert.message, alert.subject] {
        assert!(!text.contains("CANARY"), "{text}");
    }
}

#[test]
fn an_alert_says_why_and_how_grave() {
    let event = changed(&[
        (
            "/userIdentity",
            json!({"type": "Root", "arn": "arn:aws:iam::111122223333:root"}),
        ),
        ("/errorCode", json!("AccessDenied")),
        ("/eventName", json!("GetSecretValue\r\nBcc: x")),
    ]);
    let alert = assess(&event, &rules(&[])).alert.unwrap();
    assert_eq!(alert.correlation_id, "5b8cb2f4-0000-4000-8000-000000000002");
    assert!(
        alert.subject.len() <= 100 && alert.subject.is_ascii() && !alert.subject.contains('\n'),
        "{}",
        alert.subject
    );
    let message: Value = serde_json::from_str(&alert.message).unwrap();
    assert_eq!(message["severity"], "high");
    assert_eq!(
        message["reasons"][0]["says"],
        "the caller is not on the allow-list"
    );
    assert_eq!(
        message["record"]["event_id"],
        "5b8cb2f4-0000-4000-8000-000000000001"
    );
}

#[test]
fn the_same_event_twice_has_the_same_outcome() {
    let (first, second) = (
        assess(&allowed_read(), &rules(&[])),
        assess(&allowed_read(), &rules(&[])),
    );
    assert_eq!(first.record, second.record);
    assert_eq!(first.alert, second.alert);
}
