//! Asynchronous invocation: retries by the lab's clock, then the destination of failures.

use std::time::Duration;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{DestinationConfig, InvocationType, OnFailure};
use serde_json::Value;

use crate::stage::Stage;

/// A function that writes its log and may send to the queue `failed`; its role's name is its own.
async fn prepared(stage: &Stage, mode: &str) -> aws_sdk_sqs::Client {
    stage.function("worker", mode).await;
    stage
        .iam
        .put_role_policy()
        .role_name("worker")
        .policy_name("rest")
        .policy_document(r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:*","sqs:SendMessage"],"Resource":"*"}]}"#)
        .send()
        .await
        .unwrap();
    let sqs = aws_sdk_sqs::Client::new(&stage.lab.sdk_config());
    sqs.create_queue()
        .queue_name("failed")
        .send()
        .await
        .unwrap();
    let queue = format!(
        "arn:aws:sqs:{}:{}:failed",
        stage.lab.region(),
        stage.lab.account()
    );
    let destination = OnFailure::builder().destination(queue).build();
    stage
        .lambda
        .put_function_event_invoke_config()
        .function_name("worker")
        .destination_config(DestinationConfig::builder().on_failure(destination).build())
        .send()
        .await
        .unwrap();
    sqs
}

async fn send(stage: &Stage) {
    let invoke = stage.lambda.invoke().function_name("worker");
    let invoke = invoke
        .invocation_type(InvocationType::Event)
        .payload(Blob::new(r#"{"a":1}"#));
    assert_eq!(invoke.send().await.unwrap().status_code, 202);
    stage.lab.settle().await;
}

/// How often the function ran, by its log.
async fn runs(stage: &Stage) -> usize {
    let logs = aws_sdk_cloudwatchlogs::Client::new(&stage.lab.sdk_config());
    let found = logs
        .filter_log_events()
        .log_group_name("/aws/lambda/worker")
        .filter_pattern("START");
    found.send().await.map_or(0, |found| found.events().len())
}

async fn failed(sqs: &aws_sdk_sqs::Client) -> Vec<Value> {
    let url = sqs
        .get_queue_url()
        .queue_name("failed")
        .send()
        .await
        .unwrap()
        .queue_url;
    let received = sqs
        .receive_message()
        .set_queue_url(url)
        .max_number_of_messages(10);
    let received = received.send().await.unwrap();
    let bodies = received
        .messages()
        .iter()
        .filter_map(|message| message.body());
    bodies
        .map(|body| serde_json::from_str(body).unwrap())
        .collect()
}

#[tokio::test]
async fn a_failing_event_is_tried_three_times_and_then_kept() {
    let stage = Stage::new().await;
    let sqs = prepared(&stage, "error").await;
    send(&stage).await;
    assert_eq!(runs(&stage).await, 1);
    assert_eq!(failed(&sqs).await, Vec::<Value>::new());
    stage.lab.clock().advance(Duration::from_secs(61)).await;
    assert_eq!(runs(&stage).await, 2);
    stage.lab.clock().advance(Duration::from_secs(121)).await;
    assert_eq!(runs(&stage).await, 3);
    let kept = failed(&sqs).await;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0]["requestPayload"]["a"], 1);
    assert_eq!(kept[0]["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(kept[0]["requestContext"]["approximateInvokeCount"], 3);
    stage.lab.clock().advance(Duration::from_hours(24)).await;
    assert_eq!(runs(&stage).await, 3);
}

#[tokio::test]
async fn an_event_that_recovers_is_not_kept() {
    let stage = Stage::new().await;
    let sqs = prepared(&stage, "error").await;
    send(&stage).await;
    stage.set_mode("worker", "echo").await;
    stage.lab.clock().advance(Duration::from_secs(61)).await;
    stage.lab.clock().advance(Duration::from_hours(1)).await;
    assert_eq!(runs(&stage).await, 2);
    assert_eq!(failed(&sqs).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_role_that_may_not_write_logs_leaves_none() {
    let stage = Stage::new().await;
    stage.function("worker", "echo").await;
    send(&stage).await;
    assert_eq!(runs(&stage).await, 0);
}
