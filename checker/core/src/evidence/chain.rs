//! The chain of runs: each manifest holds the digest of the one before, so that a missing night shows.
//!
//! In: the manifests of a folder of runs, and the head that was published outside it. Out: which run is missing,
//! replaced or twice there, and whether the end is proven.

use std::collections::BTreeMap;

use super::manifest::Manifest;
use super::verify::Problem;
use crate::run::Run;

/// A run in a chain.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Its folder's name.
    pub name: String,
    /// Its manifest.
    pub manifest: Manifest,
    /// SHA-256 of its manifest.
    pub digest: String,
}

/// What outside a folder of runs says about it.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    /// SHA-256 of the newest manifest, as published.
    pub head: Option<String>,
    /// SHA-256 of the manifest before the first run here, where that is kept elsewhere.
    pub before: Option<String>,
}

/// What was found out about a chain.
#[derive(Debug, Default)]
pub struct Chain {
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What can't be proven.
    pub unproven: Vec<String>,
}

/// Checks the runs of one folder.
pub fn check(mut runs: Vec<Placed>, outside: &Outside) -> Chain {
    runs.sort_by(|one, other| {
        (one.manifest.sequence, &one.name).cmp(&(other.manifest.sequence, &other.name))
    });
    let mut chain = Chain::default();
    if let Some(first) = runs.first() {
        chain.first(first, outside);
    }
    for (before, after) in runs.iter().zip(runs.iter().skip(1)) {
        chain.step(before, after);
    }
    chain.end(&runs, outside);
    chain
}

/// What runs tell of the runs before them, against those runs themselves. Each run comes with its name, its own
/// outline, and what it tells.
pub fn trends<'a>(
    runs: impl Iterator<Item = (&'a str, &'a Run, &'a [Run])> + Clone,
) -> Vec<Problem> {
    let known: BTreeMap<&str, &Run> = runs
        .clone()
        .map(|(_, run, _)| (run.run_id.as_str(), run))
        .collect();
    runs.flat_map(|(name, _, earlier)| {
        earlier
            .iter()
            .filter(|told| {
                known
                    .get(told.run_id.as_str())
                    .is_some_and(|run| *run != *told)
            })
            .map(move |told| {
                Problem::new(
                    name,
                    format!(
                        "tells of run {} what that run does not say itself",
                        told.run_id
                    ),
                )
            })
    })
    .collect()
}

impl Chain {
    fn wrong(&mut self, run: &str, what: String) {
        self.problems.push(Problem::new(run, what));
    }

    fn first(&mut self, first: &Placed, outside: &Outside) {
        let manifest = &first.manifest;
        match (&manifest.previous, manifest.sequence) {
            (None, 1) => {
                if outside.before.is_some() {
                    self.wrong(&first.name, "begins a chain, and something is said to come before it".to_owned());
                }
            }
            (None, sequence) => self.wrong(
                &first.name,
                format!("is number {sequence}, and names no run before it"),
            ),
            (Some(previous), sequence) => match &outside.before {
                Some(before) if *before == previous.manifest => {}
                Some(_) => self.wrong(
                    &first.name,
                    format!("does not follow the manifest given with --previous: it follows {}", previous.run_id),
                ),
                None => self.wrong(
                    &first.name,
                    format!(
                        "is number {sequence}: the runs before it are missing, the last of them {} (give its manifest \
                         with --previous if they are kept elsewhere)",
                        previous.run_id
                    ),
                ),
            },
        }
    }

    fn step(&mut self, before: &Placed, after: &Placed) {
        let (from, to) = (before.manifest.sequence, after.manifest.sequence);
        let follows = after.manifest.previous.as_ref();
        if from == to {
            self.wrong(
                &after.name,
                format!("is number {to}, and so is {}: the chain forks", before.name),
            );
        } else if to - from > 1 {
            let missing = match to - from {
                2 => format!("run number {} is missing", from + 1),
                _ => format!("the runs {} to {} are missing", from + 1, to - 1),
            };
            let last = follows.map(|link| link.run_id.clone()).unwrap_or_default();
            self.wrong(
                &after.name,
                format!(
                    "{missing} between {} and this one, which follows {last}",
                    before.name
                ),
            );
        } else if follows.is_none_or(|link| link.manifest != before.digest) {
            self.wrong(
                &after.name,
                format!(
                    "does not follow {}: that run is not the one that stood there",
                    before.name
                ),
            );
        }
    }

    fn end(&mut self, runs: &[Placed], outside: &Outside) {
        let Some(last) = runs.last() else {
            return;
        };
        let Some(head) = &outside.head else {
            self.unproven.push(format!(
                "that {} is the newest run: no published head was given (--head SHA256)",
                last.name
            ));
            return;
        };
        match runs.iter().position(|run| run.digest == *head) {
            None => self.wrong(
                &last.name,
                format!(
                    "is not the newest run: the published head is {head}, and no run here has this digest; newer runs are missing \
                     or it was replaced"
                ),
            ),
            Some(index) => {
                let newer = runs.len() - 1 - index;
                if newer > 0 {
                    self.unproven.push(format!(
                        "the end of the chain: {newer} runs are newer than the published head"
                    ));
                }
            }
        }
    }
}
