//! `baseline.json`: controls, parameters and waivers as they were approved.
//!
//! In: a [`Catalog`]. Out: the text of its baseline, or how it differs from an approved one. A difference changes no
//! verdict; it is shown in every report, so that a control can't be loosened without a reader seeing it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::catalog::{Catalog, Control, SourceFile};
use crate::diagnostic::Diagnostic;

/// The approved state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Always 1.
    version: u32,
    /// The controls by id.
    controls: BTreeMap<String, Approved>,
    /// SHA-256 of the waivers; nothing when there are none.
    waivers: Option<String>,
}

/// One control as it was approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Approved {
    /// SHA-256 of its file.
    sha256: String,
    /// Its parameters, each with its value by stage.
    parameters: BTreeMap<String, BTreeMap<String, String>>,
}

/// How a control differs from what was approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The control.
    pub control: String,
    /// In words, each a difference.
    pub what: Vec<String>,
}

impl Baseline {
    /// The state of a catalogue.
    pub fn of(catalog: &Catalog) -> Self {
        Self {
            version: 1,
            controls: catalog
                .controls
                .iter()
                .map(|control| (control.id.clone(), approved(control)))
                .collect(),
            waivers: catalog.waivers.digest.clone(),
        }
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads the file.
    pub fn read(file: &SourceFile) -> Result<Self, Diagnostic> {
        let help = "write it again with `checker controls baseline`, and have it approved";
        let baseline: Self = serde_json::from_str(&file.text).map_err(|error| {
            Diagnostic::at(
                &file.path,
                error.line(),
                error.column(),
                "is not what a baseline holds there",
            )
            .help(help)
        })?;
        if baseline.version != 1 {
            return Err(Diagnostic::whole(
                &file.path,
                format!("is a baseline of version {}, not 1", baseline.version),
            )
            .help(help));
        }
        Ok(baseline)
    }

    /// How a catalogue differs. Controls that were left out of the catalogue on purpose are not missed in it.
    pub fn differences(&self, catalog: &Catalog) -> Vec<Difference> {
        catalog
            .controls
            .iter()
            .filter_map(|control| {
                let what = match self.controls.get(&control.id) {
                    None => vec!["nobody has approved this control yet".to_owned()],
                    Some(approved) => approved.differences(control),
                };
                (!what.is_empty()).then(|| Difference {
                    control: control.id.clone(),
                    what,
                })
            })
            .collect()
    }

    /// Approved controls that a whole catalogue lacks.
    pub fn missing(&self, catalog: &Catalog) -> Vec<String> {
        self.controls
            .keys()
            .filter(|id| catalog.control(id).is_none())
            .cloned()
            .collect()
    }

    /// Whether the waivers are those that were approved.
    pub fn same_waivers(&self, catalog: &Catalog) -> bool {
        self.waivers == catalog.waivers.digest
    }
}

impl Approved {
    fn differences(&self, control: &Control) -> Vec<String> {
        let now = approved(control);
        let mut what = Vec::new();
        if self.sha256 != now.sha256 {
            what.push(format!(
                "its text is not the approved one (SHA-256 {}, approved {})",
                now.sha256, self.sha256
            ));
        }
        for (name, values) in &now.parameters {
            match self.parameters.get(name) {
                None => what.push(format!("parameter {name} is new: {}", words(values))),
                Some(approved) if approved != values => what.push(format!(
                    "parameter {name} is {}, approved {}",
                    words(values),
                    words(approved)
                )),
                Some(_) => {}
            }
        }
        for name in self.parameters.keys() {
            if !now.parameters.contains_key(name) {
                what.push(format!("parameter {name} is gone"));
            }
        }
        for parameter in &control.parameters {
            let written = parameter.stages.get(&control.stage);
            if parameter.value != *written.unwrap_or(&parameter.default) {
                what.push(format!(
                    "parameter {} was set to {} for this run",
                    parameter.name, parameter.value
                ));
            }
        }
        what
    }
}

fn approved(control: &Control) -> Approved {
    Approved {
        sha256: control.digest.clone(),
        parameters: control
            .parameters
            .iter()
            .map(|parameter| {
                let mut values: BTreeMap<String, String> = parameter
                    .stages
                    .iter()
                    .map(|(stage, value)| (stage.clone(), value.to_string()))
                    .collect();
                values.insert("default".to_owned(), parameter.default.to_string());
                (parameter.name.clone(), values)
            })
            .collect(),
    }
}

fn words(values: &BTreeMap<String, String>) -> String {
    match values.get("default") {
        Some(only) if values.len() == 1 => only.clone(),
        Some(_) | None => values
            .iter()
            .map(|(stage, value)| format!("{value} ({stage})"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}
