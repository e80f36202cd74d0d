//! A value in all the forms in which it may leak, and the search for all of them at once.
//!
//! In: values and texts. Out: which forms stand in a text, by name; never the value. Pure, and held by a test that
//! plants every form.

use aho_corasick::{AhoCorasick, BuildError};
use sha2::{Digest as _, Sha256};

use crate::observation::hex;

/// How many characters of a cut value are still recognised.
const CUT: usize = 12;

/// One form of a value. It has no `Debug`: it is the value.
pub struct Needle {
    /// What form it is.
    pub form: &'static str,
    /// Its text.
    pub text: Vec<u8>,
}

/// Searches for values in every form.
pub struct Search {
    automaton: AhoCorasick,
    forms: Vec<&'static str>,
}

impl Search {
    /// For these values.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Self, BuildError> {
        let needles: Vec<Needle> = values.into_iter().flat_map(forms).collect();
        Ok(Self {
            automaton: AhoCorasick::new(needles.iter().map(|needle| &needle.text))?,
            forms: needles.iter().map(|needle| needle.form).collect(),
        })
    }

    /// The forms that stand in a text, each once.
    pub fn in_text(&self, text: &str) -> Vec<&'static str> {
        let mut found: Vec<&'static str> = self
            .automaton
            .find_overlapping_iter(text)
            .filter_map(|at| self.forms.get(at.pattern().as_usize()).copied())
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Every form of a value; a form that looks like another one is left out.
pub fn forms(value: &str) -> Vec<Needle> {
    let bytes = value.as_bytes();
    let little: Vec<u8> = value.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = value.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let json = serde_json::Value::from(value).to_string();
    let json = json
        .get(1..json.len().saturating_sub(1))
        .unwrap_or_default()
        .to_owned();
    let escapes: Vec<String> = value
        .encode_utf16()
        .map(|unit| format!("\\u{unit:04x}"))
        .collect();
    let mut all: Vec<(&'static str, Vec<u8>)> = vec![
        ("raw", bytes.to_vec()),
        ("as JSON", json.into_bytes()),
        ("as JSON escapes", escapes.concat().into_bytes()),
        ("URL-encoded", url(value).into_bytes()),
        ("hexadecimal", hex(bytes).into_bytes()),
        (
            "hexadecimal, capitals",
            hex(bytes).to_uppercase().into_bytes(),
        ),
        ("UTF-16 little-endian", little.clone()),
        ("UTF-16 big-endian", big.clone()),
        ("UTF-16 in hexadecimal", hex(&little).into_bytes()),
        ("UTF-16 in hexadecimal, big-endian", hex(&big).into_bytes()),
        ("its beginning", head(value).into_bytes()),
        ("its end", tail(value).into_bytes()),
        ("its SHA-256", hex(&Sha256::digest(bytes)).into_bytes()),
    ];
    for skipped in 0..3 {
        all.push(("base64", base64(bytes, skipped, STANDARD)));
        all.push(("base64url", base64(bytes, skipped, URL_SAFE)));
        all.push(("UTF-16 in base64", base64(&little, skipped, STANDARD)));
    }
    let mut needles: Vec<Needle> = Vec::new();
    for (form, text) in all {
        if !text.is_empty() && !needles.iter().any(|needle| needle.text == text) {
            needles.push(Needle { form, text });
        }
    }
    needles
}

fn head(value: &str) -> String {
    value.chars().take(CUT).collect()
}

fn tail(value: &str) -> String {
    let skipped = value.chars().count().saturating_sub(CUT);
    value.chars().skip(skipped).collect()
}

fn url(value: &str) -> String {
    value
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The base64 of a value that stands somewhere in a longer text: of its whole groups only, after `skipped` bytes of the
/// value have gone into a group with what was before. The three alignments together meet it wherever it stands.
fn base64(bytes: &[u8], skipped: usize, alphabet: &[u8; 64]) -> Vec<u8> {
    let mut text = Vec::new();
    for group in bytes.get(skipped..).unwrap_or_default().chunks_exact(3) {
        let bits = group
            .iter()
            .fold(0_usize, |bits, byte| (bits << 8) | usize::from(*byte));
        for shift in [18, 12, 6, 0] {
            text.extend(alphabet.get((bits >> shift) & 63));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use super::{Search, forms};

    const VALUE: &str = "CNRY\"q8Zt+/aB3xY7mN0pL5kV2";

    #[test]
    fn every_form_is_found_inside_of_other_text_and_by_its_name() {
        let search = Search::new([VALUE]).unwrap();
        for needle in forms(VALUE) {
            let text = format!("before {} after", String::from_utf8_lossy(&needle.text));
            assert!(
                search.in_text(&text).contains(&needle.form),
                "{}",
                needle.form
            );
        }
    }

    #[test]
    fn base64_is_found_at_every_alignment() {
        let search = Search::new([VALUE]).unwrap();
        for before in ["", "x", "xy", "xyz"] {
            let whole = format!("{before}{VALUE} and more");
            let mut text = String::new();
            for group in whole.as_bytes().chunks(3) {
                let mut bits = 0_u32;
                for at in 0..3 {
                    bits = (bits << 8) | u32::from(group.get(at).copied().unwrap_or_default());
                }
                for shift in [18, 12, 6, 0] {
                    let place = usize::try_from((bits >> shift) & 63).unwrap();
                    text.push(char::from(super::STANDARD[place]));
                }
            }
            assert!(search.in_text(&text).contains(&"base64"), "{before:?}");
        }
    }

    #[test]
    fn what_does_not_hold_the_value_is_clean() {
        let search = Search::new([VALUE]).unwrap();
        assert!(search.in_text("CNRY and nothing more").is_empty());
        assert!(search.in_text("").is_empty());
    }

    #[test]
    fn short_values_give_no_empty_needles() {
        assert!(forms("ab").iter().all(|needle| !needle.text.is_empty()));
    }
}
