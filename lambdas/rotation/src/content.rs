//! Where the key is inside a secret's content, and the same content with another key.
//!
//! Plain text is the key itself. Of a JSON object one member is the key; everything around it is kept byte for
//! byte, whatever it holds. The member is the one that the tag `secret_member` names, otherwise the only
//! one of the type's usual names. Content that is neither, or leaves a choice, is refused.

use std::borrow::Cow;
use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::error::RotationError;
use crate::key_material::{Form, random_bytes};
use crate::store::Content;

/// Which member of a JSON object holds the key.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// The member that the secret's tag names.
    pub tagged: Option<&'a str>,
    /// The names that the type usually has.
    pub usual: &'a [&'a str],
}

/// The key inside a text: its value and the bytes it takes in the text, quotes included.
struct Place {
    key: Zeroizing<String>,
    /// `None`: the whole text.
    within: Option<(usize, usize)>,
}

/// The content of a generated secret that has no predecessor: plain text, or an object with the tagged member.
///
/// # Errors
/// [`RotationError::NoRandomness`].
pub fn first(member: Member<'_>) -> Result<Content, RotationError> {
    let key = Form::first().generate()?;
    let text = match member.tagged {
        Some(name) => {
            let name = serde_json::Value::from(name);
            Zeroizing::new(format!("{{{name}:\"{}\"}}", key.as_str()))
        }
        None => key,
    };
    Ok(Content::Text(SecretString::from(text.as_str())))
}

/// `old` with a new key of the same form.
///
/// # Errors
/// [`RotationError::Content`] if the key's place is not clear or it is one half of a key pair.
pub fn renewed(old: &Content, member: Member<'_>) -> Result<Content, RotationError> {
    match old {
        Content::Binary(bytes) => {
            let new = random_bytes(bytes.expose_secret().len())?;
            Ok(Content::Binary(SecretSlice::from(new.to_vec())))
        }
        Content::Text(text) => {
            let text = text.expose_secret();
            let place = find(text, member)?;
            if place.key.trim_start().starts_with("-----BEGIN") {
                return Err(RotationError::Content {
                    problem: "it is a PEM key or certificate, and only symmetric keys can be made here",
                });
            }
            // What is generated needs no escaping in JSON.
            let key = Form::of(&place.key).generate()?;
            with_key(text, &place, &key)
        }
    }
}

/// `text`, a JSON object, with other texts in its members; all else stays byte for byte. A member that is
/// missing is put in front.
///
/// # Errors
/// [`RotationError::Content`] if it is no object.
pub fn with_members(
    text: &str,
    changes: &[(&str, &str)],
) -> Result<Zeroizing<String>, RotationError> {
    let mut text = Zeroizing::new(text.to_owned());
    for (name, value) in changes {
        let members = members(&text)?;
        let quoted = Zeroizing::new(serde_json::Value::from(*value).to_string());
        text = if let Some((start, end)) = members.get(*name).and_then(|raw| span(&text, raw)) {
            let (before, after) = cut(&text, start, end)?;
            joined(&[before, &quoted, after])
        } else {
            let comma = if members.is_empty() { "" } else { "," };
            let brace = text.find('{').map_or(0, |place| place + 1);
            let (before, after) = cut(&text, brace, brace)?;
            let name = serde_json::Value::from(*name).to_string();
            joined(&[before, &name, ":", &quoted, comma, after])
        };
    }
    Ok(text)
}

/// Checks that `new` holds a strong key and, if there is an `old`, another one in the same surroundings.
///
/// # Errors
/// [`RotationError::Unfit`] with what is wrong.
pub fn check(
    new: &Content,
    old: Option<&Content>,
    member: Member<'_>,
) -> Result<(), RotationError> {
    let unfit = |problem| Err(RotationError::Unfit { problem });
    match (new, old) {
        (Content::Binary(new), old) => {
            if new.expose_secret().len() < 32 {
                return unfit("it has less than 256 bits");
            }
            match old {
                None => Ok(()),
                Some(Content::Binary(old)) if old.expose_secret() != new.expose_secret() => Ok(()),
                Some(Content::Binary(_)) => unfit("it is the same as the current one"),
                Some(Content::Text(_)) => unfit("it is binary and the current one is text"),
            }
        }
        (Content::Text(new), old) => {
            let new = new.expose_secret();
            let place = find(new, member)?;
            if !Form::of(&place.key).is_strong() {
                return unfit("it has less than 256 bits");
            }
            match old {
                None => Ok(()),
                Some(Content::Binary(_)) => unfit("it is text and the current one is binary"),
                Some(Content::Text(old)) => {
                    check_surroundings(new, &place, old.expose_secret(), member)
                }
            }
        }
    }
}

