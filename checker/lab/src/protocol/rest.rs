//! The REST-JSON protocol: HTTP paths, query strings, headers and a JSON body (Lambda).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};

use super::model::{Kind, Location, Model, Operation, Reference};
use super::query::decode_percent;
use super::{Encoded, Wire, object};
use crate::service::ApiError;

/// The operation that a method and path name; the one with most literal steps wins.
pub(crate) fn route<'a>(model: &'a Model, wire: &Wire<'_>) -> Option<&'a Operation> {
    model
        .operations
        .values()
        .filter(|operation| operation.http.method == wire.method)
        .filter(|operation| labels(&operation.http.request_uri, wire.path).is_some())
        .max_by_key(|operation| {
            steps(&operation.http.request_uri)
                .filter(|step| !step.starts_with('{'))
                .count()
        })
}

/// The input that a request's path, query, headers and body hold.
pub(crate) fn decode(
    model: &Model,
    operation: &Operation,
    wire: &Wire<'_>,
) -> Result<Map<String, Value>, ApiError> {
    let mut input = Map::new();
    let shape = operation
        .input
        .as_ref()
        .and_then(|reference| model.shape(&reference.shape));
    let Some(shape) = shape else {
        return Ok(input);
    };
    let labels = labels(&operation.http.request_uri, wire.path).unwrap_or_default();
    for (name, value) in labels {
        let member = shape.members.iter().find(|(member, reference)| {
            reference.location == Some(Location::Uri) && wire_name(member, reference) == name
        });
        if let Some((member, reference)) = member {
            let text = decode_percent(value, false)?;
            input.insert(member.clone(), scalar(model, reference, member, &text)?);
        }
    }
    for pair in wire.query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, text) = (decode_percent(name, true)?, decode_percent(text, true)?);
        let member = shape.members.iter().find(|(member, reference)| {
            reference.location == Some(Location::QueryString)
                && wire_name(member, reference) == name
        });
        let Some((member, reference)) = member else {
            return Err(unknown(&name));
        };
        let repeated = model
            .shape(&reference.shape)
            .filter(|shape| shape.kind == Kind::List)
            .and_then(|shape| shape.member.as_ref());
        match repeated {
            None => {
                input.insert(member.clone(), scalar(model, reference, member, &text)?);
            }
            Some(inner) => {
                let item = scalar(model, inner, member, &text)?;
                let rows = input
                    .entry(member.clone())
                    .or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(rows) = rows {
                    rows.push(item);
                }
            }
        }
    }
    for (member, reference) in &shape.members {
        if reference.location == Some(Location::Header)
            && let Some(text) = wire.header(wire_name(member, reference))
        {
            input.insert(member.clone(), scalar(model, reference, member, text)?);
        }
    }
    body(model, operation, wire, &mut input)?;
    Ok(input)
}

/// The status, headers and body of an answer.
pub(crate) fn encode(model: &Model, operation: &Operation, answer: &Value) -> Encoded {
    let mut encoded = Encoded {
        status: operation.http.response_code.unwrap_or(200),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: Vec::new(),
    };
    let shape = operation
        .output
        .as_ref()
        .and_then(|reference| model.shape(&reference.shape));
    let (Some(shape), Some(members)) = (shape, answer.as_object()) else {
        return encoded;
    };
    let mut object = Map::new();
    for (member, value) in members {
        let Some(reference) = shape.members.get(member) else {
            continue;
        };
        let name = wire_name(member, reference);
        match reference.location {
            Some(Location::StatusCode) => {
                if let Some(status) = value.as_u64().and_then(|code| u16::try_from(code).ok()) {
                    encoded.status = status;
                }
            }
            Some(Location::Header | Location::Headers) => {
                let text = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                encoded.headers.push((name.to_lowercase(), text));
            }
            Some(Location::Uri | Location::QueryString) => {}
            None if shape.payload.as_deref() == Some(member) => {
                encoded.body = match value.as_str() {
                    Some(text) => STANDARD.decode(text).unwrap_or_default(),
                    None => value.to_string().into_bytes(),
                };
            }
            None => {
                object.insert(name.to_owned(), value.clone());
            }
        }
    }
    if shape.payload.is_none() && encoded.status != 204 {
        encoded.body = Value::Object(object).to_string().into_bytes();
    }
    encoded
}

fn body(
    model: &Model,
    operation: &Operation,
    wire: &Wire<'_>,
    input: &mut Map<String, Value>,
) -> Result<(), ApiError> {
    let shape = operation
        .input
        .as_ref()
        .and_then(|reference| model.shape(&reference.shape));
    let Some(shape) = shape else { return Ok(()) };
    if let Some(payload) = &shape.payload {
        if wire.body.is_empty() {
            return Ok(());
        }
        let blob = shape
            .members
            .get(payload)
            .and_then(|reference| model.shape(&reference.shape))
            .is_some_and(|shape| shape.kind == Kind::Blob);
        let value = if blob {
            Value::from(STANDARD.encode(wire.body))
        } else {
            Value::Object(object(wire.body)?)
        };
        input.insert(payload.clone(), value);
        return Ok(());
    }
    for (name, value) in object(wire.body)? {
        let member = shape.members.iter().find(|(member, reference)| {
            reference.location.is_none() && wire_name(member, reference) == name
        });
        let Some((member, _)) = member else {
            return Err(unknown(&name));
        };
        input.insert(member.clone(), value);
    }
    Ok(())
}

fn unknown(name: &str) -> ApiError {
    ApiError::new("ValidationException", format!("unknown member `{name}`"))
}

fn wire_name<'a>(member: &'a str, reference: &'a Reference) -> &'a str {
    reference.location_name.as_deref().unwrap_or(member)
}

fn scalar(
    model: &Model,
    reference: &Reference,
    member: &str,
    text: &str,
) -> Result<Value, ApiError> {
    let mistyped = || {
        ApiError::new(
            "ValidationException",
            format!("value at `{member}` is mistyped"),
        )
    };
    let kind = model
        .shape(&reference.shape)
        .map_or(Kind::String, |shape| shape.kind);
    Ok(match kind {
        Kind::Integer | Kind::Long => Value::from(text.parse::<i64>().map_err(|_| mistyped())?),
        Kind::Float | Kind::Double => text
            .parse::<f64>()
            .ok()
            .and_then(Number::from_f64)
            .map(Value::Number)
            .ok_or_else(mistyped)?,
        Kind::Boolean => Value::from(text.parse::<bool>().map_err(|_| mistyped())?),
        Kind::String | Kind::Blob | Kind::Structure | Kind::List | Kind::Map | Kind::Timestamp => {
            Value::from(text)
        }
    })
}

fn steps(template: &str) -> impl Iterator<Item = &str> {
    template
        .split('?')
        .next()
        .unwrap_or_default()
        .split('/')
        .filter(|step| !step.is_empty())
}

/// The labels of a template in a path, still percent-encoded; `None` when they don't match.
fn labels<'a>(template: &'a str, path: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
    let mut given = path.split('/').filter(|step| !step.is_empty());
    let mut labels = Vec::new();
    for step in steps(template) {
        let text = given.next()?;
        match step.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
            Some(name) => labels.push((name.trim_end_matches('+'), text)),
            None if step == text => {}
            None => return None,
        }
    }
    given.next().is_none().then_some(labels)
}
