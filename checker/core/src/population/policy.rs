//! Managed policies, read statement by statement.
//!
//! The policies that the organisation demands are always items, so that a rule can say that one does not exist.

use super::{Item, Setting, grant, mismatch, resource_policy};
use crate::expression::types::Known;
use crate::observation::authorization::{Authorization, ManagedPolicy};
use crate::observation::{Answer, Facts, Observation, Unseen};

crate::facts! {
    /// A managed policy.
    pub struct Policy {
        /// ARN; of a policy that does not exist, the one that it would have.
        pub arn: String,
        /// Name.
        pub name: String,
        /// Whether it exists.
        pub exists: bool,
        /// The roles, users and groups that it is attached to, such as `role/name`.
        pub attached_to: Vec<String>,
        /// Actions that change secrets and that a statement allows.
        pub changes: Known<Vec<String>>,
        /// Actions that change secrets and that no unconditional statement denies for all secrets outside the namespace.
        pub undenied: Known<Vec<String>>,
        /// Whether it denies creating a secret whose name does not begin with the namespace.
        pub denies_other_names: Known<bool>,
        /// Whether it denies writing parameters below the namespace's shadow, such as `/bank-secrets/`.
        pub denies_shadow_parameters: Known<bool>,
        /// Whether it denies giving a secret a policy that lets everyone in.
        pub denies_public_policies: Known<bool>,
        /// Whether it denies encrypting a parameter, but for those below the stage's tree `encrypted`.
        pub denies_encrypted_parameters: Known<bool>,
    }
}

/// The named filters.
pub const FILTERS: &[(&str, &str)] = &[
    ("namespace", "the policy of the namespace, one a stage"),
    ("read", "the policy that lets applications read secrets"),
];

/// Every managed policy, and the demanded ones whether they exist or not.
pub(super) fn items(facts: &Facts, setting: &Setting) -> Result<Vec<Item>, Unseen> {
    let all = authorization(facts)?;
    let demanded = [
        (
            "namespace",
            setting.organisation.namespace_policy(&setting.stage),
        ),
        ("read", setting.organisation.read_policy()),
    ];
    let missing = demanded
        .iter()
        .filter(|(_, name)| !all.policies.iter().any(|policy| policy.name == *name))
        .map(|(_, name)| missing(name, setting));
    let mut facts: Vec<Policy> = missing.collect();
    facts.extend(all.policies.iter().map(|policy| view(policy, all, setting)));
    Ok(facts
        .into_iter()
        .map(|fact| {
            let mut item = Item::of(fact.arn.clone(), "policy", &fact);
            item.passes = demanded
                .iter()
                .filter(|(_, name)| fact.name == *name)
                .map(|(filter, _)| *filter)
                .collect();
            item
        })
        .collect())
}

/// All identities and policies.
pub(super) fn authorization(facts: &Facts) -> Result<&Authorization, Unseen> {
    let Answer::Authorization(all) = facts.get(&Observation::Authorization)? else {
        return Err(mismatch(&Observation::Authorization));
    };
    Ok(all)
}

/// What stands behind the account in an ARN, such as `role/name`.
pub(super) fn local(arn: &str) -> &str {
    arn.splitn(6, ':').nth(5).unwrap_or(arn)
}

fn missing(name: &str, setting: &Setting) -> Policy {
    let absent = || "the policy does not exist".to_owned();
    Policy {
        arn: format!("arn:aws:iam::{}:policy/{name}", setting.account),
        name: name.to_owned(),
        exists: false,
        attached_to: Vec::new(),
        changes: Known::Unknown(absent()),
        undenied: Known::Unknown(absent()),
        denies_other_names: Known::Unknown(absent()),
        denies_shadow_parameters: Known::Unknown(absent()),
        denies_public_policies: Known::Unknown(absent()),
        denies_encrypted_parameters: Known::Unknown(absent()),
    }
}

