//! From the text of a YAML file to a tree in which everything knows its place.
//!
//! In: text of at most [`MAX_FILE_BYTES`]. Out: [`Node`]s with their spans, or one diagnostic. A plain subset:
//! no anchors, aliases, tags or merge keys, bounded depth and size. Scalars stay text, verbatim, so that a
//! version like `8.30` is never a number by accident; what they mean is decided by who reads them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::{DuplicateKeyPolicy, Location, MergeKeyPolicy, Options, Spanned};

use crate::diagnostic::Diagnostic;

/// The largest file that is read.
pub const MAX_FILE_BYTES: usize = 256 << 10;
/// The deepest nesting.
const MAX_DEPTH: usize = 32;
/// The largest number of values and keys in a file.
const MAX_NODES: usize = 20_000;

/// Where something stands in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// From 1.
    pub(super) line: usize,
    /// From 1, in characters.
    pub(super) column: usize,
    /// The bytes in the file, where known.
    bytes: Option<(usize, usize)>,
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// Text, and whether it was written without quotes.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) plain: bool,
}

/// A key with its place.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) place: Place,
    pub(super) text: String,
}

impl Node {
    /// The words for it in a message.
    pub(super) fn words(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Parses a file.
pub(super) fn parse(path: &str, text: &str) -> Result<Node, Diagnostic> {
    if text.len() > MAX_FILE_BYTES {
        return Err(Diagnostic::whole(
            path,
            format!(
                "a file of {} bytes, at most {MAX_FILE_BYTES} are read",
                text.len()
            ),
        ));
    }
    let raw = serde_yaml::from_str_with_options::<Spanned<Raw>>(text, options())
        .map_err(|error| explain(path, &error))?;
    let node = resolve(raw, text);
    if matches!(node.value, Value::Null) {
        return Err(Diagnostic::at(path, 1, 1, "an empty file"));
    }
    Ok(node)
}

fn options() -> Options {
    serde_yaml::options! {
        // Duplicates are reported with all other errors of the file.
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        with_snippet: false,
        budget: serde_yaml::budget! {
            max_anchors: 0,
            max_aliases: 0,
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
        },
    }
}

/// A node before its scalars are cut out of the file.
enum Raw {
    Null,
    Text(String),
    /// A plain scalar that YAML takes for something else than text.
    Verbatim,
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<KeyText>, Spanned<Self>)>),
}

/// A key as text; what is no text is refused.
struct KeyText(String);

impl<'de> Deserialize<'de> for KeyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a list or a mapping")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Verbatim)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Verbatim)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Verbatim)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Verbatim)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Verbatim)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Verbatim)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

fn resolve(raw: Spanned<Raw>, source: &str) -> Node {
    let place = place(&raw.referenced);
    let written = place
        .bytes
        .and_then(|(start, length)| source.get(start..start.saturating_add(length)))
        .unwrap_or("");
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Verbatim => Value::Scalar(Scalar {
            text: written.trim().to_owned(),
            plain: true,
        }),
        Raw::Text(text) => {
            let plain = !written.starts_with(['\'', '"']) && !text.contains('\n');
            Value::Scalar(Scalar { text, plain })
        }
        Raw::List(items) => Value::List(
            items
                .into_iter()
                .map(|item| resolve(item, source))
                .collect(),
        ),
        Raw::Map(entries) => Value::Map(resolve_entries(entries, source)),
    };
    Node { place, value }
}

/// Keys whose text is a sentence, in which a comma does not begin another key: `{why: a ceiling, never raised}`.
const SENTENCES: &[&str] = &["why"];

fn resolve_entries(
    entries: Vec<(Spanned<KeyText>, Spanned<Raw>)>,
    source: &str,
) -> Vec<(Key, Node)> {
    let mut resolved: Vec<(Key, Node)> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let key = Key {
            place: place(&key.referenced),
            text: key.value.0,
        };
        let value = resolve(value, source);
        if matches!(value.value, Value::Null)
            && let Some((
                before,
                Node {
                    place,
                    value: Value::Scalar(sentence),
                },
            )) = resolved.last_mut()
            && SENTENCES.contains(&before.text.as_str())
            && sentence.plain
            && between(*place, key.place, source).is_some_and(|text| text.trim() == ",")
        {
            sentence.text = format!("{}, {}", sentence.text.trim_end(), key.text);
            place.bytes = place
                .bytes
                .zip(key.place.bytes)
                .map(|((start, _), (last, length))| (start, last + length - start));
            continue;
        }
        resolved.push((key, value));
    }
    resolved
}

