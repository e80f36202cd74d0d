//! A policy document, parsed strictly and compiled once.
//!
//! In: JSON text, or a JSON value, and what kind of policy it is. Out: [`Policy`], or a [`PolicyError`] that
//! names the place. Nothing is guessed: an unknown element, a missing one, a repeated member, an empty list or a
//! principal where none may stand is an error. Source: IAM user guide, "Grammar of the IAM JSON policy language".
//! Does not check that actions, keys or resources exist.

use std::fmt;

use serde_json::Value;
use thiserror::Error;

use crate::action::{Action, Actions};
use crate::arn::{ArnPattern, Resource, Short, matches_once};
use crate::condition::{Comparison, Condition, Operator};
use crate::glob::Token;
use crate::json::Node;
use crate::place;
use crate::principal::{Named, Principals};
use crate::template::{Reading, Template, Variable};

/// The largest policy text that is read, in bytes; AWS's own limits are below 140,000.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Where a policy is attached, which decides what may stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyKind {
    /// Identity policies, permission boundaries, session policies and service control policies: no principal.
    Identity,
    /// Policies on a resource, key policies and trust policies: every statement names principals.
    Resource,
    /// Resource control policies: a principal may stand, and can only be everyone.
    ResourceControl,
}

/// Whether a statement grants or forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Grants.
    Allow,
    /// Forbids.
    Deny,
}

/// Why a policy could not be read. The texts name places and element names of the policy, nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// Not JSON, nested too deeply, or a member appears twice.
    #[error("{message} at line {line} column {column}")]
    Syntax {
        /// One-based.
        line: usize,
        /// One-based.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// JSON, but no policy.
    #[error("{message} at `{path}`{position}")]
    Shape {
        /// A JSON path such as `Statement[2].Effect`; `$` is the document.
        path: String,
        /// Line and column, when the policy was read from text of its own.
        position: Position,
        /// What is wrong.
        message: String,
    },
    /// Longer than [`MAX_BYTES`].
    #[error("the policy has {bytes} bytes, more than the {MAX_BYTES} that are read")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

/// A place in a text, if it is known; both numbers are one-based.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position(pub Option<(usize, usize)>);

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((line, column)) => write!(formatter, ", line {line} column {column}"),
            None => Ok(()),
        }
    }
}

/// A compiled policy.
#[derive(Debug, Clone)]
pub struct Policy {
    name: Box<str>,
    kind: PolicyKind,
    pub(crate) statements: Vec<Statement>,
}

/// One statement.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    /// Zero-based place in the policy.
    pub(crate) index: usize,
    pub(crate) sid: Option<Box<str>>,
    pub(crate) effect: Effect,
    pub(crate) actions: Actions,
    /// `None` only in trust policies, which are about the role they hang on.
    pub(crate) resources: Option<Resources>,
    pub(crate) principals: Option<Principals>,
    pub(crate) conditions: Vec<Condition>,
}

/// The `Resource` or `NotResource` element.
#[derive(Debug, Clone)]
pub(crate) struct Resources {
    pub(crate) negated: bool,
    pub(crate) patterns: Vec<ResourcePattern>,
    pub(crate) short: Short,
}

/// One entry of it.
#[derive(Debug, Clone)]
pub(crate) struct ResourcePattern {
    pub(crate) written: Box<str>,
    pub(crate) matcher: ResourceMatcher,
}

/// A pattern, or one that waits for the value of a variable.
#[derive(Debug, Clone)]
pub(crate) enum ResourceMatcher {
    Fixed(Vec<Token>, ArnPattern),
    Variable(Template),
}

impl Policy {
    /// Parses and compiles a document.
    pub fn parse(text: &str, kind: PolicyKind) -> Result<Self, PolicyError> {
        if text.len() > MAX_BYTES {
            return Err(PolicyError::TooLong { bytes: text.len() });
        }
        let node: Node = serde_json::from_str(text).map_err(|error| PolicyError::Syntax {
            line: error.line(),
            column: error.column(),
            message: plain_message(&error),
        })?;
        Self::from_node(&node, kind).map_err(|shape| shape.located(text))
    }

    /// Compiles a document that is already a JSON value.
    pub fn from_value(value: &Value, kind: PolicyKind) -> Result<Self, PolicyError> {
        Self::from_node(&Node::from(value), kind).map_err(PolicyError::from)
    }

    /// The same policy under a name that decisions and proofs show.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// The name, empty unless one was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kind it was read as.
    pub fn kind(&self) -> PolicyKind {
        self.kind
    }

    /// How many statements it has.
    pub fn len(&self) -> usize {
        self.statements.len()
    }

    /// Whether it has no statement.
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// Condition operators in it that nobody documents; a policy with one can't be judged.
    pub fn unknown_operators(&self) -> Vec<&str> {
        let conditions = self
            .statements
            .iter()
            .flat_map(|statement| &statement.conditions);
        conditions
            .filter(|condition| condition.operator.comparison == Comparison::Unknown)
            .map(|condition| &*condition.operator.written)
            .collect()
    }

