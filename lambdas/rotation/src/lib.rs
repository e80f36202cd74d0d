//! The rotation function of Secrets Manager: four steps for every type of secret, each step safe to repeat.
//!
//! Input: the rotation event and the secret it names; what kind of secret it is stands in its tag
//! `secret_type`. Output: a new version under `AWSCURRENT`, the old one still readable. Read on in [`steps`]
//! for the checks that hold for all types, then in [`generated`] for the steps of one kind.
//!
//! It deliberately does not guess: a missing or unknown type, an unreadable value or an ambiguous member ends
//! the rotation with an error and leaves `AWSCURRENT` as it is. It never reports success for less than its step.

pub mod content;
pub mod database;
pub mod error;
pub mod generated;
pub mod key_material;
pub mod labels;
pub mod oauth;
pub mod request;
pub mod secret_type;
pub mod steps;
pub mod store;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use lambda_host::{Environment, Failure, HostError, Patience};
use serde_json::Value;

pub use database::connection::Databases;
pub use error::RotationError;
pub use oauth::provider::Providers;
pub use request::{RotationRequest, Step};
pub use secret_type::SecretType;
pub use steps::{Done, Outcome, Warning, rotate};

/// What a rotation needs besides its event.
#[derive(Debug, Clone)]
pub struct Rotator {
    /// Client of Secrets Manager, for the secret and, where there is one, for its master secret.
    pub secrets: Client,
    /// First pause while waiting for a version that was just written to become readable; it doubles.
    pub settle: Duration,
    /// Databases that may be reached.
    pub databases: Databases,
    /// Identity providers that may be asked.
    pub providers: Providers,
}

impl Rotator {
    /// A rotator from the settings of its function.
    ///
    /// # Errors
    /// A setting that is missing or cannot be used.
    pub fn from_environment(environment: &Environment) -> Result<Self, HostError> {
        let patience = Patience {
            attempts: 4,
            first_pause: Duration::from_millis(100),
            attempt: Duration::from_secs(5),
        };
        let config = lambda_host::sdk_config(environment, patience)?;
        Ok(Self {
            secrets: Client::new(&config),
            settle: Duration::from_millis(100),
            databases: Databases::from_environment(environment)?,
            providers: Providers::from_environment(environment)?,
        })
    }
}

/// Serves rotation events from the Lambda Runtime API until it ends.
///
/// # Errors
/// Settings or a Runtime API that cannot be used.
pub async fn serve() -> Result<(), HostError> {
    let environment = Environment::of_process();
    let rotator = Arc::new(Rotator::from_environment(&environment)?);
    lambda_host::serve(&environment, move |text| {
        let rotator = Arc::clone(&rotator);
        async move { handle(&rotator, &text).await.map_err(Failure::from) }
    })
    .await
}

/// One invocation: reads the event's text, does its step, says what was done.
///
/// # Errors
/// Every reason for which the step is not done.
pub async fn handle(rotator: &Rotator, event: &str) -> Result<Value, RotationError> {
    let request = RotationRequest::parse(event)?;
    let outcome = rotate(rotator, &request).await?;
    outcome.announce(&request);
    Ok(outcome.to_json(&request))
}
