//! Many runs as one period: which nights ran, which are missing, what was mended and how long that took.
//!
//! In: a run and the runs before it. Out: [`Period`], which reports draw. A night is a UTC day; a day without a run is
//! missing, whatever the reason.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate, TimeDelta};

use crate::observation::Time;
use crate::run::{Finding, Run};
use crate::verdict::Verdict;

/// The longest period that is looked at, in days, counted back from the newest run.
const LONGEST: u64 = 400;

/// The runs of one subject, oldest first, seen as a period.
#[derive(Debug, Default)]
pub(super) struct Period<'a> {
    /// Every day from the first run to the last.
    pub(super) nights: Vec<Night<'a>>,
    /// Findings that failed and passed later.
    pub(super) remediated: Vec<Remedied>,
    /// Findings that fail in the newest run, with the time since when.
    pub(super) open: Vec<Remedied>,
}

/// One UTC day.
#[derive(Debug)]
pub(super) struct Night<'a> {
    /// The day.
    pub(super) date: NaiveDate,
    /// Its runs, oldest first; none on a missing night.
    pub(super) runs: Vec<&'a Run>,
}

/// A finding that failed, from the first run that saw it to the first that saw it mended (or to the newest run).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remedied {
    /// Control id.
    pub(super) control: String,
    /// Rule id.
    pub(super) assertion: String,
    /// The resource.
    pub(super) resource: String,
    /// When a run first saw it fail.
    pub(super) since: Time,
    /// When a run first saw it pass; for an open one the newest run.
    pub(super) until: Time,
}

impl Remedied {
    /// How long it failed, as far as runs can tell.
    pub(super) fn took(&self) -> TimeDelta {
        self.until - self.since
    }
}

impl Night<'_> {
    /// The verdict of the day's last run.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        self.runs.last().map(|run| run.verdict)
    }
}

impl<'a> Period<'a> {
    /// The period that ends with a run. Earlier runs of another target, account, region or stage are left out, and so
    /// are later ones.
    pub(super) fn until(run: &'a Run, earlier: &'a [Run]) -> Self {
        let mut runs: Vec<&Run> = earlier
            .iter()
            .filter(|other| {
                same_subject(run, other)
                    && other.run_id != run.run_id
                    && other.started <= run.started
            })
            .chain([run])
            .collect();
        runs.sort_by(|left, right| {
            (left.started, &left.run_id).cmp(&(right.started, &right.run_id))
        });
        runs.dedup_by(|left, right| left.run_id == right.run_id);
        Self::of(&runs)
    }

    /// The period of these runs, which are in order.
    fn of(runs: &[&'a Run]) -> Self {
        let (remediated, open) = remedied(runs);
        Self {
            nights: nights(runs),
            remediated,
            open,
        }
    }

    /// How many runs there were.
    pub(super) fn ran(&self) -> usize {
        self.nights.iter().map(|night| night.runs.len()).sum()
    }

    /// How many days have no run.
    pub(super) fn missed(&self) -> usize {
        self.count(|night| night.runs.is_empty())
    }

    /// How many days end with this verdict.
    pub(super) fn ended(&self, verdict: Verdict) -> usize {
        self.count(|night| night.verdict() == Some(verdict))
    }

    fn count(&self, which: impl Fn(&Night<'_>) -> bool) -> usize {
        self.nights.iter().filter(|night| which(night)).count()
    }

    /// The median and the longest time to remediate.
    pub(super) fn time_to_remediate(&self) -> Option<(TimeDelta, TimeDelta)> {
        let mut took: Vec<TimeDelta> = self.remediated.iter().map(Remedied::took).collect();
        took.sort();
        Some((*took.get(took.len() / 2)?, *took.last()?))
    }
}

/// Whether two runs judge the same thing.
pub(super) fn same_subject(left: &Run, right: &Run) -> bool {
    left.target == right.target
        && left.account == right.account
        && left.region == right.region
        && left.stage == right.stage
}

fn nights<'a>(runs: &[&'a Run]) -> Vec<Night<'a>> {
    let mut days: BTreeMap<NaiveDate, Vec<&Run>> = BTreeMap::new();
    for run in runs {
        days.entry(run.started.date_naive()).or_default().push(run);
    }
    let (Some(&first), Some(&last)) = (days.keys().next(), days.keys().next_back()) else {
        return Vec::new();
    };
    let earliest = last.checked_sub_days(Days::new(LONGEST)).unwrap_or(first);
    first
        .max(earliest)
        .iter_days()
        .take_while(|day| *day <= last)
        .map(|date| Night {
            date,
            runs: days.remove(&date).unwrap_or_default(),
        })
        .collect()
}

type Key<'a> = (&'a str, &'a str, &'a str);

