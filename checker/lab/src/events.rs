//! Not served yet.

pub(crate) mod pattern;

use crate::service::{Answer, Call};
use crate::world::World;

/// What the service keeps.
#[derive(Debug, Default)]
pub(crate) struct State {}

pub(crate) fn handle(_world: &mut World, call: &Call<'_>) -> Answer {
    Err(call.unserved())
}
