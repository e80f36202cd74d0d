//! The access record: what is kept of every event, for seven years and more.
//!
//! Its JSON form is a contract with its readers: `docs/access-record.schema.json`. New members may come,
//! none changes its meaning within a version. It holds named fields only, cleaned and capped; never a value,
//! never a request or an answer as a whole.

use serde::Serialize;

use crate::plain_text::{SHORT, clean};
use crate::reference::Reference;
use crate::signal::Access;

/// Version of the record's form.
pub const VERSION: u32 = 1;

/// What was decided about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing to see.
    Allowed,
    /// At least one signal holds.
    Anomalous,
    /// Nobody did wrong, but a rotation did not succeed.
    Operational,
    /// The event could not be read.
    Unreadable,
}

/// One line of the access log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccessRecord {
    /// Version of this form.
    pub version: u32,
    /// `CloudTrail`'s id of the event, otherwise the bus's. The same event delivered twice has the same id.
    pub event_id: Option<String>,
    /// The request's id, as its caller knows it.
    pub request_id: Option<String>,
    /// Name of the call or service event.
    pub event_name: Option<String>,
    /// When it happened, as the event says.
    pub event_time: Option<String>,
    /// Service that was called.
    pub event_source: Option<String>,
    /// Error code of a call that did not succeed.
    pub error_code: Option<String>,
    /// Who acted: role ARN, ARN, service, or what identifies the rest.
    pub identity: String,
    /// Type of the identity.
    pub identity_type: String,
    /// Account of the identity.
    pub identity_account: Option<String>,
    /// The session's ARN, where it is another than the identity.
    pub session: Option<String>,
    /// Address the call came from.
    pub source_address: Option<String>,
    /// ARN of the secret; built without suffix where the event gives only a name.
    pub secret_reference: Option<String>,
    /// Whether the event itself gave the whole ARN.
    pub secret_reference_resolved: bool,
    /// The other secrets of a batch call.
    pub further_references: Vec<String>,
    /// Region of the call.
    pub region: Option<String>,
    /// Account in which the call arrived.
    pub account: Option<String>,
    /// What was decided.
    pub verdict: Verdict,
    /// Codes of the signals that hold, in the order of the table.
    pub signals: Vec<&'static str>,
    /// Whether a probe made the event.
    pub synthetic: bool,
}

impl AccessRecord {
    /// The record of an access.
    pub fn of(
        access: &Access<'_>,
        verdict: Verdict,
        signals: Vec<&'static str>,
        synthetic: bool,
    ) -> Self {
        let event = &access.event;
        let cleaned = |text: Option<&str>| text.map(|text| clean(text, SHORT));
        let mut references = access.references.iter();
        let main = references.next();
        Self {
            version: VERSION,
            event_id: cleaned(event.text("eventID").or_else(|| event.envelope_text("id"))),
            request_id: cleaned(event.text("requestID")),
            event_name: cleaned(event.name()),
            event_time: cleaned(
                event
                    .text("eventTime")
                    .or_else(|| event.envelope_text("time")),
            ),
            event_source: cleaned(
                event
                    .text("eventSource")
                    .or_else(|| event.envelope_text("source")),
            ),
            error_code: cleaned(event.text("errorCode")),
            identity: access.identity.name.clone(),
            identity_type: access.identity.kind.clone(),
            identity_account: access.identity.account.clone(),
            session: access.identity.session.clone(),
            source_address: cleaned(event.text("sourceIPAddress")),
            secret_reference: main.map(|reference| reference.arn.clone()),
            secret_reference_resolved: main.is_some_and(Reference::is_resolved),
            further_references: references.map(|reference| reference.arn.clone()).collect(),
            region: cleaned(
                event
                    .text("awsRegion")
                    .or_else(|| event.envelope_text("region")),
            ),
            account: cleaned(
                event
                    .text("recipientAccountId")
                    .or_else(|| event.envelope_text("account")),
            ),
            verdict,
            signals,
            synthetic,
        }
    }
}
