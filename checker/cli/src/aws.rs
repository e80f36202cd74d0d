//! The only reader of AWS: turns an [`Observation`] into calls and their complete answer.
//!
//! In: questions. Out: [`Observed`] with a typed answer or the reason why there is none. An answer is either
//! complete (every page) or unseen: a page token that comes twice, a missing member or an error half way
//! through makes all of it unseen. Nothing here changes anything.

use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, Instant};

use aws_types::SdkConfig;
use checker_core::observation::answer::Caller;
use checker_core::observation::{Answer, Observation, Observed, Origin, Outcome, Unseen};
use checker_core::shard::Shard;

mod calls;
mod cloudtrail;
mod events;
mod heard;
mod history;
mod iam;
mod kms;
mod lambda;
mod logs;
mod page;
mod parameters;
mod patience;
mod progress;
mod queue;
mod schedules;
mod secretsmanager;
mod simulate;
mod sns;
mod sqs;
mod ssm;
mod sts;
mod tagging;
mod unseen;

pub(crate) use calls::{Calls, Counter, operation_name};
pub(crate) use heard::Clock;
use heard::{Ear, HEARD, Heard};
pub(crate) use patience::Patience;
pub(crate) use progress::Progress;
use queue::Queue;
pub(crate) use unseen::{incomplete, unseen};

/// How often somebody who waits is told how far it is.
const TELL: Duration = Duration::from_secs(1);

/// AWS clients with one counter for all calls.
#[derive(Clone)]
pub(crate) struct Aws {
    region: String,
    /// The account that is meant, where it was named.
    account: Option<String>,
    /// Why nothing can be asked, if nothing can.
    denied: Option<Unseen>,
    /// The share of the population that is judged, where it is not all.
    shard: Option<Shard>,
    /// Who asks, once `GetCallerIdentity` has said it.
    caller: Arc<OnceLock<Caller>>,
    clock: Clock,
    calls: Arc<Calls>,
    cloudtrail: Lazily<aws_sdk_cloudtrail::Client>,
    events: Lazily<aws_sdk_eventbridge::Client>,
    logs: Lazily<aws_sdk_cloudwatchlogs::Client>,
    secretsmanager: Lazily<aws_sdk_secretsmanager::Client>,
    sns: Lazily<aws_sdk_sns::Client>,
    sqs: Lazily<aws_sdk_sqs::Client>,
    ssm: Lazily<aws_sdk_ssm::Client>,
    tagging: Lazily<aws_sdk_resourcegroupstagging::Client>,
    kms: Lazily<aws_sdk_kms::Client>,
    lambda: Lazily<aws_sdk_lambda::Client>,
    iam: Lazily<aws_sdk_iam::Client>,
    sts: Lazily<aws_sdk_sts::Client>,
}

/// A client that is made when something is asked of it: few runs need all of them.
type Lazily<T> = Arc<LazyLock<T, Box<dyn FnOnce() -> T + Send>>>;

fn lazily<T>(make: impl FnOnce() -> T + Send + 'static) -> Lazily<T> {
    Arc::new(LazyLock::new(Box::new(make)))
}

/// An answer with its origin.
type Seen = Result<(Answer, Origin), Unseen>;

