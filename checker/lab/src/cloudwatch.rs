//! `CloudWatch`: alarms as stored configuration. They never fire, and there are no metrics.
//!
//! Alarms on one metric by its name are served, those on metric expressions and anomaly bands, and composite alarms,
//! are refused. An alarm is in `INSUFFICIENT_DATA` for ever.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::service::{Answer, ApiError, Call, page, timestamp};
use crate::tagging::Tags;
use crate::world::World;

/// What the service keeps: alarms by ARN.
#[derive(Debug, Default)]
pub(crate) struct State {
    alarms: BTreeMap<String, Alarm>,
}

#[derive(Debug)]
struct Alarm {
    name: String,
    /// As described.
    view: Map<String, Value>,
    tags: Tags,
}

pub(crate) fn handle(world: &mut World, call: &Call<'_>) -> Answer {
    match call.operation {
        "PutMetricAlarm" => put(&mut world.cloudwatch, call),
        "DescribeAlarms" => describe(&world.cloudwatch, call),
        "TagResource" => tag(&mut world.cloudwatch, call),
        "ListTagsForResource" => {
            let arn = call.required("ResourceARN")?;
            let alarm = world.cloudwatch.alarms.get(arn).ok_or_else(no_resource)?;
            Ok(json!({"Tags": alarm.tags.to_list()}))
        }
        _ => Err(call.unserved()),
    }
}

impl State {
    /// Tagged resources, for the tagging API.
    pub(crate) fn tagged(&self) -> Vec<(&str, &Tags)> {
        self.alarms
            .iter()
            .map(|(arn, alarm)| (arn.as_str(), &alarm.tags))
            .collect()
    }
}

/// Replaces an alarm; its tags stay, as on AWS.
fn put(state: &mut State, call: &Call<'_>) -> Answer {
    let name = call.required("AlarmName")?;
    let given = |member: &str| call.input.contains_key(member);
    if given("Metrics") || given("ThresholdMetricId") || given("EvaluationCriteria") {
        return Err(invalid("the lab serves only alarms on one metric"));
    }
    for member in [
        "MetricName",
        "Namespace",
        "Period",
        "Threshold",
        "EvaluationPeriods",
        "ComparisonOperator",
    ] {
        if !given(member) {
            return Err(ApiError::new(
                "MissingRequiredParameterException",
                format!("The parameter {member} is required."),
            ));
        }
    }
    if given("Statistic") == given("ExtendedStatistic") {
        return Err(invalid(
            "Exactly one of Statistic and ExtendedStatistic must be given.",
        ));
    }
    let period = call.number("Period").unwrap_or_default();
    if ![10, 20, 30].contains(&period) && (period <= 0 || period % 60 != 0) {
        return Err(invalid("Period must be 10, 20, 30 or a multiple of 60."));
    }
    let treatment = call.text("TreatMissingData").unwrap_or("missing");
    if !["breaching", "notBreaching", "ignore", "missing"].contains(&treatment) {
        return Err(invalid(format!(
            "TreatMissingData `{treatment}` is not valid."
        )));
    }
    let arn = call.arn(&format!("alarm:{name}"));
    let mut view = call.input.clone();
    view.remove("Tags");
    for (member, value) in [
        ("AlarmArn", Value::from(arn.as_str())),
        ("StateValue", "INSUFFICIENT_DATA".into()),
        ("StateReason", "Unchecked: Initial alarm creation".into()),
        ("StateUpdatedTimestamp", timestamp(call.now)),
        ("AlarmConfigurationUpdatedTimestamp", timestamp(call.now)),
    ] {
        view.insert(member.to_owned(), value);
    }
    for (member, value) in [
        ("ActionsEnabled", json!(true)),
        ("AlarmActions", json!([])),
        ("OKActions", json!([])),
        ("InsufficientDataActions", json!([])),
        ("Dimensions", json!([])),
    ] {
        view.entry(member).or_insert(value);
    }
    let tags = Tags::from_list(call.list("Tags")).map_err(invalid)?;
    let tags = state.alarms.remove(&arn).map_or(tags, |known| known.tags);
    state.alarms.insert(
        arn,
        Alarm {
            name: name.to_owned(),
            view,
            tags,
        },
    );
    Ok(json!({}))
}

fn describe(state: &State, call: &Call<'_>) -> Answer {
    let names: Vec<&str> = call
        .list("AlarmNames")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let prefix = call.text("AlarmNamePrefix").unwrap_or_default();
    if call.text("ChildrenOfAlarmName").is_some() || call.text("ParentsOfAlarmName").is_some() {
        return Err(invalid("the lab serves no composite alarms"));
    }
    if !names.is_empty() && !prefix.is_empty() {
        return Err(invalid(
            "AlarmNamePrefix can't be combined with AlarmNames.",
        ));
    }
    let kinds = call.list("AlarmTypes");
    let wanted = kinds.is_empty()
        || kinds
            .iter()
            .any(|kind| kind.as_str() == Some("MetricAlarm"));
    let here = format!("arn:aws:cloudwatch:{}:", call.region);
    let rows = state
        .alarms
        .iter()
        .filter(|(arn, alarm)| {
            wanted
                && arn.starts_with(&here)
                && alarm.name.starts_with(prefix)
                && (names.is_empty() || names.contains(&alarm.name.as_str()))
                && call
                    .text("StateValue")
                    .is_none_or(|state| state == "INSUFFICIENT_DATA")
                && call
                    .text("ActionPrefix")
                    .is_none_or(|prefix| alarm.acts_on(prefix))
        })
        .map(|(_, alarm)| Value::Object(alarm.view.clone()))
        .collect();
    let size = call
        .number("MaxRecords")
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(50);
    let (rows, next) = page(rows, call.text("NextToken"), size)
        .map_err(|_| ApiError::new("InvalidNextToken", "The next token is not valid."))?;
    let mut answer = json!({"MetricAlarms": rows, "CompositeAlarms": []});
    if let (Some(members), Some(next)) = (answer.as_object_mut(), next) {
        members.insert("NextToken".to_owned(), next.into());
    }
    Ok(answer)
}

