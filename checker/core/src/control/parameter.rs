//! Parameters of controls: typed values that an organisation may set within bounds.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use super::read::{At, Loose, Named, Reader};
use super::written::{self, ParameterType};
use super::yaml::Place;
use crate::duration::Duration;
use crate::expression::types::{Field, Type, map};

/// A parameter with the value that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: ParameterType,
    /// Its value in this run: an override, the stage's, or the default.
    pub value: ParameterValue,
    /// Its value where nothing else is set.
    pub default: ParameterValue,
    /// Its values where a stage has one of its own.
    pub stages: BTreeMap<String, ParameterValue>,
    /// The lowest allowed value.
    pub min: Option<ParameterValue>,
    /// The highest allowed value.
    pub max: Option<ParameterValue>,
    /// Why it has this value and these bounds.
    pub why: Option<String>,
}

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd)]
pub enum ParameterValue {
    /// A length of time.
    Duration(Duration),
    /// A whole number.
    Int(i64),
    /// Text.
    Text(String),
    /// True or false.
    Bool(bool),
    /// Texts.
    List(Vec<String>),
}

impl fmt::Display for ParameterValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duration(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Text(value) => f.write_str(value),
            Self::Bool(value) => value.fmt(f),
            Self::List(values) => f.write_str(&values.join(", ")),
        }
    }
}

impl ParameterValue {
    /// Reads a value of a type.
    fn parse(kind: ParameterType, loose: &Loose) -> Result<Self, String> {
        let wrong = |found: &str| format!("expected {}, found {found}", words(kind));
        match (kind, loose) {
            (ParameterType::List, Loose::Many(values)) => Ok(Self::List(values.clone())),
            (ParameterType::List, Loose::One(text, _)) => Err(wrong(&format!("`{text}`"))),
            (_, Loose::Many(_)) => Err(wrong("a list")),
            (ParameterType::Duration, Loose::One(text, _)) => text
                .parse()
                .map(Self::Duration)
                .map_err(|error: crate::duration::DurationError| error.to_string()),
            (ParameterType::Int, Loose::One(text, plain)) => match text.parse() {
                Ok(number) if *plain => Ok(Self::Int(number)),
                Ok(_) | Err(_) => Err(wrong(&format!("`{text}`"))),
            },
            (ParameterType::Bool, Loose::One(text, plain)) => match (plain, text.as_str()) {
                (true, "true") => Ok(Self::Bool(true)),
                (true, "false") => Ok(Self::Bool(false)),
                _ => Err(wrong(&format!("`{text}`"))),
            },
            (ParameterType::Text, Loose::One(text, _)) => Ok(Self::Text(text.clone())),
        }
    }

    /// Reads an override from the command line; a list is separated by commas.
    fn parse_override(kind: ParameterType, text: &str) -> Result<Self, String> {
        let loose = match kind {
            ParameterType::List => {
                Loose::Many(text.split(',').map(|item| item.trim().to_owned()).collect())
            }
            ParameterType::Duration
            | ParameterType::Int
            | ParameterType::Text
            | ParameterType::Bool => Loose::One(text.to_owned(), true),
        };
        Self::parse(kind, &loose)
    }

    /// The value for conditions.
    fn value(&self) -> cel::Value {
        let text = |text: &String| cel::Value::String(Arc::new(text.clone()));
        match self {
            Self::Duration(value) => cel::Value::Duration(value.as_delta()),
            Self::Int(value) => cel::Value::Int(*value),
            Self::Text(value) => text(value),
            Self::Bool(value) => cel::Value::Bool(*value),
            Self::List(values) => cel::Value::List(Arc::new(values.iter().map(text).collect())),
        }
    }
}

fn words(kind: ParameterType) -> &'static str {
    match kind {
        ParameterType::Duration => "a duration",
        ParameterType::Int => "a whole number",
        ParameterType::Text => "text",
        ParameterType::Bool => "true or false",
        ParameterType::List => "a list",
    }
}

