//! Every principal of the account with its policies, in one paginated list.

use std::collections::BTreeMap;

use aws_sdk_iam::operation::RequestId as _;
use aws_sdk_iam::operation::get_account_authorization_details::GetAccountAuthorizationDetailsOutput as Details;
use aws_sdk_iam::types::{AttachedPolicy, PolicyDetail, Tag};
use checker_core::observation::authorization::{Authorization, Group, ManagedPolicy, Principal};
use checker_core::observation::{Answer, Unseen};
use serde::Serialize;

use super::page::{Page, confirmed};
use super::unseen::{incomplete, unseen};
use super::{Aws, Seen};

const OPERATION: &str = "iam:GetAccountAuthorizationDetails";

/// `GetAccountAuthorizationDetails`, every page.
pub(super) async fn authorization(aws: &Aws) -> Seen {
    let (parts, origin) = confirmed(OPERATION, &aws.region, |token, size| async move {
        let output = aws
            .iam
            .get_account_authorization_details()
            .max_items(size.unwrap_or(1000))
            .set_marker(token)
            .send()
            .await
            .map_err(|error| unseen(OPERATION, &error))?;
        let next = output.marker().map(str::to_owned);
        if output.is_truncated() && next.is_none() {
            return Err(incomplete(OPERATION, "Marker"));
        }
        Ok(Page {
            next: next.filter(|_| output.is_truncated()),
            request_id: output.request_id().map(str::to_owned),
            rows: parts(&output)?,
        })
    })
    .await?;
    let mut all = Authorization::default();
    for part in parts {
        match part {
            Part::Principal(principal) => all.principals.push(principal),
            Part::Group(group) => all.groups.push(group),
            Part::Policy(policy) => all.policies.push(policy),
        }
    }
    Ok((Answer::Authorization(all), origin))
}

/// One row of the list.
#[derive(Serialize)]
enum Part {
    Principal(Principal),
    Group(Group),
    Policy(ManagedPolicy),
}

fn parts(page: &Details) -> Result<Vec<Part>, Unseen> {
    let mut all = Vec::new();
    for role in page.role_detail_list() {
        all.push(Part::Principal(Principal {
            arn: text(role.arn(), "Arn")?,
            name: text(role.role_name(), "RoleName")?,
            trust: Some(document(
                role.assume_role_policy_document(),
                "AssumeRolePolicyDocument",
            )?),
            inline: inline(role.role_policy_list())?,
            attached: attached(role.attached_managed_policies())?,
            groups: Vec::new(),
            boundary: role
                .permissions_boundary()
                .map(|it| text(it.permissions_boundary_arn(), "PermissionsBoundaryArn"))
                .transpose()?,
            tags: tags(role.tags()),
        }));
    }
    for user in page.user_detail_list() {
        all.push(Part::Principal(Principal {
            arn: text(user.arn(), "Arn")?,
            name: text(user.user_name(), "UserName")?,
            trust: None,
            inline: inline(user.user_policy_list())?,
            attached: attached(user.attached_managed_policies())?,
            groups: user.group_list().to_vec(),
            boundary: user
                .permissions_boundary()
                .map(|it| text(it.permissions_boundary_arn(), "PermissionsBoundaryArn"))
                .transpose()?,
            tags: tags(user.tags()),
        }));
    }
    for group in page.group_detail_list() {
        all.push(Part::Group(Group {
            name: text(group.group_name(), "GroupName")?,
            inline: inline(group.group_policy_list())?,
            attached: attached(group.attached_managed_policies())?,
        }));
    }
    for policy in page.policies() {
        let version = policy
            .policy_version_list()
            .iter()
            .find(|version| version.is_default_version())
            .ok_or_else(|| incomplete(OPERATION, "PolicyVersionList"))?;
        all.push(Part::Policy(ManagedPolicy {
            arn: text(policy.arn(), "Arn")?,
            name: text(policy.policy_name(), "PolicyName")?,
            document: document(version.document(), "Document")?,
        }));
    }
    Ok(all)
}

fn inline(policies: &[PolicyDetail]) -> Result<BTreeMap<String, String>, Unseen> {
    policies
        .iter()
        .map(|policy| {
            Ok((
                text(policy.policy_name(), "PolicyName")?,
                document(policy.policy_document(), "PolicyDocument")?,
            ))
        })
        .collect()
}

fn attached(policies: &[AttachedPolicy]) -> Result<Vec<String>, Unseen> {
    policies
        .iter()
        .map(|policy| text(policy.policy_arn(), "PolicyArn"))
        .collect()
}

fn tags(tags: &[Tag]) -> BTreeMap<String, String> {
    tags.iter()
        .map(|tag| (tag.key().to_owned(), tag.value().to_owned()))
        .collect()
}

fn text(member: Option<&str>, name: &str) -> Result<String, Unseen> {
    member
        .map(str::to_owned)
        .ok_or_else(|| incomplete(OPERATION, name))
}

/// A document, which IAM sends percent-encoded (RFC 3986).
fn document(member: Option<&str>, name: &str) -> Result<String, Unseen> {
    let encoded = text(member, name)?;
    decoded(&encoded).ok_or_else(|| incomplete(OPERATION, name))
}

fn decoded(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn documents_are_decoded_exactly() {
        assert_eq!(decoded("%7B%22a%22%3A1%7D").as_deref(), Some("{\"a\":1}"));
        assert_eq!(decoded("a+b").as_deref(), Some("a+b"));
        assert_eq!(decoded("%C3%A9").as_deref(), Some("é"));
        assert_eq!(decoded("%7"), None);
        assert_eq!(decoded("%FF"), None);
    }
}
