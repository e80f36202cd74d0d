//! Everything the lab knows: one `State` a service, the credentials it issued,
//! and what is still to be done.
//!
//! Handlers get the whole world, because AWS services lean on each other
//! (Secrets Manager on KMS, Lambda on IAM). Regional state is keyed by ARN or
//! by region and name, so that regions stay apart. The world does no I/O.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::credentials::Credentials;
use crate::ids::Ids;

/// The state of the embedded AWS.
#[derive(Default)]
pub(crate) struct World {
    /// The lab's account.
    pub(crate) account: String,
    /// The lab's home region.
    pub(crate) region: String,
    /// The source of identifiers.
    pub(crate) ids: Ids,
    /// The credentials that were issued.
    pub(crate) credentials: Credentials,
    /// What has to happen after the call, outside the lock, in order.
    pub(crate) later: Vec<Later>,
    /// The long lists that are being read.
    pub(crate) walks: crate::walk::Walks,
    /// What has to happen at a later time of the lab's clock.
    pub(crate) timers: Vec<(DateTime<Utc>, Later)>,

    pub(crate) cloudtrail: crate::cloudtrail::State,
    pub(crate) cloudwatch: crate::cloudwatch::State,
    pub(crate) events: crate::events::State,
    pub(crate) iam: crate::iam::State,
    pub(crate) kms: crate::kms::State,
    pub(crate) lambda: crate::lambda::State,
    pub(crate) logs: crate::logs::State,
    pub(crate) scheduler: crate::scheduler::State,
    pub(crate) secretsmanager: crate::secretsmanager::State,
    pub(crate) sns: crate::sns::State,
    pub(crate) sqs: crate::sqs::State,
    pub(crate) ssm: crate::ssm::State,
}

impl World {
    /// The next time at which something is due.
    pub(crate) fn next_due(&self) -> Option<DateTime<Utc>> {
        let timers = self.timers.iter().map(|(at, _)| *at).min();
        let rotation = crate::secretsmanager::rotating::next_due(&self.secretsmanager);
        [timers, rotation].into_iter().flatten().min()
    }

    /// Does what is due by `now`.
    pub(crate) fn fire(&mut self, now: DateTime<Utc>) {
        let (due, rest) = std::mem::take(&mut self.timers)
            .into_iter()
            .partition::<Vec<_>, _>(|(at, _)| *at <= now);
        self.timers = rest;
        self.later.extend(due.into_iter().map(|(_, task)| task));
        self.kms.purge(now);
        crate::secretsmanager::rotating::fire(self, now);
    }
}

/// Something that happens after the call that caused it was answered.
pub(crate) enum Later {
    /// Invoke a function asynchronously, with retries and destinations.
    Invoke(AsyncInvoke),
    /// Run a rotation.
    Rotate(crate::rotation::Rotation),
}

/// An asynchronous invocation, by a client (`Event`) or by a service's delivery.
#[derive(Debug, Clone)]
pub(crate) struct AsyncInvoke {
    /// The function's ARN, qualified or not.
    pub(crate) function_arn: String,
    /// The event.
    pub(crate) payload: Value,
    /// Who invokes: `None` for a client that was authorised by the call itself.
    pub(crate) source: Option<InvokeSource>,
    /// How often it was tried before.
    pub(crate) attempt: u32,
    /// When the event was first sent.
    pub(crate) sent: DateTime<Utc>,
}

/// A service that invokes a function: the function's policy must let it.
#[derive(Debug, Clone)]
pub(crate) struct InvokeSource {
    /// `events.amazonaws.com`, `sns.amazonaws.com`, ...
    pub(crate) principal: String,
    /// `aws:SourceArn`.
    pub(crate) source_arn: String,
    /// `aws:SourceAccount`.
    pub(crate) source_account: String,
}
