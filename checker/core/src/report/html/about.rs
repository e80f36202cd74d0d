//! How the run came about, and how anybody can verify it.

use maud::{Markup, html};

use super::front::{fact, sentence_case, target};
use super::mark;
use crate::run::{Run, Target};

/// Who, when, with what, and what was asked.
pub(super) fn section(run: &Run) -> Markup {
    let calls: u64 = run.api_calls.values().sum();
    html! {
        section id="about" aria-labelledby="about-head" {
            h2 id="about-head" { "About this run" }
            @if !run.notes.is_empty() {
                ul { @for note in &run.notes { li { (sentence_case(note)) } } }
            }
            dl.facts {
                (fact("Judged", target(run.target)))
                (fact("Written by", &run.tool))
                div { dt { "As of" } dd { (mark::time(run.started)) } }
                div { dt { "Finished" } dd { (mark::time(run.finished)) } }
            }
            details {
                summary { (mark::count(calls, "call", "calls")) " that the checker made, by operation" }
                table.rows {
                    thead { tr { th scope="col" { "Operation" } th.n scope="col" { "Calls" } } }
                    tbody { @for (operation, calls) in &run.api_calls {
                        tr { td { code { (operation) } } td.n { (mark::number(*calls)) } }
                    } }
                }
            }
            details {
                summary { "Digests of the control files" }
                table.rows {
                    thead { tr { th scope="col" { "Control" } th scope="col" { "SHA-256" } } }
                    tbody { @for control in &run.controls {
                        tr { td { (control.id) } td { code.resource { (control.digest) } } }
                    } }
                }
            }
        }
    }
}

/// How to verify the folder that this page lies in.
pub(super) fn verification(run: &Run) -> Markup {
    let signers = match run.target {
        Target::Lab | Target::Plan => {
            "The key was made by the machine that ran this, and its public half lies in this folder: the signature shows that nothing was changed afterwards, not who ran it."
        }
        Target::Aws => {
            "Take the file of allowed signers from a place that you trust, never from where this folder came from."
        }
    };
    html! {
        section id="verify" aria-labelledby="verify-head" {
            h2 id="verify-head" { "How to verify" }
            p {
                "This page is a rendering of " code { "run.json" } " in the same folder, and what a verdict rests on lies in "
                code { "evidence/" } ". Nothing here needs to be believed; " code { "HOW-TO-VERIFY.md" } " has every step."
            }
            ol.verify {
                li {
                    p {
                        code { "manifest.json" } " lists every file with its digest, and the run before. It is as it was signed:"
                    }
                    pre tabindex="0" { code {
                        "principal=$(ssh-keygen -Y find-principals -s manifest.json.sig -f allowed_signers)\n"
                        "ssh-keygen -Y verify -f allowed_signers -I \"$principal\" -n compliance-evidence -s manifest.json.sig < manifest.json"
                    } }
                    p.quiet { (signers) }
                }
                li {
                    p { "Every piece of evidence is unaltered; its name is its SHA-256:" }
                    pre tabindex="0" { code { "cd evidence && for f in *.json; do echo \"${f%.json}  $f\"; done | sha256sum --check --quiet" } }
                }
                li {
                    p { "The verdicts follow from the evidence; the checker judges it again, without a network:" }
                    pre tabindex="0" { code { "checker verify . --allowed-signers allowed_signers --head SHA256" } }
                    p.quiet { "The head is the digest of the newest manifest, published outside this folder; without it nobody can tell whether newer runs were removed." }
                }
            }
        }
    }
}
