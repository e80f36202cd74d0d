//! One examination of a subject: ask AWS in rounds until the plan is satisfied, then judge.
//!
//! In: the catalogue, the [`Subject`] and a [`Question`]. Out: the facts and the run that they lead to. The nightly
//! run, the gate and the fault runs all come through here; writing and showing the run is up to them.

use checker_core::access::second_opinions;
use checker_core::control::Catalog;
use checker_core::judge::{About, judge};
use checker_core::observation::{
    Answer, Facts, Observation, Observed, Origin, Outcome, Time, Unseen,
};
use checker_core::plan;
use checker_core::population::{Organisation, Setting};
use checker_core::probe;
use checker_core::run::{Run, Target};
use chrono::Utc;

use crate::aws::Aws;
use crate::console::Console;
use crate::subject::Subject;

/// What is asked of a subject.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    /// The stage.
    pub(crate) stage: &'a str,
    /// The time at which everything is judged, where it is not the subject's own.
    pub(crate) now: Option<Time>,
    /// Whether probes are carried out.
    pub(crate) probes: bool,
}

/// What came of an examination: the run, and all that it follows from besides the controls.
#[derive(Debug)]
pub(crate) struct Examined {
    /// Everything that was asked.
    pub(crate) facts: Facts,
    /// The run, not condensed.
    pub(crate) run: Run,
    /// Place, time and names.
    pub(crate) setting: Setting,
    /// What the run says about itself.
    pub(crate) about: About,
}

/// Asks everything that the controls need, carries out the probes where that is wanted, and judges.
pub(crate) async fn examine(
    catalog: &Catalog,
    subject: &Subject,
    question: &Question<'_>,
    console: Console,
) -> Examined {
    let aws = Aws::new(&subject.config);
    let mut setting = Setting {
        stage: question.stage.to_owned(),
        account: String::new(),
        region: subject
            .config
            .region()
            .map(ToString::to_string)
            .unwrap_or_default(),
        now: now(subject, question),
        organisation: Organisation::default(),
    };
    let mut facts = observe(catalog, subject, &aws, &mut setting, console).await;
    let plan = probe::plan(catalog, &setting);
    let traces = if question.probes {
        crate::probe::announce(&plan, console, subject.target == Target::Aws);
        crate::probe::run(&plan, subject, &setting, &aws, console).await
    } else {
        crate::probe::not_run(&plan)
    };
    for trace in traces {
        facts.insert(trace);
    }
    let about = About {
        target: subject.target,
        finished: question.now.unwrap_or_else(Utc::now),
        notes: subject.notes.clone(),
        not_proven: not_proven(subject),
        api_calls: aws.calls().counted(),
    };
    let run = judge(catalog, &facts, &setting, about.clone());
    Examined {
        facts,
        run,
        setting,
        about,
    }
}

/// The setting in which a run was judged.
pub(crate) fn setting_of(run: &Run) -> Setting {
    Setting {
        stage: run.stage.clone(),
        account: run.account.clone(),
        region: run.region.clone(),
        now: run.started,
        organisation: Organisation::default(),
    }
}

/// The time of judgement: as given, otherwise the clock of what is judged.
fn now(subject: &Subject, question: &Question<'_>) -> Time {
    match (&subject.lab, question.now) {
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
    if let Some(policies) = &subject.control_policies {
        facts.insert(policies.clone());
    }
    for observed in aws.observe([Observation::Caller], |_| {}).await {
        facts.insert(observed);
    }
    if let Ok(Answer::Caller(caller)) = facts.get(&Observation::Caller) {
        setting.account.clone_from(&caller.account);
    }
    let mut opinions = subject.target == Target::Aws;
    loop {
        let mut open = plan::next(catalog, &facts, setting);
        if open.is_empty() && opinions {
            // The second opinion comes last, because it is sampled from what the proofs came to.
            opinions = false;
            open = second_opinions(catalog, &facts, setting);
        }
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

fn not_proven(subject: &Subject) -> Vec<String> {
    let mut gaps = Vec::new();
    if subject.target == Target::Aws && subject.is_loopback() {
        gaps.push(
            "AWS was asked at a loopback address: whatever answered there is not a live account"
                .to_owned(),
        );
    }
    if subject.target == Target::Lab {
        gaps.push(
            "the lab is an embedded AWS: a pass says that the program is right, not that an account is"
                .to_owned(),
        );
    }
    gaps
}
