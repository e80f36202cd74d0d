//! The secret as Secrets Manager holds it: its tags, its versions' labels and its values.
//!
//! Values are always asked for by version id and label together, and a version that was just written is asked
//! for again a few times: reads are eventually consistent. Values leave here only in types that wipe
//! themselves and print nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::SdkError;
use aws_sdk_secretsmanager::operation::get_secret_value::{
    GetSecretValueError, GetSecretValueOutput,
};
use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueError;
use aws_sdk_secretsmanager::primitives::Blob;
use lambda_host::AwsFailure;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use crate::request::RotationRequest;

/// Label of the version that readers get.
pub const CURRENT: &str = "AWSCURRENT";
/// Label of the version that a rotation is making.
pub const PENDING: &str = "AWSPENDING";
/// Label of the version that was current before.
pub const PREVIOUS: &str = "AWSPREVIOUS";

/// How often a version that should exist is asked for.
const READS: u32 = 5;
/// How often a value is stored that exists nowhere else.
const PUTS: u32 = 3;

/// One secret during one step of its rotation.
#[derive(Debug)]
pub struct Store<'a> {
    client: &'a Client,
    request: &'a RotationRequest,
    settle: Duration,
}

/// What `DescribeSecret` says and a rotation needs.
#[derive(Debug, Clone, Default)]
pub struct Description {
    /// `false` only if rotation is explicitly off.
    pub rotation_enabled: bool,
    /// The secret's tags.
    pub tags: BTreeMap<String, String>,
    /// Versions and their labels.
    pub versions: Versions,
}

/// Version ids and the labels attached to each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions(pub BTreeMap<String, BTreeSet<String>>);

/// A version's content.
#[derive(Debug)]
pub enum Content {
    /// `SecretString`.
    Text(SecretString),
    /// `SecretBinary`.
    Binary(SecretSlice<u8>),
}

/// A version that was read.
#[derive(Debug)]
pub struct Stored {
    /// What it holds.
    pub content: Content,
    /// When it was made, in seconds since 1970, if the service said so.
    pub created: Option<i64>,
}

impl Versions {
    /// The version that carries `label`.
    pub fn holder(&self, label: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(_, labels)| labels.contains(label))
            .map(|(version, _)| version.as_str())
    }

    /// Whether `version` carries `label`; `None` if the secret has no such version.
    pub fn carries(&self, version: &str, label: &str) -> Option<bool> {
        self.0.get(version).map(|labels| labels.contains(label))
    }

    /// Labels attached over all versions; the service allows 20.
    pub fn label_count(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }
}

impl<'a> Store<'a> {
    /// The secret that `request` names.
    pub fn new(client: &'a Client, request: &'a RotationRequest, settle: Duration) -> Self {
        Self {
            client,
            request,
            settle,
        }
    }

