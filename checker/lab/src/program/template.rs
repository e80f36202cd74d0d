//! The sections of `Pulumi.yaml`, each entry understood and placed.
//!
//! Input: the file as a tree. Output: a [`Template`] whose shape is right: known sections only, each resource with its
//! type, properties and options. Whether types and names exist is decided later, by `check`. Sections and options of
//! Pulumi that this evaluator doesn't do (`components`, `import`, ..) are errors at their place rather than ignored.

use std::collections::BTreeMap;

use super::error::{Position, Problems};
use super::expression::{self, Entry, Expr};
use super::source::{Key, Kind, Node};

/// A program as it is written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Template {
    pub(crate) name: String,
    pub(crate) config: BTreeMap<String, ConfigDeclaration>,
    pub(crate) variables: BTreeMap<String, (Position, Expr)>,
    pub(crate) resources: BTreeMap<String, Resource>,
    pub(crate) outputs: BTreeMap<String, (Position, Expr)>,
    /// Names of resources in the order of the file.
    pub(crate) order: Vec<String>,
}

/// One entry of `config`.
#[derive(Debug, Clone)]
pub(crate) struct ConfigDeclaration {
    pub(crate) at: Position,
    pub(crate) kind: Option<ConfigType>,
    pub(crate) default: Option<Node>,
    pub(crate) secret: bool,
}

/// The types of config values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConfigType {
    Text,
    Integer,
    Number,
    Bool,
    Object,
    List(Box<Self>),
    AnyList,
}

/// One resource.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) at: Position,
    pub(crate) kind: String,
    pub(crate) kind_at: Position,
    /// The name that Pulumi derives physical names from, where it isn't the key.
    pub(crate) name: Option<String>,
    pub(crate) properties: Vec<Entry>,
    pub(crate) properties_at: Position,
    pub(crate) options: Options,
    /// `get`: the id of what is only read.
    pub(crate) get: Option<Expr>,
}

/// The options of a resource that have an effect here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) depends_on: Option<Expr>,
    pub(crate) provider: Option<Expr>,
    pub(crate) parent: Option<Expr>,
    pub(crate) deleted_with: Option<Expr>,
    pub(crate) additional_secret_outputs: Vec<String>,
}

const SECTIONS: [&str; 13] = [
    "name",
    "runtime",
    "description",
    "author",
    "license",
    "main",
    "website",
    "config",
    "packages",
    "plugins",
    "variables",
    "resources",
    "outputs",
];

const OPTIONS: [&str; 13] = [
    "additionalSecretOutputs",
    "aliases",
    "customTimeouts",
    "deleteBeforeReplace",
    "deletedWith",
    "dependsOn",
    "ignoreChanges",
    "parent",
    "protect",
    "provider",
    "replaceOnChanges",
    "retainOnDelete",
    "version",
];

/// What of a program a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// Its name, runtime and config; the resources stand in another file.
    Project,
    /// Its resources; the project stands in another file.
    Main,
}

/// Understands a file as a program, or as one of the two parts of one.
pub(crate) fn parse(node: &Node, part: Part, problems: &mut Problems) -> Template {
    let mut template = Template::default();
    let Kind::Object(sections) = &node.kind else {
        problems.push(
            node.at,
            format!("a program must be an object, not {}", node.describe()),
        );
        return template;
    };
    let mut runtime = false;
    for (key, value) in sections {
        match key.name.value.as_str() {
            "name" => {
                if let Some((_, name)) = expression::plain(value, "`name`", problems) {
                    template.name = name;
                }
            }
            "runtime" => {
                runtime = true;
                parse_runtime(value, problems);
            }
            "variables" | "resources" | "outputs" if part == Part::Project => problems.push(
                key.at,
                format!(
                    "`{}` stands in the program's own file, beside this one",
                    key.name.value
                ),
            ),
            "description" | "author" | "license" | "website" | "main" => {
                expression::plain(value, &format!("`{}`", key.name.value), problems);
            }
            "config" | "configuration" => template.config = parse_config(value, problems),
            "packages" | "plugins" => parse_packages(value, problems),
            "variables" => template.variables = parse_values(value, "`variables`", problems),
            "outputs" => template.outputs = parse_values(value, "`outputs`", problems),
            "resources" => parse_resources(value, &mut template, problems),
            other => problems.push_unknown(
                key.at,
                format!("`{other}` isn't a section that this evaluator knows"),
                other,
                SECTIONS,
            ),
        }
    }
    if part == Part::Main {
        same_names(&template, problems);
        return template;
    }
    if template.name.is_empty() && problems.is_empty() {
        problems.push(node.at, "the program has no `name`");
    }
    if !runtime {
        problems.push_with_help(
            node.at,
            "the program has no `runtime`",
            "write `runtime: yaml`",
        );
    }
    same_names(&template, problems);
    template
}

