//! What the `aws` provider accepts and returns: the types of resources, functions and settings.
//!
//! Source: `schema.json` beside this file (its origin is in `schema.README.md`), in the shape of a Pulumi package schema.
//! Tokens are found the way Pulumi finds them: `aws:ssm:Parameter`, `aws:ssm/parameter:Parameter` and, for the index
//! module, `aws:getRegion`; letter case doesn't matter. Value ranges aren't in it: those are left to whoever serves the
//! calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;

use super::error::{Position, ProgramError, ProgramErrors};

static SCHEMA: LazyLock<Result<Schema, String>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("schema.json")).map_err(|error| error.to_string())
});

/// The type token of an explicit provider.
pub(crate) const PROVIDER: &str = "pulumi:providers:aws";

/// Types of a program's own values are followed up to this many parts.
const MAX_WEIGHT: usize = 1_000;

/// The whole schema.
#[derive(Debug, Deserialize)]
pub(crate) struct Schema {
    resources: BTreeMap<String, ResourceSpec>,
    functions: BTreeMap<String, FunctionSpec>,
    provider: ProviderSpec,
    config: ConfigSpec,
    types: BTreeMap<String, ObjectSpec>,
}

/// A type of resource.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResourceSpec {
    pub(crate) input_properties: BTreeMap<String, TypeSpec>,
    #[serde(default)]
    pub(crate) required_inputs: BTreeSet<String>,
    #[serde(default)]
    pub(crate) properties: BTreeMap<String, TypeSpec>,
    #[serde(default)]
    pub(crate) required: BTreeSet<String>,
}

/// A function of the provider.
#[derive(Debug, Deserialize)]
pub(crate) struct FunctionSpec {
    #[serde(default)]
    pub(crate) inputs: ObjectSpec,
    #[serde(default)]
    pub(crate) outputs: ObjectSpec,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProviderSpec {
    input_properties: BTreeMap<String, TypeSpec>,
}

#[derive(Debug, Deserialize)]
struct ConfigSpec {
    variables: BTreeMap<String, TypeSpec>,
}

/// An object with named properties.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ObjectSpec {
    #[serde(default)]
    pub(crate) properties: BTreeMap<String, TypeSpec>,
    #[serde(default)]
    pub(crate) required: BTreeSet<String>,
}

/// A type as the schema writes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TypeSpec {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(rename = "$ref")]
    reference: Option<String>,
    items: Option<Box<Self>>,
    additional_properties: Option<Box<Self>>,
    one_of: Option<Vec<Self>>,
    #[serde(rename = "enum")]
    values: Option<Vec<String>>,
    /// Whether Pulumi treats the property's value as a secret.
    #[serde(default)]
    pub(crate) secret: bool,
}

/// A type, resolved one level.
#[derive(Debug, Clone)]
pub(crate) enum Type {
    Any,
    Text,
    Bool,
    Integer,
    Number,
    /// An asset or an archive.
    Archive,
    List(Box<Self>),
    Map(Box<Self>),
    Object(&'static ObjectSpec),
    /// An object of the program itself, whose keys are known.
    Shape(BTreeMap<String, Self>),
    Either(Vec<Self>),
    Words(Vec<String>),
    /// A resource as a whole.
    Resource(&'static ResourceSpec),
    Provider,
}

impl Type {
    /// The type, unless it has become so large that following it would take long: then anything goes.
    pub(crate) fn limited(self) -> Self {
        if self.weight() > MAX_WEIGHT {
            Self::Any
        } else {
            self
        }
    }

    fn weight(&self) -> usize {
        1 + match self {
            Self::List(item) | Self::Map(item) => item.weight(),
            Self::Shape(shape) => shape.values().map(Self::weight).sum(),
            Self::Either(options) => options.iter().map(Self::weight).sum(),
            Self::Any
            | Self::Text
            | Self::Bool
            | Self::Integer
            | Self::Number
            | Self::Archive
            | Self::Object(_)
            | Self::Words(_)
            | Self::Resource(_)
            | Self::Provider => 0,
        }
    }

    /// How messages name the type.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Any => "any value".to_owned(),
            Self::Text => "a string".to_owned(),
            Self::Bool => "a boolean".to_owned(),
            Self::Integer => "an integer".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::Archive => "an asset or archive".to_owned(),
            Self::List(item) => format!("a list (each item {})", item.describe()),
            Self::Map(_) | Self::Object(_) | Self::Shape(_) => "an object".to_owned(),
            Self::Either(types) => types
                .iter()
                .map(Self::describe)
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect::<Vec<_>>()
                .join(" or "),
            Self::Words(words) => format!("one of {}", words.join(", ")),
            Self::Resource(_) => "a resource".to_owned(),
            Self::Provider => "a provider".to_owned(),
        }
    }
}

