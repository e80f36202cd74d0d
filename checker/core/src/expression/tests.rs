#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::too_many_lines,
    reason = "tests, most of them tables"
)]

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

#[test]
fn errors_are_found_when_a_condition_is_loaded() {
    for (text, at, message) in [
        (
            "",
            0,
            "empty condition (write `true` for a rule that always holds)",
        ),
        (
            "secret.rotation.longst_gap <= days(1)",
            16,
            "`secret.rotation` has no field `longst_gap` (did you mean `longest_gap`?)",
        ),
        (
            "secret.rotation.enabled && parms.max_age > days(1)",
            27,
            "unknown name `parms` (did you mean `params`?)",
        ),
        (
            "zebra",
            0,
            "unknown name `zebra` (known are `now`, `params`, `secret`)",
        ),
        (
            "secret.rotation.longest_gap == 90",
            28,
            "`secret.rotation.longest_gap` (duration or null) is never equal to int (write `days(90)`, `hours(90)`, `minutes(90)` or `seconds(90)`)",
        ),
        (
            "secret.rotation.longest_gap <= '90d'",
            28,
            "`secret.rotation.longest_gap` (duration or null) can't be compared with text (write a length of time as `days(90)`, `hours(12)`, `minutes(10)` or `seconds(30)`)",
        ),
        (
            "secret.name == 1",
            12,
            "`secret.name` (text) is never equal to int",
        ),
        (
            "secret.name == null",
            12,
            "`secret.name` (text) is never null",
        ),
        (
            "secret.state == 'enabled'",
            16,
            "`secret.state` is never `enabled` (did you mean `Enabled`?)",
        ),
        (
            "secret.state in ['Enabled', 'Disabled']",
            28,
            "`secret.state` is never `Disabled` (known are `Enabled`, `PendingDeletion`)",
        ),
        (
            "secret.state < 'Enabled'",
            13,
            "`secret.state` (one of Enabled, PendingDeletion) has no order",
        ),
        (
            "secret.rotation",
            0,
            "a condition is true or false, this is Rotation",
        ),
        (
            "secret.name",
            0,
            "a condition is true or false, this is text",
        ),
        (
            "secret.rotation == secret.rotation",
            16,
            "objects can't be compared as a whole (compare their fields)",
        ),
        (
            "secret.reads && true",
            6,
            "expected true or false, found `secret.reads` (int)",
        ),
        (
            "secret.reads + '1' == '1'",
            13,
            "`+` can't take `secret.reads` (int) and text",
        ),
        (
            "secret.name.matches('(')",
            20,
            "`(` is no regular expression: unclosed group",
        ),
        (
            "secret.name.matches(secret.name)",
            26,
            "`matches` takes a regular expression in quotes",
        ),
        (
            "secret.name.startWith('a')",
            12,
            "unknown function `startWith` (did you mean `startsWith`?)",
        ),
        (
            "duration('90d') == days(90)",
            0,
            "unknown function `duration` (write `days(90)`, `hours(12)`, `minutes(10)` or `seconds(30)`)",
        ),
        (
            "90.days() == days(90)",
            3,
            "unknown function `days` (call it by itself: `days(..)`)",
        ),
        (
            "startsWith(secret.name, 'a')",
            0,
            "unknown function `startsWith` (call it on a value: `value.startsWith(..)`)",
        ),
        ("days('90') == days(90)", 5, "`days` takes an int, not text"),
        (
            "days() == days(90)",
            0,
            "`days` takes an int (that many days of 24 hours)",
        ),
        (
            "secret.reads.startsWith('a')",
            13,
            "`startsWith` is for text, not for `secret.reads` (int)",
        ),
        (
            "timestamp('tomorrow') < now",
            10,
            "`tomorrow` is no time (write it like '2026-01-31T00:00:00Z')",
        ),
        (
            "now < '2026-01-01T00:00:00Z'",
            4,
            "`now` (time) can't be compared with text (write `timestamp('2026-01-01T00:00:00Z')`)",
        ),
        (
            "has(secret.policy)",
            11,
            "`has(..)` is for the keys of maps (compare it: `policy != null`)",
        ),
        (
            "has(secret.name)",
            11,
            "`has(..)` is for the keys of maps (`name` is always there)",
        ),
        (
            "secret.versions.age == days(1)",
            16,
            "`secret.versions` (list of Version) has no fields (look at its items: `.all(x, x.age ..)`)",
        ),
        (
            "secret.versions.all(v, v.ages > days(1))",
            25,
            "`secret.versions[]` has no field `ages` (did you mean `age`?)",
        ),
        (
            "secret.versions.all(now, now.age > days(1))",
            19,
            "`now` is already the name of something else (name the variable differently)",
        ),
        (
            "secret.name.all(c, c == 'a')",
            15,
            "`secret.name` (text) is no list and no map",
        ),
        (
            "secret.versions.all(k, v, v.age > days(1))",
            16,
            "unknown function `all` (write `.all(x, ..)` with a variable and a condition)",
        ),
        (
            "secret.versions[0].stages == 3",
            26,
            "`secret.versions[0].stages` (list of text) is never equal to int",
        ),
        (
            "3 in secret.versions[0].stages",
            2,
            "int is never in a list of text",
        ),
        (
            "'a' in secret.name",
            4,
            "`in` takes a list or a map on its right (write `text.contains(part)`)",
        ),
        (
            "secret.versions['a'].age == days(1)",
            16,
            "a list is indexed by an int, not by text",
        ),
        ("3u == 3u", 0, "whole numbers are written without `u`"),
        (
            "secret.?name == 'a'",
            6,
            "optional syntax `.?` is not supported (compare with `null` instead)",
        ),
        // Errors of grammar, with characters of several bytes before them.
        (
            "secret.name == 'é😀' &",
            24,
            "unexpected `&` (write `&&` for and)",
        ),
        (
            "'é😀' == has(a)",
            16,
            "`has(..)` takes a key of a map, like `has(secret.tags.owner)`",
        ),
        (
            "secret.rotation.longest_gap <= 90d",
            33,
            "unexpected `d` (write a length of time as `days(90)`, `hours(12)`, `minutes(10)` or `seconds(30)`)",
        ),
        (
            "secret.name = 'a'",
            12,
            "unexpected `=` (write `==` to compare)",
        ),
        ("secret.name == 'a", 15, "text without its closing quote"),
        (
            "secret.reads == 3 and true",
            18,
            "unexpected `and` (write `&&` for and)",
        ),
        ("(secret.reads == 3", 18, "missing `)`"),
        ("secret.reads ==", 15, "the condition ends too early"),
        (
            "secret.reads == 99999999999999999999",
            16,
            "a whole number beyond 64 bits",
        ),
        ("@#$", 0, "unexpected `@`"),
    ] {
        let errors = Expression::compile(text, &scope()).expect_err(text);
        let first = errors.first().unwrap();
        assert_eq!(
            (shown(first).as_str(), first.offset),
            (message, at),
            "{text}: {errors:?}"
        );
    }
}