/// Resources, variables and config values share their names.
fn same_names(template: &Template, problems: &mut Problems) {
    for name in template.resources.keys() {
        for (kind, at) in [
            ("variable", template.variables.get(name).map(|(at, _)| *at)),
            (
                "config value",
                template.config.get(name).map(|entry| entry.at),
            ),
        ] {
            if let Some(at) = at {
                problems.push(
                    at,
                    format!("the {kind} `{name}` has the name of a resource"),
                );
            }
        }
    }
    for (name, (at, _)) in &template.variables {
        if template.config.contains_key(name) {
            problems.push(
                *at,
                format!("the variable `{name}` has the name of a config value"),
            );
        }
        if name == "pulumi" {
            problems.push(*at, "the name `pulumi` is taken");
        }
    }
}

fn parse_runtime(node: &Node, problems: &mut Problems) {
    let name = match &node.kind {
        Kind::Text(text) => Some((node.at, text.value.as_str())),
        Kind::Object(entries) => entries.iter().find_map(|(key, value)| match &value.kind {
            Kind::Text(text) if key.name.value == "name" => Some((value.at, text.value.as_str())),
            Kind::Text(_)
            | Kind::Null
            | Kind::Bool(_)
            | Kind::Number(_)
            | Kind::List(_)
            | Kind::Object(_) => None,
        }),
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::List(_) => None,
    };
    match name {
        Some((_, "yaml")) => {}
        Some((at, other)) => {
            problems.push(at, format!("the runtime must be `yaml`, not `{other}`"));
        }
        None => problems.push(node.at, "the runtime must be `yaml`"),
    }
}

/// `packages: {aws: 7.51.1}` pins a provider; only the `aws` provider is known here.
fn parse_packages(node: &Node, problems: &mut Problems) {
    for (key, value) in expression::named(node, "`packages`", problems) {
        if key.name.value == "providers" {
            continue;
        }
        if key.name.value != "aws" {
            problems.push_unknown(
                key.at,
                format!("the package `{}` isn't known here", key.name.value),
                &key.name.value,
                ["aws"],
            );
            continue;
        }
        let Some((at, pinned)) = expression::plain(value, "a package's version", problems) else {
            continue;
        };
        let version = pinned.strip_prefix("aws@").unwrap_or(&pinned);
        if version.trim_start_matches('v').split('.').next() != Some("7") {
            problems.push_with_help(
                at,
                format!(
                    "the schema here is that of version 7 of the `aws` provider, not `{version}`"
                ),
                "pin a version 7",
            );
        }
    }
}

fn parse_config(node: &Node, problems: &mut Problems) -> BTreeMap<String, ConfigDeclaration> {
    let mut found = BTreeMap::new();
    for (key, value) in expression::named(node, "`config`", problems) {
        let declaration = declaration(key, value, problems);
        found.insert(key.name.value.clone(), declaration);
    }
    found
}

