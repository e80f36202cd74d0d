//! Probing runs that are interrupted, that find somebody else at work, that meet something outside the fence, or that
//! lose AWS halfway: each ends by itself, says so, passes nothing of what it did not see, and leaves nothing behind.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is not as it should be"
)]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_secretsmanager::Client as Secrets;
use aws_sdk_ssm::Client as Parameters;
use serde_json::{Value, json};

mod support;

use support::{Lab, REGION, checker};

const LEASE: &str = "/bank/probe/lease";
const PROBE: &str = "bank-platform/rotation/probe-dev";
/// More than any run takes that does not wait for what never comes.
const PATIENCE: Duration = Duration::from_secs(90);

/// A probing run in a process of its own.
struct Probing {
    process: Child,
    folder: tempfile::TempDir,
}

impl Probing {
    fn start(lab: &Lab) -> Self {
        Self::with(lab, "--probes")
    }

    fn with(lab: &Lab, wanted: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = checker()
            .args(["run", "--target", "aws", "--stage", "dev", wanted])
            .args(["--endpoint-url", &lab.endpoint])
            .arg("--out")
            .arg(folder.path().join("runs"))
            .env("AWS_ACCESS_KEY_ID", "administrator")
            .env("AWS_SECRET_ACCESS_KEY", "administrator")
            .env("AWS_REGION", REGION)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("said")).unwrap())
            .spawn()
            .unwrap();
        Self { process, folder }
    }

    /// Its exit code, what it said, and the run that it wrote.
    fn end(mut self) -> (Option<i32>, String, Value) {
        let since = Instant::now();
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            if since.elapsed() > PATIENCE {
                self.process.kill().ok();
                panic!("it does not end");
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let file = |name: &str| -> PathBuf { self.folder.path().join(name) };
        let said = std::fs::read_to_string(file("said")).unwrap();
        let text = std::fs::read_to_string(file("runs/latest/run.json")).unwrap_or_default();
        let run = serde_json::from_str(&text).unwrap_or_else(|_| panic!("no run: {said}"));
        (status.code(), said, run)
    }
}

/// `CONTROL.assertion` and verdict of every finding.
fn verdicts(run: &Value) -> BTreeSet<(String, String)> {
    let controls = run["controls"].as_array().unwrap();
    let findings = controls.iter().flat_map(|control| {
        let findings = control["findings"].as_array().unwrap();
        findings.iter().map(move |finding| (control, finding))
    });
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    findings
        .map(|(control, finding)| {
            let rule = format!("{}.{}", text(&control["id"]), text(&finding["assertion"]));
            (rule, text(&finding["verdict"]))
        })
        .collect()
}

/// Verdicts of the rules that rest on probes: those that nobody can decide without.
fn probed(run: &Value, without: &Value) -> BTreeSet<String> {
    let controls = without["controls"].as_array().unwrap();
    let rules: BTreeSet<String> = controls
        .iter()
        .flat_map(|control| {
            let findings = control["findings"].as_array().unwrap();
            findings.iter().map(move |finding| (control, finding))
        })
        .filter(|(_, finding)| {
            finding["because"]
                .to_string()
                .contains("probes were not asked for")
        })
        .map(|(control, finding)| {
            let assertion = finding["assertion"].as_str().unwrap();
            format!("{}.{assertion}", control["id"].as_str().unwrap())
        })
        .collect();
    assert!(rules.len() > 10, "{rules:?}");
    verdicts(run)
        .into_iter()
        .filter(|(rule, _)| rules.contains(rule))
        .map(|(_, verdict)| verdict)
        .collect()
}

fn only_inconclusive() -> BTreeSet<String> {
    BTreeSet::from(["inconclusive".to_owned()])
}

async fn lease(parameters: &Parameters) -> Option<String> {
    let found = parameters.get_parameter().name(LEASE).send().await.ok()?;
    found.parameter?.value
}

