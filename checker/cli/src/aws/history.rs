//! The event history: who called an operation on secrets in the last 90 days.

use aws_sdk_cloudtrail::operation::RequestId as _;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use checker_core::observation::call::SecretCall;
use checker_core::observation::{Answer, Unseen};

use super::page::{Page, confirmed};
use super::unseen::{incomplete, unseen};
use super::{Aws, Seen};

/// `LookupEvents` by the name of an operation, every page. AWS answers two calls a second and throttles the rest, which
/// the client tries again.
pub(super) async fn calls(aws: &Aws, event: &str) -> Seen {
    let operation = "cloudtrail:LookupEvents";
    let attribute = LookupAttribute::builder()
        .attribute_key(LookupAttributeKey::EventName)
        .attribute_value(event)
        .build()
        .map_err(|_error| incomplete(operation, "LookupAttributes"))?;
    let attribute = &attribute;
    let (mut rows, origin) = confirmed(operation, &aws.region, |token, size| async move {
        let output = aws
            .cloudtrail
            .lookup_events()
            .lookup_attributes(attribute.clone())
            .max_results(size.unwrap_or(50).min(50))
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| unseen(operation, &error))?;
        let mut rows = Vec::new();
        for row in output.events() {
            let record = row
                .cloud_trail_event()
                .ok_or_else(|| incomplete(operation, "CloudTrailEvent"))?;
            rows.extend(SecretCall::read(record).map_err(|reason| Unseen {
                operation: operation.to_owned(),
                code: "MalformedRecord".to_owned(),
                advice: format!("a record has {reason}; the history is not used"),
            })?);
        }
        Ok(Page {
            next: output.next_token().map(str::to_owned),
            request_id: output.request_id().map(str::to_owned),
            rows,
        })
    })
    .await?;
    rows.sort_by(|left, right| (left.at, &left.id).cmp(&(right.at, &right.id)));
    Ok((Answer::SecretCalls(rows), origin))
}
