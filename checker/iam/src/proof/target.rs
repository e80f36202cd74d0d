//! What a question is about: actions and resources, with exceptions.
//!
//! In: patterns as a control or a user writes them. Out: languages for the product, texts where a pattern has no
//! wildcard, and the guarantee that every resource pattern names something that can exist.

use std::collections::BTreeMap;

use super::automaton::Product;
use super::language::{Language, any_resource, resources_of};
use super::{ProofError, Question};
use crate::arn::{ArnPattern, Resource, Short, Split, split};
use crate::glob::{Glob, tokens};

/// How many states the check of one pattern against the shapes may take.
const FEASIBILITY_STATES: usize = 20_000;

/// A question, compiled.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    actions: Vec<Language>,
    /// Lower-cased to written, for readable witnesses.
    written: BTreeMap<String, String>,
    resources: Vec<Asked>,
    except: Vec<(Language, ArnPattern)>,
}

/// One resource pattern of a question.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) language: Language,
    pattern: ArnPattern,
    /// The resource itself, where the pattern has no wildcard.
    pub(crate) exact: Option<String>,
    /// What such resources look like.
    pub(crate) shapes: Vec<Language>,
}

impl Target {
    /// Compiles a question.
    pub(crate) fn new(question: &Question) -> Result<Self, ProofError> {
        let mut target = Self {
            actions: Vec::new(),
            written: BTreeMap::new(),
            resources: Vec::new(),
            except: Vec::new(),
        };
        for action in &question.actions {
            let language = Language::action(action).ok_or_else(|| ProofError::NoAction {
                pattern: action.clone(),
            })?;
            if language.only().is_some() {
                target
                    .written
                    .insert(action.to_ascii_lowercase(), action.clone());
            }
            target.actions.push(language);
        }
        for pattern in &question.resources {
            target.resources.push(Asked::new(pattern)?);
        }
        for pattern in &question.except_resources {
            let tokens = tokens(pattern);
            let language =
                Language::resource(&tokens, Short::Pad).ok_or_else(|| ProofError::NoResource {
                    pattern: pattern.clone(),
                })?;
            target
                .except
                .push((language, ArnPattern::new(&tokens, Short::Pad)));
        }
        if target.actions.is_empty() || target.resources.is_empty() {
            return Err(ProofError::Empty);
        }
        Ok(target)
    }

    /// Every action on every resource.
    pub(crate) fn everything() -> Self {
        let anything = Language::glob(&tokens("*"));
        let asked = Asked {
            language: anything.clone(),
            pattern: ArnPattern::All,
            exact: None,
            shapes: any_resource(),
        };
        Self {
            actions: vec![anything],
            written: BTreeMap::new(),
            resources: vec![asked],
            except: Vec::new(),
        }
    }

    /// Remembers how actions are written, so that witnesses read well.
    pub(crate) fn know_actions<'w>(&mut self, written: impl Iterator<Item = &'w str>) {
        for action in written.filter(|action| !action.contains(['*', '?'])) {
            self.written
                .entry(action.to_ascii_lowercase())
                .or_insert_with(|| action.to_owned());
        }
    }

    pub(crate) fn action_languages(&self) -> Vec<Language> {
        self.actions.clone()
    }

    /// The actions, when no pattern has a wildcard.
    pub(crate) fn exact_actions(&self) -> Option<Vec<String>> {
        self.actions.iter().map(Language::only).collect()
    }

    /// The action as somebody wrote it.
    pub(crate) fn written_action(&self, lower: &str) -> String {
        self.written
            .get(lower)
            .cloned()
            .unwrap_or_else(|| lower.to_owned())
    }

    /// The resource patterns.
    pub(crate) fn asked(&self) -> impl Iterator<Item = &Asked> {
        self.resources.iter()
    }

    pub(crate) fn except_languages(&self) -> impl Iterator<Item = Language> {
        self.except.iter().map(|(language, _)| language.clone())
    }

    /// Whether a resource pattern of the question covers the resource.
    pub(crate) fn covers(&self, resource: &Resource) -> bool {
        self.resources
            .iter()
            .any(|asked| asked.pattern.matches(resource))
    }

    /// Whether the resource is excepted from the question.
    pub(crate) fn excepts(&self, resource: &Resource) -> bool {
        self.except
            .iter()
            .any(|(_, pattern)| pattern.matches(resource))
    }
}

impl Asked {
    fn new(pattern: &str) -> Result<Self, ProofError> {
        let tokens = tokens(pattern);
        let nothing = || ProofError::NoResource {
            pattern: pattern.to_owned(),
        };
        let language = Language::resource(&tokens, Short::Pad).ok_or_else(nothing)?;
        if let Some(exact) = language.only() {
            return Ok(Self {
                language,
                pattern: ArnPattern::new(&tokens, Short::Pad),
                exact: Some(exact),
                shapes: Vec::new(),
            });
        }
        let service = match split(&tokens, Short::Pad) {
            Split::Segments([_, _, service, ..]) => match Glob::new(&service) {
                Glob::Exact(service) => Some(service),
                Glob::Any | Glob::Prefix(_) | Glob::Suffix(_) | Glob::General(_) => None,
            },
            Split::All | Split::Nothing => None,
        };
        let candidates = [
            service
                .map(|service| resources_of(&service))
                .unwrap_or_default(),
            any_resource(),
        ];
        for shapes in candidates.into_iter().filter(|shapes| !shapes.is_empty()) {
            let mut product = Product::over(shapes.clone());
            product.demand([language.clone()]);
            if !product.explore(FEASIBILITY_STATES).texts.is_empty() {
                return Ok(Self {
                    language,
                    pattern: ArnPattern::new(&tokens, Short::Pad),
                    exact: None,
                    shapes,
                });
            }
        }
        Err(nothing())
    }
}
