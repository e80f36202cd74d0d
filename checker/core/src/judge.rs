//! From facts to verdicts: pure, and the same for a nightly run, a test, a gate and a later verification.
//!
//! In: the catalogue, the facts and the [`Setting`] (which holds the time). Out: a [`Run`]. Every finding says
//! why, down to the values compared, the evidence and the line of the control.

use std::collections::BTreeMap;

use cel::Value;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::accept::accept;
use crate::access::Everyone;
use crate::control::{Catalog, Check, Control, Filter, Iam, Inspect, Rule};
use crate::expression::types::Typed as _;
use crate::expression::{
    Bindings, Expression, Members, Path, Unevaluable, in_parts, with_deep_stack,
};
use crate::observation::{Answer, Facts, Observation, Time, Unseen, hex};
use crate::population::gap::Gaps;
use crate::population::{Item, Noun, Reads, Setting};
use crate::probe;
use crate::run::{self, ControlRun, Finding, ReachPath, Run, Target};
use crate::verdict::Verdict;

/// What a run reports about itself besides its verdicts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// What was judged.
    pub target: Target,
    /// When the verdicts stood.
    pub finished: Time,
    /// What a reader must know about how the facts came about.
    pub notes: Vec<String>,
    /// What the run could not prove.
    pub not_proven: Vec<String>,
    /// Calls that the checker made.
    pub api_calls: BTreeMap<String, u64>,
}

/// Judges all controls.
pub fn judge(catalog: &Catalog, facts: &Facts, setting: &Setting, about: About) -> Run {
    let (controls, paths): (Vec<ControlRun>, Vec<Vec<ReachPath>>) = with_deep_stack(|| {
        let populations = Populations::new(catalog, facts, setting);
        catalog
            .controls
            .iter()
            .map(|control| judge_control(control, &populations, about.target))
            .unzip()
    });
    let mut run = Run {
        version: run::VERSION,
        run_id: String::new(),
        target: about.target,
        stage: setting.stage.clone(),
        account: setting.account.clone(),
        region: setting.region.clone(),
        started: setting.now,
        finished: about.finished,
        tool: format!("checker {}", env!("CARGO_PKG_VERSION")),
        // No control at all is refused when the catalogue is loaded; were it not, nothing is not a pass.
        verdict: Verdict::over(controls.iter().map(|control| control.verdict))
            .unwrap_or(Verdict::Inconclusive),
        summary: controls.iter().map(ControlRun::summary).collect(),
        controls,
        not_proven: about.not_proven,
        notes: about.notes,
        api_calls: about.api_calls,
        waivers: Vec::new(),
        reach: paths.into_iter().flatten().collect(),
        measurements: probe::measurements(&probe::plan(catalog, setting), facts),
        shard: setting.shard,
        parts: Vec::new(),
        places: BTreeMap::new(),
    };
    facts.files().name_in(&mut run);
    accept(&mut run, catalog);
    run.places = places(&run, facts);
    run.run_id = run.id(facts);
    run
}

/// Where the program declares what did not pass, by ARN and by name.
fn places(run: &Run, facts: &Facts) -> BTreeMap<String, String> {
    let Ok(Answer::Program(program)) = facts.get(&Observation::Program) else {
        return BTreeMap::new();
    };
    let mut declared: BTreeMap<String, &str> = BTreeMap::new();
    for resource in &program.declared {
        let name = format!("program:{}/{}", resource.program, resource.name);
        declared.insert(name, &resource.place);
        if let Some(arn) = &resource.arn {
            // The first one declares it; its policy or its rotation come after it.
            declared.entry(arn.clone()).or_insert(&resource.place);
        }
    }
    run.controls
        .iter()
        .flat_map(|control| &control.findings)
        .filter(|finding| match finding.verdict {
            Verdict::Fail | Verdict::Inconclusive | Verdict::Waived => true,
            Verdict::Pass | Verdict::NotApplicable => false,
        })
        .filter_map(|finding| {
            let place = declared.get(&finding.resource)?;
            Some((finding.resource.clone(), (*place).to_owned()))
        })
        .collect()
}

