//! One rule on one resource.

use serde::{Deserialize, Serialize};

use super::Folded;
use crate::shared::Shared;
use crate::verdict::Verdict;

/// One rule on one resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The rule's id.
    pub assertion: Shared,
    /// ARN, or another unique name.
    pub resource: Shared,
    /// The verdict.
    pub verdict: Verdict,
    /// The rule in words, for this resource.
    pub says: String,
    /// Values found and allowed, or why nothing could be said.
    pub because: Vec<String>,
    /// Digests of the evidence it rests on.
    pub evidence: Vec<Shared>,
    /// Where the rule stands, `file:line:column`.
    pub source: Shared,
    /// How many passed findings this entry stands for, where it stands for more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// SHA-256 over the resources that it stands for, one a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The id of the waiver that covers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiver: Option<String>,
    /// What this entry stands for, where it stands for more than one. Not written: `population.csv` has the names.
    #[serde(skip)]
    pub folded: Option<Box<Folded>>,
}

impl Finding {
    /// What a rule says of one resource. `rule` is its id and where it stands.
    pub(crate) fn new(
        (assertion, source): (impl Into<Shared>, impl Into<Shared>),
        resource: impl Into<Shared>,
        verdict: Verdict,
        says: impl Into<String>,
        because: Vec<String>,
    ) -> Self {
        Self {
            assertion: assertion.into(),
            resource: resource.into(),
            verdict,
            says: says.into(),
            because,
            evidence: Vec::new(),
            source: source.into(),
            count: None,
            digest: None,
            waiver: None,
            folded: None,
        }
    }

    /// With the digests of the evidence that it rests on.
    #[must_use]
    pub(crate) fn resting_on(mut self, evidence: Vec<Shared>) -> Self {
        self.evidence = evidence;
        self
    }

    /// The names of all that it speaks of.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        let folded = self.folded.iter().flat_map(|folded| &folded.resources);
        let single = self.folded.is_none().then_some(self.resource.as_str());
        folded.map(AsRef::as_ref).chain(single)
    }

    /// Whether it speaks of a whole population (complete, large enough) and not of one of its members. Such a
    /// finding is named after the population, and its words begin with that name.
    pub fn is_population(&self) -> bool {
        self.says.strip_prefix(&*self.resource).is_some_and(|rest| {
            rest == " could not be listed"
                || rest.starts_with(" are complete: ")
                || (rest.starts_with(": ") && rest.ends_with(" found"))
        })
    }
}
