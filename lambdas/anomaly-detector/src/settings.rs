//! The detector's settings, from its environment.
//!
//! | variable | meaning |
//! |---|---|
//! | `ALLOWED_ROLE_PATTERNS` | exact role ARNs, each with an optional `=prefix`; see [`crate::allow_list`] |
//! | `ALERT_TOPIC_ARN` | topic of the alerts; required |
//! | `ACCESS_LOG_GROUP` | name or ARN of the log group of the access records; required |
//! | `ALLOWED_REGIONS` | comma-separated; calls elsewhere are a signal; off if absent |
//! | `REQUIRE_VPC_ENDPOINT` | `true`, or comma-separated endpoint ids that reads must come through; off if absent |
//! | `ROTATION_ROLE_ARN` | the only role that may move staging labels; any listed role if absent |
//! | `CANARY_ROLE_ARN`, `CANARY_SECRET` | role and secret (name or ARN) of the daily probe |
//! | `TWIN_SECRET` | secret (name or ARN) that exists to be refused; calls on it that were refused are the probes' own |
//! | `SYNTHETIC_SOURCE` | event source of synthetic events; `bank.synthetic` if absent |

use std::collections::BTreeSet;

use lambda_host::{Environment, EnvironmentError};

use crate::allow_list::AllowList;
use crate::reference::Reference;

/// All settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What decides.
    pub rules: Rules,
    /// ARN of the alert topic.
    pub alert_topic: String,
    /// Name of the access log group.
    pub access_log_group: String,
}

/// The settings that decide about an event.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Who may read what.
    pub allow_list: AllowList,
    /// Regions in which calls are expected; empty: any.
    pub regions: BTreeSet<String>,
    /// Endpoints that reads must come through.
    pub endpoint: EndpointRule,
    /// The only role that may move staging labels.
    pub rotation_role: Option<String>,
    /// The daily probe.
    pub canary: Option<Canary>,
    /// Name of the secret on which probes try what must be refused.
    pub twin: Option<String>,
    /// Source of events that a probe puts on the bus.
    pub synthetic_source: String,
}

/// Whether reads must come through a VPC endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointRule {
    /// No.
    Off,
    /// Through any.
    Any,
    /// Through one of these.
    OneOf(BTreeSet<String>),
}

/// A role that is not on the allow-list and reads a secret made for it, to see that the alert comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// Its exact role ARN.
    pub role: String,
    /// Name of its secret.
    pub secret: String,
}

impl Settings {
    /// Reads all settings.
    ///
    /// # Errors
    /// A missing topic or log group.
    pub fn from_environment(environment: &Environment) -> Result<Self, EnvironmentError> {
        let group = environment.required("ACCESS_LOG_GROUP")?;
        Ok(Self {
            rules: Rules::from_environment(environment),
            alert_topic: environment.required("ALERT_TOPIC_ARN")?.to_owned(),
            access_log_group: log_group_name(group).to_owned(),
        })
    }
}

impl Rules {
    /// Reads the settings that decide. None is required: what is absent is strict or off, as documented.
    pub fn from_environment(environment: &Environment) -> Self {
        let list = |name: &str| -> BTreeSet<String> {
            let items = environment
                .get(name)
                .unwrap_or_default()
                .split(',')
                .map(str::trim);
            items
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let endpoint = match environment.get("REQUIRE_VPC_ENDPOINT") {
            None | Some("false") => EndpointRule::Off,
            Some("true") => EndpointRule::Any,
            Some(_) => EndpointRule::OneOf(list("REQUIRE_VPC_ENDPOINT")),
        };
        let canary = environment
            .get("CANARY_ROLE_ARN")
            .zip(environment.get("CANARY_SECRET"));
        Self {
            allow_list: AllowList::parse(environment.get("ALLOWED_ROLE_PATTERNS")),
            regions: list("ALLOWED_REGIONS"),
            endpoint,
            rotation_role: environment.get("ROTATION_ROLE_ARN").map(str::to_owned),
            canary: canary.map(|(role, secret)| Canary {
                role: role.to_owned(),
                secret: Reference::name_in(secret).to_owned(),
            }),
            twin: environment
                .get("TWIN_SECRET")
                .map(|secret| Reference::name_in(secret).to_owned()),
            synthetic_source: environment
                .get("SYNTHETIC_SOURCE")
                .unwrap_or("bank.synthetic")
                .to_owned(),
        }
    }
}

/// `PutLogEvents` takes a name only: `arn:aws:logs:region:account:log-group:NAME` with or without `:*`.
fn log_group_name(group: &str) -> &str {
    group
        .split_once(":log-group:")
        .map_or(group, |(_, name)| name.strip_suffix(":*").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::{Canary, EndpointRule, Rules, log_group_name};
    use lambda_host::Environment;

    #[test]
    fn a_log_group_may_be_given_as_name_or_arn() {
        for group in [
            "/g/x",
            "arn:aws:logs:r:1:log-group:/g/x",
            "arn:aws:logs:r:1:log-group:/g/x:*",
        ] {
            assert_eq!(log_group_name(group), "/g/x");
        }
    }

    #[test]
    fn signals_that_need_a_setting_are_off_without_it() {
        let rules = Rules::from_environment(&Environment::default());
        assert!(rules.regions.is_empty());
        assert_eq!(rules.endpoint, EndpointRule::Off);
        assert_eq!(rules.canary, None);
    }

    #[test]
    fn a_canary_needs_role_and_secret() {
        let one: Environment = [("CANARY_ROLE_ARN", "arn:r")].into_iter().collect();
        assert_eq!(Rules::from_environment(&one).canary, None);
        let arn = "arn:aws:secretsmanager:eu-west-2:111122223333:secret:bank/canary-AbCdEf";
        let both: Environment = [("CANARY_ROLE_ARN", "arn:r"), ("CANARY_SECRET", arn)]
            .into_iter()
            .collect();
        let expected = Canary {
            role: "arn:r".to_owned(),
            secret: "bank/canary".to_owned(),
        };
        assert_eq!(Rules::from_environment(&both).canary, Some(expected));
    }
}
