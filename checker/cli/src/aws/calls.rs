//! Counts what the checker asks of AWS, by operation, retries included.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Calls by operation, `secretsmanager:ListSecrets`.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<BTreeMap<String, u64>>);

impl Calls {
    /// The counts so far.
    pub(crate) fn counted(&self) -> BTreeMap<String, u64> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn count(&self, operation: String) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(operation).or_default() += 1;
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
            self.0.count(operation_name(metadata));
        }
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
