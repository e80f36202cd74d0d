//! Conditions: an operator, a context key and the values it is compared with.
//!
//! In: one `"Operator": {"key": values}` entry. Out: whether it holds in a context.
//! Rules, from the IAM user guide ("Policy elements: condition operators", "Single-valued vs. multivalued
//! context keys"):
//! * several values are alternatives; a negated operator is the exact negation of its positive twin, so it
//!   holds when the key is missing;
//! * `..IfExists` holds when the key is missing;
//! * `ForAllValues` holds for a missing key or one that is a single empty string, `ForAnyValue` never does;
//! * `ArnEquals` and `ArnLike` are the same, segment by segment, and need an ARN on the request's side;
//! * a policy variable without a value makes its alternative unmatchable.
//!
//! An operator that we don't know never makes an Allow match and always leaves a Deny in force.

use std::cmp::Ordering;
use std::net::IpAddr;

use crate::arn::{ArnPattern, Resource, Short};
use crate::glob::{Glob, Token};
use crate::template::{Reading, Template, Variable};
use crate::value::{Network, Number, fold, instant};

/// One operator applied to one key.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub(crate) operator: Operator,
    /// Lower-cased.
    pub(crate) key: Box<str>,
    /// As in the policy.
    pub(crate) written_key: Box<str>,
    pub(crate) tests: Vec<Test>,
    variable: bool,
}

/// The parts of an operator's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Operator {
    pub(crate) quantifier: Option<Quantifier>,
    pub(crate) comparison: Comparison,
    pub(crate) negated: bool,
    pub(crate) if_exists: bool,
    /// As in the policy.
    pub(crate) written: Box<str>,
}

/// `ForAllValues:` or `ForAnyValue:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Quantifier {
    All,
    Any,
}

/// What is compared, without the negation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Comparison {
    Text,
    TextIgnoringCase,
    Pattern,
    Arn,
    Number(Order),
    Date(Order),
    Bool,
    Binary,
    Network,
    Null,
    Unknown,
}

/// How two ordered values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// One value of a condition.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    /// Compiled, with the tokens it was compiled from.
    Fixed(ValueTest, Vec<Token>),
    /// Needs the context before it can be compiled.
    Variable(Template),
}

/// A value compiled for its operator.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ValueTest {
    Text(Box<str>),
    /// Lower-cased.
    TextIgnoringCase(Box<str>),
    Pattern(Glob),
    Arn(ArnPattern),
    Number(Order, Number),
    Date(Order, i128),
    Bool(bool),
    Network(Network),
    /// Not a value of the operator's type.
    Never,
}

/// What a condition came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Holds,
    Fails,
    /// The operator is not known.
    Unknown,
}

/// The values of one key in a request; empty when the key is missing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Values<'a> {
    Missing,
    One(&'a str),
    Many(&'a [String]),
}

impl<'a> Values<'a> {
    pub(crate) fn is_missing(self) -> bool {
        match self {
            Self::Missing => true,
            Self::One(_) => false,
            Self::Many(values) => values.is_empty(),
        }
    }

    /// The value of a key that has exactly one, which is all that a policy variable can take.
    pub(crate) fn single(self) -> Option<&'a str> {
        match self {
            Self::One(value) => Some(value),
            Self::Many([value]) => Some(value),
            Self::Missing | Self::Many(_) => None,
        }
    }

    fn any(self, mut test: impl FnMut(&str) -> bool) -> bool {
        match self {
            Self::Missing => false,
            Self::One(value) => test(value),
            Self::Many(values) => values.iter().any(|value| test(value)),
        }
    }
}

