//! What was proved before, for whoever judges many accounts that differ in one thing.
//!
//! In: the facts, a statement and a principal. Out: what the same statement came to for the same principal among the
//! same resources. A proof depends on nothing but the statement and the facts that make up the [`Key`]: a fact with any
//! other content is another key. Nothing is remembered unless somebody says so: one run asks each question once.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Judged, Statement};
use crate::control::Claim;
use crate::observation::{Answer, Facts, Observation, Outcome};

/// How much is remembered; beyond that it begins anew.
const LIMIT: usize = 100_000;

type Sum = [u8; 32];

static PROVED: OnceLock<Mutex<BTreeMap<Sum, Judged>>> = OnceLock::new();

/// From now on proofs are remembered, as long as the process lives.
pub fn remember() {
    PROVED.get_or_init(Mutex::default);
}

/// The facts that proofs depend on, as digests.
#[derive(Debug)]
pub(super) struct Remembered {
    /// Everything but what one principal has for itself.
    common: Sum,
    /// Every principal, for statements about whom one can become.
    all: Sum,
    /// What each principal has for itself, by ARN.
    own: BTreeMap<String, Sum>,
}

/// Says which proof it is.
pub(super) struct Key(Sum);

impl Remembered {
    /// Digests the facts; nothing where nothing is to be remembered.
    pub(super) fn new(facts: &Facts) -> Option<Self> {
        PROVED.get()?;
        let Ok(Answer::Authorization(authorization)) = facts.get(&Observation::Authorization)
        else {
            return None;
        };
        let mut own = BTreeMap::new();
        let mut trusts = Vec::new();
        for principal in &authorization.principals {
            own.insert(principal.arn.clone(), sum(principal)?);
            trusts.push((&principal.arn, &principal.trust));
        }
        let shared = (&authorization.groups, &authorization.policies);
        let resources = facts
            .records()
            .map(|record| (&record.observed.observation, &record.observed.outcome))
            .filter(|(question, _)| is_of_a_resource(question))
            .map(|(question, outcome)| sum(&(question, said(outcome)?)))
            .collect::<Option<Vec<_>>>()?;
        Some(Self {
            common: sum(&(shared, trusts, resources))?,
            all: sum(authorization)?,
            own,
        })
    }

    /// The proof of a statement for a principal; nothing for one that is not in the list of principals.
    pub(super) fn key(&self, statement: &Statement, arn: &str) -> Option<Key> {
        let everybody = (statement.claim == Claim::CannotReach).then_some(self.all);
        let text = format!("{statement:?}");
        let own = self.own.get(arn)?;
        Some(Key(sum(&(self.common, everybody, text, arn, own))?))
    }
}

impl Key {
    /// What it came to before.
    pub(super) fn found(&self) -> Option<Judged> {
        let proved = PROVED.get()?.lock();
        let proved = proved.unwrap_or_else(PoisonError::into_inner);
        proved.get(&self.0).cloned()
    }

    /// Remembers what it came to.
    pub(super) fn keep(&self, judged: &Judged) {
        let Some(proved) = PROVED.get() else { return };
        let mut proved = proved.lock().unwrap_or_else(PoisonError::into_inner);
        if proved.len() >= LIMIT {
            proved.clear();
        }
        proved.insert(self.0, judged.clone());
    }
}

/// Questions whose answers the resources of a statement, their policies and keys come from.
fn is_of_a_resource(question: &Observation) -> bool {
    match question {
        Observation::ControlPolicies
        | Observation::Secrets
        | Observation::SecretPolicy(_)
        | Observation::Keys
        | Observation::KeyAliases
        | Observation::KeyPolicy(_)
        | Observation::KeyGrants(_)
        | Observation::FunctionEnvironments
        | Observation::FunctionPolicy(_) => true,
        Observation::Caller
        | Observation::Authorization
        | Observation::TaggedSecrets
        | Observation::Secret(_)
        | Observation::SecretVersions(_)
        | Observation::Key(_)
        | Observation::Function(_)
        | Observation::EventMatch { .. }
        | Observation::EventRule(_)
        | Observation::EventTargets(_)
        | Observation::FunctionFailureDestination(_)
        | Observation::LogGroup(_)
        | Observation::Parameter(_)
        | Observation::Queue(_)
        | Observation::RetentionPolicies
        | Observation::SubscriptionFilter(_)
        | Observation::TopicSubscriptions(_)
        | Observation::TrailLogging(_)
        | Observation::TrailSelectors(_)
        | Observation::Trails
        | Observation::ModuleResources
        | Observation::Parameters
        | Observation::Schedules
        | Observation::SecretCalls(_)
        | Observation::Program
        | Observation::Trace(_)
        | Observation::Simulation(_)
        | Observation::Plan => false,
    }
}

