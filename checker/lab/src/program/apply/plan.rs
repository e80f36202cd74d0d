//! Puts a plan into the lab, as far as it is known, and says what is not.
//!
//! Input: [`Plan`]s and a fresh lab of their account and region. Output: [`AppliedPlan`]: what was made, and a
//! [`PlanGap`] for every property and every resource that was left out. An unknown property is left out, so whatever the
//! lab then says of it means nothing: the gap tells the judge. Nothing is refused here, because a plan names things of
//! other stacks; what can't be made is a gap, with the reason.
//!
//! Names that AWS drew at random before (key ids, the end of a secret's ARN) are given to the lab; other identifiers of
//! what exists already are replaced in everything that follows by those that the lab drew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use aws_types::SdkConfig;

use super::failure::Failure;
use super::inputs::Inputs;
use super::target::{Endpoint, Target};
use super::{AppliedResource, ApplyError, ApplyOptions, Made, create, digest, iam, token};
use crate::Lab;
use crate::program::preview::{Plan, Planned, STACK, collect, is_default_provider};
use crate::program::schema::Schema;
use crate::program::settings::{self, ProviderSettings};
use crate::program::value::{Asset, Value};

const FUNCTION: &str = "aws:lambda/function:Function";
const KEY: &str = "aws:kms/key:Key";
const SECRET: &str = "aws:secretsmanager/secret:Secret";
const VERSION: &str = "aws:secretsmanager/secretVersion:SecretVersion";
const PARAMETER: &str = "aws:ssm/parameter:Parameter";

/// Properties that name something which another stack may hold. Without one of them the rest can still be made.
const REFERENCES: [&str; 7] = [
    "kmsKeyId",
    "kmsMasterKeyId",
    "kmsKeyArn",
    "permissionsBoundary",
    "deadLetterConfig",
    "managedPolicyArns",
    "role",
];

/// Properties that name something which the lab doesn't look for: it may be of another stack all the same.
const NAMES: [(&str, &str); 6] = [
    ("aws:cloudwatch/eventTarget:EventTarget", "arn"),
    ("aws:cloudwatch/eventTarget:EventTarget", "deadLetterConfig"),
    (
        "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
        "destinationConfig",
    ),
    ("aws:sns/topicSubscription:TopicSubscription", "endpoint"),
    ("aws:cloudwatch/logGroup:LogGroup", "kmsKeyId"),
    (SECRET, "kmsKeyId"),
];

/// Required properties with what stands in for an unknown one, so that the rest of the resource can be judged.
const STAND_INS: [(&str, &str, &str); 3] = [
    (VERSION, "secretString", "unknown"),
    (PARAMETER, "value", "unknown"),
    (
        "aws:cloudwatch/eventRule:EventRule",
        "eventPattern",
        r#"{"source":["plan.unknown"]}"#,
    ),
];

/// The path of the role that stands in for one that isn't known; it is no principal of the plan.
const STAND_IN_PATH: &str = "/plan-stand-in/";

/// Plans that were put into a lab.
#[derive(Debug, Default)]
pub struct AppliedPlan {
    /// What was made, in the order of the plans.
    pub resources: Vec<AppliedResource>,
    /// What was left out.
    pub gaps: Vec<PlanGap>,
    /// ARNs of what the deploy deletes.
    pub deleted: Vec<String>,
    /// Places that hold, or would hold, the value of a secret: resource, why, `file:line:column`.
    pub secrets: Vec<(String, String, String)>,
}

/// Something of a plan that is not in the lab.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlanGap {
    /// The resource's name in its program.
    pub name: String,
    /// `program:<project>/<name>`.
    pub declared: String,
    /// The canonical type token.
    pub kind: String,
    /// ARN of what the resource is or belongs to, where that is known.
    pub subject: Option<String>,
    /// The property; `None` where the whole resource was left out.
    pub property: Option<String>,
    /// Why: a fragment that follows the name.
    pub why: String,
}

