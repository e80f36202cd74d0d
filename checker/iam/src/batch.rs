//! The JSON-lines forms of `decide` and `compare`: one question a line, one answer a line.
//!
//! In: a line. Out: an answer that is always one JSON object. A line that can't be judged is answered with
//! `{"id":..,"error":".."}`; no input makes these functions panic. Members that are not known are ignored, so
//! that test corpora can carry their own. `null` means absent; only for `permissionBoundaries` is `[]`
//! something else (attached and empty).

use std::time::Instant;

use serde_json::{Value, json};

use crate::action::Action;
use crate::arn::Resource;
use crate::decision::{Decision, decide};
use crate::grant::Grant;
use crate::json::Node;
use crate::layers::{Layers, PolicySet};
use crate::policy::{Policy, PolicyError, PolicyKind};
use crate::principal::Principal;
use crate::proof::{Comparison, Limits, NewAccess, compare};
use crate::request::{Context, Request};

/// Answers one `decide` line: `id`, `decision`, `decidedBy`, `missingContext`.
pub fn decide_line(line: &str) -> String {
    answer(line, |question| {
        let (request, layers) = decide_question(question)?;
        Ok(decision_members(&decide(&request, &layers)))
    })
}

/// Answers one `compare` line: `id`, `verdict`, `witness`, `micros`.
pub fn compare_line(line: &str) -> String {
    answer(line, |question| {
        let kind = match question.text("policyType")? {
            "IDENTITY_POLICY" => PolicyKind::Identity,
            "RESOURCE_POLICY" => PolicyKind::Resource,
            other => {
                return Err(format!(
                    "`policyType`: `{other}` is neither `IDENTITY_POLICY` nor `RESOURCE_POLICY`"
                ));
            }
        };
        // How long it took is part of the answer; nothing is decided by it.
        let start = Instant::now();
        let shape = |name: &str| {
            let node = question
                .get(name)
                .ok_or_else(|| format!("`{name}` is missing"))?;
            Policy::from_node(node, kind)
                .map_err(|shape| format!("`{name}`: {}", PolicyError::from(shape)))
        };
        let (reference, candidate) = (shape("reference")?, shape("candidate")?);
        let found = compare(&reference, &candidate, Limits::default())
            .map_err(|error| error.to_string())?;
        let (verdict, witness, because) = match found {
            Comparison::NoNewAccess => ("no-new-access", Value::Null, Value::Null),
            Comparison::NewAccess(access) => ("new-access", witness(&access), Value::Null),
            Comparison::Possible {
                because,
                witness: access,
            } => ("possible", witness(&access), json!(because)),
            Comparison::Unknown { because } => ("unknown", Value::Null, json!([because])),
        };
        let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        Ok(vec![
            ("verdict", json!(verdict)),
            ("witness", witness),
            ("because", because),
            ("micros", json!(micros)),
        ])
    })
}

fn witness(access: &NewAccess) -> Value {
    let request = &access.request;
    json!({"principal": access.principal, "action": request.action, "resource": request.resource, "context": request.context})
}

/// What a line asks, and the answer around what `judge` finds.
pub(crate) fn answer(
    line: &str,
    judge: impl FnOnce(&Question) -> Result<Vec<(&'static str, Value)>, String>,
) -> String {
    let node = match serde_json::from_str::<Node>(line) {
        Ok(node) => node,
        Err(error) => {
            return json!({"id": Value::Null, "error": format!("the line is not JSON: {error}")})
                .to_string();
        }
    };
    let id = node
        .map()
        .and_then(|members| members.iter().find(|(name, _)| name == "id"))
        .map_or(Value::Null, |(_, id)| id.to_value());
    let result = match node.map() {
        Some(members) => judge(&Question { members }),
        None => Err(format!("expected an object, found {}", node.kind())),
    };
    let mut object = serde_json::Map::new();
    object.insert("id".to_owned(), id);
    match result {
        Ok(members) => object.extend(
            members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value)),
        ),
        Err(message) => {
            object.insert("error".to_owned(), Value::String(message));
        }
    }
    Value::Object(object).to_string()
}

/// The members of a line.
pub(crate) struct Question<'a> {
    members: &'a [(String, Node)],
}

impl<'a> Question<'a> {
    /// A member that is neither missing nor null.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Node> {
        let found = self
            .members
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value);
        found.filter(|value| **value != Node::Null)
    }

    /// Whether the member stands in the line, be it null.
    fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(own, _)| own == name)
    }

    /// A member that has to be a string.
    pub(crate) fn text(&self, name: &str) -> Result<&'a str, String> {
        let node = self
            .get(name)
            .ok_or_else(|| format!("`{name}` is missing"))?;
        node.text()
            .ok_or_else(|| format!("`{name}`: expected a string, found {}", node.kind()))
    }
}