impl Aws {
    /// Clients of every service that observations need.
    pub(crate) fn new(config: &SdkConfig, clock: Clock) -> Self {
        let calls = Arc::new(Calls::default());
        macro_rules! client {
            ($service:ident) => {{
                let (config, calls, clock) = (config.clone(), Arc::clone(&calls), clock.clone());
                lazily(move || {
                    $service::Client::from_conf(
                        $service::config::Builder::from(&config)
                            // AWS throttles by account and region, so what one learned is not for another.
                            .retry_partition($service::config::retry::RetryPartition::custom(stringify!($service)).build())
                            .interceptor(calls::Counter::new(&calls))
                            .interceptor(Ear::new(&clock))
                            .build(),
                    )
                })
            }};
        }
        Self {
            region: config.region().map(ToString::to_string).unwrap_or_default(),
            cloudtrail: client!(aws_sdk_cloudtrail),
            events: client!(aws_sdk_eventbridge),
            logs: client!(aws_sdk_cloudwatchlogs),
            secretsmanager: client!(aws_sdk_secretsmanager),
            sns: client!(aws_sdk_sns),
            sqs: client!(aws_sdk_sqs),
            ssm: client!(aws_sdk_ssm),
            tagging: client!(aws_sdk_resourcegroupstagging),
            kms: client!(aws_sdk_kms),
            lambda: client!(aws_sdk_lambda),
            iam: client!(aws_sdk_iam),
            sts: client!(aws_sdk_sts),
            account: None,
            denied: None,
            shard: None,
            caller: Arc::default(),
            clock,
            calls,
        }
    }

    /// The same, for a named account, and unseen where nothing can be asked there.
    pub(crate) fn of(mut self, account: Option<String>, denied: Option<Unseen>) -> Self {
        self.account = account;
        self.denied = denied;
        self
    }

    /// The same, with the share that is judged noted in every origin.
    pub(crate) fn sharded(mut self, shard: Option<Shard>) -> Self {
        self.shard = shard;
        self
    }

    /// Whether a role can be assumed; what it would be allowed to do is not asked.
    pub(crate) async fn can_assume(
        &self,
        role: &str,
        external_id: Option<&str>,
        session: &str,
    ) -> Result<(), Unseen> {
        sts::assume(self, role, external_id, session).await
    }

    /// What was called so far, retries included.
    pub(crate) fn calls(&self) -> &Arc<Calls> {
        &self.calls
    }

    /// Asks all questions, a few of every service at a time, and tells how far it is after each and every second.
    pub(crate) async fn observe(
        &self,
        questions: impl IntoIterator<Item = Observation>,
        mut tell: impl FnMut(&Progress),
    ) -> Vec<Observed> {
        let questions: Vec<Observation> = questions.into_iter().collect();
        let (total, since) = (questions.len(), Instant::now());
        let mut queue = Queue::of(questions);
        let mut running = tokio::task::JoinSet::new();
        let mut observed = Vec::new();
        let mut clock = tokio::time::interval(TELL);
        loop {
            while let Some(question) = queue.next() {
                let aws = self.clone();
                running.spawn(async move { aws.ask(question).await });
            }
            tokio::select! {
                ended = running.join_next() => match ended {
                    Some(Ok(answer)) => {
                        queue.answered(&answer.observation);
                        observed.push(answer);
                    }
                    // A task that was cancelled or panicked leaves its question unasked, and a rule that reads it
                    // finds no answer: Inconclusive.
                    Some(Err(_)) => {}
                    None => return observed,
                },
                _ = clock.tick() => {}
            }
            tell(&Progress {
                asked: observed.len(),
                total,
                calls: self.calls.all(),
                again: self.calls.again(),
                listing: self.calls.listing(),
                elapsed: since.elapsed(),
            });
        }
    }

    async fn ask(&self, observation: Observation) -> Observed {
        let heard = Arc::new(Heard::new(&self.calls));
        let mut seen = if let Some(unseen) = &self.denied {
            Err(unseen.clone())
        } else {
            let answer = self.answer(&observation);
            HEARD.scope(Arc::clone(&heard), answer).await
        };
        if let (Observation::Caller, Ok((Answer::Caller(caller), _))) = (&observation, &seen) {
            match &self.account {
                Some(meant) if *meant != caller.account => {
                    seen = Err(unseen::other_account(meant, &caller.account));
                }
                // Asked twice, the first answer stands.
                Some(_) | None => drop(self.caller.set(caller.clone())),
            }
        }
        let (outcome, mut origin) = match seen {
            Ok((answer, origin)) => (Outcome::Seen(answer), origin),
            Err(unseen) => (Outcome::Unseen(unseen), Origin::default()),
        };
        let (account, arn) = match self.caller.get() {
            Some(caller) => (Some(caller.account.clone()), Some(caller.arn.clone())),
            None => (self.account.clone(), None),
        };
        origin.shard = self.shard;
        origin.region.clone_from(&self.region);
        origin.account = account;
        origin.caller = arn;
        heard.write_down(&observation, &mut origin);
        let outcome = match heard.wrong_clock(&self.clock) {
            Some(skew) => Outcome::Unseen(unseen::wrong_clock(observation.operation(), skew)),
            None => outcome,
        };
        Observed {
            observation,
            origin,
            outcome,
        }
    }

