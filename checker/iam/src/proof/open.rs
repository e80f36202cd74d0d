//! What is open: policy variables whose key nobody knows.
//!
//! In: templates with holes. Out: wider patterns (for the proof), and contexts that may fill the holes so that a
//! possible request becomes a concrete one (for the decision engine to confirm). Filling only ever helps: what it can't
//! fill stays possible.

use crate::condition::{Test, Values};
use crate::glob::Token;
use crate::grant::Grant;
use crate::policy::{ResourceMatcher, Statement};
use crate::request::{Context, Request};
use crate::template::{Part, Template, Variable};

/// How many steps the alignment of one pattern with one resource may take.
const ALIGNMENT_STEPS: usize = 20_000;

/// The tokens of a template, with `*` in place of a variable that is not known.
pub(crate) fn widen<'v>(
    template: &Template,
    known: impl Fn(&str) -> Option<Values<'v>>,
) -> Vec<Token> {
    let mut tokens = Vec::new();
    for part in template.parts() {
        match part {
            Part::Token(token) => tokens.push(*token),
            Part::Variable(variable) => match known(&variable.key) {
                None => tokens.push(Token::Many),
                Some(values) => match values.single().or(variable.default.as_deref()) {
                    Some(value) => tokens.extend(value.chars().map(Token::Substituted)),
                    // Known to be missing: the pattern matches nothing, and no ARN starts like this.
                    None => return vec![Token::Literal('\0')],
                },
            },
        }
    }
    tokens
}

/// Contexts that give open variables values which fit the request.
pub(crate) fn fillings(
    request: &Request,
    statements: &[&Statement],
    grants: &[Grant],
) -> Vec<Context> {
    let mut fitted = (*request.context).clone();
    for statement in statements {
        for pattern in statement
            .resources
            .iter()
            .flat_map(|resources| &resources.patterns)
        {
            if let ResourceMatcher::Variable(template) = &pattern.matcher {
                for (variable, value) in align(template, request.resource.as_str()) {
                    if fitted.first(&variable.key).is_none() {
                        fitted.set(&variable.written, [value]);
                    }
                }
            }
        }
    }
    let mut paired = fitted.clone();
    for condition in statements
        .iter()
        .flat_map(|statement| &statement.conditions)
    {
        for template in condition.tests.iter().filter_map(Test::template) {
            let current = paired.first(&condition.key).map(str::to_owned);
            match (current, template.parts()) {
                (Some(value), [Part::Variable(variable)])
                    if paired.first(&variable.key).is_none() =>
                {
                    paired.set(&variable.written, [value]);
                }
                _ => {
                    for variable in template.variables() {
                        if paired.first(&variable.key).is_none() {
                            paired.set(&variable.written, ["x"]);
                        }
                    }
                    let resolved = template.resolve(|variable| {
                        paired
                            .first(&variable.key)
                            .or_else(|| request.values(&variable.key).single())
                    });
                    if let Some(tokens) = resolved {
                        let text: String = tokens
                            .iter()
                            .map(|token| token.literal().unwrap_or('x'))
                            .collect();
                        paired.set(&condition.written_key, [text]);
                    }
                }
            }
        }
    }
    let mut granted = fitted.clone();
    for (name, value) in grants.iter().flat_map(|grant| {
        grant
            .context_subset
            .iter()
            .chain(grant.context_equals.iter().flatten())
    }) {
        granted.set(&format!("kms:EncryptionContext:{name}"), [value.clone()]);
    }
    vec![fitted, paired, granted]
}

/// Values of the variables with which the template covers the text.
fn align<'t>(template: &'t Template, text: &str) -> Vec<(&'t Variable, String)> {
    let mut steps = 0;
    let mut holes = Vec::new();
    if fit(template.parts(), text, &mut holes, &mut steps) {
        holes
    } else {
        Vec::new()
    }
}

fn fit<'t>(
    parts: &'t [Part],
    text: &str,
    holes: &mut Vec<(&'t Variable, String)>,
    steps: &mut usize,
) -> bool {
    *steps += 1;
    if *steps > ALIGNMENT_STEPS {
        return false;
    }
    let Some((part, rest)) = parts.split_first() else {
        return text.is_empty();
    };
    let wide = match part {
        Part::Token(Token::Literal(own) | Token::Substituted(own)) => {
            return text
                .strip_prefix(*own)
                .is_some_and(|after| fit(rest, after, holes, steps));
        }
        Part::Token(Token::One) => {
            let mut after = text.chars();
            return after.next().is_some() && fit(rest, after.as_str(), holes, steps);
        }
        Part::Token(Token::Many) => None,
        Part::Variable(variable) => Some(variable),
    };
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    for end in ends {
        let (Some(taken), Some(after)) = (text.get(..end), text.get(end..)) else {
            continue;
        };
        let before = holes.len();
        if let Some(variable) = wide {
            holes.push((variable, taken.to_owned()));
        }
        if fit(rest, after, holes, steps) {
            return true;
        }
        holes.truncate(before);
    }
    false
}
