//! `summary.md`: the result for a CI job's page. Short: the table, what did not pass, what was not proven.
//!
//! Whatever a name holds is text here and nothing else: characters with a meaning in Markdown or HTML are written as
//! numeric references, which no Markdown reader takes for markup.

use std::fmt::Write as _;

use super::html::{front, mark};
use super::legible::legible;
use super::period::Period;
use crate::run::{ControlRun, Finding, Run};
use crate::verdict::Verdict;

/// How many findings of a control are listed.
const LISTED: usize = 10;

/// The longest text of one cell or line, in characters.
const LONGEST: usize = 300;

/// The text of the summary.
pub(super) fn render(run: &Run, earlier: &[Run]) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    write(&mut text, run, &Period::until(run, earlier)).unwrap_or_default();
    legible(text)
}

fn write(text: &mut String, run: &Run, period: &Period<'_>) -> std::fmt::Result {
    writeln!(
        text,
        "## {} {}: secrets and keys, stage {}\n",
        sign(run.verdict),
        mark::word(run.verdict),
        plain(&run.stage)
    )?;
    writeln!(
        text,
        "{} Judged: {}, as of {}.\n",
        front::sentence(run),
        front::target(run.target),
        mark::moment(run.started)
    )?;
    table(text, run)?;
    for control in &run.controls {
        bad(text, control)?;
    }
    waivers(text, run)?;
    writeln!(text, "\n### What was not proven\n")?;
    for gap in &run.not_proven {
        writeln!(text, "- {}", plain(gap))?;
    }
    let inconclusive = front::total_row(run).inconclusive;
    if inconclusive > 0 {
        writeln!(
            text,
            "- {} inconclusive: what could not be seen is not counted as passed",
            mark::count(inconclusive, "test is", "tests are")
        )?;
    }
    if period.missed() > 0 {
        writeln!(
            text,
            "- {} of the last {} nights have no run",
            period.missed(),
            period.nights.len()
        )?;
    }
    writeln!(text, "- whatever no control asks for")?;
    writeln!(text, "\nRun {}, {}.", code(&run.run_id), plain(&run.tool))
}

fn table(text: &mut String, run: &Run) -> std::fmt::Result {
    writeln!(
        text,
        "| Control | Mode | Verdict | Tests | Passed | Failed | Inconclusive | Waived | Total |"
    )?;
    writeln!(text, "|---|---|---|--:|--:|--:|--:|--:|--:|")?;
    let rows = run
        .controls
        .iter()
        .map(|control| (control.verdict, control.title.as_str(), control.summary()));
    for (verdict, title, row) in rows.chain([(run.verdict, "", front::total_row(run))]) {
        writeln!(
            text,
            "| {} {} | {} | {} {} | {} | {} | {} | {} | {} | {} |",
            plain(&row.control),
            plain(title),
            plain(&row.mode),
            sign(verdict),
            mark::word(verdict),
            row.tests,
            row.passed,
            row.failed,
            row.inconclusive,
            row.waived,
            row.total
        )?;
    }
    Ok(())
}

/// What did not pass of one control, and what to do.
fn bad(text: &mut String, control: &ControlRun) -> std::fmt::Result {
    let bad: Vec<&Finding> = [Verdict::Fail, Verdict::Inconclusive]
        .into_iter()
        .flat_map(|verdict| {
            control
                .findings
                .iter()
                .filter(move |finding| finding.verdict == verdict)
        })
        .collect();
    if bad.is_empty() {
        return Ok(());
    }
    writeln!(
        text,
        "\n### {} {} {}\n",
        sign(control.verdict),
        plain(&control.id),
        plain(&control.title)
    )?;
    write!(text, "Owner: {}.", plain(&control.owner))?;
    if !control.remediation.is_empty() {
        write!(text, " To do: {}", plain(&control.remediation))?;
    }
    if let Some(runbook) = &control.runbook {
        write!(text, " Runbook: {}", plain(runbook))?;
    }
    writeln!(text, "\n")?;
    for finding in bad.iter().take(LISTED) {
        writeln!(
            text,
            "- {} {} {}<br>{}<br>{}",
            sign(finding.verdict),
            code(&format!("{}.{}", control.id, finding.assertion)),
            code(&finding.resource),
            plain(&finding.says),
            plain(&finding.because.join("; "))
        )?;
    }
    if bad.len() > LISTED {
        writeln!(text, "- and {} more, in report.html", bad.len() - LISTED)?;
    }
    Ok(())
}

