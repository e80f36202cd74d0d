//! `oscal-assessment-results.json`: OSCAL Assessment Results 1.2.1, for tools of governance, risk and compliance.
//!
//! A rule of a control is an objective (`FR-278.interval`); an OSCAL finding says whether it is satisfied. Only a rule
//! that passed on everything it was asked of is: an Inconclusive or waived one is not, and a rule that applied to
//! nothing has no finding, because nothing is not a pass. What was seen are observations, one for each resource that
//! did not pass and one for all that did. Evidence lies in the back matter with its SHA-256. Waivers are risks whose
//! deviation is approved until a deadline.

mod document;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};

use chrono::SecondsFormat;

use self::document::{
    Actor, AssessmentAssets, AssessmentResults, BackMatter, Component, ComponentUse, ControlId,
    Document, Evidence, FindingOf, Hash, Href, InventoryItem, LocalDefinitions, Metadata,
    Mitigation, Observation, Origin, Outcome, Party, Platform, Property, RelatedObservation,
    RelatedRisk, Resource, ResourceLink, Response, ReviewedControls, Risk, Selection, State,
    Status, Subject, Target,
};
use self::words::{line, markup, token};
use super::Out;
use super::html::front;
use super::html::mark::is_digest;
use super::identity::identity;
use crate::observation::Time;
use crate::run::{ControlRun, Finding, Run, WaiverNote};
use crate::shared::Shared;
use crate::verdict::Verdict;

/// The namespace of our properties.
const NAMESPACE: &str = "urn:compliance-checker:oscal";

/// Writes the document.
pub(super) fn write(run: &Run, out: &mut Out<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &document(run))?;
    out.write_all(b"\n")
}

fn document(run: &Run) -> Document {
    let plan = identity(&["plan", &run.run_id]);
    Document {
        assessment_results: AssessmentResults {
            uuid: identity(&["assessment-results", &run.run_id]),
            metadata: metadata(run),
            import_ap: Href {
                href: format!("#{plan}"),
            },
            results: [outcome(run)],
            back_matter: BackMatter {
                resources: std::iter::once(controls_as_plan(run, plan))
                    .chain(evidence(run).into_iter().map(evidence_resource))
                    .collect(),
            },
        },
    }
}

fn metadata(run: &Run) -> Metadata {
    let owners: BTreeSet<&str> = run
        .controls
        .iter()
        .map(|control| control.owner.as_str())
        .collect();
    Metadata {
        title: "Assessment results: secrets and keys on AWS".to_owned(),
        last_modified: when(run.finished),
        version: line(&run.run_id),
        oscal_version: "1.2.1",
        props: vec![property("tool", &run.tool), property("run-id", &run.run_id)],
        parties: owners
            .into_iter()
            .map(|owner| Party {
                uuid: identity(&["party", owner]),
                r#type: "organization",
                name: line(owner),
            })
            .collect(),
    }
}

/// The control files stand for the assessment plan: they say what is asked and how it is decided.
fn controls_as_plan(run: &Run, uuid: String) -> Resource {
    Resource {
        uuid,
        title: "Control files, as loaded".to_owned(),
        description: "What was assessed and how it was decided: the control files of this run, with their digests.",
        rlinks: run
            .controls
            .iter()
            .filter(|control| is_digest(&control.digest))
            .map(|control| ResourceLink {
                href: format!("controls/{}", token(file_of(control))),
                media_type: "application/yaml",
                hashes: [sha256(&control.digest)],
            })
            .collect(),
    }
}

/// The name of a control's file: findings say where their rules stand, `controls/FR-278.yaml:31:5`.
fn file_of(control: &ControlRun) -> &str {
    control
        .findings
        .iter()
        .filter_map(|finding| finding.source.rsplitn(3, ':').last())
        .filter_map(|path| path.rsplit('/').next())
        .find(|name| !name.is_empty())
        .unwrap_or(&control.id)
}

fn sha256(digest: &str) -> Hash {
    Hash {
        algorithm: "SHA-256",
        value: digest.to_owned(),
    }
}

/// Every digest that a finding rests on.
fn evidence(run: &Run) -> BTreeSet<&str> {
    run.controls
        .iter()
        .flat_map(|control| &control.findings)
        .flat_map(|finding| &finding.evidence)
        .map(Shared::as_str)
        .filter(|digest| is_digest(digest))
        .collect()
}

