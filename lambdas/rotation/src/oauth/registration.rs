//! RFC 7592 client configuration management, where the provider happens to rotate.
//!
//! The RFC does not promise that: a client "MUST NOT be allowed to overwrite its existing client secret with
//! its own chosen value", and whether an update brings a new one is the provider's choice. So an update whose
//! answer has the old secret is a failure that says so. A provider may also replace the registration access
//! token or the configuration endpoint with any answer: what it gave last is stored even then, since nothing
//! else would open the client's configuration again.
//!
//! If the function dies after an answer with a new registration access token and before that is stored, the token is
//! lost: the client must be registered anew. Nothing on this side can prevent that; a refused call to store it is
//! tried again at once.

use lambda_host::Exchange;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::content::with_members;
use crate::error::RotationError;
use crate::oauth::client::{OauthClient, Registration};
use crate::oauth::provider::read;
use crate::steps::Task;
use crate::store::Content;

const DOING: &str = "update the client at the identity provider";

/// Members of an answer that a request must not repeat (RFC 7592, section 2.2).
const NOT_SENT: [&str; 4] = [
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
];

/// Updates the client with its own metadata and stores the secret that comes back as pending.
///
/// # Errors
/// A provider that refuses or keeps the secret, a failed call.
pub async fn create(
    task: &Task<'_>,
    current: &OauthClient,
    registration: &Registration,
) -> Result<(), RotationError> {
    let mut access = Access {
        uri: registration.uri.clone(),
        token: owned(registration.token.expose_secret()),
    };
    let old = current.secret.expose_secret();
    let mut metadata = match &registration.metadata {
        Some(metadata) => metadata.clone(),
        None => access.ask(task, "GET", "").await?,
    };
    // An earlier try may have got this far and not stored what it was given: then the new secret is here.
    let mut secret = text(&metadata, "client_secret").filter(|secret| secret.as_str() != old);
    if secret.is_none() {
        metadata.retain(|name, _| !NOT_SENT.contains(&name.as_str()));
        metadata.insert("client_id".to_owned(), current.id.as_str().into());
        metadata.insert("client_secret".to_owned(), old.into());
        let body = Zeroizing::new(Value::Object(metadata).to_string());
        let answer = access.ask(task, "PUT", &body).await?;
        secret = text(&answer, "client_secret").filter(|secret| secret.as_str() != old);
    }
    let moved = access.uri != registration.uri
        || access.token.as_str() != registration.token.expose_secret();
    if secret.is_none() && !moved {
        return Err(RotationError::IdpDoesNotRotate);
    }
    let next = with_members(
        current.text.expose_secret(),
        &[
            (
                "client_secret",
                secret.as_ref().map_or(old, |secret| secret.as_str()),
            ),
            ("registration_access_token", &access.token),
            ("registration_client_uri", &access.uri),
        ],
    )?;
    task.store
        .put_irreplaceable(&Content::Text(next.as_str().into()))
        .await?;
    if secret.is_none() {
        Err(RotationError::IdpDoesNotRotate)
    } else {
        Ok(())
    }
}

/// The way to the client's configuration, as the last answer gave it.
struct Access {
    uri: String,
    token: Zeroizing<String>,
}

impl Access {
    async fn ask(
        &mut self,
        task: &Task<'_>,
        method: &str,
        body: &str,
    ) -> Result<Map<String, Value>, RotationError> {
        let bearer = Zeroizing::new(format!("Bearer {}", self.token.as_str()));
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("accept", "application/json"),
        ];
        let exchange = Exchange {
            method,
            url: &self.uri,
            headers: &headers,
            body,
        };
        let answer = task.rotator.providers.ask(DOING, exchange).await?;
        let answer: Map<String, Value> = read(DOING, &answer, &[200])?;
        if let Some(token) = text(&answer, "registration_access_token") {
            self.token = token;
        }
        if let Some(uri) = text(&answer, "registration_client_uri") {
            uri.as_str().clone_into(&mut self.uri);
        }
        Ok(answer)
    }
}

fn text(object: &Map<String, Value>, member: &str) -> Option<Zeroizing<String>> {
    object
        .get(member)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
        .map(owned)
}

fn owned(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}
