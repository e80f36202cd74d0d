//! Where `checker iam` finds policies: files, the program, a live account, or the evidence of a run.
//!
//! Out: facts, gathered in rounds as the statement asks for them. Files become the facts of an account that holds one
//! principal and nothing else, so that everything behind is the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use checker_core::observation::authorization::{Authorization, ManagedPolicy, Principal};
use checker_core::observation::{Answer, Facts, Observation, Observed, Origin, Outcome};
use checker_core::run::Target;
use checker_iam::proof::Guarded;
use checker_iam::{PolicyKind, PolicySet};
use clap::{Args, ValueEnum};

use crate::aws::{Aws, Clock};
use crate::console::Console;
use crate::failure::Failure;
use crate::policy_files::document;
use crate::subject::{LabSetup, Subject};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Where {
    /// The program, in an embedded AWS.
    Lab,
    /// A live account, with the usual AWS credentials.
    Aws,
}

/// Where the policies are.
#[derive(Debug, Args)]
pub(super) struct Source {
    /// An identity policy of the one principal that is asked about, instead of an account; may be repeated.
    #[arg(long = "policy", value_name = "FILE")]
    pub(super) policies: Vec<PathBuf>,
    /// Its permission boundary.
    #[arg(long, value_name = "FILE", requires = "policies")]
    pub(super) boundary: Option<PathBuf>,
    /// The policy of the resource that is asked about: of a secret, a key, a function or a role.
    #[arg(long, value_name = "FILE", requires = "policies")]
    pub(super) resource_policy: Option<PathBuf>,
    /// The folder of a recorded run, whose evidence is asked instead.
    #[arg(long = "run", value_name = "DIR", conflicts_with_all = ["policies", "target"])]
    recorded: Option<PathBuf>,
    /// What is asked.
    #[arg(long, value_enum, default_value = "lab", conflicts_with = "policies")]
    target: Where,
    /// The stage.
    #[arg(long, default_value = "dev")]
    stage: String,
    /// The folder of the Pulumi YAML program.
    #[arg(long, value_name = "DIR", default_value = "infra-pulumi-yaml")]
    program: PathBuf,
    /// Another endpoint for `--target aws`.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// Service control policies: `DIR/*.json`, or a folder a level.
    #[arg(long, value_name = "DIR")]
    pub(super) scp: Option<PathBuf>,
}

/// Who holds the policies of files, unless somebody is named.
pub(super) const SOMEBODY: &str = "arn:aws:iam::111122223333:role/somebody";

/// Facts, and the policies of resources that no fact holds.
pub(super) struct Gathered {
    pub(super) facts: Facts,
    pub(super) target: Target,
    pub(super) given: Vec<Guarded>,
}

impl Source {
    /// Whether policies come from files.
    pub(super) fn is_files(&self) -> bool {
        !self.policies.is_empty()
    }

    /// Asks until `next` has no open question.
    pub(super) async fn gather(
        &self,
        principal: Option<&str>,
        resource: Option<&str>,
        console: Console,
        next: impl Fn(&Facts) -> Vec<Observation>,
    ) -> Result<Gathered, Failure> {
        let mut gathered = if self.is_files() {
            self.of_files(principal.unwrap_or(SOMEBODY), resource)?
        } else if let Some(folder) = &self.recorded {
            recorded(folder)?
        } else {
            return self.of_account(console, next).await;
        };
        self.control_policies(&mut gathered.facts)?;
        Ok(gathered)
    }

    fn control_policies(&self, facts: &mut Facts) -> Result<(), Failure> {
        if let Some(folder) = &self.scp {
            facts.insert(crate::policy_files::control_policies(folder)?);
        }
        Ok(())
    }

