//! `JUnit`: one `testsuite` a control, one `testcase` a rule and resource.
//!
//! Written with `junit-report`, whose gaps are closed here: text that XML cannot hold is replaced, times are
//! whole milliseconds, a skipped case carries its reason, and no attribute is written that the Jenkins schema
//! refuses. Valid against `jenkins-junit-10.xsd`.

use junit_report::{Duration, OffsetDateTime, ReportBuilder, TestCase, TestSuite};

use crate::run::{ControlRun, Finding, Run};
use crate::verdict::Verdict;

/// Longest message of a case, in characters; the rest is in `run.json`.
const LONGEST_TEXT: usize = 4096;

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum JunitError {
    /// The writer refused.
    #[error("write the JUnit report: {0}")]
    Unwritable(String),
    /// The time of the run is beyond what the format can hold.
    #[error("write the JUnit report: the time of the run is out of range")]
    Time,
}

/// The XML text of a run.
pub fn render(run: &Run) -> Result<String, JunitError> {
    let timestamp = OffsetDateTime::from_unix_timestamp(run.started.timestamp())
        .map_err(|_error| JunitError::Time)?;
    let mut report = ReportBuilder::new();
    for control in &run.controls {
        report.add_testsuite(suite(control, timestamp));
    }
    let mut bytes = Vec::new();
    report
        .build()
        .write_xml(&mut bytes)
        .map_err(|error| JunitError::Unwritable(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| JunitError::Unwritable(error.to_string()))
}

fn suite(control: &ControlRun, timestamp: OffsetDateTime) -> TestSuite {
    let mut suite = TestSuite::new(&attribute(&format!("{} {}", control.id, control.title)));
    suite.set_timestamp(timestamp);
    suite.set_system_out(&content(&format!(
        "[control={} severity={} owner={} mode={} verdict={}]",
        control.id,
        control.severity,
        control.owner,
        control.mode,
        control.verdict.word()
    )));
    suite.add_testcases(
        control
            .findings
            .iter()
            .map(|finding| case(control, finding)),
    );
    suite
}

fn case(control: &ControlRun, finding: &Finding) -> TestCase {
    let name = attribute(&finding.resource);
    let mut case = match finding.verdict {
        Verdict::Pass => TestCase::success(&name, Duration::ZERO),
        Verdict::Fail => TestCase::failure(&name, Duration::ZERO, "fail", &message(finding)),
        Verdict::Inconclusive => {
            TestCase::error(&name, Duration::ZERO, "inconclusive", &message(finding))
        }
        Verdict::Waived => TestCase::skipped_with_cause(&name, "waived", &message(finding)),
        Verdict::NotApplicable => {
            TestCase::skipped_with_cause(&name, "not_applicable", &message(finding))
        }
    };
    case.set_classname(&attribute(&format!("{}.{}", control.id, finding.assertion)));
    if finding.verdict != Verdict::Pass {
        let mut lines = vec![finding.says.clone()];
        lines.extend(finding.because.iter().map(|reason| format!("  {reason}")));
        lines.push(format!("  rule: {}", finding.source));
        lines.extend(
            finding
                .evidence
                .iter()
                .map(|digest| format!("  evidence: {digest}")),
        );
        case.set_system_out(&content(&lines.join("\n")));
    }
    case
}

fn message(finding: &Finding) -> String {
    attribute(&format!(
        "{}: {} [{}]",
        finding.says,
        finding.because.join("; "),
        finding.source
    ))
}

/// Text for an attribute: readers turn white space into blanks, so it is written as blanks.
fn attribute(text: &str) -> String {
    legal(text)
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .collect()
}

/// Text for a CDATA section, with no end of one inside.
fn content(text: &str) -> String {
    legal(text)
        .collect::<String>()
        .replace("]]>", "]]]]><![CDATA[>")
}

/// Text that XML 1.0 can hold, cut at a length.
fn legal(text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .take(LONGEST_TEXT)
        .map(|c| if is_xml(c) { c } else { '\u{FFFD}' })
}

/// The characters of XML 1.0, section 2.2, less the C1 controls that readers warn of.
fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{7E}' | '\u{85}' | '\u{A0}'..='\u{D7FF}'
        | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}
