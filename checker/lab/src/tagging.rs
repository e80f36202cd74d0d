//! Resource Groups Tagging: one list over the tagged resources of all services.
//!
//! [`Tags`] is what every service of the lab keeps for a resource. As on AWS, `GetResources` never returns a resource
//! that was never tagged, but does return one whose tags were all removed; it sees one region, and of IAM only
//! customer managed policies, in `us-east-1`. It does not serve tag policies (`IncludeComplianceDetails` is refused).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::few::Few;
use crate::service::{Answer, ApiError, Call};
use crate::world::World;

/// The tags of a resource, and whether it ever had one. Copies share them until one changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tags {
    entries: Arc<Few<String, String>>,
    ever: bool,
}

impl Tags {
    /// The most tags that one resource may have.
    pub(crate) const LIMIT: usize = 50;

    /// Adds tags, replacing values of known keys.
    pub(crate) fn merge(&mut self, other: Self) {
        self.ever |= other.ever;
        let entries = Arc::unwrap_or_clone(other.entries);
        Arc::make_mut(&mut self.entries).extend(entries);
    }

    /// Removes tags by key; unknown keys are ignored, as on AWS.
    pub(crate) fn remove<'a>(&mut self, keys: impl IntoIterator<Item = &'a str>) {
        for key in keys {
            if self.entries.contains_key(key) {
                Arc::make_mut(&mut self.entries).remove(key);
            }
        }
    }

    /// The tags by key.
    pub(crate) fn entries(&self) -> &Few<String, String> {
        &self.entries
    }

    /// Whether there is none now.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether there ever was one, which is what `GetResources` asks.
    pub(crate) fn was_ever_tagged(&self) -> bool {
        self.ever
    }

    /// Tags from a list of `{Key, Value}`, or the reason why AWS refuses them.
    pub(crate) fn from_list(list: &[Value]) -> Result<Self, String> {
        let mut tags = Self::default();
        for each in list {
            let text = |name: &str| {
                each.get(name)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            tags.insert(text("Key"), text("Value"))?;
        }
        Ok(tags)
    }

    /// Tags from a map, or the reason why AWS refuses them.
    pub(crate) fn from_map(map: &Map<String, Value>) -> Result<Self, String> {
        let mut tags = Self::default();
        for (key, value) in map {
            tags.insert(key.clone(), value.as_str().unwrap_or_default().to_owned())?;
        }
        Ok(tags)
    }

    /// The tags as a list of `{Key, Value}`, in order of their keys.
    pub(crate) fn to_list(&self) -> Value {
        self.entries
            .iter()
            .map(|(key, value)| json!({"Key": key, "Value": value}))
            .collect()
    }

    /// The tags as a map.
    pub(crate) fn to_map(&self) -> Value {
        self.entries
            .iter()
            .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
            .collect::<Map<_, _>>()
            .into()
    }

    fn insert(&mut self, key: String, value: String) -> Result<(), String> {
        if key.is_empty() || key.chars().count() > 128 {
            return Err("a tag key must be 1 to 128 characters long".to_owned());
        }
        if value.chars().count() > 256 {
            return Err(format!(
                "the value of tag `{key}` is longer than 256 characters"
            ));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(format!(
                "tag key `{key}` starts with `aws:`, which is reserved"
            ));
        }
        self.ever = true;
        if self.entries.contains_key(&key) {
            return Err(format!("tag key `{key}` is given twice"));
        }
        Arc::make_mut(&mut self.entries).insert(key, value);
        Ok(())
    }
}

pub(crate) fn handle(world: &mut World, call: &Call<'_>) -> Answer {
    match call.operation {
        "GetResources" => get_resources(world, call),
        _ => Err(call.unserved()),
    }
}

