//! SARIF 2.1.0: what did not pass, at its place in the program, for code review and code scanning.
//!
//! In: a [`Run`], which knows where the program declares what did not pass. Out: `gate.sarif`. A finding stands where
//! its resource is declared, otherwise where the control demands it. A Fail is a result of kind `fail`; what could not be
//! decided is of kind `open`, which by the format has no level; a waived Fail carries its suppression. Passes are left
//! out: `run.json` has them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Out;
use crate::observation::hex;
use crate::run::{ControlRun, Finding, Run};
use crate::verdict::Verdict;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// The name of the tool in the report.
const TOOL: &str = "checker";

/// A place in a file.
struct Place {
    /// The file, as it was named.
    path: String,
    /// Line, from 1.
    line: u64,
    /// Column in characters, from 1.
    column: u64,
}

impl Place {
    /// `file:line:column` as controls and programs write it.
    fn read(text: &str) -> Option<Self> {
        let (rest, column) = text.rsplit_once(':')?;
        let (path, line) = rest.rsplit_once(':')?;
        Some(Self {
            path: path.to_owned(),
            line: line.parse().ok()?,
            column: column.parse().ok()?,
        })
    }
}

/// Writes the report, one result after the other: there may be very many.
pub(super) fn write(run: &Run, out: &mut Out<'_>) -> io::Result<()> {
    let (rules, numbers) = rules(run);
    let report = Log {
        schema: SCHEMA,
        runs: [Analysis {
            automation_details: json!({"id": format!("checker/{}/{}", run.stage, run.run_id)}),
            column_kind: "unicodeCodePoints",
            invocations: [json!({
                "executionSuccessful": true,
                "startTimeUtc": run.started.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
                "endTimeUtc": run.finished.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            })],
            results: Results {
                run,
                rules: numbers,
            },
            tool: json!({"driver": {
                "name": TOOL,
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }}),
        }],
        version: "2.1.0",
    };
    serde_json::to_writer_pretty(&mut *out, &report)?;
    out.write_all(b"\n")
}

#[derive(Serialize)]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    runs: [Analysis<'a>; 1],
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Analysis<'a> {
    automation_details: Value,
    column_kind: &'static str,
    invocations: [Value; 1],
    results: Results<'a>,
    tool: Value,
}

/// What did not pass, in the order of the run.
struct Results<'a> {
    run: &'a Run,
    rules: BTreeMap<String, usize>,
}

impl Serialize for Results<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let results = self.run.controls.iter().flat_map(|control| {
            let reported = control.findings.iter().filter(|it| is_reported(it));
            reported.map(|finding| result(control, finding, self))
        });
        serializer.collect_seq(results)
    }
}

/// The rules that something did not pass, and their numbers by name: findings of one rule need not stand together.
fn rules(run: &Run) -> (Vec<Value>, BTreeMap<String, usize>) {
    let mut rules = Vec::new();
    let mut numbers = BTreeMap::new();
    for control in &run.controls {
        for finding in control.findings.iter().filter(|it| is_reported(it)) {
            numbers
                .entry(rule_id(control, &finding.assertion))
                .or_insert_with(|| {
                    rules.push(rule(control, &finding.assertion));
                    rules.len() - 1
                });
        }
    }
    (rules, numbers)
}

fn is_reported(finding: &Finding) -> bool {
    match finding.verdict {
        Verdict::Fail | Verdict::Inconclusive | Verdict::Waived => true,
        Verdict::Pass | Verdict::NotApplicable => false,
    }
}

fn rule_id(control: &ControlRun, assertion: &str) -> String {
    format!("{}.{assertion}", control.id)
}

fn rule(control: &ControlRun, assertion: &str) -> Value {
    let tags: BTreeSet<&str> = control
        .mapping
        .values()
        .flatten()
        .map(String::as_str)
        .chain(["security"])
        .collect();
    let help = match (control.remediation.as_str(), &control.runbook) {
        ("", None) => control.statement.clone(),
        (text, None) => text.to_owned(),
        (text, Some(runbook)) => format!("{text} ({runbook})").trim_start().to_owned(),
    };
    json!({
        "id": rule_id(control, assertion),
        "shortDescription": {"text": or(&control.title, assertion)},
        "fullDescription": {"text": or(&control.statement, &control.title)},
        "help": {"text": or(&help, &control.title)},
        "defaultConfiguration": {"level": level(&control.severity)},
        "properties": {
            "owner": control.owner,
            "severity": control.severity,
            "security-severity": score(&control.severity),
            "tags": tags,
        },
    })
}

