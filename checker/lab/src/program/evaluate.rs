//! Evaluation: expressions to values, with Pulumi's rules for unknown values and secrets.
//!
//! Input: an expression and a [`Scope`], which holds what is known so far: config, variables, outputs of resources, and
//! the provider's answers to `fn::invoke`. Output: a value, or why there is none yet: an error with its place, or a
//! question that somebody must put to the provider first. Evaluation itself asks nobody: in a preview every question is
//! answered with an unknown value, in a deployment the caller asks and evaluates again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::{Position, Problems, ProgramError};
use super::expression::{Access, Entry, Expr, ExprKind, Invoke, Part, Step};
use super::functions;
use super::schema::Schema;
use super::value::{Asset, Value};

/// No value is larger, in bytes of text or in parts.
const MAX_SIZE: usize = 1 << 17;

/// Why an expression has no value.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It is wrong.
    Wrong(ProgramError),
    /// The provider must be asked first.
    Ask(Box<Question>),
}

/// A call of a provider's function.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Question {
    pub(crate) at: Position,
    /// The canonical token.
    pub(crate) function: String,
    pub(crate) arguments: BTreeMap<String, Value>,
    /// The name of the explicit provider.
    pub(crate) provider: Option<String>,
}

/// What is known of a resource.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) id: Value,
    pub(crate) urn: String,
    pub(crate) outputs: BTreeMap<String, Value>,
    /// Outputs that the provider always has: one that is missing here can't be told.
    pub(crate) promised: std::collections::BTreeSet<String>,
    /// Whether outputs are still unknown (a preview).
    pub(crate) preview: bool,
}

/// Everything that names can stand for.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) path: String,
    pub(crate) directory: PathBuf,
    pub(crate) project: String,
    pub(crate) stage: String,
    pub(crate) config: BTreeMap<String, Value>,
    pub(crate) variables: BTreeMap<String, Value>,
    pub(crate) resources: BTreeMap<String, Known>,
    /// Questions asked so far, with their answers.
    pub(crate) answers: Vec<(Question, Value)>,
    pub(crate) preview: bool,
    pub(crate) lints: Problems,
    pub(crate) schema: &'static Schema,
}

impl Scope {
    /// The value of an expression.
    pub(crate) fn evaluate(&mut self, expr: &Expr) -> Result<Value, Stop> {
        match &expr.kind {
            ExprKind::Null => Ok(Value::Null),
            ExprKind::Bool(value) => Ok(Value::Bool(*value)),
            ExprKind::Number(value) => Ok(Value::Number(*value)),
            ExprKind::Text(text) => Ok(Value::Text(text.clone())),
            ExprKind::List(items) => {
                let mut found = Vec::with_capacity(items.len());
                let mut size = 0;
                for item in items {
                    let value = self.evaluate(item)?;
                    self.measure(&mut size, &value, item.at)?;
                    found.push(value);
                }
                Ok(Value::List(found))
            }
            ExprKind::Object(entries) => self.object(entries).map(Value::Object),
            ExprKind::Symbol(access) => self.symbol(access),
            ExprKind::Interpolation(parts) => self.interpolate(parts),
            ExprKind::Call(call) => functions::call(self, expr.at, call),
        }
    }

    /// The values of an object's entries; one that is null stays.
    pub(crate) fn object(&mut self, entries: &[Entry]) -> Result<BTreeMap<String, Value>, Stop> {
        let mut found = BTreeMap::new();
        let mut size = 0;
        for entry in entries {
            let key = self.evaluate(&entry.key)?;
            let value = self.evaluate(&entry.value)?;
            self.measure(&mut size, &value, entry.value.at)?;
            match key.open() {
                (Value::Text(key), _) => {
                    found.insert(key.clone(), value);
                }
                (Value::Unknown, _) => {
                    return Err(self.wrong(
                        entry.key.at,
                        "a key that only the deployment knows isn't supported",
                    ));
                }
                (other, _) => {
                    let message =
                        format!("an object's key must be a string, not {}", other.describe());
                    return Err(self.wrong(entry.key.at, message));
                }
            }
        }
        Ok(found)
    }

