//! Types: whether every resource type, property, function and name exists and every value fits.
//!
//! Input: a program, the types of its config and the provider's schema. Output: all that doesn't fit, with places and,
//! for a misspelt name, the one that was probably meant. Assignment follows Pulumi YAML: numbers and booleans fit a
//! string, a whole resource fits a string (its id), objects are compared by structure.
//!
//! Stricter than Pulumi on purpose: a fraction for an integer, and a long number for a string, which would reach AWS in
//! exponent notation (account ids), are errors.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{Position, Problems};
use super::expression::{Access, Call, Entry, Expr, ExprKind, Invoke, Part, Step};
use super::schema::{self, ObjectSpec, Schema, Type, TypeSpec};
use super::settings::Settings;
use super::template::{Resource, Template};

/// Checks a whole program; `order` has every name after those that it needs.
pub(crate) fn check(
    template: &Template,
    order: &[String],
    settings: &Settings,
    schema: &'static Schema,
    problems: &mut Problems,
) {
    let mut checker = Checker {
        template,
        settings,
        schema,
        problems,
        variables: BTreeMap::new(),
    };
    for name in order {
        if let Some((_, expr)) = template.variables.get(name) {
            let found = checker.infer(expr);
            checker.variables.insert(name, found);
        }
    }
    for name in &template.order {
        if let Some(resource) = template.resources.get(name) {
            checker.resource(name, resource);
        }
    }
    for (_, expr) in template.outputs.values() {
        checker.infer(expr);
    }
}

struct Checker<'a> {
    template: &'a Template,
    settings: &'a Settings,
    schema: &'static Schema,
    problems: &'a mut Problems,
    variables: BTreeMap<&'a str, Type>,
}

