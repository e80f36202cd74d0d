//! One caller, its statements and a goal: the search for a request that reaches the goal.
//!
//! In: statements with the layer they stand in, the caller and what is known of its context, and a target of
//! actions and resources. Out: [`Found`]. For every combination of patterns that some action, and some resource,
//! can satisfy together, one representative is taken; what is left of the statements is a formula over context
//! keys, which a SAT solver decides. What can't be resolved (a policy variable whose key is open, an operator that we don't
//! know, a constrained grant) is an opaque atom that may take any value, the same wherever the same text stands.

mod candidates;
mod remainder;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::automaton::Product;
use super::conditions::{Atoms, Meaning};
use super::formula::{Formula, satisfy};
use super::key::KeyModel;
use super::language::any_action;
use super::open;
use super::target::Target;
use super::{Limits, ProofError, Witness};
use crate::action::Action;
use crate::arn::Resource;
use crate::condition::{Comparison, Values};
use crate::decision::{allows, decide};
use crate::glob::{Glob, Token};
use crate::layers::{Layer, Layers, PolicySet};
use crate::policy::{Effect, Statement};
use crate::principal::{Kind, Reach};
use crate::request::Request;
use crate::template::Template;

/// The action whose key [`SECRET_NAME`] follows from the resource.
const CREATE_SECRET: &str = "secretsmanager:createsecret";

/// The name of a secret that is created: its ARN ends in this name, a hyphen and six characters.
const SECRET_NAME: &str = "secretsmanager:name";

/// Where a clause counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Layer(Layer),
    Candidate,
    Reference,
}

/// A statement as it bears on the caller.
#[derive(Debug, Clone)]
pub(crate) struct Clause<'a> {
    pub(crate) part: Part,
    pub(crate) reach: Reach,
    pub(crate) statement: &'a Statement,
}

/// What the request has to reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal<'a> {
    /// All layers together allow it.
    Allowed(&'a Layers),
    /// The first set allows it and the second does not.
    NewAccess(&'a PolicySet, &'a PolicySet),
}

/// The outcome of a search.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    /// No request reaches the goal.
    Nothing,
    /// This one does; the decision engine agrees.
    Confirmed(Witness),
    /// One might, depending on what is named.
    Possible(Vec<String>, Witness),
    /// A cap was hit.
    Capped(String),
}