fn evidence_resource(digest: &str) -> Resource {
    Resource {
        uuid: evidence_id(digest),
        title: format!("evidence/{digest}.json"),
        description: "An answer of AWS, without secret values.",
        rlinks: vec![ResourceLink {
            href: format!("evidence/{digest}.json"),
            media_type: "application/json",
            hashes: [sha256(digest)],
        }],
    }
}

fn evidence_id(digest: &str) -> String {
    identity(&["evidence", digest])
}

fn outcome(run: &Run) -> Outcome {
    let mut parts = Parts::default();
    for control in &run.controls {
        for rule in rules(control) {
            parts.add(run, control, &rule);
        }
    }
    parts
        .risks
        .extend(run.waivers.iter().map(|waiver| waiver_risk(run, waiver)));
    let tool = tool_id(run);
    Outcome {
        uuid: identity(&["result", &run.run_id]),
        title: line(&format!("Run {}", run.run_id)),
        description: markup(&format!(
            "{} Judged: {}.",
            front::sentence(run),
            front::target(run.target)
        )),
        start: when(run.started),
        end: when(run.finished),
        props: vec![
            property("verdict", run.verdict.word()),
            property("stage", &run.stage),
            property("account", &run.account),
            property("region", &run.region),
        ],
        local_definitions: LocalDefinitions {
            inventory_items: inventory(run),
            assessment_assets: AssessmentAssets {
                components: [Component {
                    uuid: tool.clone(),
                    r#type: "software",
                    title: line(&run.tool),
                    description: "Judges recorded facts by the controls; the same facts at the same time give the same verdicts.",
                    status: State {
                        state: "operational",
                    },
                }],
                assessment_platforms: [Platform {
                    uuid: identity(&["platform", &run.run_id]),
                    title: line(&run.tool),
                    uses_components: [ComponentUse {
                        component_uuid: tool,
                    }],
                }],
            },
        },
        reviewed_controls: ReviewedControls {
            control_selections: [Selection {
                include_controls: run
                    .controls
                    .iter()
                    .map(|control| ControlId {
                        control_id: token(&control.id),
                    })
                    .collect(),
            }],
        },
        observations: parts.observations,
        risks: parts.risks,
        findings: parts.findings,
        remarks: remarks(run),
    }
}

fn tool_id(run: &Run) -> String {
    identity(&["tool", &run.tool])
}

/// What the run says of itself.
fn remarks(run: &Run) -> String {
    let mut lines: Vec<String> = Vec::new();
    lines.extend(
        run.not_proven
            .iter()
            .map(|gap| format!("Not proven: {}", markup(gap))),
    );
    lines.extend(
        run.notes
            .iter()
            .map(|note| format!("Note: {}", markup(note))),
    );
    lines.join("\n\n")
}

fn inventory(run: &Run) -> Vec<InventoryItem> {
    let resources: BTreeSet<&str> = run
        .controls
        .iter()
        .flat_map(|control| &control.findings)
        .map(|finding| finding.resource.as_str())
        .collect();
    resources
        .into_iter()
        .map(|resource| InventoryItem {
            uuid: subject_id(resource),
            description: markup(resource),
            props: vec![property("resource", resource)],
        })
        .collect()
}

fn subject_id(resource: &str) -> String {
    identity(&["resource", resource])
}

/// The findings of one rule.
struct Rule<'a> {
    name: &'a str,
    findings: Vec<&'a Finding>,
}

/// The findings of a control by rule, in the order of the control file.
fn rules(control: &ControlRun) -> Vec<Rule<'_>> {
    let mut at: BTreeMap<&str, usize> = BTreeMap::new();
    let mut rules: Vec<Rule<'_>> = Vec::new();
    for finding in &control.findings {
        let place = *at.entry(&finding.assertion).or_insert(rules.len());
        match rules.get_mut(place) {
            Some(rule) => rule.findings.push(finding),
            None => rules.push(Rule {
                name: &finding.assertion,
                findings: vec![finding],
            }),
        }
    }
    rules
}

#[derive(Default)]
struct Parts {
    observations: Vec<Observation>,
    risks: Vec<Risk>,
    findings: Vec<FindingOf>,
}

