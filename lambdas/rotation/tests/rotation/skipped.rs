//! A test that lacks what it needs says so where it is seen, and fails where nothing may be left out.

use std::io::Write as _;

/// Says what is missing; a failure where `CI` is set.
pub(crate) fn skipped(tests: &str, needs: &str) {
    let text = format!("SKIPPED: {tests} need {needs}, which is not installed\n");
    // Not by the print macros: a passing test's output is swallowed, and this must be seen.
    std::io::stderr().write_all(text.as_bytes()).unwrap();
    assert!(std::env::var_os("CI").is_none(), "{text}");
}
