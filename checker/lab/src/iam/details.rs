//! `GetAccountAuthorizationDetails`: everything that decides who may do what, page by page.

use serde_json::{Map, Value, json};

use super::{
    Role, State, User, boundary_view, managed, paged, percent_encoded, policies, roles, set, time,
    users,
};
use crate::service::{Answer, Call};

/// The lists of the answer, in the order of pages.
const LISTS: [&str; 4] = [
    "UserDetailList",
    "GroupDetailList",
    "RoleDetailList",
    "Policies",
];

pub(super) fn get(state: &State, call: &Call<'_>) -> Answer {
    let filter = call.list("Filter");
    let wanted =
        |kind: &str| filter.is_empty() || filter.iter().any(|each| each.as_str() == Some(kind));
    let mut items: Vec<Value> = Vec::new();
    let mut add = |list: &str, item: Value| items.push(json!([list, item]));
    if wanted("User") {
        state
            .users
            .values()
            .for_each(|user| add("UserDetailList", user_detail(user)));
    }
    if wanted("Role") {
        state
            .roles
            .values()
            .for_each(|role| add("RoleDetailList", role_detail(role)));
    }
    if wanted("LocalManagedPolicy") {
        for policy in state.policies.values() {
            let mut detail = policies::summary(state, policy);
            let versions: Vec<Value> = policy
                .versions
                .iter()
                .rev()
                .map(|version| policies::version_view(policy, version, true))
                .collect();
            set(&mut detail, "PolicyVersionList", Some(versions.into()));
            set(
                &mut detail,
                "Description",
                policy.description.as_deref().map(Value::from),
            );
            add("Policies", detail);
        }
    }
    if wanted("AWSManagedPolicy") {
        for policy in managed::ALL
            .iter()
            .filter(|policy| policies::attachments(state, policy.arn) > 0)
        {
            let mut detail = policies::managed_summary(state, policy);
            let version = json!({
                "VersionId": policy.version,
                "IsDefaultVersion": true,
                "CreateDate": managed::CREATED,
                "Document": percent_encoded(policy.document),
            });
            set(&mut detail, "PolicyVersionList", Some(json!([version])));
            add("Policies", detail);
        }
    }
    let (rows, marker) = paged(call, items)?;
    let mut answer: Map<String, Value> = LISTS
        .iter()
        .map(|list| ((*list).to_owned(), json!([])))
        .collect();
    for row in rows {
        let Some([Value::String(list), item]) = row.as_array().map(Vec::as_slice) else {
            continue;
        };
        if let Some(rows) = answer.get_mut(list).and_then(Value::as_array_mut) {
            rows.push(item.clone());
        }
    }
    answer.insert("IsTruncated".to_owned(), marker.is_some().into());
    if let Some(marker) = marker {
        answer.insert("Marker".to_owned(), marker.into());
    }
    Ok(answer.into())
}

fn role_detail(role: &Role) -> Value {
    let inline: Vec<Value> = role
        .inline
        .iter()
        .map(|(name, document)| json!({"PolicyName": name, "PolicyDocument": percent_encoded(document)}))
        .collect();
    let attached: Vec<Value> = role
        .attached
        .iter()
        .map(|arn| roles::attachment(arn))
        .collect();
    let mut detail = json!({
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.id,
        "Arn": role.arn,
        "CreateDate": time(role.created),
        "AssumeRolePolicyDocument": percent_encoded(&role.trust),
        "InstanceProfileList": [],
        "RolePolicyList": inline,
        "AttachedManagedPolicies": attached,
        "Tags": role.tags.to_list(),
        "RoleLastUsed": {},
    });
    set(
        &mut detail,
        "PermissionsBoundary",
        role.boundary.as_deref().map(boundary_view),
    );
    detail
}

fn user_detail(user: &User) -> Value {
    let mut detail = users::summary(user);
    set(&mut detail, "UserPolicyList", Some(json!([])));
    set(&mut detail, "GroupList", Some(json!([])));
    set(&mut detail, "AttachedManagedPolicies", Some(json!([])));
    set(&mut detail, "Tags", Some(user.tags.to_list()));
    set(
        &mut detail,
        "PermissionsBoundary",
        user.boundary.as_deref().map(boundary_view),
    );
    detail
}
