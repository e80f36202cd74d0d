//! Credentials of a role, assumed when they are needed and again before they run out.
//!
//! By the clock of what is probed: in the embedded AWS hours can pass in a second, and the client's own cache, which
//! goes by this machine's clock, would not notice.

use std::fmt;
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as Providing;
use aws_credential_types::provider::{ProvideCredentials, Result as Provided};
use checker_core::observation::{Time, Unseen};
use checker_lab::LabClock;
use chrono::{TimeDelta, Utc};
use tokio::sync::Mutex;

use crate::aws::{incomplete, unseen};

/// This long before they run out they are made again.
const MARGIN_MINUTES: i64 = 10;

/// A role, and whoever may assume it.
#[derive(Clone)]
pub(super) struct Assumed(Arc<Inner>);

struct Inner {
    sts: aws_sdk_sts::Client,
    role: String,
    session: String,
    clock: Option<LabClock>,
    current: Mutex<Option<(Credentials, Time)>>,
}

impl Assumed {
    /// Assumes nothing yet.
    pub(super) fn new(
        sts: aws_sdk_sts::Client,
        role: String,
        session: String,
        clock: Option<LabClock>,
    ) -> Self {
        Self(Arc::new(Inner {
            sts,
            role,
            session,
            clock,
            current: Mutex::new(None),
        }))
    }

    /// Credentials that hold for a while.
    pub(super) async fn credentials(&self) -> Result<Credentials, Unseen> {
        let inner = &self.0;
        let now = inner.clock.as_ref().map_or_else(Utc::now, LabClock::now);
        let mut current = inner.current.lock().await;
        if let Some((credentials, until)) = current.as_ref()
            && now + TimeDelta::minutes(MARGIN_MINUTES) < *until
        {
            return Ok(credentials.clone());
        }
        let operation = "sts:AssumeRole";
        let answer = inner
            .sts
            .assume_role()
            .role_arn(&inner.role)
            .role_session_name(&inner.session)
            .send()
            .await
            .map_err(|error| Unseen {
                advice: format!(
                    "the probes act as {}, and that role must let the checker in",
                    inner.role
                ),
                ..unseen(operation, &error)
            })?;
        let issued = answer
            .credentials()
            .ok_or_else(|| incomplete(operation, "Credentials"))?;
        let credentials = Credentials::new(
            issued.access_key_id(),
            issued.secret_access_key(),
            Some(issued.session_token().to_owned()),
            None,
            "checker-probe",
        );
        let until = Time::from_timestamp(issued.expiration().secs(), 0)
            .ok_or_else(|| incomplete(operation, "Expiration"))?;
        *current = Some((credentials.clone(), until));
        Ok(credentials)
    }
}

impl ProvideCredentials for Assumed {
    fn provide_credentials<'a>(&'a self) -> Providing<'a>
    where
        Self: 'a,
    {
        Providing::new(async move {
            let provided: Provided = self
                .credentials()
                .await
                .map_err(|unseen| CredentialsError::provider_error(unseen.to_string()));
            provided
        })
    }
}

/// Without the credentials.
impl fmt::Debug for Assumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assumed")
            .field("role", &self.0.role)
            .finish_non_exhaustive()
    }
}
