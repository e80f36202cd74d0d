//! The services of the lab: names, model and handler in one table.
//!
//! Adding a service is one file, one row here and one field of the world.

use std::sync::OnceLock;

use crate::protocol::model::Model;
use crate::service::{Answer, ApiError, Call};
use crate::world::World;

/// One service.
pub(crate) struct Service {
    /// The IAM prefix, also the name in faults: `secretsmanager`, `tag`, `cloudwatch`.
    pub(crate) prefix: &'static str,
    /// The name in the signature's scope: `tagging`, `monitoring`.
    pub(crate) signing: &'static str,
    /// What `X-Amz-Target` starts with; empty for other protocols.
    pub(crate) target: &'static str,
    text: &'static str,
    model: OnceLock<Option<Model>>,
    /// The handler.
    pub(crate) handle: fn(&mut World, &Call<'_>) -> Answer,
}

impl Service {
    /// The model, parsed on first use.
    pub(crate) fn model(&self) -> Result<&Model, ApiError> {
        self.model
            .get_or_init(|| serde_json::from_str(self.text).ok())
            .as_ref()
            .ok_or_else(|| {
                ApiError::internal(format!("the model of `{}` can't be read", self.prefix))
            })
    }
}

macro_rules! service {
    ($prefix:literal, $signing:literal, $target:literal, $file:literal, $module:ident) => {
        Service {
            prefix: $prefix,
            signing: $signing,
            target: $target,
            text: include_str!(concat!("../models/", $file, ".json")),
            model: OnceLock::new(),
            handle: crate::$module::handle,
        }
    };
}

/// All services, by IAM prefix.
pub(crate) static SERVICES: [Service; 14] = [
    service!(
        "cloudtrail",
        "cloudtrail",
        "com.amazonaws.cloudtrail",
        "cloudtrail",
        cloudtrail
    ),
    service!(
        "cloudwatch",
        "monitoring",
        "GraniteServiceVersion20100801",
        "cloudwatch",
        cloudwatch
    ),
    service!("events", "events", "AWSEvents", "events", events),
    service!("iam", "iam", "", "iam", iam),
    service!("kms", "kms", "TrentService", "kms", kms),
    service!("lambda", "lambda", "", "lambda", lambda),
    service!("logs", "logs", "Logs_20140328", "logs", logs),
    service!("scheduler", "scheduler", "", "scheduler", scheduler),
    service!(
        "secretsmanager",
        "secretsmanager",
        "secretsmanager",
        "secretsmanager",
        secretsmanager
    ),
    service!("sns", "sns", "", "sns", sns),
    service!("sqs", "sqs", "AmazonSQS", "sqs", sqs),
    service!("ssm", "ssm", "AmazonSSM", "ssm", ssm),
    service!("sts", "sts", "", "sts", sts),
    service!(
        "tag",
        "tagging",
        "ResourceGroupsTaggingAPI_20170126",
        "resourcegroupstaggingapi",
        tagging
    ),
];

/// A service by the name in a signature's scope.
pub(crate) fn by_signing(name: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.signing == name)
}

/// A service by the beginning of `X-Amz-Target`.
pub(crate) fn by_target(target: &str) -> Option<&'static Service> {
    SERVICES
        .iter()
        .find(|service| !service.target.is_empty() && target.starts_with(service.target))
}

/// A service by its IAM prefix.
pub(crate) fn by_prefix(prefix: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.prefix == prefix)
}
