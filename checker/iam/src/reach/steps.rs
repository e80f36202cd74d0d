//! The steps from one principal to another.
//!
//! In: a node of the walk. Out: every node that it can become in one step, and how. What a step acts on comes from the
//! estate: the role itself, the policies and groups that it holds, the functions that carry it.

use std::collections::BTreeSet;

use super::escalation::{Path, PathKind};
use super::route::Step;
use super::walk::{Node, Sure, Walk};
use super::{Demand, ReachError};
use crate::action::Action;
use crate::arn::Resource;
use crate::decision::decide;
use crate::layers::Layers;
use crate::principal::{Kind, Principal};
use crate::proof::Question;
use crate::request::Request;

impl Walk<'_> {
    /// Steps from a node to other principals, and out of its own boundary. Whoever is reached already is left out.
    pub(super) fn steps(
        &self,
        node: Node,
        reached: &BTreeSet<Node>,
        found: &mut Vec<(Node, Step)>,
    ) -> Result<(), ReachError> {
        let Some(own) = self.estate.account.askers.get(node.asker) else {
            return Ok(());
        };
        let mut certain = reached.clone();
        for path in &self.paths {
            match path.kind {
                PathKind::Rewrite => {}
                PathKind::Unbound => {
                    let unbound = Node {
                        unbound: true,
                        ..node
                    };
                    if own.boundary.is_some() && !node.unbound && suits(path, &own.principal) {
                        let itself = [own.principal.as_str().to_owned()];
                        let sure = self.all(node, &demands(&path.actions, &itself))?;
                        self.take(node, unbound, path, sure, found);
                    }
                }
                PathKind::Assume | PathKind::TakeOver | PathKind::PassRole | PathKind::Carrier => {
                    // One question over everything first: most principals can do nothing of the sort.
                    if !self.could(node, path)? {
                        continue;
                    }
                    for (target, other) in self.estate.account.askers.iter().enumerate() {
                        let next = Node {
                            asker: target,
                            rewritten: false,
                            unbound: false,
                        };
                        if target == node.asker || certain.contains(&next) {
                            continue;
                        }
                        let sure = self.step(node, path, &other.principal)?;
                        if matches!(sure, Sure::Yes(_)) {
                            certain.insert(next);
                        }
                        self.take(node, next, path, sure, found);
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether the node can do all that the path takes, on whatever resource.
    fn could(&self, node: Node, path: &Path) -> Result<bool, ReachError> {
        let known = (node, path.id.clone());
        if let Some(could) = self.could.borrow().get(&known) {
            return Ok(*could);
        }
        let mut actions = path.actions.clone();
        if path.kind == PathKind::PassRole {
            actions.insert(0, "iam:PassRole".to_owned());
        }
        let could = !matches!(self.all(node, &demands(&actions, &anywhere()))?, Sure::No);
        self.could.borrow_mut().insert(known, could);
        Ok(could)
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
        let itself = [target.as_str().to_owned()];
        match path.kind {
            PathKind::Assume if role => self.all(node, &demands(&path.actions, &itself)),
            PathKind::TakeOver if suits(path, target) => {
                self.all(node, &demands(&path.actions, &itself))
            }
            PathKind::PassRole if role => self.pass(node, path, target),
            PathKind::Carrier if role => self.carry(node, path, target),
            PathKind::Assume
            | PathKind::TakeOver
            | PathKind::PassRole
            | PathKind::Carrier
            | PathKind::Rewrite
            | PathKind::Unbound => Ok(Sure::No),
        }
    }

    /// Whether the node can hand the role to a service that runs what the node says.
    fn pass(&self, node: Node, path: &Path, target: &Principal) -> Result<Sure, ReachError> {
        let mut best = Sure::No;
        for service in &path.trusts {
            let trusted = self.trusts(target, service);
            if trusted == Some(false) {
                continue;
            }
            let mut pass = demands(&["iam:PassRole".to_owned()], &[target.as_str().to_owned()]);
            for demand in &mut pass {
                demand.known.set("iam:PassedToService", [service.as_str()]);
            }
            let passed = self.all(node, &pass)?;
            if matches!(passed, Sure::No) {
                continue;
            }
            let rest = self.all(node, &demands(&path.actions, &anywhere()))?;
            let doubt = trusted
                .is_none()
                .then(|| format!("whether `{}` trusts `{service}`", target.as_str()));
            best = better(best, both(passed, rest, doubt));
            if matches!(best, Sure::Yes(_)) {
                break;
            }
        }
        Ok(best)
    }

    /// Whether the node can change what something does that runs with the role.
    fn carry(&self, node: Node, path: &Path, target: &Principal) -> Result<Sure, ReachError> {
        let Some((first, rest)) = path.actions.split_first() else {
            return Ok(Sure::No);
        };
        let rest = if rest.is_empty() {
            Sure::Yes(Vec::new())
        } else {
            self.all(node, &demands(rest, &anywhere()))?
        };
        let first = std::slice::from_ref(first);
        let mut best = Sure::No;
        let carriers = self.estate.carriers.iter().filter(|carrier| {
            carrier.role == target.as_str() && path.carriers.contains(&carrier.service)
        });
        for carrier in carriers {
            let own = self.all(node, &demands(first, std::slice::from_ref(&carrier.arn)))?;
            best = better(best, both(own, rest.clone(), None));
            if matches!(best, Sure::Yes(_)) {
                return Ok(best);
            }
        }
        for service in &path.carriers {
            if self.estate.surveyed.contains(service) {
                continue;
            }
            let trusted = service_of(service);
            if self.trusts(target, &trusted) == Some(false) {
                continue;
            }
            let doubt = format!(
                "whether something of `{service}` runs as `{}`, which its trust policy permits; the inventory does not hold it",
                target.as_str()
            );
            let own = self.all(node, &demands(first, &anywhere()))?;
            best = better(best, both(own, rest.clone(), Some(doubt)));
        }
        Ok(best)
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
        let decision = decide(&request, &layers);
        if decision.is_allowed() {
            Some(true)
        } else if decision.missing_context.is_empty() {
            Some(false)
        } else {
            // Conditions such as `aws:SourceAccount` hold or not depending on what asks.
            None
        }
    }

    /// Whether one node can rewrite the policies of another, which then has every permission.
    pub(super) fn rewrites(
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
        let to = Node {
            rewritten: true,
            ..target
        };
        for path in self
            .paths
            .iter()
            .filter(|path| path.kind == PathKind::Rewrite && suits(path, &other.principal))
        {
            if !self.could(actor, path)? {
                continue;
            }
            let (resources, doubt) = self.rewritten(path, &other.principal);
            if resources.is_empty() {
                continue;
            }
            let own = self.all(actor, &demands(&path.actions, &resources))?;
            let sure = both(own, Sure::Yes(Vec::new()), doubt);
            let certain = matches!(sure, Sure::Yes(_));
            self.take(actor, to, path, sure, found);
            if certain {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What a rewriting path acts on, and what is not known about it.
    fn rewritten(&self, path: &Path, other: &Principal) -> (Vec<String>, Option<String>) {
        let account = other.account().unwrap_or("*");
        let name = path.actions.first().map_or("", String::as_str);
        let held = self.estate.held.get(other.as_str());
        if name == "iam:AddUserToGroup" {
            return (
                vec![format!("arn:*:iam::{account}:group/*")],
                Some("what the groups that it could join may do".to_owned()),
            );
        }
        if name.contains("Group") {
            return match held {
                Some(held) => (
                    held.groups
                        .iter()
                        .flat_map(|group| {
                            [
                                format!("arn:*:iam::{account}:group/{group}"),
                                format!("arn:*:iam::{account}:group/*/{group}"),
                            ]
                        })
                        .collect(),
                    None,
                ),
                None => (
                    vec![format!("arn:*:iam::{account}:group/*")],
                    Some(format!("which groups `{}` is in", other.as_str())),
                ),
            };
        }
        if name.contains("Policy") && name.contains("Version") {
            let (policies, mut doubt) = match held {
                Some(held) => (
                    held.policies
                        .iter()
                        .filter(|arn| !arn.contains(":iam::aws:"))
                        .cloned()
                        .collect(),
                    None,
                ),
                None => (
                    vec![format!("arn:*:iam::{account}:policy/*")],
                    Some(format!("which policies `{}` holds", other.as_str())),
                ),
            };
            if name == "iam:SetDefaultPolicyVersion" {
                doubt = Some("what other versions of its policies say".to_owned());
            }
            return (policies, doubt);
        }
        (vec![other.as_str().to_owned()], None)
    }
}

/// The name under which a service assumes the roles of what it runs.
fn service_of(carrier: &str) -> String {
    match carrier {
        "ecs" => "ecs-tasks.amazonaws.com".to_owned(),
        "apprunner" => "tasks.apprunner.amazonaws.com".to_owned(),
        "eks" => "pods.eks.amazonaws.com".to_owned(),
        other => format!("{other}.amazonaws.com"),
    }
}

/// The surer of two answers.
fn better(own: Sure, other: Sure) -> Sure {
    match (&own, &other) {
        (Sure::Yes(_), _)
        | (_, Sure::No)
        | (Sure::Maybe(..), Sure::Maybe(..) | Sure::Unknown(_))
        | (Sure::Unknown(_), Sure::Unknown(_)) => own,
        (Sure::No, _) | (_, Sure::Yes(_)) | (Sure::Unknown(_), Sure::Maybe(..)) => other,
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

/// One demand for each action, on any of the resources.
fn demands(actions: &[String], resources: &[String]) -> Vec<Demand> {
    let demand = |action: &String| {
        Demand::from(Question {
            actions: vec![action.clone()],
            resources: resources.to_vec(),
            except_resources: Vec::new(),
        })
    };
    actions.iter().map(demand).collect()
}

fn anywhere() -> Vec<String> {
    vec!["*".to_owned()]
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
