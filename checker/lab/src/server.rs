//! The HTTP server: from a connection to an answered call.
//!
//! A request's service comes from its signature's scope (or its `X-Amz-Target`),
//! its region from the same scope, its caller from the access key. Signatures are
//! not verified: nothing but loopback reaches the lab.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value};
use tokio::net::{TcpListener, TcpStream};

use crate::catalog::{self, Service};
use crate::cloudtrail::Client;
use crate::credentials::Caller;
use crate::fault::{self, FaultKind};
use crate::protocol::{self, Codec, Encoded, Wire, model::Operation};
use crate::service::{Answer, ApiError, Call};
use crate::shared::Shared;

/// Larger bodies are refused; a function's code is at most 50 MB zipped.
const BODY_LIMIT: usize = 80 << 20;

/// How often a long poll looks again.
const POLL: Duration = Duration::from_millis(20);

/// Answers connections until the task is dropped.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        tokio::spawn(connection(stream, Arc::clone(&shared)));
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // Without it, every small answer waits for the client's delayed acknowledgement.
    drop(stream.set_nodelay(true));
    let answer = service_fn(move |request| respond(Arc::clone(&shared), request));
    // A client that goes away in the middle is its own business.
    drop(
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), answer)
            .await,
    );
}

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("reset the connection, as the planted fault says")]
struct Reset;

async fn respond(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Reset> {
    let now = shared.clock.now();
    let request_id = shared.act(|world| world.ids.uuid());
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_LIMIT).collect().await else {
        let error = ApiError::new("RequestEntityTooLargeException", "the body is too large")
            .with_status(413);
        let encoded = protocol::refuse(Codec::Json, None, &error, &request_id);
        return Ok(response(encoded, now, &request_id));
    };
    let body = body.to_bytes();
    let wire = Wire {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        body: &body,
    };
    if let Some(encoded) = crate::control::answer(&shared, &wire).await {
        return Ok(response(encoded, shared.clock.now(), &request_id));
    }
    let encoded = match exchange(&shared, &wire, now, &request_id).await {
        Outcome::Answer(encoded) => encoded,
        Outcome::Hang => match std::future::pending::<Infallible>().await {},
        Outcome::Reset => return Err(Reset),
    };
    Ok(response(encoded, now, &request_id))
}

enum Outcome {
    Answer(Encoded),
    Hang,
    Reset,
}

/// One call, from the wire to the encoded answer.
async fn exchange(
    shared: &Arc<Shared>,
    wire: &Wire<'_>,
    now: DateTime<Utc>,
    request_id: &str,
) -> Outcome {
    let codec = wire.codec();
    let refuse = |model, error: &ApiError| {
        Outcome::Answer(protocol::refuse(codec, model, error, request_id))
    };
    let scope = Scope::of(wire);
    let service = match find_service(wire, scope.as_ref()) {
        Ok(service) => service,
        Err(error) => return refuse(None, &error),
    };
    let model = match service.model() {
        Ok(model) => model,
        Err(error) => return refuse(None, &error),
    };
    let Some(scope) = scope else {
        let error = ApiError::new(
            "MissingAuthenticationToken",
            "the request is not signed: it has no AWS4-HMAC-SHA256 authorization",
        )
        .with_status(403);
        return refuse(Some(model), &error);
    };
    let named = protocol::operation(codec, model, wire).and_then(|name| {
        model.operations.get(&name).ok_or_else(|| {
            let text = format!("the lab does not serve `{}:{name}`", service.prefix);
            ApiError::new("UnknownOperationException", text).with_status(404)
        })
    });
    let operation = match named {
        Ok(operation) => operation,
        Err(error) => return refuse(Some(model), &error),
    };
    let struck = shared
        .faults
        .strike(service.prefix, &operation.name, &scope.access_key);
    match struck {
        Some(FaultKind::Hang) => return Outcome::Hang,
        Some(FaultKind::Reset) => return Outcome::Reset,
        Some(
            FaultKind::AccessDenied
            | FaultKind::Throttled
            | FaultKind::ThrottledAbove(_)
            | FaultKind::ServerError
            | FaultKind::TruncatedPage
            | FaultKind::RepeatedToken
            | FaultKind::EmptyPageWithToken
            | FaultKind::MalformedBody
            | FaultKind::WrongType
            | FaultKind::ClockSkew
            | FaultKind::SignatureExpired,
        )
        | None => {}
    }
    let request = CallRequest {
        service,
        operation,
        region: &scope.region,
        access_key: &scope.access_key,
        now,
        request_id,
        client: Client {
            address: "127.0.0.1",
            user_agent: wire.header("user-agent").unwrap_or("unknown"),
        },
    };
    let input = protocol::decode(codec, model, operation, wire);
    let mut answer = answer(shared, &request, input.as_ref(), struck).await;
    if let (Some(kind), Ok(answer), Ok(input)) = (struck, &mut answer, &input) {
        fault::damage(kind, model, operation, input, answer);
    }
    let encoded = answer.and_then(|answer| {
        let encoded = protocol::encode(codec, model, operation, &answer, request_id)?;
        Ok(broken(struck, codec, model, operation, answer, encoded))
    });
    match encoded {
        Ok(encoded) => Outcome::Answer(skewed(struck, now, encoded)),
        Err(error) => refuse(Some(model), &error),
    }
}

