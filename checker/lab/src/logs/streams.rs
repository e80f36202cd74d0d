//! Streams and their events: written, read back, filtered.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::groups::refuse_if_protected;
use super::pattern::FilterPattern;
use super::{
    Group, State, group_by_name, group_by_name_mut, invalid, listing, millis, named_group,
    resource_policies,
};
use crate::iam::resource_access::ActingService;
use crate::service::{Answer, ApiError, Call};
use crate::world::World;

/// A batch's limits: bytes with 26 for each event, events, bytes of one event.
const BATCH_BYTES: usize = 1_048_576;
const BATCH_EVENTS: usize = 10_000;
const EVENT_OVERHEAD: usize = 26;

pub(super) struct Stream {
    created: DateTime<Utc>,
    /// In order of time.
    events: Vec<Event>,
}

/// One log event. No `Debug`: a message may hold anything.
#[derive(Clone)]
struct Event {
    /// In milliseconds since the epoch.
    timestamp: i64,
    ingested: DateTime<Utc>,
    message: String,
    id: String,
}

/// Why a service's event is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unwritten {
    /// There is no such group.
    NoGroup,
    /// No resource policy lets the service write.
    NoPermission,
}

impl Stream {
    pub(super) fn stored_bytes(&self) -> usize {
        self.events
            .iter()
            .map(|event| event.message.len().saturating_add(EVENT_OVERHEAD))
            .sum()
    }
}

/// Writes an event for a service, into a stream that is made when it is missing.
pub(crate) fn append_as_service(
    state: &mut State,
    now: DateTime<Utc>,
    group_arn: &str,
    stream: &str,
    message: String,
    service: ActingService<'_>,
) -> Result<(), Unwritten> {
    let arn = group_arn.trim_end_matches(":*");
    let region = arn.split(':').nth(3).unwrap_or_default().to_owned();
    let name = arn
        .split_once(":log-group:")
        .map_or("", |(_, name)| name)
        .to_owned();
    let key = (region, name);
    if !state.groups.contains_key(&key) {
        return Err(Unwritten::NoGroup);
    }
    if !resource_policies::allow(state, service, &key.0, arn) {
        return Err(Unwritten::NoPermission);
    }
    state.append(&key, stream, now, now.timestamp_millis(), message);
    Ok(())
}

/// Writes lines of a function's output, into a group and stream that are made when they are missing.
pub(crate) fn write(
    world: &mut World,
    region: &str,
    group: &str,
    stream: &str,
    lines: &[String],
    now: DateTime<Utc>,
) {
    let key = (region.to_owned(), group.to_owned());
    let arn = format!("arn:aws:logs:{region}:{}:log-group:{group}", world.account);
    world
        .logs
        .groups
        .entry(key.clone())
        .or_insert_with(|| Group::new(group, arn, now));
    for line in lines.iter().filter(|line| !line.is_empty()) {
        world
            .logs
            .append(&key, stream, now, now.timestamp_millis(), line.clone());
    }
}

impl State {
    /// Adds an event to a stream, which is made when it is missing; nothing happens when there is no such group.
    pub(crate) fn append(
        &mut self,
        key: &(String, String),
        stream: &str,
        now: DateTime<Utc>,
        timestamp: i64,
        message: String,
    ) {
        let id = format!("{:056}", self.next_event);
        self.next_event = self.next_event.saturating_add(1);
        let Some(group) = self.groups.get_mut(key) else {
            return;
        };
        let stream = group
            .streams
            .entry(stream.to_owned())
            .or_insert_with(|| Stream {
                created: now,
                events: Vec::new(),
            });
        let at = stream
            .events
            .partition_point(|event| event.timestamp <= timestamp);
        stream.events.insert(
            at,
            Event {
                timestamp,
                ingested: now,
                message,
                id,
            },
        );
    }
}

