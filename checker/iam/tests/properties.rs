//! Properties: the engine against a naive second implementation, the proof against exhaustive enumeration,
//! monotonicity of denials, and bounded behaviour on hostile text.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests"
)]

#[path = "support/naive.rs"]
mod naive;

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use checker_iam::batch::{compare_line, decide_line};
use checker_iam::proof::{
    Account, Answer, Asker, Comparison, Guarded, Limits, Question, compare, nobody_can,
};
use checker_iam::{Context, Policy, PolicyKind, PolicySet, Principal};

const ACCOUNT: &str = "111122223333";
const USER: &str = "arn:aws:iam::111122223333:user/dev";
const ROLE: &str = "arn:aws:iam::111122223333:role/team/app";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/app/one";
const STRANGER: &str = "arn:aws:iam::444455556666:role/x";

fn one_or_many(list: &[&'static str]) -> Value {
    match list {
        [single] => json!(single),
        _ => json!(list),
    }
}

fn some_of(all: &'static [&'static str], most: usize) -> impl Strategy<Value = Value> {
    subsequence(all, 1..=most).prop_map(|list| one_or_many(&list))
}

fn actions() -> impl Strategy<Value = Value> {
    some_of(
        &[
            "*",
            "s3:*",
            "s3:Get*",
            "s3:get?bject",
            "S3:PutObject",
            "kms:Decrypt",
            "*:*",
            "secretsmanager:Get*Value",
        ],
        3,
    )
}

fn resources() -> impl Strategy<Value = Value> {
    some_of(
        &[
            "*",
            "arn:aws:s3:::b/*",
            "arn:aws:s3:::?/a",
            "arn:aws:s3",
            "arn:aws:*:*",
            "arn:*:secretsmanager:*:111122223333:secret:a*",
            "arn:aws:secretsmanager:eu:*:secret:${aws:PrincipalTag/t}*",
            "arn:aws:secretsmanager:eu:*:secret:${aws:PrincipalTag/t, 'a'}-*",
            "arn:aws:kms:eu:111122223333:key/k",
            "arn:aws:*:secret:a*",
            "foo",
        ],
        3,
    )
}

fn conditions() -> impl Strategy<Value = Value> {
    let operator = select(vec![
        "StringEquals",
        "StringNotEquals",
        "StringLike",
        "StringNotLike",
        "StringEqualsIgnoreCase",
        "ForAllValues:StringEquals",
        "ForAnyValue:StringLike",
        "ForAnyValue:StringNotEquals",
        "ForAllValues:StringNotLike",
        "StringEqualsIfExists",
        "StringNotEqualsIfExists",
        "ForAnyValue:StringEqualsIfExists",
    ]);
    let values = some_of(&["a", "A", "b", "a*", "?", "${aws:PrincipalTag/t}", ""], 2);
    let text = (
        operator,
        select(vec!["aws:PrincipalTag/t", "AWS:TagKeys", "x:y"]),
        values,
    )
        .prop_map(|(operator, key, values)| json!({operator: {key: values}}));
    let numbers = (
        select(vec![
            "NumericLessThan",
            "NumericEquals",
            "NumericNotEquals",
            "NumericGreaterThanEquals",
        ]),
        select(vec!["5", "5.5", "x"]),
    )
        .prop_map(|(operator, value)| json!({operator: {"n:n": value}}));
    let null = (select(vec!["aws:TagKeys", "n:n"]), any::<bool>())
        .prop_map(|(key, value)| json!({"Null": {key: value}}));
    let caller = select(vec![
        "arn:aws:iam::*:role/*",
        "arn:aws:iam::111122223333:user/dev",
        "*",
    ])
    .prop_map(|value| json!({"ArnLike": {"aws:PrincipalArn": value}}));
    prop_oneof![6 => Just(json!({})), 5 => text, 2 => numbers, 1 => null, 1 => caller]
}

