//! Functions, their permissions and how they are invoked asynchronously.
//!
//! A function whose archive isn't built can be stood in for: the code that is uploaded then is a script that runs the
//! checker's own executable as that function's process. That only makes sense for a target on this machine, and the
//! caller is told about each.

use std::io::{Cursor, Write as _};
use std::path::Path;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{
    Architecture, DeadLetterConfig, DestinationConfig, Environment, EphemeralStorage, FunctionCode,
    FunctionUrlAuthType, ImageConfig, LogFormat, LoggingConfig, OnFailure, OnSuccess, PackageType,
    Runtime, State, TracingConfig, TracingMode, VpcConfig,
};
use zip::write::SimpleFileOptions;

use super::Made;
use super::failure::{Failure, refused};
use super::inputs::Inputs;
use super::target::Target;
use crate::program::value::{Asset, Value};

/// How often the state of a new function is asked for before that is given up.
const STATE_CHECKS: u32 = 50;

/// `aws:lambda:Function`.
pub(super) async fn function(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let client = target.lambda();
    let name = target.name(inputs)?;
    let (code, stood_in) = code(target, inputs)?;
    let reserved: Option<i32> = inputs.integer("reservedConcurrentExecutions")?;
    let architectures = inputs.texts("architectures")?.map(|names| {
        names
            .iter()
            .map(|name| Architecture::from(name.as_str()))
            .collect()
    });
    client
        .create_function()
        .function_name(&name)
        .code(code)
        .role(inputs.required("role")?)
        .set_runtime(inputs.text("runtime")?.as_deref().map(Runtime::from))
        .set_handler(inputs.text("handler")?)
        .set_description(inputs.text("description")?)
        .set_timeout(inputs.integer("timeout")?)
        .set_memory_size(inputs.integer("memorySize")?)
        .set_publish(inputs.bool("publish")?)
        .set_package_type(
            inputs
                .text("packageType")?
                .as_deref()
                .map(PackageType::from),
        )
        .set_architectures(architectures)
        .set_environment(environment(inputs)?)
        .set_dead_letter_config(dead_letters(inputs)?)
        .set_kms_key_arn(inputs.text("kmsKeyArn")?)
        .set_layers(inputs.texts("layers")?)
        .set_tracing_config(tracing(inputs)?)
        .set_ephemeral_storage(storage(inputs)?)
        .set_logging_config(logging(inputs)?)
        .set_vpc_config(network(inputs)?)
        .set_image_config(image(inputs)?)
        .set_code_signing_config_arn(inputs.text("codeSigningConfigArn")?)
        .set_tags((!target.tags.is_empty()).then(|| target.tags.clone().into_iter().collect()))
        .send()
        .await
        .map_err(refused("lambda:CreateFunction"))?;
    // The hash of the source only tells the provider whether to update.
    inputs.skip(&["sourceCodeHash", "skipDestroy"]);
    if let Some(reserved) = reserved.filter(|reserved| *reserved >= 0) {
        client
            .put_function_concurrency()
            .function_name(&name)
            .reserved_concurrent_executions(reserved)
            .send()
            .await
            .map_err(refused("lambda:PutFunctionConcurrency"))?;
    }
    let found = active(&client, &name).await?;
    let arn = found.function_arn.unwrap_or_default();
    let version = found.version.unwrap_or_default();
    let size: f64 = found.code_size.to_string().parse().unwrap_or_default();
    let path = format!("/2015-03-31/functions/{arn}/invocations");
    let region = &target.region;
    let mut made = Made::new(name.clone())
        .with("arn", arn.clone())
        .with("name", name.clone())
        .with("version", version.clone())
        .with("qualifiedArn", format!("{arn}:{version}"))
        .with(
            "invokeArn",
            format!("arn:aws:apigateway:{region}:lambda:path{path}"),
        )
        .with("codeSha256", found.code_sha256.clone())
        .with("sourceCodeHash", found.code_sha256)
        .with("sourceCodeSize", Value::Number(size))
        .with("lastModified", found.last_modified);
    made.stood_in = stood_in.map(|archive| (name, archive));
    Ok(made)
}

