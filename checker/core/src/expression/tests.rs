#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::too_many_lines,
    reason = "tests, most of them tables"
)]

mod errors;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::types::{Known, Typed as _};
use super::{Bindings, Expression, ExpressionError, Scope, Template, with_deep_stack};
use crate::duration::Duration;

crate::choices! {
    /// The state of a key.
    pub(crate) enum State {
        /// Usable.
        Enabled = "Enabled",
        /// Waiting to be deleted.
        PendingDeletion = "PendingDeletion",
    }
}

crate::facts! {
    /// How a secret rotates.
    pub(crate) struct Rotation {
        /// Whether it is on.
        pub(crate) enabled: bool,
        /// The longest time between two rotations.
        pub(crate) longest_gap: Option<Duration>,
        /// When the next one is due.
        pub(crate) next_due: Option<DateTime<Utc>>,
    }
    /// One version.
    pub(crate) struct Version {
        /// Its labels.
        pub(crate) stages: Vec<String>,
        /// Its age.
        pub(crate) age: Known<Duration>,
    }
    /// A secret.
    pub(crate) struct Secret {
        /// Its name.
        pub(crate) name: String,
        /// Its key's state.
        pub(crate) state: State,
        /// How often it was read.
        pub(crate) reads: i64,
        /// Its tags.
        pub(crate) tags: BTreeMap<String, String>,
        /// Its versions.
        pub(crate) versions: Vec<Version>,
        /// Its rotation.
        pub(crate) rotation: Rotation,
        /// Who may read it.
        pub(crate) readers: Known<Vec<String>>,
        /// The policy's text.
        pub(crate) policy: Option<String>,
    }
    /// Parameters.
    pub(crate) struct Params {
        /// The ceiling.
        pub(crate) max_age: Duration,
        /// A list.
        pub(crate) regions: Vec<String>,
    }
}

fn scope() -> Scope {
    Scope::new()
        .with("secret", Secret::ty())
        .with("params", Params::ty())
        .with("now", DateTime::<Utc>::ty())
}

fn now() -> DateTime<Utc> {
    "2026-01-31T00:00:00Z".parse().unwrap()
}

fn secret() -> Secret {
    Secret {
        name: "bank-platform/probe".to_owned(),
        state: State::Enabled,
        reads: 3,
        tags: BTreeMap::from([("owner".to_owned(), "aml".to_owned())]),
        versions: vec![
            Version {
                stages: vec!["AWSCURRENT".to_owned()],
                age: Known::Known(Duration::days(91).unwrap()),
            },
            Version {
                stages: vec![],
                age: Known::Known(Duration::days(3).unwrap()),
            },
        ],
        rotation: Rotation {
            enabled: true,
            longest_gap: Duration::days(91),
            next_due: Some(now() + TimeDelta::days(1)),
        },
        readers: Known::Known(vec!["role/a".to_owned()]),
        policy: None,
    }
}

fn bindings(secret: &Secret) -> Bindings {
    let mut bindings = Bindings::new();
    bindings.bind("secret", secret);
    bindings.bind(
        "params",
        &Params {
            max_age: Duration::days(90).unwrap(),
            regions: vec!["eu-west-1".to_owned()],
        },
    );
    bindings.bind("now", &now());
    bindings
}

fn outcome(text: &str, secret: &Secret) -> Result<bool, String> {
    let expression =
        Expression::compile(text, &scope()).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
    expression
        .evaluate(&bindings(secret))
        .map_err(|error| error.to_string())
}