impl Checker<'_> {
    fn resource(&mut self, name: &str, resource: &Resource) {
        if resource.kind == schema::PROVIDER {
            let inputs = self.schema.provider_inputs();
            self.properties(
                &resource.properties,
                inputs,
                &BTreeSet::new(),
                schema::PROVIDER,
                resource.properties_at,
            );
        } else if let Some((token, spec)) = self.schema.resource(&resource.kind) {
            let shown = schema::short(token);
            if let Some(id) = &resource.get {
                self.assign(id, &Type::Text, "id");
                if !resource.properties.is_empty() {
                    self.problems.push(
                        resource.properties_at,
                        "a resource that is only read (`get`) has no `properties`",
                    );
                }
                return;
            }
            self.properties(
                &resource.properties,
                &spec.input_properties,
                &spec.required_inputs,
                &shown,
                resource.properties_at,
            );
        } else {
            let known = self.schema.resource_tokens();
            self.problems.push_unknown(
                resource.kind_at,
                format!("`{}` isn't a known resource type", resource.kind),
                &resource.kind,
                known.iter().map(String::as_str).chain([schema::PROVIDER]),
            );
            for entry in &resource.properties {
                self.infer(&entry.value);
            }
        }
        let options = &resource.options;
        if let Some(expr) = &options.depends_on {
            match &expr.kind {
                ExprKind::List(items) => {
                    for item in items {
                        self.whole_resource(item, "`dependsOn`");
                    }
                }
                ExprKind::Null
                | ExprKind::Bool(_)
                | ExprKind::Number(_)
                | ExprKind::Text(_)
                | ExprKind::Object(_)
                | ExprKind::Symbol(_)
                | ExprKind::Interpolation(_)
                | ExprKind::Call(_) => self.whole_resource(expr, "`dependsOn`"),
            }
        }
        for (expr, what) in [
            (&options.parent, "`parent`"),
            (&options.deleted_with, "`deletedWith`"),
        ] {
            if let Some(expr) = expr {
                self.whole_resource(expr, what);
            }
        }
        if let Some(expr) = &options.provider {
            self.provider(expr, name);
        }
    }

    fn whole_resource(&mut self, expr: &Expr, what: &str) {
        let found = self.infer(expr);
        if !matches!(found, Type::Resource(_) | Type::Provider | Type::Any) {
            self.problems.push_with_help(
                expr.at,
                format!("{what} takes resources, not {}", found.describe()),
                "write `${name}`, without a property",
            );
        }
    }

    fn provider(&mut self, expr: &Expr, name: &str) {
        let found = self.infer(expr);
        if !matches!(found, Type::Provider | Type::Any) {
            self.problems.push(
                expr.at,
                format!(
                    "the provider of `{name}` must be a resource of type `{}`, not {}",
                    schema::PROVIDER,
                    found.describe()
                ),
            );
        }
    }

    /// Entries against named properties.
    fn properties(
        &mut self,
        entries: &[Entry],
        known: &BTreeMap<String, TypeSpec>,
        required: &BTreeSet<String>,
        owner: &str,
        at: Position,
    ) {
        for entry in entries {
            let Some(name) = entry.name() else {
                self.infer(&entry.key);
                self.infer(&entry.value);
                self.problems.push(
                    entry.key.at,
                    format!("a property of `{owner}` must be named plainly"),
                );
                continue;
            };
            if let Some(spec) = known.get(name) {
                let wanted = self.schema.resolve(spec);
                self.assign(&entry.value, &wanted, name);
            } else {
                self.problems.push_unknown(
                    entry.key.at,
                    format!("`{owner}` has no property `{name}`"),
                    name,
                    known.keys().map(String::as_str),
                );
                self.infer(&entry.value);
            }
        }
        for name in required {
            if !entries.iter().any(|entry| entry.name() == Some(name)) {
                self.problems
                    .push(at, format!("`{owner}` needs the property `{name}`"));
            }
        }
    }

    fn object(&mut self, entries: &[Entry], spec: &ObjectSpec, owner: &str, at: Position) {
        self.properties(entries, &spec.properties, &spec.required, owner, at);
    }

    /// Whether an expression fits a type; says so if not.
    fn assign(&mut self, expr: &Expr, wanted: &Type, name: &str) {
        match (&expr.kind, wanted) {
            (ExprKind::Null, _) => {}
            (ExprKind::Object(entries), Type::Object(spec)) => {
                self.object(entries, spec, name, expr.at);
            }
            (ExprKind::Object(entries), Type::Map(item)) => {
                for entry in entries {
                    self.infer(&entry.key);
                    self.assign(&entry.value, item, entry.name().unwrap_or(name));
                }
            }
            (ExprKind::List(items), Type::List(wanted)) => {
                for item in items {
                    self.assign(item, wanted, name);
                }
            }
            (ExprKind::Number(value), Type::Integer) => {
                if value.fract() != 0.0 {
                    self.mismatch(expr.at, wanted, &format!("the fraction {value}"), name);
                }
            }
            (ExprKind::Number(value), Type::Text) if value.abs() >= 1e6 => {
                self.problems.push_with_help(
                    expr.at,
                    format!("the number {value} for the string `{name}` would lose its spelling"),
                    format!("write it in quotes: \"{value}\""),
                );
            }
            (ExprKind::Text(text), Type::Words(words)) => {
                if !words.contains(text) {
                    self.problems.push_unknown(
                        expr.at,
                        format!("`{text}` isn't a value of `{name}`"),
                        text,
                        words.iter().map(String::as_str),
                    );
                }
            }
            (
                ExprKind::Object(_) | ExprKind::List(_) | ExprKind::Text(_),
                Type::Either(options),
            ) => {
                self.assign_either(expr, options, wanted, name);
            }
            (
                ExprKind::Bool(_)
                | ExprKind::Number(_)
                | ExprKind::Text(_)
                | ExprKind::List(_)
                | ExprKind::Object(_)
                | ExprKind::Symbol(_)
                | ExprKind::Interpolation(_)
                | ExprKind::Call(_),
                _,
            ) => {
                let found = self.infer(expr);
                if !fits(&found, wanted, self.schema) {
                    self.mismatch(expr.at, wanted, &found.describe(), name);
                }
            }
        }
    }

    /// A value for one of several types: the first that fits, otherwise what is wrong with the nearest of its shape.
    fn assign_either(&mut self, expr: &Expr, options: &[Type], wanted: &Type, name: &str) {
        let shaped = options.iter().filter(|option| {
            matches!(
                (&expr.kind, option),
                (ExprKind::Object(_), Type::Object(_) | Type::Map(_))
                    | (ExprKind::List(_), Type::List(_))
                    | (ExprKind::Text(_), Type::Text | Type::Words(_))
            )
        });
        let mut best: Option<Problems> = None;
        for option in shaped {
            let before = std::mem::replace(self.problems, self.problems.emptied());
            self.assign(expr, option, name);
            let found = std::mem::replace(self.problems, before);
            if found.is_empty() {
                return;
            }
            if best.as_ref().is_none_or(|best| found.len() < best.len()) {
                best = Some(found);
            }
        }
        if let Some(found) = best {
            self.problems.extend(found);
        } else {
            let found = self.infer(expr);
            if !fits(&found, wanted, self.schema) {
                self.mismatch(expr.at, wanted, &found.describe(), name);
            }
        }
    }

    fn mismatch(&mut self, at: Position, wanted: &Type, found: &str, name: &str) {
        self.problems.push(
            at,
            format!("`{name}` must be {}, not {found}", wanted.describe()),
        );
    }

    /// The type of an expression; reports names and properties that don't exist on the way.
    fn infer(&mut self, expr: &Expr) -> Type {
        self.infer_whole(expr).limited()
    }

    fn infer_whole(&mut self, expr: &Expr) -> Type {
        match &expr.kind {
            ExprKind::Null => Type::Any,
            ExprKind::Bool(_) => Type::Bool,
            ExprKind::Number(_) => Type::Number,
            ExprKind::Text(_) => Type::Text,
            ExprKind::List(items) => {
                let mut found: Vec<Type> = items.iter().map(|item| self.infer(item)).collect();
                match (found.pop(), found.is_empty()) {
                    (Some(only), true) => Type::List(Box::new(only)),
                    (Some(last), false) => {
                        found.push(last);
                        Type::List(Box::new(Type::Either(found)))
                    }
                    (None, _) => Type::List(Box::new(Type::Any)),
                }
            }
            ExprKind::Object(entries) => {
                let mut shape = BTreeMap::new();
                let mut plain = true;
                for entry in entries {
                    let value = self.infer(&entry.value);
                    if let Some(name) = entry.name() {
                        shape.insert(name.to_owned(), value);
                    } else {
                        self.infer(&entry.key);
                        plain = false;
                    }
                }
                if plain {
                    Type::Shape(shape)
                } else {
                    Type::Map(Box::new(Type::Any))
                }
            }
            ExprKind::Symbol(access) => self.access(access),
            ExprKind::Interpolation(parts) => {
                for part in parts {
                    if let Part::Access(access) = part {
                        let found = self.access(access);
                        if matches!(found, Type::Archive | Type::Resource(_) | Type::Provider) {
                            self.problems.push_with_help(
                                access.at,
                                format!("`{}` is {}, not text", access.written(), found.describe()),
                                "name one of its properties, such as `.arn`, `.id` or `.name`",
                            );
                        }
                    }
                }
                Type::Text
            }
            ExprKind::Call(call) => self.call(call),
        }
    }

    fn call(&mut self, call: &Call) -> Type {
        match call {
            Call::Invoke(invoke) => self.invoke(invoke),
            Call::ToJson(value) => {
                self.infer(value);
                Type::Text
            }
            Call::Join(delimiter, items) => {
                self.assign(delimiter, &Type::Text, "the delimiter");
                self.assign(items, &Type::List(Box::new(Type::Text)), "the second item");
                Type::Text
            }
            Call::Split(delimiter, text) => {
                self.assign(delimiter, &Type::Text, "the delimiter");
                self.assign(text, &Type::Text, "the second item");
                Type::List(Box::new(Type::Text))
            }
            Call::Select(index, items) => {
                self.assign(index, &Type::Integer, "the index");
                let list = Type::List(Box::new(Type::Any));
                let found = self.infer(items);
                if !fits(&found, &list, self.schema) {
                    self.mismatch(items.at, &list, &found.describe(), "the second item");
                }
                item_of(found)
            }
            Call::Secret(value) | Call::Unsecret(value) => self.infer(value),
            Call::ToBase64(value) | Call::FromBase64(value) | Call::Sha1(value) => {
                self.assign(value, &Type::Text, "the argument");
                Type::Text
            }
            Call::ReadFile(value) | Call::FileBase64(value) | Call::FileBase64Sha256(value) => {
                self.assign(value, &Type::Text, "the path");
                Type::Text
            }
            Call::Length(value) => {
                self.infer(value);
                Type::Integer
            }
            Call::SingleOrNone(value) => item_of(self.infer(value)),
            Call::FileAsset(value) | Call::StringAsset(value) | Call::FileArchive(value) => {
                self.assign(value, &Type::Text, "the argument");
                Type::Archive
            }
            Call::AssetArchive(entries) => {
                for entry in entries {
                    self.assign(
                        &entry.value,
                        &Type::Archive,
                        entry.name().unwrap_or("the entry"),
                    );
                }
                Type::Archive
            }
        }
    }

    fn invoke(&mut self, invoke: &Invoke) -> Type {
        if let Some(provider) = &invoke.provider {
            self.provider(provider, &invoke.function);
        }
        let Some((token, spec)) = self.schema.function(&invoke.function) else {
            let known = self.schema.function_tokens();
            self.problems.push_unknown(
                invoke.function_at,
                format!("`{}` isn't a known function", invoke.function),
                &invoke.function,
                known.iter().map(String::as_str),
            );
            return Type::Any;
        };
        let shown = schema::short(token);
        self.object(&invoke.arguments, &spec.inputs, &shown, invoke.arguments_at);
        match &invoke.answer {
            None => Type::Object(&spec.outputs),
            Some((at, name)) => {
                if let Some(found) = spec.outputs.properties.get(name) {
                    self.schema.resolve(found)
                } else {
                    self.problems.push_unknown(
                        *at,
                        format!("`{shown}` returns no `{name}`"),
                        name,
                        spec.outputs.properties.keys().map(String::as_str),
                    );
                    Type::Any
                }
            }
        }
    }

    fn access(&mut self, access: &Access) -> Type {
        let Some(mut found) = self.root(access) else {
            return Type::Any;
        };
        let mut path = access.root.clone();
        for (at, step) in &access.steps {
            found = match self.step(&found, step, *at, &path) {
                Some(found) => found,
                None => return Type::Any,
            };
            match step {
                Step::Name(name) => path = format!("{path}.{name}"),
                Step::Index(index) => path = format!("{path}[{index}]"),
            }
        }
        found
    }

    fn root(&mut self, access: &Access) -> Option<Type> {
        let name = access.root.as_str();
        if let Some(resource) = self.template.resources.get(name) {
            if resource.kind == schema::PROVIDER {
                return Some(Type::Provider);
            }
            return self
                .schema
                .resource(&resource.kind)
                .map(|(_, spec)| Type::Resource(spec));
        }
        if name == "pulumi" {
            let names = ["cwd", "project", "stack", "organization", "rootDirectory"];
            return Some(Type::Shape(
                names.map(|name| (name.to_owned(), Type::Text)).into(),
            ));
        }
        if let Some(found) = self.settings.types.get(name) {
            return Some(found.clone());
        }
        if self.template.variables.contains_key(name) {
            // One that isn't inferred yet is part of a cycle, which is reported elsewhere.
            return Some(self.variables.get(name).cloned().unwrap_or(Type::Any));
        }
        let known = self
            .template
            .resources
            .keys()
            .chain(self.settings.types.keys())
            .chain(self.template.variables.keys())
            .map(String::as_str)
            .chain(["pulumi"])
            .collect::<Vec<_>>();
        self.problems.push_unknown(
            access.at,
            format!("there is no resource, variable or config value `{name}`"),
            name,
            known,
        );
        None
    }

    fn step(&mut self, from: &Type, step: &Step, at: Position, path: &str) -> Option<Type> {
        match (from, step) {
            (Type::Any, _) => Some(Type::Any),
            (Type::List(item), Step::Index(_)) | (Type::Map(item), Step::Name(_)) => {
                Some((**item).clone())
            }
            (Type::List(_), Step::Name(_)) => {
                self.problems.push(
                    at,
                    format!("`{path}` is a list: name an item with `[0]`, not with a property"),
                );
                None
            }
            (Type::Either(options), _) => {
                let fitting = options
                    .iter()
                    .find(|option| matches!(option, Type::Object(_) | Type::Map(_) | Type::List(_)))
                    .cloned();
                match fitting {
                    Some(option) => self.step(&option, step, at, path),
                    None => Some(Type::Any),
                }
            }
            (Type::Resource(_) | Type::Provider, Step::Name(name))
                if name == "id" || name == "urn" =>
            {
                Some(Type::Text)
            }
            (Type::Resource(spec), Step::Name(name)) => {
                self.named(&spec.properties, name, at, path)
            }
            (Type::Object(spec), Step::Name(name)) => self.named(&spec.properties, name, at, path),
            (Type::Shape(shape), Step::Name(name)) => {
                if let Some(found) = shape.get(name) {
                    Some(found.clone())
                } else {
                    self.missing(name, shape.keys().map(String::as_str), at, path);
                    None
                }
            }
            (
                Type::Text
                | Type::Bool
                | Type::Integer
                | Type::Number
                | Type::Archive
                | Type::Words(_)
                | Type::Provider,
                Step::Name(name),
            ) => {
                self.problems.push(
                    at,
                    format!(
                        "`{path}` is {}, it has no property `{name}`",
                        from.describe()
                    ),
                );
                None
            }
            (
                Type::Text
                | Type::Bool
                | Type::Integer
                | Type::Number
                | Type::Archive
                | Type::Words(_)
                | Type::Map(_)
                | Type::Object(_)
                | Type::Shape(_)
                | Type::Resource(_)
                | Type::Provider,
                Step::Index(_),
            ) => {
                self.problems
                    .push(at, format!("`{path}` is {}, not a list", from.describe()));
                None
            }
        }
    }

    fn named(
        &mut self,
        known: &BTreeMap<String, TypeSpec>,
        name: &str,
        at: Position,
        path: &str,
    ) -> Option<Type> {
        if let Some(spec) = known.get(name) {
            Some(self.schema.resolve(spec))
        } else {
            self.missing(name, known.keys().map(String::as_str), at, path);
            None
        }
    }

    fn missing<'b>(
        &mut self,
        name: &str,
        known: impl IntoIterator<Item = &'b str>,
        at: Position,
        path: &str,
    ) {
        self.problems.push_unknown(
            at,
            format!("`{path}` has no property `{name}`"),
            name,
            known,
        );
    }
}

