//! Reach: who can become a reader of a secret, in small estates.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use serde_json::{Value, json};

use checker_iam::proof::{Account, Asker, Guarded, Limits, Question};
use checker_iam::reach::{Carrier, Estate, Goal, Held, Reached, Route, reach};
use checker_iam::{Context, Policy, PolicyKind, PolicySet, Principal};

const DEV: &str = "arn:aws:iam::111122223333:role/dev";
const READER: &str = "arn:aws:iam::111122223333:role/reader";
const MIDDLE: &str = "arn:aws:iam::111122223333:role/middle";
const FUNCTION: &str = "arn:aws:lambda:eu-west-2:111122223333:function:rotate";
const SECRET: &str = "arn:aws:secretsmanager:eu-west-2:111122223333:secret:bank-x-AbCdEf";
const KEY: &str = "arn:aws:kms:eu-west-2:111122223333:key/k";

fn set(policy: &Value, kind: PolicyKind) -> PolicySet {
    PolicySet::from(Policy::from_value(policy, kind).unwrap())
}

fn allow(actions: &[&str], resource: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": actions, "Resource": resource}})
}

fn role(arn: &str, policy: &Value, boundary: Option<&Value>) -> Asker {
    Asker {
        principal: Arc::new(Principal::parse(arn).unwrap()),
        context: Arc::new(Context::new()),
        identity: set(policy, PolicyKind::Identity),
        boundary: boundary.map(|policy| set(policy, PolicyKind::Identity)),
        session: None,
        scps: Vec::new(),
    }
}

fn trust(arn: &str, principal: &Value) -> Guarded {
    let policy = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}});
    Guarded {
        arn: arn.to_owned(),
        policy: Some(set(&policy, PolicyKind::Resource)),
        grants: Vec::new(),
    }
}

