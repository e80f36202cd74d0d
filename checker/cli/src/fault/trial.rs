//! One fault, tried: the program with it, in an embedded AWS of its own, judged by the checks that could notice.
//!
//! In: the stack of programs, the catalogue and a [`Fault`]. Out: a [`Trial`]. The faultless program is judged first;
//! unless nothing fails there, a failing rule would say nothing of a fault.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use checker_core::control::Catalog;
use checker_core::control::Check;
use checker_core::observation::Time;
use checker_core::run::Run;
use checker_core::verdict::Verdict;
use checker_lab::Replacement;
use checker_lab::program::{EditError, Program, Written};
use chrono::Utc;

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
    /// Rules that are inconclusive without any fault.
    inconclusive: BTreeSet<String>,
    clock: Time,
    console: Console,
    /// Judges by everything, whatever a fault touches.
    pub(crate) whole: bool,
}

impl Bench {
    /// Reads the programs and judges them without a fault.
    pub(crate) async fn new(
        program: &Path,
        stage: &str,
        catalog: Catalog,
        console: Console,
    ) -> Result<Self, Failure> {
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
        let subject = Subject::applied(&programs, &setup(stage, clock)).await?;
        let question = Question {
            stage,
            now: None,
            probes: false,
            shard: None,
        };
        let Examined { facts, run, .. } =
            examine(&catalog, &subject, &question, Console::silent()).await;
        let selection = Selection::new(&catalog, &facts, &setting_of(&run));
        if let Some(lab) = subject.lab {
            lab.stop().await;
        }
        let failing = with(&run, Verdict::Fail);
        if !failing.is_empty() {
            let rules: Vec<String> = failing.into_iter().collect();
            return Err(Failure::Usage(format!(
                "the program fails without any fault ({}): mend that first, `checker run` says how",
                rules.join(", ")
            )));
        }
        Ok(Self {
            stage: stage.to_owned(),
            catalog,
            selection,
            written,
            programs,
            inconclusive: with(&run, Verdict::Inconclusive),
            clock,
            console,
            whole: false,
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

    /// Tries one fault; with `probe`, by acting as well where looking has shown nothing.
    pub(crate) async fn trial(&self, fault: &Fault, probe: bool) -> Result<Trial, Failure> {
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
        let still = !self.whole && !fault.rotates;
        let run = match self.judged(fault, &programs, &catalog, still, false).await {
            Ok(run) => run,
            Err(refused @ Failure::Files(_)) => return Ok(Trial::Refused(first(&refused))),
            Err(failure) => return Err(failure),
        };
        let mut failed = with(&run, Verdict::Fail);
        let probes = only_probes(&catalog);
        if failed.is_empty() && probe && !probes.controls.is_empty() {
            let run = self.judged(fault, &programs, &probes, false, true).await?;
            failed = with(&run, Verdict::Fail);
        }
        let inconclusive = with(&run, Verdict::Inconclusive)
            .difference(&self.inconclusive)
            .cloned()
            .collect();
        Ok(Trial::Judged {
            failed,
            inconclusive,
        })
    }

    /// Applies the programs to an embedded AWS of their own and judges them.
    async fn judged(
        &self,
        fault: &Fault,
        programs: &[Arc<Program>],
        catalog: &Catalog,
        still: bool,
        probes: bool,
    ) -> Result<Run, Failure> {
        let mut setup = setup(&self.stage, self.clock);
        setup.still = still;
        setup.replace = fault
            .behaviour
            .iter()
            .filter_map(|(function, behaviour)| {
                Some(Replacement {
                    function: function.clone(),
                    executable: super::faulty_function()?,
                    arguments: vec![behaviour.clone()],
                })
            })
            .collect();
        let subject = Subject::applied(programs, &setup).await?;
        let question = Question {
            stage: &self.stage,
            now: None,
            probes,
            shard: None,
        };
        let Examined { run, .. } = examine(catalog, &subject, &question, Console::silent()).await;
        if let Some(lab) = subject.lab {
            lab.stop().await;
        }
        Ok(run)
    }

    /// Where progress is shown.
    pub(crate) fn console(&self) -> Console {
        self.console
    }
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
