//! The answers of AWS, reduced to what rules may read. None of these types can hold a secret value.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Time;
use crate::probe::Trace;
use crate::table;

use super::authorization::Authorization;
pub use super::call::SecretCall;
pub use super::compact::{Tags, VersionStages};
pub use super::detection::{
    AdvancedSelector, BasicSelector, EventRule, EventTarget, FieldSelector, LogGroup, Parameter,
    Queue, RetentionPolicy, SubscriptionFilter, TopicSubscription, Trail, TrailSelectors,
};

pub use super::environment::FunctionEnvironment;

/// A complete answer, one variant a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To [`super::Observation::Caller`].
    Caller(Caller),
    /// To [`super::Observation::Authorization`].
    Authorization(Authorization),
    /// To [`super::Observation::Secrets`].
    Secrets(#[serde(with = "table::list")] Vec<ListedSecret>),
    /// To [`super::Observation::TaggedSecrets`]: the ARNs.
    TaggedSecrets(#[serde(with = "table::list")] Vec<TaggedResource>),
    /// To [`super::Observation::Secret`]; `None` when there is no such secret.
    Secret(Option<DescribedSecret>),
    /// To [`super::Observation::SecretVersions`].
    SecretVersions(Vec<SecretVersion>),
    /// To [`super::Observation::SecretPolicy`]: the policy text; `None` when there is none.
    SecretPolicy(Option<String>),
    /// To [`super::Observation::KeyAliases`].
    KeyAliases(Vec<KeyAlias>),
    /// To [`super::Observation::Key`]; `None` when there is no such key.
    Key(Option<Key>),
    /// To [`super::Observation::Function`]; `None` when there is no such function.
    Function(Option<Function>),
    /// To [`super::Observation::EventMatch`].
    EventMatch(bool),
    /// To [`super::Observation::EventRule`]; `None` when there is no such rule.
    EventRule(Option<EventRule>),
    /// To [`super::Observation::EventTargets`]; `None` when there is no such rule.
    EventTargets(Option<Vec<EventTarget>>),
    /// To [`super::Observation::FunctionFailureDestination`]: its ARN; `None` when there is none.
    FunctionFailureDestination(Option<String>),
    /// To [`super::Observation::FunctionPolicy`]: the policy text; `None` when there is none.
    FunctionPolicy(Option<String>),
    /// To [`super::Observation::LogGroup`]; `None` when there is no such group.
    LogGroup(Option<LogGroup>),
    /// To [`super::Observation::Parameter`]; `None` when there is no such parameter.
    Parameter(Option<Parameter>),
    /// To [`super::Observation::Queue`]; `None` when there is no such queue.
    Queue(Option<Queue>),
    /// To [`super::Observation::RetentionPolicies`].
    RetentionPolicies(Vec<RetentionPolicy>),
    /// To [`super::Observation::SubscriptionFilter`]; `None` when there is no such subscription.
    SubscriptionFilter(Option<SubscriptionFilter>),
    /// To [`super::Observation::TopicSubscriptions`]; `None` when there is no such topic.
    TopicSubscriptions(Option<Vec<TopicSubscription>>),
    /// To [`super::Observation::TrailLogging`]; `None` when there is no such trail.
    TrailLogging(Option<bool>),
    /// To [`super::Observation::TrailSelectors`]; `None` when there is no such trail.
    TrailSelectors(Option<TrailSelectors>),
    /// To [`super::Observation::Trails`].
    Trails(Vec<Trail>),
    /// To [`super::Observation::FunctionEnvironments`].
    FunctionEnvironments(Vec<FunctionEnvironment>),
    /// To [`super::Observation::KeyPolicy`]: the policy text; `None` when there is no such key.
    KeyPolicy(Option<String>),
    /// To [`super::Observation::Keys`].
    Keys(Vec<ListedKey>),
    /// To [`super::Observation::KeyGrants`]; `None` when there is no such key.
    KeyGrants(Option<Vec<KeyGrant>>),
    /// To [`super::Observation::ControlPolicies`]: one entry a level, from the root of the organisation to the account.
    ControlPolicies(Vec<ControlLevel>),
    /// To [`super::Observation::Simulation`].
    Simulation(Simulation),
    /// To [`super::Observation::ModuleResources`].
    ModuleResources(#[serde(with = "table::list")] Vec<TaggedResource>),
    /// To [`super::Observation::Parameters`].
    Parameters(#[serde(with = "table::list")] Vec<ListedParameter>),
    /// To [`super::Observation::Schedules`].
    Schedules(Vec<ScheduledRule>),
    /// To [`super::Observation::SecretCalls`].
    SecretCalls(#[serde(with = "table::list")] Vec<SecretCall>),
    /// To [`super::Observation::Program`].
    Program(Program),
    /// To [`super::Observation::Trace`].
    Trace(Trace),
    /// To [`super::Observation::Plan`].
    Plan(Plan),
}

/// The identity that asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// Twelve digits.
    pub account: String,
    /// ARN of the user, role session or root.
    pub arn: String,
}

/// A secret as `ListSecrets` shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListedSecret {
    /// Full ARN with the random suffix.
    pub arn: String,
    /// Name.
    pub name: String,
    /// Key as configured: id, ARN or alias; `None` is the AWS-managed key.
    pub kms_key_id: Option<String>,
    /// Whether rotation is switched on.
    pub rotation_enabled: bool,
    /// The function that rotates it.
    pub rotation_function_arn: Option<String>,
    /// The schedule; AWS keeps it after rotation was cancelled.
    pub rotation_rules: Option<RotationRules>,
    /// When it was created.
    pub created: Option<Time>,
    /// When anything about it changed last, a tag included.
    pub last_changed: Option<Time>,
    /// When it was last rotated.
    pub last_rotated: Option<Time>,
    /// When it is to be deleted, if deletion is pending.
    pub deleted: Option<Time>,
    /// The end of the next rotation window.
    pub next_rotation: Option<Time>,
    /// Tags.
    pub tags: Tags,
    /// Staging labels by version id.
    pub version_stages: VersionStages,
    /// The AWS service that owns it, if one does.
    pub owning_service: Option<String>,
    /// The region of its primary, if it was ever replicated.
    pub primary_region: Option<String>,
}

/// The schedule of a rotation.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RotationRules {
    /// Days between rotations; AWS computes it for schedule expressions too.
    pub automatically_after_days: Option<i64>,
    /// Length of the window, such as `3h`.
    pub duration: Option<String>,
    /// `rate(..)` or `cron(..)`.
    pub schedule_expression: Option<String>,
}

/// A resource as the tagging API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaggedResource {
    /// ARN.
    pub arn: String,
    /// Tags.
    pub tags: Tags,
}

