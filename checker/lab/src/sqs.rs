//! Simple Queue Service: standard queues, as targets, dead-letter queues and probes need them.
//!
//! Messages become invisible when received, come back after the visibility timeout, move to the dead-letter queue
//! after `maxReceiveCount`, and are gone after the retention period. A handler never waits: a long poll that finds
//! nothing is asked again by the server until its time is up. First-in-first-out queues are refused; MD5 digests are
//! left out of answers. A queue's policy is stored and, for deliveries by other services, decided in [`deliver_as_service`].

mod attributes;
mod messages;

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::iam::resource_access::{ActingService, may_use_key};
use crate::service::{Answer, ApiError, Call, page};
use crate::tagging::Tags;
use crate::world::World;
pub(crate) use attributes::Attributes;
use messages::Message;

/// What the service keeps: queues by ARN.
#[derive(Default)]
pub(crate) struct State {
    queues: BTreeMap<String, Queue>,
}

struct Queue {
    name: String,
    arn: String,
    url: String,
    attributes: Attributes,
    tags: Tags,
    created: DateTime<Utc>,
    modified: DateTime<Utc>,
    messages: VecDeque<Message>,
}

/// Why a service's message doesn't reach a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undelivered {
    /// There is no such queue.
    NoQueue,
    /// The message is longer than the queue allows.
    TooLong,
    /// The queue's policy doesn't let the service in.
    NoPermission,
}

pub(crate) fn handle(world: &mut World, call: &Call<'_>) -> Answer {
    match call.operation {
        "CreateQueue" => create(&mut world.sqs, call),
        "DeleteQueue" => delete(&mut world.sqs, call),
        "GetQueueUrl" => get_url(&world.sqs, call),
        "GetQueueAttributes" => Ok(attributes::get(world.sqs.queue(call)?, call)),
        "SetQueueAttributes" => set_attributes(&mut world.sqs, call),
        "ListQueues" => list(&world.sqs, call),
        "SendMessage" => messages::send(world, call),
        "ReceiveMessage" => messages::receive(world, call),
        "DeleteMessage" => messages::delete(&mut world.sqs, call),
        "PurgeQueue" => {
            world.sqs.queue_mut(call)?.messages.clear();
            Ok(json!({}))
        }
        "TagQueue" => tag(&mut world.sqs, call),
        "ListQueueTags" => Ok(json!({"Tags": world.sqs.queue(call)?.tags.to_map()})),
        _ => Err(call.unserved()),
    }
}

/// Puts a message into a queue with a role's rights, as Lambda does for destinations; refused messages are lost.
pub(crate) fn deliver(
    world: &mut World,
    queue_arn: &str,
    body: &str,
    role_arn: &str,
    now: DateTime<Utc>,
) {
    let policy = world.sqs.policy(queue_arn);
    if !crate::iam::resource_access::role_may(
        &world.iam,
        role_arn,
        "sqs:SendMessage",
        queue_arn,
        policy,
    ) {
        return;
    }
    if let Some(queue) = world.sqs.queues.get_mut(queue_arn) {
        let delay = queue.attributes.delay();
        let message = Message::new(
            &mut world.ids,
            now,
            body.to_owned(),
            BTreeMap::new(),
            role_arn,
            delay,
        );
        queue.messages.push_back(message);
    }
}

/// Puts a message of a service into a queue, if the queue's policy and its key let the service in.
pub(crate) fn deliver_as_service(
    world: &mut World,
    now: DateTime<Utc>,
    queue_arn: &str,
    body: String,
    message_attributes: BTreeMap<String, Value>,
    sender: ActingService<'_>,
) -> Result<(), Undelivered> {
    let queue = world
        .sqs
        .queues
        .get(queue_arn)
        .ok_or(Undelivered::NoQueue)?;
    let region = queue_arn.split(':').nth(3).unwrap_or_default();
    if !sender.may("sqs:SendMessage", queue_arn, queue.attributes.get("Policy"))
        || !may_use_key(
            world,
            queue.attributes.get("KmsMasterKeyId"),
            region,
            sender,
        )
    {
        return Err(Undelivered::NoPermission);
    }
    let queue = world
        .sqs
        .queues
        .get_mut(queue_arn)
        .ok_or(Undelivered::NoQueue)?;
    if body.len() > queue.attributes.maximum_message_size() {
        return Err(Undelivered::TooLong);
    }
    let delay = queue.attributes.delay();
    let message = Message::new(
        &mut world.ids,
        now,
        body,
        message_attributes,
        sender.principal,
        delay,
    );
    queue.messages.push_back(message);
    Ok(())
}

impl State {
    /// The text of a queue's policy; `None` when it has none or there is no queue.
    pub(crate) fn policy(&self, queue_arn: &str) -> Option<&str> {
        self.queues.get(queue_arn)?.attributes.get("Policy")
    }

    /// Tagged resources, for the tagging API.
    pub(crate) fn tagged(&self) -> Vec<(&str, &Tags)> {
        self.queues
            .values()
            .map(|queue| (queue.arn.as_str(), &queue.tags))
            .collect()
    }

