//! `CloudTrail`: what was called, and trails that carry it to `EventBridge`.
//!
//! Every management call becomes a record ([`record`]) in the shape of genuine ones, without any secret value, and is
//! found by `LookupEvents` for 90 days, trail or no trail. When a trail of the account is logging and captures it, it
//! also reaches the default bus of its region, where the state of rules decides whether read-only calls are seen.
//! Data events (messages, log events, invocations) are not recorded. Trails deliver no files, digests or Insights.

mod identity;
mod lookup;
mod parameters;
mod selectors;
mod trails;

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::events::Origin;
use crate::service::{Answer, Call};
use crate::world::World;
use trails::Trail;

/// How long records are found.
const KEPT_DAYS: i64 = 90;
/// The most records that are kept; older ones go first. AWS has no such limit.
const KEPT_RECORDS: usize = 100_000;

/// What the service keeps.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// By region and name.
    trails: BTreeMap<(String, String), Trail>,
    /// Oldest first.
    records: VecDeque<Record>,
}

/// One record, with what a lookup asks for.
#[derive(Debug)]
struct Record {
    /// As text: there may be very many, and only lookups ask for it.
    event: Box<str>,
    id: String,
    name: String,
    source: String,
    region: String,
    time: DateTime<Utc>,
    read_only: bool,
    user: Option<String>,
    access_key: Option<String>,
    /// Type and name.
    resources: Vec<(String, String)>,
}

/// Where a call comes from, as its record shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client<'a> {
    /// `sourceIPAddress`.
    pub(crate) address: &'a str,
    /// `userAgent`.
    pub(crate) user_agent: &'a str,
}

/// Something that a service does by itself and leaves a record of, such as a rotation's end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServiceEvent<'a> {
    /// `secretsmanager.amazonaws.com`.
    pub(crate) service: &'a str,
    /// `RotationSucceeded`.
    pub(crate) name: &'a str,
    /// The region that it happens in.
    pub(crate) region: &'a str,
    /// `requestID`, which of service events is no UUID: `Rotation-arn:...`.
    pub(crate) request_id: &'a str,
    /// `additionalEventData`.
    pub(crate) data: &'a Value,
    /// `errorMessage`, of failures; service events have no `errorCode`.
    pub(crate) error: Option<&'a str>,
}

pub(crate) fn handle(world: &mut World, call: &Call<'_>) -> Answer {
    match call.operation {
        "CreateTrail" => trails::create(&mut world.cloudtrail, call),
        "DescribeTrails" => Ok(trails::describe(&world.cloudtrail, call)),
        "GetTrail" => trails::get(&world.cloudtrail, call),
        "GetTrailStatus" => trails::status(&world.cloudtrail, call),
        "StartLogging" => trails::log(&mut world.cloudtrail, call, true),
        "StopLogging" => trails::log(&mut world.cloudtrail, call, false),
        "PutEventSelectors" => selectors::put(&mut world.cloudtrail, call),
        "GetEventSelectors" => selectors::get(&world.cloudtrail, call),
        "AddTags" => trails::add_tags(&mut world.cloudtrail, call),
        "ListTags" => trails::list_tags(&world.cloudtrail, call),
        "LookupEvents" => lookup::events(&world.cloudtrail, call),
        _ => Err(call.unserved()),
    }
}

impl State {
    /// Tagged resources, for the tagging API.
    pub(crate) fn tagged(&self) -> Vec<(&str, &crate::tagging::Tags)> {
        self.trails
            .values()
            .map(|trail| (trail.arn.as_str(), &trail.tags))
            .collect()
    }

    fn keep(&mut self, record: Record) {
        let oldest = record.time - TimeDelta::days(KEPT_DAYS);
        while self
            .records
            .front()
            .is_some_and(|known| known.time < oldest)
            || self.records.len() >= KEPT_RECORDS
        {
            self.records.pop_front();
        }
        self.records.push_back(record);
    }

    /// Whether some trail that is logging captures a management event.
    fn captures(&self, region: &str, source: &str, read_only: bool) -> bool {
        self.trails.values().any(|trail| {
            trail.is_logging()
                && (trail.region == region || trail.multi_region)
                && trail.selectors.capture(source, read_only)
        })
    }
}

/// Records a call and its end, of a client that nothing is known about.
pub(crate) fn record(world: &mut World, call: &Call<'_>, answer: &Answer) {
    record_from(
        world,
        call,
        answer,
        Client {
            address: "127.0.0.1",
            user_agent: "unknown",
        },
    );
}

