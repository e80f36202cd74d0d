//! A YAML file as a tree in which every key and every value knows its line and column.
//!
//! Input: the text of `Pulumi.yaml` or of a stage's settings. Output: a [`Node`], or every problem of the file at once
//! (a text that isn't YAML has one). The reading follows what the Pulumi YAML loader does with YAML 1.2: numbers are
//! floating point, timestamps and words such as `no` are strings. What its loader refuses is refused (aliases, keys that
//! aren't strings), and so is what different YAML readers read differently (`0123`, `1_000`, `0x10`).
//!
//! It deliberately knows nothing of Pulumi, and it can't be made to use much memory or stack: file size, nodes and depth
//! are limited.

use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;

use super::error::{Position, Problems};

/// No program is larger; the text that is read is limited before it is parsed.
const MAX_BYTES: u64 = 1 << 20;

/// No program nests deeper. An unoptimised build needs about 30 KB of stack for each level, a thread may have 2 MB.
const MAX_DEPTH: usize = 32;

/// A value of the file.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) kind: Kind,
}

/// What kind of value it is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Number(f64),
    Text(Text),
    List(Vec<Node>),
    Object(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) at: Position,
    pub(crate) name: Text,
}

/// A string and where its characters stand in the file.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) value: String,
    start: Position,
    style: Style,
}

/// How the characters of a string map to places in the file.
#[derive(Debug, Clone, Copy)]
enum Style {
    /// One line, one character for one character.
    Line,
    /// A literal block (`|`): one line for one line.
    Literal,
    /// Folded or escaped: only the start is known.
    Other,
}

impl Text {
    /// A text that stands in no file; its place is that of what it replaces.
    pub(crate) fn made(value: &str, start: Position) -> Self {
        Self {
            value: value.to_owned(),
            start,
            style: Style::Other,
        }
    }

    /// The place of the character with this index.
    pub(crate) fn place(&self, index: usize) -> Position {
        match self.style {
            Style::Line => self.start.forward(index),
            Style::Other => self.start,
            Style::Literal => {
                let mut at = self.start;
                for c in self.value.chars().take(index) {
                    if c == '\n' {
                        at = Position {
                            line: at.line.saturating_add(1),
                            column: self.start.column,
                        };
                    } else {
                        at = at.forward(1);
                    }
                }
                at
            }
        }
    }
}

impl Node {
    /// What the value is, for messages.
    pub(crate) fn describe(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "a boolean",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "a string",
            Kind::List(_) => "a list",
            Kind::Object(_) => "an object",
        }
    }
}

/// Reads and parses a file; `shown` is how messages name it.
pub(crate) fn read(path: &Path, shown: &str) -> Result<Node, Problems> {
    let mut problems = Problems::of(shown);
    let size = std::fs::metadata(path).map(|found| found.len());
    let text = match size {
        Ok(bytes) if bytes > MAX_BYTES => {
            problems.push(
                Position::START,
                format!("the file has {bytes} bytes, more than the {MAX_BYTES} allowed"),
            );
            return Err(problems);
        }
        Ok(_) => std::fs::read(path),
        Err(error) => Err(error),
    };
    let text = match text {
        Ok(bytes) => String::from_utf8(bytes),
        Err(error) => {
            problems.push(Position::START, format!("can't read the file: {error}"));
            return Err(problems);
        }
    };
    if let Ok(text) = text {
        parse(&text, shown)
    } else {
        problems.push(Position::START, "the file isn't UTF-8 text");
        Err(problems)
    }
}

