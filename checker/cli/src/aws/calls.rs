//! Counts what the checker asks of AWS, by operation, retries included, and how far the open lists are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Calls by operation, `secretsmanager:ListSecrets`.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    by_operation: BTreeMap<String, u64>,
    again: u64,
    /// Rows of the lists that are being read.
    rows: BTreeMap<String, u64>,
    /// Since when something is asked and nothing at all is answered.
    unanswered: Option<Instant>,
}

impl Calls {
    /// The counts so far.
    pub(crate) fn counted(&self) -> BTreeMap<String, u64> {
        self.note(|counts| counts.by_operation.clone())
    }

    /// All calls so far.
    pub(crate) fn all(&self) -> u64 {
        self.note(|counts| counts.by_operation.values().sum())
    }

    /// Calls that were tried again.
    pub(crate) fn again(&self) -> u64 {
        self.note(|counts| counts.again)
    }

    /// The list that is being read and has most rows.
    pub(super) fn listing(&self) -> Option<(String, u64)> {
        self.note(|counts| {
            let longest = counts.rows.iter().max_by_key(|(_, rows)| **rows)?;
            Some((longest.0.clone(), *longest.1))
        })
    }

    /// Notes how many rows a list has so far; `None` once it is read.
    pub(super) fn reading(&self, operation: &str, rows: Option<usize>) {
        self.note(|counts| match rows {
            Some(rows) => {
                let rows = u64::try_from(rows).unwrap_or(u64::MAX);
                counts.rows.insert(operation.to_owned(), rows);
            }
            None => {
                counts.rows.remove(operation);
            }
        });
    }

    fn count(&self, operation: String, attempt: u32) {
        self.note(|counts| {
            *counts.by_operation.entry(operation).or_default() += 1;
            counts.again += u64::from(attempt > 1);
            counts.unanswered.get_or_insert_with(Instant::now);
        });
    }

    fn answered(&self) {
        self.note(|counts| counts.unanswered = None);
    }

    /// For how long something is asked and nothing at all is answered, not even with an error.
    pub(crate) fn unanswered(&self) -> Duration {
        let since = self.note(|counts| counts.unanswered);
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn note<T>(&self, note: impl FnOnce(&mut Counts) -> T) -> T {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Sees every attempt of every call.
#[derive(Debug)]
pub(crate) struct Counter(Arc<Calls>);

impl Counter {
    /// Counts into `calls`.
    pub(crate) fn new(calls: &Arc<Calls>) -> Self {
        Self(Arc::clone(calls))
    }
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for Counter {
    fn name(&self) -> &'static str {
        "CallCounter"
    }

    fn read_before_attempt(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(metadata) = bag.load::<Metadata>() {
            let operation = operation_name(metadata);
            let attempt = bag
                .load::<RequestAttempts>()
                .map_or(1, RequestAttempts::attempts);
            self.0.count(operation, attempt);
        }
        Ok(())
    }

    fn read_after_transmit(
        &self,
        _context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.answered();
        Ok(())
    }
}

/// `service:Operation`, as plans and counts name it.
pub(crate) fn operation_name(metadata: &Metadata) -> String {
    format!("{}:{}", iam_prefix(metadata.service()), metadata.name())
}

/// The service's name as IAM policies write it.
fn iam_prefix(service: &str) -> String {
    match service {
        "Secrets Manager" => "secretsmanager".to_owned(),
        "Resource Groups Tagging API" => "tag".to_owned(),
        "CloudWatch Logs" => "logs".to_owned(),
        "EventBridge" => "events".to_owned(),
        other => other.to_lowercase().replace(' ', ""),
    }
}
