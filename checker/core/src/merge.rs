//! Several runs as one: of the accounts, regions and shards that were judged apart.
//!
//! In: [`Run`]s over the same controls, each of one account, region and shard, as [`crate::judge::judge`] made them. Out: one
//! [`Run`] that names its parts. Merging proves that nothing is left out: all shards of a place are there, once, with
//! the same controls and parameters, and they saw the same populations; otherwise there is no merged run, or what
//! differs is Inconclusive. Merging nothing is an error, never a pass.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::control::Catalog;
use crate::judge::{About, judge_folding};
use crate::observation::{Facts, hex};
use crate::population::Setting;
use crate::run::{ControlRun, Finding, Fold, MANY_FINDINGS, Part, Run, WaiverNote};
use crate::shared::Shared;
use crate::verdict::Verdict;

/// Why runs are not parts of one run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// There is nothing to merge.
    #[error("merge no runs: give at least one")]
    Nothing,
    /// Two runs were made with other controls, parameters, stage, target or version.
    #[error("merge {left} and {right}: they differ in {what}")]
    Different {
        /// One run's id.
        left: String,
        /// The other's.
        right: String,
        /// What differs.
        what: String,
    },
    /// Two runs are of different days, and one run speaks of one.
    #[error(
        "merge {left} and {right}: they were judged more than a day apart; run the older one again"
    )]
    Apart {
        /// The older run's id.
        left: String,
        /// The newer's.
        right: String,
    },
    /// Shards of a place are missing.
    #[error("merge the shards of {place}: of {of}, these are missing: {missing}")]
    Missing {
        /// Account and region.
        place: String,
        /// The missing numbers.
        missing: String,
        /// How many there should be.
        of: u32,
    },
    /// A shard, or a place that is not sharded, is there twice, or cut into different numbers of shards.
    #[error("merge the shards of {place}: {what}")]
    Overlap {
        /// Account and region.
        place: String,
        /// What overlaps.
        what: String,
    },
    /// A run is itself merged, or speaks of a part of its findings only.
    #[error("merge {0}: it is merged already, or holds one resource only")]
    Partial(String),
}

/// What the verdicts of one part follow from, besides controls and evidence.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartJudged {
    /// Place, time, names and shard.
    pub setting: Setting,
    /// What its run says about itself.
    pub about: About,
}

/// Judges every part from the evidence of all, and puts them together: what `verify` does with a merged run. Where one
/// resource is asked for, nothing else is kept, and there is no run when no rule speaks of it.
pub fn judge_parts(
    catalog: &Catalog,
    facts: &Facts,
    parts: &[PartJudged],
    only: Option<&str>,
) -> Result<Option<Run>, MergeError> {
    let judged = |part: &PartJudged| {
        let own = facts.of_part(&part.setting);
        let fold = only.is_none();
        judge_folding(catalog, &own, &part.setting, part.about.clone(), fold)
    };
    let run = merge_folding(parts.iter().map(judged).collect(), only.is_none())?;
    Ok(match only {
        Some(resource) => run.only(resource),
        None => Some(run),
    })
}

/// One run of all parts. Of very many findings those that passed are one entry a rule.
pub fn merge(runs: Vec<Run>) -> Result<Run, MergeError> {
    merge_folding(runs, true)
}

