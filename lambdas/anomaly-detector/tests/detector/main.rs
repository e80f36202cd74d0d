//! The detector on genuine and on constructed events, and its delivery against small servers that fail.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod corpus;
mod delivery;
mod identities;
mod process;
mod records;
#[path = "../../../host/tests/process/runtime_api.rs"]
mod runtime_api;
mod signals;

use anomaly_detector::{Assessment, Rules, assess};
use lambda_host::Environment;
use serde_json::{Value, json};

const ACCOUNT: &str = "111122223333";
const ROTATION: &str = "arn:aws:iam::111122223333:role/bank-secrets-rotation-dev";
const SECRET: &str = "arn:aws:secretsmanager:eu-west-2:111122223333:secret:bank/dev/api-AbCdEf";

/// Rules with the rotation role on the allow-list, and further settings.
fn rules(settings: &[(&str, &str)]) -> Rules {
    let base = [("ALLOWED_ROLE_PATTERNS", ROTATION)];
    let environment: Environment = base.iter().chain(settings).copied().collect();
    Rules::from_environment(&environment)
}

/// A `GetSecretValue` by the rotation role, as `CloudTrail` writes it.
fn allowed_read() -> Value {
    json!({
        "eventVersion": "1.11", "eventSource": "secretsmanager.amazonaws.com", "eventName": "GetSecretValue",
        "eventType": "AwsApiCall", "eventTime": "2026-03-27T17:08:40Z", "awsRegion": "eu-west-2",
        "eventID": "5b8cb2f4-0000-4000-8000-000000000001", "requestID": "5b8cb2f4-0000-4000-8000-000000000002",
        "recipientAccountId": ACCOUNT, "sourceIPAddress": "10.0.0.1", "userAgent": "aws-sdk-rust/1.3",
        "readOnly": true, "managementEvent": true,
        "requestParameters": {"secretId": SECRET}, "responseElements": null,
        "userIdentity": {
            "type": "AssumedRole", "principalId": "AROAEXAMPLE:s", "accountId": ACCOUNT,
            "arn": "arn:aws:sts::111122223333:assumed-role/bank-secrets-rotation-dev/s",
            "sessionContext": {"sessionIssuer": {
                "type": "Role", "principalId": "AROAEXAMPLE", "arn": ROTATION, "accountId": ACCOUNT,
                "userName": "bank-secrets-rotation-dev"}},
        },
    })
}

/// The allowed read with members replaced; a null removes its member.
fn changed(changes: &[(&str, Value)]) -> Value {
    let mut record = allowed_read();
    for (pointer, value) in changes {
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        let parent = record.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        if value.is_null() {
            parent.remove(member);
        } else {
            parent.insert(member.to_owned(), value.clone());
        }
    }
    record
}

fn enveloped(record: &Value) -> Value {
    json!({"version": "0", "id": "e-1", "source": "aws.secretsmanager",
        "detail-type": "AWS API Call via CloudTrail", "account": ACCOUNT, "region": "eu-west-2",
        "time": record["eventTime"], "resources": [], "detail": record})
}

/// The verdict's name and the signals' codes.
fn judged(event: &Value, rules: &Rules) -> (String, Vec<&'static str>) {
    let Assessment { record, alert, .. } = assess(event, rules);
    assert_eq!(
        alert.is_some(),
        !record.signals.is_empty(),
        "an alert goes with signals"
    );
    (
        serde_json::to_value(record.verdict)
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned(),
        record.signals,
    )
}
