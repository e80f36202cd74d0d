//! What was found before, and the file that keeps it, so that an interrupted run goes on where it stopped.
//!
//! In: the file of `--resume` and what the run is about: programs, controls and how it judges. Out: the results that it
//! holds about just that, each handed out once. A result that says only that nothing was tried is not kept.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use checker_core::fault::{FaultOutcome, FaultRun};

use crate::failure::Failure;

/// Results that were found before, by fault.
pub(crate) struct Kept {
    file: Option<std::fs::File>,
    known: BTreeMap<String, FaultRun>,
}

impl Kept {
    /// Reads what the file holds, if it is about the same; without a file nothing is kept.
    pub(crate) fn open(path: Option<&Path>, about: &str) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self {
                file: None,
                known: BTreeMap::new(),
            });
        };
        let failed = |error: std::io::Error| {
            Failure::Usage(format!("`{}` cannot be used: {error}", path.display()))
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed(error)),
        };
        let mut lines = text.lines();
        let same = lines.next() == Some(about);
        // A last line that was cut off is no result.
        let known: BTreeMap<String, FaultRun> = lines
            .filter(|_| same)
            .filter_map(|line| serde_json::from_str::<FaultRun>(line).ok())
            .map(|run| (run.id.clone(), run))
            .collect();
        let mut file = std::fs::File::create(path).map_err(failed)?;
        writeln!(file, "{about}").map_err(failed)?;
        let mut kept = Self {
            file: Some(file),
            known: BTreeMap::new(),
        };
        for run in known.values() {
            kept.add(run)?;
        }
        kept.known = known;
        Ok(kept)
    }

    /// What was found about a fault.
    pub(crate) fn take(&mut self, id: &str) -> Option<FaultRun> {
        self.known.remove(id)
    }

    /// Keeps a result.
    pub(crate) fn add(&mut self, run: &FaultRun) -> Result<(), Failure> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        if run.outcome == FaultOutcome::NotRun {
            return Ok(());
        }
        let line = serde_json::to_string(run)
            .map_err(|error| Failure::Broken(format!("failed to keep a result: {error}")))?;
        writeln!(file, "{line}")
            .map_err(|error| Failure::Broken(format!("failed to keep a result: {error}")))
    }
}
