//! `checker gate`: the judgement before a deploy, on what the deploy would make.
//!
//! In: a program and a stage, or previews. A program is evaluated with that stage's config, applied to a fresh embedded
//! AWS and judged like any run; of a preview what is known is put there, and what is not makes facts unknown. Out: the
//! run's folder and the exit code. `--fail-on` decides which Fails stop a deploy; what could not be decided always does.

use std::path::PathBuf;

use checker_core::evidence::Judged;
use checker_core::observation::Time;
use checker_core::run::Run;
use checker_core::verdict::Verdict;
use checker_lab::program::Plan;
use clap::{Args, ValueEnum};

use super::{controls, runtime};
use crate::console::Console;
use crate::examination::{Question, examine};
use crate::failure::Failure;
use crate::store::archive::{Archive, Chaining, Recording};
use crate::subject::{LabSetup, Subject, wrong};

/// How bad a violation is, from the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Severity {
    /// Worth knowing.
    Low,
    /// To be mended in the ordinary course.
    Medium,
    /// To be mended before the next deploy.
    High,
    /// To be mended now.
    Critical,
}

/// Options of `checker gate`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The folder of the Pulumi YAML program.
    #[arg(long, value_name = "DIR", default_value = "infra-pulumi-yaml")]
    program: PathBuf,
    /// A preview instead of a program, as `pulumi preview --json --show-sames` writes it; one for each stack.
    #[arg(long, value_name = "FILE", conflicts_with = "program")]
    preview: Vec<PathBuf>,
    /// The stage that is to be deployed; of a preview its own.
    #[arg(long)]
    stage: Option<String>,
    /// Fails of controls below this severity don't stop a deploy; what could not be decided always does.
    #[arg(long, value_enum, value_name = "SEVERITY", default_value = "low")]
    fail_on: Severity,
    /// The organisation's service control policies, as files of a folder.
    #[arg(long, value_name = "DIR")]
    scp: Option<PathBuf>,
    /// Leaves the probes out: they are Inconclusive then.
    #[arg(long)]
    no_probes: bool,
    /// Only these controls, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "ID")]
    only: Vec<String>,
    /// The folder of control files.
    #[arg(long, value_name = "DIR", default_value = "controls")]
    controls: PathBuf,
    /// The folder that receives the run's folder.
    #[arg(long, value_name = "DIR", default_value = "reports")]
    out: PathBuf,
    /// The time at which everything is judged, RFC 3339.
    #[arg(long, value_name = "TIME")]
    now: Option<Time>,
}

/// Judges, and says whether the deploy may go on.
pub(super) fn gate(arguments: &Arguments, console: Console) -> Result<u8, Failure> {
    let plans = plans(arguments)?;
    let stage = stage(arguments, &plans)?;
    let (sources, catalog) = controls::read(&arguments.controls, &stage, &arguments.only)?;
    runtime()?.block_on(async {
        let subject = subject(arguments, &plans, &stage, console)
            .await?
            .with_control_policies(arguments.scp.as_deref())?;
        // Only now: of a program that is wrong nothing is written.
        let archive = Archive::open(
            &arguments.out,
            Chaining {
                lab: true,
                ..Chaining::default()
            },
        )?;
        let signer = archive.lab_signer()?;
        let question = Question {
            stage: &stage,
            now: arguments.now,
            // Of a preview nothing runs.
            probes: plans.is_empty() && !arguments.no_probes,
            ..Question::default()
        };
        let mut examined = examine(&catalog, &subject, &question, console).await?;
        let decision = Decision::on(&examined.run, arguments.fail_on);
        let notes = decision.note(arguments.fail_on);
        examined.run.notes.extend(notes.clone());
        examined.about.notes.extend(notes);
        let recorded = archive.record(Recording {
            sources: &sources,
            facts: &examined.facts,
            run: &examined.run,
            judged: &Judged {
                setting: examined.setting,
                about: examined.about,
                only: arguments.only.clone(),
                resource: None,
                parts: Vec::new(),
            },
            signer: &signer,
            further: &[],
        })?;
        console.progress_done();
        console.run(&examined.run);
        console.line(&format!("written to {}", recorded.folder.display()));
        console.line(decision.in_words());
        if let Some(lab) = subject.lab {
            lab.stop().await;
        }
        Ok(decision.exit_code)
    })
}

/// The previews, each whole or refused.
fn plans(arguments: &Arguments) -> Result<Vec<Plan>, Failure> {
    arguments
        .preview
        .iter()
        .map(|file| Plan::read(file).map_err(|errors| wrong(&errors)))
        .collect()
}

/// The stage that was asked for, otherwise that of the previews; all of them must be of one.
fn stage(arguments: &Arguments, plans: &[Plan]) -> Result<String, Failure> {
    let first = plans.first().map(|plan| plan.stage().to_owned());
    let stage = arguments.stage.clone().or(first);
    let stage = stage.unwrap_or_else(|| "dev".to_owned());
    match plans.iter().find(|plan| plan.stage() != stage) {
        Some(plan) => Err(Failure::Usage(format!(
            "`{}` is a preview of the stage `{}`, not of `{stage}`",
            plan.path(),
            plan.stage()
        ))),
        None => Ok(stage),
    }
}

async fn subject(
    arguments: &Arguments,
    plans: &[Plan],
    stage: &str,
    console: Console,
) -> Result<Subject, Failure> {
    if !plans.is_empty() {
        console.progress("putting the preview into the lab");
        return Subject::previews(plans, arguments.now).await;
    }
    console.progress("applying the program to the lab");
    Subject::lab(&LabSetup {
        program: arguments.program.clone(),
        stage: stage.to_owned(),
        clock: arguments.now,
        ..LabSetup::default()
    })
    .await
}

/// Whether a deploy may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Decision {
    exit_code: u8,
    /// Findings that fail and don't count here.
    ignored: u64,
}

impl Decision {
    /// One Fail that counts decides, then one Inconclusive of any severity.
    fn on(run: &Run, fail_on: Severity) -> Self {
        let mut ignored = 0;
        let mut counted = Vec::new();
        for control in &run.controls {
            let counts = severity(&control.severity) >= fail_on;
            for finding in &control.findings {
                if finding.verdict == Verdict::Fail && !counts {
                    ignored += finding.count.unwrap_or(1);
                } else {
                    counted.push(finding.verdict);
                }
            }
            if control.findings.is_empty() {
                counted.push(control.verdict);
            }
        }
        let verdict = match Verdict::over(counted) {
            Some(verdict) => verdict,
            // Everything that was found is ignored: that was asked for. Nothing found at all is no pass.
            None if ignored > 0 => Verdict::Pass,
            None => Verdict::Inconclusive,
        };
        Self {
            exit_code: verdict.exit_code(),
            ignored,
        }
    }

    fn note(self, fail_on: Severity) -> Option<String> {
        let word = fail_on.to_possible_value()?.get_name().to_owned();
        (self.ignored > 0).then(|| {
            format!(
                "{} failing findings of controls below `{word}` don't stop the deploy",
                self.ignored
            )
        })
    }

    fn in_words(self) -> &'static str {
        match self.exit_code {
            0 => "gate: open",
            1 => "gate: closed, something fails",
            _ => "gate: closed, something could not be decided",
        }
    }
}

/// A word that isn't known weighs most.
fn severity(word: &str) -> Severity {
    Severity::from_str(word, true).unwrap_or(Severity::Critical)
}
