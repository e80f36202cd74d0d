//! The sheet of one program: what stands where, who depends on whom, and the faults found so far.
//!
//! In: a [`Written`] program. Out: every single fault of it, sorted by id. What is changed how is decided by the
//! modules beside this one; the sheet gives each fault its id, its place and the types that it touches.

use std::collections::{BTreeMap, BTreeSet};

use checker_lab::program::{Edit, ProgramFile, Written};
use serde_json::Value;

use super::{Fault, resource};

/// Everything that is needed to write faults down.
pub(super) struct Sheet<'a> {
    written: &'a Written,
    program: usize,
    prefix: &'a str,
    /// `Pulumi.yaml` as data.
    pub(super) document: Value,
    /// What refers to a resource or variable, directly.
    referrers: BTreeMap<String, BTreeSet<String>>,
    /// What the outcome of a rotation depends on.
    cone: BTreeSet<String>,
    faults: BTreeMap<String, Fault>,
}

/// What a fault is about, before it has an id.
pub(super) struct Draft<'a> {
    /// The resource or variable that is changed.
    pub(super) name: &'a str,
    /// The path within it, dotted; empty for the whole.
    pub(super) path: &'a str,
    /// What is done to it.
    pub(super) operator: &'a str,
    /// The kind of fault.
    pub(super) kind: &'static str,
    /// In words.
    pub(super) what: String,
    /// The changes; the first one has the place.
    pub(super) edits: Vec<Edit>,
}

/// A program in which faults are written by hand.
pub(crate) struct Hand<'a>(Sheet<'a>);

impl<'a> Hand<'a> {
    /// On this program of the stack.
    pub(crate) fn new(written: &'a Written, program: usize, prefix: &'a str) -> Self {
        Self(Sheet::new(written, program, prefix))
    }

    /// The fault with these edits; nothing where the program has no such place.
    pub(super) fn fault(&self, id: &str, what: &str, edits: Vec<Edit>) -> Option<Fault> {
        let there = |edit: &Edit| {
            let at = if edit.to.is_some() {
                // What is added needs only what it is added to.
                edit.at.rsplit_once('/').map(|(above, _)| above)?
            } else {
                edit.at.as_str()
            };
            self.0.written.position(edit.file, at)
        };
        edits.iter().map(there).collect::<Option<Vec<_>>>()?;
        let first = edits.first()?;
        Some(Fault {
            id: format!("{}{id}", self.0.prefix),
            kind: "by hand".to_owned(),
            what: what.to_owned(),
            place: self.0.place(first),
            program: self.0.program,
            rotates: self.0.rotates("", &edits),
            behaviour: None,
            touches: self.0.touched("", &edits),
            edits,
        })
    }
}

/// Every single fault of one program of the stack; `prefix` keeps ids of several programs apart.
pub(crate) fn faults_of(written: &Written, program: usize, prefix: &str) -> Vec<Fault> {
    let mut sheet = Sheet::new(written, program, prefix);
    resource::all(&mut sheet);
    resource::settings(&mut sheet, &written.value(ProgramFile::Stage));
    sheet.faults.into_values().collect()
}

impl<'a> Sheet<'a> {
    fn new(written: &'a Written, program: usize, prefix: &'a str) -> Self {
        let document = written.value(ProgramFile::Program);
        let referrers = referrers(&document);
        Self {
            written,
            program,
            prefix,
            cone: cone(&document, &referrers),
            referrers,
            document,
            faults: BTreeMap::new(),
        }
    }

    /// Writes a fault down; one that is there already stays as it is.
    pub(super) fn add(&mut self, draft: Draft<'_>) {
        let mut id = format!("{}{}", self.prefix, draft.name);
        if !draft.path.is_empty() {
            id = format!("{id}.{}", draft.path);
        }
        let id = format!("{id}~{}", draft.operator);
        let place = draft
            .edits
            .first()
            .map_or_else(String::new, |edit| self.place(edit));
        let fault = Fault {
            id: id.clone(),
            kind: draft.kind.to_owned(),
            what: draft.what,
            place,
            program: self.program,
            rotates: self.rotates(draft.name, &draft.edits),
            behaviour: None,
            touches: self.touched(draft.name, &draft.edits),
            edits: draft.edits,
        };
        self.faults.entry(id).or_insert(fault);
    }

    /// The resources of the program, by name.
    pub(super) fn resources(&self) -> Vec<(String, Value)> {
        self.entries("resources")
    }

    /// The variables of the program, by name.
    pub(super) fn variables(&self) -> Vec<(String, Value)> {
        self.entries("variables")
    }

