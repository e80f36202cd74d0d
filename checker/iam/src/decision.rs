//! The decision: one request against all layers.
//!
//! In: a [`Request`] and [`Layers`]. Out: [`Decision`]: Allowed, `ImplicitDeny` or `ExplicitDeny`, what decided it, and
//! the context keys that were missing; [`explain`] adds the statements that nearly matched and why they did not.
//! Rules, from the IAM user guide ("Policy evaluation logic") and the KMS developer guide ("Key policies"):
//! * a matching Deny in any layer that applies wins;
//! * every level of SCPs, and of RCPs, must allow; SCPs bind neither services nor service-linked roles;
//! * in one account identity or resource policy suffices, and a boundary and a session policy must allow too,
//!   except where the resource policy names the user, the session or everyone; a role's ARN keeps both limits;
//! * across accounts both sides must allow;
//! * a KMS key and a role to be assumed always need their own policy (or a grant); naming the account there
//!   delegates to identity policies;
//! * services, identity providers and anonymous callers have only the resource's policy; a root user needs no
//!   identity policy.
//!
//! Deliberately not here: which services support which policy types, and VPC endpoint policies.

use crate::condition::{Condition, Outcome};
use crate::layers::{Layer, Layers, PolicySet};
use crate::policy::{Effect, Policy, PolicyKind, Statement};
use crate::principal::{Kind, Reach};
use crate::request::Request;

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Allowed.
    Allowed,
    /// Nothing allows it.
    ImplicitDeny,
    /// A statement forbids it.
    ExplicitDeny,
}

impl Verdict {
    /// The name in reports and in batch answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allowed => "Allowed",
            Self::ImplicitDeny => "ImplicitDeny",
            Self::ExplicitDeny => "ExplicitDeny",
        }
    }
}

/// A statement's place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatementRef {
    /// Zero-based place of the policy in its layer.
    pub policy: usize,
    /// The policy's name, if it has one.
    pub policy_name: String,
    /// Zero-based place of the statement in its policy.
    pub statement: usize,
    /// The statement's `Sid`.
    pub sid: Option<String>,
}

/// What decided a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedBy {
    /// The layer that allowed, forbade, or failed to allow.
    pub layer: Layer,
    /// The statement; `None` when nothing in the layer allowed it.
    pub statement: Option<StatementRef>,
    /// The grant, where one allowed it.
    pub grant: Option<String>,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The answer.
    pub verdict: Verdict,
    /// What decided.
    pub by: DecidedBy,
    /// Keys that conditions of otherwise matching statements asked for and that the request doesn't have,
    /// as the policy writes them, sorted.
    pub missing_context: Vec<String>,
}

impl Decision {
    /// Whether the request is allowed.
    pub fn is_allowed(&self) -> bool {
        self.verdict == Verdict::Allowed
    }
}

/// A statement that is about the action and did not match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearMiss {
    /// Where it stands.
    pub layer: Layer,
    /// Which it is.
    pub statement: StatementRef,
    /// Whether it would have allowed or forbidden.
    pub effect: Effect,
    /// Why it did not match, in words.
    pub because: Vec<String>,
}

/// A decision with everything that nearly counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The decision.
    pub decision: Decision,
    /// Statements that matched, in the order of layers.
    pub matched: Vec<(Layer, StatementRef, Effect)>,
    /// Statements that are about the action and did not match.
    pub near_misses: Vec<NearMiss>,
}

/// Decides a request.
pub fn decide(request: &Request, layers: &Layers) -> Decision {
    let judge = Judge {
        request,
        layers,
        bounded: layers.boundary.is_some(),
    };
    let mut missing = Vec::new();
    let (verdict, by) = judge.decide(&mut missing);
    missing.sort_unstable();
    missing.dedup();
    Decision {
        verdict,
        by: by.shown(layers),
        missing_context: missing.into_iter().map(str::to_owned).collect(),
    }
}

/// Decides a request and tells what nearly counted.
pub fn explain(request: &Request, layers: &Layers) -> Explanation {
    let judge = Judge {
        request,
        layers,
        bounded: layers.boundary.is_some(),
    };
    let (mut matched, mut near_misses) = (Vec::new(), Vec::new());
    for (layer, set) in judge.applicable() {
        for (policy, statement) in set.about(&request.action) {
            let place = Place {
                policy,
                statement: statement.index,
            }
            .shown(set);
            let because = judge.reasons(layer, statement);
            if because.is_empty() {
                matched.push((layer, place, statement.effect));
            } else {
                near_misses.push(NearMiss {
                    layer,
                    statement: place,
                    effect: statement.effect,
                    because,
                });
            }
        }
    }
    Explanation {
        decision: decide(request, layers),
        matched,
        near_misses,
    }
}

