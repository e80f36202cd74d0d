//! `requestParameters` and `responseElements`: what of a call stands in its record.
//!
//! Members are named as `CloudTrail` names them, with a small first letter; keys of maps stay. What AWS's model marks
//! as sensitive never gets in, nor do binary members, a function's environment, and tokens that open something.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::catalog;
use crate::protocol::model::{Kind, Model};
use crate::service::Call;

/// What stands for a value where AWS shows that there was one.
const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

/// Members that are no values by the model, and still open something.
const TOKENS: [&str; 5] = [
    "SessionToken",
    "GrantToken",
    "GrantTokens",
    "EventSourceToken",
    "RotationToken",
];

/// Operations on data, which trails don't record unless they are told to.
const DATA_EVENTS: [&str; 7] = [
    "events:PutEvents",
    "lambda:Invoke",
    "logs:PutLogEvents",
    "sns:Publish",
    "sqs:DeleteMessage",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
];

/// Operations that only read although their names don't say so.
const QUIET_READS: [&str; 4] = [
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "sts:AssumeRole",
];

const READING_PREFIXES: [&str; 9] = [
    "BatchGet", "Describe", "Filter", "Get", "List", "Lookup", "Simulate", "Test", "Validate",
];

pub(super) fn is_data_event(service: &str, operation: &str) -> bool {
    DATA_EVENTS.contains(&format!("{service}:{operation}").as_str())
}

pub(super) fn is_read_only(service: &str, operation: &str) -> bool {
    READING_PREFIXES
        .iter()
        .any(|prefix| operation.starts_with(prefix))
        || QUIET_READS.contains(&format!("{service}:{operation}").as_str())
}

/// `eventSource`.
pub(super) fn source_of(service: &str) -> String {
    let name = match service {
        "tag" => "tagging",
        "cloudwatch" => "monitoring",
        other => other,
    };
    format!("{name}.amazonaws.com")
}

/// `eventName`: Lambda's carry the version of its API.
pub(super) fn event_name(service: &str, operation: &str) -> String {
    let version = match (service, operation) {
        ("lambda", "CreateFunction" | "DeleteFunction" | "ListFunctions") => "20150331",
        (
            "lambda",
            "AddPermission"
            | "GetFunction"
            | "GetFunctionConfiguration"
            | "GetPolicy"
            | "RemovePermission"
            | "UpdateFunctionCode"
            | "UpdateFunctionConfiguration",
        ) => "20150331v2",
        ("lambda", "ListTags") => "20170331",
        ("lambda", "TagResource") => "20170331v2",
        _ => "",
    };
    format!("{operation}{version}")
}

pub(super) fn request(call: &Call<'_>) -> Value {
    let shape = |model: &'static Model| {
        model
            .operations
            .get(call.operation)?
            .input
            .as_ref()
            .map(|input| input.shape.as_str())
    };
    shown_as(call, &Value::Object(call.input.clone()), shape)
}

pub(super) fn response(call: &Call<'_>, answer: &Value) -> Value {
    let shape = |model: &'static Model| {
        model
            .operations
            .get(call.operation)?
            .output
            .as_ref()
            .map(|output| output.shape.as_str())
    };
    shown_as(call, answer, shape)
}

