//! The findings of a control: what did not pass stands open, one card each; what passed is folded away by rule.
//!
//! Large runs stay readable: beyond [`CARDS`] of a rule the findings are rows, beyond [`ROWS`] they are counted, and
//! the count says where the rest is.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::{control, mark};
use crate::run::{ControlRun, Finding, Run, WaiverNote};
use crate::shared::Shared;
use crate::verdict::Verdict;

/// How many findings of a rule stand in full.
const CARDS: usize = 25;

/// How many further findings of a rule stand as rows.
const ROWS: usize = 5_000;

/// Above this many findings in the run, rows of passed findings leave out the values compared.
const MANY: u64 = 5_000;

/// The longest example beside a folded rule, in characters.
const EXAMPLE: usize = 160;

/// The findings of one rule with one verdict.
struct Group<'a> {
    rule: &'a str,
    verdict: Verdict,
    findings: Vec<&'a Finding>,
}

/// All findings of a control but those about its populations.
pub(super) fn section(run: &Run, control: &ControlRun, findings: &[&Finding]) -> Markup {
    let groups = grouped(findings);
    let of = |verdict: Verdict| -> Vec<&Group<'_>> {
        groups
            .iter()
            .filter(|group| group.verdict == verdict)
            .collect()
    };
    let bad = [Verdict::Fail, Verdict::Inconclusive, Verdict::Waived];
    let anything = control
        .findings
        .iter()
        .any(|finding| bad.contains(&finding.verdict));
    html! {
        @if anything { (control::to_do(control)) }
        @for (verdict, head) in bad.into_iter().zip(["Failed", "Inconclusive", "Waived"]) {
            @let groups = of(verdict);
            @if !groups.is_empty() {
                h3 { (head) " (" (mark::number(counted(&groups))) ")" }
                @for group in groups { (open(run, control, group)) }
            }
        }
        @for (verdict, head) in [(Verdict::Pass, "Passed"), (Verdict::NotApplicable, "Not applicable")] {
            @let groups = of(verdict);
            @if !groups.is_empty() {
                h3 { (head) " (" (mark::number(counted(&groups))) ")" }
                @for group in groups { (folded(run, group)) }
            }
        }
    }
}

/// By rule and verdict, in the order of the control file.
fn grouped<'a>(findings: &[&'a Finding]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for finding in findings {
        let same = |group: &&mut Group<'a>| {
            group.rule == finding.assertion && group.verdict == finding.verdict
        };
        // Findings of a rule stand close together, so the last group is nearly always the one.
        match groups.iter_mut().rev().find(same) {
            Some(group) => group.findings.push(finding),
            None => groups.push(Group {
                rule: &finding.assertion,
                verdict: finding.verdict,
                findings: vec![finding],
            }),
        }
    }
    groups
}

fn counted(groups: &[&Group<'_>]) -> u64 {
    groups.iter().map(|group| group.count()).sum()
}

impl Group<'_> {
    /// How many findings it stands for, condensed ones counted in full.
    fn count(&self) -> u64 {
        self.findings
            .iter()
            .map(|finding| finding.count.unwrap_or(1))
            .sum()
    }
}

/// What did not pass: in full.
fn open(run: &Run, control: &ControlRun, group: &Group<'_>) -> Markup {
    let (cards, rest) = group
        .findings
        .split_at_checked(CARDS)
        .unwrap_or((&group.findings, &[]));
    html! {
        h4 { code { (control.id) "." (group.rule) } " " span.quiet { (mark::count(group.count(), "finding", "findings")) } }
        @for finding in cards { (card(run, finding)) }
        @if !rest.is_empty() {
            details {
                summary { (mark::count(mark::length(rest), "further finding", "further findings")) " of this rule" }
                (rows(rest, true))
            }
        }
    }
}

fn card(run: &Run, finding: &Finding) -> Markup {
    html! {
        article class={ "finding " (mark::class(finding.verdict)) } {
            p.says { (mark::symbol(finding.verdict)) span.unseen { (mark::word(finding.verdict)) ": " } (finding.says) }
            p { (mark::resource(&finding.resource)) }
            @if !finding.because.is_empty() {
                ul.because { @for reason in &finding.because { li { (reason) } } }
            }
            @if let Some(waiver) = waiver_of(run, finding) { (waived(waiver)) }
            dl.trace {
                div { dt { "Rule" } dd { code { (finding.source) } } }
                div { dt { "Evidence" } dd {
                    @if finding.evidence.is_empty() { "none: nothing could be asked" }
                    @for digest in &finding.evidence { (mark::evidence(digest)) " " }
                } }
            }
        }
    }
}

