//! Measures the engine and prints the figures beside those it is compared with.
//!
//! `cargo run --release -p checker-iam --example bench [-- POLICIES.json]`, where the optional file holds an object
//! of policy names to documents (AWS's managed policies, for example). One thread. Rates and totals are CPU time where the
//! kernel tells it, so that other work on the machine does not count; single answers are the best of three wall times.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a benchmark prints, and stops where it can't go on"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use checker_iam::proof::{
    Account, Answer, Asker, Comparison, Limits, Question, compare, nobody_can,
};
use checker_iam::{
    Action, Context, Layers, Policy, PolicyKind, PolicySet, Principal, Request, Resource, batch,
    decide,
};

fn main() {
    decisions();
    no_new_access();
    account();
    if let Some(path) = std::env::args().nth(1) {
        managed(&path);
        neighbours(&path);
    }
}

/// One caller, ten policies, 10,000 pairs of action and resource.
fn decisions() {
    let set = PolicySet::new(
        (0..10)
            .map(workload_policy)
            .map(|policy| Policy::from_value(&policy, PolicyKind::Identity).unwrap())
            .collect(),
    );
    let layers = Layers {
        identity: set,
        ..Layers::default()
    };
    let principal = Arc::new(Principal::parse("arn:aws:iam::111122223333:user/dev").unwrap());
    let context = Context::new()
        .with("aws:RequestedRegion", ["eu-west-2"])
        .with("aws:SourceIp", ["10.1.2.3"])
        .with("aws:MultiFactorAuthPresent", ["true"])
        .with("aws:PrincipalTag/team", ["payments"])
        .with("aws:SecureTransport", ["true"])
        .with("aws:CurrentTime", ["2026-06-01T00:00:00Z"]);
    let context = Arc::new(context);
    let actions = [
        "GetSecretValue",
        "PutSecretValue",
        "DescribeSecret",
        "DeleteSecret",
        "CreateSecret",
    ]
    .map(|name| format!("secretsmanager:{name}"));
    let others = [
        "s3:GetObject",
        "s3:PutObject",
        "kms:Decrypt",
        "sqs:SendMessage",
        "dynamodb:GetItem",
    ]
    .map(str::to_owned);
    let mut requests = Vec::new();
    for number in 0..1000 {
        for action in actions.iter().chain(&others) {
            let service = action.split(':').next().unwrap();
            let resource = format!(
                "arn:aws:{service}:eu-west-2:111122223333:secret:bank-{number}/part-AbCdEf"
            );
            let request = Request::new(
                Arc::clone(&principal),
                Action::new(action).unwrap(),
                Resource::new(&resource),
            );
            requests.push(request.in_context(Arc::clone(&context)));
        }
    }
    let (mut rounds, mut allowed) = (0_u32, 0_usize);
    let (start, before) = (Instant::now(), cpu());
    while start.elapsed() < Duration::from_secs(3) {
        allowed = requests
            .iter()
            .filter(|request| decide(request, &layers).is_allowed())
            .count();
        rounds += 1;
    }
    let (wall, spent) = (start.elapsed(), since(before, start));
    let rate = |time: Duration| f64::from(rounds) * requests.len() as f64 / time.as_secs_f64();
    println!(
        "decisions: {:.0}/s of CPU time ({:.0}/s of wall time) over {} pairs ({allowed} allowed); must be above 1,000,000/s; best permissive crate 100,000/s, best JavaScript engine 1,200/s",
        rate(spent),
        rate(wall),
        requests.len()
    );
}

