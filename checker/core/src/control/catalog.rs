//! Control files proven to make sense: names known, ids unique, parameters within bounds, conditions checked.
//!
//! In: the files of a folder, the [`Vocabulary`], the stage and overrides. Out: a [`Catalog`], or every error of
//! every file. Nothing of what people wrote is used further on without having passed through here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::parameter::{self, Parameter};
use super::read::{At, Named, Read as _, Reader};
use super::vocabulary::{PopulationDecl, Vocabulary};
use super::written::{self, Expected, Mode, Severity};
use super::yaml::{self, Node, Place, Value};
use crate::diagnostic::{Diagnostic, suggestion};
use crate::duration::Duration;
use crate::expression::{Expression, Scope, Template, with_deep_stack};

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
    /// The name of its [`PopulationDecl`].
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
    /// Who is excepted.
    pub except: Vec<Template>,
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
    /// What the case is.
    pub name: String,
    /// The file of recorded facts, relative to the folder of the control.
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
            match load_file(file, vocabulary, &choices.stage) {
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
        Ok(Self { controls })
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

fn load_file(
    file: &SourceFile,
    vocabulary: &Vocabulary,
    stage: &str,
) -> Result<Control, Vec<Diagnostic>> {
    let node = yaml::parse(&file.path, &file.text).map_err(|diagnostic| vec![diagnostic])?;
    let reader = Reader::new(&file.path, &file.text);
    let control = match written::Control::read(&node, &reader) {
        Some(written) => Prover {
            reader: &reader,
            vocabulary,
            file,
            stage,
        }
        .control(written),
        None => {
            Prover {
                reader: &reader,
                vocabulary,
                file,
                stage,
            }
            .rest_of(&node);
            None
        }
    };
    match control {
        Some(control) if !reader.has_errors() => Ok(control),
        Some(_) | None => Err(reader.finish()),
    }
}

/// Proves one file.
struct Prover<'a> {
    reader: &'a Reader<'a>,
    vocabulary: &'a Vocabulary,
    file: &'a SourceFile,
    stage: &'a str,
}