/// Checks that `content` can be rotated at all, for a rotation that only tries its permissions.
///
/// # Errors
/// [`RotationError::Content`].
pub fn check_readable(content: &Content, member: Member<'_>) -> Result<(), RotationError> {
    match content {
        Content::Binary(_) => Ok(()),
        Content::Text(text) => find(text.expose_secret(), member).map(drop),
    }
}

fn check_surroundings(
    new: &str,
    place: &Place,
    old: &str,
    member: Member<'_>,
) -> Result<(), RotationError> {
    let before = find(old, member)?;
    if before.key == place.key {
        return Err(RotationError::Unfit {
            problem: "it is the same as the current one",
        });
    }
    if around(new, place) != around(old, &before) {
        return Err(RotationError::Unfit {
            problem: "it differs from the current one in more than its key",
        });
    }
    Ok(())
}

fn around<'a>(text: &'a str, place: &Place) -> Option<(&'a str, &'a str)> {
    let (start, end) = place.within?;
    cut(text, start, end).ok()
}

fn cut(text: &str, start: usize, end: usize) -> Result<(&str, &str), RotationError> {
    let parts = text.get(..start).zip(text.get(end..));
    parts.ok_or(RotationError::Content {
        problem: "a member has no place in it",
    })
}

/// The members of an object, borrowed: no copy of any value is made, and each knows its place in the text.
fn members(text: &str) -> Result<BTreeMap<Cow<'_, str>, &RawValue>, RotationError> {
    serde_json::from_str(text).map_err(|_| RotationError::Content {
        problem: "it begins like a JSON object but is none",
    })
}

/// Where a borrowed member stands in its text.
fn span(text: &str, raw: &RawValue) -> Option<(usize, usize)> {
    let start = raw
        .get()
        .as_ptr()
        .addr()
        .checked_sub(text.as_ptr().addr())?;
    Some((start, start + raw.get().len()))
}

fn with_key(text: &str, place: &Place, key: &str) -> Result<Content, RotationError> {
    let text = match (place.within, around(text, place)) {
        (None, _) => Zeroizing::new(key.to_owned()),
        (Some(_), Some((before, after))) => joined(&[before, "\"", key, "\"", after]),
        (Some(_), None) => {
            return Err(RotationError::Content {
                problem: "its key has no place in it",
            });
        }
    };
    Ok(Content::Text(SecretString::from(text.as_str())))
}

/// One allocation of the right size, so that no unwiped copy is left behind by growing.
fn joined(parts: &[&str]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(
        parts.iter().map(|part| part.len()).sum(),
    ));
    for part in parts {
        text.push_str(part);
    }
    text
}