#[test]
fn conditions_hold_or_not() {
    for (text, holds) in [
        ("secret.rotation.enabled", true),
        ("secret.rotation.longest_gap <= params.max_age", false),
        (
            "secret.rotation.longest_gap <= params.max_age + days(1)",
            true,
        ),
        ("secret.rotation.longest_gap == days(91)", true),
        ("secret.rotation.longest_gap == hours(91 * 24)", true),
        ("secret.rotation.next_due > now", true),
        ("secret.rotation.next_due - now == days(1)", true),
        ("now >= timestamp('2026-01-31T00:00:00Z')", true),
        ("now.getFullYear() == 2026", true),
        ("secret.state == 'Enabled'", true),
        ("secret.state in ['PendingDeletion']", false),
        ("secret.policy == null", true),
        (
            "secret.rotation.longest_gap != null && secret.reads > 2",
            true,
        ),
        ("has(secret.tags.owner) && secret.tags.owner == 'aml'", true),
        ("has(secret.tags.tenant)", false),
        (
            "'owner' in secret.tags && secret.tags['owner'] == 'aml'",
            true,
        ),
        ("secret.tags.size() == 1 && size(secret.name) == 19", true),
        ("secret.versions.all(v, v.age <= params.max_age)", false),
        ("secret.versions.exists(v, 'AWSCURRENT' in v.stages)", true),
        (
            "secret.versions.filter(v, v.age > days(90)).size() == 1",
            true,
        ),
        (
            "secret.versions.map(v, v.age).exists(a, a == days(3))",
            true,
        ),
        (
            "secret.versions.map(v, v.age < days(90), v.stages).size() == 1",
            true,
        ),
        ("secret.versions.exists_one(v, v.stages.size() == 0)", true),
        ("secret.versions[1].age == days(3)", true),
        ("secret.tags.all(key, key != 'secret')", true),
        (
            "secret.name.startsWith('bank-') && secret.name.matches('^bank-[a-z]+/probe$')",
            true,
        ),
        ("secret.name.matches('^probe')", false),
        (
            "secret.reads * 2 - 1 == 5 ? !secret.rotation.enabled : true",
            false,
        ),
        (
            "(secret.policy == null ? 'none' : secret.policy) == 'none'",
            true,
        ),
        ("secret.reads > 2.5", true),
    ] {
        assert_eq!(outcome(text, &secret()), Ok(holds), "{text}");
    }
}

#[test]
fn what_has_no_value_is_neither_true_nor_false() {
    let mut poor = secret();
    poor.rotation.longest_gap = None;
    poor.readers = Known::Unknown("AccessDenied on GetResourcePolicy".to_owned());
    poor.versions.push(Version {
        stages: vec![],
        age: Known::Unknown("ListSecretVersionIds was throttled".to_owned()),
    });
    for (text, expected) in [
        (
            "secret.rotation.longest_gap <= params.max_age",
            Err("`secret.rotation.longest_gap` can't be evaluated: it has no value"),
        ),
        // Known to be absent: the guard decides.
        (
            "secret.rotation.longest_gap != null && secret.rotation.longest_gap <= params.max_age",
            Ok(false),
        ),
        // Unknown is not absent: neither equal nor unequal nor empty.
        (
            "secret.readers.size() == 0",
            Err("`secret.readers` can't be evaluated: AccessDenied on GetResourcePolicy"),
        ),
        (
            "secret.readers == ['x']",
            Err("`secret.readers` can't be evaluated: AccessDenied on GetResourcePolicy"),
        ),
        (
            "secret.readers != ['x']",
            Err("`secret.readers` can't be evaluated: AccessDenied on GetResourcePolicy"),
        ),
        (
            "secret.readers.all(r, r != 'x')",
            Err("`secret.readers` can't be evaluated: AccessDenied on GetResourcePolicy"),
        ),
        // A part that decides by itself does.
        ("secret.readers.size() == 0 && secret.reads == 4", Ok(false)),
        ("secret.readers.size() == 0 || secret.reads == 3", Ok(true)),
        (
            "secret.readers.size() == 0 || secret.reads == 4",
            Err("`secret.readers` can't be evaluated: AccessDenied on GetResourcePolicy"),
        ),
        (
            "secret.versions.all(v, v.age <= days(100))",
            Err("`secret.versions[2].age` can't be evaluated: ListSecretVersionIds was throttled"),
        ),
        (
            "secret.versions.filter(v, v.age > days(100)).size() == 0",
            Err("`secret.versions[2].age` can't be evaluated: ListSecretVersionIds was throttled"),
        ),
        (
            "secret.versions.map(v, v.age).size() == 3",
            Err("`secret.versions[2].age` can't be evaluated: ListSecretVersionIds was throttled"),
        ),
        (
            "secret.versions.exists_one(v, v.age > days(90))",
            Err("`secret.versions[2].age` can't be evaluated: ListSecretVersionIds was throttled"),
        ),
        (
            "!secret.versions.exists(v, v.age > days(100))",
            Err("`secret.versions[2].age` can't be evaluated: ListSecretVersionIds was throttled"),
        ),
        ("secret.versions.exists(v, v.age > days(90))", Ok(true)),
        ("secret.versions.all(v, v.age <= days(90))", Ok(false)),
        (
            "secret.tags.tenant == 'a'",
            Err("`secret.tags['tenant']` can't be evaluated: there is no `tenant`"),
        ),
        (
            "secret.versions[7].age == days(1)",
            Err("`secret.versions[7].age` can't be evaluated: the list is shorter than that"),
        ),
        (
            "1 / (secret.reads - 3) == 1",
            Err("`/ (secret.reads - 3) == 1` can't be evaluated: division by zero"),
        ),
        (
            "days(secret.reads * 1000000) == days(1)",
            Err(
                "`(secret.reads * 1000000) == days(1)` can't be evaluated: `days` is beyond what a duration can hold",
            ),
        ),
    ] {
        assert_eq!(
            outcome(text, &poor),
            expected.map_err(str::to_owned),
            "{text}"
        );
    }
    let unbound = Expression::compile("secret.reads == 3", &scope())
        .unwrap()
        .evaluate(&Bindings::new())
        .unwrap_err();
    assert_eq!(
        unbound.to_string(),
        "`secret.reads` can't be evaluated: `secret` was not given"
    );
}

