//! The gate on previews: the same verdicts as on the program, and nothing decided that is not known.
//!
//! The previews are made here from the committed program: once as an unchanged stack (everything known), once as a
//! first deploy. `data/preview/unknown.json` says which rules read which property.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first thing that is not as it should be"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use checker_lab::program::{ApplyOptions, Program, UNKNOWN, apply};
use checker_lab::{Lab, LabOptions};
use serde::Deserialize;
use serde_json::{Value, json};

const STAGE: &str = "prod";

/// A rule on a resource.
type Findings = BTreeMap<(String, String), String>;

/// A property that a preview may not know, and the rules that must not be decided then.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    resource: String,
    property: String,
    /// Another value, which some rule notices; all that do must be undecided too.
    other: Option<Value>,
    rules: BTreeSet<String>,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Exit code, what was said and the findings.
fn gate(arguments: &[&str]) -> (i32, String, Findings) {
    let out = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_checker"))
        .args(["gate", "--out", out.path().to_str().unwrap()])
        .args(arguments)
        .current_dir(repository())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut findings = Findings::new();
    if let Ok(text) = fs::read_to_string(out.path().join("latest/run.json")) {
        let run: Value = serde_json::from_str(&text).unwrap();
        for control in run["controls"].as_array().unwrap() {
            for finding in control["findings"].as_array().unwrap() {
                let rule = format!(
                    "{}.{}",
                    control["id"].as_str().unwrap(),
                    finding["assertion"].as_str().unwrap()
                );
                let resource = finding["resource"].as_str().unwrap().to_owned();
                let verdict = finding["verdict"].as_str().unwrap().to_owned();
                findings.insert((rule, resource), verdict);
            }
        }
    }
    (output.status.code().unwrap(), said, findings)
}

/// The same name in every lab: without what AWS draws at random.
fn stable(resource: &str) -> String {
    if let Some((start, _)) = resource.split_once(":key/") {
        return format!("{start}:key/...");
    }
    match resource.rsplit_once('-') {
        Some((start, drawn)) if resource.contains(":secret:") && drawn.len() == 6 => {
            format!("{start}-......")
        }
        Some(_) | None => resource.to_owned(),
    }
}

fn urn(project: &str, kind: &str, name: &str) -> String {
    format!("urn:pulumi:{STAGE}::{project}::{kind}::{name}")
}

/// A digest: the steps of one stack with its default tags.
fn digest(program: &Program, op: &str, states: &[(String, String, Value)]) -> Value {
    let project = program.name();
    let stack = urn(
        project,
        "pulumi:pulumi:Stack",
        &format!("{project}-{STAGE}"),
    );
    let mut steps = vec![json!({
        "op": op, "urn": stack, "newState": {"urn": stack, "custom": false, "inputs": {}},
    })];
    for (kind, name, state) in states {
        let own = urn(project, kind, name);
        let mut state = state.clone();
        state["urn"] = json!(own);
        state["custom"] = json!(true);
        state["parent"] = json!(stack);
        let provider = urn(project, "pulumi:providers:aws", "default_7_51_1");
        steps.push(json!({
            "op": op, "urn": own, "provider": format!("{provider}::{UNKNOWN}"), "newState": state,
        }));
    }
    let tags = json!({ "tags": program.default_tags() }).to_string();
    json!({
        "config": {"aws:defaultTags": tags, "aws:region": "ap-southeast-2"},
        "changeSummary": {op: steps.len()},
        "steps": steps,
    })
}

/// Archives as Pulumi writes them.
fn inputs(shown: &Value) -> Value {
    let mut inputs = shown.clone();
    if let Some(path) = shown.pointer("/code/fileArchive") {
        inputs["code"] = json!({
            "4dabf18193072939515e22adb298388d": "0def7320c3a5731c473e5ecbe6d01bc7",
            "path": path, "hash": "0000",
        });
    }
    inputs
}

/// Previews of the prerequisites and of the program: as an unchanged stack, and as a first deploy.
fn previews() -> [Vec<Value>; 2] {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let lab = Lab::start(LabOptions::default()).await.unwrap();
        let options = ApplyOptions {
            account: lab.account().to_owned(),
            stand_in: Some(PathBuf::from("/bin/false")),
        };
        let mut known = Vec::new();
        let mut first = Vec::new();
        for folder in ["infra-pulumi-yaml/prerequisites", "infra-pulumi-yaml"] {
            let program = Program::load(&repository().join(folder), STAGE).unwrap();
            let planned: Vec<(String, String, Value)> = program
                .resources()
                .iter()
                .map(|it| {
                    (
                        it.kind.clone(),
                        it.name.clone(),
                        json!({"inputs": inputs(&it.inputs)}),
                    )
                })
                .collect();
            first.push(digest(&program, "create", &planned));
            let applied = apply(&program, &lab.sdk_config(), &options).await.unwrap();
            let states: Vec<(String, String, Value)> = applied
                .resources
                .iter()
                .map(|it| {
                    let state =
                        json!({"inputs": inputs(&it.inputs), "outputs": it.outputs, "id": it.id});
                    (it.kind.clone(), it.name.clone(), state)
                })
                .collect();
            known.push(digest(&program, "same", &states));
        }
        [known, first]
    })
}

