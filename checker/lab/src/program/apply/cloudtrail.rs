//! Trails.

use aws_sdk_cloudtrail::types::{
    AdvancedEventSelector, AdvancedFieldSelector, DataResource, EventSelector, ReadWriteType, Tag,
};

use super::Made;
use super::failure::{Failure, refused};
use super::inputs::Inputs;
use super::target::{Target, tag_list};

/// `aws:cloudtrail:Trail`; it logs from the start unless `enableLogging` is false.
pub(super) async fn trail(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let client = target.cloudtrail();
    let name = target.name(inputs)?;
    let logging = inputs.bool("enableLogging")?.unwrap_or(true);
    let global = inputs.bool("includeGlobalServiceEvents")?.unwrap_or(true);
    let everywhere = inputs.bool("isMultiRegionTrail")?.unwrap_or(false);
    let selectors = selectors(inputs)?;
    let advanced = advanced(inputs)?;
    let validation = inputs.bool("enableLogFileValidation")?;
    let organization = inputs.bool("isOrganizationTrail")?;
    let created = client
        .create_trail()
        .name(&name)
        .s3_bucket_name(inputs.required("s3BucketName")?)
        .set_s3_key_prefix(inputs.text("s3KeyPrefix")?)
        .set_sns_topic_name(inputs.text("snsTopicName")?)
        .include_global_service_events(global)
        .is_multi_region_trail(everywhere)
        .set_is_organization_trail(organization)
        .set_enable_log_file_validation(validation)
        .set_kms_key_id(inputs.text("kmsKeyId")?)
        .set_cloud_watch_logs_log_group_arn(inputs.text("cloudWatchLogsGroupArn")?)
        .set_cloud_watch_logs_role_arn(inputs.text("cloudWatchLogsRoleArn")?)
        .set_tags_list(tags(target)?)
        .send()
        .await
        .map_err(refused("cloudtrail:CreateTrail"))?;
    if selectors.is_some() || advanced.is_some() {
        client
            .put_event_selectors()
            .trail_name(&name)
            .set_event_selectors(selectors)
            .set_advanced_event_selectors(advanced)
            .send()
            .await
            .map_err(refused("cloudtrail:PutEventSelectors"))?;
    }
    if logging {
        client
            .start_logging()
            .name(&name)
            .send()
            .await
            .map_err(refused("cloudtrail:StartLogging"))?;
    }
    Ok(Made::new(name.clone())
        .with("arn", created.trail_arn)
        .with("name", name)
        .with("homeRegion", target.region.as_str())
        .with("enableLogging", logging)
        .with("includeGlobalServiceEvents", global)
        .with("isMultiRegionTrail", everywhere)
        .with("isOrganizationTrail", organization.unwrap_or(false))
        .with("enableLogFileValidation", validation.unwrap_or(false))
        .with("snsTopicArn", created.sns_topic_arn.unwrap_or_default()))
}

fn selectors(inputs: &Inputs) -> Result<Option<Vec<EventSelector>>, Failure> {
    let found = inputs
        .objects("eventSelectors")?
        .into_iter()
        .map(|selector| {
            let resources = selector
                .objects("dataResources")?
                .into_iter()
                .map(|resource| {
                    Ok(DataResource::builder()
                        .set_type(resource.text("type")?)
                        .set_values(resource.texts("values")?)
                        .build())
                })
                .collect::<Result<Vec<_>, Failure>>()?;
            Ok(EventSelector::builder()
                .set_read_write_type(
                    selector
                        .text("readWriteType")?
                        .as_deref()
                        .map(ReadWriteType::from),
                )
                .set_include_management_events(selector.bool("includeManagementEvents")?)
                .set_exclude_management_event_sources(
                    selector.texts("excludeManagementEventSources")?,
                )
                .set_data_resources((!resources.is_empty()).then_some(resources))
                .build())
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    Ok((!found.is_empty()).then_some(found))
}

fn advanced(inputs: &Inputs) -> Result<Option<Vec<AdvancedEventSelector>>, Failure> {
    let found = inputs
        .objects("advancedEventSelectors")?
        .into_iter()
        .map(|selector| {
            let fields = selector
                .objects("fieldSelectors")?
                .into_iter()
                .map(|field| {
                    AdvancedFieldSelector::builder()
                        .field(field.required("field")?)
                        .set_equals(field.texts("equals")?)
                        .set_not_equals(field.texts("notEquals")?)
                        .set_starts_with(field.texts("startsWiths")?)
                        .set_not_starts_with(field.texts("notStartsWiths")?)
                        .set_ends_with(field.texts("endsWiths")?)
                        .set_not_ends_with(field.texts("notEndsWiths")?)
                        .build()
                        .map_err(|_| Failure::of("advancedEventSelectors", "a field is needed"))
                })
                .collect::<Result<Vec<_>, Failure>>()?;
            AdvancedEventSelector::builder()
                .set_name(selector.text("name")?)
                .set_field_selectors(Some(fields))
                .build()
                .map_err(|_| Failure::of("advancedEventSelectors", "fields are needed"))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    Ok((!found.is_empty()).then_some(found))
}

tag_list!(Tag, key, value);
