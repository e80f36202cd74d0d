//! The built-in functions of Pulumi YAML.
//!
//! Each takes values and returns a value. An unknown argument makes the result unknown as a whole and a secret one makes
//! it secret, whatever the function. Files are read from the program's folder; a path that leaves it is refused unless it
//! is absolute, as Pulumi does. Error texts never quote a value.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest as _;

use super::error::Position;
use super::evaluate::{Scope, Stop};
use super::expression::{Call, Entry, Expr, ExprKind, Step};
use super::value::{Asset, Value};

/// Evaluates a call that stands at `at`.
pub(crate) fn call(scope: &mut Scope, at: Position, call: &Call) -> Result<Value, Stop> {
    match call {
        Call::Invoke(invoke) => scope.invoke(at, invoke),
        Call::ToJson(value) => lift(scope, &[value], |scope, values| match values {
            [value] => value.to_json_text().map(Value::Text).ok_or_else(|| {
                scope.wrong(at, "an asset, an archive or a resource has no JSON form")
            }),
            _ => Err(scope.wrong(at, "`fn::toJSON` takes one argument")),
        }),
        Call::Join(delimiter, items) => {
            lift(scope, &[delimiter, items], |scope, values| match values {
                [Value::Null, Value::List(items)] => join(scope, items_at(call, at), "", items),
                [Value::Text(by), Value::List(items)] => join(scope, items_at(call, at), by, items),
                _ => Err(scope.wrong(at, "`fn::join` takes a string and a list of strings")),
            })
        }
        Call::Split(delimiter, text) => {
            lift(scope, &[delimiter, text], |scope, values| match values {
                [Value::Text(by), Value::Text(text)] if by.is_empty() => Ok(Value::List(
                    text.chars().map(|c| Value::Text(c.to_string())).collect(),
                )),
                [Value::Text(by), Value::Text(text)] => Ok(Value::List(
                    text.split(by.as_str()).map(Value::text).collect(),
                )),
                _ => Err(scope.wrong(at, "`fn::split` takes two strings")),
            })
        }
        Call::Select(index, items) => select(scope, index, items),
        Call::Secret(value) => Ok(scope.evaluate(value)?.secret_if(true)),
        Call::Unsecret(value) => Ok(scope.evaluate(value)?.open().0.clone()),
        Call::ToBase64(value) => text(scope, "fn::toBase64", value, |_, text| {
            Ok(STANDARD.encode(text.as_bytes()))
        }),
        Call::FromBase64(value) => text(scope, "fn::fromBase64", value, |scope, text| {
            STANDARD
                .decode(text)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or_else(|| scope.wrong(at, "the argument isn't the Base64 form of UTF-8 text"))
        }),
        Call::Sha1(value) => text(scope, "fn::sha1", value, |_, text| {
            Ok(sha1(text.as_bytes()))
        }),
        Call::Length(value) => lift_shallow(scope, value, |scope, value| match value {
            Value::List(items) => Ok(count(items.len())),
            Value::Object(entries) => Ok(count(entries.len())),
            Value::Text(text) => Ok(count(text.len())),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Integer(_)
            | Value::Asset(_)
            | Value::Resource(_)
            | Value::Unknown
            | Value::Secret(_) => {
                let message = format!("{} has no length", value.describe());
                Err(scope.wrong(at, message))
            }
        }),
        Call::SingleOrNone(value) => {
            lift_shallow(scope, value, |scope, value| match value.as_list() {
                Some([]) => Ok(Value::Null),
                Some([only]) => Ok(only.clone()),
                Some(more) => {
                    let message =
                        format!("a list of {} items, where at most one may be", more.len());
                    Err(scope.wrong(at, message))
                }
                None => {
                    let message =
                        format!("`fn::singleOrNone` takes a list, not {}", value.describe());
                    Err(scope.wrong(at, message))
                }
            })
        }
        Call::ReadFile(path) => file(scope, "fn::readFile", path, |scope, bytes| {
            String::from_utf8(bytes).map_err(|_| scope.wrong(path.at, "the file isn't UTF-8 text"))
        }),
        Call::FileBase64(path) => file(scope, "fn::filebase64", path, |_, bytes| {
            Ok(STANDARD.encode(bytes))
        }),
        Call::FileBase64Sha256(path) => file(scope, "fn::filebase64sha256", path, |_, bytes| {
            Ok(STANDARD.encode(sha2::Sha256::digest(bytes)))
        }),
        Call::FileAsset(path) => asset(scope, "fn::fileAsset", path, |scope, path| {
            Asset::File(scope.resolve(path))
        }),
        Call::StringAsset(value) => asset(scope, "fn::stringAsset", value, |_, text| {
            Asset::Text(text.to_owned())
        }),
        Call::FileArchive(path) => asset(scope, "fn::fileArchive", path, Scope::archive),
        Call::AssetArchive(entries) => archive(scope, entries),
    }
}

