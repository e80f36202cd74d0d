//! The context of a request: the global keys, and those of Secrets Manager, KMS, `EventBridge` and STS.
//!
//! Source: the service authorization reference of AWS. A key that AWS sets only under
//! a condition is absent here under the same condition.

use checker_iam::Context;
use chrono::SecondsFormat;
use serde_json::Value;

use super::need::Need;
use crate::credentials::RoleSession;
use crate::service::Call;
use crate::tagging::Tags;
use crate::world::World;

/// The context in which one need of a call is decided.
pub(super) fn of(world: &World, call: &Call<'_>, session: &RoleSession, need: &Need) -> Context {
    let mut context = Context::new()
        .with("aws:CurrentTime", [time(call)])
        .with("aws:EpochTime", [call.now.timestamp().to_string()])
        .with("aws:RequestedRegion", [call.region])
        .with("aws:SecureTransport", ["true"])
        .with("aws:userid", [call.caller.id()]);
    let by_service = need.through.is_some();
    context.set("aws:ViaAWSService", [by_service.to_string()]);
    if !by_service {
        context.set("aws:SourceIp", ["127.0.0.1"]);
    }
    principal(world, session, &mut context);
    requested_tags(call, &mut context);
    match need.action.split(':').next().unwrap_or_default() {
        "secretsmanager" => secret(world, call, &need.resource, &mut context),
        "kms" => key(world, call, need, &mut context),
        "events" => events(call, &mut context),
        "sts" => texts(
            call,
            &[
                ("ExternalId", "sts:ExternalId"),
                ("RoleSessionName", "sts:RoleSessionName"),
                ("SourceIdentity", "sts:SourceIdentity"),
            ],
            &mut context,
        ),
        "lambda" => {
            if let Some(function) = world.lambda.function(&need.resource) {
                tags(&function.tags, &["aws:ResourceTag"], &mut context);
            }
        }
        "iam" if need.action == "iam:PassRole" => {
            context.set(
                "iam:PassedToService",
                [format!("{}.amazonaws.com", call.service)],
            );
        }
        _ => {}
    }
    context
}

fn time(call: &Call<'_>) -> String {
    call.now.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn principal(world: &World, session: &RoleSession, context: &mut Context) {
    context.set(
        "aws:TokenIssueTime",
        [session.issued.to_rfc3339_opts(SecondsFormat::Secs, true)],
    );
    if let Some(identity) = &session.source_identity {
        context.set("aws:SourceIdentity", [identity.as_str()]);
    }
    if let Some(role) = world.iam.role_by_arn(&session.role_arn) {
        tags(&role.tags, &["aws:PrincipalTag"], context);
    }
    // A session's tag wins over the role's of the same key.
    for (key, value) in &session.tags {
        context.set(&format!("aws:PrincipalTag/{key}"), [value.as_str()]);
    }
}

/// `aws:RequestTag/..` and `aws:TagKeys`.
fn requested_tags(call: &Call<'_>, context: &mut Context) {
    let mut keys: Vec<String> = call
        .list("TagKeys")
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    for tag in call.list("Tags") {
        let text = |names: [&str; 2]| {
            let held = names.iter().find_map(|name| tag.get(*name));
            held.and_then(Value::as_str).map(str::to_owned)
        };
        if let (Some(key), value) = (text(["Key", "TagKey"]), text(["Value", "TagValue"])) {
            context.set(
                &format!("aws:RequestTag/{key}"),
                [value.unwrap_or_default()],
            );
            keys.push(key);
        }
    }
    for (key, value) in call.object("Tags").into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        context.set(&format!("aws:RequestTag/{key}"), [value]);
        keys.push(key.clone());
    }
    if !keys.is_empty() {
        context.set("aws:TagKeys", keys);
    }
}

/// Members of the request that are keys as they are, where they are given.
fn texts(call: &Call<'_>, members: &[(&str, &str)], context: &mut Context) {
    for (member, key) in members {
        if let Some(text) = call.text(member) {
            context.set(key, [text]);
        }
    }
}

