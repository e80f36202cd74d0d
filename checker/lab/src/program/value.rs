//! What an expression evaluates to, and how Go (in which Pulumi is written) prints it.
//!
//! Unknown values and secrets are values of their own, so that they can't be lost on the way: whatever is computed from
//! an unknown is unknown as a whole, whatever is computed from a secret is secret. `Debug` never shows a secret.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// How Pulumi writes a value that only a deployment will know.
pub const UNKNOWN: &str = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/// How Pulumi's previews write a secret.
pub const MASKED: &str = "[secret]";

/// A value.
#[derive(Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// Every number of the program and of a resource's outputs.
    Number(f64),
    /// A config value of type `integer`, which prints without an exponent.
    Integer(i64),
    Text(String),
    List(Vec<Self>),
    Object(BTreeMap<String, Self>),
    Asset(Asset),
    /// A resource itself, by its name in the program: for `dependsOn`, `provider` and the like.
    Resource(String),
    Unknown,
    Secret(Box<Self>),
}

/// A file or a folder that is handed to the provider as it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Asset {
    /// `fn::fileAsset`.
    File(PathBuf),
    /// `fn::stringAsset`.
    Text(String),
    /// `fn::fileArchive`: as written, and resolved from the program's folder.
    FileArchive { written: String, path: PathBuf },
    /// `fn::assetArchive`.
    Archive(BTreeMap<String, Self>),
}

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self {
            Some(text)
        } else {
            None
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Self]> {
        if let Self::List(items) = self {
            Some(items)
        } else {
            None
        }
    }

    pub(crate) fn as_object(&self) -> Option<&BTreeMap<String, Self>> {
        if let Self::Object(entries) = self {
            Some(entries)
        } else {
            None
        }
    }

    /// The value below `Secret`, and whether there was one.
    pub(crate) fn open(&self) -> (&Self, bool) {
        match self {
            Self::Secret(inner) => (inner.open().0, true),
            Self::Null
            | Self::Bool(_)
            | Self::Number(_)
            | Self::Integer(_)
            | Self::Text(_)
            | Self::List(_)
            | Self::Object(_)
            | Self::Asset(_)
            | Self::Resource(_)
            | Self::Unknown => (self, false),
        }
    }

    /// Marks the value secret if `secret` says so, once.
    pub(crate) fn secret_if(self, secret: bool) -> Self {
        if secret && !matches!(self, Self::Secret(_)) {
            Self::Secret(Box::new(self))
        } else {
            self
        }
    }

    pub(crate) fn has_unknown(&self) -> bool {
        self.any(&|value| matches!(value, Self::Unknown))
    }

    pub(crate) fn has_secret(&self) -> bool {
        self.any(&|value| matches!(value, Self::Secret(_)))
    }

    fn any(&self, holds: &dyn Fn(&Self) -> bool) -> bool {
        holds(self)
            || match self {
                Self::Secret(inner) => inner.any(holds),
                Self::List(items) => items.iter().any(|item| item.any(holds)),
                Self::Object(entries) => entries.values().any(|value| value.any(holds)),
                Self::Null
                | Self::Bool(_)
                | Self::Number(_)
                | Self::Integer(_)
                | Self::Text(_)
                | Self::Asset(_)
                | Self::Resource(_)
                | Self::Unknown => false,
            }
    }

    /// The texts below `Secret` marks, longest first.
    pub(crate) fn secret_texts(&self, found: &mut Vec<String>) {
        match self {
            Self::Secret(inner) => inner.texts(found),
            Self::List(items) => {
                for item in items {
                    item.secret_texts(found);
                }
            }
            Self::Object(entries) => {
                for value in entries.values() {
                    value.secret_texts(found);
                }
            }
            Self::Null
            | Self::Bool(_)
            | Self::Number(_)
            | Self::Integer(_)
            | Self::Text(_)
            | Self::Asset(_)
            | Self::Resource(_)
            | Self::Unknown => {}
        }
        found.sort_by_key(|text| std::cmp::Reverse(text.len()));
    }

    fn texts(&self, found: &mut Vec<String>) {
        match self {
            Self::Text(text) => found.push(text.clone()),
            Self::Number(_) | Self::Integer(_) => found.push(self.interpolated()),
            Self::Secret(inner) => inner.texts(found),
            Self::List(items) => {
                for item in items {
                    item.texts(found);
                }
            }
            Self::Object(entries) => {
                for value in entries.values() {
                    value.texts(found);
                }
            }
            Self::Null | Self::Bool(_) | Self::Asset(_) | Self::Resource(_) | Self::Unknown => {}
        }
    }

    /// How much there is of it: values, and blocks of 64 characters.
    pub(crate) fn size(&self) -> usize {
        1 + match self {
            Self::Text(text) => text.len() / 64,
            Self::List(items) => items.iter().map(Self::size).sum(),
            Self::Object(entries) => entries
                .iter()
                .map(|(key, value)| key.len() / 64 + value.size())
                .sum(),
            Self::Secret(inner) => inner.size(),
            Self::Null
            | Self::Bool(_)
            | Self::Number(_)
            | Self::Integer(_)
            | Self::Asset(_)
            | Self::Resource(_)
            | Self::Unknown => 0,
        }
    }

    /// The value with every `Secret` mark taken off; for the one call that hands it to AWS.
    pub(crate) fn reveal(&self) -> Self {
        match self {
            Self::Secret(inner) => inner.reveal(),
            Self::List(items) => Self::List(items.iter().map(Self::reveal).collect()),
            Self::Object(entries) => Self::Object(
                entries
                    .iter()
                    .map(|(key, value)| (key.clone(), value.reveal()))
                    .collect(),
            ),
            Self::Null
            | Self::Bool(_)
            | Self::Number(_)
            | Self::Integer(_)
            | Self::Text(_)
            | Self::Asset(_)
            | Self::Resource(_)
            | Self::Unknown => self.clone(),
        }
    }

    /// What the value is, for messages.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Integer(_) => "an integer",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
            Self::Asset(_) => "an asset or archive",
            Self::Resource(_) => "a resource",
            Self::Unknown => "a value that only the deployment knows",
            Self::Secret(_) => "a secret",
        }
    }

    /// As Go's `%v` prints it into an interpolated string.
    pub(crate) fn interpolated(&self) -> String {
        match self {
            Self::Null => "<nil>".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(value) => go_float(*value),
            Self::Integer(value) => value.to_string(),
            Self::Text(value) => value.clone(),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::interpolated).collect();
                format!("[{}]", items.join(" "))
            }
            Self::Object(entries) => {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|(key, value)| format!("{key}:{}", value.interpolated()))
                    .collect();
                format!("map[{}]", entries.join(" "))
            }
            Self::Secret(inner) => inner.interpolated(),
            Self::Unknown => UNKNOWN.to_owned(),
            Self::Asset(_) | Self::Resource(_) => self.describe().to_owned(),
        }
    }

    /// As Go's `json.Marshal` prints it: keys sorted, `<`, `>` and `&` escaped.
    ///
    /// `None` for what has no JSON form (assets, resources, unknown values).
    pub(crate) fn to_json_text(&self) -> Option<String> {
        let mut out = String::new();
        self.write_json(&mut out).then_some(out)
    }

    fn write_json(&self, out: &mut String) -> bool {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(value) => out.push_str(&go_json_number(*value)),
            Self::Integer(value) => out.push_str(&value.to_string()),
            Self::Text(text) => write_json_string(text, out),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    if !item.write_json(out) {
                        return false;
                    }
                }
                out.push(']');
            }
            Self::Object(entries) => {
                out.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_json_string(key, out);
                    out.push(':');
                    if !value.write_json(out) {
                        return false;
                    }
                }
                out.push('}');
            }
            Self::Secret(inner) => return inner.write_json(out),
            Self::Asset(_) | Self::Resource(_) | Self::Unknown => return false,
        }
        true
    }

    /// As Pulumi's preview shows it: secrets and unknown values replaced by their marks.
    pub(crate) fn shown(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Number(value) => json_number(*value),
            Self::Integer(value) => (*value).into(),
            Self::Text(value) => value.as_str().into(),
            Self::List(items) => items.iter().map(Self::shown).collect(),
            Self::Object(entries) => entries
                .iter()
                .map(|(key, value)| (key.clone(), value.shown()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            Self::Asset(asset) => asset.shown(),
            Self::Resource(name) => serde_json::json!({ "resource": name }),
            Self::Unknown => UNKNOWN.into(),
            Self::Secret(_) => MASKED.into(),
        }
    }
}

