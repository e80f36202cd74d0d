//! Reach: which principals can get at a permission, over how many steps.
//!
//! In: an account's principals with their policies, what carries which role, and a [`Goal`]. Out: [`Reached`]: a
//! route in words and as a Mermaid graph, or the set of principals over which it is proved that there is none.
//! A step is taken wherever the proof finds an escalation allowed, or possible; a route says which of the two, and
//! only the absence of both is a proof. What is not in the inventory (other accounts, data already
//! copied, credentials in logs) is not seen.

mod escalation;
mod route;

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;

use self::escalation::{Path, PathKind, paths};
pub use self::route::{Route, Step};
use crate::action::Action;
use crate::arn::Resource;
use crate::decision::decide;
use crate::layers::{Layers, PolicySet};
use crate::policy::{Policy, PolicyError, PolicyKind};
use crate::principal::{Kind, Principal};
use crate::proof::{Account, Answer, Asker, Limits, ProofError, Question, Witness, nobody_can_as};
use crate::request::Request;

/// An account as the reach sees it.
#[derive(Debug, Clone, Default)]
pub struct Estate {
    /// Principals, guarded resources (trust policies of roles among them) and control policies.
    pub account: Account,
    /// What carries a role.
    pub carriers: Vec<Carrier>,
}

/// A resource that runs with a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carrier {
    /// Its ARN.
    pub arn: String,
    /// The service's prefix, such as `lambda` or `ec2`.
    pub service: String,
    /// The ARN of the role.
    pub role: String,
}

/// What must not be reached: any of the alternatives, each of which needs all of its questions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Goal {
    /// For a secret: reading it together with decrypting its key; or copying it.
    pub alternatives: Vec<Vec<Question>>,
}

/// The answer for one principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// Neither the principal nor any that it can become reaches the goal.
    Nowhere {
        /// Everyone it can become, itself included.
        closure: Vec<String>,
    },
    /// It gets there, every step confirmed.
    Yes(Route),
    /// It may get there; some step or the goal itself could not be resolved.
    Possibly(Route),
    /// A bound was hit.
    Unknown {
        /// Which.
        because: String,
    },
}

/// Why the reach could not be computed.
#[derive(Debug, Error)]
pub enum ReachError {
    /// The proof failed.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// A policy that the reach writes itself did not parse.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The crate's own data did not parse.
    #[error("the escalation paths can't be read: {0}")]
    Paths(#[from] serde_json::Error),
    /// The principal is not in the estate.
    #[error("`{arn}` is not a principal of the account")]
    Stranger {
        /// Its ARN.
        arn: String,
    },
}

/// Whether the principal, or anyone that it can become, reaches the goal.
pub fn reach(
    estate: &Estate,
    from: &str,
    goal: &Goal,
    limits: Limits,
) -> Result<Reached, ReachError> {
    let start = estate
        .account
        .askers
        .iter()
        .position(|asker| asker.principal.as_str() == from)
        .ok_or_else(|| ReachError::Stranger {
            arn: from.to_owned(),
        })?;
    let everything = "{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}}";
    let everything = PolicySet::from(Policy::parse(everything, PolicyKind::Identity)?);
    let walk = Walk {
        estate,
        paths: paths()?,
        everything,
        limits,
    };
    walk.run(
        Node {
            asker: start,
            rewritten: false,
            unbound: false,
        },
        goal,
    )
}

/// A principal, perhaps after it gave itself everything or shed its boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Node {
    asker: usize,
    rewritten: bool,
    unbound: bool,
}

/// How sure an answer is.
#[derive(Debug, Clone)]
enum Sure {
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

struct Walk<'a> {
    estate: &'a Estate,
    paths: Vec<Path>,
    everything: PolicySet,
    limits: Limits,
}

