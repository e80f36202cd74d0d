//! Statements about who may do what, proved over every principal of the account.
//!
//! In: the facts, and a [`Statement`] from a control or from the command line. Out: a [`Judged`] for each principal that it
//! speaks of. `Proved` passes; a concrete request that the decision engine allows fails; what stays possible or
//! unknown is Inconclusive, never Pass. Layers: identity policies, groups, boundaries, the policies of secrets, keys (with
//! grants), functions and roles, and service control policies where they were handed in.
//!
//! Not seen here: session policies of federated users, the account's root user, resources of other regions, and what AWS
//! does on behalf of its services.

mod caller;
mod drawing;
mod estate;
mod opinion;
mod people;
mod remembered;
mod statement;

use std::sync::OnceLock;

use checker_iam::Layers;
use checker_iam::proof::{
    Ability, Account, Answer as Proof, Asker, Guarded, Limits, Question, Witness, can,
    nobody_can_as,
};
use checker_iam::reach::{Estate, Reached, Route, reach};

pub use self::caller::{Reading, readable};
pub use self::drawing::mermaid;
pub use self::opinion::questions as second_opinions;
use self::people::{Caller, People};
pub use self::remembered::remember;
use self::remembered::{Key, Remembered};
pub use self::statement::{Requests, Statement};
use crate::control::{AccessRule, Claim, Iam};
use crate::expression::Bindings;
use crate::observation::{Facts, Observation, Unseen};
use crate::run::{Finding, ReachPath, ReachStep, Target};
use crate::shared::Shared;
use crate::verdict::Verdict;

/// What a statement comes to for one principal.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// ARN of the principal, or of the policy that it stands for; `principals` where there is none.
    pub principal: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    pub because: Vec<String>,
    /// Requests that are allowed, or may be.
    pub requests: Vec<Witness>,
    /// The way to what must not be reached; a single step where the principal needs nobody else.
    pub path: Option<Vec<ReachStep>>,
}

/// The questions behind the access rules of a check.
pub(crate) fn questions(iam: &Iam, bindings: &Bindings, facts: &Facts) -> Vec<Observation> {
    iam.rules
        .iter()
        .flat_map(|rule| Statement::of(rule.claim, &rule.access, bindings).questions(facts))
        .collect()
}

impl Statement {
    /// The questions that have to be asked before it can be judged; more may follow once these are answered.
    pub fn questions(&self, facts: &Facts) -> Vec<Observation> {
        let mut questions = vec![Observation::Authorization];
        for requests in self.all() {
            questions.extend(match self.claim {
                Claim::NobodyCan | Claim::Can => estate::questions(requests, facts),
                Claim::CannotReach => estate::questions_of_reach(requests, facts),
            });
        }
        questions
    }
}

/// Everyone in the account, ready for proofs.
#[derive(Debug)]
pub struct Everyone {
    people: People,
    /// Of the facts that it was put together from, once something was proved.
    remembered: OnceLock<Option<Remembered>>,
}

impl Everyone {
    /// Puts everyone together from the facts, or says why that is not possible.
    pub fn new(facts: &Facts) -> Result<Self, Unseen> {
        Ok(Self {
            people: People::new(facts)?,
            remembered: OnceLock::new(),
        })
    }

    /// All findings of one access check, and the paths behind those that fail.
    pub(crate) fn judge(
        &self,
        control: &str,
        iam: &Iam,
        bindings: &Bindings,
        facts: &Facts,
        target: Target,
    ) -> (Vec<Finding>, Vec<ReachPath>) {
        let (mut findings, mut paths) = (Vec::new(), Vec::new());
        for rule in &iam.rules {
            let statement = Statement::of(rule.claim, &rule.access, bindings);
            let mut judged = self.prove(&statement, facts, target);
            let opinions = opinion::weigh(self, &statement, facts, &mut judged);
            for (judged, opinions) in judged.into_iter().zip(opinions) {
                if judged.verdict == Verdict::Fail
                    && let Some(steps) = &judged.path
                {
                    paths.push(ReachPath {
                        rule: format!("{control}.{}", rule.id),
                        from: judged.principal.clone(),
                        to: steps.last().map(|step| step.to.clone()).unwrap_or_default(),
                        steps: steps.clone(),
                    });
                }
                findings.push(self.finding(rule, bindings, judged, opinions));
            }
        }
        (findings, paths)
    }

    /// Judges a statement, principal by principal.
    pub fn prove(&self, statement: &Statement, facts: &Facts, target: Target) -> Vec<Judged> {
        self.prove_with(statement, facts, target, &[])
    }

