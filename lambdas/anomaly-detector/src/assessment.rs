//! The decision about one event: its access record and, where something is alarming, an alert.
//!
//! Pure: an event and the rules in, data out. No event is too broken to be assessed.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use crate::event::{Effect, Event};
use crate::identity::Identity;
use crate::record::{AccessRecord, Verdict};
use crate::reference::Reference;
use crate::settings::Rules;
use crate::signal::{Access, OPERATIONAL, SIGNALS, Severity, Signal, UNREADABLE};

/// Version of the alert's form.
pub const ALERT_VERSION: u32 = 1;

/// What was decided about one event.
#[derive(Debug, Clone)]
pub struct Assessment {
    /// The event's line in the access log.
    pub record: AccessRecord,
    /// The message to the alert topic, if there is one.
    pub alert: Option<Alert>,
    /// When the event happened, if that can be read.
    pub happened: Option<DateTime<Utc>>,
    /// Whether the allow-list is unusable, which is an alarm about the detector itself.
    pub allow_list_broken: bool,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Gravest severity of its reasons; also a message attribute.
    pub severity: Severity,
    /// Whether a probe made the event; also a message attribute.
    pub synthetic: bool,
    /// The request's id, otherwise the event's; also a message attribute.
    pub correlation_id: String,
    /// One line for mail and pager: ASCII, at most 100 characters.
    pub subject: String,
    /// The message: a JSON object.
    pub message: String,
}

/// The message of an alert. The record in it is the one in the access log.
#[derive(Serialize)]
struct Message<'a> {
    version: u32,
    severity: Severity,
    synthetic: bool,
    correlation_id: &'a str,
    reasons: Vec<Reason>,
    record: &'a AccessRecord,
}

#[derive(Serialize)]
struct Reason {
    signal: &'static str,
    says: &'static str,
    severity: Severity,
}

/// Decides about an event.
pub fn assess(event: &Value, rules: &Rules) -> Assessment {
    let event = Event::of(event);
    let access = Access {
        event,
        identity: Identity::of(&event),
        references: Reference::all_of(&event),
        rules,
    };
    let (verdict, signals) = judge(&access);
    let synthetic = is_synthetic(&access);
    let record = AccessRecord::of(
        &access,
        verdict,
        signals.iter().map(|signal| signal.code).collect(),
        synthetic,
    );
    Assessment {
        alert: alert(&record, &signals),
        happened: record.event_time.as_deref().and_then(moment),
        allow_list_broken: rules.allow_list == crate::allow_list::AllowList::Broken,
        record,
    }
}

fn judge(access: &Access<'_>) -> (Verdict, Vec<&'static Signal>) {
    let mut signals: Vec<&'static Signal> = SIGNALS
        .iter()
        .filter(|signal| signal.holds(access))
        .collect();
    if UNREADABLE.holds(access) {
        signals.insert(0, &UNREADABLE);
        return (Verdict::Unreadable, signals);
    }
    let verdict = if !signals.is_empty() {
        Verdict::Anomalous
    } else if OPERATIONAL.holds(access) {
        Verdict::Operational
    } else {
        Verdict::Allowed
    };
    if OPERATIONAL.holds(access) {
        signals.push(&OPERATIONAL);
    }
    (verdict, signals)
}

/// A probe is known by who it is, never by what an event says of itself: an attacker could say so too.
fn is_synthetic(access: &Access<'_>) -> bool {
    let own_source =
        access.event.envelope_text("source") == Some(access.rules.synthetic_source.as_str());
    let is_canary = access.rules.canary.as_ref().is_some_and(|canary| {
        access.identity.role.as_deref() == Some(canary.role.as_str())
            && access.event.effect() == Effect::ReadsValue
            && !access.references.is_empty()
            && access
                .references
                .iter()
                .all(|reference| reference.is_named(&canary.secret))
    });
    // Nothing depends on the twin, and a refusal changed nothing: whoever was refused there did no harm.
    let on_twin = access.rules.twin.as_ref().is_some_and(|twin| {
        access.event.was_denied()
            && !access.references.is_empty()
            && access
                .references
                .iter()
                .all(|reference| reference.is_named(twin))
    });
    own_source || is_canary || on_twin
}

fn alert(record: &AccessRecord, signals: &[&'static Signal]) -> Option<Alert> {
    let gravest = signals.iter().max_by_key(|signal| signal.severity)?;
    let synthetic = record.synthetic;
    let correlation_id = record
        .request_id
        .as_ref()
        .or(record.event_id.as_ref())
        .map_or("none", String::as_str)
        .to_owned();
    let reason = |signal: &&'static Signal| Reason {
        signal: signal.code,
        says: signal.says,
        severity: signal.severity,
    };
    let message = Message {
        version: ALERT_VERSION,
        severity: gravest.severity,
        synthetic,
        correlation_id: &correlation_id,
        reasons: signals.iter().map(reason).collect(),
        record,
    };
    let mark = if synthetic { "[SYNTHETIC] " } else { "" };
    let name = record.event_name.as_deref().unwrap_or("event");
    let subject: String = format!("{mark}Secrets: {name}: {}", gravest.says)
        .chars()
        .filter(|character| character.is_ascii_graphic() || *character == ' ')
        .take(100)
        .collect();
    Some(Alert {
        severity: gravest.severity,
        synthetic,
        // Nothing in the message can fail to be written as JSON: texts, lists and numbers only.
        message: serde_json::to_string(&message).unwrap_or_default(),
        correlation_id,
        subject,
    })
}

/// `CloudTrail` writes RFC 3339; some pipelines write a space and nine decimals instead.
fn moment(text: &str) -> Option<DateTime<Utc>> {
    let rfc = DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|time| time.to_utc());
    rfc.or_else(|| {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f")
            .ok()
            .map(|time| time.and_utc())
    })
}