    pub(crate) fn from_node(node: &Node, kind: PolicyKind) -> Result<Self, Shape> {
        let Some(members) = node.map() else {
            return Err(Shape::new(format!(
                "expected a policy object, found {}",
                node.kind()
            )));
        };
        let mut variables = false;
        let mut statements = None;
        for (name, value) in members {
            match (name.as_str(), value.text()) {
                ("Version", Some("2012-10-17")) => variables = true,
                ("Version", Some("2008-10-17")) => variables = false,
                ("Version", _) => {
                    let message = "the version must be `2012-10-17` or `2008-10-17`";
                    return Err(Shape::new(message).under("Version"));
                }
                ("Id", Some(_)) => {}
                ("Id", None) => return Err(Shape::new("expected a string").under("Id")),
                ("Statement", _) => statements = Some(value),
                (other, _) => {
                    return Err(Shape::new(format!("unknown element `{other}`")).under(other));
                }
            }
        }
        let reader = Reader { kind, variables };
        let missing = || Shape::new("the element `Statement` is missing");
        let statements = statements.ok_or_else(missing)?;
        let statements = if let Some(list) = statements.list() {
            let numbered = list.iter().enumerate();
            let read = numbered.map(|(index, node)| {
                let statement = reader.statement(node, index);
                statement.map_err(|shape| shape.at(index).under("Statement"))
            });
            read.collect::<Result<_, _>>()?
        } else {
            let single = reader.statement(statements, 0);
            vec![single.map_err(|shape| shape.under("Statement"))?]
        };
        Ok(Self {
            name: Box::default(),
            kind,
            statements,
        })
    }
}

impl Resources {
    /// Whether the element applies to the resource.
    pub(crate) fn apply<'v>(
        &self,
        resource: &Resource,
        mut lookup: impl FnMut(&Variable) -> Option<&'v str>,
    ) -> bool {
        let listed = self.patterns.iter().any(|pattern| match &pattern.matcher {
            ResourceMatcher::Fixed(_, pattern) => pattern.matches(resource),
            ResourceMatcher::Variable(template) => template
                .resolve(&mut lookup)
                .is_some_and(|tokens| matches_once(&tokens, self.short, resource)),
        });
        listed != self.negated
    }
}

impl Statement {
    /// Whether the statement is about the action.
    pub(crate) fn is_about(&self, action: &Action) -> bool {
        self.actions.apply(action)
    }
}

/// A fault of shape on its way up, its path growing from the inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    message: String,
    /// Innermost first.
    steps: Vec<place::Step>,
}

impl Shape {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            steps: Vec::new(),
        }
    }

    fn under(mut self, name: &str) -> Self {
        self.steps.push(place::Step::Member(name.to_owned()));
        self
    }

    fn at(mut self, index: usize) -> Self {
        self.steps.push(place::Step::Item(index));
        self
    }

    fn located(self, text: &str) -> PolicyError {
        let steps: Vec<_> = self.steps.into_iter().rev().collect();
        PolicyError::Shape {
            path: place::path(&steps),
            position: Position(place::locate(text, &steps)),
            message: self.message,
        }
    }
}

impl From<Shape> for PolicyError {
    fn from(shape: Shape) -> Self {
        let steps: Vec<_> = shape.steps.into_iter().rev().collect();
        Self::Shape {
            path: place::path(&steps),
            position: Position::default(),
            message: shape.message,
        }
    }
}

/// `serde_json` appends the place to its message; here the place has fields of its own.
fn plain_message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ")
        .map_or(text.clone(), |(message, _)| message.to_owned())
}

/// What the statements of one document share.
struct Reader {
    kind: PolicyKind,
    variables: bool,
}

impl Reader {
    fn statement(&self, node: &Node, index: usize) -> Result<Statement, Shape> {
        let Some(members) = node.map() else {
            return Err(Shape::new(format!(
                "expected a statement object, found {}",
                node.kind()
            )));
        };
        let (mut sid, mut effect, mut actions, mut resources, mut principals) =
            (None, None, None, None, None);
        let mut conditions = Vec::new();
        for (name, value) in members {
            let fault = |shape: Shape| shape.under(name);
            match name.as_str() {
                "Sid" => match value.text() {
                    Some(text) => sid = Some(text.into()),
                    None => return Err(fault(expected("a string", value))),
                },
                "Effect" => match value.text() {
                    Some("Allow") => effect = Some(Effect::Allow),
                    Some("Deny") => effect = Some(Effect::Deny),
                    Some(_) | None => {
                        return Err(fault(Shape::new("the effect must be `Allow` or `Deny`")));
                    }
                },
                "Action" | "NotAction" => {
                    let list = words(value).map_err(fault)?;
                    if actions
                        .replace(Actions::new(&list, name == "NotAction"))
                        .is_some()
                    {
                        return Err(fault(Shape::new(
                            "`Action` and `NotAction` exclude each other",
                        )));
                    }
                }
                "Resource" | "NotResource" => {
                    let list = words(value).map_err(fault)?;
                    if resources
                        .replace(self.resources(&list, name == "NotResource"))
                        .is_some()
                    {
                        return Err(fault(Shape::new(
                            "`Resource` and `NotResource` exclude each other",
                        )));
                    }
                }
                "Principal" | "NotPrincipal" => {
                    if self.kind == PolicyKind::Identity {
                        return Err(fault(Shape::new(
                            "a policy of this kind names no principal",
                        )));
                    }
                    let named = named(value).map_err(fault)?;
                    if principals
                        .replace(Principals {
                            negated: name == "NotPrincipal",
                            named,
                        })
                        .is_some()
                    {
                        return Err(fault(Shape::new(
                            "`Principal` and `NotPrincipal` exclude each other",
                        )));
                    }
                }
                "Condition" => conditions = self.conditions(value).map_err(fault)?,
                other => return Err(fault(Shape::new(format!("unknown element `{other}`")))),
            }
        }
        let missing = |name: &str| Shape::new(format!("the element `{name}` is missing"));
        if resources.is_none() && self.kind != PolicyKind::Resource {
            return Err(missing("Resource"));
        }
        if principals.is_none() && self.kind == PolicyKind::Resource {
            return Err(missing("Principal"));
        }
        Ok(Statement {
            index,
            sid,
            effect: effect.ok_or_else(|| missing("Effect"))?,
            actions: actions.ok_or_else(|| missing("Action"))?,
            resources,
            principals,
            conditions,
        })
    }

