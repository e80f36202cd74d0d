//! Every rule of the committed controls, judged by the same `judge` as a nightly run.
//!
//! Two kinds of trials: each finding on the recorded lab run must pass, and each case of `data/cases/` changes
//! the recorded facts so that exactly the named rules fail. Every rule must have a case in which no other rule of its
//! control fails.
//! The recording is made by `UPDATE=1 cargo test --release -p checker --test program`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test harness stops at the first thing that is not as it should be"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use checker_core::control::{Catalog, Check, Choices, SourceFile, catalog_page};
use checker_core::duration::Duration;
use checker_core::judge::{About, judge};
use checker_core::observation::{Facts, Observed, Outcome, Time, Unseen};
use checker_core::plan;
use checker_core::population::{Organisation, Setting, vocabulary};
use checker_core::probe;
use checker_core::run::{Run, Target};
use checker_core::verdict::Verdict;
use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A change of the recorded facts, and what it must lead to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    change: Vec<Change>,
    /// Time that passes after the recording.
    #[serde(default)]
    later: Option<Duration>,
    /// Exactly these rules fail.
    #[serde(default)]
    fails: BTreeSet<String>,
    /// Exactly these rules are inconclusive; a population stands under the id of its check.
    #[serde(default)]
    inconclusive: BTreeSet<String>,
}

/// One change, to the answers of one question.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    /// The question's name, such as `secrets` or `function`.
    question: String,
    /// Only where the question names something with this text in it, such as a function of this name.
    #[serde(default)]
    about: Option<String>,
    /// The member of the answer that holds the rows, where the answer itself is no list.
    #[serde(default)]
    within: Option<String>,
    /// Rows with these members, all rows without.
    #[serde(default, rename = "where")]
    filter: Map<String, Value>,
    /// Members to set, by dotted path.
    #[serde(default)]
    set: Map<String, Value>,
    /// Texts to replace in members: what stands there, and what shall.
    #[serde(default)]
    edit: BTreeMap<String, (String, String)>,
    /// Removes the rows instead.
    #[serde(default)]
    drop: bool,
    /// Replaces the whole answer instead.
    #[serde(default, deserialize_with = "given")]
    answer: Option<Value>,
    /// Adds a row instead: a copy of the first that matches, with `set` applied.
    #[serde(default)]
    add: bool,
    /// Makes it an unanswered question instead, with this code.
    #[serde(default)]
    unseen: Option<String>,
}

/// A member that is there, `null` included.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// A trial that the bank named, and the rule that answers it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
    rule: String,
}

/// The recorded lab run.
#[derive(Deserialize)]
struct Recording {
    now: Time,
    stage: String,
    account: String,
    region: String,
    facts: Vec<Observed>,
}

