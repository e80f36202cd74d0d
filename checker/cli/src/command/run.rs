//! `checker run`, the main job: observe, judge, record, tell.

use std::path::PathBuf;

use checker_core::evidence::Judged;
use checker_core::observation::Time;
use checker_core::report;
use checker_core::shard::Shard;
use checker_lab::{Fault, Replacement};
use clap::{Args, ValueEnum};

use super::{controls, runtime, waiting_runtime};
use crate::console::Console;
use crate::examination::{Question, examine, examine_places};
use crate::failure::Failure;
use crate::places::{self, places};
use crate::store::archive::{Archive, Chaining, Recorded, Recording};
use crate::store::keys::{self, Signer};
use crate::subject::{LabSetup, Subject, is_loopback};

/// What is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Where {
    /// The program, in an embedded AWS.
    Lab,
    /// A live account, with the usual AWS credentials.
    Aws,
}

/// Options of `checker run`.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(super) struct Arguments {
    /// What is judged.
    #[arg(long, value_enum, default_value = "lab")]
    target: Where,
    /// The stage.
    #[arg(long, default_value = "dev")]
    stage: String,
    /// Only these controls, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "ID")]
    only: Vec<String>,
    /// Only what is said of this resource.
    #[arg(long, value_name = "ARN")]
    resource: Option<String>,
    /// Fills the lab with this many further secrets.
    #[arg(long, value_name = "N", default_value_t = 0)]
    lab_secrets: u32,
    /// A fault that the lab shows, such as `secretsmanager:ListSecrets=access-denied`.
    #[arg(long, value_name = "OPERATION=FAULT")]
    lab_fault: Vec<Fault>,
    /// Another executable in place of a function's own, for tests of what a faulty function leads to.
    #[arg(long, value_name = "NAME=COMMAND")]
    lab_function: Vec<Replacement>,
    /// The folder of control files.
    #[arg(long, value_name = "DIR", default_value = "controls")]
    controls: PathBuf,
    /// The folder of the Pulumi YAML program.
    #[arg(long, value_name = "DIR", default_value = "infra-pulumi-yaml")]
    program: PathBuf,
    /// The folder that receives the run's folder.
    #[arg(long, value_name = "DIR", default_value = "reports")]
    out: PathBuf,
    /// Another endpoint for `--target aws`.
    #[arg(long, value_name = "URL", value_parser = endpoint)]
    endpoint_url: Option<String>,
    /// Carry out the probes, which change things with the probe tag; without this only in the lab.
    #[arg(long, overrides_with = "no_probes")]
    probes: bool,
    /// Carry out no probe, and have what they would prove inconclusive.
    #[arg(long)]
    no_probes: bool,
    /// Judge a live account even with credentials that can read values of secrets; the report says so.
    #[arg(long)]
    may_read_values: bool,
    /// The key that signs the run: OpenSSH form, ed25519, no passphrase. The lab makes one of its own.
    #[arg(long, value_name = "FILE")]
    signing_key: Option<PathBuf>,
    /// The manifest of the run before, where that run is not in the folder of runs.
    #[arg(long, value_name = "FILE", conflicts_with = "genesis")]
    previous: Option<PathBuf>,
    /// Begins a chain of runs. Outside the lab a first run needs it.
    #[arg(long)]
    genesis: bool,
    /// Service control policies of the organisation: `DIR/*.json`, or a folder a level in the order of their names.
    #[arg(long, value_name = "DIR")]
    scp: Option<PathBuf>,
    /// The time at which everything is judged, RFC 3339.
    #[arg(long, value_name = "TIME")]
    now: Option<Time>,
    /// The accounts to judge, each with a role to assume and its regions (YAML).
    #[arg(long, value_name = "FILE", conflicts_with = "regions")]
    accounts: Option<PathBuf>,
    /// The regions of the caller's account, separated by commas; otherwise the one of the environment.
    #[arg(long, value_delimiter = ',', value_name = "REGION", value_parser = places::region)]
    regions: Vec<String>,
    /// Only this share of every population of one account and region, `i/n`; `checker merge` puts the shares together.
    #[arg(long, value_name = "I/N", conflicts_with_all = ["accounts", "resource"])]
    shard: Option<Shard>,
}

/// Runs it.
pub(super) fn run(arguments: &Arguments, console: Console) -> Result<u8, Failure> {
    arguments.fit()?;
    let (sources, catalog) =
        controls::read(&arguments.controls, &arguments.stage, &arguments.only)?;
    let archive = Archive::open(
        &arguments.out,
        Chaining {
            previous: arguments.previous.clone(),
            genesis: arguments.genesis,
            lab: arguments.is_lab(),
        },
    )?;
    let signer = arguments.signer(&archive)?;
    let runtime = match arguments.target {
        Where::Lab => runtime()?,
        Where::Aws => waiting_runtime()?,
    };
    runtime.block_on(async {
        let mut subject = subject(arguments, console)
            .await?
            .with_control_policies(arguments.scp.as_deref())?;
        let question = Question {
            stage: &arguments.stage,
            now: arguments.now,
            probes: arguments.with_probes(),
            shard: arguments.shard,
            may_read_values: arguments.may_read_values,
        };
        let mut places = places(
            &subject.config,
            arguments.accounts.as_deref(),
            &arguments.regions,
        )
        .await?;
        let (examined, parts) = match (places.pop(), places.is_empty(), &arguments.accounts) {
            (Some(only), true, None) => {
                subject.config = only.config;
                let examined = examine(&catalog, &subject, &question, console).await?;
                (examined, Vec::new())
            }
            (last, _, _) => {
                places.extend(last);
                examine_places(&catalog, &subject, places, &question, console).await?
            }
        };
        let run = match &arguments.resource {
            Some(resource) => examined.only(&catalog, &parts, resource)?,
            None => examined.run,
        };
        let recorded = archive.record(Recording {
            sources: &sources,
            facts: &examined.facts,
            run: &run,
            judged: &Judged {
                setting: examined.setting,
                about: examined.about,
                only: arguments.only.clone(),
                resource: arguments.resource.clone(),
                parts,
            },
            further: &[],
            signer: &signer,
        })?;
        console.progress_done();
        console.run(&run);
        tell(&recorded, console);
        if let Some(lab) = subject.lab {
            lab.stop().await;
        }
        Ok(run.verdict.exit_code())
    })
}

