//! Grants on keys: stored, listed, and read when a role's call is decided.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{paged, unsupported};
use crate::service::{Answer, Call, timestamp};
use crate::world::World;

/// A grant.
pub(crate) struct Grant {
    pub(crate) id: String,
    pub(crate) grantee: String,
    pub(crate) operations: Vec<String>,
    name: Option<String>,
    retiring: Option<String>,
    pub(crate) constraints: Option<Value>,
    created: DateTime<Utc>,
}

pub(super) fn create(world: &mut World, call: &Call<'_>) -> Answer {
    for member in [
        "DryRun",
        "GranteeServicePrincipal",
        "RetiringServicePrincipal",
    ] {
        if call.input.contains_key(member) {
            return Err(unsupported(&format!("the lab does not serve `{member}`")));
        }
    }
    let id = world.ids.hex(64);
    let token = world.ids.alphanumeric(128);
    let grant = Grant {
        id: id.clone(),
        grantee: call.required("GranteePrincipal")?.to_owned(),
        operations: call
            .list("Operations")
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        name: call.text("Name").map(str::to_owned),
        retiring: call.text("RetiringPrincipal").map(str::to_owned),
        constraints: call.input.get("Constraints").cloned(),
        created: call.now,
    };
    let key = world.kms.find_mut(call)?;
    key.refuse_deleted()?;
    key.grants.push(grant);
    Ok(json!({"GrantId": id, "GrantToken": token}))
}

pub(super) fn list(world: &World, call: &Call<'_>) -> Answer {
    if call.input.contains_key("GranteeServicePrincipal") {
        return Err(unsupported(
            "the lab does not serve `GranteeServicePrincipal`",
        ));
    }
    let key = world.kms.find(call)?;
    let (id, grantee) = (call.text("GrantId"), call.text("GranteePrincipal"));
    let rows = key
        .grants
        .iter()
        .filter(|grant| id.is_none_or(|id| grant.id == id))
        .filter(|grant| grantee.is_none_or(|grantee| grant.grantee == grantee))
        .map(|grant| {
            let mut row = json!({
                "KeyId": key.arn,
                "GrantId": grant.id,
                "GranteePrincipal": grant.grantee,
                "Operations": grant.operations,
                "CreationDate": timestamp(grant.created),
                "IssuingAccount": format!("arn:aws:iam::{}:root", call.account),
            });
            let optional = [
                ("Name", grant.name.clone().map(Value::from)),
                ("RetiringPrincipal", grant.retiring.clone().map(Value::from)),
                ("Constraints", grant.constraints.clone()),
            ];
            if let Some(row) = row.as_object_mut() {
                for (member, value) in optional {
                    if let Some(value) = value {
                        row.insert(member.to_owned(), value);
                    }
                }
            }
            row
        })
        .collect();
    paged(call, "Grants", rows, 50)
}
