//! What a call needs: actions on resources, its own first.

use serde_json::Value;

use crate::service::Call;
use crate::world::World;

/// One permission that a call needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Need {
    /// `secretsmanager:GetSecretValue`
    pub(crate) action: String,
    /// The resource's ARN, or `*`.
    pub(crate) resource: String,
    /// The secret on whose behalf a key is used, through Secrets Manager.
    pub(crate) through: Option<String>,
}

impl Need {
    fn new(action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self {
            action: action.into(),
            resource: resource.into(),
            through: None,
        }
    }
}

/// All that a call needs.
pub(crate) fn of(world: &World, call: &Call<'_>) -> Vec<Need> {
    let name = match (call.service, call.operation) {
        ("lambda", "Invoke") => "InvokeFunction",
        (_, operation) => operation,
    };
    let action = format!("{}:{name}", call.service);
    let mut needs: Vec<Need> = resources(world, call)
        .into_iter()
        .map(|resource| Need::new(action.clone(), resource))
        .collect();
    match call.service {
        "secretsmanager" => secrets(world, call, &mut needs),
        "kms" => {
            // Both the alias and the key that it names.
            if let Some(target) = call.text("TargetKeyId") {
                needs.push(Need::new(action, key(world, call, target)));
            }
        }
        "lambda" | "events" => {
            let role = call.text("Role").or_else(|| call.text("RoleArn"));
            if let Some(role) = role {
                needs.push(Need::new("iam:PassRole", role));
            }
        }
        _ => {}
    }
    needs
}

/// What Secrets Manager does with the caller's rights.
fn secrets(world: &World, call: &Call<'_>, needs: &mut Vec<Need>) {
    let state = &world.secretsmanager;
    let known = call
        .text("SecretId")
        .and_then(|id| state.arn_of(call.region, id))
        .and_then(|arn| state.get(arn));
    let arn = known.map_or_else(
        || {
            resources(world, call)
                .into_iter()
                .next()
                .unwrap_or_default()
        },
        |secret| secret.arn.to_string(),
    );
    let given = call.text("KmsKeyId").filter(|key| !key.is_empty());
    let own = given.or_else(|| known.and_then(|secret| secret.key.as_deref()));
    let writes = call.input.contains_key("SecretString") || call.input.contains_key("SecretBinary");
    let uses: &[&str] = match call.operation {
        "GetSecretValue" => &["kms:Decrypt"],
        "PutSecretValue" | "CreateSecret" | "UpdateSecret" if writes => {
            &["kms:GenerateDataKey", "kms:Decrypt"]
        }
        _ => &[],
    };
    // AWS's own key lets every principal of the account use it through the service.
    if let Some(own) = own {
        for action in uses {
            needs.push(Need {
                through: Some(arn.clone()),
                ..Need::new(*action, key(world, call, own))
            });
        }
    }
    if call.operation == "RotateSecret" {
        let function = call
            .text("RotationLambdaARN")
            .or_else(|| known.and_then(|secret| secret.rotation.function.as_deref()));
        if let Some(function) = function {
            needs.push(Need::new("lambda:InvokeFunction", function));
        }
    }
    if call.operation == "BatchGetSecretValue" && !call.list("Filters").is_empty() {
        needs.push(Need::new("secretsmanager:ListSecrets", "*"));
    }
}

