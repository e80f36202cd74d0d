//! What is heard beside the answers: the server's date, how far its clock is from ours, and what was asked.
//!
//! In: every attempt of every call, through an interceptor; the question that it belongs to is known by its task.
//! Out: the rest of an [`Origin`]. A server whose clock is more than five minutes from ours makes an answer unusable:
//! ages would be judged at the wrong time, and AWS refuses such signatures too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use checker_core::observation::{Observation, Origin, Time};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};

use super::calls::Calls;

/// AWS refuses a signature that is further than this from its own time.
const MOST_SKEW_SECONDS: i64 = 300;

/// Members of a request that only turn its pages.
const PAGE_TOKENS: [&str; 4] = ["NextToken", "nextToken", "Marker", "PaginationToken"];

tokio::task_local! {
    /// What is heard while one question is asked.
    pub(super) static HEARD: Arc<Heard>;
}

/// The clock that the server's is compared with.
#[derive(Clone)]
pub(crate) struct Clock {
    ours: Arc<dyn Fn() -> Time + Send + Sync>,
    /// The server's clock is ours, and stands still in what is recorded: a lab at a given time.
    still: Option<Time>,
    /// The time of judgement, where it was given, and when it was.
    given: Option<(Time, Time)>,
}

impl Clock {
    /// The system's clock, against a server with its own; `given` is the time of judgement where that is not now.
    pub(crate) fn system(given: Option<Time>) -> Self {
        Self {
            ours: Arc::new(Utc::now),
            still: None,
            given: given.map(|given| (given, Utc::now())),
        }
    }

    /// A lab's clock, which `ours` reads; recorded as `still` where its time was given.
    pub(crate) fn lab(
        ours: impl Fn() -> Time + Send + Sync + 'static,
        still: Option<Time>,
    ) -> Self {
        Self {
            ours: Arc::new(ours),
            still,
            given: None,
        }
    }

    /// Whether a server that is `skew` away from us is nearer to the time of judgement that was given.
    fn excuses(&self, skew: TimeDelta) -> bool {
        self.given.is_some_and(|(given, at)| {
            let passed = Utc::now().signed_duration_since(at);
            let server = Utc::now() + skew;
            near((server - given) - passed)
        })
    }
}

fn near(skew: TimeDelta) -> bool {
    skew.num_seconds().abs() <= MOST_SKEW_SECONDS
}

/// Gathered over all calls of one question.
#[derive(Debug)]
pub(super) struct Heard {
    calls: Arc<Calls>,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    answered: Option<Time>,
    skew: Option<i64>,
    parameters: Option<BTreeMap<String, Value>>,
}

impl Heard {
    /// Nothing yet, of a question whose calls are counted in `calls`.
    pub(super) fn new(calls: &Arc<Calls>) -> Self {
        Self {
            calls: Arc::clone(calls),
            noted: Mutex::default(),
        }
    }

    fn note(&self, note: impl FnOnce(&mut Noted)) {
        note(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Notes how many rows the list of the question that is being asked has; `None` once it is read.
    pub(super) fn reading(operation: &str, rows: Option<usize>) {
        listening(|heard| heard.calls.reading(operation, rows));
    }

    /// Adds what was heard to where an answer comes from.
    pub(super) fn write_down(&self, question: &Observation, origin: &mut Origin) {
        self.note(|noted| {
            origin.answered = noted.answered;
            origin.clock_skew_seconds = noted.skew;
            if asks_without_saying(question) {
                origin.parameters = noted.parameters.take().unwrap_or_default();
            }
        });
    }

    /// How far the server's clock is off, in seconds, when that is too far.
    pub(super) fn wrong_clock(&self, clock: &Clock) -> Option<i64> {
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.skew.filter(|seconds| {
            let skew = TimeDelta::try_seconds(*seconds).unwrap_or(TimeDelta::MAX);
            !near(skew) && !clock.excuses(skew)
        })
    }
}

/// Notes something about the question that is being asked; outside a question nobody listens.
fn listening(note: impl FnOnce(&Heard)) {
    match HEARD.try_with(|heard| note(heard)) {
        Ok(()) | Err(_) => {}
    }
}

/// Whether a question does not itself hold what is asked, such as the filters of a list.
fn asks_without_saying(question: &Observation) -> bool {
    // A question with an argument is an object.
    serde_json::to_value(question).is_ok_and(|value| value.is_string())
}

/// Hears every attempt.
#[derive(Clone)]
pub(super) struct Ear(Clock);

impl Ear {
    pub(super) fn new(clock: &Clock) -> Self {
        Self(clock.clone())
    }
}

impl std::fmt::Debug for Ear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ear")
    }
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for Ear {
    fn name(&self) -> &'static str {
        "Ear"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request();
        listening(|heard| {
            heard.note(|noted| {
                noted.parameters.get_or_insert_with(|| {
                    let body = request.body().bytes().unwrap_or_default();
                    parameters(request.uri(), body)
                });
            });
        });
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date").and_then(|date| {
            DateTime::parse_from_rfc2822(date)
                .ok()
                .map(|date| date.with_timezone(&Utc))
        });
        let Some(date) = date else {
            return Ok(());
        };
        let skew = date.signed_duration_since((self.0.ours)()).num_seconds();
        let (answered, skew) = match self.0.still {
            Some(still) if skew.abs() <= MOST_SKEW_SECONDS => (still, 0),
            Some(_) | None => (date, skew),
        };
        listening(|heard| {
            heard.note(|noted| {
                noted.answered = Some(answered);
                noted.skew = match noted.skew {
                    Some(known) if known.abs() >= skew.abs() => Some(known),
                    Some(_) | None => Some(skew),
                };
            });
        });
        Ok(())
    }
}

/// What a request asks for, whatever the protocol: the members of a JSON body, of a form, or of the query.
fn parameters(uri: &str, body: &[u8]) -> BTreeMap<String, Value> {
    let members: Map<String, Value> =
        if let Ok(Value::Object(members)) = serde_json::from_slice(body) {
            members
        } else {
            let query = uri.split_once('?').map_or("", |(_, query)| query);
            let form = std::str::from_utf8(body).unwrap_or_default();
            query
                .split('&')
                .chain(form.split('&'))
                .filter_map(|pair| pair.split_once('='))
                .filter(|(name, _)| !matches!(*name, "Action" | "Version" | "x-id"))
                .map(|(name, value)| (name.to_owned(), Value::from(value)))
                .collect()
        };
    members
        .into_iter()
        .filter(|(name, _)| !PAGE_TOKENS.contains(&name.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use checker_core::observation::Observation;

    use super::{asks_without_saying, parameters};

    #[test]
    fn what_was_asked_is_read_from_every_protocol() {
        for (uri, body, expected) in [
            (
                "/",
                r#"{"MaxResults":100,"NextToken":"x"}"#,
                r#"{"MaxResults":100}"#,
            ),
            (
                "/",
                "Action=GetAccountAuthorizationDetails&Version=2010-05-08&MaxItems=1000",
                r#"{"MaxItems":"1000"}"#,
            ),
            (
                "/2015-03-31/functions?MaxItems=50&Marker=x",
                "",
                r#"{"MaxItems":"50"}"#,
            ),
            ("/", "", "{}"),
        ] {
            let found = serde_json::to_string(&parameters(uri, body.as_bytes()));
            assert_eq!(found.ok().as_deref(), Some(expected), "{uri} {body}");
        }
    }

    #[test]
    fn a_question_with_an_argument_says_what_it_asks() {
        assert!(asks_without_saying(&Observation::Secrets));
        assert!(!asks_without_saying(&Observation::Secret(String::new())));
    }
}