/// Puts plans into a lab, one after the other.
///
/// # Errors
/// When the lab can't be reached. What a plan holds is no error.
pub async fn apply_plan(
    plans: &[Plan],
    lab: &Lab,
    options: &ApplyOptions,
) -> Result<AppliedPlan, ApplyError> {
    let config = lab.sdk_config();
    let endpoint = Endpoint::of(&config)?;
    let schema = Schema::embedded()?;
    let mut made = AppliedPlan::default();
    let mut renames = Vec::new();
    let mut named = Vec::new();
    for plan in plans {
        let mut work = Work {
            plan,
            lab,
            config: &config,
            endpoint: &endpoint,
            options,
            schema,
            providers: BTreeMap::new(),
            renames: std::mem::take(&mut renames),
            named: &mut named,
            made: &mut made,
        };
        work.default_provider();
        for planned in &plan.resources {
            work.resource(planned).await;
        }
        for gone in &plan.deleted {
            work.deleted(gone);
        }
        renames = work.renames;
    }
    let there: BTreeSet<&str> = made
        .resources
        .iter()
        .filter_map(|resource| resource.arn.as_deref())
        .collect();
    for (gap, arn) in named {
        if !there.contains(arn.as_str()) {
            made.gaps.push(gap);
        }
    }
    made.gaps.sort();
    made.gaps.dedup();
    Ok(made)
}

/// What a provider does to its resources, and whether its default tags are not known.
#[derive(Debug, Clone, Default)]
struct Provider {
    settings: ProviderSettings,
    unknown_tags: bool,
}

struct Work<'a> {
    plan: &'a Plan,
    lab: &'a Lab,
    config: &'a SdkConfig,
    endpoint: &'a Endpoint,
    options: &'a ApplyOptions,
    schema: &'static Schema,
    /// By URN; the default one under the empty name.
    providers: BTreeMap<String, Provider>,
    /// Identifiers of what exists and what the lab calls it, longest first.
    renames: Vec<(String, String)>,
    /// What resources name, each with the gap that it is where that is not in the plans.
    named: &'a mut Vec<(PlanGap, String)>,
    made: &'a mut AppliedPlan,
}

