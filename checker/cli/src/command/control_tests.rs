//! `checker controls test`: the tests inside the control files.
//!
//! In: the controls with their `tests:`, and the files that these start from, relative to the folder of the controls.
//! Out: what is otherwise than a test expects, and the rules that no test holds in place: each rule is taken out and
//! turned around in turn, and some test must notice. Either makes the exit code 1. A test that can't be tried is an
//! error of its author, with its place, and so is a case that no test takes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use checker_core::control::{Catalog, Control, Source, Test};
use checker_core::control_test::{Mutation, Outcomes, outcomes, unnoticed};
use checker_core::diagnostic::{Diagnostic, suggestion};
use checker_core::recording::{Given, Recording};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::controls::Format;
use crate::console::data;
use crate::failure::Failure;

/// Runs all tests of a catalogue.
pub(super) fn test(catalog: &Catalog, folder: &Path, format: Format) -> Result<u8, Failure> {
    let mut files = Files {
        folder,
        given: BTreeMap::new(),
        recordings: BTreeMap::new(),
        taken: BTreeSet::new(),
        errors: Vec::new(),
    };
    let tried: Vec<(&Control, Vec<(&Test, Outcomes)>)> = catalog
        .controls
        .iter()
        .map(|control| {
            let tests = control.tests.iter();
            let tried = tests.filter_map(|test| Some((test, files.tried(control, test)?)));
            (control, tried.collect())
        })
        .collect();
    let errors = files.errors();
    if !errors.is_empty() {
        return Err(Failure::Files(errors));
    }
    let reports: Vec<Report> = tried
        .iter()
        .map(|(control, tested)| Report::of(control, tested))
        .collect();
    let total = Total::over(&reports);
    data(&match format {
        Format::Json => {
            let controls: Vec<Value> = reports.iter().map(Report::json).collect();
            format!("{}\n", json!({"controls": controls, "total": total.json()}))
        }
        Format::Text => reports
            .iter()
            .map(Report::text)
            .chain([total.line("all")])
            .collect(),
    });
    Ok(u8::from(reports.iter().any(|report| !report.clean())))
}

/// The files that tests start from, each read once, and everything that is wrong with them or with who takes them.
struct Files<'a> {
    folder: &'a Path,
    /// By path; nothing where it can't be read, which is told once.
    given: BTreeMap<&'a str, Option<GivenFile>>,
    recordings: BTreeMap<String, Option<Recording>>,
    /// Cases that a test takes: file and name.
    taken: BTreeSet<(&'a str, &'a str)>,
    errors: Vec<Diagnostic>,
}

struct GivenFile {
    shown: String,
    text: String,
    given: Given,
}

impl GivenFile {
    /// An error at a case, where the file has it by name, otherwise at the file's begin.
    fn error(&self, case: &str, message: impl Into<String>) -> Diagnostic {
        let key = Value::from(case).to_string();
        let place = self.text.lines().enumerate().find_map(|(index, line)| {
            let (before, after) = line.split_once(&key)?;
            let named = after.trim_start().starts_with(':');
            named.then(|| (index + 1, before.chars().count() + 1))
        });
        let (line, column) = place.unwrap_or((1, 1));
        Diagnostic::at(&self.shown, line, column, message)
    }
}

impl<'a> Files<'a> {
    /// The outcomes of a control on what a test gives it; nothing where that can't be had.
    fn tried(&mut self, control: &Control, test: &'a Test) -> Option<Outcomes> {
        let path = test.given.as_str();
        if !self.given.contains_key(path) {
            let file = self.read_given(path, &test.source);
            self.given.insert(path, file);
        }
        let file = self.given.get(path)?.as_ref()?;
        let Some(case) = file.given.case(&test.name) else {
            let message = format!("`{}` has no case of this name", test.given);
            let help = suggestion(&test.name, file.given.names());
            self.errors.push(at(&test.source, message).maybe_help(help));
            return None;
        };
        self.taken.insert((path, test.name.as_str()));
        let name = &file.given.recording;
        if !self.recordings.contains_key(name) {
            let recording = read::<Recording>(self.folder, name, &test.source);
            let recording = recording.map(|(_, _, recording)| recording);
            let kept = recording.map_err(|error| self.errors.push(error)).ok();
            self.recordings.insert(name.clone(), kept);
        }
        let recording = self.recordings.get(name)?.as_ref()?;
        match recording.changed(&case) {
            Ok((facts, setting)) => Some(outcomes(control, &facts, &setting)),
            Err(error) => {
                let message = format!("`{}`: cannot {error}", test.name);
                let help = format!(
                    "record the run again, or mend the change; {} takes it",
                    test.source
                );
                self.errors.push(file.error(&test.name, message).help(help));
                None
            }
        }
    }

    fn read_given(&mut self, path: &str, taker: &Source) -> Option<GivenFile> {
        match read::<Given>(self.folder, path, taker) {
            Ok((shown, text, given)) => {
                let file = GivenFile { shown, text, given };
                if let Some(why) = file.given.contradiction() {
                    self.errors.push(file.error("change", why));
                    return None;
                }
                Some(file)
            }
            Err(error) => {
                self.errors.push(error);
                None
            }
        }
    }

