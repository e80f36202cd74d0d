//! The second opinion: AWS's own simulator, asked for a few of the requests that statements speak of.
//!
//! In: statements and what they came to. Out: questions, and once they are answered what the answers mean. Agreement
//! is evidence. Disagreement makes the finding Inconclusive, with both explanations. What the simulator is documented not
//! to see is not asked, or not counted: resource policies of roles' requests, trust policies, key policies, context that
//! was not given, and organisation policies that nobody handed to us. Source: IAM user guide, "Testing IAM policies with
//! the IAM policy simulator".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use checker_iam::proof::{Asker, Witness};
use checker_iam::{
    Action, Context, Decision, Layer, Request, Resource, Verdict as Decided, decide,
};

use super::{Everyone, Judged, Statement};
use crate::control::{Catalog, Check, Claim};
use crate::judge::common;
use crate::observation::answer::Simulation;
use crate::observation::{Answer, Facts, Observation, Simulated};
use crate::population::{Setting, fits};
use crate::run::Target;
use crate::shared::Shared;
use crate::verdict::Verdict;

/// How many requests are put to the simulator in one run.
const CALLS: usize = 12;

/// Requests that are worth a second opinion, once everything else has been asked.
pub fn questions(catalog: &Catalog, facts: &Facts, setting: &Setting) -> BTreeSet<Observation> {
    let Ok(everyone) = Everyone::new(facts) else {
        return BTreeSet::new();
    };
    crate::expression::with_deep_stack(|| {
        let mut asked = BTreeSet::new();
        for control in &catalog.controls {
            for check in &control.checks {
                let Check::Iam(iam) = check else { continue };
                let bindings = common(control, setting);
                for rule in &iam.rules {
                    let statement = Statement::of(rule.claim, &rule.access, &bindings);
                    let judged = everyone.prove(&statement, facts, Target::Aws);
                    asked.extend(samples(&statement, &judged, setting, facts));
                }
            }
        }
        asked
            .into_iter()
            .take(CALLS)
            .map(Observation::Simulation)
            .collect()
    })
}

/// One failed and one passed finding of a statement, each as a request.
fn samples(
    statement: &Statement,
    judged: &[Judged],
    setting: &Setting,
    facts: &Facts,
) -> Vec<Simulated> {
    if statement.claim == Claim::CannotReach
        || statement.together_with.is_some()
        || !statement.requests.when.is_empty()
    {
        return Vec::new();
    }
    let of = |verdict: Verdict| judged.iter().find(|judged| judged.verdict == verdict);
    let shown = [Verdict::Fail, Verdict::Pass]
        .into_iter()
        .filter_map(of)
        .filter_map(|judged| match judged.requests.first() {
            Some(witness) => Some(simulated(&judged.principal, witness)),
            None => Some(Simulated {
                principal: judged.principal.clone(),
                action: statement
                    .requests
                    .actions
                    .iter()
                    .find_map(|action| known(action))?,
                resource: example(statement.requests.resources.first()?, setting),
                context: BTreeMap::new(),
            }),
        });
    shown
        .filter(|asked| asked.principal.contains(":role/") || asked.principal.contains(":user/"))
        .filter(|asked| is_seen_by_simulator(asked, facts))
        .collect()
}

fn simulated(principal: &str, witness: &Witness) -> Simulated {
    Simulated {
        principal: principal.to_owned(),
        action: witness.action.clone(),
        resource: witness.resource.clone(),
        context: witness
            .context
            .iter()
            .filter(|(key, _)| !key.starts_with("aws:principaltag/"))
            .map(|(key, values)| (key.clone(), values.clone()))
            .collect(),
    }
}

/// An exact action; the newest ones are left out, which the simulator may not know.
fn known(action: &str) -> Option<String> {
    (!action.contains(['*', '?']) && !action.contains("CrossAccountReplica"))
        .then(|| action.to_owned())
}

/// A resource of the pattern, in the region of the run.
fn example(pattern: &str, setting: &Setting) -> String {
    if pattern == "*" {
        return pattern.to_owned();
    }
    let segments: Vec<String> = pattern
        .splitn(6, ':')
        .enumerate()
        .map(|(at, segment)| match (at, segment) {
            (1, "*") => "aws".to_owned(),
            (3, "*") => setting.region.clone(),
            (4, "*") => setting.account.clone(),
            _ => segment.replace('*', "x").replace('?', "a"),
        })
        .collect();
    segments.join(":")
}