/// The request and the layers of a `decide` line.
fn decide_question(question: &Question<'_>) -> Result<(Request, Layers), String> {
    let principal =
        Principal::parse(question.text("principal")?).map_err(|error| error.to_string())?;
    let action = Action::new(question.text("action")?).map_err(|error| error.to_string())?;
    let resource = Resource::new(question.text("resource")?);
    let mut request = Request::new(principal, action, resource).in_context(context(question)?);
    if question.get("resourceAccount").is_some() {
        request = request.owned_by(question.text("resourceAccount")?);
    }
    // A line whose policies stand under another name must not be answered as if it had none.
    if !question.has("identityPolicies") && question.get("resourcePolicy").is_none() {
        return Err("`identityPolicies` is missing (a list; `[]` for none)".to_owned());
    }
    let set = |name: &str, kind| {
        question
            .get(name)
            .map(|node| policies(node, kind, name))
            .transpose()
    };
    let layers = Layers {
        identity: set("identityPolicies", PolicyKind::Identity)?.unwrap_or_default(),
        resource: set("resourcePolicy", PolicyKind::Resource)?
            .filter(|set| !set.policies().is_empty()),
        boundary: set("permissionBoundaries", PolicyKind::Identity)?,
        session: set("sessionPolicy", PolicyKind::Identity)?
            .filter(|set| !set.policies().is_empty()),
        scps: levels(question, "scps", PolicyKind::Identity)?,
        rcps: levels(question, "rcps", PolicyKind::ResourceControl)?,
        grants: grants(question)?,
    };
    Ok((request, layers))
}

fn decision_members(decision: &Decision) -> Vec<(&'static str, Value)> {
    let statement = decision.by.statement.as_ref().map(|statement| {
        json!({"policy": statement.policy, "statement": statement.statement, "sid": statement.sid})
    });
    let mut by = json!({"layer": decision.by.layer.name(), "statement": statement});
    if let Value::Object(members) = &mut by {
        if let Some(level) = decision.by.layer.level() {
            members.insert("level".to_owned(), json!(level));
        }
        if let Some(grant) = &decision.by.grant {
            members.insert("grant".to_owned(), json!(grant));
        }
    }
    vec![
        ("decision", json!(decision.verdict.name())),
        ("decidedBy", by),
        ("missingContext", json!(decision.missing_context)),
    ]
}

/// One policy; an operator that nobody documents makes it unfit for judgement.
fn policy(node: &Node, kind: PolicyKind, place: &str) -> Result<Policy, String> {
    let policy = Policy::from_node(node, kind)
        .map_err(|shape| format!("`{place}`: {}", PolicyError::from(shape)))?;
    match policy.unknown_operators().first() {
        Some(operator) => Err(format!(
            "`{place}`: condition operator `{operator}` is not known"
        )),
        None => Ok(policy),
    }
}

/// A list of policies, or one.
fn policies(node: &Node, kind: PolicyKind, place: &str) -> Result<PolicySet, String> {
    match node.list() {
        Some(items) => {
            let numbered = items.iter().enumerate();
            let read = numbered.map(|(at, item)| policy(item, kind, &format!("{place}[{at}]")));
            Ok(PolicySet::new(read.collect::<Result<_, _>>()?))
        }
        None => policy(node, kind, place).map(PolicySet::from),
    }
}

fn levels(question: &Question<'_>, name: &str, kind: PolicyKind) -> Result<Vec<PolicySet>, String> {
    let Some(node) = question.get(name) else {
        return Ok(Vec::new());
    };
    let levels = node
        .list()
        .ok_or_else(|| format!("`{name}`: expected a list of levels, found {}", node.kind()))?;
    let numbered = levels.iter().enumerate();
    let read = numbered.map(|(at, level)| match level.list() {
        Some(_) => policies(level, kind, &format!("{name}[{at}]")),
        None => Err(format!(
            "`{name}[{at}]`: expected the list of a level's policies, found {}",
            level.kind()
        )),
    });
    read.collect()
}

fn context(question: &Question<'_>) -> Result<Context, String> {
    let mut context = Context::new();
    let Some(node) = question.get("context") else {
        return Ok(context);
    };
    let keys = node
        .map()
        .ok_or_else(|| format!("`context`: expected an object, found {}", node.kind()))?;
    for (key, value) in keys {
        if *value == Node::Null {
            continue;
        }
        let wrong = |found: &Node| {
            format!(
                "`context.{key}`: expected a value or a list of values, found {}",
                found.kind()
            )
        };
        let values = match value.list() {
            Some(items) => {
                let present = items.iter().filter(|item| **item != Node::Null);
                present
                    .map(|item| item.scalar().ok_or_else(|| wrong(item)))
                    .collect::<Result<Vec<_>, _>>()?
            }
            None => vec![value.scalar().ok_or_else(|| wrong(value))?],
        };
        if context.has(key) {
            return Err(format!("`context.{key}`: the key is given twice"));
        }
        context.set(key, values);
    }
    Ok(context)
}

fn grants(question: &Question<'_>) -> Result<Vec<Grant>, String> {
    let Some(node) = question.get("grants") else {
        return Ok(Vec::new());
    };
    let list = node
        .list()
        .ok_or_else(|| format!("`grants`: expected a list, found {}", node.kind()))?;
    list.iter()
        .enumerate()
        .map(|(at, item)| {
            Grant::from_value(&item.to_value()).map_err(|error| format!("`grants[{at}]`: {error}"))
        })
        .collect()
}
