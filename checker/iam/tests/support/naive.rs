//! A second implementation of the decision, as plain as possible and as slow: strings, recursion, no compilation.
//! It covers what `properties.rs` generates, and shares nothing with the crate.

use serde_json::Value;

/// The decision for a batch question.
pub(crate) fn decide(question: &Value) -> String {
    let caller = question["principal"].as_str().unwrap();
    let own = caller_account(caller);
    let service = own.is_none();
    let root = caller.ends_with(":root");
    let bounded = !question["permissionBoundaries"].is_null();
    let ask = |policies: &[Value], kind: &str| ask(question, policies, kind, bounded);
    let list = |name: &str| question[name].as_array().cloned().unwrap_or_default();
    let optional = |name: &str| {
        if question[name].is_null() {
            Vec::new()
        } else {
            vec![question[name].clone()]
        }
    };

    let identity = ask(&list("identityPolicies"), "identity");
    let boundary = ask(&list("permissionBoundaries"), "identity");
    let session = ask(&optional("sessionPolicy"), "identity");
    let resource = ask(&optional("resourcePolicy"), "resource");
    let scps: Vec<Said> = list("scps")
        .iter()
        .map(|level| ask(level.as_array().unwrap(), "identity"))
        .collect();
    let rcps: Vec<Said> = list("rcps")
        .iter()
        .map(|level| ask(level.as_array().unwrap(), "resource"))
        .collect();

    let own_denies = [&identity, &boundary, &session]
        .into_iter()
        .chain(&scps)
        .any(|said| said.deny);
    if resource.deny || rcps.iter().any(|said| said.deny) || (!service && own_denies) {
        return "ExplicitDeny".to_owned();
    }
    let scp_allows = service || scps.iter().all(|said| said.best > 0);
    let rcp_allows = list("rcps").iter().zip(&rcps).all(|(level, said)| {
        let has_allow = level
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|policy| policy["Statement"].as_array().unwrap())
            .any(|statement| statement["Effect"] == "Allow");
        !has_allow || said.best > 0
    });
    let limits = (!bounded || boundary.best > 0)
        && (question["sessionPolicy"].is_null() || session.best > 0);
    let own_side = (root || identity.best > 0) && limits;
    let arn = question["resource"].as_str().unwrap();
    let owner = arn
        .split(':')
        .nth(4)
        .filter(|text| text.len() == 12)
        .map(str::to_owned);
    let cross = own.is_some() && owner.is_some() && own != owner;
    let key = arn.contains(":kms:") && question["action"].as_str().unwrap().starts_with("kms:");
    let allowed = scp_allows
        && rcp_allows
        && if service {
            resource.best >= 2
        } else if cross {
            resource.best > 0 && own_side
        } else {
            resource.best == 3
                || (resource.best == 2 && limits)
                || (own_side && (!key || resource.best > 0))
        };
    if allowed {
        "Allowed".to_owned()
    } else {
        "ImplicitDeny".to_owned()
    }
}

struct Said {
    deny: bool,
    /// 0 nothing, 1 the account, 2 the role, 3 the caller itself.
    best: u8,
}

fn ask(question: &Value, policies: &[Value], kind: &str, bounded: bool) -> Said {
    let mut said = Said {
        deny: false,
        best: 0,
    };
    for policy in policies {
        let variables = policy["Version"] == "2012-10-17";
        for statement in policy["Statement"].as_array().into_iter().flatten().chain(
            policy["Statement"]
                .as_object()
                .map(|_| &policy["Statement"]),
        ) {
            let reach = reach(question, statement, bounded);
            if reach > 0 && matches(question, statement, kind, variables) {
                if statement["Effect"] == "Deny" {
                    said.deny = true;
                } else {
                    said.best = said.best.max(reach);
                }
            }
        }
    }
    said
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::String(text) => vec![text.clone()],
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => vec![value.to_string()],
    }
}

fn caller_account(caller: &str) -> Option<String> {
    caller.split(':').nth(4).map(str::to_owned)
}

