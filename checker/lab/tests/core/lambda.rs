//! Functions: stored as AWS stores them, run as processes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aws_sdk_lambda::error::ProvideErrorMetadata as _;
use aws_sdk_lambda::operation::invoke::InvokeOutput;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{FunctionCode, InvocationType, LogType, Runtime, State};
use serde_json::{Value, json};

use crate::stage::{Stage, zip};

async fn invoke(stage: &Stage, event: &Value) -> (InvokeOutput, Value) {
    let mut output = stage
        .lambda
        .invoke()
        .function_name("worker")
        .log_type(LogType::Tail)
        .payload(Blob::new(event.to_string()))
        .send()
        .await
        .unwrap();
    let payload = output.payload.take().unwrap();
    let answer = serde_json::from_slice(payload.as_ref()).unwrap();
    (output, answer)
}

#[tokio::test]
async fn a_function_answers_with_its_environment_and_role() {
    let stage = Stage::new().await;
    let arn = stage.function("worker", "environment").await;
    let (output, answer) = invoke(&stage, &json!({})).await;
    assert_eq!(output.function_error, None);
    let variables: HashMap<String, String> = serde_json::from_value(answer).unwrap();
    assert_eq!(variables["AWS_LAMBDA_FUNCTION_NAME"], "worker");
    assert_eq!(variables["AWS_REGION"], stage.lab.region());
    assert_eq!(variables["AWS_ENDPOINT_URL"], stage.lab.endpoint());
    assert!(variables["AWS_ACCESS_KEY_ID"].starts_with("ASIA"));
    assert!(
        !variables.contains_key("CARGO_MANIFEST_DIR"),
        "nothing of the lab's own environment"
    );
    let described = stage
        .lambda
        .get_function()
        .function_name(arn)
        .send()
        .await
        .unwrap();
    let configuration = described.configuration.unwrap();
    assert_eq!(configuration.state, Some(State::Active));
    assert_eq!(configuration.code_sha256.unwrap().len(), 44);
}

#[tokio::test]
async fn a_warm_process_is_used_again_and_every_event_comes_back() {
    let stage = Stage::new().await;
    stage.function("worker", "echo").await;
    for number in 0..5 {
        let (output, answer) = invoke(&stage, &json!({"number": number})).await;
        assert_eq!(answer, json!({"number": number}));
        assert!(output.log_result.is_some());
    }
}

#[tokio::test]
async fn failures_are_answers_with_an_error() {
    let cases = [
        ("error", "Failed"),
        ("crash", "Runtime.ExitError"),
        ("hang", "Sandbox.Timedout"),
        ("init-error", "Init"),
    ];
    for (mode, kind) in cases {
        let stage = Stage::new().await;
        stage.function("worker", mode).await;
        let begun = Instant::now();
        let (output, answer) = invoke(&stage, &json!({})).await;
        assert_eq!(output.status_code, 200, "{mode}");
        assert_eq!(
            output.function_error.as_deref(),
            Some("Unhandled"),
            "{mode}"
        );
        assert_eq!(answer["errorType"], kind, "{mode}");
        assert!(begun.elapsed() < Duration::from_secs(15), "{mode}");
    }
}

#[tokio::test]
async fn an_asynchronous_event_is_taken_at_once() {
    let stage = Stage::new().await;
    stage.function("worker", "echo").await;
    let taken = stage
        .lambda
        .invoke()
        .function_name("worker")
        .invocation_type(InvocationType::Event)
        .payload(Blob::new("{}"))
        .send()
        .await
        .unwrap();
    assert_eq!(taken.status_code, 202);
    stage.lab.settle().await;
}

#[tokio::test]
async fn functions_are_refused_as_aws_refuses_them() {
    let stage = Stage::new().await;
    stage.function("worker", "echo").await;
    let role = format!("arn:aws:iam::{}:role/worker", stage.lab.account());
    let absent = format!("arn:aws:iam::{}:role/absent", stage.lab.account());
    let broken = Blob::new("not a zip");
    let cases = [
        (
            "worker",
            &role,
            Blob::new(zip()),
            "ResourceConflictException",
        ),
        (
            "other",
            &absent,
            Blob::new(zip()),
            "InvalidParameterValueException",
        ),
        ("other", &role, broken, "InvalidParameterValueException"),
    ];
    for (name, role, code, expected) in cases {
        let refused = stage
            .lambda
            .create_function()
            .function_name(name)
            .role(role)
            .runtime(Runtime::Providedal2023)
            .handler("bootstrap")
            .code(FunctionCode::builder().zip_file(code).build())
            .send()
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Some(expected), "{name}");
    }
    let missing = stage
        .lambda
        .get_function()
        .function_name("none")
        .send()
        .await;
    assert!(
        missing
            .unwrap_err()
            .into_service_error()
            .is_resource_not_found_exception()
    );
}

#[tokio::test]
async fn a_policy_says_who_may_invoke() {
    let stage = Stage::new().await;
    stage.function("worker", "echo").await;
    let policy = stage
        .lambda
        .get_policy()
        .function_name("worker")
        .send()
        .await
        .unwrap();
    let policy: Value = serde_json::from_str(policy.policy.as_deref().unwrap()).unwrap();
    let statement = &policy["Statement"][0];
    assert_eq!(
        statement["Principal"]["Service"],
        "secretsmanager.amazonaws.com"
    );
    assert_eq!(
        statement["Condition"]["StringEquals"]["AWS:SourceAccount"],
        stage.lab.account()
    );
}
