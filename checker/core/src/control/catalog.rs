//! Control files proven to make sense: names known, ids unique, parameters within bounds, conditions checked.
//!
//! In: the files of a folder, the [`Vocabulary`], the stage and overrides. Out: a [`Catalog`], or every error of
//! every file. Nothing of what people wrote is used further on without having passed through here.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::baseline::Baseline;
use super::parameter::{self, Parameter};
use super::prove::prove_file;
use super::vocabulary::Vocabulary;
use super::waiver::Waivers;
use super::written::{Expected, Mode, Severity};
use crate::diagnostic::{Diagnostic, suggestion};
use crate::duration::Duration;
use crate::expression::{Expression, Template, with_deep_stack};

/// A file as it was read.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Its path, as it is shown in messages.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// What a run chooses: the stage, and values of parameters.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    /// The stage whose parameter values apply.
    pub stage: String,
    /// Values set for this run.
    pub overrides: Vec<Override>,
}

/// A parameter set for one run.
#[derive(Clone, Debug)]
pub struct Override {
    /// The control's id.
    pub control: String,
    /// The parameter's name.
    pub parameter: String,
    /// Its value as text; a list is separated by commas.
    pub value: String,
}

/// All controls, proven valid, sorted by id.
#[derive(Clone, Debug, PartialEq)]
pub struct Catalog {
    /// The controls.
    pub controls: Vec<Control>,
    /// The waivers that apply to their findings.
    pub waivers: Waivers,
    /// What was approved, where that is known.
    pub baseline: Option<Baseline>,
}

/// A place in a control file: `controls/FR-278.yaml:31:5`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// The file.
    pub path: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path, self.line, self.column)
    }
}

impl Serialize for Source {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A control.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// Its id, like `FR-278`.
    pub id: String,
    /// How it is judged.
    pub mode: Mode,
    /// One line.
    pub title: String,
    /// The team that answers for it.
    pub owner: String,
    /// How bad a violation is.
    pub severity: Severity,
    /// What must hold, in prose.
    pub statement: String,
    /// Catalogue name to the ids there.
    pub mapping: BTreeMap<String, Vec<String>>,
    /// What an organisation may set, in the order of the file.
    pub parameters: Vec<Parameter>,
    /// How it is found out whether it holds.
    pub checks: Vec<Check>,
    /// What to do about a violation.
    pub remediation: Option<Remediation>,
    /// When the control counts as met.
    pub success_criteria: Option<String>,
    /// When it is to be judged again.
    pub retest: Option<String>,
    /// Recorded facts with the outcome they must have.
    pub tests: Vec<Test>,
    /// Where it stands.
    pub source: Source,
    /// SHA-256 of its file, in hexadecimal.
    pub digest: String,
    /// The stage that its parameters are of.
    pub stage: String,
}

/// One way to find out.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// Looks at each member of a population.
    Inspect(Inspect),
    /// Proves statements about who may do what.
    Iam(Iam),
    /// Acts, and judges what happened.
    Probe(Probe),
}

/// Looks at each member of a population.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspect {
    /// Its name within the control.
    pub id: String,
    /// What it looks at.
    pub population: Population,
    /// What must hold for each of them.
    pub rules: Vec<Rule>,
    /// Where it stands.
    pub source: Source,
}

/// What an inspection looks at.
#[derive(Clone, Debug, PartialEq)]
pub struct Population {
    /// The name of its [`PopulationDecl`](super::PopulationDecl).
    pub of: String,
    /// The variable that stands for a member.
    pub variable: String,
    /// Which of them.
    pub filter: Filter,
    /// How many there must be at least; 0 if it may be empty.
    pub min: usize,
    /// The name of a second source that must know the same members.
    pub reconcile: Option<String>,
    /// Where it stands.
    pub source: Source,
}

/// Which members of a population.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// All.
    All,
    /// Those that a filter of the vocabulary selects.
    Named(String),
    /// Those for which a condition holds.
    Condition(Expression),
}

/// A condition that must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name within the control.
    pub id: String,
    /// The condition in words.
    pub says: Template,
    /// When it applies; always where there is none.
    pub when: Option<Expression>,
    /// The condition.
    pub that: Expression,
    /// Where it stands.
    pub source: Source,
}

