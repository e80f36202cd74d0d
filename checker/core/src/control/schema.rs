//! What is generated from the types of control files: the JSON Schema for editors, and the catalogue's page.

use std::fmt::Write as _;

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::catalog::{Catalog, Check, Control, Filter};
use super::vocabulary::Vocabulary;
use super::written;
use crate::expression::types::Type;
use crate::expression::{FUNCTIONS, Function};

/// The JSON Schema of control files, as text.
pub fn control_schema() -> String {
    let schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<written::Control>();
    pretty(schema.to_value())
}

/// The JSON Schema of `waivers.yaml`, as text.
pub fn waiver_schema() -> String {
    let schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Vec<written::Waiver>>();
    pretty(schema.to_value())
}

/// Keys in order, and a newline at the end.
fn pretty(mut schema: Value) -> String {
    without_null(&mut schema);
    format!("{schema:#}\n")
}

/// What may be missing is not written as `null`: the reader refuses that.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(kinds)) = object.get_mut("anyOf") {
                kinds.retain(|kind| kind.get("type").is_none_or(|name| name != "null"));
                if let [Value::Object(only)] = kinds.as_slice() {
                    let only = only.clone();
                    object.remove("anyOf");
                    object.extend(only);
                }
            }
            object.values_mut().for_each(without_null);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// How controls are tested, for their authors.
const TESTS: &str = "
## Tests

Each control file ends with its `tests:`, one a line: `{name: every 91 days, given: tests/fr-278.json, expect: {interval: fail}}`.
A rule that a test does not name must hold or not apply there. `checker controls test` judges them all, then takes each rule out and
turns it around: some test must notice.

`given` is a JSON file below this folder. Its `recording` is a recorded run, its `cases` say by the test's name what is otherwise than
recorded, with `change` and `later` (time that passes, like `92d`); a file of a single case has `change` and `later` without `cases`.
A change names a `question` (with `about`, only where it names something with this text in it), the rows of the answer (`within` a member
of it, `where` members have these values, otherwise all) and what becomes of them:

| Member | Does |
|---|---|
| `set` | sets members, each by its path with `::` between the parts; `(remove)` takes one out |
| `edit` | replaces a text within members: `{member: [what stands there, what shall]}` |
| `drop: true` | takes the rows out |
| `add: true` | adds a copy of the first of them, with `set` applied |
| `answer` | replaces the whole answer |
| `unseen` | makes it a question that AWS refused to answer, with this code |";

/// The page of the catalogue: every control with its rules, and the vocabulary for writing one.
pub fn catalog_page(catalog: &Catalog, vocabulary: &Vocabulary) -> String {
    let mut page = String::from(
        "# Controls\n\nGenerated from the control files of this folder and from the facts that they may speak of. \
         Do not edit.\n\n| Control | Severity | Owner | Rules | Tests | Title |\n|---|---|---|---|---|---|\n",
    );
    for control in &catalog.controls {
        let rules = control.rule_ids().count();
        let line = format!(
            "| [{id}](#{anchor}) | {} | {} | {rules} | {tests} | {} |",
            control.severity,
            cell(&control.owner),
            cell(&control.title),
            id = control.id,
            tests = control.tests.len(),
            anchor = control.id.to_lowercase()
        );
        push(&mut page, &line);
    }
    push(&mut page, TESTS);
    for control in &catalog.controls {
        describe(&mut page, control);
    }
    describe_vocabulary(&mut page, vocabulary);
    page
}

fn describe(page: &mut String, control: &Control) {
    push(
        page,
        &format!(
            "\n## {}\n\n**{}**\n\n{}\n",
            control.id, control.title, control.statement
        ),
    );
    if !control.mapping.is_empty() {
        let mapped: Vec<String> = control
            .mapping
            .iter()
            .map(|(name, ids)| format!("{name} {}", ids.join(", ")))
            .collect();
        push(page, &format!("Maps to: {}.\n", mapped.join("; ")));
    }
    if !control.parameters.is_empty() {
        push(
            page,
            "| Parameter | Default | Bounds | Why |\n|---|---|---|---|",
        );
        for parameter in &control.parameters {
            let bounds = match (&parameter.min, &parameter.max) {
                (None, None) => String::new(),
                (Some(min), None) => format!("at least {min}"),
                (None, Some(max)) => format!("at most {max}"),
                (Some(min), Some(max)) => format!("{min} to {max}"),
            };
            let why = parameter.why.as_deref().unwrap_or("");
            push(
                page,
                &format!(
                    "| `{}` | {} | {bounds} | {} |",
                    parameter.name,
                    cell(&parameter.default.to_string()),
                    cell(why)
                ),
            );
        }
        page.push('\n');
    }
    push(page, "| Rule | Of | Says |\n|---|---|---|");
    for check in &control.checks {
        match check {
            Check::Inspect(inspect) => {
                let of = match &inspect.population.filter {
                    Filter::All => inspect.population.of.clone(),
                    Filter::Named(name) => format!("{}, {name}", inspect.population.of),
                    Filter::Condition(condition) => {
                        format!("{} with `{}`", inspect.population.of, condition.text())
                    }
                };
                for rule in &inspect.rules {
                    push(
                        page,
                        &format!(
                            "| `{}` | {} | {} |",
                            rule.id,
                            cell(&of),
                            cell(rule.says.text())
                        ),
                    );
                }
            }
            Check::Iam(iam) => {
                for rule in &iam.rules {
                    push(
                        page,
                        &format!("| `{}` | access | {} |", rule.id, cell(rule.says.text())),
                    );
                }
            }
            Check::Probe(probe) => {
                for rule in &probe.expect {
                    push(
                        page,
                        &format!(
                            "| `{}` | probe `{}` | {} |",
                            rule.id,
                            probe.script.name(),
                            cell(rule.says.text())
                        ),
                    );
                }
            }
        }
    }
    if let Some(remediation) = &control.remediation {
        push(
            page,
            &format!("\nWhen it fails: {}", remediation.text.trim()),
        );
    }
}