/// Sets the date of an answer an hour ahead where the fault says so.
fn skewed(struck: Option<FaultKind>, now: DateTime<Utc>, mut encoded: Encoded) -> Encoded {
    if struck == Some(FaultKind::ClockSkew)
        && let Some(later) = now.checked_add_signed(TimeDelta::hours(1))
    {
        encoded.headers.push(("date".to_owned(), http_date(later)));
    }
    encoded
}

/// What is known about a call besides its input.
struct CallRequest<'a> {
    service: &'static Service,
    operation: &'a Operation,
    region: &'a str,
    access_key: &'a str,
    now: DateTime<Utc>,
    request_id: &'a str,
    client: Client<'a>,
}

async fn answer(
    shared: &Arc<Shared>,
    request: &CallRequest<'_>,
    input: Result<&Map<String, Value>, &ApiError>,
    struck: Option<FaultKind>,
) -> Answer {
    let caller = shared
        .act(|world| world.credentials.caller(request.access_key, request.now))
        .map_err(|_| {
            ApiError::new(
                "ExpiredTokenException",
                "the security token included in the request is expired",
            )
            .with_status(403)
        })?;
    let input = input.map_err(Clone::clone)?;
    let call = Call {
        service: request.service.prefix,
        operation: &request.operation.name,
        input,
        account: &shared.account,
        region: request.region,
        caller: &caller,
        now: request.now,
        request_id: request.request_id,
    };
    if let Some(error) = struck.and_then(|kind| refusal(kind, &call)) {
        let answer = Err(error);
        shared.act(|world| crate::cloudtrail::record_from(world, &call, &answer, request.client));
        return answer;
    }
    let allowed = shared.act(|world| crate::authorise::check(world, &call));
    if let (Ok(()), "lambda", "Invoke") = (&allowed, call.service, call.operation) {
        // An invocation is data, and no management call: it leaves no record.
        return crate::lambda::invoke::handle(shared, &call).await;
    }
    let until = Instant::now() + long_poll(&call);
    while allowed.is_ok() && Instant::now() < until {
        let found = shared.act(|world| (request.service.handle)(world, &call));
        let empty = Value::Array(Vec::new());
        let nothing = found
            .as_ref()
            .is_ok_and(|answer| *answer.get("Messages").unwrap_or(&empty) == empty);
        if !nothing {
            return found;
        }
        tokio::time::sleep(POLL).await;
    }
    shared.act(|world| {
        let answer = allowed.and_then(|()| (request.service.handle)(world, &call));
        crate::cloudtrail::record_from(world, &call, &answer, request.client);
        answer
    })
}

/// How long a call waits for messages; only receiving from a queue does.
fn long_poll(call: &Call<'_>) -> Duration {
    let seconds = match (call.service, call.operation) {
        ("sqs", "ReceiveMessage") => call.number("WaitTimeSeconds"),
        _ => None,
    };
    Duration::from_secs(seconds.unwrap_or_default().unsigned_abs())
}

