//! Every rule of the committed controls, judged by the same `judge` as a nightly run.
//!
//! Two kinds of trials: each finding on the recorded lab run must pass, and each case of `controls/tests/` changes the
//! recorded facts so that exactly the rules that some test names come out as it says: those of other controls too.
//! Every rule must have a test in which no other rule of its control fails, and one that notices each of its mutants.
//! `checker controls test` reads the same files; the recording is made by `UPDATE=1 cargo test --release -p checker --test program`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness stops at the first thing that is not as it should be"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use checker_core::control::{
    Baseline, Catalog, Check, Choices, Control, Expected, SourceFile, Test, catalog_page,
};
use checker_core::control_test::{Outcomes, outcomes, unnoticed};
use checker_core::judge::{About, judge};
use checker_core::observation::Facts;
use checker_core::plan;
use checker_core::population::{Setting, vocabulary};
use checker_core::probe;
use checker_core::recording::{Case, Given, Recording};
use checker_core::run::{Run, Target};
use checker_core::verdict::Verdict;
use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;

/// A trial that the bank named, and the rule that answers it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
    rule: String,
}

/// A case: its file and its name.
type Key = (String, String);

/// What the controls make of the cases, each found out once.
struct Tried {
    catalog: Arc<Catalog>,
    cases: BTreeMap<Key, Case>,
    recording: Recording,
    known: Mutex<BTreeMap<(String, Key), Outcomes>>,
}

impl Tried {
    fn outcomes(&self, control: &Control, key: &Key) -> Result<Outcomes, Failed> {
        let about = (control.id.clone(), key.clone());
        if let Some(known) = self.known.lock().unwrap().get(&about) {
            return Ok(known.clone());
        }
        let changed = self.recording.changed(&self.cases[key]);
        let (facts, setting) = changed.map_err(|error| error.to_string())?;
        let found = outcomes(control, &facts, &setting);
        self.known.lock().unwrap().insert(about, found.clone());
        Ok(found)
    }
}

fn main() {
    let arguments = Arguments::from_args();
    let catalog = Arc::new(catalog());
    let cases = cases();
    let recording: Recording = json(&controls().join("tests/recording.json"));
    let setting = recording.setting();
    let facts = recording.facts();
    let mut trials = vec![
        recording_is_current(&catalog, &facts, &setting),
        page_is_current(&catalog),
        baseline_is_current(&catalog),
    ];
    let run = judged(&catalog, &facts, &setting);
    trials.extend(findings(&run));
    trials.extend(named(&run));
    trials.push(every_control_looks(&catalog));
    trials.push(every_rule_can_fail(&catalog));
    let tried = Arc::new(Tried {
        catalog,
        cases,
        recording,
        known: Mutex::default(),
    });
    for key in tried.cases.keys() {
        let (tried, key) = (Arc::clone(&tried), key.clone());
        trials.push(Trial::test(format!("case::{}", key.1), move || {
            check(&key, &tried)
        }));
    }
    // Last, when most of what it needs is known.
    trials.push(every_mutant_is_noticed(&tried));
    libtest_mimic::run(&arguments, trials).exit();
}

/// Every finding of the recorded run is a trial of its own.
fn findings(run: &Run) -> Vec<Trial> {
    run.controls
        .iter()
        .flat_map(|control| {
            control
                .findings
                .iter()
                .map(|finding| (control.id.clone(), finding))
        })
        .map(|(control, finding)| {
            let finding = finding.clone();
            let name = format!("{control}.{}::{}", finding.assertion, finding.resource);
            Trial::test(name, move || match finding.verdict {
                Verdict::Pass | Verdict::NotApplicable | Verdict::Waived => Ok(()),
                Verdict::Fail | Verdict::Inconclusive => Err(Failed::from(format!(
                    "{}: {} ({})",
                    finding.verdict.word(),
                    finding.says,
                    finding.because.join("; ")
                ))),
            })
        })
        .collect()
}