/// The text between the end of one thing and the start of another.
fn between(one: Place, other: Place, source: &str) -> Option<&str> {
    let (start, length) = one.bytes?;
    let (end, _) = other.bytes?;
    source.get(start.checked_add(length)?..end)
}

fn place(location: &Location) -> Place {
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let span = location.span();
    Place {
        line: number(location.line()).max(1),
        column: number(location.column()).max(1),
        bytes: span
            .byte_offset()
            .zip(span.byte_len())
            .map(|(start, length)| (number(start), number(length))),
    }
}

/// The parser's message in our words.
fn explain(path: &str, error: &serde_yaml::Error) -> Diagnostic {
    let at = error
        .location()
        .map_or(Place::default(), |location| place(&location));
    let text = error.without_snippet().to_string();
    let text = text.split(" at line ").next().unwrap_or(&text).trim();
    let diagnostic =
        |message: &str| Diagnostic::at(path, at.line.max(1), at.column.max(1), message);
    if text.contains("Anchors")
        || text.contains("Aliases")
        || text.contains("alias")
        || text.contains("anchor")
    {
        return diagnostic("anchors and aliases are not allowed")
            .help("write the value out where it is used");
    }
    if text.contains("Depth") || text.contains("recursion limit") || text.contains("nesting") {
        return diagnostic(&format!(
            "nested too deep, at most {MAX_DEPTH} levels are read"
        ));
    }
    if text.contains("budget breached") {
        return diagnostic(&format!(
            "too large, at most {MAX_NODES} keys and values are read"
        ));
    }
    if text.contains("unexpected end of input") {
        return diagnostic("an empty file");
    }
    if text.contains("tag") {
        return diagnostic("tags (`!..`) are not allowed");
    }
    if text.contains("multiple YAML documents") {
        return diagnostic("more than one document in the file")
            .help("remove the `---` and put each into a file of its own");
    }
    let first = text.lines().next().unwrap_or(text);
    diagnostic(&format!("malformed YAML: {first}"))
}

/// Where a byte of a scalar's text stands in the file; the start of the scalar when that can't be told.
pub(super) fn locate(source: &str, place: Place, text: &str, offset: usize) -> (usize, usize) {
    let Some((start, byte)) = place.bytes.and_then(|(start, length)| {
        let raw = source.get(start..start.checked_add(length)?)?;
        Some((start, align(raw, text, offset)?))
    }) else {
        return (place.line, place.column);
    };
    let before = source.get(..start + byte).unwrap_or("");
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |line| line.chars().count())
        + 1;
    (line, column)
}

/// The byte of a scalar as written that holds the byte `offset` of its text: folded and indented lines differ
/// in white space only, quotes are doubled or escaped.
fn align(raw: &str, text: &str, offset: usize) -> Option<usize> {
    let quote = raw.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let mut written = raw.char_indices().peekable();
    if quote.is_some() {
        written.next();
    }
    let mut decoded = text.char_indices().peekable();
    while let Some(&(at, expected)) = decoded.peek() {
        if at >= offset && !expected.is_whitespace() {
            while written.next_if(|(_, c)| c.is_whitespace()).is_some() {}
            return written.peek().map(|(byte, _)| *byte);
        }
        if expected.is_whitespace() {
            while decoded
                .next_if(|(at, c)| *at < offset && c.is_whitespace())
                .is_some()
            {}
            let stops_here = decoded
                .peek()
                .is_some_and(|(at, c)| *at >= offset && c.is_whitespace());
            if stops_here {
                return written.peek().map(|(byte, _)| *byte);
            }
            while written.next_if(|(_, c)| c.is_whitespace()).is_some() {}
            continue;
        }
        let (_, found) = written.next()?;
        let escaped = (found == '\\' && quote == Some('"'))
            || (found == '\'' && expected == '\'' && quote == Some('\''));
        let found = if escaped { written.next()?.1 } else { found };
        if found != expected {
            return None;
        }
        decoded.next();
    }
    // Past the last character: the end of what was written, without the closing quote.
    Some(
        raw.trim_end()
            .len()
            .saturating_sub(quote.map_or(0, char::len_utf8)),
    )
}
