//! The period: every night with its verdict, missing ones among them, and how long it took to mend what failed.

use maud::{Markup, html};

use super::super::period::{Night, Period, Remedied};
use super::mark;
use crate::verdict::Verdict;

/// How many mended findings are listed.
const LISTED: usize = 200;

/// The section.
pub(super) fn section(period: &Period<'_>) -> Markup {
    html! {
        section id="period" aria-labelledby="period-head" {
            h2 id="period-head" { "Period" }
            @if period.ran() <= 1 {
                p { "This report knows of no earlier run, so it shows no trend and can't say whether a night is missing." }
            } @else {
                (summary(period))
                (strip(period))
            }
            (list("Failing now, and since when", &period.open, "Failing for at least"))
            (list("No longer failing", &period.remediated, "Time to remediate"))
        }
    }
}

fn summary(period: &Period<'_>) -> Markup {
    let count = |number: usize| mark::number(u64::try_from(number).unwrap_or(u64::MAX));
    html! {
        dl.facts {
            div { dt { "Nights" } dd { (count(period.nights.len())) } }
            div { dt { "Runs" } dd { (count(period.ran())) } }
            div { dt { "Missed nights" } dd { strong class=(if period.missed() == 0 { "" } else { "fail" }) { (count(period.missed())) } } }
            @for (verdict, name) in [
                (Verdict::Pass, "Nights passed"),
                (Verdict::Fail, "Nights failed"),
                (Verdict::Inconclusive, "Nights inconclusive"),
            ] {
                div { dt { (name) } dd { (count(period.ended(verdict))) } }
            }
            @if let Some((median, longest)) = period.time_to_remediate() {
                div { dt { "Time to remediate" } dd { "median " (mark::span(median)) ", longest " (mark::span(longest)) } }
            }
        }
        p.quiet {
            "A night is a UTC day; it shows the last verdict of the day on every control, and is inconclusive if it left some out. "
            "Times run from the first run that saw a failure to the first that no longer did."
        }
    }
}

fn strip(period: &Period<'_>) -> Markup {
    html! {
        ol.nights aria-label="Nights of the period, oldest first" {
            @for night in &period.nights { (cell(night)) }
        }
    }
}

/// One night: shape, word for screen readers, date on hover.
fn cell(night: &Night<'_>) -> Markup {
    let date = night.date.to_string();
    let day = night.date.format("%d").to_string();
    let verdict = night.verdict();
    let word = match verdict {
        Some(_) if night.unjudged > 0 => "some controls were not judged",
        Some(verdict) => mark::word(verdict),
        None => "no run",
    };
    html! {
        li class=(verdict.map_or("missed", mark::class)) title={ (date) ": " (word) } {
            span.day aria-hidden="true" { (day) }
            @if let Some(verdict) = verdict { (mark::symbol(verdict)) }
            @else { span.gap aria-hidden="true" { "–" } }
            span.unseen { (date) ": " (word) }
        }
    }
}

fn list(head: &str, findings: &[Remedied], took: &str) -> Markup {
    html! {
        @if !findings.is_empty() {
            h3 { (head) " (" (mark::number(mark::length(findings))) ")" }
            div.scroll tabindex="0" role="region" aria-label=(head) {
                table.rows {
                    thead { tr {
                        th scope="col" { "Rule" } th scope="col" { "Resource" }
                        th scope="col" { "First seen" } th scope="col" { (took) }
                    } }
                    tbody {
                        @for finding in findings.iter().rev().take(LISTED) {
                            tr {
                                td { code { (finding.control) "." (finding.assertion) } }
                                td { (mark::resource(&finding.resource)) }
                                td { (mark::time(finding.since)) }
                                td { (mark::span(finding.took())) }
                            }
                        }
                    }
                }
            }
            @if findings.len() > LISTED {
                p.quiet { "The newest " (LISTED) " are shown." }
            }
        }
    }
}
