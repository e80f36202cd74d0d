//! `ocsf.jsonl`: OCSF 1.8 Compliance Finding (class 2003), one JSON object a line and finding, for a SIEM.
//!
//! An Inconclusive finding has the status Warning, which OCSF defines as "did not yield a result due to missing
//! information". A waived one still fails, and is marked as suppressed.

use std::fmt;
use std::io::{self, Write as _};

use serde::{Serialize, Serializer};

use super::Out;
use super::html::mark::is_digest;
use super::identity::identity;
use crate::run::{ControlRun, Finding, Run};
use crate::shared::Shared;
use crate::verdict::Verdict;

/// Writes a line a finding.
pub(super) fn write(run: &Run, out: &mut Out<'_>) -> io::Result<()> {
    for control in &run.controls {
        let common = Common::of(run, control);
        for finding in &control.findings {
            let uid = identity(&[
                "finding",
                run.target.word(),
                &run.account,
                &run.region,
                &run.stage,
                &control.id,
                &finding.assertion,
                &finding.resource,
            ]);
            let event = event(run, control, &common, finding, &uid);
            serde_json::to_writer(&mut *out, &event)?;
            out.write_all(b"\n")?;
        }
    }
    Ok(())
}

/// What all findings of a control have alike.
struct Common<'a> {
    labels: [String; 5],
    requirements: Vec<&'a str>,
    standards: Vec<&'a str>,
}

impl<'a> Common<'a> {
    fn of(run: &Run, control: &'a ControlRun) -> Self {
        Self {
            labels: [
                format!("target:{}", run.target.word()),
                format!("stage:{}", run.stage),
                format!("account:{}", run.account),
                format!("region:{}", run.region),
                format!("control-sha256:{}", control.digest),
            ],
            requirements: control
                .mapping
                .values()
                .flatten()
                .map(String::as_str)
                .collect(),
            standards: control.mapping.keys().map(String::as_str).collect(),
        }
    }
}

#[derive(Serialize)]
struct Event<'a> {
    activity_id: u8,
    activity_name: &'static str,
    category_name: &'static str,
    category_uid: u8,
    class_name: &'static str,
    class_uid: u16,
    compliance: Compliance<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    finding_info: FindingInfo<'a>,
    message: &'a str,
    metadata: Metadata<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remediation: Option<Remediation<'a>>,
    resources: [Resource<'a>; 1],
    severity: &'static str,
    severity_id: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_id: Option<u8>,
    time: i64,
    type_name: &'static str,
    type_uid: u32,
}

#[derive(Serialize)]
struct Compliance<'a> {
    control: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    control_parameters: Vec<NameValue<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    requirements: &'a [&'a str],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    standards: &'a [&'a str],
    status: &'static str,
    status_details: &'a [String],
    status_id: u8,
}

#[derive(Serialize)]
struct NameValue<'a> {
    name: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
struct FindingInfo<'a> {
    created_time: i64,
    #[serde(skip_serializing_if = "DataSources::is_empty")]
    data_sources: DataSources<'a>,
    title: Joined<'a, 3>,
    types: [&'static str; 1],
    uid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid_alt: Option<&'a str>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    correlation_uid: &'a str,
    labels: (&'a str, &'a str, &'a str, &'a str, Joined<'a, 2>, &'a str),
    product: Product<'a>,
    uid: String,
    version: &'static str,
}

/// The files of the run's folder that a finding rests on; each is named by its SHA-256.
struct DataSources<'a>(&'a [Shared]);

impl DataSources<'_> {
    fn digests(&self) -> impl Iterator<Item = &Shared> {
        self.0.iter().filter(|digest| is_digest(digest))
    }

    fn is_empty(&self) -> bool {
        self.digests().next().is_none()
    }
}

impl Serialize for DataSources<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(
            self.digests()
                .map(|digest| Joined(["evidence/", digest, ".json"])),
        )
    }
}

/// Parts that are written as one text.
struct Joined<'a, const N: usize>([&'a str; N]);

impl<const N: usize> fmt::Display for Joined<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| f.write_str(part))
    }
}

