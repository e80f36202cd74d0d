//! New access: whether a candidate policy allows anything that a reference does not.
//!
//! In: two policies of one kind. Out: [`Comparison`], with a request as witness. The meaning is that of AWS's
//! `CheckNoNewAccess`: each policy is taken alone, identity policies without a caller, resource policies over every
//! caller that their texts can tell apart (everyone named, somebody else in every account named, somebody in an
//! account that is not, services, identity providers, anonymous). The segment rule holds for ARN patterns.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::automaton::Product;
use super::language::{Language, callers};
use super::scene::{Clause, Found, Goal, Part, Scene};
use super::target::Target;
use super::{Limits, ProofError, Witness};
use crate::arn::Short;
use crate::condition::{Condition, Test};
use crate::glob::tokens;
use crate::layers::PolicySet;
use crate::policy::{Effect, Policy, PolicyKind};
use crate::principal::{Named, Principal, Reach};
use crate::request::Request;

/// Accounts and names for callers that no policy names.
const STRANGER_ACCOUNTS: [&str; 3] = ["111111111111", "222222222222", "333333333333"];

/// The outcome of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// The candidate allows nothing that the reference does not.
    NoNewAccess,
    /// It does.
    NewAccess(NewAccess),
    /// It may; `because` names what could not be resolved.
    Possible {
        /// What stands in the way of certainty.
        because: Vec<String>,
        /// The request.
        witness: NewAccess,
    },
    /// A bound was hit.
    Unknown {
        /// Which.
        because: String,
    },
}

/// A request that the candidate allows and the reference does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccess {
    /// Who asks; `None` for identity policies, which hold for whoever they are attached to.
    pub principal: Option<String>,
    /// The rest of the request.
    pub request: Witness,
}

/// Compares a candidate with a reference; both must be of the same kind.
pub fn compare(
    reference: &Policy,
    candidate: &Policy,
    limits: Limits,
) -> Result<Comparison, ProofError> {
    let (reference, candidate) = (
        PolicySet::from(reference.clone()),
        PolicySet::from(candidate.clone()),
    );
    let sides = [(Part::Candidate, &candidate), (Part::Reference, &reference)];
    let mut target = Target::everything();
    let statements = || {
        sides
            .iter()
            .flat_map(|(_, set)| set.statements().map(|(_, statement)| statement))
    };
    target.know_actions(
        statements()
            .flat_map(|statement| statement.actions.written.iter().map(|written| &**written)),
    );
    let goal = Goal::NewAccess(&candidate, &reference);
    let identity = candidate
        .policies()
        .iter()
        .any(|policy| policy.kind() == PolicyKind::Identity);
    let conditions: Vec<&Condition> = statements()
        .flat_map(|statement| &statement.conditions)
        .collect();
    let callers = if identity {
        vec![Principal::parse("arn:aws:iam::111111111111:role/any").ok()]
    } else {
        let named: Vec<&Named> = statements()
            .filter_map(|statement| statement.principals.as_ref())
            .flat_map(|principals| &principals.named)
            .collect();
        match everybody(&named, &conditions, limits) {
            Some(everybody) => everybody.into_iter().map(Some).collect(),
            None => {
                return Ok(Comparison::Unknown {
                    because: "too many combinations of caller patterns".to_owned(),
                });
            }
        }
    };
    let mut doubt = None;
    let mut seen = BTreeSet::new();
    for caller in callers.into_iter().flatten() {
        let mut clauses = Vec::new();
        let mut reached = Vec::new();
        for (part, set) in sides {
            for (_, statement) in set.statements() {
                let reach = match &statement.principals {
                    Some(principals) => {
                        principals.reach(&caller, statement.effect == Effect::Deny, false)
                    }
                    None => Reach::Account,
                };
                reached.push(reach > Reach::No);
                if reach > Reach::No {
                    clauses.push(Clause {
                        part,
                        reach,
                        statement,
                    });
                }
            }
        }
        // Callers whom no statement and no condition tells apart are asked for once.
        if !seen.insert((reached, caller_facts(&caller, &conditions))) {
            continue;
        }
        let mut scene = Scene::new(Request::template(Arc::new(caller)), goal, clauses, limits);
        scene.open_caller = identity;
        let access = |request: Witness| NewAccess {
            principal: (!identity).then(|| request.principal.clone()),
            request,
        };
        match scene.search(&target)? {
            Found::Nothing => {}
            Found::Confirmed(witness) => return Ok(Comparison::NewAccess(access(witness))),
            Found::Possible(because, witness) => {
                doubt = doubt.or(Some(Comparison::Possible {
                    because,
                    witness: access(witness),
                }));
            }
            Found::Capped(because) => doubt = doubt.or(Some(Comparison::Unknown { because })),
        }
    }
    Ok(doubt.unwrap_or(Comparison::NoNewAccess))
}