fn merge_folding(mut runs: Vec<Run>, fold: bool) -> Result<Run, MergeError> {
    runs.sort_by_key(order);
    let Some(first) = runs.first() else {
        return Err(MergeError::Nothing);
    };
    for run in &runs {
        if !run.parts.is_empty() {
            return Err(MergeError::Partial(run.run_id.clone()));
        }
        same(first, run)?;
    }
    of_one_day(&runs)?;
    whole(&runs)?;
    let places: BTreeSet<(&str, &str)> = runs
        .iter()
        .map(|run| (run.account.as_str(), run.region.as_str()))
        .collect();
    let many = places.len() > 1;
    let joined = |part: fn(&Run) -> &str| {
        let all: BTreeSet<&str> = runs.iter().map(part).filter(|it| !it.is_empty()).collect();
        all.into_iter().collect::<Vec<_>>().join(",")
    };
    let controls: Vec<ControlRun> = first
        .controls
        .iter()
        .enumerate()
        .map(|(at, control)| {
            let parts = runs
                .iter()
                .filter_map(|run| Some((run, run.controls.get(at)?)));
            merged_control(control, parts, many)
        })
        .collect();
    let parts: Vec<Part> = runs
        .iter()
        .map(|run| Part {
            account: run.account.clone(),
            region: run.region.clone(),
            shard: run.shard,
            started: run.started,
            run_id: run.run_id.clone(),
        })
        .collect();
    let mut api_calls: BTreeMap<String, u64> = BTreeMap::new();
    for (operation, calls) in runs.iter().flat_map(|run| &run.api_calls) {
        *api_calls.entry(operation.clone()).or_default() += calls;
    }
    let started = runs
        .iter()
        .map(|run| run.started)
        .max()
        .unwrap_or(first.started);
    let collected = |texts: fn(&Run) -> &Vec<String>| {
        let mut all: Vec<String> = Vec::new();
        for text in runs.iter().flat_map(texts) {
            if !all.contains(text) {
                all.push(text.clone());
            }
        }
        all
    };
    let run = Run {
        version: first.version,
        run_id: run_id(started, &parts),
        target: first.target,
        stage: first.stage.clone(),
        account: joined(|run| &run.account),
        region: joined(|run| &run.region),
        started,
        finished: runs
            .iter()
            .map(|run| run.finished)
            .max()
            .unwrap_or(first.finished),
        tool: first.tool.clone(),
        verdict: Verdict::over(controls.iter().map(|control| control.verdict))
            .unwrap_or(Verdict::Inconclusive),
        summary: controls.iter().map(ControlRun::summary).collect(),
        controls,
        not_proven: collected(|run| &run.not_proven)
            .into_iter()
            .filter(|gap| !gap.starts_with(SHARD_GAP))
            .collect(),
        notes: collected(|run| &run.notes),
        api_calls,
        waivers: waivers(&runs),
        reach: runs.iter().flat_map(|run| run.reach.clone()).collect(),
        measurements: runs
            .iter()
            .flat_map(|run| run.measurements.clone())
            .collect(),
        shard: None,
        parts,
        places: runs.iter().flat_map(|run| run.places.clone()).collect(),
    };
    if fold && run.findings() > MANY_FINDINGS {
        return Ok(run.folded());
    }
    Ok(run)
}

/// The waivers of all parts, each once, with all that it covered.
fn waivers(runs: &[Run]) -> Vec<WaiverNote> {
    let mut all: Vec<WaiverNote> = Vec::new();
    for waiver in runs.iter().flat_map(|run| &run.waivers) {
        match all.iter_mut().find(|known| known.id == waiver.id) {
            Some(known) => known.covered += waiver.covered,
            None => all.push(waiver.clone()),
        }
    }
    all
}

/// How the gap begins that every shard states of itself.
pub const SHARD_GAP: &str = "this is shard ";

fn order(run: &Run) -> (String, String, Option<u32>) {
    let number = run.shard.map(crate::shard::Shard::number);
    (run.account.clone(), run.region.clone(), number)
}

/// Whether two runs ask the same of the same kind of thing.
fn same(left: &Run, right: &Run) -> Result<(), MergeError> {
    let what = if left.version != right.version || left.tool != right.tool {
        "the version of the checker".to_owned()
    } else if left.target != right.target || left.stage != right.stage {
        "target or stage".to_owned()
    } else {
        let asked = |run: &Run| -> Vec<_> {
            run.controls
                .iter()
                .map(|it| (it.id.clone(), it.digest.clone(), it.parameters.clone()))
                .collect()
        };
        if asked(left) == asked(right) {
            return Ok(());
        }
        "their controls or parameters".to_owned()
    };
    Err(MergeError::Different {
        left: left.run_id.clone(),
        right: right.run_id.clone(),
        what,
    })
}

/// Whether all were judged within a day: what an old part saw says nothing about tonight.
fn of_one_day(runs: &[Run]) -> Result<(), MergeError> {
    let oldest = runs.iter().min_by_key(|run| run.started);
    let newest = runs.iter().max_by_key(|run| run.started);
    match (oldest, newest) {
        (Some(left), Some(right)) if right.started - left.started > TimeDelta::days(1) => {
            Err(MergeError::Apart {
                left: left.run_id.clone(),
                right: right.run_id.clone(),
            })
        }
        (_, _) => Ok(()),
    }
}

/// Whether every place is there once, or with all its shards once.
fn whole(runs: &[Run]) -> Result<(), MergeError> {
    let mut places: BTreeMap<String, Vec<&Run>> = BTreeMap::new();
    for run in runs {
        let place = format!("{} {}", run.account, run.region);
        places.entry(place).or_default().push(run);
    }
    for (place, runs) in places {
        let overlap = |what: String| MergeError::Overlap {
            place: place.clone(),
            what,
        };
        let shards: Vec<_> = runs.iter().filter_map(|run| run.shard).collect();
        if shards.is_empty() && runs.len() == 1 {
            continue;
        }
        let counts: BTreeSet<u32> = shards.iter().map(|shard| shard.of()).collect();
        let (Some(of), 1) = (counts.first().copied(), counts.len()) else {
            return Err(overlap(
                "they are not all cut into the same number".to_owned(),
            ));
        };
        if shards.len() < runs.len() {
            return Err(overlap("a run that is no shard is among them".to_owned()));
        }
        let numbers: BTreeSet<u32> = shards.iter().map(|shard| shard.number()).collect();
        if numbers.len() < shards.len() {
            return Err(overlap("a shard is there twice".to_owned()));
        }
        let missing: Vec<String> = (1..=of)
            .filter(|number| !numbers.contains(number))
            .map(|number| number.to_string())
            .collect();
        if !missing.is_empty() {
            return Err(MergeError::Missing {
                place,
                missing: missing.join(", "),
                of,
            });
        }
    }
    Ok(())
}