/// Types and names of the resources that a record is about.
pub(super) fn resources(service: &str, request: &Value, response: &Value) -> Vec<(String, String)> {
    let kind = match service {
        "secretsmanager" => "AWS::SecretsManager::Secret",
        "kms" => "AWS::KMS::Key",
        "lambda" => "AWS::Lambda::Function",
        "logs" => "AWS::Logs::LogGroup",
        "sns" => "AWS::SNS::Topic",
        "sqs" => "AWS::SQS::Queue",
        "ssm" => "AWS::SSM::Parameter",
        "events" => "AWS::Events::Rule",
        "cloudtrail" => "AWS::CloudTrail::Trail",
        _ => "",
    };
    let names = [
        ("secretId", kind),
        ("keyId", kind),
        ("functionName", kind),
        ("logGroupName", kind),
        ("topicArn", kind),
        ("queueUrl", kind),
        ("rule", kind),
        ("name", kind),
        ("arn", kind),
        ("aRN", kind),
        ("roleName", "AWS::IAM::Role"),
        ("roleArn", "AWS::IAM::Role"),
        ("policyArn", "AWS::IAM::Policy"),
    ];
    let mut found: Vec<(String, String)> = Vec::new();
    for (member, kind) in names {
        for part in [request, response] {
            let name = part.get(member).and_then(Value::as_str);
            if let Some(name) = name
                .filter(|name| !kind.is_empty() && !found.iter().any(|(_, known)| known == name))
            {
                found.push((kind.to_owned(), name.to_owned()));
            }
        }
    }
    found
}

/// `null` when there is nothing to show.
fn shown_as<'a>(
    call: &Call<'_>,
    value: &Value,
    shape: impl FnOnce(&'static Model) -> Option<&'a str>,
) -> Value {
    let model = catalog::by_prefix(call.service).and_then(|service| service.model().ok());
    let Some((model, shape)) = model.and_then(|model| Some((model, shape(model)?))) else {
        return Value::Null;
    };
    match shown(model, shape, "", value) {
        Some(Value::Object(members)) if members.is_empty() => Value::Null,
        Some(shown) => shown,
        None => Value::Null,
    }
}

/// A value as its record shows it; `None` leaves the member out.
fn shown(model: &Model, shape_name: &str, member: &str, value: &Value) -> Option<Value> {
    let shape = model.shape(shape_name)?;
    if TOKENS.contains(&member)
        || shape_name == "Environment"
        || shape_name == "EnvironmentResponse"
    {
        return None;
    }
    if shape.sensitive {
        // Parameter Store shows that there was a value, the others leave it out.
        return (shape_name == "PSParameterValue").then(|| HIDDEN.into());
    }
    Some(match (shape.kind, value) {
        (Kind::Blob, _) => return None,
        (Kind::Structure, Value::Object(members)) => members
            .iter()
            .filter_map(|(name, value)| {
                let reference = shape.members.get(name)?;
                Some((lowered(name), shown(model, &reference.shape, name, value)?))
            })
            .collect::<Map<_, _>>()
            .into(),
        (Kind::Map, Value::Object(members)) => {
            let inner = shape.value.as_ref()?;
            members
                .iter()
                .filter_map(|(key, value)| {
                    Some((key.clone(), shown(model, &inner.shape, key, value)?))
                })
                .collect::<Map<_, _>>()
                .into()
        }
        (Kind::List, Value::Array(list)) => {
            let inner = shape.member.as_ref()?;
            list.iter()
                .filter_map(|value| shown(model, &inner.shape, "", value))
                .collect()
        }
        (Kind::Timestamp, value) => moment(value).map_or_else(|| value.clone(), Value::from),
        (
            Kind::Structure
            | Kind::Map
            | Kind::List
            | Kind::String
            | Kind::Integer
            | Kind::Long
            | Kind::Float
            | Kind::Double
            | Kind::Boolean,
            value,
        ) => value.clone(),
    })
}

/// `SecretId` is `secretId`, and `ARN` is `aRN`, as in genuine records.
fn lowered(name: &str) -> String {
    let mut characters = name.chars();
    match characters.next() {
        Some(first) => first.to_ascii_lowercase().to_string() + characters.as_str(),
        None => String::new(),
    }
}

/// `Jul 10, 2023, 12:07:59 PM`.
fn moment(value: &Value) -> Option<String> {
    let since = std::time::Duration::try_from_secs_f64(value.as_f64()?).ok()?;
    let at = DateTime::<Utc>::from_timestamp(i64::try_from(since.as_secs()).ok()?, 0)?;
    Some(at.format("%b %-d, %Y, %-I:%M:%S %p").to_string())
}
