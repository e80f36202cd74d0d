//! `EventBridge`: rules on the default bus, their targets, events and their delivery.
//!
//! Strict where AWS is: patterns are validated when they are put, `PutRule` without a state resets it to `ENABLED`,
//! `aws.*` sources and malformed details are refused per entry, a rule with targets can't be deleted. A rule in plain
//! `ENABLED` does not see read-only management events that come through `CloudTrail`. Schedules are stored and never
//! fire; custom buses, archives, pipes and targets other than functions, queues, topics and log groups are not served
//! (such targets are stored, and every delivery to them fails).

mod delivery;
pub(crate) mod pattern;
mod rules;
mod targets;
mod template;

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::service::{Answer, ApiError, Call, page};
use crate::tagging::Tags;
use crate::world::World;
use pattern::Pattern;
use targets::Target;

/// The largest request of events, in bytes.
const LARGEST: usize = 262_144;

/// What the service keeps: rules by region and name.
#[derive(Debug, Default)]
pub(crate) struct State {
    rules: BTreeMap<(String, String), Rule>,
}

#[derive(Debug)]
struct Rule {
    name: String,
    arn: String,
    pattern: Option<(String, Pattern)>,
    schedule: Option<String>,
    state: RuleState,
    description: Option<String>,
    role: Option<String>,
    created_by: String,
    tags: Tags,
    targets: Vec<Target>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RuleState {
    Enabled,
    Disabled,
    EnabledWithAllManagementEvents,
}

/// Where an event comes from, which decides the rules that see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A management event that only reads, delivered through `CloudTrail`.
    ReadOnlyManagement,
    /// Everything else.
    Other,
}

pub(crate) fn handle(world: &mut World, call: &Call<'_>) -> Answer {
    match call.operation {
        "PutRule" => rules::put(&mut world.events, call),
        "DescribeRule" => rules::describe(&world.events, call),
        "ListRules" => rules::list(&world.events, call),
        "EnableRule" => rules::set_state(&mut world.events, call, RuleState::Enabled),
        "DisableRule" => rules::set_state(&mut world.events, call, RuleState::Disabled),
        "DeleteRule" => rules::delete(&mut world.events, call),
        "TagResource" => rules::tag(&mut world.events, call),
        "ListTagsForResource" => rules::list_tags(&world.events, call),
        "PutTargets" => targets::put(&mut world.events, call),
        "RemoveTargets" => targets::remove(&mut world.events, call),
        "ListTargetsByRule" => targets::list(&world.events, call),
        "PutEvents" => put_events(world, call),
        "TestEventPattern" => test_pattern(call),
        "DescribeEventBus" => {
            check_bus(call, call.text("Name"))?;
            Ok(json!({"Name": "default", "Arn": call.arn("event-bus/default")}))
        }
        _ => Err(call.unserved()),
    }
}

impl State {
    /// Tagged resources, for the tagging API.
    pub(crate) fn tagged(&self) -> Vec<(&str, &Tags)> {
        self.rules
            .values()
            .map(|rule| (rule.arn.as_str(), &rule.tags))
            .collect()
    }

    fn rule(&self, call: &Call<'_>, member: &str) -> Result<&Rule, ApiError> {
        let name = call.required(member)?;
        check_bus(call, call.text("EventBusName"))?;
        self.rules
            .get(&(call.region.to_owned(), name.to_owned()))
            .ok_or_else(|| no_rule(name))
    }

    fn rule_mut(&mut self, call: &Call<'_>, member: &str) -> Result<&mut Rule, ApiError> {
        let name = call.required(member)?;
        check_bus(call, call.text("EventBusName"))?;
        self.rules
            .get_mut(&(call.region.to_owned(), name.to_owned()))
            .ok_or_else(|| no_rule(name))
    }
}

impl RuleState {
    fn sees(self, origin: Origin) -> bool {
        match self {
            Self::Disabled => false,
            Self::Enabled => origin == Origin::Other,
            Self::EnabledWithAllManagementEvents => true,
        }
    }
}

/// Puts an event on the default bus of its region: whatever rule matches, its targets get it.
///
/// `event` is the whole envelope (see [`envelope`]). Queues, topics and log groups are reached at once, functions
/// through [`World::later`].
pub(crate) fn publish(world: &mut World, now: DateTime<Utc>, event: &Value, origin: Origin) {
    let region = event
        .get("region")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let matched: Vec<delivery::Order> = world
        .events
        .rules
        .iter()
        .filter(|((place, _), rule)| place == region && rule.state.sees(origin))
        .filter(|(_, rule)| {
            rule.pattern
                .as_ref()
                .is_some_and(|(_, pattern)| pattern.matches(event))
        })
        .flat_map(|(_, rule)| {
            rule.targets
                .iter()
                .map(|target| delivery::Order::new(rule, target))
        })
        .collect();
    for order in matched {
        delivery::deliver(world, now, event, &order);
    }
}

/// The envelope of an event, as rules and targets see it.
pub(crate) fn envelope(
    id: &str,
    now: DateTime<Utc>,
    place: (&str, &str),
    source: &str,
    detail_type: &str,
    resources: &[Value],
    detail: Value,
) -> Value {
    let (region, account) = place;
    let members: [(&str, Value); 9] = [
        ("version", "0".into()),
        ("id", id.into()),
        ("detail-type", detail_type.into()),
        ("source", source.into()),
        ("account", account.into()),
        (
            "time",
            now.to_rfc3339_opts(SecondsFormat::Secs, true).into(),
        ),
        ("region", region.into()),
        ("resources", resources.to_vec().into()),
        ("detail", detail),
    ];
    let members = members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    members.collect::<Map<_, _>>().into()
}

