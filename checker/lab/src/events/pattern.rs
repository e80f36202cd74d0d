//! Event patterns of `EventBridge`: parsing with AWS's refusals, and matching.
//!
//! Input: the text of a pattern, and events as JSON. Output: whether the event matches, or why the pattern is refused
//! (`InvalidEventPatternException`). The grammar and its semantics follow the user guide's "comparison operators"
//! page and the reference implementation's documentation (event-ruler): a field that is a list matches when one of
//! its elements does, and one list of objects must match with a single element for all fields below it.
//! It does not know rule states or buses, and it does not limit the complexity of wildcards.

use std::net::IpAddr;

use serde_json::{Map, Value};

/// AWS refuses patterns whose `$or` fields multiply to more combinations than this.
const MAX_COMBINATIONS: usize = 1000;
/// Numbers outside this range can't be compared.
const NUMERIC_LIMIT: f64 = 5.0e9;

/// A pattern that AWS would accept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pattern {
    fields: Vec<(String, Field)>,
    /// One entry per `$or`, each a list of alternatives.
    alternatives: Vec<Vec<Self>>,
}

#[derive(Debug, Clone, PartialEq)]
enum Field {
    Leaf(Vec<Test>),
    Inside(Pattern),
}

/// One entry of a leaf: a value to be equal to, or an operator.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    /// The same string, number, boolean or null.
    Equals(Value),
    /// `exists`.
    Exists(bool),
    /// `anything-but`: present, and none of these.
    AnythingBut(Vec<Self>),
    /// `prefix`, ignoring case or not.
    Prefix(String, Case),
    /// `suffix`, ignoring case or not.
    Suffix(String, Case),
    /// `equals-ignore-case`.
    EqualsIgnoreCase(String),
    /// `wildcard`, as the literal pieces between the asterisks.
    Wildcard(Vec<String>),
    /// `numeric`, all comparisons of which must hold.
    Numeric(Vec<(Comparison, f64)>),
    /// `cidr`.
    Cidr(IpAddr, u8),
}

/// Whether letters must agree in case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// They must.
    Exact,
    /// They need not.
    Ignored,
}

/// A comparison of `numeric`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// `=`
    Equal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// Why a pattern is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Event pattern is not valid. Reason: {0}")]
pub(crate) struct PatternError(String);

impl Pattern {
    /// Reads a pattern as `PutRule` does.
    pub(crate) fn parse(text: &str) -> Result<Self, PatternError> {
        let value: Value = serde_json::from_str(text)
            .map_err(|_| PatternError("Filter is not valid JSON".to_owned()))?;
        let Some(top) = value.as_object() else {
            return refuse("Filter is not an object");
        };
        let pattern = object(top, "the pattern")?;
        if pattern.combinations() > MAX_COMBINATIONS {
            return refuse("the pattern has too many $or combinations");
        }
        Ok(pattern)
    }

    /// Whether an event, envelope included, matches.
    pub(crate) fn matches(&self, event: &Value) -> bool {
        event
            .as_object()
            .is_some_and(|members| self.matches_members(Some(members)))
    }

    fn matches_members(&self, members: Option<&Map<String, Value>>) -> bool {
        self.fields
            .iter()
            .all(|(name, field)| field.matches(members.and_then(|each| each.get(name))))
            && self
                .alternatives
                .iter()
                .all(|choices| choices.iter().any(|choice| choice.matches_members(members)))
    }

    fn combinations(&self) -> usize {
        let inside = self.fields.iter().map(|(_, field)| match field {
            Field::Leaf(_) => 1,
            Field::Inside(pattern) => pattern.combinations(),
        });
        let or = self.alternatives.iter().map(|choices| {
            choices
                .iter()
                .map(Self::combinations)
                .fold(0, usize::saturating_add)
        });
        inside.chain(or).fold(1, usize::saturating_mul)
    }
}

impl Field {
    /// `None` is a field that the event doesn't have.
    fn matches(&self, value: Option<&Value>) -> bool {
        match self {
            Self::Leaf(tests) => {
                let mut leaves = Vec::new();
                if let Some(value) = value {
                    collect_leaves(value, &mut leaves);
                }
                any_test_matches(tests, &leaves)
            }
            Self::Inside(pattern) => match value {
                Some(Value::Array(list)) => {
                    let mut elements = Vec::new();
                    collect_elements(list, &mut elements);
                    if elements.is_empty() {
                        pattern.matches_members(None)
                    } else {
                        elements
                            .iter()
                            .any(|each| pattern.matches_members(each.as_object()))
                    }
                }
                Some(other) => pattern.matches_members(other.as_object()),
                None => pattern.matches_members(None),
            },
        }
    }
}

