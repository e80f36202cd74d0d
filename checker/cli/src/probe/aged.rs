//! Ninety-one days later: in a second embedded AWS with the same program, so that no other fact is disturbed.
//!
//! Only which versions are current is looked at there, so that no event is delivered to the detector meanwhile.

use std::collections::BTreeMap;

use aws_sdk_secretsmanager::Client;
use checker_core::duration::Duration;
use checker_core::expression::types::Known;
use checker_core::observation::Unseen;
use checker_core::probe::rotation::Aged;

use super::scene::Scene;
use super::timeline::real;
use crate::aws::{incomplete, unseen};
use crate::subject::Recipe;

/// One day more than the longest time that a secret may live.
const DAYS: i64 = 91;

/// Moves the clock of another lab; nothing where there is no lab.
pub(super) async fn run(scene: &Scene) -> Option<Known<Aged>> {
    let recipe = scene.recipe.as_ref()?;
    Some(match aged(recipe).await {
        Ok(aged) => Known::Known(aged),
        Err(reason) => Known::Unknown(reason),
    })
}

async fn aged(recipe: &Recipe) -> Result<Aged, String> {
    let passed = Duration::days(DAYS).unwrap_or(Duration::ZERO);
    // The future of a whole lab is large.
    let subject = Box::pin(recipe.make_quiet())
        .await
        .map_err(|failure| failure.to_string())?;
    let lab = subject
        .lab
        .ok_or_else(|| "the second lab is gone".to_owned())?;
    let secrets = Client::new(&lab.sdk_config());
    let before = current(&secrets).await.map_err(|it| it.to_string())?;
    // Where nothing was ever rotated, time changes nothing, and every day's failure would be waited for.
    let after = if before.values().any(Option::is_some) {
        lab.clock().advance(real(passed)).await;
        current(&secrets).await.map_err(|it| it.to_string())?
    } else {
        BTreeMap::new()
    };
    lab.stop().await;
    let missed: Vec<String> = before
        .iter()
        .filter(|(name, version)| {
            version.is_none() || after.get(*name).is_none_or(|now| now == *version)
        })
        .map(|(name, _)| name.clone())
        .collect();
    Ok(Aged {
        passed,
        secrets: i64::try_from(before.len()).unwrap_or(i64::MAX),
        missed,
    })
}

/// The current version of every secret that is to be rotated, by name.
async fn current(secrets: &Client) -> Result<BTreeMap<String, Option<String>>, Unseen> {
    let operation = "secretsmanager:ListSecrets";
    let mut current = BTreeMap::new();
    let mut token: Option<String> = None;
    loop {
        let page = secrets
            .list_secrets()
            .max_results(100)
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| unseen(operation, &error))?;
        for row in page.secret_list() {
            let name = row.name().ok_or_else(|| incomplete(operation, "Name"))?;
            let to_rotate = row
                .tags()
                .iter()
                .any(|tag| tag.key() == Some("rotation_enabled") && tag.value() == Some("true"));
            if !to_rotate {
                continue;
            }
            let version = row.secret_versions_to_stages().and_then(|versions| {
                versions
                    .iter()
                    .find(|(_, labels)| labels.iter().any(|label| label == "AWSCURRENT"))
                    .map(|(version, _)| version.clone())
            });
            current.insert(name.to_owned(), version);
        }
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            return Ok(current);
        }
    }
}