impl Walk<'_> {
    /// Certain steps first: only when they are exhausted are possible ones followed.
    fn run(&self, start: Node, goal: &Goal) -> Result<Reached, ReachError> {
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
            self.steps(node, &mut found)?;
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
    fn name(&self, node: Node) -> String {
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
        for questions in &goal.alternatives {
            match (self.all(node, questions, None)?, &best) {
                (sure @ (Sure::Yes(_) | Sure::Unknown(_)), _) => return Ok(sure),
                (maybe @ Sure::Maybe(..), Sure::No) => best = maybe,
                (Sure::No | Sure::Maybe(..), _) => {}
            }
        }
        Ok(best)
    }

    /// Whether the node can do something of every question.
    fn all(
        &self,
        node: Node,
        questions: &[Question],
        context: Option<(&str, &str)>,
    ) -> Result<Sure, ReachError> {
        let Some(mut asker) = self.asker(node) else {
            return Ok(Sure::No);
        };
        if let Some((key, value)) = context {
            let known = (*asker.context).clone().with(key, [value]);
            asker.context = Arc::new(known);
        }
        let (mut requests, mut doubts) = (Vec::new(), Vec::new());
        for question in questions {
            match nobody_can_as(&self.estate.account, &asker, question, self.limits)? {
                Answer::Proved => return Ok(Sure::No),
                Answer::Counterexample(witness) => requests.push(witness),
                Answer::Possible { because, witness } => {
                    doubts.extend(because);
                    requests.push(witness);
                }
                Answer::Unknown { because } => return Ok(Sure::Unknown(because)),
            }
        }
        if questions.is_empty() {
            return Ok(Sure::No);
        }
        Ok(if doubts.is_empty() {
            Sure::Yes(requests)
        } else {
            Sure::Maybe(doubts, requests)
        })
    }

    /// Steps from a node to other principals, and out of its own boundary.
    fn steps(&self, node: Node, found: &mut Vec<(Node, Step)>) -> Result<(), ReachError> {
        let Some(own) = self.estate.account.askers.get(node.asker) else {
            return Ok(());
        };
        for path in &self.paths {
            match path.kind {
                PathKind::Rewrite => {}
                PathKind::Unbound => {
                    if own.boundary.is_some() && !node.unbound && suits(path, &own.principal) {
                        let sure = self.all(
                            node,
                            &questions(&path.actions, own.principal.as_str()),
                            None,
                        )?;
                        self.take(
                            node,
                            Node {
                                unbound: true,
                                ..node
                            },
                            path,
                            sure,
                            found,
                        );
                    }
                }
                PathKind::Assume | PathKind::TakeOver | PathKind::PassRole | PathKind::Carrier => {
                    // One question over everything first: most principals can do nothing of the sort.
                    let first = if path.kind == PathKind::PassRole {
                        "iam:PassRole"
                    } else {
                        path.actions.first().map_or("", String::as_str)
                    };
                    if let Sure::No = self.all(node, &questions(&[first.to_owned()], "*"), None)? {
                        continue;
                    }
                    for (target, other) in self.estate.account.askers.iter().enumerate() {
                        if target == node.asker {
                            continue;
                        }
                        let sure = self.step(node, path, &other.principal)?;
                        self.take(
                            node,
                            Node {
                                asker: target,
                                rewritten: false,
                                unbound: false,
                            },
                            path,
                            sure,
                            found,
                        );
                    }
                }
            }
        }
        Ok(())
    }

    fn take(&self, node: Node, to: Node, path: &Path, sure: Sure, found: &mut Vec<(Node, Step)>) {
        let (because, requests) = match sure {
            Sure::No => return,
            Sure::Yes(requests) => (Vec::new(), requests),
            Sure::Maybe(because, requests) => (because, requests),
            Sure::Unknown(because) => (vec![because], Vec::new()),
        };
        let step = Step {
            from: self.name(node),
            to: self.name(to),
            path: path.id.clone(),
            with: path.name.clone(),
            requests,
            because,
            actor: None,
        };
        found.push((to, step));
    }

    /// Whether the path leads from the node to the target.
    fn step(&self, node: Node, path: &Path, target: &Principal) -> Result<Sure, ReachError> {
        let role = *target.kind() == Kind::Role;
        match path.kind {
            PathKind::Assume if role => {
                self.all(node, &questions(&path.actions, target.as_str()), None)
            }
            PathKind::TakeOver if suits(path, target) => {
                self.all(node, &questions(&path.actions, target.as_str()), None)
            }
            PathKind::PassRole if role => {
                for service in &path.trusts {
                    let trusted = self.trusts(target, service);
                    if trusted == Some(false) {
                        continue;
                    }
                    let passed = self.all(
                        node,
                        &questions(&["iam:PassRole".to_owned()], target.as_str()),
                        Some(("iam:PassedToService", service)),
                    )?;
                    let rest = self.all(node, &questions(&path.actions, "*"), None)?;
                    let doubt = trusted
                        .is_none()
                        .then(|| format!("whether `{}` trusts `{service}`", target.as_str()));
                    match both(passed, rest, doubt) {
                        Sure::No => {}
                        sure @ (Sure::Yes(_) | Sure::Maybe(..) | Sure::Unknown(_)) => {
                            return Ok(sure);
                        }
                    }
                }
                Ok(Sure::No)
            }
            PathKind::Carrier if role => {
                let carriers = self.estate.carriers.iter().filter(|carrier| {
                    carrier.role == target.as_str() && path.carriers.contains(&carrier.service)
                });
                for carrier in carriers {
                    let Some((first, rest)) = path.actions.split_first() else {
                        continue;
                    };
                    let first = self.all(
                        node,
                        &questions(std::slice::from_ref(first), &carrier.arn),
                        None,
                    )?;
                    let rest = if rest.is_empty() {
                        Sure::Yes(Vec::new())
                    } else {
                        self.all(node, &questions(rest, "*"), None)?
                    };
                    match both(first, rest, None) {
                        Sure::No => {}
                        sure @ (Sure::Yes(_) | Sure::Maybe(..) | Sure::Unknown(_)) => {
                            return Ok(sure);
                        }
                    }
                }
                Ok(Sure::No)
            }
            PathKind::Assume
            | PathKind::TakeOver
            | PathKind::PassRole
            | PathKind::Carrier
            | PathKind::Rewrite
            | PathKind::Unbound => Ok(Sure::No),
        }
    }

    /// Whether the role's trust policy lets the service assume it; `None` when the policy is not known.
    fn trusts(&self, role: &Principal, service: &str) -> Option<bool> {
        let trust = self
            .estate
            .account
            .guarded
            .iter()
            .find(|guarded| guarded.arn == role.as_str())?
            .policy
            .clone()?;
        let service = Principal::parse(service).ok()?;
        let request = Request::new(
            service,
            Action::new("sts:AssumeRole").ok()?,
            Resource::new(role.as_str()),
        );
        let layers = Layers {
            resource: Some(trust),
            ..Layers::default()
        };
        Some(decide(&request, &layers).is_allowed())
    }

    /// Whether one node can rewrite the policies of another, which then has every permission.
    fn rewrites(
        &self,
        actor: Node,
        target: Node,
        found: &mut Vec<(Node, Step)>,
    ) -> Result<(), ReachError> {
        if target.rewritten {
            return Ok(());
        }
        let Some(other) = self.estate.account.askers.get(target.asker) else {
            return Ok(());
        };
        let account = other.principal.account().unwrap_or("*");
        for path in self
            .paths
            .iter()
            .filter(|path| path.kind == PathKind::Rewrite && suits(path, &other.principal))
        {
            let name = path.actions.first().map_or("", String::as_str);
            let resource = if name.contains("Group") {
                format!("arn:*:iam::{account}:group/*")
            } else if name.contains("PolicyVersion") {
                format!("arn:*:iam::{account}:policy/*")
            } else {
                other.principal.as_str().to_owned()
            };
            let sure = self.all(actor, &questions(&path.actions, &resource), None)?;
            let before = found.len();
            self.take(
                actor,
                Node {
                    rewritten: true,
                    ..target
                },
                path,
                sure,
                found,
            );
            if found.len() > before {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Whether the path fits the sort of principal: roles have no login, users no trust policy.
fn suits(path: &Path, target: &Principal) -> bool {
    let name = path.actions.first().map_or("", String::as_str);
    let for_user = ["User", "Group", "AccessKey", "LoginProfile"]
        .iter()
        .any(|word| name.contains(word));
    let for_role = name.contains("Role");
    match target.kind() {
        Kind::User => !for_role || for_user,
        Kind::Role => !for_user,
        Kind::Root
        | Kind::Session { .. }
        | Kind::FederatedUser
        | Kind::Service
        | Kind::Provider
        | Kind::Anonymous => false,
    }
}

/// One question for each action.
fn questions(actions: &[String], resource: &str) -> Vec<Question> {
    let question = |action: &String| Question {
        actions: vec![action.clone()],
        resources: vec![resource.to_owned()],
        except_resources: Vec::new(),
    };
    actions.iter().map(question).collect()
}

fn both(own: Sure, other: Sure, doubt: Option<String>) -> Sure {
    let mut doubts: Vec<String> = doubt.into_iter().collect();
    let mut requests = Vec::new();
    for sure in [own, other] {
        match sure {
            Sure::No => return Sure::No,
            Sure::Unknown(because) => return Sure::Unknown(because),
            Sure::Yes(more) => requests.extend(more),
            Sure::Maybe(because, more) => {
                doubts.extend(because);
                requests.extend(more);
            }
        }
    }
    if doubts.is_empty() {
        Sure::Yes(requests)
    } else {
        Sure::Maybe(doubts, requests)
    }
}

/// The names of everyone and the steps between them, for drawing.
#[must_use]
pub fn mermaid(routes: &[Route]) -> String {
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    let mut text = String::from("graph LR\n");
    let mut edges = Vec::new();
    for route in routes {
        for step in &route.steps {
            edges.push((
                step.from.clone(),
                step.to.clone(),
                step.with.clone(),
                step.because.is_empty(),
            ));
        }
        let last = route
            .requests
            .first()
            .map_or_else(|| "goal".to_owned(), |request| request.resource.clone());
        let with = route
            .requests
            .iter()
            .map(|request| request.action.as_str())
            .collect::<Vec<_>>()
            .join(" + ");
        edges.push((route.reader.clone(), last, with, route.because.is_empty()));
    }
    edges.sort();
    edges.dedup();
    for name in edges.iter().flat_map(|(from, to, ..)| [from, to]) {
        let next = numbers.len();
        if !numbers.contains_key(name) {
            numbers.insert(name.clone(), next);
            text.push_str(&format_args!("  n{next}[\"{}\"]\n", route::quoted(name)).to_string());
        }
    }
    for (from, to, with, certain) in &edges {
        let arrow = if *certain { "-->" } else { "-.->" };
        let number = |name: &String| numbers.get(name).copied().unwrap_or_default();
        text.push_str(
            &format_args!(
                "  n{} {arrow}|\"{}\"| n{}\n",
                number(from),
                route::quoted(with),
                number(to)
            )
            .to_string(),
        );
    }
    text
}