/// Whether one of the tests holds for the leaves at one path; no leaves means that the field is absent.
pub(crate) fn any_test_matches(tests: &[Test], leaves: &[&Value]) -> bool {
    tests.iter().any(|test| match test {
        Test::Exists(expected) => *expected != leaves.is_empty(),
        Test::Equals(_)
        | Test::AnythingBut(_)
        | Test::Prefix(..)
        | Test::Suffix(..)
        | Test::EqualsIgnoreCase(_)
        | Test::Wildcard(_)
        | Test::Numeric(_)
        | Test::Cidr(..) => leaves.iter().any(|leaf| test.holds(leaf)),
    })
}

impl Test {
    fn holds(&self, leaf: &Value) -> bool {
        match self {
            Self::Equals(expected) => leaf == expected,
            Self::Exists(expected) => *expected,
            Self::AnythingBut(tests) => !tests.iter().any(|test| test.holds(leaf)),
            Self::Prefix(prefix, case) => leaf
                .as_str()
                .is_some_and(|text| case.fold(text).starts_with(&case.fold(prefix))),
            Self::Suffix(suffix, case) => leaf
                .as_str()
                .is_some_and(|text| case.fold(text).ends_with(&case.fold(suffix))),
            Self::EqualsIgnoreCase(expected) => leaf
                .as_str()
                .is_some_and(|text| text.to_lowercase() == expected.to_lowercase()),
            Self::Wildcard(pieces) => leaf
                .as_str()
                .is_some_and(|text| wildcard_matches(pieces, text)),
            Self::Numeric(comparisons) => leaf
                .as_f64()
                .filter(|number| number.abs() <= NUMERIC_LIMIT)
                .is_some_and(|number| {
                    comparisons
                        .iter()
                        .all(|(how, bound)| how.holds(number, *bound))
                }),
            Self::Cidr(network, bits) => leaf
                .as_str()
                .and_then(|text| text.parse().ok())
                .is_some_and(|address| in_network(address, *network, *bits)),
        }
    }
}

impl Case {
    fn fold(self, text: &str) -> String {
        match self {
            Self::Exact => text.to_owned(),
            Self::Ignored => text.to_lowercase(),
        }
    }
}

impl Comparison {
    #[expect(
        clippy::float_cmp,
        reason = "both sides come from JSON text, and equality is what `=` asks for"
    )]
    fn holds(self, number: f64, bound: f64) -> bool {
        match self {
            Self::Equal => number == bound,
            Self::Less => number < bound,
            Self::LessOrEqual => number <= bound,
            Self::Greater => number > bound,
            Self::GreaterOrEqual => number >= bound,
        }
    }
}

/// The pieces stand in this order, the first at the start and the last at the end.
fn wildcard_matches(pieces: &[String], text: &str) -> bool {
    let Some((first, others)) = pieces.split_first() else {
        return text.is_empty();
    };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else {
        return false;
    };
    let Some((last, middle)) = others.split_last() else {
        return rest.is_empty();
    };
    for piece in middle {
        match rest.split_once(piece.as_str()) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

fn in_network(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let shifted = |number: u128, width: u32| {
        number
            .checked_shr(width.saturating_sub(u32::from(bits)))
            .unwrap_or(0)
    };
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            shifted(u128::from(address.to_bits()), 32) == shifted(u128::from(network.to_bits()), 32)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            shifted(address.to_bits(), 128) == shifted(network.to_bits(), 128)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// Scalars of a value; objects are no leaves.
fn collect_leaves<'a>(value: &'a Value, leaves: &mut Vec<&'a Value>) {
    match value {
        Value::Array(list) => list.iter().for_each(|each| collect_leaves(each, leaves)),
        Value::Object(_) => {}
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => leaves.push(value),
    }
}

fn collect_elements<'a>(list: &'a [Value], elements: &mut Vec<&'a Value>) {
    for each in list {
        match each {
            Value::Array(inner) => collect_elements(inner, elements),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_) => {
                elements.push(each);
            }
        }
    }
}

