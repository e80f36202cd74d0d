//! The four steps for secrets whose value is made here: `API_KEY`, `WEBHOOK_SECRET`, `JWT_KEY` and
//! `ENCRYPTION_KEY`.
//!
//! Nothing outside Secrets Manager has to learn the value, so setting it means making sure that it is
//! stored. That verifiers accept the previous value for a while is a contract with them, not done here.

use crate::content::{self, Member};
use crate::error::RotationError;
use crate::labels;
use crate::secret_type::MEMBER_TAG;
use crate::steps::{Done, Outcome, Task};
use crate::store::{CURRENT, Stored};

/// Stores a new value as `AWSPENDING`; the first one if there is no current value.
///
/// # Errors
/// Content that cannot be renewed, too few labels, a failed call.
pub async fn create(task: &Task<'_>) -> Result<Outcome, RotationError> {
    let warning = if task.kind.keeps_old_keys() {
        labels::check_headroom(&task.description.versions, &task.request.token)?
    } else {
        None
    };
    let done = if task.store.pending().await?.is_some() {
        Done::AlreadyThere
    } else {
        let new = match current(task).await? {
            Some(current) => content::renewed(&current.content, member(task))?,
            None => content::first(member(task))?,
        };
        task.store.put_pending(&new).await?;
        Done::Created
    };
    Ok(Outcome { done, warning })
}

/// Makes sure that the pending value is stored: there is nobody else to tell.
///
/// # Errors
/// No pending value, a failed call.
pub async fn set(task: &Task<'_>) -> Result<Outcome, RotationError> {
    task.store
        .settled_pending()
        .await?
        .ok_or(RotationError::PendingEmpty)?;
    Ok(Done::Set.into())
}

/// Checks strength, form and difference of the pending value. A version without a value means that only the
/// permissions are tried (`RotateImmediately` is false): then the current value must be readable.
///
/// # Errors
/// A pending value that is unfit, content that cannot be read, a failed call.
pub async fn test(task: &Task<'_>) -> Result<Outcome, RotationError> {
    let current = current(task).await?;
    let Some(pending) = task.store.settled_pending().await? else {
        if let Some(current) = &current {
            content::check_readable(&current.content, member(task))?;
        }
        return Ok(Done::TriedPermissions.into());
    };
    content::check(
        &pending.content,
        current.as_ref().map(|current| &current.content),
        member(task),
    )?;
    Ok(Done::Tested.into())
}

/// Moves `AWSCURRENT` to the pending version, after its predecessors are protected where that matters.
///
/// # Errors
/// No pending value, too few labels, a failed call.
pub async fn finish(task: &Task<'_>) -> Result<Outcome, RotationError> {
    task.store
        .settled_pending()
        .await?
        .ok_or(RotationError::PendingEmpty)?;
    let versions = &task.description.versions;
    let warning = if task.kind.keeps_old_keys() {
        let warning = labels::check_headroom(versions, &task.request.token)?;
        labels::protect(&task.store, versions, &task.request.token).await?;
        warning
    } else {
        None
    };
    task.promote().await?;
    Ok(Outcome {
        done: Done::Promoted,
        warning,
    })
}

fn member<'a>(task: &'a Task<'_>) -> Member<'a> {
    Member {
        tagged: task.description.tags.get(MEMBER_TAG).map(String::as_str),
        usual: task.kind.usual_members(),
    }
}

/// The current value; `None` only if no version carries the label.
async fn current(task: &Task<'_>) -> Result<Option<Stored>, RotationError> {
    match task.description.versions.holder(CURRENT) {
        None => Ok(None),
        Some(version) => task
            .store
            .settled_value(version, CURRENT)
            .await?
            .ok_or(RotationError::CurrentMissing)
            .map(Some),
    }
}
