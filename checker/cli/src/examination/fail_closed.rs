//! Every read operation under every fault: what was not seen never passes.
//!
//! In: the program in a lab, with enough secrets for lists of two pages. For each operation and fault the questions that
//! it answers are asked again, and the run is judged with what came of them. A cell is good when the run says exactly
//! what it says without the fault, or when everything that it says otherwise is Inconclusive and names the operation.
//! Out: with `UPDATE=1`, the table in `docs/fail-closed.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use checker_core::control::Catalog;
use checker_core::judge::{About, judge};
use checker_core::observation::{Facts, Observation, Observed, Outcome};
use checker_core::population::Setting;
use checker_core::run::{Run, Target};
use checker_core::verdict::Verdict;
use checker_core::{plan, population::Organisation};

use super::Question;
use crate::aws::{Aws, Clock, Patience};
use crate::console::Console;
use crate::subject::{LabSetup, Subject};

/// The faults, in columns: the lab's name and what the table calls it. `*1` strikes the first call only.
const FAULTS: [(&str, &str); 18] = [
    ("access-denied", "denied"),
    ("throttled", "throttled"),
    ("server-error", "500"),
    ("hang", "hang"),
    ("reset", "reset"),
    ("truncated-page", "truncated page"),
    ("repeated-token", "repeated token"),
    ("empty-page-with-token", "empty page with token"),
    ("malformed-body", "malformed body"),
    ("wrong-type", "wrong type"),
    ("clock-skew", "clock skew"),
    ("signature-expired", "signature refused"),
    ("throttled*1", "throttled once"),
    ("server-error*1", "500 once"),
    ("reset*1", "reset once"),
    ("hang*1", "hang once"),
    ("malformed-body*1", "malformed once"),
    ("empty-page-with-token*1", "empty page once"),
];

/// Labs that work side by side.
const LABS: usize = 6;

macro_rules! variants {
    ($($name:ident)*) => {
        const VARIANTS: &[&str] = &[$(stringify!($name)),*];

        /// The compiler asks for every new question here, so that it is held against the faults too.
        fn variant(observation: &Observation) -> &'static str {
            match observation {
                $(Observation::$name { .. } => stringify!($name),)*
            }
        }
    };
}

variants! {
    Caller Authorization Secrets TaggedSecrets Secret SecretVersions SecretPolicy KeyAliases Key Function EventMatch
    EventRule EventTargets FunctionFailureDestination FunctionPolicy LogGroup Parameter Queue RetentionPolicies
    SubscriptionFilter TopicSubscriptions TrailLogging TrailSelectors Trails FunctionEnvironments KeyPolicy
    ModuleResources Parameters Schedules SecretCalls Program Trace
    Keys KeyGrants ControlPolicies Simulation Plan
}

/// A lab with the program, its catalogue and what it says without faults.
struct Bench {
    catalog: Catalog,
    subject: Subject,
    setting: Setting,
    facts: Facts,
    run: Run,
}

/// What came of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cell {
    /// The run says what it says without the fault.
    Full,
    /// What differs is Inconclusive.
    Inconclusive,
    /// Something else: the reason.
    Wrong(String),
}

#[test]
fn every_operation_under_every_fault() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let cells = runtime.block_on(matrix());
    let wrong: Vec<String> = cells
        .iter()
        .filter_map(|((operation, fault), cell)| match cell {
            Cell::Wrong(why) => Some(format!("{operation}={fault}: {why}")),
            Cell::Full | Cell::Inconclusive => None,
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} cells are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    held(&page(&cells));
}

