//! What a forced rotation leaves behind. Values were compared where they were read; only the result is here.

use super::trace::Mark;
use crate::duration::Duration;
use crate::expression::types::Known;

crate::facts! {
    /// What a forced rotation left behind.
    pub struct Rotation {
        /// ARN of the secret that was rotated.
        pub secret: String,
        /// AWS's error code where it refused to begin; null where it did not refuse.
        pub refused: Option<String>,
        /// Whether `AWSCURRENT` moved, in time, to the version that the rotation was asked to make.
        pub current_moved: Known<bool>,
        /// How long that took.
        pub took: Known<Duration>,
        /// Whether the new value is another one than the old.
        pub value_differs: Known<bool>,
        /// Whether `AWSPREVIOUS` can be read, and is the version and the value that were current before.
        pub previous_kept: Known<bool>,
        /// Whether `AWSPENDING` was left on a version that is not the current one.
        pub stuck: Known<bool>,
        /// What a reader saw meanwhile.
        pub reader: Known<Reader>,
        /// The steps as `CloudTrail` shows them.
        pub steps: Known<Steps>,
        /// Whether the event `Secret Label Updated` told that `AWSCURRENT` is on the new version.
        pub label_told: Known<bool>,
        /// Whether the clock was moved to see what happens by itself: only an embedded AWS has such a clock.
        pub clock_moved: bool,
        /// What happened when 91 days passed and nobody asked for anything.
        pub aged: Known<Aged>,
        /// What happened when.
        pub timeline: Vec<Mark>,
    }

    /// What a reader saw who fetched the current value again and again.
    pub struct Reader {
        /// How often it read.
        pub reads: i64,
        /// How many reads failed.
        pub failed: i64,
        /// AWS's error codes of those that failed, each once.
        pub codes: Vec<String>,
        /// The longest time between two reads that succeeded.
        pub longest_gap: Duration,
    }

    /// A rotation as `CloudTrail` recorded it.
    pub struct Steps {
        /// What was called, in order, each with its caller.
        pub seen: Vec<String>,
        /// Whether the version was asked for, written, promoted and reported, in this order; `CloudTrail` counts whole seconds.
        pub in_order: bool,
        /// Who wrote the new version: `role/name` of this account, or the full ARN.
        pub writers: Vec<String>,
        /// What failed on the way, with the code and the id of the record.
        pub errors: Vec<String>,
    }

    /// Managed secrets after a time in which nobody asked for a rotation.
    pub struct Aged {
        /// How much time passed.
        pub passed: Duration,
        /// How many secrets were due.
        pub secrets: i64,
        /// Names of those whose current version is still the same.
        pub missed: Vec<String>,
    }
}
