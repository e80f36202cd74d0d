//! A Pulumi YAML program: read, checked, evaluated and applied.
//!
//! Input: a folder with `Pulumi.yaml` and `Pulumi.<stage>.yaml`. [`Program::load`] parses both, checks every type, name
//! and property against the provider's schema and previews the whole; [`apply`] creates the resources through the
//! ordinary AWS clients, in dependency order, and returns what Pulumi would have computed.
//!
//! Reading order: `source` (YAML with places), `expression` and `template` (what it says), `settings` (a stage's config),
//! `check` (types), `order`, `evaluate` with `functions` (values), `apply`.
//!
//! The semantics are those of the documented language; what lies outside is refused at its place, never ignored. It
//! deliberately doesn't do what `pulumi up` is for: no state, no updates, no real account. [`apply`] refuses any
//! endpoint that isn't on the loopback interface.

mod apply;
mod check;
mod edit;
mod error;
mod evaluate;
mod expression;
mod functions;
mod layout;
mod order;
mod preview;
mod schema;
mod settings;
mod source;
mod template;
mod value;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use apply::plan::{AppliedPlan, PlanGap, apply_plan};
pub use apply::{Applied, AppliedResource, ApplyError, ApplyOptions, StoodIn, apply};
pub use edit::{Edit, EditError, NoSuchPlace, ProgramFile, Written};
pub use error::{Position, ProgramError, ProgramErrors};
pub use preview::Plan;
pub use value::{MASKED, UNKNOWN};

use error::Problems;
use evaluate::{Known, Scope, Stop};
use expression::{Entry, Expr, ExprKind};
use layout::Layout;
use schema::Schema;
use settings::Settings;
use template::{Part, Resource, Template};
use value::Value;

/// A program with the config of one stage, free of errors.
pub struct Program {
    directory: PathBuf,
    shown: String,
    stage: String,
    template: Template,
    settings: Settings,
    order: Vec<String>,
    preview: Vec<DeclaredResource>,
    lints: Vec<ProgramError>,
    schema: &'static Schema,
}

/// A resource as the program declares it, evaluated as far as that is possible without deploying.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredResource {
    /// Its name in the program.
    pub name: String,
    /// The canonical type token, such as `aws:kms/key:Key`.
    pub kind: String,
    /// Where its name stands.
    pub position: Position,
    /// Where each of its properties stands.
    pub properties: BTreeMap<String, Position>,
    /// Its inputs: what only a deployment knows is [`UNKNOWN`], a secret is [`MASKED`].
    pub inputs: serde_json::Value,
}

/// A place where a program holds, or would hold, the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretInProgram {
    /// The file.
    pub path: String,
    /// The place in it.
    pub position: Position,
    /// The resource or config value.
    pub name: String,
    /// Why it counts as a secret's value: a fragment.
    pub why: String,
}

impl Program {
    /// Reads the program in a folder with the config of a stage, and checks all of it.
    ///
    /// # Errors
    /// Everything that is wrong with the two files, each with its place.
    pub fn load(directory: &Path, stage: &str) -> Result<Self, ProgramErrors> {
        let file = Layout::of(directory).file;
        let shown = file.display().to_string();
        Self::build(directory, stage, source::read(&file, &shown), None)
    }

    /// As [`Program::load`], for a program beneath another one: where it has no file for the stage, the provider's
    /// settings (`aws:..`) are those of the program above.
    ///
    /// # Errors
    /// Everything that is wrong with the files, each with its place.
    pub fn load_beneath(
        directory: &Path,
        stage: &str,
        above: &Path,
    ) -> Result<Self, ProgramErrors> {
        let name = format!("Pulumi.{stage}.yaml");
        let given = above.join(&name);
        if directory.join(&name).exists() || !given.exists() {
            return Self::load(directory, stage);
        }
        let file = Layout::of(directory).file;
        let read = source::read(&file, &file.display().to_string());
        let settings = source::read(&given, &given.display().to_string());
        let settings = settings.map(|node| settings::of_provider_only(&node));
        Self::build(directory, stage, read, Some(settings))
    }

    /// As [`Program::load`], with a changed text in the place of `Pulumi.yaml`.
    ///
    /// # Errors
    /// Everything that is wrong with the text or with the stage's file, each with its place.
    pub fn from_text(directory: &Path, stage: &str, text: &str) -> Result<Self, ProgramErrors> {
        let shown = directory.join("Pulumi.yaml").display().to_string();
        Self::build(directory, stage, source::parse(text, &shown), None)
    }

