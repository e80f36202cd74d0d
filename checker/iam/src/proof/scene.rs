//! One caller, its statements and a goal: the search for a request that reaches the goal.
//!
//! In: statements with the layer they stand in, the caller and what is known of its context, and a target of
//! actions and resources. Out: [`Found`]. For every combination of patterns that some action, and some resource,
//! can satisfy together, one representative is taken; what is left of the statements is a formula over context
//! keys, which a SAT solver decides. What can't be resolved (a policy variable whose key is open, an operator that we don't
//! know, a constrained grant) is an opaque atom that may take any value, the same wherever the same text stands.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::automaton::Product;
use super::conditions::{Atoms, Meaning};
use super::formula::{Formula, satisfy};
use super::key::KeyModel;
use super::language::{Language, any_action};
use super::open;
use super::target::Target;
use super::{Limits, ProofError, Witness};
use crate::action::Action;
use crate::arn::{Resource, Short};
use crate::condition::{Comparison, Test, Values};
use crate::decision::{allows, decide, needs_resource_policy};
use crate::glob::{Glob, Token, tokens};
use crate::layers::{Layer, Layers, PolicySet};
use crate::policy::{Effect, ResourceMatcher, ResourcePattern, Resources, Statement};
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

/// Picks clauses by where they count, their effect and how they reach the caller.
type Wanted<'w> = &'w dyn Fn(Part, Effect, Reach) -> bool;

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

    /// One resource for every combination of the relevant clauses' patterns.
    fn resources(
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
        let conditions = clauses
            .iter()
            .flat_map(|clause| &clause.statement.conditions)
            .filter(|condition| &*condition.key == "aws:resourceaccount");
        let named = conditions
            .flat_map(|condition| &condition.tests)
            .filter_map(|test| match test {
                Test::Fixed(_, tokens) => Some(tokens.clone()),
                Test::Variable(template) => {
                    template.resolve(|variable| self.base.values(&variable.key).single())
                }
            });
        let head = |tail: Vec<Token>| [tokens("arn:*:*:*:"), tail, tokens(":*")].concat();
        let named = named.filter_map(|account| Language::resource(&head(account), Short::Pad));
        let fixed = patterns
            .iter()
            .filter_map(|pattern| Language::resource(&tokens(pattern), Short::Pad));
        fixed.chain(named).collect()
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

    /// Languages that tell apart what conditions on the name of a created secret look at.
    fn name_languages(&self, clauses: &[&Clause<'_>], action: &Action) -> Vec<Language> {
        if action.lower() != CREATE_SECRET {
            return Vec::new();
        }
        let conditions = clauses
            .iter()
            .flat_map(|clause| &clause.statement.conditions)
            .filter(|condition| &*condition.key == SECRET_NAME);
        let named = conditions
            .flat_map(|condition| &condition.tests)
            .filter_map(|test| match test {
                Test::Fixed(_, tokens) => Some(tokens.clone()),
                Test::Variable(template) => {
                    template.resolve(|variable| self.base.values(&variable.key).single())
                }
            });
        named
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

    fn names_resource_account(clauses: &[&Clause<'_>]) -> bool {
        clauses
            .iter()
            .flat_map(|clause| &clause.statement.conditions)
            .any(|condition| &*condition.key == "aws:resourceaccount")
    }

    fn request(&self, action: &Action, resource: &Resource) -> Request {
        Request {
            action: action.clone(),
            resource: resource.clone(),
            ..self.base.clone()
        }
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
    fn widened(&self, pattern: &ResourcePattern) -> Vec<Token> {
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

    fn pattern_matches_one(
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
    fn crosses(&self, clause: &Clause<'_>) -> bool {
        let negated = clause
            .statement
            .resources
            .as_ref()
            .is_some_and(|resources| resources.negated);
        self.crossing && negated == (clause.statement.effect == Effect::Deny)
    }

    fn is_open_pattern(&self, pattern: &ResourcePattern) -> bool {
        match &pattern.matcher {
            ResourceMatcher::Fixed(..) => false,
            ResourceMatcher::Variable(template) => self.is_open(template),
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

    /// The formula that is left of the goal for one action and resource.
    fn formula(&mut self, request: &Request, relevant: &[usize]) -> Formula {
        let mut marks: Vec<(Part, Effect, Reach, Formula)> = Vec::new();
        for at in relevant {
            let Some(clause) = self.clauses.get(*at).cloned() else {
                continue;
            };
            let resource = self.resource_formula(&clause, &request.resource);
            if resource == Formula::Constant(false) {
                continue;
            }
            let mut parts = vec![resource];
            for condition in &clause.statement.conditions {
                parts.push(self.condition_formula(condition, request));
            }
            let formula = Formula::all(parts);
            if formula != Formula::Constant(false) {
                marks.push((clause.part, clause.statement.effect, clause.reach, formula));
            }
        }
        let any = |wanted: Wanted<'_>| {
            Formula::any(
                marks
                    .iter()
                    .filter(|(part, effect, reach, _)| wanted(*part, *effect, *reach))
                    .map(|(.., formula)| formula.clone()),
            )
        };
        match self.goal {
            Goal::NewAccess(..) => {
                let allowed = |side: Part| {
                    let allow = any(&|part, effect, _| part == side && effect == Effect::Allow);
                    let deny = any(&|part, effect, _| part == side && effect == Effect::Deny);
                    Formula::all([allow, deny.negate()])
                };
                Formula::all([allowed(Part::Candidate), allowed(Part::Reference).negate()])
            }
            Goal::Allowed(layers) => {
                let grant = self.grant_formula(request, layers);
                let unlisted = self.atoms.atom(Meaning::Opaque(format!(
                    "the policy of `{}`, which was not given",
                    request.resource.as_str()
                )));
                Self::composed(request, layers, [grant, unlisted], &any)
            }
        }
    }

    /// The same composition of layers as in `decision`, over formulas.
    fn composed(
        request: &Request,
        layers: &Layers,
        [grant, unlisted]: [Formula; 2],
        any: &dyn Fn(Wanted<'_>) -> Formula,
    ) -> Formula {
        let caller = &request.principal;
        let allow = |layer: Layer| {
            any(&|part, effect, _| part == Part::Layer(layer) && effect == Effect::Allow)
        };
        let reached = |wanted: Reach| {
            any(&|part, effect, reach| {
                part == Part::Layer(Layer::Resource) && effect == Effect::Allow && reach == wanted
            })
        };
        let deny = any(&|_, effect, _| effect == Effect::Deny);
        let linked = caller.is_service_linked_role();
        let mut parts = vec![deny.negate()];
        if caller.has_identity() && !linked {
            parts.extend((0..layers.scps.len()).map(|level| allow(Layer::Scp(level))));
        }
        if !linked {
            let restricting = layers.rcps.iter().enumerate().filter(|(_, set)| {
                set.statements()
                    .any(|(_, statement)| statement.effect == Effect::Allow)
            });
            parts.extend(restricting.map(|(level, _)| allow(Layer::Rcp(level))));
        }
        let (direct, role, account) = (
            reached(Reach::Direct),
            reached(Reach::Role),
            reached(Reach::Account),
        );
        if !caller.has_identity() {
            parts.push(Formula::any([direct, role, grant]));
            return Formula::all(parts);
        }
        let mut limits = Vec::new();
        if layers.boundary.is_some() {
            limits.push(allow(Layer::Boundary));
        }
        if layers.session.is_some() {
            limits.push(allow(Layer::Session));
        }
        let limits = Formula::all(limits);
        let identity = if *caller.kind() == Kind::Root {
            Formula::Constant(true)
        } else {
            allow(Layer::Identity)
        };
        let own_side = Formula::all([identity, limits.clone()]);
        if request.is_cross_account() {
            parts.push(own_side);
            let mut granted = vec![direct, role, account, grant];
            // The policies of other accounts' keys and roles are never seen.
            if needs_resource_policy(request) && layers.resource.is_none() {
                granted.push(unlisted);
            }
            parts.push(Formula::any(granted));
        } else {
            let delegated = if !needs_resource_policy(request) {
                own_side
            } else if layers.resource.is_none() {
                Formula::all([unlisted, own_side])
            } else {
                Formula::all([account, own_side])
            };
            parts.push(Formula::any([
                direct,
                grant,
                Formula::all([role, limits]),
                delegated,
            ]));
        }
        Formula::all(parts)
    }

    fn grant_formula(&mut self, request: &Request, layers: &Layers) -> Formula {
        let mut parts = Vec::new();
        for grant in layers.grants.iter().filter(|grant| {
            request.action.service() == "kms"
                && grant.covers(request.action.name())
                && grant.reaches(&request.principal)
        }) {
            parts.push(if grant.is_constrained() {
                self.atoms.atom(Meaning::Opaque(format!(
                    "the encryption context that grant `{}` demands",
                    grant.id
                )))
            } else {
                Formula::Constant(true)
            });
        }
        Formula::any(parts)
    }

    fn resource_formula(&mut self, clause: &Clause<'_>, resource: &Resource) -> Formula {
        let Some(resources) = &clause.statement.resources else {
            return Formula::Constant(true);
        };
        let mut parts = Vec::new();
        for pattern in &resources.patterns {
            if !self.pattern_matches_one(clause, pattern, resources.short, resource) {
                continue;
            }
            parts.push(if self.is_open_pattern(pattern) {
                // The same text on the same resource is the same unknown.
                self.atoms.atom(Meaning::Opaque(format!(
                    "whether `{}` covers `{}`",
                    pattern.written,
                    resource.as_str()
                )))
            } else {
                Formula::Constant(true)
            });
        }
        let listed = Formula::any(parts);
        if resources.negated {
            listed.negate()
        } else {
            listed
        }
    }
}
