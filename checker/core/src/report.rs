//! Formats of a run, one file each. A report is a pure function of the run and of the runs before it.
//!
//! In: a [`Run`] and earlier runs of the same subject. Out: what each report writes to wherever the caller keeps it. The long
//! ones are written finding by finding, so that no memory has to hold their text.

mod faults;
mod html;
mod identity;
mod index;
mod junit;
mod legible;
mod markdown;
mod ocsf;
mod oscal;
mod period;
#[cfg(test)]
mod sample;
mod sarif;
#[cfg(test)]
mod tests;

pub use faults::faults;
pub use index::{Recorded, index};

use std::io::{self, BufWriter, Write};

use crate::run::Run;

/// One file that follows from a run and the runs before it.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    /// Its name in the run's folder.
    pub name: &'static str,
    render: Render,
}

type Render = fn(&Run, &[Run], &mut Out<'_>) -> io::Result<()>;

/// Where a report goes, in blocks: it is written in very many small pieces.
pub(crate) type Out<'a> = BufWriter<&'a mut dyn Write>;

/// So many bytes are written at once.
const BLOCK: usize = 64 << 10;

impl Report {
    pub(crate) const fn new(name: &'static str, render: Render) -> Self {
        Self { name, render }
    }

    /// Writes it. The runs before may be in any order; those of another target, account, region or stage are left out. An
    /// error that is not one of the system names the report.
    pub fn write(&self, run: &Run, earlier: &[Run], to: &mut dyn Write) -> io::Result<()> {
        let mut out = Out::with_capacity(BLOCK, to);
        (self.render)(run, earlier, &mut out)
            .and_then(|()| out.flush())
            .map_err(|error| match error.raw_os_error() {
                Some(_) => error,
                None => io::Error::other(format!("`{}` can't be rendered: {error}", self.name)),
            })
    }
}

/// The page for people.
pub const HTML: &str = "report.html";
/// The summary for the page of a CI job.
pub const SUMMARY: &str = "summary.md";

/// Every report.
pub const REPORTS: [Report; 6] = [
    Report::new("junit.xml", |run, _, out| junit::write(run, out)),
    Report::new(HTML, |run, earlier, out| {
        out.write_all(html::render(run, earlier).as_bytes())
    }),
    Report::new(SUMMARY, |run, earlier, out| {
        out.write_all(markdown::render(run, earlier).as_bytes())
    }),
    Report::new("oscal-assessment-results.json", |run, _, out| {
        oscal::write(run, out)
    }),
    Report::new("ocsf.jsonl", |run, _, out| ocsf::write(run, out)),
    Report::new("gate.sarif", |run, _, out| sarif::write(run, out)),
];
