//! The fence: what may be changed. A secret must carry the probe tag, be of this stage, and be in this account and region.

use std::collections::BTreeMap;

use checker_core::observation::Unseen;
use checker_core::population::Setting;

use super::session::Clients;
use crate::aws::{incomplete, unseen};

/// The tag that marks what probes may change.
pub(super) const TAG: &str = "bank:probe";

/// A secret inside the fence, with the labels that it had.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// What forbidden calls are tried on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Twin {
    /// A secret.
    Secret(Fenced),
    /// A log group, with the settings that it had.
    Log {
        /// Its name.
        name: String,
        /// Its ARN.
        arn: String,
        /// Days; for ever where there are none.
        retention: Option<i32>,
        /// Whether it is protected from deletion.
        protected: bool,
    },
}

impl Twin {
    /// Its ARN.
    pub(super) fn arn(&self) -> &str {
        match self {
            Self::Secret(secret) => &secret.arn,
            Self::Log { arn, .. } => arn,
        }
    }
}

/// Looks at a twin, a log group when its name begins with a slash.
pub(super) async fn twin(clients: &Clients, setting: &Setting, name: &str) -> Result<Twin, Unseen> {
    if !name.starts_with('/') {
        return secret(clients, setting, name).await.map(Twin::Secret);
    }
    let operation = "logs:DescribeLogGroups";
    let found = clients
        .logs
        .describe_log_groups()
        .log_group_name_prefix(name)
        .send()
        .await
        .map_err(|error| unseen(operation, &error))?;
    let group = found
        .log_groups()
        .iter()
        .find(|group| group.log_group_name() == Some(name))
        .ok_or_else(|| refused(name, "there is no such log group"))?;
    let arn = group
        .arn()
        .ok_or_else(|| incomplete(operation, "arn"))?
        .trim_end_matches(":*");
    if !is_tagged(clients, arn).await? {
        return Err(refused(
            name,
            &format!("it does not carry the tag {TAG}=true"),
        ));
    }
    within(setting, name, arn)?;
    Ok(Twin::Log {
        name: name.to_owned(),
        arn: arn.to_owned(),
        retention: group.retention_in_days(),
        protected: group.deletion_protection_enabled().unwrap_or(false),
    })
}

/// Whether a log group carries the tag.
pub(super) async fn is_tagged(clients: &Clients, arn: &str) -> Result<bool, Unseen> {
    let tags = clients
        .logs
        .list_tags_for_resource()
        .resource_arn(arn)
        .send()
        .await
        .map_err(|error| unseen("logs:ListTagsForResource", &error))?;
    Ok(tags
        .tags()
        .and_then(|tags| tags.get(TAG))
        .is_some_and(|value| value == "true"))
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