    /// The caller of that name or ARN, and the layers that meet in its requests for one resource.
    pub fn layers(
        &self,
        name: &str,
        requests: &Requests,
        facts: &Facts,
    ) -> Result<(Asker, Layers), String> {
        let names = [name.to_owned()];
        let caller = self
            .people
            .callers
            .iter()
            .chain(&self.people.holders)
            .find(|caller| caller.is_one_of(&names))
            .ok_or_else(|| format!("there is no principal {name}"))?;
        let asker = caller.asker.clone()?;
        let mut guarded = estate::guarded(requests, facts)?;
        if requests.touches("sts") {
            guarded.extend(self.people.roles.iter().cloned());
        }
        let own = guarded
            .into_iter()
            .find(|guarded| requests.resources.contains(&guarded.arn));
        let (policy, grants) = own.map_or((None, Vec::new()), |own| (own.policy, own.grants));
        let layers = asker.layers(policy, grants, Vec::new());
        Ok((asker, layers))
    }

    /// The same as [`Self::prove`], with the policies of further resources.
    pub fn prove_with(
        &self,
        statement: &Statement,
        facts: &Facts,
        target: Target,
        given: &[Guarded],
    ) -> Vec<Judged> {
        let undecided = |reason: String| {
            vec![Judged {
                principal: "principals".to_owned(),
                verdict: Verdict::Inconclusive,
                because: vec![reason],
                requests: Vec::new(),
                path: None,
            }]
        };
        let chosen = self.chosen(statement);
        if chosen.is_empty() {
            return undecided("the statement speaks of no principal that exists".to_owned());
        }
        let judged = match self.judged(statement, facts, given, chosen) {
            Ok(judged) => judged,
            Err(reason) => return undecided(reason),
        };
        judged
            .into_iter()
            .map(|(caller, mut judged)| {
                let open = judged.verdict == Verdict::Fail
                    && statement.scp_may_deny
                    && target == Target::Aws
                    && !self.people.controlled
                    && caller
                        .asker
                        .as_ref()
                        .is_ok_and(|asker| !asker.principal.is_service_linked_role());
                if open {
                    judged.verdict = Verdict::Inconclusive;
                    judged.because.push(
                        "needs organisation evidence: a service control policy may deny it; hand the documents in with --scp DIR"
                            .to_owned(),
                    );
                }
                judged
            })
            .collect()
    }

