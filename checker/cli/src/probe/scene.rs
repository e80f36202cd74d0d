//! What all probes of a run share: the place, the credentials, the mailbox, the clock and the ledger of what is to be
//! set right.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use aws_sdk_sns::types::MessageAttributeValue;
use aws_types::SdkConfig;
use checker_core::observation::{Time, Unseen};
use checker_core::population::Setting;
use checker_core::probe::{Actor, Plan};
use checker_lab::LabClock;
use serde_json::json;

use super::clean_up::Undo;
use super::fence::Twin;
use super::mailbox::Mailbox;
use super::session::{Clients, Sessions};
use super::value::random;
use super::waiting::Waiting;
use crate::aws::{Calls, incomplete, unseen};
use crate::subject::Recipe;

/// With calls under way, AWS is never silent for that long.
const SILENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// What probes are carried out on.
pub(super) struct Ground {
    /// What may be called.
    pub(super) plan: Plan,
    /// The place.
    pub(super) setting: Setting,
    /// Clients are made from this.
    pub(super) config: SdkConfig,
    /// Counts calls.
    pub(super) calls: Arc<Calls>,
    /// The clock, where it can be moved.
    pub(super) clock: Option<LabClock>,
    /// Whether it is on this machine.
    pub(super) here: bool,
    /// How the embedded AWS is made once more.
    pub(super) recipe: Option<Recipe>,
}

/// The shared state of a run's probes.
pub(super) struct Scene {
    /// The place.
    pub(super) setting: Setting,
    /// Waits, and knows the time.
    pub(super) waiting: Waiting,
    /// What arrived in the probes' queue.
    pub(super) mailbox: Mailbox,
    /// When the probes began.
    pub(super) begun: Time,
    /// One probe at a time changes the value of the probe secret.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// How the embedded AWS is made once more, where that is what is judged.
    pub(super) recipe: Option<Recipe>,
    calls: Arc<Calls>,
    sessions: Sessions,
    clients: RefCell<BTreeMap<Actor, Rc<Clients>>>,
    undo: RefCell<Vec<Undo>>,
    answers: RefCell<Vec<(String, String)>>,
    control: RefCell<Option<String>>,
}

impl Scene {
    /// Becomes the checker's role.
    pub(super) async fn open(ground: Ground) -> Result<Self, Unseen> {
        let setting = &ground.setting;
        let sessions = Sessions::new(
            &ground.plan,
            ground.config,
            setting,
            &ground.calls,
            ground.clock.clone(),
        );
        let waiting = Waiting::new(ground.clock, ground.here);
        let checker = sessions.checker().await?;
        let scene = Self {
            mailbox: Mailbox::new(setting, waiting.is_lab()),
            begun: waiting.now(),
            setting: setting.clone(),
            waiting,
            changing: tokio::sync::Mutex::new(()),
            recipe: ground.recipe,
            calls: ground.calls,
            sessions,
            clients: RefCell::new(BTreeMap::from([(Actor::Checker, Rc::new(checker))])),
            undo: RefCell::new(Vec::new()),
            answers: RefCell::new(Vec::new()),
            control: RefCell::new(None),
        };
        Ok(scene)
    }

    /// Whether the connection is lost: nothing at all was answered for a while.
    pub(super) fn is_lost(&self) -> bool {
        self.calls.unanswered() > SILENCE
    }

    /// Clients with the credentials of an actor; its role is assumed on first use.
    pub(super) async fn clients(&self, actor: &Actor) -> Result<Rc<Clients>, Unseen> {
        if let Some(known) = self.clients.borrow().get(actor) {
            return Ok(Rc::clone(known));
        }
        let checker = self.clients.borrow().get(&Actor::Checker).cloned();
        let made = Rc::new(match checker {
            Some(checker) => self.sessions.assume(&checker, actor).await?,
            None => self.sessions.checker().await?,
        });
        self.clients
            .borrow_mut()
            .insert(actor.clone(), Rc::clone(&made));
        Ok(made)
    }

    /// The checker's own clients.
    pub(super) async fn checker(&self) -> Result<Rc<Clients>, Unseen> {
        self.clients(&Actor::Checker).await
    }

    /// Notes what has to be set right, before it is changed.
    pub(super) fn note(&self, undo: Undo) {
        let mut ledger = self.undo.borrow_mut();
        if !ledger.contains(&undo) {
            ledger.push(undo);
        }
    }

    /// A call on a twin was refused, or is undone.
    pub(super) fn forget_twin(&self, tried: &str, on: &Twin) {
        self.undo.borrow_mut().retain(|undo| {
            !matches!(undo, Undo::Twin { twin, action, .. } if action == tried && twin == on)
        });
    }

    /// Keeps what a function answered, to be searched with everything else.
    pub(super) fn keep_answer(&self, what: &str, text: &str) {
        self.answers
            .borrow_mut()
            .push((what.to_owned(), text.to_owned()));
    }

    /// What functions answered.
    pub(super) fn kept_answers(&self) -> Vec<(String, String)> {
        self.answers.borrow().clone()
    }

    /// Sends a marked message to the alert topic, once: if it arrives, the way to the probes' queue works.
    pub(super) async fn send_control_message(&self, checker: &Clients) -> Result<(), Unseen> {
        let id = format!("probe-control-{}", random(20).unwrap_or_default());
        if self.control.replace(Some(id.clone())).is_some() {
            return Ok(());
        }
        let setting = &self.setting;
        let topic = setting.organisation.alert_topic(&setting.stage);
        let attribute = |text: &str| {
            MessageAttributeValue::builder()
                .data_type("String")
                .string_value(text)
                .build()
                .map_err(|_error| incomplete("sns:Publish", "MessageAttributes"))
        };
        checker
            .sns
            .publish()
            .topic_arn(format!(
                "arn:aws:sns:{}:{}:{topic}",
                setting.region, setting.account
            ))
            .subject("[SYNTHETIC] Control message of the compliance probes")
            .message(json!({"probe": "control", "id": id}).to_string())
            .message_attributes("synthetic", attribute("true")?)
            .message_attributes("severity", attribute("medium")?)
            .message_attributes("correlation_id", attribute(&id)?)
            .send()
            .await
            .map(drop)
            .map_err(|error| unseen("sns:Publish", &error))
    }

    /// Whether that message arrived; a minute is enough for a topic and a queue.
    pub(super) async fn control_message_arrived(&self, checker: &Clients) -> bool {
        let Some(id) = self.control.borrow().clone() else {
            return false;
        };
        self.waiting
            .until(std::time::Duration::from_mins(1), async || {
                drop(self.mailbox.collect(checker).await);
                self.mailbox.find(|letter| {
                    letter.body.pointer("/id").and_then(|it| it.as_str()) == Some(&id)
                })
            })
            .await
            .is_some()
    }

    /// What has to be set right, the last first.
    pub(super) fn noted(&self) -> Vec<Undo> {
        self.undo.borrow().iter().rev().cloned().collect()
    }
}
