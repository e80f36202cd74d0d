//! From YAML nodes to typed values, with every error of a file reported at its place.
//!
//! Types that people write are declared with [`written!`], [`keywords!`] and [`kinds!`]: the reader, the JSON Schema
//! and the documentation come from one declaration.

use std::borrow::Cow;
use std::cell::RefCell;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::yaml::{self, Key, Node, Place, Value};
use crate::diagnostic::{Diagnostic, closest, suggestion};
use crate::duration::Duration;
use crate::expression::ExpressionError;

/// One file while it is read.
pub(super) struct Reader<'a> {
    path: &'a str,
    source: &'a str,
    diagnostics: RefCell<Vec<Diagnostic>>,
}

/// A type that can be read from a node.
pub(super) trait Read: Sized {
    /// Reads it; nothing when an error was reported.
    fn read(node: &Node, reader: &Reader<'_>) -> Option<Self>;

    /// What a key that is not there means, if it may be missing.
    fn absent() -> Option<Self> {
        None
    }
}

/// A value with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) place: Place,
    pub(super) value: T,
}

/// Entries under free names, in the order of the file, without duplicates.
#[derive(Clone, Debug)]
pub(super) struct Named<T>(pub(super) Vec<(At<String>, T)>);

/// A scalar whose meaning depends on something else in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Loose {
    /// A single value, and whether it was written without quotes.
    One(String, bool),
    /// A list of values.
    Many(Vec<String>),
}

impl<'a> Reader<'a> {
    pub(super) fn new(path: &'a str, source: &'a str) -> Self {
        Self {
            path,
            source,
            diagnostics: RefCell::default(),
        }
    }

    /// All errors so far, sorted by place.
    pub(super) fn finish(self) -> Vec<Diagnostic> {
        let mut diagnostics = self.diagnostics.into_inner();
        diagnostics.sort();
        diagnostics.dedup();
        diagnostics
    }

    /// Whether there are errors.
    pub(super) fn has_errors(&self) -> bool {
        !self.diagnostics.borrow().is_empty()
    }

    /// Reports an error, and gives nothing.
    pub(super) fn fail<T>(
        &self,
        place: Place,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Option<T> {
        let diagnostic =
            Diagnostic::at(self.path, place.line, place.column, message).maybe_help(help);
        self.diagnostics.borrow_mut().push(diagnostic);
        None
    }

    /// Reports the errors of a condition or sentence that stands in a scalar.
    pub(super) fn expression<T>(
        &self,
        at: &At<String>,
        outcome: Result<T, Vec<ExpressionError>>,
    ) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(errors) => {
                for error in errors {
                    let (line, column) =
                        yaml::locate(self.source, at.place, &at.value, error.offset);
                    let diagnostic = Diagnostic::at(self.path, line, column, error.message)
                        .maybe_help(error.help);
                    self.diagnostics.borrow_mut().push(diagnostic);
                }
                None
            }
        }
    }

    /// The entries of a mapping with these keys; unknown and duplicate ones are reported.
    pub(super) fn mapping<'n>(
        &self,
        node: &'n Node,
        what: &str,
        keys: &[&str],
    ) -> Option<Mapping<'n>> {
        let Value::Map(entries) = &node.value else {
            return self.fail(
                node.place,
                format!("expected {what}, found {}", node.words()),
                suggestion("", keys.iter().copied()),
            );
        };
        self.duplicates(entries);
        let mut misspelt = Vec::new();
        for (key, _) in entries
            .iter()
            .filter(|(key, _)| !keys.contains(&key.text.as_str()))
        {
            misspelt.extend(closest(&key.text, keys.iter().copied()).map(str::to_owned));
            self.fail::<()>(
                key.place,
                format!("unknown key `{}`", key.text),
                suggestion(&key.text, keys.iter().copied()),
            );
        }
        Some(Mapping {
            place: node.place,
            what: what.to_owned(),
            entries,
            misspelt,
        })
    }

    fn duplicates(&self, entries: &[(Key, Node)]) {
        for (index, (key, _)) in entries.iter().enumerate() {
            if let Some((first, _)) = entries
                .iter()
                .take(index)
                .find(|(earlier, _)| earlier.text == key.text)
            {
                self.fail::<()>(
                    key.place,
                    format!("duplicate key `{}`", key.text),
                    Some(format!("it stands already in line {}", first.place.line)),
                );
            }
        }
    }
}

/// A mapping whose keys were checked.
pub(super) struct Mapping<'n> {
    place: Place,
    what: String,
    entries: &'n [(Key, Node)],
    /// The keys that were probably meant by unknown ones.
    misspelt: Vec<String>,
}

