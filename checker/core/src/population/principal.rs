//! Roles and users, with what their policies allow statement by statement, those of their groups included.

use serde_json::Value;

use super::policy::{authorization, local};
use super::{Item, Setting, grant, resource_policy};
use crate::expression::types::Known;
use crate::observation::authorization::{Authorization, Group, Principal as Listed};
use crate::observation::{Facts, Unseen};

crate::facts! {
    /// A role or a user.
    pub struct Principal {
        /// ARN.
        pub arn: String,
        /// What stands behind the account in the ARN: `role/name`, with the path.
        pub id: String,
        /// Name.
        pub name: String,
        /// ARN of its permission boundary.
        pub boundary: Option<String>,
        /// Statements of its policies, own, attached and of its groups, that allow reading the value of any secret whatever its name.
        pub wildcard_reads: Known<Vec<String>>,
        /// Principals outside the account that its trust policy lets in, and everyone.
        pub trusts_outside: Known<Vec<String>>,
        /// Statements of its trust policy that let the whole account in without demanding a second factor.
        pub trusts_without_mfa: Known<Vec<String>>,
    }
}

const READ: &str = "secretsmanager:GetSecretValue";

/// Names that no honest pattern names; what fits all of them fits every secret.
const UNRELATED: [&str; 2] = ["qz7-unrelated-AbCdEf", "Xy/0/elsewhere-GhIjKl"];

/// Every role and user.
pub(super) fn items(facts: &Facts, setting: &Setting) -> Result<Vec<Item>, Unseen> {
    let all = authorization(facts)?;
    Ok(all
        .principals
        .iter()
        .map(|listed| {
            let mut item = Item::of(listed.arn.clone(), "principal", &view(listed, all, setting));
            if local(&listed.arn).starts_with("role/aws-service-role/") {
                item.exempt = Some(
                    "a service-linked role; its policy is AWS's own and can't be changed"
                        .to_owned(),
                );
            }
            item
        })
        .collect())
}

fn view(listed: &Listed, all: &Authorization, setting: &Setting) -> Principal {
    Principal {
        arn: listed.arn.clone(),
        id: local(&listed.arn).to_owned(),
        name: listed.name.clone(),
        boundary: listed.boundary.clone(),
        wildcard_reads: match wildcard_reads(listed, all, setting) {
            Ok(found) => Known::Known(found),
            Err(reason) => Known::Unknown(reason),
        },
        trusts_outside: trust(listed, |text| {
            resource_policy::outside(text, &setting.account)
        }),
        trusts_without_mfa: trust(listed, |text| without_mfa(text, &setting.account)),
    }
}

/// What is read in a trust policy; a user has none, and nobody can assume it.
fn trust(
    listed: &Listed,
    reading: impl Fn(&str) -> Result<Vec<String>, String>,
) -> Known<Vec<String>> {
    match listed.trust.as_deref().map(reading) {
        None => Known::Known(Vec::new()),
        Some(Ok(found)) => Known::Known(found),
        Some(Err(reason)) => Known::Unknown(format!("trust policy: {reason}")),
    }
}

/// Statements that let the account as a whole in, which is everyone whose own policy says so, without a demand for
/// a second factor that also holds when nothing is said of one.
fn without_mfa(text: &str, account: &str) -> Result<Vec<String>, String> {
    let root = format!("arn:aws:iam::{account}:root");
    let statements = resource_policy::statements(text)?;
    Ok(statements
        .iter()
        .enumerate()
        .filter(|(_, statement)| {
            let who = statement.get("Principal");
            let named = who
                .and_then(|who| who.get("AWS"))
                .or(who)
                .map(resource_policy::texts)
                .unwrap_or_default();
            let demanded = grant::condition(statement, "Bool", "aws:MultiFactorAuthPresent");
            grant::allows(statement)
                && named
                    .iter()
                    .any(|who| *who == root || who == account || who == "*")
                && demanded != ["true"]
        })
        .map(|(place, statement)| grant::label(statement, place + 1))
        .collect())
}

/// `policy#statement` of every statement that allows it.
fn wildcard_reads(
    listed: &Listed,
    all: &Authorization,
    setting: &Setting,
) -> Result<Vec<String>, String> {
    let mut texts: Vec<(&str, &str)> = listed
        .inline
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let groups: Vec<&Group> = all
        .groups
        .iter()
        .filter(|group| listed.groups.contains(&group.name))
        .collect();
    if groups.len() < listed.groups.len() {
        return Err("a group that it is in is not in the answer".to_owned());
    }
    for group in &groups {
        texts.extend(
            group
                .inline
                .iter()
                .map(|(name, text)| (name.as_str(), text.as_str())),
        );
    }
    let attached = groups.iter().flat_map(|group| &group.attached);
    for arn in listed.attached.iter().chain(attached) {
        let policy = all
            .policies
            .iter()
            .find(|policy| policy.arn == *arn)
            .ok_or_else(|| format!("the attached policy {arn} is not in the answer"))?;
        texts.push((&policy.name, &policy.document));
    }
    let mut found = Vec::new();
    for (name, text) in texts {
        let statements = resource_policy::statements(text)
            .map_err(|reason| format!("policy {name}: {reason}"))?;
        for (place, statement) in statements.iter().enumerate() {
            if reads_everything(statement, setting) {
                found.push(format!("{name}#{}", grant::label(statement, place + 1)));
            }
        }
    }
    Ok(found)
}

/// Whether a statement allows reading secrets whatever their name. Only a demand on the secret's own tags narrows it.
fn reads_everything(statement: &Value, setting: &Setting) -> bool {
    let by_tag = statement
        .pointer("/Condition/StringEquals")
        .and_then(Value::as_object)
        .is_some_and(|keys| {
            keys.keys().any(|key| {
                let key = key.to_ascii_lowercase();
                key.starts_with("aws:resourcetag/")
                    || key.starts_with("secretsmanager:resourcetag/")
            })
        });
    grant::allows(statement)
        && grant::names_action(statement, READ)
        && !by_tag
        && UNRELATED.iter().all(|name| {
            let arn = format!(
                "arn:aws:secretsmanager:{}:{}:secret:{name}",
                setting.region, setting.account
            );
            grant::names_resource(statement, &arn)
        })
}
