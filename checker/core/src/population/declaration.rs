//! Resources that the program declares, with the tags that they will carry.

use std::collections::BTreeMap;

use super::{Item, mismatch};
use crate::observation::{Answer, Facts, Observation, Unseen};

crate::facts! {
    /// A resource of the program.
    pub struct Declaration {
        /// Its name in the program.
        pub name: String,
        /// Its type token, such as `aws:kms/key:Key`.
        pub kind: String,
        /// `file:line:column`.
        pub place: String,
        /// Whether resources of this type can carry tags.
        pub taggable: bool,
        /// Default and own tags together.
        pub tags: BTreeMap<String, String>,
    }
}

/// The named filters.
pub const FILTERS: &[(&str, &str)] = &[("taggable", "resources whose type can carry tags")];

/// Every declared resource.
pub(super) fn items(facts: &Facts) -> Result<Vec<Item>, Unseen> {
    let Answer::Program(program) = facts.get(&Observation::Program)? else {
        return Err(mismatch(&Observation::Program));
    };
    Ok(program
        .declared
        .iter()
        .map(|declared| {
            let declaration = Declaration {
                name: declared.name.clone(),
                kind: declared.kind.clone(),
                place: declared.place.clone(),
                taggable: declared.tags.is_some(),
                tags: declared.tags.clone().unwrap_or_default(),
            };
            let resource = format!("program:{}/{}", declared.program, declared.name);
            let mut item = Item::of(resource, "declaration", &declaration);
            if declaration.taggable {
                item.passes.insert("taggable");
            }
            item
        })
        .collect())
}
