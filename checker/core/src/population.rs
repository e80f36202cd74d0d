//! Populations: the things that rules speak of, put together from what AWS answered.
//!
//! In: [`Facts`] and the [`Setting`] of the run. Out: [`Item`]s, each with its value for conditions, what
//! could not be found out about it, and the further questions that some rules need. A population whose root
//! question has no complete answer is not a population: the caller gets the reason instead.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use cel::Value;
use cel::objects::Key;
use serde::{Deserialize, Serialize};

use crate::control::{NameDecl, PopulationDecl, Vocabulary};
use crate::expression::types::{Field, Type, Typed};
use crate::expression::{Members, in_parts};
use crate::observation::{Facts, Observation, Time, Unseen};
use crate::shard::Shard;
use crate::shared::Shared;

use gap::Gaps;
pub(crate) use grant::fits;

pub mod account;
pub mod call;
pub mod declaration;
pub mod detector;
pub mod environment;
pub mod event_rule;
pub mod filter_policy;
pub mod function;
pub(crate) mod gap;
pub mod grant;
pub mod key;
mod known;
pub mod log_group;
pub mod output;
pub mod parameter;
pub mod policy;
pub mod principal;
pub mod program;
pub mod resource;
pub mod resource_policy;
pub mod schedule;
pub mod secret;
pub mod service_access;
pub mod topic;
pub mod trail;

/// What a run is about: the place, the time and the organisation's names.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// `dev`, `prod`, ...
    pub stage: String,
    /// Twelve digits.
    pub account: String,
    /// AWS region.
    pub region: String,
    /// The time at which everything is judged.
    pub now: Time,
    /// The names that this organisation uses.
    pub organisation: Organisation,
    /// The share of every population that is judged, where it is not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
}

impl Setting {
    /// Whether what is judged once, such as a probe, is judged in this run: in the first shard.
    pub fn judges_once(&self) -> bool {
        self.shard.is_none_or(|shard| shard.number() == 1)
    }

    /// Whether a resource, or anything else with a name, is judged in this run.
    pub(crate) fn judges(&self, name: &str) -> bool {
        self.shard.is_none_or(|shard| shard.holds(name))
    }

    /// ARN of the anomaly detector.
    fn detector_arn(&self) -> String {
        let name = self.organisation.detector(&self.stage);
        format!(
            "arn:aws:lambda:{}:{}:function:{name}",
            self.region, self.account
        )
    }
}

/// Names that differ between organisations.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Organisation {
    /// Prefix of the names of all secrets.
    pub namespace: String,
    /// The module's id, in the tag `module_id`.
    pub module_id: String,
}

impl Default for Organisation {
    fn default() -> Self {
        Self {
            namespace: "bank-".to_owned(),
            module_id: "MOD-045".to_owned(),
        }
    }
}

impl Organisation {
    /// Name of the policy that confines changes to the namespace.
    pub fn namespace_policy(&self, stage: &str) -> String {
        format!("{}secrets-namespace-{stage}", self.namespace)
    }

    /// Name of the policy that lets applications read secrets.
    pub fn read_policy(&self) -> String {
        format!("{}secrets-read", self.namespace)
    }

    /// Name of the function that rotates secrets.
    pub fn rotation_function(&self, stage: &str) -> String {
        format!("{}secrets-rotation-{stage}", self.namespace)
    }

    /// Name of the anomaly detector: of its function and of the event rule that feeds it.
    pub fn detector(&self, stage: &str) -> String {
        format!("{}secrets-anomaly-{stage}", self.namespace)
    }

    /// Name of the topic that alerts go to.
    pub fn alert_topic(&self, stage: &str) -> String {
        format!("{}platform-alerts-{stage}", self.namespace)
    }

    /// Name of the log group that keeps a record of every access.
    pub fn access_log(&self, stage: &str) -> String {
        format!("/aws/secretsmanager/{}access-{stage}", self.namespace)
    }

    /// Name of the role that runs the checker, and alone may carry out probes.
    pub fn checker_role(&self, stage: &str) -> String {
        format!("{}compliance-checker-{stage}", self.namespace)
    }

    /// Name of the role that reads the probe secret.
    pub fn probe_reader(&self, stage: &str) -> String {
        format!("{}probe-reader-{stage}", self.namespace)
    }