    fn symbol(&mut self, access: &Access) -> Result<Value, Stop> {
        let value = self.access(access)?;
        let of_resource = self.resources.contains_key(&access.root);
        if matches!(value, Value::Null) && !access.steps.is_empty() && !of_resource {
            self.lints.push_with_help(
                access.at,
                format!("`{}` has no value", access.written()),
                "Pulumi takes a missing key for null",
            );
        }
        Ok(value)
    }

    fn interpolate(&mut self, parts: &[Part]) -> Result<Value, Stop> {
        let mut text = String::new();
        let mut unknown = false;
        let mut secret = false;
        for part in parts {
            let access = match part {
                Part::Text(plain) => {
                    text.push_str(plain);
                    continue;
                }
                Part::Access(access) => access,
            };
            let value = self.access(access)?;
            secret |= value.has_secret();
            unknown |= value.has_unknown();
            let (open, _) = value.open();
            match open {
                Value::Null => self.lints.push_with_help(
                    access.at,
                    format!(
                        "`{}` has no value: the text says `<nil>` there",
                        access.written()
                    ),
                    "give it a value, or leave it out",
                ),
                Value::Number(number) if open.interpolated().contains('e') => {
                    self.lints.push_with_help(
                        access.at,
                        format!("the number {number} prints as `{}`", open.interpolated()),
                        "account ids and other digits belong in quotes",
                    );
                }
                Value::Asset(_) | Value::Resource(_) => {
                    let message =
                        format!("`{}` is {}, not text", access.written(), open.describe());
                    return Err(self.wrong(access.at, message));
                }
                Value::Number(_)
                | Value::Bool(_)
                | Value::Integer(_)
                | Value::Text(_)
                | Value::List(_)
                | Value::Object(_)
                | Value::Unknown
                | Value::Secret(_) => {}
            }
            text.push_str(&open.interpolated());
            if text.len() > MAX_SIZE {
                return Err(self.wrong(access.at, "the text becomes too long"));
            }
        }
        let value = if unknown {
            Value::Unknown
        } else {
            Value::Text(text)
        };
        Ok(value.secret_if(secret))
    }

    /// The value of `${root.step}`.
    pub(crate) fn access(&mut self, access: &Access) -> Result<Value, Stop> {
        if let Some(known) = self.resources.get(&access.root) {
            return self.output(access, known);
        }
        let root = if access.root == "pulumi" {
            self.pulumi()
        } else if let Some(value) = self
            .config
            .get(&access.root)
            .or_else(|| self.variables.get(&access.root))
        {
            value.clone()
        } else {
            let message = format!(
                "there is no resource, variable or config value `{}`",
                access.root
            );
            return Err(self.wrong(access.at, message));
        };
        self.follow(&root, &access.steps, false)
    }

    fn output(&self, access: &Access, known: &Known) -> Result<Value, Stop> {
        let Some(((at, first), rest)) = access.steps.split_first() else {
            return Ok(Value::Resource(access.root.clone()));
        };
        let Step::Name(name) = first else {
            return Err(self.wrong(*at, format!("`{}` is a resource, not a list", access.root)));
        };
        let value = match (name.as_str(), known.outputs.get(name)) {
            ("id", _) => known.id.clone(),
            ("urn", _) => Value::Text(known.urn.clone()),
            (_, Some(value)) => value.clone(),
            (_, None) if known.preview => Value::Unknown,
            (_, None) if known.promised.contains(name) => {
                let message = format!("`{}.{name}` isn't computed when applying here", access.root);
                return Err(self.wrong(*at, message));
            }
            (_, None) => Value::Null,
        };
        self.follow(&value, rest, known.preview)
    }

