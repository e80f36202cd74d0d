//! A Secrets Manager with one region and no permissions, over HTTP on a loopback port.
//!
//! It knows the five calls that a rotation makes and the rules that a rotation depends on. What goes wrong
//! with a call is up to the [`Script`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambda_host::{Environment, Patience};
use rotation::Rotator;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::script::{Fate, Script};

#[derive(Debug, Clone, Default)]
pub(crate) struct Version {
    pub(crate) text: Option<String>,
    pub(crate) binary: Option<String>,
    pub(crate) labels: BTreeSet<String>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Secret {
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) rotation_enabled: Option<bool>,
    pub(crate) versions: BTreeMap<String, Version>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) secrets: BTreeMap<String, Secret>,
    pub(crate) calls: Vec<(String, Value)>,
    /// How many reads of a pending value find nothing although it is stored.
    pub(crate) stale_reads: usize,
    /// What goes wrong at any call, also elsewhere.
    pub(crate) script: Script,
}

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) rotator: Rotator,
    pub(crate) url: String,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With further settings of the function.
    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let serving = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        let base = [
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_ENDPOINT_URL", url.as_str()),
        ];
        let environment: Environment = base.iter().chain(settings).copied().collect();
        let patience = Patience {
            attempts: 1,
            first_pause: Duration::from_millis(1),
            attempt: Duration::from_secs(5),
        };
        let config = lambda_host::sdk_config(&environment, patience).unwrap();
        let mut rotator = Rotator::from_environment(&environment).unwrap();
        rotator.secrets = aws_sdk_secretsmanager::Client::new(&config);
        rotator.settle = Duration::from_millis(1);
        Self {
            state,
            rotator,
            url,
        }
    }

    /// A secret of a type; `current` is its first value, if it has one.
    pub(crate) fn add(&self, id: &str, kind: &str, current: Option<&str>) {
        let mut secret = Secret {
            tags: BTreeMap::from([("secret_type".to_owned(), kind.to_owned())]),
            rotation_enabled: Some(true),
            versions: BTreeMap::new(),
        };
        if let Some(current) = current {
            let labels = BTreeSet::from(["AWSCURRENT".to_owned()]);
            let version = Version {
                text: Some(current.to_owned()),
                binary: None,
                labels,
            };
            secret.versions.insert("v-first".to_owned(), version);
        }
        self.state
            .lock()
            .unwrap()
            .secrets
            .insert(id.to_owned(), secret);
    }

    /// What the service does before the first step: an empty version with the label.
    pub(crate) fn stage(&self, id: &str, token: &str) {
        self.edit(id, |secret| {
            for version in secret.versions.values_mut() {
                version.labels.remove("AWSPENDING");
            }
            secret
                .versions
                .entry(token.to_owned())
                .or_default()
                .labels
                .insert("AWSPENDING".to_owned());
        });
    }

    pub(crate) fn edit<T>(&self, id: &str, change: impl FnOnce(&mut Secret) -> T) -> T {
        change(self.state.lock().unwrap().secrets.get_mut(id).unwrap())
    }

    /// The value under a label.
    pub(crate) fn text(&self, id: &str, label: &str) -> Option<String> {
        self.edit(id, |secret| {
            secret
                .versions
                .values()
                .find(|version| version.labels.contains(label))
                .and_then(|v| v.text.clone())
        })
    }

    pub(crate) fn holder(&self, id: &str, label: &str) -> Option<String> {
        self.edit(id, |secret| {
            let found = secret
                .versions
                .iter()
                .find(|(_, version)| version.labels.contains(label));
            found.map(|(id, _)| id.clone())
        })
    }

    /// One step, as the service would ask for it.
    pub(crate) async fn step(
        &self,
        id: &str,
        token: &str,
        step: &str,
    ) -> Result<Value, rotation::RotationError> {
        let event = json!({"Step": step, "SecretId": id, "ClientRequestToken": token, "RotationToken": "rt-1"});
        rotation::handle(&self.rotator, &event.to_string()).await
    }

    /// All four steps; stops at the first that fails, as the service does.
    pub(crate) async fn rotate(
        &self,
        id: &str,
        token: &str,
    ) -> Result<(), rotation::RotationError> {
        if self
            .holder(id, "AWSPENDING")
            .is_none_or(|holder| holder != token)
        {
            self.stage(id, token);
        }
        for step in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
            self.step(id, token, step).await?;
        }
        Ok(())
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut buffer = Vec::new();
    loop {
        let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
            continue;
        };
        let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
        let header = |name: &str| {
            head.lines()
                .find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned))
                .unwrap_or_default()
        };
        let length: usize = header("content-length").parse().unwrap();
        while buffer.len() < end + 4 + length {
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let body: Value = serde_json::from_slice(&buffer[end + 4..end + 4 + length]).unwrap();
        buffer.drain(..end + 4 + length);
        let operation = header("x-amz-target")
            .rsplit('.')
            .next()
            .unwrap()
            .to_owned();
        let script = state.lock().unwrap().script.clone();
        let fate = script.arrive();
        let refused = ("AccessDeniedException", "CANARY message");
        let answered = match fate {
            Some(Fate::Refused | Fate::KilledBefore) => Err(refused),
            None | Some(Fate::Lost | Fate::KilledAfter) => {
                answer(&mut state.lock().unwrap(), &operation, &body)
            }
        };
        let answered = match fate {
            Some(Fate::KilledBefore | Fate::KilledAfter) => {
                script.kill();
                return;
            }
            Some(Fate::Lost) => Err(refused),
            None | Some(Fate::Refused) => answered,
        };
        let (status, answer) = match answered {
            Ok(answer) => ("200 OK", answer),
            Err((code, message)) => (
                "400 Bad Request",
                json!({"__type": code, "message": message}),
            ),
        };
        let answer = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.1\r\nx-amzn-requestid: r-1\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        if stream
            .write_all(format!("{head}{answer}").as_bytes())
            .await
            .is_err()
        {
            return;
        }
    }
}

