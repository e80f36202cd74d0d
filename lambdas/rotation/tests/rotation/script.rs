//! What goes wrong, once, at one call of a rotation, wherever the call goes: Secrets Manager, the database or the
//! identity provider. The servers of the tests ask [`Script::arrive`] at each call.

use std::future::Future;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It fails and has no effect.
    Refused,
    /// It takes effect, but its answer is a failure.
    Lost,
    /// The function dies before it takes effect.
    KilledBefore,
    /// The function dies after it took effect, before it hears of that.
    KilledAfter,
}

pub(crate) const FATES: [Fate; 4] = [
    Fate::Refused,
    Fate::Lost,
    Fate::KilledBefore,
    Fate::KilledAfter,
];

/// A plan for one rotation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    plan: Mutex<Plan>,
    killed: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Plan {
    calls: usize,
    strike: Option<(usize, Fate)>,
}

impl Script {
    /// From now on, the call of this number has this fate.
    pub(crate) fn arm(&self, at: usize, fate: Fate) {
        self.0.killed.send_replace(false);
        *self.0.plan.lock().unwrap() = Plan {
            calls: 0,
            strike: Some((at, fate)),
        };
    }

    /// Nothing goes wrong any more. Returns whether anything did.
    pub(crate) fn disarm(&self) -> bool {
        let plan = std::mem::take(&mut *self.0.plan.lock().unwrap());
        plan.strike.is_some_and(|(at, _)| plan.calls > at)
    }

    /// Counts a call and tells its fate.
    pub(crate) fn arrive(&self) -> Option<Fate> {
        let mut plan = self.0.plan.lock().unwrap();
        let call = plan.calls;
        plan.calls += 1;
        plan.strike
            .filter(|(at, _)| *at == call)
            .map(|(_, fate)| fate)
    }

    /// Kills the function, as a server that was told so.
    pub(crate) fn kill(&self) {
        self.0.killed.send_replace(true);
    }

    /// Runs the function's work until it ends or is killed, which is `None`.
    pub(crate) async fn run<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut killed = self.0.killed.subscribe();
        tokio::select! {
            biased;
            _ = killed.wait_for(|killed| *killed) => None,
            done = work => Some(done),
        }
    }
}
