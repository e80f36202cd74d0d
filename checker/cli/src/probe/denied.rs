//! What must be refused: the forbidden calls, with the credentials that must not be able to make them, on twins that
//! carry the probe tag. A call that succeeds all the same is undone at once, by whoever was able to make it.

use aws_sdk_cloudtrail::types::LookupAttributeKey;
use aws_sdk_secretsmanager::operation::RequestId;
use aws_sdk_secretsmanager::types::Tag;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use checker_core::expression::types::Known;
use checker_core::observation::Unseen;
use checker_core::probe::Actor;
use checker_core::probe::denied::{Attempt, Denied};

use super::clean_up::{self, Undo};
use super::fence::{self, Twin};
use super::history;
use super::scene::Scene;
use super::session::Clients;
use super::timeline::Timeline;
use super::value::Value;
use crate::aws::unseen;

/// The tag that is tried.
pub(super) const TRIED_TAG: &str = "bank:probe-tried";

/// How one call ended.
enum End {
    /// It was allowed.
    Allowed,
    /// It was refused for want of a permission.
    Refused {
        code: String,
        request: Option<String>,
    },
    /// It says nothing of permissions.
    Undecided(Unseen),
}

/// Tries every action and tells how each ended.
pub(super) async fn run(
    scene: &Scene,
    principal: &str,
    actions: &[String],
    resource: &str,
) -> Result<Denied, Unseen> {
    let checker = scene.checker().await?;
    let twin = fence::twin(&checker, &scene.setting, resource).await?;
    let clients = scene.clients(&Actor::Role(principal.to_owned())).await?;
    let timeline = Timeline::begin();
    let mut trace = Denied {
        resource: twin.arn().to_owned(),
        principal: principal.to_owned(),
        attempts: Vec::new(),
        allowed: Known::Known(Vec::new()),
        not_undone: Vec::new(),
        unrecorded: Known::Known(Vec::new()),
        timeline: Vec::new(),
    };
    let (mut allowed, mut undecided) = (Vec::new(), None);
    let mut requests: Vec<Option<String>> = Vec::new();
    for action in actions {
        scene.note(Undo::Twin {
            principal: principal.to_owned(),
            twin: twin.clone(),
            action: action.clone(),
        });
        let end = attempt(&clients, action, &twin).await;
        timeline.mark(format!("{action} was tried"));
        scene.forget_twin(action, &twin);
        let (code, request) = match end {
            End::Allowed => {
                if clean_up::twin(scene, principal, &twin, action)
                    .await
                    .is_err()
                {
                    trace.not_undone.push(action.clone());
                }
                allowed.push(action.clone());
                (None, None)
            }
            End::Refused { code, request } => (Some(code), request),
            End::Undecided(unseen) => {
                undecided = Some(unseen.to_string());
                (Some(unseen.code), None)
            }
        };
        trace.attempts.push(Attempt {
            action: action.clone(),
            code,
            record: None,
        });
        requests.push(request);
    }
    // One call that was allowed is a finding, whatever is not known of the others.
    trace.allowed = match undecided {
        Some(reason) if allowed.is_empty() => Known::Unknown(reason),
        Some(_) | None => Known::Known(allowed),
    };
    trace.unrecorded = recorded(scene, &checker, &twin, &mut trace.attempts, &requests).await;
    timeline.mark("the records of the refusals were looked up");
    trace.timeline = timeline.marks();
    Ok(trace)
}

/// Finds the record of every refusal, by its request.
async fn recorded(
    scene: &Scene,
    checker: &Clients,
    twin: &Twin,
    attempts: &mut [Attempt],
    requests: &[Option<String>],
) -> Known<Vec<String>> {
    // Not by the session's key: that changes when the session is renewed.
    let source = match twin {
        Twin::Secret(_) => "secretsmanager.amazonaws.com",
        Twin::Log { .. } => "logs.amazonaws.com",
    };
    let mut problem = None;
    scene
        .waiting
        .until(scene.waiting.arrival(), async || {
            let looked = history::lookup(
                checker,
                LookupAttributeKey::EventSource,
                source,
                scene.begun,
            )
            .await;
            let calls = match looked {
                Ok(calls) => calls,
                Err(unseen) => {
                    problem = Some(unseen.to_string());
                    return None;
                }
            };
            problem = None;
            let mut all = true;
            for (attempt, request) in attempts.iter_mut().zip(requests) {
                let Some(request) = request else { continue };
                attempt.record = calls
                    .iter()
                    .find(|call| call.request == *request && call.error.is_some())
                    .map(|call| call.id.clone());
                all &= attempt.record.is_some();
            }
            all.then_some(())
        })
        .await;
    match problem {
        Some(reason) => Known::Unknown(reason),
        None => unrecorded(attempts, requests),
    }
}