impl Operator {
    /// Reads an operator's name; letter case is no matter.
    pub(crate) fn parse(written: &str) -> Self {
        let lower = written.to_ascii_lowercase();
        let (quantifier, rest) = match lower.split_once(':') {
            Some(("forallvalues", rest)) => (Some(Quantifier::All), rest),
            Some(("foranyvalue", rest)) => (Some(Quantifier::Any), rest),
            Some(_) | None => (None, lower.as_str()),
        };
        let (base, if_exists) = match rest.strip_suffix("ifexists") {
            Some(base) => (base, true),
            None => (rest, false),
        };
        let (comparison, negated) = match base {
            "stringequals" => (Comparison::Text, false),
            "stringnotequals" => (Comparison::Text, true),
            "stringequalsignorecase" => (Comparison::TextIgnoringCase, false),
            "stringnotequalsignorecase" => (Comparison::TextIgnoringCase, true),
            "stringlike" => (Comparison::Pattern, false),
            "stringnotlike" => (Comparison::Pattern, true),
            "arnequals" | "arnlike" => (Comparison::Arn, false),
            "arnnotequals" | "arnnotlike" => (Comparison::Arn, true),
            "numericequals" => (Comparison::Number(Order::Equal), false),
            "numericnotequals" => (Comparison::Number(Order::Equal), true),
            "numericlessthan" => (Comparison::Number(Order::Less), false),
            "numericlessthanequals" => (Comparison::Number(Order::LessOrEqual), false),
            "numericgreaterthan" => (Comparison::Number(Order::Greater), false),
            "numericgreaterthanequals" => (Comparison::Number(Order::GreaterOrEqual), false),
            "dateequals" => (Comparison::Date(Order::Equal), false),
            "datenotequals" => (Comparison::Date(Order::Equal), true),
            "datelessthan" => (Comparison::Date(Order::Less), false),
            "datelessthanequals" => (Comparison::Date(Order::LessOrEqual), false),
            "dategreaterthan" => (Comparison::Date(Order::Greater), false),
            "dategreaterthanequals" => (Comparison::Date(Order::GreaterOrEqual), false),
            "bool" => (Comparison::Bool, false),
            "binaryequals" => (Comparison::Binary, false),
            "ipaddress" => (Comparison::Network, false),
            "notipaddress" => (Comparison::Network, true),
            "null" if quantifier.is_none() && !if_exists => (Comparison::Null, false),
            _ => (Comparison::Unknown, false),
        };
        Self {
            quantifier,
            comparison,
            negated,
            if_exists,
            written: written.into(),
        }
    }

    fn reading(&self, variables: bool) -> Reading {
        let wildcards = matches!(self.comparison, Comparison::Pattern | Comparison::Arn);
        Reading {
            wildcards,
            variables,
        }
    }
}

impl Condition {
    /// Compiles one operator, key and its values.
    pub(crate) fn new(operator: Operator, key: &str, values: &[String], variables: bool) -> Self {
        let tests: Vec<Test> = values
            .iter()
            .map(|value| {
                let template = Template::parse(value, operator.reading(variables));
                match template.constant() {
                    Some(tokens) => {
                        Test::Fixed(ValueTest::new(operator.comparison, &tokens), tokens)
                    }
                    None => Test::Variable(template),
                }
            })
            .collect();
        let variable = tests.iter().any(|test| test.template().is_some());
        Self {
            operator,
            key: key.to_ascii_lowercase().into(),
            written_key: key.into(),
            tests,
            variable,
        }
    }

    /// The policy variables in its values.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &Variable> {
        let tests = if self.variable {
            self.tests.as_slice()
        } else {
            &[]
        };
        tests.iter().flat_map(Test::variables)
    }

    /// Whether the condition holds for the key's values; `lookup` answers for policy variables.
    pub(crate) fn evaluate<'v>(
        &self,
        values: Values<'_>,
        mut lookup: impl FnMut(&Variable) -> Option<&'v str>,
    ) -> Outcome {
        let operator = &self.operator;
        let holds = match operator.comparison {
            Comparison::Unknown => return Outcome::Unknown,
            Comparison::Null => {
                let wanted = if values.is_missing() { "true" } else { "false" };
                self.tests.iter().any(|test| match test {
                    Test::Fixed(fixed, _) => *fixed == ValueTest::TextIgnoringCase(wanted.into()),
                    Test::Variable(_) => false,
                })
            }
            Comparison::Text
            | Comparison::TextIgnoringCase
            | Comparison::Pattern
            | Comparison::Arn
            | Comparison::Number(_)
            | Comparison::Date(_)
            | Comparison::Bool
            | Comparison::Binary
            | Comparison::Network => {
                let mut matches =
                    |value: &str| self.matches_value(value, &mut lookup) != operator.negated;
                let nothing = values.is_missing()
                    || (operator.quantifier.is_some() && values.single() == Some(""));
                match operator.quantifier {
                    None if nothing => operator.negated || operator.if_exists,
                    Some(Quantifier::Any) if nothing => operator.if_exists,
                    // `StringNotEquals` of several values means: none of them is listed.
                    None if operator.negated => !values.any(|value| !matches(value)),
                    None | Some(Quantifier::Any) => values.any(matches),
                    Some(Quantifier::All) => nothing || !values.any(|value| !matches(value)),
                }
            }
        };
        if holds {
            Outcome::Holds
        } else {
            Outcome::Fails
        }
    }

    /// Whether one value is among the alternatives, the negation left aside.
    pub(crate) fn matches_value<'v>(
        &self,
        value: &str,
        lookup: &mut impl FnMut(&Variable) -> Option<&'v str>,
    ) -> bool {
        self.tests.iter().any(|test| match test {
            Test::Fixed(fixed, _) => fixed.matches(value),
            Test::Variable(template) => template.resolve(&mut *lookup).is_some_and(|tokens| {
                ValueTest::new(self.operator.comparison, &tokens).matches(value)
            }),
        })
    }
}