fn object(members: &Map<String, Value>, path: &str) -> Result<Pattern, PatternError> {
    if members.is_empty() {
        return refuse(format!("Empty objects are not allowed at {path}"));
    }
    let mut pattern = Pattern {
        fields: Vec::new(),
        alternatives: Vec::new(),
    };
    for (name, value) in members {
        match value {
            Value::Array(list) if name == "$or" && is_alternatives(list) => {
                let choices = list
                    .iter()
                    .filter_map(Value::as_object)
                    .map(|each| object(each, "$or"));
                pattern
                    .alternatives
                    .push(choices.collect::<Result<_, _>>()?);
            }
            Value::Array(list) => pattern
                .fields
                .push((name.clone(), Field::Leaf(tests(list, name)?))),
            Value::Object(inner) => pattern
                .fields
                .push((name.clone(), Field::Inside(object(inner, name)?))),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return refuse(format!("\"{name}\" must be an object or an array"));
            }
        }
    }
    Ok(pattern)
}

const OPERATORS: [&str; 8] = [
    "prefix",
    "suffix",
    "anything-but",
    "numeric",
    "cidr",
    "exists",
    "equals-ignore-case",
    "wildcard",
];

/// `$or` is an operator only over two or more plain objects; otherwise it is a field's name.
fn is_alternatives(list: &[Value]) -> bool {
    list.len() >= 2
        && list.iter().all(|each| {
            each.as_object().is_some_and(|members| {
                !members
                    .keys()
                    .any(|name| OPERATORS.contains(&name.as_str()))
            })
        })
}

/// The entries of a leaf, as in `"source": [..]`.
pub(crate) fn tests(list: &[Value], name: &str) -> Result<Vec<Test>, PatternError> {
    if list.is_empty() {
        return refuse(format!("Empty arrays are not allowed at \"{name}\""));
    }
    list.iter()
        .map(|each| match each {
            Value::Object(members) => operator(members),
            Value::Array(_) => refuse(format!(
                "Match value must be String, number, true, false, or null at \"{name}\""
            )),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                Ok(Test::Equals(each.clone()))
            }
        })
        .collect()
}

fn operator(members: &Map<String, Value>) -> Result<Test, PatternError> {
    let mut entries = members.iter();
    let (Some((name, value)), None) = (entries.next(), entries.next()) else {
        return refuse("Only one key allowed in match expression");
    };
    match name.as_str() {
        "exists" => match value.as_bool() {
            Some(expected) => Ok(Test::Exists(expected)),
            None => refuse("exists match pattern must be either true or false"),
        },
        "anything-but" => anything_but(value),
        "numeric" => numeric(value),
        "prefix" | "suffix" | "equals-ignore-case" | "wildcard" | "cidr" => {
            text_operator(name, value)
        }
        other => refuse(format!("Unrecognized match type {other}")),
    }
}

