//! How long AWS is given, and how often it is asked again: the SDK's own retries, with jitter and a deadline.
//!
//! Retries are adaptive: once AWS throttles, the client slows down to what AWS takes and speeds up again by and by.

use std::time::Duration;

use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;

/// Limits of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience {
    /// Attempts in all.
    attempts: u32,
    /// The pause before the second attempt at most; it doubles with each.
    first_pause: Duration,
    /// No pause is longer.
    longest_pause: Duration,
    /// One attempt takes no longer.
    attempt: Duration,
    /// All attempts of a call together take no longer.
    call: Duration,
}

impl Patience {
    /// For AWS itself.
    pub(crate) const LIVE: Self = Self {
        attempts: 8,
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(8),
        attempt: Duration::from_secs(20),
        call: Duration::from_secs(90),
    };

    /// For a lab in the same process, which answers at once or never.
    pub(crate) const LAB: Self = Self {
        attempts: 8,
        first_pause: Duration::from_millis(200),
        longest_pause: Duration::from_secs(2),
        attempt: Duration::from_secs(5),
        call: Duration::from_secs(15),
    };

    /// For tests of what happens when patience ends.
    #[cfg(test)]
    pub(crate) const BRIEF: Self = Self {
        attempts: 3,
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(2),
        attempt: Duration::from_secs(3),
        call: Duration::from_secs(9),
    };

    /// For tests of a server that never answers.
    #[cfg(test)]
    pub(crate) const NONE: Self = Self {
        attempts: 2,
        attempt: Duration::from_millis(300),
        call: Duration::from_millis(500),
        ..Self::BRIEF
    };

    /// The same configuration with these limits.
    pub(crate) fn applied(self, config: SdkConfig) -> SdkConfig {
        config
            .into_builder()
            .retry_config(
                RetryConfig::adaptive()
                    .with_max_attempts(self.attempts)
                    .with_initial_backoff(self.first_pause)
                    .with_max_backoff(self.longest_pause),
            )
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(self.attempt.min(Duration::from_secs(5)))
                    .operation_attempt_timeout(self.attempt)
                    .operation_timeout(self.call)
                    .build(),
            )
            .build()
    }
}
