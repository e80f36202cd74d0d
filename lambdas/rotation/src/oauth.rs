//! The four steps for `OAUTH_SECRET`: a client secret that an identity provider makes.
//!
//! Since the provider makes the value, `createSecret` asks for it and stores it at once. Two adapters:
//! * `two-secrets` (the default): the provider holds two secrets of a client at a time; see [`two_secrets`].
//!   Nobody is disturbed: the previous secret is deleted only by the next rotation.
//! * `rfc7592`: client configuration management; see [`registration`]. The old secret dies with the update, so
//!   readers must fetch the secret again when it is refused.
//!
//! Only origins that the function's settings name are asked. No answer's body reaches an error text.

pub mod client;
pub mod provider;
pub mod registration;
pub mod two_secrets;

use crate::error::RotationError;
use crate::oauth::client::{Adapter, OauthClient};
use crate::secret_type::SecretType;
use crate::steps::{Done, Outcome, Task};
use crate::store::CURRENT;

/// Gets a new client secret from the provider and stores it as `AWSPENDING`.
///
/// # Errors
/// No first value, a provider that refuses or does not rotate, a failed call.
pub async fn create(task: &Task<'_>) -> Result<Outcome, RotationError> {
    let current = current(task).await?;
    if task.store.pending().await?.is_some() {
        return Ok(Done::AlreadyThere.into());
    }
    // Before anything is made that could then not be tested.
    task.rotator
        .providers
        .check_origin(&current.token_endpoint)?;
    match &current.adapter {
        Adapter::TwoSecrets(secrets) => two_secrets::create(task, &current, secrets).await?,
        Adapter::Registration(registration) => {
            registration::create(task, &current, registration).await?;
        }
    }
    Ok(Done::Created.into())
}

/// Makes sure that the pending value is stored: the provider made it and knows it.
///
/// # Errors
/// No pending value, a failed call.
pub async fn set(task: &Task<'_>) -> Result<Outcome, RotationError> {
    pending(task).await?.ok_or(RotationError::PendingEmpty)?;
    Ok(Done::Set.into())
}

/// Gets a token with the pending secret. A version without a value means that only connections are tried:
/// then the current secret must get one.
///
/// # Errors
/// A pending value that does not follow from the current one, a provider that refuses, a failed call.
pub async fn test(task: &Task<'_>) -> Result<Outcome, RotationError> {
    let current = current(task).await?;
    let Some(pending) = pending(task).await? else {
        task.rotator
            .providers
            .get_token(&current, task.rotator.settle)
            .await?;
        return Ok(Done::TriedPermissions.into());
    };
    pending.check_follows(&current)?;
    task.rotator
        .providers
        .get_token(&pending, task.rotator.settle)
        .await?;
    Ok(Done::Tested.into())
}

/// Moves `AWSCURRENT` to the pending version.
///
/// # Errors
/// No pending value, a failed call.
pub async fn finish(task: &Task<'_>) -> Result<Outcome, RotationError> {
    let pending = pending(task).await?.ok_or(RotationError::PendingEmpty)?;
    pending.check_follows(&current(task).await?)?;
    task.promote().await?;
    Ok(Done::Promoted.into())
}

async fn current(task: &Task<'_>) -> Result<OauthClient, RotationError> {
    let kind = SecretType::OauthSecret;
    let version = task
        .description
        .versions
        .holder(CURRENT)
        .ok_or(RotationError::FirstValueMissing { kind })?;
    let stored = task
        .store
        .settled_value(version, CURRENT)
        .await?
        .ok_or(RotationError::CurrentMissing)?;
    OauthClient::parse(stored.content)
}

async fn pending(task: &Task<'_>) -> Result<Option<OauthClient>, RotationError> {
    task.store
        .settled_pending()
        .await?
        .map(|stored| OauthClient::parse(stored.content))
        .transpose()
}