impl Work<'_> {
    fn default_provider(&mut self) {
        let mut inputs = BTreeMap::new();
        for (name, value) in &self.plan.config {
            if let Some(name) = name.strip_prefix("aws:") {
                inputs.insert(name.to_owned(), value.clone());
            }
            if value.has_secret() {
                self.made.secrets.push((
                    name.clone(),
                    "a config value that is marked secret".to_owned(),
                    format!("{}:1:1", self.plan.path()),
                ));
            }
        }
        self.providers.insert(String::new(), provider(&inputs));
    }

    async fn resource(&mut self, planned: &Planned) {
        if planned.kind == STACK || !planned.custom || planned.read {
            return;
        }
        if planned.is_provider() {
            let found = provider(&planned.inputs);
            for (name, value) in &planned.inputs {
                if value.has_unknown() && name == "region" {
                    self.gap(planned, Some(name), None, UNTIL_DEPLOYED);
                }
            }
            self.providers.insert(planned.urn.clone(), found);
            return;
        }
        self.secrets(planned);
        let of = match &planned.provider {
            Some(urn) if !is_default_provider(urn) => urn.as_str(),
            Some(_) | None => "",
        };
        let provider = self.providers.get(of).cloned().unwrap_or_default();
        let mut open = BTreeMap::new();
        let known = self.known(planned, &mut open);
        if provider.unknown_tags && self.is_taggable(&planned.kind) {
            let why = "may get default tags that are known only once it is deployed";
            open.insert("tags".to_owned(), why.to_owned());
        }
        let subject = match self.make(planned, &provider, known, &mut open).await {
            Ok(subject) => subject,
            Err(failure) => {
                let why = match open.keys().next() {
                    Some(property) => format!(
                        "could not be made in the lab without `{property}`: {}",
                        failure.message
                    ),
                    None => format!("could not be made in the lab: {}", failure.message),
                };
                self.gap(planned, None, None, &why);
                return;
            }
        };
        for (property, why) in open {
            self.gap(planned, Some(&property), subject.clone(), &why);
        }
    }

    /// The inputs that are known, with the identifiers that the lab uses; the others go into `open`.
    fn known(
        &self,
        planned: &Planned,
        open: &mut BTreeMap<String, String>,
    ) -> BTreeMap<String, Value> {
        let mut known = BTreeMap::new();
        for (name, value) in &planned.inputs {
            if name == "tagsAll" {
                continue;
            }
            if value.has_unknown() {
                let why = if value.has_secret() {
                    "is a secret in the preview"
                } else {
                    UNTIL_DEPLOYED
                };
                open.insert(name.clone(), why.to_owned());
                if let ("tags", Value::Object(tags)) = (name.as_str(), value) {
                    let rest = tags.iter().filter(|(_, value)| !value.has_unknown());
                    let rest = rest.map(|(key, value)| (key.clone(), value.clone()));
                    known.insert(name.clone(), Value::Object(rest.collect()));
                }
            } else {
                known.insert(name.clone(), self.renamed(value));
            }
        }
        for (kind, property, text) in STAND_INS {
            if planned.kind == kind && open.contains_key(property) {
                known.insert(property.to_owned(), Value::text(text));
            }
        }
        known
    }

    /// Makes it; leaves out references to other stacks until it can be made. Returns what the resource belongs to.
    async fn make(
        &mut self,
        planned: &Planned,
        provider: &Provider,
        mut known: BTreeMap<String, Value>,
        open: &mut BTreeMap<String, String>,
    ) -> Result<Option<String>, Failure> {
        let own = match known.get("tags") {
            Some(Value::Object(tags)) => tags
                .iter()
                .map(|(key, value)| (key.clone(), value.interpolated()))
                .collect(),
            Some(_) | None => BTreeMap::new(),
        };
        let tags = self.is_taggable(&planned.kind).then(|| {
            let mut tags = provider.settings.default_tags.clone();
            tags.extend(own);
            tags
        });
        let target = self.target(planned, provider, &known, tags.clone().unwrap_or_default());
        if planned.kind == FUNCTION {
            self.stand_in(&target, &mut known, open).await;
        }
        let mut tried = self.create(planned, &target, &known).await;
        for reference in REFERENCES {
            if tried.is_ok() {
                break;
            }
            let Some(left_out) = known.remove(reference) else {
                continue;
            };
            if planned.kind == FUNCTION && reference == "role" {
                self.stand_in(&target, &mut known, open).await;
            }
            tried = self.create(planned, &target, &known).await;
            if tried.is_ok() {
                let why = "names something that is not in the preview";
                open.insert(reference.to_owned(), why.to_owned());
            } else if planned.kind != FUNCTION || reference != "role" {
                known.insert(reference.to_owned(), left_out);
            }
        }
        let (made, unread) = tried?;
        for property in unread {
            open.entry(property)
                .or_insert_with(|| "is not kept by the lab".to_owned());
        }
        let subject = subject(&planned.kind, &target, &known, &made);
        self.note_names(planned, &known, subject.as_deref());
        self.record(planned, made, tags);
        Ok(subject)
    }

    /// What was made, and the properties that the lab doesn't keep.
    async fn create(
        &self,
        planned: &Planned,
        target: &Target,
        known: &BTreeMap<String, Value>,
    ) -> Result<(Made, BTreeSet<String>), Failure> {
        let (key, suffix) = drawn(planned);
        self.lab.decide_ids(key, suffix);
        let inputs = Inputs::new(known);
        inputs.skip(&["region", "tags"]);
        let made = create(&planned.kind, target, &inputs).await;
        self.lab.decide_ids(None, None);
        let made = made?;
        let unread = inputs
            .unread()
            .into_iter()
            .map(|path| path.split(['.', '[']).next().unwrap_or_default().to_owned())
            .filter(|property| known.get(property).is_some_and(says_something))
            .collect();
        Ok((made, unread))
    }

    /// Code that does nothing and a role, where a function has none that is known: only what runs would need them.
    async fn stand_in(
        &self,
        target: &Target,
        known: &mut BTreeMap<String, Value>,
        open: &mut BTreeMap<String, String>,
    ) {
        for property in ["s3Bucket", "s3Key", "s3ObjectVersion", "imageUri"] {
            known.remove(property);
        }
        if known.get("packageType") == Some(&Value::text("Image")) {
            known.remove("packageType");
        }
        let code = Asset::FileArchive {
            written: "plan.zip".to_owned(),
            path: PathBuf::from("/plan/is-not-built/plan.zip"),
        };
        known.insert("code".to_owned(), Value::Asset(code));
        if !known.contains_key("role") {
            open.entry("role".to_owned())
                .or_insert_with(|| UNTIL_DEPLOYED.to_owned());
            let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
            let role = BTreeMap::from([
                ("name".to_owned(), Value::text("unknown")),
                ("path".to_owned(), Value::text(STAND_IN_PATH)),
                ("assumeRolePolicy".to_owned(), Value::text(trust)),
            ]);
            // The second time it is there already.
            drop(iam::role(target, &Inputs::new(&role)).await);
            let arn = format!("arn:aws:iam::{}:role{STAND_IN_PATH}unknown", target.account);
            known.insert("role".to_owned(), Value::Text(arn));
        }
    }

    fn note_names(
        &mut self,
        planned: &Planned,
        known: &BTreeMap<String, Value>,
        subject: Option<&str>,
    ) {
        for (_, property) in NAMES.iter().filter(|(kind, _)| *kind == planned.kind) {
            let mut texts = Vec::new();
            if let Some(value) = known.get(*property) {
                collect(value, &mut texts);
            }
            for arn in texts.into_iter().filter(|text| text.starts_with("arn:")) {
                let whole: Vec<&str> = arn.split(':').collect();
                let unqualified = match whole.as_slice() {
                    [_, _, "lambda", ..] => {
                        whole.iter().take(7).copied().collect::<Vec<_>>().join(":")
                    }
                    _ => arn.to_owned(),
                };
                let why = "names something that is not in the preview";
                let gap = self.a_gap(planned, Some(property), subject.map(str::to_owned), why);
                self.named.push((gap, unqualified));
            }
        }
    }

    fn record(&mut self, planned: &Planned, made: Made, tags: Option<BTreeMap<String, String>>) {
        let mut rename = |from: &str, to: &str| {
            // Short texts are names that stand for many things.
            if from != to && from.len() >= 12 {
                self.renames.push((from.to_owned(), to.to_owned()));
            }
        };
        for (name, value) in &made.outputs {
            if let (Some(Value::Text(before)), Value::Text(now)) =
                (planned.outputs.get(name), value)
            {
                rename(before, now);
            }
        }
        if let Some(id) = &planned.id {
            rename(id, &made.id);
        }
        self.renames
            .sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
        let arn = match made.outputs.get("arn") {
            Some(Value::Text(arn)) => Some(arn.clone()),
            Some(_) | None => None,
        };
        self.made.resources.push(AppliedResource {
            name: planned.name.clone(),
            urn: planned.urn.clone(),
            kind: planned.kind.clone(),
            id: made.id,
            arn,
            path: self.plan.path().to_owned(),
            position: planned.at,
            properties: BTreeMap::new(),
            inputs: Value::Object(planned.inputs.clone()).shown(),
            outputs: serde_json::Value::Null,
            tags,
            stored_only: made.stored_only,
        });
    }

    fn renamed(&self, value: &Value) -> Value {
        match value {
            Value::Text(text) => {
                let mut text = text.clone();
                for (from, to) in &self.renames {
                    if text.contains(from.as_str()) {
                        text = text.replace(from.as_str(), to);
                    }
                }
                Value::Text(text)
            }
            Value::List(items) => {
                Value::List(items.iter().map(|item| self.renamed(item)).collect())
            }
            Value::Object(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(name, item)| (name.clone(), self.renamed(item)))
                    .collect(),
            ),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Integer(_)
            | Value::Asset(_)
            | Value::Resource(_)
            | Value::Unknown
            | Value::Secret(_) => value.clone(),
        }
    }

    /// Where the plan holds the value of a secret.
    fn secrets(&mut self, planned: &Planned) {
        let place = format!("{}:{}", self.plan.path(), planned.at);
        let mut add = |why: String| {
            self.made
                .secrets
                .push((planned.name.clone(), why, place.clone()));
        };
        if planned.kind == VERSION {
            add("a version of a secret".to_owned());
        }
        let plain = matches!(
            planned.inputs.get("type"),
            Some(Value::Text(kind)) if kind == "String" || kind == "StringList"
        );
        let spec = self.schema.resource(&planned.kind).map(|(_, spec)| spec);
        for (property, value) in &planned.inputs {
            let why = match property.as_str() {
                "secretString" | "secretStringWo" | "secretBinary" => "the value of a secret",
                "value" | "valueWo" if planned.kind == PARAMETER && !plain => {
                    "the value of an encrypted parameter"
                }
                _ => {
                    let by_schema = spec
                        .and_then(|spec| spec.input_properties.get(property))
                        .is_some_and(|property| property.secret);
                    if value.has_secret() && !by_schema {
                        "a value that is marked secret"
                    } else {
                        continue;
                    }
                }
            };
            if !matches!(value, Value::Null) {
                add(format!("`{property}`: {why}"));
            }
        }
    }

    fn deleted(&mut self, gone: &Planned) {
        let region = self.region(&Provider::default());
        let account = &self.options.account;
        let by_output = match gone.outputs.get("arn") {
            Some(Value::Text(arn)) => Some(arn.clone()),
            Some(_) | None => gone.id.clone().filter(|id| id.starts_with("arn:")),
        };
        let name = match gone.inputs.get("name").or_else(|| gone.outputs.get("name")) {
            Some(Value::Text(name)) => Some(name.as_str()),
            Some(_) | None => None,
        };
        let by_name = name.and_then(|name| arn_of(&gone.kind, name, &region, account));
        self.made.deleted.extend(
            by_output
                .or(by_name)
                .map(|arn| arn.trim_end_matches(":*").to_owned()),
        );
    }

    fn gap(
        &mut self,
        planned: &Planned,
        property: Option<&str>,
        subject: Option<String>,
        why: &str,
    ) {
        let gap = self.a_gap(planned, property, subject, why);
        self.made.gaps.push(gap);
    }

    fn a_gap(
        &self,
        planned: &Planned,
        property: Option<&str>,
        subject: Option<String>,
        why: &str,
    ) -> PlanGap {
        PlanGap {
            name: planned.name.clone(),
            declared: format!("program:{}/{}", self.plan.project(), planned.name),
            kind: planned.kind.clone(),
            subject,
            property: property.map(str::to_owned),
            why: why.to_owned(),
        }
    }

    fn is_taggable(&self, kind: &str) -> bool {
        self.schema
            .resource(kind)
            .is_some_and(|(_, spec)| spec.properties.contains_key("tagsAll"))
    }

    fn region(&self, provider: &Provider) -> String {
        let own = provider.settings.region.clone();
        own.unwrap_or_else(|| self.lab.region().to_owned())
    }

    fn target(
        &self,
        planned: &Planned,
        provider: &Provider,
        known: &BTreeMap<String, Value>,
        tags: BTreeMap<String, String>,
    ) -> Target {
        let own = match known.get("region") {
            Some(Value::Text(region)) => Some(region.clone()),
            Some(_) | None => None,
        };
        let suffix: String = digest(&planned.urn).chars().take(7).collect();
        Target {
            config: self.config.clone(),
            endpoint: self.endpoint.clone(),
            region: own.unwrap_or_else(|| self.region(provider)),
            account: self.options.account.clone(),
            stand_in: self.options.stand_in.clone(),
            auto_name: format!("{}-{suffix}", planned.name),
            token: token(&planned.urn),
            tags,
        }
    }
}

