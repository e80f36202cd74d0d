//! The principals of an account, ready for proofs.
//!
//! In: `GetAccountAuthorizationDetails` and the organisation's control policies, where they were handed in. Out:
//! [`People`]: each principal with everything that binds it, or the reason why its policies can't be read.

use std::collections::BTreeMap;
use std::sync::Arc;

use checker_iam::proof::{Asker, Guarded};
use checker_iam::reach::Held;
use checker_iam::{Context, Policy, PolicyKind, PolicySet, Principal};

use crate::observation::authorization::{self, Authorization};
use crate::observation::{Answer, Facts, Observation, Unseen};
use crate::shared::Shared;

/// Everyone in the account.
#[derive(Debug)]
pub(super) struct People {
    /// Roles and users, in the order of the answer.
    pub(super) callers: Vec<Caller>,
    /// Whoever holds one managed policy and nothing else, by `policy/NAME`.
    pub(super) holders: Vec<Caller>,
    /// What each principal holds, by ARN.
    pub(super) held: BTreeMap<String, Held>,
    /// Roles with their trust policies; those that can't be read are missing and named in `gaps`.
    pub(super) roles: Vec<Guarded>,
    /// What could not be read, in words.
    pub(super) gaps: Vec<String>,
    /// Whether the organisation's control policies were handed in.
    pub(super) controlled: bool,
    /// Digests of the evidence.
    pub(super) evidence: Vec<Shared>,
}

/// One principal.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) asker: Result<Asker, String>,
}

impl Caller {
    /// By name or ARN, exactly.
    pub(super) fn is_one_of(&self, names: &[String]) -> bool {
        names
            .iter()
            .any(|name| *name == self.name || *name == self.arn || name == "*")
    }
}

impl People {
    /// Puts everyone together from the facts, or says why that is not possible.
    pub(super) fn new(facts: &Facts) -> Result<Self, Unseen> {
        let Answer::Authorization(all) = facts.get(&Observation::Authorization)? else {
            return Err(crate::population::mismatch(&Observation::Authorization));
        };
        let (scps, controlled) = match facts.get(&Observation::ControlPolicies) {
            Ok(Answer::ControlPolicies(levels)) => (levels.iter().map(level).collect(), true),
            Ok(_) => return Err(crate::population::mismatch(&Observation::ControlPolicies)),
            // Not handed in: an account without them, or one whose organisation nobody showed.
            Err(_) => (Ok(Vec::new()), false),
        };
        let library = Library::new(all, scps);
        let (mut roles, mut gaps) = (Vec::new(), Vec::new());
        for role in &all.principals {
            let Some(trust) = &role.trust else { continue };
            match Policy::parse(trust, PolicyKind::Resource) {
                Ok(policy) => roles.push(Guarded {
                    arn: role.arn.clone(),
                    policy: Some(PolicySet::from(policy.named("trust policy"))),
                    grants: Vec::new(),
                }),
                Err(error) => gaps.push(format!("the trust policy of {}: {error}", role.arn)),
            }
        }
        let digest = |question| facts.digest(question).map(Shared::from);
        Ok(Self {
            callers: all
                .principals
                .iter()
                .map(|principal| Caller {
                    arn: principal.arn.clone(),
                    name: principal.name.clone(),
                    asker: library.asker(principal),
                })
                .collect(),
            holders: all
                .policies
                .iter()
                .map(|policy| library.holder(policy))
                .collect(),
            held: all
                .principals
                .iter()
                .map(|principal| (principal.arn.clone(), library.held(principal)))
                .collect(),
            roles,
            gaps,
            controlled,
            evidence: [Observation::Authorization, Observation::ControlPolicies]
                .iter()
                .filter_map(digest)
                .collect(),
        })
    }
}

fn level(level: &crate::observation::answer::ControlLevel) -> Result<PolicySet, String> {
    let policies = level.policies.iter().map(|(name, document)| {
        let parsed = Policy::parse(document, PolicyKind::Identity)
            .map_err(|error| format!("the control policy {name}: {error}"))?;
        known(parsed.named(name), name)
    });
    Ok(PolicySet::new(policies.collect::<Result<_, _>>()?))
}

