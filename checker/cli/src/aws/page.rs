//! Reads all pages of a list, or none.
//!
//! The paginators of the SDK end silently when a token comes twice, which would make half a list look whole.
//! Here a token that came before is a reason not to use the list at all.

use std::collections::BTreeSet;
use std::future::Future;

use checker_core::observation::{Origin, Unseen};

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
        let page = ask(token).await?;
        origin.pages += 1;
        origin.request_ids.extend(page.request_id);
        rows.extend(page.rows);
        // Some services end a list with an empty token.
        let Some(next) = page.next.filter(|next| !next.is_empty()) else {
            return Ok((rows, origin));
        };
        if !tokens.insert(next.clone()) || origin.pages >= MOST_PAGES {
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
