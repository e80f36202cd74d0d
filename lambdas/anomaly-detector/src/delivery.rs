//! Sending what was decided: the record to the access log, the alert to its topic, both at once.
//!
//! Each call is tried four times with short pauses. If either fails after that, the whole fails, so that AWS
//! invokes the function again and in the end keeps the event as a dead letter: a record twice is harmless,
//! since it carries the event's id. Records are stamped with the time of writing, because the log refuses old
//! ones, and a refusal inside a successful answer counts as a failure.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_cloudwatchlogs::config::retry::{RetryPartition, TokenBucket};
use aws_sdk_cloudwatchlogs::error::SdkError;
use aws_sdk_cloudwatchlogs::operation::create_log_stream::CreateLogStreamError;
use aws_sdk_cloudwatchlogs::operation::put_log_events::PutLogEventsError;
use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use aws_sdk_sns::types::MessageAttributeValue;
use chrono::Utc;
use lambda_host::log::{self, Metric};
use lambda_host::{AwsFailure, Environment, EnvironmentError, Failure, Patience};

use crate::assessment::{Alert, Assessment};
use crate::record::AccessRecord;
use crate::settings::Settings;
use crate::signal::Severity;

/// `CloudWatch` namespace of the detector's metrics.
pub const NAMESPACE: &str = "SecretsAccess";

const PATIENCE: Patience = Patience {
    attempts: 4,
    first_pause: Duration::from_millis(50),
    attempt: Duration::from_secs(3),
};

/// The ways out.
#[derive(Debug)]
pub struct Delivery {
    logs: aws_sdk_cloudwatchlogs::Client,
    sns: aws_sdk_sns::Client,
    topic: String,
    group: String,
    stream: String,
    stream_exists: AtomicBool,
}

/// A record or an alert that could not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// The record is not in the access log.
    #[error("write the access record: {0}")]
    Record(AwsFailure),
    /// The access log took the call and refused the record.
    #[error("write the access record: the log rejected it as too old or too new")]
    Rejected,
    /// The record cannot be written as JSON.
    #[error("write the access record: it has no JSON form")]
    Form,
    /// The alert is not on its topic.
    #[error("publish the alert: {0}")]
    Alert(AwsFailure),
    /// Neither went out.
    #[error("{0}; {1}")]
    Both(Box<Self>, Box<Self>),
}

impl Delivery {
    /// Clients from the environment.
    ///
    /// # Errors
    /// A missing region or credential.
    pub fn from_environment(
        environment: &Environment,
        settings: &Settings,
    ) -> Result<Self, EnvironmentError> {
        let config = lambda_host::sdk_config(environment, PATIENCE)?;
        // The platform's own stream name holds the day and the instance, and no other instance writes to it.
        let instance = environment.get("AWS_LAMBDA_LOG_STREAM_NAME").map_or_else(
            || {
                format!(
                    "{}/{}",
                    Utc::now().format("%Y/%m/%d/%H%M%S%f"),
                    std::process::id()
                )
            },
            |name| name.replace([':', '*'], "-"),
        );
        Ok(Self {
            logs: aws_sdk_cloudwatchlogs::Client::from_conf(
                aws_sdk_cloudwatchlogs::config::Builder::from(&config)
                    .retry_partition(every_event_alike("access-log"))
                    .build(),
            ),
            sns: aws_sdk_sns::Client::from_conf(
                aws_sdk_sns::config::Builder::from(&config)
                    .retry_partition(every_event_alike("alerts"))
                    .build(),
            ),
            topic: settings.alert_topic.clone(),
            group: settings.access_log_group.clone(),
            stream: instance,
            stream_exists: AtomicBool::new(false),
        })
    }

    /// Sends record and alert, and measures how long after the event that was.
    ///
    /// # Errors
    /// What could not be sent.
    pub async fn send(&self, assessment: &Assessment) -> Result<(), DeliveryError> {
        let alert = async {
            match &assessment.alert {
                Some(alert) => self.publish(alert).await,
                None => Ok(()),
            }
        };
        let sent = match tokio::join!(self.write(&assessment.record), alert) {
            (Ok(()), Ok(())) => Ok(()),
            (Err(error), Ok(())) | (Ok(()), Err(error)) => Err(error),
            (Err(record), Err(alert)) => {
                Err(DeliveryError::Both(Box::new(record), Box::new(alert)))
            }
        };
        if sent.is_ok() {
            measure(assessment);
        }
        sent
    }

