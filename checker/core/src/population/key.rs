//! Keys that encrypt managed secrets, with what their policies grant.

use std::collections::BTreeSet;

use super::secret::{alias_name, is_managed};
use super::{Item, Reads, Setting, mismatch, resource_policy};
use crate::expression::types::Known;
use crate::observation::{Answer, Facts, Observation, Unseen};

crate::facts! {
    /// A key that encrypts managed secrets.
    pub struct UsedKey {
        /// Key id.
        pub id: String,
        /// Its aliases.
        pub aliases: Vec<String>,
        /// Principals outside the account that its policy names in a grant.
        pub outside: Known<Vec<String>>,
        /// Statements that grant something to everyone without confining it to this account or organisation.
        pub open: Known<Vec<String>>,
    }
}

const AWS_MANAGED_KEY: &str = "alias/aws/secretsmanager";

/// Every key that a managed secret uses, once.
pub(super) fn items(facts: &Facts, setting: &Setting, reads: &Reads) -> Result<Vec<Item>, Unseen> {
    let Answer::Secrets(secrets) = facts.get(&Observation::Secrets)? else {
        return Err(mismatch(&Observation::Secrets));
    };
    let Answer::KeyAliases(aliases) = facts.get(&Observation::KeyAliases)? else {
        return Err(mismatch(&Observation::KeyAliases));
    };
    let ids: BTreeSet<String> = secrets
        .iter()
        .filter(|secret| is_managed(secret, &setting.organisation) && secret.deleted.is_none())
        .map(|secret| {
            let configured = secret.kms_key_id.as_deref().unwrap_or(AWS_MANAGED_KEY);
            match alias_name(configured) {
                Some(alias) => aliases
                    .iter()
                    .find(|known| known.name == alias)
                    .and_then(|known| known.key_id.clone())
                    .unwrap_or_else(|| alias.to_owned()),
                None => configured
                    .rsplit('/')
                    .next()
                    .unwrap_or(configured)
                    .to_owned(),
            }
        })
        .collect();
    Ok(ids
        .into_iter()
        .map(|id| {
            let question = Observation::KeyPolicy(id.clone());
            let key = UsedKey {
                aliases: aliases
                    .iter()
                    .filter(|alias| alias.key_id.as_deref() == Some(&id))
                    .map(|alias| alias.name.clone())
                    .collect(),
                outside: read(&question, facts, |text| {
                    let mut found = resource_policy::outside(text, &setting.account)?;
                    found.retain(|who| who != "*");
                    Ok(found)
                }),
                open: read(&question, facts, |text| {
                    resource_policy::open(text, &setting.account)
                }),
                id,
            };
            let arn = format!(
                "arn:aws:kms:{}:{}:key/{}",
                setting.region, setting.account, key.id
            );
            let mut item = Item::of(arn, "key", &key);
            for path in ["key.outside", "key.open"] {
                if reads.touch(path) {
                    item.details.push((path, question.clone()));
                }
            }
            item
        })
        .collect())
}

fn read(
    question: &Observation,
    facts: &Facts,
    reading: impl Fn(&str) -> Result<Vec<String>, String>,
) -> Known<Vec<String>> {
    let found = match facts.get(question) {
        Ok(Answer::KeyPolicy(Some(text))) => reading(text),
        Ok(Answer::KeyPolicy(None)) => Err("KMS does not know the key".to_owned()),
        Ok(_other) => Err(mismatch(question).to_string()),
        Err(unseen) => Err(unseen.to_string()),
    };
    match found {
        Ok(found) => Known::Known(found),
        Err(reason) => Known::Unknown(reason),
    }
}
