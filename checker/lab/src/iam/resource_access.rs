//! Whether an AWS service gets through: `EventBridge` to a queue, SNS to a queue, a function's failures to a topic.
//!
//! A service acting by itself has no identity policies, so the resource's policy alone decides ([`ActingService`]);
//! one that acts with a role's rights is decided like the role ([`role_may`]). `checker-iam` does the deciding.

use checker_iam::{Action, Context, Layers, PolicyKind, Principal, Request, Resource, decide};

use crate::authorise::compiled;
use crate::world::World;

/// A service that acts for a resource of an account.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ActingService<'a> {
    /// `events.amazonaws.com`.
    pub(crate) principal: &'a str,
    /// `aws:SourceArn`: the rule or topic it acts for.
    pub(crate) source_arn: &'a str,
    /// `aws:SourceAccount`.
    pub(crate) source_account: &'a str,
}

impl ActingService<'_> {
    /// Whether this policy allows the service the action on the resource; no policy allows nothing.
    pub(crate) fn may(&self, action: &str, resource: &str, policy: Option<&str>) -> bool {
        self.may_with(action, resource, policy, &[])
    }

    /// The same with further keys of the request's context.
    pub(crate) fn may_with(
        &self,
        action: &str,
        resource: &str,
        policy: Option<&str>,
        more: &[(&str, &str)],
    ) -> bool {
        let parsed = policy.and_then(|text| compiled::policy(PolicyKind::Resource, text));
        let (Some(policy), Ok(principal), Ok(action)) = (
            parsed,
            Principal::parse(self.principal),
            Action::new(action),
        ) else {
            return false;
        };
        let mut context = Context::new()
            .with("aws:SourceArn", [self.source_arn])
            .with("aws:SourceAccount", [self.source_account])
            .with("aws:SecureTransport", ["true"]);
        for (key, value) in more {
            context.set(key, [*value]);
        }
        let request = Request::new(principal, action, Resource::new(resource)).in_context(context);
        let layers = Layers {
            resource: Some(policy),
            ..Layers::default()
        };
        decide(&request, &layers).is_allowed()
    }
}

/// Whether a service may write what is encrypted with a key: no key, or one whose policy lets it.
///
/// A key that AWS manages for another service (`alias/aws/...`) lets no service in but that one.
pub(crate) fn may_use_key(
    world: &World,
    key: Option<&str>,
    region: &str,
    service: ActingService<'_>,
) -> bool {
    let Some(key) = key else {
        return true;
    };
    if !world.kms.usable(region, &world.account, key) || key.contains("alias/aws/") {
        return false;
    }
    let arn = world.kms.arn_of(region, &world.account, key);
    let Some(key) = arn.and_then(|arn| world.kms.by_arn(arn)) else {
        return false;
    };
    ["kms:GenerateDataKey", "kms:Decrypt"]
        .iter()
        .all(|action| service.may(action, &key.arn, Some(&key.policy)))
}

/// Whether a role may do something on a resource of its account, for services that act with a role's rights.
pub(crate) fn role_may(
    iam: &super::State,
    role_arn: &str,
    action: &str,
    resource: &str,
    resource_policy: Option<&str>,
) -> bool {
    let Some(policies) = iam.role_policies(role_arn) else {
        return false;
    };
    let (Ok(principal), Ok(action)) = (Principal::parse(role_arn), Action::new(action)) else {
        return false;
    };
    let identity = |texts| compiled::policies(PolicyKind::Identity, texts);
    let attached = policies.identity.into_iter().map(|(_, text)| text);
    let layers = Layers {
        identity: identity(attached.collect()),
        resource: resource_policy.and_then(|text| compiled::policy(PolicyKind::Resource, text)),
        boundary: policies.boundary.map(|(_, text)| identity(vec![text])),
        ..Layers::default()
    };
    let context = Context::new().with("aws:SecureTransport", ["true"]);
    let request = Request::new(principal, action, Resource::new(resource)).in_context(context);
    decide(&request, &layers).is_allowed()
}

#[cfg(test)]
mod tests {
    use super::ActingService;

    #[test]
    fn the_policy_decides() {
        let service = ActingService {
            principal: "events.amazonaws.com",
            source_arn: "arn:aws:events:eu-west-1:123456789012:rule/r",
            source_account: "123456789012",
        };
        let queue = "arn:aws:sqs:eu-west-1:123456789012:q";
        let policy = |principal: &str, source: &str| {
            format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Service":"{principal}"}},"Action":"sqs:SendMessage","Resource":"{queue}","Condition":{{"ArnEquals":{{"aws:SourceArn":"{source}"}}}}}}]}}"#
            )
        };
        let may = |policy: Option<String>| service.may("sqs:SendMessage", queue, policy.as_deref());
        assert!(may(Some(policy(
            "events.amazonaws.com",
            service.source_arn
        ))));
        assert!(!may(Some(policy("sns.amazonaws.com", service.source_arn))));
        assert!(!may(Some(policy(
            "events.amazonaws.com",
            "arn:aws:events:eu-west-1:123456789012:rule/other"
        ))));
        assert!(!may(None));
    }
}
