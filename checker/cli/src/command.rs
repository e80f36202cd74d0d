//! The command line: one file a command.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::console::{Console, LogFormat, data};
use crate::failure::Failure;

mod clean;
mod control_tests;
mod controls;
mod faults;
mod gate;
mod iam;
mod lab;
mod lambda;
mod merge;
mod permissions;
mod recorded;
mod run;
mod verify;

/// Judges how secrets and keys are handled on AWS, against controls written in YAML.
#[derive(Debug, Parser)]
#[command(name = "checker", version, max_term_width = 100)]
struct Cli {
    /// What stderr holds: text, or a JSON object a line.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Judge all controls: on the program in an embedded AWS, or on a live account.
    Run(run::Arguments),
    /// Check a run, or a folder of runs, offline from its files alone.
    Verify(verify::Arguments),
    /// Render the reports of a recorded run again.
    Report(recorded::ReportArguments),
    /// Say what changed between two recorded runs.
    Diff(recorded::DiffArguments),
    /// Draw a sample of the resources of a recorded run, the same for everybody.
    Sample(recorded::SampleArguments),
    /// Judge a program before it is deployed, and say whether it may be.
    Gate(gate::Arguments),
    /// Remove what interrupted probes left behind.
    Clean(clean::Arguments),
    /// List, show and check controls.
    #[command(subcommand)]
    Controls(controls::Command),
    /// Plant one fault at a time in the program and say which control notices.
    Faults(faults::Arguments),
    /// Decide, compare and prove over IAM policies, and show who can reach what.
    #[command(subcommand)]
    Iam(iam::Command),
    /// Print the least-privilege IAM policy that the controls need.
    Permissions(permissions::Arguments),
    /// Serve the embedded AWS until interrupted.
    Lab(lab::Arguments),
    /// Put the runs of several shards, accounts or regions together.
    Merge(merge::Arguments),
    /// Run the Lambda functions.
    #[command(subcommand)]
    Lambda(lambda::Command),
    /// Print the completions of a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Reads the command line and does what it says.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors, and go to stdout.
            let code = u8::from(error.use_stderr()) * 2;
            if error.use_stderr() && wants_json(std::env::args_os()) {
                let text = error.render().to_string();
                let text = text.trim().trim_start_matches("error: ");
                Console::of(LogFormat::Json).error(text);
            } else {
                drop(error.print());
            }
            return ExitCode::from(code);
        }
    };
    let console = Console::of(cli.log_format);
    let done = match cli.command {
        Command::Run(arguments) => run::run(&arguments, console),
        Command::Verify(arguments) => verify::run(&arguments, console),
        Command::Report(arguments) => recorded::report(&arguments, console),
        Command::Diff(arguments) => recorded::diff(&arguments),
        Command::Sample(arguments) => recorded::sample(&arguments, console),
        Command::Gate(arguments) => gate::gate(&arguments, console),
        Command::Clean(arguments) => clean::clean(&arguments, console),
        Command::Controls(command) => controls::controls(&command),
        Command::Faults(arguments) => faults::faults(&arguments, console),
        Command::Iam(command) => iam::iam(&command, console),
        Command::Permissions(arguments) => permissions::permissions(&arguments, console),
        Command::Lab(arguments) => lab::lab(&arguments, console),
        Command::Merge(arguments) => merge::merged(&arguments, console),
        Command::Lambda(command) => lambda::lambda(&command),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "checker", &mut script);
            data(&String::from_utf8_lossy(&script));
            Ok(0)
        }
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            console.progress_done();
            console.error(&failure.to_string());
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Whether a command line that could not be read asks for a log for machines.
fn wants_json(arguments: impl Iterator<Item = OsString>) -> bool {
    let arguments: Vec<OsString> = arguments.collect();
    arguments.iter().any(|it| it == "--log-format=json")
        || arguments
            .windows(2)
            .any(|pair| pair == ["--log-format", "json"])
}

/// All controls of a folder, for tests.
#[cfg(test)]
pub(crate) fn catalog(
    folder: &std::path::Path,
    stage: &str,
) -> Result<checker_core::control::Catalog, Failure> {
    controls::load(folder, stage, &[])
}

/// A runtime for work that waits, and for the lab beside it.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    started(tokio::runtime::Builder::new_multi_thread().worker_threads(2))
}

/// A runtime for work that does nothing but wait: for an AWS that is elsewhere.
fn waiting_runtime() -> Result<tokio::runtime::Runtime, Failure> {
    started(&mut tokio::runtime::Builder::new_current_thread())
}

fn started(builder: &mut tokio::runtime::Builder) -> Result<tokio::runtime::Runtime, Failure> {
    builder
        .enable_all()
        .build()
        .map_err(|error| Failure::Broken(format!("failed to start: {error}")))
}
