//! Names that the stack publishes for other stacks.

use aws_sdk_ssm::operation::RequestId as _;
use aws_sdk_ssm::operation::get_parameter::GetParameterError;
use aws_sdk_ssm::types::ParameterType;
use checker_core::observation::Answer;
use checker_core::observation::answer::Parameter;

use super::unseen::{incomplete, unseen};
use super::{Aws, Seen};

/// `GetParameter`, never decrypted. A value is kept only when it is an ARN in plain text.
pub(super) async fn parameter(aws: &Aws, name: &str) -> Seen {
    let operation = "ssm:GetParameter";
    let output = match aws.ssm.get_parameter().name(name).send().await {
        Ok(output) => output,
        Err(error)
            if error
                .as_service_error()
                .is_some_and(GetParameterError::is_parameter_not_found) =>
        {
            return Ok((Answer::Parameter(None), aws.origin(None)));
        }
        Err(error) => return Err(unseen(operation, &error)),
    };
    let found = output
        .parameter()
        .ok_or_else(|| incomplete(operation, "Parameter"))?;
    let kind = found
        .r#type()
        .ok_or_else(|| incomplete(operation, "Type"))?;
    let parameter = Parameter {
        name: found
            .name()
            .ok_or_else(|| incomplete(operation, "Name"))?
            .to_owned(),
        kind: kind.as_str().to_owned(),
        arn: found
            .value()
            .filter(|value| *kind != ParameterType::SecureString && value.starts_with("arn:"))
            .map(str::to_owned),
    };
    Ok((
        Answer::Parameter(Some(parameter)),
        aws.origin(output.request_id()),
    ))
}
