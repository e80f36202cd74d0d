//! What happened when, from the first step of a probe.

use std::cell::RefCell;
use std::time::Instant;

use checker_core::duration::Duration;
use checker_core::probe::trace::Mark;
use chrono::TimeDelta;

/// Takes notes.
pub(super) struct Timeline {
    begun: Instant,
    marks: RefCell<Vec<Mark>>,
}

impl Timeline {
    /// Begins now.
    pub(super) fn begin() -> Self {
        Self {
            begun: Instant::now(),
            marks: RefCell::new(Vec::new()),
        }
    }

    /// Notes that something happened, and says how long after the beginning.
    pub(super) fn mark(&self, what: impl Into<String>) -> Duration {
        let at = span(self.begun.elapsed());
        self.marks.borrow_mut().push(Mark {
            at,
            what: what.into(),
        });
        at
    }

    /// Everything noted.
    pub(super) fn marks(self) -> Vec<Mark> {
        self.marks.into_inner()
    }
}

/// Real time as a length that facts can hold.
pub(super) fn span(time: std::time::Duration) -> Duration {
    TimeDelta::from_std(time).map_or(Duration::ZERO, Duration::from)
}

/// A length of a control as real time.
pub(super) fn real(duration: Duration) -> std::time::Duration {
    duration.as_delta().to_std().unwrap_or_default()
}
