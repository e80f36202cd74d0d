//! `aws:iam:getPolicyDocument`: a policy written as statements with lower-case names, as JSON.
//!
//! Nothing is asked of the target. Merging further documents (`sourcePolicyDocuments`, ..) isn't done here; whoever calls
//! this reports what nobody read.

use std::collections::BTreeMap;

use super::failure::Failure;
use super::inputs::Inputs;
use crate::program::value::Value;

/// The text of the policy, in one line.
pub(super) fn written(inputs: &Inputs) -> Result<String, Failure> {
    let version = inputs.text("version")?;
    let mut document = BTreeMap::from([(
        "Version".to_owned(),
        Value::Text(version.unwrap_or_else(|| "2012-10-17".to_owned())),
    )]);
    if let Some(id) = inputs.text("policyId")? {
        document.insert("Id".to_owned(), Value::Text(id));
    }
    let statements = inputs
        .objects("statements")?
        .iter()
        .map(statement)
        .collect::<Result<Vec<_>, Failure>>()?;
    document.insert("Statement".to_owned(), Value::List(statements));
    Value::Object(document)
        .to_json_text()
        .ok_or_else(|| Failure::whole("the policy has no JSON form"))
}

fn statement(written: &Inputs) -> Result<Value, Failure> {
    let effect = written.text("effect")?;
    let mut statement = BTreeMap::from([(
        "Effect".to_owned(),
        Value::Text(effect.unwrap_or_else(|| "Allow".to_owned())),
    )]);
    if let Some(sid) = written.text("sid")? {
        statement.insert("Sid".to_owned(), Value::Text(sid));
    }
    for (from, to) in [
        ("actions", "Action"),
        ("notActions", "NotAction"),
        ("resources", "Resource"),
        ("notResources", "NotResource"),
    ] {
        if let Some(words) = written.texts(from)? {
            statement.insert(to.to_owned(), texts(words));
        }
    }
    for (from, to) in [
        ("principals", "Principal"),
        ("notPrincipals", "NotPrincipal"),
    ] {
        if let Some(principals) = principals(&written.objects(from)?)? {
            statement.insert(to.to_owned(), principals);
        }
    }
    let mut conditions: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for condition in written.objects("conditions")? {
        let values = texts(condition.texts("values")?.unwrap_or_default());
        conditions
            .entry(condition.required("test")?)
            .or_default()
            .insert(condition.required("variable")?, values);
    }
    if !conditions.is_empty() {
        let conditions = conditions
            .into_iter()
            .map(|(test, keys)| (test, Value::Object(keys)))
            .collect();
        statement.insert("Condition".to_owned(), Value::Object(conditions));
    }
    Ok(Value::Object(statement))
}

/// `*` alone stands for everyone; otherwise identifiers by type.
fn principals(written: &[Inputs]) -> Result<Option<Value>, Failure> {
    let mut by_type: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for principal in written {
        let named = principal.texts("identifiers")?.unwrap_or_default();
        by_type
            .entry(principal.required("type")?)
            .or_default()
            .extend(named);
    }
    if by_type.is_empty() {
        return Ok(None);
    }
    if by_type.contains_key("*") {
        return Ok(Some(Value::text("*")));
    }
    let by_type = by_type
        .into_iter()
        .map(|(kind, named)| (kind, texts(named)))
        .collect();
    Ok(Some(Value::Object(by_type)))
}

fn texts(mut words: Vec<String>) -> Value {
    match (words.pop(), words.is_empty()) {
        (Some(only), true) => Value::Text(only),
        (Some(last), false) => {
            words.push(last);
            Value::List(words.into_iter().map(Value::Text).collect())
        }
        (None, _) => Value::List(Vec::new()),
    }
}
