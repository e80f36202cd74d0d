//! Resources that the target doesn't serve: S3, alarms, event buses, filters of logs, delivery streams.
//!
//! Nothing is called. The configuration is kept with the outputs that follow from it, so that other resources can name
//! it, and the caller sees it marked as stored only: that such a resource works is never shown by applying a program.

use super::Made;
use super::failure::Failure;
use super::inputs::Inputs;
use super::target::Target;

/// `aws:s3:Bucket`.
pub(super) fn bucket(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let name = inputs
        .text("bucket")?
        .unwrap_or_else(|| target.auto_name.to_ascii_lowercase());
    inputs.take_all();
    let region = &target.region;
    Ok(stored(name.clone())
        .with("arn", format!("arn:aws:s3:::{name}"))
        .with("bucketDomainName", format!("{name}.s3.amazonaws.com"))
        .with(
            "bucketRegionalDomainName",
            format!("{name}.s3.{region}.amazonaws.com"),
        )
        .with("bucketRegion", region.as_str())
        .with("bucket", name))
}

/// A part of a bucket that is a resource of its own, such as `aws:s3:BucketPolicy`.
pub(super) fn bucket_part(inputs: &Inputs) -> Result<Made, Failure> {
    let bucket = inputs.required("bucket")?;
    inputs.take_all();
    Ok(stored(bucket))
}

/// `aws:cloudwatch:MetricAlarm`.
pub(super) fn alarm(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let name = target.name(inputs)?;
    inputs.take_all();
    Ok(stored(name.clone())
        .with("arn", target.arn("cloudwatch", &format!("alarm:{name}")))
        .with("name", name))
}

/// Whatever else the target doesn't serve, with the ARN that follows from its name.
pub(super) fn other(kind: &str, target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let name = match inputs.text("name")? {
        Some(name) => name,
        None => target.auto_name.clone(),
    };
    inputs.take_all();
    let made = stored(name.clone()).with("name", name.as_str());
    let (service, rest) = match kind {
        "aws:cloudwatch/eventBus:EventBus" => ("events", format!("event-bus/{name}")),
        "aws:cloudwatch/eventArchive:EventArchive" => ("events", format!("archive/{name}")),
        "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream" => {
            ("firehose", format!("deliverystream/{name}"))
        }
        _ => return Ok(made),
    };
    Ok(made.with("arn", target.arn(service, &rest)))
}

fn stored(id: String) -> Made {
    Made {
        stored_only: true,
        ..Made::new(id)
    }
}