/// What a proof can see of an answer: of a secret not when it was changed or rotated, of a function not its variables.
fn said(outcome: &Outcome) -> Option<Value> {
    match outcome {
        Outcome::Seen(Answer::Secrets(secrets)) => {
            let seen = secrets.iter().map(|secret| {
                json!([
                    secret.arn,
                    secret.kms_key_id,
                    secret.deleted.is_some(),
                    secret.owning_service,
                ])
            });
            Some(seen.collect())
        }
        Outcome::Seen(Answer::FunctionEnvironments(functions)) => {
            let seen = functions
                .iter()
                .map(|function| json!([function.arn, function.role_arn]));
            Some(seen.collect())
        }
        Outcome::Seen(_) | Outcome::Unseen(_) => serde_json::to_value(outcome).ok(),
    }
}

fn sum(value: &impl Serialize) -> Option<Sum> {
    let text = serde_json::to_vec(value).ok()?;
    Some(Sha256::digest(&text).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::authorization::{Authorization, Principal};
    use crate::observation::{Observed, Origin};

    /// Everything that a proof reads makes another key; what another principal has for itself does not.
    #[test]
    fn other_facts_have_other_keys() {
        remember();
        let policy = |action: &str| {
            let text = format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"*"}}]}}"#
            );
            BTreeMap::from([("p".to_owned(), text)])
        };
        let facts = |one: &str, other: &str, trust: &str, key: &str| {
            let principal = |name: &str, action: &str| Principal {
                arn: format!("arn:aws:iam::111122223333:role/{name}"),
                name: name.to_owned(),
                trust: Some(trust.to_owned()),
                inline: policy(action),
                ..Principal::default()
            };
            let authorization = Authorization {
                principals: vec![principal("one", one), principal("other", other)],
                ..Authorization::default()
            };
            let mut facts = Facts::default();
            let mut tell = |observation, answer| {
                facts.insert(Observed {
                    observation,
                    origin: Origin::default(),
                    outcome: Outcome::Seen(answer),
                });
            };
            tell(
                Observation::Authorization,
                Answer::Authorization(authorization),
            );
            let question = Observation::KeyPolicy("k".to_owned());
            tell(question, Answer::KeyPolicy(Some(key.to_owned())));
            facts
        };
        let statement = |claim| Statement {
            claim,
            principals: None,
            except: Vec::new(),
            requests: super::super::Requests::default(),
            together_with: None,
            scp_may_deny: false,
        };
        let key = |facts: &Facts, claim| {
            let arn = "arn:aws:iam::111122223333:role/one";
            let remembered = Remembered::new(facts)?;
            remembered
                .key(&statement(claim), arn)
                .map(|Key(digest)| digest)
        };
        let before = facts("kms:Decrypt", "kms:Sign", "t", "k");
        for claim in [Claim::NobodyCan, Claim::Can, Claim::CannotReach] {
            let known = key(&before, claim);
            assert!(known.is_some());
            for changed in [
                facts("kms:Sign", "kms:Sign", "t", "k"),
                facts("kms:Decrypt", "kms:Sign", "u", "k"),
                facts("kms:Decrypt", "kms:Sign", "t", "l"),
            ] {
                assert_ne!(known, key(&changed, claim));
            }
            let other = facts("kms:Decrypt", "kms:Verify", "t", "k");
            assert_eq!(known == key(&other, claim), claim != Claim::CannotReach);
        }
        assert_ne!(
            key(&before, Claim::NobodyCan),
            key(&before, Claim::CannotReach)
        );
    }
}
