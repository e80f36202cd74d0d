//! The access log: the log group that keeps a record of every access to a secret.

use serde_json::Value;

use super::known::{answered, existence, known, of, published};
use super::{Item, Reads, Setting};
use crate::expression::types::Known;
use crate::observation::{Answer, Facts, Observation, answer};

crate::facts! {
    /// How long a log group keeps its records, by its own setting or an account policy that overrides it.
    pub struct Retention {
        /// Whether it keeps them for ever.
        pub for_ever: bool,
        /// Days, where it does not.
        pub days: Known<i64>,
        /// The account policy that decides it, if one does.
        pub by_policy: Option<String>,
        /// In words.
        pub text: String,
    }

    /// An account policy on retention that speaks of a log group.
    pub struct AccountPolicy {
        /// Its name.
        pub name: String,
        /// Whether it keeps records for ever.
        pub for_ever: bool,
        /// Days, where it does not.
        pub days: Known<i64>,
    }

    /// The key that encrypts a log group.
    pub struct GroupKey {
        /// As configured; `null` when `CloudWatch` Logs uses its own.
        pub configured: Option<String>,
        /// Whether it is given by its ARN.
        pub by_arn: bool,
        /// Whether the customer manages it; otherwise AWS does.
        pub customer_managed: Known<bool>,
        /// `Enabled`, `Disabled`, `PendingDeletion`, ...
        pub state: Known<String>,
    }

    /// A log group.
    pub struct LogGroup {
        /// Its ARN, without the trailing `:*`.
        pub arn: String,
        /// Its name.
        pub name: String,
        /// Whether it exists.
        pub exists: Known<bool>,
        /// How long it keeps its records.
        pub retention: Known<Retention>,
        /// Account policies that speak of it.
        pub account_policies: Known<Vec<AccountPolicy>>,
        /// Whether it is protected from deletion.
        pub deletion_protected: Known<bool>,
        /// The key that encrypts it.
        pub key: Known<GroupKey>,
        /// Name of the parameter that publishes its ARN.
        pub published_as: String,
        /// The ARN in that parameter; `null` when there is none.
        pub published: Known<Option<String>>,
    }
}

/// The named filters.
pub const FILTERS: &[(&str, &str)] = &[("access-log", "the log of every access to a secret")];

const ABSENT: &str = "the log group does not exist";

/// One item: the access log, whether it exists or not.
pub(super) fn items(facts: &Facts, setting: &Setting, reads: &Reads) -> Vec<Item> {
    let group = view(facts, setting);
    let mut item = Item::of(group.arn.clone(), "group", &group);
    item.passes.insert("access-log");
    let described = || Observation::LogGroup(group.name.clone());
    item.details = vec![
        ("group.exists", described()),
        ("group.retention", described()),
        ("group.deletion_protected", described()),
        ("group.key", described()),
        ("group.account_policies", Observation::RetentionPolicies),
        (
            "group.published",
            Observation::Parameter(group.published_as.clone()),
        ),
    ];
    if let Known::Known(GroupKey {
        configured: Some(key),
        ..
    }) = &group.key
    {
        for path in ["group.key.customer_managed", "group.key.state"] {
            item.details.push((path, Observation::Key(key.clone())));
        }
    }
    item.details.retain(|(path, _)| reads.touch(path));
    vec![item]
}

fn view(facts: &Facts, setting: &Setting) -> LogGroup {
    let name = setting.organisation.access_log(&setting.stage);
    let question = Observation::LogGroup(name.clone());
    let found = answered(facts, &question, |answer| {
        let Answer::LogGroup(group) = answer else {
            return None;
        };
        Some(group.as_ref())
    });
    let published_as = setting
        .organisation
        .published(&setting.stage, "access-log/group-arn");
    LogGroup {
        arn: format!(
            "arn:aws:logs:{}:{}:log-group:{name}",
            setting.region, setting.account
        ),
        exists: existence(&found),
        retention: of(&found, ABSENT, |group| retention(group)),
        account_policies: known(account_policies(&name, facts)),
        deletion_protected: of(&found, ABSENT, |group| group.deletion_protected),
        key: of(&found, ABSENT, |group| key(group, facts)),
        published: match published(facts, &published_as) {
            Known::Known(arn) => Known::Known(arn.map(|arn| arn.trim_end_matches(":*").to_owned())),
            Known::Unknown(reason) => Known::Unknown(reason),
        },
        published_as,
        name,
    }
}