fn describe_vocabulary(page: &mut String, vocabulary: &Vocabulary) {
    push(
        page,
        "\n# What a control may speak of\n\nConditions are CEL over these facts. A name, a type or a word that is not here is refused when the control is loaded.\n",
    );
    for population in &vocabulary.populations {
        push(
            page,
            &format!(
                "\n## `of: {}`\n\n{} One of them is `{}`.\n",
                population.name, population.doc, population.variable
            ),
        );
        for (key, names) in [
            ("where", &population.filters),
            ("reconcile", &population.reconciliations),
        ] {
            for name in names {
                push(page, &format!("* `{key}: {}`: {}", name.name, name.doc));
            }
        }
        describe_fields(page, &population.variable, &population.ty);
    }
    for probe in &vocabulary.probes {
        push(
            page,
            &format!("\n## Probe `{}`\n\n{}\n", probe.name, probe.doc),
        );
        describe_fields(page, "trace", &probe.trace);
    }
    push(
        page,
        "\n## Always there\n\n| Name | Type | Meaning |\n|---|---|---|\n| `params` | | the parameters of the control |",
    );
    for field in &vocabulary.globals {
        push(
            page,
            &format!("| `{}` | {} | {} |", field.name, field.ty, cell(&field.doc)),
        );
    }
    push(
        page,
        "\n## Functions\n\n| Function | Gives | Meaning |\n|---|---|---|",
    );
    for function in FUNCTIONS {
        push(
            page,
            &format!(
                "| `{}` | {} | {} |",
                signature(function),
                function.answer.words(),
                cell(function.doc)
            ),
        );
    }
    push(
        page,
        "| `list.all(x, ..)`, `list.exists(x, ..)`, `list.exists_one(x, ..)` | a bool | whether all, some, or exactly one of its items satisfy a condition |",
    );
    push(
        page,
        "| `list.filter(x, ..)`, `list.map(x, ..)` | a list | the items that satisfy a condition, or something of each |",
    );
    push(
        page,
        "| `has(map.key)`, `key in map`, `item in list` | a bool | whether it is there |",
    );
}

fn describe_fields(page: &mut String, variable: &str, ty: &Type) {
    push(page, "\n| Fact | Type | Meaning |\n|---|---|---|");
    fields(page, variable, ty);
}

/// The fields of an object, and of the objects in it.
fn fields(page: &mut String, path: &str, ty: &Type) {
    let Type::Object(object) = ty.present() else {
        return;
    };
    for field in &object.fields {
        let path = format!("{path}.{}", field.name);
        push(
            page,
            &format!(
                "| `{path}` | {} | {} |",
                cell(&field.ty.to_string()),
                cell(&field.doc)
            ),
        );
        match field.ty.present() {
            Type::Object(_) => fields(page, &path, &field.ty),
            Type::List(item) | Type::Map(item) => fields(page, &format!("{path}[]"), item),
            Type::Bool
            | Type::Int
            | Type::Float
            | Type::Text
            | Type::Choice(_)
            | Type::Duration
            | Type::Time
            | Type::Optional(_)
            | Type::Null
            | Type::Any => {}
        }
    }
}

fn signature(function: &Function) -> String {
    let arguments: Vec<&str> = function.arguments.iter().map(|kind| kind.short()).collect();
    match function.on {
        Some(kind) => format!(
            "{}.{}({})",
            kind.short(),
            function.name,
            arguments.join(", ")
        ),
        None => format!("{}({})", function.name, arguments.join(", ")),
    }
}

/// Text for a cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}

#[expect(
    clippy::let_underscore_must_use,
    reason = "writing to a string can't fail"
)]
fn push(page: &mut String, line: &str) {
    let _ = writeln!(page, "{line}");
}
