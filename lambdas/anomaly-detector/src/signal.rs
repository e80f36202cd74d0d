//! What makes an event alarming: one table, one row a signal, each judged by the event alone.
//!
//! To add a signal, add a row. Rows do not know each other; the alert's severity is that of its gravest row.

use serde::Serialize;
use serde_json::Value;

use crate::allow_list::{AllowList, Reach};
use crate::event::{Effect, Event, SERVICE};
use crate::identity::Identity;
use crate::reference::Reference;
use crate::settings::{EndpointRule, Rules};

/// How soon somebody should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Within the day.
    Medium,
    /// Now.
    High,
}

/// A row of the table.
pub struct Signal {
    /// Stable name, in records and alerts.
    pub code: &'static str,
    /// What it means, for the person who is paged.
    pub says: &'static str,
    /// How grave it is.
    pub severity: Severity,
    holds: fn(&Access<'_>) -> bool,
}

/// Everything that a signal may look at.
#[derive(Debug)]
pub struct Access<'a> {
    /// The event.
    pub event: Event<'a>,
    /// Who acted.
    pub identity: Identity,
    /// On which secrets.
    pub references: Vec<Reference>,
    /// The settings.
    pub rules: &'a Rules,
}

/// All signals of an event that could be read.
pub static SIGNALS: [Signal; 14] = [
    Signal {
        code: "S1-principal",
        says: "the caller is not on the allow-list",
        severity: Severity::High,
        holds: unlisted_acts,
    },
    Signal {
        code: "S1-principal-metadata",
        says: "a caller who is not on the allow-list looked at metadata",
        severity: Severity::Medium,
        holds: unlisted_looks,
    },
    Signal {
        code: "S2-outside-prefix",
        says: "an allowed role used a secret outside its prefixes",
        severity: Severity::High,
        holds: outside_prefix,
    },
    Signal {
        code: "S3-denied",
        says: "reading a value was refused",
        severity: Severity::Medium,
        holds: denied_read,
    },
    Signal {
        code: "S4-batch",
        says: "many values were asked for at once, by a stranger or by a filter that catches all",
        severity: Severity::High,
        holds: wide_batch,
    },
    Signal {
        code: "S5-cross-account",
        says: "the caller belongs to another account",
        severity: Severity::High,
        holds: cross_account,
    },
    Signal {
        code: "S6-region",
        says: "the call was made in a region that is not in use",
        severity: Severity::High,
        holds: foreign_region,
    },
    Signal {
        code: "S7-console",
        says: "a value was read in the console or a browser",
        severity: Severity::Medium,
        holds: console_read,
    },
    Signal {
        code: "S8-no-endpoint",
        says: "a value was read, but not through the required endpoint",
        severity: Severity::Medium,
        holds: past_the_endpoint,
    },
    Signal {
        code: "S9-tampering",
        says: "the protection of a secret was changed",
        severity: Severity::High,
        holds: tampering,
    },
    Signal {
        code: "S9-plumbing",
        says: "detection or its evidence was changed",
        severity: Severity::High,
        holds: plumbing,
    },
    Signal {
        code: "S10-borrowed-credentials",
        says: "credentials of a function, task or machine were used from elsewhere",
        severity: Severity::Medium,
        holds: borrowed,
    },
    Signal {
        code: "S11-delegate",
        says: "a product provider acted through the identity",
        severity: Severity::High,
        holds: delegated,
    },
    Signal {
        code: "C1-allow-list",
        says: "the allow-list is empty or broken, so nobody is allowed",
        severity: Severity::High,
        holds: broken_list,
    },
];

/// A rotation that did not succeed: nobody did wrong, but somebody must look.
pub static OPERATIONAL: Signal = Signal {
    code: "O1-rotation",
    says: "a rotation failed or was abandoned",
    severity: Severity::Medium,
    holds: failed_rotation,
};

/// An event that could not be read.
pub static UNREADABLE: Signal = Signal {
    code: "U1-unreadable",
    says: "an event could not be read",
    severity: Severity::High,
    holds: |access| access.event.name().is_none(),
};

impl Signal {
    /// Whether it holds for an access.
    pub fn holds(&self, access: &Access<'_>) -> bool {
        (self.holds)(access)
    }
}