    /// Name of the role that reads the canary secret without being allowed to go unnoticed.
    pub fn canary_role(&self, stage: &str) -> String {
        format!("{}probe-canary-{stage}", self.namespace)
    }

    /// Name of the queue in which probes receive alerts and events.
    pub fn probe_queue(&self, stage: &str) -> String {
        format!("{}secrets-probe-alerts-{stage}", self.namespace)
    }

    /// Beginning of the names of log groups in which decoys are planted.
    pub fn decoys(&self, stage: &str) -> String {
        format!(
            "/{}/probe/decoy-{stage}",
            self.namespace.trim_end_matches('-')
        )
    }

    /// Name of the parameter that lets one run at a time carry out probes.
    pub fn lease(&self) -> String {
        format!("/{}/probe/lease", self.namespace.trim_end_matches('-'))
    }

    /// Full name of a parameter that this module publishes.
    pub fn published(&self, stage: &str, name: &str) -> String {
        format!(
            "/{}/{stage}/secrets/{name}",
            self.namespace.trim_end_matches('-')
        )
    }

    /// Where parameters would be a second store of secrets.
    pub fn shadow_store(&self) -> String {
        format!("/{}secrets/", self.namespace)
    }
}

/// All that control files may speak of.
pub fn vocabulary() -> Vocabulary {
    Vocabulary {
        populations: Noun::ALL.into_iter().map(Noun::declaration).collect(),
        probes: crate::probe::declarations(),
        globals: vec![
            Field::new("now", "the time at which everything is judged", Type::Time),
            Field::new("stage", "the stage: `dev`, `prod`, ...", Type::Text),
            Field::new("account_id", "the account's twelve digits", Type::Text),
        ],
    }
}

/// A kind of thing that a population is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Noun {
    /// The account itself: one item.
    Account,
    /// Secrets.
    Secrets,
    /// Functions.
    Functions,
    /// The program under check: one item.
    Program,
    /// Calls that changed secrets, by operation, caller and secret, of the last 90 days.
    Calls,
    /// Every resource that the program declares.
    Declarations,
    /// The environment of every function of the account in the region.
    Environments,
    /// Every key that managed secrets use.
    Keys,
    /// Names that this module publishes.
    Outputs,
    /// Every parameter of the account in the region.
    Parameters,
    /// Every managed policy, and those that must exist.
    Policies,
    /// Every role and user of the account.
    Principals,
    /// Every deployed resource that carries the module's tag.
    Resources,
    /// Every event rule on a schedule.
    Schedules,
    /// The anomaly detector: one item.
    Detectors,
    /// The event rule that feeds the detector: one item.
    EventRules,
    /// The access log: one item.
    LogGroups,
    /// The topic that alerts go to: one item.
    Topics,
    /// The trails of the region together: one item.
    Trails,
}

/// One thing of a population.
#[derive(Debug, Clone)]
pub struct Item {
    /// What reports call it: an ARN where it has one.
    pub resource: Shared,
    /// Its value, under the noun's variable.
    pub value: Value,
    /// Paths that could not be found out, each with the reason.
    pub unknowns: BTreeMap<String, String>,
    /// Named filters that it passes.
    pub passes: BTreeSet<&'static str>,
    /// Named filters of which nobody can tell whether it passes them, each with the reason.
    pub undecided: BTreeMap<&'static str, String>,
    /// Why no rule applies to it, if none does.
    pub exempt: Option<String>,
    /// Questions that answer the paths with these prefixes.
    pub details: Vec<(&'static str, Observation)>,
}

impl Item {
    /// An item of a typed fact, whose paths start with `variable`.
    pub(crate) fn of<T: Typed>(resource: impl Into<Shared>, variable: &str, fact: &T) -> Self {
        Self::only(resource, variable, fact, None)
    }

