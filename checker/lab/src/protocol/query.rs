//! The Query protocol: a form in, XML out (IAM, STS, SNS).
//!
//! Keys like `Tags.member.1.Key` become the protocol-neutral value that the input
//! shape describes. A key that the shape doesn't know is an error that names it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Number, Value};

use super::Encoded;
use super::model::{Kind, Model, Operation, Reference, Shape};
use crate::service::ApiError;

/// The `Action` of a form.
pub(crate) fn action(body: &[u8]) -> Result<String, ApiError> {
    pairs(body)?
        .into_iter()
        .find(|(name, _)| name == "Action")
        .map(|(_, value)| value)
        .ok_or_else(|| ApiError::new("MissingAction", "the form has no `Action`"))
}

/// The input that a form holds.
pub(crate) fn decode(
    model: &Model,
    shape: Option<&str>,
    body: &[u8],
) -> Result<Map<String, Value>, ApiError> {
    let mut root = Node::default();
    for (name, value) in pairs(body)? {
        if name != "Action" && name != "Version" {
            root.put(&name, value);
        }
    }
    let Some(shape) = shape.and_then(|name| model.shape(name)) else {
        return match root.children.keys().next() {
            None => Ok(Map::new()),
            Some(name) => Err(unknown(name)),
        };
    };
    structure(model, shape, &root, "")
}

/// The XML of an answer.
pub(crate) fn encode(
    model: &Model,
    operation: &Operation,
    answer: &Value,
    request_id: &str,
) -> Encoded {
    let name = &operation.name;
    let mut xml = String::new();
    open(
        &mut xml,
        &format!("{name}Response xmlns=\"{}\"", namespace(Some(model))),
    );
    if let Some(output) = &operation.output {
        let wrapper = output
            .result_wrapper
            .clone()
            .unwrap_or_else(|| format!("{name}Result"));
        open(&mut xml, &wrapper);
        if let Some(shape) = model.shape(&output.shape) {
            content(model, shape, answer, &mut xml);
        }
        close(&mut xml, &wrapper);
    }
    open(&mut xml, "ResponseMetadata");
    leaf(&mut xml, "RequestId", request_id);
    close(&mut xml, "ResponseMetadata");
    close(&mut xml, &format!("{name}Response"));
    answer_of(200, xml)
}

/// The XML of a refusal.
pub(crate) fn refuse(
    model: Option<&Model>,
    status: u16,
    code: &str,
    message: &str,
    request_id: &str,
) -> Encoded {
    let mut xml = String::new();
    open(
        &mut xml,
        &format!("ErrorResponse xmlns=\"{}\"", namespace(model)),
    );
    open(&mut xml, "Error");
    leaf(
        &mut xml,
        "Type",
        if status < 500 { "Sender" } else { "Receiver" },
    );
    leaf(&mut xml, "Code", code);
    leaf(&mut xml, "Message", message);
    close(&mut xml, "Error");
    leaf(&mut xml, "RequestId", request_id);
    close(&mut xml, "ErrorResponse");
    answer_of(status, xml)
}

fn answer_of(status: u16, body: String) -> Encoded {
    Encoded {
        status,
        headers: vec![("content-type".to_owned(), "text/xml".to_owned())],
        body: body.into_bytes(),
    }
}

fn namespace(model: Option<&Model>) -> &str {
    model
        .and_then(|model| model.metadata.xml_namespace.as_deref())
        .unwrap_or("http://webservices.amazon.com/AWSFault/2005-15-09")
}

/// A form's names and values, percent-decoded.
fn pairs(body: &[u8]) -> Result<Vec<(String, String)>, ApiError> {
    let text = std::str::from_utf8(body)
        .map_err(|_| ApiError::new("MalformedInput", "the form is not UTF-8"))?;
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode_percent(name, true)?, decode_percent(value, true)?))
        })
        .collect()
}