fn workload_policy(number: usize) -> Value {
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["secretsmanager:Get*", "secretsmanager:DescribeSecret"], "Resource": format!("arn:aws:secretsmanager:*:111122223333:secret:bank-{number}*")},
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": [format!("arn:aws:s3:::bucket-{number}/*"), "arn:aws:s3:eu-west-2:*:secret:bank-9*"],
         "Condition": {"StringEquals": {"aws:RequestedRegion": "eu-west-2"}, "Bool": {"aws:SecureTransport": "true"}}},
        {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "arn:aws:dynamodb:*:*:secret:${aws:PrincipalTag/team}/*"},
        {"Effect": "Deny", "Action": ["secretsmanager:Put*", "secretsmanager:Delete*"], "NotResource": format!("arn:aws:secretsmanager:eu-west-2:111122223333:secret:bank-{number}??/*")},
        {"Effect": "Deny", "NotAction": ["iam:*", "secretsmanager:*", "s3:*", "sqs:*", "dynamodb:*", "kms:*"], "Resource": "*", "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}},
    ]})
}

/// AWS's published no-new-access samples.
fn no_new_access() {
    let mut times = Vec::new();
    for line in include_str!("../tests/data/no-new-access.jsonl").lines() {
        let (answer, taken) = best_of_three(|| batch::compare_line(line));
        times.push(taken);
        assert!(!answer.contains("\"unknown\""), "{answer}");
    }
    println!(
        "no-new-access, parsing included: {}; must be p50 below 2 ms, p99 below 20 ms; prototype p50 20 ms, p99 212 ms",
        spread(&mut times)
    );
}

/// 500 roles with three policies each, asked who can change a secret outside the namespace.
fn account() {
    let guardrail = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": ["secretsmanager:Put*", "secretsmanager:Update*", "secretsmanager:Delete*", "secretsmanager:CreateSecret"],
         "NotResource": "arn:aws:secretsmanager:*:111122223333:secret:bank-*-??????"}]});
    let scp = PolicySet::from(Policy::from_value(&guardrail, PolicyKind::Identity).unwrap());
    let start = Instant::now();
    let askers = (0..500_usize).map(|role| {
        let policies = [
            json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": ["secretsmanager:*"], "Resource": format!("arn:aws:secretsmanager:*:111122223333:secret:team-{role}/*")}}),
            json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*", "sqs:*", "logs:*"], "Resource": "*"},
                {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*"], "Resource": format!("arn:aws:*:*:111122223333:*{role}*"),
                 "Condition": {"StringEquals": {"aws:PrincipalTag/team": format!("team-{role}")}, "Bool": {"aws:MultiFactorAuthPresent": "true"}}}]}),
            json!({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "secretsmanager:*", "Resource": format!("arn:aws:secretsmanager:*:*:secret:locked-{role}-*")}}),
        ];
        Asker {
            principal: Arc::new(Principal::parse(&format!("arn:aws:iam::111122223333:role/app-{role}")).unwrap()),
            context: Arc::new(Context::new()),
            identity: PolicySet::new(policies.iter().map(|policy| Policy::from_value(policy, PolicyKind::Identity).unwrap()).collect()),
            boundary: None,
            session: None,
            scps: vec![scp.clone()],
        }
    });
    let account = Account {
        askers: askers.collect(),
        ..Account::default()
    };
    let parsed = start.elapsed();
    let question = Question {
        actions: [
            "PutSecretValue",
            "UpdateSecret",
            "DeleteSecret",
            "CreateSecret",
        ]
        .map(|name| format!("secretsmanager:{name}"))
        .to_vec(),
        resources: vec!["arn:aws:secretsmanager:*:111122223333:secret:*".to_owned()],
        except_resources: vec![
            "arn:aws:secretsmanager:*:111122223333:secret:bank-*-??????".to_owned(),
        ],
    };
    let (start, before) = (Instant::now(), cpu());
    let answers = nobody_can(&account, &question, Limits::default()).unwrap();
    let spent = since(before, start);
    let proved = answers
        .iter()
        .filter(|(_, answer)| *answer == Answer::Proved)
        .count();
    println!(
        "500 roles, 1,500 policies, nobody-can: {proved} proved in {spent:?} of CPU time (parsing {parsed:?} of wall time); must be below 2 s"
    );
    let example = answers.iter().find(|(_, answer)| *answer != Answer::Proved);
    if let Some((principal, answer)) = example {
        println!("  first not proved: {} {answer:?}", principal.as_str());
    }
}

/// "Can this policy read a secret?" for every policy of a file.
fn managed(path: &str) {
    let policies: serde_json::Map<String, Value> =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let question = Question {
        actions: vec![
            "secretsmanager:GetSecretValue".to_owned(),
            "secretsmanager:BatchGetSecretValue".to_owned(),
        ],
        resources: vec!["arn:aws:secretsmanager:*:*:secret:*".to_owned()],
        except_resources: Vec::new(),
    };
    let (mut times, mut counts) = (Vec::new(), [0_usize; 4]);
    let mut slowest = (Duration::ZERO, String::new());
    for (name, document) in &policies {
        let policy = Policy::from_value(document, PolicyKind::Identity).unwrap_or_else(|error| {
            println!("  {name}: {error}");
            Policy::parse("{\"Statement\": []}", PolicyKind::Identity).unwrap()
        });
        let asker = Asker {
            principal: Arc::new(Principal::parse("arn:aws:iam::111122223333:role/any").unwrap()),
            context: Arc::default(),
            identity: PolicySet::from(policy),
            boundary: None,
            session: None,
            scps: Vec::new(),
        };
        let account = Account {
            askers: vec![asker],
            ..Account::default()
        };
        let (answers, taken) =
            best_of_three(|| nobody_can(&account, &question, Limits::default()).unwrap());
        times.push(taken);
        if taken > slowest.0 {
            slowest = (taken, name.clone());
        }
        for (_, answer) in answers {
            let place = match answer {
                Answer::Proved => 0,
                Answer::Counterexample(_) => 1,
                Answer::Possible { because, .. } => {
                    println!("  possible: {name}: {because:?}");
                    2
                }
                Answer::Unknown { because } => {
                    println!("  unknown: {name}: {because}");
                    3
                }
            };
            if let Some(count) = counts.get_mut(place) {
                *count += 1;
            }
        }
    }
    let [cannot, can, possible, unknown] = counts;
    println!(
        "managed policies that can read a secret: {can} can, {cannot} can't, {possible} possible, {unknown} unknown of {}; {}; slowest {} ({:?}); must be below 50 ms",
        policies.len(),
        spread(&mut times),
        slowest.1,
        slowest.0
    );
}

/// Every policy of the file compared with itself and with its successor.
fn neighbours(path: &str) {
    let policies: serde_json::Map<String, Value> =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let policies: Vec<(&String, Policy)> = policies
        .iter()
        .filter_map(|(name, document)| {
            Some((
                name,
                Policy::from_value(document, PolicyKind::Identity).ok()?,
            ))
        })
        .collect();
    let (mut times, mut new, mut possible, mut unknown) = (Vec::new(), 0_usize, 0_usize, 0_usize);
    let mut slowest = (Duration::ZERO, String::new());
    for pair in policies.windows(2) {
        let [(name, own), (next_name, next)] = pair else {
            continue;
        };
        for (reference, candidate, label) in [(own, own, "itself"), (own, next, next_name.as_str())]
        {
            let (found, taken) = best_of_three(|| compare(reference, candidate, Limits::default()));
            match found {
                Ok(Comparison::NoNewAccess) => {}
                Ok(Comparison::NewAccess(_)) if label != "itself" => new += 1,
                Ok(Comparison::Unknown { because }) => {
                    println!("  unknown: {name} against {label}: {because}");
                    unknown += 1;
                }
                Ok(Comparison::Possible { .. }) if label != "itself" => possible += 1,
                other => println!("  {name} against {label}: {other:?}"),
            }
            times.push(taken);
            if taken > slowest.0 {
                slowest = (taken, format!("{name} against {label}"));
            }
        }
    }
    println!(
        "managed policies compared with themselves and their successors: {new} new access, {possible} possible, {unknown} unknown; {}; slowest {} ({:?})",
        spread(&mut times),
        slowest.1,
        slowest.0
    );
}

/// The CPU time of this thread so far, where Linux tells it.
fn cpu() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// CPU time since then, otherwise wall time.
fn since(before: Option<Duration>, start: Instant) -> Duration {
    before
        .zip(cpu())
        .and_then(|(before, now)| now.checked_sub(before))
        .filter(|spent| !spent.is_zero())
        .unwrap_or_else(|| start.elapsed())
}

/// The result, and the shortest of three times: what the work takes when nothing interrupts it.
fn best_of_three<T>(mut work: impl FnMut() -> T) -> (T, Duration) {
    let mut timed = || {
        let start = Instant::now();
        let result = work();
        (result, start.elapsed())
    };
    let (result, first) = timed();
    let (_, second) = timed();
    let (_, third) = timed();
    (result, first.min(second).min(third))
}

fn spread(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |share: usize| {
        times
            .get((times.len() * share / 100).min(times.len() - 1))
            .copied()
            .unwrap_or_default()
    };
    format!(
        "p50 {:?}, p99 {:?}, max {:?} over {}",
        at(50),
        at(99),
        at(100),
        times.len()
    )
}
