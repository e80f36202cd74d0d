//! `userIdentity`: who called, in the forms that genuine records have.

use chrono::SecondsFormat;
use serde_json::{Value, json};

use crate::credentials::Caller;
use crate::service::Call;

pub(super) fn of(call: &Call<'_>) -> Value {
    let mut identity = match call.caller {
        Caller::Administrator { .. } => json!({
            "type": "IAMUser",
            "principalId": call.caller.id(),
            "arn": call.caller.arn(call.account),
            "accountId": call.account,
            "userName": user_name(call.caller),
        }),
        Caller::Role(session) => {
            let owner = session.role_arn.split(':').nth(4).unwrap_or_default();
            json!({
                "type": "AssumedRole",
                "principalId": call.caller.id(),
                "arn": session.arn(),
                "accountId": owner,
                "sessionContext": {
                    "sessionIssuer": {
                        "type": "Role",
                        "principalId": session.role_id,
                        "arn": session.role_arn,
                        "accountId": owner,
                        "userName": session.role_arn.rsplit('/').next(),
                    },
                    "attributes": {
                        "creationDate": session.issued.to_rfc3339_opts(SecondsFormat::Secs, true),
                        "mfaAuthenticated": "false",
                    },
                },
            })
        }
    };
    if let Some(members) = identity.as_object_mut() {
        let key = access_key(call.caller);
        members.insert("accessKeyId".to_owned(), key.into());
        if let (Caller::Role(session), Some(context)) =
            (call.caller, members.get_mut("sessionContext"))
            && let (Some(identity), Some(context)) =
                (&session.source_identity, context.as_object_mut())
        {
            context.insert("sourceIdentity".to_owned(), identity.as_str().into());
        }
    }
    identity
}

/// What a lookup by user name finds: a user's name, or a session's.
pub(super) fn user_name(caller: &Caller) -> String {
    match caller {
        Caller::Administrator { .. } => "lab-administrator".to_owned(),
        Caller::Role(session) => session.session_name.clone(),
    }
}

pub(super) fn access_key(caller: &Caller) -> &str {
    match caller {
        Caller::Administrator { access_key } => access_key,
        Caller::Role(session) => &session.access_key,
    }
}
