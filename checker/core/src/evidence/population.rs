//! The population of a run: every resource that was judged, as CSV, and a sample of it that anybody can draw again.
//!
//! In: a run as it was judged. The sample takes the resources whose SHA-256 of seed and name is lowest, so it
//! depends on nothing but the seed and the population.

use std::collections::BTreeMap;

use super::manifest::digest;
use crate::run::Run;
use crate::verdict::Verdict;

/// The verdicts of one resource, by control.
pub type Judgements<'a> = BTreeMap<&'a str, Verdict>;

/// Every resource with its verdict by control: the heaviest of the control's rules.
pub fn resources(run: &Run) -> BTreeMap<&str, Judgements<'_>> {
    let mut resources: BTreeMap<&str, Judgements<'_>> = BTreeMap::new();
    for control in &run.controls {
        for finding in &control.findings {
            for resource in finding.resources() {
                let verdict = resources
                    .entry(resource)
                    .or_default()
                    .entry(control.id.as_str())
                    .or_insert(finding.verdict);
                if let Some(heavier) = Verdict::over([*verdict, finding.verdict]) {
                    *verdict = heavier;
                }
            }
        }
    }
    resources
}

/// `population.csv`: one line a resource, one column a control.
pub fn csv(run: &Run) -> String {
    let controls: Vec<&str> = run
        .controls
        .iter()
        .map(|control| control.id.as_str())
        .collect();
    table(&controls, resources(run))
}

/// The CSV of some resources.
pub fn table<'a>(
    controls: &[&str],
    resources: impl IntoIterator<Item = (&'a str, Judgements<'a>)>,
) -> String {
    let mut text = format!("resource,{}\n", controls.join(","));
    for (resource, judgements) in resources {
        text.push_str(&cell(resource));
        for control in controls {
            text.push(',');
            if let Some(verdict) = judgements.get(control) {
                text.push_str(verdict.word());
            }
        }
        text.push('\n');
    }
    text
}

/// A sample of at most `size` resources.
pub fn sample<'a>(run: &'a Run, seed: &str, size: usize) -> Vec<(&'a str, Judgements<'a>)> {
    let mut ranked: Vec<(String, &str, Judgements<'_>)> = resources(run)
        .into_iter()
        .map(|(resource, judgements)| {
            let rank = digest(format!("{seed}\n{resource}").as_bytes());
            (rank, resource, judgements)
        })
        .collect();
    ranked.sort_by(|one, other| one.0.cmp(&other.0));
    ranked
        .into_iter()
        .take(size)
        .map(|(_, resource, judgements)| (resource, judgements))
        .collect()
}

/// A cell as RFC 4180 has it; what a spreadsheet would take for a formula begins with an apostrophe.
fn cell(text: &str) -> String {
    let safe = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if safe.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", safe.replace('"', "\"\""))
    } else {
        safe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_breaks_a_line_or_becomes_a_formula() {
        let check = |text: &str, expected: &str| assert_eq!(cell(text), expected);
        check("arn:aws:x", "arn:aws:x");
        check("a,b", "\"a,b\"");
        check("a\"b\n", "\"a\"\"b\n\"");
        check("=1+1", "'=1+1");
        check("@x", "'@x");
    }
}