fn get_resources(world: &mut World, call: &Call<'_>) -> Answer {
    let refuse = |message: String| ApiError::new("InvalidParameterException", message);
    if call.flag("IncludeComplianceDetails").is_some()
        || call.flag("ExcludeCompliantResources").is_some()
    {
        return Err(refuse(
            "the lab has no tag policies to report compliance with".to_owned(),
        ));
    }
    let by_arn = call.list("ResourceARNList");
    let types = call.list("ResourceTypeFilters");
    let filters = call.list("TagFilters");
    if !by_arn.is_empty()
        && (!types.is_empty() || !filters.is_empty() || call.text("PaginationToken").is_some())
    {
        return Err(refuse(
            "ResourceARNList cannot be combined with filters or pagination".to_owned(),
        ));
    }
    let per_page = match (call.number("ResourcesPerPage"), call.number("TagsPerPage")) {
        (Some(_), Some(_)) => {
            return Err(refuse(
                "ResourcesPerPage and TagsPerPage exclude each other".to_owned(),
            ));
        }
        (Some(count), None) if (1..=100).contains(&count) => usize::try_from(count).unwrap_or(100),
        // TagsPerPage counts tags: a page then holds at least one resource, and never more than half as many.
        (None, Some(count)) if (100..=500).contains(&count) && count % 100 == 0 => 50,
        (None, None) => 100,
        (Some(_), None) | (None, Some(_)) => {
            return Err(refuse("the page size is out of range".to_owned()));
        }
    };
    let mut walks = std::mem::take(&mut world.walks);
    let page = walks.page(call, "PaginationToken", per_page, || {
        tagged_resources(world, call.region)
            .into_iter()
            .filter(|(arn, tags)| {
                (by_arn.is_empty() || by_arn.iter().any(|each| each.as_str() == Some(arn)))
                    && (types.is_empty()
                        || types
                            .iter()
                            .filter_map(Value::as_str)
                            .any(|each| has_type(arn, each)))
                    && filters.iter().all(|filter| has_tag(tags, filter))
            })
            .map(|(arn, _)| Arc::from(arn))
            .collect()
    });
    world.walks = walks;
    let page = page.map_err(|_| {
        ApiError::new(
            "PaginationTokenExpiredException",
            "the pagination token is not valid",
        )
    })?;
    // Of secrets there may be very many: those are looked up, everything else is looked through once.
    let others: BTreeMap<&str, &Tags> = others_tagged(world).into_iter().collect();
    let rows: Vec<Value> = page
        .names()
        .iter()
        .filter_map(|arn| {
            let secret = world.secretsmanager.get(arn);
            let tags =
                secret.map_or_else(|| others.get(arn.as_ref()).copied(), |it| Some(&it.tags));
            Some(json!({"ResourceARN": **arn, "Tags": tags?.to_list()}))
        })
        .collect();
    Ok(json!({"ResourceTagMappingList": rows, "PaginationToken": page.next().unwrap_or_default()}))
}

/// Every resource of a region that ever had a tag, in order of ARN. It borrows: there may be very many.
fn tagged_resources<'a>(world: &'a World, region: &str) -> Vec<(&'a str, &'a Tags)> {
    let mut all = others_tagged(world);
    all.extend(world.secretsmanager.tagged());
    all.retain(|(arn, tags)| {
        let place = arn.split(':').nth(3).unwrap_or_default();
        let visible = if place.is_empty() {
            region == "us-east-1"
        } else {
            place == region
        };
        visible && tags.was_ever_tagged()
    });
    all.sort_unstable_by_key(|(arn, _)| *arn);
    all
}

/// What carries tags and is no secret.
fn others_tagged(world: &World) -> Vec<(&str, &Tags)> {
    let services = [
        world.cloudtrail.tagged(),
        world.cloudwatch.tagged(),
        world.events.tagged(),
        world.iam.tagged(),
        world.kms.tagged(),
        world.lambda.tagged(),
        world.logs.tagged(),
        world.sns.tagged(),
        world.sqs.tagged(),
        world.ssm.tagged(),
    ];
    services.into_iter().flatten().collect()
}

/// `secretsmanager`, or `secretsmanager:secret`: service, then the first word of the resource.
fn has_type(arn: &str, filter: &str) -> bool {
    let mut parts = arn.splitn(6, ':').skip(2);
    let (Some(service), Some(resource)) = (parts.next(), parts.nth(2)) else {
        return false;
    };
    match filter.split_once(':') {
        None => service == filter,
        Some((wanted, kind)) => {
            let first = resource.split([':', '/']).next().unwrap_or_default();
            // SNS topics and SQS queues have no word for their type in the ARN.
            wanted == service
                && (first == kind
                    || matches!((service, kind), ("sns", "topic") | ("sqs", "queue"))
                        && first == resource)
        }
    }
}

/// One filter: the key is there and, when values are given, has one of them.
fn has_tag(tags: &Tags, filter: &Value) -> bool {
    let Some(key) = filter.get("Key").and_then(Value::as_str) else {
        return true;
    };
    let values: Vec<&str> = filter
        .get("Values")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    tags.entries()
        .get(key)
        .is_some_and(|value| values.is_empty() || values.contains(&value.as_str()))
}
