//! The anomaly detector: the function that judges every access to a secret.

use super::known::{answered, existence, known, of, published};
use super::policy::local;
use super::{Item, Reads, Setting};
use crate::expression::types::Known;
use crate::observation::{Answer, Facts, Observation, answer};

crate::facts! {
    /// A role whose reading of secrets is no anomaly.
    pub struct Allowed {
        /// What stands behind the account in its ARN, such as `role/name`; the whole text of what is no role of this account.
        pub role: String,
        /// How the names of the secrets begin that it may read; empty for any.
        pub prefix: String,
        /// Whether it is the ARN of one role of this account, without wildcards.
        pub exact: bool,
    }

    /// The anomaly detector.
    pub struct Detector {
        /// Its ARN.
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
        /// Name of the parameter that publishes its ARN.
        pub published_as: String,
        /// The ARN in that parameter; `null` when there is none.
        pub published: Known<Option<String>>,
        /// ARN of what keeps events that it failed on; `null` when they are lost.
        pub failure_destination: Known<Option<String>>,
        /// The roles on its allow-list.
        pub allowed: Known<Vec<Allowed>>,
        /// ARN of the topic that it raises alerts on; empty when there is none.
        pub alert_topic: Known<String>,
        /// Name of the log group that it writes records to; empty when there is none.
        pub record_log: Known<String>,
        /// The role whose use of secrets is a rotation, such as `role/name`; empty when there is none.
        pub rotation_role: Known<String>,
        /// The role whose reads are synthetic, such as `role/name`; empty when there is none.
        pub canary_role: Known<String>,
        /// Name of the secret whose reads may be synthetic; empty when there is none.
        pub canary_secret: Known<String>,
        /// Name of the secret on which refused calls are the probes' own; empty when there is none.
        pub twin_secret: Known<String>,
        /// The source of synthetic events; empty when none is set.
        pub synthetic_source: Known<String>,
    }
}

const ABSENT: &str = "the function does not exist";

/// One item: the detector, whether it exists or not.
pub(super) fn items(facts: &Facts, setting: &Setting, reads: &Reads) -> Vec<Item> {
    let detector = view(facts, setting);
    let mut item = Item::of(detector.arn.clone(), "detector", &detector);
    let function = || Observation::Function(detector.arn.clone());
    item.details = vec![
        ("detector.exists", function()),
        ("detector.state", function()),
        ("detector.runtime", function()),
        ("detector.role", function()),
        ("detector.timeout", function()),
        ("detector.allowed", function()),
        ("detector.alert_topic", function()),
        ("detector.record_log", function()),
        ("detector.rotation_role", function()),
        ("detector.canary_role", function()),
        ("detector.canary_secret", function()),
        ("detector.twin_secret", function()),
        ("detector.synthetic_source", function()),
        (
            "detector.published",
            Observation::Parameter(detector.published_as.clone()),
        ),
        (
            "detector.failure_destination",
            Observation::FunctionFailureDestination(detector.arn.clone()),
        ),
    ];
    item.details.retain(|(path, _)| reads.touch(path));
    vec![item]
}

fn view(facts: &Facts, setting: &Setting) -> Detector {
    let arn = setting.detector_arn();
    let found = configuration(&arn, facts);
    let published_as = setting
        .organisation
        .published(&setting.stage, "anomaly/fn-arn");
    let destination = Observation::FunctionFailureDestination(arn.clone());
    let named = |name: &str| {
        of(&found, ABSENT, |function| {
            function.references.get(name).cloned().unwrap_or_default()
        })
    };
    let role = |name: &str| {
        of(&found, ABSENT, |function| {
            let arn = function.references.get(name).cloned().unwrap_or_default();
            own_role(&arn, &setting.account).unwrap_or(&arn).to_owned()
        })
    };
    Detector {
        name: setting.organisation.detector(&setting.stage),
        exists: existence(&found),
        state: of(&found, ABSENT, |function| function.state.clone()),
        runtime: of(&found, ABSENT, |function| function.runtime.clone()),
        role: of(&found, ABSENT, |function| {
            local(&function.role_arn).to_owned()
        }),
        timeout: of(&found, ABSENT, |function| function.timeout),
        published: published(facts, &published_as),
        published_as,
        failure_destination: known(answered(facts, &destination, |answer| {
            let Answer::FunctionFailureDestination(destination) = answer else {
                return None;
            };
            Some(destination.clone())
        })),
        allowed: of(&found, ABSENT, |function| {
            let list = function.references.get("ALLOWED_ROLE_PATTERNS");
            list.map(|list| allowed(list, &setting.account))
                .unwrap_or_default()
        }),
        alert_topic: named("ALERT_TOPIC_ARN"),
        record_log: named("ACCESS_LOG_GROUP"),
        rotation_role: role("ROTATION_ROLE_ARN"),
        canary_role: role("CANARY_ROLE_ARN"),
        canary_secret: named("CANARY_SECRET"),
        twin_secret: named("TWIN_SECRET"),
        synthetic_source: named("SYNTHETIC_SOURCE"),
        arn,
    }
}

/// The entries of an allow-list.
fn allowed(list: &str, account: &str) -> Vec<Allowed> {
    list.split(',')
        .filter(|entry| !entry.is_empty())
        .map(|entry| {
            let (arn, prefix) = entry.split_once('=').unwrap_or((entry, ""));
            let role = own_role(arn, account);
            Allowed {
                role: role.unwrap_or(arn).to_owned(),
                prefix: prefix.to_owned(),
                exact: role.is_some_and(|role| !role.contains(['*', '?'])),
            }
        })
        .collect()
}

/// `role/name` of a role of this account.
fn own_role<'a>(arn: &'a str, account: &str) -> Option<&'a str> {
    let (partition, rest) = arn.strip_prefix("arn:")?.split_once(':')?;
    let role = rest.strip_prefix(&format!("iam::{account}:"))?;
    (partition.starts_with("aws") && role.starts_with("role/")).then_some(role)
}

fn configuration<'a>(arn: &str, facts: &'a Facts) -> Result<Option<&'a answer::Function>, String> {
    let question = Observation::Function(arn.to_owned());
    answered(facts, &question, |answer| {
        let Answer::Function(function) = answer else {
            return None;
        };
        Some(function.as_ref())
    })
}
