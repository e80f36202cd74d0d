//! Not served yet.

use crate::service::{Answer, Call};
use crate::world::World;


pub(crate) fn handle(_world: &mut World, call: &Call<'_>) -> Answer {
    Err(call.unserved())
}