impl Parts {
    fn add(&mut self, run: &Run, control: &ControlRun, rule: &Rule<'_>) {
        let first = self.observations.len();
        let (one_by_one, together): (Vec<&Finding>, Vec<&Finding>) =
            rule.findings.iter().partition(|finding| {
                matches!(
                    finding.verdict,
                    Verdict::Fail | Verdict::Inconclusive | Verdict::Waived
                )
            });
        for verdict in [Verdict::Pass, Verdict::NotApplicable] {
            let alike: Vec<&Finding> = together
                .iter()
                .copied()
                .filter(|finding| finding.verdict == verdict)
                .collect();
            if !alike.is_empty() {
                self.observations
                    .push(observation(run, control, rule.name, verdict, &alike));
            }
        }
        for finding in one_by_one {
            self.observations.push(observation(
                run,
                control,
                rule.name,
                finding.verdict,
                &[finding],
            ));
        }
        let observations: Vec<String> = self
            .observations
            .iter()
            .skip(first)
            .map(|observation| observation.uuid.clone())
            .collect();
        let verdict = Verdict::over(rule.findings.iter().map(|finding| finding.verdict));
        let Some(verdict) = verdict.filter(|verdict| *verdict != Verdict::NotApplicable) else {
            return;
        };
        let mut risks: Vec<String> = rule
            .findings
            .iter()
            .filter_map(|finding| finding.waiver.as_deref())
            .filter_map(|id| run.waivers.iter().find(|waiver| waiver.id == id))
            .map(|waiver| waiver_id(run, waiver))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        if matches!(verdict, Verdict::Fail | Verdict::Inconclusive) {
            let risk = open_risk(run, control, rule, verdict, &observations);
            risks.push(risk.uuid.clone());
            self.risks.push(risk);
        }
        self.findings
            .push(finding_of(run, control, rule, verdict, observations, risks));
    }
}

/// What was seen: of one resource that did not pass, or of all that did.
fn observation(
    run: &Run,
    control: &ControlRun,
    rule: &str,
    verdict: Verdict,
    findings: &[&Finding],
) -> Observation {
    let mut description = String::new();
    if let [only] = findings {
        description.push_str(&markup(&only.says));
        for reason in &only.because {
            description.push_str("\n\n");
            description.push_str(&markup(reason));
        }
    } else {
        description.push_str(&markup(&format!(
            "{} on {} resources; the first: {}",
            verdict.word(),
            findings.len(),
            findings
                .first()
                .map(|finding| finding.says.as_str())
                .unwrap_or_default()
        )));
    }
    let resources: BTreeSet<&str> = findings
        .iter()
        .map(|finding| finding.resource.as_str())
        .collect();
    let digests: BTreeSet<&str> = findings
        .iter()
        .flat_map(|finding| &finding.evidence)
        .map(Shared::as_str)
        .filter(|digest| is_digest(digest))
        .collect();
    let mut props = vec![
        property("verdict", verdict.word()),
        property(
            "rule",
            findings
                .first()
                .map(|finding| finding.source.as_str())
                .unwrap_or_default(),
        ),
    ];
    if let [only] = findings {
        if let Some(count) = only.count {
            props.push(property("count", &count.to_string()));
        }
        if let Some(digest) = &only.digest {
            props.push(property("list-sha256", digest));
        }
    }
    let alone = findings
        .first()
        .filter(|_| findings.len() == 1)
        .map(|finding| finding.resource.as_str())
        .unwrap_or_default();
    Observation {
        uuid: identity(&[
            "observation",
            &run.run_id,
            &control.id,
            rule,
            verdict.word(),
            alone,
        ]),
        title: markup(&format!("{}.{rule}: {}", control.id, verdict.word())),
        description,
        props,
        methods: ["TEST"],
        types: ["control-objective"],
        origins: [Origin {
            actors: [Actor {
                r#type: "tool",
                actor_uuid: tool_id(run),
            }],
        }],
        subjects: resources
            .into_iter()
            .map(|resource| Subject {
                subject_uuid: subject_id(resource),
                r#type: "inventory-item",
            })
            .collect(),
        relevant_evidence: digests
            .into_iter()
            .map(|digest| Evidence {
                href: format!("#{}", evidence_id(digest)),
                description: "the answer of AWS that this rests on",
            })
            .collect(),
        collected: when(run.started),
    }
}

