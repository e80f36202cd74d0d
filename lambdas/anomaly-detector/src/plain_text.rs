//! Text from outside, made fit for a log line: no control characters, no characters that change how a line
//! is displayed, and a length that is known.

/// Longest identity, time, name or id that is kept.
pub const SHORT: usize = 256;

/// `text` without control and display-changing characters, at most `cap` characters.
pub fn clean(text: &str, cap: usize) -> String {
    text.chars()
        .filter(|character| !is_misleading(*character))
        .take(cap)
        .collect()
}

fn is_misleading(character: char) -> bool {
    character.is_control()
        || matches!(character,
            // Soft hyphen, zero-width and directional marks, line and paragraph separators, directional
            // embeddings and isolates, invisible operators, byte order mark, interlinear marks, tags.
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn lines_cannot_be_forged_and_lengths_are_known() {
        assert_eq!(clean("a\nb\u{1b}[31mc\u{202e}d\u{200b}e", 256), "ab[31mcde");
        assert_eq!(clean(&"ä".repeat(1000), 10), "ä".repeat(10));
    }
}
