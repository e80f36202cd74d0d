//! The event that Secrets Manager sends for each step.
//!
//! It is read by hand: the published event types lack `RotationToken`, and a derived `Debug` would print it.

use std::fmt;

use secrecy::SecretString;
use serde_json::Value;

use crate::error::RotationError;

/// One of the four calls of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Make the new value and store it as `AWSPENDING`.
    Create,
    /// Make the service accept the new value.
    Set,
    /// Prove that the new value works.
    Test,
    /// Move `AWSCURRENT` to the new value.
    Finish,
}

/// A rotation event that was read and found complete.
#[derive(Clone)]
pub struct RotationRequest {
    /// Which step to do.
    pub step: Step,
    /// ARN (or name) of the secret.
    pub secret_id: String,
    /// Id of the version that is being made.
    pub token: String,
    /// Proof of origin that `PutSecretValue` needs when the rotation runs under an assumed role.
    pub rotation_token: Option<SecretString>,
}

impl Step {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "createSecret",
            Self::Set => "setSecret",
            Self::Test => "testSecret",
            Self::Finish => "finishSecret",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        // AWS's guide writes the second form, its templates and its service the first.
        match name {
            "createSecret" | "create_secret" => Some(Self::Create),
            "setSecret" | "set_secret" => Some(Self::Set),
            "testSecret" | "test_secret" => Some(Self::Test),
            "finishSecret" | "finish_secret" => Some(Self::Finish),
            _ => None,
        }
    }
}

impl RotationRequest {
    /// Reads an event.
    ///
    /// # Errors
    /// [`RotationError::UnreadableEvent`] naming the member, [`RotationError::UnknownStep`]. The event's text
    /// is never repeated.
    pub fn parse(event: &str) -> Result<Self, RotationError> {
        let event: Value =
            serde_json::from_str(event).map_err(|_| RotationError::UnreadableEvent {
                member: "the whole",
            })?;
        let text = |member: &'static str| {
            event
                .get(member)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
                .ok_or(RotationError::UnreadableEvent { member })
        };
        Ok(Self {
            step: Step::parse(&text("Step")?).ok_or(RotationError::UnknownStep)?,
            secret_id: text("SecretId")?,
            token: text("ClientRequestToken")?,
            rotation_token: text("RotationToken").ok().map(SecretString::from),
        })
    }
}

impl fmt::Debug for RotationRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RotationRequest")
            .field("step", &self.step)
            .field("secret_id", &self.secret_id)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{RotationRequest, Step};

    fn event(step: &str) -> String {
        format!(
            r#"{{"Step":"{step}","SecretId":"arn:s","ClientRequestToken":"t-1","RotationToken":"CANARY","More":1}}"#
        )
    }

    #[test]
    fn both_spellings_of_a_step_are_read_and_others_refused() {
        for (name, step) in [
            ("createSecret", Some(Step::Create)),
            ("set_secret", Some(Step::Set)),
            ("testSecret", Some(Step::Test)),
            ("finish_secret", Some(Step::Finish)),
            ("CreateSecret", None),
            ("dropSecret", None),
        ] {
            assert_eq!(
                RotationRequest::parse(&event(name))
                    .ok()
                    .map(|request| request.step),
                step,
                "{name}"
            );
        }
    }

    #[test]
    fn the_rotation_token_is_kept_but_not_printed() {
        let printed =
            RotationRequest::parse(&event("createSecret")).map(|request| format!("{request:?}"));
        assert!(
            printed
                .as_ref()
                .is_ok_and(|text| text.contains("t-1") && !text.contains("CANARY")),
            "{printed:?}"
        );
    }

    #[test]
    fn an_unreadable_event_names_the_member_and_repeats_nothing() {
        for (event, expected) in [
            (
                "CANARY",
                "read the rotation event: the whole is missing or not a text",
            ),
            (
                r#"{"Step":"createSecret","SecretId":7}"#,
                "read the rotation event: SecretId is missing or not a text",
            ),
        ] {
            let error = RotationRequest::parse(event)
                .err()
                .map(|error| error.to_string());
            assert_eq!(error.as_deref(), Some(expected));
        }
    }
}
