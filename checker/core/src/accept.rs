//! What people accepted, applied to what was judged: waivers, and the approved baseline.
//!
//! In: a judged run and its catalogue. Out: the run with waived findings, with findings about waivers that no longer
//! fit, and with what differs from the approved baseline. A pure step after judging: it never looks at facts.

use crate::control::{Catalog, Waiver};
use crate::run::{ControlRun, Finding, Run, WaiverNote};
use crate::verdict::Verdict;

/// The rule that speaks of a waiver itself.
pub(crate) const WAIVER_RULE: &str = "waiver";
/// The rule that speaks of a control's approval.
pub(crate) const BASELINE_RULE: &str = "baseline";

/// Applies waivers and baseline, and puts the verdicts together again.
pub(crate) fn accept(run: &mut Run, catalog: &Catalog) {
    run.waivers = catalog
        .waivers
        .waivers
        .iter()
        .map(|waiver| apply(run, waiver))
        .collect();
    compare(run, catalog);
    run.total();
}

/// Applies one waiver; an Inconclusive finding can't be waived, since nobody has seen what is accepted.
fn apply(run: &mut Run, waiver: &Waiver) -> WaiverNote {
    let (now, account, region) = (run.started, run.account.clone(), run.region.clone());
    let mut covered = 0;
    let mut matched = false;
    let Some(control) = run
        .controls
        .iter_mut()
        .find(|control| control.id == waiver.control)
    else {
        return note(waiver, now, covered);
    };
    for finding in control
        .findings
        .iter_mut()
        .filter(|finding| finding.assertion == waiver.assertion)
        .filter(|finding| finding.resources().any(|name| name == waiver.resource))
    {
        matched = true;
        if finding.verdict != Verdict::Fail {
            continue;
        }
        if waiver.holds(now) {
            covered += 1;
            finding.verdict = Verdict::Waived;
            finding.waiver = Some(waiver.id.clone());
            finding.because.push(format!(
                "waived by {} until {}, {} ({}): {}; meanwhile: {}",
                waiver.approver,
                waiver.expires,
                days(waiver.days_left(now)),
                waiver.ticket,
                waiver.reason.trim(),
                waiver.compensating.trim()
            ));
        } else if waiver.days_left(now) < 0 {
            finding.because.push(format!(
                "waiver `{}` expired on {}: mend it, or have a new waiver approved",
                waiver.id, waiver.expires
            ));
        } else {
            finding.because.push(format!(
                "waiver `{}` holds from {} on only",
                waiver.id, waiver.approved_on
            ));
        }
    }
    if !matched && waiver.holds(now) && speaks_of(&waiver.resource, &account, &region) {
        control.findings.push(orphan(waiver));
    }
    note(waiver, now, covered)
}

/// Whether a resource could be one of this run: an ARN of another account or region is a matter of another run.
fn speaks_of(resource: &str, account: &str, region: &str) -> bool {
    let mut parts = resource.split(':');
    if parts.next() != Some("arn") {
        return true;
    }
    let mut parts = parts.skip(2);
    let same = |part: Option<&str>, ours: &str| {
        part.is_none_or(|part| part.is_empty() || ours.is_empty() || part == ours)
    };
    same(parts.next(), region) && same(parts.next(), account)
}

/// A waiver that nothing matches is wrong: it would silently cover whatever comes to bear that name.
fn orphan(waiver: &Waiver) -> Finding {
    Finding::new(
        (WAIVER_RULE, &waiver.source.to_string()),
        format!("waiver {}", waiver.id),
        Verdict::Fail,
        format!("waiver {} covers something", waiver.id),
        vec![
            format!(
                "no finding of {}.{} is about {}",
                waiver.control, waiver.assertion, waiver.resource
            ),
            "remove the waiver, or name the resource exactly as reports do".to_owned(),
        ],
    )
}

fn note(waiver: &Waiver, now: crate::observation::Time, covered: u64) -> WaiverNote {
    WaiverNote {
        id: waiver.id.clone(),
        control: waiver.control.clone(),
        assertion: waiver.assertion.clone(),
        resource: waiver.resource.clone(),
        reason: waiver.reason.trim().to_owned(),
        compensating: waiver.compensating.trim().to_owned(),
        approver: waiver.approver.clone(),
        approved_on: waiver.approved_on.to_string(),
        expires: waiver.expires.to_string(),
        ticket: waiver.ticket.clone(),
        days_left: waiver.days_left(now),
        covered,
        source: waiver.source.to_string(),
    }
}

fn days(left: i64) -> String {
    match left {
        0 => "its last day".to_owned(),
        1 => "1 day left".to_owned(),
        _ => format!("{left} days left"),
    }
}

/// What differs from the baseline stands in each control and among what was not proven.
fn compare(run: &mut Run, catalog: &Catalog) {
    let Some(baseline) = &catalog.baseline else {
        return;
    };
    for difference in baseline.differences(catalog) {
        run.not_proven.push(format!(
            "that {} is judged as approved: {}",
            difference.control,
            difference.what.join("; ")
        ));
        if let Some(control) = run
            .controls
            .iter_mut()
            .find(|control| control.id == difference.control)
        {
            let finding = unapproved(control, difference.what);
            control.findings.push(finding);
        }
    }
    if !baseline.same_waivers(catalog) {
        run.not_proven.push(
            "that the waivers are the approved ones: they differ from the baseline".to_owned(),
        );
    }
}

fn unapproved(control: &ControlRun, mut what: Vec<String>) -> Finding {
    what.push(
        "judged nevertheless; `checker controls baseline` writes a new baseline for approval"
            .to_owned(),
    );
    let first = control.findings.first();
    Finding::new(
        (BASELINE_RULE, first.map_or("", |finding| &finding.source)),
        format!("control {}", control.id),
        Verdict::NotApplicable,
        format!("{} is not as it was approved", control.id),
        what,
    )
}
