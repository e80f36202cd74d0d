//! Filter patterns of `CloudWatch` Logs: terms, and conditions on JSON.
//!
//! Input: a pattern and the messages of events. Terms are case-sensitive parts of the message: all plain ones must
//! occur, those with `-` must not, and of those with `?` one must when there are no others (next to others AWS
//! ignores them). Conditions in braces compare members of a JSON message. Space-delimited patterns (`[a, b]`) and
//! regular expressions (`%..%`) are refused.

use serde_json::Value;

/// A pattern that can be matched.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum FilterPattern {
    /// Terms that must, must not, and may occur.
    Terms {
        required: Vec<String>,
        excluded: Vec<String>,
        optional: Vec<String>,
    },
    /// A condition on a JSON message.
    Json(Condition),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Compare {
        path: Vec<Step>,
        how: How,
        with: Operand,
    },
    IsNull(Vec<Step>),
    IsTrue(Vec<Step>),
    IsFalse(Vec<Step>),
    NotExists(Vec<Step>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Member(String),
    Element(usize),
    AnyElement,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum How {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    /// Pieces between asterisks.
    Text(Vec<String>),
    Number(f64),
}

/// Why a pattern is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum FilterPatternError {
    #[error("the lab serves no {0}")]
    NotServed(&'static str),
    #[error("expected {expected} at character {at}")]
    Expected { expected: &'static str, at: usize },
    #[error("a term with other characters than letters, digits and underscores must be quoted")]
    Unquoted,
}

impl FilterPattern {
    /// Reads a pattern; the empty one matches every event.
    pub(super) fn parse(text: &str) -> Result<Self, FilterPatternError> {
        let text = text.trim();
        if text.starts_with('[') {
            return Err(FilterPatternError::NotServed("space-delimited patterns"));
        }
        if let Some(inner) = text.strip_prefix('{') {
            let inner = inner
                .strip_suffix('}')
                .ok_or(FilterPatternError::Expected {
                    expected: "`}`",
                    at: text.chars().count(),
                })?;
            return Reader::new(inner).whole().map(Self::Json);
        }
        terms(text)
    }

    /// Whether an event's message matches.
    pub(super) fn matches(&self, message: &str) -> bool {
        match self {
            Self::Terms {
                required,
                excluded,
                optional,
            } => {
                let has = |term: &String| message.contains(term.as_str());
                let plain = required.iter().all(has) && !excluded.iter().any(has);
                let only_optional = required.is_empty() && excluded.is_empty();
                plain && (!only_optional || optional.is_empty() || optional.iter().any(has))
            }
            Self::Json(condition) => serde_json::from_str::<Value>(message)
                .is_ok_and(|value| value.is_object() && condition.holds(&value)),
        }
    }
}

fn terms(text: &str) -> Result<FilterPattern, FilterPatternError> {
    let (mut required, mut excluded, mut optional) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = text;
    while !rest.is_empty() {
        let (list, after) = match rest.chars().next() {
            Some('-') => (&mut excluded, rest.strip_prefix('-').unwrap_or_default()),
            Some('?') => (&mut optional, rest.strip_prefix('?').unwrap_or_default()),
            _ => (&mut required, rest),
        };
        let end_of_text = FilterPatternError::Expected {
            expected: "`\"`",
            at: text.chars().count(),
        };
        if let Some(quoted) = after.strip_prefix('"') {
            let (term, remainder) = quoted_text(quoted).ok_or(end_of_text)?;
            list.push(term);
            rest = remainder.trim_start();
        } else {
            let (term, remainder) = after.split_once(char::is_whitespace).unwrap_or((after, ""));
            if term.starts_with('%') {
                return Err(FilterPatternError::NotServed("regular expressions"));
            }
            if term.is_empty()
                || !term
                    .chars()
                    .all(|character| character.is_alphanumeric() || character == '_')
            {
                return Err(FilterPatternError::Unquoted);
            }
            list.push(term.to_owned());
            rest = remainder.trim_start();
        }
    }
    Ok(FilterPattern::Terms {
        required,
        excluded,
        optional,
    })
}

/// The text up to the closing quote, and what follows it.
fn quoted_text(text: &str) -> Option<(String, &str)> {
    let (mut value, mut characters) = (String::new(), text.char_indices());
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(at.saturating_add(1)..)?)),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

impl Condition {
    fn holds(&self, message: &Value) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(message)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(message)),
            Self::Compare { path, how, with } => found(message, path)
                .iter()
                .any(|value| compare(value, *how, with)),
            Self::IsNull(path) => found(message, path).iter().any(|value| value.is_null()),
            Self::IsTrue(path) => found(message, path)
                .iter()
                .any(|value| value.as_bool() == Some(true)),
            Self::IsFalse(path) => found(message, path)
                .iter()
                .any(|value| value.as_bool() == Some(false)),
            Self::NotExists(path) => found(message, path).is_empty(),
        }
    }
}

