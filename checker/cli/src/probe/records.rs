//! The access records: one for each provoked event, nothing in them that must not be, and none missing of what
//! `CloudTrail` knows.

use std::collections::BTreeSet;

use aws_sdk_cloudtrail::types::LookupAttributeKey;
use checker_core::expression::types::Known;
use checker_core::observation::Unseen;
use checker_core::probe::anomaly::{Reconciled, Records};
use checker_core::probe::needle::Search;
use serde_json::Value as Json;

use super::history::{self, Call};
use super::scene::Scene;
use super::session::Clients;
use super::value::Value;

/// Names of members that would hold a value, without case and separators.
const FORBIDDEN: [&str; 18] = [
    "accesskey",
    "apikey",
    "clientsecret",
    "credential",
    "credentials",
    "decryptionkey",
    "passphrase",
    "passwd",
    "password",
    "plaintext",
    "privatekey",
    "pwd",
    "secretaccesskey",
    "secretbinary",
    "secretstring",
    "secretvalue",
    "token",
    "value",
];

/// A record that must exist.
pub(super) struct Expected {
    /// Its request.
    pub(super) request: String,
    /// Who acted, role ARN.
    pub(super) identity: String,
    /// On which secret, ARN.
    pub(super) secret: String,
    /// What was called.
    pub(super) event: String,
}

/// The log, and the history, which may not be there yet when the log is.
type Looked = Result<(Vec<Line>, Result<Vec<Call>, Unseen>), Unseen>;

/// One line of the access log.
struct Line {
    text: String,
    json: Json,
}

impl Line {
    fn member(&self, name: &str) -> Option<&str> {
        self.json.get(name).and_then(Json::as_str)
    }

    fn event(&self) -> &str {
        self.member("event_id").unwrap_or("without event id")
    }
}

/// Reads the log until everything that is expected is there, and judges what it holds.
///
/// `real` are the requests that `CloudTrail` must know as well.
pub(super) async fn check(
    scene: &Scene,
    checker: &Clients,
    expected: &[Expected],
    real: &[String],
    values: &[&Value],
    patience: std::time::Duration,
) -> Result<Records, Unseen> {
    let mut last: Looked = Err(Unseen {
        operation: "logs:FilterLogEvents".to_owned(),
        code: "NotAsked".to_owned(),
        advice: "the access log was not read".to_owned(),
    });
    scene
        .waiting
        .until(patience, async || {
            last = look(scene, checker, real).await;
            let (lines, calls) = last.as_ref().ok()?;
            let calls = calls.as_ref().ok()?;
            let all = expected
                .iter()
                .all(|expected| lines.iter().any(|line| expected.is(line)));
            (all && unrecorded(calls, lines).is_empty()).then_some(())
        })
        .await;
    let (lines, calls) = last?;
    let search = Search::new(values.iter().map(|value| value.exposed()));
    let search = search.map_err(|_error| Unseen {
        operation: "probe".to_owned(),
        code: "SearchNotBuilt".to_owned(),
        advice: "the search for the value could not be built".to_owned(),
    })?;
    let mut with_value: Vec<String> = Vec::new();
    for line in &lines {
        with_value.extend(
            search
                .in_text(&line.text)
                .into_iter()
                .map(|form| format!("record of event {}: {form}", line.event())),
        );
    }
    Ok(Records {
        accesses: i64::try_from(expected.len()).unwrap_or(i64::MAX),
        found: i64::try_from(lines.len()).unwrap_or(i64::MAX),
        missing: expected
            .iter()
            .filter(|expected| !lines.iter().any(|line| expected.is(line)))
            .map(|expected| expected.request.clone())
            .collect(),
        doubled: expected
            .iter()
            .filter(|expected| expected.events(&lines).len() > 1)
            .map(|expected| expected.request.clone())
            .collect(),
        incomplete: expected
            .iter()
            .flat_map(|expected| expected.gaps(&lines))
            .collect(),
        forbidden: lines
            .iter()
            .flat_map(|line| {
                let mut names = BTreeSet::new();
                forbidden(&line.json, &mut names);
                names
                    .into_iter()
                    .map(|name| format!("record of event {}: {name}", line.event()))
                    .collect::<Vec<_>>()
            })
            .collect(),
        with_value,
        reconciled: match calls {
            Ok(calls) => Known::Known(Reconciled {
                events: i64::try_from(calls.len()).unwrap_or(i64::MAX),
                unrecorded: unrecorded(&calls, &lines),
            }),
            Err(unseen) => Known::Unknown(unseen.to_string()),
        },
    })
}

