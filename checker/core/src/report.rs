//! Formats of a run, one file each. A report is a pure function of the run and of the runs before it.
//!
//! In: a [`Run`] and earlier runs of the same subject. Out: names and texts. Writing them is the caller's part.

pub mod junit;

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
}

/// Every report of a run. `earlier` are the runs before it, in any order; those of another target, account or stage
/// are left out.
pub fn files(run: &Run, earlier: &[Run]) -> Result<Vec<ReportFile>, ReportError> {
    let _: &[Run] = earlier;
    Ok(vec![ReportFile {
        name: "junit.xml",
        text: junit::render(run)?,
    }])
}
