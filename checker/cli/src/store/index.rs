//! `index.html` beside the runs: one page over all of them, written anew after each.
//!
//! It is no evidence and part of no run; whoever removes it loses a view and nothing else.

use std::fs;
use std::path::Path;

use checker_core::report::{self, Recorded};
use checker_core::run::Run;

/// The name of the page.
const INDEX: &str = "index.html";

/// Writes the page for a run and the runs before it, oldest first, which stand next to each other in the chain.
pub(super) fn write(out: &Path, run: &Run, sequence: u64, earlier: &[Run]) -> std::io::Result<()> {
    let outlines = (1_u64..)
        .zip(earlier.iter().rev())
        .map(|(back, run)| Recorded {
            run,
            sequence: sequence.checked_sub(back),
            here: out.join(&run.run_id).is_dir(),
        });
    let newest = Recorded {
        run,
        sequence: Some(sequence),
        here: true,
    };
    let runs: Vec<Recorded<'_>> = outlines.chain([newest]).collect();
    let temporary = out.join(".index.html.tmp");
    fs::write(&temporary, report::index(&runs))
        .and_then(|()| fs::rename(&temporary, out.join(INDEX)))
        .inspect_err(|_| drop(fs::remove_file(&temporary)))
}
