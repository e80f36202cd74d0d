//! `allowed_signers`: who may sign, as ssh-keygen(1) describes it under ALLOWED SIGNERS.
//!
//! In: the text of the file. Out: [`AllowedSigners`], or the line that is wrong. An option that is not known here is
//! an error, since ignoring it could widen what was meant; certificate authorities are not supported.

use chrono::{DateTime, NaiveDateTime, Utc};
use ssh_key::PublicKey;

use super::signature::{NAMESPACE, SignedBy};

/// Everybody who may sign.
#[derive(Debug, Clone)]
pub struct AllowedSigners(Vec<Signer>);

#[derive(Debug, Clone)]
struct Signer {
    principals: String,
    namespaces: Option<Vec<String>>,
    after: Option<DateTime<Utc>>,
    before: Option<DateTime<Utc>>,
    key: PublicKey,
}

/// A line that is wrong.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: {message}")]
pub struct SignersError {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl AllowedSigners {
    /// Reads the file.
    pub fn read(text: &str) -> Result<Self, SignersError> {
        let mut signers = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            signers.push(signer(line).map_err(|message| SignersError {
                line: index + 1,
                message,
            })?);
        }
        if signers.is_empty() {
            return Err(SignersError {
                line: 1,
                message: "nobody may sign: the file names no key".to_owned(),
            });
        }
        Ok(Self(signers))
    }

    /// The keys that may sign for us, whenever that was.
    pub(crate) fn keys(&self) -> impl Iterator<Item = SignedBy> {
        self.0
            .iter()
            .filter(|signer| signer.may_for_us())
            .map(|signer| SignedBy::from(&signer.key))
    }

    /// The principals of a key at a time, or why it may not sign.
    pub fn principals(&self, by: &SignedBy, at: DateTime<Utc>) -> Result<String, String> {
        let mut reasons = Vec::new();
        for signer in self.0.iter().filter(|signer| by.is(&signer.key)) {
            match signer.may(at) {
                Ok(()) => return Ok(signer.principals.clone()),
                Err(reason) => reasons.push(format!("{} {reason}", signer.principals)),
            }
        }
        if reasons.is_empty() {
            return Err("the signers file does not name this key".to_owned());
        }
        Err(reasons.join("; "))
    }
}

impl Signer {
    fn may_for_us(&self) -> bool {
        self.namespaces
            .as_ref()
            .is_none_or(|namespaces| matches_list(namespaces, NAMESPACE))
    }

    fn may(&self, at: DateTime<Utc>) -> Result<(), String> {
        if let Some(namespaces) = &self.namespaces
            && !self.may_for_us()
        {
            return Err(format!("may sign for {} only", namespaces.join(",")));
        }
        if let Some(after) = self.after.filter(|after| at < *after) {
            return Err(format!("may sign from {after} on"));
        }
        if let Some(before) = self.before.filter(|before| at > *before) {
            return Err(format!("could sign until {before}"));
        }
        Ok(())
    }
}

fn signer(line: &str) -> Result<Signer, String> {
    let mut words = words(line)?.into_iter();
    let principals = words.next().unwrap_or_default().replace('"', "");
    let mut kind = words.next().ok_or("no key")?;
    let mut signer = (None, None, None);
    if !is_kind(&kind) {
        for option in split(&kind, ',') {
            apply(&option, &mut signer)?;
        }
        kind = words.next().ok_or("no key after the options")?;
    }
    let base64 = words
        .next()
        .ok_or_else(|| format!("no key after `{kind}`"))?;
    let key = PublicKey::from_openssh(&format!("{kind} {base64}"))
        .map_err(|_error| format!("`{kind}` is followed by no public key"))?;
    let (namespaces, after, before) = signer;
    Ok(Signer {
        principals,
        namespaces,
        after,
        before,
        key,
    })
}

type Limits = (
    Option<Vec<String>>,
    Option<DateTime<Utc>>,
    Option<DateTime<Utc>>,
);

fn apply(option: &str, (namespaces, after, before): &mut Limits) -> Result<(), String> {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let value = value.trim_matches('"');
    let twice = || format!("`{name}` stands twice");
    match name.to_ascii_lowercase().as_str() {
        "namespaces" if namespaces.is_some() => Err(twice()),
        "namespaces" => {
            *namespaces = Some(value.split(',').map(str::to_owned).collect());
            Ok(())
        }
        "valid-after" if after.is_some() => Err(twice()),
        "valid-after" => {
            *after = Some(time(value)?);
            Ok(())
        }
        "valid-before" if before.is_some() => Err(twice()),
        "valid-before" => {
            *before = Some(time(value)?);
            Ok(())
        }
        "cert-authority" => {
            Err("certificate authorities are not supported here; name the key itself".to_owned())
        }
        _ => Err(format!("unknown option `{name}`")),
    }
}