fn reach(question: &Value, statement: &Value, bounded: bool) -> u8 {
    let caller = question["principal"].as_str().unwrap();
    let (element, negated) = match (statement.get("Principal"), statement.get("NotPrincipal")) {
        (Some(element), _) => (element, false),
        (None, Some(element)) => (element, true),
        (None, None) => return 1,
    };
    let mut reached: Vec<u8> = Vec::new();
    let everyone = *element == "*" || strings(&element["AWS"]).iter().any(|name| name == "*");
    if everyone {
        reached.push(3);
    }
    for name in strings(&element["AWS"]) {
        let account = if name.len() == 12 {
            Some(name.clone())
        } else {
            name.strip_suffix(":root").and_then(caller_account)
        };
        reached.push(if account.is_some() {
            if account != caller_account(caller) {
                0
            } else if caller.ends_with(":root") {
                3
            } else {
                1
            }
        } else if name.contains('*') {
            0
        } else if caller.contains(":assumed-role/") && name.contains(":role/") {
            let same = name.rsplit('/').next() == caller.split('/').nth(1)
                && caller_account(&name) == caller_account(caller);
            if same { 2 } else { 0 }
        } else if name == caller {
            if caller.contains(":role/") { 2 } else { 3 }
        } else {
            0
        });
    }
    for name in strings(&element["Service"]) {
        reached.push(if name == caller { 3 } else { 0 });
    }
    let best = reached.iter().copied().max().unwrap_or(0);
    if !negated {
        return best;
    }
    let deny = statement["Effect"] == "Deny";
    let spared = if !deny {
        best > 0
    } else if everyone {
        true
    } else if bounded {
        false
    } else if caller.contains(":assumed-role/") {
        reached.contains(&3) && reached.contains(&2)
    } else if caller.contains(":role/") {
        best >= 2
    } else {
        best == 3
    };
    if spared { 0 } else { 3 }
}

fn matches(question: &Value, statement: &Value, kind: &str, variables: bool) -> bool {
    let action = question["action"].as_str().unwrap().to_lowercase();
    let listed = |name: &str| {
        strings(&statement[name])
            .iter()
            .any(|pattern| action_glob(&pattern.to_lowercase(), &action))
    };
    let about = if statement.get("Action").is_some() {
        listed("Action")
    } else {
        !listed("NotAction")
    };
    let resource = question["resource"].as_str().unwrap();
    let covered = |name: &str| {
        strings(&statement[name])
            .iter()
            .any(|pattern| arn_glob(question, pattern, resource, kind == "identity", variables))
    };
    let on = if statement.get("Resource").is_some() {
        covered("Resource")
    } else {
        !covered("NotResource")
    };
    about
        && on
        && statement["Condition"]
            .as_object()
            .into_iter()
            .flatten()
            .all(|(operator, keys)| {
                keys.as_object().unwrap().iter().all(|(key, values)| {
                    holds(question, operator, key, &strings(values), variables)
                })
            })
}

/// A pattern as a list: `Some(c)` is that character, `None` with `true` is a star, with `false` a mark.
type Piece = (Option<char>, bool);

fn glob(pattern: &[Piece], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(((None, true), rest)) => (0..=text.len()).any(|at| glob(rest, &text[at..])),
        Some(((None, false), rest)) => !text.is_empty() && glob(rest, &text[1..]),
        Some(((Some(own), _), rest)) => text.first() == Some(own) && glob(rest, &text[1..]),
    }
}

fn pieces(text: &str) -> Vec<Piece> {
    text.chars()
        .map(|character| match character {
            '*' => (None, true),
            '?' => (None, false),
            other => (Some(other), false),
        })
        .collect()
}

fn plain_glob(pattern: &str, text: &str) -> bool {
    glob(&pieces(pattern), &text.chars().collect::<Vec<_>>())
}

fn action_glob(pattern: &str, action: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    match (pattern.split_once(':'), action.split_once(':')) {
        (Some((service, name)), Some((own_service, own_name))) => {
            plain_glob(service, own_service) && plain_glob(name, own_name)
        }
        _ => false,
    }
}

/// Replaces variables; the pieces of a value are literal.
fn resolve(question: &Value, text: &str, variables: bool, wildcards: bool) -> Option<Vec<Piece>> {
    let read = |text: &str| -> Vec<Piece> {
        if wildcards {
            pieces(text)
        } else {
            text.chars()
                .map(|character| (Some(character), false))
                .collect()
        }
    };
    let Some((before, rest)) = text.split_once("${").filter(|_| variables) else {
        return Some(read(text));
    };
    let (name, after) = rest.split_once('}')?;
    let (key, default) = match name.split_once(", ") {
        Some((key, default)) => (key, Some(default.trim_matches('\'').to_owned())),
        None => (name, None),
    };
    let values = context(question, key);
    let value = if values.len() == 1 {
        Some(values[0].clone())
    } else {
        default
    }?;
    let mut all = read(before);
    all.extend(value.chars().map(|character| (Some(character), false)));
    all.extend(resolve(question, after, variables, wildcards)?);
    Some(all)
}

