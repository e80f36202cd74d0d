//! One fault, tried: the program with it, in an embedded AWS of its own, judged by the checks that could notice.
//!
//! In: the stack of programs, the catalogue and a [`Fault`]. Out: a [`Trial`]. The faultless program is judged first, in
//! each way in which a fault may be: unless nothing fails there, a failing rule would say nothing of a fault. In a lab
//! in which nothing rotates, rules about values fail without any fault, and so they notice none there. Where it is only
//! looked, events are delivered to no function: what one does with them shows in logs and queues, which only probes read.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use checker_core::access::remember;
use checker_core::control::Catalog;
use checker_core::control::Check;
use checker_core::observation::{Facts, Time};
use checker_core::run::Run;
use checker_core::verdict::Verdict;
use checker_lab::Replacement;
use checker_lab::program::{EditError, Program, Written};
use chrono::Utc;
use tokio::sync::OnceCell;

use super::Fault;
use super::selection::Selection;
use crate::console::Console;
use crate::examination::{Examined, Question, examine, setting_of};
use crate::failure::Failure;
use crate::subject::{LabSetup, Subject, stacked, wrong};

/// What became of a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trial {
    /// The program with it, or AWS, says no.
    Refused(String),
    /// It can't be tried.
    NotRun(String),
    /// It was judged.
    Judged {
        /// Rules that fail and did not without it.
        failed: BTreeSet<String>,
        /// Rules that are inconclusive and were not without it.
        inconclusive: BTreeSet<String>,
    },
}

/// Everything that trials share.
pub(crate) struct Bench {
    stage: String,
    catalog: Catalog,
    selection: Selection,
    /// The programs as they are written, from the lowest.
    written: Vec<Written>,
    programs: Vec<Arc<Program>>,
    /// What comes out without any fault.
    faultless: Outcome,
    /// The same where nothing rotates.
    still: Outcome,
    /// The same of the probes, found out when a probe notices something for the first time.
    probed: OnceCell<Outcome>,
    clock: Time,
    console: Console,
    /// Judges by everything, whatever a fault touches.
    whole: bool,
}

/// Rules that fail, and that are inconclusive; without a fault: those that say nothing of one.
#[derive(Debug, Clone)]
struct Outcome {
    failing: BTreeSet<String>,
    inconclusive: BTreeSet<String>,
}

impl Outcome {
    fn of(run: &Run) -> Self {
        Self {
            failing: with(run, Verdict::Fail),
            inconclusive: with(run, Verdict::Inconclusive),
        }
    }
}

impl Bench {
    /// Reads the programs and judges them without a fault.
    pub(crate) async fn new(
        program: &Path,
        stage: &str,
        catalog: Catalog,
        whole: bool,
        console: Console,
    ) -> Result<Self, Failure> {
        // Of a fault's principals nearly all are as they were: what was proved of them is proved.
        if !whole {
            remember();
        }
        let mut written = Vec::new();
        let mut programs = Vec::new();
        for folder in stacked(program) {
            let read = Written::read(&folder, stage).map_err(|errors| wrong(&errors))?;
            let program = Program::load(&folder, stage).map_err(|errors| wrong(&errors))?;
            written.push(read);
            programs.push(Arc::new(program));
        }
        let clock = Utc::now();
        console.progress("judging the program without a fault");
        let mut setup = setup(stage, clock);
        setup.quiet = !whole;
        let (facts, run) = examined(&catalog, &programs, &setup, false).await?;
        let selection = Selection::new(&catalog, &facts, &setting_of(&run));
        let faultless = Outcome::of(&run);
        if !faultless.failing.is_empty() {
            let rules: Vec<String> = faultless.failing.into_iter().collect();
            return Err(Failure::Usage(format!(
                "the program fails without any fault ({}): mend that first, `checker run` says how",
                rules.join(", ")
            )));
        }
        setup.still = true;
        let (_, run) = examined(&catalog, &programs, &setup, false).await?;
        Ok(Self {
            stage: stage.to_owned(),
            catalog,
            selection,
            written,
            programs,
            faultless,
            still: Outcome::of(&run),
            probed: OnceCell::new(),
            clock,
            console,
            whole,
        })
    }

    /// The programs as they are written, from the lowest.
    pub(crate) fn written(&self) -> &[Written] {
        &self.written
    }

    /// The stage.
    pub(crate) fn stage(&self) -> &str {
        &self.stage
    }

    /// The digests of the control files.
    pub(crate) fn controls(&self) -> Vec<&str> {
        self.catalog
            .controls
            .iter()
            .map(|control| control.digest.as_str())
            .collect()
    }

