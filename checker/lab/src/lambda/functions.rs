//! Functions: made, read, changed, deleted, tagged.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{Function, function_arn, invalid, not_found};
use crate::service::{Answer, ApiError, Call, page};
use crate::tagging::Tags;
use crate::world::World;

/// AWS's limit for code sent with the call, zipped.
const ZIP_LIMIT: usize = 50 << 20;

/// Members of a configuration that are kept and shown without being acted on.
const SHOWN: [&str; 7] = [
    "Architectures",
    "Description",
    "EphemeralStorage",
    "KMSKeyArn",
    "DeadLetterConfig",
    "RuntimeConfig",
    "LoggingConfig",
];

/// Members that need parts of Lambda that the lab doesn't have.
const UNSERVED: [&str; 9] = [
    "AcceleratorConfig",
    "CapacityProviderConfig",
    "CodeSigningConfigArn",
    "DurableConfig",
    "FileSystemConfigs",
    "ImageConfig",
    "Layers",
    "PublishTo",
    "TenancyConfig",
];

pub(super) fn create(world: &mut World, call: &Call<'_>) -> Answer {
    refuse_unserved(call)?;
    let arn = function_arn(call)?;
    let name = arn.rsplit(':').next().unwrap_or_default().to_owned();
    if name.len() > 64 {
        return Err(invalid("a function's name has at most 64 characters"));
    }
    if world.lambda.functions.contains_key(&arn) {
        return Err(ApiError::new(
            "ResourceConflictException",
            format!("Function already exist: {name}"),
        )
        .with_status(409));
    }
    if call.text("PackageType").is_some_and(|kind| kind != "Zip") {
        return Err(invalid("the lab only serves the package type `Zip`"));
    }
    let runtime = call
        .text("Runtime")
        .ok_or_else(|| {
            invalid("Runtime is mandatory for functions created with deployment packages.")
        })?
        .to_owned();
    let handler = call
        .text("Handler")
        .ok_or_else(|| {
            invalid("Handler is mandatory for functions created with deployment packages.")
        })?
        .to_owned();
    let role = call.required("Role")?.to_owned();
    check_role(world, &role)?;
    let empty = Map::new();
    let code = zip(call.object("Code").unwrap_or(&empty))?;
    let tags = Tags::from_map(call.object("Tags").unwrap_or(&empty)).map_err(invalid)?;
    let mut shown = default_shown();
    keep(&mut shown, call);
    let function = Function {
        log_group: log_group(call).unwrap_or_else(|| format!("/aws/lambda/{name}")),
        name,
        arn: arn.clone(),
        role,
        runtime,
        handler,
        memory: call.number("MemorySize").unwrap_or(128),
        timeout: call.number("Timeout").unwrap_or(3),
        environment: environment(call)?.unwrap_or_default(),
        code_sha: sha(&code),
        code,
        revision: world.ids.uuid(),
        tags,
        shown,
        last_modified: modified(call),
        statements: Vec::new(),
        policy_revision: world.ids.uuid(),
        event_invoke: None,
    };
    let answer = configuration(&function);
    world.lambda.functions.insert(arn, function);
    Ok(answer)
}

pub(super) fn get(world: &World, call: &Call<'_>) -> Answer {
    let function = world.lambda.find(call)?;
    let location = format!(
        "https://awslambda-{}-tasks.s3.{}.amazonaws.com/snapshots/{}/{}",
        call.region, call.region, call.account, function.name
    );
    let mut answer = json!({
        "Configuration": configuration(function),
        "Code": {"RepositoryType": "S3", "Location": location},
    });
    if !function.tags.is_empty()
        && let Some(answer) = answer.as_object_mut()
    {
        answer.insert("Tags".to_owned(), function.tags.to_map());
    }
    Ok(answer)
}

pub(super) fn get_configuration(world: &World, call: &Call<'_>) -> Answer {
    world.lambda.find(call).map(configuration)
}

pub(super) fn list(world: &World, call: &Call<'_>) -> Answer {
    let here = call.arn("function:");
    let rows = world
        .lambda
        .functions
        .values()
        .filter(|function| function.arn.starts_with(&here))
        .map(configuration)
        .collect();
    // Lambda answers at most 50 functions whatever MaxItems says.
    let size = call
        .number("MaxItems")
        .and_then(|size| usize::try_from(size).ok())
        .map_or(50, |size| size.min(50));
    let (rows, next) =
        page(rows, call.text("Marker"), size).map_err(|_| invalid("the marker is not valid"))?;
    Ok(match next {
        Some(next) => json!({"Functions": rows, "NextMarker": next}),
        None => json!({"Functions": rows}),
    })
}

