//! Whether a resource's policy lets an AWS service act on behalf of a source: a queue that `EventBridge` sends dead
//! letters to, a function that a rule invokes.
//!
//! Decided by `checker-iam` with the context that AWS sends along (`aws:SourceArn`, `aws:SourceAccount`).

use checker_iam::{
    Action, Context, Layers, Policy, PolicyKind, Principal, Request, Resource, decide,
};

/// What a service asks for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The service, such as `events.amazonaws.com`.
    pub service: &'a str,
    /// The action, such as `sqs:SendMessage`.
    pub action: &'a str,
    /// ARN of the resource whose policy decides.
    pub resource: &'a str,
}

/// An account that nobody in the organisation has: AWS does not give out this number.
const FOREIGN_ACCOUNT: &str = "000000000000";

/// Whether the policy allows it for the source; an error when the policy can't be read or asks for what is not known.
pub fn allows(policy: &str, asked: Asked<'_>, source: &str, account: &str) -> Result<bool, String> {
    let policy = Policy::parse(policy, PolicyKind::Resource).map_err(|error| error.to_string())?;
    let principal = Principal::parse(asked.service).map_err(|error| error.to_string())?;
    let action = Action::new(asked.action).map_err(|error| error.to_string())?;
    let request = Request::new(principal, action, Resource::new(asked.resource)).in_context(
        Context::new()
            .with("aws:SourceArn", [source])
            .with("aws:SourceAccount", [account]),
    );
    let layers = Layers {
        resource: Some(vec![policy].into()),
        ..Layers::default()
    };
    let decision = decide(&request, &layers);
    if decision.missing_context.is_empty() {
        return Ok(decision.is_allowed());
    }
    Err(format!(
        "the policy depends on {}, which is not known here",
        decision.missing_context.join(", ")
    ))
}

/// Whether the policy allows it for this source and for no other: neither for a neighbour in the account nor for a
/// source of the same name elsewhere.
pub fn confined(
    policy: &str,
    asked: Asked<'_>,
    source: &str,
    account: &str,
) -> Result<bool, String> {
    let neighbour = format!("{source}-other");
    let stranger = source.replace(account, FOREIGN_ACCOUNT);
    Ok(!allows(policy, asked, &neighbour, account)?
        && !allows(policy, asked, &stranger, FOREIGN_ACCOUNT)?)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::{Value, json};

    use super::{Asked, allows, confined};

    const ACCOUNT: &str = "647751526084";
    const RULE: &str = "arn:aws:events:ap-southeast-2:647751526084:rule/detect";
    const ASKED: Asked<'static> = Asked {
        service: "events.amazonaws.com",
        action: "sqs:SendMessage",
        resource: "arn:aws:sqs:ap-southeast-2:647751526084:dead",
    };

    fn check(service: &str, action: &str, condition: &Value, expected: (bool, bool)) {
        let policy = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Service": service}, "Action": action,
            "Resource": ASKED.resource, "Condition": condition}]})
        .to_string();
        let found = (
            allows(&policy, ASKED, RULE, ACCOUNT).unwrap(),
            confined(&policy, ASKED, RULE, ACCOUNT).unwrap(),
        );
        assert_eq!(found, expected, "{policy}");
    }

    #[test]
    fn a_grant_must_admit_the_rule_and_only_the_rule() {
        let events = "events.amazonaws.com";
        let rule = json!({"ArnEquals": {"aws:SourceArn": RULE}});
        check(events, "sqs:SendMessage", &rule, (true, true));
        check(events, "sqs:*", &rule, (true, true));
        check(events, "sqs:Receive*", &rule, (false, true));
        check("sns.amazonaws.com", "sqs:SendMessage", &rule, (false, true));
        check(events, "sqs:SendMessage", &json!({}), (true, false));
        let account = json!({"StringEquals": {"aws:SourceAccount": ACCOUNT}});
        check(events, "sqs:SendMessage", &account, (true, false));
        let any_account = json!({"ArnLike": {"aws:SourceArn": "arn:aws:events:*:*:rule/detect"}});
        check(events, "sqs:SendMessage", &any_account, (true, false));
        let other = json!({"ArnEquals": {"aws:SourceArn": format!("{RULE}s")}});
        check(events, "sqs:SendMessage", &other, (false, true));
    }

    #[test]
    fn what_is_not_known_is_no_answer() {
        let policy = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage",
            "Resource": "*", "Condition": {"StringEquals": {"aws:SourceOrgID": "o-1"}}}]})
        .to_string();
        assert!(allows(&policy, ASKED, RULE, ACCOUNT).is_err());
        assert!(allows("{", ASKED, RULE, ACCOUNT).is_err());
    }
}
