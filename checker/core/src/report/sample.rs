//! Runs for the tests of reports: small ones, hostile ones, large ones.

use std::collections::BTreeMap;

use chrono::{TimeDelta, TimeZone as _, Utc};

use crate::run::{
    ControlRun, Finding, Measurement, Moment, ReachPath, ReachStep, Run, Target, VERSION,
    WaiverNote,
};
use crate::verdict::Verdict;

/// What anybody may write into a name or a tag: tries to leave every context of every format.
pub(super) const HOSTILE: &str = "\u{1b}[31m\0]]>\u{FFFE}\u{7f}\r\n\t</code></script><script>alert(1)</script>\
    <img src=x onerror=alert(1)>\"' onmouseover=\"alert(1)\" <!-- --> &amp; | ` ``` * _ [x](javascript:alert(1)) \
    \u{202E}txt.exe\u{2066} https://evil.example/ www.evil.example @everyone :::\u{200B} {{x}} \\ %0a ]";

/// A passed, failed or other finding.
pub(super) fn finding(assertion: &str, resource: &str, verdict: Verdict) -> Finding {
    let says = format!("{resource} rotates every 30 days");
    let because = vec![
        "secret.rotation.longest_gap is 30 days".to_owned(),
        "params.max_age is 90 days".to_owned(),
    ];
    let rule = (assertion, "controls/FR-278.yaml:31:5");
    Finding {
        waiver: (verdict == Verdict::Waived).then(|| "W-12".to_owned()),
        ..Finding::new(rule, resource, verdict, says, because)
            .resting_on(vec!["ab".repeat(32).into(), "cd".repeat(32).into()])
    }
}

/// A control with these findings.
pub(super) fn control(id: &str, findings: Vec<Finding>) -> ControlRun {
    ControlRun {
        id: id.to_owned(),
        title: "Secrets are rotated".to_owned(),
        severity: "high".to_owned(),
        owner: "platform-security".to_owned(),
        mode: "AUTO".to_owned(),
        statement: "Every managed secret is replaced at least once every 90 days.".to_owned(),
        remediation: "Attach the rotation function.".to_owned(),
        runbook: Some("https://runbooks.example/rotation".to_owned()),
        mapping: BTreeMap::from([("pci_dss_v4_0_1".to_owned(), vec!["8.6.3".to_owned()])]),
        digest: "ef".repeat(32),
        parameters: BTreeMap::from([("max_age".to_owned(), "90d".to_owned())]),
        verdict: Verdict::over(findings.iter().map(|finding| finding.verdict))
            .unwrap_or(Verdict::Inconclusive),
        findings,
    }
}

/// A run at noon of a day of November 2026.
pub(super) fn run(day: u32, controls: Vec<ControlRun>) -> Run {
    let now = Utc
        .with_ymd_and_hms(2026, 11, day, 12, 0, 0)
        .single()
        .unwrap_or_default();
    Run {
        version: VERSION,
        run_id: format!("202611{day:02}T120000Z-0000000{day:x}"),
        target: Target::Lab,
        stage: "dev".to_owned(),
        account: "111122223333".to_owned(),
        region: "ap-southeast-2".to_owned(),
        started: now,
        finished: now + TimeDelta::seconds(2),
        tool: "checker 0.1.0".to_owned(),
        verdict: Verdict::over(controls.iter().map(|control| control.verdict))
            .unwrap_or(Verdict::Inconclusive),
        summary: controls.iter().map(ControlRun::summary).collect(),
        controls,
        not_proven: vec!["the lab is an embedded AWS".to_owned()],
        notes: vec!["a note".to_owned()],
        api_calls: BTreeMap::from([("secretsmanager:ListSecrets".to_owned(), 3)]),
        waivers: Vec::new(),
        reach: Vec::new(),
        measurements: Vec::new(),
        shard: None,
        parts: Vec::new(),
        places: std::collections::BTreeMap::new(),
    }
}

