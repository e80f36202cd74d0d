//! Reads all pages of a list, or none.
//!
//! The paginators of the SDK end silently when a token comes twice, which would make half a list look whole.
//! Here a token that came before is a reason not to use the list at all. And a list that ends on its first page is
//! asked again in pages of half its length: one that was cut off without a word does not come out the same. Longer
//! lists are not asked twice; secrets have a second source.

use std::collections::BTreeSet;
use std::future::Future;

use checker_core::observation::{Origin, Unseen};
use serde::Serialize;

use super::heard::Heard;

/// No list of AWS that we read has more pages than this.
const MOST_PAGES: u32 = 100_000;

/// One page: its rows, the token of the next and the request id.
pub(super) struct Page<T> {
    /// The rows.
    pub(super) rows: Vec<T>,
    /// The next page's token, if there is one.
    pub(super) next: Option<String>,
    /// AWS's request id.
    pub(super) request_id: Option<String>,
}

/// All rows of all pages, with where they come from; a list of one page is confirmed. `ask` gets the token and how many
/// rows a page has at most; `None` is as many as the operation allows.
pub(super) async fn confirmed<T, F>(
    operation: &str,
    region: &str,
    mut ask: impl FnMut(Option<String>, Option<i32>) -> F,
) -> Result<(Vec<T>, Origin), Unseen>
where
    T: Serialize,
    F: Future<Output = Result<Page<T>, Unseen>>,
{
    let (rows, mut origin) = every(operation, region, |token| ask(token, None)).await?;
    let half = i32::try_from(rows.len().div_ceil(2)).unwrap_or(i32::MAX);
    if origin.pages > 1 || half == 0 {
        return Ok((rows, origin));
    }
    let (again, further) = every(operation, region, |token| ask(token, Some(half))).await?;
    origin.request_ids.extend(further.request_ids);
    origin.pages += further.pages;
    let known: BTreeSet<String> = again.iter().map(text).collect();
    if rows.iter().all(|row| known.contains(&text(row))) {
        // What was made between the two is in the second.
        return Ok((again, origin));
    }
    Err(Unseen {
        operation: operation.to_owned(),
        code: "ListsDiffer".to_owned(),
        advice: "asked again in smaller pages, the list lacked rows, so it may have been cut off; run again"
            .to_owned(),
    })
}

fn text(row: &impl Serialize) -> String {
    serde_json::to_string(row).unwrap_or_default()
}

/// All rows of all pages, with where they come from.
pub(super) async fn every<T, F>(
    operation: &str,
    region: &str,
    mut ask: impl FnMut(Option<String>) -> F,
) -> Result<(Vec<T>, Origin), Unseen>
where
    F: Future<Output = Result<Page<T>, Unseen>>,
{
    let mut rows = Vec::new();
    let mut origin = Origin {
        region: region.to_owned(),
        ..Origin::default()
    };
    let mut tokens = BTreeSet::new();
    let mut token = None;
    loop {
        let page = ask(token)
            .await
            .inspect_err(|_unseen| Heard::reading(operation, None))?;
        origin.pages += 1;
        origin.request_ids.extend(page.request_id);
        rows.extend(page.rows);
        Heard::reading(operation, Some(rows.len()));
        // Some services end a list with an empty token.
        let Some(next) = page.next.filter(|next| !next.is_empty()) else {
            Heard::reading(operation, None);
            return Ok((rows, origin));
        };
        if !tokens.insert(next.clone()) || origin.pages >= MOST_PAGES {
            Heard::reading(operation, None);
            return Err(Unseen {
                operation: operation.to_owned(),
                code: "RepeatedPage".to_owned(),
                advice: "the same page token came twice, so the list may lack rows; run again"
                    .to_owned(),
            });
        }
        token = Some(next);
    }
}
