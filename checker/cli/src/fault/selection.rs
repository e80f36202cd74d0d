//! Which checks read something that a fault touches.
//!
//! In: the types of the resources that a fault touches, and what each check asked of the faultless program. Out: the
//! catalogue without the checks that can't notice. The choice is by AWS service, and generous: what a function does
//! with its role shows in the secrets it rotates and in the event history, so a fault of a role touches those as well.
//! That it loses no kill is shown on a sample of faults, each judged by everything.

use std::collections::{BTreeMap, BTreeSet};

use checker_core::control::Catalog;
use checker_core::observation::Facts;
use checker_core::plan;
use checker_core::population::Setting;

use super::Fault;

/// What each check of a catalogue reads.
pub(super) struct Selection {
    /// Services that a check reads, by control and check.
    reads: BTreeMap<(String, String), BTreeSet<String>>,
}

impl Selection {
    /// Learns from a judged program what each check reads.
    pub(super) fn new(catalog: &Catalog, facts: &Facts, setting: &Setting) -> Self {
        let mut reads = BTreeMap::new();
        for control in &catalog.controls {
            for check in &control.checks {
                let mut only = control.clone();
                only.checks = vec![check.clone()];
                let alone = Catalog::of(vec![only]);
                let services = plan::reads(&alone, facts, setting)
                    .iter()
                    .map(|question| service(question.operation()).to_owned())
                    .filter(|service| service != "sts")
                    .collect();
                reads.insert((control.id.clone(), check.id().to_owned()), services);
            }
        }
        Self { reads }
    }

    /// The checks that read something of these types of resources; all of them where the types aren't known.
    pub(super) fn of(&self, catalog: &Catalog, fault: &Fault) -> Catalog {
        let touches = &fault.touches;
        if touches.is_empty() {
            return catalog.clone();
        }
        let touched: BTreeSet<&str> = touches
            .iter()
            .flat_map(|kind| shows_in(kind))
            .copied()
            .collect();
        // Where no rotation can come out otherwise, a role changes nothing about secrets.
        let touched: BTreeSet<&str> = touched
            .into_iter()
            .filter(|service| fault.rotates || !matches!(*service, "secretsmanager" | "cloudtrail"))
            .collect();
        let mut selected = catalog.clone();
        for control in &mut selected.controls {
            let id = control.id.clone();
            control.checks.retain(|check| {
                let reads = self.reads.get(&(id.clone(), check.id().to_owned()));
                // What a check reads is not known only if it was never asked: then it stays.
                reads.is_none_or(|reads| {
                    reads.is_empty()
                        || reads.iter().any(|service| {
                            service == "program" || touched.contains(service.as_str())
                        })
                })
            });
        }
        selected
            .controls
            .retain(|control| !control.checks.is_empty());
        selected
    }
}

fn service(operation: &str) -> &str {
    operation
        .split_once(':')
        .map_or(operation, |(service, _)| service)
}

/// The services whose answers may change with a resource of this type.
fn shows_in(kind: &str) -> &'static [&'static str] {
    const ALL: &[&str] = &[
        "cloudtrail",
        "events",
        "iam",
        "kms",
        "lambda",
        "logs",
        "secretsmanager",
        "sns",
        "sqs",
        "ssm",
        "tag",
    ];
    let known: [(&str, &'static [&'static str]); 12] = [
        ("aws:cloudtrail:", &["cloudtrail", "events", "tag"]),
        ("aws:cloudwatch:Event", &["cloudtrail", "events", "tag"]),
        ("aws:cloudwatch:Log", &["logs", "tag"]),
        ("aws:cloudwatch:MetricAlarm", &["tag"]),
        ("aws:iam:", &["cloudtrail", "iam", "secretsmanager", "tag"]),
        (
            "aws:kms:",
            &["cloudtrail", "kms", "logs", "secretsmanager", "tag"],
        ),
        (
            "aws:lambda:",
            &["cloudtrail", "events", "lambda", "secretsmanager", "tag"],
        ),
        ("aws:s3:", &["cloudtrail", "tag"]),
        (
            "aws:secretsmanager:",
            &["cloudtrail", "kms", "lambda", "secretsmanager", "tag"],
        ),
        ("aws:sns:", &["sns", "tag"]),
        ("aws:sqs:", &["events", "lambda", "sns", "sqs", "tag"]),
        ("aws:ssm:", &["ssm", "tag"]),
    ];
    known
        .into_iter()
        .find(|(prefix, _)| kind.starts_with(prefix))
        .map_or(ALL, |(_, services)| services)
}