/// Whether a set of policies, taken alone, allows the request: a matching Allow and no matching Deny.
pub(crate) fn allows(request: &Request, set: &PolicySet) -> bool {
    let kind = set.policies().first().map(Policy::kind);
    let layer = match kind {
        Some(PolicyKind::Identity | PolicyKind::ResourceControl) | None => Layer::Identity,
        Some(PolicyKind::Resource) => Layer::Resource,
    };
    let layers = Layers::default();
    let said = Judge {
        request,
        layers: &layers,
        bounded: false,
    }
    .ask(layer, set, &mut Vec::new());
    said.deny.is_none() && said.allow.is_some()
}

/// Whether the resource can't be used without its own policy saying so: a KMS key, or a role to be assumed.
pub(crate) fn needs_resource_policy(request: &Request) -> bool {
    let action = &request.action;
    match action.service() {
        "kms" => {
            request.resource.service() == Some("kms")
                && request
                    .resource
                    .local()
                    .is_some_and(|local| local.starts_with("key/"))
        }
        "sts" => {
            request.resource.service() == Some("iam")
                && request
                    .resource
                    .local()
                    .is_some_and(|local| local.starts_with("role/"))
        }
        _ => false,
    }
}

/// A statement's place in its layer.
#[derive(Debug, Clone, Copy)]
struct Place {
    policy: usize,
    statement: usize,
}

impl Place {
    fn shown(self, set: &PolicySet) -> StatementRef {
        let policy = set.policies().get(self.policy);
        let statement = policy.and_then(|policy| policy.statements.get(self.statement));
        StatementRef {
            policy: self.policy,
            policy_name: policy
                .map(|policy| policy.name().to_owned())
                .unwrap_or_default(),
            statement: self.statement,
            sid: statement
                .and_then(|statement| statement.sid.as_deref())
                .map(str::to_owned),
        }
    }
}

/// What decided, before it is put into words.
#[derive(Debug, Clone, Copy)]
struct By {
    layer: Layer,
    place: Option<Place>,
    grant: Option<usize>,
}

impl By {
    fn nothing_in(layer: Layer) -> Self {
        Self {
            layer,
            place: None,
            grant: None,
        }
    }

    fn shown(self, layers: &Layers) -> DecidedBy {
        let set = match self.layer {
            Layer::Identity => Some(&layers.identity),
            Layer::Resource => layers.resource.as_ref(),
            Layer::Boundary => layers.boundary.as_ref(),
            Layer::Session => layers.session.as_ref(),
            Layer::Scp(level) => layers.scps.get(level),
            Layer::Rcp(level) => layers.rcps.get(level),
            Layer::Grant => None,
        };
        DecidedBy {
            layer: self.layer,
            statement: self.place.zip(set).map(|(place, set)| place.shown(set)),
            grant: self
                .grant
                .and_then(|at| layers.grants.get(at))
                .map(|grant| grant.id.clone()),
        }
    }
}

/// What one layer says.
#[derive(Debug, Clone, Copy, Default)]
struct Said {
    deny: Option<Place>,
    allow: Option<(Reach, Place)>,
}

struct Judge<'a> {
    request: &'a Request,
    layers: &'a Layers,
    bounded: bool,
}

