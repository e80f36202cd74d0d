//! The second source for completeness.

use aws_sdk_resourcegroupstagging::operation::RequestId as _;
use checker_core::observation::Answer;
use checker_core::observation::answer::TaggedResource;

use super::page::{Page, every};
use super::unseen::{incomplete, unseen};
use super::{Aws, Seen};

/// Every secret that carries or carried a tag.
pub(super) async fn secrets(aws: &Aws) -> Seen {
    let operation = "tag:GetResources";
    let (rows, origin) = every(operation, &aws.region, |token| async move {
        let output = aws
            .tagging
            .get_resources()
            .resource_type_filters("secretsmanager:secret")
            .resources_per_page(100)
            .set_pagination_token(token)
            .send()
            .await
            .map_err(|error| unseen(operation, &error))?;
        Ok(Page {
            next: output.pagination_token().map(str::to_owned),
            request_id: output.request_id().map(str::to_owned),
            rows: output
                .resource_tag_mapping_list()
                .iter()
                .map(|row| {
                    Ok(TaggedResource {
                        arn: row
                            .resource_arn()
                            .ok_or_else(|| incomplete(operation, "ResourceARN"))?
                            .to_owned(),
                        tags: row
                            .tags()
                            .iter()
                            .map(|tag| (tag.key().to_owned(), tag.value().to_owned()))
                            .collect(),
                    })
                })
                .collect::<Result<_, _>>()?,
        })
    })
    .await?;
    Ok((Answer::TaggedSecrets(rows), origin))
}
