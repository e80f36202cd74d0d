//! The config of one stage: what `Pulumi.yaml` declares, filled from `Pulumi.<stage>.yaml`.
//!
//! Output: the value of every declared name, coerced to its declared type, and the settings of the default `aws`
//! provider. A value that is missing, of another type, or for a name that nobody declared is an error at its place. A
//! value encrypted in the stage's file (`secure:`) stays unknown: this evaluator has no key for it.

use std::collections::BTreeMap;

use super::error::{Position, Problems};
use super::expression;
use super::schema::{Schema, Type};
use super::source::{Kind, Node};
use super::template::{ConfigDeclaration, ConfigType, Template};
use super::value::Value;

/// The config of a stage.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) values: BTreeMap<String, Value>,
    pub(crate) types: BTreeMap<String, Type>,
    pub(crate) provider: ProviderSettings,
    /// Names, files and places of values that are marked secret.
    pub(crate) secrets: Vec<(String, String, Position)>,
}

/// What a provider does to every resource that uses it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProviderSettings {
    pub(crate) region: Option<String>,
    pub(crate) default_tags: BTreeMap<String, String>,
    pub(crate) allowed_accounts: Vec<String>,
    pub(crate) forbidden_accounts: Vec<String>,
}

/// Settings of the provider that are accepted although they change nothing in a deployment to the lab, which has its
/// own endpoint and credentials.
const WITHOUT_EFFECT: [&str; 9] = [
    "endpoints",
    "maxRetries",
    "profile",
    "retryMode",
    "s3UsePathStyle",
    "skipCredentialsValidation",
    "skipMetadataApiCheck",
    "skipRegionValidation",
    "skipRequestingAccountId",
];

/// Fills the declared config from the stage's file, if it is given.
pub(crate) fn settle(
    template: &Template,
    stage_file: Option<&Node>,
    schema: &'static Schema,
    program: &mut Problems,
    stage: &mut Problems,
    shown: (&str, &str),
) -> Settings {
    let mut settings = Settings::default();
    let given = stage_file
        .map(|node| stage_values(node, stage))
        .unwrap_or_default();
    for (name, declared) in &template.config {
        let full = if name.contains(':') {
            name.clone()
        } else {
            format!("{}:{name}", template.name)
        };
        let own = given.get(full.as_str());
        if let Some(setting) = full.strip_prefix("aws:") {
            if own.is_none()
                && let Some(node) = &declared.default
            {
                provider_setting(&mut settings, setting, declared.at, node, schema, program);
            }
        } else if full.contains(':') && !full.starts_with(&format!("{}:", template.name)) {
            program.push(
                declared.at,
                format!("`{name}` isn't of this program nor of the `aws` provider"),
            );
            continue;
        }
        if declared.secret {
            settings
                .secrets
                .push((name.clone(), shown.0.to_owned(), declared.at));
        }
        let value = match (own, &declared.default) {
            (Some((_, node)), _) => coerce(node, declared.kind.as_ref(), name, stage),
            (None, Some(node)) => coerce(node, declared.kind.as_ref(), name, program),
            (None, None) => {
                stage.push_with_help(
                    stage_file.map_or(Position::START, |node| node.at),
                    format!("the config value `{full}` is missing"),
                    format!("add it under `config:`, or a `default` at {}", declared.at),
                );
                Value::Null
            }
        };
        let kind = type_of(declared, &value);
        settings.types.insert(name.clone(), kind);
        settings
            .values
            .insert(name.clone(), value.secret_if(declared.secret));
    }
    for (full, (at, node)) in &given {
        if is_secure(node) {
            settings
                .secrets
                .push(((*full).to_owned(), shown.1.to_owned(), *at));
        }
        if let Some(setting) = full.strip_prefix("aws:") {
            provider_setting(&mut settings, setting, *at, node, schema, stage);
        } else if let Some(name) = full.strip_prefix(&format!("{}:", template.name)) {
            if !template.config.contains_key(name) {
                stage.push_unknown(
                    *at,
                    format!("the program declares no config value `{name}`"),
                    name,
                    template.config.keys().map(String::as_str),
                );
            }
        } else {
            stage.push_unknown(
                *at,
                format!("`{full}` isn't of this program nor of the `aws` provider"),
                full,
                template
                    .config
                    .keys()
                    .map(|name| format!("{}:{name}", template.name))
                    .collect::<Vec<_>>()
                    .iter()
                    .map(String::as_str),
            );
        }
    }
    settings
}

