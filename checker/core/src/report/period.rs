//! Many runs as one period: which nights ran, which are missing, what was mended and how long that took.
//!
//! In: a run and the runs before it, of which outlines are enough. Out: [`Period`], which reports draw. A night is a UTC
//! day; a day without a run is missing, whatever the reason. Runs that judged one resource only do not count.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate, TimeDelta};

use crate::observation::Time;
use crate::run::{ControlRun, Run};
use crate::verdict::Verdict;

/// The longest period that is looked at, in days, counted back from the newest run.
const LONGEST: u64 = 400;

/// The runs of one subject, oldest first, seen as a period.
#[derive(Debug, Default)]
pub(super) struct Period<'a> {
    /// Every day from the first run to the last.
    pub(super) nights: Vec<Night<'a>>,
    /// Findings that failed and no longer do.
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
    /// How many controls the newest run judges that were known by then and not judged on this day.
    pub(super) unjudged: usize,
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
    /// The verdict over the last word of the day on every control; none on a missing night. A day that left controls
    /// out has not passed, whatever the others say.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        let last: BTreeMap<&str, Verdict> = self
            .runs
            .iter()
            .flat_map(|run| &run.controls)
            .map(|control| (control.id.as_str(), control.verdict))
            .collect();
        let left_out = (self.unjudged > 0).then_some(Verdict::Inconclusive);
        Verdict::over(last.into_values().chain(left_out))
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
        runs.retain(|run| run.is_whole());
        Self::of(&runs, run.started.date_naive())
    }

    /// The period of these runs, which are in order.
    fn of(runs: &[&'a Run], last: NaiveDate) -> Self {
        let (remediated, open) = remedied(runs);
        Self {
            nights: nights(runs, last),
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

fn nights<'a>(runs: &[&'a Run], last: NaiveDate) -> Vec<Night<'a>> {
    let mut days: BTreeMap<NaiveDate, Vec<&Run>> = BTreeMap::new();
    for run in runs {
        days.entry(run.started.date_naive()).or_default().push(run);
    }
    let Some(&first) = days.keys().next() else {
        return Vec::new();
    };
    let ids = |run: &&'a Run| -> Vec<&'a str> {
        run.controls
            .iter()
            .map(|control| control.id.as_str())
            .collect()
    };
    let wanted: BTreeSet<&str> = runs
        .last()
        .map(ids)
        .unwrap_or_default()
        .into_iter()
        .collect();
    let earliest = last.checked_sub_days(Days::new(LONGEST)).unwrap_or(first);
    let mut known: BTreeSet<&str> = BTreeSet::new();
    first
        .iter_days()
        .take_while(|day| *day <= last)
        .map(|date| {
            let runs = days.remove(&date).unwrap_or_default();
            let judged: BTreeSet<&str> = runs.iter().flat_map(ids).collect();
            known.extend(&judged);
            let unjudged = known
                .intersection(&wanted)
                .filter(|id| !runs.is_empty() && !judged.contains(*id))
                .count();
            Night {
                date,
                runs,
                unjudged,
            }
        })
        .filter(|night| night.date >= earliest)
        .collect()
}

type Key<'a> = (&'a str, &'a str, &'a str);

