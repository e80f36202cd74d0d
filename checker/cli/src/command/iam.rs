//! `checker iam`: policies decided, compared and proved, and who can reach what.
//!
//! Four questions over the same sources: policy files, the program in an embedded AWS, a live account, or the evidence of
//! a recorded run.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::Value;

use super::runtime;
use crate::console::{Console, data};
use crate::failure::Failure;

mod compare;
mod decide;
mod prove;
mod reach;
mod source;

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Decide a request, with the deciding statement (exit code: 0 allowed, 1 denied).
    Decide(Box<decide::Arguments>),
    /// Say whether a candidate policy grants anything that a reference does not (0 no, 1 yes, 3 undecided).
    Compare(Box<compare::Arguments>),
    /// Prove that nobody can do something, or show a request that is allowed (0 proved, 1 refuted, 3 undecided).
    Prove(Box<prove::Arguments>),
    /// Show who can reach a secret or a permission, and by which way (0 nobody, 1 somebody, 3 undecided).
    Reach(Box<reach::Arguments>),
}

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Words for people, on stderr.
    Text,
    /// JSON on stdout.
    Json,
}

/// Does it.
pub(super) fn iam(command: &Command, console: Console) -> Result<u8, Failure> {
    match command {
        Command::Decide(arguments) => match &arguments.batch {
            Some(file) => batch(file, checker_iam::batch::decide_line),
            None => runtime()?.block_on(decide::decide(arguments, console)),
        },
        Command::Compare(arguments) => match &arguments.batch {
            Some(file) => batch(file, checker_iam::batch::compare_line),
            None => runtime()?.block_on(compare::compare(arguments, console)),
        },
        Command::Prove(arguments) => runtime()?.block_on(prove::prove(arguments, console)),
        Command::Reach(arguments) => runtime()?.block_on(reach::reach(arguments, console)),
    }
}

/// JSON lines in, a JSON line each out, in order; a file `-` is stdin.
fn batch(file: &Path, line: impl Fn(&str) -> String) -> Result<u8, Failure> {
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    }
    .map_err(|error| Failure::Usage(format!("`{}` cannot be read: {error}", file.display())))?;
    let mut answers = String::new();
    for question in text.lines().filter(|question| !question.trim().is_empty()) {
        answers.push_str(&line(question));
        answers.push('\n');
    }
    data(&answers);
    Ok(0)
}

fn print(value: &Value) {
    data(&format!("{value:#}\n"));
}

/// A path that stands for a managed policy of the account: `policy/NAME`.
fn managed(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    (text.starts_with("policy/") && !path.exists()).then(|| text.to_owned())
}

/// The files that were given for one layer.
fn files(paths: &[PathBuf]) -> impl Iterator<Item = &Path> {
    paths.iter().map(PathBuf::as_path)
}
