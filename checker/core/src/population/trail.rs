//! The trails that record this region: `EventBridge` sees calls only while one of them is logging.

use super::known::{answered, known};
use super::{Item, Reads, Setting, mismatch};
use crate::expression::types::Known;
use crate::observation::detection::{
    AdvancedSelector, BasicSelector, FieldSelector, TrailSelectors,
};
use crate::observation::{Answer, Facts, Observation, Unseen, answer};

crate::facts! {
    /// A trail.
    pub struct Trail {
        /// Its name.
        pub name: String,
        /// Whether it records this region: its own, or every one.
        pub covers_region: bool,
        /// Whether it is logging.
        pub logging: Known<bool>,
        /// Whether it records calls that read secrets.
        pub records_reads: Known<bool>,
        /// Whether it records calls that change secrets.
        pub records_writes: Known<bool>,
    }

    /// The trails of a region.
    pub struct Trails {
        /// The region.
        pub region: String,
        /// All of them.
        pub all: Vec<Trail>,
    }
}

const SECRETS_MANAGER: &str = "secretsmanager.amazonaws.com";
const VANISHED: &str = "the trail has vanished meanwhile";

/// One item: the trails of the region together, since it takes only one of them.
pub(super) fn items(facts: &Facts, setting: &Setting, reads: &Reads) -> Result<Vec<Item>, Unseen> {
    let Answer::Trails(found) = facts.get(&Observation::Trails)? else {
        return Err(mismatch(&Observation::Trails));
    };
    let trails = Trails {
        region: setting.region.clone(),
        all: found
            .iter()
            .map(|trail| view(trail, facts, setting))
            .collect(),
    };
    let resource = format!("trails:{}/{}", setting.account, setting.region);
    let mut item = Item::of(resource, "trails", &trails);
    for trail in found {
        for question in [
            Observation::TrailLogging(trail.arn.clone()),
            Observation::TrailSelectors(trail.arn.clone()),
        ] {
            // What is read of a member of the list is not told apart: the list as a whole is.
            if reads.touch("trails.all") {
                item.details.push(("trails.all", question));
            }
        }
    }
    Ok(vec![item])
}

fn view(trail: &answer::Trail, facts: &Facts, setting: &Setting) -> Trail {
    let logging = Observation::TrailLogging(trail.arn.clone());
    let selectors = Observation::TrailSelectors(trail.arn.clone());
    let selectors = answered(facts, &selectors, |answer| {
        let Answer::TrailSelectors(selectors) = answer else {
            return None;
        };
        Some(selectors.as_ref())
    })
    .and_then(|found| found.ok_or_else(|| VANISHED.to_owned()));
    let records = |read_only| {
        known(
            selectors
                .as_ref()
                .map(|selectors| records(selectors, read_only))
                .map_err(Clone::clone),
        )
    };
    Trail {
        name: trail.name.clone(),
        covers_region: trail.multi_region || trail.home_region == setting.region,
        logging: known(
            answered(facts, &logging, |answer| {
                let Answer::TrailLogging(logging) = answer else {
                    return None;
                };
                Some(*logging)
            })
            .and_then(|found| found.ok_or_else(|| VANISHED.to_owned())),
        ),
        records_reads: records(true),
        records_writes: records(false),
    }
}

/// Whether calls to Secrets Manager, which are management events, are recorded.
fn records(selectors: &TrailSelectors, read_only: bool) -> bool {
    selectors.basic.iter().any(|one| basic(one, read_only))
        || selectors
            .advanced
            .iter()
            .any(|one| advanced(one, read_only))
}

fn basic(selector: &BasicSelector, read_only: bool) -> bool {
    let wanted = match selector.read_write.as_str() {
        "All" => true,
        "ReadOnly" => read_only,
        "WriteOnly" => !read_only,
        _ => false,
    };
    selector.management
        && wanted
        && !selector
            .excluded_sources
            .iter()
            .any(|source| source == SECRETS_MANAGER)
}

/// A selector with conditions on fields beyond these three takes only some of the calls, which is not enough.
fn advanced(selector: &AdvancedSelector, read_only: bool) -> bool {
    let is_management = selector.fields.iter().any(|field| {
        field.field == "eventCategory" && field.equals.iter().any(|value| value == "Management")
    });
    is_management
        && selector
            .fields
            .iter()
            .all(|field| match field.field.as_str() {
                "eventCategory" => true,
                "readOnly" => takes(field, if read_only { "true" } else { "false" }),
                "eventSource" => takes(field, SECRETS_MANAGER),
                _ => false,
            })
}

fn takes(field: &FieldSelector, value: &str) -> bool {
    let wanted = |list: &[String], test: fn(&str, &str) -> bool| {
        list.is_empty() || list.iter().any(|item| test(value, item))
    };
    let unwanted =
        |list: &[String], test: fn(&str, &str) -> bool| list.iter().any(|item| test(value, item));
    let equal = |value: &str, item: &str| value == item;
    let starts = |value: &str, item: &str| value.starts_with(item);
    let ends = |value: &str, item: &str| value.ends_with(item);
    wanted(&field.equals, equal)
        && wanted(&field.starts_with, starts)
        && wanted(&field.ends_with, ends)
        && !unwanted(&field.not_equals, equal)
        && !unwanted(&field.not_starts_with, starts)
        && !unwanted(&field.not_ends_with, ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, equals: &[&str], not_equals: &[&str]) -> FieldSelector {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        FieldSelector {
            field: name.to_owned(),
            equals: texts(equals),
            not_equals: texts(not_equals),
            ..FieldSelector::default()
        }
    }

    fn check(selectors: &TrailSelectors, reads: bool, writes: bool) {
        let found = (records(selectors, true), records(selectors, false));
        assert_eq!(found, (reads, writes), "{selectors:?}");
    }

    #[test]
    fn basic_selectors() {
        let one = |read_write: &str, management: bool, excluded: &[&str]| TrailSelectors {
            basic: vec![BasicSelector {
                read_write: read_write.to_owned(),
                management,
                excluded_sources: excluded.iter().map(|text| (*text).to_owned()).collect(),
            }],
            ..TrailSelectors::default()
        };
        check(&one("All", true, &["kms.amazonaws.com"]), true, true);
        check(&one("ReadOnly", true, &[]), true, false);
        check(&one("WriteOnly", true, &[]), false, true);
        check(&one("All", false, &[]), false, false);
        check(&one("All", true, &[SECRETS_MANAGER]), false, false);
        check(&TrailSelectors::default(), false, false);
    }

    #[test]
    fn advanced_selectors() {
        let one = |fields: Vec<FieldSelector>| TrailSelectors {
            advanced: vec![AdvancedSelector { fields }],
            ..TrailSelectors::default()
        };
        let management = || field("eventCategory", &["Management"], &[]);
        check(&one(vec![management()]), true, true);
        check(
            &one(vec![field("eventCategory", &["Data"], &[])]),
            false,
            false,
        );
        check(
            &one(vec![management(), field("readOnly", &["false"], &[])]),
            false,
            true,
        );
        check(
            &one(vec![
                management(),
                field("eventSource", &[], &["kms.amazonaws.com"]),
            ]),
            true,
            true,
        );
        check(
            &one(vec![
                management(),
                field("eventSource", &[], &[SECRETS_MANAGER]),
            ]),
            false,
            false,
        );
        check(
            &one(vec![
                management(),
                field("eventName", &["GetSecretValue"], &[]),
            ]),
            false,
            false,
        );
    }
}