/// What was mended, and what still fails.
fn remedied(runs: &[&Run]) -> (Vec<Remedied>, Vec<Remedied>) {
    let mut failing: BTreeMap<Key<'_>, Time> = BTreeMap::new();
    let mut done = Vec::new();
    for run in runs {
        for control in &run.controls {
            let now = Verdicts::of(control).beside(run);
            let of_control: Vec<Key<'_>> = failing
                .range((control.id.as_str(), "", "")..)
                .take_while(|((id, _, _), _)| *id == control.id)
                .map(|(key, _)| *key)
                .collect();
            for key in of_control {
                match now.said(key) {
                    // Fails still, or nobody could look: it stays open.
                    Said::Open => {}
                    Said::NoLonger => {
                        if let Some(since) = failing.remove(&key) {
                            done.push(note(key, since, run.started));
                        }
                    }
                    // No longer open, and not mended either.
                    Said::Excepted => {
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
    control: &'a str,
    exact: BTreeMap<Key<'a>, Verdict>,
    /// Whether findings that fail may be left out, as in an outline that was cut.
    cut: bool,
}

/// What a run says of a finding that failed before.
enum Said {
    /// It fails, could not be decided, or may have been left out.
    Open,
    /// It passes, does not apply any more, or its resource is gone.
    NoLonger,
    /// It is waived.
    Excepted,
}

impl<'a> Verdicts<'a> {
    fn of(control: &'a ControlRun) -> Self {
        let exact: BTreeMap<Key<'a>, Verdict> = control
            .findings
            .iter()
            .map(|finding| {
                let key = (
                    control.id.as_str(),
                    finding.assertion.as_str(),
                    finding.resource.as_str(),
                );
                (key, finding.verdict)
            })
            .collect();
        Self {
            control: &control.id,
            exact,
            cut: false,
        }
    }

    /// The same, beside the counts that the run has for it.
    fn beside(mut self, run: &Run) -> Self {
        let open = |verdict: &&Verdict| matches!(verdict, Verdict::Fail | Verdict::Inconclusive);
        let listed = u64::try_from(self.exact.values().filter(open).count()).unwrap_or(u64::MAX);
        self.cut = run
            .summary
            .iter()
            .find(|row| row.control == self.control)
            .is_some_and(|row| row.failed + row.inconclusive > listed);
        self
    }

    fn said(&self, key: Key<'_>) -> Said {
        match self.exact.get(&key) {
            Some(Verdict::Fail | Verdict::Inconclusive) => Said::Open,
            Some(Verdict::Waived) => Said::Excepted,
            Some(Verdict::Pass | Verdict::NotApplicable) => Said::NoLonger,
            None => {
                if self.cut {
                    Said::Open
                } else {
                    Said::NoLonger
                }
            }
        }
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
            (&[Some(Fail), None], Some(1), 0),
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
    fn outlines_of_runs_tell_the_same() {
        let earlier = [on(1, Some(Fail)), on(2, Some(Pass)), on(3, Some(Fail))].map(Run::outline);
        let newest = on(4, Some(Pass));
        assert_eq!(Period::until(&newest, &earlier).remediated.len(), 2);
        // An outline that lists fewer failures than it counts may have left this one out.
        let mut cut = on(2, Some(Fail)).outline();
        for control in &mut cut.controls {
            control.findings.clear();
        }
        let still = on(3, Some(Fail));
        let runs = [on(1, Some(Fail)), cut];
        let period = Period::until(&still, &runs);
        assert!(period.remediated.is_empty());
        assert_eq!(
            period.open.first().map(|open| open.took().num_days()),
            Some(2)
        );
    }

    #[test]
    fn a_run_on_some_controls_speaks_for_those_only() {
        let control =
            |id: &str, verdict| sample::control(id, vec![finding("rule", "arn:x", verdict)]);
        let night = sample::run(1, vec![control("A", Fail), control("B", Pass)]);
        let mut again = sample::run(1, vec![control("A", Pass)]);
        again.started += chrono::TimeDelta::hours(3);
        "again".clone_into(&mut again.run_id);
        let some = sample::run(2, vec![control("A", Pass)]);
        let newest = sample::run(
            3,
            vec![control("A", Pass), control("B", Pass), control("C", Pass)],
        );
        let earlier = [night, again, some];
        let period = Period::until(&newest, &earlier);
        let verdicts: Vec<_> = period.nights.iter().map(super::Night::verdict).collect();
        assert_eq!(verdicts, [Some(Pass), Some(Inconclusive), Some(Pass)]);
    }

    #[test]
    fn a_run_on_one_resource_is_no_night() {
        let whole = on(1, Some(Fail));
        let one = on(2, Some(Pass)).only("arn:x");
        assert!(
            one.as_ref()
                .is_some_and(|one| !one.is_whole() && !one.clone().outline().is_whole())
        );
        let newest = on(3, Some(Fail));
        let earlier: Vec<Run> = [whole].into_iter().chain(one).collect();
        let period = Period::until(&newest, &earlier);
        assert_eq!((period.missed(), period.remediated.len()), (1, 0));
    }
}