    fn resources(&self, list: &[String], negated: bool) -> Resources {
        let short = match self.kind {
            PolicyKind::Identity => Short::Pad,
            PolicyKind::Resource | PolicyKind::ResourceControl => Short::PadAfterStar,
        };
        let patterns = list
            .iter()
            .map(|text| {
                let template = Template::parse(
                    text,
                    Reading {
                        wildcards: true,
                        variables: self.variables,
                    },
                );
                let matcher = match template.constant() {
                    Some(tokens) => {
                        let pattern = ArnPattern::new(&tokens, short);
                        ResourceMatcher::Fixed(tokens, pattern)
                    }
                    None => ResourceMatcher::Variable(template),
                };
                ResourcePattern {
                    written: text.as_str().into(),
                    matcher,
                }
            })
            .collect();
        Resources {
            negated,
            patterns,
            short,
        }
    }

    fn conditions(&self, node: &Node) -> Result<Vec<Condition>, Shape> {
        let Some(operators) = node.map() else {
            return Err(Shape::new(format!(
                "expected an object of operators, found {}",
                node.kind()
            )));
        };
        let mut conditions = Vec::new();
        for (written, keys) in operators {
            let operator = Operator::parse(written);
            let Some(keys) = keys.map() else {
                return Err(Shape::new(format!(
                    "expected an object of keys, found {}",
                    keys.kind()
                ))
                .under(written));
            };
            for (key, values) in keys {
                let values = scalars(values).map_err(|shape| shape.under(key).under(written))?;
                conditions.push(Condition::new(
                    operator.clone(),
                    key,
                    &values,
                    self.variables,
                ));
            }
        }
        Ok(conditions)
    }
}

/// What stands somewhere instead of what belongs there.
fn expected(what: &str, found: &Node) -> Shape {
    Shape::new(format!("expected {what}, found {}", found.kind()))
}

/// A non-empty string, or a non-empty list of them.
fn words(node: &Node) -> Result<Vec<String>, Shape> {
    let word = |node: &Node| {
        node.text()
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    match node.list() {
        Some([]) => Err(Shape::new("the list is empty")),
        Some(items) => {
            let numbered = items.iter().enumerate();
            let read = numbered.map(|(index, item)| {
                let found = word(item);
                found.ok_or_else(|| expected("a string that is not empty", item).at(index))
            });
            read.collect()
        }
        None => {
            let found = word(node).map(|word| vec![word]);
            found.ok_or_else(|| expected("a string or a list of strings, not empty", node))
        }
    }
}

/// A string, number or boolean, or a list of them, which may be empty.
fn scalars(node: &Node) -> Result<Vec<String>, Shape> {
    if let Some(items) = node.list() {
        let numbered = items.iter().enumerate();
        let read = numbered.map(|(index, item)| {
            item.scalar()
                .ok_or_else(|| expected("a value", item).at(index))
        });
        return read.collect();
    }
    let found = node.scalar().map(|value| vec![value]);
    found.ok_or_else(|| expected("a value or a list of values", node))
}

/// `"*"`, or an object of `AWS`, `Service`, `Federated` and `CanonicalUser`.
fn named(node: &Node) -> Result<Vec<Named>, Shape> {
    if node.text() == Some("*") {
        return Ok(vec![Named::Everyone]);
    }
    let members = node.map().filter(|members| !members.is_empty());
    let members = members.ok_or_else(|| expected("`*` or an object of principals", node))?;
    let mut all = Vec::new();
    for (member, list) in members {
        for text in words(list).map_err(|shape| shape.under(member))? {
            let unknown = || Shape::new(format!("unknown sort of principal `{member}`"));
            all.push(Named::parse(member, &text).ok_or_else(|| unknown().under(member))?);
        }
    }
    Ok(all)
}
