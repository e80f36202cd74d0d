//! The provider's functions (`fn::invoke`), answered by asking the target.
//!
//! What the provider would look up, it looks up: a key's alias that doesn't exist, or a parameter that nobody made, is an
//! error, as in a deployment. An encrypted parameter's value comes back secret.

use std::collections::BTreeMap;

use aws_sdk_ssm::types::ParameterType;

use super::failure::{Failure, refused};
use super::inputs::Inputs;
use super::target::Target;
use super::{digest, document};
use crate::program::evaluate::Question;
use crate::program::schema;
use crate::program::value::Value;

/// Asks the target and returns the function's whole answer.
pub(super) async fn ask(
    target: &Target,
    question: &Question,
    default_tags: &BTreeMap<String, String>,
) -> Result<Value, Failure> {
    let inputs = Inputs::new(&question.arguments);
    inputs.skip(&["region"]);
    let mut answer = match question.function.as_str() {
        "aws:index/getCallerIdentity:getCallerIdentity" => caller(target).await?,
        "aws:index/getRegion:getRegion" => region(target, &inputs)?,
        "aws:index/getPartition:getPartition" => Answer::new("aws")
            .with("partition", "aws")
            .with("dnsSuffix", "amazonaws.com")
            .with("reverseDnsPrefix", "com.amazonaws"),
        "aws:index/getDefaultTags:getDefaultTags" => {
            let tags = default_tags
                .iter()
                .map(|(key, value)| (key.clone(), Value::text(value)))
                .collect();
            Answer::new("default").with("tags", Value::Object(tags))
        }
        "aws:index/getArn:getArn" => arn(&inputs)?,
        "aws:kms/getAlias:getAlias" => kms_alias(target, &inputs).await?,
        "aws:kms/getKey:getKey" => kms_key(target, &inputs).await?,
        "aws:ssm/getParameter:getParameter" => parameter(target, &inputs).await?,
        "aws:iam/getPolicyDocument:getPolicyDocument" => {
            let text = document::written(&inputs)?;
            Answer::new(digest(&text))
                .with("json", text.clone())
                .with("minifiedJson", text)
        }
        "aws:iam/getRole:getRole" => role(target, &inputs).await?,
        "aws:iam/getPolicy:getPolicy" => policy(target, &inputs).await?,
        "aws:sns/getTopic:getTopic" => topic(target, &inputs).await?,
        "aws:secretsmanager/getSecret:getSecret" => secret(target, &inputs).await?,
        "aws:lambda/getFunction:getFunction" => function(target, &inputs).await?,
        "aws:cloudwatch/getLogGroup:getLogGroup" => log_group(target, &inputs).await?,
        other => {
            return Err(Failure::whole(format!(
                "the function `{}` can't be answered here",
                schema::short(other)
            )));
        }
    };
    if let Some(path) = inputs.unread().first() {
        return Err(Failure::of(path, "this argument isn't used here"));
    }
    answer
        .0
        .insert("region".to_owned(), Value::text(&target.region));
    Ok(Value::Object(answer.0))
}

/// A function's outputs.
struct Answer(BTreeMap<String, Value>);

impl Answer {
    fn new(id: impl Into<Value>) -> Self {
        Self(BTreeMap::from([("id".to_owned(), id.into())]))
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }
}

async fn caller(target: &Target) -> Result<Answer, Failure> {
    let found = target
        .sts()
        .get_caller_identity()
        .send()
        .await
        .map_err(refused("sts:GetCallerIdentity"))?;
    Ok(Answer::new(found.account.clone())
        .with("accountId", found.account)
        .with("arn", found.arn)
        .with("userId", found.user_id))
}

fn region(target: &Target, inputs: &Inputs) -> Result<Answer, Failure> {
    let name = inputs
        .text("name")?
        .unwrap_or_else(|| target.region.clone());
    inputs.skip(&["endpoint", "id"]);
    Ok(Answer::new(name.clone())
        .with("endpoint", format!("ec2.{name}.amazonaws.com"))
        .with("description", name.clone())
        .with("name", name))
}

