//! Who acted, as far as the record proves it.
//!
//! The only identity that can be allowed is a role, and a role is proven only by
//! `userIdentity.sessionContext.sessionIssuer` of an `AssumedRole`: session names, user names and everything
//! else that a caller may choose is written down and never compared.

use serde_json::Value;

use crate::allow_list::role_account;
use crate::event::{Event, SERVICE};
use crate::plain_text::{SHORT, clean};

/// The acting identity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// `userIdentity.type`; `AwsServiceEvent` for the service's own work, `Missing` if there is none.
    pub kind: String,
    /// The best name there is: role ARN, ARN, service, or what identifies the rest.
    pub name: String,
    /// The session's ARN, where it is another than the name.
    pub session: Option<String>,
    /// ARN of the role, where the record proves one.
    pub role: Option<String>,
    /// The identity's account.
    pub account: Option<String>,
    /// The AWS service that acts by itself.
    pub service: Option<String>,
    /// Whether a product provider acts through the identity.
    pub delegated: bool,
}

impl Identity {
    /// Reads who acted.
    pub fn of(event: &Event<'_>) -> Self {
        if event.is_label_update() {
            let name = SERVICE.to_owned();
            return Self {
                kind: "AwsServiceEvent".to_owned(),
                name: name.clone(),
                service: Some(name),
                ..Self::default()
            };
        }
        let user = event.record.get("userIdentity").unwrap_or(&Value::Null);
        let text = |pointer: &str| {
            user.pointer(pointer)
                .and_then(Value::as_str)
                .filter(|text| !text.trim().is_empty())
        };
        let kind = match (text("/type"), text("/invokedBy")) {
            (Some(kind), _) => kind,
            (None, Some(_)) if event.is_service_event() => "AwsServiceEvent",
            (None, _) => "Missing",
        };
        let role = proven_role(kind, &text);
        // A service acts by itself only where there is no other identity; on others it is the way of the call.
        let service = matches!(kind, "AWSService" | "AwsServiceEvent")
            .then(|| text("/invokedBy"))
            .flatten();
        let arn = text("/arn");
        let name = role
            .or(arn)
            .or(service)
            .or_else(|| text("/onBehalfOf/userId"))
            .or_else(|| text("/principalId"))
            .or_else(|| text("/userName"))
            .or_else(|| text("/invokedBy"))
            .unwrap_or("unknown");
        let owned = |text: &str| clean(text, SHORT);
        Self {
            kind: owned(kind),
            name: clean(name, 2 * SHORT),
            session: arn
                .filter(|arn| *arn != name)
                .map(|arn| clean(arn, 2 * SHORT)),
            role: role.map(str::to_owned),
            account: text("/accountId").map(owned),
            service: service.map(owned),
            delegated: user
                .get("invokedByDelegate")
                .is_some_and(|delegate| !delegate.is_null()),
        }
    }
}

/// The role behind a session, if type, issuer and accounts agree with each other.
fn proven_role<'a>(kind: &str, text: &impl Fn(&str) -> Option<&'a str>) -> Option<&'a str> {
    let arn = text("/sessionContext/sessionIssuer/arn")?;
    let account = role_account(arn)?;
    let agrees = |pointer: &str| text(pointer).is_none_or(|other| other == account);
    let is_role =
        kind == "AssumedRole" && text("/sessionContext/sessionIssuer/type") == Some("Role");
    (is_role && agrees("/sessionContext/sessionIssuer/accountId") && agrees("/accountId"))
        .then_some(arn)
}