/// What is said of one rule: by resource, and what passed where there was too much of it to be told.
#[derive(Default)]
struct Shelf(BTreeMap<Shared, Finding>, Fold);

fn merged_control<'a>(
    control: &ControlRun,
    parts: impl Iterator<Item = (&'a Run, &'a ControlRun)>,
    many: bool,
) -> ControlRun {
    // In order of the control file, within a rule by resource: the same however the parts were cut.
    let mut rules: Vec<(Shared, Shared)> = Vec::new();
    let mut shelves: BTreeMap<(Shared, Shared), Shelf> = BTreeMap::new();
    for (run, part) in parts {
        for finding in &part.findings {
            let rule = (finding.source.clone(), finding.assertion.clone());
            if !shelves.contains_key(&rule) {
                rules.push(rule.clone());
            }
            let Shelf(shelf, passed) = shelves.entry(rule).or_default();
            let mut finding = finding.clone();
            if finding.folded.is_some() {
                passed.add(finding);
                continue;
            }
            if many && !finding.resource.contains(&run.account) {
                finding.resource =
                    format!("{} ({} {})", finding.resource, run.account, run.region).into();
            }
            join(shelf, finding, run);
        }
    }
    rules.sort_by_key(|(source, _)| place(source));
    let findings: Vec<Finding> = rules
        .into_iter()
        .filter_map(|rule| shelves.remove(&rule))
        .flat_map(|Shelf(told, passed)| told.into_values().chain(passed.finish()))
        .map(|mut finding| {
            // It only compared what the shards saw.
            finding.digest = finding.count.and(finding.digest);
            finding
        })
        .collect();
    ControlRun {
        verdict: Verdict::over(findings.iter().map(|finding| finding.verdict))
            .unwrap_or(Verdict::Inconclusive),
        findings,
        ..control.clone()
    }
}

/// Line and column of `file:line:column`.
fn place(source: &str) -> (u64, u64) {
    let mut parts = source.rsplit(':');
    let mut number = || {
        parts
            .next()
            .and_then(|part| part.parse().ok())
            .unwrap_or_default()
    };
    let (column, line) = (number(), number());
    (line, column)
}

/// Adds a finding to those of its rule: what several parts say alike is said once.
fn join(shelf: &mut BTreeMap<Shared, Finding>, mut finding: Finding, run: &Run) {
    let Some(known) = shelf.get_mut(&finding.resource) else {
        shelf.insert(finding.resource.clone(), finding);
        return;
    };
    let alike = known.verdict == finding.verdict
        && known.says == finding.says
        && known.because == finding.because
        && known.digest == finding.digest;
    if alike {
        for digest in finding.evidence {
            if !known.evidence.contains(&digest) {
                known.evidence.push(digest);
            }
        }
        return;
    }
    if let Some(shard) = run.shard {
        // Shards of one place saw different things: neither is the whole truth.
        if known.verdict != Verdict::Fail {
            known.verdict = if finding.verdict == Verdict::Fail {
                Verdict::Fail
            } else {
                Verdict::Inconclusive
            };
        }
        if known.says != finding.says {
            known
                .because
                .push(format!("shard {shard} says: {}", finding.says));
        }
        known.because.extend(finding.because);
        let advice = "the shards did not see the same; run them again, closer together";
        known.because.retain(|reason| reason != advice);
        known.because.push(advice.to_owned());
        known.evidence.extend(finding.evidence);
        return;
    }
    // The same resource, seen from another region.
    finding.resource = format!("{} (seen from {})", finding.resource, run.region).into();
    shelf.insert(finding.resource.clone(), finding);
}

/// The id of a merged run: its time and a digest of its parts.
fn run_id(started: crate::observation::Time, parts: &[Part]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.run_id.as_bytes());
        hash.update(b"\n");
    }
    let digest: String = hex(&hash.finalize()).chars().take(8).collect();
    format!("{}-{digest}", started.format("%Y%m%dT%H%M%SZ"))
}
