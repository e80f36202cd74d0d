//! From bytes on the wire to a validated input, and from an answer to bytes.
//!
//! Three small codecs (AWS JSON, Query, REST-JSON), all driven by AWS's own service
//! models. The codec is chosen by what the client sent, as AWS
//! does it for services with several protocols. Validation is one function for all
//! of them and works on the protocol-neutral form described in [`crate::service`].
//!
//! What the models don't say (name rules, staging labels, reserved sources) is the
//! handlers' work.

pub(crate) mod model;
pub(crate) mod query;
pub(crate) mod rest;
pub(crate) mod validate;

use serde_json::{Map, Value, json};

use crate::service::ApiError;
use model::{Model, Operation};

/// How one request is encoded; the answer is encoded the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    /// `X-Amz-Target` and a JSON body.
    Json,
    /// A form with `Action`, answered in XML.
    Query,
    /// HTTP paths and a JSON body.
    Rest,
}

/// The parts of an HTTP request that the codecs look at.
#[derive(Debug)]
pub(crate) struct Wire<'a> {
    pub(crate) method: &'a str,
    /// The path, still percent-encoded.
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a http::HeaderMap,
    pub(crate) body: &'a [u8],
}

/// An encoded answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Wire<'_> {
    /// A header's text, when it is there and readable.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Which codec the client speaks.
    pub(crate) fn codec(&self) -> Codec {
        if self.headers.contains_key("x-amz-target") {
            return Codec::Json;
        }
        let form = self
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        if form && self.path == "/" {
            return Codec::Query;
        }
        Codec::Rest
    }
}

/// The operation that a request asks for, by name.
pub(crate) fn operation(codec: Codec, model: &Model, wire: &Wire<'_>) -> Result<String, ApiError> {
    match codec {
        Codec::Json => {
            let target = wire.header("x-amz-target").unwrap_or_default();
            let (prefix, name) = target.rsplit_once('.').unwrap_or(("", target));
            // CloudTrail's clients send the last part of its prefix only; AWS takes both.
            let full = model.metadata.target_prefix.as_str();
            if prefix == full || Some(prefix) == full.rsplit('.').next() {
                Ok(name.to_owned())
            } else {
                Err(unknown(target))
            }
        }
        Codec::Query => query::action(wire.body),
        Codec::Rest => rest::route(model, wire)
            .map(|operation| operation.name.clone())
            .ok_or_else(|| unknown(&format!("{} {}", wire.method, wire.path))),
    }
}

/// The input of a request in the protocol-neutral form, validated.
pub(crate) fn decode(
    codec: Codec,
    model: &Model,
    operation: &Operation,
    wire: &Wire<'_>,
) -> Result<Map<String, Value>, ApiError> {
    let shape = operation.input.as_ref().map(|input| input.shape.as_str());
    let mut input = match codec {
        Codec::Json => object(wire.body)?,
        Codec::Query => query::decode(model, shape, wire.body)?,
        Codec::Rest => rest::decode(model, operation, wire)?,
    };
    drop_nulls(&mut input);
    validate::input(model, shape, &input)?;
    Ok(input)
}

/// An answer, checked against the output shape and encoded.
pub(crate) fn encode(
    codec: Codec,
    model: &Model,
    operation: &Operation,
    answer: &Value,
    request_id: &str,
) -> Result<Encoded, ApiError> {
    let shape = operation
        .output
        .as_ref()
        .map(|output| output.shape.as_str());
    validate::output(model, &operation.name, shape, answer)?;
    Ok(match codec {
        Codec::Json => Encoded {
            status: 200,
            headers: vec![(
                "content-type".to_owned(),
                format!(
                    "application/x-amz-json-{}",
                    model.metadata.json_version.as_deref().unwrap_or("1.1")
                ),
            )],
            body: if shape.is_some() {
                answer.to_string().into_bytes()
            } else {
                b"{}".to_vec()
            },
        },
        Codec::Query => query::encode(model, operation, answer, request_id),
        Codec::Rest => rest::encode(model, operation, answer),
    })
}

/// A refusal, encoded.
pub(crate) fn refuse(
    codec: Codec,
    model: Option<&Model>,
    error: &ApiError,
    request_id: &str,
) -> Encoded {
    let known = model.and_then(|model| model.error(&error.code));
    let status = known
        .filter(|_| error.status == 400)
        .and_then(|known| known.status)
        .unwrap_or(error.status);
    let shape = known.map_or(error.code.as_str(), |known| known.shape);
    let code = known.map_or(error.code.as_str(), |known| known.code);
    let message = error.message.as_str();
    let mut headers = Vec::new();
    if model.is_some_and(|model| model.metadata.aws_query_compatible.is_some()) {
        let side = if status < 500 { "Sender" } else { "Receiver" };
        headers.push(("x-amzn-query-error".to_owned(), format!("{code};{side}")));
    }
    match codec {
        Codec::Json => {
            headers.push(content_type("application/x-amz-json-1.1"));
            Encoded {
                status,
                headers,
                body: json!({"__type": shape, "message": message})
                    .to_string()
                    .into_bytes(),
            }
        }
        Codec::Rest => {
            headers.push(content_type("application/json"));
            headers.push(("x-amzn-errortype".to_owned(), shape.to_owned()));
            let side = if status < 500 { "User" } else { "Service" };
            Encoded {
                status,
                headers,
                body: json!({"Type": side, "Message": message})
                    .to_string()
                    .into_bytes(),
            }
        }
        Codec::Query => query::refuse(model, status, code, message, request_id),
    }
}

/// A JSON object, or the serialization error that AWS answers.
pub(crate) fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        // The parser's own text could quote the body, and the body can hold a secret.
        Ok(_) | Err(_) => Err(ApiError::new(
            "SerializationException",
            "the body is not a JSON object",
        )),
    }
}

fn content_type(kind: &str) -> (String, String) {
    ("content-type".to_owned(), kind.to_owned())
}

fn unknown(what: &str) -> ApiError {
    ApiError::new(
        "UnknownOperationException",
        format!("the lab does not serve `{what}`"),
    )
    .with_status(404)
}

/// A member set to null is a member that was not given.
fn drop_nulls(object: &mut Map<String, Value>) {
    object.retain(|_, value| !value.is_null());
    for value in object.values_mut() {
        if let Value::Object(inner) = value {
            drop_nulls(inner);
        }
    }
}
