//! One context key, reduced to finitely many choices.
//!
//! In: every condition on the key that matters. Out: values such that whatever truth the conditions can have
//! together, some choice gives it: missing, a single value, or for keys that can have several values any set
//! of representatives. Text comparisons are exact through the product of their languages; numbers, dates and
//! networks through the borders of their intervals. Where both sorts meet on one key the choices may be too few,
//! and the model says so.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat};

use super::automaton::Product;
use super::language::{Language, Set, callers};
use crate::condition::{Comparison, Condition, Test};
use crate::glob::Token;
use crate::template::Variable;
use crate::value::{Network, Number, instant};

/// Keys that AWS fills with lists.
const LISTS: [&str; 9] = [
    "aws:tagkeys",
    "aws:principalorgpaths",
    "aws:resourceorgpaths",
    "aws:sourceorgpaths",
    "aws:calledvia",
    "aws:principalservicenameslist",
    "dynamodb:leadingkeys",
    "dynamodb:attributes",
    "kms:encryptioncontextkeys",
];

/// The values worth considering for one key.
#[derive(Debug, Clone)]
pub(crate) struct KeyModel {
    /// As in a policy.
    pub(crate) written: String,
    /// Alternatives, of which exactly one is taken; the empty list is "missing".
    pub(crate) alternatives: Vec<Vec<String>>,
    /// Values of which any number may be present together; empty for keys with a single value.
    pub(crate) members: Vec<String>,
    /// Whether the choices are known to be enough.
    pub(crate) complete: bool,
}

impl KeyModel {
    /// Builds the model; conditions whose variables are not known must have been left out.
    pub(crate) fn new<'v>(
        key: &str,
        conditions: &[&Condition],
        mut lookup: impl FnMut(&Variable) -> Option<&'v str>,
        cap: usize,
    ) -> Self {
        let mut product = Product::over(universe(key, conditions));
        let (mut textual, mut borders) = (false, BTreeSet::new());
        for condition in conditions {
            for test in &condition.tests {
                let tokens = match test {
                    Test::Fixed(_, tokens) => Some(tokens.clone()),
                    Test::Variable(template) => template.resolve(&mut lookup),
                };
                let Some(tokens) = tokens else { continue };
                if let Some(language) = language(condition.operator.comparison, &tokens) {
                    textual = true;
                    product.distinguish(language);
                } else {
                    border(condition.operator.comparison, &tokens, &mut borders);
                }
            }
        }
        let ordered = !borders.is_empty();
        let explored = if textual || !ordered {
            Some(product.explore(cap))
        } else {
            None
        };
        let complete =
            explored.as_ref().is_none_or(|explored| explored.complete) && !(textual && ordered);
        let mut values: Vec<String> = explored.map(|explored| explored.texts).unwrap_or_default();
        values.extend(representatives(&borders));
        let several = LISTS.contains(&key)
            || conditions
                .iter()
                .any(|condition| condition.operator.quantifier.is_some());
        let mut model = Self {
            written: conditions.first().map_or_else(
                || key.to_owned(),
                |condition| condition.written_key.to_string(),
            ),
            alternatives: vec![Vec::new()],
            members: Vec::new(),
            complete,
        };
        if several {
            model.members = values;
        } else {
            model
                .alternatives
                .extend(values.into_iter().map(|value| vec![value]));
        }
        model.alternatives.push(vec![String::new()]);
        model
    }
}

/// What values of the key look like.
fn universe(key: &str, conditions: &[&Condition]) -> Vec<Language> {
    if conditions
        .iter()
        .any(|condition| condition.operator.comparison == Comparison::Bool)
    {
        return vec![
            Language::default().text("true"),
            Language::default().text("false"),
        ];
    }
    match key {
        "aws:principalarn" => callers(),
        "aws:principalaccount"
        | "aws:resourceaccount"
        | "aws:sourceaccount"
        | "kms:calleraccount" => {
            vec![Language::default().exactly(Set::Digit, 12)]
        }
        _ => vec![Language::default().some(Set::Any, 1)],
    }
}

