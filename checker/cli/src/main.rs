//! The compliance checker for secrets and keys on AWS.
//!
//! Follow a run downwards: `command` reads the command line, `command/run` is the main job, `aws` answers
//! its questions, `checker_core` judges, `store` writes the folder and `console` tells the person.

mod aws;
mod command;
mod console;
mod failure;
mod store;
mod subject;

fn main() -> std::process::ExitCode {
    command::main()
}
