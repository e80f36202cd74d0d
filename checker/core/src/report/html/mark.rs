//! The small marks that all sections share: verdicts, digests, resources, times, numbers.
//!
//! Only [`evidence`] and [`web_link`] make links of what a run holds, and only of what they have proven to be a digest
//! or a web address.

use chrono::{SecondsFormat, TimeDelta};
use maud::{Markup, html};

use crate::observation::Time;
use crate::verdict::Verdict;

/// How many characters of a digest stand where there is no room for all of it.
const SHORT: usize = 12;

/// The word of a verdict.
pub(in crate::report) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "Pass",
        Verdict::Fail => "Fail",
        Verdict::Inconclusive => "Inconclusive",
        Verdict::Waived => "Waived",
        Verdict::NotApplicable => "Not applicable",
    }
}

/// The class of a verdict in the style sheet.
pub(in crate::report) fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Waived => "waived",
        Verdict::NotApplicable => "na",
    }
}

/// Shape and word of a verdict: never colour alone.
pub(in crate::report) fn badge(verdict: Verdict) -> Markup {
    html! { span class={ "verdict " (class(verdict)) } { (symbol(verdict)) (word(verdict)) } }
}

/// The shape of a verdict; the word must stand beside it.
pub(in crate::report) fn symbol(verdict: Verdict) -> Markup {
    html! {
        svg class={ "mark " (class(verdict)) } aria-hidden="true" focusable="false" {
            use href={ "#mark-" (class(verdict)) } {}
        }
    }
}

/// The shapes, drawn once a page.
pub(in crate::report) fn symbols() -> Markup {
    html! {
        svg.symbols aria-hidden="true" focusable="false" {
            symbol id="mark-pass" viewBox="0 0 16 16" {
                circle cx="8" cy="8" r="7.25" {}
                path d="M4.6 8.4l2.3 2.3 4.5-5" {}
            }
            symbol id="mark-fail" viewBox="0 0 16 16" {
                path.area d="M5 .8h6L15.2 5v6L11 15.2H5L.8 11V5z" {}
                path d="M5.4 5.4l5.2 5.2M10.6 5.4l-5.2 5.2" {}
            }
            symbol id="mark-inconclusive" viewBox="0 0 16 16" {
                path.area d="M8 .7L15.3 8 8 15.3.7 8z" {}
                path d="M6.1 6.4c0-1.2.8-1.9 1.9-1.9s1.9.7 1.9 1.7c0 1.3-1.9 1.5-1.9 2.9M8 11.2v.3" {}
            }
            symbol id="mark-waived" viewBox="0 0 16 16" {
                rect x=".9" y=".9" width="14.2" height="14.2" rx="2" {}
                path d="M4.4 8h7.2" {}
            }
            symbol id="mark-na" viewBox="0 0 16 16" {
                circle.hollow cx="8" cy="8" r="6.9" {}
            }
        }
    }
}

/// A digest of evidence: a link to its file if it is one, in full.
pub(in crate::report) fn evidence(digest: &str) -> Markup {
    linked(digest, digest)
}

/// The same, cut short.
pub(in crate::report) fn evidence_short(digest: &str) -> Markup {
    let short: String = digest.chars().take(SHORT).collect();
    linked(digest, &short)
}

fn linked(digest: &str, shown: &str) -> Markup {
    html! {
        @if is_digest(digest) {
            a.digest href={ "evidence/" (digest) ".json" } { (shown) }
        } @else {
            code { (digest) }
        }
    }
}

/// Whether a text is a SHA-256 in lower-case hexadecimal digits.
pub(in crate::report) fn is_digest(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'))
}

/// An address on the web as a link; any other text as it is.
pub(in crate::report) fn web_link(text: &str) -> Markup {
    let is_web = ["https://", "http://"].iter().any(|scheme| {
        text.strip_prefix(scheme).is_some_and(|rest| {
            rest.starts_with(|c: char| c.is_ascii_alphanumeric())
                && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
        })
    });
    html! {
        @if is_web { a href=(text) rel="noreferrer noopener" { (text) } } @else { (text) }
    }
}

/// The name of a resource.
pub(in crate::report) fn resource(name: &str) -> Markup {
    html! { code.resource { (name) } }
}

/// A time, to the second.
pub(in crate::report) fn moment(time: Time) -> String {
    time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A time for machines.
pub(in crate::report) fn stamp(time: Time) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A time element.
pub(in crate::report) fn time(time: Time) -> Markup {
    html! { time datetime=(stamp(time)) { (moment(time)) } }
}

/// A number with its thousands apart.
pub(in crate::report) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number of things.
pub(in crate::report) fn count(of: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(of), if of == 1 { one } else { many })
}

/// A length as `usize`.
pub(in crate::report) fn length<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}

/// Milliseconds in words.
pub(in crate::report) fn lasting(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => {
            let tenths = ms / 100;
            if tenths.is_multiple_of(10) {
                format!("{} s", tenths / 10)
            } else {
                format!("{}.{} s", tenths / 10, tenths % 10)
            }
        }
        60_000..3_600_000 => two(ms / 60_000, "min", ms % 60_000 / 1_000, "s"),
        3_600_000..86_400_000 => two(ms / 3_600_000, "h", ms % 3_600_000 / 60_000, "min"),
        _ => two(ms / 86_400_000, "d", ms % 86_400_000 / 3_600_000, "h"),
    }
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    if small == 0 {
        format!("{large} {large_unit}")
    } else {
        format!("{large} {large_unit} {small} {small_unit}")
    }
}

/// A time span in words.
pub(in crate::report) fn span(span: TimeDelta) -> String {
    lasting(u64::try_from(span.num_milliseconds()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{evidence, lasting, number, web_link};

    #[test]
    fn only_digests_and_web_addresses_become_links() {
        let digest = "0a".repeat(32);
        assert!(
            evidence(&digest)
                .into_string()
                .contains("href=\"evidence/0a")
        );
        for text in [
            "../../etc/passwd",
            "javascript:alert(1)",
            "",
            &digest.to_uppercase(),
        ] {
            assert!(!evidence(text).into_string().contains("href"), "{text}");
        }
        assert!(
            web_link("https://runbooks.example/x?a=1&b")
                .into_string()
                .contains("href=\"https://runbooks.example/x?a=1&amp;b\"")
        );
        for text in [
            "javascript:alert(1)",
            "data:text/html,x",
            " https://x",
            "https:///x",
            "https://x y",
            "HTTPS://x",
            "//x",
            "docs/runbook.md",
        ] {
            assert!(!web_link(text).into_string().contains("href"), "{text}");
        }
    }

    #[test]
    fn numbers_and_spans_read_well() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(1_234_567), "1,234,567");
        for (ms, words) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1 s"),
            (1_240, "1.2 s"),
            (300_000, "5 min"),
            (310_000, "5 min 10 s"),
            (7_200_000, "2 h"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(lasting(ms), words);
        }
    }
}
