//! The seam between the protocol layer and the services.
//!
//! A service is one file: a `State` (a field of [`World`], `Default`) and
//! `handle(world, call) -> Answer`, which matches on the operation's name. What
//! reaches a handler already fits the service's model: no unknown, missing,
//! mistyped or out-of-range member. What it answers is checked against the
//! output shape, so a handler that forgets a required member fails loudly.
//!
//! Values on both sides are the protocol-neutral form: structures and maps are
//! objects, lists are arrays, blobs are base64 text, timestamps are epoch
//! seconds (see [`timestamp`]). The codecs turn them into JSON, Query XML or
//! REST-JSON.
//!
//! Handlers do no I/O and never wait. What has to happen afterwards (invoke a
//! function, rotate a secret) is put into [`World::later`].

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::credentials::Caller;

/// One validated API call.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// The service's IAM prefix: `secretsmanager`, `iam`, `tag`, `cloudwatch`.
    pub(crate) service: &'static str,
    /// The operation's name in the model: `ListSecrets`.
    pub(crate) operation: &'a str,
    /// The validated input.
    pub(crate) input: &'a Map<String, Value>,
    /// The twelve-digit account.
    pub(crate) account: &'a str,
    /// The region that the request was signed for.
    pub(crate) region: &'a str,
    /// Who calls.
    pub(crate) caller: &'a Caller,
    /// The lab's time.
    pub(crate) now: DateTime<Utc>,
    /// The request's identifier.
    pub(crate) request_id: &'a str,
}

/// A refusal as AWS words it: code, message and HTTP status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    /// The error's code, e.g. `ResourceNotFoundException`.
    pub(crate) code: String,
    /// The text for humans; never a secret value.
    pub(crate) message: String,
    /// The HTTP status.
    pub(crate) status: u16,
}

/// What a handler answers: the output structure, or a refusal.
pub(crate) type Answer = Result<Value, ApiError>;

impl ApiError {
    /// A refusal with status 400, the usual one.
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            status: 400,
        }
    }

    /// The same refusal with another HTTP status.
    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The lab itself failed: never AWS's behaviour, always a bug to report.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new("InternalFailure", message).with_status(500)
    }
}

impl Call<'_> {
    /// A text member, when given.
    pub(crate) fn text(&self, member: &str) -> Option<&str> {
        self.input.get(member).and_then(Value::as_str)
    }

    /// A text member that the model requires.
    pub(crate) fn required(&self, member: &str) -> Result<&str, ApiError> {
        self.text(member).ok_or_else(|| {
            ApiError::new(
                "ValidationException",
                format!("the member `{member}` is missing"),
            )
        })
    }

    /// A whole number, when given.
    pub(crate) fn number(&self, member: &str) -> Option<i64> {
        self.input.get(member).and_then(Value::as_i64)
    }

    /// A boolean, when given.
    pub(crate) fn flag(&self, member: &str) -> Option<bool> {
        self.input.get(member).and_then(Value::as_bool)
    }

    /// A list; empty when not given.
    pub(crate) fn list(&self, member: &str) -> &[Value] {
        self.input
            .get(member)
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    /// A structure or map, when given.
    pub(crate) fn object(&self, member: &str) -> Option<&Map<String, Value>> {
        self.input.get(member).and_then(Value::as_object)
    }

    /// The ARN of a regional resource of this service in the caller's account.
    pub(crate) fn arn(&self, resource: &str) -> String {
        format!(
            "arn:aws:{}:{}:{}:{resource}",
            self.service, self.region, self.account
        )
    }

    /// The answer to an operation that the model knows and the service doesn't.
    pub(crate) fn unserved(&self) -> ApiError {
        ApiError::new(
            "UnknownOperationException",
            format!(
                "the lab does not serve `{}:{}`",
                self.service, self.operation
            ),
        )
        .with_status(501)
    }
}

/// A time in the protocol-neutral form: epoch seconds with milliseconds.
pub(crate) fn timestamp(at: DateTime<Utc>) -> Value {
    let millis = at.timestamp_millis();
    if millis % 1000 == 0 {
        return Value::from(millis / 1000);
    }
    let seconds = std::time::Duration::from_millis(millis.unsigned_abs()).as_secs_f64();
    Value::from(if millis < 0 { -seconds } else { seconds })
}

/// One page of a list: the items, and the token of the next page if there is one.
///
/// The token is the position in the list, so a list that changes between two
/// pages may repeat or miss an item, as on AWS.
pub(crate) fn page<T>(
    items: Vec<T>,
    token: Option<&str>,
    size: usize,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let start = match token {
        None => 0,
        Some(token) => token
            .strip_prefix("page-")
            .and_then(|at| at.parse::<usize>().ok())
            .filter(|at| *at <= items.len())
            .ok_or_else(|| {
                ApiError::new("InvalidNextTokenException", "the page token is not valid")
            })?,
    };
    let end = start.saturating_add(size.max(1));
    let next = (end < items.len()).then(|| format!("page-{end}"));
    let rows = items.into_iter().skip(start).take(size.max(1)).collect();
    Ok((rows, next))
}
