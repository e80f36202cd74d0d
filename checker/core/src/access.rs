//! Statements about who may do what, proved over every principal of the account.
//!
//! In: the account's principals with their policies and boundaries, the resource policies of secrets, and a rule.
//! Out: a finding for each principal that the rule speaks of. `Proved` passes; a concrete request that the
//! decision engine allows fails; what stays possible or unknown is Inconclusive, never Pass.
//!
//! Not seen here: service control policies (they can only take away), session policies of federated users, and
//! the account's root user.

use std::collections::BTreeMap;
use std::sync::Arc;

use checker_iam::proof::{
    Ability, Account, Answer as Proof, Asker, Guarded, Limits, Question, Witness, can,
    nobody_can_as,
};
use checker_iam::{Context, Policy, PolicyKind, PolicySet, Principal};

use crate::control::{AccessRule, Claim, Iam};
use crate::expression::{Bindings, Template};
use crate::observation::authorization::{self, Authorization};
use crate::observation::{Answer, Facts, Observation, Unseen};
use crate::population::fits;
use crate::run::Finding;
use crate::verdict::Verdict;

/// Everyone in the account, ready for proofs.
pub(crate) struct Everyone {
    account: Account,
    /// Callers by ARN; those whose policies could not be read carry the reason.
    callers: Vec<Caller>,
    evidence: Vec<String>,
}

struct Caller {
    arn: String,
    name: String,
    asker: Result<Asker, String>,
}

/// The questions behind access rules: the principals, and the policies of the secrets that a rule speaks of.
pub(crate) fn questions(iam: &Iam, bindings: &Bindings, facts: &Facts) -> Vec<Observation> {
    let mut questions = vec![Observation::Authorization];
    for rule in &iam.rules {
        let question = question(rule, bindings);
        if touches_secrets(&question) {
            questions.push(Observation::Secrets);
            questions.extend(
                secrets(&question, facts)
                    .into_iter()
                    .map(Observation::SecretPolicy),
            );
        }
    }
    questions
}

/// The requests that a rule speaks of.
fn question(rule: &AccessRule, bindings: &Bindings) -> Question {
    Question {
        actions: texts(&rule.access.actions, bindings),
        resources: texts(&rule.access.resources, bindings),
        except_resources: texts(&rule.access.outside, bindings),
    }
}

fn texts(templates: &[Template], bindings: &Bindings) -> Vec<String> {
    templates
        .iter()
        .flat_map(|template| template.expand(bindings))
        .collect()
}

fn touches_secrets(question: &Question) -> bool {
    question
        .actions
        .iter()
        .any(|action| action.starts_with('*') || action.starts_with("secretsmanager:"))
}

/// ARNs of the secrets that a question is about. An AWS service's own secrets are left to it.
fn secrets(question: &Question, facts: &Facts) -> Vec<String> {
    let any = |patterns: &[String], arn: &str| patterns.iter().any(|pattern| fits(pattern, arn));
    match facts.get(&Observation::Secrets) {
        Ok(Answer::Secrets(listed)) => listed
            .iter()
            .filter(|secret| secret.deleted.is_none() && secret.owning_service.is_none())
            .map(|secret| secret.arn.clone())
            .filter(|arn| any(&question.resources, arn) && !any(&question.except_resources, arn))
            .collect(),
        Ok(_) | Err(_) => Vec::new(),
    }
}

impl Everyone {
    /// Puts everyone together from the facts, or says why that is not possible.
    pub(crate) fn new(facts: &Facts) -> Result<Self, Unseen> {
        let Answer::Authorization(all) = facts.get(&Observation::Authorization)? else {
            return Err(Unseen {
                operation: Observation::Authorization.operation().to_owned(),
                code: "WrongAnswer".to_owned(),
                advice: "the recorded answer belongs to another question".to_owned(),
            });
        };
        let library = Library::new(all);
        let callers: Vec<Caller> = all
            .principals
            .iter()
            .map(|principal| Caller {
                arn: principal.arn.clone(),
                name: principal.name.clone(),
                asker: library.asker(principal),
            })
            .collect();
        Ok(Self {
            account: Account {
                askers: callers
                    .iter()
                    .filter_map(|caller| caller.asker.as_ref().ok().cloned())
                    .collect(),
                guarded: Vec::new(),
                rcps: Vec::new(),
            },
            callers,
            evidence: facts
                .digest(&Observation::Authorization)
                .map(str::to_owned)
                .into_iter()
                .collect(),
        })
    }

    /// With the resource policies of the secrets in question, or the first reason why one is not known.
    fn with_secret_policies(&self, question: &Question, facts: &Facts) -> Result<Account, String> {
        let mut account = self.account.clone();
        if !touches_secrets(question) {
            return Ok(account);
        }
        facts
            .get(&Observation::Secrets)
            .map_err(|unseen| unseen.to_string())?;
        for arn in secrets(question, facts) {
            let asked = Observation::SecretPolicy(arn.clone());
            let text = match facts.get(&asked) {
                Ok(Answer::SecretPolicy(text)) => text,
                Ok(_) => return Err(format!("the recorded policy of {arn} is no policy")),
                Err(unseen) => return Err(format!("{arn}: {unseen}")),
            };
            if let Some(text) = text {
                let policy = Policy::parse(text, PolicyKind::Resource)
                    .map_err(|error| format!("the resource policy of {arn}: {error}"))?;
                account.guarded.push(Guarded {
                    arn,
                    policy: Some(PolicySet::new(vec![policy])),
                    grants: Vec::new(),
                });
            }
        }
        Ok(account)
    }

