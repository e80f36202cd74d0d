//! A program as it is written, and as it would be with something changed in it.
//!
//! In: a folder with `Pulumi.yaml` and `Pulumi.<stage>.yaml`, and [`Edit`]s by JSON pointer. Out: the two files as data
//! with the place of every part, and the [`Program`] that results from the edits. The files stay as they are.
//!
//! An edited program is checked and evaluated like any other. What is edited keeps the place of what it replaces, so that
//! messages still point into the file.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::Program;
use super::error::{Position, Problems, ProgramErrors};
use super::source::{self, Key, Kind, Node};

/// One of the two files of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProgramFile {
    /// `Pulumi.yaml`.
    Program,
    /// `Pulumi.<stage>.yaml`.
    Stage,
}

/// One change of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    /// The file.
    pub file: ProgramFile,
    /// JSON pointer to what is changed; a last part that isn't there yet is added, `-` adds to a list.
    pub at: String,
    /// What stands there afterwards; nothing takes it out.
    pub to: Option<Value>,
}

/// An edit that points at nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("find `{at}` in `{path}`")]
pub struct NoSuchPlace {
    /// The file.
    pub path: String,
    /// The pointer.
    pub at: String,
}

/// The two files of a program, read but not judged.
#[derive(Debug, Clone)]
pub struct Written {
    directory: PathBuf,
    stage: String,
    program: Node,
    settings: Node,
}

impl Written {
    /// Reads both files.
    ///
    /// # Errors
    /// A file that isn't YAML, with its place.
    pub fn read(directory: &Path, stage: &str) -> Result<Self, ProgramErrors> {
        let read = |name: &str| {
            let path = directory.join(name);
            let shown = path.display().to_string();
            source::read(&path, &shown).map_err(|problems| finished(&problems, &shown))
        };
        Ok(Self {
            directory: directory.to_owned(),
            stage: stage.to_owned(),
            program: read("Pulumi.yaml")?,
            settings: read(&format!("Pulumi.{stage}.yaml"))?,
        })
    }

    /// A file as data.
    pub fn value(&self, file: ProgramFile) -> Value {
        value(self.node(file))
    }

    /// How messages name a file.
    pub fn path(&self, file: ProgramFile) -> String {
        let name = match file {
            ProgramFile::Program => "Pulumi.yaml".to_owned(),
            ProgramFile::Stage => format!("Pulumi.{}.yaml", self.stage),
        };
        self.directory.join(name).display().to_string()
    }

    /// Where the part that a JSON pointer names stands: its key, or itself in a list.
    pub fn position(&self, file: ProgramFile, pointer: &str) -> Option<Position> {
        let mut node = self.node(file);
        let mut at = node.at;
        for part in parts(pointer) {
            (at, node) = match &node.kind {
                Kind::Object(entries) => entries
                    .iter()
                    .find(|(key, _)| key.name.value == part)
                    .map(|(key, value)| (key.at, value))?,
                Kind::List(items) => {
                    let item = items.get(part.parse::<usize>().ok()?)?;
                    (item.at, item)
                }
                Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) => return None,
            };
        }
        Some(at)
    }

    /// The program as it would be with these edits.
    ///
    /// # Errors
    /// What is wrong with the edited program; an edit of a place that isn't there.
    pub fn with(&self, edits: &[Edit]) -> Result<Program, EditError> {
        let (mut program, mut settings) = (self.program.clone(), self.settings.clone());
        for edit in edits {
            let node = match edit.file {
                ProgramFile::Program => &mut program,
                ProgramFile::Stage => &mut settings,
            };
            let parts: Vec<String> = parts(&edit.at).collect();
            if change(node, &parts, edit.to.as_ref()).is_none() {
                return Err(EditError::NoSuchPlace(NoSuchPlace {
                    path: self.path(edit.file),
                    at: edit.at.clone(),
                }));
            }
        }
        Ok(Program::build(
            &self.directory,
            &self.stage,
            Ok(program),
            Some(Ok(settings)),
        )?)
    }

    fn node(&self, file: ProgramFile) -> &Node {
        match file {
            ProgramFile::Program => &self.program,
            ProgramFile::Stage => &self.settings,
        }
    }
}

