//! The topic that alerts go to: who is subscribed, and which alerts reach them.
//!
//! Filters are tried on real alerts, with and without the attribute `synthetic` (`topic/alerts.json`): SNS drops a
//! message that lacks an attribute which the filter names, unless the filter allows for that.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::event_rule::accepted;
use super::known::{answered, existence, known};
use super::{Item, Reads, Setting, filter_policy};
use crate::expression::types::Known;
use crate::observation::{Answer, Facts, Observation, answer};

crate::facts! {
    /// A subscription.
    pub struct Subscriber {
        /// `sqs`, `lambda`, `email`, `https`, ...
        pub protocol: String,
        /// ARN of its endpoint; of other protocols the host or the domain.
        pub endpoint: String,
        /// The last part of the endpoint: the name of a queue or a function.
        pub name: String,
        /// Whether it is confirmed; before that it gets nothing.
        pub confirmed: bool,
    }

    /// A confirmed subscription, with what reaches it.
    pub struct Receiver {
        /// `sqs`, `lambda`, `email`, `https`, ...
        pub protocol: String,
        /// ARN of its endpoint; of other protocols the host or the domain.
        pub endpoint: String,
        /// The last part of the endpoint: the name of a queue or a function.
        pub name: String,
        /// Real alerts, by name of the sample, that its filter drops.
        pub drops: Vec<String>,
        /// Whether its queue's policy lets the topic send; true of other protocols.
        pub accepts: bool,
    }

    /// A topic.
    pub struct Topic {
        /// Its ARN.
        pub arn: String,
        /// Its name.
        pub name: String,
        /// Whether it exists.
        pub exists: Known<bool>,
        /// Its subscriptions.
        pub subscribers: Known<Vec<Subscriber>>,
        /// Its confirmed subscriptions, with what reaches them.
        pub receivers: Known<Vec<Receiver>>,
    }
}

/// The named filters.
pub const FILTERS: &[(&str, &str)] = &[("alerts", "the topic that alerts go to")];

const ABSENT: &str = "the topic does not exist";
const SNS: &str = "sns.amazonaws.com";

/// An alert as it is published.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Alert {
    name: String,
    attributes: BTreeMap<String, String>,
    body: Value,
}

/// One item: the topic, whether it exists or not.
pub(super) fn items(facts: &Facts, setting: &Setting, reads: &Reads) -> Vec<Item> {
    let name = setting.organisation.alert_topic(&setting.stage);
    let arn = format!("arn:aws:sns:{}:{}:{name}", setting.region, setting.account);
    let subscriptions = subscriptions(&arn, facts);
    let question = || Observation::TopicSubscriptions(arn.clone());
    let mut details = vec![
        ("topic.exists", question()),
        ("topic.subscribers", question()),
        ("topic.receivers", question()),
    ];
    for subscription in confirmed(&subscriptions) {
        details.push((
            "topic.receivers",
            Observation::SubscriptionFilter(subscription.arn.clone()),
        ));
        if subscription.protocol == "sqs" {
            details.push((
                "topic.receivers",
                Observation::Queue(subscription.endpoint.clone()),
            ));
        }
    }
    details.retain(|(path, _)| reads.touch(path));
    let there = subscriptions
        .clone()
        .and_then(|found| found.ok_or_else(|| ABSENT.to_owned()));
    let topic = Topic {
        exists: existence(&subscriptions),
        subscribers: known(
            there
                .clone()
                .map(|all| all.iter().map(subscriber).collect()),
        ),
        receivers: known(there.and_then(|all| {
            all.iter()
                .filter(|subscription| is_confirmed(subscription))
                .map(|subscription| receiver(subscription, &arn, facts, setting))
                .collect()
        })),
        arn,
        name,
    };
    let mut item = Item::of(topic.arn.clone(), "topic", &topic);
    item.passes.insert("alerts");
    item.details = details;
    vec![item]
}

type Subscriptions<'a> = Result<Option<&'a [answer::TopicSubscription]>, String>;

fn subscriptions<'a>(topic: &str, facts: &'a Facts) -> Subscriptions<'a> {
    let question = Observation::TopicSubscriptions(topic.to_owned());
    answered(facts, &question, |answer| {
        let Answer::TopicSubscriptions(subscriptions) = answer else {
            return None;
        };
        Some(subscriptions.as_deref())
    })
}

fn confirmed<'a>(
    subscriptions: &Subscriptions<'a>,
) -> impl Iterator<Item = &'a answer::TopicSubscription> {
    let all = match subscriptions {
        Ok(Some(all)) => *all,
        Ok(None) | Err(_) => &[],
    };
    all.iter().filter(|subscription| is_confirmed(subscription))
}

/// Instead of an ARN a subscription has `PendingConfirmation` before it is confirmed, `Deleted` after it is gone.
fn is_confirmed(subscription: &answer::TopicSubscription) -> bool {
    subscription.arn.starts_with("arn:")
}

fn name_of(endpoint: &str) -> String {
    endpoint.rsplit(':').next().unwrap_or(endpoint).to_owned()
}

fn subscriber(subscription: &answer::TopicSubscription) -> Subscriber {
    Subscriber {
        protocol: subscription.protocol.clone(),
        endpoint: subscription.endpoint.clone(),
        name: name_of(&subscription.endpoint),
        confirmed: is_confirmed(subscription),
    }
}

fn receiver(
    subscription: &answer::TopicSubscription,
    topic: &str,
    facts: &Facts,
    setting: &Setting,
) -> Result<Receiver, String> {
    let question = Observation::SubscriptionFilter(subscription.arn.clone());
    let filter = answered(facts, &question, |answer| {
        let Answer::SubscriptionFilter(filter) = answer else {
            return None;
        };
        Some(filter.as_ref())
    })?
    .ok_or_else(|| "the subscription has vanished meanwhile".to_owned())?;
    Ok(Receiver {
        protocol: subscription.protocol.clone(),
        endpoint: subscription.endpoint.clone(),
        name: name_of(&subscription.endpoint),
        drops: dropped(filter)?,
        accepts: subscription.protocol != "sqs"
            || accepted(&subscription.endpoint, SNS, topic, facts, setting)?,
    })
}

/// Names of the real alerts that a filter drops.
fn dropped(filter: &answer::SubscriptionFilter) -> Result<Vec<String>, String> {
    let Some(policy) = &filter.policy else {
        return Ok(Vec::new());
    };
    let mut dropped = Vec::new();
    for alert in alerts()? {
        let passes = match filter.scope.as_str() {
            "MessageAttributes" => filter_policy::passes_attributes(policy, &alert.attributes)?,
            "MessageBody" => filter_policy::passes_body(policy, &alert.body)?,
            other => return Err(format!("the filter has an unknown scope `{other}`")),
        };
        if !passes {
            dropped.push(alert.name);
        }
    }
    Ok(dropped)
}

fn alerts() -> Result<Vec<Alert>, String> {
    serde_json::from_str(include_str!("topic/alerts.json"))
        .map_err(|error| format!("the sample alerts can't be read (line {})", error.line()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::alerts;

    #[test]
    fn samples_are_alerts_with_and_without_the_attribute() {
        let alerts = alerts().unwrap();
        let has = |alert: &super::Alert| alert.attributes.contains_key("synthetic");
        assert!(alerts.iter().any(has));
        assert!(!alerts.iter().all(has));
        // None of them is a probe's, which a filter may drop.
        assert!(alerts.iter().all(|alert| {
            alert
                .attributes
                .get("synthetic")
                .is_none_or(|value| value == "false")
        }));
    }
}