    fn build(
        directory: &Path,
        stage: &str,
        read: Result<source::Node, Problems>,
        stage_read: Option<Result<source::Node, Problems>>,
    ) -> Result<Self, ProgramErrors> {
        let schema = Schema::embedded()?;
        let layout = Layout::of(directory);
        let shown = layout.file.display().to_string();
        let stage_file = directory.join(format!("Pulumi.{stage}.yaml"));
        let stage_shown = stage_file.display().to_string();
        let mut problems = Problems::of(&shown);
        let mut stage_problems = Problems::of(&stage_shown);
        let node = match read {
            Ok(node) => node,
            Err(found) => {
                problems.extend(found);
                problems.finish()?;
                return Err(Problems::of(&shown)
                    .error(Position::START, "the program can't be read", None)
                    .into());
            }
        };
        let template = if layout.split {
            joined(directory, &node, &mut problems)
        } else {
            template::parse(&node, Part::Whole, &mut problems)
        };
        let stage_read = stage_read.or_else(|| {
            stage_file
                .exists()
                .then(|| source::read(&stage_file, &stage_shown))
        });
        let stage_node = if let Some(read) = stage_read {
            read.map_err(|found| stage_problems.extend(found)).ok()
        } else {
            stage_problems.push_with_help(
                Position::START,
                format!("the program has no stage `{stage}`"),
                known_stages(directory),
            );
            None
        };
        let settings = settings::settle(
            &template,
            stage_node.as_ref(),
            schema,
            &mut problems,
            &mut stage_problems,
            (&shown, &stage_shown),
        );
        let order = order::sort(&template, &mut problems);
        check::check(&template, &order, &settings, schema, &mut problems);
        problems.extend(stage_problems);
        problems.finish()?;
        let mut program = Self {
            directory: layout.folder,
            shown,
            stage: stage.to_owned(),
            template,
            settings,
            order,
            preview: Vec::new(),
            lints: Vec::new(),
            schema,
        };
        program.preview()?;
        Ok(program)
    }

    /// The program's name.
    pub fn name(&self) -> &str {
        &self.template.name
    }

    /// The stage whose config it was read with.
    pub fn stage(&self) -> &str {
        &self.stage
    }

    /// The folder that it was read from.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The program's file, as messages name it.
    pub fn path(&self) -> &str {
        &self.shown
    }