/// The format wants no empty message.
fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.trim().is_empty() {
        otherwise
    } else {
        text
    }
}

fn level(severity: &str) -> &'static str {
    match severity {
        "low" => "note",
        "medium" => "warning",
        _ => "error",
    }
}

/// What code scanning sorts by.
fn score(severity: &str) -> &'static str {
    match severity {
        "low" => "3.0",
        "medium" => "5.5",
        "high" => "8.0",
        _ => "9.5",
    }
}

fn result(control: &ControlRun, finding: &Finding, all: &Results<'_>) -> Value {
    let id = rule_id(control, &finding.assertion);
    let (kind, level) = match finding.verdict {
        Verdict::Inconclusive => ("open", "none"),
        Verdict::Fail | Verdict::Waived | Verdict::Pass | Verdict::NotApplicable => {
            ("fail", level(&control.severity))
        }
    };
    let mut message = format!(
        "{}: {}",
        finding.verdict.word(),
        or(&finding.says, &finding.assertion)
    );
    for reason in &finding.because {
        message.push('\n');
        message.push_str(reason);
    }
    let demanded = Place::read(&finding.source);
    let declared = all
        .run
        .places
        .get(finding.resource.as_str())
        .and_then(|place| Place::read(place));
    let location: Vec<Value> = declared
        .as_ref()
        .or(demanded.as_ref())
        .map(|place| location(place, &finding.resource))
        .into_iter()
        .collect();
    let mut result = json!({
        "ruleId": id,
        "ruleIndex": all.rules.get(&id),
        "kind": kind,
        "level": level,
        "message": {"text": message},
        "locations": location,
        "partialFingerprints": {
            "finding/v1": hex(&Sha256::digest(format!("{id}\n{}", finding.resource).as_bytes())),
        },
        "properties": {"resource": finding.resource, "evidence": finding.evidence},
    });
    if let Some(fields) = result.as_object_mut() {
        if let (Some(_), Some(demanded)) = (declared, demanded) {
            let related = json!([{
                "physicalLocation": physical(&demanded),
                "message": {"text": "the control that demands it"},
            }]);
            fields.insert("relatedLocations".to_owned(), related);
        }
        if finding.verdict == Verdict::Waived {
            let waiver = finding.waiver.as_deref().unwrap_or("a waiver");
            let suppression = json!([{
                "kind": "external",
                "status": "accepted",
                "justification": format!("waived by {waiver}"),
            }]);
            fields.insert("suppressions".to_owned(), suppression);
        }
    }
    result
}

fn location(place: &Place, resource: &str) -> Value {
    json!({
        "physicalLocation": physical(place),
        "logicalLocations": [{"fullyQualifiedName": resource, "kind": "resource"}],
    })
}

fn physical(place: &Place) -> Value {
    json!({
        "artifactLocation": {"uri": uri(&place.path)},
        "region": {"startLine": place.line.max(1), "startColumn": place.column.max(1)},
    })
}

/// A relative path stays relative, so that it is one of the repository; an absolute one becomes a `file:` URI.
fn uri(path: &str) -> String {
    let plain = path.trim_start_matches("./");
    let mut out = String::from(if plain.starts_with('/') {
        "file://"
    } else {
        ""
    });
    for byte in plain.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '.' | '_' | '~') {
            out.push(c);
        } else {
            out.push('%');
            out.push_str(&hex(&[byte]).to_ascii_uppercase());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn paths_are_uris() {
        for (path, expected) in [
            ("infra/Pulumi.yaml", "infra/Pulumi.yaml"),
            ("./a b.yaml", "a%20b.yaml"),
            ("/tmp/ä#.yaml", "file:///tmp/%C3%A4%23.yaml"),
            ("../x", "../x"),
        ] {
            assert_eq!(uri(path), expected);
        }
    }
}