impl Arguments {
    /// Refuses what would have no effect, or another than whoever typed it must expect.
    fn fit(&self) -> Result<(), Failure> {
        let lab = self.target == Where::Lab;
        let several = self.accounts.is_some() || self.regions.len() > 1;
        let lab_only =
            self.lab_secrets > 0 || !self.lab_fault.is_empty() || !self.lab_function.is_empty();
        let wrong = if lab && (self.accounts.is_some() || !self.regions.is_empty()) {
            "--accounts and --regions need --target aws: the lab is one account in one region"
        } else if lab && self.endpoint_url.is_some() {
            "--endpoint-url needs --target aws: the lab is in this process"
        } else if !lab && lab_only {
            "--lab-secrets, --lab-fault and --lab-function are for --target lab; `checker lab` serves one that --target aws \
             can ask"
        } else if several && self.probes {
            "--probes are for one account and region, where somebody looks on: run them there by themselves, without \
             --accounts and with one region"
        } else if self.regions.len() > 1 && self.shard.is_some() {
            "--shard cuts the populations of one region: give one in --regions, and run every shard in each region"
        } else {
            return Ok(());
        };
        Err(Failure::Usage(wrong.to_owned()))
    }

    /// In the lab unless they are declined, on AWS only when they are asked for.
    fn with_probes(&self) -> bool {
        match self.target {
            Where::Lab => !self.no_probes,
            Where::Aws => self.probes,
        }
    }

    /// Whether nothing but a lab is judged: then the lab's own key signs, and a chain begins by itself. An AWS at a
    /// loopback address is such a lab unless a real key is to vouch for it.
    fn is_lab(&self) -> bool {
        let endpoint = self
            .endpoint_url
            .clone()
            .or_else(|| std::env::var("AWS_ENDPOINT_URL").ok());
        self.target == Where::Lab
            || (self.signing_key.is_none()
                && endpoint.is_some_and(|endpoint| is_loopback(&endpoint)))
    }

    fn signer(&self, archive: &Archive) -> Result<Signer, Failure> {
        match &self.signing_key {
            Some(path) => keys::given(path),
            None if self.is_lab() => archive.lab_signer(),
            None => Err(Failure::Usage(
                "a run on AWS is signed: give the key with --signing-key FILE (make one with `ssh-keygen -t ed25519 -N '' -f \
                 FILE`, and give its public half to the auditor)"
                    .to_owned(),
            )),
        }
    }
}

/// An address that requests can go to.
fn endpoint(text: &str) -> Result<String, String> {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && !host.starts_with(['/', ':']) => Ok(text.to_owned()),
        Some(_) | None => Err("expected an address such as http://127.0.0.1:4566".to_owned()),
    }
}

/// Where the run is, and the head of its chain, which belongs outside the folder: with the summary on a CI job's page.
pub(super) fn tell(recorded: &Recorded, console: Console) {
    let kept = if recorded.again {
        "recorded before, kept as it is, in"
    } else {
        "written to"
    };
    console.line(&format!("{kept} {}", recorded.folder.display()));
    let head = format!("{} {}", recorded.sequence, recorded.digest);
    console.line(&format!("head of the chain: {head}"));
    let Some(summary) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty())
    else {
        return;
    };
    let result = std::fs::read_to_string(recorded.folder.join(report::SUMMARY)).unwrap_or_default();
    let text = format!(
        "{result}\nHead of the compliance evidence (sequence, SHA-256 of the manifest): `{head}`\n"
    );
    let written = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&summary)
        .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
    if let Err(error) = written {
        console.error(&format!(
            "the head could not be written to the job's summary: {error}"
        ));
    }
}

async fn subject(arguments: &Arguments, console: Console) -> Result<Subject, Failure> {
    match arguments.target {
        Where::Lab => {
            console.progress("applying the program to the lab");
            Subject::lab(&LabSetup {
                program: arguments.program.clone(),
                stage: arguments.stage.clone(),
                secrets: arguments.lab_secrets,
                clock: arguments.now,
                faults: arguments.lab_fault.clone(),
                replace: arguments.lab_function.clone(),
                ..LabSetup::default()
            })
            .await
        }
        Where::Aws => {
            Subject::aws(
                &arguments.program,
                &arguments.stage,
                arguments.endpoint_url.as_deref(),
            )
            .await
        }
    }
}
