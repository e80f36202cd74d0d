//! Entries of a log group since the probes began, every page, behind masks too.

use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsError;
use checker_core::observation::Unseen;

use super::scene::Scene;
use super::session::Clients;
use crate::aws::{incomplete, unseen};

/// One entry. No `Debug`: its text may hold anything.
pub(super) struct Entry {
    /// The text.
    pub(super) text: String,
    /// Stream and id, to find it again.
    pub(super) place: String,
}

/// Reads all of a group. A group that does not exist has no entries.
pub(super) async fn entries(
    scene: &Scene,
    clients: &Clients,
    group: &str,
) -> Result<Vec<Entry>, Unseen> {
    let operation = "logs:FilterLogEvents";
    let mut entries = Vec::new();
    let mut token: Option<String> = None;
    // Writers stamp entries with their own clocks. In the lab everything is from this run.
    let from = (!scene.waiting.is_lab()).then(|| scene.begun.timestamp_millis() - 300_000);
    loop {
        let page = clients
            .logs
            .filter_log_events()
            .log_group_name(group)
            .set_start_time(from)
            .unmask(true)
            .set_next_token(token.clone())
            .send()
            .await;
        let page = match page {
            Ok(page) => page,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(FilterLogEventsError::is_resource_not_found_exception) =>
            {
                return Ok(entries);
            }
            Err(error) => return Err(unseen(operation, &error)),
        };
        for event in page.events() {
            entries.push(Entry {
                text: event.message().unwrap_or_default().to_owned(),
                place: format!(
                    "stream {}, event {}",
                    event.log_stream_name().unwrap_or("?"),
                    event.event_id().unwrap_or("?")
                ),
            });
        }
        let next = page.next_token().map(str::to_owned);
        if next.is_some() && next == token {
            return Err(incomplete(operation, "nextToken"));
        }
        token = next;
        if token.is_none() {
            return Ok(entries);
        }
    }
}
