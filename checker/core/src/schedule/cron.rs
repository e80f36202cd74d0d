//! `cron(..)` as rotation schedules take it: `Minutes Hours Day-of-month Month Day-of-week Year`.
//!
//! Minutes must be `0` and the year `*`: windows open on the hour, every year. One of the two day fields is `?`.
//! The calendar repeats every 28 years within a century, so the largest gap is found in one such cycle; it is the
//! largest in any four years, the leap year included.

use chrono::{DateTime, Datelike as _, Days, NaiveDate, TimeDelta, Timelike as _, Utc};

/// A cron expression that fires at least once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    /// Bit n: hour n.
    hours: u32,
    /// Bit n: month n, January is 1.
    months: u32,
    days: Day,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Day {
    /// Bit n: day n of the month.
    OfMonth(u32),
    LastOfMonth,
    /// The weekday (Monday to Friday) nearest to a day, within the month.
    NearestWeekday(u32),
    /// Bit n: day n of the week, Sunday is 1.
    OfWeek(u32),
    /// The last such day of the week in the month.
    LastOfWeek(u32),
    /// The nth such day of the week in the month.
    Nth(u32, u32),
}

/// What is wrong in a cron expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Not six fields.
    #[error("{0} fields, write six: minutes hours day-of-month month day-of-week year")]
    Fields(usize),
    /// Minutes other than 0.
    #[error("minutes `{0}`, windows open on the hour: write `0`")]
    Minutes(String),
    /// A year other than any.
    #[error("year `{0}`, rotation goes on every year: write `*`")]
    Year(String),
    /// Both day fields or neither are `?`.
    #[error("exactly one of day-of-month and day-of-week must be `?`")]
    Days,
    /// A field that can't be read.
    #[error("{field} `{text}` is out of range or malformed")]
    Field {
        /// The field.
        field: &'static str,
        /// Its text.
        text: String,
    },
    /// Windows less than four hours apart.
    #[error("hours `{0}` are less than four apart")]
    TooOften(String),
    /// Days that no month has.
    #[error("it never fires")]
    Never,
}

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The days of 28 years.
const CYCLE_DAYS: u64 = 10_227;

impl Cron {
    /// Reads the text between the brackets.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, day_of_month, month, day_of_week, year] = fields.as_slice() else {
            return Err(CronError::Fields(fields.len()));
        };
        if !minutes.chars().all(|c| c == '0') {
            return Err(CronError::Minutes((*minutes).to_owned()));
        }
        if *year != "*" {
            return Err(CronError::Year((*year).to_owned()));
        }
        let hour_set = set("hours", hours, 0, 23, &[])?;
        let months = set("month", month, 1, 12, &MONTHS)?;
        let days = match (*day_of_month, *day_of_week) {
            (day, "?") if day != "?" => parse_day_of_month(day)?,
            ("?", day) if day != "?" => parse_day_of_week(day)?,
            _ => return Err(CronError::Days),
        };
        let cron = Self {
            hours: hour_set,
            months,
            days,
        };
        if cron
            .hour_list()
            .windows(2)
            .any(|pair| matches!(pair, [one, next] if next - one < 4))
        {
            return Err(CronError::TooOften((*hours).to_owned()));
        }
        if cron.cycle().next().is_none() {
            return Err(CronError::Never);
        }
        Ok(cron)
    }

    /// The largest gap between two fires.
    pub(super) fn longest_gap(&self) -> TimeDelta {
        let hours = self.hour_list();
        let (first, last) = (
            hours.first().copied().unwrap_or(0),
            hours.last().copied().unwrap_or(0),
        );
        let within_day = hours
            .windows(2)
            .map(|pair| {
                if let [one, next] = pair {
                    next - one
                } else {
                    0
                }
            })
            .max()
            .unwrap_or(0);
        let mut longest = TimeDelta::hours(i64::from(within_day));
        let overnight = TimeDelta::hours(i64::from(first) - i64::from(last));
        let mut days = self.cycle();
        let Some(start) = days.next() else {
            return longest;
        };
        let mut previous = start;
        // After the last day comes the first one of the next cycle.
        for day in days.chain(start.checked_add_days(Days::new(CYCLE_DAYS))) {
            longest = longest.max(day - previous + overnight);
            previous = day;
        }
        longest
    }

    /// The first fire after a time.
    pub(super) fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let today = after.date_naive();
        let hours = self.hour_list();
        let at = |day: NaiveDate, hour: u32| day.and_hms_opt(hour, 0, 0).map(|time| time.and_utc());
        if self.fires_on(today)
            && let Some(hour) = hours.iter().find(|hour| **hour > after.hour())
        {
            return at(today, *hour);
        }
        let day = today
            .iter_days()
            .skip(1)
            .take(usize::try_from(CYCLE_DAYS).ok()? + 1)
            .find(|day| self.fires_on(*day))?;
        at(day, *hours.first()?)
    }

    /// Whether it is a schedule in hours, with several windows a day.
    pub(super) fn is_in_hours(&self) -> bool {
        self.hours.count_ones() > 1
    }

    /// How many hours a window may have.
    pub(super) fn longest_window(&self) -> u32 {
        let hours = self.hour_list();
        let between = hours
            .windows(2)
            .map(|pair| {
                if let [one, next] = pair {
                    next - one
                } else {
                    24
                }
            })
            .min()
            .unwrap_or(24);
        let to_midnight = 24 - hours.last().copied().unwrap_or(0);
        between.min(to_midnight)
    }

    fn hour_list(&self) -> Vec<u32> {
        (0..24)
            .filter(|hour| self.hours & (1 << hour) != 0)
            .collect()
    }

    /// The days of one cycle on which it fires.
    fn cycle(&self) -> impl Iterator<Item = NaiveDate> {
        let start = NaiveDate::from_ymd_opt(2001, 1, 1);
        let days = usize::try_from(CYCLE_DAYS).unwrap_or(0);
        start
            .into_iter()
            .flat_map(move |start| start.iter_days().take(days))
            .filter(|day| self.fires_on(*day))
    }

    fn fires_on(&self, date: NaiveDate) -> bool {
        if self.months & (1 << date.month()) == 0 {
            return false;
        }
        let weekday = date.weekday().num_days_from_sunday() + 1;
        let day = date.day();
        let length = u32::from(date.num_days_in_month());
        match self.days {
            Day::OfMonth(days) => days & (1 << day) != 0,
            Day::LastOfMonth => day == length,
            Day::NearestWeekday(wanted) => nearest_weekday(date, wanted, length) == Some(day),
            Day::OfWeek(days) => days & (1 << weekday) != 0,
            Day::LastOfWeek(wanted) => weekday == wanted && day + 7 > length,
            Day::Nth(wanted, nth) => weekday == wanted && (day - 1) / 7 + 1 == nth,
        }
    }
}