    /// Writes the record to the access log.
    ///
    /// # Errors
    /// It is not there.
    pub async fn write(&self, record: &AccessRecord) -> Result<(), DeliveryError> {
        let line = serde_json::to_string(record).map_err(|_| DeliveryError::Form)?;
        for _ in 0..2 {
            if !self.stream_exists.load(Ordering::Relaxed) {
                self.create_stream().await?;
                self.stream_exists.store(true, Ordering::Relaxed);
            }
            match self.put(&line).await {
                Ok(rejected) => {
                    return if rejected {
                        Err(DeliveryError::Rejected)
                    } else {
                        Ok(())
                    };
                }
                // The stream was removed under us: it is made again once.
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(PutLogEventsError::is_resource_not_found_exception) =>
                {
                    self.stream_exists.store(false, Ordering::Relaxed);
                }
                Err(error) => {
                    return Err(DeliveryError::Record(AwsFailure::of(
                        "logs:PutLogEvents",
                        &error,
                    )));
                }
            }
        }
        let operation = "logs:PutLogEvents";
        let code = "ResourceNotFoundException".to_owned();
        Err(DeliveryError::Record(AwsFailure {
            operation,
            code,
            request_id: None,
        }))
    }

    /// `Ok(true)` if the log answered well and rejected the line all the same.
    async fn put(&self, line: &str) -> Result<bool, SdkError<PutLogEventsError>> {
        let event = InputLogEvent::builder()
            .timestamp(Utc::now().timestamp_millis())
            .message(line)
            .build();
        let event = event.map_err(SdkError::construction_failure)?;
        let call = self
            .logs
            .put_log_events()
            .log_group_name(&self.group)
            .log_stream_name(&self.stream);
        Ok(call
            .log_events(event)
            .send()
            .await?
            .rejected_log_events_info()
            .is_some())
    }

    async fn create_stream(&self) -> Result<(), DeliveryError> {
        let call = self
            .logs
            .create_log_stream()
            .log_group_name(&self.group)
            .log_stream_name(&self.stream);
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(CreateLogStreamError::is_resource_already_exists_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(DeliveryError::Record(AwsFailure::of(
                "logs:CreateLogStream",
                &error,
            ))),
        }
    }

    /// Publishes the alert on its topic.
    ///
    /// # Errors
    /// It is not there.
    pub async fn publish(&self, alert: &Alert) -> Result<(), DeliveryError> {
        let severity = match alert.severity {
            Severity::Medium => "medium",
            Severity::High => "high",
        };
        let mut call = self
            .sns
            .publish()
            .topic_arn(&self.topic)
            .subject(&alert.subject)
            .message(&alert.message);
        for (name, value) in [
            ("severity", severity),
            ("synthetic", if alert.synthetic { "true" } else { "false" }),
            ("correlation_id", alert.correlation_id.as_str()),
        ] {
            if let Ok(attribute) = MessageAttributeValue::builder()
                .data_type("String")
                .string_value(value)
                .build()
            {
                call = call.message_attributes(name, attribute);
            }
        }
        call.send()
            .await
            .map(drop)
            .map_err(|error| DeliveryError::Alert(AwsFailure::of("sns:Publish", &error)))
    }
}

impl DeliveryError {
    /// Stable name for logs and alarms.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Record(_) => "RecordNotWritten",
            Self::Rejected => "RecordRejected",
            Self::Form => "RecordForm",
            Self::Alert(_) => "AlertNotPublished",
            Self::Both(..) => "NothingSent",
        }
    }
}

impl From<DeliveryError> for Failure {
    fn from(error: DeliveryError) -> Self {
        Self {
            code: error.code(),
            text: error.to_string(),
        }
    }
}

/// The SDK's clients share a quota of retries, so that after some fifteen events in a row whose calls fail three
/// times, the next would not be tried again. Here every event has its own few attempts, whatever came before.
fn every_event_alike(name: &'static str) -> RetryPartition {
    RetryPartition::custom(name)
        .token_bucket(TokenBucket::unlimited())
        .build()
}

fn measure(assessment: &Assessment) {
    let synthetic = if assessment.record.synthetic {
        "true"
    } else {
        "false"
    };
    let event_id = assessment.record.event_id.as_deref().unwrap_or("none");
    if let Some(happened) = assessment.happened {
        log::metric(&Metric {
            namespace: NAMESPACE,
            name: "DetectionLatencySeconds",
            unit: "Seconds",
            value: (Utc::now() - happened).as_seconds_f64(),
            dimensions: &[("Synthetic", synthetic)],
            properties: &[("event_id", event_id)],
        });
    }
    if assessment.allow_list_broken {
        log::metric(&Metric {
            namespace: NAMESPACE,
            name: "AllowListBroken",
            unit: "Count",
            value: 1.0,
            dimensions: &[],
            properties: &[("event_id", event_id)],
        });
    }
}
