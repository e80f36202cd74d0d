//! Questions to AWS and their answers, as data.
//!
//! An [`Observation`] is one question, an [`Answer`] its complete answer (every page), typed so that
//! no secret value can be represented. What could not be answered is an [`Unseen`] with the operation
//! and the reason. The command line asks; this crate only says what to ask and reads what came back.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::evidence::pack::{self, Files};
use crate::json::canonical;
use crate::population::Setting;
use crate::shard::Shard;

pub mod answer;
pub mod authorization;
pub mod call;
pub mod compact;
pub mod detection;
pub mod environment;

pub use answer::Answer;

/// One question to AWS, or to the program under check.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observation {
    /// Who asks: `sts:GetCallerIdentity`.
    Caller,
    /// Every principal with its policies: `iam:GetAccountAuthorizationDetails`.
    Authorization,
    /// Every secret, those pending deletion included: `secretsmanager:ListSecrets`.
    Secrets,
    /// Every secret that ever carried a tag: `tag:GetResources`, the second source for completeness.
    TaggedSecrets,
    /// One secret in full (replicas): `secretsmanager:DescribeSecret`.
    Secret(String),
    /// The versions of one secret with their dates: `secretsmanager:ListSecretVersionIds`.
    SecretVersions(String),
    /// The resource policy of one secret: `secretsmanager:GetResourcePolicy`.
    SecretPolicy(String),
    /// Every key alias: `kms:ListAliases`.
    KeyAliases,
    /// One key, by id, ARN or alias: `kms:DescribeKey`.
    Key(String),
    /// One function, by ARN or name: `lambda:GetFunction`.
    Function(String),
    /// Whether an event matches a pattern, whatever a rule's state: `events:TestEventPattern`.
    EventMatch {
        /// Text of the pattern.
        pattern: String,
        /// Text of the event.
        event: String,
    },
    /// One event rule of the default bus, by name: `events:DescribeRule`.
    EventRule(String),
    /// The targets of one event rule, by its name: `events:ListTargetsByRule`.
    EventTargets(String),
    /// Where events go that one function failed on, by ARN or name: `lambda:GetFunctionEventInvokeConfig`.
    FunctionFailureDestination(String),
    /// The resource policy of one function: `lambda:GetPolicy`.
    FunctionPolicy(String),
    /// One log group, by name: `logs:DescribeLogGroups`.
    LogGroup(String),
    /// One parameter that publishes an ARN, by name: `ssm:GetParameter`.
    Parameter(String),
    /// One queue, by ARN: `sqs:GetQueueAttributes`.
    Queue(String),
    /// Account policies on the retention of log groups: `logs:DescribeAccountPolicies`.
    RetentionPolicies,
    /// The filter of one subscription, by ARN: `sns:GetSubscriptionAttributes`.
    SubscriptionFilter(String),
    /// The subscriptions of one topic, by ARN: `sns:ListSubscriptionsByTopic`.
    TopicSubscriptions(String),
    /// Whether one trail is logging, by ARN: `cloudtrail:GetTrailStatus`.
    TrailLogging(String),
    /// Which events one trail records, by ARN: `cloudtrail:GetEventSelectors`.
    TrailSelectors(String),
    /// Every trail that records this region: `cloudtrail:DescribeTrails`.
    Trails,
    /// The environments of every function, without values: `lambda:ListFunctions`.
    FunctionEnvironments,
    /// The policy of one key, by id: `kms:GetKeyPolicy`.
    KeyPolicy(String),
    /// Every key, with its ARN: `kms:ListKeys`.
    Keys,
    /// The grants on one key, by id: `kms:ListGrants`.
    KeyGrants(String),
    /// Every resource that carries the tag `module_id`: `tag:GetResources`.
    ModuleResources,
    /// Every parameter, without its value: `ssm:DescribeParameters`.
    Parameters,
    /// Every rule on a schedule with its targets: `events:ListRules`, then `events:ListTargetsByRule`.
    Schedules,
    /// The calls of one operation on secrets that the event history holds, at most 90 days: `cloudtrail:LookupEvents`.
    SecretCalls(String),
    /// The program under check, evaluated for the stage.
    Program,
    /// What a probe left behind, by the name of its script: no call, but many.
    Trace(String),
    /// The organisation's service control policies, handed over as files.
    ControlPolicies,
    /// What AWS's own simulator decides of one request by one principal: `iam:SimulatePrincipalPolicy`.
    Simulation(Simulated),
    /// What the plan under check leaves open.
    Plan,
}

