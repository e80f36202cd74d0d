//! One control: what it demands, on what population, with what result, and what to do.

use maud::{Markup, html};

use super::front::fact;
use super::{anchor, findings, mark};
use crate::run::{ControlRun, Finding, Run};

/// The section of a control.
pub(super) fn section(run: &Run, control: &ControlRun) -> Markup {
    let anchor = anchor(control);
    let (populations, rules): (Vec<&Finding>, Vec<&Finding>) = control
        .findings
        .iter()
        .partition(|finding| finding.is_population());
    html! {
        section.control id=(anchor) aria-labelledby={ (anchor) "-head" } {
            header.control-head {
                h2 id={ (anchor) "-head" } {
                    span.id { (control.id) } " " (control.title)
                }
                (mark::badge(control.verdict))
            }
            p.statement { (control.statement) }
            dl.facts {
                (fact("Severity", &control.severity))
                (fact("Owner", &control.owner))
                (fact("Mode", &control.mode))
                @for (catalogue, ids) in &control.mapping {
                    (fact(&catalogue_name(catalogue), &ids.join(", ")))
                }
            }
            (population(&populations))
            (findings::section(run, control, &rules))
            (file(control))
        }
    }
}

/// `pci_dss_v4_0_1` as `PCI DSS v4.0.1`, where it can be told; otherwise as it stands.
fn catalogue_name(key: &str) -> String {
    match key {
        "bank" => "Requirement".to_owned(),
        "pci_dss_v4_0_1" => "PCI DSS v4.0.1".to_owned(),
        "iso27001_2022" => "ISO 27001:2022".to_owned(),
        "cps_234" => "APRA CPS 234".to_owned(),
        other => other.to_owned(),
    }
}

fn population(populations: &[&Finding]) -> Markup {
    html! {
        h3 { "Population and completeness" }
        @if populations.is_empty() {
            p.quiet { "The rules of this control are not asked of a listed population." }
        } @else {
            ul.populations {
                @for finding in populations {
                    li {
                        (mark::badge(finding.verdict)) " " (finding.says)
                        @if !finding.because.is_empty() {
                            ul { @for reason in &finding.because { li { (reason) } } }
                        }
                        @if !finding.evidence.is_empty() {
                            span.quiet { " Evidence: " (findings::digests(&finding.evidence)) }
                        }
                    }
                }
            }
        }
    }
}

/// The control file and its parameters in force.
fn file(control: &ControlRun) -> Markup {
    html! {
        details.small-print {
            summary { "Parameters in force and digest of the control file" }
            dl.facts {
                @for (name, value) in &control.parameters { (fact(name, value)) }
                div { dt { "SHA-256 of the file" } dd { code.resource { (control.digest) } } }
            }
        }
    }
}

/// What to do about what did not pass: shown where something did not.
pub(super) fn to_do(control: &ControlRun) -> Markup {
    html! {
        aside.to-do aria-label={ "What to do about " (control.id) } {
            @if control.remediation.is_empty() {
                p { strong { "To do: " } "the control names no remediation; ask its owner." }
            } @else {
                p { strong { "To do: " } (control.remediation) }
            }
            p {
                "Owner: " strong { (control.owner) }
                @if let Some(runbook) = &control.runbook { ". Runbook: " (mark::web_link(runbook)) }
            }
        }
    }
}