/// The type of a list's items.
fn item_of(list: Type) -> Type {
    if let Type::List(item) = list {
        *item
    } else {
        Type::Any
    }
}

/// Whether a value of one type may stand where the other is wanted.
fn fits(found: &Type, wanted: &Type, schema: &'static Schema) -> bool {
    match (found, wanted) {
        (Type::Any, _)
        | (_, Type::Any)
        | (
            Type::Text
            | Type::Bool
            | Type::Integer
            | Type::Number
            | Type::Words(_)
            | Type::Resource(_),
            Type::Text,
        )
        | (Type::Integer | Type::Number, Type::Integer | Type::Number)
        | (Type::Bool, Type::Bool)
        | (Type::Archive, Type::Archive)
        | (Type::Text | Type::Words(_), Type::Words(_))
        | (Type::Provider, Type::Provider)
        | (Type::Object(_) | Type::Map(_), Type::Object(_) | Type::Shape(_)) => true,
        (Type::Either(options), _) => options.iter().all(|option| fits(option, wanted, schema)),
        (_, Type::Either(options)) => options.iter().any(|option| fits(found, option, schema)),
        (Type::List(found), Type::List(wanted)) | (Type::Map(found), Type::Map(wanted)) => {
            fits(found, wanted, schema)
        }
        (Type::Shape(shape), Type::Map(wanted)) => {
            shape.values().all(|found| fits(found, wanted, schema))
        }
        (Type::Object(spec), Type::Map(wanted)) => spec
            .properties
            .values()
            .all(|found| fits(&schema.resolve(found), wanted, schema)),
        (Type::Shape(shape), Type::Object(spec)) => {
            spec.required.iter().all(|name| shape.contains_key(name))
                && shape.iter().all(|(name, found)| {
                    spec.properties
                        .get(name)
                        .is_some_and(|wanted| fits(found, &schema.resolve(wanted), schema))
                })
        }
        (
            Type::Text
            | Type::Bool
            | Type::Integer
            | Type::Number
            | Type::Archive
            | Type::List(_)
            | Type::Map(_)
            | Type::Object(_)
            | Type::Shape(_)
            | Type::Words(_)
            | Type::Resource(_)
            | Type::Provider,
            _,
        ) => false,
    }
}