pub(super) fn create(state: &mut State, call: &Call<'_>) -> Answer {
    let name = call.required("logStreamName")?;
    let group = group_by_name_mut(state, call)?;
    if group.streams.contains_key(name) {
        return Err(ApiError::new(
            "ResourceAlreadyExistsException",
            "The specified log stream already exists",
        ));
    }
    group.streams.insert(
        name.to_owned(),
        Stream {
            created: call.now,
            events: Vec::new(),
        },
    );
    Ok(json!({}))
}

pub(super) fn delete(state: &mut State, call: &Call<'_>) -> Answer {
    let name = call.required("logStreamName")?;
    let group = group_by_name_mut(state, call)?;
    if !group.streams.contains_key(name) {
        return Err(no_stream());
    }
    refuse_if_protected(group)?;
    group.streams.remove(name);
    Ok(json!({}))
}

pub(super) fn describe(state: &State, call: &Call<'_>) -> Answer {
    let group = named_group(state, call)?;
    let prefix = call.text("logStreamNamePrefix");
    let by_time = call.text("orderBy") == Some("LastEventTime");
    if by_time && prefix.is_some() {
        return Err(invalid(
            "Cannot order by LastEventTime with a logStreamNamePrefix.",
        ));
    }
    let mut streams: Vec<_> = group
        .streams
        .iter()
        .filter(|(name, _)| prefix.is_none_or(|prefix| name.starts_with(prefix)))
        .collect();
    if by_time {
        streams.sort_by_key(|(name, stream)| {
            (
                stream.events.last().map(|event| event.timestamp),
                name.as_str(),
            )
        });
    }
    if call.flag("descending").unwrap_or(false) {
        streams.reverse();
    }
    let rows = streams
        .into_iter()
        .map(|(name, stream)| row(group, name, stream))
        .collect();
    listing(call, "logStreams", rows, 50)
}

pub(super) fn put_events(state: &mut State, call: &Call<'_>) -> Answer {
    let name = call.required("logStreamName")?.to_owned();
    let group = group_by_name(state, call)?;
    if !group.streams.contains_key(&name) {
        return Err(no_stream());
    }
    let key = (call.region.to_owned(), group.name.clone());
    let (retention, _) = state.retention(group, call.now);
    let batch: Vec<(i64, &str)> = call
        .list("logEvents")
        .iter()
        .map(|event| {
            let timestamp = event
                .get("timestamp")
                .and_then(Value::as_i64)
                .unwrap_or_default();
            (
                timestamp,
                event
                    .get("message")
                    .and_then(Value::as_str)
                    .unwrap_or_default(),
            )
        })
        .collect();
    check_batch(&batch)?;
    let window = Window::of(call.now, retention);
    let valid = |(timestamp, _): &&(i64, &str)| window.judge(*timestamp) == Judgement::Valid;
    let mut times = batch.iter().filter(valid).map(|(timestamp, _)| *timestamp);
    if let (Some(first), last) = (times.next(), times.next_back())
        && last.is_some_and(|last| last - first > TimeDelta::hours(24).num_milliseconds())
    {
        return Err(invalid(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
        ));
    }
    for (timestamp, message) in batch.iter().filter(valid) {
        state.append(&key, &name, call.now, *timestamp, (*message).to_owned());
    }
    let mut answer = json!({"nextSequenceToken": format!("{:056}", state.next_event)});
    if let (Some(members), Some(rejected)) = (answer.as_object_mut(), rejected(&batch, &window)) {
        members.insert("rejectedLogEventsInfo".to_owned(), rejected);
    }
    Ok(answer)
}

