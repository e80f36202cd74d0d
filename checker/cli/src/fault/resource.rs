//! Faults of whole resources and of their properties: missing, renamed, left out, set otherwise.
//!
//! A resource that others refer to is taken out together with what can't exist without it, as somebody would who
//! wanted the program to deploy.

use std::collections::BTreeSet;

use checker_lab::program::{Edit, ProgramFile};
use serde_json::{Value, json};

use super::sheet::{Draft, Sheet, below, edit, references, texts};
use super::{environment, pattern, scalar, statement};

/// Properties that are prose: no behaviour depends on them.
const PROSE: [&str; 2] = ["description", "alarmDescription"];

/// Properties that name the thing itself.
const NAMES: [&str; 4] = ["name", "bucket", "statementId", "targetId"];

/// Properties that can be left out when what they refer to is gone.
const OPTIONAL: [&str; 8] = [
    "alarmActions",
    "deadLetterConfig",
    "dependsOn",
    "destinationConfig",
    "dimensions",
    "kmsKeyId",
    "permissionsBoundary",
    "variables",
];

/// Every fault of every resource and variable.
pub(super) fn all(sheet: &mut Sheet<'_>) {
    for (name, resource) in sheet.resources() {
        delete(sheet, &name);
        let pointer = below("/resources", &name);
        let properties = resource.get("properties").and_then(Value::as_object);
        for (property, value) in properties.into_iter().flatten() {
            let place = Place {
                name: name.clone(),
                path: property.clone(),
                pointer: below(&format!("{pointer}/properties"), property),
                property: property.clone(),
            };
            properties_of(sheet, &place, value);
        }
        if resource.pointer("/options/protect") == Some(&Value::Bool(true)) {
            sheet.add(Draft {
                name: &name,
                path: "protect",
                operator: "false",
                kind: "option",
                what: format!("`{name}` is not protected against deletion by a deployment"),
                edits: vec![edit(format!("{pointer}/options/protect"), None)],
            });
        }
    }
    for (name, value) in sheet.variables() {
        scalar::lookup(sheet, &name, &value);
    }
}

/// Faults of the stage's settings.
pub(super) fn settings(sheet: &mut Sheet<'_>, settings: &Value) {
    let tags = settings
        .pointer("/config/aws:defaultTags/tags")
        .and_then(Value::as_object);
    for (tag, _) in tags.into_iter().flatten() {
        let at = below("/config/aws:defaultTags/tags", tag);
        for (operator, to) in [("missing", None), ("other", Some(json!("other")))] {
            sheet.add(Draft {
                name: "defaultTags",
                path: tag,
                operator,
                kind: "tag",
                what: format!("the default tag `{tag}` is {operator}"),
                edits: vec![Edit {
                    file: ProgramFile::Stage,
                    at: at.clone(),
                    to,
                }],
            });
        }
    }
}

/// Where a value stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The resource.
    pub(super) name: String,
    /// The dotted path within its properties.
    pub(super) path: String,
    /// The JSON pointer.
    pub(super) pointer: String,
    /// The last key on the way.
    pub(super) property: String,
}

impl Place {
    /// One key further down.
    pub(super) fn at(&self, key: &str) -> Self {
        Self {
            name: self.name.clone(),
            path: format!("{}.{key}", self.path),
            pointer: below(&self.pointer, key),
            property: key.to_owned(),
        }
    }

    /// One list item further down.
    pub(super) fn item(&self, index: usize) -> Self {
        Self {
            name: self.name.clone(),
            path: format!("{}.{index}", self.path),
            pointer: format!("{}/{index}", self.pointer),
            property: self.property.clone(),
        }
    }

    /// Writes down that this value becomes another one.
    pub(super) fn becomes(
        &self,
        sheet: &mut Sheet<'_>,
        kind: &'static str,
        operator: &str,
        to: Option<Value>,
    ) {
        let what = match &to {
            None => format!("`{}` of `{}` is missing", self.path, self.name),
            Some(to) => format!("`{}` of `{}` is {to}", self.path, self.name),
        };
        sheet.add(Draft {
            name: &self.name,
            path: &self.path,
            operator,
            kind,
            what,
            edits: vec![edit(&self.pointer, to)],
        });
    }
}

/// A property and everything below it.
fn properties_of(sheet: &mut Sheet<'_>, place: &Place, value: &Value) {
    if PROSE.contains(&place.property.as_str()) {
        return;
    }
    if place.path == "tags" {
        tags(sheet, place, value);
        return;
    }
    if NAMES.contains(&place.path.as_str()) {
        if let Some(name) = value.as_str() {
            let to = json!(format!("{name}-elsewhere"));
            place.becomes(sheet, "name", "renamed", Some(to));
        }
        return;
    }
    place.becomes(sheet, "property", "missing", None);
    inside(sheet, place, value);
}

