#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::too_many_lines,
    reason = "tests, most of them tables"
)]

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::Schedule;
use crate::duration::Duration;

fn gap(expression: &str) -> Result<String, String> {
    let schedule =
        Schedule::new(None, Some(expression), None).map_err(|error| error.to_string())?;
    schedule
        .longest_gap()
        .map(|gap| gap.to_string())
        .map_err(|error| error.to_string())
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn the_longest_gap_is_the_nominal_schedule() {
    let days = |days| {
        Schedule::new(Some(days), None, None)
            .unwrap()
            .longest_gap()
            .unwrap()
    };
    assert_eq!(days(90), Duration::days(90).unwrap());
    assert_eq!(days(91), Duration::days(91).unwrap());
    for (expression, expected) in [
        ("rate(90 days)", "90d"),
        ("rate(1 day)", "1d"),
        ("rate(12 hours)", "12h"),
        ("cron(0 8 1 * ? *)", "31d"),
        // Every quarter: July to October has 92 days.
        ("cron(0 8 1 1/3 ? *)", "92d"),
        ("cron(0 8 1 JAN,APR,JUL,OCT ? *)", "92d"),
        ("cron(0 8 1 */2 ? *)", "62d"),
        ("cron(0 12 1 1 ? *)", "366d"),
        ("cron(0 0 29 2 ? *)", "1461d"),
        ("cron(0 0 ? FEB SUN#5 *)", "10227d"),
        ("cron(0 0 31 * ? *)", "61d"),
        ("cron(0 0 L * ? *)", "31d"),
        ("cron(0 0 1,15 * ? *)", "17d"),
        ("cron(0 18 ? * SAT *)", "7d"),
        ("cron(0 18 ? * L *)", "7d"),
        ("cron(0 8 ? * MON-FRI *)", "3d"),
        ("cron(0 8 ? * FRI-MON *)", "4d"),
        ("cron(0 0 ? * SUN#1 *)", "35d"),
        ("cron(0 0 ? * SUNL *)", "35d"),
        ("cron(0 1 ? 1/3 SUN#1 *)", "98d"),
        ("cron(0 0 15W * ? *)", "32d"),
        ("cron(0 10 * * ? *)", "1d"),
        ("cron(0 /8 * * ? *)", "8h"),
        ("cron(0 8/8 * * ? *)", "16h"),
        ("cron(0 2/10 * * ? *)", "10h"),
        ("cron(0 4/12 1 * ? *)", "30d12h"),
    ] {
        assert_eq!(gap(expression), Ok(expected.to_owned()), "{expression}");
    }
}

#[test]
fn what_aws_refuses_is_an_error() {
    for (expression, message) in [
        ("", "`` is neither `rate(..)` nor `cron(..)`"),
        (
            "every day",
            "`every day` is neither `rate(..)` nor `cron(..)`",
        ),
        (
            "rate(90days)",
            "`rate(90days)` is no rate, write `rate(90 days)` or `rate(12 hours)`",
        ),
        (
            "rate(-1 days)",
            "`rate(-1 days)` is no rate, write `rate(90 days)` or `rate(12 hours)`",
        ),
        (
            "rate(5 minutes)",
            "`rate(5 minutes)` is no rate, write `rate(90 days)` or `rate(12 hours)`",
        ),
        (
            "rate(0 days)",
            "`rate(0 days)` is out of range, allowed are 4 hours to 999 days",
        ),
        (
            "rate(1000 days)",
            "`rate(1000 days)` is out of range, allowed are 4 hours to 999 days",
        ),
        (
            "rate(3 hours)",
            "`rate(3 hours)` is out of range, allowed are 4 hours to 999 days",
        ),
        (
            "rate(99999999999 days)",
            "`rate(99999999999 days)` is out of range, allowed are 4 hours to 999 days",
        ),
        (
            "cron(0 8 1 * ?)",
            "`cron(0 8 1 * ?)`: 5 fields, write six: minutes hours day-of-month month day-of-week year",
        ),
        (
            "cron(15 8 1 * ? *)",
            "`cron(15 8 1 * ? *)`: minutes `15`, windows open on the hour: write `0`",
        ),
        (
            "cron(0 8 1 * ? 2027)",
            "`cron(0 8 1 * ? 2027)`: year `2027`, rotation goes on every year: write `*`",
        ),
        (
            "cron(0 8 1 * * *)",
            "`cron(0 8 1 * * *)`: exactly one of day-of-month and day-of-week must be `?`",
        ),
        (
            "cron(0 8 ? * ? *)",
            "`cron(0 8 ? * ? *)`: exactly one of day-of-month and day-of-week must be `?`",
        ),
        (
            "cron(0 24 1 * ? *)",
            "`cron(0 24 1 * ? *)`: hours `24` is out of range or malformed",
        ),
        (
            "cron(0 8 0 * ? *)",
            "`cron(0 8 0 * ? *)`: day-of-month `0` is out of range or malformed",
        ),
        (
            "cron(0 8 1 13 ? *)",
            "`cron(0 8 1 13 ? *)`: month `13` is out of range or malformed",
        ),
        (
            "cron(0 8 ? * SUN#6 *)",
            "`cron(0 8 ? * SUN#6 *)`: day-of-week `SUN#6` is out of range or malformed",
        ),
        (
            "cron(0 8 ? * SUN#1,MON#1 *)",
            "`cron(0 8 ? * SUN#1,MON#1 *)`: day-of-week `SUN#1,MON#1` is out of range or malformed",
        ),
        (
            "cron(0 8 ? * MOON *)",
            "`cron(0 8 ? * MOON *)`: day-of-week `MOON` is out of range or malformed",
        ),
        (
            "cron(0 8 1/0 * ? *)",
            "`cron(0 8 1/0 * ? *)`: day-of-month `1/0` is out of range or malformed",
        ),
        (
            "cron(0 * * * ? *)",
            "`cron(0 * * * ? *)`: hours `*` are less than four apart",
        ),
        ("cron(0 0 30 2 ? *)", "`cron(0 0 30 2 ? *)`: it never fires"),
    ] {
        assert_eq!(gap(expression), Err(message.to_owned()), "{expression}");
    }
    let refused = |days, window| Schedule::new(days, None, window).unwrap_err().to_string();
    assert_eq!(
        refused(None, None),
        "no schedule: neither a number of days nor an expression"
    );
    assert_eq!(refused(Some(0), None), "0 days, allowed are 1 to 1000");
    assert_eq!(
        refused(Some(1001), None),
        "1001 days, allowed are 1 to 1000"
    );
    assert_eq!(
        refused(Some(90), Some("3")),
        "window `3`, write hours like `3h`, 1 to 24"
    );
    assert_eq!(
        refused(Some(90), Some("25h")),
        "window `25h`, write hours like `3h`, 1 to 24"
    );
    let late = Schedule::new(None, Some("cron(0 22 1 * ? *)"), Some("3h")).unwrap_err();
    assert_eq!(
        late.to_string(),
        "window `3h` reaches into the next day or the next window"
    );
}

#[test]
fn an_expression_wins_over_the_days_that_aws_computes() {
    let schedule = Schedule::new(Some(30), Some("cron(0 12 1 1 ? *)"), None).unwrap();
    assert_eq!(
        schedule.longest_gap().unwrap(),
        Duration::days(366).unwrap()
    );
}

#[test]
fn the_window_ends_with_the_day_unless_it_is_set() {
    let due = time("2026-04-30T21:30:00Z");
    for (days, expression, duration, window) in [
        (Some(90), None, None, "2h30m"),
        (Some(90), None, Some("3h"), "3h"),
        (None, Some("rate(90 days)"), None, "2h30m"),
        (None, Some("rate(12 hours)"), None, "1h"),
        (None, Some("cron(0 8 1 * ? *)"), None, "2h30m"),
        (None, Some("cron(0 8/8 * * ? *)"), None, "1h"),
        (None, Some("cron(0 8 1 * ? *)"), Some("16h"), "16h"),
    ] {
        let schedule = Schedule::new(days, expression, duration).unwrap();
        assert_eq!(
            schedule.window(due).to_string(),
            window,
            "{expression:?} {duration:?}"
        );
    }
}

#[test]
fn the_next_window_opens_on_the_hour() {
    let last = time("2026-01-31T10:20:30Z");
    for (days, expression, expected) in [
        (Some(90), None, "2026-05-01T00:00:00Z"),
        (None, Some("rate(30 days)"), "2026-03-02T00:00:00Z"),
        (None, Some("rate(12 hours)"), "2026-01-31T22:00:00Z"),
        (None, Some("cron(0 12 * * ? *)"), "2026-01-31T12:00:00Z"),
        (None, Some("cron(0 10 * * ? *)"), "2026-02-01T10:00:00Z"),
        (None, Some("cron(0 0 29 2 ? *)"), "2028-02-29T00:00:00Z"),
        (None, Some("cron(0 0 L * ? *)"), "2026-02-28T00:00:00Z"),
    ] {
        let schedule = Schedule::new(days, expression, None).unwrap();
        assert_eq!(
            schedule.next_opening(last),
            Some(time(expected)),
            "{expression:?}"
        );
    }
}

#[test]
fn measuring_a_cron_is_fast() {
    let started = Instant::now();
    for _ in 0..20 {
        assert_eq!(gap("cron(0 1 ? 1/3 SUN#1 *)").unwrap(), "98d");
    }
    let each = started.elapsed() / 20;
    eprintln!("one cron: {each:?}");
    assert!(each < std::time::Duration::from_millis(200), "{each:?}");
}

/// A second reading of the same grammar: every hour of 28 years is asked whether the text names it.
mod naive {
    use chrono::{Datelike as _, NaiveDate, TimeDelta};

    fn number(text: &str) -> u32 {
        const NAMES: &str = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC";
        const DAYS: &str = "SUNMONTUEWEDTHUFRISAT";
        let place = |names: &str| {
            names
                .find(text)
                .map(|at| u32::try_from(at / 3 + 1).unwrap())
        };
        text.parse()
            .ok()
            .or_else(|| place(NAMES))
            .or_else(|| place(DAYS))
            .unwrap()
    }

    fn named(field: &str, value: u32, max: u32) -> bool {
        field.split(',').any(|part| {
            let (range, step) = part
                .split_once('/')
                .map_or((part, None), |(range, step)| (range, Some(number(step))));
            let (low, high) = match range.split_once('-') {
                Some((low, high)) => (number(low), number(high)),
                None if range == "*" => {
                    return step
                        .is_none_or(|step| (value - u32::from(max != 23)).is_multiple_of(step));
                }
                None => (
                    number(range),
                    if step.is_some() { max } else { number(range) },
                ),
            };
            (low..=high).contains(&value) && (value - low).is_multiple_of(step.unwrap_or(1))
        })
    }

    fn on_day(day_of_month: &str, day_of_week: &str, date: NaiveDate) -> bool {
        let days_left = (1..=31)
            .take_while(|ahead| (date + TimeDelta::days(*ahead)).month() == date.month())
            .count();
        if day_of_week == "?" {
            return if day_of_month == "L" {
                days_left == 0
            } else {
                named(day_of_month, date.day(), 31)
            };
        }
        let weekday = date.weekday().num_days_from_sunday() + 1;
        if let Some((day, nth)) = day_of_week.split_once('#') {
            let before = (1..=6)
                .take_while(|weeks| (date - TimeDelta::weeks(*weeks)).month() == date.month())
                .count();
            return weekday == number(day) && u32::try_from(before).unwrap() + 1 == number(nth);
        }
        match day_of_week.strip_suffix('L') {
            Some(day) => weekday == number(day) && days_left < 7,
            None => named(day_of_week, weekday, 7),
        }
    }

    /// The largest gap in hours over twice 28 years, so that no cycle has to be closed.
    pub(super) fn longest_gap([hours, day_of_month, month, day_of_week]: [&str; 4]) -> i64 {
        let start = NaiveDate::from_ymd_opt(2001, 1, 1).unwrap();
        let mut last = None;
        let mut longest = 0;
        for (number, date) in (0_i64..).zip(start.iter_days().take(2 * 10_227)) {
            if !named(month, date.month(), 12) || !on_day(day_of_month, day_of_week, date) {
                continue;
            }
            for hour in (0..24).filter(|hour| named(hours, *hour, 23)) {
                let now = number * 24 + i64::from(hour);
                longest = longest.max(last.map_or(0, |last| now - last));
                last = Some(now);
            }
        }
        longest
    }
}

fn day_fields() -> impl Strategy<Value = (String, String)> {
    let weekday = prop::sample::select(vec!["SUN", "2", "TUE", "4", "THU", "6", "SAT"]);
    prop_oneof![
        (1..=28_u32).prop_map(|day| (day.to_string(), "?".to_owned())),
        (1..=14_u32, 15..=31_u32).prop_map(|(low, high)| (format!("{low}-{high}"), "?".to_owned())),
        (1..=28_u32, 2..=31_u32)
            .prop_map(|(start, step)| (format!("{start}/{step}"), "?".to_owned())),
        (1..=28_u32, 1..=31_u32)
            .prop_map(|(one, other)| (format!("{one},{other}"), "?".to_owned())),
        Just(("L".to_owned(), "?".to_owned())),
        Just(("*".to_owned(), "?".to_owned())),
        weekday
            .clone()
            .prop_map(|day| ("?".to_owned(), day.to_owned())),
        (weekday.clone(), 1..=5_u32)
            .prop_map(|(day, nth)| ("?".to_owned(), format!("{day}#{nth}"))),
        weekday
            .clone()
            .prop_map(|day| ("?".to_owned(), format!("{day}L"))),
        (1..=3_u32, 4..=7_u32).prop_map(|(low, high)| ("?".to_owned(), format!("{low}-{high}"))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn the_longest_gap_agrees_with_a_second_implementation(
        hours in prop::sample::select(vec!["0", "23", "8/8", "2/10", "0,12", "5-5", "*/6"]),
        (day_of_month, day_of_week) in day_fields(),
        month in prop::sample::select(vec!["*", "1", "FEB", "1/3", "JAN,JUL", "2-4", "*/2", "12", "3,11"]),
    ) {
        let expression = format!("cron(0 {hours} {day_of_month} {month} {day_of_week} *)");
        let expected = naive::longest_gap([hours, &day_of_month, month, &day_of_week]);
        match gap(&expression) {
            Ok(found) => prop_assert_eq!(found, Duration::hours(expected).unwrap().to_string(), "{}", expression),
            Err(error) => {
                prop_assert!(error.ends_with("it never fires"), "{}", error);
                prop_assert_eq!(expected, 0);
            }
        }
    }

    #[test]
    fn the_next_opening_is_a_fire_within_the_longest_gap(
        (day_of_month, day_of_week) in day_fields(),
        seconds in 0..1_000_000_000_i64,
    ) {
        let expression = format!("cron(0 8/8 {day_of_month} * {day_of_week} *)");
        let schedule = Schedule::new(None, Some(&expression), None).unwrap();
        let last = time("2020-01-01T00:00:00Z") + TimeDelta::seconds(seconds);
        let next = schedule.next_opening(last).unwrap();
        prop_assert!(next > last);
        prop_assert!(Duration::from(next - last) <= schedule.longest_gap().unwrap());
        // Nothing fires between the two.
        let before = schedule.next_opening(next - TimeDelta::seconds(1)).unwrap();
        prop_assert_eq!(before, next);
    }
}