    /// What it comes to for each of them; what is remembered of all of them needs no preparing.
    fn judged<'a>(
        &self,
        statement: &Statement,
        facts: &Facts,
        given: &[Guarded],
        chosen: Vec<&'a Caller>,
    ) -> Result<Vec<(&'a Caller, Judged)>, String> {
        let remembered = self.remembered.get_or_init(|| Remembered::new(facts));
        let remembered = remembered.as_ref().filter(|_| given.is_empty());
        let key = |caller: &Caller| remembered?.key(statement, &caller.arn);
        let known: Option<Vec<(&Caller, Judged)>> = chosen
            .iter()
            .map(|caller| Some((*caller, key(caller)?.found()?)))
            .collect();
        if let Some(known) = known {
            return Ok(known);
        }
        let prepared = self.prepared(statement, facts, given)?;
        let one = |caller: &'a Caller| {
            let key = key(caller);
            let judged = key.as_ref().and_then(Key::found).unwrap_or_else(|| {
                let judged = prepared.judge(caller);
                if let Some(key) = &key {
                    key.keep(&judged);
                }
                judged
            });
            (caller, judged)
        };
        Ok(chosen.into_iter().map(one).collect())
    }

    fn chosen(&self, statement: &Statement) -> Vec<&Caller> {
        let everybody = statement.principals.is_none();
        let wanted = statement.principals.as_deref().unwrap_or_default();
        let callers = self
            .people
            .callers
            .iter()
            .filter(|caller| everybody || caller.is_one_of(wanted));
        let holders = self
            .people
            .holders
            .iter()
            .filter(|holder| wanted.contains(&holder.name));
        callers
            .chain(holders)
            .filter(|caller| !caller.is_one_of(&statement.except))
            .collect()
    }

    fn prepared(
        &self,
        statement: &Statement,
        facts: &Facts,
        given: &[Guarded],
    ) -> Result<Prepared, String> {
        let mut account = Account {
            guarded: given.to_vec(),
            ..Account::default()
        };
        let mut gaps = Vec::new();
        let add = |account: &mut Account, more: Vec<Guarded>| {
            for guarded in more {
                if !account.guarded.iter().any(|known| known.arn == guarded.arn) {
                    account.guarded.push(guarded);
                }
            }
        };
        for requests in statement.all() {
            if requests.touches("sts") || statement.claim == Claim::CannotReach {
                gaps.extend(self.people.gaps.iter().cloned());
                add(&mut account, self.people.roles.clone());
            }
            add(
                &mut account,
                match statement.claim {
                    Claim::NobodyCan | Claim::Can => estate::guarded(requests, facts)?,
                    Claim::CannotReach => estate::guarded_on_the_way(requests, facts)?,
                },
            );
        }
        if let Some(gap) = gaps.first() {
            return Err(gap.clone());
        }
        let askers = || {
            self.people
                .callers
                .iter()
                .map(|caller| {
                    caller
                        .asker
                        .clone()
                        .map_err(|reason| format!("{}: {reason}", caller.arn))
                })
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(match statement.claim {
            Claim::NobodyCan | Claim::Can => Prepared::Statement {
                claim: statement.claim,
                requests: statement
                    .all()
                    .map(|requests| Ok((requests.clone(), estate::resolved(requests, facts)?)))
                    .collect::<Result<_, String>>()?,
                account,
            },
            Claim::CannotReach => Prepared::Reach {
                goal: estate::goal(&statement.requests, facts)?,
                estate: Box::new(Estate {
                    account: Account {
                        askers: askers()?,
                        ..account
                    },
                    carriers: estate::carriers(facts)?,
                    surveyed: ["lambda".to_owned()].into(),
                    held: self.people.held.clone(),
                }),
            },
        })
    }

    fn finding(
        &self,
        rule: &AccessRule,
        bindings: &Bindings,
        judged: Judged,
        opinions: Vec<Shared>,
    ) -> Finding {
        let mut evidence = self.people.evidence.clone();
        evidence.extend(opinions);
        Finding::new(
            (&rule.id, &rule.source.to_string()),
            judged.principal,
            judged.verdict,
            rule.says.render(bindings),
            judged.because,
        )
        .resting_on(evidence)
    }
}

/// A statement with all that it needs, ready for one principal after the other.
enum Prepared {
    Statement {
        claim: Claim,
        /// The requests, and the questions that they come to.
        requests: Vec<(Requests, Question)>,
        account: Account,
    },
    Reach {
        goal: checker_iam::reach::Goal,
        estate: Box<Estate>,
    },
}

impl Prepared {
    fn judge(&self, caller: &Caller) -> Judged {
        let asker = match &caller.asker {
            Ok(asker) => asker,
            Err(reason) => return undecided(caller, vec![reason.clone()], Vec::new()),
        };
        match self {
            Self::Statement {
                claim,
                requests,
                account,
            } => match claim {
                Claim::Can => able(caller, asker, requests, account),
                Claim::NobodyCan | Claim::CannotReach => unable(caller, asker, requests, account),
            },
            Self::Reach { goal, estate } => {
                if goal.alternatives.is_empty() {
                    return undecided(
                        caller,
                        vec!["the statement is about nothing that exists".to_owned()],
                        Vec::new(),
                    );
                }
                match reach(estate, asker.principal.as_str(), goal, Limits::default()) {
                    Ok(Reached::Nowhere { closure }) => {
                        let others = closure.len().saturating_sub(1);
                        judged(
                            caller,
                            Verdict::Pass,
                            vec![format!(
                                "proved over all requests of it and of the {others} that it can become"
                            )],
                            Vec::new(),
                        )
                    }
                    Ok(Reached::Yes(route)) => Judged {
                        path: Some(steps(&route)),
                        ..judged(caller, Verdict::Fail, route.words(), route.requests)
                    },
                    Ok(Reached::Possibly(route)) => Judged {
                        path: Some(steps(&route)),
                        ..undecided(caller, route.words(), route.requests)
                    },
                    Ok(Reached::Unknown { because }) => {
                        undecided(caller, vec![because], Vec::new())
                    }
                    Err(error) => undecided(caller, vec![error.to_string()], Vec::new()),
                }
            }
        }
    }
}

fn judged(
    caller: &Caller,
    verdict: Verdict,
    because: Vec<String>,
    requests: Vec<Witness>,
) -> Judged {
    Judged {
        principal: caller.arn.clone(),
        verdict,
        because,
        requests,
        path: None,
    }
}