fn judge_control(
    control: &Control,
    populations: &Populations<'_>,
    target: Target,
) -> (ControlRun, Vec<ReachPath>) {
    let (mut findings, mut paths) = (Vec::new(), Vec::new());
    for check in &control.checks {
        match check {
            Check::Inspect(inspect) => {
                findings.extend(judge_inspect(control, inspect, populations));
            }
            // What is judged once is judged in the first shard.
            Check::Iam(_) | Check::Probe(_) if !populations.setting.judges_once() => {}
            Check::Iam(iam) => {
                let (found, ways) = judge_access(control, iam, populations, target);
                findings.extend(found);
                paths.extend(ways);
            }
            Check::Probe(check) => findings.extend(probe::judge(
                check,
                populations.common(control),
                populations.facts,
            )),
        }
    }
    let nothing = match populations.setting.shard {
        // Other shards hold its findings.
        Some(_) => Verdict::NotApplicable,
        None => Verdict::Inconclusive,
    };
    let verdict = Verdict::over(findings.iter().map(|finding| finding.verdict)).unwrap_or(nothing);
    let run = ControlRun {
        id: control.id.clone(),
        title: control.title.clone(),
        severity: control.severity.to_string(),
        owner: control.owner.clone(),
        mode: control.mode.to_string(),
        statement: control.statement.trim().to_owned(),
        remediation: control
            .remediation
            .as_ref()
            .map(|remediation| remediation.text.trim().to_owned())
            .unwrap_or_default(),
        runbook: control
            .remediation
            .as_ref()
            .and_then(|remediation| remediation.runbook.clone()),
        mapping: control.mapping.clone(),
        digest: control.digest.clone(),
        parameters: control
            .parameters
            .iter()
            .map(|parameter| (parameter.name.clone(), parameter.value.to_string()))
            .collect(),
        verdict,
        findings,
    };
    (run, paths)
}

/// Access rules are proved over every principal of the account.
fn judge_access(
    control: &Control,
    iam: &Iam,
    populations: &Populations<'_>,
    target: Target,
) -> (Vec<Finding>, Vec<ReachPath>) {
    let bindings = populations.common(control);
    let unseen = match &populations.everyone {
        Ok(everyone) => {
            return everyone.judge(&control.id, iam, &bindings, populations.facts, target);
        }
        Err(unseen) => unseen,
    };
    let findings = iam
        .rules
        .iter()
        .map(|rule| Finding {
            assertion: rule.id.clone(),
            resource: "principals".to_owned(),
            verdict: Verdict::Inconclusive,
            says: rule.says.render(&bindings),
            because: vec![unseen.to_string()],
            evidence: Vec::new(),
            source: rule.source.to_string(),
            count: None,
            digest: None,
            waiver: None,
        })
        .collect();
    (findings, Vec::new())
}

fn judge_inspect(
    control: &Control,
    inspect: &Inspect,
    populations: &Populations<'_>,
) -> Vec<Finding> {
    let population = populations.select(control, inspect);
    let mut findings = vec![population.finding(inspect)];
    match &population.selected {
        Err(unseen) => {
            let unseen = unseen.to_string();
            findings.extend(inspect.rules.iter().map(|rule| Finding {
                assertion: rule.id.clone(),
                resource: population.name.clone(),
                verdict: Verdict::Inconclusive,
                says: rule.that.text().to_owned(),
                because: vec![unseen.clone()],
                evidence: population.evidence.clone(),
                source: rule.source.to_string(),
                count: None,
                digest: None,
                waiver: None,
            }));
        }
        Ok(items) => {
            let read = members(inspect);
            let rules: Vec<Ready<'_>> = inspect.rules.iter().map(Ready::new).collect();
            findings.extend(in_parts(items, |items| {
                let mut bindings = populations.common(control);
                let mut findings = Vec::with_capacity(items.len() * inspect.rules.len());
                for item in items {
                    let (value, unknown) = (item.value.clone(), &item.unknowns);
                    bindings.rebind(&inspect.population.variable, value, unknown, &read);
                    findings.extend(rules.iter().map(|ready| {
                        judge_rule(ready, item, &bindings, &population, populations.facts)
                    }));
                }
                findings
            }));
        }
    }
    findings
}

/// A rule with what is the same for every item.
struct Ready<'a> {
    rule: &'a Rule,
    reads: Reads,
    source: String,
}