impl Expected {
    fn is(&self, line: &Line) -> bool {
        line.member("request_id") == Some(&self.request)
    }

    /// Ids of the events that claim this request: the same event may be recorded twice, another one may not.
    fn events<'a>(&self, lines: &'a [Line]) -> BTreeSet<&'a str> {
        lines
            .iter()
            .filter(|line| self.is(line))
            .map(Line::event)
            .collect()
    }

    fn gaps(&self, lines: &[Line]) -> Vec<String> {
        let mut gaps = BTreeSet::new();
        for line in lines.iter().filter(|line| self.is(line)) {
            let mut demand = |name: &str, right: bool| {
                if !right {
                    gaps.insert(format!("record of {}: {name}", self.request));
                }
            };
            demand("identity", line.member("identity") == Some(&self.identity));
            demand("event_name", line.member("event_name") == Some(&self.event));
            let time = line.member("event_time").unwrap_or_default();
            demand(
                "event_time",
                time.parse::<checker_core::observation::Time>().is_ok(),
            );
            let reference = line.member("secret_reference").unwrap_or_default();
            demand(
                "secret_reference",
                !reference.is_empty() && self.secret.starts_with(reference),
            );
        }
        gaps.into_iter().collect()
    }
}

/// The log, and what `CloudTrail` knows up to the last of the real requests.
async fn look(scene: &Scene, checker: &Clients, real: &[String]) -> Looked {
    // First the history: what it knows must be on record when the log is read after it.
    let calls = history::lookup(
        checker,
        LookupAttributeKey::EventSource,
        "secretsmanager.amazonaws.com",
        scene.begun,
    )
    .await;
    let calls = calls.and_then(|calls| {
        let last = calls.iter().rposition(|call| real.contains(&call.request));
        let complete = real
            .iter()
            .all(|request| calls.iter().any(|call| call.request == *request));
        match last {
            Some(last) if complete => Ok(calls.into_iter().take(last + 1).collect()),
            Some(_) | None => Err(Unseen {
                operation: "cloudtrail:LookupEvents".to_owned(),
                code: "NotYetThere".to_owned(),
                advice: "CloudTrail does not show the canary's reads yet; it may take 15 minutes"
                    .to_owned(),
            }),
        }
    });
    Ok((lines(scene, checker).await?, calls))
}

async fn lines(scene: &Scene, checker: &Clients) -> Result<Vec<Line>, Unseen> {
    let setting = &scene.setting;
    let group = setting.organisation.access_log(&setting.stage);
    let texts = super::logs::entries(scene, checker, &group).await?;
    Ok(texts
        .into_iter()
        .map(|entry| Line {
            json: serde_json::from_str(&entry.text).unwrap_or(Json::Null),
            text: entry.text,
        })
        .collect())
}

/// Name and event id of what has no record.
fn unrecorded(calls: &[Call], lines: &[Line]) -> Vec<String> {
    let recorded: BTreeSet<&str> = lines.iter().map(Line::event).collect();
    calls
        .iter()
        .filter(|call| !recorded.contains(call.id.as_str()))
        .map(|call| format!("{} {}", call.name, call.id))
        .collect()
}

/// Members, at any depth, that are named like a value.
fn forbidden(json: &Json, names: &mut BTreeSet<String>) {
    match json {
        Json::Object(members) => {
            for (name, value) in members {
                let plain: String = name
                    .chars()
                    .filter(char::is_ascii_alphanumeric)
                    .map(|letter| letter.to_ascii_lowercase())
                    .collect();
                if FORBIDDEN.contains(&plain.as_str()) {
                    names.insert(name.chars().take(40).collect());
                }
                forbidden(value, names);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| forbidden(item, names)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}
