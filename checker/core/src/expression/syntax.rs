//! From the text of a condition to its tree, or to errors that a person understands.
//!
//! In: text of at most [`MAX_SOURCE_BYTES`]. Out: the tree of the crate `cel` with the byte offset of each
//! node. Types and names are not looked at here.

use std::sync::LazyLock;

use cel::common::ast::{EntryExpr, Expr, IdedExpr, SourceInfo};
use cel::{Env, ParseError};

use super::ExpressionError;

/// The longest condition that is parsed.
pub const MAX_SOURCE_BYTES: usize = 4096;
/// The deepest tree that is evaluated.
const MAX_DEPTH: usize = 200;
/// How many `all`, `exists`, `map`, `filter` may stand inside each other: each multiplies the cost.
const MAX_NESTED_LOOPS: usize = 2;

/// The standard library without optional syntax (`a.?b`), for which `null` and `? :` serve.
static ENV: LazyLock<Env> = LazyLock::new(|| Env::stdlib().with_optional_support(false));

/// Parses a condition and bounds its cost. Needs a deep stack.
pub(super) fn parse(text: &str) -> Result<(IdedExpr, SourceInfo), ExpressionError> {
    if text.trim().is_empty() {
        return Err(ExpressionError::new(0, "empty condition")
            .help("write `true` for a rule that always holds"));
    }
    if text.len() > MAX_SOURCE_BYTES {
        return Err(ExpressionError::new(
            0,
            format!(
                "a condition of {} bytes, at most {MAX_SOURCE_BYTES} are allowed",
                text.len()
            ),
        )
        .help("split it into several rules"));
    }
    let (tree, info) = ENV
        .parser()
        .parse_with_source_info(text)
        .map_err(|errors| {
            // What follows the first error is mostly its consequence.
            errors.errors.first().map_or_else(
                || ExpressionError::new(0, "malformed condition"),
                |error| explain(text, error),
            )
        })?;
    let place = |id| {
        info.offset_for(id)
            .and_then(|(start, _)| usize::try_from(start).ok())
            .unwrap_or(0)
    };
    let (depth, deepest) = depth(&tree);
    if depth > MAX_DEPTH {
        return Err(ExpressionError::new(
            place(deepest),
            format!("a condition nested {depth} deep, at most {MAX_DEPTH} are allowed"),
        )
        .help("split it into several rules"));
    }
    let (loops, innermost) = loops(&tree);
    if loops > MAX_NESTED_LOOPS {
        return Err(ExpressionError::new(
            place(innermost),
            format!(
                "`all`, `exists`, `map` or `filter` nested {loops} deep, at most {MAX_NESTED_LOOPS} are allowed"
            ),
        ));
    }
    Ok((tree, info))
}

/// The parts of a node, in evaluation order.
pub(super) fn children(node: &IdedExpr) -> Vec<&IdedExpr> {
    match &node.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Call(call) => call
            .target
            .iter()
            .map(AsRef::as_ref)
            .chain(&call.args)
            .collect(),
        Expr::Comprehension(part) => {
            vec![
                &part.iter_range,
                &part.accu_init,
                &part.loop_cond,
                &part.loop_step,
                &part.result,
            ]
        }
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map
            .entries
            .iter()
            .flat_map(|entry| entry_parts(&entry.expr))
            .collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Struct(fields) => fields
            .entries
            .iter()
            .flat_map(|entry| entry_parts(&entry.expr))
            .collect(),
    }
}

fn entry_parts(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}

/// The depth of a tree, and its deepest node.
fn depth(node: &IdedExpr) -> (usize, u64) {
    let below = children(node)
        .into_iter()
        .map(depth)
        .max_by_key(|(depth, _)| *depth);
    below.map_or((1, node.id), |(depth, deepest)| (depth + 1, deepest))
}

/// How many loops stand inside each other, and the innermost.
fn loops(node: &IdedExpr) -> (usize, u64) {
    let below = children(node)
        .into_iter()
        .map(loops)
        .max_by_key(|(count, _)| *count)
        .unwrap_or((0, node.id));
    match &node.expr {
        Expr::Comprehension(_) => (below.0 + 1, if below.0 == 0 { node.id } else { below.1 }),
        Expr::Unspecified
        | Expr::Call(_)
        | Expr::Ident(_)
        | Expr::List(_)
        | Expr::Literal(_)
        | Expr::Map(_)
        | Expr::Select(_)
        | Expr::Struct(_) => below,
    }
}