fn put_events(world: &mut World, call: &Call<'_>) -> Answer {
    if call.text("EndpointId").is_some() {
        return Err(invalid("the lab serves no global endpoints"));
    }
    let size: usize = call.list("Entries").iter().map(entry_size).sum();
    if size > LARGEST {
        return Err(invalid(
            "Total size of the entries in the request is over the limit.",
        ));
    }
    let mut answers = Vec::new();
    let mut failed = 0_u32;
    for entry in call.list("Entries") {
        match put_entry(world, call, entry) {
            Ok(id) => answers.push(json!({"EventId": id})),
            Err((code, message)) => {
                failed = failed.saturating_add(1);
                answers.push(json!({"ErrorCode": code, "ErrorMessage": message}));
            }
        }
    }
    Ok(json!({"FailedEntryCount": failed, "Entries": answers}))
}

/// The event's id, or the code and message of the entry's own failure.
fn put_entry(
    world: &mut World,
    call: &Call<'_>,
    entry: &Value,
) -> Result<String, (&'static str, String)> {
    let text = |member: &str| {
        entry
            .get(member)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let needed = |member: &'static str| {
        let reason =
            || format!("Parameter {member} is not valid. Reason: {member} is a required argument.");
        text(member).ok_or_else(|| ("InvalidArgument", reason()))
    };
    let source = needed("Source")?;
    let detail_type = needed("DetailType")?;
    let detail = needed("Detail")?;
    if source.starts_with("aws.") {
        return Err((
            "NotAuthorizedForSourceException",
            "Not authorized for the source.".to_owned(),
        ));
    }
    let detail: Map<String, Value> = serde_json::from_str(detail)
        .map_err(|_| ("MalformedDetail", "Detail is malformed.".to_owned()))?;
    if check_bus(call, text("EventBusName")).is_err() {
        return Err((
            "ResourceNotFoundException",
            "Event bus does not exist.".to_owned(),
        ));
    }
    let time = entry
        .get("Time")
        .and_then(Value::as_f64)
        .and_then(epoch)
        .unwrap_or(call.now);
    let resources = entry
        .get("Resources")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let id = world.ids.uuid();
    let event = envelope(
        &id,
        time,
        (call.region, call.account),
        source,
        detail_type,
        &resources,
        detail.into(),
    );
    publish(world, call.now, &event, Origin::Other);
    Ok(id)
}

/// Says whether a pattern matches, whatever a rule's state would be.
fn test_pattern(call: &Call<'_>) -> Answer {
    let pattern = Pattern::parse(call.required("EventPattern")?)
        .map_err(|reason| invalid_pattern(&reason))?;
    let event: Map<String, Value> =
        serde_json::from_str(call.required("Event")?).map_err(|_| {
            invalid("Parameter Event is not valid. Reason: the event is no JSON object.")
        })?;
    let needed = [
        "id",
        "account",
        "source",
        "time",
        "region",
        "resources",
        "detail-type",
    ];
    if let Some(missing) = needed.into_iter().find(|name| !event.contains_key(*name)) {
        return Err(invalid(format!(
            "Parameter Event is not valid. Reason: the field `{missing}` is missing."
        )));
    }
    Ok(json!({"Result": pattern.matches(&event.into())}))
}

/// Refuses every bus but the default one, by name or ARN.
fn check_bus(call: &Call<'_>, name: Option<&str>) -> Result<(), ApiError> {
    match name {
        None | Some("default") => Ok(()),
        Some(arn)
            if arn
                == format!(
                    "arn:aws:events:{}:{}:event-bus/default",
                    call.region, call.account
                ) =>
        {
            Ok(())
        }
        Some(other) => Err(not_found(format!("Event bus {other} does not exist."))),
    }
}

fn listing(call: &Call<'_>, member: &str, rows: Vec<Value>) -> Answer {
    let size = call
        .number("Limit")
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(100);
    let (rows, next) =
        page(rows, call.text("NextToken"), size).map_err(|_| invalid("Invalid NextToken."))?;
    let mut answer = Map::new();
    answer.insert(member.to_owned(), rows.into());
    if let Some(next) = next {
        answer.insert("NextToken".to_owned(), next.into());
    }
    Ok(answer.into())
}

/// What AWS counts of an entry: its texts, and 14 bytes for a time.
fn entry_size(entry: &Value) -> usize {
    let text = |member: &str| {
        entry
            .get(member)
            .and_then(Value::as_str)
            .map_or(0, str::len)
    };
    let resources = entry
        .get("Resources")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let resources: usize = resources.filter_map(Value::as_str).map(str::len).sum();
    let time = if entry.get("Time").is_some() { 14 } else { 0 };
    text("Source") + text("DetailType") + text("Detail") + resources + time
}

fn epoch(seconds: f64) -> Option<DateTime<Utc>> {
    let since = std::time::Duration::try_from_secs_f64(seconds).ok()?;
    DateTime::from_timestamp(i64::try_from(since.as_secs()).ok()?, since.subsec_nanos())
}

fn invalid_pattern(reason: &pattern::PatternError) -> ApiError {
    ApiError::new("InvalidEventPatternException", reason.to_string())
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationException", message)
}

fn not_found(message: impl Into<String>) -> ApiError {
    ApiError::new("ResourceNotFoundException", message)
}

fn no_rule(name: &str) -> ApiError {
    not_found(format!("Rule {name} does not exist on EventBus default."))
}