/// Every verdict, and every part of a run that reports show.
pub(super) fn whole() -> Run {
    with_text("arn:aws:secretsmanager:ap-southeast-2:111122223333:secret:bank-x")
}

/// The same with this text in every place where somebody could write one.
pub(super) fn with_text(text: &str) -> Run {
    let own = |verdict| {
        let mut finding = finding("interval", text, verdict);
        finding.says = format!("{text} is {}", verdict.word());
        finding.because = vec![text.to_owned()];
        finding
    };
    let mut control = control(
        "FR-278",
        [
            Verdict::Fail,
            Verdict::Inconclusive,
            Verdict::Pass,
            Verdict::Waived,
            Verdict::NotApplicable,
        ]
        .map(own)
        .into(),
    );
    control.title = text.to_owned();
    control.owner = text.to_owned();
    control.severity = text.to_owned();
    control.statement = text.to_owned();
    control.remediation = text.to_owned();
    control.runbook = Some(text.to_owned());
    control.mapping = BTreeMap::from([(text.to_owned(), vec![text.to_owned()])]);
    control.parameters = BTreeMap::from([(text.to_owned(), text.to_owned())]);
    for finding in &mut control.findings {
        finding.evidence.push(text.into());
        finding.source = text.into();
    }
    let mut run = run(26, vec![control]);
    run.stage = text.to_owned();
    run.notes = vec![text.to_owned()];
    run.not_proven = vec![text.to_owned()];
    run.api_calls = BTreeMap::from([(text.to_owned(), 1)]);
    run.waivers = vec![waiver("W-12", text, 20), waiver("W-13", text, -3)];
    run.reach = vec![ReachPath {
        rule: text.to_owned(),
        from: text.to_owned(),
        to: "arn:aws:secretsmanager:*:*:secret:y".to_owned(),
        steps: vec![
            ReachStep {
                from: text.to_owned(),
                by: text.to_owned(),
                to: "arn:aws:iam::111122223333:role/b".to_owned(),
            },
            ReachStep {
                from: "arn:aws:iam::111122223333:role/b".to_owned(),
                by: "secretsmanager:GetSecretValue".to_owned(),
                to: "arn:aws:secretsmanager:*:*:secret:y".to_owned(),
            },
        ],
    }];
    run.measurements = vec![Measurement {
        probe: text.to_owned(),
        what: text.to_owned(),
        values_ms: vec![1200, 310_000],
        limit_ms: Some(300_000),
        timeline: vec![
            Moment {
                at_ms: 0,
                what: text.to_owned(),
            },
            Moment {
                at_ms: 400,
                what: "the version moved".to_owned(),
            },
        ],
    }];
    run
}

fn waiver(id: &str, text: &str, days_left: i64) -> WaiverNote {
    WaiverNote {
        id: id.to_owned(),
        control: "FR-278".to_owned(),
        assertion: "interval".to_owned(),
        resource: text.to_owned(),
        reason: text.to_owned(),
        compensating: text.to_owned(),
        approver: text.to_owned(),
        approved_on: "2026-11-01".to_owned(),
        expires: "2026-12-16".to_owned(),
        ticket: text.to_owned(),
        days_left,
        covered: 1,
        source: text.to_owned(),
    }
}

/// A run over this many secrets, five rules each, of which every one has this verdict.
pub(super) fn large(secrets: usize, verdict: Verdict) -> Run {
    let findings = ["switched-on", "interval", "really-rotated", "schedule-valid", "tagged"]
        .iter()
        .flat_map(|rule| {
            (0..secrets).map(move |number| {
                let arn = format!(
                    "arn:aws:secretsmanager:ap-southeast-2:111122223333:secret:bank-platform/rotation/secret-{number:05}-aBcDeF"
                );
                let mut finding = finding(rule, &arn, verdict);
                finding.says =
                    format!("bank-platform/rotation/secret-{number:05} rotates every 30 days ({rule})");
                finding
            })
        })
        .collect();
    run(26, vec![control("FR-278", findings)])
}
