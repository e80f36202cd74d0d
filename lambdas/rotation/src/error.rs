//! Why a rotation step was not done. Every text is fixed: none holds a value, a parser's message or a body.

use lambda_host::{AwsFailure, Failure};

use crate::secret_type::SecretType;

/// A step that was not done. `AWSCURRENT` is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RotationError {
    /// The event lacks something or is not JSON.
    #[error("read the rotation event: {member} is missing or not a text")]
    UnreadableEvent {
        /// The member that is at fault.
        member: &'static str,
    },
    /// The event asks for a step that does not exist.
    #[error("choose the step: it is none of createSecret, setSecret, testSecret, finishSecret")]
    UnknownStep,
    /// Rotation is switched off for the secret.
    #[error("rotate the secret: rotation is not enabled for it")]
    RotationDisabled,
    /// The secret does not know the version.
    #[error(
        "rotate the secret: the version of this request has no staging label, so no rotation was begun for it"
    )]
    NoStage,
    /// The version is neither current nor pending.
    #[error("rotate the secret: the version of this request is not AWSPENDING")]
    NotPending,
    /// The secret has no type tag.
    #[error("choose how to rotate: the secret has no tag `secret_type`")]
    TypeMissing,
    /// The secret's type tag has an unknown text.
    #[error("choose how to rotate: the secret's tag `secret_type` names no known type")]
    TypeUnknown,
    /// A type whose first value comes from elsewhere has none.
    #[error("rotate the secret: a {} has no first value yet; its owner must put one, this function cannot make it", .kind.name())]
    FirstValueMissing {
        /// The secret's type.
        kind: SecretType,
    },
    /// The version that is to be set, tested or promoted holds nothing.
    #[error("read the pending version: it holds no value")]
    PendingEmpty,
    /// `AWSCURRENT` is attached but cannot be read.
    #[error("read the current version: its label is attached but no value is found")]
    CurrentMissing,
    /// The content has another form than the type allows.
    #[error("read the secret's content: {problem}")]
    Content {
        /// What is wrong with it, without any of it.
        problem: &'static str,
    },
    /// The pending value is not fit to be promoted.
    #[error("test the pending version: {problem}")]
    Unfit {
        /// What is wrong with it, without any of it.
        problem: &'static str,
    },
    /// Another old key would need a label, and the secret has too few left.
    #[error(
        "keep the old key readable: {labels} of the secret's 20 staging labels would be in use; re-encrypt what \
         the oldest KEY- versions protect, then remove their labels"
    )]
    LabelsExhausted {
        /// Labels that would be attached after the rotation.
        labels: usize,
    },
    /// The master's secret has no current value.
    #[error("read the master's secret: it has no current value")]
    MasterMissing,
    /// The database's host is not among those that the function's settings name.
    #[error("connect to the database: its host and port are not in `DATABASE_HOSTS`")]
    HostNotAllowed,
    /// A login that must work does not.
    #[error("log in to the database: {who} was refused")]
    LoginRefused {
        /// Whose login it is.
        who: &'static str,
    },
    /// A database could not do what it was asked.
    #[error("{doing}: `{state}`")]
    Database {
        /// What was tried.
        doing: &'static str,
        /// SQLSTATE, or the way it failed.
        state: String,
    },
    /// An address of the identity provider is not among the origins that the function's settings name.
    #[error("ask the identity provider: its address is not under an origin in `OAUTH_ORIGINS`")]
    OriginNotAllowed,
    /// The identity provider refused or could not be reached.
    #[error("{doing}: `{answer}`")]
    Idp {
        /// What was tried.
        doing: &'static str,
        /// HTTP status, or the way it failed.
        answer: String,
    },
    /// The identity provider keeps the secret when the client is updated, as RFC 7592 permits.
    #[error(
        "get a new client secret: the identity provider does not change it on update; rotate it there by hand or \
         use another adapter"
    )]
    IdpDoesNotRotate,
    /// The operating system gave no random numbers.
    #[error("make a new value: the system's random source failed")]
    NoRandomness,
    /// Secrets Manager refused or could not be reached.
    #[error(transparent)]
    Aws(#[from] AwsFailure),
}

impl RotationError {
    /// Stable name for logs, alarms and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnreadableEvent { .. } => "UnreadableEvent",
            Self::UnknownStep => "UnknownStep",
            Self::RotationDisabled => "RotationDisabled",
            Self::NoStage => "NoStage",
            Self::NotPending => "NotPending",
            Self::TypeMissing => "TypeMissing",
            Self::TypeUnknown => "TypeUnknown",
            Self::FirstValueMissing { .. } => "FirstValueMissing",
            Self::PendingEmpty => "PendingEmpty",
            Self::CurrentMissing => "CurrentMissing",
            Self::Content { .. } => "Content",
            Self::Unfit { .. } => "Unfit",
            Self::LabelsExhausted { .. } => "LabelsExhausted",
            Self::MasterMissing => "MasterMissing",
            Self::HostNotAllowed => "HostNotAllowed",
            Self::LoginRefused { .. } => "LoginRefused",
            Self::Database { .. } => "Database",
            Self::OriginNotAllowed => "OriginNotAllowed",
            Self::Idp { .. } => "Idp",
            Self::IdpDoesNotRotate => "IdpDoesNotRotate",
            Self::NoRandomness => "NoRandomness",
            Self::Aws(_) => "Aws",
        }
    }
}

impl From<RotationError> for Failure {
    fn from(error: RotationError) -> Self {
        Self {
            code: error.code(),
            text: error.to_string(),
        }
    }
}
