//! Previews as a subject: put into an embedded AWS as far as they are known, with what is not known as a fact.
//!
//! In: plans that were read whole. Out: a [`Subject`]. Its functions never run: what a plan does not show is told to the
//! judge as a gap, and never taken from the lab.

use std::path::PathBuf;

use checker_core::observation::answer::{self, DeclaredResource, ProgramValue};
use checker_core::observation::{Answer, Observation, Observed, Origin, Outcome, Time};
use checker_core::run::Target;
use checker_lab::program::{AppliedPlan, ApplyOptions, Plan, PlanGap, apply_plan};
use checker_lab::{Lab, LabOptions};

use crate::declaration;
use crate::failure::Failure;
use crate::subject::Subject;

/// What stands for the process of a function: nothing of a plan runs.
const NO_FUNCTION: &str = "/bin/false";

impl Subject {
    /// What previews plan.
    pub(crate) async fn previews(plans: &[Plan], clock: Option<Time>) -> Result<Self, Failure> {
        let defaults = LabOptions::default();
        let account = plans.iter().find_map(Plan::account);
        let region = plans.iter().find_map(Plan::region);
        let lab = Lab::start(LabOptions {
            account: account.unwrap_or(defaults.account),
            region: region.unwrap_or(defaults.region),
            clock,
            ..LabOptions::default()
        })
        .await
        .map_err(|error| Failure::Broken(format!("failed to {error}")))?;
        let options = ApplyOptions {
            account: lab.account().to_owned(),
            stand_in: Some(PathBuf::from(NO_FUNCTION)),
        };
        let applied = apply_plan(plans, &lab, &options).await.map_err(|error| {
            Failure::Broken(format!("failed to put the plan into the lab: {error}"))
        })?;
        Ok(Self {
            target: Target::Plan,
            config: lab.sdk_config(),
            program: planned(plans, &applied),
            plan: Some(left_open(&applied.gaps, &applied.deleted, true)),
            notes: applied.gaps.iter().map(note).collect(),
            lab: Some(lab),
            recipe: None,
            control_policies: None,
        })
    }
}

/// What previews declare, as far as rules read it.
fn planned(plans: &[Plan], applied: &AppliedPlan) -> Observed {
    let projects: Vec<&str> = plans.iter().map(Plan::project).collect();
    let declared: Vec<DeclaredResource> = applied
        .resources
        .iter()
        .map(|resource| DeclaredResource {
            program: resource
                .urn
                .split("::")
                .nth(1)
                .unwrap_or_default()
                .to_owned(),
            name: resource.name.clone(),
            kind: resource.kind.clone(),
            place: format!("{}:{}", resource.path, resource.position),
            tags: resource.tags.clone(),
            arn: resource.arn.clone(),
            settings: declaration::settings(&resource.kind, &resource.inputs),
            policies: declaration::policies(&resource.inputs),
        })
        .collect();
    let values = applied
        .secrets
        .iter()
        .map(|(resource, why, place)| ProgramValue {
            resource: resource.clone(),
            kind: "value".to_owned(),
            property: why.clone(),
            place: place.clone(),
        })
        .collect();
    Observed {
        observation: Observation::Program,
        origin: Origin::default(),
        outcome: Outcome::Seen(Answer::Program(answer::Program {
            name: projects.join("+"),
            resources: i64::try_from(declared.len()).unwrap_or(i64::MAX),
            values,
            declared,
        })),
    }
}

/// What is not known of what is judged, as an answer.
pub(crate) fn left_open(gaps: &[PlanGap], deleted: &[String], preview: bool) -> Observed {
    let gaps = gaps
        .iter()
        .map(|gap| answer::Gap {
            name: gap.name.clone(),
            declared: gap.declared.clone(),
            kind: gap.kind.clone(),
            subject: gap.subject.clone(),
            property: gap.property.clone(),
            why: gap.why.clone(),
        })
        .collect();
    Observed {
        observation: Observation::Plan,
        origin: Origin::default(),
        outcome: Outcome::Seen(Answer::Plan(answer::Plan {
            preview,
            gaps,
            deleted: deleted.to_vec(),
        })),
    }
}

fn note(gap: &PlanGap) -> String {
    let property = gap
        .property
        .as_deref()
        .map_or_else(String::new, |it| format!(".{it}"));
    format!("not known: {}{property} {}", gap.name, gap.why)
}