fn declaration(key: &Key, node: &Node, problems: &mut Problems) -> ConfigDeclaration {
    let mut declared = ConfigDeclaration {
        at: key.at,
        kind: None,
        default: None,
        secret: false,
    };
    let foreign = key.name.value.contains(':');
    let Kind::Object(entries) = &node.kind else {
        declared.default = Some(node.clone());
        return declared;
    };
    let mut items = None;
    let mut typed = false;
    for (part, value) in entries {
        match part.name.value.as_str() {
            "type" | "default" | "items" if foreign => problems.push_with_help(
                part.at,
                format!("`{}` takes no `{}`", key.name.value, part.name.value),
                "a setting of another namespace takes `value` only",
            ),
            "type" => {
                typed = true;
                if let Some((at, name)) = expression::plain(value, "`type`", problems) {
                    declared.kind = config_type(at, &name, problems);
                }
            }
            "items" => items = items_type(value, problems),
            "default" | "value" => declared.default = Some(value.clone()),
            "description" => {}
            "secret" => match value.kind {
                Kind::Bool(secret) => declared.secret = secret,
                Kind::Null | Kind::Number(_) | Kind::Text(_) | Kind::List(_) | Kind::Object(_) => {
                    problems.push(value.at, "`secret` must be a boolean");
                }
            },
            other => problems.push_unknown(
                part.at,
                format!("`{other}` isn't a property of a config value"),
                other,
                ["type", "default", "items", "description", "secret", "value"],
            ),
        }
    }
    if let (Some(ConfigType::AnyList), Some(items)) = (&declared.kind, items) {
        declared.kind = Some(ConfigType::List(Box::new(items)));
    }
    if !foreign && !typed && declared.default.is_none() {
        problems.push(
            key.at,
            format!(
                "the config value `{}` needs a `type` or a `default`",
                key.name.value
            ),
        );
    }
    declared
}

fn items_type(node: &Node, problems: &mut Problems) -> Option<ConfigType> {
    let mut kind = None;
    let mut items = None;
    for (part, value) in expression::named(node, "`items`", problems) {
        match part.name.value.as_str() {
            "type" => {
                if let Some((at, name)) = expression::plain(value, "`type`", problems) {
                    kind = config_type(at, &name, problems);
                }
            }
            "items" => items = items_type(value, problems),
            other => problems.push_unknown(
                part.at,
                format!("`{other}` isn't a property of `items`"),
                other,
                ["type", "items"],
            ),
        }
    }
    match (kind, items) {
        (Some(ConfigType::AnyList), Some(items)) => Some(ConfigType::List(Box::new(items))),
        (kind, _) => kind,
    }
}

fn config_type(at: Position, name: &str, problems: &mut Problems) -> Option<ConfigType> {
    match name.to_ascii_lowercase().as_str() {
        "string" => Some(ConfigType::Text),
        "integer" | "int" => Some(ConfigType::Integer),
        "number" => Some(ConfigType::Number),
        "boolean" | "bool" => Some(ConfigType::Bool),
        "object" => Some(ConfigType::Object),
        "array" => Some(ConfigType::AnyList),
        other => {
            problems.push_unknown(
                at,
                format!("`{name}` isn't a type of config values"),
                other,
                ["string", "integer", "number", "boolean", "object", "array"],
            );
            None
        }
    }
}

fn parse_values(
    node: &Node,
    what: &str,
    problems: &mut Problems,
) -> BTreeMap<String, (Position, Expr)> {
    let mut found = BTreeMap::new();
    for (key, value) in expression::named(node, what, problems) {
        let value = expression::parse(value, problems);
        found.insert(key.name.value.clone(), (key.at, value));
    }
    found
}

fn parse_resources(node: &Node, template: &mut Template, problems: &mut Problems) {
    for (key, value) in expression::named(node, "`resources`", problems) {
        if key.name.value == "pulumi" {
            problems.push(key.at, "the name `pulumi` is taken");
            continue;
        }
        if let Some(resource) = parse_resource(key, value, problems) {
            template.order.push(key.name.value.clone());
            template.resources.insert(key.name.value.clone(), resource);
        }
    }
}

