//! Conditions and sentences of controls: CEL over typed facts.
//!
//! In: text from a control file and the [`Scope`] of declared types. Out: an [`Expression`] that can only be false,
//! true or [`Unevaluable`] on facts of these types, with the paths it reads; and [`Template`]s for what is said
//! about it. Checked when it is loaded, so that a misspelt member is an error of the control and never a verdict.
//!
//! The parser and the interpreter recurse, so both run on a deep stack ([`with_deep_stack`]), behind limits on
//! the length of the text, the depth of the tree and the nesting of loops. Deliberately without a clock: `now` is
//! a variable like any other.

mod check;
mod function;
mod human;
mod operator;
mod path;
mod stack;
mod syntax;
mod template;
#[cfg(test)]
mod tests;
pub mod types;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use cel::common::ast::{Expr, IdedExpr, SourceInfo};
use cel::objects::Key;
use cel::{Context, ExecutionError, Value};

pub use function::{FUNCTIONS, Function, Kind};
pub use human::{UNKNOWN, human};
pub use path::{Path, Step};
pub(crate) use stack::in_parts;
pub use stack::{StackError, with_deep_stack};
pub use syntax::MAX_SOURCE_BYTES;
pub use template::Template;

use types::{Type, Typed};

/// The variables that a condition may use, with their types.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    variables: BTreeMap<String, Type>,
}

impl Scope {
    /// No variables.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one variable more.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, ty: Type) -> Self {
        self.variables.insert(name.into(), ty);
        self
    }

    /// The type of a variable.
    pub fn get(&self, name: &str) -> Option<&Type> {
        self.variables.get(name)
    }

    /// The names of the variables, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }
}

/// The values of the variables for one evaluation.
pub struct Bindings {
    context: Context<'static, 'static>,
    values: BTreeMap<String, Value>,
    unknown: BTreeMap<String, String>,
}

impl Default for Bindings {
    fn default() -> Self {
        Self {
            context: Context::with_env(Arc::clone(&function::ENV)),
            values: BTreeMap::new(),
            unknown: BTreeMap::new(),
        }
    }
}

impl fmt::Debug for Bindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bindings")
            .field("variables", &self.values.keys())
            .field("unknown", &self.unknown)
            .finish_non_exhaustive()
    }
}

impl Bindings {
    /// No values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a variable its value. What is unknown in it makes every condition that reads it unevaluable.
    pub fn bind(&mut self, name: &str, fact: &impl Typed) {
        fact.unknowns(format_args!("{name}"), &mut self.unknown);
        if let Some(value) = fact.known() {
            self.bind_value(name, value);
        }
    }

    /// Gives a variable a value that is no fact, like the parameters of a control.
    pub fn bind_value(&mut self, name: &str, value: Value) {
        self.context.add_variable_from_value(name, value.clone());
        self.values.insert(name.to_owned(), value);
    }

    /// Gives a variable a value that was made before, with the paths in it that are unknown.
    pub fn bind_made(&mut self, name: &str, value: Value, unknown: &BTreeMap<String, String>) {
        self.unknown.extend(unknown.clone());
        self.bind_value(name, value);
    }

    /// The same for one item after the other: in place of the item before, and for conditions with no more than the
    /// members that they read, since whatever a condition may see is copied for it.
    pub(crate) fn rebind(
        &mut self,
        name: &str,
        value: Value,
        unknown: &BTreeMap<String, String>,
        read: &Members,
    ) {
        self.unknown.retain(|path, _| !is_within(path, name));
        self.unknown.extend(unknown.clone());
        self.context
            .add_variable_from_value(name, read.of(name, &value));
        self.values.insert(name.to_owned(), value);
    }

    /// The value at a path; nothing when it is unknown, `null` when it is absent.
    pub fn get(&self, path: &Path) -> Option<&Value> {
        path.walk(self.values.get(&path.root)?)
    }

