//! Waiting for something to happen, and the time of what is probed.
//!
//! On AWS that is real time. The embedded AWS has a clock: once nothing is in flight there, nothing more can happen by
//! itself until its clock moves, so it is moved and nobody waits.

use std::time::{Duration, Instant};

use checker_core::observation::Time;
use checker_lab::LabClock;
use chrono::Utc;

/// Between two looks on AWS.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two looks in the lab.
const LAB_PAUSE: Duration = Duration::from_millis(10);
/// How often it is looked in the lab before its clock is moved.
const LAB_LOOKS: u32 = 8;
/// How far the lab's clock is moved first.
const LAB_STEP: Duration = Duration::from_secs(5);
/// A lab that is busy for longer has a function that hangs; its clock is moved anyway.
const LAB_BUSY: Duration = Duration::from_secs(20);

/// Waits, and knows the time.
pub(super) struct Waiting {
    lab: Option<LabClock>,
    /// Whether what is probed is on this machine: a lab in another process, or an emulator.
    here: bool,
}

impl Waiting {
    /// With the lab's clock where there is a lab.
    pub(super) fn new(lab: Option<LabClock>, here: bool) -> Self {
        Self { lab, here }
    }

    /// Whether the clock can be moved.
    pub(super) fn is_lab(&self) -> bool {
        self.lab.is_some()
    }

    /// How long records and events may take to arrive: 15 minutes by `CloudTrail`'s word, hardly any time on this machine.
    pub(super) fn arrival(&self) -> Duration {
        if self.here || self.is_lab() {
            Duration::from_mins(1)
        } else {
            Duration::from_mins(15)
        }
    }

    /// The time of what is probed.
    pub(super) fn now(&self) -> Time {
        self.lab.as_ref().map_or_else(Utc::now, LabClock::now)
    }

    /// Looks again and again until there is something, at most for `limit`.
    pub(super) async fn until<T>(
        &self,
        limit: Duration,
        mut look: impl AsyncFnMut() -> Option<T>,
    ) -> Option<T> {
        match &self.lab {
            None => {
                let end = Instant::now() + limit;
                loop {
                    if let Some(seen) = look().await {
                        return Some(seen);
                    }
                    if Instant::now() >= end {
                        return None;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
            Some(clock) => {
                let mut waited = Duration::ZERO;
                loop {
                    for _ in 0..LAB_LOOKS {
                        if let Some(seen) = look().await {
                            return Some(seen);
                        }
                        tokio::time::sleep(LAB_PAUSE).await;
                    }
                    // What is in flight may still bring it.
                    if tokio::time::timeout(LAB_BUSY, clock.settle()).await.is_ok()
                        && let Some(seen) = look().await
                    {
                        return Some(seen);
                    }
                    if waited >= limit {
                        return None;
                    }
                    let step = waited
                        .max(LAB_STEP)
                        .min(limit.saturating_sub(waited) + LAB_PAUSE);
                    drop(tokio::time::timeout(LAB_BUSY, clock.advance(step)).await);
                    waited += step;
                }
            }
        }
    }
}
