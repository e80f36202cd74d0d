//! Who calls: the credentials that the lab issued, and everyone else.
//!
//! Credentials that the lab did not issue are its administrator's. What was
//! issued to a role's session (by STS, or to a function's process) is decided
//! by that role's permissions. Users have no access keys here.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::ids::Ids;

/// Who makes a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Credentials the lab did not issue: allowed everything.
    Administrator {
        /// The access key that was used.
        access_key: String,
    },
    /// A session of a role.
    Role(RoleSession),
}

/// A session of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleSession {
    /// The role's ARN, `arn:aws:iam::<account>:role/<path><name>`.
    pub(crate) role_arn: String,
    /// The role's unique id (`AROA...`).
    pub(crate) role_id: String,
    /// The session's name.
    pub(crate) session_name: String,
    /// The session's policies, in addition to the role's: they only narrow.
    pub(crate) session_policies: Vec<String>,
    /// The session's tags.
    pub(crate) tags: BTreeMap<String, String>,
    /// The source identity, when one was set.
    pub(crate) source_identity: Option<String>,
    /// When the session began.
    pub(crate) issued: DateTime<Utc>,
    /// The access key of the session.
    pub(crate) access_key: String,
}

/// Credentials as STS hands them out.
#[derive(Clone)]
pub(crate) struct Issued {
    /// `ASIA...`
    pub(crate) access_key: String,
    /// The secret access key.
    pub(crate) secret_key: String,
    /// The session token.
    pub(crate) session_token: String,
    /// When they end.
    pub(crate) expires: DateTime<Utc>,
}

/// All credentials that the lab issued.
#[derive(Default)]
pub(crate) struct Credentials {
    issued: BTreeMap<String, (Caller, DateTime<Utc>)>,
}

/// Why an access key does not name a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyProblem {
    /// The session is over.
    Expired,
}

impl Caller {
    /// The ARN that `GetCallerIdentity` and `CloudTrail` show.
    pub(crate) fn arn(&self, account: &str) -> String {
        match self {
            Self::Administrator { .. } => format!("arn:aws:iam::{account}:user/lab-administrator"),
            Self::Role(session) => session.arn(),
        }
    }

    /// The unique id that `GetCallerIdentity` and `aws:userid` show.
    pub(crate) fn id(&self) -> String {
        match self {
            Self::Administrator { .. } => "AIDALABADMINISTRATOR1".to_owned(),
            Self::Role(session) => format!("{}:{}", session.role_id, session.session_name),
        }
    }
}

impl RoleSession {
    /// `arn:aws:sts::<account>:assumed-role/<name>/<session>`; the role's path is not part of it.
    pub(crate) fn arn(&self) -> String {
        let account = self.role_arn.split(':').nth(4).unwrap_or_default();
        let name = self.role_arn.rsplit('/').next().unwrap_or_default();
        format!(
            "arn:aws:sts::{account}:assumed-role/{name}/{}",
            self.session_name
        )
    }
}

impl Credentials {
    /// Credentials for a role's session; fills in the session's access key.
    pub(crate) fn issue(
        &mut self,
        ids: &mut Ids,
        mut session: RoleSession,
        expires: DateTime<Utc>,
    ) -> Issued {
        let access_key = format!("ASIA{}", ids.upper(16));
        session.access_key.clone_from(&access_key);
        self.issued
            .insert(access_key.clone(), (Caller::Role(session), expires));
        Issued {
            access_key,
            secret_key: ids.alphanumeric(40),
            session_token: ids.alphanumeric(120),
            expires,
        }
    }

    /// Who an access key belongs to.
    pub(crate) fn caller(
        &self,
        access_key: &str,
        now: DateTime<Utc>,
    ) -> Result<Caller, KeyProblem> {
        match self.issued.get(access_key) {
            None => Ok(Caller::Administrator {
                access_key: access_key.to_owned(),
            }),
            Some((_, expires)) if *expires <= now => Err(KeyProblem::Expired),
            Some((caller, _)) => Ok(caller.clone()),
        }
    }
}