type Refusal = (&'static str, &'static str);

fn answer(state: &mut State, operation: &str, body: &Value) -> Result<Value, Refusal> {
    state.calls.push((operation.to_owned(), body.clone()));
    let text = |member: &str| body[member].as_str().map(str::to_owned);
    let stale = operation == "getsecretvalue"
        && body["VersionStage"] == "AWSPENDING"
        && state.stale_reads > 0;
    if stale {
        state.stale_reads -= 1;
    }
    let missing: Refusal = ("ResourceNotFoundException", "CANARY message");
    let secret = state
        .secrets
        .get_mut(&text("SecretId").unwrap_or_default())
        .ok_or(missing)?;
    let result = match operation {
        "describesecret" => {
            let tags: Vec<Value> = secret
                .tags
                .iter()
                .map(|(key, value)| json!({"Key": key, "Value": value}))
                .collect();
            let versions: BTreeMap<&String, &BTreeSet<String>> = secret
                .versions
                .iter()
                .filter(|(_, v)| !v.labels.is_empty())
                .map(|(id, v)| (id, &v.labels))
                .collect();
            json!({"RotationEnabled": secret.rotation_enabled, "Tags": tags, "VersionIdsToStages": versions})
        }
        "getsecretvalue" => {
            let label = text("VersionStage").unwrap();
            let holder = secret
                .versions
                .iter()
                .find(|(_, version)| version.labels.contains(&label));
            let id = text("VersionId")
                .or(holder.map(|(id, _)| id.clone()))
                .ok_or(missing)?;
            let version = secret
                .versions
                .get(&id)
                .filter(|version| version.labels.contains(&label) && !stale);
            let version = version
                .filter(|v| v.text.is_some() || v.binary.is_some())
                .ok_or(missing)?;
            let mut answer = json!({"VersionId": id, "CreatedDate": 1_767_225_600.0});
            if let Some(text) = &version.text {
                answer["SecretString"] = text.as_str().into();
            }
            if let Some(binary) = &version.binary {
                answer["SecretBinary"] = binary.as_str().into();
            }
            answer
        }
        "putsecretvalue" => {
            let token = text("ClientRequestToken").unwrap();
            let version = secret.versions.entry(token).or_default();
            let same =
                (&version.text, &version.binary) == (&text("SecretString"), &text("SecretBinary"));
            if (version.text.is_some() || version.binary.is_some()) && !same {
                return Err(("ResourceExistsException", "CANARY message"));
            }
            version.text = text("SecretString");
            version.binary = text("SecretBinary");
            for label in body["VersionStages"].as_array().unwrap() {
                version.labels.insert(label.as_str().unwrap().to_owned());
            }
            json!({})
        }
        "updatesecretversionstage" => move_label(secret, &text)?,
        _ => return Err(("UnknownOperationException", "not one of ours")),
    };
    Ok(result)
}

fn move_label(
    secret: &mut Secret,
    text: &dyn Fn(&str) -> Option<String>,
) -> Result<Value, Refusal> {
    let label = text("VersionStage").unwrap();
    let to = text("MoveToVersionId").unwrap();
    let holder = secret
        .versions
        .iter()
        .find(|(_, v)| v.labels.contains(&label))
        .map(|(id, _)| id.clone());
    if holder.is_some() && holder != text("RemoveFromVersionId") && holder.as_ref() != Some(&to) {
        return Err(("InvalidParameterException", "CANARY message"));
    }
    let before: usize = secret
        .versions
        .values()
        .map(|version| version.labels.len())
        .sum();
    if holder.is_none() && before >= 20 {
        return Err(("LimitExceededException", "CANARY message"));
    }
    if let Some(holder) = &holder {
        secret
            .versions
            .get_mut(holder)
            .unwrap()
            .labels
            .remove(&label);
    }
    if label == "AWSCURRENT" && holder.as_ref().is_some_and(|holder| *holder != to) {
        for version in secret.versions.values_mut() {
            version.labels.remove("AWSPREVIOUS");
        }
        let old = secret.versions.get_mut(holder.as_ref().unwrap()).unwrap();
        old.labels.insert("AWSPREVIOUS".to_owned());
    }
    secret.versions.get_mut(&to).unwrap().labels.insert(label);
    // A version without labels is deprecated; the service deletes it in its own time. Here at once.
    secret
        .versions
        .retain(|_, version| !version.labels.is_empty());
    Ok(json!({}))
}
