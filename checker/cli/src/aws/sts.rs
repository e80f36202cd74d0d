//! Who asks.

use aws_sdk_sts::operation::RequestId as _;
use checker_core::observation::answer::Caller;
use checker_core::observation::{Answer, Unseen};

use super::unseen::{incomplete, unseen};
use super::{Aws, Seen};

/// `GetCallerIdentity`.
pub(super) async fn caller(aws: &Aws) -> Seen {
    let operation = "sts:GetCallerIdentity";
    let output = aws
        .sts
        .get_caller_identity()
        .send()
        .await
        .map_err(|error| unseen(operation, &error))?;
    let caller = Caller {
        account: output
            .account()
            .ok_or_else(|| incomplete(operation, "Account"))?
            .to_owned(),
        arn: output
            .arn()
            .ok_or_else(|| incomplete(operation, "Arn"))?
            .to_owned(),
    };
    Ok((Answer::Caller(caller), aws.origin(output.request_id())))
}

/// `AssumeRole`; the credentials that it answers are dropped at once.
pub(super) async fn assume(
    aws: &Aws,
    role: &str,
    external_id: Option<&str>,
    session: &str,
) -> Result<(), Unseen> {
    let operation = "sts:AssumeRole";
    aws.sts
        .assume_role()
        .role_arn(role)
        .role_session_name(session)
        .set_external_id(external_id.map(str::to_owned))
        .send()
        .await
        .map(drop)
        .map_err(|error| unseen(operation, &error))
}
