//! Who changed secrets in the period that `CloudTrail`'s history holds: one item an operation, caller and secret.

use std::collections::BTreeMap;

use super::policy::local;
use super::{Item, Setting, mismatch};
use crate::observation::answer::ListedSecret;
use crate::observation::call::SecretCall;
use crate::observation::{Answer, Facts, Observation, Time, Unseen};

crate::facts! {
    /// Calls of one operation, by one caller, on one secret.
    pub struct Call {
        /// The operation, such as `PutSecretValue`.
        pub event: String,
        /// Who: `role/name` or `user/name` of this account, the full ARN of another's, the name of a service, or empty
        /// where `CloudTrail` names nobody.
        pub caller: String,
        /// The secret's name where it is known, otherwise what the caller wrote.
        pub secret: String,
        /// Whether that secret exists and carries the probe tag.
        pub probe: bool,
        /// How often.
        pub count: i64,
        /// The last time.
        pub last: Time,
        /// `CloudTrail`'s id of the last record.
        pub event_id: String,
    }
}

/// The operations that are looked up: they change a secret's value, or have it changed.
pub const EVENTS: [&str; 3] = ["PutSecretValue", "RotateSecret", "UpdateSecret"];

/// The questions without which nothing can be said.
pub(super) fn roots() -> Vec<Observation> {
    let calls = EVENTS
        .iter()
        .map(|event| Observation::SecretCalls((*event).to_owned()));
    calls.chain([Observation::Secrets]).collect()
}

/// One item an operation, caller and secret; calls that were refused changed nothing and are left out.
pub(super) fn items(facts: &Facts, setting: &Setting) -> Result<Vec<Item>, Unseen> {
    let Answer::Secrets(secrets) = facts.get(&Observation::Secrets)? else {
        return Err(mismatch(&Observation::Secrets));
    };
    let mut calls: BTreeMap<(String, String, String), Call> = BTreeMap::new();
    for event in EVENTS {
        let question = Observation::SecretCalls(event.to_owned());
        let Answer::SecretCalls(seen) = facts.get(&question)? else {
            return Err(mismatch(&question));
        };
        for call in seen.iter().filter(|call| call.error.is_none()) {
            let one = view(call, secrets, setting);
            let key = (one.event.clone(), one.caller.clone(), one.secret.clone());
            calls
                .entry(key)
                .and_modify(|known| {
                    known.count = known.count.saturating_add(1);
                    if known.last < one.last {
                        known.last = one.last;
                        known.event_id.clone_from(&one.event_id);
                    }
                })
                .or_insert(one);
        }
    }
    Ok(calls
        .into_values()
        .map(|call| {
            let who = if call.caller.is_empty() {
                "nobody named"
            } else {
                &call.caller
            };
            Item::of(
                format!("{} by {who} on {}", call.event, call.secret),
                "call",
                &call,
            )
        })
        .collect())
}

fn view(call: &SecretCall, secrets: &[ListedSecret], setting: &Setting) -> Call {
    let written = call.secret.as_deref().unwrap_or_default();
    let secret = secrets.iter().find(|secret| is(secret, written));
    Call {
        event: call.event.clone(),
        caller: caller(&call.caller, &setting.account),
        secret: secret.map_or_else(|| written.to_owned(), |secret| secret.name.clone()),
        probe: secret.is_some_and(|secret| {
            secret
                .tags
                .get("bank:probe")
                .is_some_and(|tag| tag == "true")
        }),
        count: 1,
        last: call.at,
        event_id: call.id.clone(),
    }
}

/// Whether a caller's text means this secret: its name, its ARN, or its ARN without the six random characters.
fn is(secret: &ListedSecret, written: &str) -> bool {
    let partial = secret.arn.rsplit_once('-').map(|(start, _)| start);
    !written.is_empty()
        && (secret.name == written || secret.arn == written || partial == Some(written))
}

fn caller(arn: &str, account: &str) -> String {
    let own = arn.starts_with("arn:") && arn.split(':').nth(4) == Some(account);
    if own {
        local(arn).to_owned()
    } else {
        arn.to_owned()
    }
}
