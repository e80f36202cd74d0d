//! Rotation schedules: days, `rate(..)`, `cron(..)`, and their windows.
//!
//! All times are UTC. A window opens at [`Window::opens`]; the lab rotates then.
//! AWS rotates somewhere in the window and shows its end as the next rotation date.

use chrono::{DateTime, Datelike as _, Days, NaiveDate, TimeDelta, Timelike as _, Utc};

/// A rotation schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schedule {
    kind: Kind,
    /// In hours; `None` is the default window.
    duration: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Days(u64),
    Hours(i64),
    Cron(Cron),
}

/// When a rotation may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) opens: DateTime<Utc>,
    pub(crate) closes: DateTime<Utc>,
}

/// Longest search for the next match: a leap day is at most eight years away.
const SEARCH_DAYS: u64 = 3000;

impl Schedule {
    /// Every `days` days.
    pub(crate) fn days(days: u64, duration: Option<&str>) -> Result<Self, String> {
        Self::new(Kind::Days(days), duration)
    }

    /// `rate(10 days)`, `rate(4 hours)`, `cron(0 8 1 * ? *)`.
    pub(crate) fn expression(text: &str, duration: Option<&str>) -> Result<Self, String> {
        let inner = |name: &str| {
            text.strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('('))
                .and_then(|rest| rest.strip_suffix(')'))
        };
        if let Some(cron) = inner("cron") {
            return Self::new(Kind::Cron(Cron::parse(cron)?), duration);
        }
        let rate = inner("rate").ok_or_else(|| {
            format!("the schedule expression `{text}` is neither rate(..) nor cron(..)")
        })?;
        let (number, unit) = rate
            .split_once(' ')
            .ok_or_else(|| format!("the rate `{text}` has no unit"))?;
        let number: i64 = number
            .parse()
            .map_err(|_| format!("the rate `{text}` has no whole number"))?;
        let kind = match unit {
            "day" | "days" if (1..=1000).contains(&number) => Kind::Days(number.unsigned_abs()),
            "hour" | "hours" if number >= 4 => Kind::Hours(number),
            _ => {
                return Err(format!(
                    "the rate `{text}` must be in hours (at least 4) or days (1 to 1000)"
                ));
            }
        };
        Self::new(kind, duration)
    }

    fn new(kind: Kind, duration: Option<&str>) -> Result<Self, String> {
        let hours = duration
            .map(|text| {
                text.strip_suffix('h')
                    .and_then(|hours| hours.parse::<i64>().ok())
                    .filter(|hours| (1..=24).contains(hours))
                    .ok_or_else(|| format!("the duration `{text}` is not 1h to 24h"))
            })
            .transpose()?;
        let schedule = Self {
            kind,
            duration: hours,
        };
        let longest = match &schedule.kind {
            Kind::Hours(every) => Some(*every),
            Kind::Cron(cron) => cron.hours.iter().max().map(|last| 24 - i64::from(*last)),
            Kind::Days(_) => None,
        };
        match (hours, longest) {
            (Some(hours), Some(longest)) if hours > longest => Err(format!(
                "a window of {hours} hours reaches into the next window or the next day"
            )),
            _ => Ok(schedule),
        }
    }

    /// The next window after a secret changed last, and not before `now`.
    pub(crate) fn next(&self, last: DateTime<Utc>, now: DateTime<Utc>) -> Option<Window> {
        let opens = match &self.kind {
            Kind::Days(days) => {
                let day = last.date_naive().checked_add_days(Days::new(*days))?;
                let due = midnight(day)?;
                if due > now {
                    due
                } else {
                    midnight(now.date_naive().checked_add_days(Days::new(1))?)?
                }
            }
            Kind::Hours(hours) => {
                let hour = last.date_naive().and_hms_opt(last.hour(), 0, 0)?.and_utc();
                let every = TimeDelta::hours(*hours);
                let mut due = hour.checked_add_signed(every)?;
                if due <= now {
                    let missed = now.signed_duration_since(due).num_hours() / hours + 1;
                    due = due.checked_add_signed(TimeDelta::hours(missed * hours))?;
                }
                due
            }
            Kind::Cron(cron) => cron.next(last.max(now))?,
        };
        Some(Window {
            opens,
            closes: self.closes(opens)?,
        })
    }

    /// What AWS shows as `AutomaticallyAfterDays` for any schedule.
    pub(crate) fn calculated_days(&self, now: DateTime<Utc>) -> i64 {
        match &self.kind {
            Kind::Days(days) => i64::try_from(*days).unwrap_or(i64::MAX),
            Kind::Hours(hours) => (hours / 24).max(1),
            Kind::Cron(cron) => cron
                .next(now)
                .and_then(|first| Some(cron.next(first)?.signed_duration_since(first).num_days()))
                .unwrap_or(1)
                .clamp(1, 1000),
        }
    }

    fn closes(&self, opens: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match (self.duration, &self.kind) {
            (Some(hours), _) => opens.checked_add_signed(TimeDelta::hours(hours)),
            (None, Kind::Hours(_)) => opens.checked_add_signed(TimeDelta::hours(1)),
            (None, Kind::Days(_) | Kind::Cron(_)) => {
                let day = opens.date_naive().checked_add_days(Days::new(1))?;
                midnight(day)?.checked_sub_signed(TimeDelta::seconds(1))
            }
        }
    }
}

