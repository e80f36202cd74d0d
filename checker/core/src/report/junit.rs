//! `JUnit`: one `testsuite` a control, one `testcase` a rule and resource.
//!
//! Written with `junit-report`, whose gaps are closed here: text that XML cannot hold is replaced, times are
//! whole milliseconds, a skipped case carries its reason, and no attribute is written that the Jenkins schema
//! refuses. Valid against `jenkins-junit-10.xsd`.

use std::borrow::Cow;
use std::io;

use junit_report::{Duration, OffsetDateTime, Report, TestCase, TestCaseBuilder, TestSuite};

use super::Out;

use crate::run::{ControlRun, Finding, Run, WaiverNote};
use crate::verdict::Verdict;

/// Longest text of a case, in characters; the rest is in `run.json`.
const LONGEST_TEXT: usize = 4096;

/// How many digests of evidence a case names; all of them are in `run.json`.
const DIGESTS: usize = 3;

/// Writes the XML of a run.
pub(super) fn write(run: &Run, out: &mut Out<'_>) -> io::Result<()> {
    let timestamp = OffsetDateTime::from_unix_timestamp(run.started.timestamp())
        .map_err(|_error| io::Error::other("the time of the run is out of range"))?;
    let mut report = Report::new();
    for control in &run.controls {
        report.add_testsuite(suite(run, control, timestamp));
    }
    report.write_xml(out).map_err(|error| match error {
        junit_report::Error::Io(error) => error,
        junit_report::Error::Xml(error) => io::Error::other(error.to_string()),
    })
}

fn suite(run: &Run, control: &ControlRun, timestamp: OffsetDateTime) -> TestSuite {
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
            .map(|finding| case(run, control, finding)),
    );
    suite
}

fn case(run: &Run, control: &ControlRun, finding: &Finding) -> TestCase {
    let name = attribute(&finding.resource);
    let mut case = match finding.verdict {
        Verdict::Pass => TestCaseBuilder::success(&name, Duration::ZERO),
        Verdict::Fail => TestCaseBuilder::failure(&name, Duration::ZERO, "fail", &message(finding)),
        Verdict::Inconclusive => {
            TestCaseBuilder::error(&name, Duration::ZERO, "inconclusive", &message(finding))
        }
        Verdict::Waived => {
            TestCaseBuilder::skipped_with_cause(&name, "waived", &waived(run, finding))
        }
        Verdict::NotApplicable => {
            TestCaseBuilder::skipped_with_cause(&name, "not_applicable", &message(finding))
        }
    };
    case.set_classname(&attribute(&format!("{}.{}", control.id, finding.assertion)));
    if matches!(finding.verdict, Verdict::Fail | Verdict::Inconclusive) {
        case.set_trace(&trace(finding));
    }
    case.build()
}

/// The finding and its reasons.
fn message(finding: &Finding) -> String {
    attribute(&format!("{}: {}", finding.says, finding.because.join("; "))).into_owned()
}

/// Who accepted the finding, until when and why.
fn waived(run: &Run, finding: &Finding) -> String {
    let waiver = finding
        .waiver
        .as_deref()
        .and_then(|id| run.waivers.iter().find(|waiver| waiver.id == id));
    match waiver {
        Some(WaiverNote {
            id,
            expires,
            approver,
            reason,
            ..
        }) => attribute(&format!(
            "waiver {id} until {expires} by {approver}: {reason} ({})",
            finding.says
        ))
        .into_owned(),
        None => message(finding),
    }
}

/// Where the rule stands and what it rests on.
fn trace(finding: &Finding) -> String {
    let mut lines = vec![format!("rule: {}", finding.source)];
    lines.extend(
        finding
            .evidence
            .iter()
            .take(DIGESTS)
            .map(|digest| format!("evidence: {digest}")),
    );
    if finding.evidence.len() > DIGESTS {
        lines.push(format!(
            "and {} more in run.json",
            finding.evidence.len() - DIGESTS
        ));
    }
    content(&lines.join("\n"))
}

/// Text for an attribute: readers turn white space into blanks, so it is written as blanks.
fn attribute(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| matches!(byte, b' '..=b'~');
    if text.len() <= LONGEST_TEXT && text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
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
    use super::*;
    use crate::report::sample::{self, HOSTILE, finding};

    fn render(run: &Run) -> io::Result<String> {
        let mut xml = Vec::new();
        write(run, &mut Out::new(&mut xml))?;
        Ok(String::from_utf8(xml).unwrap())
    }

    fn run(verdict: Verdict, text: &str) -> Run {
        let mut run = sample::with_text(text);
        run.waivers.clear();
        for control in &mut run.controls {
            control
                .findings
                .retain(|finding| finding.verdict == verdict);
        }
        run
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
        assert!(
            element(Verdict::Waived).contains("<skipped type=\"waived\" message=\"x is waived")
        );
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

    #[test]
    fn a_waived_case_says_who_accepted_it_until_when_and_why() {
        let xml = render(&sample::with_text("x")).unwrap();
        assert!(xml.contains("message=\"waiver W-12 until 2026-12-16 by x: x (x is waived)\""));
    }

    #[test]
    fn a_thousand_secrets_stay_below_three_megabytes_even_if_all_of_them_fail() {
        for verdict in [Verdict::Pass, Verdict::Fail, Verdict::Inconclusive] {
            let xml = render(&sample::large(1_000, verdict)).unwrap();
            assert_eq!(xml.matches("<testcase ").count(), 5_000);
            assert!(xml.len() < 3_000_000, "{verdict:?}: {}", xml.len());
        }
        let mut one = finding("interval", "arn:x", Verdict::Fail);
        one.evidence = vec!["ab".repeat(32).into(); 500];
        let control = sample::control("FR-278", vec![one]);
        assert!(render(&sample::run(1, vec![control])).unwrap().len() < 2_000);
    }
}
