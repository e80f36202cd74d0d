//! An identity provider with both ways of managing client secrets, on a loopback port.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::script::{Fate, Script};

#[derive(Debug, Default)]
pub(crate) struct State {
    /// Secret id to secret.
    pub(crate) secrets: BTreeMap<String, String>,
    /// Idempotency key to secret id.
    keys: BTreeMap<String, String>,
    made: usize,
    /// Values are shown once: a repeated key answers 409.
    pub(crate) shows_once: bool,
    /// Token requests that fail although the secret is right.
    pub(crate) slow_tokens: usize,
    pub(crate) registration_token: String,
    /// RFC 7592: whether an update changes the secret, and the token for the next one.
    pub(crate) rotates: bool,
    pub(crate) rotates_token: bool,
    pub(crate) scope: String,
    pub(crate) calls: Vec<String>,
    script: Script,
}

#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) origin: String,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(fresh()));
        let (serving, own) = (Arc::clone(&state), origin.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&serving), own.clone()));
            }
        });
        Self { state, origin }
    }

    pub(crate) fn script(&self) -> Script {
        self.state.lock().unwrap().script.clone()
    }

    /// Forgets everything but its script.
    pub(crate) fn reset(&self) {
        let mut state = self.state.lock().unwrap();
        let script = state.script.clone();
        *state = State { script, ..fresh() };
    }

    pub(crate) fn accepts(&self, secret: &str) -> bool {
        self.state
            .lock()
            .unwrap()
            .secrets
            .values()
            .any(|known| known == secret)
    }
}

fn fresh() -> State {
    State {
        secrets: BTreeMap::from([("s-0".to_owned(), "CANARY-old".to_owned())]),
        registration_token: "CANARY-rat-0".to_owned(),
        rotates: true,
        scope: "read write".to_owned(),
        ..State::default()
    }
}

struct Request {
    method: String,
    path: String,
    authorization: String,
    key: String,
    body: String,
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>, origin: String) {
    let mut buffer = Vec::new();
    loop {
        let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
            continue;
        };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        let header = |name: &str| {
            let found = head
                .lines()
                .find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}: ")));
            found
                .map(|line| line[name.len() + 2..].to_owned())
                .unwrap_or_default()
        };
        let length: usize = header("content-length").parse().unwrap_or(0);
        while buffer.len() < end + 4 + length {
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let mut first = head.split(' ');
        let request = Request {
            method: first.next().unwrap().to_owned(),
            path: first.next().unwrap().to_owned(),
            authorization: header("authorization"),
            key: header("idempotency-key"),
            body: String::from_utf8_lossy(&buffer[end + 4..end + 4 + length]).into_owned(),
        };
        buffer.drain(..end + 4 + length);
        let script = state.lock().unwrap().script.clone();
        let fate = script.arrive();
        if fate == Some(Fate::KilledBefore) {
            script.kill();
            return;
        }
        let (mut status, answer) = if fate == Some(Fate::Refused) {
            (503, Value::Null)
        } else {
            answer(&mut state.lock().unwrap(), &request, &origin)
        };
        match fate {
            Some(Fate::KilledAfter) => {
                script.kill();
                return;
            }
            Some(Fate::Lost) => status = 504,
            None | Some(Fate::Refused | Fate::KilledBefore) => {}
        }
        let answer = if answer.is_null() {
            String::new()
        } else {
            answer.to_string()
        };
        let text = format!(
            "HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        );
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn answer(state: &mut State, request: &Request, origin: &str) -> (u16, Value) {
    state
        .calls
        .push(format!("{} {}", request.method, request.path));
    let refusal = json!({"error": "invalid_client", "error_description": "CANARY-echo"});
    match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/token") => {
            let basic = request
                .authorization
                .strip_prefix("Basic ")
                .and_then(|text| STANDARD.decode(text).ok());
            let pair = basic
                .map(|bytes| String::from_utf8(bytes).unwrap())
                .unwrap_or_default();
            let good = pair.split_once(':').is_some_and(|(id, secret)| {
                id == "app%2F1" && state.secrets.values().any(|known| known == secret)
            });
            if !good || state.slow_tokens > 0 {
                state.slow_tokens = state.slow_tokens.saturating_sub(1);
                return (401, refusal);
            }
            assert!(
                request.body.starts_with("grant_type=client_credentials"),
                "{}",
                request.body
            );
            (
                200,
                json!({"access_token": "t", "token_type": "Bearer", "scope": state.scope}),
            )
        }
        ("GET" | "PUT", "/register/app1") => {
            if request.authorization != format!("Bearer {}", state.registration_token) {
                return (401, refusal);
            }
            if request.method == "PUT" {
                let body: Value = serde_json::from_str(&request.body).unwrap();
                let known = state.secrets.values().next().unwrap();
                if body["client_secret"] != json!(known)
                    || body.get("registration_access_token").is_some()
                {
                    return (400, refusal);
                }
                assert_eq!(body["client_name"], "app", "the whole metadata are sent");
                state.made += 1;
                if state.rotates {
                    state.secrets = BTreeMap::from([(
                        "only".to_owned(),
                        format!("CANARY-made-{}", state.made),
                    )]);
                }
                if state.rotates_token {
                    state.registration_token = format!("CANARY-rat-{}", state.made);
                }
            }
            let secret = state.secrets.values().next().unwrap();
            (
                200,
                json!({"client_id": "app/1", "client_secret": secret, "client_name": "app",
                "client_secret_expires_at": 0, "registration_access_token": state.registration_token,
                "registration_client_uri": format!("{origin}/register/app1")}),
            )
        }
        (method, path) => {
            let Some(rest) = path.strip_prefix("/manage/clients/app%2F1/secrets") else {
                return (404, refusal);
            };
            if request.authorization != "Bearer CANARY-management" {
                return (403, refusal);
            }
            match (method, rest.strip_prefix('/')) {
                ("DELETE", Some(id)) => {
                    let gone = state.secrets.remove(id).is_none();
                    state.keys.retain(|_, known| known != id);
                    (if gone { 404 } else { 204 }, Value::Null)
                }
                ("POST", None) => make(state, &request.key, &refusal),
                _ => (405, refusal),
            }
        }
    }
}

fn make(state: &mut State, key: &str, refusal: &Value) -> (u16, Value) {
    if let Some(id) = state.keys.get(key) {
        let secret = &state.secrets[id];
        return if state.shows_once {
            (409, json!({"secret_id": id}))
        } else {
            (200, json!({"secret_id": id, "client_secret": secret}))
        };
    }
    if state.secrets.len() >= 2 {
        return (400, refusal.clone());
    }
    state.made += 1;
    let (id, secret) = (
        format!("s-{}", state.made),
        format!("CANARY-made-{}", state.made),
    );
    state.keys.insert(key.to_owned(), id.clone());
    state.secrets.insert(id.clone(), secret.clone());
    (201, json!({"secret_id": id, "client_secret": secret}))
}
