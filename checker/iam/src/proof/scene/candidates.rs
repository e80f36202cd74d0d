//! The resources that are tried: one for every combination of patterns that a resource can be in.

use std::collections::HashSet;

use super::{CREATE_SECRET, Clause, Goal, SECRET_NAME, Scene};
use crate::action::Action;
use crate::arn::{Resource, Short};
use crate::condition::{Test, Values};
use crate::decision::needs_resource_policy;
use crate::glob::{Glob, Token, tokens};
use crate::policy::{Effect, ResourceMatcher, ResourcePattern, Resources};
use crate::proof::automaton::Product;
use crate::proof::language::Language;
use crate::proof::open;
use crate::proof::target::Target;

/// The account of the resource that a request is about.
const RESOURCE_ACCOUNT: &str = "aws:resourceaccount";

impl Scene<'_> {
    /// One resource for every combination of the relevant clauses' patterns.
    pub(super) fn resources(
        &self,
        target: &Target,
        relevant: &[usize],
        action: &Action,
    ) -> Option<Vec<Resource>> {
        let clauses: Vec<&Clause<'_>> = relevant
            .iter()
            .filter_map(|at| self.clauses.get(*at))
            .collect();
        let granting: Vec<&Resources> = clauses
            .iter()
            .filter(|clause| Self::grants(clause))
            .filter_map(|clause| clause.statement.resources.as_ref())
            .collect();
        let all_positive = granting.len()
            == clauses.iter().filter(|clause| Self::grants(clause)).count()
            && granting.iter().all(|resources| !resources.negated);
        let mut texts = Vec::new();
        for asked in target.asked() {
            if let Some(exact) = &asked.exact {
                texts.push(exact.clone());
                continue;
            }
            let mut product = Product::over(asked.shapes.clone());
            product.demand([asked.language.clone()]);
            if all_positive && !self.grants_without_clause() {
                product.demand(granting.iter().flat_map(|resources| {
                    resources
                        .patterns
                        .iter()
                        .flat_map(|pattern| self.pattern_languages(pattern, resources.short))
                }));
            }
            for resources in clauses
                .iter()
                .filter_map(|clause| clause.statement.resources.as_ref())
            {
                for pattern in &resources.patterns {
                    self.pattern_languages(pattern, resources.short)
                        .into_iter()
                        .for_each(|language| product.distinguish_if_relevant(language));
                }
            }
            target
                .except_languages()
                .for_each(|language| product.distinguish_if_relevant(language));
            self.account_languages(&clauses, action)
                .into_iter()
                .chain(self.name_languages(&clauses, action))
                .for_each(|language| product.distinguish_if_relevant(language));
            let explored = product.explore(self.limits.states);
            if !explored.complete {
                return None;
            }
            texts.extend(explored.texts);
        }
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for text in texts {
            let resource = Resource::new(&text);
            if target.excepts(&resource) {
                continue;
            }
            let request = self.request(action, &resource);
            let matched: Vec<Vec<bool>> = clauses
                .iter()
                .map(|clause| self.pattern_matches(clause, &resource))
                .collect();
            let owner = if Self::names_resource_account(&clauses) {
                request.owner().map(str::to_owned)
            } else {
                None
            };
            let named: Vec<bool> = clauses
                .iter()
                .flat_map(|clause| &clause.statement.conditions)
                .filter(|condition| &*condition.key == SECRET_NAME)
                .filter_map(|condition| {
                    let name = self.created_name(&request)?;
                    Some(self.evaluate(condition, Values::One(name)))
                })
                .collect();
            if seen.insert((
                matched,
                named,
                owner,
                request.is_cross_account(),
                needs_resource_policy(&request),
            )) {
                found.push(resource);
            }
        }
        Some(found)
    }

    /// Languages that tell apart what the rules on accounts and keys look at.
    fn account_languages(&self, clauses: &[&Clause<'_>], action: &Action) -> Vec<Language> {
        let mut patterns = Vec::new();
        if let Goal::Allowed(_) = self.goal {
            patterns.extend(
                self.base
                    .principal
                    .account()
                    .map(|account| format!("arn:*:*:*:{account}:*")),
            );
            match action.service() {
                "kms" => patterns.push("arn:*:kms:*:*:key/*".to_owned()),
                "sts" => patterns.push("arn:*:iam:*:*:role/*".to_owned()),
                _ => {}
            }
        }
        let head = |tail: Vec<Token>| [tokens("arn:*:*:*:"), tail, tokens(":*")].concat();
        let named = self
            .tested(clauses, RESOURCE_ACCOUNT)
            .filter_map(|account| Language::resource(&head(account), Short::Pad));
        let fixed = patterns
            .iter()
            .filter_map(|pattern| Language::resource(&tokens(pattern), Short::Pad));
        fixed.chain(named).collect()
    }

    /// Languages that tell apart what conditions on the name of a created secret look at.
    fn name_languages(&self, clauses: &[&Clause<'_>], action: &Action) -> Vec<Language> {
        if action.lower() != CREATE_SECRET {
            return Vec::new();
        }
        self.tested(clauses, SECRET_NAME)
            .filter_map(|name| {
                let arn = [
                    tokens("arn:*:secretsmanager:*:*:secret:"),
                    name,
                    tokens("-??????"),
                ];
                Language::resource(&arn.concat(), Short::Pad)
            })
            .collect()
    }

    /// What the conditions on a key compare it with, as far as that is known.
    fn tested<'c>(
        &'c self,
        clauses: &'c [&Clause<'_>],
        key: &'c str,
    ) -> impl Iterator<Item = Vec<Token>> {
        clauses
            .iter()
            .flat_map(|clause| &clause.statement.conditions)
            .filter(move |condition| &*condition.key == key)
            .flat_map(|condition| &condition.tests)
            .filter_map(|test| match test {
                Test::Fixed(_, tokens) => Some(tokens.clone()),
                Test::Variable(template) => {
                    template.resolve(|variable| self.base.values(&variable.key).single())
                }
            })
    }

    fn names_resource_account(clauses: &[&Clause<'_>]) -> bool {
        clauses
            .iter()
            .flat_map(|clause| &clause.statement.conditions)
            .any(|condition| &*condition.key == RESOURCE_ACCOUNT)
    }

    /// What a pattern stands for in the product.
    fn pattern_languages(&self, pattern: &ResourcePattern, short: Short) -> Vec<Language> {
        let tokens = self.widened(pattern);
        let mut languages: Vec<Language> = Language::resource(&tokens, short).into_iter().collect();
        if self.crossing {
            languages.push(Language::glob(&tokens));
        }
        languages
    }

    /// The tokens of a pattern, with `*` for what is not known.
    pub(super) fn widened(&self, pattern: &ResourcePattern) -> Vec<Token> {
        match &pattern.matcher {
            ResourceMatcher::Fixed(tokens, _) => tokens.clone(),
            ResourceMatcher::Variable(template) => open::widen(template, |key| self.known(key)),
        }
    }

    /// Which patterns of a clause the resource is in, opaque ones included.
    fn pattern_matches(&self, clause: &Clause<'_>, resource: &Resource) -> Vec<bool> {
        let resources = clause.statement.resources.as_ref();
        let patterns = resources
            .map(|resources| resources.patterns.as_slice())
            .unwrap_or_default();
        let short = resources.map_or(Short::Pad, |resources| resources.short);
        let bits: Vec<bool> = patterns
            .iter()
            .map(|pattern| self.pattern_matches_one(clause, pattern, short, resource))
            .collect();
        let any_open = patterns.iter().any(|pattern| self.is_open_pattern(pattern));
        if any_open {
            bits
        } else {
            vec![bits.contains(&true)]
        }
    }

    pub(super) fn pattern_matches_one(
        &self,
        clause: &Clause<'_>,
        pattern: &ResourcePattern,
        short: Short,
        resource: &Resource,
    ) -> bool {
        let under_segments = match &pattern.matcher {
            ResourceMatcher::Fixed(_, pattern) => pattern.matches(resource),
            ResourceMatcher::Variable(_) => {
                crate::arn::ArnPattern::new(&self.widened(pattern), short).matches(resource)
            }
        };
        under_segments
            || (self.crosses(clause)
                && Glob::new(&self.widened(pattern)).matches(resource.as_str()))
    }

    /// Whether a wildcard that crosses colons would let more requests through here.
    pub(super) fn crosses(&self, clause: &Clause<'_>) -> bool {
        let negated = clause
            .statement
            .resources
            .as_ref()
            .is_some_and(|resources| resources.negated);
        self.crossing && negated == (clause.statement.effect == Effect::Deny)
    }

    pub(super) fn is_open_pattern(&self, pattern: &ResourcePattern) -> bool {
        match &pattern.matcher {
            ResourceMatcher::Fixed(..) => false,
            ResourceMatcher::Variable(template) => self.is_open(template),
        }
    }
}
