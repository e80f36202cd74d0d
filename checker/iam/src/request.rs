//! A request: who asks for which action on which resource, in which context.
//!
//! In: parsed parts. Out: the value of any context key. Keys that follow from the caller and the resource
//! (`aws:PrincipalArn`, `aws:PrincipalAccount`, `aws:PrincipalType`, `aws:PrincipalIsAWSService`,
//! `aws:PrincipalServiceName`, `aws:username`, `aws:ResourceAccount`) are derived unless the context gives them.
//! Nothing else is derived: a key that AWS would fill in from the network or from tags has to be given.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::action::Action;
use crate::arn::Resource;
use crate::condition::Values;
use crate::principal::Principal;

/// Context keys and their values; letter case of keys is no matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    values: BTreeMap<String, Vec<String>>,
}

impl Context {
    /// A context without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key with its values; an empty list means that the key is missing, even where it could be derived.
    #[must_use]
    pub fn with<V: Into<String>>(mut self, key: &str, values: impl IntoIterator<Item = V>) -> Self {
        self.set(key, values);
        self
    }

    /// Sets a key's values.
    pub fn set<V: Into<String>>(&mut self, key: &str, values: impl IntoIterator<Item = V>) {
        self.values.insert(
            key.to_ascii_lowercase(),
            values.into_iter().map(Into::into).collect(),
        );
    }

    /// The first value of a key.
    pub(crate) fn first(&self, key: &str) -> Option<&str> {
        self.values
            .get(&key.to_ascii_lowercase())
            .and_then(|values| values.first())
            .map(String::as_str)
    }

    /// The keys, lower-cased, and their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.values
            .iter()
            .map(|(key, values)| (key.as_str(), values.as_slice()))
    }

    /// Whether no key is given.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether the key is given, with or without values.
    pub fn has(&self, key: &str) -> bool {
        self.values.contains_key(&key.to_ascii_lowercase())
    }

    fn get(&self, key: &str) -> Option<&[String]> {
        if self.values.is_empty() {
            None
        } else {
            self.values.get(key).map(Vec::as_slice)
        }
    }
}

/// One request. Caller and context are shared, so that many requests of one caller are cheap.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who asks.
    pub principal: Arc<Principal>,
    /// For what.
    pub action: Action,
    /// On what.
    pub resource: Resource,
    /// The account that owns the resource, where its ARN doesn't say it.
    pub resource_account: Option<Box<str>>,
    /// Context keys.
    pub context: Arc<Context>,
}

impl Request {
    /// A request with an empty context.
    pub fn new(principal: impl Into<Arc<Principal>>, action: Action, resource: Resource) -> Self {
        Self {
            principal: principal.into(),
            action,
            resource,
            resource_account: None,
            context: Arc::default(),
        }
    }

    /// A caller's request for nothing yet, to be filled in by the proof.
    pub(crate) fn template(principal: Arc<Principal>) -> Self {
        Self::new(principal, Action::nothing(), Resource::new("*"))
    }

    /// The same request in a context.
    #[must_use]
    pub fn in_context(mut self, context: impl Into<Arc<Context>>) -> Self {
        self.context = context.into();
        self
    }

    /// The same request for a resource of the account, whatever its ARN says.
    #[must_use]
    pub fn owned_by(mut self, account: &str) -> Self {
        self.resource_account = Some(account.into());
        self
    }

    /// The account that owns the resource, if it is known.
    pub fn owner(&self) -> Option<&str> {
        self.resource_account
            .as_deref()
            .or_else(|| self.resource.account())
    }

    /// Whether caller and resource belong to different accounts. A resource whose account nobody gives is
    /// taken to be the caller's own.
    pub fn is_cross_account(&self) -> bool {
        matches!((self.principal.account(), self.owner()), (Some(own), Some(owner)) if own != owner)
    }

    /// The values of a key, given or derived; the key is lower-cased.
    pub(crate) fn values(&self, key: &str) -> Values<'_> {
        if let Some(given) = self.context.get(key) {
            return Values::Many(given);
        }
        let derived = match key {
            "aws:resourceaccount" => self.owner(),
            _ => self.principal.derived(key),
        };
        derived.map_or(Values::Missing, Values::One)
    }
}