impl Mapping<'_> {
    /// The value of a key; a missing one is reported unless it may be missing.
    pub(super) fn field<T: Read>(&self, key: &str, reader: &Reader<'_>) -> Option<T> {
        match self.entries.iter().find(|(found, _)| found.text == key) {
            Some((key, node)) => {
                if matches!(node.value, Value::Null) {
                    return reader.fail(key.place, format!("`{}` has no value", key.text), None);
                }
                T::read(node, reader)
            }
            None => T::absent().or_else(|| {
                // A misspelt key was reported as that.
                if self.misspelt.iter().any(|misspelt| misspelt == key) {
                    return None;
                }
                reader.fail(self.place, format!("{} without `{key}`", self.what), None)
            }),
        }
    }
}

impl<T: Read> Read for At<T> {
    fn read(node: &Node, reader: &Reader<'_>) -> Option<Self> {
        T::read(node, reader).map(|value| Self {
            place: node.place,
            value,
        })
    }
}

impl<T: Read> Read for Option<T> {
    fn read(node: &Node, reader: &Reader<'_>) -> Option<Self> {
        T::read(node, reader).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// Items with an error are reported and left out, so that the others are looked at too.
impl<T: Read> Read for Vec<T> {
    fn read(node: &Node, reader: &Reader<'_>) -> Option<Self> {
        let Value::List(items) = &node.value else {
            return reader.fail(
                node.place,
                format!("expected a list, found {}", node.words()),
                Some("write `- ` before each item, or `[a, b]`".to_owned()),
            );
        };
        Some(
            items
                .iter()
                .filter_map(|item| T::read(item, reader))
                .collect(),
        )
    }
}

impl<T: Read> Read for Named<T> {
    fn read(node: &Node, reader: &Reader<'_>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            return reader.fail(
                node.place,
                format!("expected a mapping, found {}", node.words()),
                None,
            );
        };
        reader.duplicates(entries);
        let entry = |(key, node): &(Key, Node)| {
            let value = T::read(node, reader)?;
            Some((
                At {
                    place: key.place,
                    value: key.text.clone(),
                },
                value,
            ))
        };
        Some(Self(entries.iter().filter_map(entry).collect()))
    }
}

impl Read for String {
    fn read(node: &Node, reader: &Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar(scalar) if scalar.text.trim().is_empty() => {
                reader.fail(node.place, "empty text", None)
            }
            Value::Scalar(scalar) => Some(scalar.text.clone()),
            Value::Null | Value::List(_) | Value::Map(_) => {
                let help = matches!(node.value, Value::Map(_))
                    .then(|| "put text with `{` or `: ` in quotes".to_owned());
                reader.fail(
                    node.place,
                    format!("expected text, found {}", node.words()),
                    help,
                )
            }
        }
    }
}

impl Read for u32 {
    fn read(node: &Node, reader: &Reader<'_>) -> Option<Self> {
        let number = match &node.value {
            Value::Scalar(scalar) if scalar.plain => scalar.text.parse().ok(),
            Value::Scalar(_) | Value::Null | Value::List(_) | Value::Map(_) => None,
        };
        number.or_else(|| {
            reader.fail(
                node.place,
                format!("expected a whole number, found {}", shown(node)),
                None,
            )
        })
    }
}

impl Read for bool {
    fn read(node: &Node, reader: &Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar(scalar) if scalar.plain && scalar.text == "true" => Some(true),
            Value::Scalar(scalar) if scalar.plain && scalar.text == "false" => Some(false),
            Value::Scalar(_) | Value::Null | Value::List(_) | Value::Map(_) => reader.fail(
                node.place,
                format!("expected true or false, found {}", shown(node)),
                None,
            ),
        }
    }
}

impl Read for Duration {
    fn read(node: &Node, reader: &Reader<'_>) -> Option<Self> {
        let text = String::read(node, reader)?;
        text.parse().map_or_else(
            |error: crate::duration::DurationError| {
                reader.fail(node.place, error.to_string(), None)
            },
            Some,
        )
    }
}

impl Read for Loose {
    fn read(node: &Node, reader: &Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar(scalar) => Some(Self::One(scalar.text.clone(), scalar.plain)),
            Value::List(_) => Vec::read(node, reader).map(Self::Many),
            Value::Null | Value::Map(_) => reader.fail(
                node.place,
                format!("expected text or a list, found {}", node.words()),
                None,
            ),
        }
    }
}

fn shown(node: &Node) -> String {
    match &node.value {
        Value::Scalar(scalar) => format!("`{}`", scalar.text.chars().take(60).collect::<String>()),
        Value::Null | Value::List(_) | Value::Map(_) => node.words().to_owned(),
    }
}

