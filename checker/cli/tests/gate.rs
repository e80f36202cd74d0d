//! `checker gate` as a pipeline uses it: exit codes, positions and the files that it leaves behind.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is not as it should be"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs the checker in the repository.
fn gate(arguments: &[&str]) -> (i32, String) {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_checker"))
        .arg("gate")
        .args(arguments)
        .current_dir(repository())
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap(), said)
}

fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copied(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The committed program in a folder of its own, with one text replaced.
fn changed(from: &str, to: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copied(&repository().join("infra-pulumi-yaml"), folder.path());
    let file = folder.path().join("Pulumi.yaml");
    let text = fs::read_to_string(&file).unwrap();
    assert!(from.is_empty() || text.contains(from), "`{from}` is gone");
    fs::write(file, text.replacen(from, to, 1)).unwrap();
    folder
}

fn report(out: &Path) -> Value {
    let text = fs::read_to_string(out.join("latest/gate.sarif")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What the format requires of every report that holds results.
fn valid(report: &Value) {
    assert_eq!(report["version"], "2.1.0");
    assert!(report["$schema"].as_str().unwrap().contains("sarif-2.1.0"));
    for run in report["runs"].as_array().unwrap() {
        let driver = &run["tool"]["driver"];
        assert!(!driver["name"].as_str().unwrap().is_empty());
        let rules = driver["rules"].as_array().unwrap();
        let ids: BTreeSet<&str> = rules
            .iter()
            .map(|rule| rule["id"].as_str().unwrap())
            .collect();
        assert_eq!(ids.len(), rules.len(), "a rule is there twice");
        assert!(run["invocations"][0]["executionSuccessful"].is_boolean());
        for result in run["results"].as_array().unwrap() {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[index]["id"], result["ruleId"]);
            assert!(!result["message"]["text"].as_str().unwrap().is_empty());
            let kind = result["kind"].as_str().unwrap();
            let level = result["level"].as_str().unwrap();
            assert!(["none", "note", "warning", "error"].contains(&level));
            // By the format every kind but `fail` has no level.
            assert_eq!(kind == "fail", level != "none", "{result}");
            for location in result["locations"].as_array().unwrap() {
                let physical = &location["physicalLocation"];
                assert!(
                    !physical["artifactLocation"]["uri"]
                        .as_str()
                        .unwrap()
                        .contains(' ')
                );
                assert!(physical["region"]["startLine"].as_u64().unwrap() >= 1);
                assert!(physical["region"]["startColumn"].as_u64().unwrap() >= 1);
            }
        }
    }
}

#[test]
fn the_committed_program_may_be_deployed() {
    let out = tempfile::tempdir().unwrap();
    let place = out.path().to_str().unwrap();
    let (code, said) = gate(&["--stage", "prod", "--out", place]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("gate: open"), "{said}");
    let report = report(out.path());
    valid(&report);
    assert_eq!(report["runs"][0]["results"].as_array().unwrap().len(), 0);
    for file in ["run.json", "junit.xml"] {
        assert!(out.path().join("latest").join(file).exists(), "{file}");
    }
}

#[test]
fn a_fail_stands_at_the_resource_that_the_program_declares() {
    let program = changed("retentionInDays: 3653", "retentionInDays: 2192");
    let file = program.path().join("Pulumi.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let line = 1 + text
        .lines()
        .position(|line| line.trim() == "accessLog:")
        .unwrap();
    let out = tempfile::tempdir().unwrap();
    let place = out.path().to_str().unwrap();
    let folder = program.path().to_str().unwrap();
    let (code, said) = gate(&["--program", folder, "--stage", "prod", "--out", place]);
    assert_eq!(code, 1, "{said}");
    let report = report(out.path());
    valid(&report);
    let results = report["runs"][0]["results"].as_array().unwrap().clone();
    let failed: BTreeSet<&str> = results
        .iter()
        .map(|it| it["ruleId"].as_str().unwrap())
        .collect();
    assert_eq!(
        failed,
        BTreeSet::from(["FR-280.declared-log-kept", "FR-280.retention-regulatory"])
    );
    for result in &results {
        let physical = &result["locations"][0]["physicalLocation"];
        let uri = physical["artifactLocation"]["uri"].as_str().unwrap();
        assert!(uri.ends_with("/Pulumi.yaml"), "{uri}");
        assert_eq!(physical["region"]["startLine"], line);
        assert_eq!(physical["region"]["startColumn"], 3);
        let related = &result["relatedLocations"][0]["physicalLocation"];
        assert_eq!(related["artifactLocation"]["uri"], "controls/FR-280.yaml");
    }
    // The control is of high severity: it counts from `high` down, and not for `critical`.
    for (level, expected) in [("high", 1), ("critical", 0)] {
        let arguments = [
            "--program",
            folder,
            "--stage",
            "prod",
            "--out",
            place,
            "--fail-on",
            level,
        ];
        let (code, said) = gate(&arguments);
        assert_eq!(code, expected, "{said}");
        assert_eq!(
            said.contains("don't stop the deploy"),
            expected == 0,
            "{said}"
        );
    }
}

#[test]
fn a_broken_program_is_refused_at_its_place_and_nothing_is_judged() {
    for (from, to, says) in [
        (
            "type: aws:kms:Key\n",
            "type: aws:kms:Kee\n",
            "isn't a known resource type",
        ),
        (
            "retentionInDays: 3653",
            "retentionInDay: 3653",
            "did you mean `retentionInDays`?",
        ),
        (
            "${accessLogKey.arn}",
            "${accessLogKee.arn}",
            "there is no resource",
        ),
        (
            "      state: ENABLED",
            "     state: ENABLED",
            "Pulumi.yaml:",
        ),
        (
            "retentionInDays: 3653",
            "retentionInDays: 3654",
            "Pulumi.yaml:",
        ),
    ] {
        let program = changed(from, to);
        let out = tempfile::tempdir().unwrap();
        let place = out.path().to_str().unwrap();
        let folder = program.path().to_str().unwrap();
        let (code, said) = gate(&["--program", folder, "--stage", "prod", "--out", place]);
        assert_eq!(code, 2, "{to}: {said}");
        assert!(said.contains(says), "{to}: {said}");
        let placed = said.split("Pulumi.yaml:").nth(1).unwrap();
        let line: u64 = placed.split(':').next().unwrap().parse().unwrap();
        assert!(line > 1, "{said}");
        assert_eq!(
            fs::read_dir(out.path()).unwrap().count(),
            0,
            "something was written"
        );
    }
    let (code, said) = gate(&["--stage", "production"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("it has `dev`, `prod`"), "{said}");
}
