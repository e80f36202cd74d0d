//! What is wrong with a condition is found when it is loaded, at its place.

use super::*;

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
