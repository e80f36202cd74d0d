//! What probes measured, drawn: each value against its limit, and what happened when.
//!
//! Every drawing has its numbers in text beside it, so nothing is lost to a reader who cannot see it.

use maud::{Markup, html};

use super::front::sentence_case;
use super::mark;
use crate::run::{Measurement, Moment, Run};

/// Width of a drawing, in its own units.
const WIDTH: u64 = 640;
/// Where bars begin.
const LEFT: u64 = 64;
/// The most that a bar may take.
const SPAN: u64 = 470;
/// Height of a bar's row.
const ROW: u64 = 26;
/// How many values are drawn one by one.
const DRAWN: usize = 24;

/// All measurements; nothing when there are none.
pub(super) fn section(run: &Run) -> Markup {
    html! {
        @if !run.measurements.is_empty() {
            section id="measurements" aria-labelledby="measurements-head" {
                h2 id="measurements-head" { "Measurements" }
                @for (at, measurement) in run.measurements.iter().enumerate() {
                    (one(at, measurement))
                }
            }
        }
    }
}

fn one(at: usize, measurement: &Measurement) -> Markup {
    html! {
        figure.measurement {
            figcaption {
                h3 { (sentence_case(&measurement.what).trim_end_matches('.')) }
                p { "Probe " code { (measurement.probe) } ". " (in_words(measurement)) }
            }
            // One value without a limit has nothing to stand beside.
            @if measurement.values_ms.len() > 1 || (measurement.limit_ms.is_some() && !measurement.values_ms.is_empty()) {
                (bars(at, measurement))
            }
            @if !measurement.timeline.is_empty() {
                (timeline(at, &measurement.timeline))
                ol.moments {
                    @for moment in &measurement.timeline {
                        li { span.at { "+" (mark::lasting(moment.at_ms)) } " " (moment.what) }
                    }
                }
            }
        }
    }
}

/// The numbers of a drawing in words.
pub(in crate::report) fn in_words(measurement: &Measurement) -> String {
    let mut sorted = measurement.values_ms.clone();
    sorted.sort_unstable();
    let values = match (sorted.first(), sorted.get(sorted.len() / 2), sorted.last()) {
        (Some(only), _, Some(_)) if sorted.len() == 1 => {
            format!("Measured once: {}.", mark::lasting(*only))
        }
        (Some(least), Some(median), Some(most)) => format!(
            "Measured {} times: shortest {}, median {}, longest {}.",
            sorted.len(),
            mark::lasting(*least),
            mark::lasting(*median),
            mark::lasting(*most)
        ),
        _ => "No duration was measured.".to_owned(),
    };
    match measurement.limit_ms {
        Some(limit) => {
            let beyond = sorted.iter().filter(|value| **value > limit).count();
            format!(
                "{values} Limit: {}{}",
                mark::lasting(limit),
                if beyond == 0 {
                    ".".to_owned()
                } else {
                    format!(", exceeded {beyond} of {} times.", sorted.len())
                }
            )
        }
        None => values,
    }
}

/// A share of a width, whatever the numbers.
fn scaled(value: u64, most: u64, width: u64) -> u64 {
    let share = u128::from(value) * u128::from(width) / u128::from(most.max(1));
    u64::try_from(share).unwrap_or(width).min(width)
}

fn bars(at: usize, measurement: &Measurement) -> Markup {
    let values = measurement
        .values_ms
        .get(..DRAWN)
        .unwrap_or(&measurement.values_ms);
    let limit = measurement.limit_ms;
    let most = values.iter().copied().chain(limit).max().unwrap_or(1);
    let height = ROW * mark::length(values) + 34;
    html! {
        svg.plot viewBox={ "0 0 " (WIDTH) " " (height) } role="img"
            aria-labelledby={ "bars-" (at) } {
            title id={ "bars-" (at) } { (measurement.what) ": " (in_words(measurement)) }
            @for (row, value) in (0_u64..).zip(values) {
                @let y = 22 + row * ROW;
                @let width = scaled(*value, most, SPAN).max(2);
                @let over = limit.is_some_and(|limit| *value > limit);
                text.label x=(LEFT - 10) y=(y + 13) text-anchor="end" { "run " (row + 1) }
                rect class={ "bar " (if over { "fail" } else { "pass" }) } x=(LEFT) y=(y) width=(width) height="18" rx="2" {}
                text.value x=(LEFT + width + 8) y=(y + 13) { (mark::lasting(*value)) }
            }
            line.axis x1=(LEFT) y1="16" x2=(LEFT) y2=(height - 8) {}
            @if let Some(limit) = limit {
                @let x = LEFT + scaled(limit, most, SPAN);
                line.limit x1=(x) y1="16" x2=(x) y2=(height - 8) {}
                text.label x=(x) y="11" text-anchor="middle" { "limit " (mark::lasting(limit)) }
            }
        }
        @if values.len() < measurement.values_ms.len() {
            p.quiet { "The first " (values.len()) " of " (measurement.values_ms.len()) " are drawn." }
        }
    }
}

/// A line with a numbered mark a moment; the numbers are those of the list below it.
fn timeline(at: usize, moments: &[Moment]) -> Markup {
    let most = moments.iter().map(|moment| moment.at_ms).max().unwrap_or(1);
    let left = 24;
    let span = WIDTH - 2 * left;
    let mut ends: Vec<u64> = Vec::new();
    let mut marks: Vec<(u64, usize, usize)> = Vec::new();
    for (index, moment) in moments.iter().enumerate().take(DRAWN) {
        let x = left + scaled(moment.at_ms, most, span);
        // Marks that would cover each other stand one above the other.
        let level = ends
            .iter()
            .position(|end| *end + 22 <= x)
            .unwrap_or(ends.len());
        match ends.get_mut(level) {
            Some(end) => *end = x,
            None => ends.push(x),
        }
        marks.push((x, level, index + 1));
    }
    let levels = mark::length(&ends).max(1);
    let base = levels * 24 + 4;
    html! {
        svg.plot viewBox={ "0 0 " (WIDTH) " " (base + 24) } role="img" aria-labelledby={ "line-" (at) } {
            title id={ "line-" (at) } { "Timeline over " (mark::lasting(most)) "; its " (moments.len()) " moments are listed below." }
            line.axis x1=(left) y1=(base) x2=(left + span) y2=(base) {}
            text.label x=(left) y=(base + 17) text-anchor="middle" { "0" }
            text.label x=(left + span) y=(base + 17) text-anchor="middle" { (mark::lasting(most)) }
            @for (x, level, name) in &marks {
                @let y = base - 14 - u64::try_from(*level).unwrap_or(0) * 24;
                line.stem x1=(x) y1=(base) x2=(x) y2=(y) {}
                circle.moment cx=(x) cy=(y) r="9.5" {}
                text.moment x=(x) y=(y + 4) text-anchor="middle" { (name) }
            }
        }
    }
}
