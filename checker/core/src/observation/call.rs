//! Calls that changed a secret, as `CloudTrail`'s history holds them: who, what, which secret and when.
//!
//! Only identity, name and time are taken out of a record. Forms of `userIdentity` that name nobody stay nameless,
//! so that nobody's exception covers them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Time;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretCall {
    /// `CloudTrail`'s id of the record.
    pub id: String,
    /// The operation, such as `PutSecretValue`.
    pub event: String,
    /// When.
    pub at: Time,
    /// ARN of the role or user, or the service's name; empty where the record names nobody.
    pub caller: String,
    /// The type of `userIdentity`, such as `AssumedRole`.
    pub kind: String,
    /// The secret as the caller named it: ARN or name.
    pub secret: Option<String>,
    /// The error code of a call that was refused.
    pub error: Option<String>,
}

impl SecretCall {
    /// Reads a `CloudTrail` record: `None` when it is of another service, an error when it is no record.
    pub fn read(text: &str) -> Result<Option<Self>, String> {
        let record: Value = serde_json::from_str(text)
            .map_err(|error| format!("no JSON at column {}", error.column()))?;
        if text_at(&record, "/eventSource") != Some("secretsmanager.amazonaws.com") {
            return Ok(None);
        }
        let needed = |pointer: &str| {
            text_at(&record, pointer)
                .map(str::to_owned)
                .ok_or_else(|| format!("no `{}`", pointer.trim_start_matches('/')))
        };
        let at = needed("/eventTime")?
            .parse()
            .map_err(|_error| "`eventTime` is no time".to_owned())?;
        let optional = |pointer: &str| text_at(&record, pointer).map(str::to_owned);
        Ok(Some(Self {
            id: needed("/eventID")?,
            event: needed("/eventName")?,
            at,
            caller: caller(&record).unwrap_or_default(),
            kind: optional("/userIdentity/type").unwrap_or_default(),
            secret: optional("/requestParameters/secretId")
                .or_else(|| optional("/responseElements/arn"))
                .or_else(|| optional("/responseElements/aRN")),
            error: optional("/errorCode"),
        }))
    }
}

/// The role behind a session, the user, or the service.
fn caller(record: &Value) -> Option<String> {
    let kind = text_at(record, "/userIdentity/type")?;
    let found = match kind {
        // The session's own ARN holds a name that its caller chose; only the role counts.
        "AssumedRole" => text_at(record, "/userIdentity/sessionContext/sessionIssuer/arn"),
        "AWSService" => text_at(record, "/userIdentity/invokedBy"),
        _ => text_at(record, "/userIdentity/arn"),
    };
    found.map(str::to_owned)
}

fn text_at<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn record(identity: &Value) -> String {
        json!({
            "eventID": "1", "eventName": "PutSecretValue", "eventTime": "2026-01-31T00:00:00Z",
            "eventSource": "secretsmanager.amazonaws.com", "userIdentity": identity,
            "requestParameters": {"secretId": "bank-app/x"}
        })
        .to_string()
    }

    #[test]
    fn the_role_counts_and_never_the_name_of_the_session() {
        let check = |identity: Value, expected: &str| {
            assert_eq!(
                SecretCall::read(&record(&identity))
                    .unwrap()
                    .unwrap()
                    .caller,
                expected
            );
        };
        let session = "arn:aws:sts::1:assumed-role/evil/bank-secrets-rotation-dev";
        check(
            json!({"type": "AssumedRole", "arn": session,
                   "sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::1:role/evil"}}}),
            "arn:aws:iam::1:role/evil",
        );
        check(json!({"type": "AssumedRole", "arn": session}), "");
        check(
            json!({"type": "IAMUser", "arn": "arn:aws:iam::1:user/x", "sessionContext": {"sessionIssuer": {}}}),
            "arn:aws:iam::1:user/x",
        );
        check(
            json!({"type": "AWSService", "invokedBy": "secretsmanager.amazonaws.com"}),
            "secretsmanager.amazonaws.com",
        );
        check(
            json!({"accountId": "1", "invokedBy": "secretsmanager.amazonaws.com"}),
            "",
        );
        check(json!(null), "");
    }

    #[test]
    fn a_record_of_another_service_is_none_and_what_is_no_record_an_error() {
        assert_eq!(
            SecretCall::read("{\"eventSource\":\"kms.amazonaws.com\"}"),
            Ok(None)
        );
        assert!(SecretCall::read("{").is_err());
        assert!(SecretCall::read("{\"eventSource\":\"secretsmanager.amazonaws.com\"}").is_err());
    }
}