/// Runs the gate on previews.
fn judged(previews: &[Value]) -> (i32, String, Findings) {
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = Vec::new();
    for (index, preview) in previews.iter().enumerate() {
        let file = folder.path().join(format!("{index}.json"));
        fs::write(&file, serde_json::to_string_pretty(preview).unwrap()).unwrap();
        arguments.push("--preview".to_owned());
        arguments.push(file.to_str().unwrap().to_owned());
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    gate(&arguments)
}

fn step<'a>(previews: &'a mut [Value], name: &str) -> &'a mut Value {
    let tail = format!("::{name}");
    previews
        .iter_mut()
        .flat_map(|preview| preview["steps"].as_array_mut().unwrap())
        .find(|step| step["urn"].as_str().unwrap().ends_with(&tail))
        .unwrap_or_else(|| panic!("there is no `{name}`"))
}

/// What only shows once it runs, or in the whole account: no plan can decide it.
const RUNTIME: [&str; 15] = [
    "AML-007.exists",
    "DT-002.callers",
    "DT-002.no-rotation-by-hand",
    "DT-002.no-value-by-hand",
    "FR-278.function-active",
    "FR-278.has-value",
    "FR-278.label-headroom",
    "FR-278.not-overdue",
    "FR-278.not-stuck",
    "FR-278.really-rotated",
    "FR-279.detector-active",
    // A preview masks the value of every parameter.
    "DT-002.published-function-arn",
    "FR-277.published-policy-arn",
    "FR-279.detector-published",
    "FR-280.log-published",
];

#[test]
fn an_unchanged_stack_is_judged_like_its_program() {
    let [known, _] = previews();
    // Without probes, which no preview can have.
    let (code, said, program) = gate(&["--stage", STAGE, "--no-probes"]);
    assert_eq!(code, 3, "{said}");
    let (code, said, preview) = judged(&known);
    assert_eq!(code, 3, "{said}");
    let mut other = BTreeSet::new();
    let stably = |findings: &Findings| -> Findings {
        findings
            .iter()
            .map(|((rule, resource), verdict)| ((rule.clone(), stable(resource)), verdict.clone()))
            .collect()
    };
    let (program, preview) = (stably(&program), stably(&preview));
    for (finding, verdict) in &program {
        match preview.get(finding) {
            Some(found) if found == verdict => {}
            Some(found) if found == "inconclusive" => {
                other.insert(finding.0.clone());
            }
            // Nothing is known of calls, not even which there were.
            None if RUNTIME.contains(&finding.0.as_str()) => {}
            found => panic!("{finding:?} is {verdict} of the program and {found:?} of the preview"),
        }
    }
    let unexpected: Vec<&String> = other
        .iter()
        .filter(|rule| !RUNTIME.contains(&rule.as_str()))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}\n{said}");
}

#[test]
fn a_first_deploy_decides_nothing_that_it_does_not_know() {
    let [_, first] = previews();
    let (_, _, program) = gate(&["--stage", STAGE, "--no-probes"]);
    let (code, said, preview) = judged(&first);
    assert_eq!(code, 3, "{said}");
    for (finding, verdict) in &preview {
        // ARNs that nobody knows yet are others than in the program's lab: compare by rule.
        let same_rule: BTreeSet<&str> = program
            .iter()
            .filter(|(of, _)| of.0 == finding.0)
            .map(|(_, verdict)| verdict.as_str())
            .collect();
        let decided = verdict == "inconclusive" || same_rule.contains(verdict.as_str());
        assert!(
            decided,
            "{finding:?} is {verdict}, of the program {same_rule:?}"
        );
    }
    let decided = |rule: &str| {
        let of_rule = preview.iter().filter(|(finding, _)| finding.0 == rule);
        of_rule
            .map(|(_, verdict)| verdict.clone())
            .collect::<BTreeSet<_>>()
    };
    // What the preview does know is decided.
    assert_eq!(
        decided("FR-280.retention-regulatory"),
        BTreeSet::from(["pass".to_owned()])
    );
    assert_eq!(
        decided("FR-279.rule-state"),
        BTreeSet::from(["pass".to_owned()])
    );
}

