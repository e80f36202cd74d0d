//! `manifest.json`: everything that a run consists of, signed as a whole. Version 1.
//!
//! One text has one manifest: what does not read back to the same bytes is refused, so that no duplicate key and no
//! hidden space survives. Every file has a line of its own, so that `sed` and `sha256sum` can check a run as well.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::merkle::{self, Hash};
use crate::judge::About;
use crate::merge::PartJudged;
use crate::observation::hex;
use crate::population::Setting;
use crate::verdict::Verdict;

/// The version of this format.
pub const VERSION: u32 = 1;

/// Its name in a run's folder.
pub const MANIFEST: &str = "manifest.json";
/// Its signature.
pub const SIGNATURE: &str = "manifest.json.sig";
/// The attestation.
pub const ATTESTATION: &str = "attestation.json";
/// Files that a manifest can't list, since they are made from it.
pub const UNLISTED: [&str; 3] = [MANIFEST, SIGNATURE, ATTESTATION];

/// Everything that a run consists of.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always [`VERSION`].
    pub version: u32,
    /// Its place in the chain, from 1.
    pub sequence: u64,
    /// The run before it; nothing for the first of a chain.
    pub previous: Option<Link>,
    /// The run's id.
    pub run_id: String,
    /// The verdict over all controls.
    pub verdict: Verdict,
    /// Version of the checker.
    pub tool: String,
    /// Who asked AWS, an ARN; nothing when that could not be found out.
    pub caller: Option<String>,
    /// The job that ran the checker, as far as it said so in its environment.
    pub job: BTreeMap<String, String>,
    /// All that the verdicts follow from, besides controls and evidence.
    pub judged: Judged,
    /// The control files, as they were read.
    pub controls: Vec<Source>,
    /// The waivers, where there were any.
    pub waivers: Option<Source>,
    /// The approved state of controls, parameters and waivers, where there was one.
    pub baseline: Option<Source>,
    /// Parameters in force, by control.
    pub parameters: BTreeMap<String, BTreeMap<String, String>>,
    /// What the run could not prove.
    pub not_proven: Vec<String>,
    /// The root of the Merkle tree (RFC 6962) over `files`, each leaf being the line of one file.
    pub root: String,
    /// Every file but the manifest and what is made from it, sorted by path.
    pub files: Vec<Entry>,
}

/// The run before another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Its id.
    pub run_id: String,
    /// SHA-256 of its manifest.
    pub manifest: String,
}

/// All that verdicts follow from, besides controls and evidence.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// Place, time and names.
    pub setting: Setting,
    /// What the run says about itself.
    pub about: About,
    /// The controls that were chosen; all where there is none.
    pub only: Vec<String>,
    /// The resource that was chosen; all where there is none.
    pub resource: Option<String>,
    /// The accounts, regions and shards that were judged apart and put together, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartJudged>,
}

/// A text that decided verdicts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Where it was read from. Only a name: nothing is ever opened by it.
    pub path: String,
    /// The file of the run that holds it.
    pub file: String,
    /// SHA-256 of its text.
    pub sha256: String,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its path below the run's folder.
    pub path: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// Its length in bytes.
    pub size: u64,
}

/// Why a text is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not UTF-8.
    #[error("is no text")]
    NoText,
    /// Of a version that this checker does not know.
    #[error("is of version {0}; this checker reads version {VERSION}")]
    Version(u64),
    /// Something is missing, unknown or of another type.
    #[error("line {line}, column {column} is not what a manifest holds there")]
    Unreadable {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// Readable, but not as it is written.
    #[error("is not written as a manifest is: it was changed")]
    NotCanonical,
    /// The tree does not have this root.
    #[error("the root of its tree is {found}, it says {said}")]
    Root {
        /// As computed.
        found: String,
        /// As written.
        said: String,
    },
    /// A path that no run has.
    #[error("lists `{0}`, which no run holds")]
    Path(String),
    /// Paths out of order or twice.
    #[error("lists its files out of order at `{0}`")]
    Order(String),
}

impl Entry {
    /// The entry of a file.
    pub fn of(path: &str, bytes: &[u8]) -> Self {
        Self {
            path: path.to_owned(),
            sha256: digest(bytes),
            size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        }
    }

    /// Its line in the manifest, which is also its leaf in the tree.
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Its leaf in the tree.
    pub fn leaf(&self) -> Hash {
        merkle::leaf(self.line().as_bytes())
    }
}

impl Manifest {
    /// Its text.
    pub fn text(&self) -> String {
        let mut head = self.clone();
        head.files = Vec::new();
        let head = serde_json::to_string_pretty(&head).unwrap_or_default();
        let head = head.strip_suffix("[]\n}").unwrap_or_default();
        let lines: Vec<String> = self
            .files
            .iter()
            .map(|entry| format!("    {}", entry.line()))
            .collect();
        format!("{head}[\n{}\n  ]\n}}\n", lines.join(",\n"))
    }

    /// Reads a text that is exactly what [`text`](Self::text) writes.
    pub fn read(bytes: &[u8]) -> Result<Self, ManifestError> {
        let text = std::str::from_utf8(bytes).map_err(|_error| ManifestError::NoText)?;
        let manifest: Self = serde_json::from_str(text).map_err(|error| {
            version(text).map_or(
                ManifestError::Unreadable {
                    line: error.line(),
                    column: error.column(),
                },
                ManifestError::Version,
            )
        })?;
        if manifest.version != VERSION {
            return Err(ManifestError::Version(manifest.version.into()));
        }
        let mut before = "";
        for entry in &manifest.files {
            if !is_path(&entry.path) || UNLISTED.contains(&entry.path.as_str()) {
                return Err(ManifestError::Path(entry.path.clone()));
            }
            if entry.path.as_str() <= before {
                return Err(ManifestError::Order(entry.path.clone()));
            }
            before = &entry.path;
        }
        let found = root(&manifest.files);
        if found != manifest.root {
            return Err(ManifestError::Root {
                found,
                said: manifest.root,
            });
        }
        if manifest.text() != text {
            return Err(ManifestError::NotCanonical);
        }
        Ok(manifest)
    }

    /// The entry of a path.
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        self.files
            .binary_search_by(|entry| entry.path.as_str().cmp(path))
            .ok()
            .and_then(|index| self.files.get(index))
    }
}

/// The version of another format, so that the message can name it.
fn version(text: &str) -> Option<u64> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    value
        .get("version")?
        .as_u64()
        .filter(|version| *version != u64::from(VERSION))
}

/// The root of the tree over files.
pub fn root(files: &[Entry]) -> String {
    let leaves: Vec<Hash> = files.iter().map(Entry::leaf).collect();
    hex(&merkle::root(&leaves))
}

/// SHA-256 in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Whether a run may hold such a file: plain names, at most one folder deep, nothing hidden.
pub fn is_path(path: &str) -> bool {
    let mut parts = path.split('/');
    parts.clone().count() <= 2
        && parts.all(|part| {
            !part.is_empty()
                && !part.starts_with('.')
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        })
}
