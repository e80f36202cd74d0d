//! What a person sees: progress while a run goes on, and its result. All of it on stderr; data goes to stdout.
//!
//! With `--log-format json` the same is one JSON object a line, for a log that machines read: `time`, `level`,
//! `message`, and fields of its own.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use checker_core::run::{Finding, Run, Summary};
use checker_core::verdict::Verdict;
use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};

/// How many findings of one rule are listed before the rest is counted.
const LISTED: usize = 20;

/// How often a JSON log tells how far a run is.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// What stderr holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// Text for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Writes for people.
#[derive(Clone, Copy)]
pub(crate) struct Console {
    format: LogFormat,
    terminal: bool,
    colour: bool,
    silent: bool,
}

impl Console {
    /// For this process, as text.
    pub(crate) fn new() -> Self {
        Self::of(LogFormat::Text)
    }

    /// For this process: colour and progress only on a terminal, no colour with `NO_COLOR`.
    pub(crate) fn of(format: LogFormat) -> Self {
        let terminal = format == LogFormat::Text && std::io::stderr().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            format,
            terminal,
            colour: terminal && !plain,
            silent: false,
        }
    }

    /// Shows nothing: for work that goes on beside other work.
    pub(crate) fn silent() -> Self {
        Self {
            format: LogFormat::Text,
            terminal: false,
            colour: false,
            silent: true,
        }
    }

    /// One line.
    pub(crate) fn line(self, text: &str) {
        if self.silent {
            return;
        }
        match self.format {
            // A closed stderr must not end the run.
            LogFormat::Text => drop(writeln!(std::io::stderr().lock(), "{text}")),
            LogFormat::Json if text.is_empty() => {}
            LogFormat::Json => event("info", text, &json!({})),
        }
    }

    /// An error.
    pub(crate) fn error(self, text: &str) {
        match self.format {
            LogFormat::Text => {
                let mark = self.paint("error", "31;1");
                self.line(&format!("{mark}: {text}"));
            }
            LogFormat::Json => event("error", text, &json!({})),
        }
    }

    /// What goes on now, replaced by the next call; only on a terminal, and now and then in a JSON log.
    pub(crate) fn progress(self, text: &str) {
        if self.terminal {
            let mut stderr = std::io::stderr().lock();
            drop(write!(stderr, "\r\x1b[2K{text}"));
            drop(stderr.flush());
        }
        if self.format == LogFormat::Json && !text.is_empty() && due() {
            event("info", text, &json!({"event": "progress"}));
        }
    }

    /// Ends the progress line.
    pub(crate) fn progress_done(self) {
        self.progress("");
    }

    /// The result of a run: the acceptance table, then what did not pass.
    pub(crate) fn run(self, run: &Run) {
        match self.format {
            LogFormat::Text => self.run_text(run),
            LogFormat::Json => run_events(run),
        }
    }

    fn run_text(self, run: &Run) {
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

/// The result of a run: an event a control, one a finding that did not pass, and the verdict.
fn run_events(run: &Run) {
    for control in &run.controls {
        let message = format!("{} {}", control.id, control.verdict.word());
        let mut fields = serde_json::to_value(control.summary()).unwrap_or_default();
        if let Some(fields) = fields.as_object_mut() {
            fields.insert("event".to_owned(), json!("control"));
            fields.insert("verdict".to_owned(), json!(control.verdict));
        }
        event("info", &message, &fields);
        let bad = control
            .findings
            .iter()
            .filter(|finding| matches!(finding.verdict, Verdict::Fail | Verdict::Inconclusive));
        for finding in bad.take(LISTED) {
            event(
                "warn",
                &finding.says,
                &json!({
                    "event": "finding", "control": control.id, "assertion": finding.assertion,
                    "resource": finding.resource, "verdict": finding.verdict,
                    "because": finding.because, "source": finding.source,
                }),
            );
        }
    }
    for (kind, texts) in [("note", &run.notes), ("not_proven", &run.not_proven)] {
        for text in texts {
            event("info", text, &json!({"event": kind}));
        }
    }
    event(
        "info",
        &format!("verdict: {}", run.verdict.word()),
        &json!({"event": "verdict", "verdict": run.verdict, "run_id": run.run_id, "api_calls": run.api_calls}),
    );
}

/// One line of a JSON log.
fn event(level: &str, message: &str, fields: &Value) {
    let mut line = json!({
        "time": Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true), "level": level, "message": message,
    });
    if let (Some(line), Some(fields)) = (line.as_object_mut(), fields.as_object()) {
        line.extend(fields.clone());
    }
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}

/// Whether it is time to tell again; the first progress is told after the pause.
fn due() -> bool {
    static TOLD: Mutex<Option<Instant>> = Mutex::new(None);
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let since = told.get_or_insert_with(Instant::now).elapsed();
    if since >= PROGRESS_EVERY {
        *told = Some(Instant::now());
    }
    since >= PROGRESS_EVERY
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