fn view(policy: &ManagedPolicy, all: &Authorization, setting: &Setting) -> Policy {
    let statements = resource_policy::statements(&policy.document);
    let namespace = &setting.organisation.namespace;
    let account = &setting.account;
    let read = |wanted: &dyn Fn(&serde_json::Value, &str) -> bool, found: bool| match &statements {
        Ok(statements) => Known::Known(
            grant::MUTATING
                .iter()
                .filter(|action| {
                    statements.iter().any(|statement| wanted(statement, action)) == found
                })
                .map(|action| (*action).to_owned())
                .collect(),
        ),
        Err(reason) => Known::Unknown(reason.clone()),
    };
    let holds = |wanted: &dyn Fn(&serde_json::Value) -> bool| match &statements {
        Ok(statements) => Known::Known(statements.iter().any(wanted)),
        Err(reason) => Known::Unknown(reason.clone()),
    };
    Policy {
        arn: policy.arn.clone(),
        name: policy.name.clone(),
        exists: true,
        attached_to: attached_to(policy, all),
        changes: read(
            &|statement, action| grant::allows(statement) && grant::names_action(statement, action),
            true,
        ),
        undenied: read(
            &|statement, action| {
                grant::denies_always(statement)
                    && grant::names_action(statement, action)
                    && grant::spares_only(statement, namespace, account)
            },
            false,
        ),
        denies_other_names: holds(&|statement| {
            let allowed = grant::condition(statement, "StringNotLike", "secretsmanager:Name");
            grant::denies(statement)
                && grant::names_action(statement, "secretsmanager:CreateSecret")
                && statement.get("Resource").map(resource_policy::texts)
                    == Some(vec!["*".to_owned()])
                && conditions(statement) == 1
                && !allowed.is_empty()
                && allowed
                    .iter()
                    .all(|name| name.starts_with(namespace.as_str()))
        }),
        denies_shadow_parameters: holds(&|statement| {
            let shadow = setting.organisation.shadow_store();
            let parameter = format!(
                "arn:aws:ssm:{}:{account}:parameter{shadow}x",
                setting.region
            );
            grant::denies_always(statement)
                && grant::names_action(statement, "ssm:PutParameter")
                && grant::names_resource(statement, &parameter)
        }),
        denies_public_policies: holds(&denies_public_policies),
        denies_encrypted_parameters: holds(&|statement| {
            denies_encrypted_parameters(statement, account, &setting.stage)
        }),
    }
}

/// Whether a statement speaks of everything there is.
fn of_everything(statement: &serde_json::Value) -> bool {
    statement.get("Resource").map(resource_policy::texts) == Some(vec!["*".to_owned()])
}

fn denies_public_policies(statement: &serde_json::Value) -> bool {
    let asked = ["Bool", "BoolIfExists"].iter().any(|operator| {
        grant::condition(statement, operator, "secretsmanager:BlockPublicPolicy") == ["false"]
    });
    grant::denies(statement)
        && grant::names_action(statement, "secretsmanager:PutResourcePolicy")
        && of_everything(statement)
        && asked
        && conditions(statement) == 1
}

fn denies_encrypted_parameters(statement: &serde_json::Value, account: &str, stage: &str) -> bool {
    let spared = grant::condition(
        statement,
        "StringNotLike",
        "kms:EncryptionContext:PARAMETER_ARN",
    );
    let tree = format!(":{account}:parameter/bank/{stage}/encrypted/");
    grant::denies(statement)
        && ["kms:Encrypt", "kms:GenerateDataKey"]
            .iter()
            .all(|action| grant::names_action(statement, action))
        && of_everything(statement)
        && grant::condition(statement, "StringLike", "kms:ViaService") == ["ssm.*.amazonaws.com"]
        && !spared.is_empty()
        && spared.iter().all(|arn| arn.contains(&tree))
        && conditions(statement) == 2
}

fn attached_to(policy: &ManagedPolicy, all: &Authorization) -> Vec<String> {
    let principals = all
        .principals
        .iter()
        .filter(|principal| principal.attached.contains(&policy.arn))
        .map(|principal| local(&principal.arn).to_owned());
    let groups = all
        .groups
        .iter()
        .filter(|group| group.attached.contains(&policy.arn))
        .map(|group| format!("group/{}", group.name));
    principals.chain(groups).collect()
}

/// How many condition keys a statement tests; each further one narrows it.
fn conditions(statement: &serde_json::Value) -> usize {
    statement
        .get("Condition")
        .and_then(serde_json::Value::as_object)
        .into_iter()
        .flat_map(|operators| operators.values())
        .filter_map(serde_json::Value::as_object)
        .map(serde_json::Map::len)
        .sum()
}
