//! Provoked alerts: the pattern asked, the function invoked, the bus fed, and a secret really read by somebody who must
//! not go unnoticed. Each layer proves what the one before cannot.

use std::rc::Rc;

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_secretsmanager::operation::RequestId as _;
use checker_core::duration::Duration;
use checker_core::expression::types::Known;
use checker_core::observation::{Time, Unseen};
use checker_core::probe::Actor;
use checker_core::probe::anomaly::{Alarm, Anomaly, Bus, Canary, Pattern};
use chrono::SecondsFormat;
use serde_json::{Value as Json, json};

use super::fence;
use super::mailbox::Letter;
use super::records::{self, Expected};
use super::scene::Scene;
use super::session::Clients;
use super::timeline::{Timeline, real};
use super::value::{Value, random};
use crate::aws::{incomplete, unseen};

/// Source of the probes' own events; AWS's own cannot be used by anybody else.
const SOURCE: &str = "bank.synthetic";

/// A provoked event that must lead to an alert.
struct Provoked {
    request: String,
    at: Time,
}

/// Provokes alerts and tells what came of them.
pub(super) async fn run(
    scene: &Scene,
    secret: &str,
    runs: u32,
    within: Duration,
) -> Result<Anomaly, Unseen> {
    let checker = scene.checker().await?;
    let canary_secret = fence::secret(&checker, &scene.setting, secret).await?;
    let timeline = Timeline::begin();
    let stage = Provoker {
        scene,
        checker: &checker,
        secret: &canary_secret.arn,
        timeline: &timeline,
    };
    scene.send_control_message(&checker).await?;
    let rule = known(stage.rule().await);
    let (direct, direct_error) = stage.invoke("direct", false).await;
    let (bus, refused, codes) = stage.put_event().await;
    let impostor = if scene.waiting.is_lab() {
        Some(stage.invoke("impostor", true).await)
    } else {
        None
    };
    let reads = stage.read(runs).await;
    let mut waiting: Vec<&Provoked> = vec![&direct];
    waiting.extend(bus.as_ref());
    waiting.extend(impostor.as_ref().map(|(provoked, _)| provoked));
    if let Ok((reads, _)) = &reads {
        waiting.extend(reads);
    }
    // Twice as long as an alert may take: what comes late is seen as late, not as lost.
    let patience = real(within).saturating_mul(2);
    scene
        .waiting
        .until(patience, async || {
            drop(scene.mailbox.collect(&checker).await);
            waiting
                .iter()
                .all(|provoked| alert(scene, &provoked.request).is_some())
                .then_some(())
        })
        .await;
    timeline.mark("the alerts were received");
    let control_message = scene.control_message_arrived(&checker).await;
    let arrivals = Arrivals {
        scene,
        control_message,
    };
    let records = stage
        .records(
            &direct,
            bus.as_ref(),
            reads.as_ref().ok(),
            scene.waiting.arrival(),
        )
        .await;
    timeline.mark("the access records were read");
    let bus_alarm = arrivals.of(bus.as_ref(), None);
    Ok(Anomaly {
        secret: canary_secret.arn.clone(),
        rule,
        direct: arrivals.of(Some(&direct), direct_error),
        bus: Bus {
            refused,
            codes,
            alerted: bus_alarm.alerted,
            marked: bus_alarm.marked,
            latency: bus_alarm.latency,
        },
        canary: match &reads {
            Ok((reads, _)) => Known::Known(arrivals.canary(reads)),
            Err(reason) => Known::Unknown(reason.to_string()),
        },
        impostor_tried: impostor.is_some(),
        impostor: match impostor {
            Some((provoked, error)) => arrivals.of(Some(&provoked), error),
            None => arrivals.of(None, None),
        },
        control_message,
        records,
        timeline: timeline.marks(),
    })
}