fn waiver_of<'a>(run: &'a Run, finding: &Finding) -> Option<&'a WaiverNote> {
    let id = finding.waiver.as_deref()?;
    run.waivers.iter().find(|waiver| waiver.id == id)
}

fn waived(waiver: &WaiverNote) -> Markup {
    html! {
        p.waiver {
            "Waiver " strong { (waiver.id) } " until " (waiver.expires) ", approved by " (waiver.approver) ": "
            (waiver.reason) " Compensated by: " (waiver.compensating)
        }
    }
}

/// What passed or does not apply: folded away, one group a rule.
fn folded(run: &Run, group: &Group<'_>) -> Markup {
    let values = run.findings() <= MANY || group.verdict != Verdict::Pass;
    html! {
        details.group {
            summary {
                (mark::symbol(group.verdict)) code { (group.rule) }
                span.count { (mark::number(group.count())) span.unseen { " " (mark::word(group.verdict)) } }
                @if let Some(first) = group.findings.first() {
                    span.example { @if group.findings.len() > 1 { "such as: " } (cut(&first.says)) }
                }
            }
            (rows(&group.findings, values))
        }
    }
}

/// A text that stays within two lines.
fn cut(text: &str) -> String {
    let mut short: String = text.chars().take(EXAMPLE).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Findings as rows; what all of them share stands once above.
fn rows(findings: &[&Finding], values: bool) -> Markup {
    let shown = findings.get(..ROWS).unwrap_or(findings);
    let rest = findings.get(ROWS..).unwrap_or(&[]);
    let prefix = shared_prefix(shown);
    let shared = shared_evidence(shown);
    let source = shown
        .first()
        .map(|finding| finding.source.as_str())
        .unwrap_or_default();
    html! {
        p.quiet {
            "Rule " code { (source) } ". "
            @if !shared.is_empty() { "Evidence of all: " (digests(&shared)) ". " }
            @if !prefix.is_empty() { "All resources begin with " code { (prefix) } ". " }
            @if !values { "The values compared are in run.json." }
        }
        div.scroll tabindex="0" role="region" aria-label={ "Findings of the rule at " (source) } {
            table.rows {
                thead { tr { th scope="col" { "Resource" } th scope="col" { "Finding" } th scope="col" { "Further evidence" } } }
                tbody {
                    @for finding in shown {
                        tr {
                            td { (finding.resource.strip_prefix(prefix).unwrap_or(&finding.resource)) }
                            td {
                                (finding.says)
                                @if values && !finding.because.is_empty() { br; small { (finding.because.join("; ")) } }
                                @if let Some(digest) = &finding.digest { br; small { "SHA-256 of the list: " (digest) } }
                            }
                            td {
                                @for digest in finding.evidence.iter().filter(|digest| !shared.contains(*digest)) {
                                    (mark::evidence_short(digest)) " "
                                }
                            }
                        }
                    }
                }
            }
        }
        @if !rest.is_empty() {
            p.quiet { "And " (mark::number(mark::length(rest))) " more, each in run.json." }
        }
    }
}

/// Links to evidence, cut short.
pub(super) fn digests(digests: &[Shared]) -> Markup {
    html! {
        @for (at, digest) in digests.iter().enumerate() {
            @if at > 0 { ", " }
            (mark::evidence_short(digest))
        }
    }
}

/// What the names of all resources begin with, up to a separator; nothing if that would save little.
fn shared_prefix<'a>(findings: &[&'a Finding]) -> &'a str {
    let Some((first, others)) = findings.split_first() else {
        return "";
    };
    if others.len() < 2 {
        return "";
    }
    let mut length = first.resource.len();
    for other in others {
        let same = first
            .resource
            .bytes()
            .zip(other.resource.bytes())
            .take(length)
            .take_while(|(left, right)| left == right)
            .count();
        length = same;
    }
    let common = first.resource.get(..length).unwrap_or_default();
    let end = common.rfind([':', '/']).map_or(0, |at| at + 1);
    common
        .get(..end)
        .filter(|prefix| prefix.len() > 12)
        .unwrap_or_default()
}

/// The evidence that all of them rest on, in the order of the first.
fn shared_evidence(findings: &[&Finding]) -> Vec<Shared> {
    let Some((first, others)) = findings.split_first() else {
        return Vec::new();
    };
    let mut shared: BTreeSet<&Shared> = first.evidence.iter().collect();
    for other in others {
        shared.retain(|digest| other.evidence.contains(digest));
    }
    first
        .evidence
        .iter()
        .filter(|digest| shared.contains(digest))
        .cloned()
        .collect()
}
