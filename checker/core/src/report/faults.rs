//! `faults.html`: which control notices which planted fault.
//!
//! In: a [`FaultReport`]. Out: the text of the page: how many of each kind were noticed, then every fault, with the rules
//! that failed or the reason why none has to, those that nobody noticed first.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::html::{mark, page};
use crate::fault::{FaultOutcome, FaultReport, FaultRun, FaultSummary};

const ORDER: [FaultOutcome; 5] = [
    FaultOutcome::Survived,
    FaultOutcome::Equivalent,
    FaultOutcome::NotRun,
    FaultOutcome::Refused,
    FaultOutcome::Killed,
];

/// The text of the page.
pub fn faults(report: &FaultReport) -> String {
    let mut kinds: BTreeMap<&str, Vec<FaultRun>> = BTreeMap::new();
    for fault in &report.faults {
        kinds.entry(&fault.kind).or_default().push(fault.clone());
    }
    let sum = &report.summary;
    page(
        "Planted faults",
        &html! {
            header.front {
                p.kicker { "Compliance of secrets and keys on AWS" }
                h1 { "Planted faults" }
                p.lead {
                    (sum.killed) " of " (sum.planted) " faults in " code { (report.program) } " (" (report.stage) ") were noticed, "
                    (sum.survived) " by nobody, " (sum.equivalent) " need not be, for the reason that stands beside them."
                }
            }
            main.front id="main" {
                section {
                    h2 { "By kind" }
                    div.scroll tabindex="0" role="region" aria-label="By kind" { table.runs {
                        thead { tr {
                            th scope="col" { "Kind" }
                            @for head in ["Planted", "Noticed", "By nobody", "Need not be", "Refused", "Not run"] { th.n scope="col" { (head) } }
                        } }
                        tbody { @for (kind, faults) in &kinds { (counts(kind, &FaultSummary::over(faults))) } }
                    } }
                }
                @for outcome in ORDER {
                    @let faults: Vec<&FaultRun> = report.faults.iter().filter(|fault| fault.outcome == outcome).collect();
                    @if !faults.is_empty() { (list(outcome, &faults)) }
                }
                @for (title, reasons) in [
                    ("Reasons that no fault needs any more", &report.unneeded_reasons),
                    ("Reasons that also fit a fault which is noticed", &report.too_broad_reasons),
                ] {
                    @if !reasons.is_empty() { section { h2 { (title) } ul { @for reason in reasons { li { (reason) } } } } }
                }
            }
        },
    )
}

fn counts(kind: &str, sum: &FaultSummary) -> Markup {
    html! {
        tr {
            th scope="row" { (kind) }
            @for value in [sum.planted, sum.killed, sum.survived, sum.equivalent, sum.refused, sum.not_run] {
                td.n { (mark::number(value)) }
            }
        }
    }
}

fn list(outcome: FaultOutcome, faults: &[&FaultRun]) -> Markup {
    let why = match outcome {
        FaultOutcome::Killed => "Noticed by",
        FaultOutcome::Survived
        | FaultOutcome::Equivalent
        | FaultOutcome::Refused
        | FaultOutcome::NotRun => "Reason",
    };
    html! {
        section {
            h2 { (outcome.word()) " (" (faults.len()) ")" }
            div.scroll tabindex="0" role="region" aria-label=(outcome.word()) { table.runs {
                thead { tr { @for head in ["Fault", "Where", why] { th scope="col" { (head) } } } }
                tbody {
                    @for fault in faults {
                        tr {
                            th scope="row" { (fault.what) br; code { (fault.id) } }
                            td { (fault.place) }
                            td { @match &fault.reason {
                                Some(reason) => (reason),
                                None => @for rule in &fault.killed_by { (rule) " " },
                            } }
                        }
                    }
                }
            } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::faults;
    use crate::fault::{FaultOutcome, FaultReport, FaultRun, FaultSummary, VERSION};

    #[test]
    fn what_nobody_noticed_stands_first_and_nothing_is_markup() {
        let fault = |id: &str, outcome, killed_by: &[&str], reason: Option<&str>| FaultRun {
            id: id.to_owned(),
            kind: "number".to_owned(),
            what: format!("{id} <script>"),
            place: "Pulumi.yaml:1:1".to_owned(),
            outcome,
            killed_by: killed_by.iter().map(ToString::to_string).collect(),
            inconclusive: Vec::new(),
            reason: reason.map(str::to_owned),
        };
        let runs = vec![
            fault("one", FaultOutcome::Killed, &["FR-278.interval"], None),
            fault("two", FaultOutcome::Survived, &[], None),
            fault(
                "three",
                FaultOutcome::Equivalent,
                &[],
                Some("it is the same"),
            ),
        ];
        let text = faults(&FaultReport {
            version: VERSION,
            program: "infra".to_owned(),
            stage: "dev".to_owned(),
            tool: "checker".to_owned(),
            summary: FaultSummary::over(&runs),
            faults: runs,
            unneeded_reasons: vec!["nobody needs this".to_owned()],
            too_broad_reasons: Vec::new(),
        });
        let at = |what: &str| text.find(what).unwrap_or(usize::MAX);
        assert!(at("<code>two</code>") < at("<code>three</code>"));
        assert!(at("<code>three</code>") < at("<code>one</code>"));
        for said in [
            "FR-278.interval",
            "it is the same",
            "nobody needs this",
            "1 of 3 faults",
        ] {
            assert!(text.contains(said), "{said}");
        }
        assert!(!text.contains("<script>"));
    }
}