    /// The same with no more than the members that somebody reads, where there are many of its kind.
    pub(crate) fn only<T: Typed>(
        resource: impl Into<Shared>,
        variable: &str,
        fact: &T,
        names: Option<&[Key]>,
    ) -> Self {
        let (value, unknowns) = match names {
            Some(names) => fact.only(variable, names),
            None => fact.whole(variable),
        };
        Self {
            resource: resource.into(),
            value,
            unknowns,
            passes: BTreeSet::new(),
            undecided: BTreeMap::new(),
            exempt: None,
            details: Vec::new(),
        }
    }
}

/// The members of a population in the order of their names.
pub(crate) enum Population<'a> {
    /// There are few: they were all made.
    Made(Vec<Item>),
    /// There may be very many.
    Secrets(secret::Secrets<'a>),
}

impl<'a> Population<'a> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Made(items) => items.len(),
            Self::Secrets(secrets) => secrets.len(),
        }
    }

    /// What `work` gathers from all members, some at a time; see [`in_parts`].
    pub(crate) fn walk<R: Default + Send>(&self, work: impl Fn(&mut R, &[Item]) + Sync) -> Vec<R> {
        self.walk_by(secret::Secrets::items, work)
    }

    /// The same, without the secrets about which nothing more can be asked.
    pub(crate) fn walk_open<R: Default + Send>(
        &self,
        work: impl Fn(&mut R, &[Item]) + Sync,
    ) -> Vec<R> {
        self.walk_by(secret::Secrets::open_items, work)
    }

    fn walk_by<R: Default + Send>(
        &self,
        of_secrets: fn(&secret::Secrets<'a>, Range<usize>) -> Vec<Item>,
        work: impl Fn(&mut R, &[Item]) + Sync,
    ) -> Vec<R> {
        in_parts(self.len(), |gathered, range| match self {
            Self::Made(items) => work(gathered, items.get(range).unwrap_or_default()),
            Self::Secrets(secrets) => work(gathered, &of_secrets(secrets, range)),
        })
    }
}

/// The paths that rules read: details are asked for only when a rule reads them.
#[derive(Debug, Clone, Default)]
pub struct Reads(BTreeSet<String>);

impl Reads {
    /// Whether something at or below `prefix` is read, or the whole of something above it.
    pub fn touch(&self, prefix: &str) -> bool {
        self.0.iter().any(|path| covers(path, prefix))
    }
}

impl FromIterator<String> for Reads {
    fn from_iter<I: IntoIterator<Item = String>>(paths: I) -> Self {
        Self(paths.into_iter().collect())
    }
}

