//! Fills a lab with many secrets, as if the function had rotated them all.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::lab::LabError;
use crate::schedule::Schedule;
use crate::secretsmanager::{Labels, Rotation, Secret, SecretValue, Version};
use crate::tagging::Tags;
use crate::world::World;

/// The schedule of the filled secrets when the function rotates none yet.
const DAYS: u64 = 90;

/// The tag that fences probes in: filled secrets must not carry it.
const PROBE_TAG: &str = "bank:probe";

/// Adds `n` secrets, the `i`-th rotated `i` modulo 7 days and some hours ago.
pub(crate) fn secrets(
    world: &mut World,
    n: u32,
    function_arn: &str,
    now: DateTime<Utc>,
) -> Result<(), LabError> {
    if world.lambda.function(function_arn).is_none() {
        return Err(LabError::NoFunction(function_arn.to_owned()));
    }
    let region = world.region.clone();
    let model = world
        .secretsmanager
        .all()
        .filter(|secret| secret.rotation.function.as_deref() == Some(function_arn))
        .max_by_key(|secret| {
            let api_key = secret
                .tags
                .entries()
                .get("secret_type")
                .is_some_and(|kind| kind == "API_KEY");
            (api_key, std::cmp::Reverse(Arc::clone(&secret.name)))
        })
        .cloned();
    let (tags, key, rotation) = match model {
        Some(model) => (
            without_probe(model.tags),
            model.key,
            (model.rotation.rules, model.rotation.schedule),
        ),
        None => (default_tags(), None, (None, None)),
    };
    let schedule = rotation
        .1
        .or_else(|| Schedule::days(DAYS, None).ok().map(Arc::new));
    let rules = rotation
        .0
        .unwrap_or_else(|| Arc::new(json!({"AutomaticallyAfterDays": DAYS})));
    let function: Arc<str> = function_arn.into();
    let (ids, account) = (&mut world.ids, &world.account);
    let filled = (1..=n).map(|number| {
        let name = format!("bank-lab/fill/{number:06}");
        let arn = format!(
            "arn:aws:secretsmanager:{region}:{account}:secret:{name}-{}",
            ids.alphanumeric(6)
        );
        let ago =
            TimeDelta::days(i64::from(number % 7)) + TimeDelta::hours(i64::from(number % 5 + 1));
        let rotated = now.checked_sub_signed(ago).unwrap_or(now);
        let created = rotated
            .checked_sub_signed(TimeDelta::days(1))
            .unwrap_or(rotated);
        let version = |stage: &str, at, text: String| Version {
            value: Some(SecretValue::Text(text.into())),
            stages: Labels::one(stage),
            created: at,
            accessed: None,
            key: key.clone(),
        };
        let versions = [
            (
                ids.uuid().into(),
                version("AWSPREVIOUS", created, ids.alphanumeric(43)),
            ),
            (
                ids.uuid().into(),
                version("AWSCURRENT", rotated, ids.alphanumeric(43)),
            ),
        ];
        let mut secret = Secret::new(&arn, &name, created);
        secret.key.clone_from(&key);
        secret.tags = tags.clone();
        secret.versions = versions.into_iter().collect();
        secret.changed = rotated;
        secret.rotation = Rotation {
            enabled: true,
            function: Some(Arc::clone(&function)),
            rules: Some(Arc::clone(&rules)),
            schedule: schedule.clone(),
            last: Some(rotated),
            ..Rotation::default()
        };
        secret.plan_next(now);
        secret
    });
    world.secretsmanager.insert_many(&region, filled);
    Ok(())
}

fn without_probe(mut tags: Tags) -> Tags {
    tags.remove([PROBE_TAG]);
    tags
}

fn default_tags() -> Tags {
    let tags = [
        ("environment", "dev"),
        ("module_id", "MOD-045"),
        ("rotation_enabled", "true"),
        ("secret_type", "API_KEY"),
        ("tenant_id", "totara-bank"),
    ];
    let map = tags
        .into_iter()
        .map(|(key, value)| (key.to_owned(), json!(value)))
        .collect();
    Tags::from_map(&map).unwrap_or_default()
}