pub(super) fn get_events(state: &State, call: &Call<'_>) -> Answer {
    let group = named_group(state, call)?;
    let stream = group
        .streams
        .get(call.required("logStreamName")?)
        .ok_or_else(no_stream)?;
    let range = Range::of(state, group, call);
    let events: Vec<&Event> = stream
        .events
        .iter()
        .filter(|event| range.holds(event))
        .collect();
    let limit = call
        .number("limit")
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(10_000);
    let place = |text: &str| text.parse::<usize>().ok().filter(|at| *at <= events.len());
    let bad_token = || invalid("The specified nextToken is invalid.");
    let (start, end) = match call.text("nextToken") {
        None if call.flag("startFromHead").unwrap_or(false) => (0, limit.min(events.len())),
        None => (events.len().saturating_sub(limit), events.len()),
        Some(token) => match token.split_once('/') {
            Some(("f", at)) => {
                let at = place(at).ok_or_else(bad_token)?;
                (at, at.saturating_add(limit).min(events.len()))
            }
            Some(("b", at)) => {
                let at = place(at).ok_or_else(bad_token)?;
                (at.saturating_sub(limit), at)
            }
            Some(_) | None => return Err(bad_token()),
        },
    };
    let rows: Vec<Value> = events
        .iter()
        .take(end)
        .skip(start)
        .map(|event| json!({"timestamp": event.timestamp, "message": event.message, "ingestionTime": millis(event.ingested)}))
        .collect();
    Ok(json!({
        "events": rows,
        "nextForwardToken": format!("f/{end}"),
        "nextBackwardToken": format!("b/{start}"),
    }))
}

pub(super) fn filter_events(state: &State, call: &Call<'_>) -> Answer {
    let group = named_group(state, call)?;
    let names: Vec<&str> = call
        .list("logStreamNames")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let prefix = call.text("logStreamNamePrefix");
    if !names.is_empty() && prefix.is_some() {
        return Err(invalid(
            "logStreamNames and logStreamNamePrefix are mutually exclusive parameters.",
        ));
    }
    if names.iter().any(|name| !group.streams.contains_key(*name)) {
        return Err(no_stream());
    }
    let pattern = FilterPattern::parse(call.text("filterPattern").unwrap_or_default())
        .map_err(|reason| invalid(format!("Invalid filter pattern: {reason}")))?;
    let range = Range::of(state, group, call);
    let mut found: Vec<(&str, &Event)> = group
        .streams
        .iter()
        .filter(|(name, _)| names.is_empty() || names.contains(&name.as_str()))
        .filter(|(name, _)| prefix.is_none_or(|prefix| name.starts_with(prefix)))
        .flat_map(|(name, stream)| {
            stream
                .events
                .iter()
                .map(move |event| (name.as_str(), event))
        })
        .filter(|(_, event)| range.holds(event) && pattern.matches(&event.message))
        .collect();
    found.sort_by_key(|(name, event)| (event.timestamp, *name, event.id.as_str()));
    let rows = found
        .into_iter()
        .map(|(name, event)| {
            json!({
                "logStreamName": name,
                "timestamp": event.timestamp,
                "message": event.message,
                "ingestionTime": millis(event.ingested),
                "eventId": event.id,
            })
        })
        .collect();
    let mut answer = listing(call, "events", rows, 10_000)?;
    if let Some(members) = answer.as_object_mut() {
        members.insert("searchedLogStreams".to_owned(), json!([]));
    }
    Ok(answer)
}

/// The times that a reader asks for and that are not expired.
struct Range {
    from: i64,
    to: i64,
}

impl Range {
    fn of(state: &State, group: &Group, call: &Call<'_>) -> Self {
        let (retention, _) = state.retention(group, call.now);
        let expired = Window::of(call.now, retention).expires;
        Self {
            from: call.number("startTime").unwrap_or(i64::MIN).max(expired),
            to: call.number("endTime").unwrap_or(i64::MAX),
        }
    }

    /// The start belongs to the range, the end doesn't.
    fn holds(&self, event: &Event) -> bool {
        event.timestamp >= self.from && event.timestamp < self.to
    }
}

