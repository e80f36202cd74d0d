//! Values as people read them in a finding: `90d`, `2026-01-31T00:00:00Z`, `a, b and 3 more`.

use cel::Value;
use chrono::SecondsFormat;

use crate::duration::Duration;

/// How many items of a list, or entries of a map, are written out.
const ITEMS: usize = 5;
/// How many characters of one text are written out.
const CHARACTERS: usize = 300;

/// What stands for a value that could not be found out.
pub const UNKNOWN: &str = "(unknown)";

/// A value in words.
pub fn human(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::UInt(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::String(text) => shortened(text),
        Value::Duration(delta) => Duration::from(*delta).to_string(),
        Value::Timestamp(time) => time.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true),
        Value::Null => "none".to_owned(),
        Value::List(items) => list(items),
        Value::Map(map) => {
            let mut entries: Vec<(String, &Value)> = map
                .map
                .iter()
                .map(|(key, value)| (key.to_string(), value))
                .collect();
            entries.sort_by(|left, right| left.0.cmp(&right.0));
            joined(
                entries
                    .iter()
                    .map(|(key, value)| format!("{key}={}", human(value))),
                entries.len(),
            )
        }
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Value::Function(..) | Value::Opaque(_) | Value::Struct(_) => UNKNOWN.to_owned(),
    }
}

fn list(items: &[Value]) -> String {
    if items
        .iter()
        .any(|item| matches!(item, Value::Map(_) | Value::List(_)))
    {
        return if items.len() == 1 {
            "1 item".to_owned()
        } else {
            format!("{} items", items.len())
        };
    }
    joined(items.iter().map(human), items.len())
}

/// Several values, some of which may be unknown.
pub(super) fn each(values: &[Option<&Value>]) -> String {
    joined(
        values
            .iter()
            .map(|value| value.map_or_else(|| UNKNOWN.to_owned(), human)),
        values.len(),
    )
}

fn joined(items: impl Iterator<Item = String>, count: usize) -> String {
    if count == 0 {
        return "none".to_owned();
    }
    let text = items.take(ITEMS).collect::<Vec<_>>().join(", ");
    if count > ITEMS {
        format!("{text} and {} more", count - ITEMS)
    } else {
        text
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or(text)),
        None => text.to_owned(),
    }
}
