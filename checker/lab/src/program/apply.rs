//! Applies a program: creates its resources through the ordinary AWS clients and computes their outputs.
//!
//! Input: a checked [`Program`] and the configuration of a local endpoint. Output: [`Applied`], which names every
//! resource with its id, its inputs and its place in the file. Resources are created one after the other in dependency
//! order, so that the same program gives the same calls in the same order every time.
//!
//! A resource type or a property that can't be applied is an error at its place. Where the target has no such service
//! (S3), the resource is kept as configuration only and marked so. It never updates, deletes or reads a state, and it
//! refuses any endpoint that isn't on the loopback interface: real accounts belong to `pulumi up`.

mod cloudtrail;
mod document;
mod events;
mod failure;
mod functions;
mod iam;
mod inputs;
mod kms;
mod lambda;
mod logs;
pub(crate) mod plan;
mod secretsmanager;
mod sns;
mod sqs;
mod ssm;
mod stored;
mod target;

use std::collections::BTreeMap;
use std::path::PathBuf;

use aws_types::SdkConfig;
use sha2::Digest as _;

use self::failure::Failure;
use self::inputs::Inputs;
use self::plan::PlanGap;
use self::target::{Endpoint, Target};
use super::error::{Position, Problems, ProgramError, ProgramErrors};
use super::evaluate::{Known, Question, Scope, Stop};
use super::expression::Expr;
use super::schema;
use super::settings::{self, ProviderSettings};
use super::template::Resource;
use super::value::Value;
use super::{Program, positions};

/// What the caller decides about applying.
#[derive(Debug, Clone, Default)]
pub struct ApplyOptions {
    /// The account of the target; twelve digits.
    pub account: String,
    /// The executable that serves a Lambda function whose archive isn't built, as `<executable> lambda serve <name>`.
    /// Without it, a missing archive is an error.
    pub stand_in: Option<PathBuf>,
}

/// A program that was applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The program's name.
    pub program: String,
    /// The stage.
    pub stage: String,
    /// The resources, in the order in which they were created.
    pub resources: Vec<AppliedResource>,
    /// The program's outputs; a secret is [`super::MASKED`].
    pub outputs: BTreeMap<String, serde_json::Value>,
    /// The functions that the checker itself stands in for.
    pub stood_in: Vec<StoodIn>,
    /// What is legal but surely not meant.
    pub lints: Vec<ProgramError>,
    /// What rests on values that are encrypted in the stage's file.
    pub gaps: Vec<PlanGap>,
}

/// A resource that was created.
#[derive(Debug, Clone, PartialEq)]
pub struct AppliedResource {
    /// Its name in the program.
    pub name: String,
    /// `urn:pulumi:<stage>::<program>::<type>::<name>`.
    pub urn: String,
    /// The canonical type token, such as `aws:kms/key:Key`.
    pub kind: String,
    /// The provider's id.
    pub id: String,
    /// Its ARN, if it has one.
    pub arn: Option<String>,
    /// The file.
    pub path: String,
    /// Where its name stands.
    pub position: Position,
    /// Where each of its properties stands.
    pub properties: BTreeMap<String, Position>,
    /// Its inputs; a secret is [`super::MASKED`].
    pub inputs: serde_json::Value,
    /// Inputs and what was computed; a secret is [`super::MASKED`].
    pub outputs: serde_json::Value,
    /// Default and own tags together; `None` for what can't be tagged.
    pub tags: Option<BTreeMap<String, String>>,
    /// True where the target has no such service: nothing was called.
    pub stored_only: bool,
}

/// A Lambda function whose process is the checker itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoodIn {
    /// The resource's name in the program.
    pub resource: String,
    /// The function's name.
    pub function: String,
    /// The archive that isn't built, as the program writes it.
    pub archive: String,
}

/// Why a program wasn't applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The configuration would reach AWS itself.
    #[error(
        "no endpoint is set: a program is applied to a local endpoint only; real accounts belong to `pulumi up`"
    )]
    NoEndpoint,
    /// The configuration would reach another machine.
    #[error(
        "the endpoint `{0}` isn't on the loopback interface; real accounts belong to `pulumi up`"
    )]
    NotLoopback(String),
    /// The program, or what the target says to it.
    #[error(transparent)]
    Program(#[from] ProgramErrors),
}