/// What stands for a value that is encrypted in the stage's file. Whatever is computed from it means nothing.
const STAND_IN: &str = "stand-in-for-an-encrypted-value";

impl Settings {
    /// Whether a value is encrypted in the stage's file.
    pub(crate) fn has_encrypted(&self) -> bool {
        self.values.values().any(Value::has_unknown)
    }

    /// The values for a deployment to the lab, which needs a value of everything.
    pub(crate) fn with_stand_ins(&self) -> BTreeMap<String, Value> {
        self.values
            .iter()
            .map(|(name, value)| (name.clone(), stand_in(value)))
            .collect()
    }
}

fn stand_in(value: &Value) -> Value {
    match value {
        Value::Unknown => Value::text(STAND_IN),
        Value::Secret(inner) => stand_in(inner).secret_if(true),
        Value::List(items) => Value::List(items.iter().map(stand_in).collect()),
        Value::Object(entries) => Value::Object(
            entries
                .iter()
                .map(|(name, value)| (name.clone(), stand_in(value)))
                .collect(),
        ),
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Integer(_)
        | Value::Text(_)
        | Value::Asset(_)
        | Value::Resource(_) => value.clone(),
    }
}

/// The part of a stage's settings that configures the provider.
pub(crate) fn of_provider_only(node: &Node) -> Node {
    let mut kept = node.clone();
    if let Kind::Object(sections) = &mut kept.kind {
        for (key, value) in sections {
            if let ("config", Kind::Object(entries)) = (key.name.value.as_str(), &mut value.kind) {
                entries.retain(|(key, _)| key.name.value.starts_with("aws:"));
            }
        }
    }
    kept
}

/// The first input of an explicit provider that would have an effect but isn't supported.
pub(crate) fn unsupported(inputs: &BTreeMap<String, Value>) -> Option<&str> {
    const SUPPORTED: [&str; 4] = [
        "region",
        "defaultTags",
        "allowedAccountIds",
        "forbiddenAccountIds",
    ];
    inputs
        .keys()
        .map(String::as_str)
        .find(|name| !SUPPORTED.contains(name) && !WITHOUT_EFFECT.contains(name))
}

/// The settings that an explicit provider is created with.
pub(crate) fn of_provider(inputs: &BTreeMap<String, Value>) -> ProviderSettings {
    let text = |name: &str| match inputs.get(name).map(|value| value.open().0) {
        Some(Value::Text(text)) => Some(text.clone()),
        Some(_) | None => None,
    };
    let list = |name: &str| match inputs.get(name) {
        Some(Value::List(items)) => items.iter().map(Value::interpolated).collect(),
        Some(_) | None => Vec::new(),
    };
    ProviderSettings {
        region: text("region"),
        default_tags: inputs.get("defaultTags").map(tags).unwrap_or_default(),
        allowed_accounts: list("allowedAccountIds"),
        forbidden_accounts: list("forbiddenAccountIds"),
    }
}

fn tags(value: &Value) -> BTreeMap<String, String> {
    let Value::Object(entries) = value.open().0 else {
        return BTreeMap::new();
    };
    match entries.get("tags").map(|tags| tags.open().0) {
        Some(Value::Object(tags)) => tags
            .iter()
            .map(|(key, value)| (key.clone(), value.interpolated()))
            .collect(),
        Some(_) | None => BTreeMap::new(),
    }
}

