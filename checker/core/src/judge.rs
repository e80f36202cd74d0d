//! From facts to verdicts: pure, and the same for a nightly run, a test, a gate and a later verification.
//!
//! In: the catalogue, the facts and the [`Setting`] (which holds the time). Out: a [`Run`]. Every finding says
//! why, down to the values compared, the evidence and the line of the control.

use std::collections::BTreeMap;

use cel::Value;
use serde::{Deserialize, Serialize};

use crate::accept::accept;
use crate::access::Everyone;
use crate::control::{AccessRule, Catalog, Check, Control, Iam, Inspect, Rule};
use crate::expression::types::Typed as _;
use crate::expression::{Bindings, Expression, with_deep_stack};
use crate::observation::{Answer, Facts, Observation, Time, Unseen};
use crate::population::gap::Gaps;
use crate::population::{Item, Setting};
use crate::probe;
use crate::run::{self, ControlRun, Finding, MANY_FINDINGS, ReachPath, Run, Target};
use crate::verdict::Verdict;

mod look;
mod populations;

pub(crate) use look::paths;
pub(crate) use populations::Populations;

use populations::Inspected;

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

/// Judges all controls. Of very many findings those that passed are one entry a rule.
pub fn judge(catalog: &Catalog, facts: &Facts, setting: &Setting, about: About) -> Run {
    judge_folding(catalog, facts, setting, about, true)
}

/// Judges all controls, and keeps what they say of one resource; nothing when they say nothing.
pub fn judge_only(
    catalog: &Catalog,
    facts: &Facts,
    setting: &Setting,
    about: About,
    resource: &str,
) -> Option<Run> {
    judge_folding(catalog, facts, setting, about, false).only(resource)
}

/// Judges all controls; `fold` says whether very many findings may be folded.
pub(crate) fn judge_folding(
    catalog: &Catalog,
    facts: &Facts,
    setting: &Setting,
    about: About,
    fold: bool,
) -> Run {
    let (many, (controls, paths)) = with_deep_stack(|| {
        let populations = Populations::new(catalog, facts, setting);
        let many = fold && populations.size() > MANY_FINDINGS;
        let mut bench = Bench {
            facts,
            setting,
            target: about.target,
            inspected: populations.inspect(many),
            everyone: match nowhere(facts).or_else(|| Gaps::of(facts).access()) {
                Some(unseen) => Err(unseen),
                None => Everyone::new(facts),
            },
        };
        let controls = catalog.controls.iter().enumerate();
        let judged: (Vec<ControlRun>, Vec<Vec<ReachPath>>) = controls
            .map(|(number, control)| bench.judge(number, control))
            .unzip();
        (many, judged)
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
    if many || (fold && run.findings() > MANY_FINDINGS) {
        return run.folded();
    }
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
            let place = declared.get(finding.resource.as_str())?;
            Some((finding.resource.to_string(), (*place).to_owned()))
        })
        .collect()
}

/// What every control is judged from.
struct Bench<'a> {
    facts: &'a Facts,
    setting: &'a Setting,
    target: Target,
    inspected: Inspected,
    everyone: Result<Everyone, Unseen>,
}

