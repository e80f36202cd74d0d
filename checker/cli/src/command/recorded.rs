//! A recorded run read again: `checker report`, `diff` and `sample`. All of them judge again from the evidence, so that
//! they speak of every finding, also where `run.json` counts the passed ones only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use checker_core::evidence::population;
use checker_core::evidence::rendered;
use checker_core::evidence::verify::{Verification, verify};
use checker_core::run::{Finding, Run};
use checker_core::shared::Shared;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::controls::Format;
use crate::console::{Console, data};
use crate::failure::Failure;
use crate::store::folder;

/// Options of `checker report`.
#[derive(Debug, Args)]
pub(super) struct ReportArguments {
    /// The folder of a run.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The folder that receives the reports; `report-<run id>` here where none is given.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Options of `checker diff`.
#[derive(Debug, Args)]
pub(super) struct DiffArguments {
    /// The folder of the earlier run.
    #[arg(value_name = "RUN")]
    before: PathBuf,
    /// The folder of the later run.
    #[arg(value_name = "RUN")]
    after: PathBuf,
    /// The form of the result.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Options of `checker sample`.
#[derive(Debug, Args)]
pub(super) struct SampleArguments {
    /// The folder of a run.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// How many resources.
    #[arg(long, value_name = "N", default_value_t = 25)]
    n: usize,
    /// Only of resources that this control judged.
    #[arg(long, value_name = "ID")]
    control: Option<String>,
    /// Another seed than the SHA-256 of the run's manifest.
    #[arg(long, value_name = "TEXT")]
    seed: Option<String>,
    /// The form of the sample.
    #[arg(long, value_enum, default_value = "text")]
    format: Table,
}

/// The form of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Table {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For spreadsheets.
    Csv,
}

/// Reads a run and judges it again. A run that does not verify is no ground for anything.
fn open(path: &Path) -> Result<(Verification, Run), Failure> {
    let (bundle, odd) = folder::read(path)
        .map_err(|error| Failure::Usage(format!("`{}` can't be read: {error}", path.display())))?;
    let mut found = verify(&bundle, None);
    found.problems.extend(odd);
    if let (true, Some(run)) = (found.holds(), found.run.take()) {
        return Ok((found, run));
    }
    let mut lines = vec![format!("`{}` does not hold as a run:", path.display())];
    lines.extend(
        found
            .problems
            .iter()
            .map(|problem| format!("  {}: {}", problem.file, problem.what)),
    );
    Err(Failure::Usage(lines.join("\n")))
}

/// Renders every report of a run again.
pub(super) fn report(arguments: &ReportArguments, console: Console) -> Result<u8, Failure> {
    let (found, run) = open(&arguments.run)?;
    let out = arguments
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("report-{}", run.run_id)));
    let broken = |error: &dyn std::fmt::Display| {
        Failure::Broken(format!("failed to write `{}`: {error}", out.display()))
    };
    fs::create_dir_all(&out).map_err(|error| broken(&error))?;
    for report in rendered() {
        let path = out.join(report.name);
        let mut file = File::create(&path).map_err(|error| broken(&error))?;
        let written = report.write(&run, &found.earlier, &mut file);
        written.map_err(|error| broken(&error))?;
        data(&format!("{}\n", path.display()));
    }
    console.line(&format!(
        "run {}: verdict {}",
        run.run_id,
        run.verdict.word()
    ));
    Ok(0)
}

/// Says what changed between two runs: exit code 1 when something did.
pub(super) fn diff(arguments: &DiffArguments) -> Result<u8, Failure> {
    let (_, before) = open(&arguments.before)?;
    let (_, after) = open(&arguments.after)?;
    let controls = changed(&about_controls(&before), &about_controls(&after));
    let findings = changed(&verdicts(&before), &verdicts(&after));
    match arguments.format {
        Format::Json => {
            let rows = |changes: &[Change]| -> Vec<Value> {
                changes
                    .iter()
                    .map(|(what, before, after)| json!({"what": what, "before": before, "after": after}))
                    .collect()
            };
            data(&format!(
                "{}\n",
                json!({
                    "before": before.run_id,
                    "after": after.run_id,
                    "controls": rows(&controls),
                    "findings": rows(&findings),
                })
            ));
        }
        Format::Text => {
            data(&format!("{} -> {}\n", before.run_id, after.run_id));
            for (what, before, after) in controls.iter().chain(&findings) {
                let word =
                    |text: &Option<String>| text.clone().unwrap_or_else(|| "absent".to_owned());
                data(&format!("{what}: {} -> {}\n", word(before), word(after)));
            }
            data(&format!(
                "{} changes of controls, {} of findings\n",
                controls.len(),
                findings.len()
            ));
        }
    }
    Ok(u8::from(!controls.is_empty() || !findings.is_empty()))
}

