//! The proof: universal statements over every request that anyone could make.
//!
//! In: callers with their policies, resources with theirs, and a [`Question`] over actions and resources.
//! Out: for each caller an [`Answer`]: proved, a concrete request that the decision engine confirms, possible (with
//! what stands in the way), or unknown. Only `Proved` may pass a control.
//! What is proved is the text of the policies given: resources that are not listed in [`Account::guarded`] are
//! taken to have no policy of their own, and unlisted KMS keys and roles to delegate to the account at most.
//! A proof that would fail if a wildcard of an ARN pattern crossed a colon is only possible, because AWS's guide
//! describes that crossing.
//!
//! Read next: `scene` (the search), `automaton` (strings), `key` (context keys), `compare` (new access).

mod automaton;
pub(crate) mod compare;
mod conditions;
mod formula;
mod key;
mod language;
mod open;
mod scene;
mod target;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use thiserror::Error;

pub(crate) use self::language::Language;
use self::scene::{Clause, Found, Goal, Part, Scene};
use self::target::Target;
use crate::arn::Resource;
use crate::grant::Grant;
use crate::layers::{Layer, Layers, PolicySet};
use crate::policy::Effect;
use crate::principal::{Kind, Principal, Reach};
use crate::request::{Context, Request};

pub use self::compare::{Comparison, NewAccess, compare};

/// Actions and resources of a statement, as patterns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Question {
    /// Actions, exact or with wildcards.
    pub actions: Vec<String>,
    /// ARN patterns, or `*` for any resource and for actions that have none.
    pub resources: Vec<String>,
    /// ARN patterns that the statement leaves out.
    pub except_resources: Vec<String>,
}

/// A caller with everything that binds it.
#[derive(Debug, Clone)]
pub struct Asker {
    /// Who.
    pub principal: Arc<Principal>,
    /// Context keys whose values are known, such as tags; all others may have any value.
    pub context: Arc<Context>,
    /// Inline, attached and group policies.
    pub identity: PolicySet,
    /// Permission boundary, as in [`Layers::boundary`].
    pub boundary: Option<PolicySet>,
    /// Session policy.
    pub session: Option<PolicySet>,
    /// Service control policies per level, as in [`Layers::scps`].
    pub scps: Vec<PolicySet>,
}

impl Asker {
    /// The layers of a request for a resource with this policy and these grants.
    pub fn layers(
        &self,
        resource: Option<PolicySet>,
        grants: Vec<Grant>,
        rcps: Vec<PolicySet>,
    ) -> Layers {
        Layers {
            identity: self.identity.clone(),
            resource,
            boundary: self.boundary.clone(),
            session: self.session.clone(),
            scps: self.scps.clone(),
            rcps,
            grants,
        }
    }
}

/// A resource with a policy of its own, or with grants.
#[derive(Debug, Clone)]
pub struct Guarded {
    /// The exact ARN.
    pub arn: String,
    /// Its policy: of a secret, a key, a role (trust policy).
    pub policy: Option<PolicySet>,
    /// KMS grants on it.
    pub grants: Vec<Grant>,
}

/// What the proof is about.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Callers.
    pub askers: Vec<Asker>,
    /// Resources with policies of their own.
    pub guarded: Vec<Guarded>,
    /// Resource control policies per level.
    pub rcps: Vec<PolicySet>,
}

/// Bounds of the work; hitting one gives [`Answer::Unknown`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// States of one product of languages.
    pub states: usize,
    /// Pairs of representative actions and resources per caller.
    pub pairs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            states: 200_000,
            pairs: 200_000,
        }
    }
}

/// A concrete request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Witness {
    /// Who asks.
    pub principal: String,
    /// For what.
    pub action: String,
    /// On what.
    pub resource: String,
    /// In which context; keys that are missing are left out.
    pub context: BTreeMap<String, Vec<String>>,
}

impl Witness {
    fn new(request: &Request) -> Self {
        let given = request
            .context
            .iter()
            .filter(|(_, values)| !values.is_empty());
        Self {
            principal: request.principal.as_str().to_owned(),
            action: request.action.as_str().to_owned(),
            resource: request.resource.as_str().to_owned(),
            context: given
                .map(|(key, values)| (key.to_owned(), values.to_vec()))
                .collect(),
        }
    }
}