impl Access<'_> {
    fn reach(&self) -> Option<&Reach> {
        self.rules.allow_list.reach(self.identity.role.as_deref()?)
    }

    /// Secrets Manager itself, and it alone among the services.
    fn is_service(&self) -> bool {
        self.identity.service.as_deref() == Some(SERVICE)
    }

    fn is_listed(&self) -> bool {
        self.reach().is_some() || self.is_service()
    }

    fn reads_value(&self) -> bool {
        self.event.effect() == Effect::ReadsValue
    }

    fn pointer(&self, pointer: &str) -> Option<&Value> {
        self.event
            .record
            .pointer(pointer)
            .filter(|value| !value.is_null())
    }

    fn pointer_text(&self, pointer: &str) -> &str {
        self.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

fn unlisted_acts(access: &Access<'_>) -> bool {
    !access.is_listed() && access.event.effect() != Effect::ReadsMetadata
}

fn unlisted_looks(access: &Access<'_>) -> bool {
    !access.is_listed() && access.event.effect() == Effect::ReadsMetadata
}

/// A role with prefixes must be seen to stay inside them: a value read that names no secret does not count.
fn outside_prefix(access: &Access<'_>) -> bool {
    let Some(reach @ Reach::Prefixes(_)) = access.reach() else {
        return false;
    };
    let own = access.event.text("recipientAccountId");
    let inside = |reference: &Reference| {
        let at_home = match (&reference.account, own) {
            (Some(account), Some(own)) => account == own,
            (None, _) | (_, None) => true,
        };
        at_home && reach.covers(&reference.name)
    };
    match access.event.effect() {
        Effect::ReadsMetadata => false,
        Effect::ReadsValue if access.references.is_empty() => !filters_stay_inside(access, reach),
        Effect::ReadsValue | Effect::Changes => !access.references.iter().all(inside),
    }
}

/// A batch by filters stays inside if one filter is on names and each of its values is within reach.
fn filters_stay_inside(access: &Access<'_>, reach: &Reach) -> bool {
    filters(access).iter().any(|(key, values)| {
        *key == "name" && !values.is_empty() && values.iter().all(|value| reach.covers(value))
    })
}

fn filters<'a>(access: &'a Access<'_>) -> Vec<(&'a str, Vec<&'a str>)> {
    let filters = access
        .pointer("/requestParameters/filters")
        .and_then(Value::as_array);
    let read = |filter: &'a Value| {
        let key = filter
            .get("key")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let values = filter.get("values").and_then(Value::as_array);
        (
            key,
            values
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect(),
        )
    };
    filters.into_iter().flatten().map(read).collect()
}

fn denied_read(access: &Access<'_>) -> bool {
    access.reads_value() && access.event.was_denied()
}

fn wide_batch(access: &Access<'_>) -> bool {
    if access.event.name() != Some("BatchGetSecretValue") {
        return false;
    }
    let filters = filters(access);
    let catches_all = |(key, values): &(&str, Vec<&str>)| {
        *key == "all"
            || key.is_empty()
            || values.is_empty()
            || values
                .iter()
                .any(|value| value.starts_with('!') || value.is_empty())
    };
    let by_list = access.pointer("/requestParameters/secretIdList").is_some();
    !access.is_listed() || (!by_list && filters.is_empty()) || filters.iter().any(catches_all)
}

fn cross_account(access: &Access<'_>) -> bool {
    let recipient = access.event.text("recipientAccountId");
    access
        .identity
        .account
        .as_deref()
        .zip(recipient)
        .is_some_and(|(caller, recipient)| caller != recipient)
}

fn foreign_region(access: &Access<'_>) -> bool {
    let region = access
        .event
        .text("awsRegion")
        .or_else(|| access.event.envelope_text("region"))
        .unwrap_or_default();
    !access.rules.regions.is_empty() && !access.rules.regions.contains(region)
}

fn console_read(access: &Access<'_>) -> bool {
    access.reads_value()
        && (access.event.flag("/sessionCredentialFromConsole")
            || access.pointer_text("/userAgent").contains("Mozilla/"))
}

