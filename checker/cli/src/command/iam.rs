//! `checker iam`: policies decided and compared offline.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::console::data;
use crate::failure::Failure;

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Decide requests, with the deciding statement.
    Decide(Batch),
    /// Say whether a candidate policy grants anything that a reference does not.
    Compare(Batch),
}

/// JSON lines in, a JSON line each out, in order.
#[derive(Debug, Args)]
pub(super) struct Batch {
    /// The file of JSON lines.
    #[arg(long, value_name = "FILE")]
    batch: PathBuf,
}

/// Does it.
pub(super) fn iam(command: &Command) -> Result<u8, Failure> {
    match command {
        Command::Decide(batch) => answer(&batch.batch, checker_iam::batch::decide_line),
        Command::Compare(batch) => answer(&batch.batch, checker_iam::batch::compare_line),
    }
}

fn answer(file: &Path, line: impl Fn(&str) -> String) -> Result<u8, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::Usage(format!("`{}` cannot be read: {error}", file.display())))?;
    let mut answers = String::new();
    for question in text.lines().filter(|question| !question.trim().is_empty()) {
        answers.push_str(&line(question));
        answers.push('\n');
    }
    data(&answers);
    Ok(0)
}