impl<'a> Ready<'a> {
    fn new(rule: &'a Rule) -> Self {
        Self {
            rule,
            reads: rule_paths(rule).map(ToString::to_string).collect(),
            source: rule.source.to_string(),
        }
    }
}

fn judge_rule(
    Ready {
        rule,
        reads,
        source,
    }: &Ready<'_>,
    item: &Item,
    bindings: &Bindings,
    population: &Selection<'_>,
    facts: &Facts,
) -> Finding {
    let (verdict, because) = verdict_of(rule, item, bindings);
    let mut evidence = population.evidence.clone();
    for (path, question) in &item.details {
        if reads.touch(path)
            && let Some(digest) = facts.digest(question)
            && !evidence.iter().any(|known| known == digest)
        {
            evidence.push(digest.to_owned());
        }
    }
    Finding {
        assertion: rule.id.clone(),
        resource: item.resource.clone(),
        verdict,
        says: rule.says.render(bindings),
        because,
        evidence,
        source: source.clone(),
        count: None,
        digest: None,
        waiver: None,
    }
}

/// The verdict of one rule on one item, with its reasons.
pub(crate) fn verdict_of(rule: &Rule, item: &Item, bindings: &Bindings) -> (Verdict, Vec<String>) {
    if let Some(reason) = &item.exempt {
        return (Verdict::NotApplicable, vec![reason.clone()]);
    }
    if let Some(when) = &rule.when {
        match when.evaluate(bindings) {
            Ok(true) => {}
            Ok(false) => {
                let reason = format!("applies only when {}", when.text());
                return (Verdict::NotApplicable, vec![reason]);
            }
            Err(error) => return (Verdict::Inconclusive, vec![error.to_string()]),
        }
    }
    match rule.that.evaluate(bindings) {
        Ok(true) => (Verdict::Pass, explained(&rule.that, bindings)),
        Ok(false) => {
            let mut because = explained(&rule.that, bindings);
            because.push(format!("must hold: {}", rule.that.text()));
            (Verdict::Fail, because)
        }
        Err(error) => (Verdict::Inconclusive, vec![error.to_string()]),
    }
}

/// Values found and values allowed.
fn explained(that: &Expression, bindings: &Bindings) -> Vec<String> {
    that.explain(bindings)
        .into_iter()
        .map(|(path, value)| format!("{path} is {value}"))
        .collect()
}

/// The variables that a control's conditions and sentences always have.
pub(crate) fn common(control: &Control, setting: &Setting) -> Bindings {
    let mut bindings = Bindings::new();
    bindings.bind_value("now", setting.now.value());
    bindings.bind_value("stage", Value::from(setting.stage.clone()));
    bindings.bind_value("account_id", Value::from(setting.account.clone()));
    bindings.bind_value("params", control.params());
    bindings
}

/// The populations of all checks, put together once for plan and judgement.
pub(crate) struct Populations<'a> {
    facts: &'a Facts,
    setting: &'a Setting,
    items: BTreeMap<Noun, Result<Vec<Item>, Unseen>>,
    everyone: Result<Everyone, Unseen>,
}

/// The members of one population.
struct Selection<'a> {
    name: String,
    /// Those that are judged here: all, or those of the shard.
    selected: Result<Vec<&'a Item>, Unseen>,
    /// How many there are in all shards together.
    count: usize,
    /// What all shards must have seen alike: a digest of all members, where there are shards.
    digest: Option<String>,
    /// ARNs that a second source knows and the list lacks.
    missing: Result<Vec<String>, Unseen>,
    /// Members whose filter could not be evaluated.
    undecided: Vec<String>,
    /// What its members rest on.
    evidence: Vec<String>,
    /// The same, and the second source that completeness rests on.
    sources: Vec<String>,
}

