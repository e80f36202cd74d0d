//! Roles and policies.

use aws_sdk_iam::types::Tag;

use super::Made;
use super::failure::{Failure, refused};
use super::inputs::Inputs;
use super::target::{Target, tag_list};

/// `aws:iam:Role`.
pub(super) async fn role(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let client = target.iam();
    let name = target.name(inputs)?;
    let trust = inputs
        .document("assumeRolePolicy")?
        .ok_or_else(|| Failure::of("assumeRolePolicy", "a value is needed"))?;
    let created = client
        .create_role()
        .role_name(&name)
        .assume_role_policy_document(trust)
        .set_description(inputs.text("description")?)
        .set_path(inputs.text("path")?)
        .set_max_session_duration(inputs.integer("maxSessionDuration")?)
        .set_permissions_boundary(inputs.text("permissionsBoundary")?)
        .set_tags(tags(target)?)
        .send()
        .await
        .map_err(refused("iam:CreateRole"))?;
    for policy in inputs.texts("managedPolicyArns")?.unwrap_or_default() {
        client
            .attach_role_policy()
            .role_name(&name)
            .policy_arn(policy)
            .send()
            .await
            .map_err(refused("iam:AttachRolePolicy"))?;
    }
    for inline in inputs.objects("inlinePolicies")? {
        client
            .put_role_policy()
            .role_name(&name)
            .policy_name(inline.required("name")?)
            .set_policy_document(inline.document("policy")?)
            .send()
            .await
            .map_err(refused("iam:PutRolePolicy"))?;
    }
    inputs.skip(&["forceDetachPolicies"]);
    let role = created
        .role
        .ok_or_else(|| Failure::whole("`iam:CreateRole` answered without a role"))?;
    Ok(Made::new(role.role_name())
        .with("arn", role.arn())
        .with("name", role.role_name())
        .with("path", role.path())
        .with("uniqueId", role.role_id())
        .with("createDate", role.create_date().to_string())
        .with("forceDetachPolicies", false)
        .with("namePrefix", ""))
}

/// `aws:iam:Policy`.
pub(super) async fn policy(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let name = target.name(inputs)?;
    let created = target
        .iam()
        .create_policy()
        .policy_name(&name)
        .set_policy_document(inputs.document("policy")?)
        .set_description(inputs.text("description")?)
        .set_path(inputs.text("path")?)
        .set_tags(tags(target)?)
        .send()
        .await
        .map_err(refused("iam:CreatePolicy"))?;
    let policy = created
        .policy
        .ok_or_else(|| Failure::whole("`iam:CreatePolicy` answered without a policy"))?;
    let arn = policy
        .arn
        .ok_or_else(|| Failure::whole("`iam:CreatePolicy` answered without an ARN"))?;
    Ok(Made::new(arn.clone())
        .with("arn", arn)
        .with("name", name)
        .with("policyId", policy.policy_id)
        .with("path", policy.path)
        .with("namePrefix", ""))
}

/// `aws:iam:RolePolicy`.
pub(super) async fn role_policy(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let name = target.name(inputs)?;
    let role = inputs.required("role")?;
    target
        .iam()
        .put_role_policy()
        .role_name(&role)
        .policy_name(&name)
        .set_policy_document(inputs.document("policy")?)
        .send()
        .await
        .map_err(refused("iam:PutRolePolicy"))?;
    Ok(Made::new(format!("{role}:{name}"))
        .with("name", name)
        .with("role", role)
        .with("namePrefix", ""))
}

/// `aws:iam:RolePolicyAttachment`.
pub(super) async fn role_policy_attachment(
    target: &Target,
    inputs: &Inputs,
) -> Result<Made, Failure> {
    let role = inputs.required("role")?;
    let policy = inputs.required("policyArn")?;
    target
        .iam()
        .attach_role_policy()
        .role_name(&role)
        .policy_arn(&policy)
        .send()
        .await
        .map_err(refused("iam:AttachRolePolicy"))?;
    Ok(Made::new(format!("{role}/{policy}"))
        .with("role", role)
        .with("policyArn", policy))
}

/// `aws:iam:RolePoliciesExclusive`: takes every other policy out of the role.
pub(super) async fn only_these_policies(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let client = target.iam();
    let role = inputs.required("roleName")?;
    let kept = inputs.texts("policyNames")?.unwrap_or_default();
    let found = client
        .list_role_policies()
        .role_name(&role)
        .send()
        .await
        .map_err(refused("iam:ListRolePolicies"))?;
    for policy in found.policy_names {
        if !kept.contains(&policy) {
            client
                .delete_role_policy()
                .role_name(&role)
                .policy_name(policy)
                .send()
                .await
                .map_err(refused("iam:DeleteRolePolicy"))?;
        }
    }
    Ok(Made::new(role.clone()).with("roleName", role))
}

/// `aws:iam:RolePolicyAttachmentsExclusive`: attaches these policies and detaches every other one.
pub(super) async fn only_these_attachments(
    target: &Target,
    inputs: &Inputs,
) -> Result<Made, Failure> {
    let client = target.iam();
    let role = inputs.required("roleName")?;
    let kept = inputs.texts("policyArns")?.unwrap_or_default();
    let found = client
        .list_attached_role_policies()
        .role_name(&role)
        .send()
        .await
        .map_err(refused("iam:ListAttachedRolePolicies"))?;
    let attached: Vec<String> = found
        .attached_policies
        .unwrap_or_default()
        .into_iter()
        .filter_map(|policy| policy.policy_arn)
        .collect();
    for policy in attached.iter().filter(|policy| !kept.contains(policy)) {
        client
            .detach_role_policy()
            .role_name(&role)
            .policy_arn(policy)
            .send()
            .await
            .map_err(refused("iam:DetachRolePolicy"))?;
    }
    for policy in kept.iter().filter(|policy| !attached.contains(policy)) {
        client
            .attach_role_policy()
            .role_name(&role)
            .policy_arn(policy)
            .send()
            .await
            .map_err(refused("iam:AttachRolePolicy"))?;
    }
    Ok(Made::new(role.clone()).with("roleName", role))
}

tag_list!(Tag, key, value);
