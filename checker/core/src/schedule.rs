//! Rotation schedules of Secrets Manager: how far apart two rotations can lie, and how late one may start.
//!
//! In: the three members of `RotationRules`. Out: the longest gap by the schedule, the window, the next opening.
//! What AWS refuses is an error here: a schedule that can't exist has no gap. Source: "Rotation schedules" in the
//! user guide of Secrets Manager. All times are UTC.

mod cron;

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Timelike as _, Utc};

pub use cron::{Cron, CronError};

use crate::duration::Duration;

/// A schedule that AWS accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    timing: Timing,
    /// The length of the window in hours, if it was set.
    window: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Timing {
    Days(u32),
    Hours(u32),
    Cron(Cron),
}

/// Why a schedule can't exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Neither a number of days nor an expression.
    #[error("no schedule: neither a number of days nor an expression")]
    Missing,
    /// A number of days outside of 1 to 1000.
    #[error("{0} days, allowed are 1 to 1000")]
    Days(i64),
    /// An expression that is neither `rate(..)` nor `cron(..)`.
    #[error("`{0}` is neither `rate(..)` nor `cron(..)`")]
    Unknown(String),
    /// A malformed `rate(..)`.
    #[error("`{0}` is no rate, write `rate(90 days)` or `rate(12 hours)`")]
    Rate(String),
    /// A rate outside of what is allowed.
    #[error("`{0}` is out of range, allowed are 4 hours to 999 days")]
    RateRange(String),
    /// A malformed `cron(..)`.
    #[error("`{expression}`: {error}")]
    Cron {
        /// The expression.
        expression: String,
        /// What is wrong in it.
        error: CronError,
    },
    /// A malformed window.
    #[error("window `{0}`, write hours like `3h`, 1 to 24")]
    Window(String),
    /// A window that reaches into the next day or the next window.
    #[error("window `{0}h` reaches into the next day or the next window")]
    WindowTooLong(u32),
}

impl Schedule {
    /// A schedule from `AutomaticallyAfterDays`, `ScheduleExpression` and `Duration`. An expression wins, since AWS
    /// reports a computed number of days beside it.
    pub fn new(
        days: Option<i64>,
        expression: Option<&str>,
        duration: Option<&str>,
    ) -> Result<Self, ScheduleError> {
        let timing = match (expression, days) {
            (Some(expression), _) => Timing::parse(expression)?,
            (None, Some(days)) => {
                let count = u32::try_from(days)
                    .ok()
                    .filter(|days| (1..=1000).contains(days));
                Timing::Days(count.ok_or(ScheduleError::Days(days))?)
            }
            (None, None) => return Err(ScheduleError::Missing),
        };
        let window = duration.map(parse_window).transpose()?;
        if let Some(hours) = window.filter(|hours| *hours > timing.longest_window()) {
            return Err(ScheduleError::WindowTooLong(hours));
        }
        Ok(Self { timing, window })
    }

    /// The longest time between two rotations by the schedule, nominally: N days for `rate(N days)`, and for a
    /// `cron(..)` its largest gap in any years. How late within its window a rotation starts is not part of it.
    pub fn longest_gap(&self) -> Result<Duration, ScheduleError> {
        Ok(match &self.timing {
            Timing::Days(days) => TimeDelta::days(i64::from(*days)).into(),
            Timing::Hours(hours) => TimeDelta::hours(i64::from(*hours)).into(),
            Timing::Cron(cron) => cron.longest_gap().into(),
        })
    }

    /// How late a rotation may start that is due at a time: the length that was set, otherwise an hour for a schedule in
    /// hours, otherwise to the end of that day.
    pub fn window(&self, due: DateTime<Utc>) -> Duration {
        let hours = match (self.window, &self.timing) {
            (Some(hours), _) => Some(hours),
            (None, Timing::Hours(_)) => Some(1),
            (None, Timing::Cron(cron)) if cron.is_in_hours() => Some(1),
            (None, Timing::Days(_) | Timing::Cron(_)) => None,
        };
        match hours {
            Some(hours) => TimeDelta::hours(i64::from(hours)).into(),
            None => (end_of_day(due) - due).into(),
        }
    }

    /// When the next window opens after a rotation: midnight of the day for a schedule in days, the full hour for one
    /// in hours, the next fire of a `cron(..)`. Nothing beyond the calendar.
    pub fn next_opening(&self, last: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match &self.timing {
            Timing::Days(days) => {
                let day = last
                    .date_naive()
                    .checked_add_days(Days::new(u64::from(*days)))?;
                Some(day.and_time(NaiveTime::MIN).and_utc())
            }
            Timing::Hours(hours) => {
                let hour = last.with_minute(0)?.with_second(0)?.with_nanosecond(0)?;
                hour.checked_add_signed(TimeDelta::hours(i64::from(*hours)))
            }
            Timing::Cron(cron) => cron.next_after(last),
        }
    }
}

impl Timing {
    fn parse(expression: &str) -> Result<Self, ScheduleError> {
        let inside = |name: &str| {
            let rest = expression.trim().strip_prefix(name)?.strip_prefix('(')?;
            rest.strip_suffix(')')
        };
        if let Some(rate) = inside("rate") {
            return Self::rate(expression, rate);
        }
        if let Some(fields) = inside("cron") {
            let cron = Cron::parse(fields);
            return cron.map(Self::Cron).map_err(|error| ScheduleError::Cron {
                expression: expression.to_owned(),
                error,
            });
        }
        Err(ScheduleError::Unknown(expression.to_owned()))
    }

    fn rate(expression: &str, rate: &str) -> Result<Self, ScheduleError> {
        let malformed = || ScheduleError::Rate(expression.to_owned());
        let range = || ScheduleError::RateRange(expression.to_owned());
        let (count, unit) = rate.trim().split_once(' ').ok_or_else(malformed)?;
        if count.is_empty() || !count.chars().all(|c| c.is_ascii_digit()) {
            return Err(malformed());
        }
        let count: u32 = count.parse().map_err(|_| range())?;
        match unit.trim() {
            "day" | "days" if (1..=999).contains(&count) => Ok(Self::Days(count)),
            "hour" | "hours" if (4..=999 * 24).contains(&count) => Ok(Self::Hours(count)),
            "day" | "days" | "hour" | "hours" => Err(range()),
            _ => Err(malformed()),
        }
    }

    /// How many hours a window may have before it reaches into the next day, or into the next window.
    fn longest_window(&self) -> u32 {
        match self {
            Self::Days(_) => 24,
            Self::Hours(hours) => *hours.min(&24),
            Self::Cron(cron) => cron.longest_window(),
        }
    }
}

fn parse_window(text: &str) -> Result<u32, ScheduleError> {
    let malformed = || ScheduleError::Window(text.to_owned());
    let digits = text.strip_suffix('h').ok_or_else(malformed)?;
    let hours: u32 = digits.parse().map_err(|_| malformed())?;
    if digits.starts_with('+') || !(1..=24).contains(&hours) {
        Err(malformed())
    } else {
        Ok(hours)
    }
}

/// The midnight that ends the day.
fn end_of_day(time: DateTime<Utc>) -> DateTime<Utc> {
    time.date_naive()
        .checked_add_days(Days::new(1))
        .map_or(time, |day| day.and_time(NaiveTime::MIN).and_utc())
}

#[cfg(test)]
mod tests;