    async fn answer(&self, observation: &Observation) -> Seen {
        match observation {
            Observation::Caller => sts::caller(self).await,
            Observation::Authorization => iam::authorization(self).await,
            Observation::Secrets => secretsmanager::list(self).await,
            Observation::Secret(arn) => secretsmanager::describe(self, arn).await,
            Observation::SecretVersions(arn) => secretsmanager::versions(self, arn).await,
            Observation::SecretPolicy(arn) => secretsmanager::policy(self, arn).await,
            Observation::TaggedSecrets => tagging::secrets(self).await,
            Observation::KeyAliases => kms::aliases(self).await,
            Observation::Key(id) => kms::key(self, id).await,
            Observation::Function(arn) => lambda::function(self, arn).await,
            Observation::EventMatch { pattern, event } => {
                events::matches(self, pattern, event).await
            }
            Observation::EventRule(name) => events::rule(self, name).await,
            Observation::EventTargets(rule) => events::targets(self, rule).await,
            Observation::FunctionFailureDestination(arn) => {
                lambda::failure_destination(self, arn).await
            }
            Observation::FunctionPolicy(arn) => lambda::policy(self, arn).await,
            Observation::LogGroup(name) => logs::group(self, name).await,
            Observation::Parameter(name) => ssm::parameter(self, name).await,
            Observation::Queue(arn) => sqs::queue(self, arn).await,
            Observation::RetentionPolicies => logs::retention_policies(self).await,
            Observation::SubscriptionFilter(arn) => sns::filter(self, arn).await,
            Observation::TopicSubscriptions(arn) => sns::subscriptions(self, arn).await,
            Observation::TrailLogging(arn) => cloudtrail::logging(self, arn).await,
            Observation::TrailSelectors(arn) => cloudtrail::selectors(self, arn).await,
            Observation::Trails => cloudtrail::trails(self).await,
            Observation::FunctionEnvironments => lambda::environments(self).await,
            Observation::KeyPolicy(id) => kms::policy(self, id).await,
            Observation::Keys => kms::keys(self).await,
            Observation::KeyGrants(id) => kms::grants(self, id).await,
            Observation::Simulation(asked) => simulate::principal(self, asked).await,
            Observation::ModuleResources => tagging::of_modules(self).await,
            Observation::Parameters => parameters::list(self).await,
            Observation::Schedules => schedules::list(self).await,
            Observation::SecretCalls(event) => history::calls(self, event).await,
            Observation::Trace(_) => Err(Unseen {
                operation: observation.operation().to_owned(),
                code: "NotAQuestion".to_owned(),
                advice: "a trace is left by a probe, it cannot be asked for".to_owned(),
            }),
            Observation::ControlPolicies => Err(Unseen {
                operation: observation.operation().to_owned(),
                code: "NotHandedIn".to_owned(),
                advice: "give the organisation's policies with --scp DIR".to_owned(),
            }),
            Observation::Program | Observation::Plan => Err(Unseen {
                operation: observation.operation().to_owned(),
                code: "NoProgram".to_owned(),
                advice: "give the program with --program DIR".to_owned(),
            }),
        }
    }

    /// The origin of an answer that took one call.
    fn origin(&self, request_id: Option<&str>) -> Origin {
        Origin {
            region: self.region.clone(),
            request_ids: request_id.map(str::to_owned).into_iter().collect(),
            pages: 1,
            ..Origin::default()
        }
    }
}
