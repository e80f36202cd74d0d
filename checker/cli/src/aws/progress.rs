//! How far the asking has come, without promising more than is known.

use std::time::Duration;

/// A look at the asking while it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Questions answered.
    pub(crate) asked: usize,
    /// Questions that are known so far.
    pub(crate) total: usize,
    /// Calls, those tried again included.
    pub(crate) calls: u64,
    /// Calls that had to be tried again.
    pub(crate) again: u64,
    /// The list that is longest so far: its operation and rows. How long it will be nobody knows.
    pub(crate) listing: Option<(String, u64)>,
    /// Since the first of these questions.
    pub(crate) elapsed: Duration,
}

impl Progress {
    /// How long the rest will take, once enough was answered to say so.
    pub(crate) fn left(&self) -> Option<Duration> {
        if self.asked < 10 || self.elapsed < Duration::from_secs(2) {
            return None;
        }
        let each = self.elapsed.checked_div(u32::try_from(self.asked).ok()?)?;
        let open = self.total.saturating_sub(self.asked);
        each.checked_mul(u32::try_from(open).ok()?)
    }
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "asked {} of {} questions, {} calls",
            self.asked, self.total, self.calls
        )?;
        if self.again > 0 {
            write!(f, " ({} tried again)", self.again)?;
        }
        if let Some((operation, rows)) = &self.listing {
            write!(f, ", {operation} {rows} rows so far")?;
        }
        match self.left() {
            Some(left) if left.as_secs() > 0 => write!(f, ", about {} s left", left.as_secs()),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Progress;

    #[test]
    fn an_estimate_needs_something_to_go_by() {
        let mut progress = Progress {
            asked: 3,
            total: 100,
            calls: 4,
            again: 1,
            listing: None,
            elapsed: Duration::from_secs(10),
        };
        assert_eq!(
            progress.to_string(),
            "asked 3 of 100 questions, 4 calls (1 tried again)"
        );
        progress.asked = 20;
        progress.listing = Some(("kms:ListAliases".to_owned(), 300));
        assert_eq!(
            progress.to_string(),
            "asked 20 of 100 questions, 4 calls (1 tried again), kms:ListAliases 300 rows so far, about 40 s left"
        );
    }
}