/// Proves statements about who may do what.
#[derive(Clone, Debug, PartialEq)]
pub struct Iam {
    /// Its name within the control.
    pub id: String,
    /// The statements.
    pub rules: Vec<AccessRule>,
    /// Where it stands.
    pub source: Source,
}

/// A statement about who may do what.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessRule {
    /// Its name within the control.
    pub id: String,
    /// The statement in words.
    pub says: Template,
    /// Whether the requests must be impossible or possible.
    pub claim: Claim,
    /// The requests.
    pub access: Access,
    /// Where it stands.
    pub source: Source,
}

/// What an access rule claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// None of the principals is allowed any of the requests.
    NobodyCan,
    /// Each of the principals is allowed each of the requests.
    Can,
    /// None of the principals is allowed any of the requests, nor can it become anyone who is.
    CannotReach,
}

/// A set of requests; each entry may be a placeholder of a list ([`Template::expand`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Who; everybody where there is none.
    pub principals: Option<Vec<Template>>,
    /// What.
    pub actions: Vec<Template>,
    /// On what.
    pub resources: Vec<Template>,
    /// Resources that the statement leaves out.
    pub outside: Vec<Template>,
    /// Who is excepted.
    pub except: Vec<Template>,
    /// What must hold in the requests.
    pub when: Vec<Circumstance>,
    /// Requests that the same principal must be allowed as well.
    pub together_with: Option<Companion>,
    /// Whether a service control policy may be what denies.
    pub scp_may_deny: bool,
}

/// Requests that only count together with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Companion {
    /// What.
    pub actions: Vec<Template>,
    /// On what.
    pub resources: Vec<Template>,
    /// Resources that are left out.
    pub outside: Vec<Template>,
    /// What must hold in the requests.
    pub when: Vec<Circumstance>,
}

/// A condition on requests, as in a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circumstance {
    /// The operator.
    pub operator: String,
    /// The context key.
    pub key: String,
    /// The values.
    pub values: Vec<Template>,
}

/// Acts, and judges what happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Its name within the control.
    pub id: String,
    /// What it does.
    pub script: Script,
    /// What must have happened.
    pub expect: Vec<Rule>,
    /// Where it stands.
    pub source: Source,
}

/// What a probe does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Script {
    /// Rotates a probe secret while it is being read.
    Rotate {
        /// The secret.
        secret: Template,
        /// How often it is read meanwhile; not at all where there is none.
        reader_every: Option<Duration>,
        /// How long it may take.
        within: Duration,
    },
    /// Provokes an alert.
    Anomaly {
        /// The secret that is read.
        secret: Template,
        /// How often it is done.
        runs: u32,
        /// How long the alert may take.
        within: Duration,
    },
    /// Tries what must be refused.
    Denied {
        /// Who tries.
        principal: Template,
        /// The actions that are tried.
        actions: Vec<Template>,
        /// On what.
        resource: Template,
    },
    /// Searches logs and queues for a planted value.
    Sweep {
        /// The secret that holds the planted value.
        secret: Template,
        /// Where it is searched for.
        places: Vec<Template>,
        /// How long the traces may take to arrive.
        within: Option<Duration>,
    },
}

impl Script {
    /// Its key in the control file.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Rotate { .. } => "rotate",
            Self::Anomaly { .. } => "anomaly",
            Self::Denied { .. } => "denied",
            Self::Sweep { .. } => "sweep",
        }
    }
}

/// What to do about a violation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remediation {
    /// In words.
    pub text: String,
    /// Where the steps are written down.
    pub runbook: Option<String>,
}

/// Recorded facts with the outcome they must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// What the case is; where the file holds several, the one of this name is taken.
    pub name: String,
    /// The file of what it starts from, relative to the folder of the control.
    pub given: String,
    /// The outcome of each rule that is named.
    pub expect: BTreeMap<String, Expected>,
    /// Where it stands.
    pub source: Source,
}

impl Check {
    /// Its name within the control.
    pub fn id(&self) -> &str {
        match self {
            Self::Inspect(check) => &check.id,
            Self::Iam(check) => &check.id,
            Self::Probe(check) => &check.id,
        }
    }

