//! `checker controls test`: the tests inside the control files.
//!
//! In: the controls with their `tests:`, and the recorded facts that these name, relative to the folder of the controls.
//! Out: what is otherwise than a test expects, and the rules that no test holds in place: each rule is taken out and
//! turned around in turn, and some test must notice. Either makes the exit code 1.

use std::collections::BTreeMap;
use std::path::Path;

use checker_core::control::{Catalog, Control, Test};
use checker_core::control_test::{Outcomes, outcomes, unnoticed};
use checker_core::diagnostic::Diagnostic;
use checker_core::recording::{Given, Recording};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::controls::Format;
use crate::console::data;
use crate::failure::Failure;

/// Runs all tests of a catalogue.
pub(super) fn test(catalog: &Catalog, folder: &Path, format: Format) -> Result<u8, Failure> {
    let mut recordings = BTreeMap::new();
    let mut reports = Vec::new();
    for control in &catalog.controls {
        let mut tested = Vec::new();
        for test in &control.tests {
            tested.push((test, tried(control, test, folder, &mut recordings)?));
        }
        reports.push(report(control, &tested));
    }
    let clean = reports
        .iter()
        .all(|report| *at(report, "clean") == Value::Bool(true));
    data(&match format {
        Format::Json => format!("{}\n", json!({"controls": reports})),
        Format::Text => reports.iter().map(text).collect(),
    });
    Ok(u8::from(!clean))
}

/// The outcomes of a control on what a test gives it.
fn tried(
    control: &Control,
    test: &Test,
    folder: &Path,
    recordings: &mut BTreeMap<String, Recording>,
) -> Result<Outcomes, Failure> {
    let given: Given = read(&folder.join(&test.given))?;
    if !recordings.contains_key(&given.recording) {
        let recording = read(&folder.join(&given.recording))?;
        recordings.insert(given.recording.clone(), recording);
    }
    let Some(recording) = recordings.get(&given.recording) else {
        return Err(Failure::Broken("failed to keep a recording".to_owned()));
    };
    let (facts, setting) = recording.changed(&given).map_err(|error| {
        let source = &test.source;
        Failure::Files(vec![
            Diagnostic::at(
                &source.path,
                source.line,
                source.column,
                format!("`{}`: cannot {error}", test.name),
            )
            .help("record the run again, or mend the change"),
        ])
    })?;
    Ok(outcomes(control, &facts, &setting))
}

fn report(control: &Control, tested: &[(&Test, Outcomes)]) -> Value {
    let failed: Vec<Value> = tested
        .iter()
        .filter_map(|(test, outcomes)| {
            let mismatches: Vec<String> = outcomes
                .mismatches(test)
                .iter()
                .map(ToString::to_string)
                .collect();
            (!mismatches.is_empty()).then(|| {
                json!({"name": test.name, "source": test.source.to_string(), "mismatches": mismatches})
            })
        })
        .collect();
    let loose: Vec<Value> = unnoticed(control, tested)
        .into_iter()
        .map(|(rule, mutation)| json!({"rule": rule, "mutation": mutation.word()}))
        .collect();
    json!({
        "control": control.id,
        "tests": tested.len(),
        "rules": control.rule_ids().count(),
        "clean": failed.is_empty() && loose.is_empty(),
        "failed": failed,
        "unnoticed": loose,
    })
}

fn at<'a>(value: &'a Value, member: &str) -> &'a Value {
    value.get(member).unwrap_or(&Value::Null)
}

fn text(report: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |member: &str| at(report, member).as_array().cloned().unwrap_or_default();
    let mut lines = vec![format!(
        "{:<8} {:>3} tests, {:>3} rules",
        word(at(report, "control")),
        at(report, "tests"),
        at(report, "rules")
    )];
    for test in &list("failed") {
        let (name, source) = (word(at(test, "name")), word(at(test, "source")));
        lines.push(format!("  failed: {name} ({source})"));
        let mismatches = at(test, "mismatches").as_array().into_iter().flatten();
        lines.extend(mismatches.map(|mismatch| format!("    {}", word(mismatch))));
    }
    lines.extend(list("unnoticed").iter().map(|mutant| {
        let (rule, mutation) = (word(at(mutant, "rule")), word(at(mutant, "mutation")));
        format!("  no test notices when {rule} is {mutation}")
    }));
    lines.push(String::new());
    lines.join("\n")
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::Files(vec![Diagnostic::whole(
            &shown,
            format!("cannot be read: {error}"),
        )])
    })?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::Files(vec![Diagnostic::at(
            &shown,
            error.line(),
            error.column(),
            format!("is no recorded facts: {error}"),
        )])
    })
}