/// A policy with an operator that nobody documents can't be judged.
fn known(policy: Policy, name: &str) -> Result<Policy, String> {
    match policy.unknown_operators().first() {
        Some(operator) => Err(format!(
            "{name}: the condition operator `{operator}` is not known"
        )),
        None => Ok(policy),
    }
}

/// Managed policies and groups, parsed once.
struct Library<'a> {
    managed: BTreeMap<&'a str, Result<Policy, String>>,
    groups: BTreeMap<&'a str, &'a authorization::Group>,
    scps: Result<Vec<PolicySet>, String>,
}

impl<'a> Library<'a> {
    fn new(all: &'a Authorization, scps: Result<Vec<PolicySet>, String>) -> Self {
        Self {
            managed: all
                .policies
                .iter()
                .map(|policy| {
                    let parsed = Policy::parse(&policy.document, PolicyKind::Identity)
                        .map_err(|error| format!("policy {}: {error}", policy.arn))
                        .map(|parsed| parsed.named(&policy.arn));
                    (policy.arn.as_str(), parsed)
                })
                .collect(),
            groups: all
                .groups
                .iter()
                .map(|group| (group.name.as_str(), group))
                .collect(),
            scps,
        }
    }

    fn asker(&self, principal: &authorization::Principal) -> Result<Asker, String> {
        let mut policies = self.policies(&principal.inline, &principal.attached)?;
        for name in &principal.groups {
            let group = self
                .groups
                .get(name.as_str())
                .ok_or_else(|| format!("the group {name} is not in the answer"))?;
            policies.extend(self.policies(&group.inline, &group.attached)?);
        }
        let boundary = match &principal.boundary {
            Some(arn) => Some(PolicySet::new(vec![self.managed(arn)?])),
            None => None,
        };
        let mut context = Context::new();
        for (key, value) in &principal.tags {
            context = context.with(&format!("aws:PrincipalTag/{key}"), [value.clone()]);
        }
        Ok(Asker {
            principal: Arc::new(
                Principal::parse(&principal.arn).map_err(|error| error.to_string())?,
            ),
            context: Arc::new(context),
            identity: PolicySet::new(policies),
            boundary,
            session: None,
            scps: self.scps.clone()?,
        })
    }

    /// Somebody who holds the policy and nothing else.
    fn holder(&self, policy: &authorization::ManagedPolicy) -> Caller {
        let account = policy.arn.split(':').nth(4).unwrap_or_default();
        let account = if account.len() == 12 {
            account
        } else {
            "111111111111"
        };
        let arn = format!("arn:aws:iam::{account}:role/holder-of-{}", policy.name);
        let asker = self.managed(&policy.arn).and_then(|parsed| {
            Ok(Asker {
                principal: Arc::new(Principal::parse(&arn).map_err(|error| error.to_string())?),
                context: Arc::default(),
                identity: PolicySet::from(parsed),
                boundary: None,
                session: None,
                scps: Vec::new(),
            })
        });
        Caller {
            arn: policy.arn.clone(),
            name: format!("policy/{}", policy.name),
            asker,
        }
    }

    fn held(&self, principal: &authorization::Principal) -> Held {
        let of_groups = principal
            .groups
            .iter()
            .filter_map(|name| self.groups.get(name.as_str()))
            .flat_map(|group| group.attached.iter().cloned());
        Held {
            policies: principal
                .attached
                .iter()
                .cloned()
                .chain(of_groups)
                .collect(),
            groups: principal.groups.clone(),
        }
    }

    fn policies(
        &self,
        inline: &BTreeMap<String, String>,
        attached: &[String],
    ) -> Result<Vec<Policy>, String> {
        let inline = inline.iter().map(|(name, document)| {
            Policy::parse(document, PolicyKind::Identity)
                .map(|policy| policy.named(name))
                .map_err(|error| format!("inline policy {name}: {error}"))
        });
        inline
            .chain(attached.iter().map(|arn| self.managed(arn)))
            .collect()
    }

    fn managed(&self, arn: &str) -> Result<Policy, String> {
        match self.managed.get(arn) {
            Some(parsed) => parsed.clone(),
            None => Err(format!("the document of {arn} is not in the answer")),
        }
    }
}
