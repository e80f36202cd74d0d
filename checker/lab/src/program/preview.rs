//! A preview of Pulumi, read as a plan: what will be there once the deploy is done.
//!
//! Input: the file that `pulumi preview --json --show-sames` writes (one digest), or that the same command writes with
//! `PULUMI_ENABLE_STREAMING_JSON_PREVIEW` (an engine event a line). Output: a [`Plan`], in the order of the file, which
//! is that of dependencies. A file that is empty, malformed, cut off or without the unchanged resources of an existing
//! stack is an error at its place: what it leaves out would otherwise pass unseen.
//!
//! Values that only the deploy will know and secrets are told by their marks and become unknown. No secret is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value as Json;

use super::error::{Position, Problems, ProgramError, ProgramErrors};
use super::schema::PROVIDER;
use super::value::Value;

mod digest;
mod marks;
mod stream;

pub(crate) use marks::value;

/// No preview is larger.
const MAX_BYTES: u64 = 64 << 20;

/// The type of the resource that stands for the stack itself.
pub(crate) const STACK: &str = "pulumi:pulumi:Stack";

const HELP: &str = "write it with `pulumi preview --json --show-sames > FILE`";

/// What a deploy will leave behind, as far as a preview shows it.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) path: String,
    pub(crate) stage: String,
    pub(crate) project: String,
    pub(crate) config: BTreeMap<String, Value>,
    pub(crate) resources: Vec<Planned>,
    /// What the deploy deletes.
    pub(crate) deleted: Vec<Planned>,
}

/// A resource of a plan.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) urn: String,
    /// Its name in the program.
    pub(crate) name: String,
    /// The canonical type token.
    pub(crate) kind: String,
    pub(crate) at: Position,
    /// Whether a provider makes it; otherwise it only groups others.
    pub(crate) custom: bool,
    /// Whether it is only read, and made elsewhere.
    pub(crate) read: bool,
    pub(crate) inputs: BTreeMap<String, Value>,
    pub(crate) outputs: BTreeMap<String, Value>,
    pub(crate) id: Option<String>,
    /// The provider's URN.
    pub(crate) provider: Option<String>,
    /// URNs that it names.
    mentions: BTreeSet<String>,
}

/// What both forms of a preview are read into, before it is trusted.
#[derive(Debug, Default)]
struct Raw {
    config: BTreeMap<String, Json>,
    steps: Vec<Step>,
    /// How many steps of each kind the preview itself counted.
    summary: Option<BTreeMap<String, u64>>,
    /// Messages of severity `error`.
    failures: Vec<(Position, String)>,
}

/// One step of the preview.
#[derive(Debug)]
struct Step {
    at: Position,
    op: String,
    urn: String,
    provider: Option<String>,
    old: Option<Json>,
    new: Option<Json>,
}