/// Applies a program to a local endpoint.
///
/// # Errors
/// [`ApplyError::NoEndpoint`] and [`ApplyError::NotLoopback`] before any call; otherwise the first resource that can't
/// be created, with its place.
pub async fn apply(
    program: &Program,
    config: &SdkConfig,
    options: &ApplyOptions,
) -> Result<Applied, ApplyError> {
    let endpoint = Endpoint::of(config)?;
    let mut run = Run {
        program,
        config,
        options,
        endpoint,
        scope: program.scope(false),
        providers: BTreeMap::new(),
        used: BTreeMap::new(),
        applied: Applied {
            program: program.name().to_owned(),
            stage: program.stage().to_owned(),
            resources: Vec::new(),
            outputs: BTreeMap::new(),
            stood_in: Vec::new(),
            lints: Vec::new(),
            gaps: Vec::new(),
        },
    };
    run.check_account(&program.settings.provider, Position::START)?;
    for name in &program.order {
        if let Some((_, expr)) = program.template.variables.get(name) {
            let value = run.value(expr).await?;
            run.scope.variables.insert(name.clone(), value);
        }
        if let Some(resource) = program.template.resources.get(name) {
            run.resource(name, resource).await?;
        }
    }
    for (name, (_, expr)) in &program.template.outputs {
        let value = run.value(expr).await?;
        run.applied.outputs.insert(name.clone(), value.shown());
    }
    run.applied.lints = run.scope.lints.into_sorted();
    Ok(run.applied)
}

/// What creating a resource yields.
#[derive(Debug, Default)]
struct Made {
    id: String,
    outputs: BTreeMap<String, Value>,
    stood_in: Option<(String, String)>,
    stored_only: bool,
}

impl Made {
    fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            ..Self::default()
        }
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.outputs.insert(name.to_owned(), value.into());
        self
    }
}

struct Run<'a> {
    program: &'a Program,
    config: &'a SdkConfig,
    options: &'a ApplyOptions,
    endpoint: Endpoint,
    scope: Scope,
    /// Explicit providers by name.
    providers: BTreeMap<String, ProviderSettings>,
    /// The provider that each resource was created with.
    used: BTreeMap<String, ProviderSettings>,
    applied: Applied,
}