    fn queue(&self, call: &Call<'_>) -> Result<&Queue, ApiError> {
        self.queues.get(&arn_of_url(call)?).ok_or_else(no_queue)
    }

    fn queue_mut(&mut self, call: &Call<'_>) -> Result<&mut Queue, ApiError> {
        self.queues.get_mut(&arn_of_url(call)?).ok_or_else(no_queue)
    }
}

/// Creating a queue again with the same attributes answers the queue there is.
fn create(state: &mut State, call: &Call<'_>) -> Answer {
    let name = call.required("QueueName")?;
    let legal = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    if is_fifo(name) {
        return Err(invalid("the lab serves no FIFO queues"));
    }
    if name.is_empty() || name.len() > 80 || !name.chars().all(legal) {
        return Err(invalid(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ));
    }
    let given = call.object("Attributes");
    let attributes = Attributes::parse(given)?;
    let tags = call
        .object("tags")
        .map(Tags::from_map)
        .transpose()
        .map_err(invalid)?
        .unwrap_or_default();
    let arn = call.arn(name);
    let url = format!(
        "https://sqs.{}.amazonaws.com/{}/{name}",
        call.region, call.account
    );
    if let Some(known) = state.queues.get(&arn) {
        if attributes.differ_from(&known.attributes) {
            return Err(ApiError::new(
                "QueueNameExists",
                "A queue already exists with the same name and a different value for attribute",
            ));
        }
        return Ok(json!({"QueueUrl": known.url}));
    }
    let queue = Queue {
        name: name.to_owned(),
        arn: arn.clone(),
        url: url.clone(),
        attributes,
        tags,
        created: call.now,
        modified: call.now,
        messages: VecDeque::new(),
    };
    state.queues.insert(arn, queue);
    Ok(json!({"QueueUrl": url}))
}

fn delete(state: &mut State, call: &Call<'_>) -> Answer {
    match state.queues.remove(&arn_of_url(call)?) {
        Some(_) => Ok(json!({})),
        None => Err(no_queue()),
    }
}

fn get_url(state: &State, call: &Call<'_>) -> Answer {
    let owner = call.text("QueueOwnerAWSAccountId").unwrap_or(call.account);
    let arn = format!(
        "arn:aws:sqs:{}:{owner}:{}",
        call.region,
        call.required("QueueName")?
    );
    let queue = state.queues.get(&arn).ok_or_else(no_queue)?;
    Ok(json!({"QueueUrl": queue.url}))
}

fn set_attributes(state: &mut State, call: &Call<'_>) -> Answer {
    let changes = Attributes::parse(call.object("Attributes"))?;
    let queue = state.queue_mut(call)?;
    queue.attributes.merge(changes);
    queue.modified = call.now;
    Ok(json!({}))
}

fn list(state: &State, call: &Call<'_>) -> Answer {
    let prefix = call.text("QueueNamePrefix").unwrap_or_default();
    let here = format!("arn:aws:sqs:{}:", call.region);
    let urls = state
        .queues
        .values()
        .filter(|queue| queue.arn.starts_with(&here) && queue.name.starts_with(prefix))
        .map(|queue| Value::from(queue.url.as_str()))
        .collect();
    let size = call
        .number("MaxResults")
        .and_then(|size| usize::try_from(size).ok());
    let (urls, next) = page(urls, call.text("NextToken"), size.unwrap_or(1000))
        .map_err(|_| invalid("Invalid or expired next token."))?;
    let mut answer = json!({"QueueUrls": urls});
    if let (Some(members), Some(next), Some(_)) = (answer.as_object_mut(), next, size) {
        members.insert("NextToken".to_owned(), next.into());
    }
    Ok(answer)
}

fn tag(state: &mut State, call: &Call<'_>) -> Answer {
    let more = call
        .object("Tags")
        .map(Tags::from_map)
        .transpose()
        .map_err(invalid)?
        .unwrap_or_default();
    let queue = state.queue_mut(call)?;
    let mut merged = queue.tags.clone();
    merged.merge(more);
    if merged.entries().len() > Tags::LIMIT {
        return Err(invalid("Too many tags added for queue."));
    }
    queue.tags = merged;
    Ok(json!({}))
}

/// A queue's URL ends with account and name, whatever the host that the client uses.
fn arn_of_url(call: &Call<'_>) -> Result<String, ApiError> {
    let url = call.required("QueueUrl")?;
    let path = url.split_once("://").map_or(url, |(_, rest)| rest);
    let mut parts = path.rsplit('/');
    match (parts.next(), parts.next()) {
        (Some(name), Some(account)) if !name.is_empty() && account.len() == 12 => {
            Ok(format!("arn:aws:sqs:{}:{account}:{name}", call.region))
        }
        _ => Err(ApiError::new(
            "InvalidAddress",
            format!("The address {url} is not valid for this endpoint."),
        )
        .with_status(404)),
    }
}

/// A name says what kind of queue it is: lower-case `.fifo` ends those that keep their order.
pub(crate) fn is_fifo(name: &str) -> bool {
    name.strip_suffix(".fifo").is_some()
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterValue", message)
}

fn no_queue() -> ApiError {
    ApiError::new("QueueDoesNotExist", "The specified queue does not exist.")
}