impl Asset {
    fn shown(&self) -> serde_json::Value {
        match self {
            Self::File(path) => serde_json::json!({ "fileAsset": path }),
            Self::Text(_) => serde_json::json!({ "stringAsset": "..." }),
            Self::FileArchive { written, .. } => serde_json::json!({ "fileArchive": written }),
            Self::Archive(parts) => parts
                .iter()
                .map(|(name, part)| (name.clone(), part.shown()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.shown())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A whole number without a fraction as JSON shows it: `90`, not `90.0`.
fn json_number(value: f64) -> serde_json::Value {
    go_json_number(value)
        .parse::<i64>()
        .map_or_else(|_| value.into(), Into::into)
}

/// Shortest digits of a float and its decimal exponent: `1.5e3` is (`15`, 4), the value being 0.15 * 10^4.
fn digits_of(value: f64) -> (String, i32) {
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let exponent: i32 = exponent.parse().unwrap_or_default();
    (digits, exponent.saturating_add(1))
}

/// Go's `strconv.FormatFloat(v, 'e', -1, 64)` with an exponent of at least `width` digits.
fn go_exponent(value: f64, width: usize) -> String {
    let (digits, point) = digits_of(value);
    let exponent = point.saturating_sub(1);
    let mut chars = digits.chars();
    let first = chars.next().unwrap_or('0');
    let rest: String = chars.collect();
    let dot = if rest.is_empty() { "" } else { "." };
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    format!(
        "{sign}{first}{dot}{rest}e{exponent_sign}{:0width$}",
        exponent.unsigned_abs()
    )
}

/// Go's `%v` of a `float64`: shortest digits, with an exponent below 1e-4 and from 1e6 on.
fn go_float(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let (_, point) = digits_of(value);
    if (-3..=6).contains(&point) {
        format!("{value}")
    } else {
        go_exponent(value, 2)
    }
}

/// Go's `json.Marshal` of a `float64`.
fn go_json_number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        go_exponent(value, 1)
    } else {
        format!("{value}")
    }
}

fn write_json_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                let hexadecimal = format!("{:04x}", u32::from(c));
                out.push_str("\\u");
                out.push_str(&hexadecimal);
            }
            other => out.push(other),
        }
    }
    out.push('"');
}