fn midnight(day: NaiveDate) -> Option<DateTime<Utc>> {
    Some(day.and_hms_opt(0, 0, 0)?.and_utc())
}

/// AWS's cron with six fields; Secrets Manager wants minute 0 and every year.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cron {
    hours: Vec<u32>,
    days: DayOfMonth,
    months: Vec<u32>,
    weekdays: DayOfWeek,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum DayOfMonth {
    Any,
    Listed(Vec<u32>),
    Last,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum DayOfWeek {
    Any,
    /// 1 is Sunday.
    Listed(Vec<u32>),
    /// The last such weekday of the month.
    Last(u32),
    /// The n-th such weekday of the month.
    Nth(u32, u32),
}

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Cron {
    fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let &[minute, hour, day, month, weekday, year] = fields.as_slice() else {
            return Err(format!("the cron `{text}` has not six fields"));
        };
        if minute != "0" {
            return Err(format!("the minute of the cron `{text}` must be 0"));
        }
        if year != "*" {
            return Err(format!("the year of the cron `{text}` must be *"));
        }
        if (day == "?") == (weekday == "?") {
            return Err(format!(
                "exactly one of day of month and day of week of the cron `{text}` must be ?"
            ));
        }
        let wrong = |what: &str| format!("the {what} of the cron `{text}` is not valid");
        let days = match day {
            "?" | "*" => DayOfMonth::Any,
            "L" => DayOfMonth::Last,
            listed => {
                DayOfMonth::Listed(values(listed, 1, 31, &[]).ok_or_else(|| wrong("day of month"))?)
            }
        };
        let weekdays = Self::weekday(weekday).ok_or_else(|| wrong("day of week"))?;
        Ok(Self {
            hours: values(hour, 0, 23, &[]).ok_or_else(|| wrong("hour"))?,
            days,
            months: values(month, 1, 12, &MONTHS).ok_or_else(|| wrong("month"))?,
            weekdays,
        })
    }

    fn weekday(text: &str) -> Option<DayOfWeek> {
        if matches!(text, "?" | "*") {
            return Some(DayOfWeek::Any);
        }
        if let Some((day, nth)) = text.split_once('#') {
            let nth = nth.parse().ok().filter(|nth| (1..=5).contains(nth))?;
            return Some(DayOfWeek::Nth(value(day, 1, 7, &WEEKDAYS)?, nth));
        }
        if let Some(day) = text.strip_suffix('L') {
            return Some(DayOfWeek::Last(value(day, 1, 7, &WEEKDAYS)?));
        }
        Some(DayOfWeek::Listed(values(text, 1, 7, &WEEKDAYS)?))
    }

    /// The first match strictly after `after`.
    fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let first = after.date_naive();
        (0..SEARCH_DAYS)
            .filter_map(|ahead| first.checked_add_days(Days::new(ahead)))
            .filter(|day| self.matches(*day))
            .flat_map(|day| {
                self.hours
                    .iter()
                    .filter_map(move |hour| Some(day.and_hms_opt(*hour, 0, 0)?.and_utc()))
            })
            .find(|at| *at > after)
    }

    fn matches(&self, day: NaiveDate) -> bool {
        let weekday = day.weekday().num_days_from_sunday() + 1;
        let last_of_month = day
            .checked_add_days(Days::new(1))
            .is_some_and(|next| next.month() != day.month());
        let last_such_weekday = day
            .checked_add_days(Days::new(7))
            .is_some_and(|next| next.month() != day.month());
        self.months.contains(&day.month())
            && match &self.days {
                DayOfMonth::Any => true,
                DayOfMonth::Listed(days) => days.contains(&day.day()),
                DayOfMonth::Last => last_of_month,
            }
            && match &self.weekdays {
                DayOfWeek::Any => true,
                DayOfWeek::Listed(days) => days.contains(&weekday),
                DayOfWeek::Last(wanted) => *wanted == weekday && last_such_weekday,
                DayOfWeek::Nth(wanted, nth) => {
                    *wanted == weekday && (day.day() - 1) / 7 + 1 == *nth
                }
            }
    }
}

/// A field's values in order: lists, ranges, steps, names.
fn values(text: &str, low: u32, high: u32, names: &[&str]) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse().ok().filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let stepped = part.contains('/');
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (value(from, low, high, names)?, value(to, low, high, names)?),
            None if range == "*" => (low, high),
            None => {
                let from = value(range, low, high, names)?;
                (from, if stepped { high } else { from })
            }
        };
        if from > to {
            return None;
        }
        let step = usize::try_from(step).unwrap_or(1_usize);
        all.extend((from..=to).step_by(step));
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}

fn value(text: &str, low: u32, high: u32, names: &[&str]) -> Option<u32> {
    let named = names
        .iter()
        .position(|name| name.eq_ignore_ascii_case(text))
        .and_then(|at| u32::try_from(at).ok())
        .map(|at| at + low);
    named
        .or_else(|| text.parse().ok())
        .filter(|value| (low..=high).contains(value))
}
