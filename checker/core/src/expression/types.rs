//! The types of facts: what a control may say about a thing, and how a fact becomes a CEL value.
//!
//! In: Rust structs declared with [`facts!`](crate::facts). Out: a [`Type`] tree, against which expressions
//! are checked when they are loaded, and [`cel::Value`]s, on which they are evaluated. Integers are `i64`
//! only, since CEL does not mix signed and unsigned ones.
//!
//! Two kinds of absence are kept apart. `Option::None` is a known absence and becomes `null`. A
//! [`Known::Unknown`] could not be found out: its field is left out of the value, so that whatever reads it
//! can't be evaluated, and the reason is kept.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use cel::Value;
use cel::objects::{Key, Map};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::duration::Duration;

/// The type of a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// `true` or `false`.
    Bool,
    /// A whole number, 64 bits, signed.
    Int,
    /// A number with a fraction.
    Float,
    /// Text.
    Text,
    /// Text that is one of a closed set.
    Choice(Vec<&'static str>),
    /// A length of time.
    Duration,
    /// A point in time, UTC.
    Time,
    /// A list of equals.
    List(Box<Self>),
    /// Text keys to values of one type.
    Map(Box<Self>),
    /// A thing with named fields.
    Object(Arc<Object>),
    /// A value or `null`.
    Optional(Box<Self>),
    /// The literal `null`. No fact has this type.
    Null,
    /// Anything: the items of an empty list literal, or what an error already reported stands for. No fact
    /// has this type.
    Any,
}

/// A thing with named fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its name, as the documentation shows it.
    pub name: String,
    /// One sentence on what it is.
    pub doc: String,
    /// Its fields, in the order of their declaration.
    pub fields: Vec<Field>,
}

/// A named, documented, typed field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name that expressions use.
    pub name: String,
    /// What it means, with its unit and source.
    pub doc: String,
    /// Its type.
    pub ty: Type,
}

impl Field {
    /// A field.
    pub fn new(name: impl Into<String>, doc: impl Into<String>, ty: Type) -> Self {
        Self {
            name: name.into(),
            doc: doc.into(),
            ty,
        }
    }
}

impl Type {
    /// An object type.
    pub fn object(name: impl Into<String>, doc: impl Into<String>, fields: Vec<Field>) -> Self {
        Self::Object(Arc::new(Object {
            name: name.into(),
            doc: doc.into(),
            fields,
        }))
    }

    /// The type without the possibility of `null`.
    pub fn present(&self) -> &Self {
        match self {
            Self::Optional(inner) => inner.present(),
            Self::Bool
            | Self::Int
            | Self::Float
            | Self::Text
            | Self::Choice(_)
            | Self::Duration
            | Self::Time
            | Self::List(_)
            | Self::Map(_)
            | Self::Object(_)
            | Self::Null
            | Self::Any => self,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Float => f.write_str("float"),
            Self::Text => f.write_str("text"),
            Self::Choice(names) => write!(f, "one of {}", names.join(", ")),
            Self::Duration => f.write_str("duration"),
            Self::Time => f.write_str("time"),
            Self::List(item) => write!(f, "list of {item}"),
            Self::Map(item) => write!(f, "map of {item}"),
            Self::Object(object) => f.write_str(&object.name),
            Self::Optional(inner) => write!(f, "{inner} or null"),
            Self::Null => f.write_str("null"),
            Self::Any => f.write_str("anything"),
        }
    }
}

/// A Rust type that is a fact.
pub trait Typed {
    /// Its type, for the static check and the documentation.
    fn ty() -> Type;

    /// Its value, for evaluation. Call [`Typed::known`] instead, which can say that there is none.
    fn value(&self) -> Value;

    /// Its value as a field of something: nothing when it could not be found out.
    fn known(&self) -> Option<Value> {
        Some(self.value())
    }

    /// Its value, and what of it could not be found out.
    fn whole(&self, path: &str) -> (Value, BTreeMap<String, String>) {
        let mut unknowns = BTreeMap::new();
        self.unknowns(format_args!("{path}"), &mut unknowns);
        (self.value(), unknowns)
    }

    /// The same with no more than some of its members.
    fn only(&self, path: &str, names: &[Key]) -> (Value, BTreeMap<String, String>) {
        let _ = names;
        self.whole(path)
    }

    /// Adds what could not be found out below `path`, each with its reason. Nearly always there is nothing, so that the path
    /// is not put into words before there is.
    fn unknowns(&self, path: fmt::Arguments<'_>, into: &mut BTreeMap<String, String>) {
        let (_, _) = (path, into);
    }
}

/// A fact that was found out, or the reason why it could not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Known<T> {
    /// What was found.
    Known(T),
    /// Why nothing is known: access denied, truncated, malformed.
    Unknown(String),
}

impl<T> Known<T> {
    /// The value, if it is known.
    pub fn as_known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }
}