/// What `DescribeSecret` adds to the list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DescribedSecret {
    /// Full ARN.
    pub arn: String,
    /// Regions it is replicated to.
    pub replica_regions: Vec<String>,
}

/// One version of a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecretVersion {
    /// Version id.
    pub id: String,
    /// When it was created.
    pub created: Option<Time>,
    /// Staging labels.
    pub stages: Vec<String>,
}

/// A key alias.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyAlias {
    /// `alias/...`.
    pub name: String,
    /// The key it points at; `None` for an AWS-managed alias that was never used.
    pub key_id: Option<String>,
}

/// A key's metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Key {
    /// Key id.
    pub id: String,
    /// ARN.
    pub arn: String,
    /// `AWS` or `CUSTOMER`.
    pub manager: String,
    /// `AWS_KMS`, `EXTERNAL` (imported), `AWS_CLOUDHSM` or `EXTERNAL_KEY_STORE`.
    pub origin: String,
    /// `Enabled`, `Disabled`, `PendingDeletion`, ...
    pub state: String,
    /// Whether it is a multi-region key.
    pub multi_region: bool,
}

/// A key as `ListKeys` shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListedKey {
    /// Key id.
    pub id: String,
    /// ARN.
    pub arn: String,
}

/// A grant on a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyGrant {
    /// Its id.
    pub id: String,
    /// Who may use the key: an ARN or a service.
    pub grantee: String,
    /// Operations such as `Decrypt`.
    pub operations: Vec<String>,
    /// Pairs that a request's encryption context must contain.
    pub context_subset: BTreeMap<String, String>,
    /// The whole of a request's encryption context, where it is settled.
    pub context_equals: Option<BTreeMap<String, String>>,
}