/// All cells, by operation and name of the fault.
async fn matrix() -> BTreeMap<(String, &'static str), Cell> {
    let first = Arc::new(Bench::new().await);
    let operations = first.operations();
    let mut work: Vec<(String, &'static str)> = operations
        .iter()
        .flat_map(|operation| FAULTS.map(|(fault, _)| (operation.clone(), fault)))
        .collect();
    // What waits longest begins first.
    work.sort_by_key(|(_, fault)| !fault.starts_with("hang"));
    let work = Arc::new(std::sync::Mutex::new(work.into_iter()));
    let mut workers = tokio::task::JoinSet::new();
    for number in 0..LABS {
        let (work, first) = (Arc::clone(&work), Arc::clone(&first));
        workers.spawn(async move {
            let bench = if number == 0 {
                first
            } else {
                Arc::new(Bench::new().await)
            };
            let mut cells = Vec::new();
            while let Some((operation, fault)) = { work.lock().unwrap().next() } {
                let mut cell = bench.cell(&operation, fault).await;
                // On a busy machine another question may run out of time as well, and be the one that is named.
                if fault.starts_with("hang") && matches!(cell, Cell::Wrong(_)) {
                    cell = bench.cell(&operation, fault).await;
                }
                cells.push(((operation, fault), cell));
            }
            cells
        });
    }
    workers.join_all().await.into_iter().flatten().collect()
}

impl Bench {
    async fn new() -> Self {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let catalog = crate::command::catalog(&repository.join("controls"), "dev").unwrap();
        let subject = Subject::lab(&LabSetup {
            program: repository.join("infra-pulumi-yaml"),
            stage: "dev".to_owned(),
            secrets: 120,
            stand_in: Some(checker()),
            ..LabSetup::default()
        })
        .await
        .unwrap();
        let mut setting = Setting {
            stage: "dev".to_owned(),
            account: String::new(),
            region: subject
                .config
                .region()
                .map(ToString::to_string)
                .unwrap_or_default(),
            now: subject.lab.as_ref().unwrap().clock().now(),
            organisation: Organisation::default(),
            shard: None,
        };
        let aws = aws(&subject, Patience::LAB);
        let console = Console::silent();
        let mut facts = super::observe(
            &catalog,
            (&subject.given(), true),
            &aws,
            &mut setting,
            console,
        )
        .await;
        let more = more(&facts);
        for observed in aws.observe(more, |_| {}).await {
            facts.insert(observed);
        }
        let run = judged(&catalog, &facts, &setting);
        Self {
            catalog,
            subject,
            setting,
            facts,
            run,
        }
    }

    /// Every operation that was asked; every kind of question must have been.
    fn operations(&self) -> BTreeSet<String> {
        let asked: BTreeSet<&str> = self
            .facts
            .records()
            .map(|record| variant(&record.observed.observation))
            .collect();
        // Traces are made by probes; control policies and plans are given: none is asked for.
        let missing: Vec<&&str> = VARIANTS
            .iter()
            .filter(|name| {
                !matches!(**name, "Trace" | "ControlPolicies" | "Plan") && !asked.contains(*name)
            })
            .collect();
        assert!(
            missing.is_empty(),
            "no question of these kinds was asked: {missing:?}"
        );
        for record in self.facts.records() {
            assert!(
                matches!(record.observed.outcome, Outcome::Seen(_)),
                "unanswered without a fault: {:?}",
                record.observed
            );
        }
        self.facts
            .records()
            .map(|record| record.observed.observation.operation().to_owned())
            .filter(|operation| operation != "program")
            .chain(["sns:GetTopicAttributes".to_owned()])
            .collect()
    }

    async fn cell(&self, operation: &str, fault: &str) -> Cell {
        let lab = self.subject.lab.as_ref().unwrap();
        lab.faults()
            .plant(format!("{operation}={fault}").parse().unwrap());
        let patience = if fault.starts_with("hang") {
            Patience::NONE
        } else {
            Patience::BRIEF
        };
        let aws = aws(&self.subject, patience);
        let struck = self
            .facts
            .records()
            .map(|record| record.observed.observation.clone())
            .filter(|question| answers(operation, question));
        let answers: Vec<Observed> = aws.observe(struck, |_| {}).await;
        let mut facts = self.facts.clone();
        let mut differs = false;
        for observed in answers {
            let known = facts.get(&observed.observation);
            differs |= match &observed.outcome {
                Outcome::Seen(answer) => known.as_ref().ok() != Some(&answer),
                Outcome::Unseen(_) => true,
            };
            facts.insert(observed);
        }
        let cell = if differs {
            self.compare(operation, fault, &aws, facts).await
        } else {
            Cell::Full
        };
        lab.faults().clear();
        cell
    }

    /// Judges with other answers, asking what becomes open with them.
    async fn compare(&self, operation: &str, fault: &str, aws: &Aws, mut facts: Facts) -> Cell {
        for _ in 0..5 {
            let open = plan::next(&self.catalog, &facts, &self.setting);
            if open.is_empty() {
                break;
            }
            for observed in aws.observe(open, |_| {}).await {
                facts.insert(observed);
            }
        }
        let run = judged(&self.catalog, &facts, &self.setting);
        let (expected, found) = (findings(&self.run), findings(&run));
        let mut named = false;
        let mut same = true;
        for (finding, (verdict, because)) in &found {
            let before = expected.get(finding).map(|(verdict, _)| *verdict);
            if *verdict == Verdict::Inconclusive && before != Some(Verdict::Inconclusive) {
                // A wrong clock is seen by the question, whichever of its calls told it.
                named |= because.contains(operation)
                    || (fault == "clock-skew" && because.contains("clock"));
                same = false;
            } else if before != Some(*verdict) {
                return Cell::Wrong(format!(
                    "{finding} is {verdict:?}, without the fault {before:?}"
                ));
            }
        }
        let lost = expected
            .keys()
            .filter(|finding| !found.contains_key(*finding))
            .count();
        if same && lost == 0 {
            return Cell::Full;
        }
        if same {
            return Cell::Wrong(format!(
                "{lost} findings are lost and nothing is inconclusive"
            ));
        }
        if !named {
            return Cell::Wrong("what is inconclusive does not name the operation".to_owned());
        }
        if fault == "access-denied" {
            let grant = format!("grant `{operation}`");
            let says = found.values().any(|(_, because)| because.contains(&grant));
            if !says {
                return Cell::Wrong(format!("nothing says {grant:?}"));
            }
        }
        Cell::Inconclusive
    }
}

/// Whether an operation is needed to answer a question; some questions take two.
fn answers(operation: &str, question: &Observation) -> bool {
    match operation {
        "events:ListTargetsByRule" => {
            *question == Observation::Schedules || question.operation() == operation
        }
        "sns:GetTopicAttributes" => variant(question) == "TopicSubscriptions",
        _ => question.operation() == operation,
    }
}

/// Questions of kinds that the controls did not need this time.
fn more(facts: &Facts) -> Vec<Observation> {
    let asked: BTreeSet<&str> = facts
        .records()
        .map(|record| variant(&record.observed.observation))
        .collect();
    let secret = facts
        .records()
        .find_map(|record| match &record.observed.outcome {
            Outcome::Seen(checker_core::observation::Answer::Secrets(secrets)) => {
                secrets.first().map(|secret| secret.arn.clone())
            }
            Outcome::Seen(_) | Outcome::Unseen(_) => None,
        });
    let secret = secret.unwrap();
    [
        Observation::Secret(secret.clone()),
        Observation::SecretVersions(secret.clone()),
        Observation::SecretPolicy(secret),
        Observation::RetentionPolicies,
        Observation::KeyAliases,
    ]
    .into_iter()
    .filter(|question| !asked.contains(variant(question)))
    .collect()
}

fn aws(subject: &Subject, patience: Patience) -> Aws {
    let clock = subject.lab.as_ref().unwrap().clock();
    let config = patience.applied(subject.config.clone());
    Aws::new(&config, Clock::lab(move || clock.now(), None))
}

fn judged(catalog: &Catalog, facts: &Facts, setting: &Setting) -> Run {
    let about = About {
        target: Target::Lab,
        finished: setting.now,
        notes: Vec::new(),
        not_proven: Vec::new(),
        api_calls: BTreeMap::new(),
    };
    judge(catalog, facts, setting, about)
}

/// Verdict and words of every finding.
fn findings(run: &Run) -> BTreeMap<String, (Verdict, String)> {
    run.controls
        .iter()
        .flat_map(|control| {
            control.findings.iter().map(move |finding| {
                let key = format!("{}.{} {}", control.id, finding.assertion, finding.resource);
                (key, (finding.verdict, finding.because.join(" ")))
            })
        })
        .collect()
}

/// The checker beside this test, which serves the functions.
fn checker() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let built = here
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("checker");
    assert!(
        built.exists(),
        "build the checker first: cargo build --release -p checker"
    );
    built
}

