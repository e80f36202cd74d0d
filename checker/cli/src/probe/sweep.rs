//! The leak sweep: values that exist only for this are sent every way that a value can go, failures included, and then
//! everything that is written down is searched for them. A decoy that is planted on purpose must be found.

use std::collections::BTreeMap;

use aws_sdk_cloudtrail::types::LookupAttributeKey;
use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use aws_sdk_lambda::primitives::Blob;
use checker_core::duration::Duration;
use checker_core::expression::types::Known;
use checker_core::observation::Unseen;
use checker_core::probe::needle::{Search, forms};
use checker_core::probe::sweep::{Searched, Sweep, Way};
use checker_core::probe::{Actor, CLOUDTRAIL};
use serde_json::{Value as Json, json};

use super::clean_up::Undo;
use super::fence::{self, Fenced, TAG};
use super::scene::Scene;
use super::session::Clients;
use super::timeline::{Timeline, real};
use super::value::{Value, random};
use super::{history, logs};
use crate::aws::{incomplete, unseen};

/// How long a rotation may take.
const ROTATION: std::time::Duration = std::time::Duration::from_mins(10);
/// What a value that cannot be read begins with: JSON that never ends.
pub(super) const MALFORMED: &str = "{CNRY";

/// Plants, provokes, searches.
pub(super) async fn run(
    scene: &Scene,
    secret: &str,
    places: &[String],
    within: Duration,
) -> Result<Sweep, Unseen> {
    let checker = scene.checker().await?;
    let timeline = Timeline::begin();
    let mut planter = Planter {
        scene,
        checker: &checker,
        values: Vec::new(),
        ways: Vec::new(),
    };
    let alone = scene.changing.lock().await;
    let found = fence::secret(&checker, &scene.setting, secret).await?;
    scene.note(Undo::Labels {
        secret: secret.to_owned(),
    });
    planter.provoke(&found, secret).await?;
    drop(alone);
    timeline.mark("values were planted and sent every way");
    let Planter { values, ways, .. } = planter;
    let decoy = Value::new(&fresh("CNRY\"+/decoy-")?);
    let decoys: Vec<&'static str> = decoy.forms();
    let group = plant_decoys(scene, &checker, &decoy).await?;
    timeline.mark("decoys were planted");
    let search = Search::new(values.iter().map(Value::exposed)).map_err(not_built)?;
    let decoy_search = Search::new([decoy.exposed()]).map_err(not_built)?;
    let mut sweep = Swept::default();
    let mut received = Received::new();
    scene
        .waiting
        .until(real(within), async || {
            sweep = Swept::default();
            sweep
                .all(scene, &checker, places, &search, &mut received)
                .await;
            sweep.decoys(scene, &checker, &group, &decoy_search).await;
            (sweep.unsearched.is_empty() && sweep.has(&decoys)).then_some(())
        })
        .await;
    timeline.mark("everything was searched");
    let missing: Vec<&str> = decoys
        .iter()
        .copied()
        .filter(|form| !sweep.decoys.contains(form))
        .collect();
    let not_taken: Vec<String> = ways
        .iter()
        .filter(|way| !way.taken)
        .map(|way| format!("{} ({})", way.what, way.end))
        .collect();
    let findings = if !sweep.findings.is_empty() {
        // What was found is a finding, whatever was not searched.
        Known::Known(sweep.findings)
    } else if !missing.is_empty() {
        Known::Unknown(format!(
            "the planted decoy was not found ({}): the search proves nothing",
            missing.join(", ")
        ))
    } else if !sweep.unsearched.is_empty() {
        Known::Unknown(sweep.unsearched.join("; "))
    } else if !not_taken.is_empty() {
        Known::Unknown(format!("not every way was taken: {}", not_taken.join("; ")))
    } else {
        Known::Known(Vec::new())
    };
    Ok(Sweep {
        secret: found.arn,
        values: i64::try_from(values.len()).unwrap_or(i64::MAX),
        ways,
        places: sweep.places,
        decoys: decoys.iter().map(|form| (*form).to_owned()).collect(),
        findings,
        timeline: timeline.marks(),
    })
}

/// Sends values every way.
struct Planter<'a> {
    scene: &'a Scene,
    checker: &'a Clients,
    values: Vec<Value>,
    ways: Vec<Way>,
}