/// Whether the simulator's answer would count: the resource must have no policy of its own.
fn is_seen_by_simulator(asked: &Simulated, facts: &Facts) -> bool {
    let service = asked.action.split(':').next().unwrap_or_default();
    if matches!(service, "kms" | "sts" | "lambda") {
        return false;
    }
    match facts.get(&Observation::SecretPolicy(asked.resource.clone())) {
        Ok(Answer::SecretPolicy(policy)) => policy.is_none(),
        Ok(_) | Err(_) => true,
    }
}

/// Weighs the simulator's answers: changes verdicts and reasons, and returns the digests of the evidence of each.
pub(super) fn weigh(
    everyone: &Everyone,
    statement: &Statement,
    facts: &Facts,
    judged: &mut [Judged],
) -> Vec<Vec<Shared>> {
    let opinions: Vec<(&Simulated, &Simulation, &str)> = facts
        .records()
        .filter_map(|record| {
            let Observation::Simulation(asked) = &record.observed.observation else {
                return None;
            };
            let Ok(Answer::Simulation(said)) = facts.get(&record.observed.observation) else {
                return None;
            };
            Some((asked, said, record.digest.as_str()))
        })
        .collect();
    judged
        .iter_mut()
        .map(|judged| {
            let mut evidence = Vec::new();
            for (asked, said, digest) in &opinions {
                if asked.principal == judged.principal
                    && is_about(statement, asked)
                    && let Some(agrees) = everyone.weighed(asked, said)
                {
                    evidence.push(Shared::from(*digest));
                    match agrees {
                        Ok(text) => judged.because.push(text),
                        Err(text) => {
                            judged.verdict = Verdict::Inconclusive;
                            judged.because.push(text);
                        }
                    }
                }
            }
            evidence
        })
        .collect()
}

fn is_about(statement: &Statement, asked: &Simulated) -> bool {
    let requests = &statement.requests;
    let lower = asked.action.to_ascii_lowercase();
    statement.claim != Claim::CannotReach
        && requests.when.is_empty()
        && statement.together_with.is_none()
        && requests
            .actions
            .iter()
            .any(|action| fits(&action.to_ascii_lowercase(), &lower))
        && requests
            .resources
            .iter()
            .any(|pattern| pattern == "*" || fits(pattern, &asked.resource))
}

impl Everyone {
    /// Whether the simulator agrees with our own decision of the same request; `None` where its answer does not count.
    fn weighed(&self, asked: &Simulated, said: &Simulation) -> Option<Result<String, String>> {
        let caller = self
            .people
            .callers
            .iter()
            .find(|caller| caller.arn == asked.principal)?;
        let own = decided(caller.asker.as_ref().ok()?, asked)?;
        if !said.missing_context.is_empty() || !own.missing_context.is_empty() {
            return None;
        }
        // It does not evaluate control policies that name global keys, and shows those of the organisation, not ours.
        let by_control = matches!(own.by.layer, Layer::Scp(_));
        if by_control || (said.allowed_by_organisation == Some(false) && !self.people.controlled) {
            return None;
        }
        let expected = match own.verdict {
            Decided::Allowed => "allowed",
            Decided::ImplicitDeny => "implicitDeny",
            Decided::ExplicitDeny => "explicitDeny",
        };
        let request = format!("{} on {}", asked.action, asked.resource);
        // The simulator may give a bare implicit denial where a control policy denies explicitly.
        let same = said.decision == expected
            || (said.decision != "allowed" && own.verdict != Decided::Allowed);
        Some(if same {
            Ok(format!(
                "AWS's simulator agrees: {} for {request}",
                said.decision
            ))
        } else {
            let by = own
                .by
                .statement
                .as_ref()
                .map(|statement| {
                    format!(
                        " (statement {} of {})",
                        statement.statement, statement.policy_name
                    )
                })
                .unwrap_or_default();
            Err(format!(
                "AWS's simulator disagrees about {request}: it says {}, by {}; we say {expected}, by {}{by}",
                said.decision,
                if said.matched.is_empty() {
                    "no statement".to_owned()
                } else {
                    said.matched.join(", ")
                },
                own.by.layer,
            ))
        })
    }
}

/// Our own decision of the request, over what the simulator sees.
fn decided(asker: &Asker, asked: &Simulated) -> Option<Decision> {
    let mut context = Context::new();
    for (key, values) in &asked.context {
        context.set(key, values.iter().cloned());
    }
    for (key, values) in asker.context.iter() {
        if !context.has(key) {
            context.set(key, values.iter().cloned());
        }
    }
    let request = Request::new(
        Arc::clone(&asker.principal),
        Action::new(&asked.action).ok()?,
        Resource::new(&asked.resource),
    )
    .in_context(context);
    Some(decide(
        &request,
        &asker.layers(None, Vec::new(), Vec::new()),
    ))
}