fn shown(error: &ExpressionError) -> String {
    let mut text = error.to_string();
    if let Some(help) = &error.help {
        write!(text, " ({help})").unwrap();
    }
    text
}

#[test]
fn all_errors_of_a_condition_are_reported_up_to_ten() {
    let errors = Expression::compile(
        "secret.a && secret.b == 1 && now == 3 && f(secret.c)",
        &scope(),
    )
    .unwrap_err();
    let offsets: Vec<usize> = errors.iter().map(|error| error.offset).collect();
    assert_eq!(offsets, [7, 19, 33, 41, 50]);
    let many = vec!["secret.nothing"; 40].join(" && ");
    assert_eq!(Expression::compile(&many, &scope()).unwrap_err().len(), 10);
}

#[test]
fn hostile_conditions_are_refused_and_never_crash() {
    for (name, text) in [
        ("parentheses", format!("{}true{}", "(".repeat(500), ")".repeat(500))),
        ("open parentheses", "(".repeat(4000)),
        ("additions", format!("1{} == 3", "+1".repeat(2000))),
        ("indexes", format!("secret{}", "[0]".repeat(1000))),
        ("members", format!("secret{}", ".a".repeat(1500))),
        ("calls", format!("secret{}", ".size()".repeat(500))),
        ("lists", format!("{}{} == []", "[".repeat(1500), "]".repeat(1500))),
        ("ternaries", format!("{}true", "true ? false : ".repeat(270))),
        ("strange", "@#$ ".repeat(1000)),
        ("long", format!("'{}' == 'a'", "a".repeat(5000))),
        ("very long", "a".repeat(10_000_000)),
        ("loops", "secret.versions.all(a, secret.versions.all(b, secret.versions.all(c, a.age == c.age)))".to_owned()),
        ("bytes", "\u{0}\u{1}\u{7f}\u{200b}".to_owned()),
    ] {
        let errors = Expression::compile(&text, &scope()).expect_err(name);
        assert!(!errors.is_empty() && errors.len() <= 10, "{name}: {} errors", errors.len());
        assert!(errors.iter().all(|error| error.message.len() < 5000), "{name}");
    }
    // The limits themselves are inside what the stack holds; the parser folds negations.
    assert_eq!(
        outcome(&format!("{}true", "!".repeat(4000)), &secret()),
        Ok(true)
    );
    assert_eq!(
        outcome(&format!("1{} == 190", "+1".repeat(189)), &secret()),
        Ok(true)
    );
    assert_eq!(
        outcome(
            &format!("{}true{}", "(".repeat(20), ")".repeat(20)),
            &secret()
        ),
        Ok(true)
    );
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
