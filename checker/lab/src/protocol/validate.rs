//! Whether a value fits a shape: the strictness of the lab.
//!
//! Inputs are checked completely (unknown, missing, mistyped, out of range, not of
//! the enumeration, not of the pattern where it is simple). Answers are checked
//! for unknown, missing and mistyped members, so that a handler can't invent a
//! field that AWS doesn't have. Messages name the member and never its value: it
//! may be a secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::model::{Kind, Model, Shape};
use crate::service::ApiError;

/// Longer texts are not matched against patterns: they are documents, and handlers parse them.
const PATTERN_LIMIT: usize = 2048;

/// Checks a request's input.
pub(crate) fn input(
    model: &Model,
    shape: Option<&str>,
    input: &Map<String, Value>,
) -> Result<(), ApiError> {
    let Some(shape) = shape else {
        return match input.keys().next() {
            None => Ok(()),
            Some(member) => Err(refused(&format!("unknown member `{member}`"))),
        };
    };
    let check = Check {
        model,
        strict: true,
    };
    check
        .named(shape, &mut Place::default(), &Value::Object(input.clone()))
        .map_err(|problem| refused(&problem))
}

/// Checks a handler's answer.
pub(crate) fn output(
    model: &Model,
    operation: &str,
    shape: Option<&str>,
    answer: &Value,
) -> Result<(), ApiError> {
    let Some(shape) = shape else {
        return Ok(());
    };
    let check = Check {
        model,
        strict: false,
    };
    check
        .named(shape, &mut Place::default(), answer)
        .map_err(|problem| {
            ApiError::internal(format!(
                "the lab's answer to `{operation}` does not fit AWS's model: {problem}"
            ))
        })
}

fn refused(problem: &str) -> ApiError {
    ApiError::new(
        "ValidationException",
        format!("1 validation error detected: {problem}"),
    )
}

struct Check<'a> {
    model: &'a Model,
    strict: bool,
}

/// Where in the value we are, for the message.
#[derive(Default)]
struct Place(Vec<String>);

impl Place {
    fn text(&self) -> String {
        let text = self.0.concat();
        text.trim_start_matches('.').to_owned()
    }

    fn at(&self, problem: &str) -> String {
        format!("value at `{}` {problem}", self.text())
    }

    fn inside<T>(&mut self, step: String, check: impl FnOnce(&mut Self) -> T) -> T {
        self.0.push(step);
        let result = check(self);
        self.0.pop();
        result
    }
}

type Checked = Result<(), String>;

impl Check<'_> {
    fn named(&self, name: &str, place: &mut Place, value: &Value) -> Checked {
        let shape = self
            .model
            .shape(name)
            .ok_or_else(|| format!("the model lacks the shape `{name}`"))?;
        self.shape(shape, place, value)
    }

    fn shape(&self, shape: &Shape, place: &mut Place, value: &Value) -> Checked {
        match (shape.kind, value) {
            (Kind::Structure, Value::Object(object)) => self.structure(shape, place, object),
            (Kind::List, Value::Array(items)) => self.list(shape, place, items),
            (Kind::Map, Value::Object(object)) => self.map(shape, place, object),
            (Kind::String, Value::String(text)) => self.text(shape, place, text),
            (Kind::Integer | Kind::Long, Value::Number(number))
                if number.is_i64() || number.is_u64() =>
            {
                self.range(shape, place, number.as_f64(), "value")
            }
            (Kind::Float | Kind::Double, Value::Number(number)) => {
                self.range(shape, place, number.as_f64(), "value")
            }
            (Kind::Timestamp, Value::Number(_)) | (Kind::Boolean, Value::Bool(_)) => Ok(()),
            (Kind::Blob, Value::String(text)) => match STANDARD.decode(text) {
                Ok(bytes) => self.range(shape, place, count(bytes.len()), "length"),
                Err(_) => Err(place.at("is not base64")),
            },
            (
                kind @ (Kind::Structure
                | Kind::List
                | Kind::Map
                | Kind::String
                | Kind::Integer
                | Kind::Long
                | Kind::Float
                | Kind::Double
                | Kind::Boolean
                | Kind::Blob
                | Kind::Timestamp),
                _,
            ) => Err(place.at(&format!("is not a {}", kind_name(kind)))),
        }
    }

    fn structure(&self, shape: &Shape, place: &mut Place, object: &Map<String, Value>) -> Checked {
        for (name, value) in object {
            let Some(member) = shape.members.get(name) else {
                return place.inside(format!(".{name}"), |place| {
                    Err(format!("unknown member `{}`", place.text()))
                });
            };
            place.inside(format!(".{name}"), |place| {
                self.named(&member.shape, place, value)
            })?;
        }
        for name in &shape.required {
            if !object.contains_key(name) {
                return place.inside(format!(".{name}"), |place| {
                    Err(place.at(
                        "failed to satisfy constraint: Member must not be null (it is missing)",
                    ))
                });
            }
        }
        if shape.union && object.len() != 1 {
            return Err(place.at("must have exactly one member"));
        }
        Ok(())
    }

    fn list(&self, shape: &Shape, place: &mut Place, items: &[Value]) -> Checked {
        self.range(shape, place, count(items.len()), "length")?;
        let Some(member) = &shape.member else {
            return Ok(());
        };
        for (at, item) in items.iter().enumerate() {
            place.inside(format!("[{at}]"), |place| {
                self.named(&member.shape, place, item)
            })?;
        }
        Ok(())
    }

    fn map(&self, shape: &Shape, place: &mut Place, object: &Map<String, Value>) -> Checked {
        self.range(shape, place, count(object.len()), "length")?;
        for (name, value) in object {
            place.inside(format!(".{name}"), |place| {
                if let Some(key) = &shape.key {
                    self.named(&key.shape, place, &Value::from(name.as_str()))?;
                }
                match &shape.value {
                    Some(reference) => self.named(&reference.shape, place, value),
                    None => Ok(()),
                }
            })?;
        }
        Ok(())
    }

    fn text(&self, shape: &Shape, place: &Place, text: &str) -> Checked {
        if !shape.values.is_empty() && !shape.values.iter().any(|value| value == text) {
            return Err(place.at(&format!(
                "failed to satisfy constraint: Member must satisfy enum value set: [{}]",
                shape.values.join(", ")
            )));
        }
        self.range(shape, place, count(text.chars().count()), "length")?;
        if !self.strict || text.len() > PATTERN_LIMIT {
            return Ok(());
        }
        match shape.regex() {
            Some(regex) if !regex.is_match(text) => Err(place.at(&format!(
                "failed to satisfy constraint: Member must satisfy regular expression pattern: {}",
                shape.pattern.as_deref().unwrap_or_default()
            ))),
            Some(_) | None => Ok(()),
        }
    }

    fn range(&self, shape: &Shape, place: &Place, size: Option<f64>, what: &str) -> Checked {
        let (true, Some(size)) = (self.strict, size) else {
            return Ok(());
        };
        if let Some(min) = shape.min.filter(|min| size < *min) {
            return Err(place.at(&format!(
                "failed to satisfy constraint: Member must have {what} greater than or equal to {min}"
            )));
        }
        if let Some(max) = shape.max.filter(|max| size > *max) {
            return Err(place.at(&format!(
                "failed to satisfy constraint: Member must have {what} less than or equal to {max}"
            )));
        }
        Ok(())
    }
}