fn shown(error: &ExpressionError) -> String {
    let mut text = error.to_string();
    if let Some(help) = &error.help {
        write!(text, " ({help})").unwrap();
    }
    text
}

#[test]
fn the_paths_that_are_read_are_known_and_explained() {
    let expression = Expression::compile(
        "secret.rotation.longest_gap <= params.max_age && secret.versions.all(v, v.age < days(1)) && has(secret.tags.owner) && secret.tags['a'] == secret.name && 'x' in params.regions",
        &scope(),
    )
    .unwrap();
    let reads: Vec<String> = expression.reads().iter().map(ToString::to_string).collect();
    assert_eq!(
        reads,
        [
            "params.max_age",
            "params.regions",
            "secret.name",
            "secret.rotation.longest_gap",
            "secret.tags",
            "secret.tags['a']",
            "secret.versions",
            "secret.versions[].age",
        ]
    );
    assert_eq!(
        expression.reads().last().unwrap().fields(),
        ["versions", "age"]
    );
    let explained: Vec<String> = expression
        .explain(&bindings(&secret()))
        .map(|(path, value)| format!("{path} = {value}"))
        .collect();
    assert_eq!(
        explained,
        [
            "params.max_age = 90d",
            "params.regions = eu-west-1",
            "secret.name = bank-platform/probe",
            "secret.rotation.longest_gap = 91d",
            "secret.tags = owner=aml",
            "secret.tags['a'] = (unknown)",
            "secret.versions[].age = 91d, 3d",
        ]
    );
}

#[test]
fn sentences_are_checked_and_filled_in() {
    let template = Template::compile("{secret.name} rotates every {secret.rotation.longest_gap} {{at {now}}}, {secret.policy}, {secret.tags.owner}", &scope()).unwrap();
    assert_eq!(
        template.render(&bindings(&secret())),
        "bank-platform/probe rotates every 91d {at 2026-01-31T00:00:00Z}, none, aml"
    );
    assert_eq!(template.reads().count(), 5);
    let mut poor = secret();
    poor.readers = Known::Unknown("AccessDenied".to_owned());
    let readers = Template::compile("{secret.readers}", &scope()).unwrap();
    assert_eq!(readers.render(&bindings(&secret())), "role/a");
    assert_eq!(readers.render(&bindings(&poor)), "(unknown)");
    for (text, at, message) in [
        (
            "{secret.nam}",
            8,
            "`secret` has no field `nam` (did you mean `name`?)",
        ),
        (
            "a {sekret.name}",
            3,
            "unknown name `sekret` (did you mean `secret`?)",
        ),
        (
            "{}",
            1,
            "empty placeholder (known are `now`, `params`, `secret`)",
        ),
        (
            "{secret.rotation}",
            1,
            "`secret.rotation` is more than one value (known are `enabled`, `longest_gap`, `next_due`)",
        ),
        (
            "{secret.name.first}",
            13,
            "`secret.name` (text) has no fields",
        ),
        (
            "é {secret.name",
            3,
            "`{` without its partner (write `{{` for the character itself)",
        ),
        (
            "secret.name}",
            11,
            "`}` without its partner (write `}}` for the character itself)",
        ),
    ] {
        let errors = Template::compile(text, &scope()).expect_err(text);
        let first = errors.first().unwrap();
        assert_eq!(
            (shown(first).as_str(), first.offset),
            (message, at),
            "{text}"
        );
    }
}

#[test]
fn expressions_are_shared_between_threads() {
    fn shareable<T: Send + Sync>(_: &T) {}
    let expression = Expression::compile("secret.reads == 3", &scope()).unwrap();
    shareable(&expression);
    shareable(&Template::compile("x", &scope()).unwrap());
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                with_deep_stack(|| assert_eq!(expression.evaluate(&bindings(&secret())), Ok(true)));
            });
        }
    });
}

