//! Long lists that are read page by page: their order is settled with the first page, so that the next page costs what
//! it holds and not what the whole list holds.
//!
//! What is made after the first page is missing from the others, and what vanishes meanwhile is left out, as happens on
//! AWS. A list that nobody reads to its end is forgotten when others come.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::service::{ApiError, Call};

/// How many lists are remembered.
const REMEMBERED: usize = 16;

/// The lists that are being read.
#[derive(Debug, Default)]
pub(crate) struct Walks(VecDeque<Walk>);

#[derive(Debug)]
struct Walk {
    of: String,
    order: Arc<[Arc<str>]>,
}

/// One page: the names on it, and the token of the next.
pub(crate) struct Page {
    order: Arc<[Arc<str>]>,
    start: usize,
    end: usize,
}

impl Walks {
    /// The page that a call asks for; `all` puts the list in order where that was not done yet.
    pub(crate) fn page(
        &mut self,
        call: &Call<'_>,
        token_member: &str,
        size: usize,
        all: impl FnOnce() -> Vec<Arc<str>>,
    ) -> Result<Page, ApiError> {
        let token = call.text(token_member).filter(|token| !token.is_empty());
        let start = token.map_or(Ok(0), position)?;
        let of = name(call, token_member);
        let known = self.0.iter().position(|walk| walk.of == of);
        let order = match known.and_then(|at| self.0.get(at)) {
            // Whoever begins again sees the list as it is now.
            Some(walk) if token.is_some() => Arc::clone(&walk.order),
            Some(_) | None => all().into(),
        };
        if start > order.len() {
            return Err(invalid());
        }
        let end = start.saturating_add(size.max(1)).min(order.len());
        if let Some(known) = known {
            self.0.remove(known);
        }
        if end < order.len() {
            self.0.truncate(REMEMBERED - 1);
            let order = Arc::clone(&order);
            self.0.push_front(Walk { of, order });
        }
        Ok(Page { order, start, end })
    }
}

impl Page {
    /// The names on it.
    pub(crate) fn names(&self) -> &[Arc<str>] {
        self.order.get(self.start..self.end).unwrap_or_default()
    }

    /// The token of the next page, if there is one.
    pub(crate) fn next(&self) -> Option<String> {
        (self.end < self.order.len()).then(|| format!("page-{}", self.end))
    }
}

/// What is asked, without the page.
fn name(call: &Call<'_>, token_member: &str) -> String {
    let asked: Map<String, Value> = call
        .input
        .iter()
        .filter(|(member, _)| *member != token_member)
        .map(|(member, value)| (member.clone(), value.clone()))
        .collect();
    let asked = Value::Object(asked);
    format!("{} {} {asked}", call.region, call.operation)
}

fn position(token: &str) -> Result<usize, ApiError> {
    let at = token.strip_prefix("page-");
    at.and_then(|at| at.parse().ok()).ok_or_else(invalid)
}

fn invalid() -> ApiError {
    ApiError::new("InvalidNextTokenException", "the page token is not valid")
}
