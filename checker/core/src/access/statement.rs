//! A statement about who may do what, with every placeholder filled in.
//!
//! In: an access rule of a control and the bindings of a run, or what somebody asks on the command line.
//! Out: [`Statement`], which is what is proved.

use checker_iam::proof::{Asker, Question};
use checker_iam::{Policy, PolicyKind, PolicySet};
use serde_json::{Map, Value, json};

use crate::control::{Access, Circumstance, Claim};
use crate::expression::{Bindings, Template};

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What is claimed.
    pub claim: Claim,
    /// Names or ARNs of principals, exactly, `*`, or `policy/NAME` for whoever holds that policy alone; everybody
    /// where there is none.
    pub principals: Option<Vec<String>>,
    /// Names or ARNs of principals that are excepted.
    pub except: Vec<String>,
    /// The requests.
    pub requests: Requests,
    /// Requests that the same principal must be allowed as well.
    pub together_with: Option<Requests>,
    /// Whether a service control policy may be what denies.
    pub scp_may_deny: bool,
}

/// A set of requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Requests {
    /// Actions, exact or with wildcards.
    pub actions: Vec<String>,
    /// ARN patterns, `*`, or `alias/NAME` for the key behind it.
    pub resources: Vec<String>,
    /// ARN patterns that are left out.
    pub outside: Vec<String>,
    /// Conditions on the requests: operator, key and values.
    pub when: Vec<(String, String, Vec<String>)>,
}

impl Statement {
    /// The statement of a rule.
    pub(super) fn of(claim: Claim, access: &Access, bindings: &Bindings) -> Self {
        let texts = |templates: &[Template]| texts(templates, bindings);
        Self {
            claim,
            principals: access.principals.as_ref().map(|wanted| texts(wanted)),
            except: texts(&access.except),
            requests: Requests {
                actions: texts(&access.actions),
                resources: texts(&access.resources),
                outside: texts(&access.outside),
                when: circumstances(&access.when, bindings),
            },
            together_with: access.together_with.as_ref().map(|with| Requests {
                actions: texts(&with.actions),
                resources: texts(&with.resources),
                outside: texts(&with.outside),
                when: circumstances(&with.when, bindings),
            }),
            scp_may_deny: access.scp_may_deny,
        }
    }

    /// All requests that it speaks of.
    pub(super) fn all(&self) -> impl Iterator<Item = &Requests> {
        std::iter::once(&self.requests).chain(&self.together_with)
    }
}

fn texts(templates: &[Template], bindings: &Bindings) -> Vec<String> {
    templates
        .iter()
        .flat_map(|template| template.expand(bindings))
        .collect()
}

fn circumstances(
    written: &[Circumstance],
    bindings: &Bindings,
) -> Vec<(String, String, Vec<String>)> {
    written
        .iter()
        .map(|circumstance| {
            (
                circumstance.operator.clone(),
                circumstance.key.clone(),
                texts(&circumstance.values, bindings),
            )
        })
        .collect()
}

impl Requests {
    /// The question for a proof.
    pub(super) fn question(&self) -> Question {
        Question {
            actions: self.actions.clone(),
            resources: self.resources.clone(),
            except_resources: self.outside.clone(),
        }
    }

    /// Whether an action of the service is among them.
    pub(super) fn touches(&self, service: &str) -> bool {
        self.actions.iter().any(|action| {
            action
                .split_once(':')
                .is_none_or(|(prefix, _)| prefix == service || prefix.contains(['*', '?']))
        })
    }

    /// The caller under the conditions: they bind like one more level of control policies.
    pub(super) fn conditioned(&self, asker: &Asker) -> Result<Asker, String> {
        let mut asker = asker.clone();
        if self.when.is_empty() {
            return Ok(asker);
        }
        let mut conditions = Map::new();
        for (operator, key, values) in &self.when {
            if let Value::Object(keys) = conditions
                .entry(operator.clone())
                .or_insert_with(|| json!({}))
            {
                keys.insert(key.clone(), json!(values));
            }
        }
        let document = json!({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": conditions}});
        let policy = Policy::from_value(&document, PolicyKind::Identity)
            .map_err(|error| format!("the rule's own conditions: {error}"))?
            .named("the rule's own conditions");
        if asker.principal.is_service_linked_role() {
            // Control policies don't bind it.
            asker.session = Some(PolicySet::from(policy));
        } else {
            asker.scps.push(PolicySet::from(policy));
        }
        Ok(asker)
    }
}