fn finding_of(
    run: &Run,
    control: &ControlRun,
    rule: &Rule<'_>,
    verdict: Verdict,
    observations: Vec<String>,
    risks: Vec<String>,
) -> FindingOf {
    let (state, reason) = match verdict {
        Verdict::Pass => ("satisfied", "pass"),
        Verdict::Fail => ("not-satisfied", "fail"),
        Verdict::Inconclusive | Verdict::Waived | Verdict::NotApplicable => {
            ("not-satisfied", "other")
        }
    };
    // A pass beside a waived finding is not satisfied: the waived resource is still wrong.
    let waived = rule
        .findings
        .iter()
        .any(|finding| finding.verdict == Verdict::Waived);
    let (state, reason) = if waived && verdict == Verdict::Pass {
        ("not-satisfied", "other")
    } else {
        (state, reason)
    };
    FindingOf {
        uuid: identity(&["finding", &run.run_id, &control.id, rule.name]),
        title: markup(&format!("{}.{}: {}", control.id, rule.name, verdict.word())),
        description: markup(&control.statement),
        props: vec![
            property("verdict", verdict.word()),
            property("severity", &control.severity),
            property("owner", &control.owner),
            property("mode", &control.mode),
        ],
        target: Target {
            r#type: "objective-id",
            id: token(&format!("{}.{}", control.id, rule.name)),
            status: Status { state, reason },
        },
        related_observations: related(observations),
        related_risks: risks
            .into_iter()
            .map(|risk_uuid| RelatedRisk { risk_uuid })
            .collect(),
    }
}

fn related(observations: Vec<String>) -> Vec<RelatedObservation> {
    observations
        .into_iter()
        .map(|observation_uuid| RelatedObservation { observation_uuid })
        .collect()
}

/// A rule that fails or could not be decided.
fn open_risk(
    run: &Run,
    control: &ControlRun,
    rule: &Rule<'_>,
    verdict: Verdict,
    observations: &[String],
) -> Risk {
    let bad = rule
        .findings
        .iter()
        .filter(|finding| finding.verdict == verdict)
        .count();
    let uuid = identity(&["risk", &run.run_id, &control.id, rule.name]);
    Risk {
        title: markup(&format!("{}.{}: {}", control.id, rule.name, verdict.word())),
        description: markup(&format!(
            "{bad} of {} findings: {}",
            rule.findings.len(),
            verdict.word()
        )),
        statement: markup(&control.statement),
        props: vec![
            property("verdict", verdict.word()),
            property("severity", &control.severity),
            property("owner", &control.owner),
        ],
        status: "open",
        mitigating_factors: Vec::new(),
        deadline: None,
        remediations: if control.remediation.is_empty() {
            Vec::new()
        } else {
            vec![Response {
                uuid: identity(&["remediation", &uuid]),
                lifecycle: "recommendation",
                title: markup(&format!("What to do about {}", control.id)),
                description: markup(&control.remediation),
            }]
        },
        related_observations: related(observations.to_vec()),
        uuid,
    }
}

fn waiver_id(run: &Run, waiver: &WaiverNote) -> String {
    identity(&[
        "waiver",
        &run.run_id,
        &waiver.id,
        &waiver.assertion,
        &waiver.resource,
    ])
}

/// An approved exception, or one that has run out.
fn waiver_risk(run: &Run, waiver: &WaiverNote) -> Risk {
    let uuid = waiver_id(run, waiver);
    Risk {
        title: markup(&format!(
            "Waiver {}: {}.{}",
            waiver.id, waiver.control, waiver.assertion
        )),
        description: markup(&format!("{} on {}", waiver.reason, waiver.resource)),
        statement: markup(&waiver.reason),
        props: vec![
            property("waiver-id", &waiver.id),
            property("approver", &waiver.approver),
            property("approved-on", &waiver.approved_on),
            property("ticket", &waiver.ticket),
            property("resource", &waiver.resource),
            property("days-left", &waiver.days_left.to_string()),
            property("findings-covered", &waiver.covered.to_string()),
        ],
        status: if waiver.days_left < 0 {
            "open"
        } else {
            "deviation-approved"
        },
        mitigating_factors: vec![Mitigation {
            uuid: identity(&["mitigation", &uuid]),
            description: markup(&waiver.compensating),
        }],
        // The last second of its last day. A day that is no day has no deadline.
        deadline: chrono::NaiveDate::parse_from_str(&waiver.expires, "%Y-%m-%d")
            .ok()
            .map(|day| format!("{day}T23:59:59Z")),
        remediations: Vec::new(),
        related_observations: Vec::new(),
        uuid,
    }
}

fn property(name: &'static str, value: &str) -> Property {
    Property {
        name,
        ns: NAMESPACE,
        value: line(value),
    }
}

fn when(time: Time) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
