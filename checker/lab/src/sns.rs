//! Simple Notification Service: topics, subscriptions with filter policies, publishing to queues and functions.
//!
//! A subscription of a queue or function in the account is confirmed at once; others stay pending, since nobody here
//! reads mail. What a filter policy refuses is not delivered, what the queue's policy refuses goes to the
//! subscription's dead-letter queue or is lost, as on AWS. Filter policies apply at once (on AWS after up to 15 minutes).
//! First-in-first-out topics, phone numbers and platform endpoints are refused; signatures of messages are not genuine.

mod filter;
mod publish;
mod subscriptions;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::service::{Answer, ApiError, Call, page};
use crate::tagging::Tags;
use crate::world::World;
pub(crate) use publish::{Notification, PublishRefused, deliver, publish_as_service};

/// What the service keeps: topics and subscriptions by ARN.
#[derive(Debug, Default)]
pub(crate) struct State {
    topics: BTreeMap<String, Topic>,
    subscriptions: BTreeMap<String, Subscription>,
}

#[derive(Debug)]
struct Topic {
    arn: String,
    owner: String,
    attributes: BTreeMap<String, String>,
    tags: Tags,
    unsubscribed: u64,
}

#[derive(Debug)]
struct Subscription {
    arn: String,
    topic: String,
    protocol: String,
    endpoint: String,
    owner: String,
    pending: bool,
    attributes: BTreeMap<String, String>,
}

pub(crate) fn handle(world: &mut World, call: &Call<'_>) -> Answer {
    match call.operation {
        "CreateTopic" => create(&mut world.sns, call),
        "DeleteTopic" => delete(&mut world.sns, call),
        "GetTopicAttributes" => get_attributes(&world.sns, call),
        "SetTopicAttributes" => set_attribute(&mut world.sns, call),
        "ListTopics" => list(&world.sns, call),
        "TagResource" => tag(&mut world.sns, call),
        "ListTagsForResource" => list_tags(&world.sns, call),
        "Publish" => publish::publish(world, call),
        "Subscribe" => subscriptions::subscribe(world, call),
        "Unsubscribe" => subscriptions::unsubscribe(&mut world.sns, call),
        "ListSubscriptions" => subscriptions::list(&world.sns, call),
        "ListSubscriptionsByTopic" => subscriptions::list_by_topic(&world.sns, call),
        "GetSubscriptionAttributes" => subscriptions::get_attributes(&world.sns, call),
        "SetSubscriptionAttributes" => subscriptions::set_attribute(&mut world.sns, call),
        _ => Err(call.unserved()),
    }
}

impl State {
    /// Tagged resources, for the tagging API.
    pub(crate) fn tagged(&self) -> Vec<(&str, &Tags)> {
        self.topics
            .values()
            .map(|topic| (topic.arn.as_str(), &topic.tags))
            .collect()
    }

    /// The text of a topic's policy; `None` when there is no topic.
    pub(crate) fn policy(&self, topic_arn: &str) -> Option<&str> {
        self.topics
            .get(topic_arn)?
            .attributes
            .get("Policy")
            .map(String::as_str)
    }

    /// The customer's or AWS's key that a topic is encrypted with.
    pub(crate) fn key(&self, topic_arn: &str) -> Option<&str> {
        let key = self
            .topics
            .get(topic_arn)?
            .attributes
            .get("KmsMasterKeyId")?;
        Some(key.as_str()).filter(|key| !key.is_empty())
    }

    fn topic(&self, arn: &str) -> Result<&Topic, ApiError> {
        self.topics.get(arn).ok_or_else(no_topic)
    }

    fn topic_mut(&mut self, arn: &str) -> Result<&mut Topic, ApiError> {
        self.topics.get_mut(arn).ok_or_else(no_topic)
    }
}

/// Creating a topic again with the same attributes and tags answers the topic there is.
fn create(state: &mut State, call: &Call<'_>) -> Answer {
    let name = call.required("Name")?;
    let legal = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    if name.is_empty() || name.len() > 256 || !name.chars().all(legal) {
        return Err(invalid("Topic Name"));
    }
    if call.text("DataProtectionPolicy").is_some() {
        return Err(invalid("DataProtectionPolicy is not served by the lab"));
    }
    let mut attributes = BTreeMap::new();
    for (key, value) in call.object("Attributes").into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        check_attribute(key, value)?;
        attributes.insert(key.clone(), value.to_owned());
    }
    let tags = Tags::from_list(call.list("Tags")).map_err(|reason| invalid(&reason))?;
    let arn = call.arn(name);
    if let Some(known) = state.topics.get(&arn) {
        let same = attributes
            .iter()
            .all(|(key, value)| known.attributes.get(key) == Some(value));
        if !same {
            return Err(invalid(
                "Attributes Reason: Topic already exists with different attributes",
            ));
        }
        if tags.entries() != known.tags.entries() && !tags.is_empty() {
            return Err(invalid(
                "Tags Reason: Topic already exists with different tags",
            ));
        }
        return Ok(json!({"TopicArn": arn}));
    }
    attributes
        .entry("Policy".to_owned())
        .or_insert_with(|| default_policy(&arn, call.account));
    let topic = Topic {
        arn: arn.clone(),
        owner: call.account.to_owned(),
        attributes,
        tags,
        unsubscribed: 0,
    };
    state.topics.insert(arn.clone(), topic);
    Ok(json!({"TopicArn": arn}))
}

