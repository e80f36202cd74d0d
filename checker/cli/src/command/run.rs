//! `checker run`, the main job: observe, judge, record, tell.

use std::path::PathBuf;

use checker_core::control::Catalog;
use checker_core::judge::{About, judge};
use checker_core::observation::{
    Answer, Facts, Observation, Observed, Origin, Outcome, Time, Unseen,
};
use checker_core::plan;
use checker_core::population::{Organisation, Setting};
use checker_core::run::{Run, Target};
use checker_lab::Fault;
use chrono::Utc;
use clap::{Args, ValueEnum};

use super::{controls, runtime};
use crate::aws::Aws;
use crate::console::Console;
use crate::failure::Failure;
use crate::store;
use crate::subject::{LabSetup, Subject};

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
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// The time at which everything is judged, RFC 3339.
    #[arg(long, value_name = "TIME")]
    now: Option<Time>,
}

/// Runs it.
pub(super) fn run(arguments: &Arguments, console: Console) -> Result<u8, Failure> {
    let catalog = controls::load(&arguments.controls, &arguments.stage, &arguments.only)?;
    runtime()?.block_on(async {
        let subject = subject(arguments, console).await?;
        let (facts, run) = observe_and_judge(&catalog, &subject, arguments, console).await?;
        let run = match &arguments.resource {
            Some(resource) => run.only(resource).ok_or_else(|| {
                Failure::Usage(format!(
                    "no rule speaks of `{resource}` (give the full ARN)"
                ))
            })?,
            None => run,
        }
        .condensed();
        let folder = store::write_run(&arguments.out, &run, &facts)?;
        console.progress_done();
        console.run(&run);
        console.line(&format!("written to {}", folder.display()));
        if let Some(lab) = subject.lab {
            lab.stop().await;
        }
        Ok(run.verdict.exit_code())
    })
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

async fn observe_and_judge(
    catalog: &Catalog,
    subject: &Subject,
    arguments: &Arguments,
    console: Console,
) -> Result<(Facts, Run), Failure> {
    let aws = Aws::new(&subject.config);
    let mut setting = Setting {
        stage: arguments.stage.clone(),
        account: String::new(),
        region: subject
            .config
            .region()
            .map(ToString::to_string)
            .unwrap_or_default(),
        now: now(subject, arguments),
        organisation: Organisation::default(),
    };
    let facts = observe(catalog, subject, &aws, &mut setting, console).await;
    let about = About {
        target: subject.target,
        finished: arguments.now.unwrap_or_else(Utc::now),
        notes: subject.notes.clone(),
        not_proven: not_proven(subject.target),
        api_calls: aws.calls().counted(),
    };
    let run = judge(catalog, &facts, &setting, about);
    Ok((facts, run))
}

/// The time of judgement: as given, otherwise the clock of what is judged.
fn now(subject: &Subject, arguments: &Arguments) -> Time {
    match (&subject.lab, arguments.now) {
        // A lab that was started at the given time has moved on a little since.
        (Some(lab), _) => lab.clock().now(),
        (None, Some(given)) => given,
        (None, None) => Utc::now(),
    }
}

/// Asks in rounds until the plan has no open question.
async fn observe(
    catalog: &Catalog,
    subject: &Subject,
    aws: &Aws,
    setting: &mut Setting,
    console: Console,
) -> Facts {
    let mut facts = Facts::default();
    facts.insert(subject.program.clone());
    for observed in aws.observe([Observation::Caller], |_| {}).await {
        facts.insert(observed);
    }
    if let Ok(Answer::Caller(caller)) = facts.get(&Observation::Caller) {
        setting.account.clone_from(&caller.account);
    }
    loop {
        let open = plan::next(catalog, &facts, setting);
        if open.is_empty() {
            return facts;
        }
        let mut done = 0_usize;
        let total = open.len();
        let answers = aws
            .observe(open.clone(), |_| {
                done += 1;
                console.progress(&format!("asked {done} of {total} questions"));
            })
            .await;
        for observed in answers {
            facts.insert(observed);
        }
        for question in open {
            if !facts.asked(&question) {
                facts.insert(lost(question));
            }
        }
    }
}

/// A question whose task ended without an answer.
fn lost(observation: Observation) -> Observed {
    let unseen = Unseen {
        operation: observation.operation().to_owned(),
        code: "Lost".to_owned(),
        advice: "the checker lost this question; run again, and report it if it stays".to_owned(),
    };
    Observed {
        observation,
        origin: Origin::default(),
        outcome: Outcome::Unseen(unseen),
    }
}

fn not_proven(target: Target) -> Vec<String> {
    let mut gaps = Vec::new();
    if target == Target::Lab {
        gaps.push(
            "the lab is an embedded AWS: a pass says that the program is right, not that an account is"
                .to_owned(),
        );
    }
    gaps
}
