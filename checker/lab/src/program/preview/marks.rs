//! The marks by which Pulumi writes what is no plain value: unknown values, secrets, assets, references.
//!
//! Sources: `pulumi/sdk` (`resource.Sig`, the unknown UUIDs of `plugin/rpc.go`) and the digest of `pulumi preview`, which
//! writes a secret as the text `[secret]`. What is not understood becomes unknown, never a value.

use std::path::PathBuf;

use serde_json::{Map, Value as Json};

use crate::program::value::{Asset, MASKED, Value};

/// Unknown values of every type: text (and everything in a digest), boolean, number, list, asset, archive, object.
const UNKNOWN: [&str; 7] = [
    "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
    "030794c1-ac77-496b-92df-f27374a8bd58",
    "e48ece36-62e2-4504-bad9-02848725956a",
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
];

/// The key under which an object says what it stands for.
const SIGNATURE: &str = "4dabf18193072939515e22adb298388d";
const SECRET: &str = "1b47061264138c4ac30d75fd1eb44270";
const ASSET: &str = "c44067f5952c0a294b673a41bacd8c17";
const ARCHIVE: &str = "0def7320c3a5731c473e5ecbe6d01bc7";
const REFERENCE: &str = "5cf8f73096256a8f31e491e813e4eb8e";
const OUTPUT: &str = "d0e6a833031e9bbcd3f4e8bde6ca49a4";

/// Whether a text is, or holds, an unknown value.
pub(super) fn is_unknown(text: &str) -> bool {
    UNKNOWN.iter().any(|mark| text.contains(mark))
}

/// A value of a preview.
pub(crate) fn value(found: &Json) -> Value {
    match found {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => number.as_f64().map_or(Value::Unknown, Value::Number),
        Json::String(text) if text.contains(MASKED) => secret(),
        Json::String(text) if is_unknown(text) => Value::Unknown,
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(value).collect()),
        Json::Object(entries) => match entries.get(SIGNATURE) {
            Some(signature) => signed(signature.as_str().unwrap_or_default(), entries),
            None => Value::Object(
                entries
                    .iter()
                    .filter(|(name, _)| !name.starts_with("__"))
                    .map(|(name, found)| (name.clone(), value(found)))
                    .collect(),
            ),
        },
    }
}

/// The value itself is never kept, even where the preview shows it.
fn secret() -> Value {
    Value::Secret(Box::new(Value::Unknown))
}

fn signed(signature: &str, entries: &Map<String, Json>) -> Value {
    let text = |name: &str| entries.get(name).and_then(Json::as_str);
    match signature {
        SECRET => secret(),
        ASSET | ARCHIVE => {
            // Only its place is of interest; an asset of text might hold anything.
            let path = text("path").or(text("uri")).unwrap_or_default();
            if is_unknown(path) {
                return Value::Unknown;
            }
            Value::Asset(Asset::FileArchive {
                written: path.to_owned(),
                path: PathBuf::from(path),
            })
        }
        REFERENCE => match entries.get("id") {
            Some(id) => value(id),
            None => Value::Unknown,
        },
        OUTPUT => {
            let hidden = entries.get("secret") == Some(&Json::Bool(true));
            match entries.get("value") {
                Some(_) if hidden => secret(),
                Some(found) => value(found),
                None => Value::Unknown.secret_if(hidden),
            }
        }
        _ => Value::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::{SECRET, SIGNATURE, UNKNOWN, value};
    use crate::program::value::Value;
    use serde_json::json;

    #[test]
    fn no_mark_becomes_a_value() {
        for mark in UNKNOWN {
            assert_eq!(value(&json!(mark)), Value::Unknown);
            assert_eq!(value(&json!(format!("arn:{mark}:x"))), Value::Unknown);
            assert!(value(&json!({"a": [{"b": mark}]})).has_unknown());
        }
        for hidden in [
            json!("[secret]"),
            json!({SIGNATURE: SECRET, "plaintext": "\"hunter2\""}),
            json!({SIGNATURE: SECRET, "value": "hunter2"}),
            json!({SIGNATURE: "d0e6a833031e9bbcd3f4e8bde6ca49a4", "secret": true, "value": "hunter2"}),
        ] {
            let read = value(&hidden);
            assert!(read.has_unknown() && read.has_secret(), "{hidden}");
            assert!(!format!("{:?}", read.reveal()).contains("hunter2"));
        }
        assert_eq!(
            value(&json!({SIGNATURE: "of a later version", "value": 1})),
            Value::Unknown
        );
        let output = json!({SIGNATURE: "d0e6a833031e9bbcd3f4e8bde6ca49a4", "value": "x"});
        assert_eq!(value(&output), Value::text("x"));
    }
}
