//! Why a resource was not created.

use std::collections::BTreeMap;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::super::value::{MASKED, Value};

/// Why a resource wasn't created, before its place is known.
#[derive(Debug)]
pub(super) struct Failure {
    /// The property at fault.
    pub(super) property: Option<String>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Failure {
    pub(super) fn of(property: &str, message: impl Into<String>) -> Self {
        Self {
            property: Some(property.to_owned()),
            message: message.into(),
            help: None,
        }
    }

    pub(super) fn whole(message: impl Into<String>) -> Self {
        Self {
            property: None,
            message: message.into(),
            help: None,
        }
    }

    /// What AWS says may quote what it was given.
    pub(super) fn without_secrets(mut self, inputs: &BTreeMap<String, Value>) -> Self {
        let mut secrets = Vec::new();
        for value in inputs.values() {
            value.secret_texts(&mut secrets);
        }
        // A long one may hold a short one.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            self.message = self.message.replace(secret, MASKED);
        }
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Makes a failure of a refused call; `operation` is what IAM calls it.
pub(super) fn refused<E, R>(operation: &'static str) -> impl FnOnce(SdkError<E, R>) -> Failure
where
    E: ProvideErrorMetadata,
{
    move |error| {
        let said = match error.as_service_error() {
            Some(service) => format!(
                "{}: {}",
                service.code().unwrap_or("an unnamed error"),
                service.message().unwrap_or("no message")
            ),
            None if matches!(error, SdkError::ConstructionFailure(_)) => {
                "the call can't be made".to_owned()
            }
            None if matches!(error, SdkError::TimeoutError(_)) => "no answer in time".to_owned(),
            None if matches!(error, SdkError::DispatchFailure(_)) => {
                "the endpoint can't be reached".to_owned()
            }
            None => "the answer isn't understood".to_owned(),
        };
        Failure::whole(format!("`{operation}` was refused: {said}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_quotes_a_secret_is_masked() {
        let inputs = BTreeMap::from([
            ("value".to_owned(), Value::text("hunter2").secret_if(true)),
            (
                "value of the same beginning".to_owned(),
                Value::text("hunter22").secret_if(true),
            ),
            ("name".to_owned(), Value::text("open")),
        ]);
        let failure = Failure::whole("`open` isn't hunter22 nor hunter2").without_secrets(&inputs);
        assert_eq!(failure.message, "`open` isn't [secret] nor [secret]");
    }
}
