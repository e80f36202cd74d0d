//! Keys and their aliases.

use std::collections::HashMap;

use aws_sdk_kms::operation::RequestId as _;
use aws_sdk_kms::operation::get_key_policy::GetKeyPolicyError;
use aws_sdk_kms::operation::list_grants::ListGrantsError;
use aws_sdk_kms::types::GrantListEntry;
use checker_core::observation::answer::{Key, KeyAlias, KeyGrant, ListedKey};
use checker_core::observation::{Answer, Unseen};

use super::page::{Page, confirmed};
use super::unseen::{incomplete, unseen};
use super::{Aws, Seen};

/// `ListAliases`, every page.
pub(super) async fn aliases(aws: &Aws) -> Seen {
    let operation = "kms:ListAliases";
    let (rows, origin) = confirmed(operation, &aws.region, |token, size| async move {
        let output = aws
            .kms
            .list_aliases()
            .limit(size.unwrap_or(100))
            .set_marker(token)
            .send()
            .await
            .map_err(|error| unseen(operation, &error))?;
        let next = output.next_marker().map(str::to_owned);
        if output.truncated() && next.is_none() {
            return Err(incomplete(operation, "NextMarker"));
        }
        Ok(Page {
            next: next.filter(|_| output.truncated()),
            request_id: output.request_id().map(str::to_owned),
            rows: output
                .aliases()
                .iter()
                .map(|row| {
                    Ok(KeyAlias {
                        name: row
                            .alias_name()
                            .ok_or_else(|| incomplete(operation, "AliasName"))?
                            .to_owned(),
                        key_id: row.target_key_id().map(str::to_owned),
                    })
                })
                .collect::<Result<_, _>>()?,
        })
    })
    .await?;
    Ok((Answer::KeyAliases(rows), origin))
}

/// `DescribeKey`.
pub(super) async fn key(aws: &Aws, id: &str) -> Seen {
    let operation = "kms:DescribeKey";
    let output = match aws.kms.describe_key().key_id(id).send().await {
        Ok(output) => output,
        Err(error)
            if error.as_service_error().is_some_and(
                aws_sdk_kms::operation::describe_key::DescribeKeyError::is_not_found_exception,
            ) =>
        {
            return Ok((Answer::Key(None), aws.origin(None)));
        }
        Err(error) => return Err(unseen(operation, &error)),
    };
    let metadata = output
        .key_metadata()
        .ok_or_else(|| incomplete(operation, "KeyMetadata"))?;
    let text = |member: Option<&str>, name: &str| {
        member
            .map(str::to_owned)
            .ok_or_else(|| incomplete(operation, name))
    };
    let key = Key {
        id: metadata.key_id().to_owned(),
        arn: text(metadata.arn(), "Arn")?,
        manager: text(
            metadata
                .key_manager()
                .map(aws_sdk_kms::types::KeyManagerType::as_str),
            "KeyManager",
        )?,
        origin: text(
            metadata
                .origin()
                .map(aws_sdk_kms::types::OriginType::as_str),
            "Origin",
        )?,
        state: text(
            metadata
                .key_state()
                .map(aws_sdk_kms::types::KeyState::as_str),
            "KeyState",
        )?,
        multi_region: metadata.multi_region().unwrap_or(false),
    };
    Ok((Answer::Key(Some(key)), aws.origin(output.request_id())))
}

/// `GetKeyPolicy`: a key has one, called `default`.
pub(super) async fn policy(aws: &Aws, id: &str) -> Seen {
    let operation = "kms:GetKeyPolicy";
    let request = aws.kms.get_key_policy().key_id(id).policy_name("default");
    match request.send().await {
        Ok(output) => Ok((
            Answer::KeyPolicy(Some(
                output
                    .policy()
                    .ok_or_else(|| incomplete(operation, "Policy"))?
                    .to_owned(),
            )),
            aws.origin(output.request_id()),
        )),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(GetKeyPolicyError::is_not_found_exception) =>
        {
            Ok((Answer::KeyPolicy(None), aws.origin(None)))
        }
        Err(error) => Err(unseen(operation, &error)),
    }
}

/// `ListKeys`, every page.
pub(super) async fn keys(aws: &Aws) -> Seen {
    let operation = "kms:ListKeys";
    let (rows, origin) = confirmed(operation, &aws.region, |token, size| async move {
        let output = aws
            .kms
            .list_keys()
            .limit(size.unwrap_or(1000))
            .set_marker(token)
            .send()
            .await
            .map_err(|error| unseen(operation, &error))?;
        let next = output.next_marker().map(str::to_owned);
        if output.truncated() && next.is_none() {
            return Err(incomplete(operation, "NextMarker"));
        }
        let text = |member: Option<&str>, name: &str| {
            member
                .map(str::to_owned)
                .ok_or_else(|| incomplete(operation, name))
        };
        Ok(Page {
            next: next.filter(|_| output.truncated()),
            request_id: output.request_id().map(str::to_owned),
            rows: output
                .keys()
                .iter()
                .map(|row| {
                    Ok(ListedKey {
                        id: text(row.key_id(), "KeyId")?,
                        arn: text(row.key_arn(), "KeyArn")?,
                    })
                })
                .collect::<Result<_, _>>()?,
        })
    })
    .await?;
    Ok((Answer::Keys(rows), origin))
}

/// `ListGrants`, every page; `None` when KMS does not know the key.
pub(super) async fn grants(aws: &Aws, id: &str) -> Seen {
    let operation = "kms:ListGrants";
    let listed = confirmed(operation, &aws.region, |token, size| async move {
        let request = aws
            .kms
            .list_grants()
            .key_id(id)
            .limit(size.unwrap_or(100))
            .set_marker(token);
        let output = match request.send().await {
            Ok(output) => output,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(ListGrantsError::is_not_found_exception) =>
            {
                return Ok(Page {
                    next: None,
                    request_id: None,
                    rows: vec![None],
                });
            }
            Err(error) => return Err(unseen(operation, &error)),
        };
        let next = output.next_marker().map(str::to_owned);
        if output.truncated() && next.is_none() {
            return Err(incomplete(operation, "NextMarker"));
        }
        Ok(Page {
            next: next.filter(|_| output.truncated()),
            request_id: output.request_id().map(str::to_owned),
            rows: output
                .grants()
                .iter()
                .map(|row| grant(operation, row).map(Some))
                .collect::<Result<_, _>>()?,
        })
    });
    let (rows, origin) = listed.await?;
    Ok((
        Answer::KeyGrants(rows.into_iter().collect::<Option<Vec<KeyGrant>>>()),
        origin,
    ))
}

fn grant(operation: &str, row: &GrantListEntry) -> Result<KeyGrant, Unseen> {
    let pairs = |map: Option<&HashMap<String, String>>| {
        map.map(|map| {
            map.iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect()
        })
    };
    let constraints = row.constraints();
    Ok(KeyGrant {
        id: row
            .grant_id()
            .ok_or_else(|| incomplete(operation, "GrantId"))?
            .to_owned(),
        grantee: row
            .grantee_principal()
            .ok_or_else(|| incomplete(operation, "GranteePrincipal"))?
            .to_owned(),
        operations: row
            .operations()
            .iter()
            .map(|operation| operation.as_str().to_owned())
            .collect(),
        context_subset: pairs(constraints.and_then(|it| it.encryption_context_subset()))
            .unwrap_or_default(),
        context_equals: pairs(constraints.and_then(|it| it.encryption_context_equals())),
    })
}