/// Percent-decodes a text; `plus` says whether `+` stands for a blank.
pub(crate) fn decode_percent(text: &str, plus: bool) -> Result<String, ApiError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' if plus => b' ',
            b'%' => {
                let digits = (rest.next().and_then(hex), rest.next().and_then(hex));
                let (Some(high), Some(low)) = digits else {
                    return Err(ApiError::new(
                        "MalformedInput",
                        "a percent escape is broken",
                    ));
                };
                high * 16 + low
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes)
        .map_err(|_| ApiError::new("MalformedInput", "a percent-decoded text is not UTF-8"))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[derive(Default)]
struct Node {
    text: Option<String>,
    children: BTreeMap<String, Self>,
}

impl Node {
    fn put(&mut self, name: &str, value: String) {
        let mut node = self;
        for step in name.split('.') {
            node = node.children.entry(step.to_owned()).or_default();
        }
        node.text = Some(value);
    }

    /// The children `1`, `2`, ... in order.
    fn numbered(&self, path: &str) -> Result<Vec<&Self>, ApiError> {
        let mut rows = Vec::new();
        for (name, node) in &self.children {
            let at: usize = name
                .parse()
                .map_err(|_| unknown(&format!("{path}.{name}")))?;
            rows.push((at, node));
        }
        rows.sort_by_key(|(at, _)| *at);
        Ok(rows.into_iter().map(|(_, node)| node).collect())
    }
}

fn unknown(path: &str) -> ApiError {
    ApiError::new(
        "ValidationError",
        format!("unknown member `{}`", path.trim_start_matches('.')),
    )
}

fn structure(
    model: &Model,
    shape: &Shape,
    node: &Node,
    path: &str,
) -> Result<Map<String, Value>, ApiError> {
    let mut object = Map::new();
    for (name, child) in &node.children {
        let here = format!("{path}.{name}");
        let member = shape.members.iter().find(|(member, reference)| {
            reference.location_name.as_deref().unwrap_or(member) == name
        });
        let Some((member, reference)) = member else {
            return Err(unknown(&here));
        };
        object.insert(member.clone(), value(model, reference, child, &here)?);
    }
    Ok(object)
}

fn value(model: &Model, reference: &Reference, node: &Node, path: &str) -> Result<Value, ApiError> {
    let shape = model
        .shape(&reference.shape)
        .ok_or_else(|| ApiError::internal(format!("the model lacks `{}`", reference.shape)))?;
    let text = node.text.as_deref().unwrap_or_default();
    let mistyped = || ApiError::new("ValidationError", format!("`{path}` is mistyped"));
    Ok(match shape.kind {
        Kind::Structure => Value::Object(structure(model, shape, node, path)?),
        Kind::List => {
            let member = shape.member.as_ref().ok_or_else(mistyped)?;
            let empty = Node::default();
            let rows = if shape.flattened || reference.flattened {
                node
            } else {
                let step = member.location_name.as_deref().unwrap_or("member");
                only_child(node, step, path)?.unwrap_or(&empty)
            };
            let rows = rows.numbered(path)?;
            Value::Array(
                rows.into_iter()
                    .map(|row| value(model, member, row, path))
                    .collect::<Result<_, _>>()?,
            )
        }
        Kind::Map => {
            let (Some(key), Some(inner)) = (&shape.key, &shape.value) else {
                return Err(mistyped());
            };
            let empty = Node::default();
            let rows = if shape.flattened || reference.flattened {
                node
            } else {
                only_child(node, "entry", path)?.unwrap_or(&empty)
            };
            let mut object = Map::new();
            for row in rows.numbered(path)? {
                let key_name = key.location_name.as_deref().unwrap_or("key");
                let value_name = inner.location_name.as_deref().unwrap_or("value");
                let name = row.children.get(key_name).ok_or_else(mistyped)?;
                let held = row.children.get(value_name).ok_or_else(mistyped)?;
                object.insert(
                    name.text.clone().unwrap_or_default(),
                    value(model, inner, held, path)?,
                );
            }
            Value::Object(object)
        }
        Kind::String | Kind::Blob => {
            if !node.children.is_empty() {
                return Err(mistyped());
            }
            Value::from(text)
        }
        Kind::Integer | Kind::Long => Value::from(text.parse::<i64>().map_err(|_| mistyped())?),
        Kind::Float | Kind::Double => text
            .parse::<f64>()
            .ok()
            .and_then(Number::from_f64)
            .map(Value::Number)
            .ok_or_else(mistyped)?,
        Kind::Boolean => Value::from(text.parse::<bool>().map_err(|_| mistyped())?),
        Kind::Timestamp => crate::service::timestamp(
            DateTime::parse_from_rfc3339(text)
                .map_err(|_| mistyped())?
                .with_timezone(&Utc),
        ),
    })
}