/// The answer to "nobody can".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// No request is allowed, in any context.
    Proved,
    /// This request is allowed; the decision engine confirms it.
    Counterexample(Witness),
    /// A request may be allowed; `because` names what could not be resolved.
    Possible {
        /// What stands in the way of certainty.
        because: Vec<String>,
        /// The request.
        witness: Witness,
    },
    /// A bound was hit.
    Unknown {
        /// Which.
        because: String,
    },
}

/// The answer to "can".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ability {
    /// For every action and resource asked for, a request that is allowed.
    Shown(Vec<Witness>),
    /// No request for this action and resource is allowed.
    Refuted {
        /// The action's pattern.
        action: String,
        /// The resource's pattern.
        resource: String,
    },
    /// One may be allowed.
    Possible {
        /// What stands in the way of certainty.
        because: Vec<String>,
        /// The request.
        witness: Witness,
    },
    /// A bound was hit.
    Unknown {
        /// Which.
        because: String,
    },
}

/// Why nothing could be proved or refuted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProofError {
    /// The question is about nothing.
    #[error("the statement names no action or no resource")]
    Empty,
    /// A pattern that no action can match.
    #[error("`{pattern}` matches no action")]
    NoAction {
        /// The pattern.
        pattern: String,
    },
    /// A pattern that no resource can match.
    #[error("`{pattern}` matches no resource")]
    NoResource {
        /// The pattern.
        pattern: String,
    },
    /// The proof found a request that the decision engine decides otherwise: one of the two is wrong.
    #[error("the proof and the decision disagree about `{}` on `{}` by `{}`", witness.action, witness.resource, witness.principal)]
    Disagreement {
        /// The request.
        witness: Box<Witness>,
    },
}

/// Asks for every caller of the account whether it can do anything of what the question names.
pub fn nobody_can(
    account: &Account,
    question: &Question,
    limits: Limits,
) -> Result<Vec<(Arc<Principal>, Answer)>, ProofError> {
    account
        .askers
        .iter()
        .map(|asker| {
            Ok((
                Arc::clone(&asker.principal),
                nobody_can_as(account, asker, question, limits)?,
            ))
        })
        .collect()
}

/// The same for one caller.
pub fn nobody_can_as(
    account: &Account,
    asker: &Asker,
    question: &Question,
    limits: Limits,
) -> Result<Answer, ProofError> {
    let mut doubt = None;
    for (target, layers) in scopes(account, asker, question)? {
        let sessions = named_sessions(asker, &layers);
        for asker in std::iter::once(asker).chain(&sessions) {
            match search(asker, &layers, &target, limits)? {
                Answer::Proved => {}
                found @ Answer::Counterexample(_) => return Ok(found),
                unsure @ (Answer::Possible { .. } | Answer::Unknown { .. }) => {
                    doubt = doubt.or(Some(unsure));
                }
            }
        }
    }
    Ok(doubt.unwrap_or(Answer::Proved))
}

/// A role stands for all of its sessions, but a resource policy may grant to one of them by name.
fn named_sessions(asker: &Asker, layers: &Layers) -> Vec<Asker> {
    if *asker.principal.kind() != Kind::Role {
        return Vec::new();
    }
    let sets = layers.resource.iter().chain(&layers.rcps);
    let statements = sets.flat_map(PolicySet::statements);
    let allowing = statements.filter(|(_, statement)| statement.effect == Effect::Allow);
    let named = allowing
        .filter_map(|(_, statement)| statement.principals.as_ref())
        .flat_map(|principals| principals.sessions_of(&asker.principal));
    let mut found: Vec<Asker> = Vec::new();
    for session in named {
        if found.iter().all(|known| *known.principal != session) {
            let mut context = (*asker.context).clone();
            // A session's ARN doesn't show its role's path.
            if !context.has("aws:PrincipalArn") {
                context.set("aws:PrincipalArn", [asker.principal.as_str()]);
            }
            found.push(Asker {
                principal: Arc::new(session),
                context: Arc::new(context),
                ..asker.clone()
            });
        }
    }
    found
}

/// Asks whether a caller can do all of what the question names: for each action and resource some request.
pub fn can(
    account: &Account,
    asker: &Asker,
    question: &Question,
    limits: Limits,
) -> Result<Ability, ProofError> {
    let mut shown = Vec::new();
    for action in &question.actions {
        for resource in &question.resources {
            let single = Question {
                actions: vec![action.clone()],
                resources: vec![resource.clone()],
                except_resources: question.except_resources.clone(),
            };
            match nobody_can_as(account, asker, &single, limits)? {
                Answer::Counterexample(witness) => shown.push(witness),
                Answer::Proved => {
                    return Ok(Ability::Refuted {
                        action: action.clone(),
                        resource: resource.clone(),
                    });
                }
                Answer::Possible { because, witness } => {
                    return Ok(Ability::Possible { because, witness });
                }
                Answer::Unknown { because } => return Ok(Ability::Unknown { because }),
            }
        }
    }
    if shown.is_empty() {
        Err(ProofError::Empty)
    } else {
        Ok(Ability::Shown(shown))
    }
}