/// One word of a closed set.
pub(super) fn keyword<T: Copy>(node: &Node, reader: &Reader<'_>, words: &[(&str, T)]) -> Option<T> {
    let text = String::read(node, reader)?;
    match words.iter().find(|(word, _)| *word == text) {
        Some((_, value)) => Some(*value),
        None => reader.fail(
            node.place,
            format!("unknown word `{text}`"),
            suggestion(&text, words.iter().map(|(word, _)| *word)),
        ),
    }
}

/// The only entry of a mapping whose key is one of the kinds.
pub(super) fn kind<'n>(
    node: &'n Node,
    reader: &Reader<'_>,
    what: &str,
    kinds: &[&str],
) -> Option<(&'n str, &'n Node)> {
    let mapping = reader.mapping(node, what, kinds)?;
    match mapping.entries {
        [(key, value)] if kinds.contains(&key.text.as_str()) => Some((key.text.as_str(), value)),
        // Unknown: reported with the keys.
        [_] => None,
        [] => reader.fail(
            node.place,
            format!("an empty {what}"),
            suggestion("", kinds.iter().copied()),
        ),
        [_, (second, _), ..] => reader.fail(
            second.place,
            format!("{what} of two kinds"),
            Some("start a new item with `- `".to_owned()),
        ),
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("named {}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "additionalProperties": generator.subschema_for::<T>()})
    }
}

impl JsonSchema for Loose {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "value".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [
            {"type": ["string", "number", "boolean"]},
            {"type": "array", "items": {"type": "string"}},
        ]})
    }
}

/// A length of time is written as text.
impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$", "minLength": 2})
    }
}

/// Declares mappings with fixed keys. An `Option` may be missing, everything else must be there.
macro_rules! written {
    ($(
        $(#[doc = $doc:literal])*
        struct $name:ident: $what:literal {
            $(
                $(#[doc = $field_doc:literal])*
                $field:ident $(= $key:literal)? : $ty:ty
            ),* $(,)?
        }
    )*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Debug, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub(super) struct $name {
            $(
                $(#[doc = $field_doc])*
                $(#[schemars(rename = $key)])?
                pub(super) $field: $ty,
            )*
        }

        impl $crate::control::read::Read for $name {
            fn read(node: &$crate::control::yaml::Node, reader: &$crate::control::read::Reader<'_>) -> Option<Self> {
                let mapping = reader.mapping(node, $what, &[$($crate::control::read::key_of!($field $($key)?)),*])?;
                $(let $field = mapping.field($crate::control::read::key_of!($field $($key)?), reader);)*
                Some(Self { $($field: $field?,)* })
            }
        }
    )*};
}

/// The key of a field: the one that was given, otherwise its name.
macro_rules! key_of {
    ($field:ident $key:literal) => {
        $key
    };
    ($field:ident) => {
        stringify!($field)
    };
}

/// Declares a closed set of words.
macro_rules! keywords {
    ($(
        $(#[doc = $doc:literal])*
        enum $name:ident {
            $(
                $(#[doc = $variant_doc:literal])*
                $variant:ident = $text:literal
            ),* $(,)?
        }
    )*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub enum $name {
            $(
                $(#[doc = $variant_doc])*
                #[serde(rename = $text)]
                $variant,
            )*
        }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::control::read::Read for $name {
            fn read(node: &$crate::control::yaml::Node, reader: &$crate::control::read::Reader<'_>) -> Option<Self> {
                $crate::control::read::keyword(node, reader, &[$(($text, Self::$variant)),*])
            }
        }
    )*};
}

/// Declares alternatives, each under its own key.
macro_rules! kinds {
    (
        $(#[doc = $doc:literal])*
        enum $name:ident: $what:literal {
            $(
                $(#[doc = $variant_doc:literal])*
                $variant:ident($ty:ty) = $text:literal
            ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, schemars::JsonSchema)]
        pub(super) enum $name {
            $(
                $(#[doc = $variant_doc])*
                #[schemars(rename = $text)]
                $variant(Box<$ty>),
            )*
        }

        impl $crate::control::read::Read for $name {
            fn read(node: &$crate::control::yaml::Node, reader: &$crate::control::read::Reader<'_>) -> Option<Self> {
                let (kind, inside) = $crate::control::read::kind(node, reader, $what, &[$($text),*])?;
                $(
                    if kind == $text {
                        return <$ty as $crate::control::read::Read>::read(inside, reader).map(Box::new).map(Self::$variant);
                    }
                )*
                None
            }
        }
    };
}

pub(super) use {key_of, keywords, kinds, written};