/// The trials that the bank named: each rule exists, speaks of something, and passes.
fn named(run: &Run) -> Vec<Trial> {
    let named: Vec<Named> = read("named-trials.json");
    let count = named.len();
    let mut trials = vec![Trial::test("22 named trials", move || {
        if count == 22 {
            return Ok(());
        }
        Err(Failed::from(format!("{count} named trials")))
    })];
    for trial in named {
        let rule = trial.rule;
        let verdicts: Vec<Verdict> = run
            .controls
            .iter()
            .flat_map(|control| {
                control
                    .findings
                    .iter()
                    .map(|finding| (control.id.clone(), finding))
            })
            .filter(|(control, finding)| format!("{control}.{}", finding.assertion) == rule)
            .map(|(_, finding)| finding.verdict)
            .collect();
        trials.push(Trial::test(format!("named::{}", trial.name), move || {
            if Verdict::over(verdicts.iter().copied()) == Some(Verdict::Pass) {
                return Ok(());
            }
            Err(Failed::from(format!("{rule}: {verdicts:?}")))
        }));
    }
    trials
}

/// Every FR control looks at infrastructure, every DT and AML control at policy, whatever else they do.
fn every_control_looks(catalog: &Arc<Catalog>) -> Trial {
    let blind: Vec<String> = catalog
        .controls
        .iter()
        .filter(|control| {
            !control
                .checks
                .iter()
                .any(|check| matches!(check, Check::Inspect(_) | Check::Iam(_)))
        })
        .map(|control| control.id.clone())
        .collect();
    let seven = [
        "AML-007", "DT-001", "DT-002", "FR-277", "FR-278", "FR-279", "FR-280",
    ];
    let missing: Vec<&str> = seven
        .into_iter()
        .filter(|id| catalog.control(id).is_none())
        .collect();
    Trial::test("every control looks at something", move || {
        if blind.is_empty() && missing.is_empty() {
            return Ok(());
        }
        Err(Failed::from(format!(
            "blind: {blind:?}, missing: {missing:?}"
        )))
    })
}

/// The recording answers every question that the controls of today ask.
fn recording_is_current(catalog: &Arc<Catalog>, facts: &Facts, setting: &Setting) -> Trial {
    let mut open = plan::next(catalog, facts, setting);
    let probes = probe::plan(catalog, setting).probes;
    open.extend(
        probes
            .iter()
            .map(probe::Planned::question)
            .filter(|question| !facts.asked(question)),
    );
    Trial::test("the recording is current", move || {
        if open.is_empty() {
            return Ok(());
        }
        Err(Failed::from(format!(
            "the recording lacks {open:?}; run UPDATE=1 cargo test --release -p checker --test program"
        )))
    })
}

/// What was approved is what is committed: a loosened control shows in its own commit, and in every report.
fn baseline_is_current(catalog: &Catalog) -> Trial {
    let current = Baseline::of(catalog).text();
    Trial::test("the approved baseline is of these controls", move || {
        let approved = std::fs::read_to_string(controls().join("baseline.json"))?;
        if approved == current {
            return Ok(());
        }
        Err(
            "controls/baseline.json is stale: `checker controls baseline`, and have it approved"
                .into(),
        )
    })
}

/// The committed page of the catalogue is what the controls of today say.
fn page_is_current(catalog: &Arc<Catalog>) -> Trial {
    let page = catalog_page(catalog, &vocabulary());
    Trial::test("controls/README.md is current", move || {
        let path = repository().join("controls/README.md");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &page)?;
        }
        if std::fs::read_to_string(&path).unwrap_or_default() == page {
            return Ok(());
        }
        Err(Failed::from(
            "it is stale; run UPDATE=1 cargo test --release -p checker-core --test rules",
        ))
    })
}

/// Every rule has a test in which it, and only it, fails.
fn every_rule_can_fail(catalog: &Arc<Catalog>) -> Trial {
    let catalog = Arc::clone(catalog);
    Trial::test("every rule can fail alone", move || {
        let without: Vec<String> = catalog
            .controls
            .iter()
            .flat_map(|control| {
                let alone: BTreeSet<&str> = control.tests.iter().filter_map(only_failing).collect();
                control
                    .rule_ids()
                    .filter(|rule| !alone.contains(rule))
                    .map(|rule| format!("{}.{rule}", control.id))
                    .collect::<Vec<_>>()
            })
            .collect();
        if without.is_empty() {
            return Ok(());
        }
        Err(Failed::from(format!("without a test: {without:?}")))
    })
}