/// The alert about a request, if it arrived.
fn alert(scene: &Scene, request: &str) -> Option<Rc<Letter>> {
    scene.mailbox.find(|letter| {
        let text = |pointer: &str| letter.body.pointer(pointer).and_then(Json::as_str);
        text("/record/request_id") == Some(request)
            || letter.attributes.get("correlation_id").map(String::as_str) == Some(request)
    })
}

/// Makes events.
struct Provoker<'a> {
    scene: &'a Scene,
    checker: &'a Clients,
    secret: &'a str,
    timeline: &'a Timeline,
}

impl Provoker<'_> {
    /// State and pattern of the deployed rule.
    async fn rule(&self) -> Result<Pattern, Unseen> {
        let setting = &self.scene.setting;
        let operation = "events:DescribeRule";
        let rule = self
            .checker
            .events
            .describe_rule()
            .name(setting.organisation.detector(&setting.stage))
            .send()
            .await
            .map_err(|error| unseen(operation, &error))?;
        let pattern = rule
            .event_pattern()
            .ok_or_else(|| incomplete(operation, "EventPattern"))?;
        let state = rule.state().ok_or_else(|| incomplete(operation, "State"))?;
        let event = self.envelope("aws.secretsmanager", &self.record("pattern", false));
        let operation = "events:TestEventPattern";
        let matched = self
            .checker
            .events
            .test_event_pattern()
            .event_pattern(pattern)
            .event(event.to_string())
            .send()
            .await
            .map_err(|error| unseen(operation, &error))?;
        Ok(Pattern {
            state: state.as_str().to_owned(),
            catches: matched.result(),
        })
    }

    /// Invokes the detector with a labelled event, or with one that only says so itself.
    async fn invoke(&self, name: &str, impostor: bool) -> (Provoked, Option<String>) {
        let setting = &self.scene.setting;
        let request = self.request(name);
        let source = if impostor {
            "aws.secretsmanager"
        } else {
            SOURCE
        };
        let event = self.envelope(source, &self.record(&request, impostor));
        let provoked = Provoked {
            request,
            at: self.scene.waiting.now(),
        };
        let answer = self
            .checker
            .lambda
            .invoke()
            .function_name(setting.organisation.detector(&setting.stage))
            .payload(Blob::new(event.to_string()))
            .send()
            .await;
        self.timeline
            .mark(format!("the detector was invoked ({name})"));
        let error = match answer {
            Ok(answer) => answer.function_error().map(str::to_owned),
            Err(error) => Some(unseen("lambda:InvokeFunction", &error).code),
        };
        (provoked, error)
    }

    /// Puts an event on the bus; refusals hide in an answer that looks like success.
    async fn put_event(&self) -> (Option<Provoked>, Known<i64>, Vec<String>) {
        let request = self.request("bus");
        let entry = PutEventsRequestEntry::builder()
            .source(SOURCE)
            .detail_type("Synthetic access")
            .detail(self.record(&request, false).to_string())
            .build();
        let provoked = Provoked {
            request,
            at: self.scene.waiting.now(),
        };
        let answer = self.checker.events.put_events().entries(entry).send().await;
        self.timeline.mark("a synthetic event was put on the bus");
        match answer {
            Ok(answer) => {
                let codes: Vec<String> = answer
                    .entries()
                    .iter()
                    .filter_map(|entry| entry.error_code().map(str::to_owned))
                    .collect();
                let refused = i64::from(answer.failed_entry_count());
                let provoked = (refused == 0).then_some(provoked);
                (provoked, Known::Known(refused), codes)
            }
            Err(error) => {
                let reason = unseen("events:PutEvents", &error).to_string();
                (None, Known::Unknown(reason), Vec::new())
            }
        }
    }

    /// Reads the canary secret as the canary role.
    async fn read(&self, runs: u32) -> Result<(Vec<Provoked>, Vec<Value>), Unseen> {
        let canary = self.scene.clients(&Actor::Canary).await?;
        let operation = "secretsmanager:GetSecretValue";
        let (mut reads, mut values) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            let at = self.scene.waiting.now();
            let answer = canary
                .secrets
                .get_secret_value()
                .secret_id(self.secret)
                .version_stage("AWSCURRENT")
                .send()
                .await
                .map_err(|error| unseen(operation, &error))?;
            self.timeline.mark("the canary secret was read");
            let request = answer
                .request_id()
                .ok_or_else(|| incomplete(operation, "RequestId"))?
                .to_owned();
            values.extend(answer.secret_string().map(Value::new));
            reads.push(Provoked { request, at });
        }
        Ok((reads, values))
    }

    async fn records(
        &self,
        direct: &Provoked,
        bus: Option<&Provoked>,
        reads: Option<&(Vec<Provoked>, Vec<Value>)>,
        patience: std::time::Duration,
    ) -> Known<checker_core::probe::anomaly::Records> {
        let canary = self.canary_role();
        let expected: Vec<Expected> = [Some(direct), bus]
            .into_iter()
            .flatten()
            .chain(reads.into_iter().flat_map(|(reads, _)| reads))
            .map(|provoked| Expected {
                request: provoked.request.clone(),
                identity: canary.clone(),
                secret: self.secret.to_owned(),
                event: "GetSecretValue".to_owned(),
            })
            .collect();
        let real_reads: Vec<String> = reads
            .into_iter()
            .flat_map(|(reads, _)| reads)
            .map(|read| read.request.clone())
            .collect();
        let values: Vec<&Value> = reads.into_iter().flat_map(|(_, values)| values).collect();
        known(
            records::check(
                self.scene,
                self.checker,
                &expected,
                &real_reads,
                &values,
                patience,
            )
            .await,
        )
    }

    fn request(&self, name: &str) -> String {
        format!(
            "probe-{name}-{}",
            random(20).unwrap_or_else(|| self.scene.waiting.now().timestamp_micros().to_string())
        )
    }

    fn canary_role(&self) -> String {
        let setting = &self.scene.setting;
        let name = setting.organisation.canary_role(&setting.stage);
        format!("arn:aws:iam::{}:role/{name}", setting.account)
    }

    /// A record as `CloudTrail` writes it. An impostor's says of itself that it is synthetic, in every way it can.
    fn record(&self, request: &str, impostor: bool) -> Json {
        let setting = &self.scene.setting;
        let (account, stage) = (&setting.account, &setting.stage);
        let name = if impostor {
            format!("{}default-{stage}", setting.organisation.namespace)
        } else {
            setting.organisation.canary_role(stage)
        };
        let now = self.scene.waiting.now();
        let mut record = json!({
            "eventVersion": "1.11",
            "userIdentity": {
                "type": "AssumedRole",
                "arn": format!("arn:aws:sts::{account}:assumed-role/{name}/checker-probe"),
                "accountId": account,
                "sessionContext": {"sessionIssuer": {
                    "type": "Role",
                    "arn": format!("arn:aws:iam::{account}:role/{name}"),
                    "accountId": account,
                    "userName": name,
                }},
            },
            "eventTime": now.to_rfc3339_opts(SecondsFormat::Secs, true),
            "eventSource": "secretsmanager.amazonaws.com",
            "eventName": "GetSecretValue",
            "awsRegion": setting.region,
            "sourceIPAddress": "192.0.2.1",
            "userAgent": if impostor { SOURCE } else { "checker-probe" },
            "requestParameters": {"secretId": self.secret},
            "responseElements": null,
            "requestID": request,
            "eventID": format!("event-{request}"),
            "readOnly": true,
            "eventType": "AwsApiCall",
            "managementEvent": true,
            "recipientAccountId": account,
        });
        if impostor && let Some(members) = record.as_object_mut() {
            members.insert("synthetic".to_owned(), true.into());
            members.insert("source".to_owned(), SOURCE.into());
            members.insert(
                "additionalEventData".to_owned(),
                json!({"synthetic": "true"}),
            );
        }
        record
    }

    fn envelope(&self, source: &str, record: &Json) -> Json {
        let setting = &self.scene.setting;
        json!({
            "version": "0",
            "id": record.get("eventID"),
            "detail-type": "AWS API Call via CloudTrail",
            "source": source,
            "account": setting.account,
            "time": record.get("eventTime"),
            "region": setting.region,
            "resources": [],
            "detail": record,
        })
    }
}

