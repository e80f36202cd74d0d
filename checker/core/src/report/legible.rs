//! Text as a reader may trust it: what can't be seen is spelt out.
//!
//! Names and tags come from whoever may write them. A control character can break a document, and a character that
//! turns the direction of writing, or that has no width, can make one name look like another. Each is replaced by
//! its number, `‹U+202E›`. This is done once, on the whole rendered document, so that no way around it exists;
//! escaping for HTML or Markdown happens before and is not done here.

use std::fmt::Write as _;

/// The same text with every invisible character spelt out; line ends stay.
pub(super) fn legible(text: String) -> String {
    if !has_invisible(&text) {
        return text;
    }
    let mut seen = String::with_capacity(text.len());
    for c in text.chars() {
        if is_invisible(c) {
            // Writing to a string cannot fail.
            write!(seen, "‹U+{:04X}›", u32::from(c)).unwrap_or_default();
        } else {
            seen.push(c);
        }
    }
    seen
}

/// Nearly all of a document is plain, so that its bytes are looked at and not its characters.
fn has_invisible(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest
        .bytes()
        .position(|byte| !matches!(byte, b'\n' | b' '..=b'~'))
    {
        let mut chars = rest.get(at..).unwrap_or_default().chars();
        if chars.next().is_some_and(is_invisible) {
            return true;
        }
        rest = chars.as_str();
    }
    false
}

/// Controls other than the line feed, what turns the direction of writing, what has no width, tag characters, and the
/// separators that end a line for some readers only.
fn is_invisible(c: char) -> bool {
    match c {
        '\n' => false,
        '\u{00AD}'
        | '\u{034F}'
        | '\u{061C}'
        | '\u{115F}'
        | '\u{1160}'
        | '\u{180E}'
        | '\u{200B}'..='\u{200F}'
        | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}'
        | '\u{3164}'
        | '\u{FEFF}'
        | '\u{FFA0}'
        | '\u{FFF0}'..='\u{FFFB}'
        | '\u{FFFE}'
        | '\u{FFFF}'
        | '\u{E0000}'..='\u{E007F}' => true,
        other => other.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::legible;

    #[test]
    fn what_cannot_be_seen_is_spelt_out() {
        let cases = [
            ("plain – ünïcode 日本\n", "plain – ünïcode 日本\n"),
            ("a\u{202E}b", "a‹U+202E›b"),
            ("a\u{2066}b\u{2069}", "a‹U+2066›b‹U+2069›"),
            ("a\u{200B}b\u{FEFF}", "a‹U+200B›b‹U+FEFF›"),
            ("\0\u{1b}[31m\r", "‹U+0000›‹U+001B›[31m‹U+000D›"),
            ("\u{85}\u{2028}\u{E0041}", "‹U+0085›‹U+2028›‹U+E0041›"),
        ];
        for (text, seen) in cases {
            assert_eq!(legible(text.to_owned()), seen);
        }
    }
}