/// The values at a path; several with `[*]`, none where a member is missing.
fn found<'a>(message: &'a Value, path: &[Step]) -> Vec<&'a Value> {
    let mut values = vec![message];
    for step in path {
        values = values
            .into_iter()
            .flat_map(|value| match step {
                Step::Member(name) => value.get(name).into_iter().collect::<Vec<_>>(),
                Step::Element(at) => value.get(*at).into_iter().collect(),
                Step::AnyElement => value.as_array().into_iter().flatten().collect(),
            })
            .collect();
    }
    values
}

#[expect(
    clippy::float_cmp,
    reason = "both sides come from text, and equality is what the pattern asks for"
)]
fn compare(value: &Value, how: How, with: &Operand) -> bool {
    match with {
        Operand::Number(bound) => {
            let Some(number) = value.as_f64() else {
                return false;
            };
            match how {
                How::Equal => number == *bound,
                How::NotEqual => number != *bound,
                How::Less => number < *bound,
                How::LessOrEqual => number <= *bound,
                How::Greater => number > *bound,
                How::GreaterOrEqual => number >= *bound,
            }
        }
        Operand::Text(pieces) => {
            let Some(text) = value.as_str() else {
                return false;
            };
            match how {
                How::Equal => matches_pieces(pieces, text),
                How::NotEqual => !matches_pieces(pieces, text),
                How::Less | How::LessOrEqual | How::Greater | How::GreaterOrEqual => false,
            }
        }
    }
}

fn matches_pieces(pieces: &[String], text: &str) -> bool {
    let Some((first, others)) = pieces.split_first() else {
        return text.is_empty();
    };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else {
        return false;
    };
    let Some((last, middle)) = others.split_last() else {
        return rest.is_empty();
    };
    for piece in middle {
        match rest.split_once(piece.as_str()) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

/// Reads a condition, from left to right.
struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, rest: text }
    }

    fn whole(mut self) -> Result<Condition, FilterPatternError> {
        let condition = self.any()?;
        if self.rest.trim_start().is_empty() {
            Ok(condition)
        } else {
            Err(self.expected("`&&`, `||` or the end"))
        }
    }

    /// `&&` binds more tightly than `||`.
    fn any(&mut self) -> Result<Condition, FilterPatternError> {
        let mut parts = vec![self.all()?];
        while self.take("||") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() > 1 {
            Condition::Any(parts)
        } else {
            parts.remove(0)
        })
    }

    fn all(&mut self) -> Result<Condition, FilterPatternError> {
        let mut parts = vec![self.one()?];
        while self.take("&&") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() > 1 {
            Condition::All(parts)
        } else {
            parts.remove(0)
        })
    }

    fn one(&mut self) -> Result<Condition, FilterPatternError> {
        if self.take("(") {
            let inner = self.any()?;
            return if self.take(")") {
                Ok(inner)
            } else {
                Err(self.expected("`)`"))
            };
        }
        let path = self.path()?;
        if self.take_word("IS") {
            return if self.take_word("NULL") {
                Ok(Condition::IsNull(path))
            } else if self.take_word("TRUE") {
                Ok(Condition::IsTrue(path))
            } else if self.take_word("FALSE") {
                Ok(Condition::IsFalse(path))
            } else {
                Err(self.expected("`NULL`, `TRUE` or `FALSE`"))
            };
        }
        if self.take_word("NOT") {
            return if self.take_word("EXISTS") {
                Ok(Condition::NotExists(path))
            } else {
                Err(self.expected("`EXISTS`"))
            };
        }
        let operators = [
            ("!=", How::NotEqual),
            ("<=", How::LessOrEqual),
            (">=", How::GreaterOrEqual),
            ("=", How::Equal),
            ("<", How::Less),
            (">", How::Greater),
        ];
        let how = operators
            .into_iter()
            .find(|(text, _)| self.take(text))
            .map(|(_, how)| how);
        let how = how.ok_or_else(|| self.expected("a comparison"))?;
        let with = self.operand()?;
        Ok(Condition::Compare { path, how, with })
    }

    /// `$.a.b`, `$.['a.b']`, `$.a[0]`, `$.a[*]`.
    fn path(&mut self) -> Result<Vec<Step>, FilterPatternError> {
        if !self.take("$") {
            return Err(self.expected("`$`"));
        }
        let mut steps = Vec::new();
        loop {
            if let Some(rest) = self
                .rest
                .strip_prefix("['")
                .or_else(|| self.rest.strip_prefix(".['"))
            {
                let (name, after) = rest.split_once("']").ok_or_else(|| self.expected("`']`"))?;
                steps.push(Step::Member(name.to_owned()));
                self.rest = after;
            } else if let Some(rest) = self.rest.strip_prefix('[') {
                let (index, after) = rest.split_once(']').ok_or_else(|| self.expected("`]`"))?;
                steps.push(if index == "*" {
                    Step::AnyElement
                } else {
                    Step::Element(index.parse().map_err(|_| self.expected("an index"))?)
                });
                self.rest = after;
            } else if let Some(rest) = self.rest.strip_prefix('.') {
                let end = rest
                    .find(|character: char| {
                        !(character.is_alphanumeric() || "_-".contains(character))
                    })
                    .unwrap_or(rest.len());
                let (name, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
                if name.is_empty() {
                    return Err(self.expected("a member's name"));
                }
                steps.push(Step::Member(name.to_owned()));
                self.rest = after;
            } else if steps.is_empty() {
                return Err(self.expected("`.`"));
            } else {
                return Ok(steps);
            }
        }
    }

    fn operand(&mut self) -> Result<Operand, FilterPatternError> {
        self.rest = self.rest.trim_start();
        if self.rest.starts_with('%') {
            return Err(FilterPatternError::NotServed("regular expressions"));
        }
        if let Some(quoted) = self.rest.strip_prefix('"') {
            let (text, after) = quoted_text(quoted).ok_or_else(|| self.expected("`\"`"))?;
            self.rest = after;
            return Ok(Operand::Text(pieces(&text)));
        }
        let end = self
            .rest
            .find(|character: char| character.is_whitespace() || ")&|".contains(character))
            .unwrap_or(self.rest.len());
        let (word, after) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        if word.is_empty() {
            return Err(self.expected("a value"));
        }
        self.rest = after;
        Ok(word
            .parse::<f64>()
            .map_or_else(|_| Operand::Text(pieces(word)), Operand::Number))
    }

    fn take(&mut self, token: &str) -> bool {
        match self.rest.trim_start().strip_prefix(token) {
            Some(after) => {
                self.rest = after;
                true
            }
            None => false,
        }
    }

    /// A keyword, whatever its case, that ends where the word ends.
    fn take_word(&mut self, word: &str) -> bool {
        let rest = self.rest.trim_start();
        match rest.split_at_checked(word.len()) {
            Some((head, after))
                if head.eq_ignore_ascii_case(word) && !after.starts_with(char::is_alphanumeric) =>
            {
                self.rest = after;
                true
            }
            Some(_) | None => false,
        }
    }

    fn expected(&self, expected: &'static str) -> FilterPatternError {
        let consumed = self.text.len().saturating_sub(self.rest.len());
        FilterPatternError::Expected {
            expected,
            at: consumed.saturating_add(1),
        }
    }
}

