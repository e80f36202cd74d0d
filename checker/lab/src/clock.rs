//! The lab's time: the system's pace, from any start, and it can be moved on.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};

/// A clock that runs at the system's pace from a chosen start.
#[derive(Debug)]
pub(crate) struct Clock {
    start: DateTime<Utc>,
    since: Instant,
    moved: Mutex<TimeDelta>,
}

impl Clock {
    /// A clock that shows `start` now.
    pub(crate) fn starting(start: DateTime<Utc>) -> Self {
        Self {
            start,
            since: Instant::now(),
            moved: Mutex::new(TimeDelta::zero()),
        }
    }

    /// The lab's time.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        let passed = TimeDelta::from_std(self.since.elapsed()).unwrap_or(TimeDelta::MAX);
        let moved = *self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        self.start
            .checked_add_signed(passed)
            .and_then(|at| at.checked_add_signed(moved))
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Moves the clock on to `at`; a clock that is already past it stays.
    pub(crate) fn move_to(&self, at: DateTime<Utc>) {
        let missing = at.signed_duration_since(self.now());
        if missing > TimeDelta::zero() {
            let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
            *moved = moved.checked_add(&missing).unwrap_or(*moved);
        }
    }
}
