//! The static check of a condition: every name, member, function and comparison against declared types.
//!
//! In: a tree and the types in scope. Out: its type, the paths it reads, or all of its errors with byte offsets.
//! The interpreter would let most of these errors pass: it takes values of different types as unequal, and a
//! member that is missing in `a && b` is forgotten when `b` is false. So nothing is left to run time that the
//! types can decide.

use std::collections::BTreeSet;

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, SourceInfo,
    operators,
};
use chrono::DateTime;

use super::function::{CACHED_MATCHES, FUNCTIONS, Function, Kind, LOOPS, with_pattern};
use super::path::{Path, Step};
use super::types::Type;
use super::{ExpressionError, Scope};
use crate::diagnostic::{closest, suggestion};

/// At most so many errors of one condition are reported.
const MAX_ERRORS: usize = 10;

/// What the check found out about a condition without errors.
pub(super) struct Checked {
    /// The type of the condition.
    pub(super) ty: Type,
    /// The paths it reads.
    pub(super) reads: BTreeSet<Path>,
}

/// Checks a tree, and replaces in it what has a faster form.
pub(super) fn check(
    tree: &mut IdedExpr,
    info: &SourceInfo,
    text: &str,
    scope: &Scope,
) -> Result<Checked, Vec<ExpressionError>> {
    let mut checker = Checker {
        scope,
        info,
        text,
        locals: Vec::new(),
        reads: BTreeSet::new(),
        errors: Vec::new(),
    };
    let found = checker.infer(tree);
    if checker.errors.is_empty() {
        rewrite(tree);
        return Ok(Checked {
            ty: found.ty,
            reads: checker.reads,
        });
    }
    checker.errors.sort_by_key(|error| error.offset);
    checker.errors.dedup();
    checker.errors.truncate(MAX_ERRORS);
    Err(checker.errors)
}

pub(super) struct Checker<'a> {
    scope: &'a Scope,
    info: &'a SourceInfo,
    text: &'a str,
    /// The variables of the loops around, innermost last.
    locals: Vec<(String, Found)>,
    reads: BTreeSet<Path>,
    errors: Vec<ExpressionError>,
}

/// What is known of a node.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) ty: Type,
    pub(super) path: Option<Path>,
}

impl Found {
    pub(super) fn of(ty: Type) -> Self {
        Self { ty, path: None }
    }

    /// Stands for an error already reported.
    fn any() -> Self {
        Self::of(Type::Any)
    }

    /// The words for it in a message.
    pub(super) fn words(&self) -> String {
        match &self.path {
            Some(path) => format!("`{path}` ({})", self.ty),
            None => format!("{}", self.ty),
        }
    }
}