/// The resources of a call's own action.
fn resources(world: &World, call: &Call<'_>) -> Vec<String> {
    let text = |members: &[&str]| members.iter().find_map(|member| call.text(member));
    let one = match call.service {
        "secretsmanager" => match (call.text("SecretId"), call.operation) {
            (Some(id), _) => Some(secret(world, call, id)),
            (None, "CreateSecret") => {
                let name = call.text("Name").unwrap_or_default();
                Some(call.arn(&format!("secret:{name}-xxxxxx")))
            }
            (None, _) => None,
        },
        "kms" => match text(&["KeyId", "AliasName"]) {
            Some(alias) if call.operation.ends_with("Alias") => Some(call.arn(alias)),
            Some(id) => Some(key(world, call, id)),
            None if call.operation == "Decrypt" => crate::kms::key_of(world, call),
            None => None,
        },
        "lambda" => match text(&["FunctionName", "Resource"]) {
            Some(arn) if arn.starts_with("arn:") => {
                Some(arn.trim_end_matches(":$LATEST").to_owned())
            }
            Some(name) => {
                let name = name.rsplit(":function:").next().unwrap_or(name);
                let name = name.split(':').next().unwrap_or(name);
                Some(call.arn(&format!("function:{name}")))
            }
            None => None,
        },
        "iam" => iam(call),
        "sts" => call.text("RoleArn").map(str::to_owned),
        "logs" => log_group(call),
        "events" => match text(&["Rule", "Name", "ResourceARN"]) {
            Some(arn) if arn.starts_with("arn:") => Some(arn.to_owned()),
            Some(_) if call.operation == "DescribeEventBus" => Some(call.arn("event-bus/default")),
            Some(name) => Some(call.arn(&format!("rule/{name}"))),
            None if call.operation == "PutEvents" => Some(call.arn("event-bus/default")),
            None => None,
        },
        "sns" => match text(&["TopicArn", "TargetArn", "ResourceArn", "SubscriptionArn"]) {
            // A subscription's ARN is its topic's and one more part.
            Some(arn) => Some(arn.split(':').take(6).collect::<Vec<_>>().join(":")),
            None => call.text("Name").map(|name| call.arn(name)),
        },
        "sqs" => text(&["QueueUrl", "QueueName"])
            .and_then(|text| text.rsplit('/').next())
            .map(|name| call.arn(name)),
        "ssm" => return parameters(call),
        "cloudtrail" => match text(&["Name", "TrailName", "ResourceId"]) {
            Some(arn) if arn.starts_with("arn:") => Some(arn.to_owned()),
            Some(name) => Some(call.arn(&format!("trail/{name}"))),
            None => None,
        },
        "cloudwatch" => call
            .text("AlarmName")
            .map(|name| call.arn(&format!("alarm:{name}"))),
        _ => None,
    };
    vec![one.unwrap_or_else(|| "*".to_owned())]
}

fn secret(world: &World, call: &Call<'_>, id: &str) -> String {
    let known = world.secretsmanager.arn_of(call.region, id);
    match known {
        Some(arn) => arn.to_owned(),
        None if id.starts_with("arn:") => id.to_owned(),
        None => call.arn(&format!("secret:{id}")),
    }
}

fn key(world: &World, call: &Call<'_>, id: &str) -> String {
    match world.kms.arn_of(call.region, call.account, id) {
        Some(arn) => arn.to_owned(),
        None if id.starts_with("arn:") => id.to_owned(),
        None => format!("arn:aws:kms:{}:{}:key/{id}", call.region, call.account),
    }
}

fn iam(call: &Call<'_>) -> Option<String> {
    let arn = |kind: &str, name: &str| format!("arn:aws:iam::{}:{kind}/{name}", call.account);
    let path = call.text("Path").unwrap_or("/").trim_start_matches('/');
    // Attaching is decided on who gets the policy, not on the policy.
    if let Some(role) = call.text("RoleName") {
        return Some(arn("role", &format!("{path}{role}")));
    }
    if let Some(user) = call.text("UserName") {
        return Some(arn("user", &format!("{path}{user}")));
    }
    if let Some(given) = call
        .text("PolicyArn")
        .or_else(|| call.text("PolicySourceArn"))
    {
        return Some(given.to_owned());
    }
    let created = call.operation == "CreatePolicy";
    created
        .then(|| call.text("PolicyName"))
        .flatten()
        .map(|name| arn("policy", &format!("{path}{name}")))
}

fn log_group(call: &Call<'_>) -> Option<String> {
    let given = ["logGroupName", "logGroupIdentifier", "resourceArn"]
        .iter()
        .find_map(|member| call.text(member))?;
    if given.starts_with("arn:") {
        return Some(given.to_owned());
    }
    Some(match call.text("logStreamName") {
        Some(stream) => call.arn(&format!("log-group:{given}:log-stream:{stream}")),
        None => call.arn(&format!("log-group:{given}:*")),
    })
}

fn parameters(call: &Call<'_>) -> Vec<String> {
    let single = ["Name", "ResourceId", "Path"]
        .iter()
        .find_map(|member| call.text(member));
    let many = call.list("Names").iter().filter_map(Value::as_str);
    let names: Vec<&str> = single.into_iter().chain(many).collect();
    if names.is_empty() {
        return vec!["*".to_owned()];
    }
    names
        .into_iter()
        .map(|name| call.arn(&format!("parameter/{}", name.trim_start_matches('/'))))
        .collect()
}
