//! A database login as its secret holds it: AWS's members (`engine`, `host`, `port`, `username`, `password`,
//! `dbname`, `masterarn`) and ours (`strategy`, `owner_role`, `alternate_username`, `probe_query`).
//!
//! Parser errors are replaced by fixed texts: they would repeat what they choked on. A member `ssl` is not
//! looked at, since there is no connection without TLS.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;

use crate::error::RotationError;
use crate::store::Content;

/// Longest name that `PostgreSQL` keeps; it cuts longer ones silently.
const LONGEST_NAME: usize = 63;

/// A login that was read and found complete.
#[derive(Debug)]
pub struct Credential {
    /// The secret's text, for making the next one from it.
    pub text: SecretString,
    /// Whether passwords must reach the server in plain text, as Neon demands.
    pub plain_passwords: bool,
    /// Host name.
    pub host: String,
    /// Port; 5432 if absent.
    pub port: u16,
    /// Database; `postgres` if absent.
    pub database: String,
    /// User.
    pub username: String,
    /// Password.
    pub password: SecretString,
    /// How it is rotated.
    pub strategy: Strategy,
    /// A query that the next login must be able to run.
    pub probe_query: Option<String>,
}

/// How a login is rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strategy {
    /// Two users take turns.
    Alternating {
        /// The other user.
        other: String,
        /// Whether the secret names the other user; otherwise it follows from `_a` and `_b`.
        declared: bool,
        /// The role that both are members of and act as.
        owner: String,
        /// ARN of the secret of the user who may change both.
        master: String,
    },
    /// One user changes its own password.
    Single,
}

#[derive(Deserialize)]
struct Raw {
    engine: Option<String>,
    host: Option<String>,
    port: Option<Value>,
    dbname: Option<String>,
    username: Option<String>,
    password: Option<String>,
    masterarn: Option<String>,
    strategy: Option<String>,
    owner_role: Option<String>,
    alternate_username: Option<String>,
    probe_query: Option<String>,
}

impl Credential {
    /// Reads a login that is to be rotated.
    ///
    /// # Errors
    /// [`RotationError::Content`] with what is missing.
    pub fn parse(content: Content) -> Result<Self, RotationError> {
        let (text, raw) = read(content)?;
        let username = name(raw.username.as_deref(), "it has no usable `username`")?;
        let strategy = match raw.strategy.as_deref() {
            Some("single-user") => Strategy::Single,
            Some("alternating-users") | None => Strategy::Alternating {
                other: other_user(&username, raw.alternate_username.as_deref())?,
                declared: raw.alternate_username.is_some(),
                owner: name(
                    raw.owner_role.as_deref(),
                    "it has no usable `owner_role`, which alternating users need",
                )?,
                master: required(
                    raw.masterarn.as_deref(),
                    "it has no `masterarn`, which alternating users need",
                )?,
            },
            Some(_) => {
                return problem("its `strategy` is neither `alternating-users` nor `single-user`");
            }
        };
        Self::build(text, raw, username, strategy)
    }

    /// Reads the login of a master: it has no strategy, since nothing here rotates it.
    ///
    /// # Errors
    /// [`RotationError::Content`] with what is missing.
    pub fn parse_master(content: Content) -> Result<Self, RotationError> {
        let (text, raw) = read(content)?;
        let username = name(
            raw.username.as_deref(),
            "the master's secret has no usable `username`",
        )?;
        Self::build(text, raw, username, Strategy::Single)
    }

    /// The same login in another database of the server.
    #[must_use]
    pub fn in_database(self, database: &str) -> Self {
        Self {
            database: database.to_owned(),
            ..self
        }
    }

    /// Checks that this is what a rotation makes of `current`: the same place, the right user, another
    /// password. A pending version that somebody doctored must not send us elsewhere.
    ///
    /// # Errors
    /// [`RotationError::Unfit`].
    pub fn check_follows(&self, current: &Self) -> Result<(), RotationError> {
        let unfit = |problem| Err(RotationError::Unfit { problem });
        if (&self.host, self.port, &self.database)
            != (&current.host, current.port, &current.database)
        {
            return unfit("its host or database is not the current one");
        }
        let (user, rest_agrees) = match (&current.strategy, &self.strategy) {
            (
                Strategy::Alternating {
                    other,
                    owner,
                    master,
                    declared,
                },
                Strategy::Alternating {
                    other: back,
                    owner: own,
                    master: boss,
                    declared: told,
                },
            ) => (
                other,
                (owner, master, declared, &current.username) == (own, boss, told, back),
            ),
            (Strategy::Single, Strategy::Single) => (&current.username, true),
            (Strategy::Alternating { .. }, Strategy::Single)
            | (Strategy::Single, Strategy::Alternating { .. }) => {
                return unfit("its strategy is not the current one");
            }
        };
        if self.username != *user || !rest_agrees {
            return unfit(
                "its user, owner role or master is not what follows from the current version",
            );
        }
        if self.password.expose_secret() == current.password.expose_secret() {
            return unfit("its password is the current one");
        }
        Ok(())
    }

