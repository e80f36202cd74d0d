//! The proof that one file belongs to a signed run, without showing the others.
//!
//! In: a manifest and a path. Out: a [`Proof`] that leads from that file to the root of the tree, which the
//! attestation of the run signs. Whoever gets file, proof and attestation needs nothing else of the run.

use serde::{Deserialize, Serialize};

use super::manifest::{Entry, Manifest};
use super::merkle::{self, Hash};
use crate::observation::hex;

/// A path from a file to a root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// Always 1.
    version: u32,
    /// The run.
    pub run_id: String,
    /// The file.
    pub entry: Entry,
    /// Its place among the files, from 0.
    index: usize,
    /// How many files there are.
    leaves: usize,
    /// The siblings on the way up, each a SHA-256.
    path: Vec<String>,
    /// The root.
    pub root: String,
}

impl Proof {
    /// The proof of a file; nothing when the manifest does not list it.
    pub fn of(manifest: &Manifest, path: &str) -> Option<Self> {
        let index = manifest.files.iter().position(|entry| entry.path == path)?;
        let leaves: Vec<Hash> = manifest.files.iter().map(Entry::leaf).collect();
        Some(Self {
            version: 1,
            run_id: manifest.run_id.clone(),
            entry: manifest.files.get(index)?.clone(),
            index,
            leaves: leaves.len(),
            path: merkle::path(&leaves, index)?
                .iter()
                .map(|hash| hex(hash))
                .collect(),
            root: manifest.root.clone(),
        })
    }

    /// Its text.
    pub fn text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Whether these bytes are the file that the proof is about, and it leads to its root.
    pub fn holds(&self, bytes: &[u8]) -> Result<(), String> {
        if self.version != 1 {
            return Err(format!("is a proof of version {}, not 1", self.version));
        }
        if Entry::of(&self.entry.path, bytes) != self.entry {
            return Err(format!(
                "is about another file: this one is not {} with SHA-256 {}",
                self.entry.path, self.entry.sha256
            ));
        }
        let path: Option<Vec<Hash>> = self.path.iter().map(|text| hash(text)).collect();
        let (Some(path), Some(root)) = (path, hash(&self.root)) else {
            return Err("holds something that is no SHA-256".to_owned());
        };
        if merkle::holds(&self.entry.leaf(), self.index, self.leaves, &path, &root) {
            Ok(())
        } else {
            Err("does not lead to its root".to_owned())
        }
    }
}

fn hash(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if text.len() != 64
        || !text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    {
        return None;
    }
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(hash)
}
