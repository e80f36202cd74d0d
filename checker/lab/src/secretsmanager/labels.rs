//! The staging labels of one version.
//!
//! Nearly every version has AWS's own labels only: those are one byte, and need no text.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};

/// AWS's own labels, each with its bit.
const AWS: [(u8, &str); 3] = [(1, "AWSCURRENT"), (2, "AWSPENDING"), (4, "AWSPREVIOUS")];

/// A set of staging labels, told in order of their texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Labels {
    aws: u8,
    own: Option<Box<Own>>,
}

/// Labels of the secret's owner; a set is never empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Own(BTreeSet<String>);

impl Labels {
    /// One label.
    pub(crate) fn one(label: &str) -> Self {
        let mut labels = Self::default();
        labels.insert(label);
        labels
    }

    /// Whether a label is in it.
    pub(crate) fn contains(&self, label: &str) -> bool {
        match bit(label) {
            Some(bit) => self.aws & bit != 0,
            None => self.own.as_ref().is_some_and(|own| own.0.contains(label)),
        }
    }

    /// Adds a label.
    pub(crate) fn insert(&mut self, label: &str) {
        if let Some(bit) = bit(label) {
            self.aws |= bit;
            return;
        }
        let own = self.own.get_or_insert_default();
        own.0.insert(label.to_owned());
    }

    /// Takes a label away.
    pub(crate) fn remove(&mut self, label: &str) {
        if let Some(bit) = bit(label) {
            self.aws &= !bit;
            return;
        }
        if let Some(own) = &mut self.own {
            own.0.remove(label);
        }
        self.own.take_if(|own| own.0.is_empty());
    }

    /// How many labels there are.
    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.aws == 0 && self.own.is_none()
    }

    /// The labels, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        let aws = AWS.into_iter().filter(|(bit, _)| self.aws & bit != 0);
        let own = self.own.iter().flat_map(|own| &own.0);
        let mut all: Vec<&str> = aws
            .map(|(_, label)| label)
            .chain(own.map(String::as_str))
            .collect();
        all.sort_unstable();
        all.into_iter()
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

fn bit(label: &str) -> Option<u8> {
    let known = AWS.iter().find(|(_, known)| *known == label);
    known.map(|(bit, _)| *bit)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::{any, proptest};
    use proptest::sample::select;
    use serde_json::json;

    use super::Labels;

    const TEXTS: [&str; 8] = [
        "AWSCURRENT",
        "AWSPENDING",
        "AWSPREVIOUS",
        "",
        "AWSD",
        "AWSPREVIOUSLY",
        "blue",
        "zz",
    ];

    proptest! {
        #[test]
        fn it_is_a_set_of_texts(
            steps in proptest::collection::vec((select(&TEXTS[..]), any::<bool>()), 0..30),
        ) {
            let mut labels = Labels::default();
            let mut set: BTreeSet<&str> = BTreeSet::new();
            for (text, adds) in steps {
                if adds {
                    labels.insert(text);
                    set.insert(text);
                } else {
                    labels.remove(text);
                    set.remove(text);
                }
                assert!(labels.iter().eq(set.iter().copied()));
                assert_eq!(json!(labels), json!(set));
                assert_eq!((labels.len(), labels.is_empty()), (set.len(), set.is_empty()));
                for text in TEXTS {
                    assert_eq!(labels.contains(text), set.contains(text));
                }
            }
        }
    }

    #[test]
    fn labels_of_aws_need_no_room_of_their_own() {
        let mut labels = Labels::one("AWSCURRENT");
        labels.insert("AWSPENDING");
        labels.insert("mine");
        labels.remove("mine");
        assert!(labels.own.is_none());
        assert_eq!(json!(labels), json!(["AWSCURRENT", "AWSPENDING"]));
    }
}
