//! The functions that conditions may call, with their types, and the interpreter's environment.
//!
//! The vocabulary is closed: a function that is not here is refused when the control is loaded, even where the
//! interpreter knows one of that name.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use cel::common::types::{self, CelBool, CelDuration, CelInt, CelString};
use cel::common::value::CowVal;
use cel::{Env, ExecutionError};
use regex::Regex;

use super::types::Type;

/// A function of the vocabulary.
#[derive(Debug)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Called on a value (`text.startsWith('a')`), or by itself (`days(90)`).
    pub on: Option<Kind>,
    /// Its arguments.
    pub arguments: &'static [Kind],
    /// What it answers.
    pub answer: Kind,
    /// One sentence.
    pub doc: &'static str,
}

/// The types that functions take and give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// Text.
    Text,
    /// A text literal that is a regular expression.
    Pattern,
    /// A text literal that is a time.
    TimeText,
    /// A length of time.
    Duration,
    /// A point in time.
    Time,
    /// Text, a list or a map.
    Sized,
}

impl Kind {
    /// The type of a value of this kind.
    pub(super) fn ty(self) -> Type {
        match self {
            Self::Bool => Type::Bool,
            Self::Int => Type::Int,
            Self::Text | Self::Pattern | Self::TimeText => Type::Text,
            Self::Duration => Type::Duration,
            Self::Time => Type::Time,
            Self::Sized => Type::Any,
        }
    }

    /// A name for it in a signature.
    pub(crate) fn short(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Text => "text",
            Self::Pattern => "'pattern'",
            Self::TimeText => "'time'",
            Self::Duration => "duration",
            Self::Time => "time",
            Self::Sized => "value",
        }
    }

    /// The words for it in a message.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Bool => "a bool",
            Self::Int => "an int",
            Self::Text => "text",
            Self::Pattern => "a regular expression in quotes",
            Self::TimeText => "a time in quotes, like '2026-01-31T00:00:00Z'",
            Self::Duration => "a duration",
            Self::Time => "a time",
            Self::Sized => "text, a list or a map",
        }
    }

    /// Whether a value of a type may stand here.
    pub(super) fn takes(self, ty: &Type) -> bool {
        match ty.present() {
            Type::Any => true,
            Type::Bool => self == Self::Bool,
            Type::Int => self == Self::Int,
            Type::Text | Type::Choice(_) => matches!(
                self,
                Self::Text | Self::Pattern | Self::TimeText | Self::Sized
            ),
            Type::Duration => self == Self::Duration,
            Type::Time => self == Self::Time,
            Type::List(_) | Type::Map(_) => self == Self::Sized,
            Type::Float | Type::Object(_) | Type::Optional(_) | Type::Null => false,
        }
    }
}

const fn global(
    name: &'static str,
    arguments: &'static [Kind],
    answer: Kind,
    doc: &'static str,
) -> Function {
    Function {
        name,
        on: None,
        arguments,
        answer,
        doc,
    }
}

const fn member(
    name: &'static str,
    on: Kind,
    arguments: &'static [Kind],
    answer: Kind,
    doc: &'static str,
) -> Function {
    Function {
        name,
        on: Some(on),
        arguments,
        answer,
        doc,
    }
}

/// All functions.
pub const FUNCTIONS: &[Function] = &[
    global(
        "days",
        &[Kind::Int],
        Kind::Duration,
        "that many days of 24 hours",
    ),
    global("hours", &[Kind::Int], Kind::Duration, "that many hours"),
    global("minutes", &[Kind::Int], Kind::Duration, "that many minutes"),
    global("seconds", &[Kind::Int], Kind::Duration, "that many seconds"),
    global(
        "timestamp",
        &[Kind::TimeText],
        Kind::Time,
        "a point in time, RFC 3339",
    ),
    global(
        "size",
        &[Kind::Sized],
        Kind::Int,
        "characters of a text, items of a list, keys of a map",
    ),
    member(
        "size",
        Kind::Sized,
        &[],
        Kind::Int,
        "characters of a text, items of a list, keys of a map",
    ),
    member(
        "startsWith",
        Kind::Text,
        &[Kind::Text],
        Kind::Bool,
        "whether it begins with the text",
    ),
    member(
        "endsWith",
        Kind::Text,
        &[Kind::Text],
        Kind::Bool,
        "whether it ends with the text",
    ),
    member(
        "contains",
        Kind::Text,
        &[Kind::Text],
        Kind::Bool,
        "whether the text stands in it",
    ),
    member(
        "matches",
        Kind::Text,
        &[Kind::Pattern],
        Kind::Bool,
        "whether the pattern is found in it; anchor with ^ and $",
    ),
    member("getFullYear", Kind::Time, &[], Kind::Int, "the year, UTC"),
    member(
        "getMonth",
        Kind::Time,
        &[],
        Kind::Int,
        "the month, UTC, January is 0",
    ),
    member(
        "getDate",
        Kind::Time,
        &[],
        Kind::Int,
        "the day of the month, UTC, from 1",
    ),
    member(
        "getDayOfWeek",
        Kind::Time,
        &[],
        Kind::Int,
        "the day of the week, UTC, Sunday is 0",
    ),
    member("getHours", Kind::Time, &[], Kind::Int, "the hour, UTC"),
];

