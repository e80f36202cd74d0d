//! The proof of one control file: from what was written to what the rest of the program uses.
//!
//! In: a file, the vocabulary and the stage. Out: a [`Control`], or every error of the file. An error in one part does not
//! hide those of the others.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::catalog::{
    Access, AccessRule, Check, Circumstance, Claim, Companion, Control, Filter, Iam, Inspect,
    Population, Probe, Remediation, Rule, Script, Source, SourceFile, Test,
};
use super::parameter;
use super::read::{At, Named, Read as _, Reader};
use super::vocabulary::{PopulationDecl, Vocabulary};
use super::written;
use super::yaml::{self, Node, Place, Value};
use crate::diagnostic::{Diagnostic, suggestion};
use crate::expression::{Expression, Scope, Template};

/// Reads and proves one file.
pub(super) fn prove_file(
    file: &SourceFile,
    vocabulary: &Vocabulary,
    stage: &str,
) -> Result<Control, Vec<Diagnostic>> {
    let node = yaml::parse(&file.path, &file.text).map_err(|diagnostic| vec![diagnostic])?;
    let reader = Reader::new(&file.path, &file.text);
    let prover = Prover {
        reader: &reader,
        vocabulary,
        file,
        stage,
    };
    let control = written::Control::read(&node, &reader).map(|written| prover.control(written));
    if control.is_none() {
        prover.rest_of(&node);
    }
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

    fn control(&self, written: written::Control) -> Control {
        if !is_control_id(&written.id.value) {
            self.reader.fail::<()>(
                written.id.place,
                format!("`{}` is no id of a control", written.id.value),
                Some("write capitals, a dash and a number, like `FR-278`".to_owned()),
            );
        }
        let parameters = parameter::prove(written.parameters.as_ref(), self.stage, self.reader);
        let scope = self
            .vocabulary
            .scope(&parameter::ty(written.parameters.as_ref()));
        let checks = self.checks(&written.checks, &scope);
        // A test may also say what becomes of a population, under the id of its check.
        let rules: BTreeSet<&str> = checks
            .iter()
            .flat_map(|check| check.rule_ids().into_iter().chain([check.id()]))
            .collect();
        let mut names = BTreeSet::new();
        let tests = written
            .tests
            .iter()
            .flatten()
            .filter_map(|test| {
                if !names.insert(test.name.value.as_str()) {
                    let twice = format!("there are two tests `{}`", test.name.value);
                    return self.reader.fail(test.name.place, twice, None);
                }
                self.test(test, &rules)
            })
            .collect();
        Control {
            source: self.source(written.id.place),
            id: written.id.value,
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
            stage: self.stage.to_owned(),
        }
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
        let claims = [
            (Claim::NobodyCan, &written.nobody_can),
            (Claim::Can, &written.can),
            (Claim::CannotReach, &written.cannot_reach),
        ];
        let given: Vec<(Claim, &At<written::Access>)> = claims
            .into_iter()
            .filter_map(|(claim, access)| Some((claim, access.as_ref()?)))
            .collect();
        let (claim, access) = match given.as_slice() {
            [single] => *single,
            [_, (_, second), ..] => {
                return self.reader.fail(
                    second.place,
                    "more than one of `nobody-can`, `can` and `cannot-reach` in one rule",
                    None,
                );
            }
            [] => {
                return self.reader.fail(
                    written.id.place,
                    "a rule without `nobody-can`, `can` or `cannot-reach`",
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
                "`can` or `cannot-reach` without `principals`",
                Some("say who".to_owned()),
            ),
            (Some(_), Some(one)) => {
                self.reader
                    .fail(one.place, "both `principals` and `principal`", None)
            }
        };
        let actions = filled(&access.value.actions, "actions");
        let resources = filled(&access.value.resources, "resources");
        let outside = self.templates(access.value.outside.as_deref().unwrap_or_default(), scope);
        let except = self.templates(access.value.except.as_deref().unwrap_or_default(), scope);
        let when = self.circumstances(access.value.when.as_deref(), scope);
        let together_with = match &access.value.together_with {
            Some(companion) => Some(self.companion(companion, scope)?),
            None => None,
        };
        Some(AccessRule {
            id: written.id.value.clone(),
            says: says?,
            claim,
            access: Access {
                principals: principals?,
                actions: actions?,
                resources: resources?,
                outside: outside?,
                except: except?,
                when: when?,
                together_with,
                scp_may_deny: access.value.scp_may_deny.unwrap_or(false),
            },
            source: self.source(written.id.place),
        })
    }

    fn companion(&self, written: &At<written::Companion>, scope: &Scope) -> Option<Companion> {
        let value = &written.value;
        for (list, what) in [(&value.actions, "actions"), (&value.resources, "resources")] {
            if list.value.is_empty() {
                return self.reader.fail(list.place, format!("no {what}"), None);
            }
        }
        Some(Companion {
            actions: self.templates(&value.actions.value, scope)?,
            resources: self.templates(&value.resources.value, scope)?,
            outside: self.templates(value.outside.as_deref().unwrap_or_default(), scope)?,
            when: self.circumstances(value.when.as_deref(), scope)?,
        })
    }

    fn circumstances(
        &self,
        written: Option<&[written::Circumstance]>,
        scope: &Scope,
    ) -> Option<Vec<Circumstance>> {
        let read = |written: &written::Circumstance| {
            if !checker_iam::is_operator(&written.operator.value) {
                return self.reader.fail(
                    written.operator.place,
                    format!("`{}` is no condition operator", written.operator.value),
                    None,
                );
            }
            Some(Circumstance {
                operator: written.operator.value.clone(),
                key: written.key.value.clone(),
                values: self.templates(&written.values.value, scope)?,
            })
        };
        written.unwrap_or_default().iter().map(read).collect()
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
            name: written.name.value.clone(),
            given: given.value.clone(),
            expect: written
                .expect
                .0
                .iter()
                .map(|(rule, expected)| (rule.value.clone(), *expected))
                .collect(),
            source: self.source(written.name.place),
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
    format!("{:x}", Sha256::digest(text.as_bytes()))
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