/// Labels of the probe secret, by version.
async fn labels(secrets: &Secrets) -> BTreeSet<(String, String)> {
    let secret = secrets
        .describe_secret()
        .secret_id(PROBE)
        .send()
        .await
        .unwrap();
    secret
        .version_ids_to_stages
        .unwrap()
        .into_iter()
        .flat_map(|(version, labels)| {
            labels
                .into_iter()
                .map(move |label| (version.clone(), label))
        })
        .collect()
}

/// Waits until the run has begun to change things.
async fn begun(parameters: &Parameters) {
    let since = Instant::now();
    while lease(parameters).await.is_none() {
        assert!(since.elapsed() < PATIENCE, "no probe begins");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_run_cleans_up_and_passes_nothing_that_it_did_not_see() {
    for signal in ["-INT", "-TERM"] {
        let lab = Lab::start();
        let administrator = lab.administrator().await;
        let parameters = Parameters::new(&administrator);
        let run = Probing::start(&lab);
        begun(&parameters).await;
        let process = run.process.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &process])
                .status()
                .unwrap()
                .success()
        );
        let (code, said, run) = run.end();
        assert_eq!(code, Some(3), "{said}");
        // What had ended before may have passed.
        assert!(
            run["controls"]
                .to_string()
                .contains("the probe was interrupted")
        );
        assert_eq!(lease(&parameters).await, None);
        let labels = labels(&Secrets::new(&administrator)).await;
        let count = |wanted: &str| labels.iter().filter(|(_, label)| label == wanted).count();
        assert_eq!(count("AWSCURRENT"), 1);
        let current = labels
            .iter()
            .find(|(_, label)| label == "AWSCURRENT")
            .unwrap();
        let pending = labels.iter().find(|(_, label)| label == "AWSPENDING");
        assert!(
            pending.is_none_or(|pending| pending.0 == current.0),
            "{labels:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_finds_the_lease_held_changes_nothing() {
    let lab = Lab::start();
    let administrator = lab.administrator().await;
    let (parameters, secrets) = (
        Parameters::new(&administrator),
        Secrets::new(&administrator),
    );
    let holder = json!({"host": "another-runner", "process": 7, "started": "1",
        "until": (chrono::Utc::now() + chrono::TimeDelta::hours(1)).to_rfc3339()});
    parameters
        .put_parameter()
        .name(LEASE)
        .value(holder.to_string())
        .r#type(aws_sdk_ssm::types::ParameterType::String)
        .send()
        .await
        .unwrap();
    let before = labels(&secrets).await;
    let (_, _, without) = Probing::with(&lab, "--no-probes").end();
    let (code, said, run) = Probing::start(&lab).end();
    assert_eq!(code, Some(3), "{said}");
    assert_eq!(probed(&run, &without), only_inconclusive());
    assert!(run["controls"].to_string().contains("another-runner"));
    assert_eq!(labels(&secrets).await, before);
    assert_eq!(lease(&parameters).await, Some(holder.to_string()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_without_the_probe_tag_is_outside_the_fence() {
    let lab = Lab::start();
    let secrets = Secrets::new(&lab.administrator().await);
    secrets
        .untag_resource()
        .secret_id(PROBE)
        .tag_keys("bank:probe")
        .send()
        .await
        .unwrap();
    let before = labels(&secrets).await;
    let (code, said, run) = Probing::start(&lab).end();
    assert!(matches!(code, Some(1 | 3)), "{code:?}: {said}");
    let reasons = run["controls"].to_string();
    assert!(
        reasons.contains("bank:probe"),
        "the refusal does not name the fence"
    );
    assert_eq!(labels(&secrets).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_loses_aws_halfway_ends_and_passes_nothing_of_it() {
    let mut lab = Lab::start();
    let parameters = Parameters::new(&lab.administrator().await);
    let (_, _, without) = Probing::with(&lab, "--no-probes").end();
    let run = Probing::start(&lab);
    begun(&parameters).await;
    lab.stop();
    let (code, said, run) = run.end();
    assert_eq!(code, Some(3), "{said}");
    assert_eq!(probed(&run, &without), only_inconclusive());
}
