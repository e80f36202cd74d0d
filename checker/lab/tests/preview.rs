//! Which previews are believed, and what of the others is said at which place.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeMap;

use checker_lab::program::Plan;
use serde::Deserialize;
use serde_json::{Value, json};

const STACK: &str = "urn:pulumi:prod::bank::pulumi:pulumi:Stack::bank-prod";
const LOG: &str = "urn:pulumi:prod::bank::aws:cloudwatch/logGroup:LogGroup::log";
const PROVIDER: &str = "urn:pulumi:prod::bank::pulumi:providers:aws::default_7_51_1";

fn step(op: &str, urn: &str) -> Value {
    let state = json!({
        "urn": urn,
        "custom": true,
        "inputs": {"name": "/bank/audit", "retentionInDays": 3653},
        "outputs": {"arn": "arn:aws:logs:eu-west-1:123456789012:log-group:/bank/audit"},
        "parent": if urn == STACK { "" } else { STACK },
    });
    json!({
        "op": op,
        "urn": urn,
        "provider": if urn == STACK { Value::Null } else { json!(format!("{PROVIDER}::04da6b54-80e4-46f7-96ec-b56ff0331ba9")) },
        "oldState": if op == "create" { Value::Null } else { state.clone() },
        "newState": if op == "delete" { Value::Null } else { state },
    })
}

fn digest() -> Value {
    json!({
        "config": {"aws:region": "eu-west-1"},
        "steps": [step("same", STACK), step("same", LOG)],
        "changeSummary": {"same": 2},
        "duration": 1,
    })
}

fn text(digest: &Value) -> String {
    serde_json::to_string_pretty(digest).unwrap()
}

fn refused(text: &str) -> String {
    match Plan::parse(text, "preview.json") {
        Ok(_) => panic!("it was believed: {text}"),
        Err(errors) => errors.to_string(),
    }
}

/// The digest after a change.
fn changed(change: impl FnOnce(&mut Value)) -> String {
    let mut digest = digest();
    change(&mut digest);
    text(&digest)
}

#[test]
fn a_whole_preview_is_believed() {
    let plan = Plan::parse(&text(&digest()), "preview.json").unwrap();
    assert_eq!(plan.stage(), "prod");
    assert_eq!(plan.project(), "bank");
    assert_eq!(plan.account().as_deref(), Some("123456789012"));
    assert_eq!(plan.region().as_deref(), Some("eu-west-1"));
    // In one line as well, and of a first deploy.
    let first = json!({
        "steps": [step("create", STACK), step("create", LOG)],
        "changeSummary": {"create": 2},
    });
    Plan::parse(&first.to_string(), "preview.json").unwrap();
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// By JSON pointer to a member of an object.
    set: BTreeMap<String, Value>,
    says: String,
}

#[test]
fn what_is_not_all_of_a_preview_is_refused() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("data/preview/refused.json")).unwrap();
    assert!(cases.len() >= 16);
    for case in cases {
        let mut preview = digest();
        for (pointer, value) in &case.set {
            let (above, last) = pointer.rsplit_once('/').unwrap();
            let place = preview.pointer_mut(above).unwrap();
            place[last] = value.clone();
        }
        let said = refused(&text(&preview));
        assert!(said.contains(&case.says), "{}: {said}", case.name);
        assert!(said.starts_with("preview.json:"), "{}: {said}", case.name);
    }
}

#[test]
fn what_is_no_preview_is_refused_at_its_place() {
    let whole = text(&digest());
    let half: String = whole.chars().take(whole.len() / 2).collect();
    let cut = format!("preview.json:{}:", half.lines().count());
    for (preview, says) in [
        (String::new(), "preview.json:1:1: the preview is empty"),
        (
            " \n\t\n".to_owned(),
            "preview.json:1:1: the preview is empty",
        ),
        (half, cut.as_str()),
        (
            "Previewing update\n".to_owned(),
            "preview.json:1:1: this isn't the JSON",
        ),
        (
            whole.replacen("\"steps\": [", "\"steps\": [,", 1),
            "this isn't the JSON",
        ),
        (format!("{whole}\nrest"), "this isn't the JSON of a preview"),
        ("[]".to_owned(), "a preview is a JSON object"),
        ("{}".to_owned(), "it has no list of `steps`"),
        (
            "{\"version\": 1, \"plan\": {}}".to_owned(),
            "it has no list of `steps`",
        ),
    ] {
        let said = refused(&preview);
        assert!(said.contains(says), "{preview}: {said}");
    }
}

#[test]
fn a_fault_in_a_step_stands_at_that_step() {
    let preview = changed(|it| it["steps"][1]["op"] = json!("destroy-later"));
    let line = 1 + preview.lines().position(|line| line.contains(LOG)).unwrap();
    assert!(refused(&preview).contains(&format!("preview.json:{line}:")));
}

/// The same preview as engine events, one a line.
fn events() -> Vec<Value> {
    let mut events =
        vec![json!({"sequence": 0, "preludeEvent": {"config": {"aws:region": "eu-west-1"}}})];
    for urn in [STACK, LOG] {
        let step = step("same", urn);
        events.push(
            json!({"sequence": 1, "resourcePreEvent": {"planning": true, "metadata": {
                "op": "same", "urn": urn, "type": "x", "provider": step["provider"],
                "old": step["oldState"], "new": step["newState"],
            }}}),
        );
    }
    events.push(json!({"sequence": 9, "summaryEvent": {"resourceChanges": {"same": 2}}}));
    events.push(json!({"sequence": 10, "cancelEvent": {}}));
    events
}

fn stream(events: &[Value]) -> String {
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    lines.join("\n") + "\n"
}

#[test]
fn engine_events_are_read_like_the_digest() {
    let plan = Plan::parse(&stream(&events()), "preview.json").unwrap();
    assert_eq!(plan.region().as_deref(), Some("eu-west-1"));
    assert_eq!(plan.account().as_deref(), Some("123456789012"));
    let mut cut = events();
    cut.truncate(3);
    assert!(refused(&stream(&cut)).contains("it did not run to its end"));
    let whole = stream(&events());
    let half: String = whole
        .chars()
        .take(whole.find("summaryEvent").unwrap())
        .collect();
    let said = refused(&half);
    assert!(
        said.starts_with("preview.json:4:") && said.contains("cut off"),
        "{said}"
    );
    let only: String = whole.chars().take(40).collect();
    assert!(refused(&only).starts_with("preview.json:1:"));
    let mut fewer = events();
    fewer.remove(2);
    assert!(refused(&stream(&fewer)).contains("leaves out 1 unchanged"));
    let mut failed = events();
    failed.insert(
        3,
        json!({"diagnosticEvent": {"severity": "error", "message": "no"}}),
    );
    assert!(refused(&stream(&failed)).starts_with("preview.json:4:1: the preview failed"));
}

#[test]
fn a_preview_that_is_read_never_shows_a_secret() {
    let preview = changed(|it| {
        it["steps"][1]["newState"]["inputs"]["description"] = json!({"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "plaintext": "\"hunter2\""});
    });
    let plan = Plan::parse(&preview, "preview.json").unwrap();
    assert!(!format!("{plan:?}").contains("hunter2"));
}
