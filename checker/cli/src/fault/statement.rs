//! Faults of policies: a statement, an action, a resource, a principal or a condition that is missing, wider or
//! narrower than it should be.
//!
//! Whoever weakens a policy by mistake makes a Deny smaller or an Allow larger. Both are here, and so is an Allow that
//! became smaller, since a function that can't do its work is a fault too.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::resource::Place;
use super::scalar::STRANGER;
use super::sheet::{Draft, Sheet, edit};

/// What a policy is attached to decides what it may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// A role, or whoever carries it.
    Identity,
    /// Who may assume a role.
    Trust,
    /// A key, a queue, a bucket.
    Resource,
}

/// All faults of one policy.
pub(super) fn all(sheet: &mut Sheet<'_>, place: &Place, policy: &Value) {
    let Some(statements) = policy.get("Statement").and_then(Value::as_array) else {
        return;
    };
    let identity = sheet
        .kind(&place.name)
        .is_some_and(|kind| kind.starts_with("aws:iam:"));
    let of = match place.property.as_str() {
        "assumeRolePolicy" => Of::Trust,
        _ if identity => Of::Identity,
        _ => Of::Resource,
    };
    let list = place.at("Statement");
    for (index, statement) in statements.iter().enumerate() {
        let label = statement
            .get("Sid")
            .and_then(Value::as_str)
            .map_or_else(|| index.to_string(), str::to_owned);
        let here = Place {
            path: format!("{}.{label}", place.path),
            ..list.item(index)
        };
        if statements.len() > 1 {
            here.becomes_in_words(
                sheet,
                "missing",
                "is missing",
                vec![edit(&here.pointer, None)],
            );
        }
        one(sheet, &here, statement, of);
    }
    more(sheet, place, of);
}

impl Place {
    /// Writes down a fault of a policy.
    fn becomes_in_words(
        &self,
        sheet: &mut Sheet<'_>,
        operator: &str,
        words: &str,
        edits: Vec<checker_lab::program::Edit>,
    ) {
        sheet.add(Draft {
            name: &self.name,
            path: &self.path,
            operator,
            kind: "policy",
            what: format!("`{}` of `{}` {words}", self.path, self.name),
            edits,
        });
    }

    /// Writes down that a part of a statement becomes something else.
    fn part(
        &self,
        sheet: &mut Sheet<'_>,
        key: &str,
        operator: &str,
        words: &str,
        to: Option<Value>,
    ) {
        let edits = vec![edit(self.at(key).pointer, to)];
        self.becomes_in_words(sheet, operator, words, edits);
    }
}

fn one(sheet: &mut Sheet<'_>, here: &Place, statement: &Value, of: Of) {
    let deny = statement.get("Effect") == Some(&json!("Deny"));
    let flipped = if deny { "Allow" } else { "Deny" };
    here.part(
        sheet,
        "Effect",
        &flipped.to_lowercase(),
        &format!("has the effect {flipped}"),
        Some(json!(flipped)),
    );
    actions(sheet, here, statement, deny, of);
    resources(sheet, here, statement, deny, of);
    if let Some(principal) = statement.get("Principal") {
        principals(sheet, here, principal);
    }
    if let Some(conditions) = statement.get("Condition").and_then(Value::as_object) {
        here.part(
            sheet,
            "Condition",
            "unconditional",
            "has no condition",
            None,
        );
        for (operator, keys) in conditions {
            for (key, value) in keys.as_object().into_iter().flatten() {
                condition(sheet, here, conditions, (operator, key, value), deny);
            }
        }
    } else if deny {
        let never = json!({"Bool": {"aws:MultiFactorAuthPresent": "false"}});
        here.part(
            sheet,
            "Condition",
            "only-without-mfa",
            "holds only without a second factor",
            Some(never),
        );
    }
}

fn actions(sheet: &mut Sheet<'_>, here: &Place, statement: &Value, deny: bool, of: Of) {
    let list = strings(statement.get("Action"));
    if list.len() > 1 {
        for (index, action) in list.iter().enumerate() {
            let short = action.split_once(':').map_or(*action, |(_, short)| short);
            let at = here.at("Action").item(index).pointer;
            here.becomes_in_words(
                sheet,
                &format!("without-{short}"),
                &format!("does not name {action}"),
                vec![edit(at, None)],
            );
        }
    }
    if deny || of == Of::Trust || list.contains(&"*") {
        return;
    }
    let services: BTreeSet<&str> = list
        .iter()
        .filter_map(|action| action.split_once(':').map(|(service, _)| service))
        .collect();
    for service in services {
        let wide = format!("{service}:*");
        if !list.contains(&wide.as_str()) {
            here.part(
                sheet,
                "Action",
                &format!("every-{service}-action"),
                &format!("allows {wide}"),
                Some(json!(wide)),
            );
        }
    }
    here.part(
        sheet,
        "Action",
        "every-action",
        "allows every action",
        Some(json!("*")),
    );
}