    /// The names of its rules.
    pub fn rule_ids(&self) -> Vec<&str> {
        match self {
            Self::Inspect(check) => check.rules.iter().map(|rule| rule.id.as_str()).collect(),
            Self::Iam(check) => check.rules.iter().map(|rule| rule.id.as_str()).collect(),
            Self::Probe(check) => check.expect.iter().map(|rule| rule.id.as_str()).collect(),
        }
    }
}

impl Control {
    /// The value of `params` in its conditions.
    pub fn params(&self) -> cel::Value {
        parameter::value(&self.parameters)
    }

    /// The names of its rules, in the order of the file.
    pub fn rule_ids(&self) -> impl Iterator<Item = &str> {
        self.checks.iter().flat_map(Check::rule_ids)
    }
}

impl Catalog {
    /// Reads and proves all control files of a folder; every error of every file is returned.
    pub fn load(
        folder: &str,
        files: &[SourceFile],
        vocabulary: &Vocabulary,
        choices: &Choices,
    ) -> Result<Self, Vec<Diagnostic>> {
        with_deep_stack(|| Self::load_here(folder, files, vocabulary, choices))
    }

    fn load_here(
        folder: &str,
        files: &[SourceFile],
        vocabulary: &Vocabulary,
        choices: &Choices,
    ) -> Result<Self, Vec<Diagnostic>> {
        if files.is_empty() {
            return Err(vec![
                Diagnostic::whole(
                    folder,
                    "no control: the folder has no `*.yaml` file besides `waivers.yaml`",
                )
                .help("name another folder, or write a first control"),
            ]);
        }
        let mut controls: Vec<Control> = Vec::new();
        let mut diagnostics = Vec::new();
        for file in files {
            match prove_file(file, vocabulary, &choices.stage) {
                Ok(control) => {
                    if let Some(first) = controls.iter().find(|earlier| earlier.id == control.id) {
                        let Source { path, line, column } = &control.source;
                        diagnostics.push(
                            Diagnostic::at(
                                path.clone(),
                                *line,
                                *column,
                                format!("control `{}` stands in two files", control.id),
                            )
                            .help(format!("the other is {}", first.source)),
                        );
                    } else {
                        controls.push(control);
                    }
                }
                Err(errors) => diagnostics.extend(errors),
            }
        }
        let readable = diagnostics.is_empty();
        for choice in &choices.overrides {
            diagnostics.extend(apply(&mut controls, choice, readable));
        }
        if !diagnostics.is_empty() {
            return Err(diagnostics);
        }
        controls.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(Self::of(controls))
    }

    /// These controls alone: no waivers, and nothing to compare them with.
    pub fn of(controls: Vec<Control>) -> Self {
        Self {
            controls,
            waivers: Waivers::default(),
            baseline: None,
        }
    }

    /// A control by its id.
    pub fn control(&self, id: &str) -> Option<&Control> {
        self.controls.iter().find(|control| control.id == id)
    }
}

/// Sets a parameter for this run.
fn apply(controls: &mut [Control], choice: &Override, all_readable: bool) -> Option<Diagnostic> {
    let whole = |message: String| {
        Some(Diagnostic::whole(
            format!("parameter {}.{}", choice.control, choice.parameter),
            message,
        ))
    };
    let ids: Vec<String> = controls.iter().map(|control| control.id.clone()).collect();
    let Some(control) = controls
        .iter_mut()
        .find(|control| control.id == choice.control)
    else {
        // It may be the one that could not be read.
        let help = suggestion(&choice.control, ids.iter().map(String::as_str));
        return all_readable
            .then(|| whole(format!("unknown control `{}`", choice.control)))?
            .map(|d| d.maybe_help(help));
    };
    let names: Vec<String> = control
        .parameters
        .iter()
        .map(|parameter| parameter.name.clone())
        .collect();
    let Some(parameter) = control
        .parameters
        .iter_mut()
        .find(|parameter| parameter.name == choice.parameter)
    else {
        let help = suggestion(&choice.parameter, names.iter().map(String::as_str));
        return whole(format!("unknown parameter `{}`", choice.parameter))
            .map(|d| d.maybe_help(help));
    };
    parameter.set(&choice.value).err().and_then(whole)
}