fn secret(world: &World, call: &Call<'_>, arn: &str, context: &mut Context) {
    if let Some(secret) = world.secretsmanager.get(arn) {
        tags(
            &secret.tags,
            &["aws:ResourceTag", "secretsmanager:ResourceTag"],
            context,
        );
        context.set("secretsmanager:SecretId", [arn]);
        if let Some(function) = &secret.rotation.function {
            context.set(
                "secretsmanager:resource/AllowRotationLambdaArn",
                [function.as_ref()],
            );
        }
        if let Some(region) = &secret.rare().primary_region {
            context.set("secretsmanager:SecretPrimaryRegion", [region.as_str()]);
        }
    }
    texts(
        call,
        &[
            ("Name", "secretsmanager:Name"),
            ("Description", "secretsmanager:Description"),
            ("KmsKeyId", "secretsmanager:KmsKeyId"),
            ("VersionId", "secretsmanager:VersionId"),
            ("VersionStage", "secretsmanager:VersionStage"),
            ("RotationLambdaARN", "secretsmanager:RotationLambdaARN"),
        ],
        context,
    );
    let reads = call.operation == "GetSecretValue" && call.text("VersionId").is_none();
    if reads && call.text("VersionStage").is_none() {
        context.set("secretsmanager:VersionStage", ["AWSCURRENT"]);
    }
    let flags = [
        (
            "ForceDeleteWithoutRecovery",
            "secretsmanager:ForceDeleteWithoutRecovery",
        ),
        ("BlockPublicPolicy", "secretsmanager:BlockPublicPolicy"),
    ];
    for (member, key) in flags {
        if let Some(flag) = call.flag(member) {
            context.set(key, [flag.to_string()]);
        }
    }
    if let Some(days) = call.number("RecoveryWindowInDays") {
        context.set("secretsmanager:RecoveryWindowInDays", [days.to_string()]);
    }
}

/// Sources of the events that are put.
fn events(call: &Call<'_>, context: &mut Context) {
    let sources: Vec<&str> = call
        .list("Entries")
        .iter()
        .filter_map(|entry| entry.get("Source").and_then(Value::as_str))
        .collect();
    if !sources.is_empty() {
        context.set("events:source", sources);
    }
}

fn key(world: &World, call: &Call<'_>, need: &Need, context: &mut Context) {
    context.set("kms:CallerAccount", [call.account]);
    if let Some(key) = world.kms.by_arn(&need.resource) {
        tags(&key.tags, &["aws:ResourceTag"], context);
        let aliases = world.kms.aliases_of(&need.resource);
        if !aliases.is_empty() {
            context.set("kms:ResourceAliases", aliases);
        }
    }
    if let Some(arn) = &need.through {
        context.set(
            "kms:ViaService",
            [format!("secretsmanager.{}.amazonaws.com", call.region)],
        );
        context.set("aws:CalledVia", ["secretsmanager.amazonaws.com"]);
        context.set("kms:EncryptionContext:SecretARN", [arn.as_str()]);
        context.set(
            "kms:EncryptionContextKeys",
            ["SecretARN", "SecretVersionId"],
        );
        return;
    }
    let given = call.object("EncryptionContext");
    for (name, value) in given.into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        context.set(&format!("kms:EncryptionContext:{name}"), [value]);
    }
    if let Some(given) = given.filter(|given| !given.is_empty()) {
        context.set("kms:EncryptionContextKeys", given.keys().cloned());
    }
    let named = call.text("KeyId").filter(|id| id.contains("alias/"));
    if let Some(alias) = named {
        let alias = alias.rsplit(':').next().unwrap_or(alias);
        context.set("kms:RequestAlias", [alias]);
    }
}

fn tags(tags: &Tags, prefixes: &[&str], context: &mut Context) {
    for (key, value) in tags.entries() {
        for prefix in prefixes {
            context.set(&format!("{prefix}/{key}"), [value.as_str()]);
        }
    }
}