impl Schema {
    /// The schema that comes with this crate.
    pub(crate) fn embedded() -> Result<&'static Self, ProgramErrors> {
        match &*SCHEMA {
            Ok(schema) => Ok(schema),
            Err(message) => Err(ProgramError {
                path: "schema.json".to_owned(),
                line: Position::START.line,
                column: Position::START.column,
                message: format!("the embedded schema can't be read: {message}"),
                help: None,
            }
            .into()),
        }
    }

    /// The canonical token and the specification of a resource type.
    pub(crate) fn resource(&self, token: &str) -> Option<(&str, &ResourceSpec)> {
        find(&self.resources, token)
    }

    /// The canonical token and the specification of a function.
    pub(crate) fn function(&self, token: &str) -> Option<(&str, &FunctionSpec)> {
        find(&self.functions, token)
    }

    /// The inputs of an explicit provider.
    pub(crate) fn provider_inputs(&self) -> &BTreeMap<String, TypeSpec> {
        &self.provider.input_properties
    }

    /// The settings under `aws:` of a stage.
    pub(crate) fn settings(&self) -> &BTreeMap<String, TypeSpec> {
        &self.config.variables
    }

    /// The short forms of all resource types, as authors write them.
    pub(crate) fn resource_tokens(&self) -> Vec<String> {
        self.resources.keys().map(|token| short(token)).collect()
    }

    /// The short forms of all functions.
    pub(crate) fn function_tokens(&self) -> Vec<String> {
        self.functions.keys().map(|token| short(token)).collect()
    }

    /// The type that a specification stands for.
    pub(crate) fn resolve(&'static self, spec: &TypeSpec) -> Type {
        if let Some(options) = &spec.one_of {
            return Type::Either(options.iter().map(|option| self.resolve(option)).collect());
        }
        if let Some(reference) = &spec.reference {
            return match reference.strip_prefix("#/types/") {
                Some(token) => self.types.get(token).map_or(Type::Any, Type::Object),
                None if reference.contains("Archive") || reference.contains("Asset") => {
                    Type::Archive
                }
                None => Type::Any,
            };
        }
        if let Some(words) = &spec.values {
            return Type::Words(words.clone());
        }
        match spec.kind.as_deref() {
            Some("string") => Type::Text,
            Some("boolean") => Type::Bool,
            Some("integer") => Type::Integer,
            Some("number") => Type::Number,
            Some("array") => Type::List(Box::new(
                spec.items
                    .as_deref()
                    .map_or(Type::Any, |item| self.resolve(item)),
            )),
            Some("object") => Type::Map(Box::new(
                spec.additional_properties
                    .as_deref()
                    .map_or(Type::Any, |item| self.resolve(item)),
            )),
            Some(_) | None => Type::Any,
        }
    }
}

/// `aws:ssm/parameter:Parameter` as authors write it: `aws:ssm:Parameter`.
pub(crate) fn short(token: &str) -> String {
    let mut parts = token.splitn(3, ':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(package), Some(module), Some(name)) => {
            let module = module.split('/').next().unwrap_or(module);
            if module == "index" {
                format!("{package}:{name}")
            } else {
                format!("{package}:{module}:{name}")
            }
        }
        (Some(_) | None, _, _) => token.to_owned(),
    }
}

fn find<'a, T>(specs: &'a BTreeMap<String, T>, token: &str) -> Option<(&'a str, &'a T)> {
    let pieces: Vec<&str> = token.split(':').collect();
    let wanted = match pieces.as_slice() {
        [package, name] | [package, "index", name] => format!("{package}:{name}"),
        [_, module, name] if module.contains('/') => {
            let (folder, file) = module.split_once('/')?;
            let mut expected = name.chars();
            let lowered: String = expected
                .next()
                .map(|c| c.to_lowercase().chain(expected).collect())
                .unwrap_or_default();
            if !file.eq_ignore_ascii_case(&lowered) {
                return None;
            }
            if folder == "index" {
                format!("aws:{name}")
            } else {
                format!("aws:{folder}:{name}")
            }
        }
        _ => token.to_owned(),
    };
    specs
        .iter()
        .find(|(known, _)| short(known).eq_ignore_ascii_case(&wanted))
        .map(|(known, spec)| (known.as_str(), spec))
}
