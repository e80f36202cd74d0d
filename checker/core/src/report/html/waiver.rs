//! Waivers: who accepted what, until when, and how many days are left.

use maud::{Markup, html};

use super::mark;
use crate::run::{Run, WaiverNote};

/// The section.
pub(super) fn section(run: &Run) -> Markup {
    html! {
        section id="waivers" aria-labelledby="waivers-head" {
            h2 id="waivers-head" { "Waivers" }
            @if run.waivers.is_empty() {
                p { "None: no finding of this run was excepted." }
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Waivers" {
                    table.waivers {
                        caption { "A waiver excepts one rule on one resource until a day, which is at most 90 days ahead. An expired one excepts nothing." }
                        thead { tr {
                            th scope="col" { "Waiver" }
                            th scope="col" { "What is accepted, and why" }
                            th scope="col" { "Approved" }
                            th scope="col" { "Expires" }
                            th.n scope="col" { "Days left" }
                            th.n scope="col" { "Findings" }
                        } }
                        tbody { @for waiver in &run.waivers { (row(waiver)) } }
                    }
                }
            }
        }
    }
}

fn row(waiver: &WaiverNote) -> Markup {
    html! {
        tr {
            th scope="row" { (waiver.id) br; small { (waiver.source) } }
            td {
                code { (waiver.control) "." (waiver.assertion) } " on " (mark::resource(&waiver.resource))
                p { (waiver.reason) }
                p.quiet { "Compensated by: " (waiver.compensating) }
            }
            td { (waiver.approver) br; (waiver.approved_on) br; (mark::web_link(&waiver.ticket)) }
            td { (waiver.expires) }
            td class=(if waiver.days_left < 0 { "n fail" } else if waiver.days_left <= 14 { "n inconclusive" } else { "n" }) {
                @if waiver.days_left < 0 { "expired" } @else { (waiver.days_left) }
            }
            td.n {
                (mark::number(waiver.covered))
                @if waiver.covered == 0 { br; small { "matches nothing" } }
            }
        }
    }
}