impl Planter<'_> {
    async fn provoke(&mut self, secret: &Fenced, name: &str) -> Result<(), Unseen> {
        let arn = &secret.arn;
        self.read(arn, "AWSCURRENT", "the value before").await;
        // A value that cannot be read, current and pending, on which the function must fail.
        let unreadable = format!("{}\"{}", MALFORMED, fresh("-")?);
        self.store(arn, &unreadable, &["AWSCURRENT"]).await?;
        let pending = format!("{}\"{}", MALFORMED, fresh("-")?);
        let version = self.store(arn, &pending, &["AWSPENDING"]).await?;
        for (step, token) in [
            ("testSecret", version.as_str()),
            ("createSecret", "00000000-0000-0000-0000-000000000000"),
            ("noSuchStep", version.as_str()),
        ] {
            self.fail(arn, step, token).await;
        }
        // A value that works, and is awkward to quote, rotated by the service.
        let good = format!("CNRY\"+/{}", fresh("")?);
        self.store(arn, &good, &["AWSCURRENT", "AWSPENDING"])
            .await?;
        self.rotate(secret, name).await;
        self.read(arn, "AWSCURRENT", "the value that the rotation made")
            .await;
        self.examine(arn).await;
        Ok(())
    }

    /// Stores a value and remembers it.
    async fn store(&mut self, arn: &str, text: &str, labels: &[&str]) -> Result<String, Unseen> {
        let operation = "secretsmanager:PutSecretValue";
        self.values.push(Value::new(text));
        let mut call = self
            .checker
            .secrets
            .put_secret_value()
            .secret_id(arn)
            .secret_string(text);
        for label in labels {
            call = call.version_stages(*label);
        }
        let stored = call
            .send()
            .await
            .map_err(|error| unseen(operation, &error))?;
        let version = stored
            .version_id()
            .ok_or_else(|| incomplete(operation, "VersionId"))?;
        self.way(
            format!("a value was stored as {}", labels.join(" and ")),
            true,
            "stored",
        );
        Ok(version.to_owned())
    }

    /// Reads a value, to be searched for as well.
    async fn read(&mut self, arn: &str, label: &str, what: &str) {
        let read = async {
            let reader = self.scene.clients(&Actor::Reader).await?;
            let operation = "secretsmanager:GetSecretValue";
            let answer = reader
                .secrets
                .get_secret_value()
                .secret_id(arn)
                .version_stage(label)
                .send()
                .await
                .map_err(|error| unseen(operation, &error))?;
            let text = answer.secret_string();
            text.map(Value::new)
                .ok_or_else(|| incomplete(operation, "SecretString"))
        };
        match read.await {
            Ok(value) => {
                self.values.push(value);
                self.way(format!("{what} was read"), true, "read");
            }
            Err(unseen) => self.way(format!("{what} was read"), false, &unseen.code),
        }
    }

    /// Invokes the rotation function so that it must fail.
    async fn fail(&mut self, arn: &str, step: &str, token: &str) {
        let setting = &self.scene.setting;
        let event = json!({"Step": step, "SecretId": arn, "ClientRequestToken": token});
        let answer = self
            .checker
            .lambda
            .invoke()
            .function_name(setting.organisation.rotation_function(&setting.stage))
            .payload(Blob::new(event.to_string()))
            .send()
            .await;
        let what = format!("the rotation function was made to fail in {step}");
        match answer {
            Ok(answer) => {
                let error = answer.function_error();
                // What it answers is searched as well: an error text goes to the caller and to queues.
                let text = answer.payload().map(Blob::as_ref).unwrap_or_default();
                self.scene.keep_answer(
                    &format!("the answer of {step}"),
                    &String::from_utf8_lossy(text),
                );
                self.way(what, error.is_some(), error.unwrap_or("it did not fail"));
            }
            Err(error) => {
                let code = unseen("lambda:InvokeFunction", &error).code;
                self.way(what, false, &code);
            }
        }
    }

    async fn rotate(&mut self, secret: &Fenced, name: &str) {
        let operation = "secretsmanager:RotateSecret";
        let what = "the service rotated a planted value".to_owned();
        let answer = self
            .checker
            .secrets
            .rotate_secret()
            .secret_id(&secret.arn)
            .send()
            .await;
        let version = match answer {
            Ok(answer) => answer.version_id().unwrap_or_default().to_owned(),
            Err(error) => {
                let code = unseen(operation, &error).code;
                return self.way(what, false, &code);
            }
        };
        let moved = self
            .scene
            .waiting
            .until(ROTATION, async || {
                let now = fence::secret(self.checker, &self.scene.setting, name).await;
                now.ok()
                    .filter(|now| now.holder("AWSCURRENT") == Some(&version))
            })
            .await;
        self.way(
            what,
            moved.is_some(),
            if moved.is_some() {
                "rotated"
            } else {
                "not rotated in time"
            },
        );
    }

    /// Invokes the detector with an event that holds values where none belongs.
    async fn examine(&mut self, arn: &str) {
        let setting = &self.scene.setting;
        let values: Vec<&str> = self.values.iter().map(Value::exposed).collect();
        let detail = json!({
            "eventSource": "secretsmanager.amazonaws.com",
            "eventName": "GetSecretValue",
            "eventTime": self.scene.waiting.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            "awsRegion": setting.region,
            "recipientAccountId": setting.account,
            "requestID": "probe-sweep",
            "eventID": format!("event-probe-sweep-{}", random(12).unwrap_or_default()),
            "requestParameters": {"secretId": arn, "secretString": values, "clientRequestToken": values},
            "responseElements": {"secretString": values.first(), "nested": {"password": values.last()}},
            "errorMessage": format!("the value was {}", values.last().copied().unwrap_or_default()),
            "additionalEventData": {"values": values},
        });
        let event = json!({
            "version": "0", "id": "probe-sweep", "source": "bank.synthetic", "detail-type": "Synthetic access",
            "account": setting.account, "region": setting.region, "resources": [], "detail": detail,
        });
        let mut broken = event.clone();
        if let Some(members) = broken.as_object_mut() {
            members.insert(
                "detail".to_owned(),
                json!({"eventName": {"not": values}, "eventTime": values}),
            );
        }
        for (what, event) in [("an event", event), ("a broken event", broken)] {
            let answer = self
                .checker
                .lambda
                .invoke()
                .function_name(setting.organisation.detector(&setting.stage))
                .payload(Blob::new(Json::to_string(&event)))
                .send()
                .await;
            let what = format!("the detector examined {what} with values in it");
            match answer {
                Ok(answer) => {
                    let text = answer.payload().map(Blob::as_ref).unwrap_or_default();
                    self.scene
                        .keep_answer("the answer of the detector", &String::from_utf8_lossy(text));
                    self.ways.push(Way {
                        what,
                        taken: true,
                        end: answer.function_error().unwrap_or("examined").to_owned(),
                    });
                }
                Err(error) => {
                    let code = unseen("lambda:InvokeFunction", &error).code;
                    self.ways.push(Way {
                        what,
                        taken: false,
                        end: code,
                    });
                }
            }
        }
    }

    fn way(&mut self, what: String, taken: bool, end: &str) {
        self.ways.push(Way {
            what,
            taken,
            end: end.to_owned(),
        });
    }
}

