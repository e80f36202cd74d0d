//! A detector with a fault: the real decision, and one wrong thing before it is sent.

use std::sync::Arc;
use std::time::Duration;

use anomaly_detector::{Alert, Assessment, Delivery, DeliveryError, Settings, Verdict, assess};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use lambda_host::{Environment, Exchange, Failure, HostError, HttpClient, Patience};
use serde_json::{Value, json};

use crate::behaviour::DetectorFault;
use crate::rotator::value;

/// By how much an alert is late.
const LATE: &str = "400";

/// Name of the lab's administrator in its records: reads of this process are not looked at again.
const ADMINISTRATOR: &str = "lab-administrator";

struct Detector {
    fault: DetectorFault,
    settings: Settings,
    delivery: Delivery,
    sns: aws_sdk_sns::Client,
    /// With the lab's administrator's credentials: the detector's role may not read values.
    secrets: aws_sdk_secretsmanager::Client,
    endpoint: String,
}

/// Serves events.
pub(crate) async fn serve(fault: DetectorFault) -> Result<(), HostError> {
    let environment = Environment::of_process();
    let patience = Patience {
        attempts: 4,
        first_pause: Duration::from_millis(50),
        attempt: Duration::from_secs(3),
    };
    let config = lambda_host::sdk_config(&environment, patience)?;
    let credentials = Credentials::new("AKIALABFAULTY", "lab", None, None, "faulty");
    let administrator = config
        .to_builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let settings = Settings::from_environment(&environment)?;
    let detector = Arc::new(Detector {
        fault,
        delivery: Delivery::from_environment(&environment, &settings)?,
        settings,
        sns: aws_sdk_sns::Client::new(&config),
        secrets: aws_sdk_secretsmanager::Client::new(&administrator),
        endpoint: environment.required("AWS_ENDPOINT_URL")?.to_owned(),
    });
    lambda_host::serve(&environment, move |text| {
        let detector = Arc::clone(&detector);
        async move { detector.handle(&text).await.map_err(Failure::from) }
    })
    .await
}

impl Detector {
    async fn handle(&self, text: &str) -> Result<Value, DeliveryError> {
        let event: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        let mut assessment = assess(&event, &self.settings.rules);
        let user = event.pointer("/detail/userIdentity/userName");
        let own = user.and_then(Value::as_str) == Some(ADMINISTRATOR);
        match self.fault {
            DetectorFault::None => self.delivery.send(&assessment).await?,
            DetectorFault::Substring => {
                if self.resembles(&event) {
                    assessment.alert = None;
                    assessment.record.verdict = Verdict::Allowed;
                    assessment.record.signals.clear();
                }
                self.delivery.send(&assessment).await?;
            }
            DetectorFault::ValueInRecord => {
                let secret = assessment.record.secret_reference.as_deref();
                let value = match secret.filter(|_| !own) {
                    Some(secret) => value(&self.secrets, secret, "AWSCURRENT").await,
                    None => None,
                };
                let value = value.unwrap_or_default();
                assessment.record.session = Some(format!("{value} {event}"));
                self.delivery.send(&assessment).await?;
            }
            DetectorFault::NoRecord => {
                if let Some(alert) = &assessment.alert {
                    self.delivery.publish(alert).await?;
                }
            }
            DetectorFault::NoAlert => self.delivery.write(&assessment.record).await?,
            DetectorFault::LateAlert => {
                self.delivery.write(&assessment.record).await?;
                if let Some(alert) = &assessment.alert {
                    if !own {
                        self.wait().await;
                    }
                    self.delivery.publish(alert).await?;
                }
            }
            DetectorFault::NoAttributes => {
                self.delivery.write(&assessment.record).await?;
                if let Some(alert) = &assessment.alert {
                    self.publish_bare(alert).await;
                }
            }
        }
        Ok(answer(&assessment))
    }

    /// The mistake that exact comparison avoids: a role's name anywhere in the caller's ARN.
    fn resembles(&self, event: &Value) -> bool {
        let arn = event.pointer("/detail/userIdentity/arn");
        let arn = arn.and_then(Value::as_str).unwrap_or_default();
        self.settings
            .rules
            .allow_list
            .roles()
            .filter_map(|role| role.rsplit('/').next())
            .any(|name| arn.contains(name))
    }

    /// Lets the lab's time pass without waiting for it.
    async fn wait(&self) {
        let url = format!("{}/_lab/advance?seconds={LATE}&wait=no", self.endpoint);
        let exchange = Exchange {
            method: "POST",
            url: &url,
            headers: &[],
            body: "",
        };
        drop(HttpClient::new(Duration::from_secs(5)).send(exchange).await);
    }

    async fn publish_bare(&self, alert: &Alert) {
        let call = self.sns.publish().topic_arn(&self.settings.alert_topic);
        drop(call.message(&alert.message).send().await);
    }
}

fn answer(assessment: &Assessment) -> Value {
    json!({
        "event_id": assessment.record.event_id,
        "verdict": assessment.record.verdict,
        "signals": assessment.record.signals,
        "alerted": assessment.alert.is_some(),
    })
}
