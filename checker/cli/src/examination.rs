//! One examination of a subject: ask AWS in rounds until the plan is satisfied, then judge.
//!
//! In: the catalogue, the [`Subject`] and a [`Question`]. Out: the facts and the run that they lead to. The nightly
//! run, the gate and the fault runs all come through here; writing and showing the run is up to them.

use std::sync::Arc;

use aws_types::SdkConfig;
use checker_core::access::{Reading, readable, second_opinions};
use checker_core::control::Catalog;
use checker_core::judge::{About, judge, judge_only};
use checker_core::merge::{PartJudged, SHARD_GAP, judge_parts, merge};
use checker_core::observation::{
    Answer, Facts, Observation, Observed, Origin, Outcome, Time, Unseen,
};
use checker_core::plan;
use checker_core::population::{Organisation, Setting};
use checker_core::probe;
use checker_core::run::{Run, Target};
use checker_core::shard::Shard;
use chrono::Utc;

use crate::aws::{Aws, Clock};
use crate::console::Console;
use crate::failure::Failure;
use crate::places::Place;
use crate::subject::Subject;

/// How many places are asked at the same time.
const PLACES: usize = 8;

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is not as it should be"
)]
mod fail_closed;

/// What is asked of a subject.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Question<'a> {
    /// The stage.
    pub(crate) stage: &'a str,
    /// The time at which everything is judged, where it is not the subject's own.
    pub(crate) now: Option<Time>,
    /// Whether probes are carried out.
    pub(crate) probes: bool,
    /// The share of every population that is judged, where it is not all.
    pub(crate) shard: Option<Shard>,
    /// Whether a live account may be judged with credentials that can read values.
    pub(crate) may_read_values: bool,
}

/// What came of an examination: the run, and all that it follows from besides the controls.
#[derive(Debug)]
pub(crate) struct Examined {
    /// Everything that was asked.
    pub(crate) facts: Facts,
    /// The run.
    pub(crate) run: Run,
    /// Place, time and names.
    pub(crate) setting: Setting,
    /// What the run says about itself.
    pub(crate) about: About,
}

impl Examined {
    /// What the rules say of one resource, of which they must say something.
    pub(crate) fn only(
        &self,
        catalog: &Catalog,
        parts: &[PartJudged],
        resource: &str,
    ) -> Result<Run, Failure> {
        let run = if parts.is_empty() {
            let about = self.about.clone();
            judge_only(catalog, &self.facts, &self.setting, about, resource)
        } else {
            judge_parts(catalog, &self.facts, parts, Some(resource))
                .map_err(|error| Failure::Usage(format!("failed to {error}")))?
        };
        run.ok_or_else(|| {
            Failure::Usage(format!(
                "no rule speaks of `{resource}` (give the full ARN)"
            ))
        })
    }
}

/// Asks everything that the controls need, carries out the probes where that is wanted, and judges.
pub(crate) async fn examine(
    catalog: &Catalog,
    subject: &Subject,
    question: &Question<'_>,
    console: Console,
) -> Result<Examined, Failure> {
    let clock = clock(subject, question);
    let place = Place {
        account: None,
        region: region(&subject.config),
        config: subject.config.clone(),
        denied: None,
    };
    let matter = Matter {
        target: subject.target,
        given: subject.given(),
        notes: subject.notes.clone(),
        stage: question.stage.to_owned(),
        now: now(subject, question),
        finished: question.now,
        shard: question.shard,
        loopback: subject.is_loopback(),
        may_read_values: question.may_read_values,
    };
    let mut asked = ask_place(catalog, &matter, place, clock, console).await;
    let plan = probe::plan(catalog, &asked.setting);
    asked.values = matter.values(&plan, &asked.facts)?;
    // What is done once is done in the first shard.
    let traces = if question.probes && asked.setting.judges_once() {
        crate::probe::announce(&plan, console, subject.target == Target::Aws);
        crate::probe::run(&plan, subject, &asked.setting, &asked.aws, console).await
    } else {
        crate::probe::not_run(&plan)
    };
    for trace in traces {
        asked.facts.insert(trace);
    }
    Ok(judge_place(catalog, &matter, asked))
}