/// Writes the decoy in every form into a log group of its own.
async fn plant_decoys(scene: &Scene, checker: &Clients, decoy: &Value) -> Result<String, Unseen> {
    let setting = &scene.setting;
    let group = format!(
        "{}-{}",
        setting.organisation.decoys(&setting.stage),
        fresh("")?.to_lowercase()
    );
    scene.note(Undo::Decoys {
        group: group.clone(),
    });
    checker
        .logs
        .create_log_group()
        .log_group_name(&group)
        .tags(TAG, "true")
        .send()
        .await
        .map_err(|error| unseen("logs:CreateLogGroup", &error))?;
    checker
        .logs
        .create_log_stream()
        .log_group_name(&group)
        .log_stream_name("decoys")
        .send()
        .await
        .map_err(|error| unseen("logs:CreateLogStream", &error))?;
    let mut call = checker
        .logs
        .put_log_events()
        .log_group_name(&group)
        .log_stream_name("decoys");
    for needle in forms(decoy.exposed()) {
        let text = String::from_utf8_lossy(&needle.text);
        let event = InputLogEvent::builder()
            .timestamp(scene.waiting.now().timestamp_millis())
            .message(format!("decoy {text} planted by the compliance probes"))
            .build()
            .map_err(|_error| incomplete("logs:PutLogEvents", "logEvents"))?;
        call = call.log_events(event);
    }
    let put = call
        .send()
        .await
        .map_err(|error| unseen("logs:PutLogEvents", &error))?;
    match put.rejected_log_events_info() {
        None => Ok(group),
        Some(_) => Err(incomplete("logs:PutLogEvents", "decoys")),
    }
}

/// What queues handed out, by queue and message: a second look does not see what the first one read, because that is
/// hidden for a while.
type Received = BTreeMap<String, BTreeMap<String, String>>;

/// What a search came to.
#[derive(Default)]
struct Swept {
    places: Vec<Searched>,
    findings: Vec<String>,
    unsearched: Vec<String>,
    decoys: Vec<&'static str>,
}