/// Whether one path is the other, or lies below it.
fn covers(left: &str, right: &str) -> bool {
    let below = |long: &str, short: &str| {
        long.strip_prefix(short)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    below(left, right) || below(right, left)
}

impl Noun {
    /// All nouns.
    pub const ALL: [Self; 19] = [
        Self::Account,
        Self::Secrets,
        Self::Functions,
        Self::Program,
        Self::Calls,
        Self::Declarations,
        Self::Environments,
        Self::Keys,
        Self::Outputs,
        Self::Parameters,
        Self::Policies,
        Self::Principals,
        Self::Resources,
        Self::Schedules,
        Self::Detectors,
        Self::EventRules,
        Self::LogGroups,
        Self::Topics,
        Self::Trails,
    ];

    /// The noun with this name in control files.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|noun| noun.name() == name)
    }

    /// Its name in control files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Secrets => "secrets",
            Self::Functions => "functions",
            Self::Program => "program",
            Self::Calls => "calls",
            Self::Declarations => "declarations",
            Self::Environments => "environments",
            Self::Keys => "keys",
            Self::Outputs => "outputs",
            Self::Parameters => "parameters",
            Self::Policies => "policies",
            Self::Principals => "principals",
            Self::Resources => "resources",
            Self::Schedules => "schedules",
            Self::Detectors => "detectors",
            Self::EventRules => "event_rules",
            Self::LogGroups => "log_groups",
            Self::Topics => "topics",
            Self::Trails => "trails",
        }
    }

    /// The variable that holds one item.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Secrets => "secret",
            // `function` is a reserved word of CEL.
            Self::Functions => "lambda",
            Self::Program => "program",
            Self::Calls => "call",
            Self::Declarations => "declaration",
            Self::Environments => "environment",
            Self::Keys => "key",
            Self::Outputs => "output",
            Self::Parameters => "parameter",
            Self::Policies => "policy",
            Self::Principals => "principal",
            Self::Resources => "resource",
            Self::Schedules => "schedule",
            Self::Detectors => "detector",
            Self::EventRules => "rule",
            Self::LogGroups => "group",
            Self::Topics => "topic",
            Self::Trails => "trails",
        }
    }

    /// The type of one item.
    pub fn ty(self) -> Type {
        match self {
            Self::Account => account::Account::ty(),
            Self::Secrets => secret::Secret::ty(),
            Self::Functions => function::Function::ty(),
            Self::Program => program::Program::ty(),
            Self::Calls => call::Call::ty(),
            Self::Declarations => declaration::Declaration::ty(),
            Self::Environments => environment::Environment::ty(),
            Self::Keys => key::UsedKey::ty(),
            Self::Outputs => output::Output::ty(),
            Self::Parameters => parameter::Parameter::ty(),
            Self::Policies => policy::Policy::ty(),
            Self::Principals => principal::Principal::ty(),
            Self::Resources => resource::Resource::ty(),
            Self::Schedules => schedule::Scheduled::ty(),
            Self::Detectors => detector::Detector::ty(),
            Self::EventRules => event_rule::EventRule::ty(),
            Self::LogGroups => log_group::LogGroup::ty(),
            Self::Topics => topic::Topic::ty(),
            Self::Trails => trail::Trails::ty(),
        }
    }

    /// Its named filters, each with what it selects.
    pub fn filters(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Secrets => secret::FILTERS,
            Self::Functions => function::FILTERS,
            Self::Declarations => declaration::FILTERS,
            Self::Outputs => output::FILTERS,
            Self::Policies => policy::FILTERS,
            Self::Account
            | Self::Program
            | Self::Calls
            | Self::Environments
            | Self::Keys
            | Self::Parameters
            | Self::Principals
            | Self::Resources
            | Self::Schedules
            | Self::Detectors
            | Self::Trails => &[],
            Self::EventRules => event_rule::FILTERS,
            Self::LogGroups => log_group::FILTERS,
            Self::Topics => topic::FILTERS,
        }
    }

    /// One sentence for the catalogue.
    fn doc(self) -> &'static str {
        match self {
            Self::Account => "the account itself",
            Self::Secrets => "every secret of the account in the region",
            Self::Functions => "functions that secrets name",
            Self::Program => "the program under check",
            Self::Calls => {
                "calls that changed secrets, by operation, caller and secret, of the last 90 days"
            }
            Self::Declarations => "every resource that the program declares",
            Self::Environments => "the environment of every function of the account in the region",
            Self::Keys => "every key that managed secrets use",
            Self::Outputs => "names that this module publishes",
            Self::Parameters => "every parameter of the account in the region",
            Self::Policies => "every managed policy, and those that must exist",
            Self::Principals => "every role and user of the account",
            Self::Resources => "every deployed resource that carries the module's tag",
            Self::Schedules => "every event rule on a schedule",
            Self::Detectors => "the anomaly detector",
            Self::EventRules => "the event rule that feeds the anomaly detector",
            Self::LogGroups => "the log of every access to a secret",
            Self::Topics => "the topic that alerts go to",
            Self::Trails => "the trails that record the region, as one",
        }
    }

    /// What control files may say of it.
    fn declaration(self) -> PopulationDecl {
        PopulationDecl {
            name: self.name().to_owned(),
            variable: self.variable().to_owned(),
            ty: self.ty(),
            filters: self
                .filters()
                .iter()
                .map(|(name, doc)| NameDecl::new(*name, *doc))
                .collect(),
            reconciliations: match self {
                Self::Secrets => vec![NameDecl::new(
                    "tagging-api",
                    "every secret that the tagging API knows must be on the list",
                )],
                Self::Account
                | Self::Functions
                | Self::Program
                | Self::Calls
                | Self::Declarations
                | Self::Environments
                | Self::Keys
                | Self::Outputs
                | Self::Parameters
                | Self::Policies
                | Self::Principals
                | Self::Resources
                | Self::Schedules
                | Self::Detectors
                | Self::EventRules
                | Self::LogGroups
                | Self::Topics
                | Self::Trails => Vec::new(),
            },
            doc: self.doc().to_owned(),
        }
    }

    /// The questions without which there is no population.
    pub fn roots(self, reconcile: bool) -> Vec<Observation> {
        match self {
            Self::Secrets if reconcile => vec![Observation::Secrets, Observation::TaggedSecrets],
            Self::Account | Self::Functions | Self::Secrets => vec![Observation::Secrets],
            Self::Program | Self::Declarations => vec![Observation::Program],
            Self::Calls => call::roots(),
            Self::Environments => vec![Observation::FunctionEnvironments],
            Self::Keys => vec![Observation::Secrets, Observation::KeyAliases],
            // Each is asked for by name.
            Self::Outputs | Self::Detectors | Self::EventRules | Self::LogGroups | Self::Topics => {
                Vec::new()
            }
            Self::Parameters => vec![Observation::Parameters],
            Self::Policies | Self::Principals => vec![Observation::Authorization],
            Self::Resources => vec![Observation::ModuleResources, Observation::TaggedSecrets],
            Self::Schedules => vec![Observation::Schedules, Observation::Secrets],
            Self::Trails => vec![Observation::Trails],
        }
    }

    /// Its population, or why that is not known.
    pub(crate) fn population<'a>(
        self,
        facts: &'a Facts,
        setting: &'a Setting,
        reads: Reads,
        members: Members,
    ) -> Result<Population<'a>, Unseen> {
        let gaps = Gaps::of(facts);
        if self == Self::Secrets && gaps.none() {
            return secret::Secrets::of(facts, setting, reads, members).map(Population::Secrets);
        }
        let mut items = gaps.poison(self, self.items(facts, setting, &reads))?;
        items.sort_by(|left, right| left.resource.cmp(&right.resource));
        Ok(Population::Made(items))
    }

    /// The items, or why they are not known.
    fn items(self, facts: &Facts, setting: &Setting, reads: &Reads) -> Result<Vec<Item>, Unseen> {
        match self {
            Self::Account => account::items(facts, setting),
            Self::Secrets => {
                let secrets =
                    secret::Secrets::of(facts, setting, reads.clone(), Members::default())?;
                Ok(secrets.items(0..secrets.len()))
            }
            Self::Functions => function::items(facts, setting, reads),
            Self::Program => program::items(facts),
            Self::Calls => call::items(facts, setting),
            Self::Declarations => declaration::items(facts, setting),
            Self::Environments => environment::items(facts),
            Self::Keys => key::items(facts, setting, reads),
            Self::Outputs => Ok(output::items(facts, setting, reads)),
            Self::Parameters => parameter::items(facts, setting),
            Self::Policies => policy::items(facts, setting),
            Self::Principals => principal::items(facts, setting),
            Self::Resources => resource::items(facts, setting),
            Self::Schedules => schedule::items(facts, setting),
            Self::Detectors => Ok(detector::items(facts, setting, reads)),
            Self::EventRules => Ok(event_rule::items(facts, setting, reads)),
            Self::LogGroups => Ok(log_group::items(facts, setting, reads)),
            Self::Topics => Ok(topic::items(facts, setting, reads)),
            Self::Trails => trail::items(facts, setting, reads),
        }
    }

    /// What a second source knows and the population lacks: the ARNs.
    pub fn missing_from(self, facts: &Facts) -> Result<Vec<String>, Unseen> {
        match self {
            Self::Secrets => secret::missing(facts),
            Self::Account
            | Self::Functions
            | Self::Program
            | Self::Calls
            | Self::Declarations
            | Self::Environments
            | Self::Keys
            | Self::Outputs
            | Self::Parameters
            | Self::Policies
            | Self::Principals
            | Self::Resources
            | Self::Schedules
            | Self::Detectors
            | Self::EventRules
            | Self::LogGroups
            | Self::Topics
            | Self::Trails => Ok(Vec::new()),
        }
    }
}

/// The answer to a question had another shape than the question asks for: evidence was altered.
pub(crate) fn mismatch(observation: &Observation) -> Unseen {
    Unseen {
        operation: observation.operation().to_owned(),
        code: "WrongAnswer".to_owned(),
        advice: "the recorded answer belongs to another question".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_touches_what_lies_above_and_below_it() {
        let reads: Reads = ["secret.key.origin".to_owned(), "secret.name".to_owned()]
            .into_iter()
            .collect();
        assert!(reads.touch("secret.key"));
        assert!(reads.touch("secret.key.origin"));
        assert!(!reads.touch("secret.key.state"));
        assert!(!reads.touch("secret.keys"));
        let whole: Reads = ["secret".to_owned()].into_iter().collect();
        assert!(whole.touch("secret.policy"));
    }
}