fn tag(state: &mut State, call: &Call<'_>) -> Answer {
    let more = Tags::from_list(call.list("Tags")).map_err(invalid)?;
    let alarm = state
        .alarms
        .get_mut(call.required("ResourceARN")?)
        .ok_or_else(no_resource)?;
    let mut merged = alarm.tags.clone();
    merged.merge(more);
    if merged.entries().len() > Tags::LIMIT {
        return Err(invalid("An alarm can have no more than 50 tags."));
    }
    alarm.tags = merged;
    Ok(json!({}))
}

impl Alarm {
    fn acts_on(&self, prefix: &str) -> bool {
        let lists = ["AlarmActions", "OKActions", "InsufficientDataActions"];
        let actions = lists
            .iter()
            .filter_map(|list| self.view.get(*list)?.as_array())
            .flatten();
        actions
            .filter_map(Value::as_str)
            .any(|action| action.starts_with(prefix))
    }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterValueException", message)
}

fn no_resource() -> ApiError {
    ApiError::new("ResourceNotFoundException", "The alarm does not exist.").with_status(404)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use serde_json::{Value, json};

    use crate::credentials::Caller;
    use crate::service::{Answer, Call};
    use crate::world::World;

    /// One call of the lab's administrator.
    fn call(world: &mut World, operation: &str, input: &Value) -> Answer {
        let caller = Caller::Administrator {
            access_key: "AKIA".to_owned(),
        };
        let call = Call {
            service: "cloudwatch",
            operation,
            input: input.as_object().unwrap(),
            account: "647751526084",
            region: "ap-southeast-2",
            caller: &caller,
            now: chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
            request_id: "r",
        };
        super::handle(world, &call)
    }

    fn alarm(changes: &Value) -> Value {
        let mut alarm = json!({
            "AlarmName": "errors", "MetricName": "Errors", "Namespace": "AWS/Lambda", "Period": 60, "Threshold": 1.0,
            "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold", "Statistic": "Sum",
            "AlarmActions": ["arn:aws:sns:ap-southeast-2:647751526084:alerts"], "Tags": [{"Key": "a", "Value": "b"}],
        });
        for (name, value) in changes.as_object().unwrap() {
            alarm
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), value.clone());
        }
        alarm
    }

    #[test]
    fn alarms_are_stored_and_found() {
        let mut world = World::default();
        call(&mut world, "PutMetricAlarm", &alarm(&json!({}))).unwrap();
        call(
            &mut world,
            "PutMetricAlarm",
            &alarm(&json!({"AlarmName": "other", "AlarmActions": []})),
        )
        .unwrap();
        for (filter, expected) in [
            (json!({}), 2),
            (json!({"AlarmNames": ["errors"]}), 1),
            (json!({"AlarmNamePrefix": "o"}), 1),
            (json!({"ActionPrefix": "arn:aws:sns"}), 1),
            (json!({"StateValue": "ALARM"}), 0),
            (json!({"AlarmTypes": ["CompositeAlarm"]}), 0),
        ] {
            let found = call(&mut world, "DescribeAlarms", &filter).unwrap();
            assert_eq!(
                found.get("MetricAlarms").unwrap().as_array().unwrap().len(),
                expected,
                "{filter}"
            );
        }
        let arn =
            json!({"ResourceARN": "arn:aws:cloudwatch:ap-southeast-2:647751526084:alarm:errors"});
        let tags = call(&mut world, "ListTagsForResource", &arn).unwrap();
        assert_eq!(tags, json!({"Tags": [{"Key": "a", "Value": "b"}]}));
    }

    #[test]
    fn refusals() {
        for (changes, code) in [
            (json!({"Period": 61}), "InvalidParameterValueException"),
            (
                json!({"ExtendedStatistic": "p99"}),
                "InvalidParameterValueException",
            ),
            (
                json!({"TreatMissingData": "never"}),
                "InvalidParameterValueException",
            ),
            (json!({"Metrics": []}), "InvalidParameterValueException"),
        ] {
            let refused =
                call(&mut World::default(), "PutMetricAlarm", &alarm(&changes)).unwrap_err();
            assert_eq!(refused.code, code, "{changes}");
        }
        let bare = json!({"AlarmName": "a", "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold"});
        let refused = call(&mut World::default(), "PutMetricAlarm", &bare).unwrap_err();
        assert_eq!(refused.code, "MissingRequiredParameterException");
    }
}
