//! What a plan leaves open, and which facts that makes unknown.
//!
//! A plan may hold values that only the deploy will know, secrets that it masks, and resources of which the embedded AWS
//! keeps no more than their configuration. Each is a [`Gap`] of one property of one resource, or of the whole of it. The
//! table in `gap/touches.rs` says which facts rest on it; those become unknown, so that a rule that reads one is
//! Inconclusive, whatever value stood in for it. What the table does not know touches everything.

use std::collections::BTreeMap;

use cel::Value;
use cel::objects::Key;

use super::{Item, Noun};
use crate::observation::answer::{Gap, Plan};
use crate::observation::{Answer, Facts, Observation, Unseen};

mod touches;

use touches::{Scope, Touch, touches};

const ELSEWHERE: &str = "it is not in the preview: another stack may hold it";

/// In the ARN of a role that stands in for one which the plan does not tell: no principal of the plan.
const STAND_IN: &str = ":role/plan-stand-in/";

/// Facts that come to be only once something runs: no plan shows them.
const RUNTIME: &[(Noun, &str)] = &[
    (Noun::Secrets, "secret.current_version"),
    (Noun::Secrets, "secret.labels"),
    (Noun::Secrets, "secret.rotation.last_rotated"),
    (Noun::Secrets, "secret.rotation.next_due"),
    (Noun::Secrets, "secret.rotation.stuck"),
    (Noun::Secrets, "secret.rotation.window"),
    (Noun::Functions, "lambda.state"),
    (Noun::Detectors, "detector.state"),
    (Noun::Calls, ""),
];

/// Lists of what the whole account holds, of which a preview shows the part of its own stacks.
const OF_THE_ACCOUNT: &[(Noun, &str)] = &[(Noun::Account, "account.secrets")];

/// Items that are there by name even where nothing of that name exists.
const BY_NAME: &[(Noun, &str)] = &[
    (Noun::Functions, "lambda.exists"),
    (Noun::Outputs, "output.exists"),
    (Noun::Policies, "policy.exists"),
    (Noun::Detectors, "detector.exists"),
    (Noun::EventRules, "rule.exists"),
    (Noun::LogGroups, "group.exists"),
    (Noun::Topics, "topic.exists"),
];

/// The gaps of what is judged; none where it is no plan.
pub(crate) struct Gaps<'a>(Option<&'a Plan>);

impl<'a> Gaps<'a> {
    /// Those that the facts hold.
    pub(crate) fn of(facts: &'a Facts) -> Self {
        Self(match facts.get(&Observation::Plan) {
            Ok(Answer::Plan(plan)) => Some(plan),
            Ok(_) | Err(_) => None,
        })
    }

    /// Whether it is no plan.
    pub(crate) fn none(&self) -> bool {
        self.0.is_none()
    }

    /// Makes unknown what a gap touches in the items of a noun.
    pub(crate) fn poison(
        &self,
        noun: Noun,
        items: Result<Vec<Item>, Unseen>,
    ) -> Result<Vec<Item>, Unseen> {
        let Some(plan) = self.0 else {
            return items;
        };
        let mut items = items?;
        for gap in &plan.gaps {
            for touch in touches(&gap.kind, gap.property.as_deref()) {
                if let Touch::Fact(of, path, scope) = touch
                    && of == noun
                {
                    poison(noun, &mut items, gap, path, scope)?;
                }
            }
        }
        if noun == Noun::Principals {
            items.retain(|item| !item.resource.contains(STAND_IN));
        }
        if plan.preview {
            for (_, path) in RUNTIME.iter().filter(|(of, _)| *of == noun) {
                let reason = "a preview does not show what happens once it runs";
                if path.is_empty() {
                    return Err(unseen(reason));
                }
                for item in &mut items {
                    unknown(noun, item, path, reason);
                }
            }
            for (_, path) in OF_THE_ACCOUNT.iter().filter(|(of, _)| *of == noun) {
                for item in &mut items {
                    unknown(noun, item, path, ELSEWHERE);
                }
            }
            for item in items.iter_mut().filter(|_| noun == Noun::Trails) {
                if is_empty(&item.value, "all") {
                    unknown(noun, item, "trails.all", ELSEWHERE);
                }
            }
            for (_, path) in BY_NAME.iter().filter(|(of, _)| *of == noun) {
                for item in &mut items {
                    if is_false(&item.value, path)
                        && !plan.deleted.iter().any(|deleted| item.resource == *deleted)
                    {
                        unknown(noun, item, "", ELSEWHERE);
                    }
                }
            }
        }
        Ok(items)
    }