/// The rule that fails in a test, where it is one.
fn only_failing(test: &Test) -> Option<&str> {
    let mut failing = test
        .expect
        .iter()
        .filter(|(_, expected)| **expected == Expected::Fail)
        .map(|(rule, _)| rule.as_str());
    failing.next().filter(|_| failing.next().is_none())
}

/// Each rule, taken out and turned around, makes some test of its control fail.
fn every_mutant_is_noticed(tried: &Arc<Tried>) -> Trial {
    let tried = Arc::clone(tried);
    Trial::test("every mutant of a rule is noticed", move || {
        let mut loose = Vec::new();
        for control in &tried.catalog.controls {
            let mut tested: Vec<(&Test, Outcomes)> = Vec::new();
            for test in &control.tests {
                let key = (test.given.clone(), test.name.clone());
                tested.push((test, tried.outcomes(control, &key)?));
            }
            let unnoticed = unnoticed(control, &tested).into_iter();
            loose.extend(unnoticed.map(|(rule, how)| (control.id.clone(), rule, how)));
        }
        if loose.is_empty() {
            return Ok(());
        }
        Err(Failed::from(format!("no test notices {loose:?}")))
    })
}

/// A case comes out as the tests say that take it; a control without such a test holds.
fn check(key: &Key, tried: &Tried) -> Result<(), Failed> {
    let (file, name) = key;
    let mut wrong = Vec::new();
    let mut taken = false;
    for control in &tried.catalog.controls {
        let test = control
            .tests
            .iter()
            .find(|test| test.given == *file && test.name == *name);
        taken |= test.is_some();
        let expected = test.cloned().unwrap_or_else(|| Test {
            name: name.clone(),
            given: file.clone(),
            expect: BTreeMap::new(),
            source: control.source.clone(),
        });
        let mismatches = tried.outcomes(control, key)?.mismatches(&expected);
        wrong.extend(mismatches.iter().map(|it| format!("{}.{it}", control.id)));
    }
    if !taken {
        wrong.push(format!("no test takes it from {file}"));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failed::from(wrong.join("; ")))
}

fn judged(catalog: &Catalog, facts: &Facts, setting: &Setting) -> Run {
    judge(
        catalog,
        facts,
        setting,
        About {
            target: Target::Lab,
            finished: setting.now,
            notes: Vec::new(),
            not_proven: Vec::new(),
            api_calls: BTreeMap::new(),
        },
    )
}

fn catalog() -> Catalog {
    let folder = controls();
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "yaml"))
        .filter(|path| path.file_name().is_some_and(|it| it != "waivers.yaml"))
        .collect();
    paths.sort();
    let files: Vec<SourceFile> = paths
        .iter()
        .map(|path| SourceFile {
            path: format!("controls/{}", path.file_name().unwrap().to_string_lossy()),
            text: std::fs::read_to_string(path).unwrap(),
        })
        .collect();
    let choices = Choices {
        stage: "dev".to_owned(),
        ..Choices::default()
    };
    Catalog::load("controls", &files, &vocabulary(), &choices)
        .unwrap_or_else(|errors| panic!("{errors:#?}"))
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn controls() -> PathBuf {
    repository().join("controls")
}

/// Every case beside the controls, by file and name.
fn cases() -> BTreeMap<Key, Case> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(controls().join("tests"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().is_some_and(|it| it != "recording.json"))
        .collect();
    paths.sort();
    let mut cases = BTreeMap::new();
    for path in paths {
        let file = format!("tests/{}", path.file_name().unwrap().to_string_lossy());
        let given: Given = json(&path);
        assert_eq!(given.recording, "tests/recording.json", "{file}");
        for name in given.names() {
            let case = given.case(name).unwrap();
            cases.insert((file.clone(), name.to_owned()), case);
        }
    }
    cases
}

fn read<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    json(
        &Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data")
            .join(name),
    )
}

fn json<T: for<'de> Deserialize<'de>>(path: &Path) -> T {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