/// Why there is no edited program.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The edit points at nothing.
    #[error(transparent)]
    NoSuchPlace(#[from] NoSuchPlace),
    /// The edited program is wrong.
    #[error(transparent)]
    Program(#[from] ProgramErrors),
}

fn finished(problems: &Problems, shown: &str) -> ProgramErrors {
    match problems.clone().finish() {
        Err(errors) => errors,
        Ok(()) => Problems::of(shown)
            .error(Position::START, "the file can't be read", None)
            .into(),
    }
}

/// The parts of a JSON pointer, unescaped.
fn parts(pointer: &str) -> impl Iterator<Item = String> {
    pointer
        .split('/')
        .skip(1)
        .map(|part| part.replace("~1", "/").replace("~0", "~"))
}

/// Changes what lies at the end of the path; nothing where the path leads nowhere.
fn change(node: &mut Node, path: &[String], to: Option<&Value>) -> Option<()> {
    let at = node.at;
    let (first, rest) = path.split_first()?;
    match &mut node.kind {
        Kind::Object(entries) => {
            let found = entries.iter().position(|(key, _)| key.name.value == *first);
            match (found, rest, to) {
                (Some(index), [], None) => drop(entries.remove(index)),
                (Some(index), [], Some(to)) => {
                    let (_, value) = entries.get_mut(index)?;
                    *value = node_of(to, value.at);
                }
                (Some(index), rest, to) => return change(&mut entries.get_mut(index)?.1, rest, to),
                (None, [], Some(to)) => entries.push((key(first, at), node_of(to, at))),
                (None, _, _) => return None,
            }
        }
        Kind::List(items) => {
            if first == "-" && rest.is_empty() {
                items.push(node_of(to?, at));
                return Some(());
            }
            let index = first.parse::<usize>().ok().filter(|at| *at < items.len())?;
            match (rest, to) {
                ([], None) => drop(items.remove(index)),
                ([], Some(to)) => {
                    let item = items.get_mut(index)?;
                    *item = node_of(to, item.at);
                }
                (rest, to) => return change(items.get_mut(index)?, rest, to),
            }
        }
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) => return None,
    }
    Some(())
}

fn key(name: &str, at: Position) -> Key {
    Key {
        at,
        name: source::Text::made(name, at),
    }
}

fn node_of(value: &Value, at: Position) -> Node {
    let kind = match value {
        Value::Null => Kind::Null,
        Value::Bool(value) => Kind::Bool(*value),
        Value::Number(number) => Kind::Number(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Kind::Text(source::Text::made(text, at)),
        Value::Array(items) => Kind::List(items.iter().map(|item| node_of(item, at)).collect()),
        Value::Object(entries) => Kind::Object(
            entries
                .iter()
                .map(|(name, value)| (key(name, at), node_of(value, at)))
                .collect(),
        ),
    };
    Node { at, kind }
}

fn value(node: &Node) -> Value {
    match &node.kind {
        Kind::Null => Value::Null,
        Kind::Bool(value) => Value::Bool(*value),
        Kind::Number(number) => {
            serde_json::Number::from_f64(*number).map_or(Value::Null, Value::Number)
        }
        Kind::Text(text) => Value::String(text.value.clone()),
        Kind::List(items) => Value::Array(items.iter().map(value).collect()),
        Kind::Object(entries) => Value::Object(
            entries
                .iter()
                .map(|(key, node)| (key.name.value.clone(), value(node)))
                .collect::<Map<_, _>>(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEXT: &str = "a:\n  - one\n  - b: 2\n";

    #[test]
    fn edits_change_add_and_take_out() {
        let cases = [
            (
                "/a/1/b",
                Some(json!(3)),
                Some(json!({"a": ["one", {"b": 3.0}]})),
            ),
            (
                "/a/1/c",
                Some(json!("x")),
                Some(json!({"a": ["one", {"b": 2.0, "c": "x"}]})),
            ),
            (
                "/a/-",
                Some(json!(true)),
                Some(json!({"a": ["one", {"b": 2.0}, true]})),
            ),
            ("/a/0", None, Some(json!({"a": [{"b": 2.0}]}))),
            ("/a", None, Some(json!({}))),
            ("/a/2", None, None),
            ("/z", None, None),
            ("/a/0/b", Some(json!(1)), None),
        ];
        for (at, to, expected) in cases {
            let changed = source::parse(TEXT, "text").map(|mut node| {
                let path: Vec<String> = parts(at).collect();
                change(&mut node, &path, to.as_ref()).map(|()| value(&node))
            });
            assert_eq!(changed.ok(), Some(expected), "{at}");
        }
    }
}