impl Swept {
    fn has(&self, decoys: &[&'static str]) -> bool {
        decoys.iter().all(|form| self.decoys.contains(form))
    }

    async fn all(
        &mut self,
        scene: &Scene,
        checker: &Clients,
        places: &[String],
        search: &Search,
        received: &mut Received,
    ) {
        for place in places {
            let texts = if place.starts_with('/') {
                log(scene, checker, place).await
            } else if place == CLOUDTRAIL {
                trail(scene, checker).await
            } else if *place == scene.setting.organisation.probe_queue(&scene.setting.stage) {
                mail(scene, checker).await
            } else {
                queue(checker, place, received.entry(place.clone()).or_default()).await
            };
            match texts {
                Ok(texts) => self.search(place, &texts, search),
                Err(unseen) => self.unsearched.push(format!("{place}: {unseen}")),
            }
        }
        self.search("answers", &scene.kept_answers(), search);
    }

    fn search(&mut self, place: &str, texts: &[(String, String)], search: &Search) {
        self.places.push(Searched {
            name: place.to_owned(),
            entries: i64::try_from(texts.len()).unwrap_or(i64::MAX),
        });
        for (at, text) in texts {
            for form in search.in_text(text) {
                self.findings.push(format!("{place}, {at}: {form}"));
            }
        }
    }

    async fn decoys(&mut self, scene: &Scene, checker: &Clients, group: &str, search: &Search) {
        match log(scene, checker, group).await {
            Ok(texts) => {
                for (_, text) in &texts {
                    self.decoys.extend(search.in_text(text));
                }
            }
            Err(unseen) => self.unsearched.push(format!("{group}: {unseen}")),
        }
    }
}

type Texts = Result<Vec<(String, String)>, Unseen>;

async fn log(scene: &Scene, checker: &Clients, group: &str) -> Texts {
    let entries = logs::entries(scene, checker, group).await?;
    Ok(entries
        .into_iter()
        .map(|entry| (entry.place, entry.text))
        .collect())
}

async fn trail(scene: &Scene, checker: &Clients) -> Texts {
    let calls = history::lookup(
        checker,
        LookupAttributeKey::EventSource,
        "secretsmanager.amazonaws.com",
        scene.begun,
    )
    .await?;
    Ok(calls
        .into_iter()
        .map(|call| (format!("{} {}", call.name, call.id), call.text))
        .collect())
}

/// Everything that came to the probes' queue: notifications and events.
async fn mail(scene: &Scene, checker: &Clients) -> Texts {
    scene.mailbox.collect(checker).await?;
    Ok(scene
        .mailbox
        .letters()
        .iter()
        .enumerate()
        .map(|(at, letter)| {
            let attributes: Vec<&str> = letter.attributes.values().map(String::as_str).collect();
            let text = format!("{} {}", letter.text, attributes.join(" "));
            (format!("message {}", at + 1), text)
        })
        .collect())
}

/// Another queue: what is there becomes visible again after a moment. What was read before something failed is kept.
async fn queue(checker: &Clients, name: &str, received: &mut BTreeMap<String, String>) -> Texts {
    let found = checker
        .sqs
        .get_queue_url()
        .queue_name(name)
        .send()
        .await
        .map_err(|error| unseen("sqs:GetQueueUrl", &error))?;
    let operation = "sqs:ReceiveMessage";
    // Ten at a time, until the queue shows no more; each stays hidden for two minutes only.
    for _ in 0..1000 {
        let page = checker
            .sqs
            .receive_message()
            .set_queue_url(found.queue_url().map(str::to_owned))
            .max_number_of_messages(10)
            .visibility_timeout(120)
            .message_attribute_names("All")
            .send()
            .await
            .map_err(|error| unseen(operation, &error))?;
        if page.messages().is_empty() {
            let texts = received.iter();
            return Ok(texts
                .map(|(id, text)| (format!("message {id}"), text.clone()))
                .collect());
        }
        for message in page.messages() {
            let id = message
                .message_id()
                .ok_or_else(|| incomplete(operation, "MessageId"))?;
            received.insert(id.to_owned(), message.body().unwrap_or_default().to_owned());
        }
    }
    Err(Unseen {
        operation: operation.to_owned(),
        code: "TooMuch".to_owned(),
        advice: format!("{name} holds more than 10,000 messages"),
    })
}

fn fresh(prefix: &str) -> Result<String, Unseen> {
    random(26)
        .map(|text| format!("{prefix}{text}"))
        .ok_or_else(|| Unseen {
            operation: "probe".to_owned(),
            code: "NoRandomness".to_owned(),
            advice: "the system has no randomness".to_owned(),
        })
}

fn not_built<E>(_error: E) -> Unseen {
    Unseen {
        operation: "probe".to_owned(),
        code: "SearchNotBuilt".to_owned(),
        advice: "the search for the values could not be built".to_owned(),
    }
}