    /// Tries one fault: by looking, and where that shows nothing by acting as well.
    pub(crate) async fn trial(&self, fault: &Fault) -> Result<Trial, Failure> {
        let mut programs = self.programs.clone();
        if let Some((program, written)) = programs
            .get_mut(fault.program)
            .zip(self.written.get(fault.program))
        {
            match written.with(&fault.edits) {
                Ok(changed) => *program = Arc::new(changed),
                Err(EditError::Program(errors)) => {
                    return Ok(Trial::Refused(first(&wrong(&errors))));
                }
                Err(EditError::NoSuchPlace(place)) => {
                    return Err(Failure::Broken(format!(
                        "failed to {place} for `{}`",
                        fault.id
                    )));
                }
            }
        }
        let catalog = if self.whole {
            self.catalog.clone()
        } else {
            self.selection.of(&self.catalog, fault)
        };
        let mut setup = setup(&self.stage, self.clock);
        setup.still = !self.whole && !fault.rotates;
        setup.quiet = !self.whole;
        if let Some((function, behaviour)) = &fault.behaviour {
            let executable = super::faulty_function();
            setup.replace.push(Replacement {
                function: function.clone(),
                executable: executable.map_err(|why| Failure::Broken(why.to_owned()))?,
                arguments: vec![behaviour.clone()],
            });
        }
        let run = match examined(&catalog, &programs, &setup, false).await {
            Ok((_, run)) => run,
            Err(refused @ Failure::Files(_)) => return Ok(Trial::Refused(first(&refused))),
            Err(failure) => return Err(failure),
        };
        let faultless = if setup.still {
            &self.still
        } else {
            &self.faultless
        };
        let mut failed = new(&run, Verdict::Fail, &faultless.failing);
        let mut inconclusive = new(&run, Verdict::Inconclusive, &faultless.inconclusive);
        let probes = only_probes(&catalog);
        if failed.is_empty() && !probes.controls.is_empty() {
            (setup.still, setup.quiet) = (false, false);
            let (_, run) = examined(&probes, &programs, &setup, true).await?;
            let acted = Outcome::of(&run);
            if !acted.failing.is_empty() || !acted.inconclusive.is_empty() {
                let probed = self.probed.get_or_try_init(|| self.probed()).await?;
                failed = new(&run, Verdict::Fail, &probed.failing);
                inconclusive.extend(new(&run, Verdict::Inconclusive, &probed.inconclusive));
            }
        }
        Ok(Trial::Judged {
            failed,
            inconclusive,
        })
    }

    /// What the probes find without any fault.
    async fn probed(&self) -> Result<Outcome, Failure> {
        let (probes, setup) = (only_probes(&self.catalog), setup(&self.stage, self.clock));
        let (_, run) = examined(&probes, &self.programs, &setup, true).await?;
        Ok(Outcome::of(&run))
    }

    /// Where progress is shown.
    pub(crate) fn console(&self) -> Console {
        self.console
    }
}

/// Applies programs to an embedded AWS of their own and judges them there.
async fn examined(
    catalog: &Catalog,
    programs: &[Arc<Program>],
    setup: &LabSetup,
    probes: bool,
) -> Result<(Facts, Run), Failure> {
    let subject = Subject::applied(programs, setup).await?;
    let question = Question {
        stage: &setup.stage,
        probes,
        ..Question::default()
    };
    let Examined { facts, run, .. } =
        examine(catalog, &subject, &question, Console::silent()).await?;
    if let Some(lab) = subject.lab {
        lab.stop().await;
    }
    Ok((facts, run))
}

fn setup(stage: &str, clock: Time) -> LabSetup {
    LabSetup {
        stage: stage.to_owned(),
        clock: Some(clock),
        ..LabSetup::default()
    }
}

/// A catalogue of nothing but probes.
fn only_probes(catalog: &Catalog) -> Catalog {
    let mut probes = catalog.clone();
    for control in &mut probes.controls {
        control
            .checks
            .retain(|check| matches!(check, Check::Probe(_)));
    }
    probes.controls.retain(|control| !control.checks.is_empty());
    probes
}

/// The first line of what is wrong.
fn first(failure: &Failure) -> String {
    failure
        .to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// Rules with a finding of this verdict that had none without the fault.
fn new(run: &Run, verdict: Verdict, without: &BTreeSet<String>) -> BTreeSet<String> {
    with(run, verdict).difference(without).cloned().collect()
}

/// Rules with a finding of this verdict; a population stands under the id of its check.
fn with(run: &Run, verdict: Verdict) -> BTreeSet<String> {
    run.controls
        .iter()
        .flat_map(|control| {
            control
                .findings
                .iter()
                .map(move |finding| (control, finding))
        })
        .filter(|(_, finding)| finding.verdict == verdict)
        .map(|(control, finding)| format!("{}.{}", control.id, finding.assertion))
        .collect()
}
