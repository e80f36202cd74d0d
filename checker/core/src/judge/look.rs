//! One inspection, made ready to look at many members, and what it gathers from them.

use sha2::{Digest as _, Sha256};

use super::{explained, weighed};
use crate::control::{Control, Filter, Inspect, Rule};
use crate::expression::{Bindings, Expression, Members, Path, Unevaluable};
use crate::observation::{Facts, Unseen, hex};
use crate::population::{Item, Noun, Reads, Setting};
use crate::run::{Finding, Fold};
use crate::shared::Shared;
use crate::verdict::Verdict;

/// An inspection with what is the same for every member.
pub(crate) struct Look<'a> {
    /// Which control and which check of it, by their numbers.
    pub(super) at: (usize, usize),
    pub(super) control: &'a Control,
    inspect: &'a Inspect,
    rules: Vec<Ready<'a>>,
    /// What its filter reads, and all that it reads.
    filter: Reads,
    reads: Reads,
    members: Members,
}

/// A rule with what is the same for every member.
struct Ready<'a> {
    rule: &'a Rule,
    id: Shared,
    reads: Reads,
    source: Shared,
}

/// What all members of a kind rest on.
pub(super) struct Ground<'a> {
    pub(super) facts: &'a Facts,
    pub(super) setting: &'a Setting,
    /// The files of the list that they are on.
    pub(super) evidence: Vec<Shared>,
    /// Whether passed findings are folded as they come.
    pub(super) fold: bool,
}

/// What an inspection gathers.
#[derive(Default)]
pub(super) struct Tally {
    /// How many there are in all shards together.
    count: usize,
    /// Their names, where shards compare what they saw.
    names: Vec<Shared>,
    /// Those whose filter could not be evaluated.
    undecided: Vec<Shared>,
    /// By rule.
    told: Vec<Told>,
}

/// What a rule says of all members.
#[derive(Default)]
struct Told {
    findings: Vec<Finding>,
    passed: Fold,
}

impl<'a> Look<'a> {
    pub(super) fn new(at: (usize, usize), control: &'a Control, inspect: &'a Inspect) -> Self {
        let read = |paths: &mut dyn Iterator<Item = &Path>| -> Reads {
            paths.map(ToString::to_string).collect()
        };
        Self {
            at,
            control,
            inspect,
            rules: inspect
                .rules
                .iter()
                .map(|rule| Ready {
                    rule,
                    id: rule.id.as_str().into(),
                    reads: read(&mut rule_paths(rule)),
                    source: rule.source.to_string().into(),
                })
                .collect(),
            filter: read(&mut filter_paths(inspect).iter()),
            reads: read(&mut paths(inspect)),
            members: Members::of_paths(paths(inspect)),
        }
    }

    /// How many rules it has.
    pub(super) fn rules(&self) -> usize {
        self.rules.len()
    }

    /// Whether a second source must know the same members.
    pub(super) fn is_reconciled(&self) -> bool {
        self.inspect.population.reconcile.is_some()
    }

    /// Whether it needs what is at a path of a member: its filter does of all, its rules of those that pass it.
    pub(super) fn needs(&self, path: &str, of: impl FnOnce() -> bool) -> bool {
        self.filter.touch(path) || (self.reads.touch(path) && of())
    }

    /// Binds a member, and says whether it passes the filter.
    pub(super) fn admits(&self, bindings: &mut Bindings, item: &Item) -> Result<bool, Unevaluable> {
        let population = &self.inspect.population;
        if let Filter::Named(name) = &population.filter {
            if let Some(reason) = item.undecided.get(name.as_str()) {
                return Err(Unevaluable {
                    path: name.clone(),
                    message: reason.clone(),
                });
            }
            if !item.passes.contains(name.as_str()) {
                return Ok(false);
            }
        }
        bindings.rebind(
            &population.variable,
            item.value.clone(),
            &item.unknowns,
            &self.members,
        );
        match &population.filter {
            Filter::Condition(condition) => condition.evaluate(bindings),
            Filter::All | Filter::Named(_) => Ok(true),
        }
    }