impl Run<'_> {
    /// Evaluates, asking the target whatever the expression asks of the provider.
    async fn value(&mut self, expr: &Expr) -> Result<Value, ProgramErrors> {
        loop {
            match self.scope.evaluate(expr) {
                Ok(value) => return Ok(value),
                Err(stop) => self.answer(stop).await?,
            }
        }
    }

    async fn inputs(
        &mut self,
        resource: &Resource,
    ) -> Result<BTreeMap<String, Value>, ProgramErrors> {
        loop {
            match self.scope.object(&resource.properties) {
                Ok(inputs) => return Ok(self.program.mark_secrets(resource, inputs)),
                Err(stop) => self.answer(stop).await?,
            }
        }
    }

    /// The properties that rest on an encrypted value of the stage: those that are secret by themselves.
    fn encrypted(&mut self, resource: &Resource) -> Vec<String> {
        if !self.program.settings.has_encrypted() {
            return Vec::new();
        }
        let secret = |value: Result<Value, Stop>| value.is_ok_and(|value| value.has_secret());
        let mut found = Vec::new();
        for entry in &resource.properties {
            if secret(self.scope.evaluate(&entry.value)) {
                found.extend(entry.name().map(str::to_owned));
            }
        }
        found
    }

    async fn answer(&mut self, stop: Stop) -> Result<(), ProgramErrors> {
        match stop {
            Stop::Wrong(error) => Err(error.into()),
            Stop::Ask(question) => {
                let provider = match &question.provider {
                    None => self.program.settings.provider.clone(),
                    Some(name) => self
                        .providers
                        .get(name)
                        .cloned()
                        .ok_or_else(|| self.no_provider(question.at, name))?,
                };
                let target = self.target(&provider, &question.arguments, "", BTreeMap::new());
                let answer = functions::ask(&target, &question, &provider.default_tags)
                    .await
                    .map_err(|failure| {
                        self.wrong(question.at, &schema::short(&question.function), failure)
                    })?;
                self.scope.answers.push((*question, answer));
                Ok(())
            }
        }
    }

    async fn resource(&mut self, name: &str, resource: &Resource) -> Result<(), ProgramErrors> {
        if let Some(id) = &resource.get {
            return self.read(name, resource, id).await;
        }
        let inputs = self.inputs(resource).await?;
        let encrypted = self.encrypted(resource);
        if let Some((property, _)) = inputs.iter().find(|(_, value)| value.has_unknown()) {
            let failure = Failure::of(property, "its value can't be known here");
            return Err(self.failed(name, resource, failure));
        }
        let kind = self.program.kind(resource);
        let urn = self.program.urn(name, &kind);
        if kind == schema::PROVIDER {
            if let Some(property) = settings::unsupported(&inputs) {
                let failure = Failure::of(property, "this property isn't applied here");
                return Err(self.failed(name, resource, failure));
            }
            let settings = settings::of_provider(&inputs);
            self.check_account(&settings, resource.at)?;
            self.providers.insert(name.to_owned(), settings);
            let mut made = Made::new(name);
            made.stored_only = true;
            self.record(name, resource, (&kind, &urn), inputs, made, None);
            return Ok(());
        }
        let provider = self.provider(name, resource).await?;
        let spec = self.program.schema.resource(&kind).map(|(_, spec)| spec);
        let taggable = spec.is_some_and(|spec| spec.properties.contains_key("tagsAll"));
        let read = Inputs::new(&self.references_to_ids(&inputs));
        let own_tags = read
            .text_map("tags")
            .map_err(|failure| self.failed(name, resource, failure))?
            .unwrap_or_default();
        let tags = taggable.then(|| {
            let mut tags = provider.default_tags.clone();
            tags.extend(own_tags);
            tags
        });
        let logical = resource.name.as_deref().unwrap_or(name);
        let mut target = self.target(
            &provider,
            &inputs,
            logical,
            tags.clone().unwrap_or_default(),
        );
        target.token = token(&urn);
        read.skip(&["region"]);
        let made = create(&kind, &target, &read).await;
        let mut made =
            made.map_err(|failure| self.failed(name, resource, failure.without_secrets(&inputs)))?;
        if let Some(path) = read.unread().first() {
            let failure = Failure::of(path, "this property isn't applied here")
                .help("take it out, or teach this evaluator to apply it");
            return Err(self.failed(name, resource, failure));
        }
        let known = self.references_to_ids(&inputs);
        let subject = plan::subject(&kind, &target, &known, &made);
        for property in encrypted {
            self.applied.gaps.push(PlanGap {
                name: name.to_owned(),
                declared: format!("program:{}/{name}", self.program.name()),
                kind: kind.clone(),
                subject: subject.clone(),
                property: Some(property),
                why: "rests on a value that is encrypted in the stage's settings".to_owned(),
            });
        }
        if spec.is_some_and(|spec| spec.properties.contains_key("region")) {
            made = made.with("region", target.region.as_str());
        }
        self.record(name, resource, (&kind, &urn), inputs, made, tags);
        Ok(())
    }

    /// Reads what exists already; it is none of the program's resources.
    async fn read(
        &mut self,
        name: &str,
        resource: &Resource,
        id: &Expr,
    ) -> Result<(), ProgramErrors> {
        let kind = self.program.kind(resource);
        let value = self.value(id).await?.reveal();
        let Value::Text(text) = self.reference_to_id(&value) else {
            let failure = Failure::whole("the id of what is read must be a string");
            return Err(self.wrong(id.at, name, failure).into());
        };
        let Some((function, argument, by)) = reading(&kind, &text) else {
            let message = format!(
                "a resource of type `{}` can't be read here",
                schema::short(&kind)
            );
            return Err(self.wrong(id.at, name, Failure::whole(message)).into());
        };
        let provider = self.provider(name, resource).await?;
        let target = self.target(&provider, &BTreeMap::new(), name, BTreeMap::new());
        let question = Question {
            at: id.at,
            function: function.to_owned(),
            arguments: BTreeMap::from([(argument.to_owned(), Value::Text(by))]),
            provider: None,
        };
        let answer = functions::ask(&target, &question, &provider.default_tags)
            .await
            .map_err(|failure| self.wrong(id.at, name, failure))?;
        let mut outputs = answer.as_object().cloned().unwrap_or_default();
        if let Some(function_name) = outputs.get("functionName").cloned() {
            outputs.insert("name".to_owned(), function_name);
        }
        let spec = self.program.schema.resource(&kind).map(|(_, spec)| spec);
        self.scope.resources.insert(
            name.to_owned(),
            Known {
                id: Value::Text(text),
                urn: self.program.urn(name, &kind),
                outputs,
                promised: spec.map(|spec| spec.required.clone()).unwrap_or_default(),
                preview: false,
            },
        );
        Ok(())
    }

    /// Remembers what was created: for expressions that follow, and for the caller.
    fn record(
        &mut self,
        name: &str,
        resource: &Resource,
        (kind, urn): (&str, &str),
        inputs: BTreeMap<String, Value>,
        made: Made,
        tags: Option<BTreeMap<String, String>>,
    ) {
        let shown = Value::Object(inputs.clone()).shown();
        let spec = self.program.schema.resource(kind).map(|(_, spec)| spec);
        let mut outputs = inputs;
        outputs.extend(made.outputs);
        if let Some(tags) = &tags {
            let all = tags
                .iter()
                .map(|(key, value)| (key.clone(), Value::text(value)))
                .collect();
            outputs.insert("tagsAll".to_owned(), Value::Object(all));
        }
        let extra = &resource.options.additional_secret_outputs;
        for (property, value) in &mut outputs {
            let by_schema = spec
                .and_then(|spec| spec.properties.get(property))
                .is_some_and(|property| property.secret);
            if by_schema || extra.contains(property) {
                *value = value.clone().secret_if(true);
            }
        }
        let arn = match outputs.get("arn") {
            Some(Value::Text(arn)) => Some(arn.clone()),
            Some(_) | None => None,
        };
        if let Some((function, archive)) = made.stood_in {
            self.applied.stood_in.push(StoodIn {
                resource: name.to_owned(),
                function,
                archive,
            });
        }
        self.applied.resources.push(AppliedResource {
            name: name.to_owned(),
            urn: urn.to_owned(),
            kind: kind.to_owned(),
            id: made.id.clone(),
            arn,
            path: self.program.shown.clone(),
            position: resource.at,
            properties: positions(resource),
            inputs: shown,
            outputs: Value::Object(outputs.clone()).shown(),
            tags,
            stored_only: made.stored_only,
        });
        self.scope.resources.insert(
            name.to_owned(),
            Known {
                id: Value::Text(made.id),
                urn: urn.to_owned(),
                outputs,
                promised: spec.map(|spec| spec.required.clone()).unwrap_or_default(),
                preview: false,
            },
        );
    }

    /// A whole resource where a string is wanted stands for its id.
    fn references_to_ids(&self, inputs: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
        inputs
            .iter()
            .map(|(name, value)| (name.clone(), self.reference_to_id(value)))
            .collect()
    }

    fn reference_to_id(&self, value: &Value) -> Value {
        match value {
            Value::Resource(other) => match self.scope.resources.get(other) {
                Some(known) => known.id.clone(),
                None => value.clone(),
            },
            Value::List(items) => Value::List(
                items
                    .iter()
                    .map(|item| self.reference_to_id(item))
                    .collect(),
            ),
            Value::Object(entries) => Value::Object(self.references_to_ids(entries)),
            Value::Secret(inner) => self.reference_to_id(inner).secret_if(true),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Integer(_)
            | Value::Text(_)
            | Value::Asset(_)
            | Value::Unknown => value.clone(),
        }
    }

    fn target(
        &self,
        provider: &ProviderSettings,
        inputs: &BTreeMap<String, Value>,
        logical: &str,
        tags: BTreeMap<String, String>,
    ) -> Target {
        let own = match inputs.get("region").map(|value| value.open().0) {
            Some(Value::Text(region)) => Some(region.clone()),
            Some(_) | None => None,
        };
        let region = own
            .or_else(|| provider.region.clone())
            .or_else(|| {
                self.config
                    .region()
                    .map(|region| region.as_ref().to_owned())
            })
            .unwrap_or_else(|| "us-east-1".to_owned());
        Target {
            config: self.config.clone(),
            endpoint: self.endpoint.clone(),
            region,
            account: self.options.account.clone(),
            stand_in: self.options.stand_in.clone(),
            auto_name: auto_name(self.program, logical),
            token: String::new(),
            tags,
        }
    }

    fn check_account(
        &self,
        settings: &ProviderSettings,
        at: Position,
    ) -> Result<(), ProgramErrors> {
        let account = &self.options.account;
        let outside =
            !settings.allowed_accounts.is_empty() && !settings.allowed_accounts.contains(account);
        if outside || settings.forbidden_accounts.contains(account) {
            let message = format!("the provider's settings don't allow the account `{account}`");
            return Err(Problems::of(&self.program.shown)
                .error(at, message, None)
                .into());
        }
        Ok(())
    }

    /// The provider of a resource: its own, its parent's, or the default one.
    async fn provider(
        &mut self,
        name: &str,
        resource: &Resource,
    ) -> Result<ProviderSettings, ProgramErrors> {
        let found = if let Some(expr) = &resource.options.provider {
            let Value::Resource(provider) = self.value(expr).await? else {
                return Err(self.no_provider(expr.at, name).into());
            };
            let Some(settings) = self.providers.get(&provider) else {
                return Err(self.no_provider(expr.at, &provider).into());
            };
            settings.clone()
        } else if let Some(expr) = &resource.options.parent {
            let parent = self.value(expr).await?;
            if let Value::Resource(parent) = parent {
                self.provider_of(&parent)
            } else {
                self.program.settings.provider.clone()
            }
        } else {
            self.program.settings.provider.clone()
        };
        self.used.insert(name.to_owned(), found.clone());
        Ok(found)
    }

    fn provider_of(&self, resource: &str) -> ProviderSettings {
        self.used
            .get(resource)
            .unwrap_or(&self.program.settings.provider)
            .clone()
    }

    fn no_provider(&self, at: Position, name: &str) -> ProgramError {
        self.wrong(at, name, Failure::whole("isn't a provider"))
    }

    fn failed(&self, name: &str, resource: &Resource, failure: Failure) -> ProgramErrors {
        let top = failure
            .property
            .as_deref()
            .map(|path| path.split(['.', '[']).next().unwrap_or(path));
        let at = top
            .and_then(|top| {
                resource
                    .properties
                    .iter()
                    .find(|entry| entry.name() == Some(top))
            })
            .map_or(resource.at, |entry| entry.key.at);
        self.wrong(at, name, failure).into()
    }

    fn wrong(&self, at: Position, name: &str, failure: Failure) -> ProgramError {
        let property = failure
            .property
            .map(|property| format!(" `{property}`:"))
            .unwrap_or_default();
        Problems::of(&self.program.shown).error(
            at,
            format!("`{name}`:{property} {}", failure.message),
            failure.help,
        )
    }
}

