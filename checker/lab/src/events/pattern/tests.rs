//! What patterns match, beside a matcher that is written as plainly as the documentation.

#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
use serde_json::{Map, Value, json};

use super::Pattern;

fn check(pattern: &Value, event: &Value, expected: bool) {
    let parsed = Pattern::parse(&pattern.to_string()).unwrap();
    assert_eq!(parsed.matches(event), expected, "{pattern} on {event}");
}

#[test]
fn operators() {
    let event = json!({"source": "aws.x", "detail": {
        "s": "Alpha-beta", "n": 5, "f": 300.0, "t": true, "z": null, "empty": [],
        "ip": "10.1.2.3", "ip6": "2001:db8::1", "path": "a*b", "list": ["x", "y"],
        "objects": [{"a": 1, "b": 2}, {"a": 3, "b": 4}],
    }});
    for (field, tests, expected) in [
        ("s", json!(["Alpha-beta"]), true),
        ("s", json!(["alpha-beta"]), false),
        ("s", json!([{"equals-ignore-case": "ALPHA-BETA"}]), true),
        ("s", json!([{"prefix": "Alpha"}]), true),
        ("s", json!([{"prefix": "alpha"}]), false),
        (
            "s",
            json!([{"prefix": {"equals-ignore-case": "ALPHA"}}]),
            true,
        ),
        ("s", json!([{"suffix": "beta"}]), true),
        (
            "s",
            json!([{"suffix": {"equals-ignore-case": "BETA"}}]),
            true,
        ),
        ("s", json!([{"wildcard": "A*b*a"}]), true),
        ("s", json!([{"wildcard": "A*x*a"}]), false),
        ("s", json!([{"anything-but": "Alpha-beta"}]), false),
        ("s", json!([{"anything-but": ["a", "b"]}]), true),
        ("s", json!([{"anything-but": {"prefix": "Al"}}]), false),
        (
            "s",
            json!([{"anything-but": {"suffix": ["x", "beta"]}}]),
            false,
        ),
        (
            "s",
            json!([{"anything-but": {"equals-ignore-case": ["alpha-BETA"]}}]),
            false,
        ),
        ("s", json!([{"anything-but": {"wildcard": "*x*"}}]), true),
        ("s", json!([{"numeric": ["=", 5]}]), false),
        ("n", json!([5]), true),
        ("n", json!(["5"]), false),
        ("n", json!([{"numeric": [">", 1, "<=", 5]}]), true),
        ("n", json!([{"numeric": ["<", 5]}]), false),
        ("n", json!([{"anything-but": [1, 5]}]), false),
        ("f", json!([300]), false),
        ("t", json!([true]), true),
        ("z", json!([null]), true),
        ("z", json!([{"exists": true}]), true),
        ("empty", json!([{"exists": false}]), true),
        ("absent", json!([{"exists": false}]), true),
        ("absent", json!([{"anything-but": "x"}]), false),
        ("s", json!([{"exists": false}, "Alpha-beta"]), true),
        ("ip", json!([{"cidr": "10.0.0.0/8"}]), true),
        ("ip", json!([{"cidr": "10.1.2.4/31"}]), false),
        ("ip", json!([{"cidr": "0.0.0.0/0"}]), true),
        ("ip6", json!([{"cidr": "2001:db8::/32"}]), true),
        ("ip6", json!([{"cidr": "10.0.0.0/8"}]), false),
        ("path", json!([{"wildcard": "a\\*b"}]), true),
        ("s", json!([{"wildcard": "a\\*b"}]), false),
        ("list", json!(["y"]), true),
        ("list", json!([{"anything-but": "x"}]), true),
        ("objects", json!({"a": [3], "b": [4]}), true),
        ("objects", json!({"a": [1], "b": [4]}), false),
        ("$or", json!([{"s": ["none"]}, {"n": [5]}]), true),
        ("$or", json!([{"s": ["none"]}, {"n": [6]}]), false),
    ] {
        check(&json!({"detail": {field: tests}}), &event, expected);
    }
    check(
        &json!({"source": ["aws.x"], "detail": {"absent": {"deep": [{"exists": false}]}}}),
        &event,
        true,
    );
}

