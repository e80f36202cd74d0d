//! Faults on request: how a client proves that it survives AWS's bad days.
//!
//! A fault belongs to one operation (`secretsmanager:ListSecrets`), to all of a
//! service (`secretsmanager:*`) or to everything (`*:*`), and strikes every call or a number of them. The
//! text form is `secretsmanager:ListSecrets=access-denied*2`; `*:*=throttled@50` throttles what is
//! more than 50 calls a second of one caller: the lab's own functions take nothing from the share of who asks.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Map, Value};

use crate::protocol::model::{Kind, Model, Operation};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The call is refused for missing permission.
    AccessDenied,
    /// The call is throttled.
    Throttled,
    /// A caller's calls beyond this many a second are throttled, after a burst of as many.
    ThrottledAbove(u32),
    /// The service fails with status 500.
    ServerError,
    /// No answer ever comes.
    Hang,
    /// The connection is closed without an answer.
    Reset,
    /// A list ends in its middle without a token for the rest.
    TruncatedPage,
    /// Every page carries the same token, so the list never ends.
    RepeatedToken,
    /// A page is empty and yet has a token.
    EmptyPageWithToken,
    /// The body breaks off in its middle.
    MalformedBody,
    /// A list in the answer, or else its first member, has another type.
    WrongType,
    /// The answer's date is an hour ahead.
    ClockSkew,
    /// The signature is refused as too old, as it is when the caller's clock is wrong.
    SignatureExpired,
}

/// A fault of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The service's IAM prefix: `secretsmanager`, `tag`; `*` for all services.
    pub service: String,
    /// The operation's name, or `*` for all of the service.
    pub operation: String,
    /// What goes wrong.
    pub kind: FaultKind,
    /// How many calls it strikes; `None` for all.
    pub times: Option<u32>,
}

/// Why a fault's text can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// The text has not the form `service:Operation=kind[*times]`.
    #[error(
        "read the fault `{0}`: expected `service:Operation=kind` or `service:Operation=kind*times`"
    )]
    Form(String),
    /// The lab has no such service or operation.
    #[error("read the fault `{text}`: the lab does not serve `{operation}`")]
    Unserved {
        /// The fault's text.
        text: String,
        /// The operation named in it.
        operation: String,
    },
    /// There is no such kind of fault.
    #[error("read the fault `{text}`: `{kind}` is none of {known}", known = known())]
    Kind {
        /// The fault's text.
        text: String,
        /// The kind named in it.
        kind: String,
    },
}

/// The faults of a lab; shared, so that a test can plant them while it runs.
#[derive(Debug, Default)]
pub struct Faults {
    planted: Mutex<Vec<Planted>>,
}

/// A fault with what it remembers.
#[derive(Debug)]
struct Planted {
    fault: Fault,
    /// By access key.
    buckets: BTreeMap<String, Bucket>,
}

/// The calls of a caller that a rate still lets through: full at first, refilled as time passes.
#[derive(Debug)]
struct Bucket {
    calls: f64,
    since: Instant,
}

impl Bucket {
    /// Lets one call through, or not.
    fn take(&mut self, rate: u32, now: Instant) -> bool {
        let refill = now.duration_since(self.since).as_secs_f64() * f64::from(rate);
        self.calls = (self.calls + refill).min(f64::from(rate));
        self.since = now;
        let through = self.calls >= 1.0;
        if through {
            self.calls -= 1.0;
        }
        through
    }
}

const KINDS: [(&str, FaultKind); 12] = [
    ("access-denied", FaultKind::AccessDenied),
    ("throttled", FaultKind::Throttled),
    ("server-error", FaultKind::ServerError),
    ("hang", FaultKind::Hang),
    ("reset", FaultKind::Reset),
    ("truncated-page", FaultKind::TruncatedPage),
    ("repeated-token", FaultKind::RepeatedToken),
    ("empty-page-with-token", FaultKind::EmptyPageWithToken),
    ("malformed-body", FaultKind::MalformedBody),
    ("wrong-type", FaultKind::WrongType),
    ("clock-skew", FaultKind::ClockSkew),
    ("signature-expired", FaultKind::SignatureExpired),
];

fn known() -> String {
    format!("{}, throttled@N", KINDS.map(|(name, _)| name).join(", "))
}

fn kind_named(text: &str) -> Option<FaultKind> {
    if let Some(rate) = text.strip_prefix("throttled@") {
        let rate = rate.parse().ok().filter(|rate| *rate > 0)?;
        return Some(FaultKind::ThrottledAbove(rate));
    }
    KINDS
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, kind)| *kind)
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let form = || FaultError::Form(text.to_owned());
        let (place, what) = text.split_once('=').ok_or_else(form)?;
        let (service, operation) = place.split_once(':').ok_or_else(form)?;
        let (kind, times) = match what.split_once('*') {
            None => (what, None),
            Some((kind, times)) => (kind, Some(times.parse().map_err(|_| form())?)),
        };
        let kind = kind_named(kind).ok_or_else(|| FaultError::Kind {
            text: text.to_owned(),
            kind: kind.to_owned(),
        })?;
        let served = place == "*:*"
            || crate::catalog::by_prefix(service)
                .and_then(|service| service.model().ok())
                .is_some_and(|model| operation == "*" || model.operations.contains_key(operation));
        if !served {
            return Err(FaultError::Unserved {
                text: text.to_owned(),
                operation: place.to_owned(),
            });
        }
        Ok(Self {
            service: service.to_owned(),
            operation: operation.to_owned(),
            kind,
            times,
        })
    }
}