/// `YYYYMMDD[HHMM[SS]][Z]`, always UTC. Without `Z` OpenSSH takes the machine's own zone; the answer must not depend on it.
fn time(text: &str) -> Result<DateTime<Utc>, String> {
    let digits = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    let whole = match digits.len() {
        8 => format!("{digits}000000"),
        12 => format!("{digits}00"),
        _ => digits.to_owned(),
    };
    if whole.len() != 14 {
        return Err(format!("`{text}` is no time"));
    }
    NaiveDateTime::parse_from_str(&whole, "%Y%m%d%H%M%S")
        .map(|time| time.and_utc())
        .map_err(|_error| format!("`{text}` is no time"))
}

fn is_kind(word: &str) -> bool {
    word.starts_with("ssh-") || word.starts_with("ecdsa-") || word.starts_with("sk-")
}

/// Words between blanks; a quoted part may hold blanks.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        if c == '"' {
            quoted = !quoted;
        }
        if c.is_ascii_whitespace() && !quoted {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    if quoted {
        return Err("a quotation mark is never closed".to_owned());
    }
    words.retain(|word| !word.is_empty());
    Ok(words)
}

fn split(text: &str, at: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        if c == '"' {
            quoted = !quoted;
        }
        if c == at && !quoted {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

/// OpenSSH's pattern list: `*`, `?`, and `!` for what is left out.
fn matches_list(patterns: &[String], text: &str) -> bool {
    let refused = patterns
        .iter()
        .filter_map(|pattern| pattern.strip_prefix('!'))
        .any(|pattern| matches(pattern.as_bytes(), text.as_bytes()));
    !refused
        && patterns
            .iter()
            .filter(|pattern| !pattern.starts_with('!'))
            .any(|pattern| matches(pattern.as_bytes(), text.as_bytes()))
}

fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            matches(rest, text)
                || text
                    .split_first()
                    .is_some_and(|(_, text)| matches(pattern, text))
        }
        (Some((b'?', rest)), Some((_, text))) => matches(rest, text),
        (Some((wanted, rest)), Some((found, text))) => wanted == found && matches(rest, text),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;
    use crate::evidence::signature::{Key, verify};

    fn key(seed: u8) -> Key {
        Key::from_seed(&[seed; 32], "test").unwrap()
    }

    fn check(line: &str, expected: Result<&str, &str>) {
        let key = key(1);
        let by = verify(b"x", key.sign(b"x").unwrap().as_bytes()).unwrap();
        let at = "2026-11-26T12:00:00Z".parse().unwrap();
        let line = line
            .replace("KEY", &key.public())
            .replace("OTHER", &self::key(2).public());
        let found = match AllowedSigners::read(&line) {
            Ok(signers) => signers.principals(&by, at),
            Err(error) => Err(error.to_string()),
        };
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{line}"),
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{line}: {found}"),
            (found, expected) => panic!("{line}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn only_whom_the_file_names_may_sign() {
        check("audit@bank KEY", Ok("audit@bank"));
        check("# comment\n\naudit@bank KEY a comment", Ok("audit@bank"));
        check("audit@bank OTHER", Err("does not name this key"));
        check(
            "audit@bank namespaces=\"compliance-evidence\" KEY",
            Ok("audit@bank"),
        );
        check(
            "audit@bank namespaces=\"file,compliance-*\" KEY",
            Ok("audit@bank"),
        );
        check(
            "audit@bank namespaces=\"*,!compliance-evidence\" KEY",
            Err("only"),
        );
        check(
            "audit@bank namespaces=\"file\" KEY",
            Err("may sign for file only"),
        );
        check(
            "audit@bank valid-after=\"20261127Z\" KEY",
            Err("may sign from"),
        );
        check(
            "audit@bank valid-before=\"20261125Z\" KEY",
            Err("could sign until"),
        );
        check(
            "audit@bank valid-after=\"20261101Z\",valid-before=\"202612010000Z\" KEY",
            Ok("audit@bank"),
        );
        check("a valid-before=\"20261125Z\" KEY\nb KEY", Ok("b"));
    }

    #[test]
    fn what_is_not_understood_is_an_error_with_its_line() {
        check("", Err("line 1: nobody may sign"));
        check(
            "a KEY\nb cert-authority OTHER",
            Err("line 2: certificate authorities"),
        );
        check(
            "a no-such-option KEY",
            Err("unknown option `no-such-option`"),
        );
        check("a namespaces=\"x KEY", Err("never closed"));
        check("a ssh-ed25519 AAAA", Err("no public key"));
        check("a", Err("no key"));
        check("a valid-after=\"20261127\" KEY", Err("may sign from"));
        check("a valid-after=\"2026Z\" KEY", Err("no time"));
        check(
            "a namespaces=\"x\",namespaces=\"y\" KEY",
            Err("stands twice"),
        );
    }
}
