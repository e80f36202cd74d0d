//! The walk over everyone that a principal can become.
//!
//! In: the estate, the known ways and a goal. Out: [`Reached`]. Certain steps are exhausted before possible ones are
//! taken, so that a certain route is found where there is one.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::escalation::Path;
use super::route::{Route, Step};
use super::{Demand, Estate, Goal, ReachError, Reached};
use crate::layers::PolicySet;
use crate::proof::{Answer, Asker, Limits, Witness, nobody_can_as};

/// A principal, perhaps after it gave itself everything or shed its boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Node {
    pub(super) asker: usize,
    pub(super) rewritten: bool,
    pub(super) unbound: bool,
}

/// How sure an answer is.
#[derive(Debug, Clone)]
pub(super) enum Sure {
    No,
    Yes(Vec<Witness>),
    Maybe(Vec<String>, Vec<Witness>),
    Unknown(String),
}

/// The arrival at a node.
struct Arrival {
    node: Node,
    from: Option<usize>,
    step: Option<Step>,
}

pub(super) struct Walk<'a> {
    pub(super) estate: &'a Estate,
    pub(super) paths: Vec<Path>,
    everything: PolicySet,
    limits: Limits,
    /// How many proofs were asked for.
    asked: Cell<usize>,
    /// Whether a node can do something of a path at all.
    pub(super) could: RefCell<BTreeMap<(Node, String), bool>>,
}

/// Bound of the proofs for one answer.
const PROOFS: usize = 200_000;

impl<'a> Walk<'a> {
    pub(super) fn new(
        estate: &'a Estate,
        paths: Vec<Path>,
        everything: PolicySet,
        limits: Limits,
    ) -> Self {
        Self {
            estate,
            paths,
            everything,
            limits,
            asked: Cell::new(0),
            could: RefCell::default(),
        }
    }

    /// Certain steps first: only when they are exhausted are possible ones followed.
    pub(super) fn run(&self, start: Node, goal: &Goal) -> Result<Reached, ReachError> {
        let mut arrivals = vec![Arrival {
            node: start,
            from: None,
            step: None,
        }];
        let mut waiting: Vec<Arrival> = Vec::new();
        let mut possible: Option<Route> = None;
        let mut at = 0;
        loop {
            let Some(arrival) = arrivals.get(at) else {
                // The certain part is done; go on with a possible step, if any leads somewhere new.
                let fresh = waiting
                    .iter()
                    .position(|next| arrivals.iter().all(|known| known.node != next.node));
                match fresh {
                    Some(next) => {
                        let next = waiting.swap_remove(next);
                        arrivals.push(next);
                        continue;
                    }
                    None => break,
                }
            };
            let node = arrival.node;
            match self.goal(node, goal)? {
                Sure::No => {}
                Sure::Unknown(because) => return Ok(Reached::Unknown { because }),
                Sure::Yes(requests) => {
                    let route = self.route(&arrivals, at, requests, Vec::new());
                    if route.is_certain() {
                        return Ok(Reached::Yes(route));
                    }
                    possible = possible.or(Some(route));
                }
                Sure::Maybe(because, requests) => {
                    possible =
                        possible.or_else(|| Some(self.route(&arrivals, at, requests, because)));
                }
            }
            let visited: Vec<Node> = arrivals.iter().map(|arrival| arrival.node).collect();
            let mut found = Vec::new();
            let reached: BTreeSet<Node> = visited.iter().copied().collect();
            self.steps(node, &reached, &mut found)?;
            // Whoever was reached before may rewrite this one, and this one those.
            for (other_at, other) in visited.iter().enumerate() {
                let pairs = if other_at == at {
                    vec![(at, node, node)]
                } else {
                    vec![(other_at, *other, node), (at, node, *other)]
                };
                for (actor_at, actor, target) in pairs {
                    let mut more = Vec::new();
                    self.rewrites(actor, target, &mut more)?;
                    found.extend(
                        more.into_iter()
                            .map(|(node, step)| (node, step.by(actor_at))),
                    );
                }
            }
            for (next, step) in found {
                let from = step.actor.unwrap_or(at);
                let arrival = Arrival {
                    node: next,
                    from: Some(from),
                    step: Some(step),
                };
                let certain = arrival
                    .step
                    .as_ref()
                    .is_some_and(|step| step.because.is_empty());
                if arrivals.iter().any(|known| known.node == next) {
                    continue;
                }
                if certain {
                    arrivals.push(arrival);
                } else {
                    waiting.push(arrival);
                }
            }
            at += 1;
        }
        Ok(match possible {
            Some(route) => Reached::Possibly(route),
            None => Reached::Nowhere {
                closure: arrivals
                    .iter()
                    .map(|arrival| self.name(arrival.node))
                    .collect(),
            },
        })
    }