/// The function that reads a resource of a type, its argument, and what that is for an id.
fn reading(kind: &str, id: &str) -> Option<(&'static str, &'static str, String)> {
    let (function, argument) = match kind {
        "aws:kms/key:Key" => ("aws:kms/getKey:getKey", "keyId"),
        "aws:kms/alias:Alias" => ("aws:kms/getAlias:getAlias", "name"),
        "aws:iam/role:Role" => ("aws:iam/getRole:getRole", "name"),
        "aws:iam/policy:Policy" => ("aws:iam/getPolicy:getPolicy", "arn"),
        "aws:sns/topic:Topic" => {
            let name = id.rsplit(':').next().unwrap_or(id);
            return Some(("aws:sns/getTopic:getTopic", "name", name.to_owned()));
        }
        "aws:secretsmanager/secret:Secret" => ("aws:secretsmanager/getSecret:getSecret", "arn"),
        "aws:lambda/function:Function" => ("aws:lambda/getFunction:getFunction", "functionName"),
        "aws:cloudwatch/logGroup:LogGroup" => ("aws:cloudwatch/getLogGroup:getLogGroup", "name"),
        "aws:ssm/parameter:Parameter" => ("aws:ssm/getParameter:getParameter", "name"),
        _ => return None,
    };
    Some((function, argument, id.to_owned()))
}

