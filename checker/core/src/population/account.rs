//! The account as one item: what must exist in it.

use super::{Item, Setting, mismatch};
use crate::observation::{Answer, Facts, Observation, Unseen};

crate::facts! {
    /// The account under check.
    pub struct Account {
        /// Its twelve digits.
        pub id: String,
        /// Names of its secrets in this region, those pending deletion left out.
        pub secrets: Vec<String>,
    }
}

/// The one item.
pub(super) fn items(facts: &Facts, setting: &Setting) -> Result<Vec<Item>, Unseen> {
    let Answer::Secrets(listed) = facts.get(&Observation::Secrets)? else {
        return Err(mismatch(&Observation::Secrets));
    };
    let account = Account {
        id: setting.account.clone(),
        secrets: listed
            .iter()
            .filter(|secret| secret.deleted.is_none())
            .map(|secret| secret.name.clone())
            .collect(),
    };
    let resource = format!("account:{}/{}", setting.account, setting.region);
    Ok(vec![Item::of(resource, "account", &account)])
}