pub(super) fn update_code(world: &mut World, call: &Call<'_>) -> Answer {
    refuse_unserved(call)?;
    let code = zip(call.input)?;
    let revision = world.ids.uuid();
    let function = world.lambda.find_mut(call)?;
    same_revision(function, call)?;
    let mut changed = function.clone();
    changed.code_sha = sha(&code);
    changed.code = code;
    if let Some(architectures) = call.input.get("Architectures") {
        changed
            .shown
            .insert("Architectures".to_owned(), architectures.clone());
    }
    changed.last_modified = modified(call);
    changed.revision = revision;
    let answer = configuration(&changed);
    if call.flag("DryRun") != Some(true) {
        *function = changed;
    }
    Ok(answer)
}

pub(super) fn update_configuration(world: &mut World, call: &Call<'_>) -> Answer {
    refuse_unserved(call)?;
    if let Some(role) = call.text("Role") {
        check_role(world, role)?;
    }
    let revision = world.ids.uuid();
    let function = world.lambda.find_mut(call)?;
    same_revision(function, call)?;
    let texts = [
        ("Role", &mut function.role),
        ("Runtime", &mut function.runtime),
        ("Handler", &mut function.handler),
    ];
    for (member, field) in texts {
        if let Some(text) = call.text(member) {
            text.clone_into(field);
        }
    }
    function.memory = call.number("MemorySize").unwrap_or(function.memory);
    function.timeout = call.number("Timeout").unwrap_or(function.timeout);
    if let Some(environment) = environment(call)? {
        function.environment = environment;
    }
    keep(&mut function.shown, call);
    if let Some(group) = log_group(call) {
        function.log_group = group;
    }
    function.last_modified = modified(call);
    function.revision = revision;
    Ok(configuration(function))
}

pub(super) fn delete(world: &mut World, call: &Call<'_>) -> Answer {
    let arn = function_arn(call)?;
    match world.lambda.functions.remove(&arn) {
        Some(_) => Ok(json!({"StatusCode": 204})),
        None => Err(not_found(&arn)),
    }
}

pub(super) fn list_tags(world: &World, call: &Call<'_>) -> Answer {
    let arn = call.required("Resource")?;
    let function = world.lambda.function(arn).ok_or_else(|| not_found(arn))?;
    Ok(json!({"Tags": function.tags.to_map()}))
}

pub(super) fn tag(world: &mut World, call: &Call<'_>) -> Answer {
    let arn = call.required("Resource")?;
    let empty = Map::new();
    let tags = Tags::from_map(call.object("Tags").unwrap_or(&empty)).map_err(invalid)?;
    let function = world
        .lambda
        .functions
        .get_mut(arn)
        .ok_or_else(|| not_found(arn))?;
    function.tags.merge(tags);
    Ok(json!({}))
}

fn configuration(function: &Function) -> Value {
    let mut object = function.shown.clone();
    let state = [
        ("FunctionName", json!(function.name)),
        ("FunctionArn", json!(function.arn)),
        ("Role", json!(function.role)),
        ("Runtime", json!(function.runtime)),
        ("Handler", json!(function.handler)),
        ("MemorySize", json!(function.memory)),
        ("Timeout", json!(function.timeout)),
        ("CodeSha256", json!(function.code_sha)),
        ("CodeSize", json!(function.code.len())),
        ("LastModified", json!(function.last_modified)),
        ("RevisionId", json!(function.revision)),
        ("Version", json!("$LATEST")),
        ("PackageType", json!("Zip")),
        ("State", json!("Active")),
        ("LastUpdateStatus", json!("Successful")),
    ];
    for (name, value) in state {
        object.insert(name.to_owned(), value);
    }
    if !function.environment.is_empty() {
        object.insert(
            "Environment".to_owned(),
            json!({"Variables": function.environment}),
        );
    }
    object.insert(
        "LoggingConfig".to_owned(),
        logging(function.shown.get("LoggingConfig"), &function.log_group),
    );
    Value::Object(object)
}

fn logging(given: Option<&Value>, group: &str) -> Value {
    let mut logging = given
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    logging
        .entry("LogFormat")
        .or_insert_with(|| Value::from("Text"));
    logging.insert("LogGroup".to_owned(), Value::from(group));
    Value::Object(logging)
}

fn default_shown() -> Map<String, Value> {
    let shown = json!({
        "Description": "",
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": 512},
        "TracingConfig": {"Mode": "PassThrough"},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
    });
    shown.as_object().cloned().unwrap_or_default()
}

/// Takes the shown members over from a call.
fn keep(shown: &mut Map<String, Value>, call: &Call<'_>) {
    for member in SHOWN {
        if let Some(value) = call.input.get(member) {
            shown.insert(member.to_owned(), value.clone());
        }
    }
    if let Some(tracing) = call.object("TracingConfig") {
        let mode = tracing.get("Mode").cloned();
        let mode = mode.unwrap_or_else(|| Value::from("PassThrough"));
        shown.insert("TracingConfig".to_owned(), json!({"Mode": mode}));
    }
    if let Some(network) = call.object("VpcConfig") {
        let mut network = network.clone();
        network.remove("Ipv6AllowedForDualStack");
        shown.insert("VpcConfig".to_owned(), Value::Object(network));
    }
}

