//! Functions and who may invoke them.

use aws_sdk_lambda::operation::RequestId as _;
use aws_sdk_lambda::operation::get_function_event_invoke_config::GetFunctionEventInvokeConfigError;
use checker_core::observation::Answer;
use checker_core::observation::answer::Function;
use checker_core::observation::environment::{FunctionEnvironment, Variable, reference};

use super::page::{Page, confirmed};
use super::unseen::{incomplete, unseen};
use super::{Aws, Seen};

/// `GetFunction`. Values of environment variables are dropped here; only their names are kept, and of the detector's
/// settings the names of things that they refer to.
pub(super) async fn function(aws: &Aws, name: &str) -> Seen {
    let operation = "lambda:GetFunction";
    let output = match aws.lambda.get_function().function_name(name).send().await {
        Ok(output) => output,
        Err(error)
            if error
                .as_service_error()
                .is_some_and(aws_sdk_lambda::operation::get_function::GetFunctionError::is_resource_not_found_exception) =>
        {
            return Ok((Answer::Function(None), aws.origin(None)));
        }
        Err(error) => return Err(unseen(operation, &error)),
    };
    let found = output
        .configuration()
        .ok_or_else(|| incomplete(operation, "Configuration"))?;
    let text = |member: Option<&str>, name: &str| {
        member
            .map(str::to_owned)
            .ok_or_else(|| incomplete(operation, name))
    };
    let mut names: Vec<String> = found
        .environment()
        .and_then(|environment| environment.variables())
        .map(|variables| variables.keys().cloned().collect())
        .unwrap_or_default();
    names.sort();
    let references = found
        .environment()
        .and_then(|environment| environment.variables())
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), reference(name, value)?)))
        .collect();
    let function = Function {
        arn: text(found.function_arn(), "FunctionArn")?,
        name: text(found.function_name(), "FunctionName")?,
        state: text(
            found.state().map(aws_sdk_lambda::types::State::as_str),
            "State",
        )?,
        // A function from an image has no runtime.
        runtime: found
            .runtime()
            .map(|runtime| runtime.as_str().to_owned())
            .unwrap_or_default(),
        architectures: found
            .architectures()
            .iter()
            .map(|architecture| architecture.as_str().to_owned())
            .collect(),
        memory: i64::from(found.memory_size().unwrap_or_default()),
        timeout: i64::from(found.timeout().unwrap_or_default()),
        role_arn: text(found.role(), "Role")?,
        environment_names: names,
        references,
    };
    Ok((
        Answer::Function(Some(function)),
        aws.origin(output.request_id()),
    ))
}

/// `GetPolicy`.
pub(super) async fn policy(aws: &Aws, name: &str) -> Seen {
    let operation = "lambda:GetPolicy";
    match aws.lambda.get_policy().function_name(name).send().await {
        Ok(output) => Ok((
            Answer::FunctionPolicy(output.policy().map(str::to_owned)),
            aws.origin(output.request_id()),
        )),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(aws_sdk_lambda::operation::get_policy::GetPolicyError::is_resource_not_found_exception) =>
        {
            Ok((Answer::FunctionPolicy(None), aws.origin(None)))
        }
        Err(error) => Err(unseen(operation, &error)),
    }
}

/// `GetFunctionEventInvokeConfig`: where asynchronous events go that the function failed on.
pub(super) async fn failure_destination(aws: &Aws, name: &str) -> Seen {
    let operation = "lambda:GetFunctionEventInvokeConfig";
    match aws
        .lambda
        .get_function_event_invoke_config()
        .function_name(name)
        .send()
        .await
    {
        Ok(output) => Ok((
            Answer::FunctionFailureDestination(
                output
                    .destination_config()
                    .and_then(|config| config.on_failure())
                    .and_then(|on_failure| on_failure.destination())
                    .map(str::to_owned),
            ),
            aws.origin(output.request_id()),
        )),
        Err(error)
            if error.as_service_error().is_some_and(
                GetFunctionEventInvokeConfigError::is_resource_not_found_exception,
            ) =>
        {
            Ok((Answer::FunctionFailureDestination(None), aws.origin(None)))
        }
        Err(error) => Err(unseen(operation, &error)),
    }
}

/// `ListFunctions`, every page: the environments. A value is looked at once, for its form, and dropped.
pub(super) async fn environments(aws: &Aws) -> Seen {
    let operation = "lambda:ListFunctions";
    let (rows, origin) = confirmed(operation, &aws.region, |token, size| async move {
        let output = aws
            .lambda
            .list_functions()
            .max_items(size.unwrap_or(50))
            .set_marker(token)
            .send()
            .await
            .map_err(|error| unseen(operation, &error))?;
        Ok(Page {
            next: output.next_marker().map(str::to_owned),
            request_id: output.request_id().map(str::to_owned),
            rows: output
                .functions()
                .iter()
                .map(|row| {
                    let environment = row.environment();
                    // AWS lists a function whose environment it can't decrypt with an error in place of values.
                    if environment.is_some_and(|environment| environment.error().is_some()) {
                        return Err(incomplete(operation, "Environment.Variables"));
                    }
                    let mut variables: Vec<Variable> = environment
                        .and_then(|environment| environment.variables())
                        .into_iter()
                        .flatten()
                        .map(|(name, value)| Variable::of(name, value))
                        .collect();
                    variables.sort_by(|left, right| left.name.cmp(&right.name));
                    Ok(FunctionEnvironment {
                        arn: row
                            .function_arn()
                            .ok_or_else(|| incomplete(operation, "FunctionArn"))?
                            .to_owned(),
                        name: row
                            .function_name()
                            .ok_or_else(|| incomplete(operation, "FunctionName"))?
                            .to_owned(),
                        role_arn: row
                            .role()
                            .ok_or_else(|| incomplete(operation, "Role"))?
                            .to_owned(),
                        variables,
                    })
                })
                .collect::<Result<_, _>>()?,
        })
    })
    .await?;
    Ok((Answer::FunctionEnvironments(rows), origin))
}
