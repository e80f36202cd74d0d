//! Where something stands in a JSON text.
//!
//! In: the text and the steps from its root. Out: line and column, and the path in words.
//! The text has been parsed already, so the walk only has to be right for well-formed JSON.

/// One step from a value to a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Member(String),
    Item(usize),
}

/// `Statement[2].Effect`; `$` for the whole.
pub(crate) fn path(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        match step {
            Step::Member(name) if text.is_empty() => text.push_str(name),
            Step::Member(name) => {
                text.push('.');
                text.push_str(name);
            }
            Step::Item(index) => text.push_str(&["[", &index.to_string(), "]"].concat()),
        }
    }
    if text.is_empty() {
        "$".to_owned()
    } else {
        text
    }
}

/// One-based line and column of the value that the steps lead to.
pub(crate) fn locate(text: &str, steps: &[Step]) -> Option<(usize, usize)> {
    let mut rest = text.trim_start();
    for step in steps {
        rest = match step {
            Step::Member(name) => member(rest, name)?,
            Step::Item(index) => item(rest, *index)?,
        };
    }
    let before = text.get(..text.len() - rest.len())?;
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |last| last.chars().count())
        + 1;
    Some((line, column))
}

fn member<'t>(object: &'t str, name: &str) -> Option<&'t str> {
    let mut rest = object.strip_prefix('{')?.trim_start();
    loop {
        let after_key = skip_value(rest)?;
        let key = rest.get(..rest.len() - after_key.len())?;
        let value = after_key.trim_start().strip_prefix(':')?.trim_start();
        if serde_json::from_str::<String>(key).is_ok_and(|key| key == name) {
            return Some(value);
        }
        rest = skip_value(value)?
            .trim_start()
            .strip_prefix(',')?
            .trim_start();
    }
}

fn item(list: &str, index: usize) -> Option<&str> {
    let mut rest = list.strip_prefix('[')?.trim_start();
    for _ in 0..index {
        rest = skip_value(rest)?
            .trim_start()
            .strip_prefix(',')?
            .trim_start();
    }
    Some(rest)
}

/// What follows the value at the start of the text.
fn skip_value(text: &str) -> Option<&str> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, character) in text.char_indices() {
        if in_string {
            match character {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    in_string = false;
                    if depth == 0 {
                        return text.get(at + 1..);
                    }
                }
                _ => {}
            }
            continue;
        }
        match character {
            '"' => in_string = true,
            '{' | '[' => depth += 1,
            '}' | ']' | ',' if depth == 0 => return text.get(at..),
            '}' | ']' => {
                depth -= 1;
                if depth == 0 {
                    return text.get(at + 1..);
                }
            }
            _ => {}
        }
    }
    Some("")
}