    /// Asks for tags and labels.
    ///
    /// # Errors
    /// The call's failure.
    pub async fn describe(&self) -> Result<Description, AwsFailure> {
        let answer = self
            .client
            .describe_secret()
            .secret_id(&self.request.secret_id)
            .send()
            .await
            .map_err(|error| AwsFailure::of("secretsmanager:DescribeSecret", &error))?;
        let tags = answer
            .tags()
            .iter()
            .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned())))
            .collect();
        let versions = answer
            .version_ids_to_stages()
            .into_iter()
            .flatten()
            .map(|(version, labels)| (version.clone(), labels.iter().cloned().collect()))
            .collect();
        Ok(Description {
            rotation_enabled: answer.rotation_enabled() != Some(false),
            tags,
            versions: Versions(versions),
        })
    }

    /// The content of `version` under `label`, or `None` if there is none (yet).
    ///
    /// # Errors
    /// The call's failure, `ResourceNotFoundException` excepted.
    pub async fn value(&self, version: &str, label: &str) -> Result<Option<Stored>, AwsFailure> {
        let call = self
            .client
            .get_secret_value()
            .secret_id(&self.request.secret_id);
        Self::stored(call.version_id(version).version_stage(label).send().await)
    }

    fn stored(
        answer: Result<GetSecretValueOutput, SdkError<GetSecretValueError>>,
    ) -> Result<Option<Stored>, AwsFailure> {
        match answer {
            Ok(answer) => {
                let created = answer.created_date.map(|date| date.secs());
                let content = match (answer.secret_string, answer.secret_binary) {
                    (Some(text), _) => Some(Content::Text(SecretString::from(text))),
                    (None, Some(bytes)) => {
                        Some(Content::Binary(SecretSlice::from(bytes.into_inner())))
                    }
                    (None, None) => None,
                };
                Ok(content.map(|content| Stored { content, created }))
            }
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(GetSecretValueError::is_resource_not_found_exception) =>
            {
                Ok(None)
            }
            Err(error) => Err(AwsFailure::of("secretsmanager:GetSecretValue", &error)),
        }
    }

    /// Like [`Self::value`], for a version that should be there: asks again while it is not found.
    ///
    /// # Errors
    /// The call's failure.
    pub async fn settled_value(
        &self,
        version: &str,
        label: &str,
    ) -> Result<Option<Stored>, AwsFailure> {
        let mut pause = self.settle;
        for _ in 1..READS {
            if let Some(stored) = self.value(version, label).await? {
                return Ok(Some(stored));
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
        self.value(version, label).await
    }

    /// The pending content of this request, without waiting for it.
    ///
    /// # Errors
    /// The call's failure.
    pub async fn pending(&self) -> Result<Option<Stored>, AwsFailure> {
        self.value(&self.request.token, PENDING).await
    }

    /// The pending content of this request, waited for.
    ///
    /// # Errors
    /// The call's failure.
    pub async fn settled_pending(&self) -> Result<Option<Stored>, AwsFailure> {
        self.settled_value(&self.request.token, PENDING).await
    }

    /// The current content of another secret, or `None` if there is none.
    ///
    /// # Errors
    /// The call's failure, `ResourceNotFoundException` excepted.
    pub async fn current_of(&self, other: &str) -> Result<Option<Content>, AwsFailure> {
        let call = self
            .client
            .get_secret_value()
            .secret_id(other)
            .version_stage(CURRENT);
        Ok(Self::stored(call.send().await)?.map(|stored| stored.content))
    }

    /// Stores the pending content. Versions are immutable: if an earlier try of this step already stored one,
    /// that one stays and this call is a success.
    ///
    /// # Errors
    /// The call's failure, `ResourceExistsException` excepted.
    pub async fn put_pending(&self, content: &Content) -> Result<(), AwsFailure> {
        let call = self
            .client
            .put_secret_value()
            .secret_id(&self.request.secret_id)
            .client_request_token(&self.request.token)
            .set_rotation_token(
                self.request
                    .rotation_token
                    .as_ref()
                    .map(|token| token.expose_secret().to_owned()),
            )
            .version_stages(PENDING);
        let call = match content {
            Content::Text(text) => call.secret_string(text.expose_secret()),
            Content::Binary(bytes) => call.secret_binary(Blob::new(bytes.expose_secret())),
        };
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(PutSecretValueError::is_resource_exists_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(AwsFailure::of("secretsmanager:PutSecretValue", &error)),
        }
    }

    /// The same for a value that somebody else made and that only this function knows: every failure is tried
    /// again a few times, since nothing brings the value back once it is lost.
    ///
    /// # Errors
    /// The last call's failure.
    pub async fn put_irreplaceable(&self, content: &Content) -> Result<(), AwsFailure> {
        let mut pause = self.settle;
        for _ in 1..PUTS {
            if self.put_pending(content).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
        self.put_pending(content).await
    }

    /// Attaches `label` to `to`, taking it from `from` where another version has it.
    ///
    /// # Errors
    /// The call's failure.
    pub async fn move_label(
        &self,
        label: &str,
        to: &str,
        from: Option<&str>,
    ) -> Result<(), AwsFailure> {
        self.client
            .update_secret_version_stage()
            .secret_id(&self.request.secret_id)
            .version_stage(label)
            .move_to_version_id(to)
            .set_remove_from_version_id(from.map(str::to_owned))
            .send()
            .await
            .map(drop)
            .map_err(|error| AwsFailure::of("secretsmanager:UpdateSecretVersionStage", &error))
    }
}
