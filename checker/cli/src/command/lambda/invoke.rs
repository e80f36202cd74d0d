//! `checker lambda invoke`: a function's real process on given events, in a fresh lab.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::Environment;
use checker_lab::Lab;
use clap::Args;
use serde_json::{Value, json};

use super::Function;
use crate::console::data;
use crate::failure::Failure;
use crate::subject::{LabSetup, Subject};

/// Options of `checker lambda invoke`.
#[derive(Debug, Args)]
pub(in crate::command) struct Arguments {
    /// The function.
    function: Function,
    /// A file with one event, or with one event a line.
    #[arg(long, value_name = "FILE")]
    event: PathBuf,
    /// Further settings of the function.
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    env: Vec<(String, String)>,
    /// The folder of the Pulumi YAML program.
    #[arg(long, value_name = "DIR", default_value = "infra-pulumi-yaml")]
    program: PathBuf,
    /// The stage.
    #[arg(long, default_value = "dev")]
    stage: String,
}

fn setting(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "write KEY=VALUE".to_owned())
}

/// Runs the function on each event and prints a line for each.
pub(super) async fn invoke(arguments: &Arguments) -> Result<u8, Failure> {
    let events = events(&arguments.event)?;
    let subject = Subject::lab(&LabSetup {
        program: arguments.program.clone(),
        stage: arguments.stage.clone(),
        ..LabSetup::default()
    })
    .await?;
    let lab = subject
        .lab
        .ok_or_else(|| Failure::Broken("the lab is gone".to_owned()))?;
    let mut bench = Bench::new(&lab, arguments);
    bench.isolate().await?;
    bench.configure(&arguments.env).await?;
    for event in events {
        let line = match event {
            Ok(event) => bench.run(&lab, &event).await?,
            Err(reason) => json!({ "error": reason }),
        };
        data(&format!("{line}\n"));
    }
    lab.stop().await;
    Ok(0)
}

/// One JSON document, or one a line; a line that is none is answered with an error.
pub(super) fn events(file: &Path) -> Result<Vec<Result<Value, String>>, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::Usage(format!("`{}` cannot be read: {error}", file.display())))?;
    if let Ok(event) = serde_json::from_str(&text) {
        return Ok(vec![Ok(event)]);
    }
    Ok(text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            serde_json::from_str(line)
                .map_err(|error| format!("the line is no JSON at column {}", error.column()))
        })
        .collect())
}

/// A lab in which nothing but the given events reaches the function.
struct Bench {
    name: String,
    account: String,
    region: String,
    stage: String,
    lambda: aws_sdk_lambda::Client,
    events: aws_sdk_eventbridge::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    sqs: aws_sdk_sqs::Client,
    seen: BTreeSet<String>,
}

impl Bench {
    fn new(lab: &Lab, arguments: &Arguments) -> Self {
        let config = lab.sdk_config();
        let name = match arguments.function {
            Function::Rotation => "bank-secrets-rotation",
            Function::AnomalyDetector => "bank-secrets-anomaly",
        };
        Self {
            name: format!("{name}-{}", arguments.stage),
            account: lab.account().to_owned(),
            region: lab.region().to_owned(),
            stage: arguments.stage.clone(),
            lambda: aws_sdk_lambda::Client::new(&config),
            events: aws_sdk_eventbridge::Client::new(&config),
            logs: aws_sdk_cloudwatchlogs::Client::new(&config),
            sqs: aws_sdk_sqs::Client::new(&config),
            seen: BTreeSet::new(),
        }
    }

    /// Switches off the rules that would bring the lab's own events, and forgets what came so far.
    async fn isolate(&mut self) -> Result<(), Failure> {
        for rule in ["bank-secrets-anomaly", "bank-secrets-synthetic"] {
            self.events
                .disable_rule()
                .name(format!("{rule}-{}", self.stage))
                .send()
                .await
                .map_err(|error| broken("switch off the rules", error.into_service_error()))?;
        }
        self.records().await?;
        self.alerts().await?;
        Ok(())
    }