fn parse_resource(key: &Key, node: &Node, problems: &mut Problems) -> Option<Resource> {
    let what = format!("the resource `{}`", key.name.value);
    let mut kind = None;
    let mut typed = !matches!(node.kind, Kind::Object(_) | Kind::Null);
    let mut resource = Resource {
        at: key.at,
        kind: String::new(),
        kind_at: node.at,
        name: None,
        properties: Vec::new(),
        properties_at: key.at,
        options: Options::default(),
        get: None,
    };
    for (part, value) in expression::named(node, &what, problems) {
        match part.name.value.as_str() {
            "type" => {
                typed = true;
                kind = expression::plain(value, "`type`", problems);
            }
            "name" => {
                resource.name = expression::plain(value, "`name`", problems).map(|(_, name)| name);
            }
            "properties" => {
                resource.properties_at = part.at;
                resource.properties = expression::entries(value, "`properties`", problems);
            }
            "options" => resource.options = parse_options(value, problems),
            "get" => resource.get = parse_get(part, value, problems),
            other => problems.push_unknown(
                part.at,
                format!("`{other}` isn't a part of a resource"),
                other,
                ["type", "name", "properties", "options", "get"],
            ),
        }
    }
    if let Some((at, kind)) = kind {
        resource.kind = kind;
        resource.kind_at = at;
        Some(resource)
    } else {
        if !typed {
            problems.push(key.at, format!("{what} has no `type`"));
        }
        None
    }
}

/// `get: {id: .., state: ..}`; the state only helps to find what has no id of its own.
fn parse_get(part: &Key, node: &Node, problems: &mut Problems) -> Option<Expr> {
    let mut id = None;
    for (key, value) in expression::named(node, "`get`", problems) {
        match key.name.value.as_str() {
            "id" => id = Some(expression::parse(value, problems)),
            "state" => {
                expression::entries(value, "`state`", problems);
            }
            other => problems.push_unknown(
                key.at,
                format!("`{other}` isn't a part of `get`"),
                other,
                ["id", "state"],
            ),
        }
    }
    if id.is_none() {
        problems.push(part.at, "`get` needs an `id`");
    }
    id
}

fn parse_options(node: &Node, problems: &mut Problems) -> Options {
    let mut options = Options::default();
    for (key, value) in expression::named(node, "`options`", problems) {
        match key.name.value.as_str() {
            "dependsOn" => options.depends_on = Some(expression::parse(value, problems)),
            "provider" => options.provider = Some(expression::parse(value, problems)),
            "parent" => options.parent = Some(expression::parse(value, problems)),
            "deletedWith" => options.deleted_with = Some(expression::parse(value, problems)),
            "additionalSecretOutputs" => {
                options.additional_secret_outputs = words(value, &key.name.value, problems);
            }
            "ignoreChanges" | "replaceOnChanges" => {
                words(value, &key.name.value, problems);
            }
            "protect" | "deleteBeforeReplace" | "retainOnDelete" => {
                if !matches!(value.kind, Kind::Bool(_)) {
                    problems.push(
                        value.at,
                        format!(
                            "`{}` must be a boolean, not {}",
                            key.name.value,
                            value.describe()
                        ),
                    );
                }
            }
            // Nothing to alias and nothing to wait for in a deployment from nothing.
            "aliases" | "customTimeouts" => {}
            "version" => {
                expression::plain(value, "`version`", problems);
            }
            other => problems.push_unknown(
                key.at,
                format!("`{other}` isn't an option that this evaluator knows"),
                other,
                OPTIONS,
            ),
        }
    }
    options
}

fn words(node: &Node, what: &str, problems: &mut Problems) -> Vec<String> {
    let Kind::List(items) = &node.kind else {
        problems.push(node.at, format!("`{what}` must be a list of strings"));
        return Vec::new();
    };
    items
        .iter()
        .filter_map(|item| expression::plain(item, &format!("each item of `{what}`"), problems))
        .map(|(_, word)| word)
        .collect()
}