/// Parses a text; `shown` is how messages name its file.
pub(crate) fn parse(text: &str, shown: &str) -> Result<Node, Problems> {
    let mut problems = Problems::of(shown);
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_BYTES {
        problems.push(
            Position::START,
            format!("the file has more than the {MAX_BYTES} bytes allowed"),
        );
        return Err(problems);
    }
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_anchors: 0,
            max_aliases: 0,
            max_nodes: 50_000,
            max_depth: MAX_DEPTH,
        },
        duplicate_keys: serde_yaml::options::DuplicateKeyPolicy::PassThrough,
        merge_keys: serde_yaml::options::MergeKeyPolicy::AsOrdinary,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
    };
    match serde_yaml::from_str_with_options::<Spanned<Raw>>(text, options) {
        Ok(raw) => {
            let lines: Vec<&str> = text.lines().collect();
            let mut reader = Reader {
                text,
                lines: &lines,
                problems,
            };
            let node = reader.node(raw);
            if reader.problems.is_empty() {
                Ok(node)
            } else {
                Err(reader.problems)
            }
        }
        Err(error) => {
            let at = error.location().map_or(Position::START, place);
            let (message, help) = explain(&error);
            match help {
                Some(help) => problems.push_with_help(at, message, help),
                None => problems.push(at, message),
            }
            Err(problems)
        }
    }
}

/// Turns what the parser found into places and checked scalars.
struct Reader<'a> {
    text: &'a str,
    lines: &'a [&'a str],
    problems: Problems,
}

impl<'a> Reader<'a> {
    fn node(&mut self, raw: Spanned<Raw>) -> Node {
        let at = place(raw.referenced);
        let written = self.written(raw.referenced);
        let kind = match raw.value {
            Raw::Null => Kind::Null,
            Raw::Bool(value) => Kind::Bool(value),
            Raw::Number(value) => {
                if !is_plain_number(written) {
                    self.ambiguous(at, written);
                }
                Kind::Number(value)
            }
            Raw::Text(value) => Kind::Text(self.text(value, at, written)),
            Raw::List(items) => Kind::List(items.into_iter().map(|item| self.node(item)).collect()),
            Raw::Object(entries) => Kind::Object(self.entries(entries)),
        };
        Node { at, kind }
    }

    fn entries(&mut self, entries: Vec<(Spanned<Raw>, Spanned<Raw>)>) -> Vec<(Key, Node)> {
        let mut seen: Vec<(Key, Node)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let node = self.node(key);
            let value = self.node(value);
            let Kind::Text(name) = node.kind else {
                self.problems.push_with_help(
                    node.at,
                    format!("a key must be a string, not {}", node.describe()),
                    "write it in quotes",
                );
                continue;
            };
            if name.value == "<<" {
                self.problems
                    .push(node.at, "merge keys (`<<`) aren't supported");
                continue;
            }
            if let Some((first, _)) = seen.iter().find(|(key, _)| key.name.value == name.value) {
                let message = format!(
                    "duplicate key `{}`; the first one is at {}",
                    name.value, first.at
                );
                self.problems.push(node.at, message);
                continue;
            }
            seen.push((Key { at: node.at, name }, value));
        }
        seen
    }

    fn text(&mut self, value: String, at: Position, written: &str) -> Text {
        let quoted = written.starts_with(['"', '\'']);
        let block = if quoted { None } else { self.block(at) };
        if !quoted && block.is_none() && looks_like_number(&value) {
            self.ambiguous(at, &value);
        }
        let (start, style) = match block {
            Some('|') => (at, Style::Literal),
            None if written == value => (at, Style::Line),
            None if quoted && is_quoted(written, &value) => (at.forward(1), Style::Line),
            Some(_) | None => (at, Style::Other),
        };
        Text {
            value,
            start,
            style,
        }
    }

    /// The text of a scalar as it stands in the file.
    fn written(&self, location: serde_yaml::Location) -> &'a str {
        let span = location.span();
        let range = span
            .byte_offset()
            .zip(span.byte_len())
            .and_then(|(from, len)| {
                let from = usize::try_from(from).ok()?;
                let to = from.checked_add(usize::try_from(len).ok()?)?;
                self.text.get(from..to)
            });
        range.unwrap_or_default()
    }

    /// `|` or `>` when the scalar that starts here is the content of such a block.
    fn block(&self, at: Position) -> Option<char> {
        let line = usize::try_from(at.line).ok()?;
        let own = self.lines.get(line.checked_sub(1)?)?;
        let before = usize::try_from(at.column).ok()?.checked_sub(1)?;
        if !own.chars().take(before).all(char::is_whitespace) {
            return None;
        }
        let above = self
            .lines
            .iter()
            .take(line.checked_sub(1)?)
            .rev()
            .find(|line| !line.trim().is_empty())?;
        let head = above.split(" #").next().unwrap_or_default().trim_end();
        let mark = head.rsplit([' ', '\t']).next().unwrap_or_default();
        let kind = mark.chars().next().filter(|c| matches!(c, '|' | '>'))?;
        mark.chars()
            .skip(1)
            .all(|c| c.is_ascii_digit() || matches!(c, '+' | '-'))
            .then_some(kind)
    }

    fn ambiguous(&mut self, at: Position, written: &str) {
        self.problems.push_with_help(
            at,
            format!("`{written}` is a number to some YAML readers and something else to others"),
            "write a string in quotes, or a number in plain decimal digits",
        );
    }
}