proptest! {
    /// Any heap of tokens is a condition or has errors inside of the text; what is a condition has an outcome.
    #[test]
    fn any_heap_of_tokens_is_a_condition_or_has_errors(
        tokens in prop::collection::vec(
            prop::sample::select(vec![
                "secret", ".", "rotation", "versions", "tags", "enabled", "name", "[", "]", "(", ")", "{", "}", "==", "!=", "<=", "in", "&&",
                "||", "!", "-", "+", "/", "%", "*", "?", ":", ",", "0", "1", "9223372036854775807", "1.5", "1e400", "3u", "0x", "'a'", "\"b\"",
                "r'\\d'", "b'a'", "'\\x'", "'''", "null", "true", "has", "all", "exists", "map", "filter", "x", "size", "matches", "days",
                "timestamp", "'2026-01-31T00:00:00Z'", "now", "params", "é", "😀", "\n", "\t", "//", "`", "@", "\u{0}", " ", ".?", "[?", "optional",
            ]),
            0..24,
        ),
        glue in prop::sample::select(vec!["", " "]),
    ) {
        let text = tokens.join(glue);
        match Expression::compile(&text, &scope()) {
            Ok(expression) => {
                let first = expression.evaluate(&bindings(&secret()));
                prop_assert_eq!(first, expression.evaluate(&bindings(&secret())));
            }
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                for error in errors {
                    prop_assert!(text.is_char_boundary(error.offset), "{:?} in {:?}", error, text);
                }
            }
        }
    }

    /// The static check is right: with everything known and nothing absent, a condition without errors has an
    /// outcome, unless it overflows.
    #[test]
    fn a_condition_without_errors_has_an_outcome(
        left in operand(), operator in prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">=", "in"]), right in operand(),
    ) {
        let text = format!("{left} {operator} {right}");
        if let Ok(expression) = Expression::compile(&text, &scope()) {
            let mut rich = secret();
            rich.policy = Some("{}".to_owned());
            let outcome = expression.evaluate(&bindings(&rich));
            let overflows = outcome.as_ref().is_err_and(|error| error.message.contains("too large"));
            prop_assert!(outcome.is_ok() || overflows, "{}: {:?}", text, outcome);
        }
    }
}

fn operand() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "secret.name",
        "secret.state",
        "secret.reads",
        "secret.rotation.enabled",
        "secret.rotation.longest_gap",
        "secret.rotation.next_due",
        "secret.versions",
        "secret.versions[0].stages",
        "secret.versions[0].age",
        "secret.tags",
        "secret.tags.owner",
        "secret.readers",
        "secret.policy",
        "params.max_age",
        "params.regions",
        "now",
        "1",
        "2.5",
        "'a'",
        "'Enabled'",
        "true",
        "null",
        "days(3)",
        "[]",
        "['a']",
        "[days(1)]",
        "timestamp('2026-01-31T00:00:00Z')",
        "secret.versions.map(v, v.age)",
        "secret.versions.filter(v, v.age > days(5))",
        "secret.versions.all(v, v.age > days(5))",
        "secret.name.size()",
        "secret.tags.size()",
        "{'a': 1}",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            (
                inner.clone(),
                prop::sample::select(vec!["+", "-", "*"]),
                inner.clone()
            )
                .prop_map(|(l, o, r)| format!("({l} {o} {r})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(c, l, r)| format!("({c} ? {l} : {r})")),
            inner.clone().prop_map(|item| format!("[{item}]")),
            inner.prop_map(|item| format!("size({item})")),
        ]
    })
}

/// Prints the cost of judging; the bound is loose, since debug builds are slow and machines differ.
#[test]
fn judging_is_fast() {
    let rules: Vec<Expression> = [
        "secret.rotation.enabled",
        "secret.rotation.longest_gap <= params.max_age",
        "secret.rotation.next_due > now",
        "secret.name.matches('^bank-[a-z]+/')",
        "secret.versions.all(v, v.age <= params.max_age)",
    ]
    .iter()
    .map(|text| Expression::compile(text, &scope()).unwrap())
    .collect();
    let (secret, count) = (secret(), 1000);
    let started = Instant::now();
    let held = with_deep_stack(|| {
        (0..count)
            .map(|_| {
                let bindings = bindings(&secret);
                rules
                    .iter()
                    .filter(|rule| rule.evaluate(&bindings) == Ok(true))
                    .count()
            })
            .sum::<usize>()
    });
    let elapsed = started.elapsed();
    eprintln!("{count} subjects, {} rules: {elapsed:?}", rules.len());
    assert_eq!(held, 3 * count);
    assert!(elapsed.as_secs() < 10, "{elapsed:?}");
}