/// The loops, which the parser expands.
pub(super) const LOOPS: &[&str] = &["all", "exists", "exists_one", "map", "filter"];

/// What `matches` is called in a checked tree: the same search, with the pattern compiled once.
pub(super) const CACHED_MATCHES: &str = "@matches";

/// The environment in which conditions are evaluated.
pub(super) static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(environment()));

#[expect(
    clippy::expect_used,
    reason = "the names are constant, and the standard library has none of them"
)]
fn environment() -> Env {
    let mut env = Env::stdlib();
    env.add_overload("days", "int_days", vec![types::INT_TYPE], |arguments| {
        length("days", &arguments, chrono::TimeDelta::try_days)
    })
    .expect("`days` is new");
    env.add_overload("hours", "int_hours", vec![types::INT_TYPE], |arguments| {
        length("hours", &arguments, chrono::TimeDelta::try_hours)
    })
    .expect("`hours` is new");
    env.add_overload(
        "minutes",
        "int_minutes",
        vec![types::INT_TYPE],
        |arguments| length("minutes", &arguments, chrono::TimeDelta::try_minutes),
    )
    .expect("`minutes` is new");
    env.add_overload(
        "seconds",
        "int_seconds",
        vec![types::INT_TYPE],
        |arguments| length("seconds", &arguments, chrono::TimeDelta::try_seconds),
    )
    .expect("`seconds` is new");
    env.add_member_overload(
        CACHED_MATCHES,
        "string_cached_matches",
        types::STRING_TYPE,
        vec![types::STRING_TYPE],
        cached_matches,
    )
    .expect("the name can't be written in a condition");
    env
}

/// A number of units as a length of time; beyond what can be held is an error, not a panic.
fn length<'b, 'v>(
    name: &str,
    arguments: &[CowVal<'b, 'v>],
    unit: fn(i64) -> Option<chrono::TimeDelta>,
) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let count = arguments
        .first()
        .and_then(|argument| argument.downcast_ref::<CelInt>())
        .ok_or_else(|| ExecutionError::function_error(name, "takes a whole number"))?;
    // The interpreter's arithmetic holds what fits into 64 bits of nanoseconds.
    let length = unit(*count.inner())
        .filter(|length| length.num_nanoseconds().is_some())
        .ok_or_else(|| {
            ExecutionError::function_error(name, "is beyond what a duration can hold")
        })?;
    Ok(CowVal::owned(CelDuration::from(length)))
}

/// `matches` with each pattern compiled once in the process.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the interpreter hands the arguments over"
)]
fn cached_matches<'b, 'v>(
    arguments: Vec<CowVal<'b, 'v>>,
) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let text = |index: usize| {
        arguments
            .get(index)
            .and_then(|argument| argument.downcast_ref::<CelString<'_>>())
            .ok_or_else(|| ExecutionError::function_error("matches", "takes text"))
    };
    let found = with_pattern(text(1)?.inner(), |pattern| {
        text(0).map(|subject| pattern.is_match(subject.inner()))
    })
    .map_err(|error| ExecutionError::function_error("matches", error))??;
    Ok(CowVal::owned(CelBool::from(found)))
}

static PATTERNS: LazyLock<RwLock<HashMap<String, Regex>>> = LazyLock::new(RwLock::default);

/// Uses a compiled pattern, compiling it on first use.
pub(super) fn with_pattern<T>(
    pattern: &str,
    work: impl FnOnce(&Regex) -> T,
) -> Result<T, regex::Error> {
    if let Some(compiled) = PATTERNS
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .get(pattern)
    {
        return Ok(work(compiled));
    }
    let compiled = Regex::new(pattern)?;
    let result = work(&compiled);
    PATTERNS
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(pattern.to_owned(), compiled);
    Ok(result)
}