/// Callers of every sort that the policies can tell apart; `None` when there are too many.
fn everybody(
    named: &[&Named],
    conditions: &[&Condition],
    limits: Limits,
) -> Option<Vec<Principal>> {
    let mut texts: Vec<String> = Vec::new();
    let mut accounts: BTreeSet<String> = BTreeSet::new();
    for name in named {
        match name {
            Named::Arn(arn) => {
                texts.push(arn.to_string());
                accounts.extend(
                    Principal::parse(arn)
                        .ok()
                        .and_then(|caller| caller.account().map(str::to_owned)),
                );
            }
            Named::Account(account) => {
                accounts.insert(account.to_string());
            }
            Named::Service(name) | Named::Provider(name) => texts.push(name.to_string()),
            Named::Everyone | Named::Nobody(_) => {}
        }
    }
    let values = |key: &str| {
        let on_key = conditions
            .iter()
            .filter(move |condition| &*condition.key == key);
        on_key
            .flat_map(|condition| &condition.tests)
            .filter_map(Test::tokens)
            .map(<[_]>::to_vec)
            .collect::<Vec<_>>()
    };
    for tokens in values("aws:principalaccount") {
        accounts.insert(tokens.iter().filter_map(|token| token.literal()).collect());
    }
    accounts.extend(
        STRANGER_ACCOUNTS
            .iter()
            .find(|account| !accounts.contains(**account))
            .map(|account| (*account).to_owned()),
    );
    for account in &accounts {
        texts.push(format!("arn:aws:iam::{account}:root"));
        texts.push(format!("arn:aws:iam::{account}:role/somebody-else"));
        texts.push(format!("arn:aws:iam::{account}:user/somebody-else"));
        for tokens in values("aws:username") {
            let name: String = tokens
                .iter()
                .map(|token| token.literal().unwrap_or('x'))
                .collect();
            texts.push(format!("arn:aws:iam::{account}:user/{name}"));
        }
    }
    let patterns = values("aws:principalarn");
    if !patterns.is_empty() {
        let mut product = Product::over(callers());
        for account in &accounts {
            product.tell_apart(&tokens(&format!("arn:*:*::{account}:*")));
        }
        patterns
            .iter()
            .flat_map(|pattern| [Language::arn(pattern), Some(Language::glob(pattern))])
            .flatten()
            .for_each(|language| {
                product.distinguish(language);
            });
        let explored = product.explore(limits.states);
        if !explored.complete {
            return None;
        }
        texts.extend(explored.texts);
    }
    texts.extend([
        "somebody-else.amazonaws.com".to_owned(),
        "somebody.else.example".to_owned(),
        "*".to_owned(),
    ]);
    Some(
        texts
            .iter()
            .filter_map(|text| Principal::parse(text).ok())
            .collect(),
    )
}

/// What conditions can see of a caller.
fn caller_facts(caller: &Principal, conditions: &[&Condition]) -> Vec<Option<String>> {
    let keys: BTreeSet<&str> = conditions
        .iter()
        .map(|condition| &*condition.key)
        .chain(
            conditions
                .iter()
                .flat_map(|condition| &condition.tests)
                .flat_map(Test::variables)
                .map(|variable| variable.key.as_str()),
        )
        .collect();
    keys.into_iter()
        .map(|key| caller.derived(key).map(str::to_owned))
        .collect()
}

impl Product {
    fn tell_apart(&mut self, pattern: &[crate::glob::Token]) {
        if let Some(language) = Language::resource(pattern, Short::Pad) {
            self.distinguish(language);
        }
    }
}
