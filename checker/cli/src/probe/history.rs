//! What `CloudTrail` recorded of Secrets Manager since the probes began, the oldest first.

use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use checker_core::observation::{Time, Unseen};
use serde_json::Value;

use super::session::Clients;
use crate::aws::{incomplete, unseen};

/// One record. No `Debug`: a record may hold what its caller wrote.
#[derive(Clone)]
pub(super) struct Call {
    /// `eventID`.
    pub(super) id: String,
    /// `requestID`.
    pub(super) request: String,
    /// `eventName`.
    pub(super) name: String,
    /// `eventTime`, to the second.
    pub(super) at: Time,
    /// Role ARN, ARN or service.
    pub(super) caller: String,
    /// Error code, or that there was an error without one.
    pub(super) error: Option<String>,
    /// The secret, as the caller wrote it.
    pub(super) secret: Option<String>,
    /// The version that was written or promoted.
    pub(super) version: Option<String>,
    /// The whole record.
    pub(super) text: String,
}

/// `LookupEvents` on one attribute, every page.
pub(super) async fn lookup(
    clients: &Clients,
    key: LookupAttributeKey,
    value: &str,
    from: Time,
) -> Result<Vec<Call>, Unseen> {
    let operation = "cloudtrail:LookupEvents";
    let attribute = LookupAttribute::builder()
        .attribute_key(key)
        .attribute_value(value)
        .build()
        .map_err(|_error| incomplete(operation, "LookupAttributes"))?;
    let mut calls = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let page = clients
            .trail
            .lookup_events()
            .lookup_attributes(attribute.clone())
            .start_time(aws_sdk_cloudtrail::primitives::DateTime::from_secs(
                from.timestamp(),
            ))
            .max_results(50)
            .set_next_token(token.clone())
            .send()
            .await
            .map_err(|error| unseen(operation, &error))?;
        for row in page.events() {
            let text = row
                .cloud_trail_event()
                .ok_or_else(|| incomplete(operation, "CloudTrailEvent"))?;
            let record: Value = serde_json::from_str(text)
                .map_err(|_error| incomplete(operation, "CloudTrailEvent"))?;
            calls.push(read(&record, text).ok_or_else(|| incomplete(operation, "eventTime"))?);
        }
        let next = page.next_token().map(str::to_owned);
        if next.is_some() && next == token {
            return Err(incomplete(operation, "NextToken"));
        }
        token = next;
        if token.is_none() {
            break;
        }
    }
    // The newest come first; within a second the order of the listing is all there is.
    calls.reverse();
    calls.sort_by_key(|call| call.at);
    Ok(calls)
}

fn read(record: &Value, whole: &str) -> Option<Call> {
    let text = |pointer: &str| {
        record
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let caller = text("/userIdentity/sessionContext/sessionIssuer/arn")
        .or_else(|| text("/userIdentity/arn"))
        .or_else(|| text("/userIdentity/invokedBy"))
        .unwrap_or_default();
    let failed = || text("/errorMessage").map(|_| "failed".to_owned());
    Some(Call {
        id: text("/eventID")?,
        request: text("/requestID").unwrap_or_default(),
        name: text("/eventName")?,
        at: text("/eventTime")?.parse().ok()?,
        caller,
        error: text("/errorCode").or_else(failed),
        secret: text("/requestParameters/secretId")
            .or_else(|| text("/additionalEventData/SecretId"))
            .or_else(|| text("/responseElements/arn")),
        version: text("/requestParameters/moveToVersionId")
            .or_else(|| text("/requestParameters/clientRequestToken"))
            .or_else(|| text("/requestParameters/versionId")),
        text: whole.to_owned(),
    })
}

/// A caller as facts name it: `role/name` of this account, otherwise what the record says.
pub(super) fn local(caller: &str, account: &str) -> String {
    let own = format!("arn:aws:iam::{account}:");
    caller.strip_prefix(&own).unwrap_or(caller).to_owned()
}