/// The refusals without a record. Where there is none to look for, or none that could be found, that is not known.
fn unrecorded(attempts: &[Attempt], requests: &[Option<String>]) -> Known<Vec<String>> {
    let refused = || {
        attempts
            .iter()
            .zip(requests)
            .filter(|(attempt, _)| attempt.code.as_deref().is_some_and(is_refusal))
    };
    let missing: Vec<String> = refused()
        .filter(|(attempt, request)| request.is_some() && attempt.record.is_none())
        .map(|(attempt, _)| attempt.action.clone())
        .collect();
    let untraceable = refused().find(|(_, request)| request.is_none());
    if !missing.is_empty() {
        Known::Known(missing)
    } else if let Some((attempt, _)) = untraceable {
        Known::Unknown(format!(
            "the refusal of {} came without a request id, by which its record could be found",
            attempt.action
        ))
    } else if refused().next().is_none() {
        Known::Unknown("nothing was refused, so that there is no record to look for".to_owned())
    } else {
        Known::Known(missing)
    }
}

/// Whether an error says that a permission was lacking.
fn is_refusal(code: &str) -> bool {
    code.contains("AccessDenied")
}

/// Makes one call.
async fn attempt(clients: &Clients, action: &str, twin: &Twin) -> End {
    match twin {
        Twin::Secret(secret) => on_secret(clients, action, &secret.arn).await,
        Twin::Log { name, .. } => on_log(clients, action, name).await,
    }
}

async fn on_secret(clients: &Clients, action: &str, arn: &str) -> End {
    let secrets = &clients.secrets;
    match action {
        "secretsmanager:GetSecretValue" => end(
            action,
            secrets.get_secret_value().secret_id(arn).send().await,
        ),
        "secretsmanager:PutSecretValue" => match Value::random() {
            Some(value) => {
                let call = secrets.put_secret_value().secret_id(arn);
                end(action, call.secret_string(value.exposed()).send().await)
            }
            None => unknown(action),
        },
        "secretsmanager:UpdateSecret" => {
            let call = secrets.update_secret().secret_id(arn);
            let same = "Target of calls that must be denied; nothing depends on its value";
            end(action, call.description(same).send().await)
        }
        "secretsmanager:PutResourcePolicy" => {
            let policy = format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Deny","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"{arn}"}}]}}"#
            );
            let call = secrets.put_resource_policy().secret_id(arn);
            end(action, call.resource_policy(policy).send().await)
        }
        "secretsmanager:TagResource" => {
            let tag = Tag::builder().key(TRIED_TAG).value("true").build();
            end(
                action,
                secrets.tag_resource().secret_id(arn).tags(tag).send().await,
            )
        }
        "secretsmanager:CancelRotateSecret" => end(
            action,
            secrets.cancel_rotate_secret().secret_id(arn).send().await,
        ),
        "secretsmanager:DeleteSecret" => {
            let call = secrets.delete_secret().secret_id(arn);
            end(action, call.recovery_window_in_days(30).send().await)
        }
        _ => unknown(action),
    }
}

async fn on_log(clients: &Clients, action: &str, name: &str) -> End {
    let logs = &clients.logs;
    match action {
        "logs:PutRetentionPolicy" => {
            let call = logs.put_retention_policy().log_group_name(name);
            end(action, call.retention_in_days(3653).send().await)
        }
        "logs:DeleteRetentionPolicy" => end(
            action,
            logs.delete_retention_policy()
                .log_group_name(name)
                .send()
                .await,
        ),
        "logs:PutLogGroupDeletionProtection" => {
            let call = logs.put_log_group_deletion_protection();
            let call = call.log_group_identifier(name);
            end(action, call.deletion_protection_enabled(false).send().await)
        }
        _ => unknown(action),
    }
}

