//! `checker lab`: the embedded AWS by itself, for the aws CLI, boto3 or a browser.

use std::path::PathBuf;

use checker_core::observation::Time;
use checker_lab::{Fault, Replacement};
use clap::Args;

use super::runtime;
use crate::console::{Console, data};
use crate::failure::Failure;
use crate::subject::{LabSetup, Subject, apply_onto, empty_lab};

/// Options of `checker lab`.
#[derive(Debug, Args)]
#[command(
    after_help = "The lab's clock is told by GET /_lab/clock and moved on by POST /_lab/advance?seconds=N on the \
    same port, which answers once everything that became due is done."
)]
pub(super) struct Arguments {
    /// The loopback port; 0 takes a free one.
    #[arg(long, default_value_t = 4566)]
    port: u16,
    /// Nothing in it; otherwise the program is applied.
    #[arg(long)]
    empty: bool,
    /// The time at which its clock starts, RFC 3339.
    #[arg(long, value_name = "TIME")]
    clock: Option<Time>,
    /// The folder of the Pulumi YAML program.
    #[arg(long, value_name = "DIR", default_value = "infra-pulumi-yaml")]
    program: PathBuf,
    /// The stage.
    #[arg(long, default_value = "dev")]
    stage: String,
    /// Further secrets.
    #[arg(long, value_name = "N", default_value_t = 0)]
    secrets: u32,
    /// A fault that it shows, such as `secretsmanager:ListSecrets=access-denied`.
    #[arg(long, value_name = "OPERATION=FAULT")]
    fault: Vec<Fault>,
    /// Another executable in place of a function's own, for tests of what a faulty function leads to.
    #[arg(long, value_name = "NAME=COMMAND", conflicts_with = "empty")]
    lab_function: Vec<Replacement>,
    /// Serves nothing: applies the program to this endpoint on loopback, such as another emulator, and ends.
    #[arg(long, value_name = "URL", conflicts_with_all = ["empty", "secrets", "fault", "clock"])]
    onto: Option<String>,
}

/// Serves until interrupted.
pub(super) fn lab(arguments: &Arguments, console: Console) -> Result<u8, Failure> {
    let setup = LabSetup {
        program: arguments.program.clone(),
        stage: arguments.stage.clone(),
        port: arguments.port,
        secrets: arguments.secrets,
        clock: arguments.clock,
        faults: arguments.fault.clone(),
        replace: arguments.lab_function.clone(),
        stand_in: None,
        still: false,
        quiet: false,
    };
    runtime()?.block_on(async {
        if let Some(endpoint) = &arguments.onto {
            for note in apply_onto(&setup, endpoint).await? {
                console.line(&format!("note: {note}"));
            }
            console.line("the program is applied");
            return Ok(0);
        }
        let lab = if arguments.empty {
            let lab = empty_lab(&setup).await?;
            for fault in &setup.faults {
                lab.faults().plant(fault.clone());
            }
            lab
        } else {
            let subject = Subject::lab(&setup).await?;
            for note in &subject.notes {
                console.line(&format!("note: {note}"));
            }
            subject
                .lab
                .ok_or_else(|| Failure::Broken("the lab is gone".to_owned()))?
        };
        data(&format!(
            "export AWS_ENDPOINT_URL={}\nexport AWS_REGION={}\nexport AWS_ACCESS_KEY_ID=lab AWS_SECRET_ACCESS_KEY=lab\n",
            lab.endpoint(),
            lab.region()
        ));
        console.line("serving until interrupted");
        tokio::signal::ctrl_c()
            .await
            .map_err(|error| Failure::Broken(format!("failed to wait for Ctrl-C: {error}")))?;
        lab.stop().await;
        Ok(0)
    })
}