/// What changed, before, after.
type Change = (String, Option<String>, Option<String>);

fn changed(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<Change> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| {
            (
                name.clone(),
                before.get(name).cloned(),
                after.get(name).cloned(),
            )
        })
        .collect()
}

fn about_controls(run: &Run) -> BTreeMap<String, String> {
    let mut about = BTreeMap::from([("verdict".to_owned(), run.verdict.word().to_owned())]);
    for control in &run.controls {
        let id = &control.id;
        about.insert(format!("{id} verdict"), control.verdict.word().to_owned());
        about.insert(format!("{id} text, SHA-256"), control.digest.clone());
        for (name, value) in &control.parameters {
            about.insert(format!("{id} parameter {name}"), value.clone());
        }
    }
    for waiver in &run.waivers {
        about.insert(
            format!("waiver {}", waiver.id),
            format!(
                "{} until {}, by {}",
                waiver.resource, waiver.expires, waiver.approver
            ),
        );
    }
    about
}

fn verdicts(run: &Run) -> BTreeMap<String, String> {
    findings(run)
        .map(|(control, finding)| {
            (
                format!("{control}.{} {}", finding.assertion, finding.resource),
                finding.verdict.word().to_owned(),
            )
        })
        .collect()
}

fn findings(run: &Run) -> impl Iterator<Item = (&str, &Finding)> {
    run.controls.iter().flat_map(|control| {
        control
            .findings
            .iter()
            .map(move |finding| (control.id.as_str(), finding))
    })
}

/// Draws a sample that anybody can draw again.
pub(super) fn sample(arguments: &SampleArguments, console: Console) -> Result<u8, Failure> {
    let (found, mut run) = open(&arguments.run)?;
    if let Some(id) = &arguments.control {
        run.controls.retain(|control| control.id == *id);
        if run.controls.is_empty() {
            return Err(Failure::Usage(format!("the run has no control `{id}`")));
        }
    }
    let seed = arguments.seed.as_ref().unwrap_or(&found.digest);
    let all = population::resources(&run).len();
    let drawn = population::sample(&run, seed, arguments.n);
    let size = drawn.len();
    let controls: Vec<&str> = run
        .controls
        .iter()
        .map(|control| control.id.as_str())
        .collect();
    match arguments.format {
        Table::Csv => data(&population::table(&controls, drawn)),
        Table::Json => {
            let rows: Vec<Value> = drawn
                .iter()
                .map(|(resource, verdicts)| {
                    let evidence: BTreeSet<&str> = findings(&run)
                        .filter(|(_, finding)| finding.resource == *resource)
                        .flat_map(|(_, finding)| &finding.evidence)
                        .map(Shared::as_str)
                        .collect();
                    json!({"resource": resource, "verdicts": verdicts, "evidence": evidence})
                })
                .collect();
            data(&format!(
                "{}\n",
                json!({"run": run.run_id, "seed": seed, "population": all, "sample": rows})
            ));
        }
        Table::Text => {
            for (resource, verdicts) in &drawn {
                let verdicts: Vec<String> = verdicts
                    .iter()
                    .map(|(control, verdict)| format!("{control} {}", verdict.word()))
                    .collect();
                data(&format!("{resource}: {}\n", verdicts.join(", ")));
            }
        }
    }
    console.line(&format!(
        "{size} of {all} resources, lowest SHA-256 of seed, line feed and name; seed {seed}"
    ));
    Ok(0)
}