/// The refusal that a fault stands for.
fn refusal(kind: FaultKind, call: &Call<'_>) -> Option<ApiError> {
    match kind {
        FaultKind::AccessDenied => Some(denied(call.caller, call)),
        FaultKind::Throttled | FaultKind::ThrottledAbove(_) => {
            Some(ApiError::new("ThrottlingException", "Rate exceeded"))
        }
        FaultKind::SignatureExpired => Some(
            ApiError::new(
                "InvalidSignatureException",
                "Signature expired: it is now earlier than it may be",
            )
            .with_status(403),
        ),
        FaultKind::ServerError => Some(
            ApiError::new("InternalServerError", "an internal error occurred").with_status(500),
        ),
        FaultKind::Hang
        | FaultKind::Reset
        | FaultKind::TruncatedPage
        | FaultKind::RepeatedToken
        | FaultKind::EmptyPageWithToken
        | FaultKind::MalformedBody
        | FaultKind::WrongType
        | FaultKind::ClockSkew => None,
    }
}

fn denied(caller: &Caller, call: &Call<'_>) -> ApiError {
    ApiError::new(
        "AccessDeniedException",
        format!(
            "User: {} is not authorized to perform: {}:{} because no identity-based policy allows the {}:{} action",
            caller.arn(call.account),
            call.service,
            call.operation,
            call.service,
            call.operation
        ),
    )
}

/// Breaks the encoded answer where the fault says so.
fn broken(
    struck: Option<FaultKind>,
    codec: Codec,
    model: &protocol::model::Model,
    operation: &Operation,
    mut answer: Value,
    mut encoded: Encoded,
) -> Encoded {
    match struck {
        Some(FaultKind::MalformedBody) => {
            let half = encoded.body.len() / 2;
            encoded.body.truncate(half.max(1));
        }
        Some(FaultKind::WrongType) => {
            fault::mistype(model, operation, &mut answer);
            encoded.body = match codec {
                Codec::Json | Codec::Rest => answer.to_string().into_bytes(),
                Codec::Query => b"<unexpected/>".to_vec(),
            };
        }
        Some(
            FaultKind::AccessDenied
            | FaultKind::Throttled
            | FaultKind::ThrottledAbove(_)
            | FaultKind::ServerError
            | FaultKind::Hang
            | FaultKind::Reset
            | FaultKind::TruncatedPage
            | FaultKind::RepeatedToken
            | FaultKind::EmptyPageWithToken
            | FaultKind::ClockSkew
            | FaultKind::SignatureExpired,
        )
        | None => {}
    }
    encoded
}

/// The credential scope of a signature.
struct Scope {
    access_key: String,
    region: String,
    service: String,
}

impl Scope {
    fn of(wire: &Wire<'_>) -> Option<Self> {
        let header = wire.header("authorization")?;
        let (_, rest) = header.split_once("Credential=")?;
        let credential = rest.split([',', ' ']).next()?;
        let mut parts = credential.rsplit('/');
        let (_request, service, region, _date) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        Some(Self {
            access_key: parts.next()?.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
        })
    }
}

fn find_service(wire: &Wire<'_>, scope: Option<&Scope>) -> Result<&'static Service, ApiError> {
    let target = wire.header("x-amz-target");
    let found = match (scope, target) {
        (Some(scope), _) => catalog::by_signing(&scope.service),
        (None, Some(target)) => catalog::by_target(target),
        (None, None) if wire.path.contains("/functions") => catalog::by_signing("lambda"),
        (None, None) => None,
    };
    found.ok_or_else(|| {
        let name = scope.map_or(wire.path, |scope| scope.service.as_str());
        ApiError::new(
            "UnknownServiceException",
            format!("the lab does not serve `{name}`"),
        )
        .with_status(404)
    })
}

fn response(encoded: Encoded, now: DateTime<Utc>, request_id: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(encoded.body)));
    if let Ok(status) = http::StatusCode::from_u16(encoded.status) {
        *response.status_mut() = status;
    }
    let fixed = [
        ("date".to_owned(), http_date(now)),
        ("x-amzn-requestid".to_owned(), request_id.to_owned()),
    ];
    // What an answer says itself comes last and stands.
    for (name, value) in fixed.into_iter().chain(encoded.headers) {
        let name = http::HeaderName::try_from(name);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn http_date(at: DateTime<Utc>) -> String {
    at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    reason = "a test that can't set itself up has failed"
)]
mod every_operation;
