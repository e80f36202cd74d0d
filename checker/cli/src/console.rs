//! What a person sees: progress while a run goes on, and its result. All of it on stderr; data goes to stdout.

use std::io::{IsTerminal as _, Write as _};

use checker_core::run::{Finding, Run, Summary};
use checker_core::verdict::Verdict;

/// How many findings of one rule are listed before the rest is counted.
const LISTED: usize = 20;

/// Writes for people.
#[derive(Clone, Copy)]
pub(crate) struct Console {
    terminal: bool,
    colour: bool,
}

impl Console {
    /// For this process: colour and progress only on a terminal, no colour with `NO_COLOR`.
    pub(crate) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            terminal,
            colour: terminal && !plain,
        }
    }

    /// Shows no progress and no colour: for work that goes on beside other work.
    pub(crate) fn silent() -> Self {
        Self {
            terminal: false,
            colour: false,
        }
    }

    /// One line.
    #[expect(
        clippy::unused_self,
        reason = "callers need not know that all consoles write lines alike"
    )]
    pub(crate) fn line(self, text: &str) {
        // A closed stderr must not end the run.
        drop(writeln!(std::io::stderr().lock(), "{text}"));
    }

    /// An error.
    pub(crate) fn error(self, text: &str) {
        let mark = self.paint("error", "31;1");
        self.line(&format!("{mark}: {text}"));
    }

    /// What goes on now, replaced by the next call; only on a terminal.
    pub(crate) fn progress(self, text: &str) {
        if self.terminal {
            let mut stderr = std::io::stderr().lock();
            drop(write!(stderr, "\r\x1b[2K{text}"));
            drop(stderr.flush());
        }
    }

    /// Ends the progress line.
    pub(crate) fn progress_done(self) {
        self.progress("");
    }

    /// The result of a run: the acceptance table, then what did not pass.
    pub(crate) fn run(self, run: &Run) {
        self.table(&run.summary);
        for control in &run.controls {
            let bad: Vec<&Finding> = control
                .findings
                .iter()
                .filter(|finding| matches!(finding.verdict, Verdict::Fail | Verdict::Inconclusive))
                .collect();
            if bad.is_empty() {
                continue;
            }
            self.line("");
            self.line(&format!(
                "{} {} ({}, {})",
                self.verdict(control.verdict),
                control.id,
                control.title,
                control.severity
            ));
            for finding in bad.iter().take(LISTED) {
                self.finding(&control.id, finding);
            }
            if bad.len() > LISTED {
                self.line(&format!(
                    "  ... and {} more in run.json",
                    bad.len() - LISTED
                ));
            }
            self.line(&format!("  to do: {}", control.remediation.trim()));
        }
        for note in &run.notes {
            self.line(&format!("note: {note}"));
        }
        for gap in &run.not_proven {
            self.line(&format!("not proven: {gap}"));
        }
        self.line(&format!("verdict: {}", self.verdict(run.verdict)));
    }

    fn table(self, rows: &[Summary]) {
        self.line(&format!(
            "{:<10} {:<6} {:>6} {:>7} {:>7} {:>13} {:>7} {:>7}",
            "control", "mode", "tests", "passed", "failed", "inconclusive", "waived", "total"
        ));
        for row in rows {
            self.line(&format!(
                "{:<10} {:<6} {:>6} {:>7} {:>7} {:>13} {:>7} {:>7}",
                row.control,
                row.mode,
                row.tests,
                row.passed,
                row.failed,
                row.inconclusive,
                row.waived,
                row.total
            ));
        }
    }

    fn finding(self, control: &str, finding: &Finding) {
        self.line(&format!(
            "  {} {control}.{} {}",
            self.verdict(finding.verdict),
            finding.assertion,
            printable(&finding.resource)
        ));
        self.line(&format!("    {}", printable(&finding.says)));
        for reason in &finding.because {
            self.line(&format!("    {}", printable(reason)));
        }
        self.line(&format!("    {}", finding.source));
    }

    fn verdict(self, verdict: Verdict) -> String {
        let colour = match verdict {
            Verdict::Pass => "32",
            Verdict::Fail => "31;1",
            Verdict::Inconclusive => "33;1",
            Verdict::Waived | Verdict::NotApplicable => "36",
        };
        self.paint(&verdict.word().to_uppercase(), colour)
    }

    fn paint(self, text: &str, colour: &str) -> String {
        if self.colour {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Text from AWS without control characters, which could rewrite the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .collect()
}

/// Data on stdout; a reader that went away is no failure of ours.
pub(crate) fn data(text: &str) {
    let mut stdout = std::io::stdout().lock();
    drop(stdout.write_all(text.as_bytes()));
    drop(stdout.flush());
}