fn main() {
    let arguments = Arguments::from_args();
    let catalog = Arc::new(catalog());
    let recording: Recording = read("recording.json");
    let setting = Setting {
        stage: recording.stage.clone(),
        account: recording.account.clone(),
        region: recording.region.clone(),
        now: recording.now,
        organisation: Organisation::default(),
        shard: None,
    };
    let facts = facts(&recording.facts);
    let mut trials = vec![
        recording_is_current(&catalog, &facts, &setting),
        page_is_current(&catalog),
    ];
    let run = judged(&catalog, &facts, &setting);
    trials.extend(findings(&run));
    trials.extend(named(&run));
    trials.push(every_control_looks(&catalog));
    let cases = cases();
    trials.push(every_rule_can_fail(&catalog, &cases));
    let recorded = Arc::new(recording.facts);
    for case in cases {
        let (catalog, recorded, setting) =
            (Arc::clone(&catalog), Arc::clone(&recorded), setting.clone());
        trials.push(Trial::test(format!("case::{}", case.name), move || {
            check(&case, &catalog, &recorded, setting)
        }));
    }
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

/// Every rule has a case in which it, and only it, fails.
fn every_rule_can_fail(catalog: &Arc<Catalog>, cases: &[Case]) -> Trial {
    // Two controls may demand the same of one fact: a rule is alone when no other of its own control fails.
    let control = |rule: &str| rule.split('.').next().unwrap().to_owned();
    let alone: BTreeSet<String> = cases
        .iter()
        .flat_map(|case| case.fails.iter().map(move |rule| (case, rule)))
        .filter(|(case, rule)| {
            let same = |other: &&String| control(other) == control(rule);
            case.fails.iter().filter(same).count() == 1
        })
        .map(|(_, rule)| rule.clone())
        .collect();
    let rules: BTreeSet<String> = catalog
        .controls
        .iter()
        .flat_map(|control| {
            control
                .rule_ids()
                .map(move |rule| format!("{}.{rule}", control.id))
        })
        .collect();
    Trial::test("every rule can fail alone", move || {
        let without: Vec<_> = rules.difference(&alone).collect();
        let unknown: Vec<_> = alone.difference(&rules).collect();
        if without.is_empty() && unknown.is_empty() {
            return Ok(());
        }
        Err(Failed::from(format!(
            "without a case: {without:?}; cases of no rule: {unknown:?}"
        )))
    })
}

fn check(
    case: &Case,
    catalog: &Catalog,
    recorded: &[Observed],
    mut setting: Setting,
) -> Result<(), Failed> {
    let mut observed = recorded.to_vec();
    for change in &case.change {
        let changed = apply(&mut observed, change);
        if changed == 0 {
            return Err(Failed::from(format!("{change:?} changed nothing")));
        }
    }
    if let Some(later) = case.later {
        setting.now += later.as_delta();
    }
    let run = judged(catalog, &facts(&observed), &setting);
    let with = |verdict: Verdict| -> BTreeSet<String> {
        run.controls
            .iter()
            .flat_map(|control| {
                control
                    .findings
                    .iter()
                    .filter(move |finding| finding.verdict == verdict)
                    .map(move |finding| format!("{}.{}", control.id, finding.assertion))
            })
            .collect()
    };
    let (fails, inconclusive) = (with(Verdict::Fail), with(Verdict::Inconclusive));
    if fails == case.fails && inconclusive == case.inconclusive {
        return Ok(());
    }
    Err(Failed::from(format!(
        "fails {fails:?}, expected {:?}; inconclusive {inconclusive:?}, expected {:?}",
        case.fails, case.inconclusive
    )))
}

/// Applies a change and says how many places it changed.
fn apply(observed: &mut [Observed], change: &Change) -> usize {
    let mut changed = 0;
    for record in observed {
        let question = serde_json::to_value(&record.observation).unwrap();
        let name = question.as_str().map_or_else(
            || question.as_object().unwrap().keys().next().unwrap().clone(),
            str::to_owned,
        );
        let is_about = |text: &String| {
            question
                .get(&name)
                .is_some_and(|it| it.to_string().contains(text))
        };
        if name != change.question || !change.about.as_ref().is_none_or(is_about) {
            continue;
        }
        if let Some(code) = &change.unseen {
            record.outcome = Outcome::Unseen(Unseen {
                operation: record.observation.operation().to_owned(),
                code: code.clone(),
                advice: "a case".to_owned(),
            });
            changed += 1;
            continue;
        }
        let mut outcome = serde_json::to_value(&record.outcome).unwrap();
        let answer = outcome["seen"]
            .as_object_mut()
            .unwrap()
            .values_mut()
            .next()
            .unwrap();
        changed += change_answer(answer, change);
        record.outcome = serde_json::from_value(outcome).expect("the change keeps the shape");
    }
    changed
}

fn change_answer(answer: &mut Value, change: &Change) -> usize {
    if let Some(whole) = &change.answer {
        *answer = whole.clone();
        return 1;
    }
    let answer = match &change.within {
        Some(member) => &mut answer[member],
        None => answer,
    };
    let matches = |row: &Value| {
        change
            .filter
            .iter()
            .all(|(member, value)| row.get(member) == Some(value))
    };
    match answer {
        Value::Array(rows) if change.drop => {
            let before = rows.len();
            rows.retain(|row| !matches(row));
            before - rows.len()
        }
        Value::Array(rows) if change.add => {
            let Some(mut row) = rows.iter().find(|row| matches(row)).cloned() else {
                return 0;
            };
            set_all(&mut row, change);
            rows.push(row);
            1
        }
        Value::Array(rows) => rows
            .iter_mut()
            .filter(|row| matches(row))
            .map(|row| set_all(row, change))
            .count(),
        one if matches(one) => {
            set_all(one, change);
            1
        }
        _ => 0,
    }
}

fn set_all(row: &mut Value, change: &Change) {
    for (member, (from, to)) in &change.edit {
        let text = row[member].as_str().unwrap().to_owned();
        assert!(
            text.contains(from),
            "{member} does not hold {from:?}: {text}"
        );
        row[member] = text.replace(from, to).into();
    }
    for (path, value) in &change.set {
        let mut at = &mut *row;
        let mut parts = path.split("::").peekable();
        while let Some(part) = parts.next() {
            let object = at
                .as_object_mut()
                .unwrap_or_else(|| panic!("{path} is no member"));
            if parts.peek().is_none() {
                if value == &Value::String("(remove)".to_owned()) {
                    object.remove(part);
                } else {
                    object.insert(part.to_owned(), value.clone());
                }
                break;
            }
            at = object
                .get_mut(part)
                .unwrap_or_else(|| panic!("{path} is no member"));
        }
    }
}

fn facts(observed: &[Observed]) -> Facts {
    let mut facts = Facts::default();
    for record in observed {
        facts.insert(record.clone());
    }
    facts
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
    let folder = repository().join("controls");
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

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cases");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
        .iter()
        .flat_map(|name| read::<Vec<Case>>(&format!("cases/{name}")))
        .collect()
}

fn read<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
