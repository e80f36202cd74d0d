//! What all reports must keep: valid documents, no way out of a text, bounded sizes, the same bytes for the same run.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that can't set itself up, or that misses a part of a document, has failed"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::sample::{self, HOSTILE};
use super::{HTML, REPORTS};
use crate::run::Run;
use crate::verdict::Verdict;

const OSCAL: &str = "oscal-assessment-results.json";
const OCSF: &str = "ocsf.jsonl";

/// Every report: its name and its text.
fn all(run: &Run, earlier: &[Run]) -> Vec<(&'static str, String)> {
    REPORTS
        .into_iter()
        .map(|report| {
            let mut text = Vec::new();
            report.write(run, earlier, &mut text).unwrap();
            (report.name, String::from_utf8(text).unwrap())
        })
        .collect()
}

fn rendered(run: &Run, name: &str) -> String {
    all(run, &[])
        .into_iter()
        .find(|(known, _)| *known == name)
        .unwrap()
        .1
}

/// Runs that cover what a report may meet.
fn runs() -> Vec<(&'static str, Run)> {
    vec![
        ("whole", sample::whole()),
        ("hostile", sample::with_text(HOSTILE)),
        ("empty text", sample::with_text("")),
        ("blank text", sample::with_text(" \n ")),
        ("nothing judged", sample::run(1, Vec::new())),
        (
            "no findings",
            sample::run(1, vec![sample::control("X", Vec::new())]),
        ),
        ("large", sample::large(50, Verdict::Fail)),
    ]
}

fn schema(text: &str) -> jsonschema::Validator {
    jsonschema::validator_for(&serde_json::from_str(text).unwrap()).unwrap()
}