/// Records a call and its end. Call it after the handler, whether the call was allowed, refused or failed.
pub(crate) fn record_from(world: &mut World, call: &Call<'_>, answer: &Answer, client: Client<'_>) {
    if parameters::is_data_event(call.service, call.operation) {
        return;
    }
    let read_only = parameters::is_read_only(call.service, call.operation);
    let id = world.ids.uuid();
    let source = parameters::source_of(call.service);
    // IAM is global: its records are those of one region.
    let region = if call.service == "iam" {
        "us-east-1"
    } else {
        call.region
    };
    let denied = answer.as_ref().is_err_and(|error| {
        error.code.starts_with("AccessDenied") || error.code == "AuthorizationError"
    });
    let request = if denied {
        Value::Null
    } else {
        parameters::request(call)
    };
    let response = match answer {
        Ok(answer) if !read_only => parameters::response(call, answer),
        Ok(_) | Err(_) => Value::Null,
    };
    let resources = parameters::resources(call.service, &request, &response);
    let mut event = json!({
        "eventVersion": "1.11",
        "userIdentity": identity::of(call),
        "eventTime": call.now.to_rfc3339_opts(SecondsFormat::Secs, true),
        "eventSource": source,
        "eventName": parameters::event_name(call.service, call.operation),
        "awsRegion": region,
        "sourceIPAddress": client.address,
        "userAgent": client.user_agent,
        "requestParameters": request,
        "responseElements": response,
        "requestID": call.request_id,
        "eventID": id,
        "readOnly": read_only,
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": call.account,
        "eventCategory": "Management",
    });
    if let (Some(members), Err(error)) = (event.as_object_mut(), answer) {
        let code = if denied {
            "AccessDenied"
        } else {
            error.code.as_str()
        };
        members.insert("errorCode".to_owned(), code.into());
        members.insert("errorMessage".to_owned(), error.message.as_str().into());
    }
    let record = Record {
        id,
        name: text(&event, "eventName"),
        source: source.clone(),
        region: region.to_owned(),
        time: call.now,
        read_only,
        user: Some(identity::user_name(call.caller)),
        access_key: Some(identity::access_key(call.caller).to_owned()),
        resources,
        event: event.to_string().into(),
    };
    let origin = if read_only {
        Origin::ReadOnlyManagement
    } else {
        Origin::Other
    };
    finish(
        world,
        call.now,
        record,
        event,
        "AWS API Call via CloudTrail",
        origin,
    );
}

/// Records what a service did by itself.
pub(crate) fn record_service_event(world: &mut World, now: DateTime<Utc>, what: ServiceEvent<'_>) {
    let id = world.ids.uuid();
    let account = world.account.clone();
    let mut event = json!({
        "eventVersion": "1.11",
        "userIdentity": {"accountId": account, "invokedBy": what.service},
        "eventTime": now.to_rfc3339_opts(SecondsFormat::Secs, true),
        "eventSource": what.service,
        "eventName": what.name,
        "awsRegion": what.region,
        "sourceIPAddress": what.service,
        "userAgent": what.service,
        "requestParameters": null,
        "responseElements": null,
        "additionalEventData": what.data,
        "requestID": what.request_id,
        "eventID": id,
        "readOnly": false,
        "eventType": "AwsServiceEvent",
        "managementEvent": true,
        "recipientAccountId": account,
        "eventCategory": "Management",
    });
    if let (Some(members), Some(error)) = (event.as_object_mut(), what.error) {
        members.insert("errorMessage".to_owned(), error.into());
    }
    let record = Record {
        id,
        name: what.name.to_owned(),
        source: what.service.to_owned(),
        region: what.region.to_owned(),
        time: now,
        read_only: false,
        user: None,
        access_key: None,
        resources: Vec::new(),
        event: event.to_string().into(),
    };
    finish(
        world,
        now,
        record,
        event,
        "AWS Service Event via CloudTrail",
        Origin::Other,
    );
}

/// Keeps a record and, when a trail captures it, puts it on the bus.
fn finish(
    world: &mut World,
    now: DateTime<Utc>,
    record: Record,
    event: Value,
    detail_type: &str,
    origin: Origin,
) {
    let captured = world
        .cloudtrail
        .captures(&record.region, &record.source, record.read_only);
    let envelope = captured.then(|| {
        let id = world.ids.uuid();
        let source = format!("aws.{}", record.source.trim_end_matches(".amazonaws.com"));
        let place = (record.region.as_str(), world.account.as_str());
        crate::events::envelope(&id, record.time, place, &source, detail_type, &[], event)
    });
    world.cloudtrail.keep(record);
    if let Some(envelope) = envelope {
        crate::events::publish(world, now, &envelope, origin);
    }
}

fn text(value: &Value, member: &str) -> String {
    value
        .get(member)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}
