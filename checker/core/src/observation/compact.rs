//! Members of which there are as many as there are secrets, kept small.
//!
//! A map of the standard library makes room for eleven entries where a secret has two versions, and most secrets of a stage
//! carry the same tags. In JSON both are the maps that they stand for.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Tags; equal ones can be kept once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags(Arc<BTreeMap<String, String>>);

impl Tags {
    /// Keeps equal ones that follow each other once.
    pub fn share<'a>(all: impl IntoIterator<Item = &'a mut Self>) {
        let mut known = Self::default();
        for tags in all {
            if *tags == known {
                tags.clone_from(&known);
            } else {
                known.clone_from(tags);
            }
        }
    }
}

impl From<BTreeMap<String, String>> for Tags {
    fn from(tags: BTreeMap<String, String>) -> Self {
        Self(Arc::new(tags))
    }
}

impl Deref for Tags {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Serialize for Tags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self::from)
    }
}

/// Staging labels by version id, in the order of the ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionStages(Box<[(Box<str>, Labels)]>);

/// The staging labels of one version.
type Labels = Box<[Box<str>]>;

impl VersionStages {
    /// Every version with its labels.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[Box<str>])> {
        self.0.iter().map(|(id, labels)| (&**id, &**labels))
    }

    /// The labels of every version.
    pub fn values(&self) -> impl Iterator<Item = &[Box<str>]> {
        self.iter().map(|(_, labels)| labels)
    }
}

impl From<BTreeMap<String, Vec<String>>> for VersionStages {
    fn from(stages: BTreeMap<String, Vec<String>>) -> Self {
        let labels = |labels: Vec<String>| labels.into_iter().map(Into::into).collect();
        let stages = stages.into_iter();
        Self(stages.map(|(id, all)| (id.into(), labels(all))).collect())
    }
}

impl Serialize for VersionStages {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for VersionStages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn in_json_they_are_maps() {
        let text = r#"{"a":["AWSCURRENT","mine"],"b":[]}"#;
        let stages: VersionStages = serde_json::from_str(text).unwrap();
        assert_eq!(stages.values().map(<[_]>::len).collect::<Vec<_>>(), [2, 0]);
        assert_eq!(serde_json::to_string(&stages).unwrap(), text);
        let text = r#"{"k":"v","l":""}"#;
        let tags: Tags = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&tags).unwrap(), text);
    }

    #[test]
    fn sharing_changes_nothing_but_where_tags_are_kept() {
        let tags = |value: &str| Tags::from(BTreeMap::from([("k".to_owned(), value.to_owned())]));
        let mut all = [tags("a"), tags("a"), tags("b"), Tags::default(), tags("a")];
        let before = all.clone();
        Tags::share(&mut all);
        assert_eq!(all, before);
        let [one, two, three, ..] = &all;
        assert!(Arc::ptr_eq(&one.0, &two.0) && !Arc::ptr_eq(&two.0, &three.0));
    }
}
