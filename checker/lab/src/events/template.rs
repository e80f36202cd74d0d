//! Input paths and input templates of targets.
//!
//! Paths are the subset of `JSONPath` that `EventBridge` documents: `$`, members and indexes. In a template `<name>`
//! stands for a part of the event: inside quotes its text, elsewhere its JSON. A part that the event doesn't have is
//! an empty text.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A parsed template.
#[derive(Debug, Clone)]
pub(super) struct Template {
    paths: BTreeMap<String, String>,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone)]
enum Piece {
    Literal(String),
    /// A variable's name, and whether it stands inside quotes.
    Variable(String, bool),
}

/// What a template can name besides the event's parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) rule_arn: &'a str,
    pub(super) rule_name: &'a str,
    pub(super) ingestion_time: &'a str,
}

const RESERVED: [&str; 5] = [
    "aws.events.rule-arn",
    "aws.events.rule-name",
    "aws.events.event.ingestion-time",
    "aws.events.event",
    "aws.events.event.json",
];

impl Template {
    /// Reads a template, or says why AWS refuses it.
    pub(super) fn parse(paths: &Map<String, Value>, text: &str) -> Result<Self, String> {
        if paths.len() > 100 {
            return Err("InputPathsMap can have at most 100 entries.".to_owned());
        }
        let mut known = BTreeMap::new();
        for (name, path) in paths {
            let path = path.as_str().unwrap_or_default();
            if name.to_ascii_lowercase().starts_with("aws.") {
                return Err(format!("Invalid input path name {name}: AWS. is reserved."));
            }
            check_path(path)?;
            known.insert(name.clone(), path.to_owned());
        }
        if text.trim().is_empty() {
            return Err("InputTemplate must not be empty.".to_owned());
        }
        let pieces = pieces(text);
        for piece in &pieces {
            if let Piece::Variable(name, _) = piece
                && !known.contains_key(name)
                && !RESERVED.contains(&name.as_str())
            {
                return Err(format!(
                    "InputTemplate for target contains invalid placeholder {name}."
                ));
            }
        }
        let template = Self {
            paths: known,
            pieces,
        };
        template.check_json()?;
        Ok(template)
    }

    /// The text for a target.
    pub(super) fn render(&self, event: &Value, around: Surroundings<'_>) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Variable(name, quoted) => {
                    let value = self.value(name, event, around);
                    text.push_str(&if *quoted {
                        inside_quotes(&value)
                    } else {
                        value.to_string()
                    });
                }
            }
        }
        text
    }

    fn value(&self, name: &str, event: &Value, around: Surroundings<'_>) -> Value {
        match name {
            "aws.events.rule-arn" => around.rule_arn.into(),
            "aws.events.rule-name" => around.rule_name.into(),
            "aws.events.event.ingestion-time" => around.ingestion_time.into(),
            "aws.events.event.json" => event.clone(),
            "aws.events.event" => {
                let mut event = event.clone();
                if let Some(members) = event.as_object_mut() {
                    members.remove("detail");
                }
                event
            }
            _ => self
                .paths
                .get(name)
                .and_then(|path| at_path(event, path))
                .cloned()
                .unwrap_or_else(|| Value::from("")),
        }
    }

    /// A template in braces must be JSON once its variables are.
    fn check_json(&self) -> Result<(), String> {
        let sample: String = self
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Literal(literal) => literal.as_str(),
                Piece::Variable(_, true) => "x",
                Piece::Variable(_, false) => "0",
            })
            .collect();
        if sample.trim_start().starts_with('{') && serde_json::from_str::<Value>(&sample).is_err() {
            return Err("Invalid InputTemplate for target: the template is no JSON.".to_owned());
        }
        Ok(())
    }
}

/// The part of an event at a path that [`check_path`] accepted.
pub(super) fn at_path<'a>(event: &'a Value, path: &str) -> Option<&'a Value> {
    steps(path)?
        .into_iter()
        .try_fold(event, |value, step| match step {
            Step::Member(name) => value.get(name),
            Step::Element(index) => value.get(index),
        })
}

