//! The fence: what may be changed. A secret must carry the probe tag, be of this stage, and be in this account and region.

use std::collections::BTreeMap;

use checker_core::observation::Unseen;
use checker_core::population::Setting;

use super::session::Clients;
use crate::aws::{incomplete, unseen};

/// The tag that marks what probes may change.
pub(super) const TAG: &str = "bank:probe";

/// A secret inside the fence, with the labels that it had.
#[derive(Debug, Clone)]
pub(super) struct Fenced {
    /// Full ARN.
    pub(super) arn: String,
    /// Labels by version.
    pub(super) labels: BTreeMap<String, Vec<String>>,
}

impl Fenced {
    /// The version that carries a label.
    pub(super) fn holder(&self, label: &str) -> Option<&str> {
        self.labels
            .iter()
            .find(|(_, labels)| labels.iter().any(|known| known == label))
            .map(|(version, _)| version.as_str())
    }

    /// Whether `AWSPENDING` is on a version that is not current.
    pub(super) fn is_stuck(&self) -> bool {
        self.holder("AWSPENDING")
            .is_some_and(|pending| self.holder("AWSCURRENT") != Some(pending))
    }
}

/// Looks at a secret and lets it in, or says why not.
pub(super) async fn secret(
    clients: &Clients,
    setting: &Setting,
    name: &str,
) -> Result<Fenced, Unseen> {
    let operation = "secretsmanager:DescribeSecret";
    let found = clients
        .secrets
        .describe_secret()
        .secret_id(name)
        .send()
        .await
        .map_err(|error| unseen(operation, &error))?;
    let arn = found.arn().ok_or_else(|| incomplete(operation, "ARN"))?;
    let tagged = found
        .tags()
        .iter()
        .any(|tag| tag.key() == Some(TAG) && tag.value() == Some("true"));
    if !tagged {
        return Err(refused(
            name,
            &format!("it does not carry the tag {TAG}=true"),
        ));
    }
    within(setting, name, arn)?;
    Ok(Fenced {
        arn: arn.to_owned(),
        labels: found
            .version_ids_to_stages()
            .map(|versions| {
                versions
                    .iter()
                    .map(|(version, labels)| (version.clone(), labels.clone()))
                    .collect()
            })
            .unwrap_or_default(),
    })
}

/// Stage, account and region.
pub(super) fn within(setting: &Setting, name: &str, arn: &str) -> Result<(), Unseen> {
    if !name.ends_with(&format!("-{}", setting.stage)) {
        return Err(refused(
            name,
            &format!("its name does not end in the stage `{}`", setting.stage),
        ));
    }
    let mut parts = arn.split(':').skip(3);
    if parts.next() != Some(&setting.region) || parts.next() != Some(&setting.account) {
        return Err(refused(name, "it is in another account or region"));
    }
    Ok(())
}

/// A refusal names the fence.
pub(super) fn refused(name: &str, why: &str) -> Unseen {
    Unseen {
        operation: "probe".to_owned(),
        code: "OutsideTheFence".to_owned(),
        advice: format!("`{name}` may not be touched: {why}"),
    }
}