fn pieces(text: &str) -> Vec<String> {
    text.split('*').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::FilterPattern;

    fn check(pattern: &str, message: &str, expected: bool) {
        assert_eq!(
            FilterPattern::parse(pattern).unwrap().matches(message),
            expected,
            "{pattern} on {message}"
        );
    }

    #[test]
    fn terms() {
        let message = "[ERROR 400] BAD REQUEST";
        for (pattern, expected) in [
            ("", true),
            ("ERROR", true),
            ("error", false),
            ("ERROR BAD", true),
            ("ERROR GOOD", false),
            ("ERROR -BAD", false),
            ("\"BAD REQUEST\"", true),
            ("\"BAD  REQUEST\"", false),
            ("?GOOD ?BAD", true),
            ("?GOOD ?FINE", false),
            ("-\"[ERROR\"", false),
        ] {
            check(pattern, message, expected);
        }
    }

    #[test]
    fn json() {
        let message = r#"{"eventName":"GetSecretValue","n":7.5,"ok":true,"gone":null,"user":{"arn":"arn:aws:iam::1:role/x"},"list":[{"a":1},{"a":2}]}"#;
        for (pattern, expected) in [
            (r#"{ $.eventName = "GetSecretValue" }"#, true),
            ("{ $.eventName = Get* }", true),
            (r#"{ $.eventName != "GetSecretValue" }"#, false),
            (r#"{ $.absent != "x" }"#, false),
            ("{ $.absent NOT EXISTS }", true),
            ("{ $.eventName NOT EXISTS }", false),
            ("{ $.n > 7 && $.n <= 7.5 }", true),
            ("{ $.n < 7 || $.ok IS TRUE }", true),
            ("{ ($.n < 7 || $.ok IS TRUE) && $.ok IS FALSE }", false),
            ("{ $.gone IS NULL }", true),
            ("{ $.absent IS NULL }", false),
            ("{ $.list[1].a = 2 }", true),
            ("{ $.list[*].a = 2 }", true),
            ("{ $.list[0].a = 2 }", false),
            (r#"{ $.user.arn = "*role/x" }"#, true),
            (r#"{ $.['eventName'] = "Get*Value" }"#, true),
        ] {
            check(pattern, message, expected);
        }
        check("{ $.a = 1 }", "no JSON", false);
    }

    #[test]
    fn refusals() {
        for (pattern, part) in [
            ("[a, b]", "space-delimited"),
            ("%a.*%", "regular expressions"),
            ("a-b", "must be quoted"),
            ("\"a", "expected `\"`"),
            ("{ $.a = 1", "expected `}`"),
            ("{ $.a }", "expected a comparison"),
            ("{ a = 1 }", "expected `$`"),
            ("{ ($.a = 1 }", "expected `)`"),
            ("{ $.a = 1 $.b = 2 }", "the end"),
        ] {
            let text = FilterPattern::parse(pattern).unwrap_err().to_string();
            assert!(text.contains(part), "{pattern}: {text}");
        }
    }
}