/// `aws:lambda:Permission`.
pub(super) async fn permission(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let function = inputs.required("function")?;
    let statement = match inputs.text("statementId")? {
        Some(statement) => statement,
        None => inputs.text("statementIdPrefix")?.map_or_else(
            || target.auto_name.clone(),
            |prefix| prefix + &target.auto_name,
        ),
    };
    target
        .lambda()
        .add_permission()
        .function_name(&function)
        .statement_id(&statement)
        .action(inputs.required("action")?)
        .principal(inputs.required("principal")?)
        .set_source_arn(inputs.text("sourceArn")?)
        .set_source_account(inputs.text("sourceAccount")?)
        .set_event_source_token(inputs.text("eventSourceToken")?)
        .set_qualifier(inputs.text("qualifier")?)
        .set_principal_org_id(inputs.text("principalOrgId")?)
        .set_function_url_auth_type(
            inputs
                .text("functionUrlAuthType")?
                .as_deref()
                .map(FunctionUrlAuthType::from),
        )
        .send()
        .await
        .map_err(refused("lambda:AddPermission"))?;
    Ok(Made::new(statement.clone())
        .with("statementId", statement)
        .with("function", function)
        .with("statementIdPrefix", ""))
}

/// `aws:lambda:FunctionEventInvokeConfig`.
pub(super) async fn event_invoke_config(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let function = inputs.required("functionName")?;
    let qualifier = inputs.text("qualifier")?;
    let destinations = match inputs.object("destinationConfig")? {
        None => None,
        Some(config) => {
            let failure = match config.object("onFailure")? {
                Some(on) => Some(
                    OnFailure::builder()
                        .destination(on.required("destination")?)
                        .build(),
                ),
                None => None,
            };
            let success = match config.object("onSuccess")? {
                Some(on) => Some(
                    OnSuccess::builder()
                        .destination(on.required("destination")?)
                        .build(),
                ),
                None => None,
            };
            Some(
                DestinationConfig::builder()
                    .set_on_failure(failure)
                    .set_on_success(success)
                    .build(),
            )
        }
    };
    target
        .lambda()
        .put_function_event_invoke_config()
        .function_name(&function)
        .set_qualifier(qualifier.clone())
        .set_maximum_event_age_in_seconds(inputs.integer("maximumEventAgeInSeconds")?)
        .set_maximum_retry_attempts(inputs.integer("maximumRetryAttempts")?)
        .set_destination_config(destinations)
        .send()
        .await
        .map_err(refused("lambda:PutFunctionEventInvokeConfig"))?;
    let id = match qualifier {
        Some(qualifier) => format!("{function}:{qualifier}"),
        None => function.clone(),
    };
    Ok(Made::new(id).with("functionName", function))
}

/// `aws:lambda:Alias`.
pub(super) async fn alias(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let name = target.name(inputs)?;
    let created = target
        .lambda()
        .create_alias()
        .name(&name)
        .function_name(inputs.required("functionName")?)
        .function_version(inputs.required("functionVersion")?)
        .set_description(inputs.text("description")?)
        .send()
        .await
        .map_err(refused("lambda:CreateAlias"))?;
    let arn = created.alias_arn.unwrap_or_default();
    Ok(Made::new(arn.clone()).with("arn", arn).with("name", name))
}

/// Waits until a new function can be invoked, as the provider does.
async fn active(
    client: &aws_sdk_lambda::Client,
    name: &str,
) -> Result<
    aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput,
    Failure,
> {
    for _ in 0..STATE_CHECKS {
        let found = client
            .get_function_configuration()
            .function_name(name)
            .send()
            .await
            .map_err(refused("lambda:GetFunctionConfiguration"))?;
        match &found.state {
            Some(State::Pending) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            Some(State::Active) | None => return Ok(found),
            Some(other) => {
                return Err(Failure::whole(format!(
                    "the function became `{other}` instead of active"
                )));
            }
        }
    }
    Err(Failure::whole("the function didn't become active in time"))
}

/// The function's code, and the archive's name if the checker stands in for it.
fn code(target: &Target, inputs: &Inputs) -> Result<(FunctionCode, Option<String>), Failure> {
    let image = inputs.text("imageUri")?;
    let bucket = inputs.text("s3Bucket")?;
    let code = FunctionCode::builder()
        .set_image_uri(image)
        .set_s3_bucket(bucket)
        .set_s3_key(inputs.text("s3Key")?)
        .set_s3_object_version(inputs.text("s3ObjectVersion")?);
    let (written, path) = match inputs.asset("code")? {
        None => return Ok((code.build(), None)),
        Some(Asset::FileArchive { written, path }) => (written, path),
        Some(Asset::File(_) | Asset::Text(_) | Asset::Archive(_)) => {
            return Err(Failure::of(
                "code",
                "only `fn::fileArchive` of a zip file can be applied here",
            ));
        }
    };
    match std::fs::read(&path) {
        Ok(bytes) => Ok((code.zip_file(Blob::new(bytes)).build(), None)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let stem = path
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
                .unwrap_or_default();
            let Some(executable) = &target.stand_in else {
                return Err(Failure::of("code", format!("the archive `{written}` isn't there")).help(
                    format!("build the function `{stem}` for Linux and put its executable, named `bootstrap`, into that zip file"),
                ));
            };
            let bytes = stand_in(executable, &stem)
                .map_err(|_| Failure::of("code", "the stand-in's archive can't be made"))?;
            Ok((code.zip_file(Blob::new(bytes)).build(), Some(written)))
        }
        Err(error) => Err(Failure::of(
            "code",
            format!("the archive `{written}` can't be read: {}", error.kind()),
        )),
    }
}

