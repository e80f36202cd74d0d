//! The AWS configuration of a function, from the variables that Lambda sets.
//!
//! Input: [`Environment`] and how patient calls may be. Output: one [`SdkConfig`] for all clients. It does not
//! look for credentials anywhere else (no profile files, no metadata service): a function has exactly the
//! role that its environment names, and starting it costs no lookups.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;

use crate::environment::{Environment, EnvironmentError};

/// How long and how often a function tries one AWS call.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Attempts in all, the first included.
    pub attempts: u32,
    /// The longest pause before the second attempt; it doubles from there.
    pub first_pause: Duration,
    /// Limit of one attempt.
    pub attempt: Duration,
}

/// Builds the configuration of every AWS client of the function.
///
/// # Errors
/// A missing region or credential variable.
pub fn sdk_config(
    environment: &Environment,
    patience: Patience,
) -> Result<SdkConfig, EnvironmentError> {
    let credentials = Credentials::new(
        environment.required("AWS_ACCESS_KEY_ID")?,
        environment.required("AWS_SECRET_ACCESS_KEY")?,
        environment.get("AWS_SESSION_TOKEN").map(str::to_owned),
        None,
        "environment",
    );
    let region = Region::new(environment.required("AWS_REGION")?.to_owned());
    let endpoint = environment.get("AWS_ENDPOINT_URL");
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .region(region)
        .sleep_impl(TokioSleep::new())
        .time_source(SystemTimeSource::new())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(patience.attempts)
                .with_initial_backoff(patience.first_pause),
        )
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(2))
                .operation_attempt_timeout(patience.attempt)
                .build(),
        );
    config.set_endpoint_url(endpoint.map(str::to_owned));
    // Reading the machine's root certificates takes milliseconds of the start, so plain endpoints don't.
    let plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    config.set_http_client(Some(if plain {
        Builder::new().build_http()
    } else {
        Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https()
    }));
    Ok(config.build())
}

#[cfg(test)]
mod tests {
    use super::{Patience, sdk_config};
    use crate::environment::Environment;
    use std::time::Duration;

    const PATIENCE: Patience = Patience {
        attempts: 2,
        first_pause: Duration::from_millis(5),
        attempt: Duration::from_secs(1),
    };

    #[test]
    fn the_endpoint_and_region_come_from_the_environment() {
        let environment: Environment = [
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "b"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"),
        ]
        .into_iter()
        .collect();
        let config = sdk_config(&environment, PATIENCE);
        assert_eq!(
            config.map(|config| (
                config.region().map(ToString::to_string),
                config.endpoint_url().map(str::to_owned)
            )),
            Ok((
                Some("eu-central-1".to_owned()),
                Some("http://127.0.0.1:4566".to_owned())
            ))
        );
    }

    #[test]
    fn a_missing_region_is_named() {
        let environment: Environment = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")]
            .into_iter()
            .collect();
        let error = sdk_config(&environment, PATIENCE)
            .err()
            .map(|error| error.to_string());
        assert_eq!(
            error.as_deref(),
            Some("read the setting `AWS_REGION`: it is not set")
        );
    }
}