fn valid(schema: &jsonschema::Validator, name: &str, document: &Value) {
    let errors: Vec<String> = schema
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{name}: {errors:#?}");
}

#[test]
fn oscal_is_valid() {
    let schema = schema(include_str!(
        "../../tests/data/schemas/oscal-assessment-results-1.2.1.schema.json"
    ));
    // The schema can fail.
    assert!(!schema.is_valid(&serde_json::json!({"assessment-results": {}})));
    for (name, run) in runs() {
        // A run without controls can't name what it reviewed, and is refused long before.
        if run.controls.is_empty() {
            continue;
        }
        let document = serde_json::from_str(&rendered(&run, OSCAL)).unwrap();
        valid(&schema, name, &document);
        references_resolve(name, &document);
    }
}

/// Every reference within the document points at something that is there, and no UUID is given twice.
fn references_resolve(name: &str, document: &Value) {
    let mut given: Vec<String> = Vec::new();
    let mut wanted: Vec<String> = Vec::new();
    collect(document, &mut given, &mut wanted);
    let known: BTreeSet<&String> = given.iter().collect();
    assert_eq!(known.len(), given.len(), "{name}: a UUID is given twice");
    for reference in &wanted {
        assert!(known.contains(reference), "{name}: {reference} is nowhere");
    }
}

fn collect(value: &Value, given: &mut Vec<String>, wanted: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match (key.as_str(), value) {
                    ("uuid", Value::String(uuid)) => given.push(uuid.clone()),
                    ("href", Value::String(href)) => {
                        wanted.extend(href.strip_prefix('#').map(str::to_owned));
                    }
                    (key, Value::String(uuid)) if key.ends_with("-uuid") => {
                        wanted.push(uuid.clone());
                    }
                    (_, value) => collect(value, given, wanted),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                collect(item, given, wanted);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn oscal_is_satisfied_by_a_pass_and_by_nothing_else() {
    type Case<'a> = (&'a [Verdict], Option<(&'a str, &'a str)>);
    let cases: [Case<'_>; 7] = [
        (
            &[Verdict::Pass, Verdict::NotApplicable],
            Some(("satisfied", "pass")),
        ),
        (
            &[Verdict::Pass, Verdict::Fail],
            Some(("not-satisfied", "fail")),
        ),
        (
            &[Verdict::Pass, Verdict::Inconclusive],
            Some(("not-satisfied", "other")),
        ),
        (&[Verdict::Inconclusive], Some(("not-satisfied", "other"))),
        (
            &[Verdict::Pass, Verdict::Waived],
            Some(("not-satisfied", "other")),
        ),
        (&[Verdict::Waived], Some(("not-satisfied", "other"))),
        (&[Verdict::NotApplicable], None),
    ];
    for (verdicts, expected) in cases {
        let findings = verdicts
            .iter()
            .enumerate()
            .map(|(at, verdict)| sample::finding("interval", &format!("arn:{at}"), *verdict))
            .collect();
        let mut run = sample::run(1, vec![sample::control("FR-278", findings)]);
        run.waivers = sample::whole().waivers;
        let document: Value = serde_json::from_str(&rendered(&run, OSCAL)).unwrap();
        let status =
            &document["assessment-results"]["results"][0]["findings"][0]["target"]["status"];
        let found = status["state"].as_str().zip(status["reason"].as_str());
        assert_eq!(found, expected, "{verdicts:?}");
    }
}

#[test]
fn oscal_shows_waivers_as_risks_and_evidence_with_its_digest() {
    let document: Value = serde_json::from_str(&rendered(&sample::whole(), OSCAL)).unwrap();
    let result = &document["assessment-results"]["results"][0];
    let risks = result["risks"].as_array().unwrap();
    let of = |status: &str| risks.iter().find(|risk| risk["status"] == status).unwrap();
    assert_eq!(of("deviation-approved")["deadline"], "2026-12-16T23:59:59Z");
    let resources = document["assessment-results"]["back-matter"]["resources"]
        .as_array()
        .unwrap();
    let digest = "ab".repeat(32);
    let resource = resources
        .iter()
        .find(|resource| resource["title"] == format!("evidence/{digest}.json"))
        .unwrap();
    assert_eq!(resource["rlinks"][0]["hashes"][0]["algorithm"], "SHA-256");
    assert_eq!(resource["rlinks"][0]["hashes"][0]["value"], digest);
}

#[test]
fn ocsf_is_valid_and_says_what_was_found() {
    let schema = schema(include_str!(
        "../../tests/data/schemas/ocsf-compliance-finding-1.8.0.schema.json"
    ));
    assert!(!schema.is_valid(&serde_json::json!({"class_uid": 2003})));
    for (name, run) in runs() {
        for line in rendered(&run, OCSF).lines() {
            valid(&schema, name, &serde_json::from_str(line).unwrap());
        }
    }
    let statuses: Vec<(u64, Option<u64>)> = rendered(&sample::whole(), OCSF)
        .lines()
        .map(|line| {
            let event: Value = serde_json::from_str(line).unwrap();
            let status = event["compliance"]["status_id"].as_u64().unwrap();
            assert!(
                !event["compliance"]["status_details"]
                    .as_array()
                    .unwrap()
                    .is_empty()
            );
            (status, event["status_id"].as_u64())
        })
        .collect();
    // Fail, Inconclusive, Pass, Waived, Not applicable.
    assert_eq!(
        statuses,
        [
            (3, Some(1)),
            (2, Some(1)),
            (1, None),
            (3, Some(3)),
            (99, None)
        ]
    );
}

#[test]
fn html_keeps_every_text_a_text() {
    let (hostile, tame) = (
        rendered(&sample::with_text(HOSTILE), HTML),
        rendered(&sample::whole(), HTML),
    );
    for way_out in [
        "<script",
        "<img",
        "onerror=alert(1)>",
        "\" onmouseover",
        "javascript:alert(1)\"",
        "-->",
        "\u{202E}",
        "\u{1b}",
        "\0",
        "\u{200B}",
        "href=\"https://evil",
        "href=\"javascript",
    ] {
        assert!(!hostile.contains(way_out), "{way_out:?}");
    }
    // Not one element more than with a tame text, but for the links that the tame one may have.
    let elements = |page: &str| page.matches('<').count() - 2 * page.matches("<a ").count();
    assert_eq!(elements(&hostile), elements(&tame));
    assert!(hostile.contains("‹U+202E›"));
}

#[test]
fn html_loads_nothing() {
    for (name, run) in runs() {
        let page = rendered(&run, HTML);
        for loader in [
            "src=", "<link", "@import", "url(h", "<script", "<iframe", "<object", "<base",
        ] {
            let text = page
                .replace("onerror=alert", "")
                .replace("&lt;img src=", "");
            assert!(!text.contains(loader), "{name}: {loader}");
        }
        assert!(page.contains("default-src 'none'"));
    }
}

#[test]
fn html_shows_everything_that_did_not_pass() {
    let mut run = sample::whole();
    run.not_proven = vec!["the lab is an embedded AWS".to_owned()];
    let page = rendered(&run, HTML);
    let digest = "ab".repeat(32);
    for part in [
        "What was not proven",
        "The lab is an embedded AWS.",
        "is fail",
        "is inconclusive",
        "W-12",
        "expired",
        "Source for Mermaid",
        "limit 5 min",
        "ssh-keygen -Y verify",
        &format!("href=\"evidence/{digest}.json\""),
    ] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn html_stays_small_and_quick() {
    for verdict in [
        Verdict::Pass,
        Verdict::Fail,
        Verdict::Inconclusive,
        Verdict::Waived,
        Verdict::NotApplicable,
    ] {
        let run = sample::large(2_000, verdict);
        let began = Instant::now();
        let page = super::html::render(&run, &[]);
        // The bound for the optimised program is one second; tests may run beside much else.
        let took = began.elapsed();
        assert!(took < Duration::from_secs(5), "{verdict:?}: {took:?}");
        assert!(page.len() < 5_000_000, "{verdict:?}: {}", page.len());
        assert!(page.contains("2,000"), "{verdict:?}");
    }
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let earlier = [sample::large(3, Verdict::Fail), sample::run(3, Vec::new())];
    for (name, run) in runs() {
        let again: Run = serde_json::from_value(serde_json::to_value(&run).unwrap()).unwrap();
        assert_eq!(all(&run, &earlier), all(&again, &earlier), "{name}");
    }
}

/// The committed sample shows what this version writes.
#[test]
fn the_sample_is_current() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reports/sample");
    let mut seen = 0;
    for entry in fs::read_dir(&sample).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() || folder.is_symlink() {
            continue;
        }
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let run: Run = serde_json::from_str(&read("run.json")).unwrap();
        let earlier: Vec<Run> = serde_json::from_str(&read("earlier.json")).unwrap();
        for (name, text) in all(&run, &earlier) {
            assert!(
                read(name) == text,
                "{} of the sample is not what this version writes; run: cargo build --release -p checker && bash .ci/make-sample",
                folder.join(name).display()
            );
        }
        seen += 1;
    }
    assert_eq!(seen, 3);
}