    /// Why nothing can be said of who may do what, if a gap touches that.
    pub(crate) fn access(&self) -> Option<Unseen> {
        let plan = self.0?;
        let gap = plan.gaps.iter().find(|gap| {
            touches(&gap.kind, gap.property.as_deref())
                .iter()
                .any(|touch| matches!(touch, Touch::Access))
        })?;
        Some(unseen(&reason(gap)))
    }
}

/// One gap and one fact.
fn poison(
    noun: Noun,
    items: &mut [Item],
    gap: &Gap,
    path: &'static str,
    scope: Scope,
) -> Result<(), Unseen> {
    let reason = reason(gap);
    let only = match scope {
        Scope::All => None,
        Scope::Own => gap.subject.as_deref(),
        Scope::Declared => Some(gap.declared.as_str()),
    };
    let Some(only) = only else {
        if path.is_empty() {
            return Err(unseen(&reason));
        }
        for item in items {
            unknown(noun, item, path, &reason);
        }
        return Ok(());
    };
    for item in items.iter_mut().filter(|item| item.resource == only) {
        unknown(noun, item, path, &reason);
    }
    Ok(())
}

fn reason(gap: &Gap) -> String {
    let of = gap
        .property
        .as_deref()
        .map_or_else(String::new, |property| format!(".{property}"));
    format!("{}{of} {}", gap.name, gap.why)
}

fn unseen(reason: &str) -> Unseen {
    Unseen {
        operation: "plan".to_owned(),
        code: "Unknown".to_owned(),
        advice: reason.to_owned(),
    }
}

/// Takes a path out of an item's value and says why; an empty path is all of it.
fn unknown(noun: Noun, item: &mut Item, path: &str, reason: &str) {
    let steps: Vec<&str> = path.split('.').skip(1).collect();
    item.value = without(&item.value, &steps);
    let whole = path.is_empty();
    let path = if whole { noun.variable() } else { path };
    item.unknowns.insert(path.to_owned(), reason.to_owned());
    if whole || steps.first() == Some(&"tags") {
        let by_name = item.passes.contains("namespace");
        for filter in ["tagged", "managed", "namespace", "taggable"] {
            let decided = !whole && (filter == "namespace" || filter == "taggable");
            let decided = decided || (!whole && filter == "managed" && by_name);
            if !decided {
                item.undecided.insert(filter, reason.to_owned());
            }
        }
    }
}

fn without(value: &Value, steps: &[&str]) -> Value {
    let (Value::Map(map), Some((first, rest))) = (value, steps.split_first()) else {
        return Value::from(std::collections::HashMap::<String, Value>::new());
    };
    let key = Key::from(*first);
    let kept: BTreeMap<String, Value> = map
        .map
        .iter()
        .filter_map(|(name, below)| {
            if *name != key {
                return Some((name.to_string(), below.clone()));
            }
            let deeper = !rest.is_empty() && matches!(below, Value::Map(_));
            deeper.then(|| (name.to_string(), without(below, rest)))
        })
        .collect();
    crate::expression::types::map(kept)
}

fn is_empty(value: &Value, name: &str) -> bool {
    let Value::Map(map) = value else {
        return false;
    };
    matches!(map.map.get(&Key::from(name)), Some(Value::List(items)) if items.is_empty())
}

fn is_false(value: &Value, path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or(path);
    matches!(value, Value::Map(map) if map.map.get(&Key::from(name)) == Some(&Value::Bool(false)))
}