/// Asks and judges in several places at the same time, and puts what came of them together.
pub(crate) async fn examine_places(
    catalog: &Catalog,
    subject: &Subject,
    places: Vec<Place>,
    question: &Question<'_>,
    console: Console,
) -> Result<(Examined, Vec<PartJudged>), Failure> {
    let matter = Arc::new(Matter {
        target: subject.target,
        given: subject.given(),
        notes: subject.notes.clone(),
        stage: question.stage.to_owned(),
        now: now(subject, question),
        finished: question.now,
        shard: question.shard,
        loopback: subject.is_loopback(),
        may_read_values: question.may_read_values,
    });
    let catalog = Arc::new(catalog.clone());
    let mut waiting = places.into_iter();
    let mut running = tokio::task::JoinSet::new();
    let (mut facts, mut runs, mut parts) = (Facts::default(), Vec::new(), Vec::new());
    loop {
        while running.len() < PLACES
            && let Some(place) = waiting.next()
        {
            let (catalog, matter) = (Arc::clone(&catalog), Arc::clone(&matter));
            let clock = clock(subject, question);
            running.spawn(async move {
                let mut asked = ask_place(&catalog, &matter, place, clock, console).await;
                let plan = probe::plan(&catalog, &asked.setting);
                asked.values = matter.values(&plan, &asked.facts)?;
                // Probes are for one account and region, where somebody looks on.
                for trace in crate::probe::not_run(&plan) {
                    asked.facts.insert(trace);
                }
                Ok(judge_place(&catalog, &matter, asked))
            });
        }
        match running.join_next().await {
            Some(Ok(place)) => {
                let place: Examined = place?;
                facts.keep(place.facts);
                runs.push(place.run);
                parts.push(PartJudged {
                    setting: place.setting,
                    about: place.about,
                });
            }
            // A place that is lost without a word would be a pass on nothing.
            Some(Err(error)) => {
                return Err(Failure::Broken(format!("failed to judge a place: {error}")));
            }
            None => break,
        }
    }
    let run = merge(runs).map_err(|error| Failure::Usage(format!("failed to {error}")))?;
    Ok((together(facts, run), parts))
}

/// A run that is put together from others, with the setting and the words of the whole.
pub(crate) fn together(facts: Facts, run: Run) -> Examined {
    Examined {
        facts,
        setting: setting_of(&run),
        about: About {
            target: run.target,
            finished: run.finished,
            notes: run.notes.clone(),
            not_proven: run.not_proven.clone(),
            api_calls: run.api_calls.clone(),
        },
        run,
    }
}

/// What is the same in every place.
struct Matter {
    target: Target,
    /// What was given and is not asked: the program, control policies.
    given: Vec<Observed>,
    notes: Vec<String>,
    stage: String,
    now: Time,
    /// When it is said to have ended, where that was given.
    finished: Option<Time>,
    shard: Option<Shard>,
    /// Whether AWS is asked at an address of this machine.
    loopback: bool,
    /// Whether that may be done with credentials that can read values.
    may_read_values: bool,
}

impl Matter {
    /// What a live account's run says of its own credentials; an error where they can read values and nobody allowed that.
    fn values(&self, plan: &probe::Plan, facts: &Facts) -> Result<Option<String>, Failure> {
        if self.target != Target::Aws {
            return Ok(None);
        }
        let reading = readable(facts, plan);
        // Behind a loopback address the root user is a lab's administrator.
        let of_a_lab = self.loopback && matches!(reading, Reading::Root);
        let (caller, because) = match reading {
            Reading::Nothing => return Ok(None),
            // Who may read what is asked in the first shard, which says it.
            Reading::Unknown(_) if self.shard.is_some_and(|shard| shard.number() > 1) => {
                return Ok(None);
            }
            Reading::Unknown(reason) => {
                return Ok(Some(format!(
                    "whether the checker's own credentials can read values is not known: {reason}"
                )));
            }
            Reading::Root => (
                "the account's root user".to_owned(),
                "no policy binds it".to_owned(),
            ),
            Reading::Values { caller, because } => (caller, because),
        };
        if !self.may_read_values && !of_a_lab {
            return Err(Failure::Usage(format!(
                "these credentials can read values of secrets: {caller} ({because}). Take a role that has only what \
                 `checker permissions` prints, or say --may-read-values, which the report will tell"
            )));
        }
        Ok(Some(format!(
            "the checker's own credentials can read values of secrets: {caller} ({because})"
        )))
    }
}

/// What one place answered.
struct Asked {
    setting: Setting,
    aws: Aws,
    facts: Facts,
    /// What is to be said of the credentials that asked.
    values: Option<String>,
}

