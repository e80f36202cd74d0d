//! `checker lambda replay`: dead letters of the detector, handed to it again.
//!
//! In: a queue of dead letters, or a file of them, of either kind: what Lambda sends when all its tries failed (the
//! event is in it as `requestPayload`), and what `EventBridge` sends when it could not invoke (the event itself).
//! Out: a JSON line for each. A letter leaves its queue only once the function took its event; a detector may see an
//! event twice without harm. It invokes the deployed function and decides nothing by itself.

use std::path::PathBuf;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_sqs::types::Message;
use clap::Args;
use serde_json::{Value, json};

use crate::console::{Console, data};
use crate::failure::Failure;
use crate::subject::live_config;

/// How long a letter is hidden while it is worked on; one that stays is seen again after that.
const HIDDEN_SECONDS: i32 = 120;

/// Options of `checker lambda replay`.
#[derive(Debug, Args)]
#[command(
    after_help = "Needs sqs:GetQueueUrl, sqs:ReceiveMessage and sqs:DeleteMessage on the queue, and \
    lambda:InvokeFunction on the function. Ends with 1 if a letter was not taken."
)]
pub(in crate::command) struct Arguments {
    /// The stage, which names the queue and the function.
    #[arg(long, default_value = "dev")]
    stage: String,
    /// The queue's URL, where it is not the stage's own.
    #[arg(long, value_name = "URL", conflicts_with = "file")]
    queue: Option<String>,
    /// A file with one letter, or one a line, instead of a queue; nothing is removed from it.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The function, where it is not the stage's own.
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
    /// Only show the letters: nothing is invoked, and all stay in the queue.
    #[arg(long)]
    dry_run: bool,
    /// Another endpoint, such as that of `checker lab`.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
}

/// A letter.
struct Letter {
    event: Value,
    /// By which the queue knows it.
    receipt: Option<String>,
}

/// Replays all letters.
pub(super) async fn replay(arguments: &Arguments) -> Result<u8, Failure> {
    let console = Console::new();
    let replay = Replay::new(arguments).await?;
    let (mut taken, mut left) = (0_usize, 0_usize);
    let letters = match &arguments.file {
        Some(file) => super::invoke::events(file)?
            .into_iter()
            .map(|event| {
                event.map(|event| Letter {
                    event: event_in(event),
                    receipt: None,
                })
            })
            .collect(),
        None => replay.receive().await?,
    };
    for letter in letters {
        let (line, done) = match letter {
            Ok(letter) => replay.hand_over(&letter).await?,
            Err(reason) => (json!({ "error": reason }), false),
        };
        taken += usize::from(done);
        left += usize::from(!done);
        data(&format!("{line}\n"));
    }
    let verb = if arguments.dry_run {
        "would be replayed"
    } else {
        "left"
    };
    console.line(&format!("{taken} dead letters replayed, {left} {verb}"));
    Ok(u8::from(left > 0 && !arguments.dry_run))
}

/// The clients, and what the arguments name.
struct Replay<'a> {
    arguments: &'a Arguments,
    lambda: aws_sdk_lambda::Client,
    sqs: aws_sdk_sqs::Client,
    function: String,
    queue: String,
}

impl<'a> Replay<'a> {
    async fn new(arguments: &'a Arguments) -> Result<Self, Failure> {
        let config = live_config(arguments.endpoint_url.as_deref()).await?;
        let sqs = aws_sdk_sqs::Client::new(&config);
        let named = |part: &str| format!("bank-secrets-anomaly{part}-{}", arguments.stage);
        let queue = match (&arguments.queue, &arguments.file) {
            (Some(url), _) => url.clone(),
            (None, Some(_)) => String::new(),
            (None, None) => {
                let name = named("-dead-letters");
                let found = sqs.get_queue_url().queue_name(&name).send().await;
                let found = found.map_err(|error| {
                    refused(
                        &format!("find the queue `{name}`"),
                        error.into_service_error(),
                    )
                })?;
                found.queue_url.unwrap_or_default()
            }
        };
        Ok(Self {
            arguments,
            lambda: aws_sdk_lambda::Client::new(&config),
            sqs,
            function: arguments.function.clone().unwrap_or_else(|| named("")),
            queue,
        })
    }

    /// All letters of the queue; each is seen once.
    async fn receive(&self) -> Result<Vec<Result<Letter, String>>, Failure> {
        let mut letters = Vec::new();
        loop {
            let received = self
                .sqs
                .receive_message()
                .queue_url(&self.queue)
                .max_number_of_messages(10)
                .visibility_timeout(HIDDEN_SECONDS)
                .wait_time_seconds(1)
                .send()
                .await
                .map_err(|error| refused("read the dead letters", error.into_service_error()))?;
            if received.messages().is_empty() {
                return Ok(letters);
            }
            letters.extend(received.messages().iter().map(letter));
        }
    }

    /// Invokes the function with the letter's event; a letter that was taken leaves its queue.
    async fn hand_over(&self, letter: &Letter) -> Result<(Value, bool), Failure> {
        let event = &letter.event;
        let id = ["/detail/eventID", "/eventID", "/id"]
            .iter()
            .find_map(|place| event.pointer(place)?.as_str());
        if self.arguments.dry_run {
            return Ok((json!({"event_id": id, "replayed": false}), false));
        }
        let output = self
            .lambda
            .invoke()
            .function_name(&self.function)
            .payload(Blob::new(event.to_string()))
            .send()
            .await
            .map_err(|error| {
                refused(
                    &format!("invoke `{}`", self.function),
                    error.into_service_error(),
                )
            })?;
        let payload = output.payload().map(Blob::as_ref).unwrap_or_default();
        let result: Value = serde_json::from_slice(payload).unwrap_or(Value::Null);
        let took = output.function_error().is_none();
        if took {
            self.remove(letter).await?;
        }
        Ok((
            json!({"event_id": id, "replayed": took, "result": result}),
            took,
        ))
    }

    async fn remove(&self, letter: &Letter) -> Result<(), Failure> {
        let Some(receipt) = &letter.receipt else {
            return Ok(());
        };
        let call = self.sqs.delete_message().queue_url(&self.queue);
        call.receipt_handle(receipt)
            .send()
            .await
            .map(drop)
            .map_err(|error| refused("remove a dead letter", error.into_service_error()))
    }
}

/// A body that is no JSON is an event all the same: the detector must see it.
fn letter(message: &Message) -> Result<Letter, String> {
    let receipt = message
        .receipt_handle()
        .ok_or("the queue gave a message without a receipt")?;
    let body = message.body().unwrap_or_default();
    let event = serde_json::from_str(body).unwrap_or_else(|_no_json| Value::from(body));
    Ok(Letter {
        event: event_in(event),
        receipt: Some(receipt.to_owned()),
    })
}

/// The event in a letter: Lambda wraps it, `EventBridge` sends it bare.
fn event_in(mut letter: Value) -> Value {
    let wrapped = letter.get("requestContext").is_some();
    match letter.get_mut("requestPayload") {
        Some(event) if wrapped => event.take(),
        _ => letter,
    }
}

fn refused(what: &str, error: impl std::error::Error) -> Failure {
    Failure::Broken(format!("failed to {what}: {error}"))
}