/// The service control policies of one level of the organisation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ControlLevel {
    /// The folder's name; empty for a single level.
    pub name: String,
    /// The documents, each with the name of its file.
    pub policies: BTreeMap<String, String>,
}

/// What AWS's simulator decided.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Simulation {
    /// `allowed`, `implicitDeny` or `explicitDeny`.
    pub decision: String,
    /// Policies whose statements matched.
    pub matched: Vec<String>,
    /// Context keys that the policies asked for and that were not given.
    pub missing_context: Vec<String>,
    /// Whether the permission boundary allows it, where there is one.
    pub allowed_by_boundary: Option<bool>,
    /// Whether the organisation's policies allow it, where the simulator says so.
    pub allowed_by_organisation: Option<bool>,
}

/// A function's configuration. Environment values are never kept, only their names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Function {
    /// Unqualified ARN.
    pub arn: String,
    /// Name.
    pub name: String,
    /// `Active`, `Pending`, `Inactive` or `Failed`.
    pub state: String,
    /// Runtime, such as `provided.al2023`.
    pub runtime: String,
    /// `x86_64` or `arm64`.
    pub architectures: Vec<String>,
    /// MB.
    pub memory: i64,
    /// Seconds.
    pub timeout: i64,
    /// ARN of its role.
    pub role_arn: String,
    /// Names of its environment variables.
    pub environment_names: Vec<String>,
    /// Settings of the anomaly detector by name, see [`super::environment::reference`]; no other value is kept.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub references: BTreeMap<String, String>,
}

/// The program under check, as far as rules read it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Program {
    /// The program's name.
    pub name: String,
    /// How many resources it declares.
    pub resources: i64,
    /// Places in the program that hold a secret's value.
    pub values: Vec<ProgramValue>,
    /// Every resource that it declares.
    pub declared: Vec<DeclaredResource>,
}

/// A resource that a program declares.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeclaredResource {
    /// The name of its program.
    pub program: String,
    /// Its name in the program.
    pub name: String,
    /// Its type token.
    pub kind: String,
    /// `file:line:column`.
    pub place: String,
    /// Default and own tags together; `None` where the type can't carry any.
    pub tags: Option<BTreeMap<String, String>>,
    /// The ARN that it got in the lab, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// Its settings by dotted path, of types whose settings can't hold a secret.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// The policies that stand in it, by property; what is known only once it is deployed is `None`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub policies: BTreeMap<String, Option<String>>,
}

/// What is judged before it is deployed, and what of it is not known yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// Whether it is a preview, which shows neither what happens at run time nor what other stacks hold.
    pub preview: bool,
    /// What is not known.
    pub gaps: Vec<Gap>,
    /// ARNs of what the deploy deletes.
    pub deleted: Vec<String>,
}

/// Something of a plan that is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gap {
    /// The resource's name in its program.
    pub name: String,
    /// `program:<program>/<name>`.
    pub declared: String,
    /// Its type token.
    pub kind: String,
    /// ARN of what the resource is or belongs to, where that is known.
    pub subject: Option<String>,
    /// The property; `None` where nothing of the resource is known.
    pub property: Option<String>,
    /// Why: a fragment that follows the name.
    pub why: String,
}

/// A parameter as `DescribeParameters` lists it: no value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListedParameter {
    /// Full name.
    pub name: String,
    /// `String`, `StringList` or `SecureString`.
    pub kind: String,
    /// The key that encrypts it, as configured.
    pub key_id: Option<String>,
}

/// A rule of the default bus that runs on a schedule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduledRule {
    /// ARN.
    pub arn: String,
    /// Name.
    pub name: String,
    /// `rate(..)` or `cron(..)`.
    pub expression: String,
    /// What it calls.
    pub targets: Vec<ScheduledTarget>,
}

/// A target of a scheduled rule. Its input is looked at where it arrives and not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduledTarget {
    /// Id within the rule.
    pub id: String,
    /// ARN of what is called.
    pub arn: String,
    /// Whether its ARN or its input names `RotateSecret` or a step of a rotation.
    pub calls_rotate_secret: bool,
}

/// A place in a program that holds a secret's value; the value itself is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramValue {
    /// Name of the resource or configuration key.
    pub resource: String,
    /// Its type token.
    pub kind: String,
    /// The property.
    pub property: String,
    /// `file:line:column`.
    pub place: String,
}