impl Prover<'_> {
    /// Looks for further errors in a control of which something is missing.
    fn rest_of(&self, node: &Node) {
        let Value::Map(entries) = &node.value else {
            return;
        };
        let find = |key: &str| {
            entries
                .iter()
                .find(|(found, _)| found.text == key)
                .map(|(_, node)| node)
        };
        let parameters: Option<Named<written::Parameter>> =
            find("parameters").and_then(|node| Named::read(node, self.reader));
        parameter::prove(parameters.as_ref(), self.stage, self.reader);
        if let Some(checks) =
            find("checks").and_then(|node| At::<Vec<written::Check>>::read(node, self.reader))
        {
            self.checks(
                &checks,
                &self.vocabulary.scope(&parameter::ty(parameters.as_ref())),
            );
        }
    }

    fn control(&self, written: written::Control) -> Option<Control> {
        if !is_control_id(&written.control.value) {
            self.reader.fail::<()>(
                written.control.place,
                format!("`{}` is no id of a control", written.control.value),
                Some("write capitals, a dash and a number, like `FR-278`".to_owned()),
            );
        }
        let parameters = parameter::prove(written.parameters.as_ref(), self.stage, self.reader);
        let scope = self
            .vocabulary
            .scope(&parameter::ty(written.parameters.as_ref()));
        let checks = self.checks(&written.checks, &scope);
        let rules: BTreeSet<&str> = checks.iter().flat_map(Check::rule_ids).collect();
        let tests = written
            .tests
            .iter()
            .flatten()
            .filter_map(|test| self.test(test, &rules))
            .collect();
        Some(Control {
            source: self.source(written.control.place),
            id: written.control.value,
            mode: written.mode,
            title: written.title,
            owner: written.owner,
            severity: written.severity,
            statement: written.statement.trim().to_owned(),
            mapping: written
                .mapping
                .into_iter()
                .flat_map(|named| named.0)
                .map(|(name, ids)| (name.value, ids))
                .collect(),
            parameters,
            checks,
            remediation: written
                .remediation
                .map(|written::Remediation { text, runbook }| Remediation { text, runbook }),
            success_criteria: written.success_criteria,
            retest: written.retest,
            tests,
            digest: digest(&self.file.text),
        })
    }

    fn checks(&self, written: &At<Vec<written::Check>>, scope: &Scope) -> Vec<Check> {
        if written.value.is_empty() && !self.reader.has_errors() {
            self.reader.fail::<()>(
                written.place,
                "a control without a check",
                Some("write at least one `- inspect:`".to_owned()),
            );
        }
        let mut checks = BTreeMap::new();
        let mut rules = BTreeMap::new();
        for check in &written.value {
            let (check_id, rule_ids) = ids(check);
            self.unique(check_id, "check", &mut checks);
            for id in rule_ids {
                self.unique(id, "rule", &mut rules);
            }
        }
        written
            .value
            .iter()
            .filter_map(|check| self.check(check, scope))
            .collect()
    }

    /// Ids are written into reports and waivers, so they are plain and occur once in a control.
    fn unique<'w>(&self, id: &'w At<String>, what: &str, seen: &mut BTreeMap<&'w str, Place>) {
        if !is_kebab(&id.value) {
            self.reader.fail::<()>(
                id.place,
                format!("`{}` is no id", id.value),
                Some(format!(
                    "write lower-case words with dashes, like `{}`",
                    kebab(&id.value)
                )),
            );
        }
        if let Some(first) = seen.insert(&id.value, id.place) {
            self.reader.fail::<()>(
                id.place,
                format!("two {what}s `{}` in one control", id.value),
                Some(format!("the other is in line {}", first.line)),
            );
        }
    }

    fn check(&self, written: &written::Check, scope: &Scope) -> Option<Check> {
        match written {
            written::Check::Inspect(written) => self.inspect(written, scope).map(Check::Inspect),
            written::Check::Iam(written) => self.iam(written, scope).map(Check::Iam),
            written::Check::Probe(written) => self.probe(written, scope).map(Check::Probe),
        }
    }

    fn inspect(&self, written: &written::Inspect, scope: &Scope) -> Option<Inspect> {
        let of = &written.population.of;
        let known = &self.vocabulary.populations;
        let Some(declared) = known.iter().find(|declared| declared.name == of.value) else {
            let help = suggestion(
                &of.value,
                known.iter().map(|declared| declared.name.as_str()),
            );
            return self
                .reader
                .fail(of.place, format!("unknown population `{}`", of.value), help);
        };
        let scope = scope
            .clone()
            .with(declared.variable.clone(), declared.ty.clone());
        let population = self.population(&written.population, declared, &scope);
        let rules = self.rules(&written.rules, &scope);
        Some(Inspect {
            id: written.id.value.clone(),
            population: population?,
            rules,
            source: self.source(written.id.place),
        })
    }

    fn population(
        &self,
        written: &written::Population,
        declared: &PopulationDecl,
        scope: &Scope,
    ) -> Option<Population> {
        let filter = match &written.filter {
            None => Some(Filter::All),
            Some(at) if is_word(&at.value) => {
                let known = declared.filters.iter().map(|filter| filter.name.as_str());
                if known.clone().any(|name| name == at.value) {
                    Some(Filter::Named(at.value.clone()))
                } else {
                    let message = format!("unknown filter `{}` of `{}`", at.value, declared.name);
                    self.reader
                        .fail(at.place, message, suggestion(&at.value, known))
                }
            }
            Some(at) => self
                .reader
                .expression(at, Expression::compile(&at.value, scope))
                .map(Filter::Condition),
        };
        let reconcile = match &written.reconcile {
            None => Some(None),
            Some(at) => {
                let known = declared
                    .reconciliations
                    .iter()
                    .map(|name| name.name.as_str());
                if known.clone().any(|name| name == at.value) {
                    Some(Some(at.value.clone()))
                } else {
                    let message = format!(
                        "unknown source `{}` to reconcile `{}` with",
                        at.value, declared.name
                    );
                    self.reader
                        .fail(at.place, message, suggestion(&at.value, known))
                }
            }
        };
        Some(Population {
            of: declared.name.clone(),
            variable: declared.variable.clone(),
            filter: filter?,
            min: usize::try_from(written.min.unwrap_or(1)).unwrap_or(usize::MAX),
            reconcile: reconcile?,
            source: self.source(written.of.place),
        })
    }

    fn rules(&self, written: &At<Vec<written::Rule>>, scope: &Scope) -> Vec<Rule> {
        if written.value.is_empty() && !self.reader.has_errors() {
            self.reader
                .fail::<()>(written.place, "a check without a rule", None);
        }
        written
            .value
            .iter()
            .filter_map(|rule| self.rule(rule, scope))
            .collect()
    }

    fn rule(&self, written: &written::Rule, scope: &Scope) -> Option<Rule> {
        let condition = |at: &At<String>| {
            self.reader
                .expression(at, Expression::compile(&at.value, scope))
        };
        let says = self.template(&written.says, scope);
        let when = match &written.when {
            None => Some(None),
            Some(at) => condition(at).map(Some),
        };
        let that = condition(&written.that);
        Some(Rule {
            id: written.id.value.clone(),
            says: says?,
            when: when?,
            that: that?,
            source: self.source(written.id.place),
        })
    }

    fn iam(&self, written: &written::Iam, scope: &Scope) -> Option<Iam> {
        if written.rules.value.is_empty() && !self.reader.has_errors() {
            return self
                .reader
                .fail(written.rules.place, "a check without a rule", None);
        }
        let rules = written
            .rules
            .value
            .iter()
            .filter_map(|rule| self.access_rule(rule, scope))
            .collect();
        Some(Iam {
            id: written.id.value.clone(),
            rules,
            source: self.source(written.id.place),
        })
    }

    fn access_rule(&self, written: &written::AccessRule, scope: &Scope) -> Option<AccessRule> {
        let (claim, access) = match (&written.nobody_can, &written.can) {
            (Some(access), None) => (Claim::NobodyCan, access),
            (None, Some(access)) => (Claim::Can, access),
            (Some(_), Some(second)) => {
                return self.reader.fail(
                    second.place,
                    "both `nobody-can` and `can` in one rule",
                    None,
                );
            }
            (None, None) => {
                return self.reader.fail(
                    written.id.place,
                    "a rule without `nobody-can` or `can`",
                    Some("say what must be impossible or possible".to_owned()),
                );
            }
        };
        let says = self.template(&written.says, scope);
        let filled = |list: &At<Vec<At<String>>>, what: &str| -> Option<Vec<Template>> {
            if list.value.is_empty() && !self.reader.has_errors() {
                self.reader.fail::<()>(
                    list.place,
                    format!("no {what}: the statement would hold of nothing"),
                    None,
                );
            }
            self.templates(&list.value, scope)
        };
        let principals = match (&access.value.principals, &access.value.principal) {
            (Some(list), None) => filled(list, "principals").map(Some),
            (None, Some(one)) => self.template(one, scope).map(|one| Some(vec![one])),
            (None, None) if claim == Claim::NobodyCan => Some(None),
            (None, None) => self.reader.fail(
                access.place,
                "`can` without `principals`",
                Some("say who can".to_owned()),
            ),
            (Some(_), Some(one)) => {
                self.reader
                    .fail(one.place, "both `principals` and `principal`", None)
            }
        };
        let actions = filled(&access.value.actions, "actions");
        let resources = filled(&access.value.resources, "resources");
        let except = self.templates(access.value.except.as_deref().unwrap_or_default(), scope);
        Some(AccessRule {
            id: written.id.value.clone(),
            says: says?,
            claim,
            access: Access {
                principals: principals?,
                actions: actions?,
                resources: resources?,
                except: except?,
            },
            source: self.source(written.id.place),
        })
    }

    fn probe(&self, written: &written::Probe, scope: &Scope) -> Option<Probe> {
        let script = self.script(written, scope)?;
        let known = &self.vocabulary.probes;
        let Some(declared) = known.iter().find(|declared| declared.name == script.name()) else {
            let help = suggestion(
                script.name(),
                known.iter().map(|declared| declared.name.as_str()),
            );
            return self.reader.fail(
                written.id.place,
                format!("no probe `{}` is available", script.name()),
                help,
            );
        };
        let scope = scope.clone().with("trace", declared.trace.clone());
        let expect = self.rules(&written.expect, &scope);
        Some(Probe {
            id: written.id.value.clone(),
            script,
            expect,
            source: self.source(written.id.place),
        })
    }

    fn script(&self, written: &written::Probe, scope: &Scope) -> Option<Script> {
        let rotate = written
            .rotate
            .as_ref()
            .map(|at| (at.place, self.rotate(&at.value, scope)));
        let anomaly = written
            .anomaly
            .as_ref()
            .map(|at| (at.place, self.anomaly(&at.value, scope)));
        let denied = written
            .denied
            .as_ref()
            .map(|at| (at.place, self.denied(&at.value, scope)));
        let sweep = written
            .sweep
            .as_ref()
            .map(|at| (at.place, self.sweep(&at.value, scope)));
        let mut scripts = [rotate, anomaly, denied, sweep].into_iter().flatten();
        let Some((_, script)) = scripts.next() else {
            let help = "write one of `rotate`, `anomaly`, `denied` and `sweep`".to_owned();
            return self
                .reader
                .fail(written.id.place, "a probe that does nothing", Some(help));
        };
        if let Some((place, _)) = scripts.next() {
            return self.reader.fail(
                place,
                "a probe that does two things",
                Some("make two probes of it".to_owned()),
            );
        }
        script
    }

    fn rotate(&self, written: &written::Rotate, scope: &Scope) -> Option<Script> {
        let secret = self.template(&written.secret, scope)?;
        Some(Script::Rotate {
            secret,
            reader_every: written.reader_every,
            within: written.within,
        })
    }

    fn anomaly(&self, written: &written::Anomaly, scope: &Scope) -> Option<Script> {
        let secret = self.template(&written.secret, scope)?;
        Some(Script::Anomaly {
            secret,
            runs: written.runs.unwrap_or(1),
            within: written.within,
        })
    }

    fn denied(&self, written: &written::Denied, scope: &Scope) -> Option<Script> {
        let principal = self.template(&written.principal, scope);
        let actions = self.templates(&written.actions, scope);
        let resource = self.template(&written.resource, scope);
        Some(Script::Denied {
            principal: principal?,
            actions: actions?,
            resource: resource?,
        })
    }

    fn sweep(&self, written: &written::Sweep, scope: &Scope) -> Option<Script> {
        let secret = self.template(&written.secret, scope);
        let places = self.templates(&written.places, scope);
        Some(Script::Sweep {
            secret: secret?,
            places: places?,
            within: written.within,
        })
    }

    fn test(&self, written: &written::Test, rules: &BTreeSet<&str>) -> Option<Test> {
        let given = &written.given;
        if given.value.starts_with('/') || given.value.split('/').any(|part| part == "..") {
            return self.reader.fail(
                given.place,
                format!("`{}` is outside of the folder of the control", given.value),
                None,
            );
        }
        for (rule, _) in &written.expect.0 {
            // Rules with errors are missing from the known ones.
            if !rules.contains(rule.value.as_str()) && !self.reader.has_errors() {
                self.reader.fail::<()>(
                    rule.place,
                    format!("unknown rule `{}`", rule.value),
                    suggestion(&rule.value, rules.iter().copied()),
                );
            }
        }
        Some(Test {
            name: written.name.clone(),
            given: given.value.clone(),
            expect: written
                .expect
                .0
                .iter()
                .map(|(rule, expected)| (rule.value.clone(), *expected))
                .collect(),
            source: self.source(given.place),
        })
    }

    fn templates(&self, list: &[At<String>], scope: &Scope) -> Option<Vec<Template>> {
        let templates: Vec<Option<Template>> =
            list.iter().map(|at| self.template(at, scope)).collect();
        templates.into_iter().collect()
    }

    fn template(&self, at: &At<String>, scope: &Scope) -> Option<Template> {
        self.reader
            .expression(at, Template::compile(&at.value, scope))
    }

    fn source(&self, place: Place) -> Source {
        Source {
            path: self.file.path.clone(),
            line: place.line,
            column: place.column,
        }
    }
}