    /// Judges some members.
    pub(super) fn judge(&self, tally: &mut Tally, items: &[Item], ground: &Ground<'_>) {
        tally.told.resize_with(self.rules.len(), Told::default);
        let mut bindings = super::common(self.control, ground.setting);
        for item in items {
            match self.admits(&mut bindings, item) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(_unevaluable) => {
                    tally.undecided.push(item.resource.clone());
                    continue;
                }
            }
            tally.count += 1;
            if ground.setting.shard.is_some() {
                tally.names.push(item.resource.clone());
            }
            if !ground.setting.judges(&item.resource) {
                continue;
            }
            for (ready, told) in self.rules.iter().zip(&mut tally.told) {
                ready.judge(told, item, &bindings, ground);
            }
        }
    }

    /// The findings: about the population itself, then rule after rule.
    pub(super) fn told(
        &self,
        tally: Result<Tally, &Unseen>,
        noun: Noun,
        ground: &Ground<'_>,
        sources: Vec<Shared>,
    ) -> Vec<Finding> {
        let name = self.name();
        match tally {
            Ok(tally) => {
                let whole = self.whole(&tally, &name, noun, ground, sources);
                let told = tally.told.iter().map(|told| told.findings.len() + 1);
                let mut findings = Vec::with_capacity(1 + told.sum::<usize>());
                findings.push(whole);
                for told in tally.told {
                    findings.extend(told.findings);
                    findings.extend(told.passed.finish());
                }
                findings
            }
            Err(unseen) => {
                let because = vec![unseen.to_string()];
                let unseen = |rule: (&str, &str), says: &str, evidence: &[Shared]| {
                    let verdict = Verdict::Inconclusive;
                    Finding::new(rule, &name, verdict, says, because.clone())
                        .resting_on(evidence.to_vec())
                };
                let source = self.inspect.source.to_string();
                let says = format!("{name} could not be listed");
                let whole = unseen((&self.inspect.id, &source), &says, &sources);
                let rules = self.rules.iter().map(|Ready { rule, source, .. }| {
                    unseen((&rule.id, source), rule.that.text(), &ground.evidence)
                });
                std::iter::once(whole).chain(rules).collect()
            }
        }
    }

    /// Whether the population is complete and large enough.
    fn whole(
        &self,
        tally: &Tally,
        name: &str,
        noun: Noun,
        ground: &Ground<'_>,
        sources: Vec<Shared>,
    ) -> Finding {
        let population = &self.inspect.population;
        let (found, min) = (tally.count, population.min);
        let missing = match population.reconcile {
            Some(_) => noun.missing_from(ground.facts),
            None => Ok(Vec::new()),
        };
        let mut gaps: Vec<String> = match missing {
            Ok(missing) => missing
                .iter()
                .map(|arn| format!("a second source knows {arn}, the list lacks it"))
                .collect(),
            Err(unseen) => vec![unseen.to_string()],
        };
        gaps.extend(
            tally
                .undecided
                .iter()
                .map(|resource| format!("whether {resource} belongs to it is not known")),
        );
        if found < min {
            gaps.push(format!("at least {min} must exist, {found} found"));
        }
        let says = match &population.reconcile {
            Some(source) => format!("{name} are complete: {found} found, reconciled with {source}"),
            None => format!("{name}: {found} found"),
        };
        let verdict = if gaps.is_empty() {
            Verdict::Pass
        } else {
            Verdict::Inconclusive
        };
        let rule = (self.inspect.id.as_str(), &*self.inspect.source.to_string());
        Finding {
            digest: ground.setting.shard.map(|_| digest_of(&tally.names)),
            ..Finding::new(rule, name, verdict, says, gaps).resting_on(sources)
        }
    }

    /// What the population is called in findings.
    fn name(&self) -> String {
        let population = &self.inspect.population;
        let noun = &population.of;
        match &population.filter {
            Filter::All => noun.clone(),
            Filter::Named(name) => format!("{noun}/{name}"),
            Filter::Condition(condition) => format!("{noun} where {}", condition.text()),
        }
    }
}

impl Ready<'_> {
    /// Judges one member, and tells it in full, or by its name where it is one of many that passed.
    fn judge(&self, told: &mut Told, item: &Item, bindings: &Bindings, ground: &Ground<'_>) {
        let rule = self.rule;
        let (verdict, because) = weighed(rule, item, bindings);
        let folds = ground.fold && verdict == Verdict::Pass;
        let own = self.own_evidence(item, ground.facts);
        if folds && !told.passed.is_empty() {
            let evidence = ground.evidence.iter().chain(&own);
            told.passed.add_named(item.resource.clone(), evidence);
            return;
        }
        let because = because.unwrap_or_else(|| explained(&rule.that, verdict, bindings));
        let mut evidence = ground.evidence.clone();
        for own in own {
            if !evidence.contains(&own) {
                evidence.push(own);
            }
        }
        let says = rule.says.render(bindings);
        let finding = Finding::new(
            (self.id.clone(), self.source.clone()),
            item.resource.clone(),
            verdict,
            says,
            because,
        )
        .resting_on(evidence);
        if folds {
            told.passed.add(finding);
        } else {
            told.findings.push(finding);
        }
    }

    /// The files that answer for what the rule reads of a member.
    fn own_evidence(&self, item: &Item, facts: &Facts) -> Vec<Shared> {
        let read = |(path, question)| self.reads.touch(path).then(|| facts.digest(question));
        let answers = item
            .details
            .iter()
            .map(|(path, question)| (*path, question));
        answers
            .filter_map(read)
            .flatten()
            .map(|digest| facts.files().name(digest).into())
            .collect()
    }
}

impl Tally {
    /// Adds what was gathered from later members.
    pub(super) fn append(&mut self, later: Self) {
        self.count += later.count;
        self.names.extend(later.names);
        self.undecided.extend(later.undecided);
        let known = self.told.len();
        let mut rules = later.told.into_iter();
        for (told, later) in self.told.iter_mut().zip(rules.by_ref().take(known)) {
            told.findings.extend(later.findings);
            told.passed.append(later.passed);
        }
        self.told.extend(rules);
    }
}

/// SHA-256 over the members of a population, one a line.
fn digest_of(names: &[Shared]) -> String {
    let mut hash = Sha256::new();
    for name in names {
        hash.update(name.as_bytes());
        hash.update(b"\n");
    }
    hex(&hash.finalize())
}

/// All paths that an inspection reads.
pub(crate) fn paths(inspect: &Inspect) -> impl Iterator<Item = &Path> {
    let rules = inspect.rules.iter().flat_map(rule_paths);
    filter_paths(inspect).iter().chain(rules)
}

fn filter_paths(inspect: &Inspect) -> &[Path] {
    match &inspect.population.filter {
        Filter::Condition(condition) => condition.reads(),
        Filter::All | Filter::Named(_) => &[],
    }
}

fn rule_paths(rule: &Rule) -> impl Iterator<Item = &Path> {
    rule.that
        .reads()
        .iter()
        .chain(rule.when.iter().flat_map(Expression::reads))
        .chain(rule.says.reads())
}
