//! One step of a rotation: the checks that hold for every type, then the step of the secret's own type.
//!
//! The checks are those of AWS's published templates: rotation is not off, the version is staged, a version
//! that is already current is done, and only a pending one is worked on.

use lambda_host::log::{self, Level, Metric};
use serde_json::{Value, json};

use crate::Rotator;
use crate::database;
use crate::error::RotationError;
use crate::generated;
use crate::oauth;
use crate::request::{RotationRequest, Step};
use crate::secret_type::SecretType;
use crate::store::{CURRENT, Description, PENDING, Store};

/// `CloudWatch` namespace of this function's metrics.
pub const NAMESPACE: &str = "SecretsRotation";

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// The version is already `AWSCURRENT`: the rotation was finished before.
    AlreadyCurrent,
    /// The pending value was stored by an earlier try.
    AlreadyThere,
    /// A new value is stored as `AWSPENDING`.
    Created,
    /// The service accepts the new value.
    Set,
    /// The new value works.
    Tested,
    /// Only permissions and connections were tried: the version has no value on purpose.
    TriedPermissions,
    /// `AWSCURRENT` moved to the new version.
    Promoted,
}

/// Something that works today and will not for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warning {
    /// Few staging labels are left for old encryption keys.
    LabelsNearLimit {
        /// Labels attached once the rotation is finished.
        labels: usize,
    },
    /// A single user's old password still works after its rotation.
    OldPasswordWorks,
}

/// The result of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// What was done.
    pub done: Done,
    /// What somebody should look at.
    pub warning: Option<Warning>,
}

/// A step that passed the common checks.
#[derive(Debug)]
pub struct Task<'a> {
    /// What the function has.
    pub rotator: &'a Rotator,
    /// The event.
    pub request: &'a RotationRequest,
    /// The secret.
    pub store: Store<'a>,
    /// What the secret's description said when the step began.
    pub description: Description,
    /// The secret's type.
    pub kind: SecretType,
}

/// Does the step that `request` asks for. Doing it again does no harm.
///
/// # Errors
/// Every reason for which the step is not done; see [`RotationError`].
pub async fn rotate(
    rotator: &Rotator,
    request: &RotationRequest,
) -> Result<Outcome, RotationError> {
    let store = Store::new(&rotator.secrets, request, rotator.settle);
    let description = store.describe().await?;
    if !description.rotation_enabled {
        return Err(RotationError::RotationDisabled);
    }
    let kind = SecretType::of_tags(&description.tags)?;
    match (
        description.versions.carries(&request.token, CURRENT),
        description.versions.carries(&request.token, PENDING),
    ) {
        (None, _) | (_, None) => return Err(RotationError::NoStage),
        (Some(true), _) => return Ok(Done::AlreadyCurrent.into()),
        (Some(false), Some(false)) => return Err(RotationError::NotPending),
        (Some(false), Some(true)) => {}
    }
    let task = Task {
        rotator,
        request,
        store,
        description,
        kind,
    };
    match kind {
        SecretType::ApiKey
        | SecretType::WebhookSecret
        | SecretType::JwtKey
        | SecretType::EncryptionKey => match request.step {
            Step::Create => generated::create(&task).await,
            Step::Set => generated::set(&task).await,
            Step::Test => generated::test(&task).await,
            Step::Finish => generated::finish(&task).await,
        },
        SecretType::DatabaseCredential => match request.step {
            Step::Create => database::create(&task).await,
            Step::Set => database::set(&task).await,
            Step::Test => database::test(&task).await,
            Step::Finish => database::finish(&task).await,
        },
        SecretType::OauthSecret => match request.step {
            Step::Create => oauth::create(&task).await,
            Step::Set => oauth::set(&task).await,
            Step::Test => oauth::test(&task).await,
            Step::Finish => oauth::finish(&task).await,
        },
    }
}

impl Task<'_> {
    /// Moves `AWSCURRENT` to the pending version, from the version that has it now, if any has.
    ///
    /// # Errors
    /// The call's failure.
    pub async fn promote(&self) -> Result<(), RotationError> {
        let from = self.description.versions.holder(CURRENT);
        Ok(self
            .store
            .move_label(CURRENT, &self.request.token, from)
            .await?)
    }
}

impl From<Done> for Outcome {
    fn from(done: Done) -> Self {
        Self {
            done,
            warning: None,
        }
    }
}

impl Done {
    /// Stable name for logs and results.
    pub fn name(self) -> &'static str {
        match self {
            Self::AlreadyCurrent => "already_current",
            Self::AlreadyThere => "already_there",
            Self::Created => "created",
            Self::Set => "set",
            Self::Tested => "tested",
            Self::TriedPermissions => "tried_permissions",
            Self::Promoted => "promoted",
        }
    }
}

impl Outcome {
    /// Says in the log, and as a metric where there is a warning, what was done.
    pub fn announce(&self, request: &RotationRequest) {
        let fields = [
            ("step", request.step.name()),
            ("done", self.done.name()),
            ("secret", request.secret_id.as_str()),
            ("version", request.token.as_str()),
        ];
        log::line(Level::Info, "StepDone", &fields);
        let (name, value, kind) = match self.warning {
            None => return,
            Some(Warning::LabelsNearLimit { labels }) => (
                "StagingLabelsNearLimit",
                u32::try_from(labels).map_or(f64::MAX, f64::from),
                SecretType::EncryptionKey,
            ),
            Some(Warning::OldPasswordWorks) => {
                ("OldPasswordWorks", 1.0, SecretType::DatabaseCredential)
            }
        };
        log::line(Level::Warn, name, &fields);
        log::metric(&Metric {
            namespace: NAMESPACE,
            name,
            unit: "Count",
            value,
            dimensions: &[("SecretType", kind.name())],
            properties: &[("secret", request.secret_id.as_str())],
        });
    }

    /// The function's answer. Secrets Manager ignores it; people who invoke the function by hand don't.
    pub fn to_json(&self, request: &RotationRequest) -> Value {
        let warning = self.warning.map(|warning| match warning {
            Warning::LabelsNearLimit { labels } => {
                json!({"code": "LabelsNearLimit", "labels": labels})
            }
            Warning::OldPasswordWorks => json!({"code": "OldPasswordWorks"}),
        });
        json!({"step": request.step.name(), "done": self.done.name(), "warning": warning})
    }
}
