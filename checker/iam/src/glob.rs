//! Wildcard patterns: `*` is any run of characters, `?` exactly one, everything else is itself.
//!
//! In: tokens, which keep a literal `*` (from `${*}` or a substituted variable) apart from the wildcard.
//! Out: [`Glob`], classified once so that the common shapes are plain string comparisons.
//! Does not know ARNs, variables or letter case; callers lower-case both sides where case is no matter.

use std::str::Chars;

/// One symbol of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Token {
    /// This character.
    Literal(char),
    /// This character, come from the value of a policy variable; it never divides an ARN.
    Substituted(char),
    /// `?`
    One,
    /// `*`
    Many,
}

impl Token {
    fn accepts(self, character: char) -> bool {
        match self {
            Self::Literal(own) | Self::Substituted(own) => own == character,
            Self::One => true,
            Self::Many => false,
        }
    }

    /// The token as a policy would write it.
    pub(crate) fn shown(self) -> char {
        match self {
            Self::Literal(own) | Self::Substituted(own) => own,
            Self::One => '?',
            Self::Many => '*',
        }
    }

    /// The character that this token stands for, if it is not a wildcard.
    pub(crate) fn literal(self) -> Option<char> {
        match self {
            Self::Literal(own) | Self::Substituted(own) => Some(own),
            Self::One | Self::Many => None,
        }
    }
}

/// A compiled wildcard pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Glob {
    /// `*`
    Any,
    /// No wildcard.
    Exact(Box<str>),
    /// `text*`
    Prefix(Box<str>),
    /// `*text`
    Suffix(Box<str>),
    /// Anything else.
    General(Box<[Token]>),
}

impl Glob {
    /// Compiles tokens.
    pub(crate) fn new(tokens: &[Token]) -> Self {
        if !tokens.is_empty() && tokens.iter().all(|token| *token == Token::Many) {
            return Self::Any;
        }
        if let Some(text) = literal_text(tokens) {
            return Self::Exact(text);
        }
        if let Some((Token::Many, front)) = tokens.split_last()
            && let Some(text) = literal_text(front)
        {
            return Self::Prefix(text);
        }
        if let Some((Token::Many, rest)) = tokens.split_first()
            && let Some(text) = literal_text(rest)
        {
            return Self::Suffix(text);
        }
        let mut general: Vec<Token> = tokens.to_vec();
        general.dedup_by(|next, previous| *next == Token::Many && *previous == Token::Many);
        Self::General(general.into_boxed_slice())
    }

    /// Compiles pattern text without variables.
    pub(crate) fn from_text(text: &str) -> Self {
        Self::new(&tokens(text))
    }

    /// Whether the whole of `text` is in the pattern's language.
    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(own) => &**own == text,
            Self::Prefix(own) => text.starts_with(&**own),
            Self::Suffix(own) => text.ends_with(&**own),
            Self::General(tokens) => walk(tokens, text),
        }
    }
}

/// The tokens of pattern text without variables.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    text.chars()
        .map(|character| match character {
            '*' => Token::Many,
            '?' => Token::One,
            other => Token::Literal(other),
        })
        .collect()
}

fn literal_text(tokens: &[Token]) -> Option<Box<str>> {
    tokens
        .iter()
        .map(|token| token.literal())
        .collect::<Option<String>>()
        .map(String::into_boxed_str)
}

/// Greedy matching that only ever goes back to the last star: quadratic at worst, never exponential.
pub(crate) fn walk(pattern: &[Token], text: &str) -> bool {
    let mut wanted = pattern.iter();
    let mut rest = text.chars();
    let mut retry: Option<(std::slice::Iter<'_, Token>, Chars<'_>)> = None;
    loop {
        let mut wanted_next = wanted.clone();
        match wanted_next.next() {
            Some(Token::Many) => {
                wanted = wanted_next;
                retry = Some((wanted.clone(), rest.clone()));
                continue;
            }
            Some(token) => {
                let mut rest_next = rest.clone();
                if rest_next
                    .next()
                    .is_some_and(|character| token.accepts(character))
                {
                    wanted = wanted_next;
                    rest = rest_next;
                    continue;
                }
            }
            None => {
                if rest.as_str().is_empty() {
                    return true;
                }
            }
        }
        match &mut retry {
            Some((after_star, from)) => {
                if from.next().is_none() {
                    return false;
                }
                wanted = after_star.clone();
                rest = from.clone();
            }
            None => return false,
        }
    }
}