/// A zip file whose only entry runs the checker as the function `name`; the same bytes every time.
///
/// A function needs a few hundred kilobytes; clearing huge pages for them would take longer than its work.
fn stand_in(executable: &Path, name: &str) -> Result<Vec<u8>, zip::result::ZipError> {
    let quote = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let script = format!(
        "#!/bin/sh\nexport MIMALLOC_ALLOW_THP=0\nexec {} lambda serve {}\n",
        quote(&executable.to_string_lossy()),
        quote(name)
    );
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated)
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o755);
    archive.start_file("bootstrap", options)?;
    archive.write_all(script.as_bytes())?;
    Ok(archive.finish()?.into_inner())
}

fn environment(inputs: &Inputs) -> Result<Option<Environment>, Failure> {
    let Some(environment) = inputs.object("environment")? else {
        return Ok(None);
    };
    let variables = environment.text_map("variables")?;
    Ok(Some(
        Environment::builder()
            .set_variables(variables.map(|variables| variables.into_iter().collect()))
            .build(),
    ))
}

fn dead_letters(inputs: &Inputs) -> Result<Option<DeadLetterConfig>, Failure> {
    match inputs.object("deadLetterConfig")? {
        Some(config) => Ok(Some(
            DeadLetterConfig::builder()
                .target_arn(config.required("targetArn")?)
                .build(),
        )),
        None => Ok(None),
    }
}

fn tracing(inputs: &Inputs) -> Result<Option<TracingConfig>, Failure> {
    match inputs.object("tracingConfig")? {
        Some(config) => Ok(Some(
            TracingConfig::builder()
                .mode(TracingMode::from(config.required("mode")?.as_str()))
                .build(),
        )),
        None => Ok(None),
    }
}

fn storage(inputs: &Inputs) -> Result<Option<EphemeralStorage>, Failure> {
    let Some(config) = inputs.object("ephemeralStorage")? else {
        return Ok(None);
    };
    let built = EphemeralStorage::builder()
        .set_size(config.integer("size")?)
        .build();
    match built {
        Ok(storage) => Ok(Some(storage)),
        Err(_) => Err(Failure::of("ephemeralStorage", "needs a `size`")),
    }
}

fn logging(inputs: &Inputs) -> Result<Option<LoggingConfig>, Failure> {
    let Some(config) = inputs.object("loggingConfig")? else {
        return Ok(None);
    };
    Ok(Some(
        LoggingConfig::builder()
            .set_log_group(config.text("logGroup")?)
            .set_log_format(config.text("logFormat")?.as_deref().map(LogFormat::from))
            .set_application_log_level(
                config
                    .text("applicationLogLevel")?
                    .as_deref()
                    .map(Into::into),
            )
            .set_system_log_level(config.text("systemLogLevel")?.as_deref().map(Into::into))
            .build(),
    ))
}

fn network(inputs: &Inputs) -> Result<Option<VpcConfig>, Failure> {
    let Some(config) = inputs.object("vpcConfig")? else {
        return Ok(None);
    };
    Ok(Some(
        VpcConfig::builder()
            .set_subnet_ids(config.texts("subnetIds")?)
            .set_security_group_ids(config.texts("securityGroupIds")?)
            .build(),
    ))
}

fn image(inputs: &Inputs) -> Result<Option<ImageConfig>, Failure> {
    let Some(config) = inputs.object("imageConfig")? else {
        return Ok(None);
    };
    Ok(Some(
        ImageConfig::builder()
            .set_command(config.texts("commands")?)
            .set_entry_point(config.texts("entryPoints")?)
            .set_working_directory(config.text("workingDirectory")?)
            .build(),
    ))
}
