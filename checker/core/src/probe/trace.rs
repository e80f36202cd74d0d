//! What all traces are made of.

use crate::duration::Duration;

crate::facts! {
    /// One moment of a probe.
    pub struct Mark {
        /// How long after the probe's first step.
        pub at: Duration,
        /// What happened.
        pub what: String,
    }
}
