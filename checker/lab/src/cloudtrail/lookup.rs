//! `LookupEvents`: the event history of the last 90 days, newest first.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{KEPT_DAYS, Record, State};
use crate::service::{Answer, ApiError, Call, page, timestamp};

pub(super) fn events(state: &State, call: &Call<'_>) -> Answer {
    if call.text("EventCategory").is_some() {
        return Err(ApiError::new(
            "InvalidEventCategoryException",
            "the lab keeps no Insights events",
        ));
    }
    let attributes = call.list("LookupAttributes");
    if attributes.len() > 1 {
        return Err(ApiError::new(
            "InvalidLookupAttributesException",
            "You can only use one lookup attribute.",
        ));
    }
    let time = |member: &str| {
        call.input
            .get(member)
            .and_then(Value::as_f64)
            .and_then(moment)
    };
    let (from, to) = (time("StartTime"), time("EndTime"));
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(ApiError::new(
            "InvalidTimeRangeException",
            "StartTime must not be after EndTime.",
        ));
    }
    let oldest = call.now - TimeDelta::days(KEPT_DAYS);
    let found: Vec<&Record> = state
        .records
        .iter()
        .rev()
        .filter(|record| record.region == call.region && record.time >= oldest)
        .filter(|record| {
            from.is_none_or(|from| record.time >= from) && to.is_none_or(|to| record.time <= to)
        })
        .filter(|record| attributes.iter().all(|attribute| record.has(attribute)))
        .collect();
    let size = call
        .number("MaxResults")
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(50);
    // Records are long: only those of the page are written out.
    let (found, next) = page(found, call.text("NextToken"), size)
        .map_err(|_| ApiError::new("InvalidNextTokenException", "The token is not valid."))?;
    let rows: Vec<Value> = found.into_iter().map(Record::row).collect();
    let mut answer = json!({"Events": rows});
    if let (Some(members), Some(next)) = (answer.as_object_mut(), next) {
        members.insert("NextToken".to_owned(), next.into());
    }
    Ok(answer)
}

impl Record {
    fn has(&self, attribute: &Value) -> bool {
        let wanted = attribute
            .get("AttributeValue")
            .and_then(Value::as_str)
            .unwrap_or_default();
        match attribute
            .get("AttributeKey")
            .and_then(Value::as_str)
            .unwrap_or_default()
        {
            "EventId" => self.id == wanted,
            "EventName" => self.name == wanted,
            "EventSource" => self.source == wanted,
            "ReadOnly" => self.read_only.to_string() == wanted,
            "Username" => self.user.as_deref() == Some(wanted),
            "AccessKeyId" => self.access_key.as_deref() == Some(wanted),
            "ResourceType" => self.resources.iter().any(|(kind, _)| kind == wanted),
            "ResourceName" => self.resources.iter().any(|(_, name)| name == wanted),
            _ => false,
        }
    }

    fn row(&self) -> Value {
        let resources: Vec<Value> = self
            .resources
            .iter()
            .map(|(kind, name)| json!({"ResourceType": kind, "ResourceName": name}))
            .collect();
        let mut row = json!({
            "EventId": self.id,
            "EventName": self.name,
            "ReadOnly": self.read_only.to_string(),
            "EventTime": timestamp(self.time),
            "EventSource": self.source,
            "Resources": resources,
            "CloudTrailEvent": *self.event,
        });
        if let Some(members) = row.as_object_mut() {
            let optional = [("Username", &self.user), ("AccessKeyId", &self.access_key)];
            for (member, text) in optional
                .into_iter()
                .filter_map(|(member, text)| Some((member, text.as_ref()?)))
            {
                members.insert(member.to_owned(), text.as_str().into());
            }
        }
        row
    }
}

fn moment(seconds: f64) -> Option<DateTime<Utc>> {
    let since = std::time::Duration::try_from_secs_f64(seconds).ok()?;
    DateTime::from_timestamp(i64::try_from(since.as_secs()).ok()?, since.subsec_nanos())
}
