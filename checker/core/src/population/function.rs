//! Functions: those that rotate secrets.

use std::collections::BTreeSet;

use super::policy::local;
use super::secret::is_managed;
use super::{Item, Reads, Setting, mismatch, resource_policy};
use crate::expression::types::Known;
use crate::observation::{Answer, Facts, Observation, Unseen, answer};

crate::facts! {
    /// Whether Secrets Manager may invoke a function.
    pub struct RotationPermission {
        /// A statement of the function's resource policy allows it.
        pub granted: bool,
        /// Every such statement demands that the secret is of this account (`aws:SourceAccount`).
        pub confined_to_account: bool,
    }

    /// A function that rotates secrets.
    pub struct Function {
        /// Its ARN, as the secrets name it.
        pub arn: String,
        /// Its name.
        pub name: String,
        /// Whether it exists.
        pub exists: Known<bool>,
        /// `Active`, `Pending`, `Inactive` or `Failed`.
        pub state: Known<String>,
        /// Its runtime.
        pub runtime: Known<String>,
        /// The role that it runs with, such as `role/name`.
        pub role: Known<String>,
        /// How many seconds it may take.
        pub timeout: Known<i64>,
        /// Whether Secrets Manager may invoke it.
        pub rotation_permission: Known<RotationPermission>,
    }
}

/// The named filters.
pub const FILTERS: &[(&str, &str)] = &[(
    "rotation",
    "functions that managed secrets name as their rotation function",
)];

const SECRETS_MANAGER: &str = "secretsmanager.amazonaws.com";

/// Every function that a managed secret names, once.
pub(super) fn items(facts: &Facts, setting: &Setting, reads: &Reads) -> Result<Vec<Item>, Unseen> {
    let Answer::Secrets(listed) = facts.get(&Observation::Secrets)? else {
        return Err(mismatch(&Observation::Secrets));
    };
    let arns: BTreeSet<&String> = listed
        .iter()
        .filter(|secret| secret.rotation_enabled && is_managed(secret, &setting.organisation))
        .filter_map(|secret| secret.rotation_function_arn.as_ref())
        .collect();
    Ok(arns
        .into_iter()
        .map(|arn| item(arn, facts, setting, reads))
        .collect())
}

fn item(arn: &str, facts: &Facts, setting: &Setting, reads: &Reads) -> Item {
    let mut item = Item::of(arn, "lambda", &view(arn, facts, setting));
    item.passes.insert("rotation");
    for (path, observation) in [
        ("lambda.exists", Observation::Function(arn.to_owned())),
        ("lambda.state", Observation::Function(arn.to_owned())),
        ("lambda.runtime", Observation::Function(arn.to_owned())),
        ("lambda.role", Observation::Function(arn.to_owned())),
        ("lambda.timeout", Observation::Function(arn.to_owned())),
        (
            "lambda.rotation_permission",
            Observation::FunctionPolicy(arn.to_owned()),
        ),
    ] {
        if reads.touch(path) {
            item.details.push((path, observation));
        }
    }
    item
}

fn view(arn: &str, facts: &Facts, setting: &Setting) -> Function {
    let seen = configuration(arn, facts);
    let of = |read: fn(&answer::Function) -> String| match &seen {
        Ok(Some(function)) => Known::Known(read(function)),
        Ok(None) => Known::Unknown("the function does not exist".to_owned()),
        Err(unseen) => Known::Unknown(unseen.to_string()),
    };
    Function {
        arn: arn.to_owned(),
        name: arn.rsplit(':').next().unwrap_or(arn).to_owned(),
        exists: match &seen {
            Ok(found) => Known::Known(found.is_some()),
            Err(unseen) => Known::Unknown(unseen.to_string()),
        },
        state: of(|function| function.state.clone()),
        runtime: of(|function| function.runtime.clone()),
        role: of(|function| local(&function.role_arn).to_owned()),
        timeout: match &seen {
            Ok(Some(function)) => Known::Known(function.timeout),
            Ok(None) => Known::Unknown("the function does not exist".to_owned()),
            Err(unseen) => Known::Unknown(unseen.to_string()),
        },
        rotation_permission: permission(arn, facts, setting),
    }
}

fn configuration(arn: &str, facts: &Facts) -> Result<Option<answer::Function>, Unseen> {
    let question = Observation::Function(arn.to_owned());
    let Answer::Function(function) = facts.get(&question)? else {
        return Err(mismatch(&question));
    };
    Ok(function.clone())
}

fn permission(arn: &str, facts: &Facts, setting: &Setting) -> Known<RotationPermission> {
    let question = Observation::FunctionPolicy(arn.to_owned());
    let text = match facts.get(&question) {
        Ok(Answer::FunctionPolicy(text)) => text,
        Ok(_other) => return Known::Unknown(mismatch(&question).to_string()),
        Err(unseen) => return Known::Unknown(unseen.to_string()),
    };
    let Some(text) = text else {
        return Known::Known(RotationPermission {
            granted: false,
            confined_to_account: false,
        });
    };
    match resource_policy::service_grant(
        text,
        SECRETS_MANAGER,
        "lambda:InvokeFunction",
        &setting.account,
    ) {
        Ok(grant) => Known::Known(RotationPermission {
            granted: grant.granted,
            confined_to_account: grant.confined,
        }),
        Err(reason) => Known::Unknown(reason),
    }
}
