//! What a run judges: the program in an embedded AWS, or a live account.
//!
//! Out: a client configuration, the program as an observation, and notes on how it all came about. The lab lives
//! as long as its subject.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_smithy_http_client::tls;
use aws_types::SdkConfig;
use checker_core::diagnostic::Diagnostic;
use checker_core::observation::answer::{self, DeclaredResource, ProgramValue};
use checker_core::observation::{Answer, Observation, Observed, Origin, Outcome, Time, Unseen};
use checker_core::run::Target;
use checker_lab::program::{Applied, ApplyError, ApplyOptions, Program, ProgramErrors, apply};
use checker_lab::{Fault, Lab, LabOptions, Replacement};

use crate::aws::{Aws, Clock, Patience};
use crate::declaration;
use crate::failure::Failure;
use crate::preview::left_open;

/// Type token of a function in the program.
const FUNCTION: &str = "aws:lambda/function:Function";

/// ARNs of what programs declare, by `program:<program>/<name>`.
type Arns = BTreeMap<String, String>;

/// What is judged.
pub(crate) struct Subject {
    /// Lab or AWS.
    pub(crate) target: Target,
    /// Clients are made from this.
    pub(crate) config: SdkConfig,
    /// The program as an answer.
    pub(crate) program: Observed,
    /// What is not known of it yet, as an answer.
    pub(crate) plan: Option<Observed>,
    /// What a reader must know.
    pub(crate) notes: Vec<String>,
    /// The organisation's service control policies, where they were handed in.
    pub(crate) control_policies: Option<Observed>,
    /// The embedded AWS, where that is what is judged.
    pub(crate) lab: Option<Lab>,
    /// How that was made, to make another one.
    pub(crate) recipe: Option<Recipe>,
}

/// What an embedded AWS was made of.
#[derive(Clone)]
pub(crate) struct Recipe {
    programs: Vec<Arc<Program>>,
    setup: LabSetup,
}

impl Recipe {
    /// Another one, without secrets that were only filled in, in which events are delivered to no function.
    pub(crate) async fn make_quiet(&self) -> Result<Subject, Failure> {
        let setup = LabSetup {
            secrets: 0,
            port: 0,
            quiet: true,
            ..self.setup.clone()
        };
        Subject::applied(&self.programs, &setup).await
    }
}

/// How the embedded AWS is set up.
#[derive(Debug, Clone, Default)]
pub(crate) struct LabSetup {
    /// The program's folder.
    pub(crate) program: PathBuf,
    /// The stage.
    pub(crate) stage: String,
    /// The loopback port; 0 takes a free one.
    pub(crate) port: u16,
    /// Further secrets.
    pub(crate) secrets: u32,
    /// The time at which it starts.
    pub(crate) clock: Option<Time>,
    /// Faults that it shows once the program stands.
    pub(crate) faults: Vec<Fault>,
    /// Functions that are played by another executable.
    pub(crate) replace: Vec<Replacement>,
    /// The program that serves functions that are not built; otherwise this one.
    pub(crate) stand_in: Option<PathBuf>,
    /// Begins rotations and never carries them out.
    pub(crate) still: bool,
    /// Delivers events to no function.
    pub(crate) quiet: bool,
}

