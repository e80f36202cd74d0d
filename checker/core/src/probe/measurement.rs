//! What the report shows of a probe: series against their limit, and what happened when.

use super::trace::Mark;
use super::{Plan, Planned, Script, Trace};
use crate::duration::Duration;
use crate::observation::{Answer, Facts};
use crate::run::{Measurement, Moment};

/// The measurements of every trace that exists, once for each check that it serves.
pub(crate) fn measurements(plan: &Plan, facts: &Facts) -> Vec<Measurement> {
    plan.probes
        .iter()
        .filter_map(|planned| match facts.get(&planned.question()) {
            Ok(Answer::Trace(trace)) => Some((planned, trace)),
            Ok(_) | Err(_) => None,
        })
        .flat_map(|(planned, trace)| of_trace(planned, trace))
        .collect()
}

fn of_trace(planned: &Planned, trace: &Trace) -> Vec<Measurement> {
    let one = |what: &str, values: Vec<Duration>, limit: Option<Duration>, marks: &[Mark]| {
        let values_ms: Vec<u64> = values.into_iter().map(milliseconds).collect();
        (!values_ms.is_empty()).then(|| Measurement {
            probe: planned.checks.join(", "),
            what: what.to_owned(),
            values_ms,
            limit_ms: limit.map(milliseconds),
            timeline: marks.iter().map(moment).collect(),
        })
    };
    let series = match (&planned.script, trace) {
        (Script::Rotate { within, .. }, Trace::Rotate(rotation)) => vec![
            one(
                "rotation time",
                rotation.took.as_known().copied().into_iter().collect(),
                Some(*within),
                &rotation.timeline,
            ),
            one(
                "longest read gap",
                rotation
                    .reader
                    .as_known()
                    .map(|reader| reader.longest_gap)
                    .into_iter()
                    .collect(),
                None,
                &[],
            ),
        ],
        (Script::Anomaly { within, .. }, Trace::Anomaly(anomaly)) => vec![one(
            "alert latency",
            anomaly
                .canary
                .as_known()
                .map(|canary| canary.latencies.clone())
                .unwrap_or_default(),
            Some(*within),
            &anomaly.timeline,
        )],
        // The trace of another kind of script: altered evidence, which the judgement reports.
        _ => Vec::new(),
    };
    series.into_iter().flatten().collect()
}

fn moment(mark: &Mark) -> Moment {
    Moment {
        at_ms: milliseconds(mark.at),
        what: mark.what.clone(),
    }
}

/// Nothing is shorter than no time: a clock that runs behind is not an early alert.
fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_milliseconds()).unwrap_or_default()
}
