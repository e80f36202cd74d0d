//! `checker clean`: removes what interrupted probes left behind.

use std::path::PathBuf;

use clap::Args;

use super::{controls, runtime};
use crate::console::Console;
use crate::examination;
use crate::failure::Failure;
use crate::probe::{self, Cleaned};
use crate::subject::Subject;

/// Options of `checker clean`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where; the lab that a run makes for itself needs no cleaning.
    #[arg(long, value_parser = ["aws"], default_value = "aws")]
    target: String,
    /// The stage.
    #[arg(long, default_value = "dev")]
    stage: String,
    /// The folder of control files: what their probes may touch is looked at.
    #[arg(long, value_name = "DIR", default_value = "controls")]
    controls: PathBuf,
    /// Another endpoint, such as that of `checker lab`.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// Clean up although another machine may still be at work.
    #[arg(long)]
    force: bool,
}

/// Cleans up: 0 when nothing is left, 3 when somebody is at work, 4 when something could not be done.
pub(super) fn clean(arguments: &Arguments, console: Console) -> Result<u8, Failure> {
    console.progress(&format!("cleaning up on {}", arguments.target));
    let catalog = controls::load(&arguments.controls, &arguments.stage, &[])?;
    runtime()?.block_on(async {
        // Clean-up asks nothing of the program.
        let no_program = PathBuf::new();
        let subject = Subject::aws(
            &no_program,
            &arguments.stage,
            arguments.endpoint_url.as_deref(),
        )
        .await?;
        let setting = examination::setting(&subject, &arguments.stage).await?;
        let cleaned = probe::clean(&catalog, &subject, &setting, arguments.force).await;
        match cleaned {
            Cleaned::Done(steps) => {
                let mut failed = false;
                for step in steps {
                    let end = match (&step.failed, step.changed) {
                        (Some(reason), _) => {
                            failed = true;
                            format!("could not be done: {reason}")
                        }
                        (None, true) => "done".to_owned(),
                        (None, false) => "was so already".to_owned(),
                    };
                    console.line(&format!("{}: {end}", step.what));
                }
                Ok(if failed { 4 } else { 0 })
            }
            Cleaned::Held(reason) => {
                console.error(&reason.to_string());
                Ok(3)
            }
            Cleaned::Unseen(reason) => {
                console.error(&reason.to_string());
                Ok(4)
            }
        }
    })
}
