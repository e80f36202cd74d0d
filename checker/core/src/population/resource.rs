//! Deployed resources of this module, as the tagging API shows them.
//!
//! What carries the module's tag is of the module; what lost that tag is found in the program. Identities are not
//! among them: the tagging API shows IAM in another region, and of it only policies.

use std::collections::BTreeMap;

use super::{Item, Setting, mismatch};
use crate::observation::{Answer, Facts, Observation, Unseen};

crate::facts! {
    /// A deployed resource of this module.
    pub struct Resource {
        /// ARN.
        pub arn: String,
        /// Tags.
        pub tags: BTreeMap<String, String>,
    }
}

/// Every resource that carries the module's tag.
pub(super) fn items(facts: &Facts, setting: &Setting) -> Result<Vec<Item>, Unseen> {
    let Answer::ModuleResources(listed) = facts.get(&Observation::ModuleResources)? else {
        return Err(mismatch(&Observation::ModuleResources));
    };
    // The secrets are in the list that completeness needs anyway; asking for them twice would double its pages.
    let Answer::TaggedSecrets(secrets) = facts.get(&Observation::TaggedSecrets)? else {
        return Err(mismatch(&Observation::TaggedSecrets));
    };
    let ours = |tags: &BTreeMap<String, String>| {
        tags.get("module_id") == Some(&setting.organisation.module_id)
    };
    Ok(listed
        .iter()
        .chain(secrets)
        .filter(|listed| ours(&listed.tags))
        .map(|listed| {
            let resource = Resource {
                arn: listed.arn.clone(),
                tags: (*listed.tags).clone(),
            };
            Item::of(listed.arn.clone(), "resource", &resource)
        })
        .collect())
}