/// Deleting what doesn't exist is no error; subscriptions stay behind, as on AWS.
fn delete(state: &mut State, call: &Call<'_>) -> Answer {
    state.topics.remove(call.required("TopicArn")?);
    Ok(json!({}))
}

fn get_attributes(state: &State, call: &Call<'_>) -> Answer {
    let topic = state.topic(call.required("TopicArn")?)?;
    let count = |pending: bool| {
        let of_topic = state
            .subscriptions
            .values()
            .filter(|each| each.topic == topic.arn && each.pending == pending);
        of_topic.count().to_string()
    };
    let mut attributes: Map<String, Value> = [
        ("TopicArn", topic.arn.clone()),
        ("Owner", topic.owner.clone()),
        ("DisplayName", String::new()),
        ("SubscriptionsConfirmed", count(false)),
        ("SubscriptionsPending", count(true)),
        ("SubscriptionsDeleted", topic.unsubscribed.to_string()),
        (
            "EffectiveDeliveryPolicy",
            r#"{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3,"numMaxDelayRetries":0,"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"},"disableSubscriptionOverrides":false,"defaultRequestPolicy":{"headerContentType":"text/plain; charset=UTF-8"}}}"#.to_owned(),
        ),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.into()))
    .collect();
    for (name, value) in &topic.attributes {
        attributes.insert(name.clone(), value.as_str().into());
    }
    Ok(json!({"Attributes": attributes}))
}

fn set_attribute(state: &mut State, call: &Call<'_>) -> Answer {
    let name = call.required("AttributeName")?;
    let value = call.text("AttributeValue").unwrap_or_default();
    check_attribute(name, value)?;
    let topic = state.topic_mut(call.required("TopicArn")?)?;
    topic.attributes.insert(name.to_owned(), value.to_owned());
    Ok(json!({}))
}

fn list(state: &State, call: &Call<'_>) -> Answer {
    let here = format!("arn:aws:sns:{}:", call.region);
    let topics = state
        .topics
        .keys()
        .filter(|arn| arn.starts_with(&here))
        .map(|arn| json!({"TopicArn": arn}))
        .collect();
    listing(call, "Topics", topics)
}

fn tag(state: &mut State, call: &Call<'_>) -> Answer {
    let more = Tags::from_list(call.list("Tags")).map_err(|reason| invalid(&reason))?;
    let topic = state
        .topics
        .get_mut(call.required("ResourceArn")?)
        .ok_or_else(no_resource)?;
    let mut merged = topic.tags.clone();
    merged.merge(more);
    if merged.entries().len() > Tags::LIMIT {
        return Err(ApiError::new(
            "TagLimitExceeded",
            "Could not complete request: tag quota of per resource exceeded",
        ));
    }
    topic.tags = merged;
    Ok(json!({}))
}

fn list_tags(state: &State, call: &Call<'_>) -> Answer {
    let topic = state
        .topics
        .get(call.required("ResourceArn")?)
        .ok_or_else(no_resource)?;
    Ok(json!({"Tags": topic.tags.to_list()}))
}

fn listing(call: &Call<'_>, member: &str, rows: Vec<Value>) -> Answer {
    let (rows, next) = page(rows, call.text("NextToken"), 100)
        .map_err(|_| invalid("NextToken Reason: the token is not valid"))?;
    let mut answer = Map::new();
    answer.insert(member.to_owned(), rows.into());
    if let Some(next) = next {
        answer.insert("NextToken".to_owned(), next.into());
    }
    Ok(answer.into())
}

fn check_attribute(name: &str, value: &str) -> Result<(), ApiError> {
    match name {
        "Policy" => {
            match crate::iam::grammar::parse(value, crate::iam::grammar::PolicyKind::Resource) {
                Ok(_) => Ok(()),
                Err(_) => Err(invalid("Policy Error: null")),
            }
        }
        "SignatureVersion" if matches!(value, "1" | "2") => Ok(()),
        "TracingConfig" if matches!(value, "Active" | "PassThrough") => Ok(()),
        "DisplayName" if value.chars().count() <= 100 => Ok(()),
        "DeliveryPolicy"
            if value.is_empty() || serde_json::from_str::<Map<String, Value>>(value).is_ok() =>
        {
            Ok(())
        }
        "KmsMasterKeyId" => Ok(()),
        "FifoTopic" | "ContentBasedDeduplication" | "FifoThroughputScope" | "ArchivePolicy" => {
            Err(invalid("the lab serves no FIFO topics"))
        }
        "SignatureVersion" | "TracingConfig" | "DisplayName" | "DeliveryPolicy" => {
            Err(invalid(name))
        }
        _ => Err(invalid("AttributeName")),
    }
}

/// The policy that AWS gives a topic: its account may do everything.
fn default_policy(arn: &str, account: &str) -> String {
    json!({
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [{
            "Sid": "__default_statement_ID",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": [
                "SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:AddPermission", "SNS:RemovePermission",
                "SNS:DeleteTopic", "SNS:Subscribe", "SNS:ListSubscriptionsByTopic", "SNS:Publish",
            ],
            "Resource": arn,
            "Condition": {"StringEquals": {"AWS:SourceOwner": account}},
        }],
    })
    .to_string()
}

fn invalid(what: &str) -> ApiError {
    ApiError::new("InvalidParameter", format!("Invalid parameter: {what}"))
}

fn no_topic() -> ApiError {
    ApiError::new("NotFound", "Topic does not exist").with_status(404)
}

fn no_resource() -> ApiError {
    ApiError::new("ResourceNotFound", "Resource does not exist").with_status(404)
}
