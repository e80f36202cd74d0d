//! What Secrets Manager tells by itself: the service events of rotations, and the
//! native event when a staging label moves.

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::cloudtrail::ServiceEvent;
use crate::events::{self, Origin};
use crate::rotation::{Moment, Rotation};
use crate::secretsmanager::rotating::PRINCIPAL;
use crate::world::World;

/// The service event of a rotation's moment.
pub(crate) fn rotation(
    world: &mut World,
    rotation: &Rotation,
    moment: Moment,
    problem: Option<&str>,
    now: DateTime<Utc>,
) {
    let name = match (moment, rotation.test_only) {
        (Moment::Started, false) => "RotationStarted",
        (Moment::Succeeded, false) => "RotationSucceeded",
        (Moment::Failed, false) => "RotationFailed",
        (Moment::Started, true) => "TestRotationStarted",
        (Moment::Succeeded, true) => "TestRotationSucceeded",
        (Moment::Failed, true) => "TestRotationFailed",
    };
    service_event(world, &rotation.secret_arn, name, problem, now);
}

/// A service event about a secret.
pub(crate) fn service_event(
    world: &mut World,
    secret_arn: &str,
    name: &str,
    problem: Option<&str>,
    now: DateTime<Utc>,
) {
    let region = secret_arn.split(':').nth(3).unwrap_or_default().to_owned();
    let request_id = format!("Rotation-{secret_arn}");
    let event = ServiceEvent {
        service: PRINCIPAL,
        name,
        region: &region,
        request_id: &request_id,
        data: &json!({"SecretId": secret_arn}),
        error: problem,
    };
    crate::cloudtrail::record_service_event(world, now, event);
}

/// "Secret Label Updated", for every label but `AWSPENDING` and `AWSPREVIOUS`, once for each move.
pub(crate) fn labels(world: &mut World, now: DateTime<Utc>) {
    for moved in std::mem::take(&mut world.secretsmanager.moved) {
        let region = moved.arn.split(':').nth(3).unwrap_or_default().to_owned();
        let id = world.ids.uuid();
        let detail = json!({
            "name": moved.name,
            "labelUpdated": moved.label,
            "versionId": moved.version,
        });
        let place = (region.as_str(), world.account.as_str());
        let event = events::envelope(
            &id,
            now,
            place,
            "aws.secretsmanager",
            "Secret Label Updated",
            &[json!(moved.arn)],
            detail,
        );
        events::publish(world, now, &event, Origin::Other);
    }
}
