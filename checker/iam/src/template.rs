//! Policy variables: `${aws:username}`, `${aws:PrincipalTag/team, 'default'}`, `${*}`, `${?}`, `${$}`.
//!
//! In: the text of a resource or of a condition value, and the version of the policy it stands in.
//! Out: a [`Template`], and with a request's context the tokens of the pattern, or `None` where a variable
//! has no value. A substituted value is literal text: a `*` in a tag does not become a wildcard.
//! Variables exist only from version 2012-10-17 on; before it `${` is plain text.
//! Source: IAM user guide, "Policy elements: variables and tags".

use crate::glob::Token;

/// Text with holes for context keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

/// A piece of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Token(Token),
    Variable(Variable),
}

/// A hole: the key, lower-cased, and its default.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Variable {
    pub(crate) key: String,
    pub(crate) written: String,
    pub(crate) default: Option<String>,
}

/// How the text is to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    /// `*` and `?` are wildcards.
    pub(crate) wildcards: bool,
    /// `${..}` is a variable.
    pub(crate) variables: bool,
}

impl Template {
    /// Reads text.
    pub(crate) fn parse(text: &str, reading: Reading) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        // Where no brace closes any more there is no variable: without this, a text of openings would cost its square.
        let after_last_brace = text.rfind('}').map_or(text.len(), |at| text.len() - at);
        let closes = reading.variables && text.contains('}');
        while let Some(character) = rest.chars().next() {
            if closes
                && rest.len() > after_last_brace
                && let Some(inside) = rest.strip_prefix("${")
                && let Some((name, after)) = variable(inside)
            {
                parts.push(hole(name));
                rest = after;
                continue;
            }
            parts.push(Part::Token(match character {
                '*' if reading.wildcards => Token::Many,
                '?' if reading.wildcards => Token::One,
                other => Token::Literal(other),
            }));
            rest = rest.get(character.len_utf8()..).unwrap_or_default();
        }
        Self { parts }
    }

    /// The pieces, in order.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The text for a reader.
    pub(crate) fn shown(&self) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Token(token) => text.push(token.shown()),
                Part::Variable(variable) => {
                    text.push_str("${");
                    text.push_str(&variable.written);
                    if let Some(default) = &variable.default {
                        text.push_str(", '");
                        text.push_str(default);
                        text.push('\'');
                    }
                    text.push('}');
                }
            }
        }
        text
    }

    /// The tokens, if there is no variable at all.
    pub(crate) fn constant(&self) -> Option<Vec<Token>> {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Token(token) => Some(*token),
                Part::Variable(_) => None,
            })
            .collect()
    }

    /// The variables in it.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.parts.iter().filter_map(|part| match part {
            Part::Token(_) => None,
            Part::Variable(variable) => Some(variable),
        })
    }

    /// The tokens with every variable replaced; `None` when `value` has nothing for one without a default.
    pub(crate) fn resolve<'v>(
        &self,
        mut value: impl FnMut(&Variable) -> Option<&'v str>,
    ) -> Option<Vec<Token>> {
        let mut tokens = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            match part {
                Part::Token(token) => tokens.push(*token),
                Part::Variable(variable) => match value(variable) {
                    Some(text) => tokens.extend(text.chars().map(Token::Substituted)),
                    None => {
                        tokens.extend(variable.default.as_ref()?.chars().map(Token::Substituted));
                    }
                },
            }
        }
        Some(tokens)
    }
}

/// Splits `name} rest`; a quote in the default may hold a closing brace.
fn variable(inside: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    for (at, character) in inside.char_indices() {
        match character {
            '\'' => quoted = !quoted,
            '}' if !quoted => return Some((inside.get(..at)?, inside.get(at + 1..)?)),
            _ => {}
        }
    }
    inside.split_once('}')
}

fn hole(name: &str) -> Part {
    match name {
        "*" | "?" | "$" => Part::Token(Token::Literal(name.chars().next().unwrap_or('$'))),
        _ => {
            let (key, default) = match name.split_once(',') {
                Some((key, default)) => (key.trim(), unquote(default.trim())),
                None => (name.trim(), None),
            };
            Part::Variable(Variable {
                key: key.to_ascii_lowercase(),
                written: key.to_owned(),
                default,
            })
        }
    }
}

fn unquote(text: &str) -> Option<String> {
    text.strip_prefix('\'')?
        .strip_suffix('\'')
        .map(str::to_owned)
}