impl Plan {
    /// Reads a preview.
    ///
    /// # Errors
    /// Why it can't be judged, with the place.
    pub fn read(path: &Path) -> Result<Self, ProgramErrors> {
        let shown = path.display().to_string();
        let problems = Problems::of(&shown);
        let wrong = |message: String| -> ProgramErrors {
            problems
                .error(Position::START, message, Some(HELP.to_owned()))
                .into()
        };
        let size = std::fs::metadata(path)
            .map_err(|error| wrong(format!("can't read the file: {error}")))?
            .len();
        if size > MAX_BYTES {
            return Err(wrong(format!(
                "the file has {size} bytes, more than the {MAX_BYTES} allowed"
            )));
        }
        let bytes =
            std::fs::read(path).map_err(|error| wrong(format!("can't read the file: {error}")))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = error.utf8_error().valid_up_to();
            wrong(format!("the file isn't UTF-8 text after {good} bytes"))
        })?;
        Self::parse(&text, &shown)
    }

    /// Reads the text of a preview; `shown` is how messages name its file.
    ///
    /// # Errors
    /// Why it can't be judged, with the place.
    pub fn parse(text: &str, shown: &str) -> Result<Self, ProgramErrors> {
        let problems = Problems::of(shown);
        if text.trim().is_empty() {
            return Err(problems
                .error(
                    Position::START,
                    "the preview is empty",
                    Some(HELP.to_owned()),
                )
                .into());
        }
        let raw = if stream::is_stream(text) {
            stream::read(text, &problems)
        } else {
            digest::read(text, &problems)
        }?;
        settle(&raw, shown)
    }

    /// The stage, which Pulumi calls the stack.
    pub fn stage(&self) -> &str {
        &self.stage
    }

    /// The program's name.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// The file, as messages name it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The account that its ARNs name most often, those of what exists before those of what is planned.
    pub fn account(&self) -> Option<String> {
        self.named_most(4, |part| {
            part.len() == 12 && part.bytes().all(|byte| byte.is_ascii_digit())
        })
    }

    /// The region that the provider is configured with, otherwise the one that its ARNs name most often.
    pub fn region(&self) -> Option<String> {
        if let Some(Value::Text(region)) = self.config.get("aws:region") {
            return Some(region.clone());
        }
        self.named_most(3, |part| part.matches('-').count() >= 2)
    }

    fn named_most(&self, part: usize, fits: impl Fn(&str) -> bool) -> Option<String> {
        let of = |pick: fn(&Planned) -> &BTreeMap<String, Value>| {
            let mut count: BTreeMap<String, usize> = BTreeMap::new();
            for planned in self.resources.iter().chain(&self.deleted) {
                for value in pick(planned).values() {
                    let mut texts = Vec::new();
                    collect(value, &mut texts);
                    for text in texts {
                        for arn in text.split("arn:aws").skip(1) {
                            let named = arn.splitn(7, ':').nth(part - 1).filter(|it| fits(it));
                            if let Some(named) = named {
                                *count.entry(named.to_owned()).or_default() += 1;
                            }
                        }
                    }
                }
            }
            count
                .into_iter()
                .max_by_key(|(_, times)| *times)
                .map(|(named, _)| named)
        };
        of(|planned| &planned.outputs).or_else(|| of(|planned| &planned.inputs))
    }
}

/// The texts in a value.
pub(crate) fn collect<'a>(value: &'a Value, into: &mut Vec<&'a str>) {
    match value {
        Value::Text(text) => into.push(text),
        Value::List(items) => items.iter().for_each(|item| collect(item, into)),
        Value::Object(entries) => entries.values().for_each(|item| collect(item, into)),
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Integer(_)
        | Value::Asset(_)
        | Value::Resource(_)
        | Value::Unknown
        | Value::Secret(_) => {}
    }
}

/// What a step does to its resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// It is there afterwards, as `newState` says.
    Present,
    /// It is there and was made elsewhere.
    Read,
    /// It is gone afterwards.
    Gone,
    /// Only an old copy of it goes.
    Leftover,
}

fn effect(op: &str) -> Option<Effect> {
    Some(match op {
        "same" | "create" | "update" | "replace" | "create-replacement" | "import"
        | "import-replacement" | "refresh" => Effect::Present,
        "read" | "read-replacement" => Effect::Read,
        "delete" => Effect::Gone,
        "delete-replaced" | "discard" | "discard-replaced" | "remove-pending-replace" => {
            Effect::Leftover
        }
        _ => return None,
    })
}