    /// Everything that is wrong, each once, cases that no test takes among it.
    fn errors(mut self) -> Vec<Diagnostic> {
        for (path, file) in &self.given {
            let Some(file) = file else { continue };
            let loose = file
                .given
                .names()
                .filter(|name| !self.taken.contains(&(*path, *name)));
            self.errors
                .extend(loose.map(|name| file.error(name, format!("no test takes `{name}`"))));
        }
        self.errors.sort();
        self.errors.dedup();
        self.errors
    }
}

fn at(source: &Source, message: impl Into<String>) -> Diagnostic {
    Diagnostic::at(&source.path, source.line, source.column, message)
}

/// A JSON file below the folder of the controls: its path as it is shown, its text and what it says.
fn read<T: DeserializeOwned>(
    folder: &Path,
    path: &str,
    taker: &Source,
) -> Result<(String, String, T), Diagnostic> {
    let file = folder.join(path);
    let shown = file.display().to_string();
    let text = std::fs::read_to_string(&file)
        .map_err(|error| at(taker, format!("`{shown}` cannot be read: {error}")))?;
    match serde_json::from_str(&text) {
        Ok(it) => Ok((shown, text, it)),
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            let message = error.to_string();
            let message = message
                .strip_suffix(&format!(" at line {line} column {column}"))
                .unwrap_or(&message);
            Err(Diagnostic::at(&shown, line.max(1), column.max(1), message))
        }
    }
}

/// What became of the tests of one control.
struct Report {
    control: String,
    total: Total,
    /// Name, place, and what is otherwise than it expects.
    failed: Vec<(String, String, Vec<String>)>,
    unnoticed: Vec<(String, Mutation)>,
}

impl Report {
    fn of(control: &Control, tested: &[(&Test, Outcomes)]) -> Self {
        let failed = tested
            .iter()
            .map(|(test, outcomes)| {
                let mismatches = outcomes.mismatches(test);
                let mismatches = mismatches.iter().map(ToString::to_string).collect();
                (test.name.clone(), test.source.to_string(), mismatches)
            })
            .filter(|(_, _, mismatches): &(_, _, Vec<String>)| !mismatches.is_empty())
            .collect();
        let unnoticed = unnoticed(control, tested);
        let rules = control.rule_ids().count();
        let mutants = rules * Mutation::ALL.len();
        Self {
            control: control.id.clone(),
            total: Total {
                tests: tested.len(),
                rules,
                mutants,
                noticed: mutants.saturating_sub(unnoticed.len()),
            },
            failed,
            unnoticed,
        }
    }

    fn clean(&self) -> bool {
        self.failed.is_empty() && self.unnoticed.is_empty()
    }

    fn json(&self) -> Value {
        let failed = self.failed.iter().map(|(name, source, mismatches)| {
            json!({"name": name, "source": source, "mismatches": mismatches})
        });
        let unnoticed = self
            .unnoticed
            .iter()
            .map(|(rule, mutation)| json!({"rule": rule, "mutation": mutation.word()}));
        json!({
            "control": self.control,
            "tests": self.total.tests,
            "rules": self.total.rules,
            "mutants": self.total.mutants,
            "noticed": self.total.noticed,
            "clean": self.clean(),
            "failed": failed.collect::<Vec<_>>(),
            "unnoticed": unnoticed.collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let mut lines = vec![self.total.line(&self.control)];
        for (name, source, mismatches) in &self.failed {
            lines.push(format!("  failed: {name} ({source})\n"));
            lines.extend(
                mismatches
                    .iter()
                    .map(|mismatch| format!("    {mismatch}\n")),
            );
        }
        lines.extend(self.unnoticed.iter().map(|(rule, mutation)| {
            let done = mutation.word();
            format!("  no test notices when {rule} is {done}\n")
        }));
        lines.concat()
    }
}

/// How many there are.
#[derive(Debug, Clone, Copy, Default)]
struct Total {
    tests: usize,
    rules: usize,
    mutants: usize,
    noticed: usize,
}

impl Total {
    fn over(reports: &[Report]) -> Self {
        let mut total = Self::default();
        for report in reports {
            let Self {
                tests,
                rules,
                mutants,
                noticed,
            } = report.total;
            total.tests += tests;
            total.rules += rules;
            total.mutants += mutants;
            total.noticed += noticed;
        }
        total
    }

    fn line(self, name: &str) -> String {
        let Self {
            tests,
            rules,
            mutants,
            noticed,
        } = self;
        format!(
            "{name:<8} {tests:>3} tests, {rules:>3} rules, {noticed:>3} of {mutants:>3} mutants noticed\n"
        )
    }

    fn json(self) -> Value {
        let Self {
            tests,
            rules,
            mutants,
            noticed,
        } = self;
        json!({"tests": tests, "rules": rules, "mutants": mutants, "noticed": noticed})
    }
}