impl Parameter {
    /// Whether a value is within the bounds; the message says which bound is broken.
    fn within(&self, value: &ParameterValue) -> Result<(), String> {
        if let Some(min) = self.min.as_ref().filter(|min| value < min) {
            return Err(format!("`{value}` is below the minimum `{min}`"));
        }
        if let Some(max) = self.max.as_ref().filter(|max| value > max) {
            return Err(format!("`{value}` is above the maximum `{max}`"));
        }
        Ok(())
    }

    /// Sets the value from text; the message says why that is not possible.
    pub(super) fn set(&mut self, text: &str) -> Result<(), String> {
        let value = ParameterValue::parse_override(self.kind, text)?;
        self.within(&value)?;
        self.value = value;
        Ok(())
    }
}

/// The type of `params`: as declared, so that an error in a value is not reported again where it is used.
pub(super) fn ty(written: Option<&Named<written::Parameter>>) -> Type {
    let field = |(name, parameter): &(At<String>, written::Parameter)| {
        let ty = match parameter.ty {
            ParameterType::Duration => Type::Duration,
            ParameterType::Int => Type::Int,
            ParameterType::Text => Type::Text,
            ParameterType::Bool => Type::Bool,
            ParameterType::List => Type::List(Box::new(Type::Text)),
        };
        Field::new(
            name.value.clone(),
            parameter.why.clone().unwrap_or_default(),
            ty,
        )
    };
    let fields = written
        .into_iter()
        .flat_map(|Named(entries)| entries)
        .map(field)
        .collect();
    Type::object("params", "The parameters of the control.", fields)
}

/// The value of `params`.
pub(super) fn value(parameters: &[Parameter]) -> cel::Value {
    let entries: HashMap<String, cel::Value> = parameters
        .iter()
        .map(|parameter| (parameter.name.clone(), parameter.value.value()))
        .collect();
    map(entries)
}

/// Proves the parameters of a control, for a stage.
pub(super) fn prove(
    written: Option<&Named<written::Parameter>>,
    stage: &str,
    reader: &Reader<'_>,
) -> Vec<Parameter> {
    let Some(Named(entries)) = written else {
        return Vec::new();
    };
    entries
        .iter()
        .filter_map(|(name, parameter)| prove_one(name, parameter, stage, reader))
        .collect()
}

fn prove_one(
    name: &At<String>,
    written: &written::Parameter,
    stage: &str,
    reader: &Reader<'_>,
) -> Option<Parameter> {
    if !is_identifier(&name.value) {
        return reader.fail(
            name.place,
            format!("`{}` is no name of a parameter", name.value),
            Some("write lower-case letters, digits and `_`, like `max_age`".to_owned()),
        );
    }
    let parse = |at: &At<Loose>| -> Option<ParameterValue> {
        ParameterValue::parse(written.ty, &at.value)
            .map_or_else(|message| reader.fail(at.place, message, None), Some)
    };
    let bound = |at: Option<&At<Loose>>| -> Option<Option<ParameterValue>> {
        let Some(at) = at else { return Some(None) };
        match written.ty {
            ParameterType::Duration | ParameterType::Int => parse(at).map(Some),
            ParameterType::Text | ParameterType::Bool | ParameterType::List => {
                reader.fail(at.place, format!("a {} has no bounds", written.ty), None)
            }
        }
    };
    let (default, min, max) = (
        parse(&written.default),
        bound(written.min.as_ref()),
        bound(written.max.as_ref()),
    );
    let default = default?;
    let mut parameter = Parameter {
        name: name.value.clone(),
        kind: written.ty,
        value: default.clone(),
        default,
        stages: BTreeMap::new(),
        min: min?,
        max: max?,
        why: written.why.clone(),
    };
    let check = |parameter: &Parameter, value: &ParameterValue, place: Place| -> Option<()> {
        parameter
            .within(value)
            .map_or_else(|message| reader.fail(place, message, None), Some)
    };
    check(&parameter, &parameter.default, written.default.place)?;
    for (name, at) in written.stages.iter().flat_map(|stages| &stages.0) {
        let value = parse(at)?;
        check(&parameter, &value, at.place)?;
        if name.value == stage {
            parameter.value = value.clone();
        }
        parameter.stages.insert(name.value.clone(), value);
    }
    Some(parameter)
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !matches!(name, "in" | "true" | "false" | "null" | "has")
}
