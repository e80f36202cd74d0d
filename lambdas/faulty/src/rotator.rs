//! A rotation function with a fault: the real steps, and one wrong thing around them.

use std::io::Write as _;
use std::sync::Arc;

use aws_sdk_secretsmanager::Client;
use lambda_host::{Environment, Failure, HostError};
use rotation::{RotationRequest, Rotator, Step};
use serde_json::{Value, json};

use crate::behaviour::RotationFault;

/// Serves rotation events.
pub(crate) async fn serve(fault: RotationFault) -> Result<(), HostError> {
    let environment = Environment::of_process();
    let rotator = Arc::new(Rotator::from_environment(&environment)?);
    lambda_host::serve(&environment, move |text| {
        let rotator = Arc::clone(&rotator);
        async move { handle(fault, &rotator, &text).await }
    })
    .await
}

async fn handle(fault: RotationFault, rotator: &Rotator, text: &str) -> Result<Value, Failure> {
    let request = RotationRequest::parse(text).map_err(Failure::from)?;
    match (fault, request.step) {
        (RotationFault::NoPromote, Step::Finish) => {
            return Ok(json!({"step": "finishSecret", "done": "promoted"}));
        }
        (RotationFault::Fails, Step::Set) => {
            return Err(Failure {
                code: "Faulty",
                text: "set the value: this function never does".to_owned(),
            });
        }
        (RotationFault::RepeatsValue, Step::Create) => {
            // The first value has nothing to repeat.
            if let Some(current) = value(&rotator.secrets, &request.secret_id, "AWSCURRENT").await {
                store(&rotator.secrets, &request, current).await;
                return Ok(json!({"step": "createSecret", "done": "created"}));
            }
        }
        // Its own test would refuse the value.
        (RotationFault::RepeatsValue, Step::Test) => {
            return Ok(json!({"step": "testSecret", "done": "tested"}));
        }
        _ => {}
    }
    let done = rotation::handle(rotator, text)
        .await
        .map_err(Failure::from)?;
    if (fault, request.step) == (RotationFault::LogsValue, Step::Create) {
        let value = value(&rotator.secrets, &request.secret_id, "AWSPENDING").await;
        let line = format!("the new value is {}\n", value.unwrap_or_default());
        drop(std::io::stdout().write_all(line.as_bytes()));
    }
    Ok(done)
}

async fn store(secrets: &Client, request: &RotationRequest, value: String) {
    let put = secrets
        .put_secret_value()
        .secret_id(&request.secret_id)
        .client_request_token(&request.token)
        .secret_string(value)
        .version_stages("AWSPENDING");
    drop(put.send().await);
}

/// The value under `label`.
pub(crate) async fn value(secrets: &Client, secret: &str, label: &str) -> Option<String> {
    let call = secrets.get_secret_value().secret_id(secret);
    let answer = call.version_stage(label).send().await.ok()?;
    answer.secret_string().map(str::to_owned)
}
