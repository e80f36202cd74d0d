//! Conditions as formulas over the choices of their keys.
//!
//! In: the conditions of a scene's statements. Out: a formula over atoms, of which each stands for one choice of one
//! key's value, or for something that can't be resolved. A model of the atoms is a context.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::formula::Formula;
use super::key::KeyModel;
use super::scene::{Goal, Scene};
use crate::condition::{Comparison, Condition, Outcome, Quantifier, Test, Values};
use crate::request::{Context, Request};

/// What an atom stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Meaning {
    Alternative(Box<str>, usize),
    Several(Box<str>),
    Member(Box<str>, usize),
    Opaque(String),
}

#[derive(Debug, Default)]
pub(super) struct Atoms {
    numbers: HashMap<Meaning, u32>,
    meanings: Vec<Meaning>,
}

impl Atoms {
    pub(super) fn atom(&mut self, meaning: Meaning) -> Formula {
        if let Some(known) = self.numbers.get(&meaning) {
            return Formula::Atom(*known);
        }
        let number = u32::try_from(self.meanings.len()).unwrap_or(u32::MAX);
        self.numbers.insert(meaning.clone(), number);
        self.meanings.push(meaning);
        Formula::Atom(number)
    }

    pub(super) fn meaning(&self, atom: u32) -> Option<&Meaning> {
        self.meanings.get(usize::try_from(atom).ok()?)
    }
}