/// The language of one value, for comparisons of text.
fn language(comparison: Comparison, tokens: &[Token]) -> Option<Language> {
    let text = || {
        tokens
            .iter()
            .filter_map(|token| token.literal())
            .collect::<String>()
    };
    match comparison {
        Comparison::Text | Comparison::Binary => Some(Language::default().text(&text())),
        Comparison::TextIgnoringCase | Comparison::Bool => Some(Language::ignoring_case(&text())),
        Comparison::Pattern => Some(Language::glob(tokens)),
        // A pattern that matches no ARN is told apart by nothing.
        Comparison::Arn => Some(Language::arn(tokens).unwrap_or_default()),
        Comparison::Number(_)
        | Comparison::Date(_)
        | Comparison::Network
        | Comparison::Null
        | Comparison::Unknown => None,
    }
}

/// A place where the truth of an ordered comparison changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Border {
    Number(String),
    Instant(i128),
    Network(String),
}

fn border(comparison: Comparison, tokens: &[Token], into: &mut BTreeSet<Border>) {
    let text: String = tokens.iter().filter_map(|token| token.literal()).collect();
    let found = match comparison {
        Comparison::Number(_) => Number::parse(&text).map(|_| Border::Number(text)),
        Comparison::Date(_) => instant(&text).map(Border::Instant),
        Comparison::Network => Network::parse(&text).map(|_| Border::Network(text)),
        Comparison::Text
        | Comparison::TextIgnoringCase
        | Comparison::Pattern
        | Comparison::Arn
        | Comparison::Bool
        | Comparison::Binary
        | Comparison::Null
        | Comparison::Unknown => None,
    };
    into.extend(found);
}

/// Values at, between and beyond the borders.
fn representatives(borders: &BTreeSet<Border>) -> Vec<String> {
    let mut numbers = Vec::new();
    let mut instants = Vec::new();
    let mut values = Vec::new();
    for border in borders {
        match border {
            Border::Number(text) => numbers.extend(Number::parse(text)),
            Border::Instant(at) => instants.push(*at),
            Border::Network(text) => {
                let network = Network::parse(text);
                values.extend(
                    network
                        .map(Network::borders)
                        .unwrap_or_default()
                        .iter()
                        .map(ToString::to_string),
                );
                values.extend(["0.0.0.0".to_owned(), "::".to_owned()]);
            }
        }
    }
    // Neighbours of whole numbers, because between large ones no double lies.
    let neighbours: Vec<Number> = numbers
        .iter()
        .filter_map(|number| match number {
            Number::Whole(whole) => Some([whole.checked_sub(1)?, whole.checked_add(1)?]),
            Number::Real(_) => None,
        })
        .flatten()
        .map(Number::Whole)
        .collect();
    numbers.sort_by(|own, other| own.compare(*other).unwrap_or(Ordering::Equal));
    let reals: Vec<f64> = numbers.iter().map(|number| number.real()).collect();
    values.extend(
        reals
            .windows(2)
            .map(|pair| (pair.iter().sum::<f64>() / 2.0).to_string()),
    );
    values.extend(numbers.iter().map(|number| match number {
        Number::Whole(whole) => whole.to_string(),
        Number::Real(real) => real.to_string(),
    }));
    values.extend(neighbours.iter().map(|number| match number {
        Number::Whole(whole) => whole.to_string(),
        Number::Real(real) => real.to_string(),
    }));
    values.extend(reals.first().map(|least| (least - 1.0).to_string()));
    values.extend(reals.last().map(|most| (most + 1.0).to_string()));
    instants.sort_unstable();
    let between: Vec<i128> = instants
        .windows(2)
        .map(|pair| pair.iter().sum::<i128>().div_euclid(2))
        .collect();
    for at in between {
        values.extend(written(at));
    }
    for at in instants {
        for near in [at - 1_000_000_000, at, at + 1_000_000_000] {
            values.extend(written(near));
        }
    }
    let mut seen = BTreeSet::new();
    values.retain(|value| seen.insert(value.clone()));
    values
}

/// An instant as text.
fn written(at: i128) -> Option<String> {
    let seconds = i64::try_from(at.div_euclid(1_000_000_000)).ok()?;
    let rest = u32::try_from(at.rem_euclid(1_000_000_000)).ok()?;
    let exact = DateTime::from_timestamp(seconds, rest)?;
    Some(exact.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}
