//! Formats of a run, one file each. A report is a pure function of the run and of the runs before it.
//!
//! In: a [`Run`] and earlier runs of the same subject. Out: what each report writes to wherever the caller keeps it. The long
//! ones are written finding by finding, so that no memory has to hold their text.

mod faults;
mod html;
mod identity;
mod index;
pub mod junit;
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

use std::io::{self, Write};

use crate::run::Run;

/// Writes one file that follows from a run and the runs before it. Those may be in any order; the ones of another target,
/// account, region or stage are left out.
pub type Render = fn(&Run, &[Run], &mut dyn Write) -> Result<(), ReportError>;

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Its content could not be put into its format.
    #[error("render a report: {0}")]
    Json(serde_json::Error),
    /// `JUnit`.
    #[error("render `junit.xml`: {0}")]
    Junit(#[from] junit::JunitError),
    /// It had nowhere to go.
    #[error("write a report: {0}")]
    Write(#[from] io::Error),
}

impl From<serde_json::Error> for ReportError {
    fn from(error: serde_json::Error) -> Self {
        if error.is_io() {
            Self::Write(error.into())
        } else {
            Self::Json(error)
        }
    }
}

/// The page for people.
pub const HTML: &str = "report.html";
/// The summary for the page of a CI job.
pub const SUMMARY: &str = "summary.md";

/// Every report by its name.
pub const REPORTS: [(&str, Render); 6] = [
    ("junit.xml", |run, _, out| {
        Ok(out.write_all(junit::render(run)?.as_bytes())?)
    }),
    (HTML, |run, earlier, out| {
        Ok(out.write_all(html::render(run, earlier).as_bytes())?)
    }),
    (SUMMARY, |run, earlier, out| {
        Ok(out.write_all(markdown::render(run, earlier).as_bytes())?)
    }),
    ("oscal-assessment-results.json", |run, _, out| {
        oscal::write(run, out)
    }),
    ("ocsf.jsonl", |run, _, out| ocsf::write(run, out)),
    ("gate.sarif", |run, _, out| sarif::write(run, out)),
];