impl<'a> Populations<'a> {
    /// Puts together every population that the catalogue names.
    pub(crate) fn new(catalog: &Catalog, facts: &'a Facts, setting: &'a Setting) -> Self {
        let mut reads: BTreeMap<Noun, Vec<String>> = BTreeMap::new();
        for control in &catalog.controls {
            for check in &control.checks {
                if let Check::Inspect(inspect) = check {
                    let Some(noun) = Noun::named(&inspect.population.of) else {
                        continue;
                    };
                    reads.entry(noun).or_default().extend(paths(inspect));
                }
            }
        }
        let gaps = Gaps::of(facts);
        let nowhere = nowhere(facts);
        let items = reads
            .into_iter()
            .map(|(noun, reads)| {
                if let Some(unseen) = &nowhere {
                    return (noun, Err(unseen.clone()));
                }
                let reads: Reads = reads.into_iter().collect();
                let items = noun.items(facts, setting, &reads).map(|mut items| {
                    items.sort_by(|left, right| left.resource.cmp(&right.resource));
                    items
                });
                (noun, gaps.poison(noun, items))
            })
            .collect();
        Self {
            facts,
            setting,
            items,
            everyone: match nowhere.or_else(|| gaps.access()) {
                Some(unseen) => Err(unseen),
                None => Everyone::new(facts),
            },
        }
    }

    /// All questions that a check needs answered, as far as they can be known yet.
    pub(crate) fn questions(&self, control: &Control, inspect: &Inspect) -> Vec<Observation> {
        let Some(noun) = Noun::named(&inspect.population.of) else {
            return Vec::new();
        };
        let mut questions = noun.roots(inspect.population.reconcile.is_some());
        let reads: Reads = paths(inspect).into_iter().collect();
        // A filter may itself read details: then they are needed for all.
        let filter_reads: Reads = filter_paths(inspect).into_iter().collect();
        if let Some(Ok(items)) = self.items.get(&noun) {
            for item in items {
                let selected = self.setting.judges(&item.resource)
                    && self.holds(control, inspect, item).unwrap_or(true);
                for (path, question) in &item.details {
                    if filter_reads.touch(path) || (selected && reads.touch(path)) {
                        questions.push(question.clone());
                    }
                }
            }
        }
        questions
    }

    fn select(&'a self, control: &Control, inspect: &Inspect) -> Selection<'a> {
        let noun = Noun::named(&inspect.population.of);
        let reconcile = inspect.population.reconcile.is_some();
        let digests = |reconciled: bool| -> Vec<String> {
            noun.map(|noun| noun.roots(reconciled))
                .unwrap_or_default()
                .iter()
                .filter_map(|question| self.facts.digest(question).map(str::to_owned))
                .collect()
        };
        let mut undecided = Vec::new();
        let mut selected: Result<Vec<&Item>, Unseen> =
            match noun.and_then(|noun| self.items.get(&noun)) {
                Some(Ok(items)) => Ok(items
                    .iter()
                    .filter(|item| {
                        self.holds(control, inspect, item)
                            .unwrap_or_else(|_unevaluable| {
                                undecided.push(item.resource.clone());
                                false
                            })
                    })
                    .collect()),
                Some(Err(unseen)) => Err(unseen.clone()),
                None => Err(Unseen {
                    operation: inspect.population.of.clone(),
                    code: "NotAsked".to_owned(),
                    advice: "the population was never put together".to_owned(),
                }),
            };
        let mut digest = None;
        let count = selected.as_ref().map_or(0, Vec::len);
        if let (Some(_), Ok(items)) = (self.setting.shard, &mut selected) {
            digest = Some(digest_of(items));
            items.retain(|item| self.setting.judges(&item.resource));
        }
        Selection {
            name: population_name(inspect),
            selected,
            count,
            digest,
            missing: match noun {
                Some(noun) if reconcile => noun.missing_from(self.facts),
                Some(_) | None => Ok(Vec::new()),
            },
            undecided,
            evidence: digests(false),
            sources: digests(reconcile),
        }
    }

    /// Whether an item passes the filter of a check.
    fn holds(
        &self,
        control: &Control,
        inspect: &Inspect,
        item: &Item,
    ) -> Result<bool, Unevaluable> {
        match &inspect.population.filter {
            Filter::All => Ok(true),
            Filter::Named(name) => match item.undecided.get(name.as_str()) {
                Some(reason) => Err(Unevaluable {
                    path: name.clone(),
                    message: reason.clone(),
                }),
                None => Ok(item.passes.contains(name.as_str())),
            },
            Filter::Condition(condition) => {
                condition.evaluate(&self.bindings(control, &inspect.population.variable, item))
            }
        }
    }

    /// The variables that are always there.
    pub(crate) fn common(&self, control: &Control) -> Bindings {
        common(control, self.setting)
    }

    fn bindings(&self, control: &Control, variable: &str, item: &Item) -> Bindings {
        let mut bindings = self.common(control);
        bindings.bind_made(variable, item.value.clone(), &item.unknowns);
        bindings
    }
}

impl Selection<'_> {
    /// The finding about the population itself: whether it is complete and large enough.
    fn finding(&self, inspect: &Inspect) -> Finding {
        let min = inspect.population.min;
        let (verdict, says, because) = if let Err(unseen) = &self.selected {
            let says = format!("{} could not be listed", self.name);
            (Verdict::Inconclusive, says, vec![unseen.to_string()])
        } else {
            let found = self.count;
            let mut gaps = Vec::new();
            match &self.missing {
                Ok(missing) => gaps.extend(
                    missing
                        .iter()
                        .map(|arn| format!("a second source knows {arn}, the list lacks it")),
                ),
                Err(unseen) => gaps.push(unseen.to_string()),
            }
            gaps.extend(
                self.undecided
                    .iter()
                    .map(|resource| format!("whether {resource} belongs to it is not known")),
            );
            if found < min {
                gaps.push(format!("at least {min} must exist, {found} found"));
            }
            let says = match &inspect.population.reconcile {
                Some(source) => format!(
                    "{} are complete: {found} found, reconciled with {source}",
                    self.name,
                ),
                None => format!("{}: {found} found", self.name),
            };
            let verdict = if gaps.is_empty() {
                Verdict::Pass
            } else {
                Verdict::Inconclusive
            };
            (verdict, says, gaps)
        };
        Finding {
            assertion: inspect.id.clone(),
            resource: self.name.clone(),
            verdict,
            says,
            because,
            evidence: self.sources.clone(),
            source: inspect.source.to_string(),
            count: None,
            digest: self.digest.clone(),
            waiver: None,
        }
    }
}

