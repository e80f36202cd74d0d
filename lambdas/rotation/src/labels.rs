//! Labels that keep old encryption keys: a version without a label is deleted by Secrets Manager sooner or
//! later, and with it whatever the key encrypted.
//!
//! Before `AWSCURRENT` moves, the versions that hold `AWSCURRENT` and `AWSPREVIOUS` get a label
//! `KEY-<yyyymmdd>` of their own, whoever stored them. Labels are never taken away here. A secret has at most
//! 20, so a rotation that would come too near is refused before it makes anything.

use chrono::DateTime;

use crate::error::RotationError;
use crate::steps::Warning;
use crate::store::{CURRENT, PENDING, PREVIOUS, Store, Versions};

/// How many labels a secret may have.
/// Source: AWS Secrets Manager quotas, "Staging labels attached across all versions of a secret".
pub const LIMIT: usize = 20;
/// From how many labels on every rotation warns.
pub const WARN_FROM: usize = 15;

const PREFIX: &str = "KEY-";

/// Versions that are about to lose their last label, or will at the rotation after.
fn unprotected<'a>(
    versions: &'a Versions,
    pending: &'a str,
) -> impl Iterator<Item = (&'a str, &'static str)> {
    [CURRENT, PREVIOUS].into_iter().filter_map(move |label| {
        let version = versions.holder(label)?;
        let labels = versions.0.get(version)?;
        (version != pending && !labels.iter().any(|label| label.starts_with(PREFIX)))
            .then_some((version, label))
    })
}

/// How many labels the secret will have once this rotation is finished and its predecessors are protected.
pub fn projected(versions: &Versions, pending: &str) -> usize {
    let service_labels = [CURRENT, PENDING, PREVIOUS];
    let own = versions
        .0
        .values()
        .flatten()
        .filter(|label| !service_labels.contains(&label.as_str()))
        .count();
    let first = versions.holder(CURRENT).is_none();
    // The first value leaves nothing behind, so there will be no AWSPREVIOUS.
    let services = service_labels.len() - usize::from(first);
    own + unprotected(versions, pending).count() + services
}

/// Refuses a rotation that would come to the limit, and warns on the way there.
///
/// # Errors
/// [`RotationError::LabelsExhausted`].
pub fn check_headroom(
    versions: &Versions,
    pending: &str,
) -> Result<Option<Warning>, RotationError> {
    let labels = projected(versions, pending);
    if labels >= LIMIT {
        return Err(RotationError::LabelsExhausted { labels });
    }
    Ok((labels >= WARN_FROM).then_some(Warning::LabelsNearLimit { labels }))
}

/// Gives every version that would otherwise fade a label of its own.
///
/// # Errors
/// The failure of a call, or a version that cannot be read.
pub async fn protect(
    store: &Store<'_>,
    versions: &Versions,
    pending: &str,
) -> Result<(), RotationError> {
    let mut taken = versions.clone();
    for (version, held) in unprotected(versions, pending) {
        let stored = store
            .settled_value(version, held)
            .await?
            .ok_or(RotationError::CurrentMissing)?;
        let label = free_label(&taken, version, stored.created.unwrap_or_default());
        store.move_label(&label, version, None).await?;
        taken.0.entry(version.to_owned()).or_default().insert(label);
    }
    Ok(())
}

fn free_label(taken: &Versions, version: &str, created: i64) -> String {
    let day = DateTime::from_timestamp(created, 0)
        .unwrap_or_default()
        .format("%Y%m%d");
    let short = format!("{PREFIX}{day}");
    if taken.holder(&short).is_none() {
        return short;
    }
    // Two keys of one day: the version's id tells them apart.
    format!("{short}-{version}")
}

#[cfg(test)]
mod tests {
    use super::{check_headroom, free_label, projected};
    use crate::error::RotationError;
    use crate::steps::Warning;
    use crate::store::Versions;

    fn versions(old_keys: usize) -> Versions {
        let mut versions = Versions::default();
        let mut add = |version: &str, labels: &[&str]| {
            versions.0.insert(
                version.to_owned(),
                labels.iter().map(|label| (*label).to_owned()).collect(),
            );
        };
        add("new", &["AWSPENDING"]);
        add("now", &["AWSCURRENT"]);
        add("before", &["AWSPREVIOUS", "KEY-20260101"]);
        for number in 1..old_keys {
            add(&format!("old-{number}"), &[&format!("KEY-2025{number:04}")]);
        }
        versions
    }

    #[test]
    fn headroom_warns_from_15_and_refuses_before_20() {
        for (old_keys, expected) in [
            (1, Ok(None)),
            (10, Ok(None)),
            (11, Ok(Some(Warning::LabelsNearLimit { labels: 15 }))),
            (15, Ok(Some(Warning::LabelsNearLimit { labels: 19 }))),
            (16, Err(RotationError::LabelsExhausted { labels: 20 })),
        ] {
            assert_eq!(
                check_headroom(&versions(old_keys), "new"),
                expected,
                "{old_keys}"
            );
        }
    }

    #[test]
    fn a_first_value_needs_two_labels() {
        let mut versions = Versions::default();
        versions
            .0
            .insert("new".to_owned(), ["AWSPENDING".to_owned()].into());
        assert_eq!(projected(&versions, "new"), 2);
    }

    #[test]
    fn two_keys_of_one_day_get_different_labels() {
        let versions = versions(1);
        assert_eq!(free_label(&versions, "v", 1_767_312_000), "KEY-20260102");
        assert_eq!(free_label(&versions, "v", 1_767_225_600), "KEY-20260101-v");
    }
}