/// A request for AWS's simulator.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Simulated {
    /// ARN of the principal whose policies are simulated.
    pub principal: String,
    /// The action.
    pub action: String,
    /// The resource.
    pub resource: String,
    /// Context keys with their values.
    pub context: BTreeMap<String, Vec<String>>,
}

impl Observation {
    /// The AWS operation that answers it, in the form that IAM policies use.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::Caller => "sts:GetCallerIdentity",
            Self::Authorization => "iam:GetAccountAuthorizationDetails",
            Self::Secrets => "secretsmanager:ListSecrets",
            Self::TaggedSecrets | Self::ModuleResources => "tag:GetResources",
            Self::Secret(_) => "secretsmanager:DescribeSecret",
            Self::SecretVersions(_) => "secretsmanager:ListSecretVersionIds",
            Self::SecretPolicy(_) => "secretsmanager:GetResourcePolicy",
            Self::KeyAliases => "kms:ListAliases",
            Self::Key(_) => "kms:DescribeKey",
            Self::Function(_) => "lambda:GetFunction",
            Self::EventMatch { .. } => "events:TestEventPattern",
            Self::EventRule(_) => "events:DescribeRule",
            Self::EventTargets(_) => "events:ListTargetsByRule",
            Self::FunctionFailureDestination(_) => "lambda:GetFunctionEventInvokeConfig",
            Self::FunctionPolicy(_) => "lambda:GetPolicy",
            Self::LogGroup(_) => "logs:DescribeLogGroups",
            Self::Parameter(_) => "ssm:GetParameter",
            Self::Queue(_) => "sqs:GetQueueAttributes",
            Self::RetentionPolicies => "logs:DescribeAccountPolicies",
            Self::SubscriptionFilter(_) => "sns:GetSubscriptionAttributes",
            Self::TopicSubscriptions(_) => "sns:ListSubscriptionsByTopic",
            Self::TrailLogging(_) => "cloudtrail:GetTrailStatus",
            Self::TrailSelectors(_) => "cloudtrail:GetEventSelectors",
            Self::Trails => "cloudtrail:DescribeTrails",
            Self::FunctionEnvironments => "lambda:ListFunctions",
            Self::KeyPolicy(_) => "kms:GetKeyPolicy",
            Self::Keys => "kms:ListKeys",
            Self::KeyGrants(_) => "kms:ListGrants",
            Self::ControlPolicies => "control policies",
            Self::Simulation(_) => "iam:SimulatePrincipalPolicy",
            Self::Parameters => "ssm:DescribeParameters",
            Self::Schedules => "events:ListRules",
            Self::SecretCalls(_) => "cloudtrail:LookupEvents",
            Self::Program => "program",
            Self::Trace(_) => "probe",
            Self::Plan => "plan",
        }
    }
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unseen {
    /// The operation that was tried, `service:Operation`.
    pub operation: String,
    /// AWS's error code or our own word for what went wrong; never a message that could quote a value.
    pub code: String,
    /// What to do about it.
    pub advice: String,
}

impl std::fmt::Display for Unseen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} was not answered ({}): {}",
            self.operation, self.code, self.advice
        )
    }
}

/// How one answer was obtained: what an auditor asks of its origin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The region asked.
    pub region: String,
    /// Request ids of every page, in order.
    pub request_ids: Vec<String>,
    /// How many pages there were.
    pub pages: u32,
    /// The account asked, twelve digits, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Who asked, ARN, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The server's `Date` on the last answer, to the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Time>,
    /// The server's clock minus ours in whole seconds, the largest of all answers either way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_skew_seconds: Option<i64>,
    /// The share of the population that it was asked for, where that is not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// The parameters of the request (the first page's), where the question does not hold them itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, Value>,
}

/// One question with what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observed {
    /// The question.
    pub observation: Observation,
    /// Where the answer comes from.
    pub origin: Origin,
    /// The answer, or why there is none.
    pub outcome: Outcome,
}

/// An answer, or the reason for its absence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The complete answer.
    Seen(Answer),
    /// No answer, or not all of it.
    Unseen(Unseen),
}

