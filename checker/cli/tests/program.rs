//! The built checker on the committed program, and on changed copies of it, through the lab.
//!
//! `data/programs/` holds the changes with the rules that must fail, exactly. With `UPDATE=1` the run on the
//! committed program is recorded for the tests of the core (`controls/tests/recording.json`).
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness stops at the first thing that is not as it should be"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;
use serde_json::{Value, json};

/// A changed program, and what the checker must say of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// Replacements in the program's files.
    #[serde(default)]
    replace: Vec<Replacement>,
    /// Further arguments of `checker run`.
    #[serde(default)]
    arguments: Vec<String>,
    /// Exactly these rules fail.
    #[serde(default)]
    fails: BTreeSet<String>,
    /// Exactly these rules are inconclusive.
    #[serde(default)]
    inconclusive: BTreeSet<String>,
    exit: i32,
    /// Whether the probes are carried out: they take a second, and see what a program does rather than what it says.
    #[serde(default)]
    probes: bool,
    /// What stderr must hold.
    #[serde(default)]
    says: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replacement {
    file: String,
    from: String,
    to: String,
}

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = vec![Trial::test("the committed program passes", committed)];
    trials.push(Trial::test(
        "the downstream example is picked up",
        downstream,
    ));
    trials.push(Trial::test("the broken example shows failing", broken));
    trials.push(Trial::test("named faults are killed", named_faults));
    trials.push(Trial::test(
        "a faulty function that is not built is said to be not run",
        faulty_function_not_built,
    ));
    for case in cases() {
        trials.push(Trial::test(format!("changed::{}", case.name), move || {
            changed(&case)
        }));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn cases() -> Vec<Case> {
    let mut paths: Vec<PathBuf> = fs::read_dir(here("tests/data/programs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
        .iter()
        .flat_map(|path| {
            let cases: Vec<Case> = serde_json::from_value(read(path)).unwrap();
            cases
        })
        .collect()
}

fn committed() -> Result<(), Failed> {
    let out = tempfile::tempdir().unwrap();
    let output = checker(
        &["run", "--out", out.path().to_str().unwrap()],
        &repository(),
    );
    if output.status.code() != Some(0) {
        return Err(failed("the committed program", &output));
    }
    let latest = out.path().join("latest");
    for file in ["run.json", "junit.xml"] {
        assert!(latest.join(file).exists(), "{file} is missing");
    }
    if std::env::var_os("UPDATE").is_some() {
        record(&latest);
    }
    Ok(())
}

/// A second stack on top of the first: its secret is judged without anybody naming it.
fn downstream() -> Result<(), Failed> {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    let stack = repository().join("infra-pulumi-yaml");
    copy(&stack.join("examples/downstream"), &program);
    copy(&stack, &program.join("prerequisites"));
    let out = folder.path().join("out");
    let arguments = [
        "run",
        "--only",
        "DT-002,FR-278",
        "--program",
        program.to_str().unwrap(),
    ];
    let output = checker(
        &[&arguments[..], &["--out", out.to_str().unwrap()]].concat(),
        &repository(),
    );
    if output.status.code() != Some(0) {
        return Err(failed("the downstream example", &output));
    }
    let run: Value = read(&out.join("latest/run.json"));
    let judged = |rule: &str| {
        let of_rule =
            |finding: &&Value| finding["assertion"] == rule && finding["verdict"] == "pass";
        run["controls"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|control| control["findings"].as_array().unwrap())
            .filter(of_rule)
            .any(|finding| {
                finding["resource"]
                    .as_str()
                    .unwrap()
                    .contains(":secret:bank-app/orders/api-key-")
            })
    };
    for rule in [
        "rotates",
        "function-bound",
        "interval",
        "marked",
        "really-rotated",
    ] {
        if !judged(rule) {
            return Err(Failed::from(format!("{rule} does not speak of the secret")));
        }
    }
    Ok(())
}

fn broken() -> Result<(), Failed> {
    let out = tempfile::tempdir().unwrap();
    let arguments = [
        "run",
        "--program",
        "infra-pulumi-yaml/examples/broken",
        "--out",
    ];
    let output = checker(
        &[&arguments[..], &[out.path().to_str().unwrap()]].concat(),
        &repository(),
    );
    if output.status.code() != Some(1) {
        return Err(failed("the broken example", &output));
    }
    let fails = with(&read(&out.path().join("latest/run.json")), "fail");
    let expected = [
        "DT-001.no-wildcard-reader",
        "DT-002.marked",
        "DT-002.rotates",
        "FR-277.declared-tenant",
        "FR-277.in-the-namespace",
        "FR-277.no-shadow-store",
        "FR-277.policy-exists",
    ];
    match expected.iter().find(|rule| !fails.contains(**rule)) {
        None => Ok(()),
        Some(rule) => Err(failed(&format!("{rule} does not fail"), &output)),
    }
}

/// The faults that the bank named, each with the rule that must notice it.
fn named_faults() -> Result<(), Failed> {
    let named: std::collections::BTreeMap<String, String> =
        serde_json::from_value(read(&here("tests/data/named-faults.json"))).unwrap();
    let out = tempfile::tempdir().unwrap();
    let ids: Vec<&str> = named.keys().map(String::as_str).collect();
    let ids = ids.join(",");
    let folder = out.path().to_str().unwrap();
    let arguments = [
        "faults", "--only", &ids, "--format", "json", "--out", folder,
    ];
    let output = checker(&arguments, &repository());
    if output.status.code() != Some(0) {
        return Err(failed("a named fault survives", &output));
    }
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let faults = report["faults"].as_array().unwrap();
    if faults.len() != named.len() {
        return Err(failed("not every named fault was planted", &output));
    }
    for fault in faults {
        let rule = &named[fault["id"].as_str().unwrap()];
        let killed = fault["killed_by"].as_array().unwrap();
        if fault["outcome"] != "killed" || !killed.iter().any(|by| by == rule.as_str()) {
            return Err(Failed::from(format!("{rule} does not notice: {fault}")));
        }
    }
    Ok(())
}

/// Beside a checker without `faulty-function`, what it plays is listed and reported as not run, and is no success.
fn faulty_function_not_built() -> Result<(), Failed> {
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("checker");
    fs::copy(env!("CARGO_BIN_EXE_checker"), &alone).unwrap();
    let out = folder.path().to_str().unwrap();
    let output = Command::new(&alone)
        .args(["faults", "--only", "bank-secrets-anomaly~detector-no-alert"])
        .args(["--format", "json", "--out", out])
        .current_dir(repository())
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let fault = &report["faults"][0];
    let said = String::from_utf8_lossy(&output.stderr).contains("not run: bank-secrets-anomaly~");
    if output.status.code() == Some(3)
        && report["summary"]["not_run"] == 1
        && fault["outcome"] == "not_run"
        && fault["reason"].to_string().contains("cargo build")
        && said
    {
        return Ok(());
    }
    Err(failed(&format!("not run was expected: {report}"), &output))
}

/// Keeps the facts of a run for the tests of the core.
fn record(run: &Path) {
    let about: Value = read(&run.join("run.json"));
    let mut facts: Vec<Value> = fs::read_dir(run.join("evidence"))
        .unwrap()
        .map(|entry| read(&entry.unwrap().path()))
        .collect();
    facts.sort_by_key(|fact| fact["observation"].to_string());
    let recording = json!({
        "now": about["started"], "stage": about["stage"], "account": about["account"],
        "region": about["region"], "facts": facts,
    });
    let path = here("../../controls/tests/recording.json");
    fs::write(
        path,
        serde_json::to_string_pretty(&recording).unwrap() + "\n",
    )
    .unwrap();
}

fn changed(case: &Case) -> Result<(), Failed> {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    copy(&repository().join("infra-pulumi-yaml"), &program);
    for replacement in &case.replace {
        let path = program.join(&replacement.file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.contains(&replacement.from),
            "{} does not hold {:?}",
            replacement.file,
            replacement.from
        );
        fs::write(&path, text.replace(&replacement.from, &replacement.to)).unwrap();
    }
    let out = folder.path().join("out");
    let mut arguments = vec![
        "run".to_owned(),
        "--program".to_owned(),
        program.display().to_string(),
        "--out".to_owned(),
        out.display().to_string(),
    ];
    if !case.probes {
        arguments.push("--no-probes".to_owned());
    }
    arguments.extend(case.arguments.clone());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = checker(&arguments, &repository());
    // What probes would have proven is inconclusive without them.
    let exit = match case.exit {
        0 if !case.probes => 3,
        other => other,
    };
    if output.status.code() != Some(exit) {
        return Err(failed(&format!("exit {exit} was expected"), &output));
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    for text in &case.says {
        if !stderr.contains(text) {
            return Err(failed(&format!("{text:?} was expected on stderr"), &output));
        }
    }
    if case.exit == 2 {
        return Ok(());
    }
    let run: Value = read(&out.join("latest/run.json"));
    let (fails, inconclusive) = (with(&run, "fail"), with(&run, "inconclusive"));
    if fails == case.fails && inconclusive == case.inconclusive {
        return Ok(());
    }
    Err(Failed::from(format!(
        "fails {fails:?}, expected {:?}; inconclusive {inconclusive:?}, expected {:?}",
        case.fails, case.inconclusive
    )))
}

fn with(run: &Value, verdict: &str) -> BTreeSet<String> {
    let mut rules = BTreeSet::new();
    for control in run["controls"].as_array().unwrap() {
        for finding in control["findings"].as_array().unwrap() {
            let not_probed = finding["because"]
                .to_string()
                .contains("probes were not asked for");
            if finding["verdict"] == verdict && !not_probed {
                rules.insert(format!(
                    "{}.{}",
                    control["id"].as_str().unwrap(),
                    finding["assertion"].as_str().unwrap()
                ));
            }
        }
    }
    rules
}

fn checker(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_checker"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the checker starts")
}

fn failed(what: &str, output: &Output) -> Failed {
    Failed::from(format!(
        "{what}; exit {:?}\n{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stderr)
    ))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn read(path: &Path) -> Value {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn repository() -> PathBuf {
    here("../..")
}
