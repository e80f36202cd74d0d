//! What all probes of a run share: the place, the credentials, the mailbox, the clock and the ledger of what is to be
//! set right.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use aws_types::SdkConfig;
use checker_core::observation::{Time, Unseen};
use checker_core::population::Setting;
use checker_core::probe::{Actor, Plan};
use checker_lab::LabClock;

use super::clean_up::Undo;
use super::mailbox::Mailbox;
use super::session::{Clients, Sessions};
use super::waiting::Waiting;
use crate::aws::Calls;
use crate::subject::Recipe;

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
    sessions: Sessions,
    clients: RefCell<BTreeMap<Actor, Rc<Clients>>>,
    undo: RefCell<Vec<Undo>>,
}

impl Scene {
    /// Becomes the checker's role.
    pub(super) async fn open(ground: Ground) -> Result<Self, Unseen> {
        let setting = &ground.setting;
        let sessions = Sessions::new(&ground.plan, ground.config, setting, &ground.calls);
        let waiting = Waiting::new(ground.clock);
        let checker = sessions.checker().await?;
        let scene = Self {
            mailbox: Mailbox::new(setting, waiting.is_lab()),
            begun: waiting.now(),
            setting: setting.clone(),
            waiting,
            changing: tokio::sync::Mutex::new(()),
            recipe: ground.recipe,
            sessions,
            clients: RefCell::new(BTreeMap::from([(Actor::Checker, Rc::new(checker))])),
            undo: RefCell::new(Vec::new()),
        };
        Ok(scene)
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

    /// What has to be set right, the last first.
    pub(super) fn noted(&self) -> Vec<Undo> {
        self.undo.borrow().iter().rev().cloned().collect()
    }
}
