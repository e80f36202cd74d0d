//! The contract with providers that hold two secrets of a client at a time. What such providers share:
//!
//! * `POST {management_url}/clients/{client_id}/secrets` with `Idempotency-Key` makes a secret: 200 or 201 with
//!   `{"secret_id", "client_secret"}`. The same key again gives the same secret, or 409 with its
//!   `{"secret_id"}` where the value is shown only once; then it is deleted and made again.
//! * `DELETE {management_url}/clients/{client_id}/secrets/{secret_id}` removes one: 200, 202, 204, or 404 where
//!   it is gone already.
//!
//! The key is the rotation's own token, so a step that is repeated after a lost answer makes no orphan. The
//! secret before the current one is deleted here, when its successor's successor is about to be made.

use lambda_host::Exchange;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::content::with_members;
use crate::error::RotationError;
use crate::oauth::client::{OauthClient, TwoSecrets};
use crate::oauth::provider::{encoded, read, refused};
use crate::steps::Task;
use crate::store::Content;

#[derive(Deserialize)]
struct Made {
    secret_id: String,
    client_secret: Option<String>,
}

#[derive(Deserialize)]
struct ManagementToken {
    token: String,
}

/// Deletes the previous secret, makes a new one and stores it as pending.
///
/// # Errors
/// A provider that refuses, a failed call.
pub async fn create(
    task: &Task<'_>,
    current: &OauthClient,
    secrets: &TwoSecrets,
) -> Result<(), RotationError> {
    let token = management_token(task, secrets).await?;
    let list = format!(
        "{}/clients/{}/secrets",
        secrets.management_url.trim_end_matches('/'),
        encoded(&current.id)
    );
    // Whatever a doctored secret says, the current one is never deleted.
    if let Some(previous) = secrets
        .previous_id
        .as_deref()
        .filter(|id| *id != secrets.secret_id)
    {
        delete(task, &token, &list, previous).await?;
    }
    let made = match make(task, &token, &list).await? {
        Made {
            secret_id,
            client_secret: Some(value),
        } => (secret_id, Zeroizing::new(value)),
        Made {
            secret_id,
            client_secret: None,
        } if secret_id != secrets.secret_id => {
            delete(task, &token, &list, &secret_id).await?;
            let again = make(task, &token, &list).await?;
            let value = again
                .client_secret
                .map(Zeroizing::new)
                .ok_or_else(no_value)?;
            (again.secret_id, value)
        }
        Made { .. } => return Err(no_value()),
    };
    let (secret_id, value) = made;
    let next = with_members(
        current.text.expose_secret(),
        &[
            ("client_secret", &value),
            ("secret_id", &secret_id),
            ("previous_secret_id", &secrets.secret_id),
        ],
    )?;
    Ok(task
        .store
        .put_irreplaceable(&Content::Text(next.as_str().into()))
        .await?)
}

async fn make(task: &Task<'_>, token: &str, list: &str) -> Result<Made, RotationError> {
    let doing = "make a client secret at the identity provider";
    let headers = [
        ("authorization", token),
        ("idempotency-key", task.request.token.as_str()),
        ("content-type", "application/json"),
        ("accept", "application/json"),
    ];
    let answer = task
        .rotator
        .providers
        .ask(
            doing,
            Exchange {
                method: "POST",
                url: list,
                headers: &headers,
                body: "{}",
            },
        )
        .await?;
    let mut made: Made = read(doing, &answer, &[200, 201, 409])?;
    if answer.status == 409 {
        made.client_secret = None;
    }
    Ok(made)
}

async fn delete(
    task: &Task<'_>,
    token: &str,
    list: &str,
    secret_id: &str,
) -> Result<(), RotationError> {
    let doing = "delete an old client secret at the identity provider";
    let url = format!("{list}/{}", encoded(secret_id));
    let headers = [("authorization", token)];
    let answer = task
        .rotator
        .providers
        .ask(
            doing,
            Exchange {
                method: "DELETE",
                url: &url,
                headers: &headers,
                body: "",
            },
        )
        .await?;
    if matches!(answer.status, 200 | 202 | 204 | 404) {
        Ok(())
    } else {
        Err(refused(doing, &answer))
    }
}

/// The token for the management interface: another secret, plain text or an object with a member `token`.
async fn management_token(
    task: &Task<'_>,
    secrets: &TwoSecrets,
) -> Result<Zeroizing<String>, RotationError> {
    let content = task
        .store
        .current_of(&secrets.management_secret)
        .await?
        .ok_or(RotationError::MasterMissing)?;
    let Content::Text(text) = content else {
        return Err(RotationError::Content {
            problem: "the management secret is binary",
        });
    };
    let text = text.expose_secret();
    let token = if text.trim_start().starts_with('{') {
        serde_json::from_str::<ManagementToken>(text)
            .map(|management| Zeroizing::new(management.token))
            .map_err(|_| RotationError::Content {
                problem: "the management secret is an object without a member `token`",
            })?
    } else {
        Zeroizing::new(text.trim().to_owned())
    };
    Ok(Zeroizing::new(format!("Bearer {}", token.as_str())))
}

fn no_value() -> RotationError {
    RotationError::Idp {
        doing: "make a client secret at the identity provider",
        answer: "an answer without a new value".to_owned(),
    }
}
