//! Sending, against a server that plays the log and the topic and fails as told.

use std::sync::{Arc, Mutex};

use anomaly_detector::{Delivery, DeliveryError, Settings, handle};
use lambda_host::Environment;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::{ROTATION, allowed_read, changed};

#[derive(Default)]
pub(crate) struct State {
    /// Answers of the log and of the topic that fail before they succeed.
    pub(crate) failing_logs: usize,
    pub(crate) failing_topic: usize,
    pub(crate) denied_topic: bool,
    pub(crate) reject: bool,
    pub(crate) forget_stream: bool,
    pub(crate) streams: usize,
    pub(crate) records: Vec<Value>,
    pub(crate) published: Vec<String>,
}

pub(crate) struct Server {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) url: String,
    settings: Settings,
    delivery: Delivery,
}

impl Server {
    pub(crate) async fn start(state: State) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(state));
        let serving = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        let environment: Environment = [
            ("AWS_REGION", "eu-west-2"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_ENDPOINT_URL", url.as_str()),
            (
                "ALERT_TOPIC_ARN",
                "arn:aws:sns:eu-west-2:111122223333:alerts",
            ),
            ("ACCESS_LOG_GROUP", "/access"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/03/27/[$LATEST]abc"),
            ("ALLOWED_ROLE_PATTERNS", ROTATION),
        ]
        .into_iter()
        .collect();
        let settings = Settings::from_environment(&environment).unwrap();
        let delivery = Delivery::from_environment(&environment, &settings).unwrap();
        Self {
            state,
            url,
            settings,
            delivery,
        }
    }

    async fn handle(&self, event: &str) -> Result<Value, DeliveryError> {
        handle(&self.settings, &self.delivery, event).await
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
                .find_map(|line| line.strip_prefix(name).map(str::to_owned))
        };
        let length: usize = header("content-length: ").unwrap().parse().unwrap();
        while buffer.len() < end + 4 + length {
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let body = String::from_utf8_lossy(&buffer[end + 4..end + 4 + length]).into_owned();
        buffer.drain(..end + 4 + length);
        let target = header("x-amz-target: ").unwrap_or_default();
        let (status, answer) = answer(&mut state.lock().unwrap(), &target, &body);
        let text = format!(
            "HTTP/1.1 {status} x\r\nx-amzn-requestid: r-1\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        );
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn answer(state: &mut State, target: &str, body: &str) -> (u16, String) {
    let json_error = |code: &str| json!({"__type": code, "message": "CANARY"}).to_string();
    let xml_error = |code: &str| {
        format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>CANARY</Message></Error></ErrorResponse>"
        )
    };
    if target.ends_with("createlogstream") {
        state.streams += 1;
        return if state.streams > 1 && !state.forget_stream {
            (400, json_error("ResourceAlreadyExistsException"))
        } else {
            (200, "{}".to_owned())
        };
    }
    if target.ends_with("putlogevents") {
        if state.forget_stream {
            state.forget_stream = false;
            return (400, json_error("ResourceNotFoundException"));
        }
        if state.failing_logs > 0 {
            state.failing_logs -= 1;
            return (500, json_error("ServiceUnavailableException"));
        }
        if state.reject {
            return (
                200,
                json!({"rejectedLogEventsInfo": {"tooOldLogEventEndIndex": 1}}).to_string(),
            );
        }
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (&body["logGroupName"], &body["logStreamName"]),
            (&json!("/access"), &json!("2026/03/27/[$LATEST]abc"))
        );
        state
            .records
            .push(serde_json::from_str(body["logEvents"][0]["message"].as_str().unwrap()).unwrap());
        return (200, "{}".to_owned());
    }
    if state.denied_topic {
        return (403, xml_error("AuthorizationError"));
    }
    if state.failing_topic > 0 {
        state.failing_topic -= 1;
        return (500, xml_error("InternalError"));
    }
    state.published.push(body.to_owned());
    (200, "<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>".to_owned())
}

pub(crate) fn alarming() -> String {
    changed(&[(
        "/userIdentity",
        json!({"type": "Root", "arn": "arn:aws:iam::111122223333:root"}),
    )])
    .to_string()
}

#[tokio::test]
async fn a_record_always_and_an_alert_where_there_is_reason() {
    let server = Server::start(State::default()).await;
    assert_eq!(
        server.handle(&allowed_read().to_string()).await.unwrap()["alerted"],
        false
    );
    assert_eq!(server.handle(&alarming()).await.unwrap()["alerted"], true);
    assert_eq!(
        server.handle("not json {").await.unwrap()["verdict"],
        "unreadable"
    );
    let state = server.state.lock().unwrap();
    assert_eq!(state.streams, 1, "the stream is made once");
    assert_eq!(
        state
            .records
            .iter()
            .map(|record| &record["verdict"])
            .collect::<Vec<_>>(),
        ["allowed", "anomalous", "unreadable"]
    );
    assert_eq!(state.published.len(), 2);
    for attribute in ["severity", "synthetic", "correlation_id"] {
        assert!(
            state.published[0].contains(&format!("Name={attribute}")),
            "{}",
            state.published[0]
        );
    }
}

#[tokio::test]
async fn three_failures_of_log_and_topic_lose_nothing() {
    let server = Server::start(State {
        failing_logs: 3,
        failing_topic: 3,
        ..State::default()
    })
    .await;
    server.handle(&alarming()).await.unwrap();
    let state = server.state.lock().unwrap();
    assert_eq!((state.records.len(), state.published.len()), (1, 1));
}

#[tokio::test]
async fn a_long_disturbance_gives_every_event_the_same_attempts() {
    let server = Server::start(State::default()).await;
    // More retries than the quota that the SDK's clients share by default.
    for number in 0..20 {
        {
            let mut state = server.state.lock().unwrap();
            (state.failing_logs, state.failing_topic) = (3, 3);
        }
        server.handle(&alarming()).await.unwrap();
        let state = server.state.lock().unwrap();
        let sent = (state.records.len(), state.published.len());
        assert_eq!(sent, (number + 1, number + 1));
    }
}

#[tokio::test]
async fn the_failure_of_either_fails_the_invocation_and_the_other_still_goes_out() {
    let server = Server::start(State {
        failing_logs: 4,
        ..State::default()
    })
    .await;
    let error = server.handle(&alarming()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "write the access record: call `logs:PutLogEvents`: `ServiceUnavailableException` (request r-1)"
    );
    assert_eq!(server.state.lock().unwrap().published.len(), 1);

    let server = Server::start(State {
        denied_topic: true,
        ..State::default()
    })
    .await;
    let error = server.handle(&alarming()).await.unwrap_err();
    assert_eq!(
        (error.code(), error.to_string().contains("CANARY")),
        ("AlertNotPublished", false)
    );
    assert_eq!(server.state.lock().unwrap().records.len(), 1);

    let server = Server::start(State {
        denied_topic: true,
        failing_logs: 4,
        ..State::default()
    })
    .await;
    assert_eq!(
        server.handle(&alarming()).await.unwrap_err().code(),
        "NothingSent"
    );
}

#[tokio::test]
async fn a_rejection_inside_a_good_answer_is_a_failure() {
    let server = Server::start(State {
        reject: true,
        ..State::default()
    })
    .await;
    assert_eq!(
        server.handle(&allowed_read().to_string()).await,
        Err(DeliveryError::Rejected)
    );
}

#[tokio::test]
async fn a_stream_that_was_removed_is_made_again() {
    let server = Server::start(State {
        forget_stream: true,
        ..State::default()
    })
    .await;
    server.handle(&allowed_read().to_string()).await.unwrap();
    let state = server.state.lock().unwrap();
    assert_eq!((state.streams, state.records.len()), (2, 1));
}