fn text_operator(name: &str, value: &Value) -> Result<Test, PatternError> {
    let (text, case) = match value {
        Value::String(text) => (text.as_str(), Case::Exact),
        Value::Object(inner) if matches!(name, "prefix" | "suffix") && inner.len() == 1 => {
            match inner.get("equals-ignore-case").and_then(Value::as_str) {
                Some(text) => (text, Case::Ignored),
                None => return refuse(format!("Unsupported {name} pattern")),
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            return refuse(format!("{name} match pattern must be a string"));
        }
    };
    match name {
        "prefix" if text.is_empty() => refuse("Null prefix not allowed"),
        "prefix" => Ok(Test::Prefix(text.to_owned(), case)),
        "suffix" if text.is_empty() => refuse("Null suffix not allowed"),
        "suffix" => Ok(Test::Suffix(text.to_owned(), case)),
        "equals-ignore-case" => Ok(Test::EqualsIgnoreCase(text.to_owned())),
        "wildcard" => wildcard(text),
        "cidr" => cidr(text),
        other => refuse(format!("Unrecognized match type {other}")),
    }
}

fn anything_but(value: &Value) -> Result<Test, PatternError> {
    match value {
        Value::Object(inner) => {
            let mut entries = inner.iter();
            let (Some((name, value)), None) = (entries.next(), entries.next()) else {
                return refuse("Only one key allowed in anything-but");
            };
            if !matches!(
                name.as_str(),
                "prefix" | "suffix" | "equals-ignore-case" | "wildcard"
            ) {
                return refuse(format!("Unsupported anything-but pattern: {name}"));
            }
            let values = match value {
                Value::Array(list) if !list.is_empty() => list.iter().collect(),
                Value::String(_) => vec![value],
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::Array(_)
                | Value::Object(_) => {
                    return refuse(format!(
                        "anything-but {name} must be a string or a list of strings"
                    ));
                }
            };
            let tests = values.into_iter().map(|each| {
                if each.is_string() {
                    text_operator(name, each)
                } else {
                    refuse(format!(
                        "anything-but {name} must be a string or a list of strings"
                    ))
                }
            });
            Ok(Test::AnythingBut(tests.collect::<Result<_, _>>()?))
        }
        Value::Array(list) if list.is_empty() => refuse("Empty arrays are not allowed"),
        Value::Array(list) => {
            let same_type = list.iter().all(Value::is_string) || list.iter().all(Value::is_number);
            if !same_type {
                return refuse(
                    "Inside anything but list, either all values are number or string, mixed type is not supported",
                );
            }
            Ok(Test::AnythingBut(
                list.iter().cloned().map(Test::Equals).collect(),
            ))
        }
        Value::String(_) | Value::Number(_) => {
            Ok(Test::AnythingBut(vec![Test::Equals(value.clone())]))
        }
        Value::Null | Value::Bool(_) => {
            refuse("Value of anything-but must be an array or single string/number value.")
        }
    }
}

fn numeric(value: &Value) -> Result<Test, PatternError> {
    let Some(list) = value.as_array().filter(|list| !list.is_empty()) else {
        return refuse("Value of numeric must be an array.");
    };
    let mut comparisons = Vec::new();
    for pair in list.chunks(2) {
        let [how, bound] = pair else {
            return refuse("Too many terms in numeric range expression");
        };
        let how = match how.as_str() {
            Some("=") => Comparison::Equal,
            Some("<") => Comparison::Less,
            Some("<=") => Comparison::LessOrEqual,
            Some(">") => Comparison::Greater,
            Some(">=") => Comparison::GreaterOrEqual,
            Some(other) => return refuse(format!("Unrecognized numeric range operator: {other}")),
            None => return refuse("Invalid member in numeric match"),
        };
        match bound.as_f64() {
            Some(number) if number.abs() <= NUMERIC_LIMIT => comparisons.push((how, number)),
            Some(_) => return refuse("Value must be between -5.0E9 and 5.0E9"),
            None => return refuse("Value of numeric must be a number"),
        }
    }
    let lower = |how: &Comparison| matches!(how, Comparison::Greater | Comparison::GreaterOrEqual);
    let upper = |how: &Comparison| matches!(how, Comparison::Less | Comparison::LessOrEqual);
    match comparisons.as_slice() {
        [_] => {}
        [(first, bottom), (second, top)] if lower(first) && upper(second) => {
            if bottom >= top {
                return refuse("Bottom must be less than top");
            }
        }
        [(first, top), (second, bottom)] if upper(first) && lower(second) => {
            if bottom >= top {
                return refuse("Bottom must be less than top");
            }
        }
        _ => return refuse("Bad numeric range operator"),
    }
    Ok(Test::Numeric(comparisons))
}

fn wildcard(text: &str) -> Result<Test, PatternError> {
    let (mut pieces, mut piece, mut characters) =
        (Vec::new(), String::new(), text.chars().peekable());
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped @ ('*' | '\\')) => piece.push(escaped),
                Some(_) | None => return refuse("Invalid escape character in wildcard pattern"),
            },
            '*' => {
                if characters.peek() == Some(&'*') {
                    return refuse("Consecutive wildcard characters are not allowed");
                }
                pieces.push(std::mem::take(&mut piece));
            }
            other => piece.push(other),
        }
    }
    pieces.push(piece);
    Ok(Test::Wildcard(pieces))
}

fn cidr(text: &str) -> Result<Test, PatternError> {
    let malformed = || PatternError(format!("Malformed CIDR, one '/' required: {text}"));
    let (address, bits) = text.split_once('/').ok_or_else(malformed)?;
    let address: IpAddr = address
        .parse()
        .map_err(|_| PatternError(format!("Nonstandard IP address: {address}")))?;
    let bits: u8 = bits.parse().map_err(|_| malformed())?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    if bits > width {
        return refuse("IP address mask bits out of range");
    }
    Ok(Test::Cidr(address, bits))
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, PatternError> {
    Err(PatternError(reason.into()))
}

#[cfg(test)]
mod tests;