#[test]
fn refusals() {
    for (pattern, part) in [
        ("[]", "not an object"),
        ("{", "not valid JSON"),
        ("{}", "Empty objects"),
        (r#"{"a":"b"}"#, "\"a\" must be an object or an array"),
        (r#"{"a":[]}"#, "Empty arrays"),
        (r#"{"a":{}}"#, "Empty objects"),
        (r#"{"a":[["b"]]}"#, "Match value must be"),
        (
            r#"{"a":[{"starts-with":"b"}]}"#,
            "Unrecognized match type starts-with",
        ),
        (r#"{"a":[{"prefix":"b","suffix":"c"}]}"#, "Only one key"),
        (r#"{"a":[{"prefix":1}]}"#, "must be a string"),
        (r#"{"a":[{"prefix":""}]}"#, "Null prefix"),
        (r#"{"a":[{"exists":"yes"}]}"#, "either true or false"),
        (r#"{"a":[{"anything-but":[]}]}"#, "Empty arrays"),
        (r#"{"a":[{"anything-but":[1,"b"]}]}"#, "mixed type"),
        (
            r#"{"a":[{"anything-but":{"numeric":["=",1]}}]}"#,
            "Unsupported anything-but",
        ),
        (r#"{"a":[{"numeric":[]}]}"#, "must be an array"),
        (r#"{"a":[{"numeric":["="]}]}"#, "Too many terms"),
        (r#"{"a":[{"numeric":["~",1]}]}"#, "Unrecognized numeric"),
        (
            r#"{"a":[{"numeric":[">",5,"<",1]}]}"#,
            "Bottom must be less",
        ),
        (r#"{"a":[{"numeric":["=",9e9]}]}"#, "between -5.0E9"),
        (r#"{"a":[{"wildcard":"a**b"}]}"#, "Consecutive wildcard"),
        (r#"{"a":[{"wildcard":"a\\b"}]}"#, "Invalid escape"),
        (r#"{"a":[{"cidr":"10.0.0.0"}]}"#, "Malformed CIDR"),
        (r#"{"a":[{"cidr":"10.0.0.0/33"}]}"#, "out of range"),
    ] {
        let text = Pattern::parse(pattern).unwrap_err().to_string();
        assert!(text.contains(part), "{pattern}: {text}");
    }
}

/// The meaning of a pattern, said differently: an event stands for every way of picking one element from each of
/// its lists, and it matches when one of these flat events does.
fn naive(pattern: &Value, event: &Value) -> bool {
    picks(event).iter().any(|flat| holds(pattern, Some(flat)))
}

/// Every way of picking; an empty list is an absent field.
fn picks(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(list) => list.iter().flat_map(picks).collect(),
        Value::Object(members) => {
            let mut all = vec![Map::new()];
            for (name, member) in members {
                let choices = picks(member);
                if choices.is_empty() {
                    continue;
                }
                all = all
                    .iter()
                    .flat_map(|known| {
                        choices.iter().map(|choice| {
                            let mut known = known.clone();
                            known.insert(name.clone(), choice.clone());
                            known
                        })
                    })
                    .collect();
            }
            all.into_iter().map(Value::from).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            vec![value.clone()]
        }
    }
}

fn holds(pattern: &Value, flat: Option<&Value>) -> bool {
    pattern.as_object().unwrap().iter().all(|(name, part)| {
        if name == "$or" {
            return part
                .as_array()
                .unwrap()
                .iter()
                .any(|choice| holds(choice, flat));
        }
        let member = flat.and_then(|flat| flat.get(name));
        match part.as_array() {
            None => holds(part, member),
            Some(tests) => tests
                .iter()
                .any(|test| leaf(test, member.filter(|member| !member.is_object()))),
        }
    })
}

fn leaf(test: &Value, value: Option<&Value>) -> bool {
    let Some((operator, with)) = test.as_object().map(|test| test.iter().next().unwrap()) else {
        return value == Some(test);
    };
    let text = value.and_then(Value::as_str);
    match (operator.as_str(), value) {
        ("exists", _) => with.as_bool().unwrap() == value.is_some(),
        (_, None) => false,
        ("prefix", _) => text.is_some_and(|text| text.starts_with(with.as_str().unwrap())),
        ("suffix", _) => text.is_some_and(|text| text.ends_with(with.as_str().unwrap())),
        ("equals-ignore-case", _) => {
            text.is_some_and(|text| text.eq_ignore_ascii_case(with.as_str().unwrap()))
        }
        ("anything-but", Some(value)) => {
            with.as_array().unwrap().iter().all(|other| other != value)
        }
        ("numeric", Some(value)) => value
            .as_i64()
            .is_some_and(|number| number > with[1].as_i64().unwrap()),
        ("wildcard", _) => text.is_some_and(|text| glob(with.as_str().unwrap(), text)),
        _ => false,
    }
}

/// Letters and asterisks only.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => text
            .char_indices()
            .map(|(at, _)| at)
            .chain([text.len()])
            .any(|skip| glob(pattern.get(1..).unwrap(), text.get(skip..).unwrap())),
        Some(letter) => text
            .strip_prefix(letter)
            .is_some_and(|rest| glob(pattern.get(1..).unwrap(), rest)),
    }
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[ab]{0,3}".prop_map(Value::from),
        (0..3_i64).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ]
}

fn event() -> impl Strategy<Value = Value> {
    let value = scalar().prop_recursive(3, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-d]", inner, 0..3).prop_map(|members| json!(members)),
        ]
    });
    prop::collection::btree_map("[a-d]", value, 0..4).prop_map(|members| json!(members))
}

fn test() -> impl Strategy<Value = Value> {
    prop_oneof![
        scalar(),
        any::<bool>().prop_map(|exists| json!({"exists": exists})),
        "[ab]{1,2}".prop_map(|text| json!({"prefix": text})),
        "[ab]{1,2}".prop_map(|text| json!({"suffix": text})),
        "[ABab]{0,2}".prop_map(|text| json!({"equals-ignore-case": text})),
        prop::collection::vec("[ab]{0,2}", 1..3).prop_map(|texts| json!({"anything-but": texts})),
        (0..3_i64).prop_map(|number| json!({"numeric": [">", number]})),
        "[ab]{0,1}(\\*[ab]){0,2}\\*?".prop_map(|text| json!({"wildcard": text})),
    ]
}

/// Fields of `$or` have names of their own: naming a field inside and outside at once is left open by AWS.
fn pattern() -> impl Strategy<Value = Value> {
    let leaf = || prop::collection::vec(test(), 1..3).prop_map(Value::from);
    let fields = |names: &'static str| {
        let field = leaf().prop_recursive(2, 8, 2, |inner| {
            prop::collection::btree_map("[a-d]", inner, 1..3).prop_map(|members| json!(members))
        });
        prop::collection::btree_map(names, field, 1..3)
    };
    (
        fields("[ab]"),
        prop::option::of(prop::collection::vec(fields("[cd]"), 2..3)),
    )
        .prop_map(|(mut members, or)| {
            if let Some(or) = or {
                members.insert("$or".to_owned(), json!(or));
            }
            json!(members)
        })
}

proptest! {
    #[test]
    fn agrees_with_the_naive_matcher(pattern in pattern(), event in event()) {
        let parsed = Pattern::parse(&pattern.to_string()).unwrap();
        assert_eq!(parsed.matches(&event), naive(&pattern, &event), "{pattern} on {event}");
    }
}
