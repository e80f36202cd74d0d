//! What a client may ask of the lab itself, beside AWS: `/_lab/..` on the same port, unsigned.
//!
//! * `POST /_lab/advance?seconds=N` moves the clock on and answers once everything that became due is done;
//!   with `&wait=no` it only moves the clock, and what is due follows on its own.
//! * `GET /_lab/clock` tells the lab's time.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{SecondsFormat, TimeDelta};
use serde_json::json;

use crate::protocol::{Encoded, Wire};
use crate::shared::Shared;

/// Where the lab's own addresses begin.
const ROOT: &str = "/_lab/";

/// Farther than this the clock is not moved at once.
const FARTHEST_SECONDS: i64 = 100 * 366 * 24 * 3600;

/// Answers a request that is meant for the lab itself; `None` for all others.
pub(crate) async fn answer(shared: &Arc<Shared>, wire: &Wire<'_>) -> Option<Encoded> {
    let asked = wire.path.strip_prefix(ROOT)?;
    let query: BTreeMap<&str, &str> = wire
        .query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .collect();
    let done = match (wire.method, asked) {
        ("GET", "clock") => Ok(()),
        ("POST", "advance") => advance(shared, &query).await,
        _ => Err((
            404,
            "the lab serves GET /_lab/clock and POST /_lab/advance?seconds=N",
        )),
    };
    let now = shared.clock.now();
    Some(match done {
        Ok(()) => {
            let now = now.to_rfc3339_opts(SecondsFormat::Millis, true);
            encoded(200, &json!({ "clock": now }))
        }
        Err((status, message)) => encoded(status, &json!({ "message": message })),
    })
}

async fn advance(
    shared: &Arc<Shared>,
    query: &BTreeMap<&str, &str>,
) -> Result<(), (u16, &'static str)> {
    let seconds = query
        .get("seconds")
        .and_then(|text| text.parse().ok())
        .filter(|seconds| (0..=FARTHEST_SECONDS).contains(seconds))
        .ok_or((400, "`seconds` must be a whole number of at most 100 years"))?;
    let now = shared.clock.now();
    let target = now
        .checked_add_signed(TimeDelta::seconds(seconds))
        .unwrap_or(now);
    match query.get("wait") {
        None | Some(&"yes") => shared.advance(target).await,
        Some(&"no") => shared.clock.move_to(target),
        Some(_) => return Err((400, "`wait` is `yes` or `no`")),
    }
    Ok(())
}

fn encoded(status: u16, body: &serde_json::Value) -> Encoded {
    Encoded {
        status,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: format!("{body}\n").into_bytes(),
    }
}
