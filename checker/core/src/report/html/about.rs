//! How the run came about, and how anybody can verify it.

use maud::{Markup, html};

use super::front::{fact, sentence_case, target};
use super::mark;
use crate::run::Run;

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
    html! {
        section id="verify" aria-labelledby="verify-head" {
            h2 id="verify-head" { "How to verify" }
            p {
                "This page is a rendering of " code { "run.json" } " in the same folder. What a verdict rests on lies in "
                code { "evidence/" } ", each file named by its own SHA-256. Nothing here needs to be believed:"
            }
            ol.verify {
                li {
                    p { "No evidence was altered: each file's digest is its name." }
                    pre tabindex="0" { code { "cd evidence && for f in *.json; do echo \"${f%.json}  $f\"; done | sha256sum --check --quiet" } }
                }
                li {
                    p {
                        code { "manifest.json" } " lists every file of the folder with its digest and points at the run before. "
                        "It was signed by whom the signers file names; take that file from a place you trust, not from this folder."
                    }
                    pre tabindex="0" { code { "ssh-keygen -Y verify -f allowed_signers -I IDENTITY -n compliance-evidence -s manifest.json.sig < manifest.json" } }
                }
                li {
                    p { "The verdicts follow from the evidence: the checker judges it again, without a network." }
                    pre tabindex="0" { code { "checker verify " (run.run_id) " --allowed-signers allowed_signers --head DIGEST" } }
                    p.quiet { "The head is the newest run's digest, published outside this folder; without it, nobody can tell whether newer runs were removed." }
                }
            }
        }
    }
}
