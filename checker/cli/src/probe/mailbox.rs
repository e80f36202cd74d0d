//! The probes' queue: alerts and events that arrive there, each taken out and kept for whoever waits for it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use aws_sdk_sqs::types::MessageSystemAttributeName;
use checker_core::observation::{Time, Unseen};
use checker_core::population::Setting;
use serde_json::Value;

use super::session::Clients;
use crate::aws::{incomplete, unseen};

/// Something that arrived. No `Debug`: a body may hold anything.
pub(super) struct Letter {
    /// The body as it came.
    pub(super) text: String,
    /// The body as JSON, `null` where it is none.
    pub(super) body: Value,
    /// Attributes of the notification.
    pub(super) attributes: BTreeMap<String, String>,
    /// When the queue took it, by the queue's clock.
    pub(super) sent: Option<Time>,
}

/// What arrived.
pub(super) struct Mailbox {
    queue: String,
    wait_seconds: i32,
    url: RefCell<Option<String>>,
    letters: RefCell<Vec<Rc<Letter>>>,
    collecting: tokio::sync::Mutex<()>,
    broken: Cell<bool>,
}

impl Mailbox {
    /// The standing queue of the stage.
    pub(super) fn new(setting: &Setting, lab: bool) -> Self {
        Self {
            queue: setting.organisation.probe_queue(&setting.stage),
            wait_seconds: if lab { 0 } else { 2 },
            url: RefCell::new(None),
            letters: RefCell::new(Vec::new()),
            collecting: tokio::sync::Mutex::new(()),
            broken: Cell::new(false),
        }
    }

    /// Whether the queue could not be read.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.get()
    }

    /// Everything that arrived so far.
    pub(super) fn letters(&self) -> Vec<Rc<Letter>> {
        self.letters.borrow().clone()
    }

    /// The first that arrived of a kind.
    pub(super) fn find(&self, is: impl Fn(&Letter) -> bool) -> Option<Rc<Letter>> {
        let letters = self.letters.borrow();
        letters.iter().find(|letter| is(letter)).map(Rc::clone)
    }

    /// Takes out whatever is in the queue.
    pub(super) async fn collect(&self, clients: &Clients) -> Result<(), Unseen> {
        let _alone = self.collecting.lock().await;
        let collected = self.take(clients).await;
        self.broken.set(collected.is_err());
        collected
    }

    async fn take(&self, clients: &Clients) -> Result<(), Unseen> {
        let url = self.url(clients).await?;
        loop {
            let operation = "sqs:ReceiveMessage";
            let received = clients
                .sqs
                .receive_message()
                .queue_url(&url)
                .max_number_of_messages(10)
                .wait_time_seconds(self.wait_seconds)
                .message_attribute_names("All")
                .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
                .send()
                .await
                .map_err(|error| unseen(operation, &error))?;
            if received.messages().is_empty() {
                return Ok(());
            }
            for message in received.messages() {
                let text = message.body().unwrap_or_default().to_owned();
                let attributes = message
                    .message_attributes()
                    .into_iter()
                    .flatten()
                    .filter_map(|(name, value)| {
                        Some((name.clone(), value.string_value()?.to_owned()))
                    })
                    .collect();
                let sent = message
                    .attributes()
                    .and_then(|known| known.get(&MessageSystemAttributeName::SentTimestamp))
                    .and_then(|text| text.parse().ok())
                    .and_then(Time::from_timestamp_millis);
                self.letters.borrow_mut().push(Rc::new(Letter {
                    body: serde_json::from_str(&text).unwrap_or(Value::Null),
                    text,
                    attributes,
                    sent,
                }));
                let handle = message
                    .receipt_handle()
                    .ok_or_else(|| incomplete(operation, "ReceiptHandle"))?;
                clients
                    .sqs
                    .delete_message()
                    .queue_url(&url)
                    .receipt_handle(handle)
                    .send()
                    .await
                    .map_err(|error| unseen("sqs:DeleteMessage", &error))?;
            }
        }
    }

    async fn url(&self, clients: &Clients) -> Result<String, Unseen> {
        if let Some(known) = self.url.borrow().as_ref() {
            return Ok(known.clone());
        }
        let operation = "sqs:GetQueueUrl";
        let found = clients
            .sqs
            .get_queue_url()
            .queue_name(&self.queue)
            .send()
            .await
            .map_err(|error| unseen(operation, &error))?;
        let url = found
            .queue_url()
            .ok_or_else(|| incomplete(operation, "QueueUrl"))?
            .to_owned();
        *self.url.borrow_mut() = Some(url.clone());
        Ok(url)
    }
}
