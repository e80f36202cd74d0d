//! Text in the forms that OSCAL's data types demand: tokens, single lines, lines of Markdown.

/// A `string`: one line, not empty, no blank at either end.
pub(super) fn line(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| {
            if c.is_whitespace() || c.is_control() {
                ' '
            } else {
                c
            }
        })
        .collect();
    match line.trim() {
        "" => "none".to_owned(),
        line => line.to_owned(),
    }
}

/// A `markup-line`: the same, and every character that Markdown might take for markup escaped.
pub(super) fn markup(text: &str) -> String {
    let mut marked = String::with_capacity(text.len());
    for c in line(text).chars() {
        if matches!(
            c,
            '\\' | '`'
                | '*'
                | '_'
                | '['
                | ']'
                | '<'
                | '>'
                | '~'
                | '^'
                | '{'
                | '}'
                | '#'
                | '|'
                | '!'
                | '&'
        ) {
            marked.push('\\');
        }
        marked.push(c);
    }
    marked
}

/// A `token`: a letter or underscore, then letters, digits, dots, hyphens and underscores.
pub(super) fn token(text: &str) -> String {
    let mut token: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
                c
            } else {
                '_'
            }
        })
        .collect();
    if !token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        token.insert(0, '_');
    }
    token
}

#[cfg(test)]
mod tests {
    use super::{line, markup, token};

    #[test]
    fn text_takes_the_form_that_each_type_demands() {
        assert_eq!(line(" a\nb\u{85}c "), "a b c");
        assert_eq!(line("\u{2028}\0"), "none");
        assert_eq!(
            markup("<b>*x*</b> [a](b)"),
            "\\<b\\>\\*x\\*\\</b\\> \\[a\\](b)"
        );
        assert_eq!(token("FR-278.interval"), "FR-278.interval");
        assert_eq!(token("1 ä/"), "_1___");
        assert_eq!(token(""), "_");
    }
}