/// Calls that a service makes on the caller's behalf come from the service's network, not through an endpoint.
fn past_the_endpoint(access: &Access<'_>) -> bool {
    let for_a_service = access
        .pointer_text("/userIdentity/invokedBy")
        .ends_with(".amazonaws.com");
    let endpoint = access.pointer_text("/vpcEndpointId");
    let passes = match &access.rules.endpoint {
        EndpointRule::Off => true,
        EndpointRule::Any => !endpoint.is_empty(),
        EndpointRule::OneOf(endpoints) => endpoints.contains(endpoint),
    };
    access.reads_value() && !for_a_service && !passes
}

fn tampering(access: &Access<'_>) -> bool {
    if access.event.text("eventSource") != Some(SERVICE) || access.is_service() {
        return false;
    }
    let role = access.identity.role.as_deref();
    match access.event.name().unwrap_or_default() {
        "PutResourcePolicy"
        | "DeleteResourcePolicy"
        | "CancelRotateSecret"
        | "ReplicateSecretToRegions"
        | "RemoveRegionsFromReplication"
        | "StopReplicationToReplica"
        | "AssociateCrossAccountReplica" => true,
        "DeleteSecret" => access
            .event
            .flag("/requestParameters/forceDeleteWithoutRecovery"),
        "UpdateSecret" => access.pointer("/requestParameters/kmsKeyId").is_some(),
        "UpdateSecretVersionStage" => match &access.rules.rotation_role {
            Some(rotator) => role != Some(rotator.as_str()),
            None => !access.is_listed(),
        },
        _ => false,
    }
}

/// Calls that switch detection off or shorten its evidence, where a second rule sends them here.
fn plumbing(access: &Access<'_>) -> bool {
    let source = access.event.text("eventSource").unwrap_or_default();
    let name = access.event.name().unwrap_or_default();
    match source {
        "events.amazonaws.com" => {
            matches!(
                name,
                "PutRule" | "DisableRule" | "DeleteRule" | "RemoveTargets" | "PutTargets"
            )
        }
        "cloudtrail.amazonaws.com" => {
            matches!(
                name,
                "StopLogging" | "PutEventSelectors" | "DeleteTrail" | "UpdateTrail"
            )
        }
        "lambda.amazonaws.com" => {
            name.starts_with("UpdateFunction") || name.starts_with("DeleteFunction")
        }
        "sns.amazonaws.com" => matches!(name, "Unsubscribe" | "DeleteTopic" | "SetTopicAttributes"),
        "logs.amazonaws.com" => {
            name.starts_with("Delete")
                || matches!(name, "PutRetentionPolicy" | "PutLogGroupDeletionProtection")
        }
        _ => false,
    }
}

/// Weak by itself: a user agent is the caller's own text. Where it contradicts the session it tells something.
fn borrowed(access: &Access<'_>) -> bool {
    let scope = access.pointer_text("/userIdentity/inScopeOf/issuerType");
    let home = access.identity.account.as_deref();
    let elsewhere = access
        .pointer("/userIdentity/inScopeOf/sourceAccount")
        .and_then(Value::as_str)
        .zip(home)
        .is_some_and(|(source, home)| source != home);
    let agent = access.pointer_text("/userAgent");
    let runs_in = agent
        .split_whitespace()
        .find_map(|part| part.strip_prefix("exec-env/"));
    let in_lambda = runs_in.map(|environment| environment.starts_with("AWS_Lambda"));
    let on_machine = access
        .pointer("/userIdentity/sessionContext/ec2RoleDelivery")
        .is_some();
    elsewhere
        || (scope == "AWS::Lambda::Function" && in_lambda == Some(false))
        || (on_machine && in_lambda == Some(true))
}

fn delegated(access: &Access<'_>) -> bool {
    access.identity.delegated
}

fn broken_list(access: &Access<'_>) -> bool {
    access.rules.allow_list == AllowList::Broken
}

fn failed_rotation(access: &Access<'_>) -> bool {
    access.event.is_service_event()
        && matches!(
            access.event.name(),
            Some("RotationFailed" | "RotationAbandoned" | "TestRotationFailed")
        )
}