fn arn_glob(question: &Value, pattern: &str, resource: &str, pad: bool, variables: bool) -> bool {
    if pattern == "*" {
        return true;
    }
    let segments: Vec<&str> = resource.splitn(6, ':').collect();
    if segments.len() < 6 || segments[0] != "arn" {
        return false;
    }
    // The generated variables stand in the last segment only.
    let mut patterns: Vec<&str> = pattern.splitn(6, ':').collect();
    if patterns.len() < 6 && !pad && !pattern.ends_with('*') {
        return false;
    }
    patterns.resize(6, "*");
    patterns.iter().zip(segments).all(|(pattern, segment)| {
        resolve(question, pattern, variables, true)
            .is_some_and(|pattern| glob(&pattern, &segment.chars().collect::<Vec<_>>()))
    })
}

/// The values of a key: given, or derived from the caller.
fn context(question: &Value, key: &str) -> Vec<String> {
    for (own, value) in question["context"].as_object().into_iter().flatten() {
        if own.eq_ignore_ascii_case(key) && !value.is_null() {
            return strings(value);
        }
    }
    let caller = question["principal"].as_str().unwrap();
    if key.eq_ignore_ascii_case("aws:PrincipalArn") && caller.starts_with("arn:") {
        if caller.contains(":assumed-role/") {
            let account = caller_account(caller).unwrap();
            return vec![format!(
                "arn:aws:iam::{account}:role/{}",
                caller.split('/').nth(1).unwrap()
            )];
        }
        return vec![caller.to_owned()];
    }
    Vec::new()
}

fn holds(question: &Value, operator: &str, key: &str, wanted: &[String], variables: bool) -> bool {
    let values = context(question, key);
    if operator == "Null" {
        return wanted
            .iter()
            .any(|want| want == if values.is_empty() { "true" } else { "false" });
    }
    let (quantifier, rest) = operator
        .split_once(':')
        .map_or(("", operator), |(quantifier, rest)| (quantifier, rest));
    let (base, optional) = rest
        .strip_suffix("IfExists")
        .map_or((rest, false), |base| (base, true));
    let negated = base.contains("Not");
    let positive = base.replace("Not", "");
    let listed = |value: &String| {
        wanted
            .iter()
            .any(|want| compare(question, &positive, want, value, variables))
    };
    if quantifier.is_empty() {
        if values.is_empty() {
            return negated || optional;
        }
        return values.iter().any(listed) != negated;
    }
    let nothing = values.is_empty() || values == [String::new()];
    match (quantifier, nothing) {
        ("ForAllValues", true) => true,
        ("ForAllValues", false) => values.iter().all(|value| listed(value) != negated),
        (_, true) => optional,
        (_, false) => values.iter().any(|value| listed(value) != negated),
    }
}

fn compare(question: &Value, operator: &str, want: &str, value: &str, variables: bool) -> bool {
    let wildcards = matches!(operator, "StringLike" | "ArnLike");
    let Some(want) = resolve(question, want, variables, wildcards) else {
        return false;
    };
    let text: String = want
        .iter()
        .map(|(character, star)| character.unwrap_or(if *star { '*' } else { '?' }))
        .collect();
    match operator {
        "StringEquals" => text == value,
        "StringEqualsIgnoreCase" => text.to_lowercase() == value.to_lowercase(),
        "StringLike" => glob(&want, &value.chars().collect::<Vec<_>>()),
        "ArnLike" => {
            let (own, others): (Vec<&str>, Vec<&str>) = (
                text.splitn(6, ':').collect(),
                value.splitn(6, ':').collect(),
            );
            others.len() == 6
                && (text == "*"
                    || (own.len() == 6
                        && own
                            .iter()
                            .zip(others)
                            .all(|(pattern, segment)| plain_glob(pattern, segment))))
        }
        other => match (text.parse::<f64>(), value.parse::<f64>()) {
            (Ok(want), Ok(value)) => match other {
                "NumericEquals" => (value - want).abs() < f64::EPSILON,
                "NumericLessThan" => value < want,
                "NumericGreaterThanEquals" => value >= want,
                _ => false,
            },
            _ => false,
        },
    }
}
