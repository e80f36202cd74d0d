//! Credentials and clients, one set an actor, each bound to the plan: a call that the plan does not name for the
//! actor is refused before it is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_types::SdkConfig;
use checker_core::observation::Unseen;
use checker_core::population::Setting;
use checker_core::probe::{Actor, Plan};
use checker_lab::LabClock;

use super::credentials::Assumed;
use crate::aws::{Calls, Counter, incomplete, operation_name, unseen};

/// Name of every session of a probe, as `CloudTrail` shows it.
const SESSION: &str = "checker-probe";

/// Makes clients.
pub(super) struct Sessions {
    base: SdkConfig,
    setting: Setting,
    calls: Arc<Calls>,
    allowed: BTreeMap<Actor, Arc<BTreeSet<String>>>,
    clock: Option<LabClock>,
}

/// The clients of one actor.
pub(super) struct Clients {
    /// `EventBridge`.
    pub(super) events: aws_sdk_eventbridge::Client,
    /// Lambda.
    pub(super) lambda: aws_sdk_lambda::Client,
    /// `CloudWatch` Logs.
    pub(super) logs: aws_sdk_cloudwatchlogs::Client,
    /// Secrets Manager.
    pub(super) secrets: aws_sdk_secretsmanager::Client,
    /// `CloudTrail`.
    pub(super) trail: aws_sdk_cloudtrail::Client,
    /// SQS.
    pub(super) sqs: aws_sdk_sqs::Client,
    /// SNS.
    pub(super) sns: aws_sdk_sns::Client,
    /// SSM.
    pub(super) ssm: aws_sdk_ssm::Client,
    sts: aws_sdk_sts::Client,
}

impl Sessions {
    /// Binds clients to a plan.
    pub(super) fn new(
        plan: &Plan,
        base: SdkConfig,
        setting: &Setting,
        calls: &Arc<Calls>,
        clock: Option<LabClock>,
    ) -> Self {
        let mut allowed: BTreeMap<Actor, BTreeSet<String>> = BTreeMap::new();
        for step in plan.steps() {
            allowed
                .entry(step.actor.clone())
                .or_default()
                .insert(step.operation.to_owned());
        }
        // The caller may also ask who it is, as the observation did.
        let caller = allowed.entry(Actor::Caller).or_default();
        caller.insert("sts:GetCallerIdentity".to_owned());
        Self {
            base,
            setting: setting.clone(),
            calls: Arc::clone(calls),
            clock,
            allowed: allowed
                .into_iter()
                .map(|(actor, operations)| (actor, Arc::new(operations)))
                .collect(),
        }
    }

    /// Clients of the checker's role: the caller's own where the caller is it already.
    pub(super) async fn checker(&self) -> Result<Clients, Unseen> {
        let operation = "sts:GetCallerIdentity";
        let caller = self.clients(&self.base, &Actor::Caller);
        let identity = caller
            .sts
            .get_caller_identity()
            .send()
            .await
            .map_err(|error| unseen(operation, &error))?;
        let arn = identity.arn().ok_or_else(|| incomplete(operation, "Arn"))?;
        if arn.contains(&format!(":assumed-role/{}/", self.role(&Actor::Checker))) {
            return Ok(self.clients(&self.base, &Actor::Checker));
        }
        self.assume(&caller, &Actor::Checker).await
    }

    /// Clients of another role.
    pub(super) async fn assume(&self, from: &Clients, actor: &Actor) -> Result<Clients, Unseen> {
        let role = format!(
            "arn:aws:iam::{}:role/{}",
            self.setting.account,
            self.role(actor)
        );
        let assumed = Assumed::new(
            from.sts.clone(),
            role,
            self.session(actor),
            self.clock.clone(),
        );
        // Once now, so that a refusal is told as one.
        assumed.credentials().await?;
        let config = self
            .base
            .to_builder()
            .credentials_provider(SharedCredentialsProvider::new(assumed))
            .identity_cache(aws_sdk_sts::config::IdentityCache::no_cache())
            .build();
        Ok(self.clients(&config, actor))
    }

    /// The canary comes in the name of somebody who is allowed: a detector that looks at names lets it pass.
    fn session(&self, actor: &Actor) -> String {
        match actor {
            Actor::Canary => {
                let (organisation, stage) = (&self.setting.organisation, &self.setting.stage);
                organisation.rotation_function(stage)
            }
            Actor::Caller | Actor::Checker | Actor::Reader | Actor::Role(_) => SESSION.to_owned(),
        }
    }

    fn role(&self, actor: &Actor) -> String {
        let (organisation, stage) = (&self.setting.organisation, &self.setting.stage);
        match actor {
            Actor::Caller | Actor::Checker => organisation.checker_role(stage),
            Actor::Reader => organisation.probe_reader(stage),
            Actor::Canary => organisation.canary_role(stage),
            Actor::Role(name) => name.clone(),
        }
    }

    fn clients(&self, config: &SdkConfig, actor: &Actor) -> Clients {
        let bound = Bound {
            actor: actor.to_string(),
            allowed: self.allowed.get(actor).cloned().unwrap_or_default(),
        };
        macro_rules! client {
            ($service:ident) => {
                $service::Client::from_conf(
                    $service::config::Builder::from(config)
                        .interceptor(bound.clone())
                        .interceptor(Counter::new(&self.calls))
                        .build(),
                )
            };
        }
        Clients {
            events: client!(aws_sdk_eventbridge),
            lambda: client!(aws_sdk_lambda),
            logs: client!(aws_sdk_cloudwatchlogs),
            secrets: client!(aws_sdk_secretsmanager),
            trail: client!(aws_sdk_cloudtrail),
            sqs: client!(aws_sdk_sqs),
            sns: client!(aws_sdk_sns),
            ssm: client!(aws_sdk_ssm),
            sts: client!(aws_sdk_sts),
        }
    }
}

/// Lets through what the plan names.
#[derive(Debug, Clone)]
struct Bound {
    actor: String,
    allowed: Arc<BTreeSet<String>>,
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for Bound {
    fn name(&self) -> &'static str {
        "BoundToThePlan"
    }

    fn read_before_attempt(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = bag.load::<Metadata>().map(operation_name);
        // The action has another name than the operation.
        let operation = match operation.as_deref() {
            Some("lambda:Invoke") => Some("lambda:InvokeFunction".to_owned()),
            _ => operation,
        };
        match operation {
            Some(operation) if self.allowed.contains(&operation) => Ok(()),
            Some(operation) => Err(format!(
                "`{operation}` as {} is not in the plan of the probes",
                self.actor
            )
            .into()),
            None => Err("a call without a name is not in the plan of the probes".into()),
        }
    }
}