impl Checker<'_> {
    /// The type of a node; what it reads is recorded.
    pub(super) fn infer(&mut self, node: &IdedExpr) -> Found {
        match &node.expr {
            Expr::Ident(_) | Expr::Select(_) => self.member_read(node),
            Expr::Call(call) if call.func_name == operators::INDEX => self.member_read(node),
            Expr::Call(call) => Found::of(self.call(node, call)),
            Expr::Comprehension(part) => Found::of(self.comprehension(node, part)),
            Expr::List(list) => {
                let mut item = Type::Any;
                for element in &list.elements {
                    let found = self.infer(element);
                    item = self.common(element, &item, &found.ty);
                }
                Found::of(Type::List(Box::new(item)))
            }
            Expr::Literal(literal) => Found::of(self.literal(node, literal)),
            Expr::Map(map) => {
                let mut item = Type::Any;
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else {
                        continue;
                    };
                    let key = self.infer(&entry.key);
                    if !is_text(&key.ty) {
                        self.error(&entry.key, "the keys of a map are text", None);
                    }
                    let found = self.infer(&entry.value);
                    item = self.common(&entry.value, &item, &found.ty);
                }
                Found::of(Type::Map(Box::new(item)))
            }
            Expr::Struct(_) => self.fail(node, "objects can't be made in a condition", None),
            Expr::Unspecified => self.fail(node, "incomplete condition", None),
        }
    }

    /// A chain of members, recorded as read by its longest path.
    fn member_read(&mut self, node: &IdedExpr) -> Found {
        let found = self.member(node);
        if let Some(path) = &found.path {
            self.reads.insert(path.clone());
        }
        found
    }

    fn member(&mut self, node: &IdedExpr) -> Found {
        match &node.expr {
            Expr::Ident(name) => self.variable(node, name),
            Expr::Select(select) => self.select(node, select),
            Expr::Call(call) if call.func_name == operators::INDEX => match call.args.as_slice() {
                [list, index] => self.index(node, list, index),
                _ => Found::any(),
            },
            Expr::Call(_)
            | Expr::Comprehension(_)
            | Expr::List(_)
            | Expr::Literal(_)
            | Expr::Map(_)
            | Expr::Struct(_)
            | Expr::Unspecified => self.infer(node),
        }
    }

    fn variable(&mut self, node: &IdedExpr, name: &str) -> Found {
        if let Some((_, found)) = self.locals.iter().rev().find(|(local, _)| local == name) {
            return found.clone();
        }
        if let Some(ty) = self.scope.get(name) {
            return Found {
                ty: ty.clone(),
                path: Some(Path::of(name)),
            };
        }
        let mut known: Vec<&str> = self
            .locals
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| !name.starts_with('@'))
            .collect();
        known.extend(self.scope.names());
        let help = suggestion(name, known);
        self.fail(node, format!("unknown name `{name}`"), help)
    }

    fn select(&mut self, node: &IdedExpr, select: &SelectExpr) -> Found {
        let operand = self.member(&select.operand);
        let path = |step| operand.path.as_ref().map(|path| path.then(step));
        let name = select.field.as_str();
        match operand.ty.present() {
            Type::Any => Found::any(),
            Type::Object(object) => {
                let Some(field) = object.fields.iter().find(|field| field.name == name) else {
                    let owner = operand
                        .path
                        .as_ref()
                        .map_or_else(|| object.name.clone(), ToString::to_string);
                    let help =
                        suggestion(name, object.fields.iter().map(|field| field.name.as_str()));
                    let offset = self.field_offset(node, name);
                    self.report(offset, format!("`{owner}` has no field `{name}`"), help);
                    return Found::any();
                };
                if select.test {
                    let offset = self.field_offset(node, name);
                    let help = if matches!(field.ty, Type::Optional(_)) {
                        format!("compare it: `{name} != null`")
                    } else {
                        format!("`{name}` is always there")
                    };
                    self.report(offset, "`has(..)` is for the keys of maps", Some(help));
                    return Found::of(Type::Bool);
                }
                Found {
                    ty: field.ty.clone(),
                    path: path(Step::Field(name.to_owned())),
                }
            }
            Type::Map(item) => {
                let path = path(Step::Key(name.to_owned()));
                if select.test {
                    // Whether the key is there is a fact about the map.
                    self.reads.extend(operand.path);
                    return Found::of(Type::Bool);
                }
                Found {
                    ty: item.as_ref().clone(),
                    path,
                }
            }
            Type::Bool
            | Type::Int
            | Type::Float
            | Type::Text
            | Type::Choice(_)
            | Type::Duration
            | Type::Time
            | Type::List(_)
            | Type::Optional(_)
            | Type::Null => {
                let offset = self.field_offset(node, name);
                let help = matches!(operand.ty.present(), Type::List(_))
                    .then(|| format!("look at its items: `.all(x, x.{name} ..)`"));
                self.report(offset, format!("{} has no fields", operand.words()), help);
                Found::any()
            }
        }
    }

    fn index(&mut self, node: &IdedExpr, container: &IdedExpr, index: &IdedExpr) -> Found {
        let operand = self.member(container);
        let at = self.infer(index);
        let path = |step| operand.path.as_ref().map(|path| path.then(step));
        match operand.ty.present() {
            Type::List(item) => {
                if !matches!(at.ty, Type::Int | Type::Any) {
                    return self.fail(
                        index,
                        format!("a list is indexed by an int, not by {}", at.words()),
                        None,
                    );
                }
                let step = if let Expr::Literal(LiteralValue::Int(number)) = &index.expr {
                    usize::try_from(*number.inner()).map_or(Step::Each, Step::Index)
                } else {
                    Step::Each
                };
                Found {
                    ty: item.as_ref().clone(),
                    path: path(step),
                }
            }
            Type::Map(item) => {
                if !is_text(&at.ty) {
                    return self.fail(
                        index,
                        format!("a map is indexed by text, not by {}", at.words()),
                        None,
                    );
                }
                let step = if let Expr::Literal(LiteralValue::String(key)) = &index.expr {
                    Step::Key(key.inner().to_owned())
                } else {
                    Step::Each
                };
                Found {
                    ty: item.as_ref().clone(),
                    path: path(step),
                }
            }
            Type::Any => Found::any(),
            Type::Bool
            | Type::Int
            | Type::Float
            | Type::Text
            | Type::Choice(_)
            | Type::Duration
            | Type::Time
            | Type::Object(_)
            | Type::Optional(_)
            | Type::Null => self.fail(node, format!("{} can't be indexed", operand.words()), None),
        }
    }

    fn literal(&mut self, node: &IdedExpr, literal: &LiteralValue) -> Type {
        match literal {
            LiteralValue::Boolean(_) => Type::Bool,
            LiteralValue::Double(_) => Type::Float,
            LiteralValue::Int(_) => Type::Int,
            LiteralValue::Null => Type::Null,
            LiteralValue::String(_) => Type::Text,
            LiteralValue::UInt(_) => {
                self.fail(node, "whole numbers are written without `u`", None)
                    .ty
            }
            LiteralValue::Bytes(_) => {
                self.fail(
                    node,
                    "facts hold no bytes",
                    Some("write the text without the `b`".to_owned()),
                )
                .ty
            }
        }
    }

    fn call(&mut self, node: &IdedExpr, call: &CallExpr) -> Type {
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [left, right]) => {
                self.condition(left);
                self.condition(right);
                Type::Bool
            }
            (operators::LOGICAL_NOT | operators::NOT_STRICTLY_FALSE, [operand]) => {
                self.condition(operand);
                Type::Bool
            }
            (operators::CONDITIONAL, [condition, then, otherwise]) => {
                self.condition(condition);
                let then = self.infer(then).ty;
                let other = self.infer(otherwise).ty;
                self.common(otherwise, &then, &other)
            }
            (operators::EQUALS | operators::NOT_EQUALS, [left, right]) => {
                self.equality(node, left, right);
                Type::Bool
            }
            (
                operators::LESS
                | operators::LESS_EQUALS
                | operators::GREATER
                | operators::GREATER_EQUALS,
                [left, right],
            ) => {
                self.order(node, left, right);
                Type::Bool
            }
            (operators::IN, [item, container]) => {
                self.membership(node, item, container);
                Type::Bool
            }
            (operators::NEGATE, [operand]) => {
                let found = self.infer(operand);
                let ty = found.ty.present();
                if matches!(ty, Type::Int | Type::Float | Type::Any) {
                    return ty.clone();
                }
                self.fail(
                    node,
                    format!("`-` takes a number, not {}", found.words()),
                    None,
                )
                .ty
            }
            (
                operators::ADD
                | operators::SUBSTRACT
                | operators::MULTIPLY
                | operators::DIVIDE
                | operators::MODULO,
                [left, right],
            ) => self.arithmetic(node, call.func_name.as_str(), left, right),
            (operators::OPT_INDEX | operators::OPT_SELECT, _) => {
                self.fail(
                    node,
                    "optional syntax is not supported",
                    Some("compare with `null` instead".to_owned()),
                )
                .ty
            }
            (name, arguments) => self.function(node, name, call.target.as_deref(), arguments),
        }
    }

    /// A part that must be true or false.
    fn condition(&mut self, node: &IdedExpr) {
        let found = self.infer(node);
        if !matches!(found.ty.present(), Type::Bool | Type::Any) {
            self.error(
                node,
                format!("expected true or false, found {}", found.words()),
                None,
            );
        }
    }

    fn function(
        &mut self,
        node: &IdedExpr,
        name: &str,
        target: Option<&IdedExpr>,
        arguments: &[IdedExpr],
    ) -> Type {
        let on = target.map(|target| self.infer(target));
        let found: Vec<Found> = arguments
            .iter()
            .map(|argument| self.infer(argument))
            .collect();
        let offset = self.name_offset(node, name);
        let named: Vec<&Function> = FUNCTIONS
            .iter()
            .filter(|function| function.name == name)
            .collect();
        let Some(function) = named
            .iter()
            .copied()
            .find(|function| function.on.is_some() == target.is_some())
        else {
            return self.unknown_function(offset, name, target.is_some(), named.first().copied());
        };
        if let (Some(on), Some(kind)) = (&on, function.on)
            && !kind.takes(&on.ty)
        {
            self.report(
                offset,
                format!("`{name}` is for {}, not for {}", kind.words(), on.words()),
                None,
            );
            return function.answer.ty();
        }
        if arguments.len() != function.arguments.len() {
            let wanted: Vec<&str> = function.arguments.iter().map(|kind| kind.words()).collect();
            let wanted = if wanted.is_empty() {
                "no argument".to_owned()
            } else {
                wanted.join(", ")
            };
            self.report(
                offset,
                format!("`{name}` takes {wanted}"),
                Some(function.doc.to_owned()),
            );
            return function.answer.ty();
        }
        for ((kind, found), argument) in function.arguments.iter().zip(&found).zip(arguments) {
            if !kind.takes(&found.ty) {
                self.error(
                    argument,
                    format!("`{name}` takes {}, not {}", kind.words(), found.words()),
                    None,
                );
            } else if matches!(kind, Kind::Pattern | Kind::TimeText) {
                self.literal_argument(name, *kind, argument);
            }
        }
        function.answer.ty()
    }

    fn unknown_function(
        &mut self,
        offset: usize,
        name: &str,
        on_value: bool,
        other_form: Option<&Function>,
    ) -> Type {
        let help = match (name, other_form) {
            (_, Some(Function { on: Some(_), .. })) => {
                Some(format!("call it on a value: `value.{name}(..)`"))
            }
            (_, Some(Function { on: None, .. })) => {
                Some(format!("call it by itself: `{name}(..)`"))
            }
            ("duration", None) => {
                Some("write `days(90)`, `hours(12)`, `minutes(10)` or `seconds(30)`".to_owned())
            }
            (_, None) => {
                let known: Vec<&str> = FUNCTIONS
                    .iter()
                    .filter(|function| function.on.is_some() == on_value)
                    .map(|function| function.name)
                    .chain(LOOPS.iter().copied().filter(|_| on_value))
                    .collect();
                if closest(name, known.iter().copied()) == Some(name) {
                    Some(format!(
                        "write `.{name}(x, ..)` with a variable and a condition"
                    ))
                } else {
                    suggestion(name, known)
                }
            }
        };
        self.report(offset, format!("unknown function `{name}`"), help);
        Type::Any
    }

    /// An argument whose text is compiled when the control is loaded, so it must stand there.
    fn literal_argument(&mut self, name: &str, kind: Kind, argument: &IdedExpr) {
        let Expr::Literal(LiteralValue::String(text)) = &argument.expr else {
            return self.error(argument, format!("`{name}` takes {}", kind.words()), None);
        };
        let text = text.inner();
        if kind == Kind::Pattern
            && let Err(error) = with_pattern(text, |_| ())
        {
            let reason = error.to_string();
            let reason = reason
                .lines()
                .last()
                .unwrap_or("it does not parse")
                .trim()
                .trim_start_matches("error: ")
                .to_owned();
            self.error(
                argument,
                format!("`{text}` is no regular expression: {reason}"),
                None,
            );
        } else if kind == Kind::TimeText && DateTime::parse_from_rfc3339(text).is_err() {
            self.error(
                argument,
                format!("`{text}` is no time"),
                Some("write it like '2026-01-31T00:00:00Z'".to_owned()),
            );
        }
    }

    /// A loop, as the parser expanded it.
    fn comprehension(&mut self, node: &IdedExpr, part: &ComprehensionExpr) -> Type {
        let range = self.infer(&part.iter_range);
        let item = match range.ty.present() {
            Type::List(item) => Found {
                ty: item.as_ref().clone(),
                path: range.path.as_ref().map(|path| path.then(Step::Each)),
            },
            Type::Map(_) => Found::of(Type::Text),
            Type::Any => Found::any(),
            Type::Bool
            | Type::Int
            | Type::Float
            | Type::Text
            | Type::Choice(_)
            | Type::Duration
            | Type::Time
            | Type::Object(_)
            | Type::Optional(_)
            | Type::Null => self.fail(
                node,
                format!("{} is no list and no map", range.words()),
                None,
            ),
        };
        if self.scope.get(&part.iter_var).is_some()
            || self.locals.iter().any(|(name, _)| *name == part.iter_var)
        {
            self.error(
                node,
                format!("`{}` is already the name of something else", part.iter_var),
                Some("name the variable differently".to_owned()),
            );
        }
        let start = self.infer(&part.accu_init).ty;
        self.locals
            .push((part.accu_var.clone(), Found::of(start.clone())));
        self.locals.push((part.iter_var.clone(), item));
        self.infer(&part.loop_cond);
        let step = self.infer(&part.loop_step).ty;
        self.locals.pop();
        self.locals.pop();
        // `map` and `filter` start with an empty list, whose type only the step shows.
        let outcome = if start == Type::List(Box::new(Type::Any)) {
            step
        } else {
            start
        };
        self.locals
            .push((part.accu_var.clone(), Found::of(outcome)));
        let result = self.infer(&part.result).ty;
        self.locals.pop();
        result
    }

    pub(super) fn fail(
        &mut self,
        node: &IdedExpr,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Found {
        self.error(node, message, help);
        Found::any()
    }

    pub(super) fn error(
        &mut self,
        node: &IdedExpr,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let offset = self.offset(node);
        self.report(offset, message, help);
    }

    fn report(&mut self, offset: usize, message: impl Into<String>, help: Option<String>) {
        self.errors.push(ExpressionError {
            offset,
            message: message.into(),
            help,
        });
    }

    fn offset(&self, node: &IdedExpr) -> usize {
        self.info
            .offset_for(node.id)
            .and_then(|(start, _)| usize::try_from(start).ok())
            .unwrap_or(0)
    }

    /// Where the name of a field stands: the offset of a selection is that of its dot, of `has` that of its bracket.
    fn field_offset(&self, node: &IdedExpr, name: &str) -> usize {
        let dot = self.offset(node);
        let after = self
            .text
            .get(dot..)
            .and_then(|rest| rest.find(name))
            .unwrap_or(0);
        dot + after
    }

    /// Where the name of a function stands: the offset of a call is that of its bracket.
    fn name_offset(&self, node: &IdedExpr, name: &str) -> usize {
        let bracket = self.offset(node);
        self.text
            .get(..bracket)
            .and_then(|before| before.rfind(name))
            .unwrap_or(bracket)
    }
}

