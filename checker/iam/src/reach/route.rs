//! A route: the steps from a principal to the one that reaches the goal, and its words.

use crate::proof::Witness;

/// One step of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Who acts.
    pub from: String,
    /// Who is reached.
    pub to: String,
    /// The escalation's short name.
    pub path: String,
    /// The permissions it takes.
    pub with: String,
    /// The requests that are allowed.
    pub requests: Vec<Witness>,
    /// What could not be resolved; empty for a certain step.
    pub because: Vec<String>,
    /// Which arrival acted, when it is not the latest.
    pub(super) actor: Option<usize>,
}

impl Step {
    pub(super) fn by(mut self, actor: usize) -> Self {
        self.actor = Some(actor);
        self
    }
}

/// A route to the goal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Steps, in order; empty when the principal reaches the goal by itself.
    pub steps: Vec<Step>,
    /// Who reaches the goal in the end.
    pub reader: String,
    /// The requests that reach it.
    pub requests: Vec<Witness>,
    /// What could not be resolved about the last requests.
    pub because: Vec<String>,
}

impl Route {
    /// Whether every step and the goal are confirmed.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.because.is_empty() && self.steps.iter().all(|step| step.because.is_empty())
    }

    /// The route in words, one line a step.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let unsure = |because: &[String]| {
            if because.is_empty() {
                String::new()
            } else {
                format!(" (possibly: {})", because.join("; "))
            }
        };
        let mut lines: Vec<String> = self
            .steps
            .iter()
            .map(|step| {
                format!(
                    "{} becomes {} with {} [{}]{}",
                    step.from,
                    step.to,
                    step.with,
                    step.path,
                    unsure(&step.because)
                )
            })
            .collect();
        for request in &self.requests {
            lines.push(format!(
                "{} does {} on {}{}",
                self.reader,
                request.action,
                request.resource,
                unsure(&self.because)
            ));
        }
        lines
    }
}
