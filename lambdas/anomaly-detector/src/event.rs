//! An event, read without expecting anything of it: every field may be missing or of another type.
//!
//! Accepted are `EventBridge` envelopes and bare `CloudTrail` records. Published event types are not used: they
//! refuse genuine records (service events have no identity type, console sessions an empty issuer).

use serde_json::Value;

/// Source of Secrets Manager's events on the bus; nobody else can put events there.
pub const AWS_SOURCE: &str = "aws.secretsmanager";
/// Secrets Manager in `CloudTrail`'s `eventSource` and as an invoker.
pub const SERVICE: &str = "secretsmanager.amazonaws.com";

/// An event whose form was recognised.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// The envelope, if there is one.
    pub envelope: Option<&'a Value>,
    /// The `CloudTrail` record, or the detail of an event that is none.
    pub record: &'a Value,
}

/// What a call does to a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Gives a value away.
    ReadsValue,
    /// Gives away what is not a value: names, labels, policies.
    ReadsMetadata,
    /// Changes something, or is unknown.
    Changes,
}

impl<'a> Event<'a> {
    /// Recognises the form of `event`.
    pub fn of(event: &'a Value) -> Self {
        match event.get("detail") {
            Some(detail) if event.get("detail-type").is_some() || detail.is_object() => Self {
                envelope: Some(event),
                record: detail,
            },
            _ => Self {
                envelope: None,
                record: event,
            },
        }
    }

    /// A text member of the record; blank counts as absent.
    pub fn text(&self, member: &str) -> Option<&'a str> {
        self.record
            .get(member)?
            .as_str()
            .filter(|text| !text.trim().is_empty())
    }

    /// A text member of the envelope.
    pub fn envelope_text(&self, member: &str) -> Option<&'a str> {
        self.envelope?
            .get(member)?
            .as_str()
            .filter(|text| !text.trim().is_empty())
    }

    /// Name of the call or service event. The one event that has no record gets a name of its own.
    pub fn name(&self) -> Option<&'a str> {
        self.text("eventName")
            .or_else(|| self.is_label_update().then_some("SecretLabelUpdated"))
    }

    /// Whether it is the native event that a staging label moved, which does not come from `CloudTrail`.
    pub fn is_label_update(&self) -> bool {
        self.envelope_text("source") == Some(AWS_SOURCE)
            && self.envelope_text("detail-type") == Some("Secret Label Updated")
    }

    /// Whether the service itself wrote the record about its own work, such as a rotation.
    pub fn is_service_event(&self) -> bool {
        let invoker = self
            .record
            .pointer("/userIdentity/invokedBy")
            .and_then(Value::as_str);
        self.is_label_update()
            || (self.text("eventType") == Some("AwsServiceEvent")
                && self.text("eventSource") == Some(SERVICE)
                && invoker == Some(SERVICE))
    }

    /// What the call does.
    pub fn effect(&self) -> Effect {
        let name = self.name().unwrap_or_default();
        match name {
            "GetSecretValue" | "BatchGetSecretValue" => Effect::ReadsValue,
            "GetResourcePolicy" | "GetRandomPassword" | "ValidateResourcePolicy" => {
                Effect::ReadsMetadata
            }
            name if name.starts_with("Describe") || name.starts_with("List") => {
                Effect::ReadsMetadata
            }
            _ => Effect::Changes,
        }
    }

    /// Whether the call was refused for lack of permission.
    pub fn was_denied(&self) -> bool {
        matches!(
            self.text("errorCode"),
            Some(
                "AccessDenied"
                    | "AccessDeniedException"
                    | "UnauthorizedOperation"
                    | "Client.UnauthorizedOperation"
            )
        )
    }

    /// A member of the record that pipelines write as a truth value or as its text.
    pub fn flag(&self, pointer: &str) -> bool {
        match self.record.pointer(pointer) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
            _ => false,
        }
    }
}