impl Faults {
    /// Plants a fault.
    pub fn plant(&self, fault: Fault) {
        self.planted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Planted {
                buckets: BTreeMap::new(),
                fault,
            });
    }

    /// Takes all faults away.
    pub fn clear(&self) {
        self.planted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// The fault that strikes this call of a caller, counted down.
    pub(crate) fn strike(
        &self,
        service: &str,
        operation: &str,
        access_key: &str,
    ) -> Option<FaultKind> {
        let mut planted = self.planted.lock().unwrap_or_else(PoisonError::into_inner);
        let Planted { fault, buckets } = planted.iter_mut().find(|planted| {
            let fault = &planted.fault;
            (fault.service == service || fault.service == "*")
                && (fault.operation == operation || fault.operation == "*")
                && fault.times != Some(0)
        })?;
        if let FaultKind::ThrottledAbove(rate) = fault.kind {
            let now = Instant::now();
            let bucket = buckets.entry(access_key.to_owned()).or_insert(Bucket {
                calls: f64::INFINITY,
                since: now,
            });
            if bucket.take(rate, now) {
                return None;
            }
        }
        if let Some(times) = &mut fault.times {
            *times -= 1;
        }
        Some(fault.kind)
    }
}

/// Damages a list's answer as the fault says; other kinds leave it alone.
pub(crate) fn damage(
    kind: FaultKind,
    model: &Model,
    operation: &Operation,
    input: &Map<String, Value>,
    answer: &mut Value,
) {
    let Some(page) = Page::of(model, operation) else {
        return;
    };
    let Some(object) = answer.as_object_mut() else {
        return;
    };
    match kind {
        FaultKind::TruncatedPage => {
            let last = !object.contains_key(&page.token);
            if let Some(Value::Array(rows)) = object.get_mut(&page.items) {
                // A list of one has no middle to end in.
                let half = if last { rows.len().min(1) } else { 0 }.max(rows.len() / 2);
                rows.truncate(half);
            }
            object.remove(&page.token);
            page.more(object, false);
        }
        FaultKind::RepeatedToken => {
            let token = page
                .given
                .as_ref()
                .and_then(|given| input.get(given))
                .cloned()
                .unwrap_or_else(|| Value::from("page-0"));
            object.insert(page.token.clone(), token);
            page.more(object, true);
        }
        FaultKind::EmptyPageWithToken => {
            object.insert(page.items.clone(), Value::Array(Vec::new()));
            object.insert(page.token.clone(), Value::from("page-0"));
            page.more(object, true);
        }
        FaultKind::AccessDenied
        | FaultKind::Throttled
        | FaultKind::ThrottledAbove(_)
        | FaultKind::ServerError
        | FaultKind::Hang
        | FaultKind::Reset
        | FaultKind::MalformedBody
        | FaultKind::WrongType
        | FaultKind::ClockSkew
        | FaultKind::SignatureExpired => {}
    }
}

/// Gives a member of an answer another type: a list becomes a text; without a list, the first member becomes a list.
pub(crate) fn mistype(model: &Model, operation: &Operation, answer: &mut Value) {
    let Some(object) = answer.as_object_mut() else {
        return;
    };
    if let Some(list) = list_member(model, operation) {
        object.insert(list, Value::from("unexpected"));
        return;
    }
    let first = operation
        .output
        .as_ref()
        .and_then(|output| model.shape(&output.shape))
        .and_then(|shape| shape.members.keys().next().cloned());
    if let Some(first) = object.keys().next().cloned().or(first) {
        object.insert(first, Value::from(vec!["unexpected"]));
    }
}

/// The name of the list in an operation's output.
fn list_member(model: &Model, operation: &Operation) -> Option<String> {
    let shape = model.shape(&operation.output.as_ref()?.shape)?;
    shape
        .members
        .iter()
        .find(|(_, member)| {
            model
                .shape(&member.shape)
                .is_some_and(|shape| shape.kind == Kind::List)
        })
        .map(|(name, _)| name.clone())
}

/// The members that make an output a page.
struct Page {
    items: String,
    token: String,
    given: Option<String>,
    flag: Option<String>,
}

impl Page {
    fn of(model: &Model, operation: &Operation) -> Option<Self> {
        let output = model.shape(&operation.output.as_ref()?.shape)?;
        let token = [
            "NextToken",
            "nextToken",
            "NextMarker",
            "Marker",
            "PaginationToken",
        ]
        .into_iter()
        .find(|name| output.members.contains_key(*name))?;
        let input = operation
            .input
            .as_ref()
            .and_then(|input| model.shape(&input.shape));
        let given = input.and_then(|input| {
            [token, "Marker"]
                .into_iter()
                .find(|name| input.members.contains_key(*name))
        });
        let flag = ["IsTruncated", "Truncated"]
            .into_iter()
            .find(|name| output.members.contains_key(*name));
        Some(Self {
            items: list_member(model, operation)?,
            token: token.to_owned(),
            given: given.map(str::to_owned),
            flag: flag.map(str::to_owned),
        })
    }

    fn more(&self, object: &mut Map<String, Value>, more: bool) {
        if let Some(flag) = &self.flag {
            object.insert(flag.clone(), Value::from(more));
        }
    }
}
