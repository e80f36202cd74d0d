//! Lambda: functions, their policies, asynchronous settings, and invocations that
//! run the function's own `bootstrap` as a process ([`host`]).
//!
//! Served: zip functions on the custom runtimes, version `$LATEST`. Images, layers,
//! versions, aliases, function URLs and event source mappings are not; members for
//! them are refused by name.

pub(crate) mod asynchronous;
mod functions;
pub(crate) mod host;
pub(crate) mod invoke;
mod policy;
mod process;
mod settings;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::service::{Answer, ApiError, Call};
use crate::tagging::Tags;
use crate::world::World;

/// What the service keeps.
#[derive(Default)]
pub(crate) struct State {
    /// Functions by ARN.
    functions: BTreeMap<String, Function>,
}

/// A function.
#[derive(Clone)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) role: String,
    pub(crate) runtime: String,
    pub(crate) handler: String,
    /// In megabytes.
    pub(crate) memory: i64,
    /// In seconds.
    pub(crate) timeout: i64,
    pub(crate) environment: BTreeMap<String, String>,
    /// The zip.
    pub(crate) code: Arc<[u8]>,
    /// The zip's SHA-256 in base64.
    pub(crate) code_sha: String,
    /// Changes with every change of code or configuration.
    pub(crate) revision: String,
    /// The log group.
    pub(crate) log_group: String,
    pub(crate) tags: Tags,
    /// Members of the configuration that are stored and shown, nothing else.
    shown: Map<String, Value>,
    last_modified: String,
    statements: Vec<Value>,
    policy_revision: String,
    /// The settings of asynchronous invocation.
    pub(crate) event_invoke: Option<settings::EventInvoke>,
}

pub(crate) fn handle(world: &mut World, call: &Call<'_>) -> Answer {
    match call.operation {
        "CreateFunction" => functions::create(world, call),
        "GetFunction" => functions::get(world, call),
        "GetFunctionConfiguration" => functions::get_configuration(world, call),
        "ListFunctions" => functions::list(world, call),
        "UpdateFunctionCode" => functions::update_code(world, call),
        "UpdateFunctionConfiguration" => functions::update_configuration(world, call),
        "DeleteFunction" => functions::delete(world, call),
        "AddPermission" => policy::add(world, call),
        "RemovePermission" => policy::remove(world, call),
        "GetPolicy" => policy::get(world, call),
        "PutFunctionEventInvokeConfig" => settings::put(world, call),
        "GetFunctionEventInvokeConfig" => settings::get(world, call),
        "ListFunctionEventInvokeConfigs" => settings::list(world, call),
        "ListTags" => functions::list_tags(world, call),
        "TagResource" => functions::tag(world, call),
        _ => Err(call.unserved()),
    }
}

impl State {
    /// A function by its ARN, with or without the qualifier `$LATEST`.
    pub(crate) fn function(&self, arn: &str) -> Option<&Function> {
        let arn = arn.strip_suffix(":$LATEST").unwrap_or(arn);
        self.functions.get(arn)
    }

    /// Tagged functions, for the tagging API.
    pub(crate) fn tagged(&self) -> Vec<(&str, &Tags)> {
        self.functions
            .values()
            .map(|function| (function.arn.as_str(), &function.tags))
            .collect()
    }

    /// The function that a call means, by name, partial or full ARN.
    fn find(&self, call: &Call<'_>) -> Result<&Function, ApiError> {
        let arn = function_arn(call)?;
        self.functions.get(&arn).ok_or_else(|| not_found(&arn))
    }

    fn find_mut(&mut self, call: &Call<'_>) -> Result<&mut Function, ApiError> {
        let arn = function_arn(call)?;
        self.functions.get_mut(&arn).ok_or_else(|| not_found(&arn))
    }
}

impl Function {
    /// Whether the function's policy lets a service invoke it.
    pub(crate) fn lets_in(&self, principal: &str, account: &str, source_arn: &str) -> bool {
        policy::lets_in(&self.statements, principal, account, source_arn)
    }

    /// The function's policy as a document, when it has statements.
    pub(crate) fn policy(&self) -> Option<Value> {
        (!self.statements.is_empty()).then(
            || json!({"Version": "2012-10-17", "Id": "default", "Statement": self.statements}),
        )
    }
}

fn not_found(arn: &str) -> ApiError {
    ApiError::new(
        "ResourceNotFoundException",
        format!("Function not found: {arn}"),
    )
    .with_status(404)
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterValueException", message)
}

/// `name`, `name:$LATEST`, `account:function:name` or an ARN, as an unqualified ARN.
fn function_arn(call: &Call<'_>) -> Result<String, ApiError> {
    let given = call.required("FunctionName")?;
    let qualifier = call.text("Qualifier").unwrap_or("$LATEST");
    let parts: Vec<&str> = given.split(':').collect();
    let (region, account, name, inline) = match parts.as_slice() {
        ["arn", _, "lambda", region, account, "function", name] => {
            (*region, *account, *name, "$LATEST")
        }
        [
            "arn",
            _,
            "lambda",
            region,
            account,
            "function",
            name,
            version,
        ] => (*region, *account, *name, *version),
        [account, "function", name] => (call.region, *account, *name, "$LATEST"),
        [account, "function", name, version] => (call.region, *account, *name, *version),
        [name] => (call.region, call.account, *name, "$LATEST"),
        [name, version] => (call.region, call.account, *name, *version),
        _ => return Err(invalid(format!("the function name `{given}` is not valid"))),
    };
    let arn = format!("arn:aws:lambda:{region}:{account}:function:{name}");
    if region != call.region {
        return Err(invalid(format!(
            "Functions from '{region}' are not reachable in this region ('{}')",
            call.region
        )));
    }
    for version in [qualifier, inline] {
        if version != "$LATEST" {
            return Err(not_found(&format!("{arn}:{version}")));
        }
    }
    Ok(arn)
}
