//! All secrets, found by ARN and by name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Moved, Secret, invalid_request, not_found};
use crate::service::{ApiError, Call};
use crate::tagging::Tags;

/// What the service keeps.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Secrets by ARN; apart from the tree, which keeps room for more than it holds.
    secrets: BTreeMap<Arc<str>, Box<Secret>>,
    /// ARN by region and name.
    names: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Arc<str>>>,
    /// ARNs of the secrets that have replicas.
    replicated: BTreeSet<Arc<str>>,
    /// Labels that moved and were not told yet.
    pub(crate) moved: Vec<Moved>,
}

impl State {
    /// A secret by its ARN.
    pub(crate) fn get(&self, arn: &str) -> Option<&Secret> {
        self.secrets.get(arn).map(AsRef::as_ref)
    }

    /// The same, to be changed.
    pub(crate) fn get_mut(&mut self, arn: &str) -> Option<&mut Secret> {
        self.secrets.get_mut(arn).map(AsMut::as_mut)
    }

    /// All secrets of all regions, in order of their ARNs.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Secret> {
        self.secrets.values().map(AsRef::as_ref)
    }

    /// The secret of a region that has a name.
    pub(super) fn named(&self, region: &str, name: &str) -> Option<&Secret> {
        self.get(self.names.get(region)?.get(name)?)
    }

    /// The secret that an id means: a name, an ARN, or an ARN without its six last characters.
    pub(crate) fn arn_of(&self, region: &str, id: &str) -> Option<&str> {
        if let Some((arn, _)) = self.secrets.get_key_value(id) {
            return Some(arn);
        }
        let name = if id.starts_with("arn:") {
            let mut parts = id.splitn(7, ':');
            let (given, name) = (parts.nth(3)?, parts.nth(2)?);
            if given != region {
                return None;
            }
            name
        } else {
            id
        };
        self.names.get(region)?.get(name).map(AsRef::as_ref)
    }

    /// The secret of a call; one that is marked for deletion too.
    pub(crate) fn any(&self, call: &Call<'_>) -> Result<&Secret, ApiError> {
        let id = call.required("SecretId")?;
        self.arn_of(call.region, id)
            .and_then(|arn| self.get(arn))
            .ok_or_else(not_found)
    }

    pub(super) fn any_mut(&mut self, call: &Call<'_>) -> Result<&mut Secret, ApiError> {
        let arn = Arc::clone(&self.any(call)?.arn);
        self.get_mut(&arn).ok_or_else(not_found)
    }

    /// The secret of a call, unless it is marked for deletion.
    pub(super) fn live(&self, call: &Call<'_>) -> Result<&Secret, ApiError> {
        let secret = self.any(call)?;
        secret.refuse_deleted()?;
        Ok(secret)
    }

    /// The secret of a changing call: neither marked for deletion nor a replica.
    pub(super) fn primary_mut(&mut self, call: &Call<'_>) -> Result<&mut Secret, ApiError> {
        let secret = self.any_mut(call)?;
        secret.refuse_deleted()?;
        if secret.rare().replica_of.is_some() {
            return Err(invalid_request(
                "Operation not permitted on a replica secret. Call must be made in primary secret's region.",
            ));
        }
        Ok(secret)
    }

    /// Which version carries which label, of the labels that AWS tells about.
    pub(super) fn told(&self, arn: &str) -> BTreeMap<String, String> {
        let versions = self.get(arn).map(|secret| &secret.versions);
        versions
            .into_iter()
            .flatten()
            .flat_map(|(id, version)| {
                let labels = version.stages.iter();
                labels.map(|label| (label.to_owned(), id.to_string()))
            })
            .filter(|(label, _)| label != "AWSPENDING" && label != "AWSPREVIOUS")
            .collect()
    }

    /// Whether a rotation of a secret is in progress.
    pub(super) fn rotates(&self, arn: &str) -> bool {
        let secret = self.get(arn);
        secret.is_some_and(|secret| secret.rotation.running.is_some())
    }

    /// Notes the labels that are on another version than before.
    pub(super) fn tell(&mut self, arn: &str, before: &BTreeMap<String, String>) {
        let after = self.told(arn);
        let Some(secret) = self.get(arn) else {
            return;
        };
        let moved = after
            .into_iter()
            .filter(|(label, version)| before.get(label) != Some(version));
        let (arn, name) = (secret.arn.to_string(), secret.name.to_string());
        self.moved.extend(moved.map(|(label, version)| Moved {
            arn: arn.clone(),
            name: name.clone(),
            label,
            version,
        }));
    }

    /// Adds a secret.
    pub(super) fn insert(&mut self, region: &str, secret: Secret) {
        let (arn, name) = (Arc::clone(&secret.arn), Arc::clone(&secret.name));
        if !secret.rare().replicas.is_empty() {
            self.replicated.insert(Arc::clone(&arn));
        }
        self.secrets.insert(Arc::clone(&arn), Box::new(secret));
        if let Some(names) = self.names.get_mut(region) {
            names.insert(name, arn);
        } else {
            let names = BTreeMap::from([(name, arn)]);
            self.names.insert(region.into(), names);
        }
    }

    /// Adds very many secrets of one region, none of which has replicas: a tree that is built at once is full, one
    /// that grows is half empty.
    pub(crate) fn insert_many(&mut self, region: &str, secrets: impl Iterator<Item = Secret>) {
        let known = std::mem::take(&mut self.secrets);
        self.secrets = secrets
            .map(|secret| (Arc::clone(&secret.arn), Box::new(secret)))
            .collect();
        let names = self.names.entry(region.into()).or_default();
        let named = std::mem::take(names);
        *names = self
            .secrets
            .values()
            .map(|secret| (Arc::clone(&secret.name), Arc::clone(&secret.arn)))
            .collect();
        for (name, arn) in named {
            names.entry(name).or_insert(arn);
        }
        for (arn, secret) in known {
            self.secrets.entry(arn).or_insert(secret);
        }
    }

    /// Notes that a secret has replicas now.
    pub(super) fn has_replicas(&mut self, arn: Arc<str>) {
        self.replicated.insert(arn);
    }

    pub(super) fn remove(&mut self, arn: &str) {
        self.replicated.remove(arn);
        let Some(secret) = self.secrets.remove(arn) else {
            return;
        };
        for names in self.names.values_mut() {
            if names.get(&secret.name).is_some_and(|known| **known == *arn) {
                names.remove(&secret.name);
            }
        }
    }

    /// Tagged secrets, for the tagging API.
    pub(crate) fn tagged(&self) -> Vec<(&str, &Tags)> {
        self.all()
            .filter(|secret| secret.rare().deletion.is_none())
            .map(|secret| (secret.arn.as_ref(), &secret.tags))
            .collect()
    }

    /// Brings replicas to the state of their primaries.
    pub(crate) fn synchronise(&mut self) {
        let copies: Vec<(String, Secret)> = self
            .replicated
            .iter()
            .filter_map(|arn| self.get(arn))
            .flat_map(|primary| {
                let replicas = primary.rare().replicas.iter();
                replicas.map(|replica| (replica.region.clone(), primary.copy_for(replica)))
            })
            .collect();
        for (region, copy) in copies {
            self.insert(&region, copy);
        }
    }
}