/// Evaluates arguments and applies a function to them, unless one is unknown.
fn lift(
    scope: &mut Scope,
    arguments: &[&Expr],
    apply: impl FnOnce(&Scope, &[Value]) -> Result<Value, Stop>,
) -> Result<Value, Stop> {
    let values = arguments
        .iter()
        .map(|argument| scope.evaluate(argument))
        .collect::<Result<Vec<_>, _>>()?;
    let secret = values.iter().any(Value::has_secret);
    if values.iter().any(Value::has_unknown) {
        return Ok(Value::Unknown.secret_if(secret));
    }
    let open: Vec<Value> = values.iter().map(Value::reveal).collect();
    Ok(apply(scope, &open)?.secret_if(secret))
}

/// As `lift`, for functions that look at a value's outermost layer only.
fn lift_shallow(
    scope: &mut Scope,
    argument: &Expr,
    apply: impl FnOnce(&Scope, &Value) -> Result<Value, Stop>,
) -> Result<Value, Stop> {
    let value = scope.evaluate(argument)?;
    match value.open() {
        (Value::Unknown, secret) => Ok(Value::Unknown.secret_if(secret)),
        (open, secret) => Ok(apply(scope, open)?.secret_if(secret)),
    }
}

fn text(
    scope: &mut Scope,
    name: &str,
    argument: &Expr,
    apply: impl FnOnce(&Scope, &str) -> Result<String, Stop>,
) -> Result<Value, Stop> {
    lift(scope, &[argument], |scope, values| match values {
        [Value::Text(text)] => apply(scope, text).map(Value::Text),
        [other] => {
            let message = format!("`{name}` takes a string, not {}", other.describe());
            Err(scope.wrong(argument.at, message))
        }
        _ => Err(scope.wrong(argument.at, format!("`{name}` takes one argument"))),
    })
}