/// Writes the page where that is wanted; otherwise it must speak of the same operations. The cells are held by the test.
fn held(page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/fail-closed.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    let operations = |text: &str| -> BTreeSet<String> {
        text.lines()
            .filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned()))
            .collect()
    };
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        operations(&written),
        operations(page),
        "docs/fail-closed.md is stale: UPDATE=1 cargo test --release --workspace fail_closed"
    );
}

fn page(cells: &BTreeMap<(String, &'static str), Cell>) -> String {
    let mut text = String::from(
        "# Fail closed\n\n\
         Every read operation under every fault, in the lab. `I`: everything that the run says otherwise is Inconclusive and\n\
         names the operation (when denied, with the permission to grant). `=`: the run says exactly what it says without the\n\
         fault. There is no third outcome: nothing that was not seen passes.\n\n\
         Made by `UPDATE=1 cargo test --release --workspace fail_closed`.\n\n",
    );
    let operations: BTreeSet<&String> = cells.keys().map(|(operation, _)| operation).collect();
    let titles = FAULTS.map(|(_, title)| title);
    writeln!(text, "| operation | {} |", titles.join(" | ")).unwrap();
    writeln!(text, "|---|{}", "---|".repeat(FAULTS.len())).unwrap();
    for operation in operations {
        let row = FAULTS.map(|(fault, _)| match cells.get(&(operation.clone(), fault)) {
            Some(Cell::Full) => "=",
            Some(Cell::Inconclusive) => "I",
            Some(Cell::Wrong(_)) | None => "?",
        });
        writeln!(text, "| `{operation}` | {} |", row.join(" | ")).unwrap();
    }
    text
}

/// A whole run, lazy questions and all, with a service denied.
#[test]
fn a_denied_service_never_passes() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let bench = Bench::new().await;
        let services: BTreeSet<String> = bench
            .operations()
            .iter()
            .filter_map(|operation| operation.split_once(':'))
            .map(|(service, _)| service.to_owned())
            .collect();
        for service in services {
            let lab = bench.subject.lab.as_ref().unwrap();
            lab.faults()
                .plant(format!("{service}:*=access-denied").parse().unwrap());
            let question = Question {
                stage: "dev",
                ..Question::default()
            };
            let console = Console::silent();
            let run = super::examine(&bench.catalog, &bench.subject, &question, console)
                .await
                .unwrap()
                .run;
            lab.faults().clear();
            assert!(
                matches!(run.verdict, Verdict::Inconclusive | Verdict::Fail),
                "{service} denied: {:?}",
                run.verdict
            );
            // By rule: an account that nobody told is not in the names of resources.
            let rule = |finding: &str| finding.split(' ').next().unwrap_or_default().to_owned();
            let expected: BTreeSet<(String, Verdict)> = findings(&bench.run)
                .iter()
                .map(|(finding, (verdict, _))| (rule(finding), *verdict))
                .collect();
            for (finding, (verdict, _)) in findings(&run) {
                assert!(
                    verdict == Verdict::Inconclusive
                        || expected.contains(&(rule(&finding), verdict)),
                    "{service} denied: {finding} is {verdict:?}, which it is not otherwise"
                );
            }
        }
    });
}
