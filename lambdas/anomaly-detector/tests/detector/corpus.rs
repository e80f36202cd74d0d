//! Every record of the corpus, bare and in an envelope.

use std::path::PathBuf;

use anomaly_detector::{Verdict, assess};
use serde_json::Value;

use crate::{enveloped, rules};

fn read(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_sample_is_judged_as_the_index_says() {
    let rules = rules(&[]);
    let index = read("INDEX.json");
    let schema = crate::records::schema();
    let mut records = 0;
    for entry in index.as_array().unwrap() {
        let file = entry["file"].as_str().unwrap();
        let expected = entry["anomalous_under_exact_role_allowlist"]
            .as_bool()
            .unwrap();
        let content = read(file);
        let list = content
            .as_array()
            .cloned()
            .unwrap_or_else(|| vec![content.clone()]);
        for record in list {
            let wrapped = if record.get("detail").is_some() {
                record.clone()
            } else {
                enveloped(&record)
            };
            for event in [&record, &wrapped] {
                let assessment = assess(event, &rules);
                assert_eq!(
                    assessment.record.verdict == Verdict::Anomalous,
                    expected,
                    "{file}: {event}"
                );
                assert_eq!(assessment.alert.is_some(), expected, "{file}");
                let written = serde_json::to_value(&assessment.record).unwrap();
                assert!(schema.is_valid(&written), "{file}: {written}");
                let inner = record.get("detail").unwrap_or(&record);
                assert_eq!(
                    assessment.record.event_id.as_deref(),
                    inner["eventID"].as_str(),
                    "{file}"
                );
                assert!(
                    assessment.happened.is_some(),
                    "{file}: {:?}",
                    assessment.record.event_time
                );
                if inner["eventName"] == "GetSecretValue" {
                    assert!(assessment.record.secret_reference.is_some(), "{file}");
                }
            }
            records += 1;
        }
    }
    assert!(records >= 40, "{records} records");
    let files = std::fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data"))
        .unwrap()
        .count();
    assert_eq!(
        files,
        index.as_array().unwrap().len() + 2,
        "every file is in the index"
    );
}

#[test]
fn a_refused_read_names_the_secret_of_the_error_message() {
    let content = read("traildiscover-GetSecretValue-accessdenied-null-requestparameters.json");
    let record = assess(&content[0], &rules(&[])).record;
    let expected = "arn:aws:secretsmanager:us-east-1:111111111111:secret:TrailDiscoverSecretId";
    assert_eq!(record.secret_reference.as_deref(), Some(expected));
    assert!(!record.secret_reference_resolved);
    assert!(
        record.signals.contains(&"S3-denied"),
        "{:?}",
        record.signals
    );
}
