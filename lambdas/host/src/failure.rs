//! What a function says when it fails: a stable code and a text written by us.
//!
//! Neither ever contains text from a response body, a parser or a panic: those are where values leak. Of an
//! AWS error only the error code and the request id are kept.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;
use lambda_runtime::Diagnostic;

/// The failure of an invocation, as the Runtime API reports it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {text}")]
pub struct Failure {
    /// Stable name of the kind of failure, e.g. `AwsRefused`.
    pub code: &'static str,
    /// A lower-case fragment without any value.
    pub text: String,
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Self {
            error_type: failure.code.to_owned(),
            error_message: failure.text,
        }
    }
}

/// An AWS call that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("call `{operation}`: `{code}`{}", request_text(.request_id.as_deref()))]
pub struct AwsFailure {
    /// IAM name of the operation, e.g. `secretsmanager:GetSecretValue`.
    pub operation: &'static str,
    /// The service's error code, or what happened on the way to it.
    pub code: String,
    /// The request's id, if an answer came.
    pub request_id: Option<String>,
}

impl AwsFailure {
    /// Reduces an SDK error to what may be printed.
    pub fn of<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata,
        SdkError<E, HttpResponse>: RequestId,
    {
        let code = error
            .code()
            .map_or_else(|| way_of_failing(error).to_owned(), printable);
        Self {
            operation,
            code,
            request_id: error.request_id().map(printable),
        }
    }
}

fn way_of_failing<E>(error: &SdkError<E, HttpResponse>) -> &'static str {
    match error {
        SdkError::ConstructionFailure(_) => "RequestNotBuilt",
        SdkError::TimeoutError(_) => "Timeout",
        SdkError::DispatchFailure(_) => "NoConnection",
        SdkError::ResponseError(_) => "UnreadableAnswer",
        SdkError::ServiceError(_) => "UnnamedServiceError",
        _ => "UnknownFailure",
    }
}

/// Error codes and request ids come from the network: only their usual characters are kept.
fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':'))
        .take(64)
        .collect()
}

fn request_text(request_id: Option<&str>) -> String {
    request_id
        .map(|id| format!(" (request {id})"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{AwsFailure, printable};

    #[test]
    fn only_harmless_characters_of_a_code_are_printed() {
        assert_eq!(printable("AccessDeniedException"), "AccessDeniedException");
        assert_eq!(
            printable("a\n{\"SecretString\":\"x y\"}"),
            "aSecretString:xy"
        );
        assert_eq!(printable(&"x".repeat(500)).len(), 64);
    }

    #[test]
    fn a_refused_call_names_the_permission() {
        let failure = AwsFailure {
            operation: "secretsmanager:GetSecretValue",
            code: "AccessDeniedException".to_owned(),
            request_id: Some("r-1".to_owned()),
        };
        assert_eq!(
            failure.to_string(),
            "call `secretsmanager:GetSecretValue`: `AccessDeniedException` (request r-1)"
        );
    }
}
