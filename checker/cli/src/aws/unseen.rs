//! Why AWS did not answer, in words that help and never quote a response.

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use checker_core::observation::Unseen;

/// The code of an error that names none.
const UNKNOWN: &str = "UnknownError";

/// The reason behind a failed call. Only codes are kept: messages and bodies may quote what must not be logged.
pub(crate) fn unseen<E, R>(operation: &str, error: &SdkError<E, R>) -> Unseen
where
    E: ProvideErrorMetadata,
{
    let (code, advice) = match error {
        SdkError::ServiceError(context) => {
            let code = context.err().code().unwrap_or(UNKNOWN).to_owned();
            let advice = service_advice(operation, &code);
            (code, advice)
        }
        SdkError::TimeoutError(_) => (
            "Timeout".to_owned(),
            "AWS did not answer in time; run again, or look at the network".to_owned(),
        ),
        SdkError::DispatchFailure(_) => (
            "NoConnection".to_owned(),
            "no connection, or no credentials; look at the network, the endpoint and the profile"
                .to_owned(),
        ),
        SdkError::ResponseError(_) => (
            "MalformedAnswer".to_owned(),
            "the answer could not be read; run again, and report it if it stays".to_owned(),
        ),
        SdkError::ConstructionFailure(_) => (
            "RequestNotBuilt".to_owned(),
            "the request could not be built; look at region and credentials".to_owned(),
        ),
        _ => (
            UNKNOWN.to_owned(),
            "run again, and report it if it stays".to_owned(),
        ),
    };
    Unseen {
        operation: operation.to_owned(),
        code,
        advice,
    }
}

/// What to do about an error that AWS itself answered.
fn service_advice(operation: &str, code: &str) -> String {
    if code.contains("AccessDenied")
        || code == "UnauthorizedOperation"
        || code == "AuthorizationError"
    {
        return format!("grant `{operation}` to the identity that runs the checker");
    }
    if code.contains("Throttl")
        || code == "TooManyRequestsException"
        || code == "RequestLimitExceeded"
    {
        return "AWS throttled every attempt; run again when the account is quieter".to_owned();
    }
    if code == "RequestTimeTooSkewed"
        || code == "RequestExpired"
        || code == "InvalidSignatureException"
        || code == "SignatureDoesNotMatch"
    {
        return "AWS did not accept the signature; set this machine's clock, or look at the credentials"
            .to_owned();
    }
    if code.contains("ExpiredToken")
        || code.contains("InvalidClientTokenId")
        || code.contains("UnrecognizedClient")
    {
        return "the credentials are not valid (any more); log in again".to_owned();
    }
    if code == UNKNOWN {
        return "the answer has no error code of AWS; if it stays, look at what answers there: the endpoint \
                (--endpoint-url, AWS_ENDPOINT_URL) and proxies"
            .to_owned();
    }
    "AWS refused or failed; run again, and look at the account if it stays".to_owned()
}

/// An answer from a server whose clock is far from ours.
pub(super) fn wrong_clock(operation: &str, seconds: i64) -> Unseen {
    Unseen {
        operation: operation.to_owned(),
        code: "ClockSkew".to_owned(),
        advice: format!(
            "the server's clock is {seconds} s from ours, so ages would be wrong; set this machine's clock, or give the time with --now"
        ),
    }
}

/// A role that leads into another account than the one that is meant.
pub(super) fn other_account(meant: &str, found: &str) -> Unseen {
    Unseen {
        operation: "sts:GetCallerIdentity".to_owned(),
        code: "OtherAccount".to_owned(),
        advice: format!("account {meant} is meant, and these credentials are of {found}"),
    }
}

/// An answer that lacks a member it must have.
pub(crate) fn incomplete(operation: &str, member: &str) -> Unseen {
    Unseen {
        operation: operation.to_owned(),
        code: "IncompleteAnswer".to_owned(),
        advice: format!("the answer lacks `{member}`; it is not used"),
    }
}