    async fn configure(&self, settings: &[(String, String)]) -> Result<(), Failure> {
        if settings.is_empty() {
            return Ok(());
        }
        let found = self
            .lambda
            .get_function_configuration()
            .function_name(&self.name)
            .send()
            .await
            .map_err(|error| broken("read the settings", error.into_service_error()))?;
        let mut variables: BTreeMap<String, String> = found
            .environment()
            .and_then(|environment| environment.variables())
            .map(|variables| variables.clone().into_iter().collect())
            .unwrap_or_default();
        variables.extend(settings.iter().cloned());
        self.lambda
            .update_function_configuration()
            .function_name(&self.name)
            .environment(
                Environment::builder()
                    .set_variables(Some(variables.into_iter().collect()))
                    .build(),
            )
            .send()
            .await
            .map_err(|error| broken("change the settings", error.into_service_error()))?;
        Ok(())
    }

    async fn run(&mut self, lab: &Lab, event: &Value) -> Result<Value, Failure> {
        let output = self
            .lambda
            .invoke()
            .function_name(&self.name)
            .payload(Blob::new(event.to_string()))
            .send()
            .await
            .map_err(|error| broken("invoke the function", error.into_service_error()))?;
        lab.settle().await;
        let payload = output.payload().map(Blob::as_ref).unwrap_or_default();
        let result: Value = serde_json::from_slice(payload).unwrap_or(Value::Null);
        Ok(json!({
            "result": result,
            "records": self.records().await?,
            "alerts": self.alerts().await?,
        }))
    }

    /// Access records that were not there before.
    async fn records(&mut self) -> Result<Vec<Value>, Failure> {
        let mut records = Vec::new();
        let mut token = None;
        loop {
            let page = self
                .logs
                .filter_log_events()
                .log_group_name(format!("/aws/secretsmanager/bank-access-{}", self.stage))
                .set_next_token(token)
                .send()
                .await
                .map_err(|error| broken("read the access log", error.into_service_error()))?;
            for event in page.events() {
                let id = event.event_id().unwrap_or_default().to_owned();
                if self.seen.insert(id) {
                    records.push(document(event.message().unwrap_or_default()));
                }
            }
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                return Ok(records);
            }
        }
    }

    /// Alerts that wait in the probe queue.
    async fn alerts(&self) -> Result<Vec<Value>, Failure> {
        let url = format!(
            "https://sqs.{}.amazonaws.com/{}/bank-secrets-probe-alerts-{}",
            self.region, self.account, self.stage
        );
        let mut alerts = Vec::new();
        loop {
            let received = self
                .sqs
                .receive_message()
                .queue_url(&url)
                .max_number_of_messages(10)
                .message_attribute_names("All")
                .send()
                .await
                .map_err(|error| broken("read the alerts", error.into_service_error()))?;
            if received.messages().is_empty() {
                return Ok(alerts);
            }
            for message in received.messages() {
                let attributes: BTreeMap<&String, &str> = message
                    .message_attributes()
                    .into_iter()
                    .flatten()
                    .filter_map(|(name, value)| Some((name, value.string_value()?)))
                    .collect();
                alerts.push(json!({
                    "message": document(message.body().unwrap_or_default()),
                    "attributes": attributes,
                }));
                self.sqs
                    .delete_message()
                    .queue_url(&url)
                    .receipt_handle(message.receipt_handle().unwrap_or_default())
                    .send()
                    .await
                    .map_err(|error| broken("read the alerts", error.into_service_error()))?;
            }
        }
    }
}

/// JSON where the text is JSON, otherwise the text.
fn document(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_no_json| Value::String(text.to_owned()))
}

fn broken(what: &str, error: impl std::error::Error) -> Failure {
    Failure::Broken(format!("failed to {what}: {error}"))
}