pub(super) fn is_text(ty: &Type) -> bool {
    matches!(ty.present(), Type::Text | Type::Choice(_) | Type::Any)
}

/// Replaces `matches` by the form that compiles its pattern once.
fn rewrite(node: &mut IdedExpr) {
    match &mut node.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        Expr::Call(call) => {
            if call.func_name == "matches" {
                CACHED_MATCHES.clone_into(&mut call.func_name);
            }
            call.target.iter_mut().for_each(|target| rewrite(target));
            call.args.iter_mut().for_each(rewrite);
        }
        Expr::Comprehension(part) => {
            for child in [
                &mut part.iter_range,
                &mut part.accu_init,
                &mut part.loop_cond,
                &mut part.loop_step,
                &mut part.result,
            ] {
                rewrite(child);
            }
        }
        Expr::List(list) => list.elements.iter_mut().for_each(rewrite),
        Expr::Map(map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    rewrite(&mut entry.key);
                    rewrite(&mut entry.value);
                }
            }
        }
        Expr::Select(select) => rewrite(&mut select.operand),
        Expr::Struct(fields) => {
            for entry in &mut fields.entries {
                if let EntryExpr::StructField(field) = &mut entry.expr {
                    rewrite(&mut field.value);
                }
            }
        }
    }
}
