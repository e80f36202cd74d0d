//! The passed findings of a rule as one entry, where there are many: nobody reads a hundred thousand of them one by
//! one, and no memory should hold them.
//!
//! In: findings, or the names of what passed. Out: one [`Finding`] with their number and the digest of their names. The
//! names themselves stay with it as long as the run is in memory. Folds are put together like what they stand for: it
//! makes no difference where a population was cut.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::Finding;
use crate::observation::hex;
use crate::shared::Shared;
use crate::verdict::Verdict;

/// Above this many findings the passed ones of a rule become one entry.
pub const MANY_FINDINGS: u64 = 20_000;

/// So many digests of evidence are named by an entry for many findings.
const NAMED: usize = 100;

/// What one entry stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// What the first of them says.
    says: String,
    /// The names of all.
    pub resources: Vec<Shared>,
}

/// Passed findings of one rule on their way to one entry.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    first: Option<Finding>,
    resources: Vec<Shared>,
    evidence: Vec<Shared>,
}

impl Fold {
    /// Whether nothing passed yet: the first one is told in full.
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Adds a finding, or what one stands for already.
    pub(crate) fn add(&mut self, mut finding: Finding) {
        self.rest_on(&finding.evidence);
        match finding.folded.take() {
            Some(folded) => {
                finding.says = folded.says;
                self.resources.extend(folded.resources);
            }
            None => self.resources.push(finding.resource.clone()),
        }
        self.first.get_or_insert(finding);
    }

    /// Adds one that is not the first, by its name and the evidence that it rests on.
    pub(crate) fn add_named<'a>(
        &mut self,
        resource: Shared,
        evidence: impl IntoIterator<Item = &'a Shared>,
    ) {
        self.resources.push(resource);
        self.rest_on(evidence);
    }

    /// Adds all of another one, which comes after this one.
    pub(crate) fn append(&mut self, later: Self) {
        self.resources.extend(later.resources);
        self.rest_on(&later.evidence);
        if self.first.is_none() {
            self.first = later.first;
        }
    }

    fn rest_on<'a>(&mut self, evidence: impl IntoIterator<Item = &'a Shared>) {
        for digest in evidence {
            if self.evidence.len() == NAMED {
                return;
            }
            if !self.evidence.contains(digest) {
                self.evidence.push(digest.clone());
            }
        }
    }

    /// The entry; a single finding as it is.
    pub(crate) fn finish(mut self) -> Option<Finding> {
        let first = self.first?;
        let count = self.resources.len();
        if count == 1 {
            return Some(first);
        }
        self.resources.sort_unstable();
        let mut hash = Sha256::new();
        for resource in &self.resources {
            hash.update(resource.as_bytes());
            hash.update(b"\n");
        }
        Some(Finding {
            resource: format!("{count} resources").into(),
            says: format!("{} (and {} more)", first.says, count - 1),
            because: Vec::new(),
            evidence: self.evidence,
            count: u64::try_from(count).ok(),
            digest: Some(hex(&hash.finalize())),
            waiver: None,
            folded: Some(Box::new(Folded {
                says: first.says,
                resources: self.resources,
            })),
            assertion: first.assertion,
            source: first.source,
            verdict: Verdict::Pass,
        })
    }
}

/// Findings with the passed ones of every rule as one entry: rule after rule, and in each what did not pass first.
pub(crate) fn fold(findings: Vec<Finding>) -> Vec<Finding> {
    let mut order: BTreeMap<(Shared, Shared), usize> = BTreeMap::new();
    let mut rules: Vec<(Vec<Finding>, Fold)> = Vec::new();
    for finding in findings {
        let rule = (finding.source.clone(), finding.assertion.clone());
        let at = *order.entry(rule).or_insert(rules.len());
        if at == rules.len() {
            rules.push((Vec::new(), Fold::default()));
        }
        let Some((kept, passed)) = rules.get_mut(at) else {
            continue;
        };
        if finding.verdict == Verdict::Pass {
            passed.add(finding);
        } else {
            kept.push(finding);
        }
    }
    rules
        .into_iter()
        .flat_map(|(kept, passed)| kept.into_iter().chain(passed.finish()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(resource: &str, evidence: &str) -> Finding {
        let says = format!("{resource} rotates");
        Finding::new(
            ("rotates", "c.yaml:1:1"),
            resource,
            Verdict::Pass,
            says,
            Vec::new(),
        )
        .resting_on(vec![evidence.into()])
    }

    #[test]
    fn it_makes_no_difference_where_a_population_is_cut() {
        let names: Vec<String> = (0..250).map(|n| format!("secret-{n:03}")).collect();
        let all: Vec<Finding> = names.iter().map(|name| passed(name, name)).collect();
        let whole = fold(all.clone());
        for cut in [0, 1, 2, 120, 249] {
            let (left, right) = all.split_at(cut);
            let parts = [fold(left.to_vec()), fold(right.to_vec())].concat();
            assert_eq!(fold(parts), whole, "{cut}");
        }
        assert_eq!(whole.len(), 1);
        for entry in whole {
            assert_eq!(entry.count, Some(250));
            assert_eq!(entry.says, "secret-000 rotates (and 249 more)");
            assert_eq!(entry.evidence.len(), NAMED);
            assert_eq!(entry.resources().count(), 250);
        }
    }

    #[test]
    fn what_did_not_pass_is_told_one_by_one() {
        let failed = Finding {
            verdict: Verdict::Fail,
            ..passed("b", "1")
        };
        let told = fold(vec![passed("a", "1"), failed.clone(), passed("c", "2")]);
        assert_eq!(told.len(), 2);
        assert_eq!(told.first(), Some(&failed));
        assert_eq!(told.last().and_then(|entry| entry.count), Some(2));
        assert_eq!(fold(vec![passed("a", "1")]), [passed("a", "1")]);
    }
}