/// What arrived of what was provoked.
struct Arrivals<'a> {
    scene: &'a Scene,
    control_message: bool,
}

impl Arrivals<'_> {
    /// A missing alert is a finding only when the way to the queue is known to work.
    fn missing(&self) -> Known<bool> {
        if self.control_message {
            Known::Known(false)
        } else {
            Known::Unknown(
                "neither the alert nor the probe's own message to the topic arrived: the way to the probes' queue is broken"
                    .to_owned(),
            )
        }
    }

    fn of(&self, provoked: Option<&Provoked>, error: Option<String>) -> Alarm {
        let Some(provoked) = provoked else {
            let reason = "nothing was provoked".to_owned();
            return Alarm {
                alerted: Known::Unknown(reason.clone()),
                marked: Known::Unknown(reason.clone()),
                latency: Known::Unknown(reason),
                error,
            };
        };
        match alert(self.scene, &provoked.request) {
            Some(letter) => Alarm {
                alerted: Known::Known(true),
                marked: Known::Known(is_marked(&letter)),
                latency: latency(&letter, provoked),
                error,
            },
            None => Alarm {
                alerted: self.missing(),
                marked: Known::Unknown("no alert arrived".to_owned()),
                latency: Known::Unknown("no alert arrived".to_owned()),
                error,
            },
        }
    }

    fn canary(&self, reads: &[Provoked]) -> Canary {
        let mut canary = Canary {
            reads: i64::try_from(reads.len()).unwrap_or(i64::MAX),
            missing: Vec::new(),
            alerted: Known::Unknown("nothing was read".to_owned()),
            marked: Known::Unknown("no alert arrived".to_owned()),
            latencies: Vec::new(),
            longest: Known::Unknown("no alert arrived".to_owned()),
        };
        let mut marked = true;
        for read in reads {
            match alert(self.scene, &read.request) {
                Some(letter) => {
                    marked &= is_marked(&letter);
                    match latency(&letter, read) {
                        Known::Known(latency) => canary.latencies.push(latency),
                        unknown @ Known::Unknown(_) => canary.longest = unknown,
                    }
                }
                None => canary.missing.push(read.request.clone()),
            }
        }
        if !reads.is_empty() {
            canary.alerted = if canary.missing.is_empty() {
                Known::Known(true)
            } else {
                self.missing()
            };
        }
        if canary.missing.len() < reads.len() {
            canary.marked = Known::Known(marked);
        }
        if canary.latencies.len() == reads.len()
            && let Some(longest) = canary.latencies.iter().max()
        {
            canary.longest = Known::Known(*longest);
        }
        canary
    }
}

fn is_marked(letter: &Letter) -> bool {
    letter.attributes.get("synthetic").map(String::as_str) == Some("true")
}

/// From `CloudTrail`'s time of the event, as the alert gives it, to the queue's.
fn latency(letter: &Letter, provoked: &Provoked) -> Known<Duration> {
    let happened = letter
        .body
        .pointer("/record/event_time")
        .and_then(Json::as_str)
        .and_then(|text| text.parse::<Time>().ok());
    // An alert that claims to be about another time is measured from when the event was made.
    let happened = happened
        .filter(|time| (*time - provoked.at).num_seconds().abs() < 60)
        .unwrap_or(provoked.at);
    match letter.sent {
        Some(sent) => Known::Known(Duration::from(sent - happened)),
        None => Known::Unknown("the queue did not say when the alert arrived".to_owned()),
    }
}

fn known<T>(found: Result<T, Unseen>) -> Known<T> {
    match found {
        Ok(value) => Known::Known(value),
        Err(unseen) => Known::Unknown(unseen.to_string()),
    }
}