/// What was mended, and what still fails.
fn remedied(runs: &[&Run]) -> (Vec<Remedied>, Vec<Remedied>) {
    let mut failing: BTreeMap<Key<'_>, Time> = BTreeMap::new();
    let mut done = Vec::new();
    for run in runs {
        for control in &run.controls {
            let now = verdicts(&control.id, &control.findings);
            let of_control: Vec<Key<'_>> = failing
                .range((control.id.as_str(), "", "")..)
                .take_while(|((id, _, _), _)| *id == control.id)
                .map(|(key, _)| *key)
                .collect();
            for key in of_control {
                match now.said(key) {
                    // Fails still, or nobody could look: it stays open.
                    Some(Verdict::Fail | Verdict::Inconclusive) => {}
                    Some(Verdict::Pass) => {
                        if let Some(since) = failing.remove(&key) {
                            done.push(note(key, since, run.started));
                        }
                    }
                    // Excepted, or gone: no longer open, and not mended either.
                    Some(Verdict::Waived | Verdict::NotApplicable) | None => {
                        failing.remove(&key);
                    }
                }
            }
            for finding in &control.findings {
                if finding.verdict == Verdict::Fail {
                    failing
                        .entry((&control.id, &finding.assertion, &finding.resource))
                        .or_insert(run.started);
                }
            }
        }
    }
    let last = runs.last().map(|run| run.started);
    let open = failing
        .into_iter()
        .filter_map(|(key, since)| Some(note(key, since, last?)))
        .collect();
    (done, open)
}

fn note((control, assertion, resource): Key<'_>, since: Time, until: Time) -> Remedied {
    Remedied {
        control: control.to_owned(),
        assertion: assertion.to_owned(),
        resource: resource.to_owned(),
        since,
        until,
    }
}

/// What one control of a run says of each rule and resource.
struct Verdicts<'a> {
    exact: BTreeMap<Key<'a>, Verdict>,
    /// Rules whose passed findings are one entry.
    condensed: Vec<&'a str>,
}

fn verdicts<'a>(control: &'a str, findings: &'a [Finding]) -> Verdicts<'a> {
    Verdicts {
        exact: findings
            .iter()
            .map(|finding| {
                let key = (
                    control,
                    finding.assertion.as_str(),
                    finding.resource.as_str(),
                );
                (key, finding.verdict)
            })
            .collect(),
        condensed: findings
            .iter()
            .filter(|finding| finding.verdict == Verdict::Pass && finding.count.is_some())
            .map(|finding| finding.assertion.as_str())
            .collect(),
    }
}

impl Verdicts<'_> {
    fn said(&self, key: Key<'_>) -> Option<Verdict> {
        self.exact
            .get(&key)
            .copied()
            .or_else(|| self.condensed.contains(&key.1).then_some(Verdict::Pass))
    }
}

#[cfg(test)]
mod tests {
    use super::Period;
    use crate::report::sample::{self, finding};
    use crate::run::Run;
    use crate::verdict::Verdict::{self, Fail, Inconclusive, Pass, Waived};

    /// A run on a day with one finding.
    fn on(day: u32, verdict: Option<Verdict>) -> Run {
        let findings = verdict.map(|verdict| finding("interval", "arn:x", verdict));
        sample::run(
            day,
            vec![sample::control("FR-278", findings.into_iter().collect())],
        )
    }

    #[test]
    fn a_day_without_a_run_is_missing() {
        let earlier = [
            on(1, Some(Pass)),
            on(2, Some(Fail)),
            on(5, Some(Inconclusive)),
        ];
        let newest = on(6, Some(Pass));
        let period = Period::until(&newest, &earlier);
        assert_eq!(period.nights.len(), 6);
        assert_eq!((period.ran(), period.missed()), (4, 2));
        assert_eq!(period.ended(Fail), 1);
        assert_eq!(period.ended(Inconclusive), 1);
    }

    #[test]
    fn only_runs_of_the_same_subject_before_this_one_count() {
        let mut elsewhere = on(1, Some(Fail));
        elsewhere.account = "999999999999".to_owned();
        let later = on(9, Some(Fail));
        let newest = on(6, Some(Pass));
        let earlier = [elsewhere, later, newest.clone()];
        let period = Period::until(&newest, &earlier);
        assert_eq!((period.ran(), period.missed()), (1, 0));
        assert!(period.remediated.is_empty());
    }

    #[test]
    fn time_to_remediate_runs_from_the_first_failure_to_the_first_pass() {
        // verdicts by day, days to remediate, still open
        type Case<'a> = (&'a [Option<Verdict>], Option<i64>, usize);
        let cases: [Case<'_>; 7] = [
            (&[Some(Fail), Some(Pass)], Some(1), 0),
            (&[Some(Fail), Some(Fail), Some(Pass)], Some(2), 0),
            (&[Some(Fail), Some(Inconclusive), Some(Pass)], Some(2), 0),
            (&[Some(Fail), Some(Inconclusive)], None, 1),
            (&[Some(Fail), Some(Waived)], None, 0),
            (&[Some(Fail), None], None, 0),
            (&[Some(Pass), Some(Fail)], None, 1),
        ];
        for (days, took, open) in cases {
            let mut runs: Vec<Run> = (1..)
                .zip(days)
                .map(|(day, verdict)| on(day, *verdict))
                .collect();
            let Some(newest) = runs.pop() else { continue };
            let period = Period::until(&newest, &runs);
            let longest = period
                .time_to_remediate()
                .map(|(_, longest)| longest.num_days());
            assert_eq!(longest, took, "{days:?}");
            assert_eq!(period.open.len(), open, "{days:?}");
        }
    }

    #[test]
    fn a_pass_among_condensed_ones_counts() {
        let mut passed = finding("interval", "9 resources", Pass);
        passed.count = Some(9);
        let newest = sample::run(2, vec![sample::control("FR-278", vec![passed])]);
        let earlier = [on(1, Some(Fail))];
        assert_eq!(Period::until(&newest, &earlier).remediated.len(), 1);
    }
}