/// Trusts a preview, or says why not.
fn settle(raw: &Raw, shown: &str) -> Result<Plan, ProgramErrors> {
    let mut problems = Problems::of(shown);
    for (at, message) in &raw.failures {
        problems.push(*at, format!("the preview failed: {message}"));
    }
    let mut plan = Plan {
        path: shown.to_owned(),
        stage: String::new(),
        project: String::new(),
        config: raw
            .config
            .iter()
            .map(|(name, found)| (name.clone(), marks::value(found)))
            .collect(),
        resources: Vec::new(),
        deleted: Vec::new(),
    };
    let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
    for step in &raw.steps {
        *counted.entry(step.op.as_str()).or_default() += 1;
        if let Err(error) = take(step, &mut plan, &problems) {
            problems.add(error);
        }
    }
    omissions(raw, &counted, &mut problems);
    let known: BTreeSet<&str> = plan
        .resources
        .iter()
        .chain(&plan.deleted)
        .map(|planned| planned.urn.as_str())
        .collect();
    for planned in &plan.resources {
        let missing = planned
            .mentions
            .iter()
            .find(|urn| !known.contains(urn.as_str()) && !is_default_provider(urn));
        if let Some(missing) = missing {
            problems.push_with_help(
                planned.at,
                format!(
                    "`{}` depends on `{missing}`, which the preview leaves out",
                    planned.name
                ),
                HELP,
            );
        }
    }
    if !plan.resources.iter().any(|planned| planned.kind == STACK) {
        problems.push_with_help(
            Position::START,
            format!("the preview has no stack resource (`{STACK}`): it is not all of a preview"),
            HELP,
        );
    }
    let present: BTreeSet<String> = plan.resources.iter().map(|it| it.urn.clone()).collect();
    plan.deleted.retain(|gone| !present.contains(&gone.urn));
    problems.finish()?;
    Ok(plan)
}

/// Whether something of the stack is not in the file.
fn omissions(raw: &Raw, counted: &BTreeMap<&str, u64>, problems: &mut Problems) {
    let Some(summary) = &raw.summary else {
        problems.push_with_help(
            Position::START,
            "the preview has no summary of its changes: it did not run to its end",
            HELP,
        );
        return;
    };
    for (op, promised) in summary {
        let found = counted.get(op.as_str()).copied().unwrap_or_default();
        // What is only read is shown on request, and is made elsewhere in any case.
        if found >= *promised || op == "read" {
            continue;
        }
        let (message, help) = if op == "same" {
            (
                format!(
                    "the preview leaves out {} unchanged resources of the stack",
                    promised - found
                ),
                "run `pulumi preview` with `--show-sames`: a gate must see all of the stack",
            )
        } else {
            (
                format!("the preview counts {promised} steps of kind `{op}` and holds {found}"),
                HELP,
            )
        };
        problems.push_with_help(Position::START, message, help);
    }
}

/// The provider that resources without one of their own use; its steps are never shown.
pub(crate) fn is_default_provider(urn: &str) -> bool {
    let mut parts = urn.rsplit("::");
    let name = parts.next().unwrap_or_default();
    let kind = parts.next().unwrap_or_default();
    kind.starts_with("pulumi:providers:") && (name == "default" || name.starts_with("default_"))
}

/// Adds a step's resource to the plan.
fn take(step: &Step, plan: &mut Plan, problems: &Problems) -> Result<(), ProgramError> {
    let wrong = |message: String| problems.error(step.at, message, None);
    let effect = effect(&step.op).ok_or_else(|| {
        wrong(format!(
            "`{}` isn't a kind of step that is known here",
            step.op
        ))
    })?;
    let (stage, project, kind, name) = parts(&step.urn)
        .ok_or_else(|| wrong(format!("`{}` isn't the URN of a resource", step.urn)))?;
    if plan.stage.is_empty() {
        stage.clone_into(&mut plan.stage);
        project.clone_into(&mut plan.project);
    } else if plan.stage != stage || plan.project != project {
        return Err(wrong(format!(
            "`{}` is of another stack than what comes before it",
            step.urn
        )));
    }
    let state = match effect {
        Effect::Present | Effect::Read => step.new.as_ref(),
        Effect::Gone => step.old.as_ref().or(step.new.as_ref()),
        Effect::Leftover => return Ok(()),
    };
    let Some(state) = state.filter(|state| state.is_object()) else {
        return Err(wrong(format!(
            "the step `{}` of `{name}` has no state",
            step.op
        )));
    };
    if state
        .get("inputs")
        .is_some_and(|it| !it.is_object() && !it.is_null())
    {
        return Err(wrong(format!("the inputs of `{name}` are no object")));
    }
    let planned = Planned {
        urn: step.urn.clone(),
        name: name.to_owned(),
        kind: kind.to_owned(),
        at: step.at,
        custom: state.get("custom").and_then(Json::as_bool).unwrap_or(true),
        read: effect == Effect::Read || state.get("external") == Some(&Json::Bool(true)),
        inputs: values(state.get("inputs")),
        outputs: values(state.get("outputs")),
        id: state
            .get("id")
            .and_then(Json::as_str)
            .filter(|id| !id.is_empty() && !marks::is_unknown(id))
            .map(str::to_owned),
        provider: provider(step, state),
        mentions: mentions(step, state),
    };
    if effect == Effect::Gone {
        plan.deleted.push(planned);
    } else if let Some(known) = plan.resources.iter_mut().find(|it| it.urn == planned.urn) {
        // A replacement may show its steps one by one; the last state is what stays.
        *known = planned;
    } else {
        plan.resources.push(planned);
    }
    Ok(())
}

