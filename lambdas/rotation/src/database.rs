//! The four steps for `DATABASE_CREDENTIAL`: a login of a `PostgreSQL` database, Neon included.
//!
//! Two users take turns (`strategy` absent or `alternating-users`): a rotation gives the *other* user a new
//! password, so whoever still uses the current one is not disturbed until the rotation after. Both are
//! members of an owner role and act as it, so objects do not belong to the one that made them. Where a secret
//! declares `"strategy": "single-user"` there is one user that changes its own password; readers must then
//! fetch the secret again when a login is refused.
//!
//! The connection is always TLS with a verified certificate, only to hosts that the function's settings
//! name. The order of logins is that of AWS's templates: the pending login first (a step may be repeated),
//! the current one before the master's secret is used (a secret alone must not be enough to get at the
//! master). Neon's path follows its documentation and was never run against Neon itself.

pub mod connection;
pub mod credential;
pub mod role;

use secrecy::ExposeSecret as _;

use crate::content::with_members;
use crate::database::connection::{Login, Session};
use crate::database::credential::{Credential, Strategy};
use crate::error::RotationError;
use crate::key_material;
use crate::secret_type::SecretType;
use crate::steps::{Done, Outcome, Task, Warning};
use crate::store::{CURRENT, Content, PREVIOUS};

/// Stores the next login as `AWSPENDING`: the other user, or the same one, with a new password.
///
/// # Errors
/// No first value, a secret that lacks something, a failed call.
pub async fn create(task: &Task<'_>) -> Result<Outcome, RotationError> {
    let current = current(task).await?;
    if task.store.pending().await?.is_some() {
        return Ok(Done::AlreadyThere.into());
    }
    let password = key_material::password()?;
    let text = current.text.expose_secret();
    let next = match &current.strategy {
        Strategy::Alternating {
            other, declared, ..
        } => {
            let changed = with_members(text, &[("password", &password), ("username", other)])?;
            if *declared {
                with_members(&changed, &[("alternate_username", &current.username)])?
            } else {
                changed
            }
        }
        Strategy::Single => with_members(text, &[("password", &password)])?,
    };
    task.store
        .put_pending(&Content::Text(next.as_str().into()))
        .await?;
    Ok(Done::Created.into())
}

/// Makes the database accept the pending login.
///
/// # Errors
/// A pending login that is not the next of the current one, a host that is not allowed, a refused login, a
/// failed call or statement.
pub async fn set(task: &Task<'_>) -> Result<Outcome, RotationError> {
    let current = current(task).await?;
    let pending = pending(task).await?.ok_or(RotationError::PendingEmpty)?;
    pending.check_follows(&current)?;
    if let Login::Accepted(_) = task.rotator.databases.login(&pending).await? {
        return Ok(Done::Set.into());
    }
    match &current.strategy {
        Strategy::Alternating { owner, master, .. } => {
            accepted(task, &current, "the current user").await?;
            let master = master_of(task, master, &current).await?;
            let mut session = accepted(task, &master, "the master user").await?;
            role::set_by_master(&mut session, &pending, owner).await?;
        }
        Strategy::Single => {
            let mut session = match task.rotator.databases.login(&current).await? {
                Login::Accepted(session) => session,
                Login::Refused => previous_session(task, &current).await?,
            };
            role::set_own(&mut session, &pending).await?;
        }
    }
    Ok(Done::Set.into())
}

/// Logs in with the pending login and looks at what it may do. A version without a value means that only
/// connections are tried: then the current login, and the master's, must work.
///
/// # Errors
/// A refused login, a missing membership, a failed probe query, a failed call.
pub async fn test(task: &Task<'_>) -> Result<Outcome, RotationError> {
    let Some(pending) = pending(task).await? else {
        let current = current(task).await?;
        accepted(task, &current, "the current user").await?;
        if let Strategy::Alternating { master, .. } = &current.strategy {
            let master = master_of(task, master, &current).await?;
            accepted(task, &master, "the master user").await?;
        }
        return Ok(Done::TriedPermissions.into());
    };
    pending.check_follows(&current(task).await?)?;
    let mut session = accepted(task, &pending, "the pending user").await?;
    role::check(&mut session, &pending).await?;
    Ok(Done::Tested.into())
}

/// Moves `AWSCURRENT`, once the pending login is seen to work. With a single user the old password must be
/// dead after that.
///
/// # Errors
/// No pending login or a refused one, a failed call.
pub async fn finish(task: &Task<'_>) -> Result<Outcome, RotationError> {
    let current = current(task).await?;
    let pending = pending(task).await?.ok_or(RotationError::PendingEmpty)?;
    accepted(task, &pending, "the pending user").await?;
    task.promote().await?;
    let warning = match &current.strategy {
        Strategy::Alternating { .. } => None,
        Strategy::Single => match task.rotator.databases.login(&current).await? {
            Login::Accepted(_) => Some(Warning::OldPasswordWorks),
            Login::Refused => None,
        },
    };
    Ok(Outcome {
        done: Done::Promoted,
        warning,
    })
}

async fn current(task: &Task<'_>) -> Result<Credential, RotationError> {
    let kind = SecretType::DatabaseCredential;
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
    Credential::parse(stored.content)
}

async fn pending(task: &Task<'_>) -> Result<Option<Credential>, RotationError> {
    task.store
        .settled_pending()
        .await?
        .map(|stored| Credential::parse(stored.content))
        .transpose()
}

async fn accepted(
    task: &Task<'_>,
    credential: &Credential,
    who: &'static str,
) -> Result<Session, RotationError> {
    match task.rotator.databases.login(credential).await? {
        Login::Accepted(session) => Ok(session),
        Login::Refused => Err(RotationError::LoginRefused { who }),
    }
}

/// The master's login, if its secret is for the same database server.
async fn master_of(
    task: &Task<'_>,
    master: &str,
    current: &Credential,
) -> Result<Credential, RotationError> {
    if master == task.request.secret_id {
        return Err(RotationError::Content {
            problem: "its `masterarn` is the secret itself",
        });
    }
    let content = task
        .store
        .current_of(master)
        .await?
        .ok_or(RotationError::MasterMissing)?;
    let master = Credential::parse_master(content)?;
    if (&master.host, master.port) != (&current.host, current.port) {
        return Err(RotationError::Content {
            problem: "its host is not the host of its master's secret",
        });
    }
    Ok(master.in_database(&current.database))
}

/// Where the current password is refused, an interrupted rotation may have left the one before in force.
async fn previous_session(task: &Task<'_>, current: &Credential) -> Result<Session, RotationError> {
    let refused = RotationError::LoginRefused {
        who: "the current user",
    };
    let Some(version) = task.description.versions.holder(PREVIOUS) else {
        return Err(refused);
    };
    let Some(stored) = task.store.value(version, PREVIOUS).await? else {
        return Err(refused);
    };
    let previous = Credential::parse(stored.content)?;
    if (&previous.host, previous.port, &previous.username)
        != (&current.host, current.port, &current.username)
    {
        return Err(refused);
    }
    accepted(task, &previous, "the previous user").await
}
