//! What is done to roles: a password set so that it appears in no log and no statistics, and the checks of a
//! new login.
//!
//! `ALTER ROLE` takes no parameters, and a password inside a statement ends in the server's log. So name and
//! password go into settings of the transaction, as parameters of a `SELECT`, and a `DO` block builds the
//! statement from them on the server. The block catches its own errors: the text of a failed dynamic
//! statement would be logged as context. Servers other than Neon get the password's SCRAM verifier and never
//! see the password; Neon refuses verifiers and reports errors only at the commit.

use postgres_protocol::password::scram_sha_256;
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use crate::database::connection::{Session, within};
use crate::database::credential::{Credential, Strategy};
use crate::error::RotationError;

/// Gives the other user its password, and what it needs where it is new. A role with rights of its own is
/// refused: it cannot be one of two application users.
const BY_MASTER: &str = "
DO $rotation$
DECLARE
  who text := current_setting('rotation.username');
  owner text := current_setting('rotation.owner');
BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname IN (who, owner)
             AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)) THEN
    RAISE insufficient_privilege;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = who) THEN
    EXECUTE format('CREATE ROLE %I LOGIN', who);
  END IF;
  EXECUTE format('ALTER ROLE %I LOGIN PASSWORD %L', who, current_setting('rotation.password'));
  IF NOT pg_catalog.pg_has_role(who, owner, 'member') THEN
    EXECUTE format('GRANT %I TO %I', owner, who);
  END IF;
  EXECUTE format('ALTER ROLE %I SET role TO %L', who, owner);
EXCEPTION WHEN OTHERS THEN
  RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'the role was not changed';
END
$rotation$";

/// A user may change its own password only as itself, not as the role it acts as.
const BY_ITSELF: &str = "
DO $rotation$
BEGIN
  EXECUTE format('ALTER ROLE %I PASSWORD %L', session_user, current_setting('rotation.password'));
EXCEPTION WHEN OTHERS THEN
  RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'the role was not changed';
END
$rotation$";

const SETTINGS: &str = "SELECT set_config('rotation.username', $1, true), \
     set_config('rotation.password', $2, true), set_config('rotation.owner', $3, true)";

/// Sets the password of `next`'s user through the master's session.
///
/// # Errors
/// The failure of a statement or of the commit.
pub async fn set_by_master(
    session: &mut Session,
    next: &Credential,
    owner: &str,
) -> Result<(), RotationError> {
    change(
        session,
        next,
        owner,
        "SET LOCAL lock_timeout = '5s'",
        BY_MASTER,
    )
    .await
}

/// Sets the password of the session's own user to that of `next`.
///
/// # Errors
/// The failure of a statement or of the commit.
pub async fn set_own(session: &mut Session, next: &Credential) -> Result<(), RotationError> {
    change(session, next, "", "SET LOCAL ROLE NONE", BY_ITSELF).await
}

/// Checks that the login is the user it should be, acts as its owner role, and can run its probe query.
///
/// # Errors
/// [`RotationError::Unfit`], or the failure of a statement.
pub async fn check(session: &mut Session, login: &Credential) -> Result<(), RotationError> {
    let row = within(
        "look at the new login",
        session
            .client
            .query_one("SELECT session_user::text, current_user::text", &[]),
    )
    .await?;
    let (user, acts_as): (String, String) = (row.get(0), row.get(1));
    let expected = match &login.strategy {
        Strategy::Alternating { owner, .. } => owner,
        Strategy::Single => &acts_as,
    };
    if user != login.username || acts_as != *expected {
        return Err(RotationError::Unfit {
            problem: "its user does not act as the owner role",
        });
    }
    if let Some(query) = &login.probe_query {
        let doing = "run the secret's probe query";
        within(doing, session.client.batch_execute("BEGIN READ ONLY")).await?;
        within(doing, session.client.simple_query(query)).await?;
        within(doing, session.client.batch_execute("ROLLBACK")).await?;
    }
    Ok(())
}

async fn change(
    session: &mut Session,
    next: &Credential,
    owner: &str,
    first: &str,
    block: &str,
) -> Result<(), RotationError> {
    let plain = next.password.expose_secret();
    let password = Zeroizing::new(if next.plain_passwords {
        plain.to_owned()
    } else {
        scram_sha_256(plain.as_bytes())
    });
    within("change the role's password", async {
        let transaction = session.client.transaction().await?;
        transaction.batch_execute(first).await?;
        transaction
            .query_one(SETTINGS, &[&next.username, &password.as_str(), &owner])
            .await?;
        transaction.batch_execute(block).await?;
        transaction.commit().await
    })
    .await
}
