//! The anomaly detector: one access record for every event about a secret, and an alert for those that
//! should worry somebody.
//!
//! Input: an `EventBridge` event (or a bare `CloudTrail` record), whatever its shape. Output: a record in the
//! access log and, where a signal holds, a message to the alert topic. [`assess`] decides and is pure;
//! [`delivery`] sends. What decides is in [`signal`], as one table.
//!
//! It deliberately keeps no state: every event is judged by itself, twice the same event has twice the same
//! outcome. It never reads a secret, and nothing of an event reaches record or alert except named fields.

pub mod allow_list;
pub mod assessment;
pub mod delivery;
pub mod event;
pub mod identity;
pub mod plain_text;
pub mod record;
pub mod reference;
pub mod settings;
pub mod signal;

use std::sync::Arc;

use lambda_host::{Environment, Failure, HostError};
use serde_json::{Value, json};

pub use assessment::{Alert, Assessment, assess};
pub use delivery::{Delivery, DeliveryError};
pub use record::{AccessRecord, Verdict};
pub use settings::{Rules, Settings};
pub use signal::Severity;

/// Serves events from the Lambda Runtime API until it ends.
///
/// # Errors
/// Settings or a Runtime API that cannot be used.
pub async fn serve() -> Result<(), HostError> {
    let environment = Environment::of_process();
    let settings = Arc::new(Settings::from_environment(&environment)?);
    let delivery = Arc::new(Delivery::from_environment(&environment, &settings)?);
    lambda_host::serve(&environment, move |text| {
        let (settings, delivery) = (Arc::clone(&settings), Arc::clone(&delivery));
        async move {
            handle(&settings, &delivery, &text)
                .await
                .map_err(Failure::from)
        }
    })
    .await
}

/// One invocation: judges the event's text, sends record and alert, says what was decided.
///
/// # Errors
/// The record or the alert could not be sent: the invocation must fail, so that AWS tries it again.
pub async fn handle(
    settings: &Settings,
    delivery: &Delivery,
    event: &str,
) -> Result<Value, DeliveryError> {
    // Text that is no JSON is an event all the same: nothing is known about it, and that is alarming.
    let event: Value = serde_json::from_str(event).unwrap_or(Value::Null);
    let assessment = assess(&event, &settings.rules);
    delivery.send(&assessment).await?;
    Ok(json!({
        "event_id": assessment.record.event_id,
        "verdict": assessment.record.verdict,
        "signals": assessment.record.signals,
        "alerted": assessment.alert.is_some(),
    }))
}
