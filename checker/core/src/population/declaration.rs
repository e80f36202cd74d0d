//! Resources that the program declares, with the tags that they will carry.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Item, Setting, grant, mismatch, resource_policy};
use crate::expression::types::Known;
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
        /// Its settings by dotted path, such as `retryPolicy.maximumRetryAttempts`, of types whose settings can't hold a secret.
        pub settings: BTreeMap<String, String>,
        /// Whether the policies that stand in it are known already; before a deployment some are not.
        pub policies_known: bool,
        /// Principals outside the account that a policy in it lets do something, and everyone.
        pub outsiders: Known<Vec<String>>,
        /// Statements that let a service of AWS in without saying on whose behalf; trust policies say that elsewhere.
        pub unconfined: Known<Vec<String>>,
        /// Statements that let a service of AWS do more than they name, such as `sqs:*`.
        pub wide: Known<Vec<String>>,
    }
}

/// The named filters.
pub const FILTERS: &[(&str, &str)] = &[("taggable", "resources whose type can carry tags")];

/// Every declared resource.
pub(super) fn items(facts: &Facts, setting: &Setting) -> Result<Vec<Item>, Unseen> {
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
                settings: declared.settings.clone(),
                policies_known: declared.policies.values().all(Option::is_some),
                outsiders: reading(&declared.policies, |text| {
                    resource_policy::outside(text, &setting.account)
                }),
                unconfined: reading(&access_policies(&declared.policies), |text| {
                    of_services(text, |statement| !confined(statement))
                }),
                wide: reading(&access_policies(&declared.policies), |text| {
                    of_services(text, |statement| {
                        let actions = statement.get("Action").map(resource_policy::texts);
                        actions.is_none_or(|actions| actions.iter().any(|it| it.contains('*')))
                    })
                }),
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

/// What is read in each of these policies.
fn reading(
    policies: &BTreeMap<String, Option<String>>,
    read: impl Fn(&str) -> Result<Vec<String>, String>,
) -> Known<Vec<String>> {
    let mut found = Vec::new();
    for (property, text) in policies {
        let Some(text) = text else {
            return Known::Unknown(format!("`{property}` is known only once it is deployed"));
        };
        match read(text) {
            Ok(more) => found.extend(more),
            Err(reason) => return Known::Unknown(format!("`{property}`: {reason}")),
        }
    }
    Known::Known(found)
}

/// The policies that say who may use a resource.
fn access_policies(
    policies: &BTreeMap<String, Option<String>>,
) -> BTreeMap<String, Option<String>> {
    let mut policies = policies.clone();
    policies.remove("assumeRolePolicy");
    policies
}

/// The statements that let a service in and of which something holds.
fn of_services(text: &str, holds: impl Fn(&Value) -> bool) -> Result<Vec<String>, String> {
    let statements = resource_policy::statements(text)?;
    Ok(statements
        .iter()
        .enumerate()
        .filter(|(_, statement)| {
            let service = statement
                .get("Principal")
                .is_some_and(|who| who.get("Service").is_some());
            grant::allows(statement) && service && holds(statement)
        })
        .map(|(place, statement)| grant::label(statement, place + 1))
        .collect())
}

/// Whether a condition names the source on whose behalf a service acts, or what a key is used for.
fn confined(statement: &Value) -> bool {
    const KEYS: [&str; 4] = [
        "aws:sourcearn",
        "aws:sourceaccount",
        "aws:sourceorgid",
        "kms:encryptioncontext:",
    ];
    let operators = statement.get("Condition").and_then(Value::as_object);
    operators.into_iter().flatten().any(|(operator, keys)| {
        let positive = !operator.contains("Not") && !operator.ends_with("IfExists");
        positive
            && keys.as_object().into_iter().flatten().any(|(key, values)| {
                let key = key.to_ascii_lowercase();
                let values = resource_policy::texts(values);
                KEYS.iter().any(|known| key.starts_with(known))
                    && !values.is_empty()
                    && values.iter().all(|value| value != "*")
            })
    })
}