const UNTIL_DEPLOYED: &str = "is known only once it is deployed";

/// A provider's inputs; those of a default one are nested as JSON text.
fn provider(inputs: &BTreeMap<String, Value>) -> Provider {
    let mut inputs = inputs.clone();
    for value in inputs.values_mut() {
        if let Value::Text(text) = value
            && text.starts_with(['{', '['])
            && let Ok(nested) = serde_json::from_str(text)
        {
            *value = crate::program::preview::value(&nested);
        }
    }
    let unknown_tags = inputs.get("defaultTags").is_some_and(Value::has_unknown);
    if unknown_tags {
        inputs.remove("defaultTags");
    }
    Provider {
        settings: settings::of_provider(&inputs),
        unknown_tags,
    }
}

/// Whether a value is more than a default that says nothing.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Text(text) => !text.is_empty(),
        Value::Number(number) => *number != 0.0,
        Value::Integer(number) => *number != 0,
        Value::List(items) => items.iter().any(says_something),
        Value::Object(entries) => entries.values().any(says_something),
        Value::Bool(true)
        | Value::Asset(_)
        | Value::Resource(_)
        | Value::Unknown
        | Value::Secret(_) => true,
    }
}

/// What AWS drew for something that exists: a key's id, the end of a secret's ARN.
fn drawn(planned: &Planned) -> (Option<String>, Option<String>) {
    let text = |name: &str| match planned.outputs.get(name) {
        Some(Value::Text(text)) => Some(text.clone()),
        Some(_) | None => None,
    };
    match planned.kind.as_str() {
        KEY => {
            let id = text("keyId").or_else(|| planned.id.clone());
            (id.filter(|id| !id.starts_with("arn:")), None)
        }
        SECRET => {
            let arn = text("arn").or_else(|| planned.id.clone());
            let suffix = arn.and_then(|arn| arn.rsplit('-').next().map(str::to_owned));
            (None, suffix.filter(|it| it.len() == 6))
        }
        _ => (None, None),
    }
}