/// Why nobody knows whose answers these are, where the account did not say which one it is: then nothing that it
/// answered is a fact about the account that was meant.
pub(crate) fn nowhere(facts: &Facts) -> Option<Unseen> {
    let asked = facts.asked(&Observation::Caller);
    asked
        .then(|| facts.get(&Observation::Caller).err())
        .flatten()
}

/// SHA-256 over the members of a population, one a line.
fn digest_of(items: &[&Item]) -> String {
    let mut hash = Sha256::new();
    for item in items {
        hash.update(item.resource.as_bytes());
        hash.update(b"\n");
    }
    hex(&hash.finalize())
}

fn population_name(inspect: &Inspect) -> String {
    let noun = &inspect.population.of;
    match &inspect.population.filter {
        Filter::All => noun.clone(),
        Filter::Named(name) => format!("{noun}/{name}"),
        Filter::Condition(condition) => format!("{noun} where {}", condition.text()),
    }
}

/// The members of an item that a check reads.
fn members(inspect: &Inspect) -> Members {
    let filter = match &inspect.population.filter {
        Filter::Condition(condition) => condition.reads(),
        Filter::All | Filter::Named(_) => &[],
    };
    Members::of_paths(
        filter
            .iter()
            .chain(inspect.rules.iter().flat_map(rule_paths)),
    )
}

/// All paths that a check reads.
pub(crate) fn paths(inspect: &Inspect) -> Vec<String> {
    let mut paths = filter_paths(inspect);
    for rule in &inspect.rules {
        paths.extend(rule_paths(rule).map(ToString::to_string));
    }
    paths
}

fn filter_paths(inspect: &Inspect) -> Vec<String> {
    match &inspect.population.filter {
        Filter::Condition(condition) => condition.reads().iter().map(ToString::to_string).collect(),
        Filter::All | Filter::Named(_) => Vec::new(),
    }
}

fn rule_paths(rule: &Rule) -> impl Iterator<Item = &Path> {
    rule.that
        .reads()
        .iter()
        .chain(rule.when.iter().flat_map(Expression::reads))
        .chain(rule.says.reads())
}
