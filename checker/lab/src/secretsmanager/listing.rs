//! `ListSecrets` and its filters.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Secret, State};
use crate::service::{Answer, ApiError, Call};
use crate::world::World;

pub(super) fn list(world: &mut World, call: &Call<'_>) -> Answer {
    let size = call
        .number("MaxResults")
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(100);
    let filters: Vec<Filter> = parsed(call.list("Filters"))?;
    let state = &world.secretsmanager;
    let page = world.walks.page(call, "NextToken", size, || {
        let matching = matching_all(state, call, &filters);
        matching.iter().map(|it| Arc::clone(&it.arn)).collect()
    })?;
    let rows: Vec<Value> = page
        .names()
        .iter()
        .filter_map(|arn| state.get(arn))
        .map(|secret| Value::Object(secret.shown("SecretVersionsToStages")))
        .collect();
    let mut answer = json!({"SecretList": rows});
    if let (Some(next), Some(answer)) = (page.next(), answer.as_object_mut()) {
        answer.insert("NextToken".to_owned(), json!(next));
    }
    Ok(answer)
}

/// The secrets of the region that match all filters, in the order asked for.
pub(super) fn matching<'a>(
    state: &'a State,
    call: &Call<'_>,
    filters: &[Value],
) -> Result<Vec<&'a Secret>, ApiError> {
    Ok(matching_all(state, call, &parsed(filters)?))
}

fn parsed(filters: &[Value]) -> Result<Vec<Filter>, ApiError> {
    filters.iter().map(Filter::parse).collect()
}

fn matching_all<'a>(state: &'a State, call: &Call<'_>, filters: &[Filter]) -> Vec<&'a Secret> {
    let deleted = call.flag("IncludePlannedDeletion") == Some(true);
    let here = call.arn("secret:");
    let mut rows: Vec<&Secret> = state
        .all()
        .filter(|secret| secret.arn.starts_with(&here))
        .filter(|secret| deleted || secret.rare().deletion.is_none())
        .filter(|secret| filters.iter().all(|filter| filter.matches(secret)))
        .collect();
    match call.text("SortBy").unwrap_or("created-date") {
        "name" => rows.sort_by(|a, b| a.name.cmp(&b.name)),
        "last-accessed-date" => rows.sort_by_key(|secret| (secret.accessed, &secret.name)),
        "last-changed-date" => rows.sort_by_key(|secret| (secret.changed, &secret.name)),
        _ => rows.sort_by_key(|secret| (secret.created, &secret.name)),
    }
    if call.text("SortOrder") != Some("asc") {
        rows.reverse();
    }
    rows
}

/// One filter: values are alternatives, `!` in front of a value excludes.
struct Filter {
    key: String,
    wanted: Vec<String>,
    unwanted: Vec<String>,
}

impl Filter {
    fn parse(filter: &Value) -> Result<Self, ApiError> {
        let key = filter.get("Key").and_then(Value::as_str);
        let values = filter.get("Values").and_then(Value::as_array);
        let (Some(key), Some(values)) = (key, values) else {
            return Err(super::invalid_parameter("a filter needs a key and values"));
        };
        let (unwanted, wanted) = values
            .iter()
            .filter_map(Value::as_str)
            .partition::<Vec<&str>, _>(|value| value.starts_with('!'));
        Ok(Self {
            key: key.to_owned(),
            wanted: wanted.into_iter().map(str::to_owned).collect(),
            unwanted: unwanted
                .into_iter()
                .map(|value| value.trim_start_matches('!').to_owned())
                .collect(),
        })
    }

    fn matches(&self, secret: &Secret) -> bool {
        let holds = |value: &String| self.one(secret, value);
        (self.wanted.is_empty() || self.wanted.iter().any(holds))
            && !self.unwanted.iter().any(holds)
    }

    /// Names and tags match by prefix and case, descriptions without regard to case.
    fn one(&self, secret: &Secret, value: &str) -> bool {
        let tags = secret.tags.entries();
        match self.key.as_str() {
            "name" => secret.name.starts_with(value),
            "tag-key" => tags.keys().any(|key| key.starts_with(value)),
            "tag-value" => tags.values().any(|held| held.starts_with(value)),
            "description" => described(secret, value),
            "primary-region" => secret
                .rare()
                .primary_region
                .as_deref()
                .is_some_and(|region| region.starts_with(value)),
            "all" => value.split_whitespace().all(|word| {
                let word = word.to_lowercase();
                secret.name.to_lowercase().contains(&word)
                    || described(secret, &word)
                    || tags.iter().any(|(key, held)| {
                        key.to_lowercase().contains(&word) || held.to_lowercase().contains(&word)
                    })
            }),
            // No secret of the lab is owned by a service.
            _ => false,
        }
    }
}

fn described(secret: &Secret, value: &str) -> bool {
    let value = value.to_lowercase();
    secret.description.as_deref().is_some_and(|description| {
        description
            .to_lowercase()
            .split_whitespace()
            .any(|word| word.starts_with(&value))
            || description.to_lowercase().starts_with(&value)
    })
}
