//! The list of parameters. Values are never asked for.

use aws_sdk_ssm::operation::RequestId as _;
use checker_core::observation::Answer;
use checker_core::observation::answer::ListedParameter;

use super::page::{Page, confirmed};
use super::unseen::{incomplete, unseen};
use super::{Aws, Seen};

/// `DescribeParameters`, every page.
pub(super) async fn list(aws: &Aws) -> Seen {
    let operation = "ssm:DescribeParameters";
    let (rows, origin) = confirmed(operation, &aws.region, |token, size| async move {
        let output = aws
            .ssm
            .describe_parameters()
            .max_results(size.unwrap_or(50))
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| unseen(operation, &error))?;
        Ok(Page {
            next: output.next_token().map(str::to_owned),
            request_id: output.request_id().map(str::to_owned),
            rows: output
                .parameters()
                .iter()
                .map(|row| {
                    Ok(ListedParameter {
                        name: row
                            .name()
                            .ok_or_else(|| incomplete(operation, "Name"))?
                            .to_owned(),
                        kind: row
                            .r#type()
                            .ok_or_else(|| incomplete(operation, "Type"))?
                            .as_str()
                            .to_owned(),
                        key_id: row.key_id().map(str::to_owned),
                    })
                })
                .collect::<Result<_, _>>()?,
        })
    })
    .await?;
    Ok((Answer::Parameters(rows), origin))
}
