//! `checker controls`: the catalogue.

use std::path::{Path, PathBuf};

use checker_core::control::{
    Baseline, Catalog, Choices, Control, Sources, catalog_page, control_schema,
};
use checker_core::population;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::control_tests;
use crate::console::data;
use crate::failure::Failure;
use crate::store;

/// What to do with controls.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List all controls.
    List(List),
    /// Show one control.
    Show {
        /// The control's id.
        id: String,
        #[command(flatten)]
        list: List,
    },
    /// Check control files and say what is wrong with them, with positions.
    Check {
        #[command(flatten)]
        folder: Folder,
    },
    /// Run the tests in the control files, and show that each rule is held in place by some test.
    Test(List),
    /// Print the JSON Schema of control files.
    Schema,
    /// Write the baseline: controls, parameters and waivers as they are now, for approval.
    Baseline {
        #[command(flatten)]
        folder: Folder,
    },
    /// Print the page of the catalogue: every control, rule, fact and function.
    Page {
        #[command(flatten)]
        folder: Folder,
    },
}

/// Where controls are.
#[derive(Debug, Args)]
pub(super) struct Folder {
    /// The folder of control files.
    #[arg(long, value_name = "DIR", default_value = "controls")]
    controls: PathBuf,
    /// The stage whose parameters apply.
    #[arg(long, default_value = "dev")]
    stage: String,
}

/// Options of a listing.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    folder: Folder,
    /// The form of the listing.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// The form of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Does it.
pub(super) fn controls(command: &Command) -> Result<u8, Failure> {
    match command {
        Command::List(list) => {
            let catalog = load(&list.folder.controls, &list.folder.stage, &[])?;
            data(&match list.format {
                Format::Text => catalog.controls.iter().map(line).collect::<String>(),
                Format::Json => {
                    format!(
                        "{}\n",
                        json!(catalog.controls.iter().map(row).collect::<Vec<_>>())
                    )
                }
            });
        }
        Command::Show { id, list } => {
            let only = std::slice::from_ref(id);
            let catalog = load(&list.folder.controls, &list.folder.stage, only)?;
            for control in &catalog.controls {
                data(&match list.format {
                    Format::Text => page(control),
                    Format::Json => format!("{}\n", row(control)),
                });
            }
        }
        Command::Check { folder } => {
            let catalog = load(&folder.controls, &folder.stage, &[])?;
            let rules: usize = catalog
                .controls
                .iter()
                .map(|control| control.rule_ids().count())
                .sum();
            data(&format!(
                "{} controls with {rules} rules, all valid\n",
                catalog.controls.len()
            ));
        }
        Command::Baseline { folder } => {
            let catalog = load(&folder.controls, &folder.stage, &[])?;
            let path = folder.controls.join("baseline.json");
            std::fs::write(&path, Baseline::of(&catalog).text()).map_err(|error| {
                Failure::Broken(format!("failed to write `{}`: {error}", path.display()))
            })?;
            data(&format!("{}\n", path.display()));
        }
        Command::Test(list) => {
            let catalog = load(&list.folder.controls, &list.folder.stage, &[])?;
            return control_tests::test(&catalog, &list.folder.controls, list.format);
        }
        Command::Schema => data(&control_schema()),
        Command::Page { folder } => {
            let catalog = load(&folder.controls, &folder.stage, &[])?;
            data(&catalog_page(&catalog, &population::vocabulary()));
        }
    }
    Ok(0)
}

/// Reads and proves the controls of a folder; with `only`, those ids.
pub(super) fn load(folder: &Path, stage: &str, only: &[String]) -> Result<Catalog, Failure> {
    read(folder, stage, only).map(|(_, catalog)| catalog)
}

/// The same, with the texts that it was read from.
pub(super) fn read(
    folder: &Path,
    stage: &str,
    only: &[String],
) -> Result<(Sources, Catalog), Failure> {
    let sources = store::sources(folder)?;
    let choices = Choices {
        stage: stage.to_owned(),
        ..Choices::default()
    };
    let catalog = sources
        .catalog(&population::vocabulary(), &choices, only)
        .map_err(Failure::Files)?;
    Ok((sources, catalog))
}

fn line(control: &Control) -> String {
    format!(
        "{:<8} {:<9} {:>3} rules  {}\n",
        control.id,
        control.severity.to_string(),
        control.rule_ids().count(),
        control.title
    )
}

fn row(control: &Control) -> serde_json::Value {
    json!({
        "id": control.id,
        "title": control.title,
        "severity": control.severity.to_string(),
        "owner": control.owner,
        "mode": control.mode.to_string(),
        "statement": control.statement.trim(),
        "parameters": control.parameters.iter().map(|it| (it.name.clone(), it.value.to_string().into())).collect::<serde_json::Map<_, _>>(),
        "checks": control.checks.iter().map(|check| json!({"id": check.id(), "rules": check.rule_ids()})).collect::<Vec<_>>(),
        "rules": control.rule_ids().collect::<Vec<_>>(),
        "source": control.source.to_string(),
        "digest": control.digest,
    })
}

fn page(control: &Control) -> String {
    let mut lines = vec![
        format!("{} {}", control.id, control.title),
        format!(
            "severity {}, owner {}, {}",
            control.severity, control.owner, control.source
        ),
        String::new(),
        control.statement.trim().to_owned(),
    ];
    for parameter in &control.parameters {
        lines.push(format!(
            "parameter {} = {}",
            parameter.name, parameter.value
        ));
    }
    for check in &control.checks {
        lines.push(String::new());
        lines.push(check.id().to_owned());
        lines.extend(check.rule_ids().iter().map(|rule| format!("  {rule}")));
    }
    lines.push(String::new());
    lines.join("\n")
}