fn principals() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("*")),
        some_of(
            &[
                USER,
                ROLE,
                SESSION,
                STRANGER,
                "arn:aws:iam::111122223333:root",
                "444455556666",
                "arn:aws:iam::111122223333:role/*"
            ],
            3
        )
        .prop_map(|list| json!({"AWS": list})),
        Just(json!({"Service": "lambda.amazonaws.com", "AWS": ACCOUNT})),
    ]
}

fn statement(resource_policy: bool) -> impl Strategy<Value = Value> {
    (any::<bool>(), prop::bool::weighted(0.2), actions(), prop::bool::weighted(0.2), resources(), conditions(), prop::bool::weighted(0.15), principals()).prop_map(
        move |(allow, not_action, actions, not_resource, resources, conditions, not_principal, principals)| {
            let mut statement = json!({"Effect": if allow { "Allow" } else { "Deny" }, "Condition": conditions});
            statement[if not_action { "NotAction" } else { "Action" }] = actions;
            statement[if not_resource { "NotResource" } else { "Resource" }] = resources;
            if resource_policy {
                statement[if not_principal { "NotPrincipal" } else { "Principal" }] = principals;
            }
            statement
        },
    )
}

fn policy(resource_policy: bool) -> impl Strategy<Value = Value> {
    let version = select(vec![
        Some("2012-10-17"),
        Some("2012-10-17"),
        Some("2012-10-17"),
        Some("2008-10-17"),
        None,
    ]);
    (
        version,
        prop::collection::vec(statement(resource_policy), 1..4),
    )
        .prop_map(|(version, statements)| {
            let mut policy = json!({"Statement": statements});
            if let Some(version) = version {
                policy["Version"] = json!(version);
            }
            policy
        })
}

/// Allow all in front, so that the layers behind it matter.
fn open(policy: &Value) -> Value {
    let mut policy = policy.clone();
    policy["Statement"].as_array_mut().unwrap().insert(
        0,
        json!({"Effect": "Allow", "Action": "*", "Resource": "*"}),
    );
    policy
}

fn context() -> impl Strategy<Value = Value> {
    let tag = prop_oneof![
        Just(Value::Null),
        select(vec!["a", "A", "b", "*", ""]).prop_map(|value| json!(value))
    ];
    let tags = prop_oneof![
        Just(Value::Null),
        subsequence(vec!["a", "b", "ab"], 0..=3).prop_map(|list| json!(list)),
        Just(json!(""))
    ];
    let other = prop_oneof![
        Just(Value::Null),
        select(vec!["a", "c"]).prop_map(|value| json!([value]))
    ];
    let number = prop_oneof![
        Just(Value::Null),
        select(vec!["4", "5", "5.0", "6", "x"]).prop_map(|value| json!(value))
    ];
    (tag, tags, other, number).prop_map(|(tag, tags, other, number)| json!({"aws:PrincipalTag/t": tag, "aws:tagkeys": tags, "X:y": other, "n:N": number}))
}

fn question() -> impl Strategy<Value = Value> {
    let request = (
        select(vec![
            USER,
            ROLE,
            SESSION,
            STRANGER,
            "arn:aws:iam::111122223333:root",
            "lambda.amazonaws.com",
        ]),
        select(vec![
            "s3:GetObject",
            "s3:putobject",
            "kms:Decrypt",
            "secretsmanager:GetSecretValue",
        ]),
        select(vec![
            "arn:aws:s3:::b/a",
            "*",
            "arn:aws:secretsmanager:eu:111122223333:secret:a-AbCdEf",
            "arn:aws:secretsmanager:eu:444455556666:secret:b:secret:a",
            "arn:aws:kms:eu:111122223333:key/k",
        ]),
        context(),
    );
    let layers = (
        prop::collection::vec(policy(false), 0..3),
        prop::option::weighted(0.5, policy(true)),
        prop::option::weighted(0.3, prop::collection::vec(policy(false), 0..2)),
        prop::option::weighted(0.2, policy(false)),
        prop::collection::vec(prop::collection::vec(policy(false), 1..3), 0..2),
        prop::collection::vec(prop::collection::vec(policy(true), 1..2), 0..2),
    );
    (request, layers, any::<[bool; 3]>()).prop_map(|((principal, action, resource, context), (mut identity, resource_policy, mut boundary, session, mut scps, rcps), opened)| {
        if opened[0] {
            identity = identity.iter().map(open).collect();
        }
        if opened[1] {
            scps = scps.iter().map(|level| level.iter().map(open).collect()).collect();
        }
        if opened[2] {
            boundary = boundary.map(|list| list.iter().map(open).collect());
        }
        json!({"id": 1, "principal": principal, "action": action, "resource": resource, "context": context, "identityPolicies": identity,
            "resourcePolicy": resource_policy, "permissionBoundaries": boundary, "sessionPolicy": session, "scps": scps, "rcps": rcps})
    })
}

