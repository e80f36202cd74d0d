//! Environment variables of functions, seen without their values.
//!
//! A value is looked at once, where it arrives, and only two answers about its form are kept: whether it could be
//! a secret written out, and whether it has the form of a credential whatever its name says.

use serde::{Deserialize, Serialize};

/// The environment of one function.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FunctionEnvironment {
    /// Unqualified ARN of the function.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// ARN of the role that it runs with.
    pub role_arn: String,
    /// Its variables, in order of their names.
    pub variables: Vec<Variable>,
}

/// A variable without its value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Variable {
    /// Name.
    pub name: String,
    /// Whether the value is a literal: not empty, no flag or number, and no name of something stored elsewhere.
    pub literal: bool,
    /// Whether the value has the form of a credential: a private key, an access key, a URL with a password, a token.
    pub credential: bool,
}

/// Words in a name that say secret, as whole words between underscores.
const SECRET_WORDS: &[&str] = &[
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "PWD",
    "SECRET",
    "SECRETS",
    "TOKEN",
    "CREDENTIAL",
    "CREDENTIALS",
    "APIKEY",
];

/// Pairs of words that say secret only together.
const SECRET_PAIRS: &[&str] = &[
    "API_KEY",
    "PRIVATE_KEY",
    "ACCESS_KEY",
    "ENCRYPTION_KEY",
    "DECRYPTION_KEY",
    "SIGNING_KEY",
    "MASTER_KEY",
    "AUTH_KEY",
];

/// How well-known credentials begin.
const CREDENTIAL_PREFIXES: &[&str] = &[
    "AKIA",
    "ASIA",
    "ghp_",
    "gho_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "sk_live_",
    "rk_live_",
    "eyJ",
];

/// The variable of the anomaly detector that holds a source of events, such as `bank.synthetic`.
const SOURCE: &str = "SYNTHETIC_SOURCE";

/// Variables of the anomaly detector that say whom it watches and where it reports.
const REFERENCES: &[&str] = &[
    "ACCESS_LOG_GROUP",
    "ALERT_TOPIC_ARN",
    "ALLOWED_ROLE_PATTERNS",
    "CANARY_ROLE_ARN",
    "CANARY_SECRET",
    "ROTATION_ROLE_ARN",
    SOURCE,
    "TWIN_SECRET",
];

/// What stands for a part of a value that names nothing: it is not kept.
pub const NO_NAME: &str = "(no name)";

/// The value of a variable that holds nothing but names of things: ARNs and paths, separated by commas, or a source of
/// events. A part that is none becomes [`NO_NAME`]; a variable of another name has no value here.
pub fn reference(name: &str, value: &str) -> Option<String> {
    let names = |part: &str| {
        part.is_empty()
            || (!is_literal(part) && is_name(part))
            || (name == SOURCE && is_source(part))
    };
    REFERENCES.contains(&name).then(|| {
        value
            .split(',')
            .map(|part| if names(part) { part } else { NO_NAME })
            .collect::<Vec<_>>()
            .join(",")
    })
}

/// An ARN, with or without wildcards and with or without a path behind `=`, or a path.
fn is_name(text: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:*?+=@".contains(letter);
    text.len() <= 512 && text.chars().all(plain) && (text.starts_with("arn:aws") || is_path(text))
}

/// Two or more lower-case words with dots between them, none of them long enough to be a key.
fn is_source(text: &str) -> bool {
    let letter = |letter: char| letter.is_ascii_lowercase() || letter == '-';
    let word = |word: &str| !word.is_empty() && word.len() < 32 && word.chars().all(letter);
    text.len() <= 64 && text.contains('.') && text.split('.').all(word)
}

impl Variable {
    /// What is kept of a variable; the value is dropped.
    pub fn of(name: &str, value: &str) -> Self {
        Self {
            name: name.to_owned(),
            literal: is_literal(value),
            credential: is_credential(value),
        }
    }

    /// Whether a secret is written out in it: its name says secret and it holds a literal, or its form tells.
    pub fn holds_secret(&self) -> bool {
        self.credential || (self.literal && names_secret(&self.name))
    }
}

/// Whether a name says that its value is a secret.
fn names_secret(name: &str) -> bool {
    let upper = separated(name);
    let words: Vec<&str> = upper.split('_').collect();
    words.iter().any(|word| SECRET_WORDS.contains(word))
        || words
            .windows(2)
            .any(|pair| SECRET_PAIRS.contains(&pair.join("_").as_str()))
}

/// Upper case with underscores: `dbPassword`, `db-password` and `DB_PASSWORD` are one.
fn separated(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    let mut lower_before = false;
    for letter in name.chars() {
        if letter.is_uppercase() && lower_before {
            text.push('_');
        }
        lower_before = letter.is_lowercase() || letter.is_ascii_digit();
        if letter.is_alphanumeric() {
            text.extend(letter.to_uppercase());
        } else {
            text.push('_');
        }
    }
    text
}