async fn ask_place(
    catalog: &Catalog,
    matter: &Matter,
    place: Place,
    clock: Clock,
    console: Console,
) -> Asked {
    let mut setting = Setting {
        stage: matter.stage.clone(),
        account: place.account.clone().unwrap_or_default(),
        region: place.region,
        now: matter.now,
        organisation: Organisation::default(),
        shard: matter.shard,
    };
    let aws = Aws::new(&place.config, clock)
        .of(place.account, place.denied)
        .sharded(matter.shard);
    let facts = observe(
        catalog,
        (&matter.given, matter.target == Target::Aws),
        &aws,
        &mut setting,
        console,
    )
    .await;
    Asked {
        setting,
        aws,
        facts,
        values: None,
    }
}

fn judge_place(catalog: &Catalog, matter: &Matter, asked: Asked) -> Examined {
    let Asked {
        setting,
        aws,
        facts,
        values,
    } = asked;
    let mut notes = matter.notes.clone();
    match aws.calls().again() {
        0 => {}
        again => notes.push(format!(
            "{again} calls were tried again, after AWS throttled them or failed"
        )),
    }
    let about = About {
        target: matter.target,
        finished: matter.finished.unwrap_or_else(Utc::now),
        notes,
        not_proven: values
            .into_iter()
            .chain(not_proven(matter, &facts))
            .collect(),
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
        shard: run.shard,
    }
}

fn region(config: &SdkConfig) -> String {
    config.region().map(ToString::to_string).unwrap_or_default()
}

/// The place of a run: the account is that of the credentials.
pub(crate) async fn setting(subject: &Subject, stage: &str) -> Result<Setting, Failure> {
    let question = Question {
        stage,
        ..Question::default()
    };
    let aws = Aws::new(&subject.config, clock(subject, &question));
    let mut setting = Setting {
        stage: stage.to_owned(),
        account: String::new(),
        region: region(&subject.config),
        now: now(subject, &question),
        organisation: Organisation::default(),
        shard: None,
    };
    for observed in aws.observe([Observation::Caller], |_| {}).await {
        match observed.outcome {
            Outcome::Seen(Answer::Caller(caller)) => setting.account = caller.account,
            Outcome::Seen(_) => {}
            Outcome::Unseen(unseen) => return Err(Failure::Broken(unseen.to_string())),
        }
    }
    Ok(setting)
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

/// The clock that a server's is compared with.
fn clock(subject: &Subject, question: &Question<'_>) -> Clock {
    match &subject.lab {
        Some(lab) => {
            let clock = lab.clock();
            Clock::lab(move || clock.now(), question.now)
        }
        None => Clock::system(question.now),
    }
}

/// Asks in rounds until the plan has no open question; AWS's own opinion of some decisions comes last, where wanted.
async fn observe(
    catalog: &Catalog,
    (given, opinions): (&[Observed], bool),
    aws: &Aws,
    setting: &mut Setting,
    console: Console,
) -> Facts {
    let mut facts = Facts::default();
    for given in given {
        facts.insert(given.clone());
    }
    for observed in aws.observe([Observation::Caller], |_| {}).await {
        facts.insert(observed);
    }
    if let Ok(Answer::Caller(caller)) = facts.get(&Observation::Caller) {
        setting.account.clone_from(&caller.account);
    }
    // Like all that is judged once, they are asked in the first shard.
    let mut opinions = opinions && setting.judges_once();
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
        let answers = aws
            .observe(open.clone(), |progress| {
                console.progress(&progress.to_string());
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

fn not_proven(matter: &Matter, facts: &Facts) -> Vec<String> {
    let mut gaps = Vec::new();
    if matter.target == Target::Aws && matter.loopback {
        gaps.push(
            "AWS was asked at a loopback address: whatever answered there is not a live account"
                .to_owned(),
        );
    }
    match matter.target {
        Target::Lab => gaps.push(
            "the lab is an embedded AWS: a pass says that the program is right, not that an account is"
                .to_owned(),
        ),
        Target::Aws => gaps.push(
            "lists of AWS lag behind: what was made in the last five minutes may be missing from them"
                .to_owned(),
        ),
        Target::Plan => gaps.push(
            "a preview shows its own stacks: what else the account holds, and what happens once it runs, is not judged"
                .to_owned(),
        ),
    }
    let refused = facts.records().find_map(|record| match &record.observed {
        Observed {
            observation: Observation::Simulation(_),
            outcome: Outcome::Unseen(unseen),
            ..
        } => Some(unseen),
        Observed { .. } => None,
    });
    if let Some(unseen) = refused {
        gaps.push(format!(
            "AWS's own simulator gave no second opinion on access: {unseen}"
        ));
    }
    if let Some(shard) = matter.shard {
        gaps.push(format!(
            "{SHARD_GAP}{shard}: the others hold the rest, and `checker merge` puts them together"
        ));
    }
    gaps
}
