//! Actions: `service:Name`, compared without regard to letter case.
//!
//! In: the action of a request; the `Action` or `NotAction` list of a statement. Out: whether it is listed.
//! Lists are compiled into a set of exact names and a list of globs by service, because AWS's own policies
//! list thousands of names. Does not know which actions exist.

use std::collections::BTreeSet;
use std::ops::Bound;

use thiserror::Error;

use crate::glob::{Glob, Token, tokens};
use crate::proof::Language;

/// The action of a request, lower-cased for comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    written: Box<str>,
    lower: Box<str>,
    colon: usize,
}

/// A text that names no action.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not an action: expected `service:Name` without wildcards")]
pub struct ActionError {
    text: String,
}

impl Action {
    /// Reads `service:Name`.
    pub fn new(text: &str) -> Result<Self, ActionError> {
        match text.find(':') {
            Some(colon) if colon > 0 && colon + 1 < text.len() && !text.contains(['*', '?']) => {
                Ok(Self {
                    written: text.into(),
                    lower: text.to_ascii_lowercase().into(),
                    colon,
                })
            }
            Some(_) | None => Err(ActionError {
                text: text.to_owned(),
            }),
        }
    }

    /// A placeholder that no policy is about.
    pub(crate) fn nothing() -> Self {
        Self {
            written: ":".into(),
            lower: ":".into(),
            colon: 0,
        }
    }

    /// The text as given.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The service's prefix, lower-cased.
    pub fn service(&self) -> &str {
        self.lower.get(..self.colon).unwrap_or_default()
    }

    /// The name after the colon, lower-cased.
    pub fn name(&self) -> &str {
        self.lower.get(self.colon + 1..).unwrap_or_default()
    }

    /// `service:name`, lower-cased.
    pub(crate) fn lower(&self) -> &str {
        &self.lower
    }
}

/// The `Action` or `NotAction` element.
#[derive(Debug, Clone, Default)]
pub(crate) struct Actions {
    pub(crate) negated: bool,
    every: bool,
    exact: BTreeSet<Box<str>>,
    globs: Vec<ActionGlob>,
    pub(crate) written: Vec<Box<str>>,
}

#[derive(Debug, Clone)]
struct ActionGlob {
    service: Glob,
    name: Glob,
}

impl Actions {
    pub(crate) fn new(list: &[String], negated: bool) -> Self {
        let mut actions = Self {
            negated,
            written: list.iter().map(|text| text.as_str().into()).collect(),
            ..Self::default()
        };
        for text in list {
            let lower = text.to_ascii_lowercase();
            match lower.split_once(':') {
                Some((service, name)) => {
                    let (service, name) = (Glob::from_text(service), Glob::from_text(name));
                    match (&service, &name) {
                        (Glob::Exact(_), Glob::Exact(_)) => {
                            actions.exact.insert(lower.into());
                        }
                        _ => actions.globs.push(ActionGlob { service, name }),
                    }
                }
                // Without a colon only `*` means anything.
                None if is_every(&lower) => actions.every = true,
                None => {}
            }
        }
        actions
    }

    /// Whether the statement applies to the action.
    pub(crate) fn apply(&self, action: &Action) -> bool {
        self.listed(action) != self.negated
    }

    fn listed(&self, action: &Action) -> bool {
        self.every
            || (!self.exact.is_empty() && self.exact.contains(action.lower()))
            || self.globs.iter().any(|glob| {
                glob.service.matches(action.service()) && glob.name.matches(action.name())
            })
    }

    /// The languages of the patterns listed.
    pub(crate) fn languages(&self) -> impl Iterator<Item = Language> {
        self.written
            .iter()
            .filter_map(|written| Language::action(written))
    }

    /// The services that the patterns name without wildcards.
    pub(crate) fn services(&self) -> BTreeSet<&str> {
        let exact = self
            .exact
            .iter()
            .filter_map(|name| name.split_once(':'))
            .map(|(service, _)| service);
        let globs = self.globs.iter().filter_map(|glob| match &glob.service {
            Glob::Exact(service) => Some(&**service),
            Glob::Any | Glob::Prefix(_) | Glob::Suffix(_) | Glob::General(_) => None,
        });
        exact.chain(globs).collect()
    }

    /// What the element comes to for actions of one service; `None` where it applies to none of them.
    pub(crate) fn of_service(&self, service: &str) -> Option<Names> {
        let globs: Vec<Glob> = self
            .globs
            .iter()
            .filter(|glob| glob.service.matches(service))
            .map(|glob| glob.name.clone())
            .collect();
        // Names of a service stand together in the set, between `service:` and what follows the colon in the alphabet.
        let (from, to) = (format!("{service}:"), format!("{service};"));
        let exact: Vec<Box<str>> = self
            .exact
            .range::<str, _>((Bound::Included(from.as_str()), Bound::Excluded(to.as_str())))
            .filter_map(|name| name.split_once(':'))
            .map(|(_, name)| name.into())
            .collect();
        let every = self.every || globs.contains(&Glob::Any);
        match (self.negated, every) {
            (false, true) => Some(Names::All),
            (true, true) => None,
            (negated, false) if exact.is_empty() && globs.is_empty() => {
                negated.then_some(Names::All)
            }
            (negated, false) => Some(Names::Listed {
                negated,
                exact: exact.into(),
                globs: globs.into(),
            }),
        }
    }
}

/// The names of one service's actions that a statement is about.
#[derive(Debug, Clone)]
pub(crate) enum Names {
    All,
    Listed {
        negated: bool,
        /// Sorted.
        exact: Box<[Box<str>]>,
        globs: Box<[Glob]>,
    },
}

impl Names {
    /// Whether the statement is about the action of this name, lower-cased.
    pub(crate) fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Listed {
                negated,
                exact,
                globs,
            } => {
                let listed = exact.binary_search_by(|own| (**own).cmp(name)).is_ok()
                    || globs.iter().any(|glob| glob.matches(name));
                listed != *negated
            }
        }
    }
}

/// Whether the text consists of stars alone.
pub(crate) fn is_every(text: &str) -> bool {
    !text.is_empty() && tokens(text).iter().all(|token| *token == Token::Many)
}