fn count(length: usize) -> Option<f64> {
    u32::try_from(length).ok().map(f64::from)
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Structure => "structure",
        Kind::List => "list",
        Kind::Map => "map",
        Kind::String => "string",
        Kind::Integer | Kind::Long => "whole number",
        Kind::Float | Kind::Double => "number",
        Kind::Boolean => "boolean",
        Kind::Blob => "blob (base64 text)",
        Kind::Timestamp => "timestamp (epoch seconds)",
    }
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    reason = "a test that can't set itself up has failed"
)]
mod tests {
    use super::*;
    use crate::catalog::SERVICES;
    use crate::service::ApiError;
    use serde_json::json;

    /// Generated from the models: every operation of every service gets a member that it does not know.
    #[test]
    fn every_operation_refuses_an_unknown_member_by_name() {
        let mut operations = 0;
        for service in &SERVICES {
            let model = service.model().unwrap();
            for operation in model.operations.values() {
                let unknown = json!({"NoSuchMember": "x"});
                let error = refusal(
                    model,
                    operation.input.as_ref().map(|it| it.shape.as_str()),
                    &unknown,
                );
                assert!(
                    error.message.contains("NoSuchMember"),
                    "{}:{}: {}",
                    service.prefix,
                    operation.name,
                    error.message
                );
                operations += 1;
            }
        }
        assert!(operations > 150, "only {operations} operations");
    }

    /// Generated from the models: every enumerated member at any depth gets a value outside its enumeration.
    #[test]
    fn every_enumerated_member_refuses_another_value_by_name() {
        let mut members = 0;
        for service in &SERVICES {
            let model = service.model().unwrap();
            for operation in model.operations.values() {
                let Some(input) = &operation.input else {
                    continue;
                };
                for (path, value) in wrong_values(model, &input.shape, &mut Vec::new()) {
                    let error = refusal(model, Some(&input.shape), &value);
                    assert!(
                        error.message.contains(&path),
                        "{}:{}: {path}: {}",
                        service.prefix,
                        operation.name,
                        error.message
                    );
                    members += 1;
                }
            }
        }
        assert!(members > 50, "only {members} enumerated members");
    }

    fn refusal(model: &Model, shape: Option<&str>, value: &Value) -> ApiError {
        input(model, shape, value.as_object().unwrap()).unwrap_err()
    }

    /// Inputs that are wrong in one enumerated place each, with the name of the member nearest to it.
    fn wrong_values(model: &Model, name: &str, above: &mut Vec<String>) -> Vec<(String, Value)> {
        if above.iter().any(|outer| outer == name) {
            return Vec::new();
        }
        above.push(name.to_owned());
        let shape = model.shape(name).unwrap();
        let mut found = Vec::new();
        if shape.kind == Kind::String && !shape.values.is_empty() {
            found.push((String::new(), json!("no-such-value")));
        }
        for (member, reference) in &shape.members {
            for (path, value) in wrong_values(model, &reference.shape, above) {
                let nearest = if path.is_empty() {
                    member.clone()
                } else {
                    path
                };
                let mut object = Map::new();
                object.insert(member.clone(), value);
                found.push((nearest, Value::Object(object)));
            }
        }
        if let Some(member) = &shape.member {
            for (path, value) in wrong_values(model, &member.shape, above) {
                found.push((path, json!([value])));
            }
        }
        above.pop();
        found
    }
}
