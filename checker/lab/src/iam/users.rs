//! Users: they exist to be listed, and can't do anything.

use serde_json::{Value, json};

use super::{
    State, User, boundary_view, conflict, listing, merge_tags, path_of, set, tags_of, time,
};
use crate::service::{Answer, Call};
use crate::tagging::Tags;
use crate::world::World;

pub(super) fn create(world: &mut World, call: &Call<'_>) -> Answer {
    let name = call.required("UserName")?.to_owned();
    if world
        .iam
        .users
        .keys()
        .any(|known| known.eq_ignore_ascii_case(&name))
    {
        return Err(conflict(
            "EntityAlreadyExists",
            format!("User with name {name} already exists."),
        ));
    }
    let path = path_of(call)?;
    let boundary = call.text("PermissionsBoundary").map(str::to_owned);
    if let Some(arn) = &boundary {
        world.iam.must_be_attachable(arn)?;
    }
    let mut tags = Tags::default();
    merge_tags(&mut tags, tags_of(call)?)?;
    let user = User {
        arn: format!("arn:aws:iam::{}:user{path}{name}", call.account),
        id: format!("AIDA{}", world.ids.upper(17)),
        name: name.clone(),
        path,
        boundary,
        tags,
        created: call.now,
    };
    let mut view = summary(&user);
    set(
        &mut view,
        "PermissionsBoundary",
        user.boundary.as_deref().map(boundary_view),
    );
    set(
        &mut view,
        "Tags",
        (!user.tags.is_empty()).then(|| user.tags.to_list()),
    );
    world.iam.users.insert(name, user);
    Ok(json!({"User": view}))
}

pub(super) fn list(state: &State, call: &Call<'_>) -> Answer {
    let prefix = call.text("PathPrefix").unwrap_or("/");
    let users = state
        .users
        .values()
        .filter(|user| user.path.starts_with(prefix))
        .map(summary)
        .collect();
    listing(call, "Users", users)
}

pub(super) fn summary(user: &User) -> Value {
    json!({
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.id,
        "Arn": user.arn,
        "CreateDate": time(user.created),
    })
}
