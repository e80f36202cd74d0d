//! A client of an identity provider as its secret holds it.
//!
//! Members: `client_id`, `client_secret`, `token_endpoint`, optionally `scope`, `token_endpoint_auth_method`
//! (`client_secret_basic`, the default, or `client_secret_post`) and `adapter`. For `two-secrets` also
//! `management_url`, `management_secret_arn`, `secret_id` and, after the first rotation, `previous_secret_id`;
//! for `rfc7592` `registration_client_uri`, `registration_access_token` and optionally
//! `registration_metadata`, the client's metadata as an object.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::RotationError;
use crate::store::Content;

/// A client that was read and found complete.
#[derive(Debug)]
pub struct OauthClient {
    /// The secret's text, for making the next one from it.
    pub text: SecretString,
    /// The client's id.
    pub id: String,
    /// The client's secret.
    pub secret: SecretString,
    /// Where tokens are asked for.
    pub token_endpoint: String,
    /// Scope that a token must have.
    pub scope: Option<String>,
    /// Whether id and secret go into the body instead of a header.
    pub secret_in_body: bool,
    /// How its secret is rotated.
    pub adapter: Adapter,
}

/// How a provider makes new secrets.
#[derive(Debug)]
pub enum Adapter {
    /// Two secrets at a time.
    TwoSecrets(TwoSecrets),
    /// RFC 7592.
    Registration(Registration),
}

/// Members for [`Adapter::TwoSecrets`].
#[derive(Debug, PartialEq, Eq)]
pub struct TwoSecrets {
    /// Base of the management interface.
    pub management_url: String,
    /// The secret that holds the token for it.
    pub management_secret: String,
    /// Id of the current secret.
    pub secret_id: String,
    /// Id of the secret before it.
    pub previous_id: Option<String>,
}

/// Members for [`Adapter::Registration`].
#[derive(Debug)]
pub struct Registration {
    /// The client's configuration endpoint.
    pub uri: String,
    /// The token for it.
    pub token: SecretString,
    /// The client's metadata, where the secret holds them.
    pub metadata: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Raw {
    client_id: Option<String>,
    client_secret: Option<String>,
    token_endpoint: Option<String>,
    scope: Option<String>,
    token_endpoint_auth_method: Option<String>,
    adapter: Option<String>,
    management_url: Option<String>,
    management_secret_arn: Option<String>,
    secret_id: Option<String>,
    previous_secret_id: Option<String>,
    registration_client_uri: Option<String>,
    registration_access_token: Option<String>,
    registration_metadata: Option<Map<String, Value>>,
}

impl OauthClient {
    /// Reads a client.
    ///
    /// # Errors
    /// [`RotationError::Content`] with what is missing.
    pub fn parse(content: Content) -> Result<Self, RotationError> {
        let Content::Text(text) = content else {
            return problem("it is binary");
        };
        let Ok(raw) = serde_json::from_str::<Raw>(text.expose_secret()) else {
            return problem("it is not a JSON object whose members are texts");
        };
        let adapter = match raw.adapter.as_deref() {
            Some("two-secrets") | None => Adapter::TwoSecrets(TwoSecrets {
                management_url: required(raw.management_url, "it has no `management_url`")?,
                management_secret: required(
                    raw.management_secret_arn,
                    "it has no `management_secret_arn`",
                )?,
                secret_id: required(raw.secret_id, "it has no `secret_id`")?,
                previous_id: raw.previous_secret_id.filter(|id| !id.is_empty()),
            }),
            Some("rfc7592") => Adapter::Registration(Registration {
                uri: required(
                    raw.registration_client_uri,
                    "it has no `registration_client_uri`",
                )?,
                token: required(
                    raw.registration_access_token,
                    "it has no `registration_access_token`",
                )?
                .into(),
                metadata: raw.registration_metadata,
            }),
            Some(_) => return problem("its `adapter` is neither `two-secrets` nor `rfc7592`"),
        };
        let secret_in_body = match raw.token_endpoint_auth_method.as_deref() {
            Some("client_secret_basic") | None => false,
            Some("client_secret_post") => true,
            Some(_) => {
                return problem("its `token_endpoint_auth_method` is no method with a secret");
            }
        };
        Ok(Self {
            text,
            id: required(raw.client_id, "it has no `client_id`")?,
            secret: required(raw.client_secret, "it has no `client_secret`")?.into(),
            token_endpoint: required(raw.token_endpoint, "it has no `token_endpoint`")?,
            scope: raw.scope.filter(|scope| !scope.is_empty()),
            secret_in_body,
            adapter,
        })
    }

    /// Checks that this is what a rotation makes of `current`: the same client at the same provider with
    /// another secret.
    ///
    /// # Errors
    /// [`RotationError::Unfit`].
    pub fn check_follows(&self, current: &Self) -> Result<(), RotationError> {
        let unfit = |problem| Err(RotationError::Unfit { problem });
        let same_client = (
            &self.id,
            &self.token_endpoint,
            &self.scope,
            self.secret_in_body,
        ) == (
            &current.id,
            &current.token_endpoint,
            &current.scope,
            current.secret_in_body,
        );
        let same_adapter = match (&self.adapter, &current.adapter) {
            (Adapter::TwoSecrets(new), Adapter::TwoSecrets(old)) => {
                (
                    &new.management_url,
                    &new.management_secret,
                    new.previous_id.as_ref(),
                ) == (
                    &old.management_url,
                    &old.management_secret,
                    Some(&old.secret_id),
                )
            }
            // A provider may move a client's configuration endpoint.
            (Adapter::Registration(_), Adapter::Registration(_)) => true,
            (Adapter::TwoSecrets(_), Adapter::Registration(_))
            | (Adapter::Registration(_), Adapter::TwoSecrets(_)) => false,
        };
        if !same_client || !same_adapter {
            return unfit("its client or provider is not what follows from the current version");
        }
        if self.secret.expose_secret() == current.secret.expose_secret() {
            return unfit("its client secret is the current one");
        }
        Ok(())
    }
}

fn required(text: Option<String>, complaint: &'static str) -> Result<String, RotationError> {
    text.filter(|text| !text.is_empty())
        .ok_or(RotationError::Content { problem: complaint })
}

fn problem<T>(problem: &'static str) -> Result<T, RotationError> {
    Err(RotationError::Content { problem })
}