impl Bench<'_> {
    fn judge(&mut self, number: usize, control: &Control) -> (ControlRun, Vec<ReachPath>) {
        let (mut findings, mut paths) = (Vec::new(), Vec::new());
        // There may be very many, and room for twice as many is much.
        let add = |findings: &mut Vec<Finding>, found: Vec<Finding>| {
            findings.reserve_exact(found.len());
            findings.extend(found);
        };
        for (check, asked) in control.checks.iter().enumerate() {
            match asked {
                Check::Inspect(inspect) => match self.inspected.remove(&(number, check)) {
                    Some(found) => add(&mut findings, found),
                    // The catalogue knows no such population, or it was never put together: nothing was seen of it.
                    None => findings.push(unseen(inspect)),
                },
                // What is judged once is judged in the first shard.
                Check::Iam(_) | Check::Probe(_) if !self.setting.judges_once() => {}
                Check::Iam(iam) => {
                    let (found, ways) = self.access(control, iam);
                    add(&mut findings, found);
                    paths.extend(ways);
                }
                Check::Probe(check) => {
                    let bindings = common(control, self.setting);
                    add(&mut findings, probe::judge(check, bindings, self.facts));
                }
            }
        }
        let nothing = match self.setting.shard {
            // Other shards hold its findings.
            Some(_) => Verdict::NotApplicable,
            None => Verdict::Inconclusive,
        };
        let verdict =
            Verdict::over(findings.iter().map(|finding| finding.verdict)).unwrap_or(nothing);
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
    fn access(&self, control: &Control, iam: &Iam) -> (Vec<Finding>, Vec<ReachPath>) {
        let bindings = common(control, self.setting);
        let unseen = match &self.everyone {
            Ok(everyone) => {
                return everyone.judge(&control.id, iam, &bindings, self.facts, self.target);
            }
            Err(unseen) => unseen.to_string(),
        };
        let inconclusive = |rule: &AccessRule| {
            let source = rule.source.to_string();
            let says = rule.says.render(&bindings);
            let verdict = Verdict::Inconclusive;
            let because = vec![unseen.clone()];
            Finding::new((&rule.id, &source), "principals", verdict, says, because)
        };
        (iam.rules.iter().map(inconclusive).collect(), Vec::new())
    }
}

/// What is said of an inspection that looked at nothing.
fn unseen(inspect: &Inspect) -> Finding {
    let name = &inspect.population.of;
    let source = inspect.source.to_string();
    let says = format!("{name} could not be listed");
    let because = vec!["the population was never put together".to_owned()];
    let verdict = Verdict::Inconclusive;
    Finding::new((&inspect.id, &source), name, verdict, says, because)
}

/// The verdict of one rule on one item, with its reasons.
pub(crate) fn verdict_of(rule: &Rule, item: &Item, bindings: &Bindings) -> (Verdict, Vec<String>) {
    let (verdict, because) = weighed(rule, item, bindings);
    let because = because.unwrap_or_else(|| explained(&rule.that, verdict, bindings));
    (verdict, because)
}

/// The verdict of one rule on one item, with its reasons where the values found are not the reason.
fn weighed(rule: &Rule, item: &Item, bindings: &Bindings) -> (Verdict, Option<Vec<String>>) {
    let because = |verdict, reason| (verdict, Some(vec![reason]));
    if let Some(reason) = &item.exempt {
        return because(Verdict::NotApplicable, reason.clone());
    }
    if let Some(when) = &rule.when {
        match when.evaluate(bindings) {
            Ok(true) => {}
            Ok(false) => {
                let reason = format!("applies only when {}", when.text());
                return because(Verdict::NotApplicable, reason);
            }
            Err(error) => return because(Verdict::Inconclusive, error.to_string()),
        }
    }
    match rule.that.evaluate(bindings) {
        Ok(true) => (Verdict::Pass, None),
        Ok(false) => (Verdict::Fail, None),
        Err(error) => because(Verdict::Inconclusive, error.to_string()),
    }
}

/// Values found and values allowed.
fn explained(that: &Expression, verdict: Verdict, bindings: &Bindings) -> Vec<String> {
    let mut because: Vec<String> = that
        .explain(bindings)
        .map(|(path, value)| format!("{path} is {value}"))
        .collect();
    if verdict == Verdict::Fail {
        because.push(format!("must hold: {}", that.text()));
    }
    because
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

/// Why nobody knows whose answers these are, where the account did not say which one it is: then nothing that it
/// answered is a fact about the account that was meant.
pub(crate) fn nowhere(facts: &Facts) -> Option<Unseen> {
    let asked = facts.asked(&Observation::Caller);
    asked
        .then(|| facts.get(&Observation::Caller).err())
        .flatten()
}
