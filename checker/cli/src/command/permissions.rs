//! `checker permissions`: the least-privilege policy that the loaded controls need.
//!
//! The questions are those of a real run, against the program in the embedded AWS.

use std::path::PathBuf;

use checker_core::permission::{Holder, Permissions};
use checker_core::probe;
use clap::{Args, ValueEnum};

use super::{controls, runtime};
use crate::console::{Console, data};
use crate::examination::{Question, examine};
use crate::failure::Failure;
use crate::subject::{LabSetup, Subject};

/// Who carries out the probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Actor {
    /// The checker's role itself.
    Checker,
    /// Somebody who becomes the checker's role for the probes.
    Caller,
}

/// Options of `checker permissions`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// With what the probes do; without this only reading.
    #[arg(long)]
    probes: bool,
    /// Whose policy it is, with --probes.
    #[arg(
        long = "as",
        value_enum,
        default_value = "checker",
        requires = "probes"
    )]
    actor: Actor,
    /// The stage.
    #[arg(long, default_value = "dev")]
    stage: String,
    /// Only these controls, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "ID")]
    only: Vec<String>,
    /// The folder of control files.
    #[arg(long, value_name = "DIR", default_value = "controls")]
    controls: PathBuf,
    /// The folder of the Pulumi YAML program.
    #[arg(long, value_name = "DIR", default_value = "infra-pulumi-yaml")]
    program: PathBuf,
}

/// Prints it.
pub(super) fn permissions(arguments: &Arguments, console: Console) -> Result<u8, Failure> {
    let catalog = controls::load(&arguments.controls, &arguments.stage, &arguments.only)?;
    runtime()?.block_on(async {
        let subject = Subject::lab(&LabSetup {
            program: arguments.program.clone(),
            stage: arguments.stage.clone(),
            ..LabSetup::default()
        })
        .await?;
        let question = Question {
            stage: &arguments.stage,
            ..Question::default()
        };
        let examined = examine(&catalog, &subject, &question, console).await?;
        let plan = probe::plan(&catalog, &examined.setting);
        let holder = match (arguments.probes, arguments.actor) {
            (false, _) => Holder::Reader,
            (true, Actor::Checker) => Holder::Checker,
            (true, Actor::Caller) => Holder::Caller,
        };
        console.progress_done();
        let needed = Permissions::of(&catalog, &examined.facts, &examined.setting, &plan, holder);
        data(&needed.to_policy());
        if let Some(lab) = subject.lab {
            lab.stop().await;
        }
        Ok(0)
    })
}
