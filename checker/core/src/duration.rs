//! Lengths of time as people write them in control files: `90d`, `12h`, `1d12h`, `200ms`.
//!
//! In: text from a control, or the difference of two times. Out: an exact number of milliseconds that
//! prints in the same form it is read in. Deliberately without weeks, months and years: a month has no
//! fixed length, and a limit must have one.

use std::fmt;
use std::str::FromStr;

use chrono::TimeDelta;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

/// A length of time, exact to the millisecond, never beyond what `chrono` can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(TimeDelta);

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing was written.
    #[error("empty duration, write a number and a unit like `90d`")]
    Empty,
    /// A number without a unit.
    #[error("`{0}` has no unit, write `{0}d`, `{0}h`, `{0}m`, `{0}s` or `{0}ms`")]
    NoUnit(String),
    /// A unit without a number, or text that is neither.
    #[error("`{0}` is no duration, write a number and a unit like `90d`, `12h` or `1d12h`")]
    Malformed(String),
    /// A unit that is not one of `d h m s ms`.
    #[error("unknown unit `{unit}` in `{text}`, the units are `d`, `h`, `m`, `s` and `ms`")]
    Unit {
        /// The unit as written.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// Units out of order or twice.
    #[error("`{0}` must name each unit once, the largest first, like `1d12h`")]
    Order(String),
    /// More than about 292 million years.
    #[error("`{0}` is too long")]
    TooLong(String),
}

/// The units, largest first, each with its milliseconds.
const UNITS: [(&str, i64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(TimeDelta::zero());

    /// A number of days; nothing when it can't be held.
    pub fn days(days: i64) -> Option<Self> {
        TimeDelta::try_days(days).map(Self)
    }

    /// A number of hours; nothing when it can't be held.
    pub fn hours(hours: i64) -> Option<Self> {
        TimeDelta::try_hours(hours).map(Self)
    }

    /// A number of minutes; nothing when it can't be held.
    pub fn minutes(minutes: i64) -> Option<Self> {
        TimeDelta::try_minutes(minutes).map(Self)
    }

    /// A number of seconds; nothing when it can't be held.
    pub fn seconds(seconds: i64) -> Option<Self> {
        TimeDelta::try_seconds(seconds).map(Self)
    }

    /// A number of milliseconds; nothing when it can't be held.
    pub fn milliseconds(milliseconds: i64) -> Option<Self> {
        TimeDelta::try_milliseconds(milliseconds).map(Self)
    }

    /// The whole milliseconds.
    pub fn as_milliseconds(self) -> i64 {
        self.0.num_milliseconds()
    }

    /// The whole seconds, rounded towards zero.
    pub fn as_seconds(self) -> i64 {
        self.0.num_seconds()
    }

    /// The form that the arithmetic of times takes.
    pub fn as_delta(self) -> TimeDelta {
        self.0
    }
}

/// Cuts to the millisecond below, so that what is printed is what is compared.
impl From<TimeDelta> for Duration {
    fn from(delta: TimeDelta) -> Self {
        Self(TimeDelta::try_milliseconds(delta.num_milliseconds()).unwrap_or(delta))
    }
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(DurationError::Empty);
        }
        let mut rest = trimmed;
        let mut total: i64 = 0;
        let mut units = UNITS.iter();
        while !rest.is_empty() {
            let (digits, after) = split_at_first(rest, |c| !c.is_ascii_digit());
            let (unit, next) = split_at_first(after, |c| c.is_ascii_digit());
            if digits.is_empty() {
                return Err(DurationError::Malformed(trimmed.to_owned()));
            }
            if unit.is_empty() {
                return Err(DurationError::NoUnit(trimmed.to_owned()));
            }
            if !UNITS.iter().any(|(name, _)| *name == unit) {
                return Err(DurationError::Unit {
                    unit: unit.to_owned(),
                    text: trimmed.to_owned(),
                });
            }
            let Some((_, milliseconds)) = units.find(|(name, _)| *name == unit) else {
                return Err(DurationError::Order(trimmed.to_owned()));
            };
            total = digits
                .parse::<i64>()
                .ok()
                .and_then(|count| count.checked_mul(*milliseconds))
                .and_then(|part| total.checked_add(part))
                .ok_or_else(|| DurationError::TooLong(trimmed.to_owned()))?;
            rest = next;
        }
        Self::milliseconds(total).ok_or_else(|| DurationError::TooLong(trimmed.to_owned()))
    }
}

/// Splits before the first character that satisfies `stop`.
fn split_at_first(text: &str, stop: impl Fn(char) -> bool) -> (&str, &str) {
    let at = text.find(stop).unwrap_or(text.len());
    text.split_at_checked(at).unwrap_or((text, ""))
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.as_milliseconds();
        if left == 0 {
            return f.write_str("0s");
        }
        if left < 0 {
            f.write_str("-")?;
            left = left.saturating_neg();
        }
        for (unit, milliseconds) in UNITS {
            let count = left / milliseconds;
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
            left %= milliseconds;
        }
        Ok(())
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Negative lengths come back too (`-5m`): an answer may be stamped after the clock that reads it.
impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (negative, magnitude) = match text.strip_prefix('-') {
            Some(magnitude) => (true, magnitude),
            None => (false, text.as_str()),
        };
        let duration: Self = magnitude.parse().map_err(D::Error::custom)?;
        Ok(if negative {
            Self(-duration.0)
        } else {
            duration
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::{Duration, DurationError};
    use proptest::prelude::*;

    #[test]
    fn reads_and_prints_the_same_form() {
        for text in ["90d", "12h", "1d12h", "200ms", "10m", "1d2h3m4s5ms", "0s"] {
            assert_eq!(text.parse::<Duration>().unwrap().to_string(), text);
        }
        assert_eq!(
            "24h".parse::<Duration>().unwrap(),
            Duration::days(1).unwrap()
        );
    }

    #[test]
    fn refuses_what_is_no_duration() {
        let refused = [
            ("", "empty duration, write a number and a unit like `90d`"),
            (
                "90",
                "`90` has no unit, write `90d`, `90h`, `90m`, `90s` or `90ms`",
            ),
            (
                "d",
                "`d` is no duration, write a number and a unit like `90d`, `12h` or `1d12h`",
            ),
            (
                "-1d",
                "`-1d` is no duration, write a number and a unit like `90d`, `12h` or `1d12h`",
            ),
            (
                "3w",
                "unknown unit `w` in `3w`, the units are `d`, `h`, `m`, `s` and `ms`",
            ),
            (
                "90 d",
                "unknown unit ` d` in `90 d`, the units are `d`, `h`, `m`, `s` and `ms`",
            ),
            (
                "1h1d",
                "`1h1d` must name each unit once, the largest first, like `1d12h`",
            ),
            (
                "1d1d",
                "`1d1d` must name each unit once, the largest first, like `1d12h`",
            ),
            (
                "99999999999999999999d",
                "`99999999999999999999d` is too long",
            ),
        ];
        for (text, message) in refused {
            assert_eq!(text.parse::<Duration>().unwrap_err().to_string(), message);
        }
        assert_eq!("".parse::<Duration>(), Err(DurationError::Empty));
    }

    proptest! {
        #[test]
        fn every_length_survives_its_text(milliseconds in -4_000_000_000_000_i64..4_000_000_000_000) {
            let duration = Duration::milliseconds(milliseconds).unwrap();
            let json = serde_json::to_string(&duration).unwrap();
            prop_assert_eq!(serde_json::from_str::<Duration>(&json).unwrap(), duration);
        }
    }
}