/// The entries of `config:` in the stage's file by full name.
fn stage_values<'a>(
    node: &'a Node,
    problems: &mut Problems,
) -> BTreeMap<&'a str, (Position, &'a Node)> {
    let mut found = BTreeMap::new();
    for (key, value) in expression::named(node, "the stage's settings", problems) {
        match key.name.value.as_str() {
            "config" => {
                for (key, value) in expression::named(value, "`config`", problems) {
                    let name = key.name.value.as_str();
                    if name.contains(':') {
                        found.insert(name, (key.at, value));
                    } else {
                        problems.push_with_help(
                            key.at,
                            format!("the config key `{name}` has no namespace"),
                            "write it as `<program's name>:<key>`",
                        );
                    }
                }
            }
            "secretsprovider" | "encryptedkey" | "encryptionsalt" => {}
            other => problems.push_unknown(
                key.at,
                format!("`{other}` isn't a part of a stage's settings that this evaluator knows"),
                other,
                [
                    "config",
                    "secretsprovider",
                    "encryptedkey",
                    "encryptionsalt",
                ],
            ),
        }
    }
    found
}

fn provider_setting(
    settings: &mut Settings,
    name: &str,
    at: Position,
    node: &Node,
    schema: &'static Schema,
    problems: &mut Problems,
) {
    let value = literal(unwrap_value(node));
    match name {
        "region" => match value.as_text() {
            Some(region) => settings.provider.region = Some(region.to_owned()),
            None => problems.push(
                node.at,
                format!("`aws:region` must be a string, not {}", value.describe()),
            ),
        },
        "defaultTags" => {
            let shape = matches!(&value, Value::Object(entries)
                if entries.len() == 1 && matches!(entries.get("tags"), Some(Value::Object(_))));
            if shape {
                settings.provider.default_tags = tags(&value);
            } else {
                problems.push_with_help(
                    node.at,
                    "`aws:defaultTags` must be an object with `tags`",
                    "write `aws:defaultTags: {tags: {name: value}}`",
                );
            }
        }
        "allowedAccountIds" | "forbiddenAccountIds" => {
            let accounts: Option<Vec<String>> = value.as_list().and_then(|items| {
                items
                    .iter()
                    .map(|item| item.as_text().map(str::to_owned))
                    .collect()
            });
            match accounts {
                Some(accounts) if name == "allowedAccountIds" => {
                    settings.provider.allowed_accounts = accounts;
                }
                Some(accounts) => settings.provider.forbidden_accounts = accounts,
                None => problems.push_with_help(
                    node.at,
                    format!("`aws:{name}` must be a list of strings"),
                    "write account ids in quotes",
                ),
            }
        }
        known if WITHOUT_EFFECT.contains(&known) => {}
        known if schema.settings().contains_key(known) => problems.push(
            at,
            format!("the setting `aws:{known}` isn't supported by this evaluator"),
        ),
        unknown => problems.push_unknown(
            at,
            format!("`aws:{unknown}` isn't a setting of the provider"),
            unknown,
            schema.settings().keys().map(String::as_str),
        ),
    }
}

/// `{value: x}` of a foreign setting in `Pulumi.yaml` stands for `x`.
fn unwrap_value(node: &Node) -> &Node {
    match &node.kind {
        Kind::Object(entries) => match entries.as_slice() {
            [(key, value)] if key.name.value == "value" => value,
            _ => node,
        },
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::List(_) => node,
    }
}

fn is_secure(node: &Node) -> bool {
    match &node.kind {
        Kind::Object(entries) => {
            matches!(entries.as_slice(), [(key, _)] if key.name.value == "secure")
        }
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::List(_) => false,
    }
}

/// A value without interpolations.
fn literal(node: &Node) -> Value {
    if is_secure(node) {
        return Value::Secret(Box::new(Value::Unknown));
    }
    match &node.kind {
        Kind::Null => Value::Null,
        Kind::Bool(value) => Value::Bool(*value),
        Kind::Number(value) => Value::Number(*value),
        Kind::Text(text) => Value::Text(text.value.clone()),
        Kind::List(items) => Value::List(items.iter().map(literal).collect()),
        Kind::Object(entries) => Value::Object(
            entries
                .iter()
                .map(|(key, value)| (key.name.value.clone(), literal(value)))
                .collect(),
        ),
    }
}

