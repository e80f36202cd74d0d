//! What the tagging API knows: the second source for completeness, and the resources of a module.

use std::collections::BTreeMap;

use aws_sdk_resourcegroupstagging::operation::RequestId as _;
use aws_sdk_resourcegroupstagging::operation::get_resources::builders::GetResourcesFluentBuilder;
use aws_sdk_resourcegroupstagging::types::TagFilter;
use checker_core::observation::answer::{TaggedResource, Tags};
use checker_core::observation::{Answer, Origin, Unseen};

use super::page::{Page, confirmed};
use super::unseen::{incomplete, unseen};
use super::{Aws, Seen};

/// Every secret that carries or carried a tag.
pub(super) async fn secrets(aws: &Aws) -> Seen {
    let (rows, origin) = resources(aws, |request| {
        request.resource_type_filters("secretsmanager:secret")
    })
    .await?;
    Ok((Answer::TaggedSecrets(rows), origin))
}

/// The types of resources of the stack, besides secrets, which have a list of their own.
const MODULE_TYPES: [&str; 10] = [
    "cloudtrail:trail",
    "cloudwatch:alarm",
    "events:rule",
    "kms:key",
    "lambda:function",
    "logs:log-group",
    "s3",
    "sns",
    "sqs",
    "ssm:parameter",
];

/// Every resource but secrets that carries the tag `module_id`, whatever its value.
pub(super) async fn of_modules(aws: &Aws) -> Seen {
    let types: Vec<String> = MODULE_TYPES.map(str::to_owned).to_vec();
    let (rows, origin) = resources(aws, |request| {
        request
            .tag_filters(TagFilter::builder().key("module_id").build())
            .set_resource_type_filters(Some(types.clone()))
    })
    .await?;
    Ok((Answer::ModuleResources(rows), origin))
}

/// `GetResources`, every page.
async fn resources(
    aws: &Aws,
    select: impl Fn(GetResourcesFluentBuilder) -> GetResourcesFluentBuilder,
) -> Result<(Vec<TaggedResource>, Origin), Unseen> {
    let operation = "tag:GetResources";
    let select = &select;
    confirmed(operation, &aws.region, |token, size| async move {
        let output = select(aws.tagging.get_resources())
            .resources_per_page(size.unwrap_or(100))
            .set_pagination_token(token)
            .send()
            .await
            .map_err(|error| unseen(operation, &error))?;
        let rows: Result<Vec<_>, Unseen> = output
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
                        .collect::<BTreeMap<_, _>>()
                        .into(),
                })
            })
            .collect();
        let mut rows = rows?;
        Tags::share(rows.iter_mut().map(|row| &mut row.tags));
        Ok(Page {
            next: output.pagination_token().map(str::to_owned),
            request_id: output.request_id().map(str::to_owned),
            rows,
        })
    })
    .await
}
