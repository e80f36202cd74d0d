//! Answers about what detection and its records are made of: event rules and targets, topics, queues, log groups,
//! trails, published names. None of these types can hold a secret value: inputs of targets are reduced to whether
//! there are any, web addresses of subscribers to their host, parameters to ARNs.

use serde::{Deserialize, Serialize};

/// An event rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventRule {
    /// Name.
    pub name: String,
    /// ARN.
    pub arn: String,
    /// `ENABLED`, `DISABLED` or `ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS`.
    pub state: String,
    /// The pattern's text; a rule on a schedule has none.
    pub pattern: Option<String>,
}

/// A target of an event rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventTarget {
    /// Id within the rule.
    pub id: String,
    /// What gets the events.
    pub arn: String,
    /// Whether it gets the event as it is; otherwise a constant, a part or a text made of parts.
    pub whole_event: bool,
    /// Retries, where they are set; otherwise AWS's default holds.
    pub maximum_retries: Option<i64>,
    /// Seconds, where they are set; otherwise AWS's default holds.
    pub maximum_event_age: Option<i64>,
    /// ARN of the queue that keeps what could not be delivered.
    pub dead_letter_queue: Option<String>,
}

/// A queue, as far as deliveries to it depend on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Queue {
    /// ARN.
    pub arn: String,
    /// Text of its policy, if it has one.
    pub policy: Option<String>,
}

/// A subscription as the list of its topic shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TopicSubscription {
    /// ARN; `PendingConfirmation` or `Deleted` while or once it has none.
    pub arn: String,
    /// `sqs`, `lambda`, `email`, `https`, ...
    pub protocol: String,
    /// ARN of the endpoint, or of other protocols only the host or the domain: the rest may be a person's address or
    /// a key in a web address.
    pub endpoint: String,
}

/// The filter of a subscription.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SubscriptionFilter {
    /// Text of the filter policy, if there is one.
    pub policy: Option<String>,
    /// `MessageAttributes` or `MessageBody`.
    pub scope: String,
}

/// A log group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogGroup {
    /// Name.
    pub name: String,
    /// ARN without the trailing `:*`.
    pub arn: String,
    /// Retention in force, in days; `None` keeps for ever.
    pub retention_days: Option<i64>,
    /// The account policy that decides the retention, if one does.
    pub retention_policy: Option<String>,
    /// Whether it can't be deleted.
    pub deletion_protected: bool,
    /// The customer's key, as configured.
    pub key: Option<String>,
}

/// An account policy on the retention of log groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionPolicy {
    /// Name.
    pub name: String,
    /// Its text.
    pub document: String,
    /// The log groups that it speaks of; all without.
    pub selection: Option<String>,
}

/// A trail that records this region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Trail {
    /// Name.
    pub name: String,
    /// ARN.
    pub arn: String,
    /// The region that it was made in.
    pub home_region: String,
    /// Whether it records every region.
    pub multi_region: bool,
}

/// Which events a trail records: basic or advanced selectors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrailSelectors {
    /// Basic ones: an event that one of them takes is recorded.
    pub basic: Vec<BasicSelector>,
    /// Advanced ones: an event that all fields of one of them take is recorded.
    pub advanced: Vec<AdvancedSelector>,
}

/// A basic selector, as far as management events are concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BasicSelector {
    /// `All`, `ReadOnly` or `WriteOnly`.
    pub read_write: String,
    /// Whether it takes management events.
    pub management: bool,
    /// Services whose management events it leaves out.
    pub excluded_sources: Vec<String>,
}

/// An advanced selector: all of its fields must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdvancedSelector {
    /// The conditions.
    pub fields: Vec<FieldSelector>,
}

/// A condition on one field of an event; an empty list asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FieldSelector {
    /// The field's name.
    pub field: String,
    /// It is one of these.
    pub equals: Vec<String>,
    /// It begins with one of these.
    pub starts_with: Vec<String>,
    /// It ends with one of these.
    pub ends_with: Vec<String>,
    /// It is none of these.
    pub not_equals: Vec<String>,
    /// It begins with none of these.
    pub not_starts_with: Vec<String>,
    /// It ends with none of these.
    pub not_ends_with: Vec<String>,
}

/// A parameter of the Parameter Store that publishes an ARN.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Parameter {
    /// Name.
    pub name: String,
    /// `String`, `StringList` or `SecureString`.
    pub kind: String,
    /// Its value where that is an ARN in plain text; any other value is not kept.
    pub arn: Option<String>,
}