fn join(scope: &Scope, at: Position, by: &str, items: &[Value]) -> Result<Value, Stop> {
    let words = items
        .iter()
        .map(|item| {
            item.as_text().ok_or_else(|| {
                let message = format!("`fn::join` joins strings, not {}", item.describe());
                scope.wrong(at, message)
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Value::Text(words.join(by)))
}

fn items_at(call: &Call, otherwise: Position) -> Position {
    match call {
        Call::Join(_, items) => items.at,
        Call::Invoke(_)
        | Call::ToJson(_)
        | Call::Split(..)
        | Call::Select(..)
        | Call::Secret(_)
        | Call::Unsecret(_)
        | Call::ToBase64(_)
        | Call::FromBase64(_)
        | Call::Sha1(_)
        | Call::Length(_)
        | Call::SingleOrNone(_)
        | Call::ReadFile(_)
        | Call::FileBase64(_)
        | Call::FileBase64Sha256(_)
        | Call::FileAsset(_)
        | Call::StringAsset(_)
        | Call::FileArchive(_)
        | Call::AssetArchive(_) => otherwise,
    }
}

fn select(scope: &mut Scope, index: &Expr, items: &Expr) -> Result<Value, Stop> {
    let chosen = scope.evaluate(index)?;
    let from = scope.evaluate(items)?;
    let secret = chosen.has_secret();
    let (chosen, _) = chosen.open();
    if matches!(chosen, Value::Unknown) || matches!(from.open().0, Value::Unknown) {
        return Ok(Value::Unknown.secret_if(secret || from.has_secret()));
    }
    let whole = match chosen {
        Value::Number(number) => number.to_string().parse::<usize>().ok(),
        Value::Integer(number) => usize::try_from(*number).ok(),
        Value::Null
        | Value::Bool(_)
        | Value::Text(_)
        | Value::List(_)
        | Value::Object(_)
        | Value::Asset(_)
        | Value::Resource(_)
        | Value::Unknown
        | Value::Secret(_) => None,
    };
    match whole {
        Some(whole) => Ok(scope
            .follow(&from, &[(items.at, Step::Index(whole))], false)?
            .secret_if(secret)),
        None => Err(scope.wrong(index.at, "the index must be a whole number from 0 on")),
    }
}

fn file(
    scope: &mut Scope,
    name: &str,
    path: &Expr,
    apply: impl FnOnce(&Scope, Vec<u8>) -> Result<String, Stop>,
) -> Result<Value, Stop> {
    let constant = matches!(path.kind, ExprKind::Text(_));
    text(scope, name, path, |scope, written| {
        let bytes =
            std::fs::read(allowed(scope, path.at, written, constant)?).map_err(|error| {
                scope.wrong(path.at, format!("can't read `{written}`: {}", error.kind()))
            })?;
        apply(scope, bytes)
    })
}

/// The file, if the program may read it: one below its folder, or one that it names by a constant absolute path.
fn allowed(scope: &Scope, at: Position, written: &str, constant: bool) -> Result<PathBuf, Stop> {
    let unreadable = |error: std::io::Error| {
        scope.wrong(at, format!("can't read `{written}`: {}", error.kind()))
    };
    let path = scope.resolve(written).canonicalize().map_err(unreadable)?;
    let home = scope.directory.canonicalize().map_err(unreadable)?;
    if path.starts_with(&home) || (constant && std::path::Path::new(written).is_absolute()) {
        Ok(path)
    } else {
        Err(scope.wrong(at, format!("`{written}` is outside the program's folder")))
    }
}

fn asset(
    scope: &mut Scope,
    name: &str,
    argument: &Expr,
    apply: impl FnOnce(&Scope, &str) -> Asset,
) -> Result<Value, Stop> {
    lift(scope, &[argument], |scope, values| match values {
        [Value::Text(text)] => Ok(Value::Asset(apply(scope, text))),
        _ => Err(scope.wrong(argument.at, format!("`{name}` takes a string"))),
    })
}

fn archive(scope: &mut Scope, entries: &[Entry]) -> Result<Value, Stop> {
    let mut parts = std::collections::BTreeMap::new();
    for entry in entries {
        let value = scope.evaluate(&entry.value)?;
        match (entry.name(), value) {
            (Some(name), Value::Asset(asset)) => {
                parts.insert(name.to_owned(), asset);
            }
            (_, other) => {
                let message = format!(
                    "`fn::assetArchive` takes assets and archives by plain names, not {}",
                    other.describe()
                );
                return Err(scope.wrong(entry.value.at, message));
            }
        }
    }
    Ok(Value::Asset(Asset::Archive(parts)))
}

fn count(length: usize) -> Value {
    i64::try_from(length).map_or(Value::Null, Value::Integer)
}

/// SHA-1 in hexadecimal (FIPS 180-4); used by programs to shorten names, never for security.
#[expect(clippy::many_single_char_names, reason = "the names of the standard")]
fn sha1(message: &[u8]) -> String {
    let mut state: [u32; 5] = [
        0x6745_2301,
        0xefcd_ab89,
        0x98ba_dcfe,
        0x1032_5476,
        0xc3d2_e1f0,
    ];
    let bits = u64::try_from(message.len())
        .unwrap_or(u64::MAX)
        .wrapping_mul(8);
    let mut padded = message.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend_from_slice(&bits.to_be_bytes());
    for block in padded.chunks_exact(64) {
        let mut words: Vec<u32> = block
            .chunks_exact(4)
            .map(|four| {
                four.iter()
                    .fold(0, |word, byte| (word << 8) | u32::from(*byte))
            })
            .collect();
        for at in 16..80 {
            let word = [3, 8, 14, 16]
                .iter()
                .filter_map(|back| words.get(at - back))
                .fold(0, |mixed, word| mixed ^ word);
            words.push(word.rotate_left(1));
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (round, word) in words.into_iter().enumerate() {
            let (mixed, constant) = match round {
                0..20 => ((b & c) | (!b & d), 0x5a82_7999),
                20..40 => (b ^ c ^ d, 0x6ed9_eba1),
                40..60 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6_u32),
            };
            let next = a
                .rotate_left(5)
                .wrapping_add(mixed)
                .wrapping_add(e)
                .wrapping_add(constant)
                .wrapping_add(word);
            (a, b, c, d, e) = (next, a, b.rotate_left(30), c, d);
        }
        for (sum, part) in state.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(part);
        }
    }
    let [a, b, c, d, e] = state;
    format!("{a:08x}{b:08x}{c:08x}{d:08x}{e:08x}")
}
