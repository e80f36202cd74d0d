//! Sentences with placeholders: `{secret.name} rotates every {secret.rotation.longest_gap}`.
//!
//! A placeholder is a path, checked against the same scope as the conditions; `{{` and `}}` stand for the
//! brackets themselves. Filled in with values as people read them.

use super::human::human;
use super::path::{Path, Step};
use super::types::Type;
use super::{Bindings, ExpressionError, Scope};
use crate::diagnostic::suggestion;

/// A checked sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Value(Path),
}

impl Template {
    /// Reads a sentence; all of its errors are returned, with byte offsets into it.
    pub fn compile(text: &str, scope: &Scope) -> Result<Self, Vec<ExpressionError>> {
        let mut parts = Vec::new();
        let mut errors = Vec::new();
        let mut literal = String::new();
        let mut offset = 0;
        while let Some(rest) = text.get(offset..).filter(|rest| !rest.is_empty()) {
            let Some(bracket) = rest.find(['{', '}']) else {
                literal.push_str(rest);
                break;
            };
            let (before, after) = rest.split_at_checked(bracket).unwrap_or((rest, ""));
            literal.push_str(before);
            let at = offset + bracket;
            if let Some(doubled) = ["{{", "}}"]
                .into_iter()
                .find(|doubled| after.starts_with(doubled))
            {
                literal.extend(doubled.chars().take(1));
                offset = at + 2;
            } else if let Some((inside, _)) = after
                .strip_prefix('{')
                .and_then(|inside| inside.split_once('}'))
            {
                match placeholder(inside, at + 1, scope) {
                    Ok(path) => {
                        parts.push(Part::Text(std::mem::take(&mut literal)));
                        parts.push(Part::Value(path));
                    }
                    Err(error) => errors.push(error),
                }
                offset = at + inside.len() + 2;
            } else {
                let bracket: String = after.chars().take(1).collect();
                errors.push(
                    ExpressionError::new(at, format!("`{bracket}` without its partner")).help(
                        format!("write `{bracket}{bracket}` for the character itself"),
                    ),
                );
                break;
            }
        }
        parts.push(Part::Text(literal));
        if errors.is_empty() {
            Ok(Self {
                text: text.to_owned(),
                parts,
            })
        } else {
            Err(errors)
        }
    }

    /// The sentence as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The paths it shows.
    pub fn reads(&self) -> impl Iterator<Item = &Path> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Value(path) => Some(path),
        })
    }

    /// The sentence with its values; what could not be found out is shown as `(unknown)`.
    pub fn render(&self, bindings: &Bindings) -> String {
        let mut text = String::with_capacity(self.text.len() + 16);
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Value(path) => text.push_str(
                    &bindings
                        .get(path)
                        .map_or_else(|| super::UNKNOWN.to_owned(), human),
                ),
            }
        }
        text
    }

    /// The texts that it stands for: one for each item when it is nothing but a placeholder of a list, otherwise
    /// the sentence itself.
    pub fn expand(&self, bindings: &Bindings) -> Vec<String> {
        let values: Vec<&Part> = self
            .parts
            .iter()
            .filter(|part| **part != Part::Text(String::new()))
            .collect();
        match values.as_slice() {
            [Part::Value(path)] => match bindings.get(path) {
                Some(cel::Value::List(items)) => items.iter().map(human).collect(),
                _ => vec![self.render(bindings)],
            },
            _ => vec![self.render(bindings)],
        }
    }
}

/// Checks one placeholder that begins at `offset`.
fn placeholder(inside: &str, offset: usize, scope: &Scope) -> Result<Path, ExpressionError> {
    let mut segments = inside.split('.');
    let root = segments.next().unwrap_or("");
    let Some(mut ty) = scope.get(root) else {
        let message = if root.is_empty() {
            "empty placeholder".to_owned()
        } else {
            format!("unknown name `{root}`")
        };
        return Err(ExpressionError {
            offset,
            message,
            help: suggestion(root, scope.names()),
        });
    };
    let mut path = Path::of(root);
    let mut at = offset + root.len();
    for name in segments {
        at += 1;
        match ty.present() {
            Type::Object(object) => {
                let Some(field) = object.fields.iter().find(|field| field.name == name) else {
                    let help =
                        suggestion(name, object.fields.iter().map(|field| field.name.as_str()));
                    return Err(ExpressionError {
                        offset: at,
                        message: format!("`{path}` has no field `{name}`"),
                        help,
                    });
                };
                ty = &field.ty;
                path = path.then(Step::Field(name.to_owned()));
            }
            Type::Map(item) => {
                ty = item;
                path = path.then(Step::Key(name.to_owned()));
            }
            Type::Bool
            | Type::Int
            | Type::Float
            | Type::Text
            | Type::Choice(_)
            | Type::Duration
            | Type::Time
            | Type::List(_)
            | Type::Optional(_)
            | Type::Null
            | Type::Any => {
                return Err(ExpressionError::new(
                    at,
                    format!("`{path}` ({ty}) has no fields"),
                ));
            }
        }
        at += name.len();
    }
    if let Type::Object(object) = ty.present() {
        let help = suggestion("", object.fields.iter().map(|field| field.name.as_str()));
        return Err(ExpressionError {
            offset,
            message: format!("`{path}` is more than one value"),
            help,
        });
    }
    Ok(path)
}