    fn entries(&self, section: &str) -> Vec<(String, Value)> {
        let entries = self.document.get(section).and_then(Value::as_object);
        entries
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Other resources of the same type.
    pub(super) fn alike(&self, name: &str) -> Vec<String> {
        let kind = self.kind(name);
        let others = self.resources().into_iter().map(|(name, _)| name);
        others
            .filter(|other| other != name && kind.is_some() && self.kind(other) == kind)
            .collect()
    }

    /// The type of a resource.
    pub(super) fn kind(&self, name: &str) -> Option<&str> {
        self.document
            .get("resources")?
            .get(name)?
            .get("type")?
            .as_str()
    }

    fn place(&self, edit: &Edit) -> String {
        let path = self.written.path(edit.file);
        let mut pointer = edit.at.as_str();
        loop {
            if let Some(position) = self.written.position(edit.file, pointer) {
                return format!("{path}:{position}");
            }
            // What is added has the place of what it is added to.
            let Some((above, _)) = pointer.rsplit_once('/') else {
                return path;
            };
            pointer = above;
        }
    }

    /// The names of everything that an edit changes, or that depends on what it changes.
    fn changed(&self, name: &str, edits: &[Edit]) -> BTreeSet<String> {
        let mut names = BTreeSet::from([name.to_owned()]);
        names.extend(edits.iter().filter_map(|edit| edited(&edit.at)));
        let mut open: Vec<String> = names.iter().cloned().collect();
        while let Some(next) = open.pop() {
            for referrer in self.referrers.get(&next).into_iter().flatten() {
                if names.insert(referrer.clone()) {
                    open.push(referrer.clone());
                }
            }
        }
        names
    }

    /// Whether a rotation may come out otherwise: by what it depends on, or by a key, a secret or a function.
    fn rotates(&self, name: &str, edits: &[Edit]) -> bool {
        let touched = self.touched(name, edits);
        touched.is_empty()
            || ["aws:kms:", "aws:lambda:", "aws:secretsmanager:"]
                .iter()
                .any(|service| touched.iter().any(|kind| kind.starts_with(service)))
            || !self.changed(name, edits).is_disjoint(&self.cone)
    }

    /// Types of everything that an edit changes, or that depends on what it changes.
    fn touched(&self, name: &str, edits: &[Edit]) -> BTreeSet<String> {
        if edits.iter().any(|edit| edit.file == ProgramFile::Stage) {
            return BTreeSet::new();
        }
        let names = self.changed(name, edits);
        let mut touched: BTreeSet<String> = names
            .iter()
            .filter_map(|name| self.kind(name).map(str::to_owned))
            .collect();
        // A resource that an edit adds has its type in the edit.
        touched.extend(
            edits
                .iter()
                .filter_map(|edit| edit.to.as_ref()?.get("type")?.as_str())
                .filter(|kind| kind.starts_with("aws:"))
                .map(str::to_owned),
        );
        touched
    }
}

/// The resource or variable that a pointer leads into.
fn edited(pointer: &str) -> Option<String> {
    pointer.split('/').nth(2).map(str::to_owned)
}

/// A change of the program.
pub(super) fn edit(at: impl Into<String>, to: Option<Value>) -> Edit {
    Edit {
        file: ProgramFile::Program,
        at: at.into(),
        to,
    }
}

/// A JSON pointer one part longer.
pub(super) fn below(pointer: &str, part: &str) -> String {
    format!("{pointer}/{}", part.replace('~', "~0").replace('/', "~1"))
}

/// Names that a text refers to with `${..}`.
pub(super) fn references(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (index, _) in text.match_indices("${") {
        let (before, rest) = text.split_at(index);
        if before.ends_with('$') {
            continue;
        }
        let name: String = rest
            .chars()
            .skip(2)
            .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
            .collect();
        names.push(name);
    }
    names
}

/// All texts below a value, each with its pointer.
pub(super) fn texts<'v>(value: &'v Value, pointer: &str, found: &mut Vec<(String, &'v str)>) {
    match value {
        Value::String(text) => found.push((pointer.to_owned(), text)),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                texts(item, &format!("{pointer}/{index}"), found);
            }
        }
        Value::Object(entries) => {
            for (name, value) in entries {
                texts(value, &below(pointer, name), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Rotations, all that they refer to, and the policies of the roles among that.
fn cone(document: &Value, referrers: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let kind = |name: &str| {
        document
            .get("resources")
            .and_then(|resources| resources.get(name)?.get("type")?.as_str())
            .unwrap_or_default()
    };
    let resources = document.get("resources").and_then(Value::as_object);
    let mut cone: BTreeSet<String> = resources
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .filter(|name| kind(name) == "aws:secretsmanager:SecretRotation")
        .collect();
    loop {
        let before = cone.len();
        for (name, by) in referrers {
            if !cone.is_disjoint(by) {
                cone.insert(name.clone());
            }
            if cone.contains(name) && kind(name) == "aws:iam:Role" {
                let policies = by.iter().filter(|it| kind(it).starts_with("aws:iam:"));
                cone.extend(policies.cloned());
            }
        }
        if cone.len() == before {
            return cone;
        }
    }
}

/// For each resource and variable, what refers to it.
fn referrers(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut referrers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for section in ["resources", "variables"] {
        let entries = document.get(section).and_then(Value::as_object);
        for (name, value) in entries.into_iter().flatten() {
            let mut found = Vec::new();
            texts(value, "", &mut found);
            for (_, text) in found {
                for reference in references(text) {
                    referrers.entry(reference).or_default().insert(name.clone());
                }
            }
        }
    }
    referrers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_and_escapes_are_not() {
        let cases = [
            ("${a.b}", vec!["a"]),
            ("x ${one} y ${two[0].z}", vec!["one", "two"]),
            ("$${aws:username}", vec![]),
            ("plain", vec![]),
        ];
        for (text, expected) in cases {
            assert_eq!(references(text), expected, "{text}");
        }
    }
}