    /// The account that its provider is confined to, if it is confined to one.
    pub fn account(&self) -> Option<&str> {
        match self.settings.provider.allowed_accounts.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The region of its default provider.
    pub fn region(&self) -> Option<&str> {
        self.settings.provider.region.as_deref()
    }

    /// The resources in the order of the file, evaluated without deploying.
    pub fn resources(&self) -> &[DeclaredResource] {
        &self.preview
    }

    /// What is legal but surely not meant: `<nil>` or an exponent inside a text, a key that isn't there, an account id
    /// without quotes.
    pub fn lints(&self) -> &[ProgramError] {
        &self.lints
    }

    /// The default tags of resources without a provider of their own.
    pub fn default_tags(&self) -> &BTreeMap<String, String> {
        &self.settings.provider.default_tags
    }

    /// Default and own tags of a declared resource, as far as they are known without deploying; `None` where its type
    /// can't carry any.
    pub fn tags(&self, resource: &DeclaredResource) -> Option<BTreeMap<String, String>> {
        let (_, spec) = self.schema.resource(&resource.kind)?;
        if !spec.properties.contains_key("tagsAll") {
            return None;
        }
        let declared = self.template.resources.get(&resource.name)?;
        let mut tags = match &declared.options.provider {
            Some(Expr {
                kind: ExprKind::Symbol(access),
                ..
            }) => self
                .preview
                .iter()
                .find(|provider| provider.name == access.root)
                .map(|provider| texts(&provider.inputs, "/defaultTags/tags"))
                .unwrap_or_default(),
            Some(_) | None => self.default_tags().clone(),
        };
        tags.extend(texts(&resource.inputs, "/tags"));
        Some(tags)
    }

    /// Every place where the program or its config holds the value of a secret, or would put one into its state.
    pub fn secret_values(&self) -> Vec<SecretInProgram> {
        let mut found: Vec<SecretInProgram> = self
            .settings
            .secrets
            .iter()
            .map(|(name, path, position)| SecretInProgram {
                path: path.clone(),
                position: *position,
                name: name.clone(),
                why: "a config value that is marked secret".to_owned(),
            })
            .collect();
        for name in &self.template.order {
            if let Some(resource) = self.template.resources.get(name) {
                self.secrets_of(name, resource, &mut found);
            }
        }
        found.sort();
        found.dedup();
        found
    }

    fn secrets_of(&self, name: &str, resource: &Resource, found: &mut Vec<SecretInProgram>) {
        let mut add = |position: Position, why: String| {
            found.push(SecretInProgram {
                path: self.shown.clone(),
                position,
                name: name.to_owned(),
                why,
            });
        };
        let kind = self.kind(resource);
        if kind == "aws:secretsmanager/secretVersion:SecretVersion" {
            add(resource.kind_at, "a version of a secret".to_owned());
        }
        let secure = resource.properties.iter().any(|entry| {
            entry.name() == Some("type")
                && !matches!(&entry.value.kind, ExprKind::Text(kind) if kind == "String" || kind == "StringList")
        });
        for entry in &resource.properties {
            let Some(property) = entry.name() else {
                continue;
            };
            let why = match property {
                "secretString" | "secretStringWo" | "secretBinary" => Some("the value of a secret"),
                "value" | "valueWo" if kind == "aws:ssm/parameter:Parameter" && secure => {
                    Some("the value of an encrypted parameter")
                }
                "accessKey" | "secretKey" | "token" if kind == schema::PROVIDER => {
                    Some("a credential of the provider")
                }
                _ => None,
            };
            if let Some(why) = why {
                add(entry.key.at, format!("`{property}`: {why}"));
            }
            calls_of_secret(entry, &mut |position| {
                add(position, format!("`{property}`: `fn::secret`"));
            });
        }
    }

    /// The canonical token of a resource's type.
    fn kind(&self, resource: &Resource) -> String {
        self.schema
            .resource(&resource.kind)
            .map_or_else(|| resource.kind.clone(), |(token, _)| token.to_owned())
    }

    /// The name that Pulumi gives to a resource of a stack.
    fn urn(&self, name: &str, kind: &str) -> String {
        format!(
            "urn:pulumi:{}::{}::{kind}::{name}",
            self.stage, self.template.name
        )
    }

    fn scope(&self, preview: bool) -> Scope {
        Scope {
            path: self.shown.clone(),
            directory: self.directory.clone(),
            project: self.template.name.clone(),
            stage: self.stage.clone(),
            config: if preview {
                self.settings.values.clone()
            } else {
                self.settings.with_stand_ins()
            },
            variables: BTreeMap::new(),
            resources: BTreeMap::new(),
            answers: Vec::new(),
            preview,
            lints: Problems::of(&self.shown),
            schema: self.schema,
        }
    }

    /// Evaluates everything with what is known before a deployment.
    fn preview(&mut self) -> Result<(), ProgramErrors> {
        let mut scope = self.scope(true);
        let mut problems = Problems::of(&self.shown);
        let mut declared = BTreeMap::new();
        for name in &self.order {
            if let Some((_, expr)) = self.template.variables.get(name) {
                let value = match scope.evaluate(expr) {
                    Ok(value) => value,
                    Err(stop) => {
                        note(stop, &mut problems);
                        Value::Unknown
                    }
                };
                scope.variables.insert(name.clone(), value);
            }
            if let Some(resource) = self.template.resources.get(name) {
                let inputs = match scope.object(&resource.properties) {
                    Ok(inputs) => self.mark_secrets(resource, inputs),
                    Err(stop) => {
                        note(stop, &mut problems);
                        BTreeMap::new()
                    }
                };
                let kind = self.kind(resource);
                // What is only read is declared elsewhere.
                let own = resource.get.is_none().then(|| name.clone());
                declared.extend(own.map(|name| {
                    (
                        name.clone(),
                        DeclaredResource {
                            name,
                            kind: kind.clone(),
                            position: resource.at,
                            properties: positions(resource),
                            inputs: Value::Object(inputs.clone()).shown(),
                        },
                    )
                }));
                scope.resources.insert(
                    name.clone(),
                    Known {
                        id: Value::Unknown,
                        urn: self.urn(name, &kind),
                        outputs: inputs,
                        promised: std::collections::BTreeSet::new(),
                        preview: true,
                    },
                );
            }
        }
        for (_, expr) in self.template.outputs.values() {
            if let Err(stop) = scope.evaluate(expr) {
                note(stop, &mut problems);
            }
        }
        self.account_ids(&mut scope.lints);
        self.lints = scope.lints.into_sorted();
        self.preview = self
            .template
            .order
            .iter()
            .filter_map(|name| declared.remove(name))
            .collect();
        problems.finish()
    }

    /// Numbers of twelve digits: an account id that isn't in quotes loses leading zeros and its spelling in texts.
    fn account_ids(&self, lints: &mut Problems) {
        let mut look = |expr: &Expr| {
            if let ExprKind::Number(number) = expr.kind
                && (1e11..1e12).contains(&number)
            {
                lints.push_with_help(
                    expr.at,
                    format!("the number {number} looks like an account id"),
                    format!("write it in quotes: \"{number}\""),
                );
            }
        };
        for resource in self.template.resources.values() {
            if let Some(id) = &resource.get {
                order::walk_expressions(id, &mut look);
            }
            for entry in &resource.properties {
                order::walk_expressions(&entry.value, &mut look);
            }
        }
        let values = self.template.variables.values();
        for (_, expr) in values.chain(self.template.outputs.values()) {
            order::walk_expressions(expr, &mut look);
        }
    }

    /// Properties that the schema says are secret, and those that options add, become secret.
    fn mark_secrets(
        &self,
        resource: &Resource,
        inputs: BTreeMap<String, Value>,
    ) -> BTreeMap<String, Value> {
        let spec = self.schema.resource(&resource.kind).map(|(_, spec)| spec);
        inputs
            .into_iter()
            .map(|(name, value)| {
                let by_schema = spec
                    .and_then(|spec| spec.input_properties.get(&name))
                    .is_some_and(|property| property.secret);
                let by_option = resource.options.additional_secret_outputs.contains(&name);
                let value = value.secret_if(by_schema || by_option);
                (name, value)
            })
            .collect()
    }
}

/// A program whose project stands in a file of its own.
fn joined(directory: &Path, node: &source::Node, problems: &mut Problems) -> Template {
    let file = directory.join("Pulumi.yaml");
    let shown = file.display().to_string();
    let mut template = template::parse(node, Part::Main, problems);
    match source::read(&file, &shown) {
        Ok(project) => {
            let mut found = Problems::of(&shown);
            let project = template::parse(&project, Part::Project, &mut found);
            problems.extend(found);
            template.name = project.name;
            template.config.extend(project.config);
        }
        Err(found) => problems.extend(found),
    }
    template
}

impl std::fmt::Debug for Program {
    /// Names only: the text of a program may hold a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program")
            .field("path", &self.shown)
            .field("name", &self.template.name)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}

fn note(stop: Stop, problems: &mut Problems) {
    match stop {
        Stop::Wrong(error) => problems.add(error),
        Stop::Ask(question) => problems.push(
            question.at,
            format!("`{}` was asked in a preview", question.function),
        ),
    }
}

fn positions(resource: &Resource) -> BTreeMap<String, Position> {
    resource
        .properties
        .iter()
        .filter_map(|entry| entry.name().map(|name| (name.to_owned(), entry.key.at)))
        .collect()
}

/// The texts of an object by name; what is no text is left out.
fn texts(inputs: &serde_json::Value, pointer: &str) -> BTreeMap<String, String> {
    inputs
        .pointer(pointer)
        .and_then(serde_json::Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}

fn calls_of_secret(entry: &Entry, visit: &mut dyn FnMut(Position)) {
    order::walk_expressions(&entry.value, &mut |expr| {
        if let ExprKind::Call(call) = &expr.kind
            && matches!(**call, expression::Call::Secret(_))
        {
            visit(expr.at);
        }
    });
}

/// The stages that a folder has files for, as a help line.
fn known_stages(directory: &Path) -> String {
    let mut stages: Vec<String> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let stage = name.strip_prefix("Pulumi.")?.strip_suffix(".yaml")?;
            (!stage.is_empty()).then(|| format!("`{stage}`"))
        })
        .collect();
    stages.sort();
    if stages.is_empty() {
        "write a `Pulumi.<stage>.yaml`".to_owned()
    } else {
        format!("it has {}", stages.join(", "))
    }
}
