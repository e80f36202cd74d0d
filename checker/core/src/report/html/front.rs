//! Page one: the verdict, the acceptance table, and what was not proven.

use maud::{Markup, html};

use super::super::period::Period;
use super::{anchor, mark};
use crate::run::{Run, Summary, Target};
use crate::verdict::Verdict;

/// The verdict, in a word and in a sentence, and what was judged.
pub(super) fn header(run: &Run) -> Markup {
    html! {
        header class={ "front " (mark::class(run.verdict)) } {
            p.kicker { "Compliance of secrets and keys on AWS" }
            h1 { (mark::symbol(run.verdict)) (headline(run.verdict)) }
            p.lead { (sentence(run)) }
            dl.facts {
                (fact("Judged", target(run.target)))
                (fact("Stage", &run.stage))
                (fact("Account", if run.account.is_empty() { "could not be found out" } else { &run.account }))
                (fact("Region", if run.region.is_empty() { "none" } else { &run.region }))
                div { dt { "As of" } dd { (mark::time(run.started)) } }
                div { dt { "Run" } dd { code { (run.run_id) } } }
            }
        }
    }
}

/// One fact of a list.
pub(super) fn fact(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn headline(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "Pass",
        Verdict::Fail => "Fail",
        Verdict::Inconclusive => "Inconclusive",
        Verdict::Waived => "Waived: nothing fails without an approved exception",
        Verdict::NotApplicable => "Not applicable",
    }
}

/// What was judged, in words.
pub(in crate::report) fn target(target: Target) -> &'static str {
    match target {
        Target::Lab => "the program, applied to an embedded AWS (the lab)",
        Target::Aws => "the live account",
        Target::Plan => "a plan, before it is deployed",
    }
}

/// The result in a sentence or two.
pub(in crate::report) fn sentence(run: &Run) -> String {
    let of = |verdict: Verdict| -> u64 {
        mark::length(
            &run.controls
                .iter()
                .filter(|control| control.verdict == verdict)
                .collect::<Vec<_>>(),
        )
    };
    let total = mark::length(&run.controls);
    let parts: Vec<String> = [
        (Verdict::Fail, "failed"),
        (Verdict::Inconclusive, "inconclusive"),
        (Verdict::Pass, "passed"),
        (Verdict::Waived, "waived"),
        (Verdict::NotApplicable, "not applicable"),
    ]
    .into_iter()
    .filter(|(verdict, _)| of(*verdict) > 0)
    .map(|(verdict, word)| format!("{} {word}", of(verdict)))
    .collect();
    let controls = if of(Verdict::Pass) == total {
        format!("All {} passed", mark::count(total, "control", "controls"))
    } else {
        format!(
            "Of {}: {}",
            mark::count(total, "control", "controls"),
            parts.join(", ")
        )
    };
    let sum = total_row(run);
    format!(
        "{controls}. {}: {} passed, {} failed, {} inconclusive, {} waived.",
        mark::count(sum.tests, "test", "tests"),
        mark::number(sum.passed),
        mark::number(sum.failed),
        mark::number(sum.inconclusive),
        mark::number(sum.waived)
    )
}

/// The sum of the acceptance table.
pub(in crate::report) fn total_row(run: &Run) -> Summary {
    let sum = |of: fn(&Summary) -> u64| run.summary.iter().map(of).sum();
    Summary {
        control: "All".to_owned(),
        mode: String::new(),
        tests: sum(|row| row.tests),
        passed: sum(|row| row.passed),
        failed: sum(|row| row.failed),
        inconclusive: sum(|row| row.inconclusive),
        waived: sum(|row| row.waived),
        not_applicable: sum(|row| row.not_applicable),
        total: sum(|row| row.total),
    }
}

/// The acceptance table.
pub(super) fn acceptance(run: &Run) -> Markup {
    html! {
        section id="acceptance" aria-labelledby="acceptance-head" {
            h2 id="acceptance-head" { "Results by control" }
            div.scroll tabindex="0" role="region" aria-label="Results by control" {
                table.acceptance {
                    caption { "One row a control. A test is one rule on one resource; the total also counts what does not apply." }
                    thead { tr {
                        th scope="col" { "Control" }
                        th scope="col" { "Mode" }
                        th scope="col" { "Verdict" }
                        @for head in ["Tests", "Passed", "Failed", "Inconclusive", "Waived", "Total"] {
                            th.n scope="col" { (head) }
                        }
                    } }
                    tbody {
                        @for control in &run.controls {
                            @let row = control.summary();
                            tr {
                                th scope="row" {
                                    a href={ "#" (anchor(control)) } { (control.id) }
                                    span.title { (control.title) }
                                }
                                td { (row.mode) }
                                td { (mark::badge(control.verdict)) }
                                (numbers(&row))
                            }
                        }
                    }
                    tfoot { tr {
                        th scope="row" { "All controls" }
                        td {}
                        td { (mark::badge(run.verdict)) }
                        (numbers(&total_row(run)))
                    } }
                }
            }
        }
    }
}

fn numbers(row: &Summary) -> Markup {
    let cells = [
        (row.tests, ""),
        (row.passed, ""),
        (row.failed, "fail"),
        (row.inconclusive, "inconclusive"),
        (row.waived, "waived"),
        (row.total, ""),
    ];
    html! {
        @for (value, class) in cells {
            td class={ "n " (if value == 0 { "zero" } else { class }) } { (mark::number(value)) }
        }
    }
}

/// What the run could not prove: what it says itself, and what follows from its findings.
pub(super) fn not_proven(run: &Run, period: &Period<'_>) -> Markup {
    let missed = u64::try_from(period.missed()).unwrap_or(u64::MAX);
    html! {
        section.not-proven id="not-proven" aria-labelledby="not-proven-head" {
            h2 id="not-proven-head" { "What was not proven" }
            ul {
                @for gap in &run.not_proven { li { (sentence_case(gap)) } }
                @for control in &run.controls {
                    @let row = control.summary();
                    @if row.inconclusive > 0 {
                        li {
                            a href={ "#" (anchor(control)) } { (control.id) } ": "
                            (mark::number(row.inconclusive)) " of " (mark::count(row.tests, "test", "tests"))
                            @if row.inconclusive == 1 { " is" } @else { " are" }
                            " inconclusive: what could not be seen is not counted as passed."
                        }
                    }
                    @if row.waived > 0 {
                        li {
                            a href={ "#" (anchor(control)) } { (control.id) } ": "
                            (mark::count(row.waived, "test fails and is", "tests fail and are"))
                            " accepted by a waiver, " a href="#waivers" { "until it expires" } "."
                        }
                    }
                    @if control.mode != "AUTO" {
                        li {
                            a href={ "#" (anchor(control)) } { (control.id) } ": its mode is " (control.mode)
                            ", so this run alone does not settle it."
                        }
                    }
                }
                @if missed > 0 {
                    li {
                        (mark::count(missed, "night", "nights")) " of the " a href="#period" { "period" }
                        " had no run: nothing is known of "
                        @if missed == 1 { "it." } @else { "them." }
                    }
                }
                @if run.measurements.is_empty() {
                    li { "No probe was run: how fast an alert arrives and how a rotation behaves under load were not measured." }
                }
                li { "Whatever no control asks for. This report speaks of the controls listed above and of nothing else." }
            }
        }
    }
}

/// A fragment as a sentence.
pub(super) fn sentence_case(text: &str) -> String {
    let mut chars = text.chars();
    let mut sentence: String = chars
        .next()
        .map(|c| c.to_uppercase().collect())
        .unwrap_or_default();
    sentence.push_str(chars.as_str());
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}