    /// All findings of one access check.
    pub(crate) fn judge(&self, iam: &Iam, bindings: &Bindings, facts: &Facts) -> Vec<Finding> {
        iam.rules
            .iter()
            .flat_map(|rule| self.rule(rule, bindings, facts))
            .collect()
    }

    fn rule(&self, rule: &AccessRule, bindings: &Bindings, facts: &Facts) -> Vec<Finding> {
        let inconclusive = |reason: String| {
            let because = vec![reason];
            vec![self.finding(rule, bindings, "principals", Verdict::Inconclusive, because)]
        };
        let question = question(rule, bindings);
        let account = match self.with_secret_policies(&question, facts) {
            Ok(account) => account,
            Err(reason) => return inconclusive(reason),
        };
        let wanted = rule
            .access
            .principals
            .as_ref()
            .map(|wanted| texts(wanted, bindings));
        let except = texts(&rule.access.except, bindings);
        let chosen: Vec<&Caller> = self
            .callers
            .iter()
            .filter(|caller| {
                wanted
                    .as_ref()
                    .is_none_or(|wanted| caller.is_one_of(wanted))
            })
            .filter(|caller| !caller.is_one_of(&except))
            .collect();
        if chosen.is_empty() {
            return inconclusive("the statement speaks of no principal that exists".to_owned());
        }
        chosen
            .into_iter()
            .map(|caller| {
                let (verdict, because) = caller.verdict(rule.claim, &account, &question);
                self.finding(rule, bindings, &caller.arn, verdict, because)
            })
            .collect()
    }

    fn finding(
        &self,
        rule: &AccessRule,
        bindings: &Bindings,
        resource: &str,
        verdict: Verdict,
        because: Vec<String>,
    ) -> Finding {
        Finding {
            assertion: rule.id.clone(),
            resource: resource.to_owned(),
            verdict,
            says: rule.says.render(bindings),
            because,
            evidence: self.evidence.clone(),
            source: rule.source.to_string(),
            count: None,
            digest: None,
            waiver: None,
        }
    }
}

impl Caller {
    /// By name or ARN, exactly.
    fn is_one_of(&self, names: &[String]) -> bool {
        names
            .iter()
            .any(|name| *name == self.name || *name == self.arn || name == "*")
    }

    fn verdict(
        &self,
        claim: Claim,
        account: &Account,
        question: &Question,
    ) -> (Verdict, Vec<String>) {
        let asker = match &self.asker {
            Ok(asker) => asker,
            Err(reason) => return (Verdict::Inconclusive, vec![reason.clone()]),
        };
        match claim {
            Claim::NobodyCan => match nobody_can_as(account, asker, question, Limits::default()) {
                Ok(Proof::Proved) => (Verdict::Pass, vec!["proved over all requests".to_owned()]),
                Ok(Proof::Counterexample(witness)) => {
                    (Verdict::Fail, vec![told("allowed", &witness)])
                }
                Ok(Proof::Possible { because, witness }) => {
                    let mut reasons = vec![told("may be allowed", &witness)];
                    reasons.extend(because);
                    (Verdict::Inconclusive, reasons)
                }
                Ok(Proof::Unknown { because }) => (Verdict::Inconclusive, vec![because]),
                Err(error) => (Verdict::Inconclusive, vec![error.to_string()]),
            },
            Claim::Can => match can(account, asker, question, Limits::default()) {
                Ok(Ability::Shown(witnesses)) => (
                    Verdict::Pass,
                    witnesses
                        .iter()
                        .take(3)
                        .map(|witness| told("allowed", witness))
                        .collect(),
                ),
                Ok(Ability::Refuted { action, resource }) => (
                    Verdict::Fail,
                    vec![format!("no request for {action} on {resource} is allowed")],
                ),
                Ok(Ability::Possible { because, witness }) => {
                    let mut reasons = vec![told("may be allowed", &witness)];
                    reasons.extend(because);
                    (Verdict::Inconclusive, reasons)
                }
                Ok(Ability::Unknown { because }) => (Verdict::Inconclusive, vec![because]),
                Err(error) => (Verdict::Inconclusive, vec![error.to_string()]),
            },
        }
    }
}

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

/// Managed policies and groups, parsed once.
struct Library<'a> {
    managed: BTreeMap<&'a str, Result<Policy, String>>,
    groups: BTreeMap<&'a str, &'a authorization::Group>,
}

impl<'a> Library<'a> {
    fn new(all: &'a Authorization) -> Self {
        Self {
            managed: all
                .policies
                .iter()
                .map(|policy| {
                    let parsed = Policy::parse(&policy.document, PolicyKind::Identity)
                        .map_err(|error| format!("policy {}: {error}", policy.arn));
                    (policy.arn.as_str(), parsed)
                })
                .collect(),
            groups: all
                .groups
                .iter()
                .map(|group| (group.name.as_str(), group))
                .collect(),
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
            scps: Vec::new(),
        })
    }

    fn policies(
        &self,
        inline: &BTreeMap<String, String>,
        attached: &[String],
    ) -> Result<Vec<Policy>, String> {
        let inline = inline.iter().map(|(name, document)| {
            Policy::parse(document, PolicyKind::Identity)
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
