//! A preview as engine events, one JSON object a line.
//!
//! Every resource has an event before its step, which holds the state that is planned; the event with outputs after it
//! says more where there is one. The summary is the last thing that a preview which ran to its end says.

use serde_json::Value as Json;

use super::digest::{first_line, summary};
use super::{HELP, Raw, Step};
use crate::program::error::{Position, Problems, ProgramErrors};

/// Whether the first line is an event.
pub(super) fn is_stream(text: &str) -> bool {
    let Some(first) = text.lines().find(|line| !line.trim().is_empty()) else {
        return false;
    };
    match serde_json::from_str::<Json>(first) {
        Ok(Json::Object(event)) => {
            !event.contains_key("steps") && event.keys().any(|name| name.ends_with("Event"))
        }
        // A first line that is cut off is an event as well, when it is all there is.
        Ok(_) => false,
        Err(error) => error.is_eof() && first.contains("\"sequence\""),
    }
}

/// Reads it; nothing of it is trusted yet.
pub(super) fn read(text: &str, problems: &Problems) -> Result<Raw, ProgramErrors> {
    let mut raw = Raw::default();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let number = u64::try_from(index).unwrap_or_default().saturating_add(1);
        let event: Json = serde_json::from_str(line).map_err(|error| {
            let at = Position {
                line: number,
                column: u64::try_from(error.column()).unwrap_or_default(),
            };
            let message = if error.is_eof() {
                "the preview is cut off: it ends in the middle of an event"
            } else {
                "this line isn't an event of a preview"
            };
            problems.error(at, message, Some(HELP.to_owned()))
        })?;
        let at = Position {
            line: number,
            column: 1,
        };
        take(&event, at, &mut raw);
    }
    Ok(raw)
}

fn take(event: &Json, at: Position, raw: &mut Raw) {
    if let Some(Json::Object(config)) = event.pointer("/preludeEvent/config") {
        raw.config.extend(
            config
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
    }
    if let Some(metadata) = event.pointer("/resourcePreEvent/metadata") {
        raw.steps.push(step(metadata, at));
    }
    if let Some(metadata) = event.pointer("/resOutputsEvent/metadata") {
        let after = step(metadata, at);
        let before = raw.steps.iter_mut().rev().find(|it| it.urn == after.urn);
        if let Some(before) = before
            && after.new.as_ref().is_some_and(Json::is_object)
        {
            before.new = after.new;
        }
    }
    if let Some(found) = event.pointer("/summaryEvent/resourceChanges") {
        raw.summary = summary(found);
    }
    if event
        .pointer("/diagnosticEvent/severity")
        .and_then(Json::as_str)
        == Some("error")
    {
        let message = event
            .pointer("/diagnosticEvent/message")
            .and_then(Json::as_str)
            .unwrap_or("it does not say why");
        raw.failures.push((at, first_line(message)));
    }
    if event
        .get("resOpFailedEvent")
        .is_some_and(|it| !it.is_null())
    {
        raw.failures.push((at, "a step failed".to_owned()));
    }
}

/// A missing name is told when the step is taken into the plan.
fn step(metadata: &Json, at: Position) -> Step {
    let text = |name: &str| {
        metadata
            .get(name)
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let state = |name: &str| metadata.get(name).filter(|it| it.is_object()).cloned();
    Step {
        at,
        op: text("op"),
        urn: text("urn"),
        provider: Some(text("provider")).filter(|it| !it.is_empty()),
        old: state("old"),
        new: state("new"),
    }
}
