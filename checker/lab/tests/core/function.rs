//! A Lambda function for the lab's tests: it speaks the Runtime API, and does what its
//! variable `MODE` says: rotate a secret for real, or misbehave in one chosen way.
//!
//! The test binary serves as the function's process: the `bootstrap` of the tests starts
//! it again with only [`process`] selected. The real functions have no such switch.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_secretsmanager::Client;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_types::SdkConfig;
use aws_types::region::Region;
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;

/// Serves the Runtime API when a lab started this process; otherwise shows that it isn't one.
#[test]
fn process() -> Result<(), Failure> {
    match std::env::var("AWS_LAMBDA_RUNTIME_API") {
        Ok(api) => serve(&api),
        Err(missing) => {
            assert_eq!(missing, std::env::VarError::NotPresent);
            Ok(())
        }
    }
}

fn serve(api: &str) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mode = std::env::var("MODE").unwrap_or_default();
    if mode == "init-error" {
        let body = json!({"errorType": "Init", "errorMessage": "no"}).to_string();
        exchange(api, "POST", "init/error", body.as_bytes())?;
        return Err("init failed".into());
    }
    loop {
        let (headers, body) = exchange(api, "GET", "invocation/next", b"")?;
        let id = headers
            .get("lambda-runtime-aws-request-id")
            .ok_or("no request id")?
            .clone();
        let event: Value = serde_json::from_slice(&body)?;
        match runtime.block_on(respond(&mode, &event)) {
            Ok(answer) => {
                let path = format!("invocation/{id}/response");
                exchange(api, "POST", &path, answer.to_string().as_bytes())?;
            }
            Err(error) => {
                let body = json!({"errorType": "Failed", "errorMessage": error.to_string()});
                let path = format!("invocation/{id}/error");
                exchange(api, "POST", &path, body.to_string().as_bytes())?;
            }
        }
    }
}

async fn respond(mode: &str, event: &Value) -> Result<Value, Failure> {
    let mut out = std::io::stdout();
    writeln!(out, "an event came")?;
    let step = event
        .get("Step")
        .and_then(Value::as_str)
        .unwrap_or_default();
    match mode.split_once(':') {
        Some(("fail", failing)) if failing == step => return Err("told to fail".into()),
        Some(("crash", failing)) if failing == step => return Err(crash()),
        _ => {}
    }
    match mode {
        "nothing" => return Ok(Value::Null),
        "crash" => return Err(crash()),
        "error" => return Err("told to fail".into()),
        "hang" => {
            std::future::pending::<()>().await;
        }
        "echo" => return Ok(event.clone()),
        "environment" => {
            let variables: HashMap<String, String> = std::env::vars().collect();
            return Ok(json!(variables));
        }
        _ => {}
    }
    if step.is_empty() {
        return Ok(event.clone());
    }
    rotate(step, event).await.map(|()| Value::Null)
}

/// Ends the process in the middle of an event.
fn crash() -> Failure {
    // A closed standard output would not end it; an abort does.
    std::process::abort()
}

async fn rotate(step: &str, event: &Value) -> Result<(), Failure> {
    let text = |name: &str| event.get(name).and_then(Value::as_str).map(str::to_owned);
    let secret = text("SecretId").ok_or("no secret")?;
    let token = text("ClientRequestToken").ok_or("no token")?;
    let client = Client::new(&configuration()?);
    match step {
        "createSecret" => {
            let pending = client
                .get_secret_value()
                .secret_id(&secret)
                .version_id(&token)
                .version_stage("AWSPENDING");
            if pending.send().await.is_ok() {
                return Ok(());
            }
            let password = client
                .get_random_password()
                .password_length(43)
                .exclude_punctuation(true)
                .send()
                .await?;
            client
                .put_secret_value()
                .secret_id(secret)
                .client_request_token(token)
                .set_rotation_token(text("RotationToken"))
                .set_secret_string(password.random_password)
                .version_stages("AWSPENDING")
                .send()
                .await
                .map_err(|error| {
                    format!(
                        "{}",
                        aws_sdk_secretsmanager::error::DisplayErrorContext(error)
                    )
                })?;
        }
        "testSecret" => {
            // Without an immediate rotation the version has no value: then the current one is read.
            let stage = if std::env::var("MODE").as_deref() == Ok("dry") {
                "AWSCURRENT"
            } else {
                "AWSPENDING"
            };
            client
                .get_secret_value()
                .secret_id(secret)
                .version_stage(stage)
                .send()
                .await?;
        }
        "finishSecret" => {
            let described = client.describe_secret().secret_id(&secret).send().await?;
            let stages = described.version_ids_to_stages.unwrap_or_default();
            let current = stages
                .iter()
                .find(|(_, stages)| stages.iter().any(|stage| stage == "AWSCURRENT"))
                .map(|(id, _)| id.clone());
            client
                .update_secret_version_stage()
                .secret_id(secret)
                .version_stage("AWSCURRENT")
                .move_to_version_id(token)
                .set_remove_from_version_id(current)
                .send()
                .await?;
        }
        _ => {}
    }
    Ok(())
}

fn configuration() -> Result<SdkConfig, Failure> {
    let credentials = Credentials::new(
        std::env::var("AWS_ACCESS_KEY_ID")?,
        std::env::var("AWS_SECRET_ACCESS_KEY")?,
        std::env::var("AWS_SESSION_TOKEN").ok(),
        None,
        "environment",
    );
    Ok(SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(std::env::var("AWS_REGION")?))
        .endpoint_url(std::env::var("AWS_ENDPOINT_URL")?)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .sleep_impl(TokioSleep::new())
        .build())
}

/// One exchange with the Runtime API, on a connection of its own.
fn exchange(
    api: &str,
    method: &str,
    path: &str,
    body: &[u8],
) -> Result<(HashMap<String, String>, Vec<u8>), Failure> {
    let mut stream = TcpStream::connect(api)?;
    write!(
        stream,
        "{method} /2018-06-01/runtime/{path} HTTP/1.1\r\nhost: {api}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)?;
    let mut reader = BufReader::new(stream);
    let mut headers = HashMap::new();
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        line.clear();
    }
    let mut answer = Vec::new();
    reader.read_to_end(&mut answer)?;
    Ok((headers, answer))
}
