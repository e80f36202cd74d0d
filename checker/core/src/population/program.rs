//! The program under check as one item.

use std::collections::BTreeMap;

use super::{Item, mismatch};
use crate::observation::{Answer, Facts, Observation, Unseen};

crate::facts! {
    /// A place in a program that holds a secret's value.
    pub struct Value {
        /// The resource or configuration key.
        pub resource: String,
        /// The property that holds it.
        pub property: String,
        /// `file:line:column`.
        pub place: String,
    }

    /// A resource that a program declares.
    pub struct Declared {
        /// Its name in the program.
        pub name: String,
        /// Its type token, such as `aws:kms/key:Key`.
        pub kind: String,
        /// Its settings by dotted path, of types whose settings can't hold a secret.
        pub settings: BTreeMap<String, String>,
    }

    /// The program under check, evaluated for the stage.
    pub struct Program {
        /// Its name.
        pub name: String,
        /// How many resources it declares.
        pub resources: i64,
        /// Places that hold a secret's value; the values are not kept.
        pub values: Vec<Value>,
        /// Every resource that it declares.
        pub declared: Vec<Declared>,
    }
}

/// The one item.
pub(super) fn items(facts: &Facts) -> Result<Vec<Item>, Unseen> {
    let Answer::Program(seen) = facts.get(&Observation::Program)? else {
        return Err(mismatch(&Observation::Program));
    };
    let program = Program {
        name: seen.name.clone(),
        resources: seen.resources,
        values: seen
            .values
            .iter()
            .map(|value| Value {
                resource: value.resource.clone(),
                property: value.property.clone(),
                place: value.place.clone(),
            })
            .collect(),
        declared: seen
            .declared
            .iter()
            .map(|declared| Declared {
                name: declared.name.clone(),
                kind: declared.kind.clone(),
                settings: declared.settings.clone(),
            })
            .collect(),
    };
    Ok(vec![Item::of(
        format!("program:{}", program.name),
        "program",
        &program,
    )])
}