fn inside(sheet: &mut Sheet<'_>, place: &Place, value: &Value) {
    match value {
        Value::Object(entries) => {
            if let Some(document) = entries.get("fn::toJSON") {
                let place = Place {
                    pointer: below(&place.pointer, "fn::toJSON"),
                    ..place.clone()
                };
                if document.get("Statement").is_some() {
                    statement::all(sheet, &place, document);
                } else {
                    pattern::all(sheet, &place, document);
                }
                return;
            }
            for (key, value) in entries {
                let place = place.at(key);
                if place.path.starts_with("environment.variables.") {
                    environment::all(sheet, &place, value);
                    continue;
                }
                place.becomes(sheet, "property", "missing", None);
                inside(sheet, &place, value);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                inside(sheet, &place.item(index), item);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            scalar::all(sheet, place, value);
        }
    }
}

fn tags(sheet: &mut Sheet<'_>, place: &Place, value: &Value) {
    for (tag, _) in value.as_object().into_iter().flatten() {
        let place = place.at(tag);
        place.becomes(sheet, "tag", "missing", None);
        place.becomes(sheet, "tag", "other", Some(json!("other")));
    }
}

/// A resource that isn't there, with what can't be without it.
fn delete(sheet: &mut Sheet<'_>, name: &str) {
    let mut gone = BTreeSet::from([name.to_owned()]);
    let mut edits: Vec<Edit> = Vec::new();
    let mut open = vec![name.to_owned()];
    while let Some(next) = open.pop() {
        for (section, holder, pointer) in referring(&sheet.document, &next) {
            if gone.contains(&holder) && section == "resources" {
                continue;
            }
            if section != "resources" {
                // Without a value there is no output and no variable.
                edits.push(edit(below(&format!("/{section}"), &holder), None));
            } else if let Some(at) = lighter(&sheet.document, &pointer) {
                edits.push(edit(at, None));
            } else {
                gone.insert(holder.clone());
                open.push(holder);
            }
        }
    }
    // Later items of a list first, so that pointers stay right; nothing inside what is taken out anyway.
    edits.retain(|edit| !edited_inside(&edit.at, &gone));
    edits.sort_by_key(|edit| std::cmp::Reverse(pointer_order(&edit.at)));
    edits.dedup();
    let with = gone.len().saturating_sub(1);
    let mut all = vec![edit(below("/resources", name), None)];
    all.extend(edits);
    all.extend(
        gone.iter()
            .filter(|other| *other != name)
            .map(|other| edit(below("/resources", other), None)),
    );
    let what = match with {
        0 => format!("`{name}` is missing"),
        _ => format!("`{name}` is missing, and with it what can't be without it ({with} more)"),
    };
    sheet.add(Draft {
        name,
        path: "",
        operator: "missing",
        kind: "resource",
        what,
        edits: all,
    });
}

/// Everything that refers to a name: section, holder and pointer.
fn referring(document: &Value, name: &str) -> Vec<(&'static str, String, String)> {
    let mut all = Vec::new();
    for section in ["resources", "variables", "outputs"] {
        let entries = document.get(section).and_then(Value::as_object);
        for (holder, value) in entries.into_iter().flatten() {
            let mut found = Vec::new();
            texts(value, &below(&format!("/{section}"), holder), &mut found);
            for (pointer, text) in found {
                if references(text).iter().any(|reference| reference == name) {
                    all.push((section, holder.clone(), pointer));
                }
            }
        }
    }
    all
}

/// The least that must go so that nothing refers to what is gone; nothing when the whole resource must.
fn lighter(document: &Value, pointer: &str) -> Option<String> {
    let parts: Vec<&str> = pointer.split('/').collect();
    let optional = parts
        .iter()
        .rposition(|part| OPTIONAL.contains(part))
        .filter(|index| *index > 2);
    // An item of a list that holds others as well.
    if let Some((list, index)) = pointer.rsplit_once('/')
        && index.parse::<usize>().is_ok()
        && let Some(items) = document.pointer(list).and_then(Value::as_array)
        && items.len() > 1
    {
        return Some(pointer.to_owned());
    }
    let index = optional?;
    let name = parts.get(index)?;
    // A map of names keeps its other names.
    let keep = if matches!(*name, "variables" | "dimensions") {
        index + 2
    } else {
        index + 1
    };
    Some(parts.get(..keep.min(parts.len()))?.join("/"))
}

fn edited_inside(pointer: &str, gone: &BTreeSet<String>) -> bool {
    let mut parts = pointer.split('/').skip(1);
    parts.next() == Some("resources") && parts.next().is_some_and(|name| gone.contains(name))
}

/// Sorts pointers so that numbers count as numbers.
fn pointer_order(pointer: &str) -> Vec<(u64, String)> {
    pointer
        .split('/')
        .map(|part| (part.parse().unwrap_or(0), part.to_owned()))
        .collect()
}
