//! Rotation engine (in the making).
/// One rotation to run.
#[derive(Debug)]
pub(crate) struct Rotation {
    /// The secret's ARN.
    pub(crate) secret_arn: String,
}