/// The question cut into one target for each resource with a policy of its own, and one for all others.
fn scopes(
    account: &Account,
    asker: &Asker,
    question: &Question,
) -> Result<Vec<(Target, Layers)>, ProofError> {
    let whole = Target::new(question)?;
    let layers = |policy, grants| asker.layers(policy, grants, account.rcps.clone());
    let mut scopes = Vec::new();
    let mut rest = question.clone();
    for guarded in &account.guarded {
        let resource = Resource::new(&guarded.arn);
        if !whole.covers(&resource) || whole.excepts(&resource) {
            continue;
        }
        let single = Question {
            actions: question.actions.clone(),
            resources: vec![guarded.arn.clone()],
            except_resources: Vec::new(),
        };
        scopes.push((
            Target::new(&single)?,
            layers(guarded.policy.clone(), guarded.grants.clone()),
        ));
        rest.resources.retain(|pattern| *pattern != guarded.arn);
        rest.except_resources.push(guarded.arn.clone());
    }
    if !rest.resources.is_empty() {
        scopes.push((Target::new(&rest)?, layers(None, Vec::new())));
    }
    Ok(scopes)
}

/// One target under one composition of layers.
fn search(
    asker: &Asker,
    layers: &Layers,
    target: &Target,
    limits: Limits,
) -> Result<Answer, ProofError> {
    let base =
        Request::template(Arc::clone(&asker.principal)).in_context(Arc::clone(&asker.context));
    let clauses = clauses(asker, layers);
    let mut scene = Scene::new(base.clone(), Goal::Allowed(layers), clauses, limits);
    match scene.search(target)? {
        Found::Confirmed(witness) => return Ok(Answer::Counterexample(witness)),
        Found::Possible(because, witness) => return Ok(Answer::Possible { because, witness }),
        Found::Capped(because) => return Ok(Answer::Unknown { because }),
        Found::Nothing => {}
    }
    if !scene.has_crossing_wildcards() {
        return Ok(Answer::Proved);
    }
    let mut crossing = Scene::new(base, Goal::Allowed(layers), scene.clauses, limits);
    crossing.crossing = true;
    Ok(match crossing.search(target)? {
        Found::Nothing => Answer::Proved,
        Found::Confirmed(witness) => Answer::Counterexample(witness),
        Found::Possible(because, witness) => Answer::Possible { because, witness },
        Found::Capped(because) => Answer::Unknown { because },
    })
}

/// The statements of all layers that reach the caller.
fn clauses<'a>(asker: &Asker, layers: &'a Layers) -> Vec<Clause<'a>> {
    let caller = &asker.principal;
    let bounded = layers.boundary.is_some();
    let identity = caller.has_identity();
    let linked = caller.is_service_linked_role();
    let mut sets: Vec<(Layer, &PolicySet)> = Vec::new();
    if identity {
        sets.push((Layer::Identity, &layers.identity));
        sets.extend(layers.boundary.iter().map(|set| (Layer::Boundary, set)));
        sets.extend(layers.session.iter().map(|set| (Layer::Session, set)));
        if !linked {
            sets.extend(
                layers
                    .scps
                    .iter()
                    .enumerate()
                    .map(|(level, set)| (Layer::Scp(level), set)),
            );
        }
    }
    if !linked {
        sets.extend(
            layers
                .rcps
                .iter()
                .enumerate()
                .map(|(level, set)| (Layer::Rcp(level), set)),
        );
    }
    sets.extend(layers.resource.iter().map(|set| (Layer::Resource, set)));
    let mut clauses = Vec::new();
    for (layer, set) in sets {
        for (_, statement) in set.statements() {
            let reach = match &statement.principals {
                Some(principals) => {
                    principals.reach(caller, statement.effect == Effect::Deny, bounded)
                }
                None if layer == Layer::Resource => Reach::No,
                None => Reach::Account,
            };
            if reach != Reach::No {
                clauses.push(Clause {
                    part: Part::Layer(layer),
                    reach,
                    statement,
                });
            }
        }
    }
    clauses
}