/// The value as the declared type. Stages store scalars as text, so text is parsed and scalars are printed.
fn coerce(node: &Node, kind: Option<&ConfigType>, name: &str, problems: &mut Problems) -> Value {
    let value = literal(node);
    let Some(kind) = kind else {
        return value;
    };
    if matches!(value, Value::Secret(_)) {
        return value;
    }
    match convert(value, kind) {
        Ok(value) => value,
        Err(found) => {
            problems.push(
                node.at,
                format!(
                    "the config value `{name}` must be {}, not {}",
                    describe(kind),
                    found.describe()
                ),
            );
            Value::Null
        }
    }
}

fn convert(value: Value, kind: &ConfigType) -> Result<Value, Value> {
    match (kind, value) {
        (ConfigType::Text, Value::Text(text)) => Ok(Value::Text(text)),
        (ConfigType::Text, Value::Number(value)) => Ok(Value::Text(value.to_string())),
        (ConfigType::Text, Value::Bool(value)) => Ok(Value::Text(value.to_string())),
        (ConfigType::Integer, Value::Number(value)) => match value.to_string().parse() {
            Ok(whole) => Ok(Value::Integer(whole)),
            Err(_) => Err(Value::Number(value)),
        },
        (ConfigType::Integer, Value::Text(text)) => match text.parse() {
            Ok(whole) => Ok(Value::Integer(whole)),
            Err(_) => Err(Value::Text(text)),
        },
        (ConfigType::Number, Value::Number(value)) => Ok(Value::Number(value)),
        (ConfigType::Number, Value::Text(text)) => match text.parse() {
            Ok(number) => Ok(Value::Number(number)),
            Err(_) => Err(Value::Text(text)),
        },
        (ConfigType::Bool, Value::Bool(value)) => Ok(Value::Bool(value)),
        (ConfigType::Bool, Value::Text(text)) => match text.as_str() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(Value::Text(text)),
        },
        (ConfigType::Object, Value::Object(entries)) => Ok(Value::Object(entries)),
        (ConfigType::AnyList, Value::List(items)) => Ok(Value::List(items)),
        (ConfigType::List(kind), Value::List(items)) => items
            .into_iter()
            .map(|item| convert(item, kind))
            .collect::<Result<_, _>>()
            .map(Value::List),
        (
            ConfigType::Text
            | ConfigType::Integer
            | ConfigType::Number
            | ConfigType::Bool
            | ConfigType::Object
            | ConfigType::AnyList
            | ConfigType::List(_),
            other,
        ) => Err(other),
    }
}

fn describe(kind: &ConfigType) -> String {
    match kind {
        ConfigType::Text => "a string".to_owned(),
        ConfigType::Integer => "an integer".to_owned(),
        ConfigType::Number => "a number".to_owned(),
        ConfigType::Bool => "a boolean".to_owned(),
        ConfigType::Object => "an object".to_owned(),
        ConfigType::AnyList => "a list".to_owned(),
        ConfigType::List(kind) => format!("a list (each item {})", describe(kind)),
    }
}

fn type_of(declared: &ConfigDeclaration, value: &Value) -> Type {
    match &declared.kind {
        Some(kind) => type_of_kind(kind),
        None => match value.open().0 {
            Value::Text(_) => Type::Text,
            Value::Number(_) => Type::Number,
            Value::Integer(_) => Type::Integer,
            Value::Bool(_) => Type::Bool,
            Value::List(_) => Type::List(Box::new(Type::Any)),
            Value::Object(_) => Type::Map(Box::new(Type::Any)),
            Value::Null
            | Value::Asset(_)
            | Value::Resource(_)
            | Value::Unknown
            | Value::Secret(_) => Type::Any,
        },
    }
}

fn type_of_kind(kind: &ConfigType) -> Type {
    match kind {
        ConfigType::Text => Type::Text,
        ConfigType::Integer => Type::Integer,
        ConfigType::Number => Type::Number,
        ConfigType::Bool => Type::Bool,
        ConfigType::Object => Type::Map(Box::new(Type::Any)),
        ConfigType::AnyList => Type::List(Box::new(Type::Any)),
        ConfigType::List(kind) => Type::List(Box::new(type_of_kind(kind))),
    }
}