/// ARN of what a resource is, or of what it belongs to.
pub(super) fn subject(
    kind: &str,
    target: &Target,
    known: &BTreeMap<String, Value>,
    made: &Made,
) -> Option<String> {
    let input = |name: &str| match known.get(name).map(|value| value.open().0) {
        Some(Value::Text(text)) => Some(text.clone()),
        Some(_) | None => None,
    };
    let arn = |text: Option<String>| text.filter(|text| text.starts_with("arn:"));
    let function = |text: Option<String>| {
        let name = text?;
        if name.starts_with("arn:") {
            let parts: Vec<&str> = name.split(':').take(7).collect();
            return Some(parts.join(":"));
        }
        Some(target.arn("lambda", &format!("function:{name}")))
    };
    match kind {
        "aws:secretsmanager/secretRotation:SecretRotation" | VERSION => arn(input("secretId")),
        "aws:secretsmanager/secretPolicy:SecretPolicy" => arn(input("secretArn")),
        "aws:lambda/permission:Permission" => function(input("function")),
        "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig" => {
            function(input("functionName"))
        }
        "aws:cloudwatch/eventTarget:EventTarget" => {
            input("rule").map(|rule| target.arn("events", &format!("rule/{rule}")))
        }
        "aws:kms/keyPolicy:KeyPolicy" => input("keyId").map(|id| {
            if id.starts_with("arn:") {
                id
            } else {
                target.arn("kms", &format!("key/{id}"))
            }
        }),
        "aws:sns/topicSubscription:TopicSubscription" => arn(input("topic")),
        "aws:sns/topicPolicy:TopicPolicy" => arn(input("arn")),
        _ => match made.outputs.get("arn") {
            Some(Value::Text(arn)) => Some(arn.trim_end_matches(":*").to_owned()),
            Some(_) | None => None,
        },
    }
}

fn arn_of(kind: &str, name: &str, region: &str, account: &str) -> Option<String> {
    Some(match kind {
        "aws:cloudwatch/logGroup:LogGroup" => {
            format!("arn:aws:logs:{region}:{account}:log-group:{name}")
        }
        "aws:cloudwatch/eventRule:EventRule" => {
            format!("arn:aws:events:{region}:{account}:rule/{name}")
        }
        FUNCTION => format!("arn:aws:lambda:{region}:{account}:function:{name}"),
        "aws:sns/topic:Topic" => format!("arn:aws:sns:{region}:{account}:{name}"),
        PARAMETER => format!("arn:aws:ssm:{region}:{account}:parameter{name}"),
        "aws:iam/policy:Policy" => format!("arn:aws:iam::{account}:policy/{name}"),
        _ => return None,
    })
}
