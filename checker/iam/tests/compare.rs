//! New access against AWS's own verdicts.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use serde_json::Value;

use checker_iam::batch::compare_line;

#[test]
fn every_no_new_access_row_has_the_verdict_of_aws() {
    let mut wrong = Vec::new();
    let mut judged = 0;
    for line in include_str!("data/no-new-access.jsonl").lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let answer: Value = serde_json::from_str(&compare_line(line)).unwrap();
        let expected = if row["expected"] == "PASS" {
            "no-new-access"
        } else {
            "new-access"
        };
        judged += 1;
        if answer["verdict"] != expected {
            wrong.push(format!(
                "{} ({}): expected {expected}, got {answer}",
                row["id"], row["title"]
            ));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(judged, 138);
}