fn arn(inputs: &Inputs) -> Result<Answer, Failure> {
    let arn = inputs.required("arn")?;
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, partition, service, region, account, resource] = parts.as_slice() else {
        return Err(Failure::of("arn", format!("`{arn}` isn't an ARN")));
    };
    Ok(Answer::new(arn.clone())
        .with("partition", *partition)
        .with("service", *service)
        .with("region", *region)
        .with("account", *account)
        .with("resource", *resource)
        .with("arn", arn.clone()))
}

async fn kms_alias(target: &Target, inputs: &Inputs) -> Result<Answer, Failure> {
    let name = inputs.required("name")?;
    let found = describe_key(target, &name).await?;
    let arn = target.arn("kms", &name);
    Ok(Answer::new(arn.clone())
        .with("arn", arn)
        .with("name", name)
        .with("targetKeyArn", found.arn)
        .with("targetKeyId", found.key_id))
}

async fn kms_key(target: &Target, inputs: &Inputs) -> Result<Answer, Failure> {
    let found = describe_key(target, &inputs.required("keyId")?).await?;
    Ok(Answer::new(found.key_id.clone())
        .with("arn", found.arn)
        .with("keyId", found.key_id)
        .with("awsAccountId", found.aws_account_id)
        .with("description", found.description)
        .with("enabled", found.enabled)
        .with("multiRegion", found.multi_region)
        .with(
            "keyUsage",
            found.key_usage.map(|usage| usage.as_str().to_owned()),
        )
        .with(
            "keySpec",
            found.key_spec.map(|spec| spec.as_str().to_owned()),
        )
        .with(
            "keyState",
            found.key_state.map(|state| state.as_str().to_owned()),
        )
        .with(
            "origin",
            found.origin.map(|origin| origin.as_str().to_owned()),
        ))
}

async fn describe_key(
    target: &Target,
    id: &str,
) -> Result<aws_sdk_kms::types::KeyMetadata, Failure> {
    target
        .kms()
        .describe_key()
        .key_id(id)
        .send()
        .await
        .map_err(refused("kms:DescribeKey"))?
        .key_metadata
        .ok_or_else(|| Failure::whole("`kms:DescribeKey` answered without a key"))
}