impl Observed {
    /// The canonical JSON of this record: keys sorted, no white space. Evidence files hold exactly this.
    pub fn canonical(&self) -> String {
        canonical(self).unwrap_or_default()
    }
}

/// Everything that was asked, by question, with the digest of its evidence.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    records: BTreeMap<Observation, Recorded>,
    /// Records of other parts of the run, which answer no question here.
    others: Vec<Recorded>,
    /// The files that they are kept in, once somebody asked.
    files: OnceLock<Arc<Files>>,
}

/// An observed answer with the text and digest that go into evidence.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The answer.
    pub observed: Observed,
    /// SHA-256 of the canonical text, in lower-case hexadecimal.
    pub digest: String,
    /// The canonical text.
    pub text: Arc<str>,
}

impl Facts {
    /// Adds an answer; a second answer to the same question replaces the first.
    pub fn insert(&mut self, observed: Observed) {
        self.files.take();
        let text: Arc<str> = observed.canonical().into();
        let digest = hex(&Sha256::digest(text.as_bytes()));
        self.records.insert(
            observed.observation.clone(),
            Recorded {
                observed,
                digest,
                text,
            },
        );
    }

    /// The files of evidence that they are kept in.
    pub fn files(&self) -> &Files {
        self.files.get_or_init(|| Arc::new(Files::of(self)))
    }

    /// Whether the question was asked.
    pub fn asked(&self, observation: &Observation) -> bool {
        self.records.contains_key(observation)
    }

    /// What came of a question; a question that was never asked is unseen as well.
    pub fn get(&self, observation: &Observation) -> Result<&Answer, Unseen> {
        match self.records.get(observation).map(|r| &r.observed.outcome) {
            Some(Outcome::Seen(answer)) => Ok(answer),
            Some(Outcome::Unseen(unseen)) => Err(unseen.clone()),
            None => Err(Unseen {
                operation: observation.operation().to_owned(),
                code: "NotAsked".to_owned(),
                advice: "it was not asked in this run".to_owned(),
            }),
        }
    }

    /// The digest of the evidence of a question, when it was asked.
    pub fn digest(&self, observation: &Observation) -> Option<&str> {
        self.records.get(observation).map(|r| r.digest.as_str())
    }

    /// All records: those that answer questions, by question, then those of other parts.
    pub fn records(&self) -> impl Iterator<Item = &Recorded> {
        self.records.values().chain(&self.others)
    }

    /// What was asked in one account, region and shard, and what is the same in all.
    #[must_use]
    pub fn of_part(&self, setting: &Setting) -> Self {
        let mut own = Self::default();
        for record in self.records() {
            let origin = &record.observed.origin;
            let common = origin.region.is_empty();
            let account = origin.account.as_deref().unwrap_or_default();
            if common
                || (account == setting.account
                    && origin.region == setting.region
                    && origin.shard == setting.shard)
            {
                let question = record.observed.observation.clone();
                own.records.insert(question, record.clone());
            }
        }
        own
    }

    /// Keeps the records of another part of the run: they are evidence, and answer no question here.
    pub fn keep(&mut self, part: Self) {
        self.files.take();
        self.others
            .extend(part.records.into_values().chain(part.others));
    }

    /// Adds an answer; a second one to the same question is that of another account, region or shard.
    pub(crate) fn add(&mut self, observed: Observed) {
        if self.asked(&observed.observation) {
            let mut other = Self::default();
            other.insert(observed);
            self.keep(other);
        } else {
            self.insert(observed);
        }
    }

    /// Asks again from a set of evidence texts. Errors name the text that could not be read.
    pub fn from_texts<'a>(
        texts: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, EvidenceError> {
        let mut facts = Self::default();
        for (name, text) in texts {
            let answers = pack::read(text).map_err(|what| EvidenceError::Unreadable {
                name: name.to_owned(),
                what,
            })?;
            for answer in answers {
                facts.add(answer);
            }
        }
        Ok(facts)
    }
}

/// Evidence that cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The text is not a record of this version.
    #[error("read evidence `{name}`: {what}")]
    Unreadable {
        /// The name of the text.
        name: String,
        /// What is wrong with it, and where.
        what: String,
    },
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

/// When something was observed or happened.
pub type Time = DateTime<Utc>;