/// Refuses what is no path.
pub(super) fn check_path(path: &str) -> Result<(), String> {
    match steps(path) {
        Some(_) => Ok(()),
        None => Err(format!("Invalid JSONPath {path} for target.")),
    }
}

enum Step<'a> {
    Member(&'a str),
    Element(usize),
}

fn steps(path: &str) -> Option<Vec<Step<'_>>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("['") {
            let (name, after) = after.split_once("']")?;
            steps.push(Step::Member(name));
            rest = after;
        } else if let Some(after) = rest.strip_prefix('[') {
            let (index, after) = after.split_once(']')?;
            steps.push(Step::Element(index.parse().ok()?));
            rest = after;
        } else {
            let after = rest.strip_prefix('.')?;
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (name, after) = after.split_at_checked(end)?;
            if name.is_empty() {
                return None;
            }
            steps.push(Step::Member(name));
            rest = after;
        }
    }
    Some(steps)
}

fn pieces(text: &str) -> Vec<Piece> {
    let (mut pieces, mut literal, mut quoted) = (Vec::new(), String::new(), false);
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let after = rest.get(character.len_utf8()..).unwrap_or_default();
        let name = after
            .split_once('>')
            .map(|(name, _)| name)
            .filter(|name| is_name(name));
        match (character, name) {
            ('<', Some(name)) => {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                pieces.push(Piece::Variable(name.to_owned(), quoted));
                rest = after.split_once('>').map_or("", |(_, after)| after);
                continue;
            }
            ('\\', _) => {
                literal.push(character);
                if let Some(escaped) = after.chars().next() {
                    literal.push(escaped);
                    rest = after.get(escaped.len_utf8()..).unwrap_or_default();
                    continue;
                }
            }
            ('"', _) => {
                quoted = !quoted;
                literal.push(character);
            }
            (other, _) => literal.push(other),
        }
        rest = after;
    }
    pieces.push(Piece::Literal(literal));
    pieces
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|character| character.is_alphanumeric() || "._-".contains(character))
}

/// A text's content, or another value's JSON, escaped as the inside of a JSON text.
fn inside_quotes(value: &Value) -> String {
    let content = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    let quoted = Value::from(content).to_string();
    quoted
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use serde_json::{Value, json};

    use super::{Surroundings, Template, at_path};

    fn check(paths: &Value, template: &str, expected: Result<&str, &str>) {
        let event = json!({"id": "e1", "detail": {"who": "a\"b", "n": 5, "list": [{"x": true}]}});
        let around = Surroundings {
            rule_arn: "arn:rule",
            rule_name: "r",
            ingestion_time: "t",
        };
        let answer = Template::parse(paths.as_object().unwrap(), template);
        match expected {
            Ok(text) => assert_eq!(answer.unwrap().render(&event, around), text),
            Err(part) => {
                let message = answer.unwrap_err();
                assert!(message.contains(part), "{message}");
            }
        }
    }

    #[test]
    fn templates() {
        let paths = json!({"who": "$.detail.who", "n": "$.detail.n", "x": "$.detail.list[0].x", "none": "$.detail.none"});
        check(&paths, r#""<who> did <n>""#, Ok(r#""a\"b did 5""#));
        check(
            &paths,
            r#"{"who": <who>, "n": <n>, "x": <x>, "none": <none>}"#,
            Ok(r#"{"who": "a\"b", "n": 5, "x": true, "none": ""}"#),
        );
        check(
            &paths,
            r#"{"rule": "<aws.events.rule-name>", "less": "1 < 2"}"#,
            Ok(r#"{"rule": "r", "less": "1 < 2"}"#),
        );
        check(&paths, "<unknown>", Err("invalid placeholder unknown"));
        check(&paths, r#"{"a": }"#, Err("is no JSON"));
        check(
            &json!({"who": "detail.who"}),
            "<who>",
            Err("Invalid JSONPath"),
        );
        check(&json!({"aws.x": "$.id"}), "<who>", Err("reserved"));
    }

    #[test]
    fn paths() {
        let event = json!({"detail": {"a.b": [1, 2]}});
        assert_eq!(at_path(&event, "$.detail['a.b'][1]"), Some(&json!(2)));
        assert_eq!(at_path(&event, "$.detail.none"), None);
    }
}