/// A reader that the Lambda service may assume, a middle role, and a developer with the given policy.
fn estate(dev: &Value, middle: &Value, boundary: Option<&Value>) -> Estate {
    let reader = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": SECRET},
        {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": KEY}]});
    let key = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:*", "Resource": "*"}});
    let guarded = vec![
        trust(READER, &json!({"Service": "lambda.amazonaws.com"})),
        trust(MIDDLE, &json!({"AWS": DEV})),
        trust(DEV, &json!({"AWS": "444455556666"})),
        Guarded {
            arn: KEY.to_owned(),
            policy: Some(set(&key, PolicyKind::Resource)),
            grants: Vec::new(),
        },
    ];
    Estate {
        account: Account {
            askers: vec![
                role(DEV, dev, boundary),
                role(MIDDLE, middle, None),
                role(READER, &reader, None),
            ],
            guarded,
            rcps: Vec::new(),
        },
        carriers: vec![Carrier {
            arn: FUNCTION.to_owned(),
            service: "lambda".to_owned(),
            role: READER.to_owned(),
        }],
        surveyed: ["lambda".to_owned()].into(),
        held: [DEV, MIDDLE, READER]
            .map(|arn| (arn.to_owned(), Held::default()))
            .into(),
    }
}

fn goal() -> Goal {
    let question = |action: &str, resource: &str| Question {
        actions: vec![action.to_owned()],
        resources: vec![resource.to_owned()],
        except_resources: Vec::new(),
    };
    Goal {
        alternatives: vec![vec![
            question("secretsmanager:GetSecretValue", SECRET).into(),
            question("kms:Decrypt", KEY).into(),
        ]],
    }
}

fn ask(estate: &Estate) -> Reached {
    reach(estate, DEV, &goal(), Limits::default()).unwrap()
}

fn route(reached: Reached) -> Route {
    let Reached::Yes(route) = reached else {
        panic!("expected a route, got {reached:?}");
    };
    route
}

fn paths(route: &Route) -> Vec<&str> {
    route.steps.iter().map(|step| step.path.as_str()).collect()
}

#[test]
fn a_developer_without_a_way_stays_where_it_is() {
    let nothing = allow(&["s3:*"], "*");
    assert_eq!(
        ask(&estate(&nothing, &nothing, None)),
        Reached::Nowhere {
            closure: vec![DEV.to_owned(), MIDDLE.to_owned()]
        }
    );
}

#[test]
fn reading_without_the_key_is_not_reading() {
    let only_secret = allow(&["secretsmanager:GetSecretValue"], SECRET);
    assert!(matches!(
        ask(&estate(&only_secret, &allow(&["s3:*"], "*"), None)),
        Reached::Nowhere { .. }
    ));
    let both = allow(&["secretsmanager:GetSecretValue", "kms:Decrypt"], "*");
    assert_eq!(
        paths(&route(ask(&estate(&both, &both, None)))),
        Vec::<&str>::new()
    );
}

#[test]
fn the_code_of_a_readers_function_is_a_way() {
    let dev = allow(
        &["lambda:UpdateFunctionCode"],
        "arn:aws:lambda:*:*:function:*",
    );
    let found = route(ask(&estate(&dev, &allow(&["s3:*"], "*"), None)));
    assert_eq!(paths(&found), ["lambda-003"]);
    assert!(found.words().concat().contains("lambda:UpdateFunctionCode"));
    let elsewhere = allow(
        &["lambda:UpdateFunctionCode"],
        "arn:aws:lambda:*:*:function:other",
    );
    assert!(matches!(
        ask(&estate(&elsewhere, &allow(&["s3:*"], "*"), None)),
        Reached::Nowhere { .. }
    ));
}

#[test]
fn passing_the_readers_role_needs_a_service_that_it_trusts() {
    let pass = |actions: &[&'static str]| [&["iam:PassRole"], actions].concat();
    let lambda = allow(
        &pass(&["lambda:CreateFunction", "lambda:InvokeFunction"]),
        "*",
    );
    assert_eq!(
        paths(&route(ask(&estate(&lambda, &allow(&["s3:*"], "*"), None)))),
        ["lambda-001"]
    );
    let machines = allow(&pass(&["ec2:RunInstances"]), "*");
    assert!(matches!(
        ask(&estate(&machines, &allow(&["s3:*"], "*"), None)),
        Reached::Nowhere { .. }
    ));
}

#[test]
fn steps_are_chained_over_roles() {
    let middle = allow(&["iam:UpdateAssumeRolePolicy"], READER);
    let found = route(ask(&estate(&allow(&["s3:*"], "*"), &middle, None)));
    assert_eq!(paths(&found), ["sts-001", "iam-012"]);
    assert_eq!(
        found.steps.first().map(|step| step.to.as_str()),
        Some(MIDDLE)
    );
}

#[test]
fn rewriting_ones_own_policy_is_stopped_by_a_boundary_only_while_it_stands() {
    let dev = allow(&["iam:PutRolePolicy"], DEV);
    let found = route(ask(&estate(&dev, &allow(&["s3:*"], "*"), None)));
    assert_eq!(paths(&found), ["iam-005"]);
    let boundary = allow(&["s3:*", "iam:PutRolePolicy"], "*");
    assert!(matches!(
        ask(&estate(&dev, &allow(&["s3:*"], "*"), Some(&boundary))),
        Reached::Nowhere { .. }
    ));
    let dev = allow(
        &["iam:PutRolePolicy", "iam:DeleteRolePermissionsBoundary"],
        DEV,
    );
    let loose = allow(&["s3:*", "iam:*"], "*");
    let found = route(ask(&estate(&dev, &allow(&["s3:*"], "*"), Some(&loose))));
    assert!(found.is_certain());
}

#[test]
fn an_unknown_trust_policy_leaves_a_possibility() {
    let mut unknown = estate(
        &allow(&["sts:AssumeRole"], "*"),
        &allow(&["s3:*"], "*"),
        None,
    );
    unknown
        .account
        .guarded
        .retain(|guarded| guarded.arn != READER);
    let reached = ask(&unknown);
    assert!(
        matches!(&reached, Reached::Possibly(route) if !route.is_certain()),
        "{reached:?}"
    );
}
