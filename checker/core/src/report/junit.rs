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

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    reason = "a test that can't set itself up has failed"
)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::DateTime;

    use super::*;
    use crate::run::{Target, VERSION};

    /// Whatever anybody writes into a tag or a name must leave the report well-formed.
    const HOSTILE: &str = "\u{1b}[31m\0]]>\u{FFFE}\u{FFFF}\u{7f}\n\t<&\"'>]]]>";

    fn run(verdict: Verdict, text: &str) -> Run {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        Run {
            version: VERSION,
            run_id: text.to_owned(),
            target: Target::Lab,
            stage: text.to_owned(),
            account: String::new(),
            region: String::new(),
            started: now,
            finished: now,
            tool: String::new(),
            verdict,
            summary: Vec::new(),
            controls: vec![ControlRun {
                id: "X-1".to_owned(),
                title: text.to_owned(),
                severity: text.to_owned(),
                owner: text.to_owned(),
                mode: "AUTO".to_owned(),
                statement: text.to_owned(),
                remediation: text.to_owned(),
                runbook: None,
                mapping: BTreeMap::new(),
                digest: String::new(),
                parameters: BTreeMap::new(),
                verdict,
                findings: vec![Finding {
                    assertion: "rule".to_owned(),
                    resource: text.to_owned(),
                    verdict,
                    says: text.to_owned(),
                    because: vec![text.to_owned()],
                    evidence: vec![text.to_owned()],
                    source: text.to_owned(),
                    count: None,
                    digest: None,
                    waiver: None,
                }],
            }],
            not_proven: Vec::new(),
            notes: Vec::new(),
            api_calls: BTreeMap::new(),
            waivers: Vec::new(),
            reach: Vec::new(),
            measurements: Vec::new(),
        }
    }

    #[test]
    fn hostile_text_leaves_the_report_well_formed() {
        for verdict in [
            Verdict::Pass,
            Verdict::Fail,
            Verdict::Inconclusive,
            Verdict::Waived,
            Verdict::NotApplicable,
        ] {
            let xml = render(&run(verdict, HOSTILE)).unwrap();
            assert!(xml.chars().all(is_xml), "{xml:?}");
            let opened = xml.matches("<![CDATA[").count();
            assert_eq!(opened, xml.matches("]]>").count(), "{xml}");
            // Outside of CDATA nothing of the text stands raw.
            let outside: String = xml
                .split("<![CDATA[")
                .enumerate()
                .map(|(at, part)| match part.split_once("]]>") {
                    Some((_, after)) if at > 0 => after,
                    Some(_) | None => part,
                })
                .collect();
            assert!(
                !outside.contains("<&") && !outside.contains('\n'),
                "{outside}"
            );
        }
    }

    #[test]
    fn each_verdict_has_its_element() {
        let element = |verdict| render(&run(verdict, "x")).unwrap();
        assert!(element(Verdict::Fail).contains("<failure type=\"fail\""));
        assert!(element(Verdict::Inconclusive).contains("<error type=\"inconclusive\""));
        assert!(element(Verdict::Waived).contains("<skipped type=\"waived\" message=\"x"));
        assert!(element(Verdict::NotApplicable).contains("<skipped type=\"not_applicable\""));
        let passed = element(Verdict::Pass);
        assert!(passed.contains("<testcase"));
        assert!(
            !passed.contains("<failure")
                && !passed.contains("<error")
                && !passed.contains("<skipped")
        );
    }

    #[test]
    fn long_text_is_cut() {
        let xml = render(&run(Verdict::Fail, &"x".repeat(1_000_000))).unwrap();
        assert!(xml.len() < 100_000, "{}", xml.len());
    }
}
