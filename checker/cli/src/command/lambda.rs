//! `checker lambda`: the functions, served by this very binary, run on events, or given their dead letters again.

use clap::{Subcommand, ValueEnum};

use super::runtime;
use crate::failure::Failure;

mod invoke;
mod replay;

/// What to do with the functions.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Be the function's process: what its `bootstrap` does, speaking the Lambda Runtime API.
    Serve {
        /// The function.
        function: Function,
    },
    /// Run the function's real process on events in a fresh lab; a JSON line for each.
    Invoke(invoke::Arguments),
    /// Hand the detector its dead letters again, and remove those that it took.
    Replay(replay::Arguments),
}

/// The functions of this repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Function {
    /// The four-step rotation.
    Rotation,
    /// Access records and alerts.
    AnomalyDetector,
}

/// Does it.
pub(super) fn lambda(command: &Command) -> Result<u8, Failure> {
    match command {
        Command::Serve { function } => serve(*function),
        Command::Invoke(arguments) => runtime()?.block_on(invoke::invoke(arguments)),
        Command::Replay(arguments) => runtime()?.block_on(replay::replay(arguments)),
    }
}

fn serve(function: Function) -> Result<u8, Failure> {
    // One event at a time, as in Lambda: one thread.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Broken(format!("failed to start: {error}")))?;
    let served = runtime.block_on(async {
        match function {
            Function::Rotation => rotation::serve().await.map_err(|error| error.to_string()),
            Function::AnomalyDetector => anomaly_detector::serve()
                .await
                .map_err(|error| error.to_string()),
        }
    });
    served
        .map(|()| 0)
        .map_err(|error| Failure::Broken(format!("failed to serve the function: {error}")))
}
