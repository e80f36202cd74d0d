//! Account policies on retention, which override what a group says of itself.
//!
//! As AWS documents it: a policy takes effect 24 hours after it was put and the previous one holds until then; of
//! several the longest period counts, `NEVER_EXPIRE` being the longest; `NEW_ONLY` spares groups that are older than
//! the policy. Policies of other types are refused.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::groups::RETENTIONS;
use super::{Group, State, invalid, millis};
use crate::service::{Answer, ApiError, Call};

/// AWS's quota, per region.
const LIMIT: usize = 20;

pub(super) struct AccountPolicy {
    name: String,
    region: String,
    document: String,
    selection: Option<String>,
    prefixes: Vec<String>,
    created: DateTime<Utc>,
    /// Oldest first; the last one that is in effect counts.
    settings: Vec<Setting>,
}

#[derive(Debug, Clone, Copy)]
struct Setting {
    put: DateTime<Utc>,
    /// `None` is `NEVER_EXPIRE`.
    days: Option<i64>,
    new_only: bool,
}

pub(super) fn put(state: &mut State, call: &Call<'_>) -> Answer {
    let name = call.required("policyName")?;
    if call.required("policyType")? != "RETENTION_POLICY" {
        return Err(invalid(
            "the lab serves only account policies of the type RETENTION_POLICY",
        ));
    }
    if call.flag("dryRun").unwrap_or(false) {
        return Err(invalid("the lab serves no dry run of account policies"));
    }
    if name.starts_with("aws/") {
        return Err(invalid("The policy name cannot start with aws/."));
    }
    let document = call.required("policyDocument")?;
    let setting = setting(document, call.now)?;
    let selection = call.text("selectionCriteria").map(str::to_owned);
    let prefixes = selection
        .as_deref()
        .map(prefixes)
        .transpose()?
        .unwrap_or_default();
    let key = (call.region.to_owned(), name.to_owned());
    let here = state
        .account_policies
        .values()
        .filter(|policy| policy.region == call.region)
        .count();
    if !state.account_policies.contains_key(&key) && here >= LIMIT {
        return Err(ApiError::new(
            "LimitExceededException",
            "Resource limit exceeded.",
        ));
    }
    let policy = state
        .account_policies
        .entry(key)
        .or_insert_with(|| AccountPolicy {
            name: name.to_owned(),
            region: call.region.to_owned(),
            document: String::new(),
            selection: None,
            prefixes: Vec::new(),
            created: call.now,
            settings: Vec::new(),
        });
    document.clone_into(&mut policy.document);
    policy.selection = selection;
    policy.prefixes = prefixes;
    policy.settings.push(setting);
    Ok(json!({"accountPolicy": view(policy, call)}))
}

pub(super) fn describe(state: &State, call: &Call<'_>) -> Answer {
    let kind = call.required("policyType")?;
    if !call.list("accountIdentifiers").is_empty() {
        return Err(invalid("the lab has no linked accounts"));
    }
    let rows = state
        .account_policies
        .values()
        .filter(|policy| policy.region == call.region && kind == "RETENTION_POLICY")
        .filter(|policy| {
            call.text("policyName")
                .is_none_or(|name| policy.name == name)
        })
        .map(|policy| view(policy, call))
        .collect();
    super::listing(call, "accountPolicies", rows, 50)
}

/// Days (`None`: for ever) and name of the policy that decides a group's retention, if any does.
pub(super) fn retention_for<'a>(
    state: &'a State,
    group: &Group,
    now: DateTime<Utc>,
) -> Option<(Option<i64>, &'a str)> {
    let region = group.arn.split(':').nth(3).unwrap_or_default();
    let mut best: Option<(Option<i64>, &AccountPolicy)> = None;
    for policy in state
        .account_policies
        .values()
        .filter(|policy| policy.region == region)
    {
        let Some(setting) = policy
            .settings
            .iter()
            .rev()
            .find(|setting| setting.put + TimeDelta::hours(24) <= now)
        else {
            continue;
        };
        let selected = policy.prefixes.is_empty()
            || policy
                .prefixes
                .iter()
                .any(|prefix| group.name.starts_with(prefix.as_str()));
        if !selected || setting.new_only && group.created < policy.created {
            continue;
        }
        let better = best.is_none_or(|(days, known)| match (setting.days, days) {
            (None, Some(_)) => true,
            (Some(_), None) => false,
            (mine, theirs) if mine == theirs => policy.created < known.created,
            (mine, theirs) => mine > theirs,
        });
        if better {
            best = Some((setting.days, policy));
        }
    }
    best.map(|(days, policy)| (days, policy.name.as_str()))
}

fn setting(document: &str, now: DateTime<Utc>) -> Result<Setting, ApiError> {
    let refuse = || invalid("The retention policy document is not valid.");
    let value: Value = serde_json::from_str(document).map_err(|_| refuse())?;
    let members = value
        .as_object()
        .filter(|members| members.len() == 2)
        .ok_or_else(refuse)?;
    let given = members.get("retentionInDays").ok_or_else(refuse)?;
    let days = if given.as_str() == Some("NEVER_EXPIRE") {
        None
    } else {
        // At least 30 days, where a group's own setting may be shorter.
        let days = given
            .as_i64()
            .filter(|days| *days >= 30 && RETENTIONS.contains(days));
        Some(days.ok_or_else(refuse)?)
    };
    let new_only = match members.get("enforcementMode").and_then(Value::as_str) {
        Some("NEW_ONLY") => true,
        Some("RETROACTIVE") => false,
        Some(_) | None => return Err(refuse()),
    };
    Ok(Setting {
        put: now,
        days,
        new_only,
    })
}

/// `LogGroupNamePrefix IN ["/a", "/b"]`.
fn prefixes(criteria: &str) -> Result<Vec<String>, ApiError> {
    let list = criteria
        .trim()
        .strip_prefix("LogGroupNamePrefix")
        .map(str::trim_start);
    let list = list.and_then(|rest| rest.strip_prefix("IN"));
    list.and_then(|list| serde_json::from_str::<Vec<String>>(list.trim()).ok())
        .filter(|list| !list.is_empty())
        .ok_or_else(|| {
            invalid("The selection criteria are not valid: expected LogGroupNamePrefix IN [..].")
        })
}

fn view(policy: &AccountPolicy, call: &Call<'_>) -> Value {
    let mut view = json!({
        "policyName": policy.name,
        "policyDocument": policy.document,
        "policyType": "RETENTION_POLICY",
        "scope": "ALL",
        "accountId": call.account,
    });
    if let Some(members) = view.as_object_mut() {
        if let Some(last) = policy.settings.last() {
            members.insert("lastUpdatedTime".to_owned(), millis(last.put));
        }
        if let Some(selection) = &policy.selection {
            members.insert("selectionCriteria".to_owned(), selection.as_str().into());
        }
    }
    view
}