impl<T: Typed> Typed for Known<T> {
    fn ty() -> Type {
        T::ty()
    }

    fn value(&self) -> Value {
        self.known().unwrap_or(Value::Null)
    }

    fn known(&self) -> Option<Value> {
        match self {
            Self::Known(value) => value.known(),
            Self::Unknown(_) => None,
        }
    }

    fn unknowns(&self, path: fmt::Arguments<'_>, into: &mut BTreeMap<String, String>) {
        match self {
            Self::Known(value) => value.unknowns(path, into),
            Self::Unknown(reason) => {
                into.insert(path.to_string(), reason.clone());
            }
        }
    }
}

impl Typed for bool {
    fn ty() -> Type {
        Type::Bool
    }

    fn value(&self) -> Value {
        Value::Bool(*self)
    }
}

impl Typed for i64 {
    fn ty() -> Type {
        Type::Int
    }

    fn value(&self) -> Value {
        Value::Int(*self)
    }
}

impl Typed for f64 {
    fn ty() -> Type {
        Type::Float
    }

    fn value(&self) -> Value {
        Value::Float(*self)
    }
}

impl Typed for String {
    fn ty() -> Type {
        Type::Text
    }

    fn value(&self) -> Value {
        Value::String(Arc::new(self.clone()))
    }
}

impl Typed for Duration {
    fn ty() -> Type {
        Type::Duration
    }

    fn value(&self) -> Value {
        Value::Duration(self.as_delta())
    }
}

impl Typed for DateTime<Utc> {
    fn ty() -> Type {
        Type::Time
    }

    fn value(&self) -> Value {
        Value::Timestamp(self.fixed_offset())
    }
}

/// A list with an item that is unknown is unknown as a whole: its size and its members can't be trusted.
impl<T: Typed> Typed for Vec<T> {
    fn ty() -> Type {
        Type::List(Box::new(T::ty()))
    }

    fn value(&self) -> Value {
        self.known().unwrap_or(Value::Null)
    }

    fn known(&self) -> Option<Value> {
        let items: Option<Vec<Value>> = self.iter().map(Typed::known).collect();
        Some(Value::List(Arc::new(items?)))
    }

    fn unknowns(&self, path: fmt::Arguments<'_>, into: &mut BTreeMap<String, String>) {
        for (index, item) in self.iter().enumerate() {
            item.unknowns(format_args!("{path}[{index}]"), into);
        }
    }
}

/// A map with an entry that is unknown is unknown as a whole, like a list.
impl<T: Typed> Typed for BTreeMap<String, T> {
    fn ty() -> Type {
        Type::Map(Box::new(T::ty()))
    }

    fn value(&self) -> Value {
        self.known().unwrap_or(Value::Null)
    }

    fn known(&self) -> Option<Value> {
        let entries: Option<Vec<(String, Value)>> = self
            .iter()
            .map(|(key, item)| Some((key.clone(), item.known()?)))
            .collect();
        Some(map(entries?))
    }

    fn unknowns(&self, path: fmt::Arguments<'_>, into: &mut BTreeMap<String, String>) {
        for (key, item) in self {
            item.unknowns(format_args!("{path}['{key}']"), into);
        }
    }
}

impl<T: Typed> Typed for Option<T> {
    fn ty() -> Type {
        Type::Optional(Box::new(T::ty()))
    }

    fn value(&self) -> Value {
        self.as_ref().map_or(Value::Null, Typed::value)
    }

    fn known(&self) -> Option<Value> {
        match self {
            Some(value) => value.known(),
            None => Some(Value::Null),
        }
    }

    fn unknowns(&self, path: fmt::Arguments<'_>, into: &mut BTreeMap<String, String>) {
        if let Some(value) = self {
            value.unknowns(path, into);
        }
    }
}

impl<T: Typed> Typed for Box<T> {
    fn ty() -> Type {
        T::ty()
    }

    fn value(&self) -> Value {
        self.as_ref().value()
    }

    fn known(&self) -> Option<Value> {
        self.as_ref().known()
    }

    fn unknowns(&self, path: fmt::Arguments<'_>, into: &mut BTreeMap<String, String>) {
        self.as_ref().unknowns(path, into);
    }
}

/// A CEL map.
pub fn map(entries: impl IntoIterator<Item = (impl Into<Key>, Value)>) -> Value {
    let entries = entries.into_iter();
    let (least, most) = entries.size_hint();
    let mut map = HashMap::with_capacity(most.unwrap_or(least));
    map.extend(entries.map(|(key, value)| (key.into(), value)));
    Value::Map(Map { map: Arc::new(map) })
}

/// Joins the lines of a doc comment into one sentence or more.
pub fn doc(lines: &[&str]) -> String {
    lines
        .iter()
        .map(|line| line.trim())
        .collect::<Vec<_>>()
        .join(" ")
        .trim()
        .to_owned()
}