    /// Follows steps into a value. A missing key is null, as it is for Pulumi.
    pub(crate) fn follow(
        &self,
        from: &Value,
        steps: &[(Position, Step)],
        preview: bool,
    ) -> Result<Value, Stop> {
        let Some(((at, step), rest)) = steps.split_first() else {
            return Ok(from.clone());
        };
        let next = match (from, step) {
            (Value::Unknown, _) => return Ok(Value::Unknown),
            (Value::Secret(inner), _) => {
                return Ok(self.follow(inner, steps, preview)?.secret_if(true));
            }
            (Value::Object(entries), Step::Name(name)) => match entries.get(name) {
                Some(value) => value.clone(),
                None if preview => Value::Unknown,
                None => Value::Null,
            },
            (Value::List(items), Step::Index(index)) => {
                if let Some(value) = items.get(*index) {
                    value.clone()
                } else {
                    let message = format!("there is no item {index} in a list of {}", items.len());
                    return Err(self.wrong(*at, message));
                }
            }
            (Value::Object(_), Step::Index(_)) => {
                return Err(self.wrong(*at, "an object has properties, not a list's items"));
            }
            (Value::List(_), Step::Name(_)) => {
                return Err(self.wrong(*at, "a list has items, not properties"));
            }
            (
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::Integer(_)
                | Value::Text(_)
                | Value::Asset(_)
                | Value::Resource(_),
                _,
            ) => {
                let message = format!("{} has neither properties nor items", from.describe());
                return Err(self.wrong(*at, message));
            }
        };
        self.follow(&next, rest, preview)
    }

    fn pulumi(&self) -> Value {
        let directory = self.directory.display().to_string();
        Value::Object(
            [
                ("cwd", directory.clone()),
                ("rootDirectory", directory),
                ("project", self.project.clone()),
                ("stack", self.stage.clone()),
                ("organization", "organization".to_owned()),
            ]
            .map(|(key, value)| (key.to_owned(), Value::Text(value)))
            .into(),
        )
    }

    /// The answer to a function of the provider.
    pub(crate) fn invoke(&mut self, at: Position, invoke: &Invoke) -> Result<Value, Stop> {
        let arguments = self.object(&invoke.arguments)?;
        if let Some(after) = &invoke.depends_on {
            self.evaluate(after)?;
        }
        let provider = match &invoke.provider {
            None => None,
            Some(expr) => {
                let found = self.evaluate(expr)?;
                let Value::Resource(name) = found else {
                    let message =
                        format!("`provider` must be a resource, not {}", found.describe());
                    return Err(self.wrong(expr.at, message));
                };
                Some(name)
            }
        };
        let secret = arguments.values().any(Value::has_secret);
        if self.preview || arguments.values().any(Value::has_unknown) {
            return Ok(Value::Unknown.secret_if(secret));
        }
        let schema = self.schema;
        let Some((function, _)) = schema.function(&invoke.function) else {
            let message = format!("`{}` isn't a known function", invoke.function);
            return Err(self.wrong(invoke.function_at, message));
        };
        let question = Question {
            at,
            function: function.to_owned(),
            arguments,
            provider,
        };
        let answer = self
            .answers
            .iter()
            .find(|(asked, _)| {
                asked.function == question.function
                    && asked.arguments == question.arguments
                    && asked.provider == question.provider
            })
            .map(|(_, answer)| answer.clone());
        let Some(answer) = answer else {
            return Err(Stop::Ask(Box::new(question)));
        };
        let answer = answer.secret_if(secret);
        match &invoke.answer {
            None => Ok(answer),
            Some((at, name)) => self.follow(&answer, &[(*at, Step::Name(name.clone()))], false),
        }
    }

    /// A path of the program, which starts at its folder.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        let path = Path::new(path);
        if path.is_absolute() {
            path.to_owned()
        } else {
            self.directory.join(path)
        }
    }

    pub(crate) fn archive(&self, path: &str) -> Asset {
        Asset::FileArchive {
            written: path.to_owned(),
            path: self.resolve(path),
        }
    }

    /// Adds a value's size to that of the list or object around it: references may double a value at every step.
    fn measure(&self, size: &mut usize, value: &Value, at: Position) -> Result<(), Stop> {
        *size = size.saturating_add(value.size());
        if *size > MAX_SIZE {
            return Err(self.wrong(at, "the value becomes too large"));
        }
        Ok(())
    }

    pub(crate) fn wrong(&self, at: Position, message: impl Into<String>) -> Stop {
        Stop::Wrong(Problems::of(&self.path).error(at, message, None))
    }
}