fn log_group(call: &Call<'_>) -> Option<String> {
    let group = call.object("LoggingConfig")?.get("LogGroup")?;
    group.as_str().map(str::to_owned)
}

fn refuse_unserved(call: &Call<'_>) -> Result<(), ApiError> {
    let given = UNSERVED
        .into_iter()
        .find(|member| call.input.contains_key(*member));
    if let Some(member) = given {
        return Err(invalid(format!("the lab does not serve `{member}`")));
    }
    let snap = call
        .object("SnapStart")
        .and_then(|snap| snap.get("ApplyOn"))
        .and_then(Value::as_str);
    if snap.is_some_and(|snap| snap != "None") || call.flag("Publish") == Some(true) {
        return Err(invalid("the lab does not serve published versions"));
    }
    Ok(())
}

fn check_role(world: &World, arn: &str) -> Result<(), ApiError> {
    let assumable = world
        .iam
        .role_by_arn(arn)
        .is_some_and(|role| trusts_lambda(&role.trust));
    if assumable {
        Ok(())
    } else {
        Err(invalid(
            "The role defined for the function cannot be assumed by Lambda.",
        ))
    }
}

fn trusts_lambda(trust: &str) -> bool {
    let document: Value = serde_json::from_str(trust).unwrap_or_default();
    let statements = match document.get("Statement") {
        Some(Value::Array(statements)) => statements.clone(),
        Some(statement) => vec![statement.clone()],
        None => Vec::new(),
    };
    statements.iter().any(|statement| {
        let allows = statement.get("Effect").and_then(Value::as_str) == Some("Allow");
        let service = statement.pointer("/Principal/Service");
        allows
            && match service {
                Some(Value::String(one)) => one == "lambda.amazonaws.com",
                Some(Value::Array(many)) => many
                    .iter()
                    .any(|one| one.as_str() == Some("lambda.amazonaws.com")),
                Some(_) | None => false,
            }
    })
}

/// The code of a call, checked to be a zip.
fn zip(code: &Map<String, Value>) -> Result<Arc<[u8]>, ApiError> {
    for member in ["S3Bucket", "ImageUri"] {
        if code.contains_key(member) {
            return Err(invalid(format!(
                "the lab does not serve code from `{member}`, only `ZipFile`"
            )));
        }
    }
    let text = code
        .get("ZipFile")
        .and_then(Value::as_str)
        .ok_or_else(|| invalid("Please provide a source for function code."))?;
    let bytes = STANDARD
        .decode(text)
        .map_err(|_| invalid("the code is not base64"))?;
    if bytes.len() > ZIP_LIMIT {
        return Err(ApiError::new(
            "RequestEntityTooLargeException",
            "Request must be smaller than 70167211 bytes for the CreateFunction operation",
        )
        .with_status(413));
    }
    let broken = || {
        invalid("Could not unzip uploaded file. Please check your file, then try to upload again.")
    };
    let mut archive = zip::ZipArchive::new(Cursor::new(&bytes)).map_err(|_| broken())?;
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).map_err(|_| broken())?;
        if entry.enclosed_name().is_none() {
            return Err(broken());
        }
        // Reading a byte shows that the compression is one that can be undone.
        entry.read(&mut [0]).map_err(|_| broken())?;
    }
    Ok(bytes.into())
}

fn sha(code: &[u8]) -> String {
    STANDARD.encode(Sha256::digest(code))
}

/// The variables of a call; `None` when the call has no environment.
fn environment(call: &Call<'_>) -> Result<Option<BTreeMap<String, String>>, ApiError> {
    let Some(environment) = call.object("Environment") else {
        return Ok(None);
    };
    let mut variables = BTreeMap::new();
    let mut size = 0;
    let given = environment.get("Variables").and_then(Value::as_object);
    for (name, value) in given.into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        if reserved(name) {
            return Err(invalid(format!(
                "Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: {name}"
            )));
        }
        size += name.len() + value.len();
        variables.insert(name.clone(), value.to_owned());
    }
    if size > 4096 {
        return Err(invalid(
            "Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit.",
        ));
    }
    Ok(Some(variables))
}

/// Variables that Lambda itself sets.
fn reserved(name: &str) -> bool {
    const RESERVED: [&str; 18] = [
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    ];
    RESERVED.contains(&name)
}

fn same_revision(function: &Function, call: &Call<'_>) -> Result<(), ApiError> {
    match call.text("RevisionId") {
        Some(revision) if revision != function.revision => Err(ApiError::new(
            "PreconditionFailedException",
            "The Revision Id provided does not match the latest Revision Id. Call the GetFunction API to retrieve the latest Revision Id",
        )
        .with_status(412)),
        Some(_) | None => Ok(()),
    }
}

fn modified(call: &Call<'_>) -> String {
    call.now.format("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string()
}