/// The one child a list or map wraps its rows in; none for an empty list.
fn only_child<'a>(node: &'a Node, name: &str, path: &str) -> Result<Option<&'a Node>, ApiError> {
    match node.children.keys().find(|child| *child != name) {
        Some(other) => Err(unknown(&format!("{path}.{other}"))),
        None => Ok(node.children.get(name)),
    }
}

fn content(model: &Model, shape: &Shape, value: &Value, xml: &mut String) {
    match (shape.kind, value) {
        (Kind::Structure, Value::Object(object)) => {
            for (name, held) in object {
                if let Some(reference) = shape.members.get(name) {
                    member(model, reference, name, held, xml);
                }
            }
        }
        (Kind::Timestamp, held) => xml.push_str(&iso(held)),
        (_, Value::String(text)) => escape(text, xml),
        (_, held) => xml.push_str(&held.to_string()),
    }
}

fn member(model: &Model, reference: &Reference, name: &str, value: &Value, xml: &mut String) {
    let Some(shape) = model.shape(&reference.shape) else {
        return;
    };
    let name = reference.location_name.as_deref().unwrap_or(name);
    let flat = shape.flattened || reference.flattened;
    match (shape.kind, value) {
        (Kind::List, Value::Array(items)) => {
            let Some(inner) = &shape.member else { return };
            let step = inner.location_name.as_deref().unwrap_or("member");
            if !flat {
                open(xml, name);
            }
            for item in items {
                wrapped(model, inner, if flat { name } else { step }, item, xml);
            }
            if !flat {
                close(xml, name);
            }
        }
        (Kind::Map, Value::Object(object)) => {
            let (Some(key), Some(inner)) = (&shape.key, &shape.value) else {
                return;
            };
            if !flat {
                open(xml, name);
            }
            for (entry, held) in object {
                let step = if flat { name } else { "entry" };
                open(xml, step);
                leaf(xml, key.location_name.as_deref().unwrap_or("key"), entry);
                let value_name = inner.location_name.as_deref().unwrap_or("value");
                member(model, inner, value_name, held, xml);
                close(xml, step);
            }
            if !flat {
                close(xml, name);
            }
        }
        _ => wrapped(model, reference, name, value, xml),
    }
}

fn wrapped(model: &Model, reference: &Reference, name: &str, value: &Value, xml: &mut String) {
    if let Some(shape) = model.shape(&reference.shape) {
        open(xml, name);
        content(model, shape, value, xml);
        close(xml, name);
    }
}

/// Epoch seconds as the date-time text of the Query protocol.
pub(crate) fn iso(value: &Value) -> String {
    value
        .as_f64()
        .and_then(|seconds| {
            let nanos = std::time::Duration::try_from_secs_f64(seconds).ok()?;
            let millis = i64::try_from(nanos.as_millis()).ok()?;
            DateTime::<Utc>::from_timestamp_millis(millis)
        })
        .map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true))
        .unwrap_or_default()
}

fn open(xml: &mut String, name: &str) {
    // Writing to a string does not fail.
    write!(xml, "<{name}>").unwrap_or_default();
}

fn close(xml: &mut String, name: &str) {
    write!(xml, "</{name}>").unwrap_or_default();
}

fn leaf(xml: &mut String, name: &str, text: &str) {
    open(xml, name);
    escape(text, xml);
    close(xml, name);
}

fn escape(text: &str, xml: &mut String) {
    for character in text.chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\r' => xml.push_str("&#xD;"),
            other => xml.push(other),
        }
    }
}
