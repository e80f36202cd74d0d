//! Two ways of writing JSON: one entry a line for people, and the canonical form for digests.

mod canonical;
mod lines;

pub(crate) use canonical::canonical;
pub(crate) use lines::lines;