/// Creates a resource of a canonical type.
async fn create(kind: &str, target: &Target, inputs: &Inputs) -> Result<Made, Failure> {
    match kind {
        "aws:cloudtrail/trail:Trail" => cloudtrail::trail(target, inputs).await,
        "aws:cloudwatch/eventRule:EventRule" => events::rule(target, inputs).await,
        "aws:cloudwatch/eventTarget:EventTarget" => events::rule_target(target, inputs).await,
        "aws:cloudwatch/logGroup:LogGroup" => logs::log_group(target, inputs).await,
        "aws:cloudwatch/logResourcePolicy:LogResourcePolicy" => {
            logs::log_resource_policy(target, inputs).await
        }
        "aws:cloudwatch/logStream:LogStream" => logs::log_stream(target, inputs).await,
        "aws:cloudwatch/metricAlarm:MetricAlarm" => stored::alarm(target, inputs),
        "aws:iam/policy:Policy" => iam::policy(target, inputs).await,
        "aws:iam/role:Role" => iam::role(target, inputs).await,
        "aws:iam/rolePolicy:RolePolicy" => iam::role_policy(target, inputs).await,
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment" => {
            iam::role_policy_attachment(target, inputs).await
        }
        "aws:kms/alias:Alias" => kms::alias(target, inputs).await,
        "aws:kms/key:Key" => kms::key(target, inputs).await,
        "aws:kms/keyPolicy:KeyPolicy" => kms::key_policy(target, inputs).await,
        "aws:lambda/alias:Alias" => lambda::alias(target, inputs).await,
        "aws:lambda/function:Function" => lambda::function(target, inputs).await,
        "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig" => {
            lambda::event_invoke_config(target, inputs).await
        }
        "aws:lambda/permission:Permission" => lambda::permission(target, inputs).await,
        "aws:secretsmanager/secret:Secret" => secretsmanager::secret(target, inputs).await,
        "aws:secretsmanager/secretPolicy:SecretPolicy" => {
            secretsmanager::secret_policy(target, inputs).await
        }
        "aws:secretsmanager/secretRotation:SecretRotation" => {
            secretsmanager::secret_rotation(target, inputs).await
        }
        "aws:secretsmanager/secretVersion:SecretVersion" => {
            secretsmanager::secret_version(target, inputs).await
        }
        "aws:sns/topic:Topic" => sns::topic(target, inputs).await,
        "aws:sns/topicPolicy:TopicPolicy" => sns::topic_policy(target, inputs).await,
        "aws:sns/topicSubscription:TopicSubscription" => sns::subscription(target, inputs).await,
        "aws:sqs/queue:Queue" => sqs::queue(target, inputs).await,
        "aws:sqs/queuePolicy:QueuePolicy" => sqs::queue_policy(target, inputs).await,
        "aws:ssm/parameter:Parameter" => ssm::parameter(target, inputs).await,
        "aws:iam/rolePoliciesExclusive:RolePoliciesExclusive" => {
            iam::only_these_policies(target, inputs).await
        }
        "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive" => {
            iam::only_these_attachments(target, inputs).await
        }
        "aws:cloudwatch/eventArchive:EventArchive"
        | "aws:cloudwatch/eventBus:EventBus"
        | "aws:cloudwatch/eventBusPolicy:EventBusPolicy"
        | "aws:cloudwatch/eventPermission:EventPermission"
        | "aws:cloudwatch/logDataProtectionPolicy:LogDataProtectionPolicy"
        | "aws:cloudwatch/logMetricFilter:LogMetricFilter"
        | "aws:cloudwatch/logSubscriptionFilter:LogSubscriptionFilter"
        | "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream"
        | "aws:lambda/invocation:Invocation" => stored::other(kind, target, inputs),
        "aws:s3/bucket:Bucket" | "aws:s3/bucketV2:BucketV2" => stored::bucket(target, inputs),
        part if part.starts_with("aws:s3/bucket") => stored::bucket_part(inputs),
        other => Err(Failure::whole(format!(
            "resources of type `{}` can't be applied here",
            schema::short(other)
        ))),
    }
}

/// The name of a resource without one: Pulumi adds seven random hexadecimal digits, here they are derived.
fn auto_name(program: &Program, logical: &str) -> String {
    let digest = digest(&program.urn(logical, "name"));
    let suffix: String = digest.chars().take(7).collect();
    format!("{logical}-{suffix}")
}

/// A UUID derived from a resource's name.
fn token(urn: &str) -> String {
    let digits = digest(urn);
    let part =
        |from: usize, length: usize| -> String { digits.chars().skip(from).take(length).collect() };
    format!(
        "{}-{}-4{}-8{}-{}",
        part(0, 8),
        part(8, 4),
        part(12, 3),
        part(15, 3),
        part(18, 12)
    )
}

/// SHA-256 in hexadecimal.
fn digest(text: &str) -> String {
    let mut out = String::new();
    for byte in sha2::Sha256::digest(text.as_bytes()) {
        out.extend(
            [byte >> 4, byte & 15]
                .into_iter()
                .filter_map(|digit| char::from_digit(digit.into(), 16)),
        );
    }
    out
}