fn find(text: &str, member: Member<'_>) -> Result<Place, RotationError> {
    let problem = |problem| Err(RotationError::Content { problem });
    if !text.trim_start().starts_with('{') {
        return match (member.tagged, text.trim().is_empty()) {
            (_, true) => problem("it is empty"),
            (Some(_), false) => {
                problem("its tag `secret_member` names a member, but it is not a JSON object")
            }
            (None, false) => Ok(Place {
                key: Zeroizing::new(text.to_owned()),
                within: None,
            }),
        };
    }
    let members = members(text)?;
    let mut usual = member.usual.iter().filter_map(|name| members.get(*name));
    let raw = match (member.tagged, usual.next(), usual.next()) {
        (Some(name), _, _) => members.get(name),
        (None, Some(only), None) => Some(only),
        (None, Some(_), Some(_)) => {
            return problem("several members could be the key; tag `secret_member`");
        }
        (None, None, _) => None,
    };
    let Some(raw) = raw else {
        return problem("no member of it is known to be the key; tag `secret_member`");
    };
    let Ok(key) = serde_json::from_str::<String>(raw.get()).map(Zeroizing::new) else {
        return problem("the member that holds the key is not a text");
    };
    match span(text, raw) {
        Some(within) => Ok(Place {
            key,
            within: Some(within),
        }),
        None => problem("its key has no place in it"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::{Member, check, first, renewed, with_members};
    use crate::store::Content;
    use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

    const USUAL: Member<'_> = Member {
        tagged: None,
        usual: &["api_key", "key"],
    };

    fn text(content: &str) -> Content {
        Content::Text(SecretString::from(content))
    }

    fn exposed(content: &Content) -> &str {
        match content {
            Content::Text(text) => text.expose_secret(),
            Content::Binary(_) => "",
        }
    }

    #[test]
    fn everything_around_the_key_is_kept_byte_for_byte() {
        let old = "{ \"big\": 123456789012345678901234567890.50,\n \"api_key\" : \"a\\u0041\\\"\" , \"nested\":{\"key\":1}}";
        let new = renewed(&text(old), USUAL).unwrap();
        let new_text = exposed(&new);
        assert!(
            new_text
                .starts_with("{ \"big\": 123456789012345678901234567890.50,\n \"api_key\" : \""),
            "{new_text}"
        );
        assert!(
            new_text.ends_with("\" , \"nested\":{\"key\":1}}"),
            "{new_text}"
        );
        assert_eq!(check(&new, Some(&text(old)), USUAL), Ok(()));
    }

    #[test]
    fn members_are_replaced_or_put_in_front() {
        for (text, expected) in [
            ("{ \"a\": null, \"b\":1}", "{ \"a\": \"x\\\"\", \"b\":1}"),
            ("{\"b\":{\"a\":2}}", "{\"a\":\"x\\\"\",\"b\":{\"a\":2}}"),
            (" {}", " {\"a\":\"x\\\"\"}"),
        ] {
            assert_eq!(
                with_members(text, &[("a", "x\"")]).unwrap().as_str(),
                expected
            );
        }
        assert!(with_members("CANARY", &[("a", "x")]).is_err());
    }

    #[test]
    fn plain_text_stays_plain_and_binary_stays_binary() {
        let new = renewed(&text("old-key"), USUAL).unwrap();
        assert_eq!(exposed(&new).len(), 43);
        let old = Content::Binary(SecretSlice::from(vec![1; 16]));
        let new = renewed(&old, USUAL).unwrap();
        assert!(matches!(&new, Content::Binary(bytes) if bytes.expose_secret().len() == 32));
        assert_eq!(check(&new, Some(&old), USUAL), Ok(()));
    }

    #[test]
    fn a_first_value_has_the_tagged_member() {
        let member = Member {
            tagged: Some("to\"ken"),
            usual: &[],
        };
        let content = first(member).unwrap();
        assert!(
            exposed(&content).starts_with(r#"{"to\"ken":""#),
            "{}",
            exposed(&content)
        );
        assert_eq!(check(&content, None, member), Ok(()));
    }

    #[test]
    fn content_that_leaves_a_choice_is_refused_without_repeating_it() {
        let tagged = Member {
            tagged: Some("other"),
            usual: &["key"],
        };
        for (content, member, expected) in [
            (
                "{\"key\":\"CANARY\",\"api_key\":\"CANARY\"}",
                USUAL,
                "several members could be the key",
            ),
            ("{\"secret\":\"CANARY\"}", USUAL, "no member of it is known"),
            ("{\"key\":{\"CANARY\":1}}", USUAL, "is not a text"),
            ("{CANARY", USUAL, "begins like a JSON object but is none"),
            ("CANARY", tagged, "it is not a JSON object"),
            ("{\"key\":\"CANARY\"}", tagged, "no member of it is known"),
            (" ", USUAL, "it is empty"),
            (
                "-----BEGIN PRIVATE KEY-----\nCANARY",
                USUAL,
                "only symmetric keys",
            ),
        ] {
            let error = renewed(&text(content), member).unwrap_err();
            assert!(error.to_string().contains(expected), "{content}: {error}");
            assert!(!format!("{error} {error:?}").contains("CANARY"), "{error}");
        }
    }

    #[test]
    fn a_pending_value_that_is_unfit_is_named() {
        let key = "x".repeat(50);
        for (new, old, expected) in [
            ("weak".to_owned(), None, "less than 256 bits"),
            (
                key.clone(),
                Some(key.clone()),
                "the same as the current one",
            ),
            (
                format!("{{\"key\":\"{key}\",\"url\":\"evil\"}}"),
                Some("{\"key\":\"old\",\"url\":\"good\"}".to_owned()),
                "more than its key",
            ),
            (
                key.clone(),
                Some("{\"key\":\"old\"}".to_owned()),
                "more than its key",
            ),
        ] {
            let old = old.as_deref().map(text);
            let error = check(&text(&new), old.as_ref(), USUAL).unwrap_err();
            assert!(error.to_string().contains(expected), "{new}: {error}");
        }
    }
}