/// The weekday of the month of `date` that is nearest to day `wanted`; it does not leave the month.
fn nearest_weekday(date: NaiveDate, wanted: u32, length: u32) -> Option<u32> {
    if wanted > length {
        return None;
    }
    let target = date.with_day(wanted)?;
    Some(match target.weekday() {
        chrono::Weekday::Sat if wanted == 1 => 3,
        chrono::Weekday::Sat => wanted - 1,
        chrono::Weekday::Sun if wanted == length => wanted - 2,
        chrono::Weekday::Sun => wanted + 1,
        chrono::Weekday::Mon
        | chrono::Weekday::Tue
        | chrono::Weekday::Wed
        | chrono::Weekday::Thu
        | chrono::Weekday::Fri => wanted,
    })
}

fn parse_day_of_month(text: &str) -> Result<Day, CronError> {
    if text.eq_ignore_ascii_case("L") {
        return Ok(Day::LastOfMonth);
    }
    if let Some(day) = text.strip_suffix(['W', 'w']) {
        let day = value(day, 1, 31, &[]).ok_or_else(|| malformed("day-of-month", text))?;
        return Ok(Day::NearestWeekday(day));
    }
    set("day-of-month", text, 1, 31, &[]).map(Day::OfMonth)
}

fn parse_day_of_week(text: &str) -> Result<Day, CronError> {
    let error = || malformed("day-of-week", text);
    if text.eq_ignore_ascii_case("L") {
        return Ok(Day::OfWeek(1 << 7));
    }
    if let Some((day, nth)) = text.split_once('#') {
        let day = value(day, 1, 7, &WEEKDAYS).ok_or_else(error)?;
        return value(nth, 1, 5, &[])
            .map(|nth| Day::Nth(day, nth))
            .ok_or_else(error);
    }
    if let Some(day) = text.strip_suffix(['L', 'l']) {
        return value(day, 1, 7, &WEEKDAYS)
            .map(Day::LastOfWeek)
            .ok_or_else(error);
    }
    set("day-of-week", text, 1, 7, &WEEKDAYS).map(Day::OfWeek)
}

/// The values of a field as bits: `*`, `a`, `a-b`, each with `/step`, and lists of them.
fn set(
    field: &'static str,
    text: &str,
    min: u32,
    max: u32,
    names: &[&str],
) -> Result<u32, CronError> {
    let error = || malformed(field, text);
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(value(step, 1, max, &[]).ok_or_else(error)?)),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (
                value(from, min, max, names).ok_or_else(error)?,
                value(to, min, max, names).ok_or_else(error)?,
            ),
            None if range == "*" || (range.is_empty() && step.is_some()) => (min, max),
            None => {
                let from = value(range, min, max, names).ok_or_else(error)?;
                (from, if step.is_some() { max } else { from })
            }
        };
        // A range may go around: FRI-MON.
        let around = if to < from { max - min + 1 } else { 0 };
        let step = usize::try_from(step.unwrap_or(1)).unwrap_or(1);
        for number in (from..=to + around).step_by(step) {
            bits |= 1
                << if number > max {
                    number - around
                } else {
                    number
                };
        }
    }
    Ok(bits)
}

/// A number in a range, or a name; names count from the least value.
fn value(text: &str, min: u32, max: u32, names: &[&str]) -> Option<u32> {
    if let Some(index) = names
        .iter()
        .position(|name| name.eq_ignore_ascii_case(text))
    {
        return u32::try_from(index).ok().map(|index| index + min);
    }
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    text.parse()
        .ok()
        .filter(|number| (min..=max).contains(number))
}

fn malformed(field: &'static str, text: &str) -> CronError {
    CronError::Field {
        field,
        text: text.to_owned(),
    }
}
