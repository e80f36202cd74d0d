//! `checker controls test` from outside: what it says of tests that fail, of rules that no test holds in place, and of
//! tests that can't be tried. The committed controls' own tests are run by `checker/core/tests/rules.rs` and `.ci/run`.
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is not as it should be"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

/// A control of one rule; its tests follow.
const CONTROL: &str = "\
control: MY-001
mode: AUTO
title: Secrets rotate
owner: my-team
severity: low
statement: Every managed secret rotates.
checks:
  - inspect:
      id: rotation
      population: {of: secrets, where: managed}
      rules:
        - {id: rotates, says: \"{secret.name} rotates\", that: \"secret.rotation.enabled\"}
tests:
";

const OFF: &str = "  - {name: off, given: tests/cases.json, expect: {rotates: fail}}\n";

/// A folder of controls: this one control with these tests, and these cases.
fn folder(tests: &str, cases: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("MY-001.yaml"),
        format!("{CONTROL}{tests}"),
    )
    .unwrap();
    fs::create_dir(folder.path().join("tests")).unwrap();
    fs::write(folder.path().join("tests/cases.json"), cases).unwrap();
    fs::copy(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../controls/tests/recording.json"),
        folder.path().join("tests/recording.json"),
    )
    .unwrap();
    folder
}

/// Cases, one a line.
fn cases(rows: &[(&str, Value)]) -> String {
    let rows: Vec<String> = rows
        .iter()
        .map(|(name, case)| format!("{}: {case}", json!(name)))
        .collect();
    format!(
        "{{\"recording\": \"tests/recording.json\", \"cases\": {{\n{}\n}}}}\n",
        rows.join(",\n")
    )
}

fn off() -> Value {
    json!({"change": [{"question": "secrets", "set": {"rotation_enabled": false}}]})
}

fn tested(folder: &tempfile::TempDir, format: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_checker"))
        .args(["controls", "test", "--controls", ".", "--format", format])
        .current_dir(folder.path())
        .output()
        .unwrap()
}

/// The exit code, and that both outputs together hold these texts.
fn check(tests: &str, cases: &str, code: i32, texts: &[&str]) {
    let folder = folder(tests, cases);
    let output = tested(&folder, "text");
    let all = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(code), "{all}");
    for text in texts {
        assert!(all.contains(text), "`{text}` is missing in:\n{all}");
    }
}

#[test]
fn a_rule_that_is_held_in_place() {
    check(
        OFF,
        &cases(&[("off", off())]),
        0,
        &["1 tests,   1 rules,   2 of   2 mutants noticed"],
    );
    let both = format!(
        "{OFF}  - {{name: as recorded, given: tests/cases.json, expect: {{rotates: pass}}}}\n"
    );
    let cases = cases(&[("off", off()), ("as recorded", json!({}))]);
    check(
        &both,
        &cases,
        0,
        &["2 tests,   1 rules,   2 of   2 mutants noticed"],
    );
    let output = tested(&folder(&both, &cases), "json");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        report.get("total"),
        Some(&json!({"tests": 2, "rules": 1, "mutants": 2, "noticed": 2}))
    );
}

#[test]
fn a_file_that_is_one_case() {
    let whole = json!({"recording": "tests/recording.json", "change": off().get("change")});
    check(OFF, &whole.to_string(), 0, &["2 of   2"]);
}

#[test]
fn a_rule_without_a_test() {
    let passes = "  - {name: fine, given: tests/cases.json, expect: {}}\n";
    check(
        passes,
        &cases(&[("fine", json!({}))]),
        1,
        &["no test notices when rotates is dropped"],
    );
    // What can't be decided can't be turned around.
    let denied = json!({"change": [{"question": "secrets", "unseen": "AccessDenied"}]});
    check(
        "  - {name: denied, given: tests/cases.json, expect: {rotation: inconclusive, rotates: inconclusive}}\n",
        &cases(&[("denied", denied)]),
        1,
        &[
            "no test notices when rotates is inverted",
            "1 of   2 mutants",
        ],
    );
}

#[test]
fn a_test_that_fails() {
    check(
        OFF,
        &cases(&[("off", json!({}))]),
        1,
        &[
            "failed: off (./MY-001.yaml:14:12)",
            "rotates is pass, expected is fail",
        ],
    );
}

#[test]
fn tests_that_cannot_be_tried() {
    let good = cases(&[("off", off())]);
    let elsewhere = OFF.replace("cases.json", "nowhere.json");
    check(
        &elsewhere,
        &good,
        2,
        &["MY-001.yaml:14:12: `./tests/nowhere.json` cannot be read"],
    );
    check(
        &OFF.replace("name: off", "name: of"),
        &good,
        2,
        &[
            "MY-001.yaml:14:12: `tests/cases.json` has no case of this name (did you mean `off`?)",
            "tests/cases.json:2:1: no test takes `off`",
        ],
    );
    check(
        OFF,
        &cases(&[("off", off()), ("forgotten", off())]),
        2,
        &["tests/cases.json:3:1: no test takes `forgotten`"],
    );
    check(
        OFF,
        &cases(&[("off", off()), ("off", off())]),
        2,
        &["tests/cases.json:3:5: there are two cases `off`"],
    );
    let nothing = json!({"change": [{"question": "secrets", "where": {"name": "none"}, "set": {"rotation_enabled": false}}]});
    check(
        OFF,
        &cases(&[("off", nothing)]),
        2,
        &[
            "tests/cases.json:2:1: `off`: cannot change `secrets`: the recording holds nothing that it is about",
        ],
    );
    let misspelt = json!({"chnge": []});
    check(
        OFF,
        &cases(&[("off", misspelt)]),
        2,
        &["tests/cases.json:2:", "unknown field `chnge`"],
    );
    check(
        OFF,
        &good.replace("tests/recording.json", "tests/none.json"),
        2,
        &["`./tests/none.json` cannot be read"],
    );
    let both = json!({"recording": "tests/recording.json", "later": "1d", "cases": {"off": off()}});
    check(OFF, &both.to_string(), 2, &["belong into the cases"]);
}