fn days(days: Option<i64>) -> Known<i64> {
    days.map_or_else(
        || Known::Unknown("records are kept for ever".to_owned()),
        Known::Known,
    )
}

fn retention(group: &answer::LogGroup) -> Retention {
    Retention {
        for_ever: group.retention_days.is_none(),
        days: days(group.retention_days),
        by_policy: group.retention_policy.clone(),
        text: group
            .retention_days
            .map_or_else(|| "for ever".to_owned(), |days| format!("for {days} days")),
    }
}

/// Policies of the account that speak of a group. A policy takes effect a day after it was put, when it overrides the
/// group's own setting: what `retention` says today may end tomorrow.
fn account_policies(group: &str, facts: &Facts) -> Result<Vec<AccountPolicy>, String> {
    let policies = answered(facts, &Observation::RetentionPolicies, |answer| {
        let Answer::RetentionPolicies(policies) = answer else {
            return None;
        };
        Some(policies)
    })?;
    policies
        .iter()
        .filter(|policy| speaks_of(policy.selection.as_deref(), group))
        .map(account_policy)
        .collect()
}

/// `LogGroupNamePrefix IN ["/a", "/b"]`; criteria of any other form are taken to speak of every group.
fn speaks_of(selection: Option<&str>, group: &str) -> bool {
    let Some(selection) = selection.filter(|selection| !selection.trim().is_empty()) else {
        return true;
    };
    let prefixes = selection
        .trim()
        .strip_prefix("LogGroupNamePrefix")
        .and_then(|rest| rest.trim_start().strip_prefix("IN"))
        .and_then(|list| serde_json::from_str::<Vec<String>>(list.trim()).ok());
    prefixes.is_none_or(|prefixes| prefixes.iter().any(|prefix| group.starts_with(prefix)))
}

fn account_policy(policy: &answer::RetentionPolicy) -> Result<AccountPolicy, String> {
    let unreadable = || format!("account policy `{}` has no retention", policy.name);
    let document: Value = serde_json::from_str(&policy.document).map_err(|_| unreadable())?;
    let kept = match document.get("retentionInDays") {
        Some(Value::String(text)) if text == "NEVER_EXPIRE" => None,
        Some(Value::Number(number)) => Some(number.as_i64().ok_or_else(unreadable)?),
        Some(_) | None => return Err(unreadable()),
    };
    Ok(AccountPolicy {
        name: policy.name.clone(),
        for_ever: kept.is_none(),
        days: days(kept),
    })
}

fn key(group: &answer::LogGroup, facts: &Facts) -> GroupKey {
    let configured = group.key.clone();
    let found = match &configured {
        None => Ok(None),
        Some(key) => {
            let question = Observation::Key(key.clone());
            answered(facts, &question, |answer| {
                let Answer::Key(key) = answer else {
                    return None;
                };
                Some(key.as_ref())
            })
        }
    };
    let absent = if configured.is_some() {
        "KMS does not know the key"
    } else {
        "CloudWatch Logs uses its own key"
    };
    GroupKey {
        by_arn: configured
            .as_deref()
            .is_some_and(|key| key.starts_with("arn:") && key.contains(":key/")),
        customer_managed: of(&found, absent, |key| key.manager == "CUSTOMER"),
        state: of(&found, absent, |key| key.state.clone()),
        configured,
    }
}

#[cfg(test)]
mod tests {
    use super::speaks_of;

    #[test]
    fn a_policy_speaks_of_the_groups_that_it_selects() {
        for (selection, expected) in [
            (None, true),
            (Some(""), true),
            (
                Some(r#"LogGroupNamePrefix IN ["/aws/secretsmanager"]"#),
                true,
            ),
            (
                Some(r#"LogGroupNamePrefix IN ["/aws/lambda", "/x"]"#),
                false,
            ),
            (Some("something else"), true),
        ] {
            assert_eq!(
                speaks_of(selection, "/aws/secretsmanager/bank-access-dev"),
                expected,
                "{selection:?}"
            );
        }
    }
}