fn decision(question: &Value) -> String {
    let answer: Value = serde_json::from_str(&decide_line(&question.to_string())).unwrap();
    answer["decision"]
        .as_str()
        .map_or_else(|| answer.to_string(), str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_agrees_with_a_naive_one(question in question()) {
        prop_assert_eq!(decision(&question), naive::decide(&question), "{}", question);
    }

    #[test]
    fn adding_a_deny_never_allows(question in question(), deny in statement(false)) {
        let mut deny = deny;
        deny["Effect"] = json!("Deny");
        let mut more = question.clone();
        more["identityPolicies"].as_array_mut().unwrap().push(json!({"Version": "2012-10-17", "Statement": deny}));
        if decision(&more) == "Allowed" {
            prop_assert_eq!(decision(&question), "Allowed");
        }
    }

    #[test]
    fn no_line_makes_the_batch_panic(line in "\\PC{0,200}", question in question(), cut in 0_usize..4000) {
        let whole = question.to_string();
        let at = (0..=cut.min(whole.len())).rev().find(|at| whole.is_char_boundary(*at)).unwrap_or(0);
        for text in [line.as_str(), &whole[..at]] {
            for answer in [decide_line(text), compare_line(text)] {
                prop_assert!(serde_json::from_str::<Value>(&answer).unwrap().is_object());
            }
        }
    }
}

/// Patterns over the letters a and b, so that all short names can be tried.
fn small_pattern() -> impl Strategy<Value = String> {
    let inner = prop::collection::vec(select(vec!["a", "b", "*", "?", "-"]), 0..4)
        .prop_map(|parts| parts.concat());
    inner.prop_map(|name| format!("arn:aws:x:::{name}"))
}

fn small_statement() -> impl Strategy<Value = Value> {
    let condition = prop_oneof![
        4 => Just(json!({})),
        1 => (select(vec!["StringEquals", "StringNotEquals", "StringLike", "StringEqualsIfExists", "StringNotLike", "ForAllValues:StringLike", "ForAnyValue:StringNotEquals"]), select(vec!["a", "b", "a*", "?"]))
            .prop_map(|(operator, value)| json!({operator: {"k:t": value}})),
        1 => any::<bool>().prop_map(|value| json!({"Null": {"k:t": value}})),
    ];
    let actions = some_of(&["x:a*", "x:ab", "x:?", "*", "x:b"], 2);
    (
        prop::bool::weighted(0.6),
        prop::bool::weighted(0.2),
        actions,
        prop::bool::weighted(0.2),
        prop::collection::vec(small_pattern(), 1..3),
        condition,
    )
        .prop_map(
            |(allow, not_action, actions, not_resource, resources, condition)| {
                let mut statement =
                    json!({"Effect": if allow { "Allow" } else { "Deny" }, "Condition": condition});
                statement[if not_action { "NotAction" } else { "Action" }] = actions;
                statement[if not_resource {
                    "NotResource"
                } else {
                    "Resource"
                }] = json!(resources);
                statement
            },
        )
}

fn small_policy() -> impl Strategy<Value = Value> {
    prop::collection::vec(small_statement(), 1..4)
        .prop_map(|statements| json!({"Version": "2012-10-17", "Statement": statements}))
}

/// Every request over a small alphabet, as (action, resource, context).
fn small_requests() -> Vec<(String, String, Value)> {
    let mut names = vec![String::new()];
    let mut from = 0;
    for _ in 0..3 {
        let until = names.len();
        for at in from..until {
            for letter in ["a", "b", "-", "c"] {
                names.push(format!("{}{letter}", names[at]));
            }
        }
        from = until;
    }
    let contexts = [
        json!({}),
        json!({"k:t": "a"}),
        json!({"k:t": "b"}),
        json!({"k:t": "ab"}),
        json!({"k:t": ["a", "b"]}),
        json!({"k:t": ""}),
    ];
    // An ARN without a resource names nothing.
    names.retain(|name| !name.is_empty());
    let mut requests = Vec::new();
    for action in ["x:a", "x:ab", "x:b", "x:cc"] {
        for name in &names {
            for context in &contexts {
                requests.push((
                    action.to_owned(),
                    format!("arn:aws:x:::{name}"),
                    context.clone(),
                ));
            }
        }
    }
    requests
}

fn small_decision(policies: &[&Value], request: &(String, String, Value)) -> bool {
    let question = json!({"id": 1, "principal": USER, "action": request.0, "resource": request.1, "context": request.2, "identityPolicies": policies});
    naive::decide(&question) == "Allowed"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_proof_leaves_no_request_that_is_allowed(own in small_policy(), boundary in prop::option::of(small_policy())) {
        let parse = |policy: &Value| PolicySet::from(Policy::from_value(policy, PolicyKind::Identity).unwrap());
        let asker = Asker {
            principal: Arc::new(Principal::parse(USER).unwrap()),
            context: Arc::new(Context::new()),
            identity: parse(&own),
            boundary: boundary.as_ref().map(parse),
            session: None,
            scps: Vec::new(),
        };
        let account = Account { askers: vec![asker], ..Account::default() };
        let question = Question { actions: vec!["x:*".to_owned()], resources: vec!["arn:aws:x:::*".to_owned()], except_resources: vec!["arn:aws:x:::b*".to_owned()] };
        let answer = nobody_can(&account, &question, Limits::default()).unwrap().pop().unwrap().1;
        let allowed = small_requests().into_iter().filter(|request| !request.1.starts_with("arn:aws:x:::b")).find(|request| {
            let context = &request.2;
            let question = json!({"id": 1, "principal": USER, "action": request.0, "resource": request.1, "context": context, "identityPolicies": [own],
                "permissionBoundaries": boundary.as_ref().map(|policy| vec![policy.clone()])});
            naive::decide(&question) == "Allowed"
        });
        match (&answer, &allowed) {
            (Answer::Proved, None) | (Answer::Counterexample(_), _) => {}
            other => prop_assert!(false, "{own} {boundary:?}: {other:?}"),
        }
    }

    #[test]
    fn no_new_access_leaves_no_new_request(reference in small_policy(), candidate in small_policy()) {
        let parse = |policy: &Value| Policy::from_value(policy, PolicyKind::Identity).unwrap();
        let answer = compare(&parse(&reference), &parse(&candidate), Limits::default()).unwrap();
        let new = small_requests().into_iter().find(|request| small_decision(&[&candidate], request) && !small_decision(&[&reference], request));
        match (&answer, &new) {
            (Comparison::NoNewAccess, None) => {}
            // The engine that confirmed the witness is not the naive one, so ask that too.
            (Comparison::NewAccess(access), _) => {
                let request = (access.request.action.clone(), access.request.resource.clone(), json!(access.request.context));
                prop_assert!(small_decision(&[&candidate], &request) && !small_decision(&[&reference], &request), "{access:?}");
            }
            other => prop_assert!(false, "{reference} {candidate}: {other:?}"),
        }
        prop_assert_eq!(compare(&parse(&reference), &parse(&reference), Limits::default()).unwrap(), Comparison::NoNewAccess);
    }
}

/// Callers that the policies below can tell apart, and some that they can't.
const CALLERS: [&str; 7] = [
    USER,
    ROLE,
    STRANGER,
    "arn:aws:iam::111122223333:user/somebody-else",
    "arn:aws:iam::777777777777:role/nobody-named",
    "lambda.amazonaws.com",
    "*",
];

fn small_resource_policy() -> impl Strategy<Value = Value> {
    let named = some_of(
        &[
            USER,
            ROLE,
            STRANGER,
            "111122223333",
            "arn:aws:iam::444455556666:root",
        ],
        2,
    );
    let principal = prop_oneof![
        2 => Just(json!("*")),
        4 => named.prop_map(|list| json!({"AWS": list})),
        1 => Just(json!({"Service": "lambda.amazonaws.com"})),
        1 => Just(json!({"AWS": "*"})),
    ];
    let condition = prop_oneof![
        4 => Just(json!({})),
        1 => Just(json!({"StringEquals": {"k:t": "a"}})),
        1 => Just(json!({"StringNotEqualsIfExists": {"k:t": "a"}})),
        1 => select(vec!["arn:aws:iam::111122223333:*", "arn:aws:iam::*:role/*", USER])
            .prop_map(|value| json!({"ArnLike": {"aws:PrincipalArn": value}})),
        1 => select(vec!["arn:aws:iam::111122223333:*", USER])
            .prop_map(|value| json!({"ArnNotLike": {"aws:PrincipalArn": value}})),
    ];
    let resource = select(vec![
        "*",
        "arn:aws:x::999999999999:a*",
        "arn:aws:x::999999999999:b",
        "arn:aws:x::999999999999:?b*",
    ]);
    let statement = (
        prop::bool::weighted(0.65),
        principal,
        prop::bool::weighted(0.1),
        some_of(&["x:a*", "x:ab", "*"], 2),
        resource,
        condition,
    )
        .prop_map(
            |(allow, principal, not_principal, actions, resource, condition)| {
                let mut statement = json!({"Effect": if allow { "Allow" } else { "Deny" }, "Action": actions, "Resource": resource, "Condition": condition});
                statement[if not_principal { "NotPrincipal" } else { "Principal" }] = principal;
                statement
            },
        );
    prop::collection::vec(statement, 1..4)
        .prop_map(|statements| json!({"Version": "2012-10-17", "Statement": statements}))
}

/// Whether the policy alone lets the request through: everybody's own side allows, and the resource is of another account.
fn granted(policy: &Value, caller: &str, action: &str, resource: &str, context: &Value) -> bool {
    let open = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    let question = json!({"id": 1, "principal": caller, "action": action, "resource": resource, "context": context, "identityPolicies": [open], "resourcePolicy": policy});
    naive::decide(&question) == "Allowed"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_new_access_of_a_resource_policy_leaves_no_new_request(reference in small_resource_policy(), candidate in small_resource_policy()) {
        let parse = |policy: &Value| Policy::from_value(policy, PolicyKind::Resource).unwrap();
        let answer = compare(&parse(&reference), &parse(&candidate), Limits::default()).unwrap();
        let mut new = None;
        for caller in CALLERS {
            for action in ["x:a", "x:ab", "x:c"] {
                for name in ["a", "b", "ab", "bb", "c"] {
                    for context in [json!({}), json!({"k:t": "a"}), json!({"k:t": "b"})] {
                        let resource = format!("arn:aws:x::999999999999:{name}");
                        if granted(&candidate, caller, action, &resource, &context) && !granted(&reference, caller, action, &resource, &context) {
                            new = Some((caller, action, resource, context));
                        }
                    }
                }
            }
        }
        match (&answer, &new) {
            (Comparison::NoNewAccess, None) | (Comparison::NewAccess(_), _) => {}
            other => prop_assert!(false, "{reference} {candidate}: {other:?}"),
        }
    }

    #[test]
    fn a_proof_over_all_layers_leaves_no_request_that_is_allowed(own in small_policy(), boundary in prop::option::of(small_policy()), scp in prop::option::of(small_policy()), session in prop::option::weighted(0.3, small_policy()), given in prop::option::of(small_resource_policy()), role in any::<bool>()) {
        let identity = |policy: &Value| PolicySet::from(Policy::from_value(policy, PolicyKind::Identity).unwrap());
        let caller = if role { ROLE } else { USER };
        let resource = "arn:aws:x::111122223333:ab";
        let local = given.map(|policy| serde_json::from_str::<Value>(&policy.to_string().replace("999999999999", "111122223333")).unwrap());
        let asker = Asker {
            principal: Arc::new(Principal::parse(caller).unwrap()),
            context: Arc::new(Context::new()),
            identity: identity(&own),
            boundary: boundary.as_ref().map(identity),
            session: session.as_ref().map(identity),
            scps: scp.iter().map(identity).collect(),
        };
        let guarded = local.iter().map(|policy| Guarded {
            arn: resource.to_owned(),
            policy: Some(PolicySet::from(Policy::from_value(policy, PolicyKind::Resource).unwrap())),
            grants: Vec::new(),
        });
        let account = Account { askers: vec![asker], guarded: guarded.collect(), rcps: Vec::new() };
        let question = Question { actions: vec!["x:*".to_owned()], resources: vec![resource.to_owned()], except_resources: Vec::new() };
        let answer = nobody_can(&account, &question, Limits::default()).unwrap().pop().unwrap().1;
        let allowed = ["x:a", "x:ab", "x:b", "x:cc"].into_iter().flat_map(|action| {
            [json!({}), json!({"k:t": "a"}), json!({"k:t": "b"}), json!({"k:t": "ab"}), json!({"k:t": ["a", "b"]}), json!({"k:t": ""})].map(move |context| (action, context))
        }).find(|(action, context)| {
            let question = json!({"id": 1, "principal": caller, "action": action, "resource": resource, "context": context, "identityPolicies": [own],
                "permissionBoundaries": boundary.as_ref().map(|policy| vec![policy.clone()]), "sessionPolicy": session,
                "scps": scp.iter().map(|policy| vec![policy.clone()]).collect::<Vec<_>>(), "resourcePolicy": local});
            naive::decide(&question) == "Allowed"
        });
        match (&answer, &allowed) {
            (Answer::Proved, None) | (Answer::Counterexample(_), _) => {}
            other => prop_assert!(false, "{own} {boundary:?} {scp:?} {session:?} {local:?}: {other:?}"),
        }
    }
}

/// Texts that look alike or fold together must not be proved apart.
#[test]
fn no_character_makes_a_proof_where_a_request_is_allowed() {
    let parse =
        |policy: &Value| PolicySet::from(Policy::from_value(policy, PolicyKind::Identity).unwrap());
    let prove = |policy: &Value, resource: &str| {
        let asker = Asker {
            principal: Arc::new(Principal::parse(USER).unwrap()),
            context: Arc::new(Context::new()),
            identity: parse(policy),
            boundary: None,
            session: None,
            scps: Vec::new(),
        };
        let account = Account {
            askers: vec![asker],
            ..Account::default()
        };
        let question = Question {
            actions: vec!["iam:*".to_owned()],
            resources: vec![resource.to_owned()],
            except_resources: Vec::new(),
        };
        nobody_can(&account, &question, Limits::default())
            .unwrap()
            .pop()
            .unwrap()
            .1
    };
    let printable: Vec<String> = ('\u{20}'..='\u{7e}')
        .map(|own| own.to_string())
        .chain(["\u{e9}".to_owned(), "\u{4e00}".to_owned()])
        .collect();
    let deny_all_known = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"StringLike": {"k:t": "?"}}},
        {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"StringEquals": {"k:t": printable}}}]});
    assert!(matches!(
        prove(&deny_all_known, "arn:aws:iam::111122223333:role/*"),
        Answer::Counterexample(_)
    ));
    let folded = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"StringEqualsIgnoreCase": {"k:t": "\u{c9}k"}}},
        {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"StringEquals": {"k:t": ["\u{c9}k", "\u{e9}k", "\u{e9}K"]}}}]});
    assert!(matches!(
        prove(&folded, "arn:aws:iam::111122223333:role/*"),
        Answer::Counterexample(_)
    ));
    let path = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:iam::111122223333:role/~(x)/*"}});
    assert!(matches!(
        prove(&path, "arn:aws:iam::111122223333:role/*"),
        Answer::Counterexample(_)
    ));
    let large = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"NumericGreaterThan": {"k:n": "100000000000000000"}, "NumericLessThan": {"k:n": "100000000000000002"}}}]});
    assert!(matches!(
        prove(&large, "arn:aws:iam::111122223333:role/*"),
        Answer::Counterexample(_)
    ));
    let moment = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"DateGreaterThan": {"k:d": "2026-01-01T00:00:00Z"}, "DateLessThan": {"k:d": "2026-01-01T00:00:00.5Z"}}}]});
    assert!(matches!(
        prove(&moment, "arn:aws:iam::111122223333:role/*"),
        Answer::Counterexample(_)
    ));
    let nobody = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"StringEqualsIgnoreCase": {"k:t": "k"}}},
        {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"StringEquals": {"k:t": ["k", "K"]}}}]});
    assert_eq!(
        prove(&nobody, "arn:aws:iam::111122223333:role/*"),
        Answer::Proved
    );
}

/// Thousands of services in one policy must not cost their square.
#[test]
fn a_policy_of_many_services_is_compiled_in_bounded_time() {
    let start = Instant::now();
    let actions: Vec<String> = (0..40_000)
        .map(|number| format!("s{number}:Get*"))
        .collect();
    let policy = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": actions, "Resource": "*"}});
    let line = json!({"id": 1, "principal": USER, "action": "s39999:GetThing", "resource": "*", "identityPolicies": [policy]});
    assert_eq!(decision(&line), "Allowed");
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn hostile_text_is_answered_in_bounded_time() {
    let start = Instant::now();
    let deep = "[".repeat(500_000);
    let nested = format!(
        "{}1{}",
        "{\"Condition\":".repeat(200_000),
        "}".repeat(200_000)
    );
    let stars = json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": format!("arn:aws:s3:::{}", "*a".repeat(500_000))}}).to_string();
    let many = json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": vec!["arn:aws:s3:::b/*"; 50_000]}}).to_string();
    let unclosed = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "${".repeat(200_000)}}).to_string();
    let twice = "{\"Statement\": [], \"Statement\": []}".to_owned();
    let huge = " ".repeat(checker_iam::MAX_BYTES + 1);
    let mut refused = 0;
    for text in [&deep, &nested, &stars, &many, &unclosed, &twice, &huge] {
        if Policy::parse(text, PolicyKind::Identity).is_err() {
            refused += 1;
        }
        let line = format!(
            "{{\"id\":1,\"principal\":\"{USER}\",\"action\":\"s3:GetObject\",\"resource\":\"arn:aws:s3:::{}\",\"identityPolicies\":[{text}]}}",
            "a".repeat(2000)
        );
        assert!(decide_line(&line).starts_with('{'));
    }
    assert_eq!(refused, 4);
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn errors_name_their_place() {
    for (text, message) in [
        (
            "{\"Statement\": [\n {\"Effect\": \"allow\", \"Action\": \"*\", \"Resource\": \"*\"}]}",
            "the effect must be `Allow` or `Deny` at `Statement[0].Effect`, line 2 column 13",
        ),
        (
            "{\"Statement\": []",
            "EOF while parsing an object at line 1 column 16",
        ),
        (
            "{\"Statement\": {\"Effect\": \"Allow\", \"Effect\": \"Deny\"}}",
            "member `Effect` appears twice at line 1 column 42",
        ),
        (
            "{\"Statement\": {\"Effect\": \"Allow\", \"Action\": \"*\"}}",
            "the element `Resource` is missing at `Statement`, line 1 column 15",
        ),
        (
            "{\"Statement\": {\"Effect\": \"Allow\", \"Action\": [], \"Resource\": \"*\"}}",
            "the list is empty at `Statement.Action`, line 1 column 45",
        ),
        (
            "{\"Version\": \"2012\", \"Statement\": []}",
            "the version must be `2012-10-17` or `2008-10-17` at `Version`, line 1 column 13",
        ),
    ] {
        assert_eq!(
            Policy::parse(text, PolicyKind::Identity)
                .unwrap_err()
                .to_string(),
            message
        );
    }
}
