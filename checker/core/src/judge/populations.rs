//! The populations of a catalogue, and everything that is asked and said of their members in one pass over each.
//!
//! In: catalogue, facts and setting. Out: the questions that the inspections need answered, and their findings. All
//! inspections over one kind of thing look at a member together, since of some kinds there are too many to be kept.

use std::collections::{BTreeMap, BTreeSet};

use super::look::{Ground, Look, Tally, paths};
use super::{common, nowhere};
use crate::control::{Catalog, Check};
use crate::expression::{Members, Path};
use crate::observation::{Facts, Observation, Unseen};
use crate::population::{Item, Noun, Population, Reads, Setting};
use crate::run::Finding;
use crate::shared::Shared;

/// Findings by the numbers of the control and of the check.
pub(super) type Inspected = BTreeMap<(usize, usize), Vec<Finding>>;

/// Every population that a catalogue names.
pub(crate) struct Populations<'a> {
    facts: &'a Facts,
    setting: &'a Setting,
    kinds: BTreeMap<Noun, Kind<'a>>,
}

/// A population, and the inspections over it.
struct Kind<'a> {
    population: Result<Population<'a>, Unseen>,
    looks: Vec<Look<'a>>,
}

impl<'a> Populations<'a> {
    /// Those of all inspections.
    pub(crate) fn new(catalog: &'a Catalog, facts: &'a Facts, setting: &'a Setting) -> Self {
        let mut looks: BTreeMap<Noun, (Vec<Look<'_>>, Vec<&Path>)> = BTreeMap::new();
        for (number, control) in catalog.controls.iter().enumerate() {
            for (check, inspect) in control.checks.iter().enumerate() {
                let Check::Inspect(inspect) = inspect else {
                    continue;
                };
                let Some(noun) = Noun::named(&inspect.population.of) else {
                    continue;
                };
                let (looks, reads) = looks.entry(noun).or_default();
                looks.push(Look::new((number, check), control, inspect));
                reads.extend(paths(inspect));
            }
        }
        let nowhere = nowhere(facts);
        let kinds = looks.into_iter().map(|(noun, (looks, reads))| {
            let members = Members::of_paths(reads.iter().copied());
            let reads: Reads = reads.into_iter().map(ToString::to_string).collect();
            let population = match &nowhere {
                Some(unseen) => Err(unseen.clone()),
                None => noun.population(facts, setting, reads, members),
            };
            (noun, Kind { population, looks })
        });
        Self {
            facts,
            setting,
            kinds: kinds.collect(),
        }
    }

    /// How many findings there may be: rules times members.
    pub(super) fn size(&self) -> u64 {
        let sizes = self.kinds.values().map(|kind| {
            let members = kind.population.as_ref().map_or(0, Population::len);
            let rules: usize = kind.looks.iter().map(Look::rules).sum();
            u64::try_from(members.saturating_mul(rules)).unwrap_or(u64::MAX)
        });
        sizes.fold(0, u64::saturating_add)
    }

    /// All questions that the inspections need answered, as far as they can be known yet.
    pub(crate) fn questions(&self) -> BTreeSet<Observation> {
        let mut questions = BTreeSet::new();
        for (noun, Kind { population, looks }) in &self.kinds {
            for look in looks {
                questions.extend(noun.roots(look.is_reconciled()));
            }
            if let Ok(population) = population {
                let parts =
                    population.walk_open(|questions, items| self.ask(looks, questions, items));
                questions.extend(parts.into_iter().flatten());
            }
        }
        questions
    }

    fn ask(&self, looks: &[Look<'_>], questions: &mut BTreeSet<Observation>, items: &[Item]) {
        for look in looks {
            let mut bindings = common(look.control, self.setting);
            for item in items {
                let mut selected = None;
                for (path, question) in &item.details {
                    let needed = look.needs(path, || {
                        *selected.get_or_insert_with(|| {
                            self.setting.judges(&item.resource)
                                && look.admits(&mut bindings, item).unwrap_or(true)
                        })
                    });
                    if needed && !questions.contains(question) {
                        questions.insert(question.clone());
                    }
                }
            }
        }
    }

    /// The findings of all inspections; `fold` says whether those that passed become one entry a rule.
    pub(super) fn inspect(&self, fold: bool) -> Inspected {
        let mut inspected = Inspected::new();
        for (noun, Kind { population, looks }) in &self.kinds {
            let ground = Ground {
                facts: self.facts,
                setting: self.setting,
                evidence: self.sources(*noun, false),
                fold,
            };
            let tallies: Vec<Result<Tally, &Unseen>> = match population {
                Ok(population) => judged(population, looks, &ground)
                    .into_iter()
                    .map(Ok)
                    .collect(),
                Err(unseen) => looks.iter().map(|_| Err(unseen)).collect(),
            };
            for (look, tally) in looks.iter().zip(tallies) {
                let sources = self.sources(*noun, look.is_reconciled());
                inspected.insert(look.at, look.told(tally, *noun, &ground, sources));
            }
        }
        inspected
    }

    /// The files that the members of a kind are listed in, and those of the second source.
    fn sources(&self, noun: Noun, reconciled: bool) -> Vec<Shared> {
        noun.roots(reconciled)
            .iter()
            .filter_map(|question| self.facts.digest(question))
            .map(|digest| self.facts.files().name(digest).into())
            .collect()
    }
}

/// What every inspection gathers from a population.
fn judged(population: &Population<'_>, looks: &[Look<'_>], ground: &Ground<'_>) -> Vec<Tally> {
    let parts = population.walk(|tallies: &mut Vec<Tally>, items| {
        tallies.resize_with(looks.len(), Tally::default);
        for (look, tally) in looks.iter().zip(tallies) {
            look.judge(tally, items, ground);
        }
    });
    let mut whole: Vec<Tally> = Vec::new();
    whole.resize_with(looks.len(), Tally::default);
    for part in parts {
        for (tally, later) in whole.iter_mut().zip(part) {
            tally.append(later);
        }
    }
    whole
}