    fn of_files(&self, principal: &str, resource: Option<&str>) -> Result<Gathered, Failure> {
        let mut inline = BTreeMap::new();
        for path in &self.policies {
            let (text, _) = document(path, PolicyKind::Identity)?;
            inline.insert(path.display().to_string(), text);
        }
        let mut all = Authorization::default();
        let mut holder = Principal {
            arn: principal.to_owned(),
            name: principal.rsplit('/').next().unwrap_or(principal).to_owned(),
            inline,
            ..Principal::default()
        };
        if let Some(path) = &self.boundary {
            let (document, _) = document(path, PolicyKind::Identity)?;
            let arn = path.display().to_string();
            holder.boundary = Some(arn.clone());
            all.policies.push(ManagedPolicy {
                name: arn.clone(),
                arn,
                document,
            });
        }
        all.principals.push(holder);
        let mut given = Vec::new();
        if let Some(path) = &self.resource_policy {
            let (_, policy) = document(path, PolicyKind::Resource)?;
            let arn = resource
                .filter(|arn| !arn.contains(['*', '?']))
                .ok_or_else(|| {
                    Failure::Usage(
                        "--resource-policy needs exactly one --resource without wildcards"
                            .to_owned(),
                    )
                })?;
            given.push(Guarded {
                arn: arn.to_owned(),
                policy: Some(PolicySet::from(policy)),
                grants: Vec::new(),
            });
        }
        let mut facts = Facts::default();
        // Files show an account that holds nothing else.
        for (observation, answer) in [
            (Observation::Authorization, Answer::Authorization(all)),
            (Observation::Secrets, Answer::Secrets(Vec::new())),
            (Observation::Keys, Answer::Keys(Vec::new())),
            (Observation::KeyAliases, Answer::KeyAliases(Vec::new())),
            (
                Observation::FunctionEnvironments,
                Answer::FunctionEnvironments(Vec::new()),
            ),
        ] {
            facts.insert(Observed {
                observation,
                origin: Origin::default(),
                outcome: Outcome::Seen(answer),
            });
        }
        Ok(Gathered {
            facts,
            target: Target::Plan,
            given,
        })
    }

    async fn of_account(
        &self,
        console: Console,
        next: impl Fn(&Facts) -> Vec<Observation>,
    ) -> Result<Gathered, Failure> {
        let subject = match self.target {
            Where::Lab => {
                console.progress("applying the program to the lab");
                Subject::lab(&LabSetup {
                    program: self.program.clone(),
                    stage: self.stage.clone(),
                    ..LabSetup::default()
                })
                .await?
            }
            Where::Aws => {
                Subject::aws(&self.program, &self.stage, self.endpoint_url.as_deref()).await?
            }
        };
        let aws = Aws::new(&subject.config, Clock::system(None));
        let mut facts = Facts::default();
        self.control_policies(&mut facts)?;
        loop {
            let mut open = next(&facts);
            open.retain(|question| !facts.asked(question));
            open.sort();
            open.dedup();
            if open.is_empty() {
                break;
            }
            let asked = facts.records().count();
            console.progress(&format!("asking {} questions", open.len()));
            for observed in aws.observe(open, |_| {}).await {
                facts.insert(observed);
            }
            if facts.records().count() == asked {
                return Err(Failure::Broken("failed to ask AWS".to_owned()));
            }
        }
        console.progress_done();
        let target = subject.target;
        if let Some(lab) = subject.lab {
            lab.stop().await;
        }
        Ok(Gathered {
            facts,
            target,
            given: Vec::new(),
        })
    }
}

/// The evidence of a run.
fn recorded(folder: &Path) -> Result<Gathered, Failure> {
    let evidence = folder.join("evidence");
    let unreadable = |path: &Path, error: std::io::Error| {
        Failure::Usage(format!("`{}` cannot be read: {error}", path.display()))
    };
    let entries = std::fs::read_dir(&evidence).map_err(|error| unreadable(&evidence, error))?;
    let mut texts = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(&evidence, error))?.path();
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
        texts.push((path.display().to_string(), text));
    }
    texts.sort();
    let facts = Facts::from_texts(
        texts
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str())),
    )
    .map_err(|error| Failure::Usage(format!("failed to {error}")))?;
    for digest in facts.files().texts.keys() {
        if !evidence.join(format!("{digest}.json")).exists() {
            return Err(Failure::Usage(format!(
                "the evidence in `{}` was altered: no file has the name of the digest {digest}",
                evidence.display()
            )));
        }
    }
    Ok(Gathered {
        facts,
        target: Target::Aws,
        given: Vec::new(),
    })
}
