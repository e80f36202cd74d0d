//! Where a program is applied: clients for one region of a local endpoint, and nothing else.
//!
//! [`Endpoint::of`] is the fence: without an endpoint, or with one that isn't on the loopback interface, there are no
//! clients. Every client gets the endpoint set explicitly, so that no setting of the environment can send it elsewhere.

use std::net::IpAddr;
use std::path::PathBuf;

use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_types::SdkConfig;
use aws_types::region::Region;

use super::ApplyError;
use super::failure::Failure;
use super::inputs::Inputs;

/// A loopback endpoint.
#[derive(Debug, Clone)]
pub(super) struct Endpoint(String);

impl Endpoint {
    /// The endpoint of a configuration, if it is on this machine.
    pub(super) fn of(config: &SdkConfig) -> Result<Self, ApplyError> {
        let url = config.endpoint_url().ok_or(ApplyError::NoEndpoint)?;
        let refused = || ApplyError::NotLoopback(url.to_owned());
        let uri: http::Uri = url.parse().map_err(|_| refused())?;
        let host = uri.host().ok_or_else(refused)?;
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        let local = host == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        if local {
            Ok(Self(url.to_owned()))
        } else {
            Err(refused())
        }
    }
}

/// Everything that creating one resource needs besides its inputs.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) config: SdkConfig,
    pub(super) endpoint: Endpoint,
    pub(super) region: String,
    pub(super) account: String,
    /// The program of this checker, which can stand in for a Lambda function that isn't built.
    pub(super) stand_in: Option<PathBuf>,
    /// The physical name for a resource that has none: its own with a suffix that is the same every time.
    pub(super) auto_name: String,
    /// A token for calls that AWS recognises when they are repeated; the same every time.
    pub(super) token: String,
    /// Default tags and own tags together.
    pub(super) tags: std::collections::BTreeMap<String, String>,
}

macro_rules! clients {
    ($($name:ident: $service:ident),* $(,)?) => {
        impl Target {
            $(
                pub(super) fn $name(&self) -> $service::Client {
                    let config = $service::config::Builder::from(&self.config)
                        .endpoint_url(self.endpoint.0.clone())
                        .region(Region::new(self.region.clone()))
                        .behavior_version(BehaviorVersion::latest())
                        .build();
                    $service::Client::from_conf(config)
                }
            )*
        }
    };
}

clients! {
    cloudtrail: aws_sdk_cloudtrail,
    events: aws_sdk_eventbridge,
    iam: aws_sdk_iam,
    kms: aws_sdk_kms,
    lambda: aws_sdk_lambda,
    logs: aws_sdk_cloudwatchlogs,
    secretsmanager: aws_sdk_secretsmanager,
    sns: aws_sdk_sns,
    sqs: aws_sdk_sqs,
    ssm: aws_sdk_ssm,
    sts: aws_sdk_sts,
}

/// Defines `tags`: the target's tags as a service's own type, whose builder names its two parts differently by service.
macro_rules! tag_list {
    ($tag:ident, $key:ident, $value:ident) => {
        fn tags(target: &Target) -> Result<Option<Vec<$tag>>, Failure> {
            if target.tags.is_empty() {
                return Ok(None);
            }
            target
                .tags
                .iter()
                .map(|(key, value)| {
                    $tag::builder()
                        .$key(key)
                        .$value(value)
                        .build()
                        .map_err(|_| Failure::of("tags", "a tag needs a key and a value"))
                })
                .collect::<Result<_, _>>()
                .map(Some)
        }
    };
}
pub(super) use tag_list;

impl Target {
    /// The physical name: given, or derived as Pulumi does.
    pub(super) fn name(&self, inputs: &Inputs) -> Result<String, Failure> {
        if let Some(name) = inputs.text("name")? {
            return Ok(name);
        }
        Ok(match inputs.text("namePrefix")? {
            Some(prefix) => format!("{prefix}{}", self.auto_name),
            None => self.auto_name.clone(),
        })
    }

    /// `arn:aws:<service>:<region>:<account>:<rest>`.
    pub(super) fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{rest}", self.region, self.account)
    }
}
