//! Parameters of Parameter Store, without their values.

use super::{Item, Setting, mismatch};
use crate::observation::{Answer, Facts, Observation, Unseen};

crate::facts! {
    /// A parameter.
    pub struct Parameter {
        /// Full name.
        pub name: String,
        /// `String`, `StringList` or `SecureString`.
        pub kind: String,
        /// Whether its value is encrypted, as a secret's would be.
        pub encrypted: bool,
        /// The key that encrypts it, as configured.
        pub key: Option<String>,
    }
}

/// Every parameter of the account in the region.
pub(super) fn items(facts: &Facts, setting: &Setting) -> Result<Vec<Item>, Unseen> {
    let Answer::Parameters(listed) = facts.get(&Observation::Parameters)? else {
        return Err(mismatch(&Observation::Parameters));
    };
    Ok(listed
        .iter()
        .map(|listed| {
            let parameter = Parameter {
                name: listed.name.clone(),
                kind: listed.kind.clone(),
                encrypted: listed.kind == "SecureString",
                key: listed.key_id.clone(),
            };
            let slash = if listed.name.starts_with('/') {
                ""
            } else {
                "/"
            };
            let arn = format!(
                "arn:aws:ssm:{}:{}:parameter{slash}{}",
                setting.region, setting.account, listed.name
            );
            Item::of(arn, "parameter", &parameter)
        })
        .collect())
}