fn undecided(caller: &Caller, because: Vec<String>, requests: Vec<Witness>) -> Judged {
    judged(caller, Verdict::Inconclusive, because, requests)
}

/// The caller can do none of the requests, or not all of those that count together.
fn unable(
    caller: &Caller,
    asker: &Asker,
    requests: &[(Requests, Question)],
    account: &Account,
) -> Judged {
    let (mut reasons, mut witnesses) = (Vec::new(), Vec::new());
    let mut certain = true;
    for (requests, question) in requests {
        let asker = match requests.conditioned(asker) {
            Ok(asker) => asker,
            Err(reason) => return undecided(caller, vec![reason], Vec::new()),
        };
        match nobody_can_as(account, &asker, question, Limits::default()) {
            Ok(Proof::Proved) => {
                let why = vec!["proved over all requests".to_owned()];
                return judged(caller, Verdict::Pass, why, Vec::new());
            }
            Ok(Proof::Counterexample(witness)) => {
                reasons.push(told("allowed", &witness));
                witnesses.push(witness);
            }
            Ok(Proof::Possible { because, witness }) => {
                certain = false;
                reasons.push(told("may be allowed", &witness));
                reasons.extend(because);
                witnesses.push(witness);
            }
            Ok(Proof::Unknown { because }) => {
                certain = false;
                reasons.push(because);
            }
            Err(error) => {
                certain = false;
                reasons.push(error.to_string());
            }
        }
    }
    if !certain {
        return undecided(caller, reasons, witnesses);
    }
    let path = witnesses
        .iter()
        .map(|witness| ReachStep {
            from: witness.principal.clone(),
            by: witness.action.clone(),
            to: witness.resource.clone(),
        })
        .collect();
    Judged {
        path: Some(path),
        ..judged(caller, Verdict::Fail, reasons, witnesses)
    }
}

/// The caller can do something of every action on every resource.
fn able(
    caller: &Caller,
    asker: &Asker,
    requests: &[(Requests, Question)],
    account: &Account,
) -> Judged {
    let mut shown = Vec::new();
    for (requests, question) in requests {
        let asker = match requests.conditioned(asker) {
            Ok(asker) => asker,
            Err(reason) => return undecided(caller, vec![reason], Vec::new()),
        };
        match can(account, &asker, question, Limits::default()) {
            Ok(Ability::Shown(witnesses)) => shown.extend(witnesses),
            Ok(Ability::Refuted { action, resource }) => {
                let why = vec![format!("no request for {action} on {resource} is allowed")];
                return judged(caller, Verdict::Fail, why, Vec::new());
            }
            Ok(Ability::Possible { because, witness }) => {
                let mut reasons = vec![told("may be allowed", &witness)];
                reasons.extend(because);
                return undecided(caller, reasons, vec![witness]);
            }
            Ok(Ability::Unknown { because }) => {
                return undecided(caller, vec![because], Vec::new());
            }
            Err(error) => return undecided(caller, vec![error.to_string()], Vec::new()),
        }
    }
    let why = shown.iter().take(3);
    let why = why.map(|witness| told("allowed", witness)).collect();
    judged(caller, Verdict::Pass, why, shown)
}

/// The steps of a route, and the requests at its end as the last one.
fn steps(route: &Route) -> Vec<ReachStep> {
    let mut steps: Vec<ReachStep> = route
        .steps
        .iter()
        .map(|step| ReachStep {
            from: step.from.clone(),
            by: step.with.clone(),
            to: step.to.clone(),
        })
        .collect();
    let actions: Vec<&str> = route
        .requests
        .iter()
        .map(|request| request.action.as_str())
        .collect();
    steps.push(ReachStep {
        from: route.reader.clone(),
        by: actions.join(" + "),
        to: route
            .requests
            .first()
            .map(|request| request.resource.clone())
            .unwrap_or_default(),
    });
    steps
}

/// A request in words.
fn told(word: &str, witness: &Witness) -> String {
    let mut text = format!("{word}: {} on {}", witness.action, witness.resource);
    // The caller's own tags are given, not part of what makes the request possible.
    let conditions: Vec<_> = witness
        .context
        .iter()
        .filter(|(key, _)| !key.starts_with("aws:principaltag/"))
        .collect();
    if !conditions.is_empty() {
        let context: Vec<String> = conditions
            .iter()
            .map(|(key, values)| format!("{key}={}", values.join("|")))
            .collect();
        text.push_str(" with ");
        text.push_str(&context.join(", "));
    }
    text
}