/// The parser's message in our words, at a byte offset.
fn explain(text: &str, error: &ParseError) -> ExpressionError {
    let (line, column) = error.pos;
    let line = usize::try_from(line).unwrap_or(1).max(1);
    let column = usize::try_from(column).unwrap_or(1).max(1) - 1;
    let line_start: usize = text
        .split_inclusive('\n')
        .take(line - 1)
        .map(str::len)
        .sum();
    let line_text = text.get(line_start..).unwrap_or("");
    let Some(syntax) = error.msg.strip_prefix("Syntax error: ") else {
        // Errors found after the grammar count bytes, those of the grammar count characters.
        return other(error, (line_start + column).min(text.len()));
    };
    let offset = line_start
        + line_text
            .char_indices()
            .nth(column)
            .map_or(line_text.trim_end_matches('\n').len(), |(at, _)| at);
    if syntax.starts_with("Incomplete") {
        return ExpressionError::new(offset, "incomplete condition");
    }
    let rest = text.get(offset..).unwrap_or("");
    if let Some(after) = syntax.strip_prefix("missing ") {
        let wanted = after
            .split(" at ")
            .next()
            .unwrap_or(after)
            .trim_matches('\'');
        return ExpressionError::new(offset, format!("missing `{wanted}`"));
    }
    if syntax.starts_with("token recognition error") {
        let strange = rest
            .chars()
            .next()
            .map_or_else(|| "?".to_owned(), String::from);
        let error = ExpressionError::new(offset, format!("unexpected `{strange}`"));
        return match strange.as_str() {
            "'" | "\"" => ExpressionError::new(offset, "text without its closing quote"),
            "=" => error.help("write `==` to compare"),
            "&" => error.help("write `&&` for and"),
            "|" => error.help("write `||` for or"),
            _ => error,
        };
    }
    let word: String = rest
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .take(40)
        .collect();
    let found = if word.is_empty() {
        rest.chars().next().map_or_else(String::new, String::from)
    } else {
        word
    };
    if found.is_empty() {
        return ExpressionError::new(offset, "the condition ends too early");
    }
    let error = ExpressionError::new(offset, format!("unexpected `{found}`"));
    let before = text.get(..offset).unwrap_or("");
    match found.as_str() {
        "d" | "h" | "m" | "s" if before.ends_with(|c: char| c.is_ascii_digit()) => error.help(
            "write a length of time as `days(90)`, `hours(12)`, `minutes(10)` or `seconds(30)`",
        ),
        "=" => error.help("write `==` to compare"),
        "and" | "AND" => error.help("write `&&` for and"),
        "or" | "OR" => error.help("write `||` for or"),
        "not" | "NOT" => error.help("write `!` for not"),
        _ => error,
    }
}

/// Errors that are no errors of grammar.
fn other(error: &ParseError, offset: usize) -> ExpressionError {
    let message = error.msg.as_str();
    if message.starts_with("Recursion limit") {
        return ExpressionError::new(0, "a condition nested too deep")
            .help("split it into several rules");
    }
    if message.contains("has() macro") {
        return ExpressionError::new(
            offset,
            "`has(..)` takes a key of a map, like `has(secret.tags.owner)`",
        );
    }
    if message.contains("must be a simple name") {
        return ExpressionError::new(
            offset,
            "the first argument names the variable, like `x` in `list.all(x, x > 0)`",
        );
    }
    if message.contains("unsupported syntax") {
        return ExpressionError::new(offset, "optional syntax `.?` is not supported")
            .help("compare with `null` instead");
    }
    if message.contains("int literal") {
        return ExpressionError::new(offset, "a whole number beyond 64 bits");
    }
    if message.starts_with("invalid") && !message.contains("Context") {
        return ExpressionError::new(offset, message.to_owned());
    }
    ExpressionError::new(offset, "malformed condition")
}