impl<'a> Judge<'a> {
    fn decide(&self, missing: &mut Vec<&'a str>) -> (Verdict, By) {
        let layers = self.layers;
        let caller = &self.request.principal;
        let mut all = ByLayer::default();
        let mut denied = None;
        for (layer, set) in self.applicable() {
            let said = self.ask(layer, set, missing);
            if let Some(place) = said.deny
                && denied.is_none()
            {
                denied = Some(By {
                    layer,
                    place: Some(place),
                    grant: None,
                });
                break;
            }
            match layer {
                Layer::Identity => all.identity = said,
                Layer::Resource => all.resource = said,
                Layer::Boundary => all.boundary = said,
                Layer::Session => all.session = said,
                Layer::Scp(_) | Layer::Rcp(_) if said.allow.is_none() && all.control.is_none() => {
                    let default_rcp = matches!(layer, Layer::Rcp(_))
                        && !set
                            .statements()
                            .any(|(_, statement)| statement.effect == Effect::Allow);
                    if !default_rcp {
                        all.control = Some(layer);
                    }
                }
                Layer::Scp(_) | Layer::Rcp(_) | Layer::Grant => {}
            }
        }
        if let Some(by) = denied {
            return (Verdict::ExplicitDeny, by);
        }
        if let Some(layer) = all.control {
            return (Verdict::ImplicitDeny, By::nothing_in(layer));
        }
        let grant = layers
            .grants
            .iter()
            .position(|grant| grant.allows(self.request));
        let reach = all.resource.allow.map_or(Reach::No, |(reach, _)| reach);
        let by_resource = match (grant, all.resource.allow) {
            (_, Some((Reach::Direct | Reach::Role, place))) => Some(By {
                layer: Layer::Resource,
                place: Some(place),
                grant: None,
            }),
            (Some(at), _) => Some(By {
                layer: Layer::Grant,
                place: None,
                grant: Some(at),
            }),
            (None, Some((Reach::Account | Reach::No, _)) | None) => None,
        };
        if !caller.has_identity() {
            return by_resource.map_or(
                (Verdict::ImplicitDeny, By::nothing_in(Layer::Resource)),
                |by| (Verdict::Allowed, by),
            );
        }
        if self.request.is_cross_account() {
            if reach == Reach::No && grant.is_none() {
                return (Verdict::ImplicitDeny, By::nothing_in(Layer::Resource));
            }
            return self.identity_side(&all);
        }
        match by_resource {
            Some(by) if reach == Reach::Role && grant.is_none() => {
                self.limits(&all).map_or((Verdict::Allowed, by), |layer| {
                    (Verdict::ImplicitDeny, By::nothing_in(layer))
                })
            }
            Some(by) => (Verdict::Allowed, by),
            None if reach == Reach::No && needs_resource_policy(self.request) => {
                (Verdict::ImplicitDeny, By::nothing_in(Layer::Resource))
            }
            None => self.identity_side(&all),
        }
    }

    /// Identity policies, boundary and session policy together.
    fn identity_side(&self, all: &ByLayer) -> (Verdict, By) {
        let root = *self.request.principal.kind() == Kind::Root;
        let place = all.identity.allow.map(|(_, place)| place);
        if place.is_none() && !root {
            return (Verdict::ImplicitDeny, By::nothing_in(Layer::Identity));
        }
        match self.limits(all) {
            Some(layer) => (Verdict::ImplicitDeny, By::nothing_in(layer)),
            None => (
                Verdict::Allowed,
                By {
                    layer: Layer::Identity,
                    place,
                    grant: None,
                },
            ),
        }
    }

    /// The limit that fails to allow, if one does.
    fn limits(&self, all: &ByLayer) -> Option<Layer> {
        if self.layers.boundary.is_some() && all.boundary.allow.is_none() {
            return Some(Layer::Boundary);
        }
        (self.layers.session.is_some() && all.session.allow.is_none()).then_some(Layer::Session)
    }