/// Declares documented facts: each struct is serializable, comparable and [`Typed`], and the doc comment of
/// each field is its documentation in the catalogue and in error messages.
///
/// ```
/// checker_core::facts! {
///     /// How a secret rotates.
///     pub struct Rotation {
///         /// Whether rotation is switched on.
///         pub enabled: bool,
///         /// The longest time between two rotations, if there is a schedule.
///         pub longest_gap: Option<checker_core::duration::Duration>,
///     }
/// }
/// # use checker_core::expression::types::Typed as _;
/// assert_eq!(Rotation::ty().to_string(), "Rotation");
/// ```
#[macro_export]
macro_rules! facts {
    ($(
        $(#[doc = $doc:literal])*
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $field_doc:literal])*
                $(#[serde($($serde:tt)*)])*
                $field_vis:vis $field:ident : $ty:ty
            ),* $(,)?
        }
    )*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        $vis struct $name {
            $(
                $(#[doc = $field_doc])*
                $(#[serde($($serde)*)])*
                $field_vis $field: $ty,
            )*
        }

        impl $crate::expression::types::Typed for $name {
            fn ty() -> $crate::expression::types::Type {
                $crate::expression::types::Type::object(
                    stringify!($name),
                    $crate::expression::types::doc(&[$($doc),*]),
                    vec![$(
                        $crate::expression::types::Field::new(
                            stringify!($field),
                            $crate::expression::types::doc(&[$($field_doc),*]),
                            <$ty as $crate::expression::types::Typed>::ty(),
                        ),
                    )*],
                )
            }

            fn value(&self) -> ::cel::Value {
                use ::cel::objects::Key;
                use ::std::sync::LazyLock;
                // The names of members are as many texts as there are members, not as there are things.
                static NAMES: LazyLock<Vec<Key>> =
                    LazyLock::new(|| vec![$(Key::from(stringify!($field))),*]);
                let known = [$($crate::expression::types::Typed::known(&self.$field)),*];
                $crate::expression::types::map(
                    NAMES.iter().zip(known).filter_map(|(name, value)| Some((name.clone(), value?))),
                )
            }

            fn only(
                &self,
                path: &str,
                names: &[::cel::objects::Key],
            ) -> (::cel::Value, ::std::collections::BTreeMap<String, String>) {
                use $crate::expression::types::Typed;
                let mut unknowns = ::std::collections::BTreeMap::new();
                let entries = names.iter().filter_map(|name| {
                    let ::cel::objects::Key::String(text) = name else {
                        return None;
                    };
                    let value = match text.as_str() {
                        $(stringify!($field) => {
                            let path = format_args!("{path}.{}", stringify!($field));
                            Typed::unknowns(&self.$field, path, &mut unknowns);
                            Typed::known(&self.$field)?
                        })*
                        _ => return None,
                    };
                    Some((name.clone(), value))
                });
                let value = $crate::expression::types::map(entries);
                (value, unknowns)
            }

            fn unknowns(
                &self,
                path: ::std::fmt::Arguments<'_>,
                into: &mut ::std::collections::BTreeMap<String, String>,
            ) {
                $(
                    $crate::expression::types::Typed::unknowns(
                        &self.$field,
                        format_args!("{path}.{}", stringify!($field)),
                        into,
                    );
                )*
            }
        }
    )*};
}

/// Declares a closed set of texts as a fact: an enum whose variants have the given spelling, in serialized
/// form as in expressions, where any other literal is refused when the control is loaded.
///
/// ```
/// checker_core::choices! {
///     /// The state of a key.
///     pub enum KeyState {
///         /// It can be used.
///         Enabled = "Enabled",
///         /// It waits to be deleted.
///         PendingDeletion = "PendingDeletion",
///     }
/// }
/// assert_eq!(KeyState::Enabled.as_str(), "Enabled");
/// ```
#[macro_export]
macro_rules! choices {
    ($(
        $(#[doc = $doc:literal])*
        $vis:vis enum $name:ident {
            $(
                $(#[doc = $variant_doc:literal])*
                $variant:ident = $text:literal
            ),* $(,)?
        }
    )*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ::serde::Serialize, ::serde::Deserialize)]
        $vis enum $name {
            $(
                $(#[doc = $variant_doc])*
                #[serde(rename = $text)]
                $variant,
            )*
        }

        impl $name {
            /// The text that AWS and expressions use.
            $vis const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl $crate::expression::types::Typed for $name {
            fn ty() -> $crate::expression::types::Type {
                $crate::expression::types::Type::Choice(vec![$($text),*])
            }

            fn value(&self) -> ::cel::Value {
                ::cel::Value::String(::std::sync::Arc::new(self.as_str().to_owned()))
            }
        }
    )*};
}
