//! Tests of controls: recorded facts, and the outcome that each rule must have on them.
//!
//! In: a control with its tests and the facts of each. Out: what is otherwise than a test expects, and the mutants
//! that no test notices. A rule that a test does not name must hold or not apply there, so that a test also shows what
//! a fact does not break. Each rule is taken out and turned around in turn: a rule whose mutant passes all tests is a
//! rule that nothing holds in place. Both are done to its verdicts: no condition is compiled anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::control::{Catalog, Control, Expected, Test};
use crate::judge::{About, judge};
use crate::observation::Facts;
use crate::population::Setting;
use crate::run::Target;
use crate::verdict::Verdict;

/// The verdicts of every rule of a control on some facts. A population stands under the id of its check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcomes(BTreeMap<String, BTreeSet<Verdict>>);

/// A rule with another outcome than a test expects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mismatch {
    /// The rule, or the check whose population it is.
    pub rule: String,
    /// What the test expects; nothing where it does not name the rule.
    pub expected: Option<Expected>,
    /// What came out.
    pub found: Expected,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rule,
            expected,
            found,
        } = self;
        match expected {
            Some(expected) => write!(f, "{rule} is {found}, expected is {expected}"),
            None => write!(f, "{rule} is {found}, and the test does not say so"),
        }
    }
}

/// What is done to a rule to see whether a test notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutation {
    /// It is taken out.
    Dropped,
    /// It demands the opposite.
    Inverted,
}

impl Mutation {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Dropped, Self::Inverted];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Inverted => "inverted",
        }
    }
}

/// Judges one control on some facts.
pub fn outcomes(control: &Control, facts: &Facts, setting: &Setting) -> Outcomes {
    let catalog = Catalog::of(vec![control.clone()]);
    let about = About {
        target: Target::Lab,
        finished: setting.now,
        notes: Vec::new(),
        not_proven: Vec::new(),
        api_calls: BTreeMap::new(),
    };
    let run = judge(&catalog, facts, setting, about);
    let mut verdicts: BTreeMap<String, BTreeSet<Verdict>> = control
        .rule_ids()
        .map(|rule| (rule.to_owned(), BTreeSet::new()))
        .collect();
    for finding in run
        .controls
        .into_iter()
        .flat_map(|control| control.findings)
    {
        verdicts
            .entry(finding.assertion.to_string())
            .or_default()
            .insert(finding.verdict);
    }
    Outcomes(verdicts)
}

/// The outcome of a rule over its findings; a rule without any says nothing.
fn outcome(verdicts: &BTreeSet<Verdict>) -> Expected {
    if verdicts.contains(&Verdict::Fail) {
        Expected::Fail
    } else if verdicts.contains(&Verdict::Inconclusive) {
        Expected::Inconclusive
    } else if verdicts.contains(&Verdict::Pass) {
        Expected::Pass
    } else {
        Expected::NotApplicable
    }
}

impl Outcomes {
    /// What is otherwise than a test expects.
    pub fn mismatches(&self, test: &Test) -> Vec<Mismatch> {
        let mut mismatches: Vec<Mismatch> = self
            .0
            .iter()
            .filter_map(|(rule, verdicts)| {
                let found = outcome(verdicts);
                let expected = test.expect.get(rule).copied();
                let fits = match expected {
                    Some(expected) => expected == found,
                    None => matches!(found, Expected::Pass | Expected::NotApplicable),
                };
                (!fits).then(|| Mismatch {
                    rule: rule.clone(),
                    expected,
                    found,
                })
            })
            .collect();
        // What a test names and nothing was said of.
        mismatches.extend(
            test.expect
                .iter()
                .filter(|(rule, expected)| {
                    !self.0.contains_key(*rule) && **expected != Expected::NotApplicable
                })
                .map(|(rule, expected)| Mismatch {
                    rule: rule.clone(),
                    expected: Some(*expected),
                    found: Expected::NotApplicable,
                }),
        );
        mismatches
    }

    /// The outcomes that a mutated rule would have had. One that demands the opposite passes for each member that it
    /// failed for, and the other way about; what could not be decided still can't be, and what it did not apply to
    /// stays out.
    #[must_use]
    pub fn mutated(&self, rule: &str, mutation: Mutation) -> Self {
        let mut outcomes = self.0.clone();
        match mutation {
            Mutation::Dropped => {
                outcomes.remove(rule);
            }
            Mutation::Inverted => {
                if let Some(verdicts) = outcomes.get_mut(rule) {
                    *verdicts = verdicts.iter().copied().map(opposite).collect();
                }
            }
        }
        Self(outcomes)
    }
}

fn opposite(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Pass => Verdict::Fail,
        Verdict::Fail => Verdict::Pass,
        Verdict::Inconclusive | Verdict::Waived | Verdict::NotApplicable => verdict,
    }
}

/// Mutants of a control that none of its tests notices.
pub fn unnoticed(control: &Control, tested: &[(&Test, Outcomes)]) -> Vec<(String, Mutation)> {
    let mut unnoticed = Vec::new();
    for rule in control.rule_ids() {
        for mutation in Mutation::ALL {
            let noticed = tested.iter().any(|(test, outcomes)| {
                !outcomes.mutated(rule, mutation).mismatches(test).is_empty()
            });
            if !noticed {
                unnoticed.push((rule.to_owned(), mutation));
            }
        }
    }
    unnoticed
}
