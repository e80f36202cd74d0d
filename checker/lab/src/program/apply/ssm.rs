//! Parameters of the Parameter Store.

use aws_sdk_ssm::types::{ParameterTier, ParameterType, Tag};

use super::Made;
use super::failure::{Failure, refused};
use super::inputs::Inputs;
use super::target::{Target, tag_list};
use crate::program::value::Value;

/// `aws:ssm:Parameter`.
pub(super) async fn parameter(target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    let client = target.ssm();
    let name = target.name(inputs)?;
    let kind = inputs.required("type")?;
    let mut value = None;
    for property in ["value", "insecureValue", "valueWo"] {
        let given = inputs.text(property)?;
        value = value.or(given);
    }
    inputs.skip(&["valueWoVersion"]);
    let overwrite = inputs.bool("overwrite")?;
    let tags = tags(target)?;
    let put = client
        .put_parameter()
        .name(&name)
        .r#type(ParameterType::from(kind.as_str()))
        .set_value(value)
        .set_description(inputs.text("description")?)
        .set_key_id(inputs.text("keyId")?)
        .set_allowed_pattern(inputs.text("allowedPattern")?)
        .set_data_type(inputs.text("dataType")?)
        .set_tier(inputs.text("tier")?.as_deref().map(ParameterTier::from))
        .set_overwrite(overwrite)
        .set_tags(tags)
        .send()
        .await
        .map_err(refused("ssm:PutParameter"))?;
    let separator = if name.starts_with('/') { "" } else { "/" };
    let arn = target.arn("ssm", &format!("parameter{separator}{name}"));
    let version: f64 = put.version.to_string().parse().unwrap_or(1.0);
    Ok(Made::new(name.clone())
        .with("arn", arn)
        .with("name", name)
        .with("version", Value::Number(version))
        .with("tier", put.tier.map(|tier| tier.as_str().to_owned())))
}

tag_list!(Tag, key, value);