fn waivers(text: &mut String, run: &Run) -> std::fmt::Result {
    if run.waivers.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n### Waivers\n")?;
    for waiver in run.waivers.iter().take(LISTED) {
        let left = if waiver.days_left < 0 {
            "expired".to_owned()
        } else {
            format!("{} days left", waiver.days_left)
        };
        writeln!(
            text,
            "- {} {} on {}: {} ({left}, approved by {})",
            code(&waiver.id),
            code(&format!("{}.{}", waiver.control, waiver.assertion)),
            code(&waiver.resource),
            plain(&waiver.reason),
            plain(&waiver.approver)
        )?;
    }
    if run.waivers.len() > LISTED {
        writeln!(
            text,
            "- and {} more, in report.html",
            run.waivers.len() - LISTED
        )?;
    }
    Ok(())
}

/// A sign that reads in colour and without it.
fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✅",
        Verdict::Fail => "❌",
        Verdict::Inconclusive => "❓",
        Verdict::Waived => "🟦",
        Verdict::NotApplicable => "➖",
    }
}

/// Text that stays text.
fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars().take(LONGEST) {
        let c = if c.is_whitespace() { ' ' } else { c };
        // A colon before a slash begins an address, a dot after `www` does too: neither may become a link.
        let harmless = c.is_alphanumeric()
            || matches!(
                c,
                ' ' | '-' | ',' | ';' | '=' | '%' | '+' | '?' | '‹' | '›' | '\''
            )
            || (c == '.' && before != 'w' && before != 'W')
            || (c == '/' && before != ':' && before != '/')
            || c == ':';
        if harmless || c.is_control() {
            safe.push(c);
        } else {
            write!(safe, "&#{};", u32::from(c)).unwrap_or_default();
        }
        before = c;
    }
    if text.chars().nth(LONGEST).is_some() {
        safe.push('…');
    }
    safe.trim().to_owned()
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", plain(text))
}

#[cfg(test)]
mod tests {
    use super::{plain, render};
    use crate::report::sample::{self, HOSTILE};
    use crate::verdict::Verdict;

    #[test]
    fn a_name_is_text_and_nothing_else() {
        assert_eq!(plain("a | b"), "a &#124; b");
        assert_eq!(
            plain("<img> [x](y) `c` *d* _e_ @f"),
            "&#60;img&#62; &#91;x&#93;&#40;y&#41; &#96;c&#96; &#42;d&#42; &#95;e&#95; &#64;f"
        );
        assert_eq!(
            plain("https://evil.example"),
            "https:&#47;&#47;evil.example"
        );
        assert_eq!(plain("www.evil.example"), "www&#46;evil.example");
        assert_eq!(plain("arn:aws:iam::1:role/x-y"), "arn:aws:iam::1:role/x-y");
        assert_eq!(plain("a\nb"), "a b");
    }

    #[test]
    fn hostile_text_neither_leaves_its_line_nor_becomes_markup() {
        let rows = |text: &str| text.lines().filter(|line| line.starts_with('|')).count();
        let (hostile, tame) = (
            render(&sample::with_text(HOSTILE), &[]),
            render(&sample::whole(), &[]),
        );
        assert_eq!(hostile.lines().count(), tame.lines().count());
        assert_eq!(rows(&hostile), rows(&tame));
        for markup in [
            "<script",
            "<img",
            "](",
            "://",
            "```",
            "@everyone",
            "\u{202E}",
        ] {
            assert!(!hostile.contains(markup), "{markup}");
        }
    }

    #[test]
    fn it_stays_short() {
        let text = render(&sample::large(2_000, Verdict::Fail), &[]);
        assert!(text.len() < 16_384, "{}", text.len());
        assert!(text.contains("and 9990 more, in report.html"));
    }
}