    /// Why a path, or something above or below it, could not be found out.
    pub fn unknown(&self, path: &Path) -> Option<(&str, &str)> {
        let path = path.to_string();
        let pattern = path.replace("[]", "[");
        self.unknown
            .iter()
            .find(|(unknown, _)| {
                let masked = mask_indexes(unknown);
                is_within(&path, unknown)
                    || is_within(unknown, &path)
                    || is_within(&pattern, &masked)
                    || is_within(&masked, &pattern)
            })
            .map(|(unknown, reason)| (unknown.as_str(), reason.as_str()))
    }
}

/// The members of variables that some conditions read; all where one reads the whole variable.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members(BTreeMap<String, Option<Vec<Key>>>);

impl Members {
    /// Those that the paths begin with.
    pub(crate) fn of_paths<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Self {
        let mut members = BTreeMap::new();
        for path in paths {
            let read = members
                .entry(path.root.clone())
                .or_insert_with(|| Some(Vec::new()));
            match (path.steps.first(), read) {
                (Some(Step::Field(name) | Step::Key(name)), Some(names)) => {
                    let name = Key::from(name.as_str());
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                (_, read) => *read = None,
            }
        }
        Self(members)
    }

    /// The members that are read of a variable; nothing where it is read as a whole, or not at all.
    pub(crate) fn read(&self, variable: &str) -> Option<&[Key]> {
        self.0.get(variable)?.as_deref()
    }

    fn of(&self, variable: &str, value: &Value) -> Value {
        let (Some(names), Value::Map(map)) = (self.read(variable), value) else {
            return value.clone();
        };
        if names.len() == map.map.len() && names.iter().all(|name| map.map.contains_key(name)) {
            return value.clone();
        }
        types::map(names.iter().filter_map(|name| {
            let member = map.map.get(name)?;
            Some((name.clone(), member.clone()))
        }))
    }
}

/// `secret.versions[3].age` as `secret.versions[.age`, the form in which "each item" is compared.
fn mask_indexes(path: &str) -> String {
    let mut masked = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => {
                inside = true;
                masked.push(c);
            }
            ']' => inside = false,
            _ if inside => {}
            _ => masked.push(c),
        }
    }
    masked
}

/// Whether a path is another one or lies below it.
fn is_within(path: &str, above: &str) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']) || above.ends_with('['))
}

