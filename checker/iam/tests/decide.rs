//! Decisions against case files: the outside corpus of hard identity cases, and our own cases by name.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use serde_json::{Value, json};

use checker_iam::batch::decide_line;

/// Rows of `tricky.jsonl` whose expectation nobody has settled, with the reason.
const UNSETTLED: [(&str, &str); 1] = [(
    "principal-acct-root",
    "naming the account in a resource policy delegates, so an Allow alone is no grant",
)];

#[test]
fn the_tricky_corpus_is_decided_as_expected() {
    let mut wrong = Vec::new();
    let mut judged = 0;
    for line in include_str!("data/tricky.jsonl").lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let id = row["id"].as_str().unwrap();
        if UNSETTLED.iter().any(|(unsettled, _)| *unsettled == id) {
            continue;
        }
        let (mut identity, mut resource) = (Vec::new(), Value::Null);
        for policy in row["policies"].as_array().unwrap() {
            let statements = policy["Statement"].as_array().unwrap();
            if statements.iter().any(|statement| {
                statement
                    .get("Principal")
                    .or(statement.get("NotPrincipal"))
                    .is_some()
            }) {
                resource = policy.clone();
            } else {
                identity.push(policy.clone());
            }
        }
        let question = json!({"id": id, "principal": row["principal"], "action": row["action"], "resource": row["resource"],
            "context": row["context"], "identityPolicies": identity, "resourcePolicy": resource});
        let answer: Value = serde_json::from_str(&decide_line(&question.to_string())).unwrap();
        let expected = match row["expected"].as_str().unwrap() {
            "Allow" => "Allowed",
            "Deny" => "ExplicitDeny",
            "NotApplicable" => "ImplicitDeny",
            other => other,
        };
        judged += 1;
        if answer["decision"] != expected {
            wrong.push(format!("{id}: expected {expected}, got {answer}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(judged > 30, "only {judged} rows");
}
