//! Faults of a function's environment: a variable that is missing, empty or means something else; allow-lists that
//! let too many in.

use serde_json::{Value, json};

use super::resource::Place;
use super::sheet::Sheet;

/// All faults of one variable.
pub(super) fn all(sheet: &mut Sheet<'_>, place: &Place, value: &Value) {
    place.becomes(sheet, "environment", "missing", None);
    place.becomes(sheet, "environment", "empty", Some(json!("")));
    place.becomes(sheet, "environment", "other", Some(json!("elsewhere")));
    if let Some(items) = value.pointer("/fn::join/1").and_then(Value::as_array) {
        list(sheet, place, items);
    }
}

/// A list of who is let in.
fn list(sheet: &mut Sheet<'_>, place: &Place, items: &[Value]) {
    let list = Place {
        pointer: format!("{}/fn::join/1", place.pointer),
        ..place.clone()
    };
    for (index, item) in items.iter().enumerate() {
        let entry = list.item(index);
        entry.becomes(sheet, "environment", "missing", None);
        let Some(text) = item.as_str() else { continue };
        if let Some((role, _)) = text.split_once('=') {
            entry.becomes(sheet, "environment", "any-secret", Some(json!(role)));
        }
    }
    let widened = [
        ("everyone", "*"),
        ("substring", "bank-"),
        ("every-role", "arn:aws:iam::${account}:role/*"),
        (
            "break-glass",
            "arn:aws:iam::${account}:role/bank-break-glass-${pulumi.stack}",
        ),
        (
            "canary",
            "arn:aws:iam::${account}:role/bank-probe-canary-${pulumi.stack}",
        ),
    ];
    for (operator, entry) in widened {
        let mut more = items.to_vec();
        more.push(json!(entry));
        let to = json!({"fn::join": [",", more]});
        place.becomes(sheet, "environment", &format!("with-{operator}"), Some(to));
    }
}