    fn build(
        text: SecretString,
        raw: Raw,
        username: String,
        strategy: Strategy,
    ) -> Result<Self, RotationError> {
        let host = required(raw.host.as_deref(), "it has no `host`")?;
        let plain_passwords = match raw.engine.as_deref() {
            Some("postgres" | "aurora-postgresql") => host.ends_with(".neon.tech"),
            Some("neon") => true,
            _ => return problem("its `engine` is none of postgres, aurora-postgresql, neon"),
        };
        if plain_passwords
            && host
                .split('.')
                .next()
                .is_some_and(|name| name.ends_with("-pooler"))
        {
            return problem(
                "its host is a Neon pooler, and roles are changed on the direct endpoint only",
            );
        }
        let port = match &raw.port {
            None => Some(5432),
            Some(Value::String(text)) => text.parse().ok(),
            Some(port) => port.as_u64().and_then(|port| u16::try_from(port).ok()),
        };
        let Some(port) = port else {
            return problem("its `port` is no port number");
        };
        let password = required(raw.password.as_deref(), "it has no `password`")?;
        Ok(Self {
            text,
            plain_passwords,
            host,
            port,
            database: raw
                .dbname
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| "postgres".to_owned()),
            username,
            password: password.into(),
            strategy,
            probe_query: raw.probe_query,
        })
    }
}

fn read(content: Content) -> Result<(SecretString, Raw), RotationError> {
    let Content::Text(text) = content else {
        return problem("it is binary");
    };
    match serde_json::from_str(text.expose_secret()) {
        Ok(raw) => Ok((text, raw)),
        Err(_) => problem("it is not a JSON object whose members are texts"),
    }
}

fn other_user(username: &str, declared: Option<&str>) -> Result<String, RotationError> {
    if let Some(declared) = declared {
        let other = name(Some(declared), "its `alternate_username` is not usable")?;
        if other == username {
            return problem("its `alternate_username` is its `username`");
        }
        return Ok(other);
    }
    if let Some(stem) = username.strip_suffix("_a") {
        Ok(format!("{stem}_b"))
    } else if let Some(stem) = username.strip_suffix("_b") {
        Ok(format!("{stem}_a"))
    } else {
        problem(
            "its other user is not known: end users in _a and _b, or name it in `alternate_username`",
        )
    }
}

fn name(text: Option<&str>, complaint: &'static str) -> Result<String, RotationError> {
    let text = required(text, complaint)?;
    if text.len() > LONGEST_NAME || text.contains('\0') {
        problem(complaint)
    } else {
        Ok(text)
    }
}

fn required(text: Option<&str>, complaint: &'static str) -> Result<String, RotationError> {
    match text.filter(|text| !text.is_empty()) {
        Some(text) => Ok(text.to_owned()),
        None => problem(complaint),
    }
}

fn problem<T>(problem: &'static str) -> Result<T, RotationError> {
    Err(RotationError::Content { problem })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::{Credential, Strategy};
    use crate::store::Content;
    use serde_json::{Value, json};

    fn secret() -> Value {
        json!({"engine": "postgres", "host": "db.bank", "username": "app_a", "password": "CANARY",
            "owner_role": "app_owner", "masterarn": "arn:m"})
    }

    fn parse(secret: &Value) -> Result<Credential, crate::RotationError> {
        Credential::parse(Content::Text(secret.to_string().into()))
    }

    #[test]
    fn defaults_and_the_other_user() {
        let credential = parse(&secret()).unwrap();
        assert_eq!(
            (
                credential.port,
                credential.database.as_str(),
                credential.plain_passwords
            ),
            (5432, "postgres", false)
        );
        assert!(
            matches!(&credential.strategy, Strategy::Alternating { other, declared: false, .. } if other == "app_b")
        );
        assert!(!format!("{credential:?}").contains("CANARY"));
        let mut neon = secret();
        neon["host"] = json!("ep-x.eu-central-1.aws.neon.tech");
        assert!(parse(&neon).unwrap().plain_passwords);
    }

    #[test]
    fn what_is_missing_is_named_and_nothing_repeated() {
        for (member, value, expected) in [
            ("engine", json!("mysql"), "`engine`"),
            ("host", json!(""), "no `host`"),
            ("port", json!("CANARY"), "`port`"),
            ("port", json!(70000), "`port`"),
            ("username", json!("x".repeat(64)), "`username`"),
            ("username", json!("app"), "other user is not known"),
            (
                "alternate_username",
                json!("app_a"),
                "`alternate_username` is its `username`",
            ),
            ("password", Value::Null, "no `password`"),
            ("password", json!({"CANARY": 1}), "members are texts"),
            ("owner_role", Value::Null, "`owner_role`"),
            ("masterarn", Value::Null, "`masterarn`"),
            ("strategy", json!("CANARY"), "`strategy`"),
            ("host", json!("ep-x-pooler.aws.neon.tech"), "pooler"),
        ] {
            let mut secret = secret();
            secret[member] = value;
            let error = parse(&secret).unwrap_err().to_string();
            assert!(
                error.contains(expected) && !error.contains("CANARY"),
                "{member}: {error}"
            );
        }
    }

    #[test]
    fn a_pending_login_must_follow_from_the_current_one() {
        let current = parse(&secret()).unwrap();
        let mut next = secret();
        next["username"] = json!("app_b");
        next["password"] = json!("new");
        assert_eq!(parse(&next).unwrap().check_follows(&current), Ok(()));
        for (member, value) in [
            ("host", json!("evil.example")),
            ("port", json!(5433)),
            ("dbname", json!("other")),
            ("username", json!("app_a")),
            ("username", json!("other_b")),
            ("owner_role", json!("postgres")),
            ("masterarn", json!("arn:other")),
            ("strategy", json!("single-user")),
            ("password", json!("CANARY")),
        ] {
            let mut doctored = next.clone();
            doctored[member] = value;
            let error = parse(&doctored)
                .unwrap()
                .check_follows(&current)
                .unwrap_err();
            assert_eq!(error.code(), "Unfit", "{member}");
        }
    }
}