#[test]
fn an_unknown_value_decides_nothing() {
    let [known, _] = previews();
    let (_, _, before) = judged(&known);
    let text = include_str!("data/preview/unknown.json");
    let cases: Vec<Case> = serde_json::from_str(text).unwrap();
    assert!(cases.len() >= 20);
    let thorough = std::env::var_os("THOROUGH").is_some();
    for (index, case) in cases.iter().enumerate() {
        if !thorough && index % 8 != 0 {
            continue;
        }
        let what = format!("{}.{}", case.resource, case.property);
        let mut changed = known.clone();
        step(&mut changed, &case.resource)["newState"]["inputs"][&case.property] = json!(UNKNOWN);
        let after = undecided(&before, &changed, &what);
        for rule in &case.rules {
            assert!(
                after.contains(rule),
                "{what}: {rule} is decided; undecided are {after:?}"
            );
        }
        if let Some(other) = &case.other {
            let mut changed = known.clone();
            step(&mut changed, &case.resource)["newState"]["inputs"][&case.property] =
                other.clone();
            let (_, said, noticed) = judged(&changed);
            let differs: BTreeSet<&String> = before
                .iter()
                .filter(|(finding, verdict)| noticed.get(*finding) != Some(*verdict))
                .map(|(finding, _)| &finding.0)
                .collect();
            assert!(
                !differs.is_empty(),
                "{what}: nobody notices {other}: {said}"
            );
            for rule in differs {
                assert!(
                    after.contains(rule),
                    "{what}: {rule} reads it and is decided"
                );
            }
        }
    }
}

/// Every property of every resource, one at a time; with `THOROUGH=1` all of them, otherwise one in eighty.
#[test]
fn no_unknown_value_turns_a_verdict() {
    let [known, _] = previews();
    let (_, _, before) = judged(&known);
    let every = if std::env::var_os("THOROUGH").is_some() {
        1
    } else {
        80
    };
    let mut count = 0_usize;
    let mut wrong = Vec::new();
    for (stack, preview) in known.iter().enumerate() {
        for (at, step) in preview["steps"].as_array().unwrap().iter().enumerate() {
            for property in step["newState"]["inputs"].as_object().unwrap().keys() {
                count += 1;
                if !count.is_multiple_of(every) {
                    continue;
                }
                let mut changed = known.clone();
                changed[stack]["steps"][at]["newState"]["inputs"][property] = json!(UNKNOWN);
                wrong.extend(turned(&before, &changed, &format!("{}.{property}", step["urn"])).1);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count > 200, "{count}");
}

/// The rules that are not decided any more; none may be decided otherwise than before.
fn undecided(before: &Findings, changed: &[Value], what: &str) -> BTreeSet<String> {
    let (open, wrong) = turned(before, changed, what);
    assert!(wrong.is_empty(), "{wrong:#?}");
    open
}

/// The rules that are not decided any more, and what is decided otherwise than before, in words.
fn turned(before: &Findings, changed: &[Value], what: &str) -> (BTreeSet<String>, Vec<String>) {
    let (code, said, after) = judged(changed);
    assert!(code == 3 || code == 1, "{what}: {code}: {said}");
    let resources: BTreeSet<&String> = before.keys().map(|finding| &finding.1).collect();
    let wrong = after
        .iter()
        .filter(|(finding, verdict)| {
            // A resource whose name is open has another one here; what is said of it stands.
            let renamed = *verdict != "fail" && !resources.contains(&finding.1);
            *verdict != "inconclusive" && before.get(*finding) != Some(*verdict) && !renamed
        })
        .map(|(finding, verdict)| {
            format!(
                "{what}: {finding:?} was {:?} and is {verdict}",
                before.get(finding)
            )
        })
        .collect();
    let gone = before
        .keys()
        .filter(|finding| !after.contains_key(*finding));
    let open = after
        .iter()
        .filter(|(_, verdict)| *verdict == "inconclusive")
        .map(|(finding, _)| finding);
    (
        gone.chain(open).map(|finding| finding.0.clone()).collect(),
        wrong,
    )
}

#[test]
fn what_is_deleted_is_absent() {
    let [mut known, _] = previews();
    let gone = step(&mut known, "accessLog");
    gone["op"] = json!("delete");
    gone["oldState"] = gone["newState"].take();
    for preview in &mut known {
        let steps = preview["steps"].as_array().unwrap();
        let deleted = steps.iter().filter(|step| step["op"] == "delete").count();
        preview["changeSummary"] = json!({"same": steps.len() - deleted, "delete": deleted});
    }
    let (code, said, found) = judged(&known);
    assert_eq!(code, 1, "{said}");
    let verdict = found
        .iter()
        .find(|(finding, _)| finding.0 == "FR-280.log-exists");
    assert_eq!(verdict.unwrap().1, "fail", "{said}");
}

#[test]
fn a_preview_that_is_not_whole_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let [known, _] = previews();
    let whole = known[1].to_string();
    let half: String = whole.chars().take(whole.len() / 2).collect();
    let mut without = known[1].clone();
    let steps = without["steps"].as_array_mut().unwrap();
    steps.truncate(1);
    for (name, text) in [
        ("empty", String::new()),
        ("half", half),
        ("changes", without.to_string()),
    ] {
        let file = folder.path().join(format!("{name}.json"));
        fs::write(&file, text).unwrap();
        let (code, said, found) = gate(&["--preview", file.to_str().unwrap()]);
        assert_eq!(code, 2, "{name}: {said}");
        assert!(said.contains(&format!("{name}.json:1:")), "{name}: {said}");
        assert!(found.is_empty(), "{name}");
    }
}
