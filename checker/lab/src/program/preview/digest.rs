//! A preview as one JSON object: `config`, `steps`, `diagnostics`, `changeSummary`.

use serde_json::Value as Json;

use super::{HELP, Raw, Step, place};
use crate::program::error::{Position, Problems, ProgramErrors};

/// Reads it; nothing of it is trusted yet.
pub(super) fn read(text: &str, problems: &Problems) -> Result<Raw, ProgramErrors> {
    let found: Json = serde_json::from_str(text).map_err(|error| {
        let at = Position {
            line: u64::try_from(error.line()).unwrap_or_default(),
            column: u64::try_from(error.column()).unwrap_or_default(),
        };
        let message = if error.is_eof() {
            "the preview is cut off: it ends in the middle of a value"
        } else {
            "this isn't the JSON of a preview"
        };
        problems.error(at, message, Some(HELP.to_owned()))
    })?;
    let refuse = |at: Position, message: &str| -> ProgramErrors {
        problems.error(at, message, Some(HELP.to_owned())).into()
    };
    let Json::Object(digest) = &found else {
        return Err(refuse(Position::START, "a preview is a JSON object"));
    };
    let Some(Json::Array(steps)) = digest.get("steps") else {
        return Err(refuse(
            Position::START,
            "this is no preview: it has no list of `steps`",
        ));
    };
    let mut raw = Raw::default();
    if let Some(Json::Object(config)) = digest.get("config") {
        raw.config.extend(
            config
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
    }
    for step in steps {
        let text_of = |name: &str| step.get(name).and_then(Json::as_str).map(str::to_owned);
        let (Some(op), Some(urn)) = (text_of("op"), text_of("urn")) else {
            let near = text_of("urn").unwrap_or_else(|| "\"steps\"".to_owned());
            return Err(refuse(place(text, &near), "a step has no `op` or no `urn`"));
        };
        raw.steps.push(Step {
            at: place(text, &format!("\"{urn}\"")),
            op,
            provider: text_of("provider"),
            old: step.get("oldState").cloned(),
            new: step.get("newState").cloned(),
            urn,
        });
    }
    raw.summary = digest.get("changeSummary").and_then(summary);
    if let Some(Json::Array(diagnostics)) = digest.get("diagnostics") {
        for diagnostic in diagnostics {
            if diagnostic.get("severity").and_then(Json::as_str) == Some("error") {
                let message = diagnostic
                    .get("message")
                    .and_then(Json::as_str)
                    .unwrap_or("it does not say why");
                raw.failures
                    .push((place(text, "\"diagnostics\""), first_line(message)));
            }
        }
    }
    Ok(raw)
}

/// How many steps of each kind.
pub(super) fn summary(found: &Json) -> Option<std::collections::BTreeMap<String, u64>> {
    found
        .as_object()?
        .iter()
        .map(|(op, count)| Some((op.clone(), count.as_u64()?)))
        .collect()
}

/// The first line of a message, without what colours it on a terminal.
pub(super) fn first_line(message: &str) -> String {
    let plain = message.replace("<{%reset%}>", "");
    let line = plain.lines().find(|line| !line.trim().is_empty());
    line.unwrap_or("it does not say why")
        .trim()
        .chars()
        .take(200)
        .collect()
}
