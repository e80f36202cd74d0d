//! CloudTrail records of what happens in the lab (in the making).

use chrono::{DateTime, Utc};

use crate::rotation::{Moment, Rotation};
use crate::world::World;

/// The service event of a rotation's moment.
pub(crate) fn rotation(
    _world: &mut World,
    _rotation: &Rotation,
    _moment: Moment,
    _problem: Option<&str>,
    _now: DateTime<Utc>,
) {
}
