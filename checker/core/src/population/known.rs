//! From a recorded answer to a fact: what the answer says, or why it says nothing.

use super::mismatch;
use crate::expression::types::Known;
use crate::observation::{Answer, Facts, Observation};

/// What `read` takes out of the answer to a question; otherwise the reason why it is not known.
pub(super) fn answered<'a, T>(
    facts: &'a Facts,
    question: &Observation,
    read: impl FnOnce(&'a Answer) -> Option<T>,
) -> Result<T, String> {
    facts
        .get(question)
        .and_then(|answer| read(answer).ok_or_else(|| mismatch(question)))
        .map_err(|unseen| unseen.to_string())
}

/// A finding as a fact.
pub(super) fn known<T>(found: Result<T, String>) -> Known<T> {
    match found {
        Ok(value) => Known::Known(value),
        Err(reason) => Known::Unknown(reason),
    }
}

/// Whether something exists whose answer is `None` when it does not.
pub(super) fn existence<T>(found: &Result<Option<T>, String>) -> Known<bool> {
    match found {
        Ok(found) => Known::Known(found.is_some()),
        Err(reason) => Known::Unknown(reason.clone()),
    }
}

/// A fact about something that may not exist; of what does not exist nothing is known.
pub(super) fn of<T, U>(
    found: &Result<Option<T>, String>,
    absent: &str,
    read: impl FnOnce(&T) -> U,
) -> Known<U> {
    match found {
        Ok(Some(thing)) => Known::Known(read(thing)),
        Ok(None) => Known::Unknown(absent.to_owned()),
        Err(reason) => Known::Unknown(reason.clone()),
    }
}

/// The ARN that a parameter publishes; `None` when there is no such parameter, or no ARN in it.
pub(super) fn published(facts: &Facts, name: &str) -> Known<Option<String>> {
    let question = Observation::Parameter(name.to_owned());
    known(answered(facts, &question, |answer| {
        let Answer::Parameter(parameter) = answer else {
            return None;
        };
        Some(
            parameter
                .as_ref()
                .and_then(|parameter| parameter.arn.clone()),
        )
    }))
}