impl Subject {
    /// The program, applied to a fresh embedded AWS.
    pub(crate) async fn lab(setup: &LabSetup) -> Result<Self, Failure> {
        let programs = stacked(&setup.program)
            .iter()
            .map(|folder| {
                Program::load_beneath(folder, &setup.stage, &setup.program)
                    .map(Arc::new)
                    .map_err(|errors| wrong(&errors))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Self::applied(&programs, setup).await
    }

    /// Programs that stand on each other, the lowest first, applied to a fresh embedded AWS.
    pub(crate) async fn applied(
        programs: &[Arc<Program>],
        setup: &LabSetup,
    ) -> Result<Self, Failure> {
        let lab = lab_for(setup, programs.last().map(Arc::as_ref)).await?;
        let mut notes = Vec::new();
        let mut arns = Arns::new();
        let mut gaps = Vec::new();
        let mut function = None;
        let mut names = Vec::new();
        let mut made = Vec::new();
        for part in programs {
            let stand_in = setup.stand_in.clone().or(std::env::current_exe().ok());
            let applied = apply_to(lab.account(), &lab.sdk_config(), part, stand_in).await?;
            notes.extend(notes_on(&applied));
            arns.extend(arns_of(&applied));
            gaps.extend(applied.gaps.clone());
            function = rotation_function(&applied, &setup.stage).or(function);
            names.extend(function_names(&applied));
            made.push(applied);
        }
        for replacement in &setup.replace {
            notes.push(replaced(replacement, &names)?);
        }
        lab.settle().await;
        if setup.secrets > 0 {
            let function = function.ok_or_else(|| {
                Failure::Usage("--lab-secrets needs a rotation function in the program".to_owned())
            })?;
            lab.fill_secrets(setup.secrets, &function)
                .map_err(|error| Failure::Broken(format!("failed to {error}")))?;
        }
        for fault in &setup.faults {
            lab.faults().plant(fault.clone());
        }
        Ok(Self {
            target: Target::Lab,
            config: Patience::LAB.applied(lab.sdk_config()),
            program: observed(programs, &arns, &made),
            plan: (!gaps.is_empty()).then(|| left_open(&gaps, &[], false)),
            notes,
            control_policies: None,
            lab: Some(lab),
            recipe: Some(Recipe {
                programs: programs.to_vec(),
                setup: setup.clone(),
            }),
        })
    }

    /// What is given and not asked.
    pub(crate) fn given(&self) -> Vec<Observed> {
        let program = std::iter::once(self.program.clone());
        program
            .chain(self.control_policies.clone())
            .chain(self.plan.clone())
            .collect()
    }

    /// Whether what is asked as AWS is on this machine, such as `checker lab`.
    pub(crate) fn is_loopback(&self) -> bool {
        self.config.endpoint_url().is_some_and(is_loopback)
    }

    /// A live account, with the credentials of the environment.
    pub(crate) async fn aws(
        program: &Path,
        stage: &str,
        endpoint: Option<&str>,
    ) -> Result<Self, Failure> {
        let config = live_config(endpoint).await?;
        Ok(Self {
            target: Target::Aws,
            config,
            program: observed_if_there(program, stage)?,
            plan: None,
            notes: Vec::new(),
            control_policies: None,
            lab: None,
            recipe: None,
        })
    }
}

impl Subject {
    /// With the service control policies of a folder, where one is given.
    pub(crate) fn with_control_policies(mut self, folder: Option<&Path>) -> Result<Self, Failure> {
        if let Some(folder) = folder {
            self.control_policies = Some(crate::policy_files::control_policies(folder)?);
        }
        Ok(self)
    }
}

/// A configuration for a live account, by the usual AWS rules.
pub(crate) async fn live_config(endpoint: Option<&str>) -> Result<SdkConfig, Failure> {
    let mut loader = aws_config::defaults(aws_config::BehaviorVersion::latest()).http_client(
        aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(
                tls::rustls_provider::CryptoMode::Ring,
            ))
            .build_https(),
    );
    if let Some(endpoint) = endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    let config = Patience::LIVE.applied(loader.load().await);
    if config.region().is_none() {
        return Err(Failure::Usage(
            "no AWS region is set (set AWS_REGION, or a region in the profile)".to_owned(),
        ));
    }
    Ok(config)
}

/// Whether an endpoint is on this machine.
pub(crate) fn is_loopback(endpoint: &str) -> bool {
    let Some((_, rest)) = endpoint.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// An embedded AWS with nothing in it.
pub(crate) async fn empty_lab(setup: &LabSetup) -> Result<Lab, Failure> {
    lab_for(setup, None).await
}

/// An embedded AWS of the account and region that a program is configured for.
async fn lab_for(setup: &LabSetup, program: Option<&Program>) -> Result<Lab, Failure> {
    let defaults = LabOptions::default();
    Lab::start(LabOptions {
        port: setup.port,
        clock: setup.clock,
        replace: setup.replace.clone(),
        account: program
            .and_then(Program::account)
            .map_or(defaults.account, str::to_owned),
        region: program
            .and_then(Program::region)
            .map_or(defaults.region, str::to_owned),
        faults: Vec::new(),
        still: setup.still,
        quiet: setup.quiet,
    })
    .await
    .map_err(|error| Failure::Broken(format!("failed to {error}")))
}

/// Applies the program to another endpoint on loopback, with the code that applies it to the lab; returns notes.
pub(crate) async fn apply_onto(setup: &LabSetup, endpoint: &str) -> Result<Vec<String>, Failure> {
    let subject = Subject::aws(&setup.program, &setup.stage, Some(endpoint)).await?;
    let config = &subject.config;
    let asked = Aws::new(config, Clock::system(None))
        .observe([Observation::Caller], |_| {})
        .await;
    let account = asked
        .into_iter()
        .find_map(|observed| match observed.outcome {
            Outcome::Seen(Answer::Caller(caller)) => Some(caller.account),
            Outcome::Seen(_) | Outcome::Unseen(_) => None,
        });
    let account = account
        .ok_or_else(|| Failure::Usage(format!("`{endpoint}` does not say whose account it is")))?;
    let mut notes = Vec::new();
    for folder in stacked(&setup.program) {
        let part = Program::load(&folder, &setup.stage).map_err(|errors| wrong(&errors))?;
        let applied = apply_to(&account, config, &part, std::env::current_exe().ok()).await?;
        notes.extend(notes_on(&applied));
    }
    Ok(notes)
}

async fn apply_to(
    account: &str,
    config: &SdkConfig,
    program: &Program,
    stand_in: Option<PathBuf>,
) -> Result<Applied, Failure> {
    let options = ApplyOptions {
        account: account.to_owned(),
        stand_in,
    };
    apply(program, config, &options)
        .await
        .map_err(|error| match error {
            ApplyError::Program(errors) => wrong(&errors),
            ApplyError::NoEndpoint | ApplyError::NotLoopback(_) => {
                Failure::Broken(format!("failed to apply the program: {error}"))
            }
        })
}

/// The program after all that it stands on: its prerequisites, and theirs where they have some of their own.
pub(crate) fn stacked(program: &Path) -> Vec<PathBuf> {
    let mut folders = vec![program.to_owned()];
    folders.extend(prerequisites(program));
    while let Some(below) = folders.last().map(|last| last.join("prerequisites"))
        && below.join("Pulumi.yaml").exists()
    {
        folders.push(below);
    }
    folders.reverse();
    folders
}

/// The prerequisites beside the program, otherwise the repository's, unless they are the program itself.
fn prerequisites(program: &Path) -> Option<PathBuf> {
    let own = program.join("prerequisites");
    if own.join("Pulumi.yaml").exists() {
        return Some(own);
    }
    let repository = repository()?;
    let itself = repository.canonicalize().ok() == program.canonicalize().ok();
    (!itself).then_some(repository)
}

/// The prerequisites of the repository that the checker runs in, or that it was built in.
fn repository() -> Option<PathBuf> {
    let inside = Path::new("infra-pulumi-yaml").join("prerequisites");
    let executable = std::env::current_exe().unwrap_or_default();
    std::iter::once(inside.clone())
        .chain(
            executable
                .ancestors()
                .skip(1)
                .map(|above| above.join(&inside)),
        )
        .find(|folder| folder.join("Pulumi.yaml").exists())
}

/// Errors of a program or a preview, each at its place.
pub(crate) fn wrong(errors: &ProgramErrors) -> Failure {
    Failure::Files(
        errors
            .errors()
            .iter()
            .map(|error| {
                Diagnostic::at(
                    &error.path,
                    usize::try_from(error.line).unwrap_or_default(),
                    usize::try_from(error.column).unwrap_or_default(),
                    &error.message,
                )
                .maybe_help(error.help.clone())
            })
            .collect(),
    )
}

fn notes_on(applied: &Applied) -> Vec<String> {
    let stood_in = applied.stood_in.iter().map(|function| {
        format!(
            "{} is not built, so the checker itself serves {} in the lab",
            function.archive, function.function
        )
    });
    let stored: Vec<&str> = applied
        .resources
        .iter()
        .filter(|resource| resource.stored_only)
        .map(|resource| resource.name.as_str())
        .collect();
    let stored = (!stored.is_empty()).then(|| {
        format!(
            "the lab keeps {} as stored configuration only",
            stored.join(", ")
        )
    });
    let lints = applied.lints.iter().map(ToString::to_string);
    stood_in.chain(stored).chain(lints).collect()
}

fn arns_of(applied: &Applied) -> impl Iterator<Item = (String, String)> {
    applied.resources.iter().filter_map(|resource| {
        let declared = format!("program:{}/{}", applied.program, resource.name);
        Some((declared, resource.arn.clone()?))
    })
}

fn function_names(applied: &Applied) -> impl Iterator<Item = String> {
    applied
        .resources
        .iter()
        .filter(|resource| resource.kind == FUNCTION)
        .filter_map(|resource| resource.inputs.get("name")?.as_str().map(str::to_owned))
}

/// A note on a replaced function, which must be one of the program's: otherwise nothing would be replaced.
fn replaced(replacement: &Replacement, names: &[String]) -> Result<String, Failure> {
    let name = &replacement.function;
    if !names.contains(name) {
        return Err(Failure::Usage(format!(
            "--lab-function names `{name}`, but the program has the functions {}",
            names.join(", ")
        )));
    }
    Ok(format!(
        "{} {} plays the function {name} in the lab",
        replacement.executable.display(),
        replacement.arguments.join(" ")
    ))
}

fn rotation_function(applied: &Applied, stage: &str) -> Option<String> {
    let name = format!("bank-secrets-rotation-{stage}");
    applied
        .resources
        .iter()
        .find(|resource| {
            resource.kind == FUNCTION
                && resource.inputs.get("name").and_then(|it| it.as_str()) == Some(&name)
        })
        .and_then(|resource| resource.arn.clone())
}

/// The program of a live account's stack, where its folder was given.
fn observed_if_there(program: &Path, stage: &str) -> Result<Observed, Failure> {
    if !program.join("Pulumi.yaml").exists() {
        return Ok(Observed {
            observation: Observation::Program,
            origin: Origin::default(),
            outcome: Outcome::Unseen(Unseen {
                operation: "program".to_owned(),
                code: "NoProgram".to_owned(),
                advice: "give the folder of the program with --program DIR".to_owned(),
            }),
        });
    }
    let program = Program::load(program, stage).map_err(|errors| wrong(&errors))?;
    Ok(observed(&[Arc::new(program)], &Arns::new(), &[]))
}

/// The programs as an answer; what is known only once they are applied comes from there.
fn observed(programs: &[Arc<Program>], arns: &Arns, applied: &[Applied]) -> Observed {
    let values = programs
        .iter()
        .flat_map(|program| program.secret_values())
        .map(|found| ProgramValue {
            resource: found.name,
            kind: "value".to_owned(),
            property: found.why,
            place: format!("{}:{}", found.path, found.position),
        })
        .collect();
    let declared = programs
        .iter()
        .flat_map(|program| {
            let made = applied.iter().find(|made| made.program == program.name());
            program.resources().iter().map(move |resource| {
                let inputs = made
                    .and_then(|made| made.resources.iter().find(|it| it.name == resource.name))
                    .map_or(&resource.inputs, |made| &made.inputs);
                DeclaredResource {
                    program: program.name().to_owned(),
                    name: resource.name.clone(),
                    kind: resource.kind.clone(),
                    place: format!("{}:{}", program.path(), resource.position),
                    tags: program.tags(resource),
                    settings: declaration::settings(&resource.kind, inputs),
                    policies: declaration::policies(inputs),
                    arn: arns
                        .get(&format!("program:{}/{}", program.name(), resource.name))
                        .cloned(),
                }
            })
        })
        .collect();
    let name = programs
        .iter()
        .map(|program| program.name())
        .collect::<Vec<_>>()
        .join("+");
    let resources = programs
        .iter()
        .map(|program| program.resources().len())
        .sum::<usize>();
    Observed {
        observation: Observation::Program,
        origin: Origin::default(),
        outcome: Outcome::Seen(Answer::Program(answer::Program {
            name,
            resources: i64::try_from(resources).unwrap_or(i64::MAX),
            values,
            declared,
        })),
    }
}
