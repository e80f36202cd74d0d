//! The evaluated inputs of one resource, read by name, with a record of what was read.
//!
//! Whoever creates a resource takes each property from here. What nobody took was not applied, and [`Inputs::unread`]
//! names it, so that a property of the program is never dropped in silence.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use super::failure::Failure;
use crate::program::value::{Asset, Value};

/// The inputs of a resource, or of an object below them. Without `Debug`: it holds the values of secrets.
pub(super) struct Inputs {
    /// `a.b[0]`, empty at the top.
    path: String,
    values: BTreeMap<String, Value>,
    read: Arc<Mutex<BTreeSet<String>>>,
}

impl Inputs {
    /// Values with the marks of secrets taken off: they go to AWS and nowhere else.
    pub(super) fn new(values: &BTreeMap<String, Value>) -> Self {
        Self {
            path: String::new(),
            values: values
                .iter()
                .map(|(name, value)| (name.clone(), value.reveal()))
                .collect(),
            read: Arc::default(),
        }
    }

    /// Notes that a property was looked at, and returns it unless it is null.
    pub(super) fn take(&self, name: &str) -> Option<&Value> {
        if let Ok(mut read) = self.read.lock() {
            read.insert(self.path_of(name));
        }
        self.values
            .get(name)
            .filter(|value| !matches!(value, Value::Null))
    }

    /// Properties that have no meaning for a deployment from nothing, such as what happens on deletion.
    pub(super) fn skip(&self, names: &[&str]) {
        for name in names {
            self.take(name);
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => scalar(value)
                .map(Some)
                .ok_or_else(|| self.unfit(name, "a string", value)),
        }
    }

    pub(super) fn required(&self, name: &str) -> Result<String, Failure> {
        self.text(name)?
            .ok_or_else(|| Failure::of(&self.path_of(name), "a value is needed"))
    }

    pub(super) fn bool(&self, name: &str) -> Result<Option<bool>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(other) => Err(self.unfit(name, "a boolean", other)),
        }
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Number(value)) => Ok(Some(*value)),
            Some(Value::Integer(value)) => Ok(value.to_string().parse().ok()),
            Some(other) => Err(self.unfit(name, "a number", other)),
        }
    }

    /// A whole number of any width.
    pub(super) fn integer<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(value @ (Value::Number(_) | Value::Integer(_))) => {
                let digits = if let Value::Number(number) = value {
                    number.to_string()
                } else {
                    value.interpolated()
                };
                match digits.parse() {
                    Ok(whole) => Ok(Some(whole)),
                    Err(_) => Err(Failure::of(
                        &self.path_of(name),
                        format!("`{digits}` isn't a whole number that fits"),
                    )),
                }
            }
            Some(other) => Err(self.unfit(name, "an integer", other)),
        }
    }

    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::List(items)) => items
                .iter()
                .map(|item| {
                    item.as_text()
                        .map(str::to_owned)
                        .ok_or_else(|| self.unfit(name, "a list of strings", item))
                })
                .collect::<Result<_, _>>()
                .map(Some),
            Some(other) => Err(self.unfit(name, "a list of strings", other)),
        }
    }

    /// Names to strings, such as tags and variables of an environment.
    pub(super) fn text_map(&self, name: &str) -> Result<Option<BTreeMap<String, String>>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(entries)) => entries
                .iter()
                .map(|(key, value)| {
                    scalar(value)
                        .map(|text| (key.clone(), text))
                        .ok_or_else(|| {
                            Failure::of(
                                &format!("{}.{key}", self.path_of(name)),
                                format!("must be a string, not {}", value.describe()),
                            )
                        })
                })
                .collect::<Result<_, _>>()
                .map(Some),
            Some(other) => Err(self.unfit(name, "an object", other)),
        }
    }

    /// A JSON document, written as a string or as an object.
    pub(super) fn document(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text.clone())),
            Some(value @ Value::Object(_)) => match value.to_json_text() {
                Some(text) => Ok(Some(text)),
                None => Err(self.unfit(name, "a JSON document", value)),
            },
            Some(other) => Err(self.unfit(name, "a JSON document", other)),
        }
    }

    pub(super) fn asset(&self, name: &str) -> Result<Option<Asset>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Asset(asset)) => Ok(Some(asset.clone())),
            Some(other) => Err(self.unfit(name, "an archive", other)),
        }
    }

    /// An object whose properties are read on their own.
    pub(super) fn object(&self, name: &str) -> Result<Option<Self>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(values)) => Ok(Some(self.below(self.path_of(name), values))),
            Some(other) => Err(self.unfit(name, "an object", other)),
        }
    }

    pub(super) fn objects(&self, name: &str) -> Result<Vec<Self>, Failure> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::List(items)) => items
                .iter()
                .enumerate()
                .map(|(index, item)| {
                    let path = format!("{}[{index}]", self.path_of(name));
                    item.as_object()
                        .map(|values| self.below(path, values))
                        .ok_or_else(|| self.unfit(name, "a list of objects", item))
                })
                .collect(),
            Some(other) => Err(self.unfit(name, "a list of objects", other)),
        }
    }

    /// The paths of properties that have a value and that nobody read, innermost ones.
    pub(super) fn unread(&self) -> Vec<String> {
        let Ok(read) = self.read.lock() else {
            return Vec::new();
        };
        let mut found = Vec::new();
        unread(&self.values, "", &read, &mut found);
        found
    }

    /// The same values, for whatever doesn't look into them.
    pub(super) fn take_all(&self) {
        for name in self.values.keys() {
            self.take(name);
        }
    }

    fn below(&self, path: String, values: &BTreeMap<String, Value>) -> Self {
        if let Ok(mut read) = self.read.lock() {
            // Marks that the object is read by its properties, not as a whole.
            read.insert(format!("{path}."));
        }
        Self {
            path,
            values: values.clone(),
            read: Arc::clone(&self.read),
        }
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    fn unfit(&self, name: &str, wanted: &str, found: &Value) -> Failure {
        Failure::of(
            &self.path_of(name),
            format!("must be {wanted}, not {}", found.describe()),
        )
    }
}

/// Numbers and booleans fit a string, and reach the provider in plain digits.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Integer(_) | Value::Bool(_) => Some(value.interpolated()),
        Value::Null
        | Value::List(_)
        | Value::Object(_)
        | Value::Asset(_)
        | Value::Resource(_)
        | Value::Unknown
        | Value::Secret(_) => None,
    }
}

fn unread(
    values: &BTreeMap<String, Value>,
    prefix: &str,
    read: &BTreeSet<String>,
    found: &mut Vec<String>,
) {
    for (name, value) in values {
        let path = format!("{prefix}{name}");
        if matches!(value, Value::Null) {
            continue;
        }
        if !read.contains(&path) {
            found.push(path);
            continue;
        }
        match value {
            Value::Object(inner) if read.contains(&format!("{path}.")) => {
                unread(inner, &format!("{path}."), read, found);
            }
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    if let Value::Object(inner) = item
                        && read.contains(&format!("{path}."))
                    {
                        unread(inner, &format!("{path}."), read, found);
                    }
                }
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Integer(_)
            | Value::Text(_)
            | Value::Object(_)
            | Value::Asset(_)
            | Value::Resource(_)
            | Value::Unknown
            | Value::Secret(_) => {}
        }
    }
}
