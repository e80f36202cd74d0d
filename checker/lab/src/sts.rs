//! Security Token Service: who calls, and sessions of roles.
//!
//! Credentials issued here are remembered in the world with the role and the session, so that later calls made with
//! them are decided by the role's policies. Whether the trust policy lets the caller in is decided before this, with
//! every other authorisation. MFA, SAML and web identities are not served.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::credentials::{Caller, RoleSession};
use crate::service::{Answer, ApiError, Call, timestamp};
use crate::tagging::Tags;
use crate::world::World;

/// A session that was itself made from a session ends after an hour at the latest.
const CHAINED_SECONDS: i64 = 3600;

pub(crate) fn handle(world: &mut World, call: &Call<'_>) -> Answer {
    match call.operation {
        "GetCallerIdentity" => Ok(json!({
            "UserId": call.caller.id(),
            "Account": call.account,
            "Arn": call.caller.arn(call.account),
        })),
        "AssumeRole" => assume_role(world, call),
        _ => Err(call.unserved()),
    }
}

fn assume_role(world: &mut World, call: &Call<'_>) -> Answer {
    let arn = call.required("RoleArn")?;
    let denied = || {
        // AWS tells nobody whether the role exists.
        let caller = call.caller.arn(call.account);
        ApiError::new(
            "AccessDenied",
            format!(
                "User: {caller} is not authorized to perform: sts:AssumeRole on resource: {arn}"
            ),
        )
        .with_status(403)
    };
    let role = world.iam.role_by_arn(arn).ok_or_else(denied)?;
    let seconds = call
        .number("DurationSeconds")
        .unwrap_or(CHAINED_SECONDS.min(role.max_session));
    if seconds > role.max_session {
        return Err(invalid(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    if matches!(call.caller, Caller::Role(_)) && seconds > CHAINED_SECONDS {
        return Err(invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        ));
    }
    if call.text("SerialNumber").is_some()
        || call.text("TokenCode").is_some()
        || !call.list("ProvidedContexts").is_empty()
    {
        return Err(invalid(
            "the lab knows no MFA devices and no identity providers",
        ));
    }
    let mut session_policies = Vec::new();
    if let Some(policy) = call.text("Policy") {
        crate::iam::grammar::parse(policy, crate::iam::grammar::PolicyKind::Identity)
            .map_err(|reason| ApiError::new("MalformedPolicyDocument", reason.to_string()))?;
        session_policies.push(policy.to_owned());
    }
    for each in call.list("PolicyArns") {
        let arn = each.get("arn").and_then(Value::as_str).unwrap_or_default();
        let document = world.iam.policy_document(arn);
        session_policies.push(
            document
                .ok_or_else(|| invalid(format!("Policy {arn} does not exist.")))?
                .to_owned(),
        );
    }
    let tags = Tags::from_list(call.list("Tags")).map_err(invalid)?;
    let session = RoleSession {
        role_arn: role.arn.clone(),
        role_id: role.id.clone(),
        session_name: call.required("RoleSessionName")?.to_owned(),
        session_policies,
        tags: tags.entries().clone().into_iter().collect(),
        source_identity: call.text("SourceIdentity").map(str::to_owned),
        issued: call.now,
        access_key: String::new(),
    };
    let user = json!({"AssumedRoleId": format!("{}:{}", session.role_id, session.session_name), "Arn": session.arn()});
    let expires = call.now + TimeDelta::seconds(seconds);
    let source_identity = session.source_identity.clone();
    let issued = world.credentials.issue(&mut world.ids, session, expires);
    let mut answer = json!({
        "Credentials": {
            "AccessKeyId": issued.access_key,
            "SecretAccessKey": issued.secret_key,
            "SessionToken": issued.session_token,
            "Expiration": timestamp(issued.expires),
        },
        "AssumedRoleUser": user,
    });
    if let (Some(members), Some(identity)) = (answer.as_object_mut(), source_identity) {
        members.insert("SourceIdentity".to_owned(), identity.into());
    }
    Ok(answer)
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}