/// Something wrong in a condition or a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// Where, in bytes from its start.
    pub offset: usize,
    /// What: a lower-case fragment.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl ExpressionError {
    fn new(offset: usize, message: impl Into<String>) -> Self {
        Self {
            offset,
            message: message.into(),
            help: None,
        }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A condition could be neither true nor false on these facts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` can't be evaluated: {message}")]
pub struct Unevaluable {
    /// The path, or the part of the condition, that has no value.
    pub path: String,
    /// Why.
    pub message: String,
}

/// A condition that was checked.
#[derive(Clone)]
pub struct Expression(Arc<Inner>);

struct Inner {
    text: String,
    tree: IdedExpr,
    info: SourceInfo,
    reads: Vec<Path>,
    /// Those of them whose values say why it holds or does not, each with its name.
    told: Vec<(Path, String)>,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.0.text).finish()
    }
}

/// Two conditions are equal when their texts are.
impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Expression {
    /// Parses and checks a condition; all of its errors are returned.
    pub fn compile(text: &str, scope: &Scope) -> Result<Self, Vec<ExpressionError>> {
        stack::on_deep_stack(|| Self::compile_here(text, scope))
            .unwrap_or_else(|error| Err(vec![ExpressionError::new(0, error.to_string())]))
    }

    fn compile_here(text: &str, scope: &Scope) -> Result<Self, Vec<ExpressionError>> {
        let (mut tree, info) = syntax::parse(text).map_err(|error| vec![error])?;
        let checked = check::check(&mut tree, &info, text, scope)?;
        if checked.ty != Type::Bool {
            return Err(vec![ExpressionError::new(
                0,
                format!("a condition is true or false, this is {}", checked.ty),
            )]);
        }
        let reads: Vec<Path> = checked.reads.into_iter().collect();
        let told = reads
            .iter()
            .filter(|path| !reads.iter().any(|other| other.is_below_each_of(path)))
            .map(|path| (path.clone(), path.to_string()))
            .collect();
        Ok(Self(Arc::new(Inner {
            text: text.to_owned(),
            tree,
            info,
            reads,
            told,
        })))
    }

    /// The condition as it was written.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The paths it reads, sorted.
    pub fn reads(&self) -> &[Path] {
        &self.0.reads
    }

    /// Whether it holds.
    pub fn evaluate(&self, bindings: &Bindings) -> Result<bool, Unevaluable> {
        stack::on_deep_stack(|| self.evaluate_here(bindings)).unwrap_or_else(|error| {
            Err(Unevaluable {
                path: self.0.text.clone(),
                message: error.to_string(),
            })
        })
    }

    /// The values of the paths it reads, as people read them; a path through a list has one for each item. An unknown
    /// value is shown as such. A list is left out where its items say more.
    pub fn explain(&self, bindings: &Bindings) -> impl Iterator<Item = (&str, String)> {
        self.0.told.iter().map(|(path, name)| {
            let value = if path.is_single() {
                bindings.get(path).map_or_else(|| UNKNOWN.to_owned(), human)
            } else {
                let variable = bindings.values.get(&path.root);
                let values = variable.map(|value| path.walk_all(value));
                human::each(&values.unwrap_or_default())
            };
            (name.as_str(), value)
        })
    }

    fn evaluate_here(&self, bindings: &Bindings) -> Result<bool, Unevaluable> {
        match Value::resolve(&self.0.tree, &bindings.context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err(Unevaluable {
                path: self.0.text.clone(),
                message: "neither true nor false".to_owned(),
            }),
            Err(error) => Err(self.blame(&error, bindings)),
        }
    }

    /// What is behind an error: a fact that is unknown, otherwise the innermost part that fails.
    fn blame(&self, error: &ExecutionError, bindings: &Bindings) -> Unevaluable {
        if let Some((path, reason)) = self.0.reads.iter().find_map(|path| bindings.unknown(path)) {
            return Unevaluable {
                path: path.to_owned(),
                message: reason.to_owned(),
            };
        }
        if let Some(path) =
            self.0.reads.iter().find(|path| {
                path.is_single() && matches!(bindings.get(path), None | Some(Value::Null))
            })
        {
            let message = match bindings.get(path) {
                Some(_) => "it has no value".to_owned(),
                None => describe(error),
            };
            return Unevaluable {
                path: path.to_string(),
                message,
            };
        }
        let part = failing(&self.0.tree, bindings).and_then(|node| self.source(node));
        Unevaluable {
            path: part.unwrap_or_else(|| self.0.text.clone()),
            message: describe(error),
        }
    }

    /// The rest of the text from a node on, shortened.
    fn source(&self, node: &IdedExpr) -> Option<String> {
        let (start, _) = self.0.info.offset_for(node.id)?;
        let rest = self.0.text.get(usize::try_from(start).ok()?..)?;
        Some(rest.chars().take(60).collect())
    }
}

/// The innermost node that can't be evaluated by itself.
fn failing<'a>(node: &'a IdedExpr, bindings: &Bindings) -> Option<&'a IdedExpr> {
    if Value::resolve(node, &bindings.context).is_ok() {
        return None;
    }
    // The parts of a loop have no value outside of it.
    let inside = if let Expr::Comprehension(part) = &node.expr {
        vec![&part.iter_range]
    } else {
        syntax::children(node)
    };
    inside
        .into_iter()
        .find_map(|child| failing(child, bindings))
        .or(Some(node))
}

/// An error of the interpreter, without the values in it: those may be long.
#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum that grows")]
fn describe(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("there is no `{key}`"),
        ExecutionError::IndexOutOfBounds(_) => "the list is shorter than that".to_owned(),
        ExecutionError::UndeclaredReference(name) => format!("`{name}` was not given"),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "the number is too large".to_owned(),
        ExecutionError::FunctionError { function, message } => format!("`{function}` {message}"),
        ExecutionError::NoSuchOverload(_) => "a part of it has no value".to_owned(),
        _ => "it has no value".to_owned(),
    }
}
