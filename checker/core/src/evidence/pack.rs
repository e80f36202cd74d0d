//! Evidence as files: one answer a file, and answers to the same question about many things together in packs.
//!
//! In: [`Facts`]. Out: the texts of the files with their digests, and which file holds which answer; and the facts
//! again from such texts. Ten thousand answers of two hundred bytes would take ten thousand files of a disk block each.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::manifest::digest;
use crate::json::canonical;
use crate::observation::{Facts, Observed, Recorded};
use crate::run::Run;
use crate::table::{self, Short};

/// Up to so many answers to the same question are files of their own.
const ALONE: usize = 100;
/// The answers of one pack.
const PACK: usize = 1000;

/// The files of evidence.
#[derive(Debug, Default)]
pub struct Files {
    /// Texts by their digests.
    pub texts: BTreeMap<String, Arc<str>>,
    /// Which file holds a packed answer, by the digest of its own text.
    packed: BTreeMap<String, String>,
}

impl Files {
    /// The files of some facts.
    pub(crate) fn of(facts: &Facts) -> Self {
        let mut kinds: BTreeMap<String, Vec<&Recorded>> = BTreeMap::new();
        for record in facts.records() {
            kinds
                .entry(kind(&record.observed))
                .or_default()
                .push(record);
        }
        let mut files = Self::default();
        for records in kinds.values_mut() {
            records.sort_by(|one, other| one.observed.observation.cmp(&other.observed.observation));
            if records.len() <= ALONE {
                for record in records {
                    files
                        .texts
                        .insert(record.digest.clone(), record.text.clone());
                }
            } else {
                for records in records.chunks(PACK) {
                    files.pack(records);
                }
            }
        }
        files
    }

    fn pack(&mut self, records: &[&Recorded]) {
        let rows: Vec<Value> = records
            .iter()
            .map(|record| serde_json::from_str(&record.text).unwrap_or_default())
            .collect();
        let packed = BTreeMap::from([("records", Short(&rows))]);
        let text = canonical(&packed).unwrap_or_default();
        let file = digest(text.as_bytes());
        for record in records {
            self.packed.insert(record.digest.clone(), file.clone());
        }
        self.texts.insert(file, text.into());
    }

    /// The file that holds an answer, by the digest of the answer's own text.
    pub(crate) fn name<'a>(&'a self, digest: &'a str) -> &'a str {
        self.packed.get(digest).map_or(digest, String::as_str)
    }

    /// Names files in the findings of a run, where answers are packed.
    pub(crate) fn name_in(&self, run: &mut Run) {
        if self.packed.is_empty() {
            return;
        }
        for finding in run
            .controls
            .iter_mut()
            .flat_map(|control| &mut control.findings)
        {
            for digest in &mut finding.evidence {
                if let Some(file) = self.packed.get(digest.as_str()) {
                    *digest = file.into();
                }
            }
            finding.evidence.dedup();
        }
    }
}

/// The answers of a file: of a pack all, otherwise the one.
pub fn read(text: &str) -> Result<Vec<Observed>, String> {
    let wrong = |error: serde_json::Error| {
        format!(
            "line {}, column {} is not what evidence holds there",
            error.line(),
            error.column()
        )
    };
    let packed = text.starts_with("{\"records\":");
    if !packed {
        return Ok(vec![serde_json::from_str(text).map_err(wrong)?]);
    }
    let mut value: Value = serde_json::from_str(text).map_err(wrong)?;
    let records = value
        .get_mut("records")
        .map(Value::take)
        .unwrap_or_default();
    table::unfold(records)?
        .into_iter()
        .map(|record| {
            serde_json::from_value(record).map_err(|_error| "a row of it is no answer".to_owned())
        })
        .collect()
}

/// The question without what it is about, and where it was asked: the packs of a part are those of the whole.
fn kind(observed: &Observed) -> String {
    let name = match serde_json::to_value(&observed.observation) {
        Ok(Value::Object(map)) => map.keys().next().cloned().unwrap_or_default(),
        Ok(Value::String(name)) => name,
        Ok(_) | Err(_) => String::new(),
    };
    let origin = &observed.origin;
    format!(
        "{name} {} {:?} {:?}",
        origin.region, origin.account, origin.shard
    )
}
