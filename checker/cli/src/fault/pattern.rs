//! Faults of event patterns and filter policies: narrower, wider, or about something else.

use serde_json::{Value, json};

use super::resource::Place;
use super::sheet::Sheet;

/// All faults of one pattern.
pub(super) fn all(sheet: &mut Sheet<'_>, place: &Place, pattern: &Value) {
    within(sheet, place, pattern);
    if place.property == "eventPattern" {
        let narrowed = place.at("detail").at("eventName");
        if pattern.pointer("/detail/eventSource").is_some() {
            narrowed.becomes(
                sheet,
                "pattern",
                "only-reads",
                Some(json!(["GetSecretValue"])),
            );
            place.at("detail").at("errorCode").becomes(
                sheet,
                "pattern",
                "only-allowed",
                Some(json!([{"exists": false}])),
            );
        }
        place
            .at("region")
            .becomes(sheet, "pattern", "elsewhere", Some(json!(["us-east-1"])));
    } else {
        place
            .at("severity")
            .becomes(sheet, "pattern", "only-high", Some(json!(["HIGH"])));
    }
}

fn within(sheet: &mut Sheet<'_>, place: &Place, value: &Value) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let place = place.at(key);
                place.becomes(sheet, "pattern", "missing", None);
                within(sheet, &place, value);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let item_place = place.item(index);
                if items.len() > 1 {
                    item_place.becomes(sheet, "pattern", "missing", None);
                }
                match item {
                    Value::Bool(switch) => {
                        item_place.becomes(sheet, "pattern", "flipped", Some(json!(!switch)));
                    }
                    Value::String(_) => {
                        item_place.becomes(sheet, "pattern", "other", Some(json!("elsewhere")));
                    }
                    Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                        within(sheet, &item_place, item);
                    }
                }
            }
        }
        Value::Bool(switch) => place.becomes(sheet, "pattern", "flipped", Some(json!(!switch))),
        Value::Null | Value::Number(_) | Value::String(_) => {}
    }
}
