//! Formats of a run, one file each. A report is a pure function of the run and of the runs before it.
//!
//! In: a [`Run`] and earlier runs of the same subject. Out: names and texts. Writing them is the caller's part.

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
pub(crate) mod sarif;
#[cfg(test)]
mod tests;

pub use faults::faults;
pub use index::{Recorded, index};

use crate::run::Run;

/// One file of a run's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFile {
    /// Its name in the folder.
    pub name: &'static str,
    /// Its text.
    pub text: String,
}

/// A report that could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// `JUnit`.
    #[error("render `junit.xml`: {0}")]
    Junit(#[from] junit::JunitError),
    /// One of the JSON formats.
    #[error("render `{name}`: {source}")]
    Json {
        /// The file.
        name: &'static str,
        /// Why.
        source: serde_json::Error,
    },
}

/// The page for people.
pub const HTML: &str = "report.html";
/// The summary for the page of a CI job.
pub const SUMMARY: &str = "summary.md";
const JUNIT: &str = "junit.xml";
const OSCAL: &str = "oscal-assessment-results.json";
const OCSF: &str = "ocsf.jsonl";
const SARIF: &str = "gate.sarif";

/// Every report of a run, one after the other: each is rendered when it is asked for. `earlier` are the runs before it, in
/// any order; those of another target, account, region or stage are left out.
pub fn files<'a>(
    run: &'a Run,
    earlier: &'a [Run],
) -> impl Iterator<Item = Result<ReportFile, ReportError>> + 'a {
    [JUNIT, HTML, SUMMARY, OSCAL, OCSF, SARIF]
        .into_iter()
        .map(move |name| {
            let json = |source| ReportError::Json { name, source };
            let text = match name {
                JUNIT => junit::render(run)?,
                HTML => html::render(run, earlier),
                SUMMARY => markdown::render(run, earlier),
                OSCAL => oscal::render(run).map_err(json)?,
                OCSF => ocsf::render(run).map_err(json)?,
                _ => sarif::render(run).map_err(json)?,
            };
            Ok(ReportFile { name, text })
        })
}