    /// The layers that bind this caller, in the order in which they are asked.
    fn applicable(&self) -> impl Iterator<Item = (Layer, &'a PolicySet)> + use<'a> {
        let layers = self.layers;
        let caller = &self.request.principal;
        let identity = caller.has_identity();
        let controlled = identity && !caller.is_service_linked_role();
        let scps = layers
            .scps
            .iter()
            .enumerate()
            .filter(move |_| controlled)
            .map(|(level, set)| (Layer::Scp(level), set));
        let linked = caller.is_service_linked_role();
        let rcps = layers
            .rcps
            .iter()
            .enumerate()
            .filter(move |_| !linked)
            .map(|(level, set)| (Layer::Rcp(level), set));
        let resource = layers.resource.iter().map(|set| (Layer::Resource, set));
        let own = identity.then_some((Layer::Identity, &layers.identity));
        let boundary = layers
            .boundary
            .iter()
            .filter(move |_| identity)
            .map(|set| (Layer::Boundary, set));
        let session = layers
            .session
            .iter()
            .filter(move |_| identity)
            .map(|set| (Layer::Session, set));
        scps.chain(rcps)
            .chain(resource)
            .chain(own)
            .chain(boundary)
            .chain(session)
    }

    fn ask(&self, layer: Layer, set: &'a PolicySet, missing: &mut Vec<&'a str>) -> Said {
        let mut said = Said::default();
        for (policy, statement) in set.about(&self.request.action) {
            let best = if layer == Layer::Resource {
                Reach::Direct
            } else {
                Reach::Account
            };
            if statement.effect == Effect::Allow
                && said.allow.is_some_and(|(reach, _)| reach >= best)
            {
                continue;
            }
            let Some(reach) = self.matches(layer, statement, missing) else {
                continue;
            };
            let place = Place {
                policy,
                statement: statement.index,
            };
            match statement.effect {
                Effect::Deny => {
                    said.deny = Some(place);
                    return said;
                }
                Effect::Allow if said.allow.is_none_or(|(known, _)| reach > known) => {
                    said.allow = Some((reach, place));
                }
                Effect::Allow => {}
            }
        }
        said
    }

    /// How the statement, which is about the action, reaches the caller, if all the rest of it matches.
    fn matches(
        &self,
        layer: Layer,
        statement: &'a Statement,
        missing: &mut Vec<&'a str>,
    ) -> Option<Reach> {
        if !self.resource_matches(statement) {
            return None;
        }
        let reach = self.reach(layer, statement);
        if reach == Reach::No {
            return None;
        }
        let mut holds = true;
        for condition in &statement.conditions {
            holds &= self.holds(condition, statement.effect, missing);
        }
        holds.then_some(reach)
    }

    fn resource_matches(&self, statement: &'a Statement) -> bool {
        statement.resources.as_ref().is_none_or(|resources| {
            resources.apply(&self.request.resource, |variable| {
                self.request.values(&variable.key).single()
            })
        })
    }

    fn reach(&self, layer: Layer, statement: &Statement) -> Reach {
        match (&statement.principals, layer) {
            (Some(principals), _) => principals.reach(
                &self.request.principal,
                statement.effect == Effect::Deny,
                self.bounded,
            ),
            (None, Layer::Resource) => Reach::No,
            (None, _) => Reach::Account,
        }
    }

    fn holds(&self, condition: &'a Condition, effect: Effect, missing: &mut Vec<&'a str>) -> bool {
        let values = self.request.values(&condition.key);
        if values.is_missing()
            && condition.operator.comparison != crate::condition::Comparison::Null
        {
            missing.push(&condition.written_key);
        }
        let outcome = condition.evaluate(values, |variable| {
            self.request.values(&variable.key).single()
        });
        for variable in condition.variables() {
            if variable.default.is_none() && self.request.values(&variable.key).is_missing() {
                missing.push(&variable.written);
            }
        }
        match outcome {
            Outcome::Holds => true,
            Outcome::Fails => false,
            Outcome::Unknown => effect == Effect::Deny,
        }
    }

    /// Why the statement does not match; empty when it does.
    fn reasons(&self, layer: Layer, statement: &'a Statement) -> Vec<String> {
        let mut because = Vec::new();
        if !self.resource_matches(statement)
            && let Some(resources) = &statement.resources
        {
            let list: Vec<&str> = resources
                .patterns
                .iter()
                .map(|pattern| &*pattern.written)
                .take(5)
                .collect();
            let more = if resources.patterns.len() > list.len() {
                ", .."
            } else {
                ""
            };
            let verb = if resources.negated {
                "is excluded by"
            } else {
                "is not covered by"
            };
            because.push(format!(
                "resource `{}` {verb} `{}`{more}",
                self.request.resource.as_str(),
                list.join("`, `")
            ));
        }
        if self.reach(layer, statement) == Reach::No {
            because.push(format!(
                "principal `{}` is not reached",
                self.request.principal.as_str()
            ));
        }
        for condition in &statement.conditions {
            let mut missing = Vec::new();
            if !self.holds(condition, statement.effect, &mut missing) {
                let operator = &condition.operator.written;
                because.push(if missing.is_empty() {
                    format!(
                        "condition {operator} on `{}` does not hold",
                        condition.written_key
                    )
                } else {
                    missing.sort_unstable();
                    missing.dedup();
                    format!(
                        "condition {operator} on `{}` does not hold: missing `{}`",
                        condition.written_key,
                        missing.join("`, `")
                    )
                });
            }
        }
        because
    }
}

/// What every layer but the control policies says, and the first level of those that fails to allow.
#[derive(Debug, Default)]
struct ByLayer {
    identity: Said,
    resource: Said,
    boundary: Said,
    session: Said,
    control: Option<Layer>,
}

impl Layers {
    /// The kind of policy that a layer holds.
    pub fn kind(layer: Layer) -> PolicyKind {
        match layer {
            Layer::Identity | Layer::Boundary | Layer::Session | Layer::Scp(_) | Layer::Grant => {
                PolicyKind::Identity
            }
            Layer::Resource => PolicyKind::Resource,
            Layer::Rcp(_) => PolicyKind::ResourceControl,
        }
    }
}