/// The times that AWS accepts events for.
struct Window {
    expires: i64,
    too_old: i64,
    too_new: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judgement {
    Valid,
    TooNew,
    TooOld,
    Expired,
}

impl Window {
    fn of(now: DateTime<Utc>, retention: Option<i64>) -> Self {
        let millis = |at: Option<DateTime<Utc>>| at.map_or(i64::MIN, |at| at.timestamp_millis());
        let expires = retention
            .and_then(TimeDelta::try_days)
            .map(|days| now.checked_sub_signed(days));
        Self {
            expires: expires.map_or(i64::MIN, millis),
            too_old: millis(now.checked_sub_signed(TimeDelta::days(14))),
            too_new: now
                .checked_add_signed(TimeDelta::hours(2))
                .map_or(i64::MAX, |at| at.timestamp_millis()),
        }
    }

    fn judge(&self, timestamp: i64) -> Judgement {
        if timestamp > self.too_new {
            Judgement::TooNew
        } else if timestamp < self.expires {
            Judgement::Expired
        } else if timestamp < self.too_old {
            Judgement::TooOld
        } else {
            Judgement::Valid
        }
    }
}

/// Which events of a batch were not taken. Ends are exclusive, starts inclusive, as AWS documents it.
fn rejected(batch: &[(i64, &str)], window: &Window) -> Option<Value> {
    let last = |wanted: Judgement| {
        batch
            .iter()
            .rposition(|(timestamp, _)| window.judge(*timestamp) == wanted)
            .map(|at| at.saturating_add(1))
    };
    let first_new = batch
        .iter()
        .position(|(timestamp, _)| window.judge(*timestamp) == Judgement::TooNew);
    let indexes = [
        ("tooNewLogEventStartIndex", first_new),
        ("tooOldLogEventEndIndex", last(Judgement::TooOld)),
        ("expiredLogEventEndIndex", last(Judgement::Expired)),
    ];
    let rejected: serde_json::Map<String, Value> = indexes
        .into_iter()
        .filter_map(|(name, index)| Some((name.to_owned(), index?.into())))
        .collect();
    (!rejected.is_empty()).then(|| rejected.into())
}

fn check_batch(batch: &[(i64, &str)]) -> Result<(), ApiError> {
    if batch.len() > BATCH_EVENTS {
        return Err(invalid(format!(
            "The batch has more than {BATCH_EVENTS} events."
        )));
    }
    let bytes: usize = batch
        .iter()
        .map(|(_, message)| message.len().saturating_add(EVENT_OVERHEAD))
        .sum();
    if bytes > BATCH_BYTES {
        return Err(invalid(format!(
            "Upload too large: {bytes} bytes exceeds limit of {BATCH_BYTES}"
        )));
    }
    if batch.iter().any(|(_, message)| message.is_empty()) {
        return Err(invalid("Log event message must not be empty."));
    }
    if !batch.is_sorted_by_key(|(timestamp, _)| *timestamp) {
        return Err(invalid(
            "Log events in a single PutLogEvents request must be in chronological order.",
        ));
    }
    Ok(())
}

fn row(group: &Group, name: &str, stream: &Stream) -> Value {
    let mut row = json!({
        "logStreamName": name,
        "creationTime": millis(stream.created),
        "arn": format!("{}:log-stream:{name}", group.arn),
        "storedBytes": 0,
        "uploadSequenceToken": format!("{:056}", stream.events.len()),
    });
    if let (Some(members), Some(first), Some(last)) = (
        row.as_object_mut(),
        stream.events.first(),
        stream.events.last(),
    ) {
        members.insert("firstEventTimestamp".to_owned(), first.timestamp.into());
        members.insert("lastEventTimestamp".to_owned(), last.timestamp.into());
        members.insert("lastIngestionTime".to_owned(), millis(last.ingested));
    }
    row
}

fn no_stream() -> ApiError {
    ApiError::new(
        "ResourceNotFoundException",
        "The specified log stream does not exist.",
    )
}
