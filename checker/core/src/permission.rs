//! The least that a run must be allowed: from the questions that its controls ask and the calls of its probes.
//!
//! In: the catalogue, the facts of a run (whose questions are what must be allowed) and the plan of its probes. Out: the
//! identity policy. Questions that only some accounts provoke are added from what the rules read. Reading
//! is allowed on everything, since lists know no resource and what will be asked in detail isn't known beforehand;
//! parameters are the exception, because they hold what others put there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::control::{Catalog, Check};
use crate::judge::paths;
use crate::observation::{Facts, Observation};
use crate::population::{Noun, Reads, Setting};
use crate::probe::{Actor, Plan};

/// Whose policy it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// Whoever only reads.
    Reader,
    /// Whoever reads, and becomes the checker's role for the probes.
    Caller,
    /// The checker's role, which reads and carries out the probes itself.
    Checker,
}

/// Actions by the resource that they are allowed on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Allowed on everything.
    reads: BTreeSet<&'static str>,
    /// Allowed on one resource.
    exact: BTreeMap<String, BTreeSet<&'static str>>,
    region: String,
}

impl Permissions {
    /// What a run with these controls needs.
    pub fn of(
        catalog: &Catalog,
        facts: &Facts,
        setting: &Setting,
        plan: &Plan,
        holder: Holder,
    ) -> Self {
        let mut reads: BTreeSet<&'static str> = BTreeSet::new();
        let mut exact: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
        for record in facts.records() {
            let question = &record.observed.observation;
            match parameter(question, setting) {
                Some(arn) => exact.entry(arn).or_default().extend(actions(question)),
                None => reads.extend(actions(question)),
            }
        }
        if asks_for_versions(catalog) {
            reads.extend(actions(&Observation::SecretVersions(String::new())));
        }
        if catalog
            .controls
            .iter()
            .flat_map(|control| &control.checks)
            .any(|check| matches!(check, Check::Iam(_)))
        {
            // The second opinion on access rules, which only a live account is asked for.
            reads.insert("iam:SimulatePrincipalPolicy");
        }
        let actor = match holder {
            Holder::Reader => None,
            Holder::Caller => Some(Actor::Caller),
            Holder::Checker => Some(Actor::Checker),
        };
        for step in plan.steps() {
            if Some(&step.actor) == actor.as_ref() && !reads.contains(step.operation) {
                let resource = &step.resource;
                exact
                    .entry(resource.clone())
                    .or_default()
                    .insert(step.operation);
                if resource.contains(":log-group:") && !resource.ends_with('*') {
                    // Some actions on a log group name its streams.
                    exact
                        .entry(format!("{resource}:*"))
                        .or_default()
                        .insert(step.operation);
                }
            }
        }
        Self {
            reads,
            exact,
            region: setting.region.clone(),
        }
    }

    /// The text of the policy.
    pub fn to_policy(&self) -> String {
        // Resources that are allowed the same share a statement.
        let mut shared: BTreeMap<&BTreeSet<&'static str>, Vec<&str>> = BTreeMap::new();
        for (resource, actions) in &self.exact {
            shared.entry(actions).or_default().push(resource);
        }
        let mut statements = vec![json!({
            "Sid": "Observe",
            "Effect": "Allow",
            "Action": self.reads,
            "Resource": "*",
        })];
        for (number, (actions, resources)) in shared.into_iter().enumerate() {
            statements.push(json!({
                "Sid": format!("Exactly{}", number + 1),
                "Effect": "Allow",
                "Action": actions,
                "Resource": resources,
            }));
        }
        // Secrets Manager encrypts what it is given in the writer's name.
        let given = self
            .exact
            .iter()
            .filter(|(_, actions)| actions.contains("secretsmanager:PutSecretValue"));
        let written: Vec<&String> = given.map(|(secret, _)| secret).collect();
        if !written.is_empty() {
            // The key may be any; what it decrypts may not.
            statements.push(json!({
                "Sid": "EncryptThroughSecretsManager",
                "Effect": "Allow",
                "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                "Resource": "*",
                "Condition": {
                    "StringEquals": {"kms:ViaService": format!("secretsmanager.{}.amazonaws.com", self.region)},
                    "ArnLike": {"kms:EncryptionContext:SecretARN": written},
                },
            }));
        }
        let policy: Value = json!({"Version": "2012-10-17", "Statement": statements});
        format!("{policy:#}\n")
    }
}

/// The ARN of a parameter that is read.
fn parameter(question: &Observation, setting: &Setting) -> Option<String> {
    if let Observation::Parameter(name) = question {
        let Setting {
            region, account, ..
        } = setting;
        return Some(format!("arn:aws:ssm:{region}:{account}:parameter{name}"));
    }
    None
}

/// Whether a rule reads when the current version of a secret was made, which some secrets' lists don't tell.
fn asks_for_versions(catalog: &Catalog) -> bool {
    catalog
        .controls
        .iter()
        .flat_map(|control| &control.checks)
        .any(|check| match check {
            Check::Inspect(inspect) => {
                let reads: Reads = paths(inspect).map(ToString::to_string).collect();
                Noun::named(&inspect.population.of) == Some(Noun::Secrets)
                    && reads.touch("secret.current_version")
            }
            Check::Iam(_) | Check::Probe(_) => false,
        })
}

/// The actions that a question needs. Who one is may be asked by everybody, and what lies in files needs none.
fn actions(question: &Observation) -> Vec<&'static str> {
    match question {
        Observation::Caller
        | Observation::Program
        | Observation::Trace(_)
        | Observation::ControlPolicies
        | Observation::Plan => Vec::new(),
        Observation::Schedules => vec![question.operation(), "events:ListTargetsByRule"],
        // The topic's own count confirms the list.
        Observation::TopicSubscriptions(_) => vec![question.operation(), "sns:GetTopicAttributes"],
        Observation::Authorization
        | Observation::Secrets
        | Observation::TaggedSecrets
        | Observation::Secret(_)
        | Observation::SecretVersions(_)
        | Observation::SecretPolicy(_)
        | Observation::KeyAliases
        | Observation::Key(_)
        | Observation::Function(_)
        | Observation::EventMatch { .. }
        | Observation::EventRule(_)
        | Observation::EventTargets(_)
        | Observation::FunctionFailureDestination(_)
        | Observation::FunctionPolicy(_)
        | Observation::LogGroup(_)
        | Observation::Parameter(_)
        | Observation::Queue(_)
        | Observation::RetentionPolicies
        | Observation::SubscriptionFilter(_)
        | Observation::TrailLogging(_)
        | Observation::TrailSelectors(_)
        | Observation::Trails
        | Observation::FunctionEnvironments
        | Observation::KeyPolicy(_)
        | Observation::Keys
        | Observation::KeyGrants(_)
        | Observation::Simulation(_)
        | Observation::ModuleResources
        | Observation::Parameters
        | Observation::SecretCalls(_) => vec![question.operation()],
    }
}
