//! What is left of the goal for one action and resource: a formula over context keys.

use super::{Clause, Goal, Part, Scene};
use crate::arn::Resource;
use crate::decision::needs_resource_policy;
use crate::layers::{Layer, Layers};
use crate::policy::Effect;
use crate::principal::{Kind, Reach};
use crate::proof::conditions::Meaning;
use crate::proof::formula::Formula;
use crate::request::Request;

/// Picks clauses by where they count, their effect and how they reach the caller.
type Wanted<'w> = &'w dyn Fn(Part, Effect, Reach) -> bool;

impl Scene<'_> {
    /// The formula that is left of the goal for one action and resource.
    pub(super) fn formula(&mut self, request: &Request, relevant: &[usize]) -> Formula {
        let mut marks: Vec<(Part, Effect, Reach, Formula)> = Vec::new();
        for at in relevant {
            let Some(clause) = self.clauses.get(*at).cloned() else {
                continue;
            };
            let resource = self.resource_formula(&clause, &request.resource);
            if resource == Formula::Constant(false) {
                continue;
            }
            let mut parts = vec![resource];
            for condition in &clause.statement.conditions {
                parts.push(self.condition_formula(condition, request));
            }
            let formula = Formula::all(parts);
            if formula != Formula::Constant(false) {
                marks.push((clause.part, clause.statement.effect, clause.reach, formula));
            }
        }
        let any = |wanted: Wanted<'_>| {
            Formula::any(
                marks
                    .iter()
                    .filter(|(part, effect, reach, _)| wanted(*part, *effect, *reach))
                    .map(|(.., formula)| formula.clone()),
            )
        };
        match self.goal {
            Goal::NewAccess(..) => {
                let allowed = |side: Part| {
                    let allow = any(&|part, effect, _| part == side && effect == Effect::Allow);
                    let deny = any(&|part, effect, _| part == side && effect == Effect::Deny);
                    Formula::all([allow, deny.negate()])
                };
                Formula::all([allowed(Part::Candidate), allowed(Part::Reference).negate()])
            }
            Goal::Allowed(layers) => {
                let grant = self.grant_formula(request, layers);
                let unlisted = self.atoms.atom(Meaning::Opaque(format!(
                    "the policy of `{}`, which was not given",
                    request.resource.as_str()
                )));
                Self::composed(request, layers, [grant, unlisted], &any)
            }
        }
    }

    /// The same composition of layers as in `decision`, over formulas.
    fn composed(
        request: &Request,
        layers: &Layers,
        [grant, unlisted]: [Formula; 2],
        any: &dyn Fn(Wanted<'_>) -> Formula,
    ) -> Formula {
        let caller = &request.principal;
        let allow = |layer: Layer| {
            any(&|part, effect, _| part == Part::Layer(layer) && effect == Effect::Allow)
        };
        let reached = |wanted: Reach| {
            any(&|part, effect, reach| {
                part == Part::Layer(Layer::Resource) && effect == Effect::Allow && reach == wanted
            })
        };
        let deny = any(&|_, effect, _| effect == Effect::Deny);
        let linked = caller.is_service_linked_role();
        let mut parts = vec![deny.negate()];
        if caller.has_identity() && !linked {
            parts.extend((0..layers.scps.len()).map(|level| allow(Layer::Scp(level))));
        }
        if !linked {
            let restricting = layers.rcps.iter().enumerate().filter(|(_, set)| {
                set.statements()
                    .any(|(_, statement)| statement.effect == Effect::Allow)
            });
            parts.extend(restricting.map(|(level, _)| allow(Layer::Rcp(level))));
        }
        let (direct, role, account) = (
            reached(Reach::Direct),
            reached(Reach::Role),
            reached(Reach::Account),
        );
        if !caller.has_identity() {
            parts.push(Formula::any([direct, role, grant]));
            return Formula::all(parts);
        }
        let mut limits = Vec::new();
        if layers.boundary.is_some() {
            limits.push(allow(Layer::Boundary));
        }
        if layers.session.is_some() {
            limits.push(allow(Layer::Session));
        }
        let limits = Formula::all(limits);
        let identity = if *caller.kind() == Kind::Root {
            Formula::Constant(true)
        } else {
            allow(Layer::Identity)
        };
        let own_side = Formula::all([identity, limits.clone()]);
        if request.is_cross_account() {
            parts.push(own_side);
            let mut granted = vec![direct, role, account, grant];
            // The policies of other accounts' keys and roles are never seen.
            if needs_resource_policy(request) && layers.resource.is_none() {
                granted.push(unlisted);
            }
            parts.push(Formula::any(granted));
        } else {
            let delegated = if !needs_resource_policy(request) {
                own_side
            } else if layers.resource.is_none() {
                Formula::all([unlisted, own_side])
            } else {
                Formula::all([account, own_side])
            };
            parts.push(Formula::any([
                direct,
                grant,
                Formula::all([role, limits]),
                delegated,
            ]));
        }
        Formula::all(parts)
    }

    fn grant_formula(&mut self, request: &Request, layers: &Layers) -> Formula {
        let mut parts = Vec::new();
        for grant in layers.grants.iter().filter(|grant| {
            request.action.service() == "kms"
                && grant.covers(request.action.name())
                && grant.reaches(&request.principal)
        }) {
            parts.push(if grant.is_constrained() {
                self.atoms.atom(Meaning::Opaque(format!(
                    "the encryption context that grant `{}` demands",
                    grant.id
                )))
            } else {
                Formula::Constant(true)
            });
        }
        Formula::any(parts)
    }

    fn resource_formula(&mut self, clause: &Clause<'_>, resource: &Resource) -> Formula {
        let Some(resources) = &clause.statement.resources else {
            return Formula::Constant(true);
        };
        let mut parts = Vec::new();
        for pattern in &resources.patterns {
            if !self.pattern_matches_one(clause, pattern, resources.short, resource) {
                continue;
            }
            parts.push(if self.is_open_pattern(pattern) {
                // The same text on the same resource is the same unknown.
                self.atoms.atom(Meaning::Opaque(format!(
                    "whether `{}` covers `{}`",
                    pattern.written,
                    resource.as_str()
                )))
            } else {
                Formula::Constant(true)
            });
        }
        let listed = Formula::any(parts);
        if resources.negated {
            listed.negate()
        } else {
            listed
        }
    }
}
