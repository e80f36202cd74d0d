//! The texts that a catalogue is made of: controls, waivers and the approved baseline.
//!
//! In: the files as they were read. Out: a [`Catalog`], or every error of every file. A run keeps these texts, so that
//! the same catalogue can be made again from the run alone.

use super::baseline::Baseline;
use super::catalog::{Catalog, Choices, SourceFile};
use super::vocabulary::Vocabulary;
use super::waiver::Waivers;
use crate::diagnostic::{Diagnostic, suggestion};

/// The files of a folder of controls.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The folder, as it is shown in messages.
    pub folder: String,
    /// The control files.
    pub controls: Vec<SourceFile>,
    /// `waivers.yaml`, where there is one.
    pub waivers: Option<SourceFile>,
    /// `baseline.json`, where there is one.
    pub baseline: Option<SourceFile>,
}

impl Sources {
    /// The catalogue; with `only`, of those controls.
    pub fn catalog(
        &self,
        vocabulary: &Vocabulary,
        choices: &Choices,
        only: &[String],
    ) -> Result<Catalog, Vec<Diagnostic>> {
        let mut catalog = Catalog::load(&self.folder, &self.controls, vocabulary, choices)?;
        let mut errors = Vec::new();
        if let Some(file) = &self.waivers {
            match Waivers::load(file, &catalog) {
                Ok(waivers) => catalog.waivers = waivers,
                Err(wrong) => errors.extend(wrong),
            }
        }
        if let Some(file) = &self.baseline {
            match Baseline::read(file) {
                Ok(baseline) => catalog.baseline = Some(baseline),
                Err(wrong) => errors.push(wrong),
            }
        }
        for id in only {
            if catalog.control(id).is_none() {
                let known = catalog.controls.iter().map(|control| control.id.as_str());
                errors.push(
                    Diagnostic::whole(&self.folder, format!("there is no control `{id}`"))
                        .maybe_help(suggestion(id, known)),
                );
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        if !only.is_empty() {
            catalog
                .controls
                .retain(|control| only.contains(&control.id));
            catalog
                .waivers
                .waivers
                .retain(|waiver| only.contains(&waiver.control));
        }
        Ok(catalog)
    }
}