impl Test {
    /// The template of a value with variables.
    pub(crate) fn template(&self) -> Option<&Template> {
        match self {
            Self::Fixed(..) => None,
            Self::Variable(template) => Some(template),
        }
    }

    /// The tokens of a value without variables.
    pub(crate) fn tokens(&self) -> Option<&[Token]> {
        match self {
            Self::Fixed(_, tokens) => Some(tokens),
            Self::Variable(_) => None,
        }
    }

    /// The value for a reader.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Fixed(_, tokens) => tokens.iter().map(|token| token.shown()).collect(),
            Self::Variable(template) => template.shown(),
        }
    }

    /// The policy variables in the value.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.template().into_iter().flat_map(Template::variables)
    }
}

impl ValueTest {
    fn new(comparison: Comparison, tokens: &[Token]) -> Self {
        let text = || {
            tokens
                .iter()
                .filter_map(|token| token.literal())
                .collect::<String>()
        };
        match comparison {
            Comparison::Text | Comparison::Binary => Self::Text(text().into()),
            Comparison::TextIgnoringCase | Comparison::Null => {
                Self::TextIgnoringCase(text().chars().map(fold).collect())
            }
            Comparison::Pattern => Self::Pattern(Glob::new(tokens)),
            Comparison::Arn => Self::Arn(ArnPattern::new(tokens, Short::PadAfterStar)),
            Comparison::Number(order) => {
                Number::parse(&text()).map_or(Self::Never, |number| Self::Number(order, number))
            }
            Comparison::Date(order) => {
                instant(&text()).map_or(Self::Never, |at| Self::Date(order, at))
            }
            Comparison::Bool => match text().to_ascii_lowercase().as_str() {
                "true" => Self::Bool(true),
                "false" => Self::Bool(false),
                _ => Self::Never,
            },
            Comparison::Network => Network::parse(&text()).map_or(Self::Never, Self::Network),
            Comparison::Unknown => Self::Never,
        }
    }

    fn matches(&self, value: &str) -> bool {
        match self {
            Self::Text(own) => &**own == value,
            Self::TextIgnoringCase(own) => own.chars().eq(value.chars().map(fold)),
            Self::Pattern(glob) => glob.matches(value),
            Self::Arn(pattern) => {
                let resource = Resource::new(value);
                resource.local().is_some() && pattern.matches(&resource)
            }
            Self::Number(order, own) => Number::parse(value)
                .and_then(|number| number.compare(*own))
                .is_some_and(|ordering| order.admits(ordering)),
            Self::Date(order, own) => instant(value).is_some_and(|at| order.admits(at.cmp(own))),
            Self::Bool(own) => value.eq_ignore_ascii_case(if *own { "true" } else { "false" }),
            Self::Network(network) => value
                .trim()
                .parse::<IpAddr>()
                .is_ok_and(|address| network.contains(address)),
            Self::Never => false,
        }
    }
}

impl Order {
    fn admits(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}