impl Scene<'_> {
    pub(super) fn condition_formula(
        &mut self,
        condition: &Condition,
        request: &Request,
    ) -> Formula {
        let open = condition.tests.iter().any(|test| match test {
            Test::Fixed(..) => false,
            Test::Variable(template) => self.is_open(template),
        });
        if open || condition.operator.comparison == Comparison::Unknown {
            return self.opaque_condition(condition);
        }
        let known = match &*condition.key {
            "aws:resourceaccount" if matches!(self.goal, Goal::Allowed(_)) => {
                request.owner().map(Values::One)
            }
            key => self.known(key),
        };
        let known = known.or_else(|| {
            (&*condition.key == "secretsmanager:name")
                .then(|| self.created_name(request).map(Values::One))
                .flatten()
        });
        if let Some(values) = known {
            return Formula::Constant(self.evaluate(condition, values));
        }
        let model = self.model(&condition.key);
        let mut parts = Vec::new();
        for (at, alternative) in model.alternatives.iter().enumerate() {
            if self.evaluate(condition, Values::Many(alternative)) {
                parts.push(
                    self.atoms
                        .atom(Meaning::Alternative(condition.key.clone(), at)),
                );
            }
        }
        if !model.members.is_empty() {
            let several = self.atoms.atom(Meaning::Several(condition.key.clone()));
            let among = self.members_formula(condition, &model);
            parts.push(Formula::all([several, among]));
        }
        Formula::any(parts)
    }

    /// The truth of a condition when the key has one or several of the members.
    fn members_formula(&mut self, condition: &Condition, model: &KeyModel) -> Formula {
        let operator = &condition.operator;
        if operator.comparison == Comparison::Null {
            return Formula::Constant(self.evaluate(condition, Values::One("x")));
        }
        let mut matching = Vec::new();
        let mut others = Vec::new();
        for (at, member) in model.members.iter().enumerate() {
            let matches = condition.matches_value(member, &mut |variable| {
                self.base.values(&variable.key).single()
            });
            let atom = self.atoms.atom(Meaning::Member(condition.key.clone(), at));
            if matches {
                matching.push(atom);
            } else {
                others.push(atom);
            }
        }
        let (holding, failing) = if operator.negated {
            (others, matching)
        } else {
            (matching, others)
        };
        let none_fails =
            |failing: Vec<Formula>| Formula::all(failing.into_iter().map(Formula::negate));
        match operator.quantifier {
            None if operator.negated => none_fails(failing),
            None | Some(Quantifier::Any) => Formula::any(holding),
            Some(Quantifier::All) => none_fails(failing),
        }
    }

    /// A condition that can't be resolved, tied to the key's presence as far as the operator says.
    fn opaque_condition(&mut self, condition: &Condition) -> Formula {
        let operator = &condition.operator;
        let mut values: Vec<String> = condition.tests.iter().map(Test::shown).collect();
        values.sort();
        let about = format!(
            "`{}` against `{}`",
            condition.written_key,
            values.join("`, `")
        );
        if operator.comparison == Comparison::Unknown {
            return self.atoms.atom(Meaning::Opaque(format!(
                "the unknown operator `{}` on {about}",
                operator.written
            )));
        }
        let missing = self.missing(&condition.key);
        let present = missing.clone().negate();
        let optional = if operator.if_exists {
            missing.clone()
        } else {
            Formula::Constant(false)
        };
        let name = match operator.quantifier {
            None => format!("{:?} of {about}", operator.comparison),
            Some(quantifier) => format!(
                "{quantifier:?} {:?} {} of {about}",
                operator.comparison, operator.negated
            ),
        };
        let truth = self.atoms.atom(Meaning::Opaque(name));
        match operator.quantifier {
            None if operator.negated => Formula::all([present, truth]).negate(),
            None | Some(Quantifier::Any) => {
                Formula::any([Formula::all([present, truth]), optional])
            }
            Some(Quantifier::All) => Formula::any([missing, truth]),
        }
    }

    fn missing(&mut self, key: &str) -> Formula {
        if let Some(values) = self.known(key) {
            return Formula::Constant(values.is_missing());
        }
        self.model(key);
        self.atoms.atom(Meaning::Alternative(key.into(), 0))
    }

    pub(super) fn evaluate(&self, condition: &Condition, values: Values<'_>) -> bool {
        condition.evaluate(values, |variable| self.base.values(&variable.key).single())
            == Outcome::Holds
    }

    /// The model of a key, over all conditions on it that can be resolved.
    fn model(&mut self, key: &str) -> KeyModel {
        if let Some(model) = self.keys.get(key) {
            return model.clone();
        }
        let conditions: Vec<&Condition> = self
            .clauses
            .iter()
            .flat_map(|clause| &clause.statement.conditions)
            .filter(|condition| &*condition.key == key)
            .collect();
        let closed: Vec<&Condition> = conditions
            .iter()
            .copied()
            .filter(|condition| {
                condition.tests.iter().all(|test| match test {
                    Test::Fixed(..) => true,
                    Test::Variable(template) => !self.is_open(template),
                })
            })
            .collect();
        let mut model = KeyModel::new(
            key,
            &closed,
            |variable| self.base.values(&variable.key).single(),
            self.limits.states,
        );
        if let Some(condition) = conditions.first() {
            model.written = condition.written_key.to_string();
        }
        // Values that no condition tells apart are one choice; the first is the most ordinary.
        let mut seen = HashSet::new();
        model.alternatives.retain(|values| {
            values.is_empty()
                || seen.insert(
                    closed
                        .iter()
                        .map(|condition| self.evaluate(condition, Values::Many(values)))
                        .collect::<Vec<_>>(),
                )
        });
        let mut seen = HashSet::new();
        let bits = |value: &String| {
            closed
                .iter()
                .map(|condition| {
                    condition.matches_value(value, &mut |variable| {
                        self.base.values(&variable.key).single()
                    })
                })
                .collect::<Vec<_>>()
        };
        model.members.retain(|value| seen.insert(bits(value)));
        self.keys.insert(key.into(), model.clone());
        model
    }

    /// Exactly one alternative, or several members.
    pub(super) fn key_rules(&mut self, key: &str) -> Formula {
        let model = self.model(key);
        let mut choices: Vec<Formula> = (0..model.alternatives.len())
            .map(|at| self.atoms.atom(Meaning::Alternative(key.into(), at)))
            .collect();
        let mut rules = Vec::new();
        if !model.members.is_empty() {
            let several = self.atoms.atom(Meaning::Several(key.into()));
            let members: Vec<Formula> = (0..model.members.len())
                .map(|at| self.atoms.atom(Meaning::Member(key.into(), at)))
                .collect();
            rules.push(Formula::any([
                several.clone().negate(),
                Formula::any(members),
            ]));
            choices.push(several);
        }
        for (at, choice) in choices.iter().enumerate() {
            for other in choices.iter().skip(at + 1) {
                rules.push(Formula::any([
                    choice.clone().negate(),
                    other.clone().negate(),
                ]));
            }
        }
        rules.push(Formula::any(choices));
        Formula::all(rules)
    }

    /// The context that the solver chose, with what was known from the start.
    pub(super) fn context(
        &self,
        keys: &BTreeSet<Box<str>>,
        values: &BTreeMap<u32, bool>,
    ) -> Context {
        let mut context = (*self.base.context).clone();
        if self.open_caller {
            for key in [
                "aws:PrincipalArn",
                "aws:PrincipalAccount",
                "aws:PrincipalType",
                "aws:PrincipalIsAWSService",
                "aws:username",
                "aws:ResourceAccount",
            ] {
                if !context.has(key) {
                    context.set(key, Vec::<String>::new());
                }
            }
        }
        let holds = |meaning: Meaning| {
            self.atoms
                .numbers
                .get(&meaning)
                .and_then(|atom| values.get(atom))
                .copied()
                .unwrap_or(false)
        };
        for key in keys {
            let Some(model) = self.keys.get(key) else {
                continue;
            };
            let chosen = model
                .alternatives
                .iter()
                .enumerate()
                .find(|(at, _)| holds(Meaning::Alternative(key.clone(), *at)));
            let taken: Vec<String> = match chosen {
                Some((_, values)) => values.clone(),
                None => model
                    .members
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| holds(Meaning::Member(key.clone(), *at)))
                    .map(|(_, value)| value.clone())
                    .collect(),
            };
            context.set(&model.written, taken);
        }
        context
    }
}