/// What deserialising yields before places are worked out.
enum Raw {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Spanned<Self>>),
    Object(Vec<(Spanned<Self>, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(whole_number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(whole_number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key()? {
            entries.push((key, access.next_value()?));
        }
        Ok(Raw::Object(entries))
    }
}

/// A whole number as the floating-point number that the Pulumi loader makes of it.
fn whole_number(digits: String) -> Raw {
    match digits.parse() {
        Ok(value) => Raw::Number(value),
        Err(_) => Raw::Text(digits),
    }
}

fn place(location: serde_yaml::Location) -> Position {
    Position {
        line: location.line(),
        column: location.column(),
    }
}

/// Words a parser error for the author of a program.
fn explain(error: &serde_yaml::Error) -> (String, Option<String>) {
    let plain = error.without_snippet();
    let text = plain.to_string();
    if let serde_yaml::Error::Budget { .. } = plain {
        if text.contains("Anchors") || text.contains("Aliases") {
            return (
                "anchors and aliases aren't supported".to_owned(),
                Some("Pulumi YAML refuses them too; write the value out".to_owned()),
            );
        }
        return (
            "the file is nested too deeply or has too many values".to_owned(),
            None,
        );
    }
    if let serde_yaml::Error::MultipleDocuments { .. } = plain {
        return ("the file has more than one YAML document".to_owned(), None);
    }
    let text = text.lines().next().unwrap_or_default();
    let text = text.split(" at line ").next().unwrap_or(text);
    (format!("not valid YAML: {text}"), None)
}

/// Whether the text is a number to every YAML reader.
fn is_plain_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, rest) = split_digits(digits);
    let whole_fine = whole == "0" || (!whole.is_empty() && !whole.starts_with('0'));
    let rest = match rest.strip_prefix('.') {
        Some(fraction) => match split_digits(fraction) {
            ("", _) => return false,
            (_, rest) => rest,
        },
        None => rest,
    };
    let rest = match rest.strip_prefix(['e', 'E']) {
        Some(exponent) => {
            let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            match split_digits(exponent) {
                ("", _) => return false,
                (_, rest) => rest,
            }
        }
        None => rest,
    };
    whole_fine && rest.is_empty()
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// Whether some YAML reader may take the text for a number.
fn looks_like_number(text: &str) -> bool {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = body.to_ascii_lowercase();
    if matches!(lower.as_str(), ".inf" | ".nan") {
        return true;
    }
    let radix = [("0x", 16), ("0o", 8), ("0b", 2)]
        .into_iter()
        .find_map(|(prefix, radix)| lower.strip_prefix(prefix).map(|rest| (rest, radix)));
    if let Some((digits, radix)) = radix {
        return !digits.is_empty() && digits.chars().all(|c| c == '_' || c.is_digit(radix));
    }
    let starts = body.chars().next().is_some_and(|c| c.is_ascii_digit());
    starts && lower.chars().all(|c| c.is_ascii_digit() || c == '_')
}

/// Whether a quoted scalar holds its value without escapes, on one line.
fn is_quoted(written: &str, value: &str) -> bool {
    written.chars().count() == value.chars().count() + 2 && written.contains(value)
}
