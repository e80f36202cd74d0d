//! The only reader of AWS: turns an [`Observation`] into calls and their complete answer.
//!
//! In: questions. Out: [`Observed`] with a typed answer or the reason why there is none. An answer is either
//! complete (every page) or unseen: a page token that comes twice, a missing member or an error half way
//! through makes all of it unseen. Nothing here changes anything.

use std::sync::Arc;

use aws_types::SdkConfig;
use checker_core::observation::{Answer, Observation, Observed, Origin, Outcome, Unseen};

mod calls;
mod cloudtrail;
mod events;
mod history;
mod iam;
mod kms;
mod lambda;
mod logs;
mod page;
mod parameters;
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
pub(crate) use unseen::{incomplete, unseen};

/// How many questions are asked at the same time.
const CONCURRENT: usize = 8;

/// AWS clients with one counter for all calls.
#[derive(Clone)]
pub(crate) struct Aws {
    region: String,
    calls: Arc<Calls>,
    cloudtrail: aws_sdk_cloudtrail::Client,
    events: aws_sdk_eventbridge::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    secretsmanager: aws_sdk_secretsmanager::Client,
    sns: aws_sdk_sns::Client,
    sqs: aws_sdk_sqs::Client,
    ssm: aws_sdk_ssm::Client,
    tagging: aws_sdk_resourcegroupstagging::Client,
    kms: aws_sdk_kms::Client,
    lambda: aws_sdk_lambda::Client,
    iam: aws_sdk_iam::Client,
    sts: aws_sdk_sts::Client,
}

/// An answer with its origin.
type Seen = Result<(Answer, Origin), Unseen>;

impl Aws {
    /// Clients of every service that observations need.
    pub(crate) fn new(config: &SdkConfig) -> Self {
        let calls = Arc::new(Calls::default());
        macro_rules! client {
            ($service:ident) => {
                $service::Client::from_conf(
                    $service::config::Builder::from(config)
                        .interceptor(calls::Counter::new(&calls))
                        .build(),
                )
            };
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
            calls,
        }
    }

    /// What was called so far, retries included.
    pub(crate) fn calls(&self) -> &Arc<Calls> {
        &self.calls
    }

    /// Asks all questions, a few at a time, and tells `done` after each.
    pub(crate) async fn observe(
        &self,
        questions: impl IntoIterator<Item = Observation>,
        mut done: impl FnMut(&Observed),
    ) -> Vec<Observed> {
        let mut waiting = questions.into_iter();
        let mut running = tokio::task::JoinSet::new();
        let mut observed = Vec::new();
        loop {
            while running.len() < CONCURRENT
                && let Some(question) = waiting.next()
            {
                let aws = self.clone();
                running.spawn(async move { aws.ask(question).await });
            }
            match running.join_next().await {
                Some(Ok(answer)) => {
                    done(&answer);
                    observed.push(answer);
                }
                // A task that was cancelled or panicked leaves its question unasked, and a rule that reads it
                // finds no answer: Inconclusive.
                Some(Err(_)) => {}
                None => return observed,
            }
        }
    }

    async fn ask(&self, observation: Observation) -> Observed {
        let seen = match &observation {
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
            Observation::Program => Err(Unseen {
                operation: observation.operation().to_owned(),
                code: "NoProgram".to_owned(),
                advice: "give the program with --program DIR".to_owned(),
            }),
        };
        let (outcome, origin) = match seen {
            Ok((answer, origin)) => (Outcome::Seen(answer), origin),
            Err(unseen) => (
                Outcome::Unseen(unseen),
                Origin {
                    region: self.region.clone(),
                    ..Origin::default()
                },
            ),
        };
        Observed {
            observation,
            origin,
            outcome,
        }
    }

    /// The origin of an answer that took one call.
    fn origin(&self, request_id: Option<&str>) -> Origin {
        Origin {
            region: self.region.clone(),
            request_ids: request_id.map(str::to_owned).into_iter().collect(),
            pages: 1,
        }
    }
}
