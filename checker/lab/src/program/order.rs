//! In which order resources and variables can be evaluated.
//!
//! Output: the names of variables and resources, each after everything that its expressions and options name, otherwise
//! in the order of the file; or the cycle that makes this impossible.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{Position, Problems};
use super::expression::{Access, Call, Entry, Expr, ExprKind, Part};
use super::template::{Resource, Template};

/// Sorts the program's names.
pub(crate) fn sort(template: &Template, problems: &mut Problems) -> Vec<String> {
    let mut sorting = Sorting {
        template,
        state: BTreeMap::new(),
        order: Vec::new(),
        problems,
    };
    for name in template.order.iter().chain(template.variables.keys()) {
        sorting.visit(name);
    }
    sorting.order
}

/// The names that a resource's expressions and options mention.
pub(crate) fn needs_of_resource(resource: &Resource) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut add = |access: &Access| {
        found.insert(access.root.clone());
    };
    for entry in &resource.properties {
        walk_entry(entry, &mut add);
    }
    let options = &resource.options;
    if let Some(id) = &resource.get {
        walk(id, &mut add);
    }
    for expr in [
        &options.depends_on,
        &options.provider,
        &options.parent,
        &options.deleted_with,
    ]
    .into_iter()
    .flatten()
    {
        walk(expr, &mut add);
    }
    found
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Done,
}

struct Sorting<'a> {
    template: &'a Template,
    state: BTreeMap<String, State>,
    order: Vec<String>,
    problems: &'a mut Problems,
}

impl Sorting<'_> {
    /// Depth first, with a stack of its own: a chain of names may be as long as the file.
    fn visit(&mut self, start: &str) {
        let mut path: Vec<(String, std::collections::btree_set::IntoIter<String>)> = Vec::new();
        let mut next = Some(start.to_owned());
        loop {
            if let Some(name) = next.take()
                && let Some(needs) = self.enter(&name, &path)
            {
                path.push((name, needs));
            }
            let Some((name, needs)) = path.last_mut() else {
                return;
            };
            next = needs.next();
            if next.is_none() {
                self.state.insert(name.clone(), State::Done);
                self.order.push(name.clone());
                path.pop();
            }
        }
    }

    /// What must come before a name that isn't sorted yet.
    fn enter(
        &mut self,
        name: &str,
        path: &[(String, std::collections::btree_set::IntoIter<String>)],
    ) -> Option<std::collections::btree_set::IntoIter<String>> {
        let (at, needs) = self.needs(name)?;
        match self.state.get(name) {
            Some(State::Done) => return None,
            Some(State::Open) => {
                let cycle: Vec<String> = path
                    .iter()
                    .map(|(step, _)| step.as_str())
                    .skip_while(|step| *step != name)
                    .chain([name])
                    .map(|step| format!("`{step}`"))
                    .collect();
                self.problems.push(
                    at,
                    format!("`{name}` depends on itself: {}", cycle.join(" -> ")),
                );
                return None;
            }
            None => {}
        }
        self.state.insert(name.to_owned(), State::Open);
        Some(needs.into_iter())
    }

    fn needs(&self, name: &str) -> Option<(Position, BTreeSet<String>)> {
        if let Some(resource) = self.template.resources.get(name) {
            return Some((resource.at, needs_of_resource(resource)));
        }
        let (at, expr) = self.template.variables.get(name)?;
        let mut found = BTreeSet::new();
        walk(expr, &mut |access| {
            found.insert(access.root.clone());
        });
        Some((*at, found))
    }
}

/// Calls `visit` for every `${..}` below an expression.
pub(crate) fn walk(expr: &Expr, visit: &mut dyn FnMut(&Access)) {
    walk_expressions(expr, &mut |expr| match &expr.kind {
        ExprKind::Symbol(access) => visit(access),
        ExprKind::Interpolation(parts) => {
            for part in parts {
                if let Part::Access(access) = part {
                    visit(access);
                }
            }
        }
        ExprKind::Null
        | ExprKind::Bool(_)
        | ExprKind::Number(_)
        | ExprKind::Text(_)
        | ExprKind::List(_)
        | ExprKind::Object(_)
        | ExprKind::Call(_) => {}
    });
}

fn walk_entry(entry: &Entry, visit: &mut dyn FnMut(&Access)) {
    walk(&entry.key, visit);
    walk(&entry.value, visit);
}

/// Calls `visit` for an expression and every expression below it.
pub(crate) fn walk_expressions(expr: &Expr, visit: &mut dyn FnMut(&Expr)) {
    visit(expr);
    match &expr.kind {
        ExprKind::Null
        | ExprKind::Bool(_)
        | ExprKind::Number(_)
        | ExprKind::Text(_)
        | ExprKind::Symbol(_)
        | ExprKind::Interpolation(_) => {}
        ExprKind::List(items) => {
            for item in items {
                walk_expressions(item, visit);
            }
        }
        ExprKind::Object(entries) => walk_entries(entries, visit),
        ExprKind::Call(call) => walk_call(call, visit),
    }
}

fn walk_entries(entries: &[Entry], visit: &mut dyn FnMut(&Expr)) {
    for entry in entries {
        walk_expressions(&entry.key, visit);
        walk_expressions(&entry.value, visit);
    }
}

fn walk_call(call: &Call, visit: &mut dyn FnMut(&Expr)) {
    match call {
        Call::Invoke(invoke) => {
            walk_entries(&invoke.arguments, visit);
            for option in [&invoke.provider, &invoke.depends_on].into_iter().flatten() {
                walk_expressions(option, visit);
            }
        }
        Call::Join(a, b) | Call::Split(a, b) | Call::Select(a, b) => {
            walk_expressions(a, visit);
            walk_expressions(b, visit);
        }
        Call::AssetArchive(entries) => walk_entries(entries, visit),
        Call::ToJson(a)
        | Call::Secret(a)
        | Call::Unsecret(a)
        | Call::ToBase64(a)
        | Call::FromBase64(a)
        | Call::Sha1(a)
        | Call::Length(a)
        | Call::SingleOrNone(a)
        | Call::ReadFile(a)
        | Call::FileBase64(a)
        | Call::FileBase64Sha256(a)
        | Call::FileAsset(a)
        | Call::StringAsset(a)
        | Call::FileArchive(a) => walk_expressions(a, visit),
    }
}