/// Whether a value could be a secret: names of things that are stored elsewhere, flags and numbers are not.
fn is_literal(value: &str) -> bool {
    let value = value.trim();
    let flag =
        ["true", "false", "on", "off", "none"].contains(&value.to_ascii_lowercase().as_str());
    let number = value.len() < 6 && value.chars().all(|letter| letter.is_ascii_digit());
    let reference = value.starts_with("arn:")
        || value.starts_with("{{resolve:")
        || value.starts_with("alias/")
        || is_path(value);
    !value.is_empty() && !flag && !number && !reference
}

/// A name of Secrets Manager or Parameter Store: lower-case words with at least one slash, none of them long
/// enough to be a key in hexadecimal.
fn is_path(value: &str) -> bool {
    let path = value.strip_prefix('/').unwrap_or(value);
    let word = |word: &str| {
        !word.is_empty()
            && word.len() < 32
            && word.chars().all(|letter| {
                letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_.".contains(letter)
            })
    };
    value.contains('/') && path.split('/').all(word)
}

fn is_credential(value: &str) -> bool {
    let value = value.trim();
    value.contains("-----BEGIN ") && value.contains("PRIVATE KEY")
        || value.len() >= 20
            && CREDENTIAL_PREFIXES
                .iter()
                .any(|prefix| value.starts_with(prefix))
        || url_with_password(value)
}

/// `scheme://user:password@host`, with a password that is written out.
fn url_with_password(value: &str) -> bool {
    value
        .split_once("://")
        .and_then(|(_, rest)| rest.split(['/', '?', '#']).next())
        .and_then(|authority| authority.rsplit_once('@'))
        .and_then(|(user, _)| user.split_once(':'))
        .is_some_and(|(_, password)| !password.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_written_out_is_seen_by_name_or_form() {
        let check = |name: &str, value: &str, expected: bool| {
            assert_eq!(Variable::of(name, value).holds_secret(), expected, "{name}");
        };
        check("DB_PASSWORD", "hunter2-hunter2", true);
        check("dbPassword", "x9", true);
        check("api-key", "0f9d8a7c", true);
        check("CLIENT_SECRET", "deadbeef/cafe+Q==", true);
        check("CLIENT_SECRET", &format!("a/{}", "0f".repeat(16)), true);
        check("DATABASE_URL", "postgres://app:pw@db.example/app", true);
        check("NOTE", "AKIAIOSFODNN7EXAMPLE", true);
        check("PEM", "-----BEGIN EC PRIVATE KEY-----\nMHc", true);
        check("CANARY_SECRET", "bank-platform/canary-dev", false);
        check(
            "DB_PASSWORD_ARN",
            "arn:aws:secretsmanager:eu-west-1:1:secret:x",
            false,
        );
        check("TOKEN_PARAMETER", "/bank/dev/token", false);
        check("PASSWORD_LENGTH", "32", false);
        check("TOKEN_CACHE", "true", false);
        check("SECRET", "", false);
        check("DATABASE_URL", "postgres://db.example/app", false);
        check("KEYBOARD", "qwertz-qwertz", false);
        check("SECRETARY", "Jane Doe", false);
    }

    #[test]
    fn only_names_are_kept_of_a_setting() {
        let role = "arn:aws:iam::647751526084:role/bank-x-dev=bank-app/";
        let check = |name: &str, value: &str, expected: Option<&str>| {
            assert_eq!(reference(name, value).as_deref(), expected, "{name}");
        };
        check("ALLOWED_ROLE_PATTERNS", role, Some(role));
        check("ALLOWED_ROLE_PATTERNS", "", Some(""));
        check(
            "ALLOWED_ROLE_PATTERNS",
            &format!("{role},hunter2"),
            Some(&format!("{role},{NO_NAME}")),
        );
        check("ALLOWED_ROLE_PATTERNS", "*", Some(NO_NAME));
        check(
            "ACCESS_LOG_GROUP",
            "/aws/secretsmanager/bank-access-dev",
            Some("/aws/secretsmanager/bank-access-dev"),
        );
        check("DB_PASSWORD", "arn:aws:x", None);
        check("SYNTHETIC_SOURCE", "bank.synthetic", Some("bank.synthetic"));
        check("SYNTHETIC_SOURCE", "hunter2", Some(NO_NAME));
        check("SYNTHETIC_SOURCE", "s3cr3t.s3cr3t", Some(NO_NAME));
        check("CANARY_SECRET", "bank.synthetic", Some(NO_NAME));
    }

    #[test]
    fn the_value_is_not_kept() {
        let kept = format!("{:?}", Variable::of("DB_PASSWORD", "hunter2-hunter2"));
        assert!(!kept.contains("hunter2"), "{kept}");
    }
}