    fn route(
        &self,
        arrivals: &[Arrival],
        at: usize,
        requests: Vec<Witness>,
        because: Vec<String>,
    ) -> Route {
        let mut steps = Vec::new();
        let mut next = arrivals.get(at);
        let name = next
            .map(|arrival| self.name(arrival.node))
            .unwrap_or_default();
        while let Some(arrival) = next {
            steps.extend(arrival.step.clone());
            next = arrival.from.and_then(|from| arrivals.get(from));
        }
        steps.reverse();
        Route {
            steps,
            reader: name,
            requests,
            because,
        }
    }

    /// The principal's name, and what became of it.
    pub(super) fn name(&self, node: Node) -> String {
        let arn = self
            .estate
            .account
            .askers
            .get(node.asker)
            .map(|asker| asker.principal.as_str())
            .unwrap_or_default();
        match (node.rewritten, node.unbound) {
            (false, false) => arn.to_owned(),
            (true, false) => format!("{arn} (with every permission)"),
            (false, true) => format!("{arn} (without its boundary)"),
            (true, true) => format!("{arn} (with every permission, without its boundary)"),
        }
    }

    fn asker(&self, node: Node) -> Option<Asker> {
        let mut asker = self.estate.account.askers.get(node.asker)?.clone();
        if node.rewritten {
            // Its denials could be rewritten as well.
            asker.identity = self.everything.clone();
        }
        if node.unbound {
            asker.boundary = None;
        }
        Some(asker)
    }

    fn goal(&self, node: Node, goal: &Goal) -> Result<Sure, ReachError> {
        let mut best = Sure::No;
        for demands in &goal.alternatives {
            match (self.all(node, demands)?, &best) {
                (sure @ (Sure::Yes(_) | Sure::Unknown(_)), _) => return Ok(sure),
                (maybe @ Sure::Maybe(..), Sure::No) => best = maybe,
                (Sure::No | Sure::Maybe(..), _) => {}
            }
        }
        Ok(best)
    }

    /// Whether the node can do something of every demand.
    pub(super) fn all(&self, node: Node, demands: &[Demand]) -> Result<Sure, ReachError> {
        let Some(asker) = self.asker(node) else {
            return Ok(Sure::No);
        };
        let (mut requests, mut doubts) = (Vec::new(), Vec::new());
        for demand in demands {
            self.asked.set(self.asked.get() + 1);
            if self.asked.get() > PROOFS {
                return Ok(Sure::Unknown(format!(
                    "more than {PROOFS} proofs would be needed"
                )));
            }
            let answer = if demand.known.is_empty() {
                nobody_can_as(&self.estate.account, &asker, &demand.question, self.limits)?
            } else {
                let mut known = (*asker.context).clone();
                for (key, values) in demand.known.iter() {
                    known.set(key, values.iter().cloned());
                }
                let asker = Asker {
                    context: Arc::new(known),
                    ..asker.clone()
                };
                nobody_can_as(&self.estate.account, &asker, &demand.question, self.limits)?
            };
            match answer {
                Answer::Proved => return Ok(Sure::No),
                Answer::Counterexample(witness) => requests.push(witness),
                Answer::Possible { because, witness } => {
                    doubts.extend(because);
                    requests.push(witness);
                }
                Answer::Unknown { because } => return Ok(Sure::Unknown(because)),
            }
        }
        if demands.is_empty() {
            return Ok(Sure::No);
        }
        Ok(if doubts.is_empty() {
            Sure::Yes(requests)
        } else {
            Sure::Maybe(doubts, requests)
        })
    }
}