/// `urn:pulumi:STAGE::PROJECT::TYPE$TYPE::NAME`.
fn parts(urn: &str) -> Option<(&str, &str, &str, &str)> {
    let mut parts = urn.strip_prefix("urn:pulumi:")?.splitn(4, "::");
    let (stage, project) = (parts.next()?, parts.next()?);
    let (qualified, name) = (parts.next()?, parts.next()?);
    let kind = qualified.rsplit('$').next().unwrap_or(qualified);
    let whole = [stage, project, kind, name].iter().all(|it| !it.is_empty());
    whole.then_some((stage, project, kind, name))
}

fn values(object: Option<&Json>) -> BTreeMap<String, Value> {
    let Some(Json::Object(entries)) = object else {
        return BTreeMap::new();
    };
    entries
        .iter()
        .filter(|(name, _)| !name.starts_with("__"))
        .map(|(name, found)| (name.clone(), marks::value(found)))
        .collect()
}

/// `URN::id` without the id, which may be unknown.
fn provider(step: &Step, state: &Json) -> Option<String> {
    let written = step
        .provider
        .as_deref()
        .or_else(|| state.get("provider").and_then(Json::as_str))
        .filter(|text| !text.is_empty())?;
    Some(without_id(written))
}

fn without_id(reference: &str) -> String {
    let body = reference.strip_prefix("urn:pulumi:").unwrap_or(reference);
    let pieces: Vec<&str> = body.splitn(5, "::").take(4).collect();
    format!("urn:pulumi:{}", pieces.join("::"))
}

fn mentions(step: &Step, state: &Json) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let texts = |value: Option<&Json>| -> Vec<String> {
        match value {
            Some(Json::String(text)) => vec![text.clone()],
            Some(Json::Array(items)) => items
                .iter()
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect(),
            Some(_) | None => Vec::new(),
        }
    };
    found.extend(texts(state.get("parent")));
    found.extend(texts(state.get("deletedWith")));
    found.extend(texts(state.get("dependencies")));
    if let Some(Json::Object(by_property)) = state.get("propertyDependencies") {
        for urns in by_property.values() {
            found.extend(texts(Some(urns)));
        }
    }
    found.extend(provider(step, state));
    found.retain(|urn| !urn.is_empty());
    found
}

impl Planned {
    /// Whether it configures a provider.
    pub(crate) fn is_provider(&self) -> bool {
        self.kind == PROVIDER
    }
}

/// Where a text first stands in another one.
fn place(text: &str, needle: &str) -> Position {
    let Some(before) = text.find(needle).and_then(|at| text.get(..at)) else {
        return Position::START;
    };
    let line = before.matches('\n').count();
    let column = before.rsplit('\n').next().unwrap_or(before).chars().count();
    Position {
        line: u64::try_from(line).unwrap_or_default().saturating_add(1),
        column: u64::try_from(column).unwrap_or_default().saturating_add(1),
    }
}
