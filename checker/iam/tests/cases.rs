//! The named cases of `data/cases.jsonl`: single decisions, and statements to prove.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use checker_iam::batch::decide_line;
use checker_iam::proof::{Account, Answer, Asker, Limits, Question, nobody_can};
use checker_iam::{Context, Policy, PolicyKind, PolicySet, Principal};

#[test]
fn every_named_case_is_answered_as_expected() {
    let (mut wrong, mut ids) = (Vec::new(), BTreeSet::new());
    for line in include_str!("data/cases.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        assert!(
            ids.insert(case["id"].to_string()),
            "{} appears twice",
            case["id"]
        );
        if let Some(complaint) = check(&case, line) {
            wrong.push(format!(
                "{} (trap {}): {complaint}",
                case["id"], case["trap"]
            ));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(ids.len() > 100, "only {} cases", ids.len());
}

#[test]
fn every_trap_that_an_evaluator_can_show_has_a_case() {
    // 20 and 23 are about AWS's own simulator; of the former only the missing keys show here.
    let shown: BTreeSet<u64> = include_str!("data/cases.jsonl")
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["trap"].as_u64())
        .collect();
    let missing: Vec<u64> = (1..=30)
        .filter(|trap| *trap != 23 && !shown.contains(trap))
        .collect();
    assert_eq!(missing, Vec::<u64>::new());
}

/// What is wrong with the answer, if anything.
fn check(case: &Value, line: &str) -> Option<String> {
    let answer = match case["kind"].as_str().unwrap() {
        "decide" => serde_json::from_str(&decide_line(line)).unwrap(),
        _ => json!({"decision": prove(case)}),
    };
    if answer["decision"] != case["expected"] {
        return Some(format!("expected {}, got {answer}", case["expected"]));
    }
    match case.get("expectedMissing") {
        Some(expected) if *expected != answer["missingContext"] => Some(format!(
            "expected the missing keys {expected}, got {answer}"
        )),
        _ => None,
    }
}

fn prove(case: &Value) -> &'static str {
    let set = |value: &Value| {
        PolicySet::new(
            value
                .as_array()
                .unwrap()
                .iter()
                .map(|policy| Policy::from_value(policy, PolicyKind::Identity).unwrap())
                .collect(),
        )
    };
    let texts = |name: &str| -> Vec<String> {
        case[name]
            .as_array()
            .unwrap()
            .iter()
            .map(|text| text.as_str().unwrap().to_owned())
            .collect()
    };
    let asker = Asker {
        principal: Arc::new(Principal::parse(case["principal"].as_str().unwrap()).unwrap()),
        context: Arc::new(Context::new()),
        identity: set(&case["identityPolicies"]),
        boundary: case.get("permissionBoundaries").map(set),
        session: None,
        scps: case
            .get("scps")
            .map(|levels| levels.as_array().unwrap().iter().map(set).collect())
            .unwrap_or_default(),
    };
    let account = Account {
        askers: vec![asker],
        ..Account::default()
    };
    let question = Question {
        actions: texts("actions"),
        resources: texts("resources"),
        except_resources: texts("exceptResources"),
    };
    match nobody_can(&account, &question, Limits::default())
        .unwrap()
        .pop()
        .unwrap()
        .1
    {
        Answer::Proved => "proved",
        Answer::Counterexample(_) => "counterexample",
        Answer::Possible { .. } => "possible",
        Answer::Unknown { .. } => "unknown",
    }
}
