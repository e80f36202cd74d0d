//! `report.html`: one self-contained page for readers who will never run the checker.
//!
//! In: a run and the runs before it. Out: the text of the page. Page one answers what was judged, with what result, and
//! what was not proven; everything after it is there to be looked up. No script, no font, no image and no style
//! comes from elsewhere, and the page forbids itself to load any. It reads by keyboard, by screen reader, on paper,
//! in light and in dark.
//!
//! Escaping: `maud` escapes every splice; links are only made of what [`mark`] has proven to be a digest or a
//! web address; [`legible`] spells out what can't be seen.

mod about;
mod control;
mod findings;
pub(super) mod front;
pub(super) mod mark;
mod measurement;
mod period;
mod reach;
mod waiver;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::legible::legible;
use super::period::Period;
use crate::run::{ControlRun, Run};

/// The look of every page.
const STYLE: &str = include_str!("html/style.css");

/// Nothing is loaded and nothing runs, even if a text should ever find a way past the escaping.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The text of the page.
pub(super) fn render(run: &Run, earlier: &[Run]) -> String {
    let period = Period::until(run, earlier);
    let title = format!(
        "{}: compliance of secrets and keys, {}",
        mark::word(run.verdict),
        mark::moment(run.started)
    );
    // A further section, such as planted faults, is a further line here and in `contents`.
    page(
        &title,
        &html! {
            (front::header(run))
            div.columns {
                (contents(run))
                main id="main" {
                    (front::acceptance(run))
                    (front::not_proven(run, &period))
                    @for control in &run.controls { (control::section(run, control)) }
                    (measurement::section(run))
                    (reach::section(run))
                    (period::section(&period))
                    (waiver::section(run))
                    (about::section(run))
                    (about::verification(run))
                }
            }
            (footer(run))
        },
    )
}

/// A whole page around a body.
pub(super) fn page(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the results" }
                (mark::symbols())
                (body)
            }
        }
    };
    legible(page.into_string())
}

/// The anchor of a control's section.
fn anchor(control: &ControlRun) -> String {
    // Ids are letters, digits, hyphens and dots; anything else could not be linked to.
    let id: String = control
        .id
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    format!("control-{id}")
}

fn contents(run: &Run) -> Markup {
    html! {
        nav.contents aria-label="Contents" {
            ol {
                li { a href="#acceptance" { "Results" } }
                li { a href="#not-proven" { "What was not proven" } }
            }
            p.nav-head { "Controls" }
            ol {
                @for control in &run.controls {
                    li { a href={ "#" (anchor(control)) } {
                        (mark::symbol(control.verdict)) " " (control.id)
                        span.unseen { ", " (mark::word(control.verdict)) }
                    } }
                }
            }
            p.nav-head { "Evidence" }
            ol {
                @if !run.measurements.is_empty() { li { a href="#measurements" { "Measurements" } } }
                @if !run.reach.is_empty() { li { a href="#reach" { "Who can reach a secret" } } }
                li { a href="#period" { "Period" } }
                li { a href="#waivers" { "Waivers" } }
                li { a href="#about" { "About this run" } }
                li { a href="#verify" { "How to verify" } }
            }
        }
    }
}

fn footer(run: &Run) -> Markup {
    html! {
        footer {
            p { "Run " code { (run.run_id) } ", written by " (run.tool) ". Times are UTC." }
        }
    }
}