/// Undoes a call that was allowed, with the credentials that made it or with the checker's own.
pub(super) async fn undo(clients: &Clients, action: &str, twin: &Twin) -> Result<(), Unseen> {
    match twin {
        Twin::Secret(secret) => undo_on_secret(clients, action, &secret.arn).await,
        Twin::Log {
            name,
            retention,
            protected,
            ..
        } => match (action, retention) {
            ("logs:PutRetentionPolicy" | "logs:DeleteRetentionPolicy", Some(days)) => clients
                .logs
                .put_retention_policy()
                .log_group_name(name)
                .retention_in_days(*days)
                .send()
                .await
                .map(drop)
                .map_err(|error| unseen("logs:PutRetentionPolicy", &error)),
            ("logs:PutLogGroupDeletionProtection", _) => clients
                .logs
                .put_log_group_deletion_protection()
                .log_group_identifier(name)
                .deletion_protection_enabled(*protected)
                .send()
                .await
                .map(drop)
                .map_err(|error| unseen("logs:PutLogGroupDeletionProtection", &error)),
            _ => Ok(()),
        },
    }
}

async fn undo_on_secret(clients: &Clients, action: &str, arn: &str) -> Result<(), Unseen> {
    let secrets = &clients.secrets;
    match action {
        "secretsmanager:PutResourcePolicy" => secrets
            .delete_resource_policy()
            .secret_id(arn)
            .send()
            .await
            .map(drop)
            .map_err(|error| unseen("secretsmanager:DeleteResourcePolicy", &error)),
        "secretsmanager:TagResource" => secrets
            .untag_resource()
            .secret_id(arn)
            .tag_keys(TRIED_TAG)
            .send()
            .await
            .map(drop)
            .map_err(|error| unseen("secretsmanager:UntagResource", &error)),
        // The schedule is kept, so that switching rotation on again rotates once.
        "secretsmanager:CancelRotateSecret" => secrets
            .rotate_secret()
            .secret_id(arn)
            .send()
            .await
            .map(drop)
            .map_err(|error| unseen("secretsmanager:RotateSecret", &error)),
        "secretsmanager:DeleteSecret" => secrets
            .restore_secret()
            .secret_id(arn)
            .send()
            .await
            .map(drop)
            .map_err(|error| unseen("secretsmanager:RestoreSecret", &error)),
        // A twin's value is nobody's, and a new one is as good as the old.
        _ => Ok(()),
    }
}

fn end<T, E, R>(action: &str, answer: Result<T, SdkError<E, R>>) -> End
where
    E: ProvideErrorMetadata,
    SdkError<E, R>: RequestId,
{
    match answer {
        Ok(_) => End::Allowed,
        Err(error) => {
            let request = error.request_id().map(str::to_owned);
            let unseen = unseen(action, &error);
            if is_refusal(&unseen.code) {
                End::Refused {
                    code: unseen.code,
                    request,
                }
            } else {
                End::Undecided(unseen)
            }
        }
    }
}

fn unknown(action: &str) -> End {
    End::Undecided(Unseen {
        operation: action.to_owned(),
        code: "NotTriable".to_owned(),
        advice: format!(
            "the denied probe tries only what it can undo: {}",
            checker_core::probe::TRIABLE.join(", ")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is known of the records after calls that ended with a code, with a request id, with a record.
    fn known(calls: &[(Option<&str>, Option<&str>, Option<&str>)]) -> Result<usize, String> {
        let attempts: Vec<Attempt> = calls
            .iter()
            .map(|(code, _, record)| Attempt {
                action: "secretsmanager:PutSecretValue".to_owned(),
                code: code.map(str::to_owned),
                record: record.map(str::to_owned),
            })
            .collect();
        let requests: Vec<Option<String>> = calls
            .iter()
            .map(|(_, request, _)| request.map(str::to_owned))
            .collect();
        match unrecorded(&attempts, &requests) {
            Known::Known(missing) => Ok(missing.len()),
            Known::Unknown(reason) => Err(reason),
        }
    }

    #[test]
    fn a_record_that_cannot_be_looked_for_is_not_taken_for_found() {
        let denied = Some("AccessDeniedException");
        let found = (denied, Some("r"), Some("e"));
        assert_eq!(known(&[found, (None, None, None)]), Ok(0));
        assert_eq!(known(&[found, (denied, Some("r"), None)]), Ok(1));
        assert_eq!(
            known(&[(denied, None, None), (denied, Some("r"), None)]),
            Ok(1)
        );
        let without = known(&[found, (denied, None, None)])
            .err()
            .unwrap_or_default();
        assert!(without.contains("without a request id"), "{without}");
        for nothing in [
            &[(None, None, None)][..],
            &[(Some("Throttling"), None, None)],
            &[],
        ] {
            let reason = known(nothing).err().unwrap_or_default();
            assert!(reason.contains("nothing was refused"), "{reason}");
        }
    }
}