impl<const N: usize> Serialize for Joined<'_, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[derive(Serialize)]
struct Product<'a> {
    name: &'static str,
    vendor_name: &'static str,
    version: &'a str,
}

#[derive(Serialize)]
struct Remediation<'a> {
    desc: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    references: Vec<&'a str>,
}

#[derive(Serialize)]
struct Resource<'a> {
    owner: Owner<'a>,
    uid: &'a str,
}

#[derive(Serialize)]
struct Owner<'a> {
    name: &'a str,
}

fn event<'a>(
    run: &'a Run,
    control: &'a ControlRun,
    common: &'a Common<'a>,
    finding: &'a Finding,
    uid: &'a str,
) -> Event<'a> {
    let [target, stage, account, region, sha256] = common.labels.each_ref().map(String::as_str);
    let (severity_id, severity) = severity(control, finding.verdict);
    let (status_id, status) = match finding.verdict {
        Verdict::Fail | Verdict::Inconclusive => (Some(1), Some("New")),
        Verdict::Waived => (Some(3), Some("Suppressed")),
        Verdict::Pass | Verdict::NotApplicable => (None, None),
    };
    let passed = matches!(finding.verdict, Verdict::Pass | Verdict::NotApplicable);
    Event {
        activity_id: 1,
        activity_name: "Create",
        category_name: "Findings",
        category_uid: 2,
        class_name: "Compliance Finding",
        class_uid: 2003,
        compliance: compliance(control, common, finding),
        count: finding.count,
        finding_info: FindingInfo {
            created_time: run.started.timestamp_millis(),
            data_sources: DataSources(&finding.evidence),
            title: Joined([&control.id, ".", &finding.assertion]),
            types: ["Compliance"],
            uid,
            uid_alt: finding.waiver.as_deref(),
        },
        message: &finding.says,
        metadata: Metadata {
            correlation_uid: &run.run_id,
            labels: (
                target,
                stage,
                account,
                region,
                Joined(["rule:", &finding.source]),
                sha256,
            ),
            product: Product {
                name: "checker",
                vendor_name: "checker",
                version: run.tool.strip_prefix("checker ").unwrap_or(&run.tool),
            },
            uid: identity(&["event", &run.run_id, uid]),
            version: "1.8.0",
        },
        remediation: (!passed && !control.remediation.is_empty()).then(|| Remediation {
            desc: &control.remediation,
            references: control.runbook.iter().map(String::as_str).collect(),
        }),
        resources: [Resource {
            owner: Owner {
                name: &control.owner,
            },
            uid: &finding.resource,
        }],
        severity,
        severity_id,
        status,
        status_id,
        time: run.started.timestamp_millis(),
        type_name: "Compliance Finding: Create",
        type_uid: 200_301,
    }
}

fn compliance<'a>(
    control: &'a ControlRun,
    common: &'a Common<'a>,
    finding: &'a Finding,
) -> Compliance<'a> {
    let (status_id, status) = match finding.verdict {
        Verdict::Pass => (1, "Pass"),
        Verdict::Inconclusive => (2, "Warning"),
        Verdict::Fail | Verdict::Waived => (3, "Fail"),
        Verdict::NotApplicable => (99, "Not applicable"),
    };
    let passed = finding.verdict == Verdict::Pass;
    Compliance {
        control: &control.id,
        // What every passed finding repeats is in run.json once.
        control_parameters: control
            .parameters
            .iter()
            .filter(|_| !passed)
            .map(|(name, value)| NameValue { name, value })
            .collect(),
        requirements: &common.requirements,
        standards: &common.standards,
        status,
        status_details: &finding.because,
        status_id,
    }
}

fn severity(control: &ControlRun, verdict: Verdict) -> (u8, &'static str) {
    match (verdict, control.severity.as_str()) {
        (Verdict::Pass | Verdict::NotApplicable, _) => (1, "Informational"),
        (Verdict::Fail | Verdict::Inconclusive | Verdict::Waived, severity) => match severity {
            "low" => (2, "Low"),
            "medium" => (3, "Medium"),
            "high" => (4, "High"),
            "critical" => (5, "Critical"),
            _ => (0, "Unknown"),
        },
    }
}
