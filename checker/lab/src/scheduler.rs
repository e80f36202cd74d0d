//! `EventBridge` Scheduler: schedules as stored configuration. They never fire.
//!
//! Only the default group exists.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::service::{Answer, ApiError, Call, page, timestamp};
use crate::world::World;

/// What the service keeps: schedules as described, by ARN.
#[derive(Debug, Default)]
pub(crate) struct State {
    schedules: BTreeMap<String, Map<String, Value>>,
}

pub(crate) fn handle(world: &mut World, call: &Call<'_>) -> Answer {
    match call.operation {
        "CreateSchedule" => create(&mut world.scheduler, call),
        "GetSchedule" => {
            let arn = arn_of(call)?;
            let schedule = world
                .scheduler
                .schedules
                .get(&arn)
                .ok_or_else(|| not_found(&arn))?;
            Ok(schedule.clone().into())
        }
        "ListSchedules" => list(&world.scheduler, call),
        _ => Err(call.unserved()),
    }
}

fn create(state: &mut State, call: &Call<'_>) -> Answer {
    let arn = arn_of(call)?;
    if state.schedules.contains_key(&arn) {
        let message = format!("Schedule {} already exists.", call.required("Name")?);
        return Err(ApiError::new("ConflictException", message).with_status(409));
    }
    let expression = call.required("ScheduleExpression")?;
    let known = ["rate(", "cron(", "at("]
        .iter()
        .any(|start| expression.starts_with(start));
    if !known || !expression.ends_with(')') {
        return Err(invalid("Invalid Schedule Expression."));
    }
    let window = call.object("FlexibleTimeWindow");
    let flexible = window
        .and_then(|window| window.get("Mode"))
        .and_then(Value::as_str)
        == Some("FLEXIBLE");
    if flexible != window.is_some_and(|window| window.contains_key("MaximumWindowInMinutes")) {
        return Err(invalid(
            "MaximumWindowInMinutes must be given for, and only for, the mode FLEXIBLE.",
        ));
    }
    let mut schedule = call.input.clone();
    schedule.remove("ClientToken");
    for (member, value) in [
        ("Arn", Value::from(arn.as_str())),
        ("CreationDate", timestamp(call.now)),
        ("LastModificationDate", timestamp(call.now)),
    ] {
        schedule.insert(member.to_owned(), value);
    }
    for (member, value) in [
        ("GroupName", "default"),
        ("State", "ENABLED"),
        ("ScheduleExpressionTimezone", "UTC"),
        ("ActionAfterCompletion", "NONE"),
    ] {
        schedule.entry(member).or_insert_with(|| value.into());
    }
    state.schedules.insert(arn.clone(), schedule);
    Ok(json!({"ScheduleArn": arn}))
}

fn list(state: &State, call: &Call<'_>) -> Answer {
    check_group(call)?;
    let prefix = call.text("NamePrefix").unwrap_or_default();
    let here = format!("arn:aws:scheduler:{}:", call.region);
    let rows = state
        .schedules
        .iter()
        .filter(|(arn, schedule)| {
            let text = |member: &str| schedule.get(member).and_then(Value::as_str);
            arn.starts_with(&here)
                && text("Name").is_some_and(|name| name.starts_with(prefix))
                && call
                    .text("State")
                    .is_none_or(|state| text("State") == Some(state))
        })
        .map(|(_, schedule)| summary(schedule))
        .collect();
    let size = call
        .number("MaxResults")
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(100);
    let (rows, next) = page(rows, call.text("NextToken"), size)
        .map_err(|_| invalid("The next token is not valid."))?;
    let mut answer = json!({"Schedules": rows});
    if let (Some(members), Some(next)) = (answer.as_object_mut(), next) {
        members.insert("NextToken".to_owned(), next.into());
    }
    Ok(answer)
}

fn summary(schedule: &Map<String, Value>) -> Value {
    let members = [
        "Arn",
        "CreationDate",
        "GroupName",
        "LastModificationDate",
        "Name",
        "State",
    ];
    let mut summary: Map<String, Value> = members
        .iter()
        .filter_map(|member| Some(((*member).to_owned(), schedule.get(*member)?.clone())))
        .collect();
    let target = schedule.get("Target").and_then(|target| target.get("Arn"));
    summary.insert("Target".to_owned(), json!({"Arn": target}));
    summary.into()
}

fn arn_of(call: &Call<'_>) -> Result<String, ApiError> {
    check_group(call)?;
    Ok(call.arn(&format!("schedule/default/{}", call.required("Name")?)))
}

fn check_group(call: &Call<'_>) -> Result<(), ApiError> {
    match call.text("GroupName") {
        None | Some("default") => Ok(()),
        Some(other) => Err(not_found(other)),
    }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationException", message)
}

fn not_found(what: &str) -> ApiError {
    ApiError::new(
        "ResourceNotFoundException",
        format!("{what} does not exist."),
    )
    .with_status(404)
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
            service: "scheduler",
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

    fn schedule(expression: &str, window: &Value) -> Value {
        json!({
            "Name": "daily", "ScheduleExpression": expression, "FlexibleTimeWindow": window,
            "Target": {"Arn": "arn:aws:lambda:ap-southeast-2:647751526084:function:f", "RoleArn": "arn:aws:iam::647751526084:role/r"},
        })
    }

    #[test]
    fn schedules_are_stored_and_found() {
        let mut world = World::default();
        let daily = schedule("rate(1 day)", &json!({"Mode": "OFF"}));
        call(&mut world, "CreateSchedule", &daily).unwrap();
        assert_eq!(
            call(&mut world, "CreateSchedule", &daily).unwrap_err().code,
            "ConflictException"
        );
        let seen = call(&mut world, "GetSchedule", &json!({"Name": "daily"})).unwrap();
        assert_eq!(seen.get("State").unwrap(), "ENABLED");
        let listed = call(&mut world, "ListSchedules", &json!({"NamePrefix": "d"})).unwrap();
        let first = listed.pointer("/Schedules/0/Target/Arn").unwrap();
        assert_eq!(first, daily.pointer("/Target/Arn").unwrap());
        let none = call(&mut world, "ListSchedules", &json!({"State": "DISABLED"})).unwrap();
        assert_eq!(none, json!({"Schedules": []}));
    }

    #[test]
    fn refusals() {
        for (expression, window) in [
            ("daily", json!({"Mode": "OFF"})),
            ("rate(1 day)", json!({"Mode": "FLEXIBLE"})),
            (
                "rate(1 day)",
                json!({"Mode": "OFF", "MaximumWindowInMinutes": 5}),
            ),
        ] {
            let refused = call(
                &mut World::default(),
                "CreateSchedule",
                &schedule(expression, &window),
            )
            .unwrap_err();
            assert_eq!(refused.code, "ValidationException", "{expression} {window}");
        }
        let missing = call(
            &mut World::default(),
            "GetSchedule",
            &json!({"Name": "none"}),
        )
        .unwrap_err();
        assert_eq!(missing.code, "ResourceNotFoundException");
    }
}
