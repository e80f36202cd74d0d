//! Every operation of every service, called as a role without any permission: all are
//! refused with `AccessDenied`, and each leaves its record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{CallRequest, answer};
use crate::catalog::{SERVICES, Service};
use crate::clock::Clock;
use crate::cloudtrail::Client;
use crate::credentials::{Caller, RoleSession};
use crate::lambda::host::Host;
use crate::protocol::model::{Kind, Model, Operation};
use crate::service::Call;
use crate::shared::Shared;
use crate::world::World;

const REGION: &str = "ap-southeast-2";

/// Operations on data, which trails don't record.
const DATA: [&str; 7] = [
    "events:PutEvents",
    "lambda:Invoke",
    "logs:PutLogEvents",
    "sns:Publish",
    "sqs:DeleteMessage",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
];

#[tokio::test]
async fn all_are_refused_and_recorded() {
    let shared = lab();
    let access_key = role(&shared);
    let mut expected = BTreeSet::new();
    for service in &SERVICES {
        let model = service.model().unwrap();
        for operation in model.operations.values() {
            let name = format!("{}:{}", service.prefix, operation.name);
            if name == "sts:GetCallerIdentity" {
                continue;
            }
            let request_id = format!("request-{name}");
            let input = input(model, operation);
            let refused = call(
                &shared,
                service,
                operation,
                &access_key,
                &request_id,
                &input,
            )
            .await
            .unwrap_err();
            let code = refused.code.as_str();
            assert!(
                code.starts_with("AccessDenied") || code == "AuthorizationError",
                "{name}: {code} {}",
                refused.message
            );
            assert!(
                refused
                    .message
                    .contains(&format!("perform: {}:", service.prefix)),
                "{name}: {}",
                refused.message
            );
            if !DATA.contains(&name.as_str()) {
                expected.insert(request_id);
            }
        }
    }
    assert!(expected.len() > 150, "{}", expected.len());
    let mut recorded = BTreeSet::new();
    for region in [REGION, "us-east-1"] {
        recorded.extend(recorded_requests(&shared, region));
    }
    assert_eq!(recorded, expected);
}

/// The request ids of all records of a region.
fn recorded_requests(shared: &Arc<Shared>, region: &str) -> Vec<String> {
    let caller = Caller::Administrator {
        access_key: "AKIA".to_owned(),
    };
    let mut ids = Vec::new();
    let mut input = Map::new();
    loop {
        let answer = shared.act(|world| {
            let call = Call {
                service: "cloudtrail",
                operation: "LookupEvents",
                input: &input,
                account: "647751526084",
                region,
                caller: &caller,
                now: shared.clock.now(),
                request_id: "lookup",
            };
            crate::cloudtrail::handle(world, &call).unwrap()
        });
        let events = answer.get("Events").and_then(Value::as_array).unwrap();
        for event in events {
            let text = event
                .get("CloudTrailEvent")
                .and_then(Value::as_str)
                .unwrap();
            let record: Value = serde_json::from_str(text).unwrap();
            let id = record.get("requestID").and_then(Value::as_str).unwrap();
            ids.push(id.to_owned());
        }
        match answer.get("NextToken") {
            Some(token) => input.insert("NextToken".to_owned(), token.clone()),
            None => return ids,
        };
    }
}

fn lab() -> Arc<Shared> {
    let world = World {
        account: "647751526084".to_owned(),
        region: REGION.to_owned(),
        ..World::default()
    };
    let clock = Clock::starting(chrono::Utc::now());
    let runtime = tokio::runtime::Handle::current();
    Arc::new(Shared::new(
        world,
        clock,
        Host::new(Vec::new()).unwrap(),
        runtime,
    ))
}

/// The access key of a session of a role that has no policy.
fn role(shared: &Arc<Shared>) -> String {
    let now = shared.clock.now();
    let session = RoleSession {
        role_arn: "arn:aws:iam::647751526084:role/nobody".to_owned(),
        role_id: "AROANOBODY".to_owned(),
        session_name: "session".to_owned(),
        session_policies: Vec::new(),
        tags: BTreeMap::new(),
        source_identity: None,
        issued: now,
        access_key: String::new(),
    };
    let expires = now + chrono::TimeDelta::hours(1);
    shared.act(|world| {
        let issued = world.credentials.issue(&mut world.ids, session, expires);
        issued.access_key
    })
}

async fn call(
    shared: &Arc<Shared>,
    service: &'static Service,
    operation: &Operation,
    access_key: &str,
    request_id: &str,
    input: &Map<String, Value>,
) -> crate::service::Answer {
    let request = CallRequest {
        service,
        operation,
        region: REGION,
        access_key,
        now: shared.clock.now(),
        request_id,
        client: Client {
            address: "127.0.0.1",
            user_agent: "test",
        },
    };
    answer(shared, &request, Ok(input), None).await
}

/// The required members, with any value of the right kind.
fn input(model: &Model, operation: &Operation) -> Map<String, Value> {
    let shape = operation.input.as_ref().map(|input| input.shape.as_str());
    let value = shape.map(|shape| any(model, shape));
    value
        .and_then(|value| value.as_object().cloned())
        .unwrap_or_default()
}

fn any(model: &Model, shape: &str) -> Value {
    let shape = model.shape(shape).unwrap();
    match shape.kind {
        Kind::Structure => shape
            .required
            .iter()
            .filter_map(|name| {
                let member = shape.members.get(name)?;
                Some((name.clone(), any(model, &member.shape)))
            })
            .collect::<Map<_, _>>()
            .into(),
        Kind::List => shape
            .member
            .iter()
            .map(|member| any(model, &member.shape))
            .collect(),
        Kind::Map => json!({}),
        Kind::String => shape
            .values
            .first()
            .map_or_else(|| json!("name"), |value| json!(value)),
        Kind::Blob => json!("bmFtZQ=="),
        Kind::Integer | Kind::Long | Kind::Float | Kind::Double | Kind::Timestamp => json!(1),
        Kind::Boolean => json!(false),
    }
}