fn resources(sheet: &mut Sheet<'_>, here: &Place, statement: &Value, deny: bool, of: Of) {
    let list = strings(statement.get("Resource"));
    if list.len() > 1 {
        for (index, _) in list.iter().enumerate() {
            let at = here.at("Resource").item(index).pointer;
            here.becomes_in_words(
                sheet,
                &format!("without-resource-{index}"),
                &format!("does not name resource {index}"),
                vec![edit(at, None)],
            );
        }
    }
    if !list.is_empty() && (deny || of == Of::Identity) {
        here.part(
            sheet,
            "Resource",
            "other-resource",
            "is about another resource",
            Some(json!("arn:aws:secretsmanager:*:*:secret:elsewhere-*")),
        );
    }
    if !deny && !list.is_empty() && list != ["*"] && of == Of::Identity {
        here.part(
            sheet,
            "Resource",
            "every-resource",
            "is about every resource",
            Some(json!("*")),
        );
    }
    if let Some(spared) = statement.get("NotResource").and_then(Value::as_str) {
        let mut wider = vec![("spares-everything", "*".to_owned())];
        if let Some(cut) = spared.strip_suffix("-??????") {
            wider.push(("spares-any-suffix", cut.to_owned()));
            wider.push(("spares-a-prefix", cut.replace("bank-", "bank")));
            wider.push((
                "spares-other-names",
                spared.replace(":secret:bank-", ":secret:*"),
            ));
        }
        for (operator, to) in wider {
            here.part(
                sheet,
                "NotResource",
                operator,
                &format!("spares {to}"),
                Some(json!(to)),
            );
        }
    }
}

fn principals(sheet: &mut Sheet<'_>, here: &Place, principal: &Value) {
    here.part(
        sheet,
        "Principal",
        "everyone",
        "is about everyone",
        Some(json!("*")),
    );
    let mut wider = principal.as_object().cloned().unwrap_or_default();
    wider.insert(
        "AWS".to_owned(),
        json!(format!("arn:aws:iam::{STRANGER}:root")),
    );
    here.part(
        sheet,
        "Principal",
        "another-account",
        "is about another account too",
        Some(Value::Object(wider)),
    );
    if principal.get("Service").is_some() {
        here.part(
            sheet,
            "Principal",
            "other-service",
            "is about another service",
            Some(json!({"Service": "ec2.amazonaws.com"})),
        );
    }
}

fn condition(
    sheet: &mut Sheet<'_>,
    here: &Place,
    conditions: &Map<String, Value>,
    (operator, key, value): (&str, &str, &Value),
    deny: bool,
) {
    let only = conditions.len() == 1
        && conditions
            .get(operator)
            .and_then(Value::as_object)
            .is_some_and(|keys| keys.len() == 1);
    let short = key.rsplit(':').next().unwrap_or(key);
    let changed = |put: Option<(String, Value)>| {
        let mut conditions = conditions.clone();
        let emptied = conditions
            .get_mut(operator)
            .and_then(Value::as_object_mut)
            .is_some_and(|keys| {
                keys.remove(key);
                keys.is_empty()
            });
        if emptied {
            conditions.remove(operator);
        }
        if let Some((operator, value)) = put {
            let keys = conditions.entry(operator).or_insert_with(|| json!({}));
            if let Some(keys) = keys.as_object_mut() {
                keys.insert(key.to_owned(), value);
            }
        }
        Value::Object(conditions)
    };
    if !only {
        here.part(
            sheet,
            "Condition",
            &format!("any-{short}-{operator}"),
            &format!("has no condition {operator} on {key}"),
            Some(changed(None)),
        );
    }
    let negated = operator.contains("Not");
    let switch = value
        .as_str()
        .filter(|text| matches!(*text, "true" | "false"));
    if let Some(switch) = switch {
        let other = if switch == "true" { "false" } else { "true" };
        here.part(
            sheet,
            "Condition",
            &format!("{short}-{operator}-{other}"),
            &format!("demands {operator} {key} {other}"),
            Some(changed(Some((operator.to_owned(), json!(other))))),
        );
        return;
    }
    // A pattern that everything fits makes a negated condition never true, and any other one always.
    let like = if operator.contains("Arn") {
        "Arn"
    } else {
        "String"
    };
    let like = if negated {
        format!("{like}NotLike")
    } else {
        format!("{like}Like")
    };
    here.part(
        sheet,
        "Condition",
        &format!("whatever-{short}"),
        &format!("lets {key} be anything"),
        Some(changed(Some((like, json!("*"))))),
    );
    if !(negated && deny) {
        here.part(
            sheet,
            "Condition",
            &format!("other-{short}"),
            &format!("demands another {key}"),
            Some(changed(Some((operator.to_owned(), json!("elsewhere"))))),
        );
    }
}

/// A statement too many.
fn more(sheet: &mut Sheet<'_>, place: &Place, of: Of) {
    let (words, statement) = match of {
        Of::Identity => (
            "lets its carrier do everything with secrets",
            json!({"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}),
        ),
        Of::Trust => (
            "lets another account in",
            json!({"Effect": "Allow", "Action": "sts:AssumeRole",
                "Principal": {"AWS": format!("arn:aws:iam::{STRANGER}:root")}}),
        ),
        Of::Resource => (
            "lets everyone do everything",
            json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}),
        ),
    };
    let edits = vec![edit(place.at("Statement").at("-").pointer, Some(statement))];
    place.becomes_in_words(sheet, "one-more", words, edits);
}

/// A text or a list of texts.
fn strings(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {
            Vec::new()
        }
    }
}