pub(crate) struct Scene<'a> {
    /// Caller and known context; action and resource are replaced.
    pub(crate) base: Request,
    /// Keys that follow from the caller are open (comparison of identity policies).
    pub(crate) open_caller: bool,
    pub(crate) goal: Goal<'a>,
    pub(crate) clauses: Vec<Clause<'a>>,
    /// Wildcards of resource patterns may cross colons, where that lets more through.
    pub(crate) crossing: bool,
    pub(crate) limits: Limits,
    pub(super) keys: BTreeMap<Box<str>, KeyModel>,
    pub(super) atoms: Atoms,
    pub(super) refuted: HashSet<Formula>,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(
        base: Request,
        goal: Goal<'a>,
        clauses: Vec<Clause<'a>>,
        limits: Limits,
    ) -> Self {
        Self {
            base,
            open_caller: false,
            goal,
            clauses,
            crossing: false,
            limits,
            keys: BTreeMap::new(),
            atoms: Atoms::default(),
            refuted: HashSet::new(),
        }
    }

    /// Searches the target for a request that reaches the goal.
    pub(crate) fn search(&mut self, target: &Target) -> Result<Found, ProofError> {
        let mut possible = None;
        let mut pairs = 0_usize;
        let mut resources_of: HashMap<(Vec<usize>, String), Vec<Resource>> = HashMap::new();
        let Some(actions) = self.actions(target) else {
            return Ok(Found::Capped(
                "too many combinations of action patterns".to_owned(),
            ));
        };
        for (action, relevant) in actions {
            if !self.can_be_granted(&relevant) {
                continue;
            }
            let memo = (relevant, Self::special(&action));
            if !resources_of.contains_key(&memo) {
                let Some(found) = self.resources(target, &memo.0, &action) else {
                    return Ok(Found::Capped(
                        "too many combinations of resource patterns".to_owned(),
                    ));
                };
                resources_of.insert(memo.clone(), found);
            }
            for resource in resources_of.get(&memo).into_iter().flatten() {
                pairs += 1;
                if pairs > self.limits.pairs {
                    return Ok(Found::Capped(
                        "too many pairs of actions and resources".to_owned(),
                    ));
                }
                match self.solve(&action, resource, &memo.0)? {
                    Found::Nothing => {}
                    Found::Possible(atoms, witness) => {
                        possible = possible.or(Some((atoms, witness)));
                    }
                    end @ (Found::Confirmed(_) | Found::Capped(_)) => return Ok(end),
                }
            }
        }
        Ok(possible.map_or(Found::Nothing, |(atoms, witness)| {
            Found::Possible(atoms, witness)
        }))
    }

    /// What the rules look at in an action besides the statements that are about it.
    fn special(action: &Action) -> String {
        match action.service() {
            "kms" | "sts" => action.service().to_owned(),
            _ if action.lower() == CREATE_SECRET => CREATE_SECRET.to_owned(),
            _ => String::new(),
        }
    }

    /// Whether some resource pattern reads differently when wildcards may cross colons.
    pub(crate) fn has_crossing_wildcards(&self) -> bool {
        let resources = self
            .clauses
            .iter()
            .filter_map(|clause| clause.statement.resources.as_ref());
        resources
            .flat_map(|resources| resources.patterns.iter())
            .any(|pattern| {
                let tokens = self.widened(pattern);
                let every = tokens.iter().all(|token| *token == Token::Many);
                let colons = tokens
                    .iter()
                    .enumerate()
                    .filter(|(_, token)| **token == Token::Literal(':'))
                    .map(|(at, _)| at)
                    .nth(4);
                let front = colons.and_then(|at| tokens.get(..at)).unwrap_or(&tokens);
                !every && front.iter().any(|token| token.literal().is_none())
            })
    }

    /// Whether the clause can be what lets a request through.
    fn grants(clause: &Clause<'_>) -> bool {
        clause.statement.effect == Effect::Allow
            && match clause.part {
                Part::Layer(layer) => matches!(layer, Layer::Identity | Layer::Resource),
                Part::Candidate => true,
                Part::Reference => false,
            }
    }

    /// Whether something other than a clause can let a request through.
    fn grants_without_clause(&self) -> bool {
        match self.goal {
            Goal::Allowed(layers) => {
                *self.base.principal.kind() == Kind::Root || !layers.grants.is_empty()
            }
            Goal::NewAccess(..) => false,
        }
    }

    fn can_be_granted(&self, relevant: &[usize]) -> bool {
        self.grants_without_clause()
            || relevant
                .iter()
                .filter_map(|at| self.clauses.get(*at))
                .any(|clause| Self::grants(clause))
    }

    /// One action for every combination of clauses that an action of the target can be about.
    fn actions(&self, target: &Target) -> Option<Vec<(Action, Vec<usize>)>> {
        let texts = if let Some(exact) = target.exact_actions() {
            exact
        } else {
            let mut product = Product::over(vec![any_action()]);
            product.demand(target.action_languages());
            let granting: Vec<&Clause<'_>> = self
                .clauses
                .iter()
                .filter(|clause| Self::grants(clause))
                .collect();
            if !self.grants_without_clause()
                && granting
                    .iter()
                    .all(|clause| !clause.statement.actions.negated)
            {
                product.demand(
                    granting
                        .iter()
                        .flat_map(|clause| clause.statement.actions.languages()),
                );
            }
            for clause in &self.clauses {
                clause
                    .statement
                    .actions
                    .languages()
                    .for_each(|language| product.distinguish_if_relevant(language));
            }
            let explored = product.explore(self.limits.states);
            if !explored.complete {
                return None;
            }
            explored.texts
        };
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for text in texts {
            let Ok(action) = Action::new(&target.written_action(&text)) else {
                continue;
            };
            let about = |(at, clause): (usize, &Clause<'_>)| {
                clause.statement.is_about(&action).then_some(at)
            };
            let relevant: Vec<usize> = self.clauses.iter().enumerate().filter_map(about).collect();
            // Grants and the rules for keys and roles look at the action itself.
            let special = if Self::special(&action).is_empty() {
                String::new()
            } else {
                action.lower().to_owned()
            };
            if seen.insert((relevant.clone(), special)) {
                found.push((action, relevant));
            }
        }
        Some(found)
    }

    /// The name of the secret that the request would create, where nothing else is known of it.
    pub(super) fn created_name<'r>(&self, request: &'r Request) -> Option<&'r str> {
        if !matches!(self.goal, Goal::Allowed(_))
            || request.action.lower() != CREATE_SECRET
            || self.base.context.has(SECRET_NAME)
            || !self.names_are_plain()
        {
            return None;
        }
        let name = request.resource.local()?.strip_prefix("secret:")?;
        let (name, suffix) = name.split_at_checked(name.len().checked_sub(7)?)?;
        suffix.starts_with('-').then_some(name)
    }

    /// Whether every condition on the name is a comparison that languages can follow.
    fn names_are_plain(&self) -> bool {
        self.clauses
            .iter()
            .flat_map(|clause| &clause.statement.conditions)
            .filter(|condition| &*condition.key == SECRET_NAME)
            .all(|condition| {
                matches!(
                    condition.operator.comparison,
                    Comparison::Text | Comparison::Pattern | Comparison::Null
                )
            })
    }

    fn request(&self, action: &Action, resource: &Resource) -> Request {
        Request {
            action: action.clone(),
            resource: resource.clone(),
            ..self.base.clone()
        }
    }

    pub(super) fn is_open(&self, template: &Template) -> bool {
        template
            .variables()
            .any(|variable| self.known(&variable.key).is_none())
    }

    /// The values of a key where they follow from the caller or were given; `None` for an open key.
    pub(super) fn known(&self, key: &str) -> Option<Values<'_>> {
        if self.base.context.has(key) {
            return Some(self.base.values(key));
        }
        if self.open_caller {
            return None;
        }
        match key {
            "aws:principaltype"
            | "aws:principalisawsservice"
            | "aws:principalaccount"
            | "aws:username"
            | "aws:principalservicename" => Some(self.base.values(key)),
            // A session of a role with a path doesn't show its role's ARN.
            "aws:principalarn" => {
                let values = self.base.values(key);
                (!values.is_missing()
                    || !matches!(self.base.principal.kind(), Kind::Session { .. }))
                .then_some(values)
            }
            _ => None,
        }
    }

    /// Decides one pair of action and resource.
    fn solve(
        &mut self,
        action: &Action,
        resource: &Resource,
        relevant: &[usize],
    ) -> Result<Found, ProofError> {
        let request = self.request(action, resource);
        let formula = self.formula(&request, relevant);
        if formula == Formula::Constant(false) || self.refuted.contains(&formula) {
            return Ok(Found::Nothing);
        }
        let mut atoms = BTreeSet::new();
        formula.atoms(&mut atoms);
        let keys: BTreeSet<Box<str>> = atoms
            .iter()
            .filter_map(|atom| match self.atoms.meaning(*atom)? {
                Meaning::Alternative(key, _) | Meaning::Several(key) | Meaning::Member(key, _) => {
                    Some(key.clone())
                }
                Meaning::Opaque(_) => None,
            })
            .collect();
        let opaque: Vec<String> = atoms
            .iter()
            .filter_map(|atom| match self.atoms.meaning(*atom)? {
                Meaning::Opaque(text) => Some(text.clone()),
                Meaning::Alternative(..) | Meaning::Several(_) | Meaning::Member(..) => None,
            })
            .collect();
        let incomplete = keys
            .iter()
            .find(|key| self.keys.get(*key).is_some_and(|model| !model.complete))
            .cloned();
        let rules: Vec<Formula> = keys.iter().map(|key| self.key_rules(key)).collect();
        let Some(values) = satisfy(&Formula::all(rules.into_iter().chain([formula.clone()])))
        else {
            if let Some(key) = incomplete {
                return Ok(Found::Capped(format!(
                    "conditions on `{key}` mix comparisons that can't be enumerated together"
                )));
            }
            self.refuted.insert(formula);
            return Ok(Found::Nothing);
        };
        let mut context = self.context(&keys, &values);
        if let Some(name) = self.created_name(&request)
            && self.speaks_of_names(relevant)
        {
            context.set("secretsmanager:Name", [name]);
        }
        let request = request.in_context(context);
        self.confirm(&request, opaque, relevant)
    }

    fn speaks_of_names(&self, relevant: &[usize]) -> bool {
        relevant
            .iter()
            .filter_map(|at| self.clauses.get(*at))
            .flat_map(|clause| &clause.statement.conditions)
            .any(|condition| &*condition.key == SECRET_NAME)
    }

    /// Runs the request through the decision engine; where opaque atoms stand in the way, tries to fill them.
    fn confirm(
        &self,
        request: &Request,
        mut opaque: Vec<String>,
        relevant: &[usize],
    ) -> Result<Found, ProofError> {
        if self.reaches_goal(request) {
            return Ok(Found::Confirmed(Witness::new(request)));
        }
        if self.crossing {
            opaque.extend(self.crossed(&request.resource, relevant));
        }
        if opaque.is_empty() {
            return Err(ProofError::Disagreement {
                witness: Box::new(Witness::new(request)),
            });
        }
        if !self.crossing {
            let statements: Vec<&Statement> = relevant
                .iter()
                .filter_map(|at| self.clauses.get(*at))
                .map(|clause| clause.statement)
                .collect();
            for context in open::fillings(request, &statements, self.goal_grants()) {
                let filled = request.clone().in_context(context);
                if self.reaches_goal(&filled) {
                    return Ok(Found::Confirmed(Witness::new(&filled)));
                }
            }
        }
        Ok(Found::Possible(opaque, Witness::new(request)))
    }

    fn goal_grants(&self) -> &[crate::grant::Grant] {
        match self.goal {
            Goal::Allowed(layers) => &layers.grants,
            Goal::NewAccess(..) => &[],
        }
    }

    fn reaches_goal(&self, request: &Request) -> bool {
        match self.goal {
            Goal::Allowed(layers) => decide(request, layers).is_allowed(),
            Goal::NewAccess(candidate, reference) => {
                allows(request, candidate) && !allows(request, reference)
            }
        }
    }

    /// The patterns whose wildcards would have to cross a colon for the resource.
    fn crossed(&self, resource: &Resource, relevant: &[usize]) -> Vec<String> {
        let clauses = relevant
            .iter()
            .filter_map(|at| self.clauses.get(*at))
            .filter(|clause| self.crosses(clause));
        let patterns = clauses.flat_map(|clause| {
            clause
                .statement
                .resources
                .iter()
                .flat_map(move |resources| {
                    resources
                        .patterns
                        .iter()
                        .map(move |pattern| (pattern, resources.short))
                })
        });
        let crossed = patterns.filter(|(pattern, short)| {
            let tokens = self.widened(pattern);
            Glob::new(&tokens).matches(resource.as_str())
                && !crate::arn::ArnPattern::new(&tokens, *short).matches(resource)
        });
        crossed
            .map(|(pattern, _)| {
                format!(
                    "a wildcard of `{}` would have to cross a colon",
                    pattern.written
                )
            })
            .collect()
    }
}
