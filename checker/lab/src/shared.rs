//! What the server, the Lambda host and the rotations share: the world behind its
//! lock, the clock, the faults, and the count of what is still in flight.
//!
//! INVARIANT: the world's lock is never held across an await. Handlers put what
//! must happen afterwards into `World::later`; [`Shared::act`] starts it.

use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::fault::Faults;
use crate::lambda::host::Host;
use crate::world::{Later, World};

/// How often real time is looked at for things that are due.
const TICK: Duration = Duration::from_millis(200);

/// Shared by everything that runs for one lab.
pub(crate) struct Shared {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) host: Host,
    /// `http://127.0.0.1:<port>`, known once the server listens.
    pub(crate) endpoint: OnceLock<String>,
    /// Whether rotations are begun and never carried out.
    pub(crate) still: bool,
    /// Whether events are delivered to no function.
    pub(crate) quiet: bool,
    world: Mutex<World>,
    in_flight: watch::Sender<usize>,
    runtime: Handle,
}

impl Shared {
    pub(crate) fn new(world: World, clock: Clock, host: Host, runtime: Handle) -> Self {
        Self {
            account: world.account.clone(),
            region: world.region.clone(),
            clock,
            faults: Faults::default(),
            host,
            endpoint: OnceLock::new(),
            still: false,
            quiet: false,
            world: Mutex::new(world),
            in_flight: watch::Sender::new(0),
            runtime,
        }
    }

    /// Does something with the world, then starts what it left to be done.
    pub(crate) fn act<T>(self: &Arc<Self>, act: impl FnOnce(&mut World) -> T) -> T {
        let (result, later) = {
            let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
            let result = act(&mut world);
            (result, std::mem::take(&mut world.later))
        };
        for task in later {
            self.start(task);
        }
        result
    }

    /// Runs a task that [`Shared::settle`] waits for.
    pub(crate) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let running = Running::enter(Arc::clone(self));
        self.runtime.spawn(async move {
            task.await;
            drop(running);
        });
    }

    /// Waits until nothing is in flight.
    pub(crate) async fn settle(self: &Arc<Self>) {
        let mut count = self.in_flight.subscribe();
        // The sender lives in `self`, so waiting can't fail.
        drop(count.wait_for(|running| *running == 0).await);
    }

    /// Moves the clock on to `target`, stopping at everything that is due before.
    pub(crate) async fn advance(self: &Arc<Self>, target: DateTime<Utc>) {
        self.settle().await;
        while let Some(due) = self
            .act(|world| world.next_due())
            .filter(|due| *due <= target)
        {
            self.clock.move_to(due);
            self.fire();
            self.settle().await;
        }
        self.clock.move_to(target);
        self.fire();
        self.settle().await;
    }

    /// Starts whatever is due now.
    pub(crate) fn fire(self: &Arc<Self>) {
        let now = self.clock.now();
        self.act(|world| world.fire(now));
    }

    /// Fires what becomes due while real time passes, until the lab stops.
    pub(crate) async fn tick(self: Arc<Self>) {
        loop {
            tokio::time::sleep(TICK).await;
            self.fire();
        }
    }

    fn start(self: &Arc<Self>, task: Later) {
        let shared = Arc::clone(self);
        match task {
            Later::Invoke(invoke) => {
                self.spawn(async move { crate::lambda::asynchronous::run(shared, invoke).await });
            }
            Later::Rotate(_) if self.still => {}
            Later::Rotate(rotation) => {
                self.spawn(async move { crate::rotation::run(shared, rotation).await });
            }
        }
    }
}

/// Counts one running task down when it ends, however it ends.
struct Running(Arc<Shared>);

impl Running {
    fn enter(shared: Arc<Shared>) -> Self {
        shared.in_flight.send_modify(|count| *count += 1);
        Self(shared)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0
            .in_flight
            .send_modify(|count| *count = count.saturating_sub(1));
    }
}
