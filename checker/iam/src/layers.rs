//! The policies that meet in one decision, layer by layer.
//!
//! In: compiled policies. Out: [`Layers`], in which every layer is a [`PolicySet`] with an index by service,
//! so that a decision looks only at statements that can be about the action.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::action::{Action, Names};
use crate::grant::Grant;
use crate::policy::{Policy, Statement};

/// How many pairs of services and patterns are looked at to build an index.
const LARGEST_INDEX: usize = 4_000_000;

/// Policies of one layer; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct PolicySet {
    inner: Arc<Indexed>,
}

#[derive(Debug, Default)]
struct Indexed {
    policies: Vec<Policy>,
    /// Places (policy, statement) of every statement, for services that no statement names.
    general: Vec<(usize, usize)>,
    /// The statements that can be about an action of a service that some statement names.
    by_service: BTreeMap<Box<str>, Vec<Candidate>>,
}

/// A statement that can be about actions of one service.
#[derive(Debug)]
struct Candidate {
    policy: usize,
    statement: usize,
    names: Names,
}

impl PolicySet {
    /// Indexes policies.
    pub fn new(policies: Vec<Policy>) -> Self {
        let places = || {
            policies.iter().enumerate().flat_map(|(at, policy)| {
                policy
                    .statements
                    .iter()
                    .map(move |statement| (at, statement))
            })
        };
        let mut by_service: BTreeMap<Box<str>, Vec<Candidate>> = BTreeMap::new();
        for (_, statement) in places() {
            for service in statement.actions.services() {
                if !by_service.contains_key(service) {
                    by_service.insert(service.into(), Vec::new());
                }
            }
        }
        // Text that names thousands of services is nobody's policy; it is searched statement by statement.
        let patterns: usize = places()
            .map(|(_, statement)| statement.actions.written.len())
            .sum();
        if by_service.len().saturating_mul(patterns) > LARGEST_INDEX {
            by_service.clear();
        }
        for (service, candidates) in &mut by_service {
            for (policy, statement) in places() {
                if let Some(names) = statement.actions.of_service(service) {
                    candidates.push(Candidate {
                        policy,
                        statement: statement.index,
                        names,
                    });
                }
            }
        }
        let general = places()
            .map(|(policy, statement)| (policy, statement.index))
            .collect();
        Self {
            inner: Arc::new(Indexed {
                policies,
                general,
                by_service,
            }),
        }
    }

    /// The policies, in the order given.
    pub fn policies(&self) -> &[Policy] {
        &self.inner.policies
    }

    /// Statements that are about the action.
    pub(crate) fn about(&self, action: &Action) -> impl Iterator<Item = (usize, &Statement)> {
        let known = self.inner.by_service.get(action.service());
        let named = known
            .into_iter()
            .flatten()
            .filter(|candidate| candidate.names.has(action.name()))
            .filter_map(|candidate| {
                Some((
                    candidate.policy,
                    self.statement(candidate.policy, candidate.statement)?,
                ))
            });
        let general: &[(usize, usize)] = if known.is_some() {
            &[]
        } else {
            &self.inner.general
        };
        let general = general
            .iter()
            .filter_map(|(policy, statement)| Some((*policy, self.statement(*policy, *statement)?)))
            .filter(|(_, statement)| statement.is_about(action));
        named.chain(general)
    }

    fn statement(&self, policy: usize, statement: usize) -> Option<&Statement> {
        self.inner.policies.get(policy)?.statements.get(statement)
    }

    /// Every statement with the place of its policy.
    pub(crate) fn statements(&self) -> impl Iterator<Item = (usize, &Statement)> {
        self.inner
            .policies
            .iter()
            .enumerate()
            .flat_map(|(at, policy)| {
                policy
                    .statements
                    .iter()
                    .map(move |statement| (at, statement))
            })
    }
}

impl From<Vec<Policy>> for PolicySet {
    fn from(policies: Vec<Policy>) -> Self {
        Self::new(policies)
    }
}

impl From<Policy> for PolicySet {
    fn from(policy: Policy) -> Self {
        Self::new(vec![policy])
    }
}

/// Everything that has a say in one request.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// The caller's own policies: inline, attached, and those of its groups.
    pub identity: PolicySet,
    /// The policy on the resource: of a secret, a bucket, a key (key policy) or a role (trust policy).
    pub resource: Option<PolicySet>,
    /// Permission boundary: `None` when none is attached; an empty set (attached and gone) denies.
    pub boundary: Option<PolicySet>,
    /// Policies handed over when the session was made.
    pub session: Option<PolicySet>,
    /// Service control policies, one set per level from the root of the organisation to the account. Empty when
    /// there is no organisation or the account is its management account.
    pub scps: Vec<PolicySet>,
    /// Resource control policies of the resource's account, per level. A level without any Allow statement counts
    /// as having AWS's own `RCPFullAWSAccess`, which can't be detached.
    pub rcps: Vec<PolicySet>,
    /// Grants on the KMS key that is the resource.
    pub grants: Vec<Grant>,
}

/// A layer's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// The caller's policies.
    Identity,
    /// The resource's policy.
    Resource,
    /// The permission boundary.
    Boundary,
    /// The session policy.
    Session,
    /// Service control policies of a level, counted from 0 at the root.
    Scp(usize),
    /// Resource control policies of a level.
    Rcp(usize),
    /// A KMS grant.
    Grant,
}

impl Layer {
    /// The name in reports and in batch answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Resource => "resource",
            Self::Boundary => "permissionBoundary",
            Self::Session => "session",
            Self::Scp(_) => "scp",
            Self::Rcp(_) => "rcp",
            Self::Grant => "grant",
        }
    }

    /// The organisation's level, for control policies.
    pub fn level(self) -> Option<usize> {
        match self {
            Self::Scp(level) | Self::Rcp(level) => Some(level),
            Self::Identity | Self::Resource | Self::Boundary | Self::Session | Self::Grant => None,
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level() {
            Some(level) => write!(formatter, "{} level {level}", self.name()),
            None => formatter.write_str(self.name()),
        }
    }
}
