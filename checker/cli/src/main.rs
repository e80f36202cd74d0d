//! The compliance checker for secrets and keys on AWS.
//!
//! Follow a run downwards: `command` reads the command line, `command/run` is the main job, `examination`
//! asks `aws` what the plan needs and has `checker_core` judge, `store` writes the folder and `console` tells the person.

mod aws;
mod command;
mod console;
mod declaration;
mod examination;
mod failure;
mod fault;
mod places;
mod policy_files;
mod preview;
mod probe;
mod store;
mod subject;

fn main() -> std::process::ExitCode {
    command::main()
}