/// The id of a check and those of its rules.
fn ids(check: &written::Check) -> (&At<String>, Vec<&At<String>>) {
    match check {
        written::Check::Inspect(check) => (
            &check.id,
            check.rules.value.iter().map(|rule| &rule.id).collect(),
        ),
        written::Check::Iam(check) => (
            &check.id,
            check.rules.value.iter().map(|rule| &rule.id).collect(),
        ),
        written::Check::Probe(check) => (
            &check.id,
            check.expect.value.iter().map(|rule| &rule.id).collect(),
        ),
    }
}

/// SHA-256 in hexadecimal.
pub(super) fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn is_control_id(id: &str) -> bool {
    id.split_once('-').is_some_and(|(letters, number)| {
        letters.starts_with(|c: char| c.is_ascii_uppercase())
            && letters
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
            && !number.is_empty()
            && number.chars().all(|c| c.is_ascii_digit())
    })
}

/// Lower-case words with dashes between them.
pub(super) fn is_kebab(id: &str) -> bool {
    id.starts_with(|c: char| c.is_ascii_lowercase())
        && id.split('-').all(|word| {
            !word.is_empty()
                && word
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        })
}

/// An id that resembles what was written.
fn kebab(text: &str) -> String {
    let dashed: String = text
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let words: Vec<&str> = dashed.split('-').filter(|word| !word.is_empty()).collect();
    let id = words.join("-");
    if is_kebab(&id) {
        id
    } else {
        "switched-on".to_owned()
    }
}

/// A single word can only be the name of a filter: as a condition it would be a bare variable.
fn is_word(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        && !matches!(text, "true" | "false")
}
