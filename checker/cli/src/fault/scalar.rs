//! Faults of single values: a number past its limit, a word of an enumeration, a switch, a reference to another thing.

use serde_json::{Value, json};

use super::resource::Place;
use super::sheet::{Draft, Sheet, edit, references};

/// How many other things of the same type a reference is turned to.
const OTHERS: usize = 2;

/// Keys that secrets may be encrypted with.
const KEYS: [&str; 4] = [
    "alias/bank/operational",
    "alias/bank/confidential",
    "alias/bank/financial",
    "alias/aws/secretsmanager",
];

/// An account that has nothing to do with the bank's.
pub(super) const STRANGER: &str = "999988887777";

/// All faults of one value.
pub(super) fn all(sheet: &mut Sheet<'_>, place: &Place, value: &Value) {
    match value {
        Value::Bool(switch) => {
            place.becomes(
                sheet,
                "switch",
                &(!switch).to_string(),
                Some(json!(!switch)),
            );
        }
        Value::Number(number) => number_of(sheet, place, number.as_f64().unwrap_or_default()),
        Value::String(text) => text_of(sheet, place, text),
        Value::Null | Value::Array(_) | Value::Object(_) => {}
    }
}

fn number_of(sheet: &mut Sheet<'_>, place: &Place, number: f64) {
    let others: &[f64] = match place.property.as_str() {
        "retentionInDays" => &[1.0, 2192.0, 2557.0],
        "automaticallyAfterDays" => &[91.0, 365.0],
        "deletionWindowInDays" | "recoveryWindowInDays" => &[0.0, 7.0],
        "maximumRetryAttempts" => &[0.0, 1.0],
        "maximumEventAgeInSeconds" | "messageRetentionSeconds" => &[60.0],
        "threshold" => &[1000.0],
        _ => &[1.0],
    };
    for other in others.iter().filter(|other| (**other - number).abs() > 0.5) {
        place.becomes(sheet, "number", &other.to_string(), Some(json!(other)));
    }
    if place.property == "automaticallyAfterDays" {
        schedules(sheet, place);
    }
}

/// The same pause written as a schedule, too long.
fn schedules(sheet: &mut Sheet<'_>, place: &Place) {
    let (rules, _) = place.pointer.rsplit_once('/').unwrap_or_default();
    let (path, _) = place.path.rsplit_once('.').unwrap_or_default();
    for (operator, expression) in [
        ("yearly-cron", "cron(0 0 1 1 ? *)"),
        ("leap-day-cron", "cron(0 0 29 2 ? *)"),
        ("rate-days", "rate(91 days)"),
        ("rate-hours", "rate(2200 hours)"),
    ] {
        sheet.add(Draft {
            name: &place.name,
            path,
            operator,
            kind: "schedule",
            what: format!("`{}` rotates by `{expression}`", place.name),
            edits: vec![edit(rules, Some(json!({"scheduleExpression": expression})))],
        });
    }
}

fn text_of(sheet: &mut Sheet<'_>, place: &Place, text: &str) {
    let words: &[&str] = match place.property.as_str() {
        "state" => &["ENABLED", "DISABLED"],
        "type" => &["SecureString"],
        "runtime" => &["provided.al2"],
        "readWriteType" => &["ReadOnly", "WriteOnly"],
        "treatMissingData" => &["notBreaching", "ignore"],
        "comparisonOperator" => &["LessThanThreshold", "GreaterThanThreshold"],
        "statistic" => &["Average"],
        "metricName" | "namespace" => &["Elsewhere"],
        "action" => &["lambda:*", "lambda:GetFunction"],
        "principal" => &["*", "lambda.amazonaws.com"],
        "sourceAccount" => &[STRANGER],
        "architectures" => &["arm64"],
        _ => &[],
    };
    for word in words.iter().filter(|word| **word != text) {
        place.becomes(sheet, "word", word, Some(json!(word)));
    }
    if text.starts_with("alias/") && place.property == "kmsKeyId" {
        for key in KEYS.iter().filter(|key| **key != text) {
            place.becomes(sheet, "key", key, Some(json!(key)));
        }
    }
    reference(sheet, place, text);
}

/// A reference to another thing of the same type, where the text is one and nothing else.
fn reference(sheet: &mut Sheet<'_>, place: &Place, text: &str) {
    let Some(name) = whole(text) else {
        return;
    };
    for other in sheet.alike(&name).into_iter().take(OTHERS) {
        let to = text.replacen(&name, &other, 1);
        place.becomes(sheet, "reference", &other, Some(json!(to)));
    }
    for other in lookups_like(sheet, &name).into_iter().take(OTHERS) {
        let to = text.replacen(&name, &other, 1);
        place.becomes(sheet, "reference", &other, Some(json!(to)));
    }
    if place.property == "sourceArn" {
        let to = format!("arn:aws:events:*:{STRANGER}:rule/*");
        place.becomes(sheet, "reference", "stranger", Some(json!(to)));
    }
    if place.property == "value" {
        let to = json!("arn:aws:iam::647751526084:policy/elsewhere");
        place.becomes(sheet, "reference", "elsewhere", Some(to));
    }
}

/// The name in `${name}` or `${name.property}`.
fn whole(text: &str) -> Option<String> {
    let inner = text.strip_prefix("${")?.strip_suffix('}')?;
    (!inner.contains(['{', '}'])).then(|| references(text).into_iter().next())?
}

/// Other variables that ask the same function of the provider.
fn lookups_like(sheet: &Sheet<'_>, name: &str) -> Vec<String> {
    let variables = sheet.variables();
    let asked = |value: &Value| value.pointer("/fn::invoke/arguments/name").is_some();
    let function = |value: &Value| value.pointer("/fn::invoke/function").cloned();
    let Some((_, own)) = variables.iter().find(|(other, _)| other == name) else {
        return Vec::new();
    };
    variables
        .iter()
        .filter(|(other, value)| other != name && asked(value) && function(value) == function(own))
        .map(|(other, _)| other.clone())
        .collect()
}

/// A variable that looks up another thing than it should.
pub(super) fn lookup(sheet: &mut Sheet<'_>, name: &str, value: &Value) {
    let pointer = "/fn::invoke/arguments/name";
    if value.pointer(pointer).is_none() {
        return;
    }
    for other in lookups_like(sheet, name) {
        let variables = sheet.variables();
        let Some(to) = variables
            .iter()
            .find(|(variable, _)| *variable == other)
            .and_then(|(_, value)| value.pointer(pointer))
        else {
            continue;
        };
        sheet.add(Draft {
            name,
            path: "",
            operator: &other,
            kind: "reference",
            what: format!("`{name}` looks up {to}"),
            edits: vec![edit(
                format!("/variables/{name}{pointer}"),
                Some(to.clone()),
            )],
        });
    }
}
