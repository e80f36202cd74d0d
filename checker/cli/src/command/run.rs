//! `checker run`, the main job: observe, judge, record, tell.

use std::path::PathBuf;

use checker_core::observation::Time;
use checker_lab::{Fault, Replacement};
use clap::{Args, ValueEnum};

use super::{controls, runtime};
use crate::console::Console;
use crate::examination::{Question, examine};
use crate::failure::Failure;
use crate::store;
use crate::subject::{LabSetup, Subject};

/// What is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Where {
    /// The program, in an embedded AWS.
    Lab,
    /// A live account, with the usual AWS credentials.
    Aws,
}

/// Options of `checker run`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What is judged.
    #[arg(long, value_enum, default_value = "lab")]
    target: Where,
    /// The stage.
    #[arg(long, default_value = "dev")]
    stage: String,
    /// Only these controls, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "ID")]
    only: Vec<String>,
    /// Only what is said of this resource.
    #[arg(long, value_name = "ARN")]
    resource: Option<String>,
    /// Fills the lab with this many further secrets.
    #[arg(long, value_name = "N", default_value_t = 0)]
    lab_secrets: u32,
    /// A fault that the lab shows, such as `secretsmanager:ListSecrets=access-denied`.
    #[arg(long, value_name = "OPERATION=FAULT")]
    lab_fault: Vec<Fault>,
    /// Another executable in place of a function's own, for tests of what a faulty function leads to.
    #[arg(long, value_name = "NAME=COMMAND")]
    lab_function: Vec<Replacement>,
    /// The folder of control files.
    #[arg(long, value_name = "DIR", default_value = "controls")]
    controls: PathBuf,
    /// The folder of the Pulumi YAML program.
    #[arg(long, value_name = "DIR", default_value = "infra-pulumi-yaml")]
    program: PathBuf,
    /// The folder that receives the run's folder.
    #[arg(long, value_name = "DIR", default_value = "reports")]
    out: PathBuf,
    /// Another endpoint for `--target aws`.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// Carry out the probes, which change things with the probe tag; without this only in the lab.
    #[arg(long, overrides_with = "no_probes")]
    probes: bool,
    /// Carry out no probe, and have what they would prove inconclusive.
    #[arg(long)]
    no_probes: bool,
    /// The time at which everything is judged, RFC 3339.
    #[arg(long, value_name = "TIME")]
    now: Option<Time>,
}

/// Runs it.
pub(super) fn run(arguments: &Arguments, console: Console) -> Result<u8, Failure> {
    let catalog = controls::load(&arguments.controls, &arguments.stage, &arguments.only)?;
    runtime()?.block_on(async {
        let subject = subject(arguments, console).await?;
        let (facts, run) = examine(
            &catalog,
            &subject,
            &Question {
                stage: &arguments.stage,
                now: arguments.now,
                probes: arguments.with_probes(),
            },
            console,
        )
        .await;
        let run = match &arguments.resource {
            Some(resource) => run.only(resource).ok_or_else(|| {
                Failure::Usage(format!(
                    "no rule speaks of `{resource}` (give the full ARN)"
                ))
            })?,
            None => run,
        }
        .condensed();
        let folder = store::write_run(&arguments.out, &run, &facts)?;
        console.progress_done();
        console.run(&run);
        console.line(&format!("written to {}", folder.display()));
        if let Some(lab) = subject.lab {
            lab.stop().await;
        }
        Ok(run.verdict.exit_code())
    })
}

impl Arguments {
    /// In the lab unless they are declined, on AWS only when they are asked for.
    fn with_probes(&self) -> bool {
        match self.target {
            Where::Lab => !self.no_probes,
            Where::Aws => self.probes,
        }
    }
}

async fn subject(arguments: &Arguments, console: Console) -> Result<Subject, Failure> {
    match arguments.target {
        Where::Lab => {
            console.progress("applying the program to the lab");
            Subject::lab(&LabSetup {
                program: arguments.program.clone(),
                stage: arguments.stage.clone(),
                secrets: arguments.lab_secrets,
                clock: arguments.now,
                faults: arguments.lab_fault.clone(),
                replace: arguments.lab_function.clone(),
                ..LabSetup::default()
            })
            .await
        }
        Where::Aws => {
            Subject::aws(
                &arguments.program,
                &arguments.stage,
                arguments.endpoint_url.as_deref(),
            )
            .await
        }
    }
}