async fn parameter(target: &Target, inputs: &Inputs) -> Result<Answer, Failure> {
    let name = inputs.required("name")?;
    let decrypt = inputs.bool("withDecryption")?.unwrap_or(true);
    let found = target
        .ssm()
        .get_parameter()
        .name(&name)
        .with_decryption(decrypt)
        .send()
        .await
        .map_err(refused("ssm:GetParameter"))?
        .parameter
        .ok_or_else(|| Failure::whole("`ssm:GetParameter` answered without a parameter"))?;
    let secure = found.r#type == Some(ParameterType::SecureString);
    let value = Value::from(found.value);
    let version: f64 = found.version.to_string().parse().unwrap_or_default();
    let insecure = if secure {
        Value::text("")
    } else {
        value.clone()
    };
    Ok(Answer::new(name.clone())
        .with("arn", found.arn)
        .with("name", name)
        .with("type", found.r#type.map(|kind| kind.as_str().to_owned()))
        .with("value", value.secret_if(secure))
        .with("insecureValue", insecure)
        .with("version", Value::Number(version))
        .with("withDecryption", decrypt))
}

async fn role(target: &Target, inputs: &Inputs) -> Result<Answer, Failure> {
    let found = target
        .iam()
        .get_role()
        .role_name(inputs.required("name")?)
        .send()
        .await
        .map_err(refused("iam:GetRole"))?
        .role
        .ok_or_else(|| Failure::whole("`iam:GetRole` answered without a role"))?;
    let boundary = found
        .permissions_boundary()
        .and_then(|boundary| boundary.permissions_boundary_arn())
        .unwrap_or_default();
    Ok(Answer::new(found.role_name())
        .with("arn", found.arn())
        .with("name", found.role_name())
        .with("path", found.path())
        .with("uniqueId", found.role_id())
        .with("createDate", found.create_date().to_string())
        .with("permissionsBoundary", boundary)
        .with("description", found.description().unwrap_or_default()))
}

async fn policy(target: &Target, inputs: &Inputs) -> Result<Answer, Failure> {
    let client = target.iam();
    let wanted = inputs.text("arn")?;
    let name = inputs.text("name")?;
    let prefix = inputs.text("pathPrefix")?;
    let arn = match (wanted, name) {
        (Some(arn), _) => arn,
        (None, Some(name)) => {
            let mut pages = client
                .list_policies()
                .set_path_prefix(prefix)
                .into_paginator()
                .items()
                .send();
            let mut found = None;
            while let Some(policy) = pages.next().await {
                let policy = policy.map_err(refused("iam:ListPolicies"))?;
                if policy.policy_name() == Some(name.as_str()) {
                    found = policy.arn;
                    break;
                }
            }
            found.ok_or_else(|| Failure::of("name", format!("there is no policy `{name}`")))?
        }
        (None, None) => return Err(Failure::whole("needs `arn` or `name`")),
    };
    let found = client
        .get_policy()
        .policy_arn(&arn)
        .send()
        .await
        .map_err(refused("iam:GetPolicy"))?
        .policy
        .ok_or_else(|| Failure::whole("`iam:GetPolicy` answered without a policy"))?;
    Ok(Answer::new(arn.clone())
        .with("arn", arn)
        .with("name", found.policy_name)
        .with("path", found.path)
        .with("policyId", found.policy_id)
        .with("description", found.description.unwrap_or_default()))
}

async fn topic(target: &Target, inputs: &Inputs) -> Result<Answer, Failure> {
    let name = inputs.required("name")?;
    let mut pages = target.sns().list_topics().into_paginator().items().send();
    while let Some(topic) = pages.next().await {
        let topic = topic.map_err(refused("sns:ListTopics"))?;
        let arn = topic.topic_arn.unwrap_or_default();
        if arn.rsplit(':').next() == Some(name.as_str()) {
            return Ok(Answer::new(arn.clone()).with("arn", arn).with("name", name));
        }
    }
    Err(Failure::of("name", format!("there is no topic `{name}`")))
}

async fn secret(target: &Target, inputs: &Inputs) -> Result<Answer, Failure> {
    let id = match (inputs.text("arn")?, inputs.text("name")?) {
        (Some(arn), _) => arn,
        (None, Some(name)) => name,
        (None, None) => return Err(Failure::whole("needs `arn` or `name`")),
    };
    let found = target
        .secretsmanager()
        .describe_secret()
        .secret_id(id)
        .send()
        .await
        .map_err(refused("secretsmanager:DescribeSecret"))?;
    Ok(Answer::new(found.arn.clone())
        .with("arn", found.arn)
        .with("name", found.name)
        .with("kmsKeyId", found.kms_key_id.unwrap_or_default())
        .with("description", found.description.unwrap_or_default()))
}

async fn function(target: &Target, inputs: &Inputs) -> Result<Answer, Failure> {
    let name = inputs.required("functionName")?;
    let found = target
        .lambda()
        .get_function_configuration()
        .function_name(&name)
        .set_qualifier(inputs.text("qualifier")?)
        .send()
        .await
        .map_err(refused("lambda:GetFunctionConfiguration"))?;
    Ok(Answer::new(name.clone())
        .with("arn", found.function_arn)
        .with("functionName", name)
        .with("role", found.role)
        .with("handler", found.handler.unwrap_or_default())
        .with("version", found.version)
        .with(
            "runtime",
            found.runtime.map(|runtime| runtime.as_str().to_owned()),
        ))
}

async fn log_group(target: &Target, inputs: &Inputs) -> Result<Answer, Failure> {
    let name = inputs.required("name")?;
    let mut pages = target
        .logs()
        .describe_log_groups()
        .log_group_name_prefix(&name)
        .into_paginator()
        .items()
        .send();
    while let Some(group) = pages.next().await {
        let group = group.map_err(refused("logs:DescribeLogGroups"))?;
        if group.log_group_name() == Some(name.as_str()) {
            let arn = target.arn("logs", &format!("log-group:{name}"));
            return Ok(Answer::new(name.clone())
                .with("arn", arn)
                .with("name", name)
                .with("kmsKeyId", group.kms_key_id.unwrap_or_default()));
        }
    }
    Err(Failure::of(
        "name",
        format!("there is no log group `{name}`"),
    ))
}
