//! `index.html`: one page over many runs, so that a missing night and a missing run are seen at a glance.
//!
//! In: the runs of an output folder with their sequence numbers, where a manifest gives one. Out: the text of the
//! page. Runs of different subjects stand apart, because a night is only missing within one subject.

use chrono::NaiveDate;
use maud::{Markup, html};

use super::html::{front, mark, page};
use super::period::same_subject;
use crate::run::{Run, Target};

/// One recorded run.
#[derive(Debug, Clone, Copy)]
pub struct Recorded<'a> {
    /// The run.
    pub run: &'a Run,
    /// Its number in the chain, where it is known.
    pub sequence: Option<u64>,
    /// Whether its folder lies beside the page.
    pub here: bool,
}

/// The text of the page.
pub fn index(runs: &[Recorded<'_>]) -> String {
    let mut runs = runs.to_vec();
    runs.sort_by(|left, right| {
        (right.run.started, &right.run.run_id).cmp(&(left.run.started, &left.run.run_id))
    });
    let mut subjects: Vec<Vec<Recorded<'_>>> = Vec::new();
    for recorded in runs {
        let same = |others: &&mut Vec<Recorded<'_>>| {
            others
                .first()
                .is_some_and(|other| same_subject(other.run, recorded.run))
        };
        match subjects.iter_mut().find(same) {
            Some(subject) => subject.push(recorded),
            None => subjects.push(vec![recorded]),
        }
    }
    page(
        "Runs of the compliance checker",
        &html! {
            header.front {
                p.kicker { "Compliance of secrets and keys on AWS" }
                h1 { "Runs" }
                p.lead { "Newest first. A day without a run and a number missing from the chain each have a row of their own." }
            }
            main.front id="main" {
                @if subjects.is_empty() { p { "No run is recorded here yet." } }
                @for subject in &subjects { (table(subject)) }
            }
        },
    )
}

/// The runs of one subject, newest first.
fn table(runs: &[Recorded<'_>]) -> Markup {
    let Some(newest) = runs.first().map(|recorded| recorded.run) else {
        return html! {};
    };
    let name = format!(
        "{}, stage {}, account {}, {}",
        match newest.target {
            Target::Lab => "Program in the lab",
            Target::Aws => "Live account",
            Target::Plan => "Plan",
        },
        newest.stage,
        if newest.account.is_empty() {
            "unknown"
        } else {
            &newest.account
        },
        newest.region
    );
    html! {
        section {
            h2 { (name) }
            div.scroll tabindex="0" role="region" aria-label=(name) {
                table.runs {
                    thead { tr {
                        th.n scope="col" { "No." } th scope="col" { "Started" } th scope="col" { "Verdict" }
                        @for head in ["Tests", "Failed", "Inconclusive", "Waived"] { th.n scope="col" { (head) } }
                        th scope="col" { "Report" }
                    } }
                    tbody {
                        @for (at, recorded) in runs.iter().enumerate() {
                            (row(recorded))
                            @if let Some(older) = runs.get(at + 1) { (gaps(recorded, older)) }
                        }
                    }
                }
            }
        }
    }
}

fn row(recorded: &Recorded<'_>) -> Markup {
    let run = recorded.run;
    let sum = front::total_row(run);
    let cells = [
        (sum.tests, ""),
        (sum.failed, "fail"),
        (sum.inconclusive, "inconclusive"),
        (sum.waived, "waived"),
    ];
    html! {
        tr {
            td.n { @if let Some(sequence) = recorded.sequence { (sequence) } @else { "–" } }
            th scope="row" { (mark::time(run.started)) }
            td { (mark::badge(run.verdict)) }
            @for (value, class) in cells {
                td class={ "n " (if value == 0 { "zero" } else { class }) } { (mark::number(value)) }
            }
            td {
                @if recorded.here && is_folder(&run.run_id) { a href={ (run.run_id) "/report.html" } { (run.run_id) } }
                @else { (run.run_id) " (not in this folder)" }
            }
        }
    }
}

/// What is missing between a run and the one before it.
fn gaps(newer: &Recorded<'_>, older: &Recorded<'_>) -> Markup {
    let (from, to) = (
        older.run.started.date_naive(),
        newer.run.started.date_naive(),
    );
    let nights = (to - from).num_days() - 1;
    let numbers = match (newer.sequence, older.sequence) {
        (Some(newer), Some(older)) => newer.saturating_sub(older).saturating_sub(1),
        _ => 0,
    };
    html! {
        @if numbers > 0 {
            tr.missed { td.n { "?" } td colspan="7" {
                (mark::count(numbers, "run is", "runs are")) " missing from the chain here"
            } }
        }
        @if nights > 0 {
            tr.missed { td.n { "–" } td colspan="7" {
                (mark::count(u64::try_from(nights).unwrap_or(0), "night", "nights")) " without a run: " (days(from, to))
            } }
        }
    }
}

/// The days strictly between two.
fn days(from: NaiveDate, to: NaiveDate) -> String {
    match (from.succ_opt(), to.pred_opt()) {
        (Some(first), Some(last)) if first == last => first.to_string(),
        (Some(first), Some(last)) => format!("{first} to {last}"),
        _ => String::new(),
    }
}

/// Whether an id is one that the checker gives, and so safe as the name of a folder.
fn is_folder(id: &str) -> bool {
    !id.is_empty()
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::{Recorded, index};
    use crate::report::sample::{self, HOSTILE, finding};
    use crate::verdict::Verdict;

    #[test]
    fn missing_nights_and_missing_numbers_have_rows() {
        let runs: Vec<_> = [(1, 1), (2, 2), (5, 4)]
            .map(|(day, sequence)| {
                let finding = finding("interval", "arn:x", Verdict::Pass);
                let run = sample::run(day, vec![sample::control("FR-278", vec![finding])]);
                (run, sequence)
            })
            .into();
        let recorded: Vec<Recorded<'_>> = runs
            .iter()
            .map(|(run, sequence)| Recorded {
                run,
                sequence: Some(*sequence),
                here: *sequence != 2,
            })
            .collect();
        let page = index(&recorded);
        assert!(page.contains("1 run is missing from the chain here"));
        assert!(page.contains("2 nights without a run: 2026-11-03 to 2026-11-04"));
        assert!(page.contains("href=\"20261105T120000Z-00000005/report.html\""));
        assert!(!page.contains("href=\"20261102T120000Z-00000002"));
        assert_eq!(page.matches("<tbody>").count(), 1);
    }

    #[test]
    fn an_id_that_is_no_folder_is_no_link() {
        let mut run = sample::with_text(HOSTILE);
        run.run_id = "../x".to_owned();
        let page = index(&[Recorded {
            run: &run,
            sequence: None,
            here: true,
        }]);
        assert!(!page.contains("href=\".."));
        assert!(!page.contains("<script"));
    }
}
