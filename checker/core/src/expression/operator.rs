//! The static check of operators: which types can be compared, ordered, searched and added.

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};

use super::check::{Checker, Found, is_text};
use super::types::Type;
use crate::diagnostic::suggestion;

impl Checker<'_> {
    pub(super) fn equality(&mut self, node: &IdedExpr, left: &IdedExpr, right: &IdedExpr) {
        let (l, r) = (self.infer(left), self.infer(right));
        for (one, other) in [(&l, &r), (&r, &l)] {
            if one.ty == Type::Null
                && !matches!(other.ty, Type::Optional(_) | Type::Null | Type::Any)
            {
                return self.error(node, format!("{} is never null", other.words()), None);
            }
        }
        for (fact, literal) in [(&l, right), (&r, left)] {
            self.choice(fact, literal);
        }
        if !comparable(&l.ty, &r.ty) {
            let help = literal_help(&l, &r, right).or_else(|| literal_help(&r, &l, left));
            return self.error(
                node,
                format!("{} is never equal to {}", l.words(), r.words()),
                help,
            );
        }
        if has_object(&l.ty) || has_object(&r.ty) {
            self.error(
                node,
                "objects can't be compared as a whole",
                Some("compare their fields".to_owned()),
            );
        }
    }

    /// A text literal that a closed set of texts does not hold.
    fn choice(&mut self, fact: &Found, literal: &IdedExpr) {
        let (Type::Choice(names), Expr::Literal(LiteralValue::String(text))) =
            (fact.ty.present(), &literal.expr)
        else {
            return;
        };
        let text = text.inner();
        if !names.contains(&text) {
            let help = suggestion(text, names.iter().copied());
            let what = fact
                .path
                .as_ref()
                .map_or_else(|| "it".to_owned(), |path| format!("`{path}`"));
            self.error(literal, format!("{what} is never `{text}`"), help);
        }
    }

    pub(super) fn order(&mut self, node: &IdedExpr, left: &IdedExpr, right: &IdedExpr) {
        let (l, r) = (self.infer(left), self.infer(right));
        for one in [&l, &r] {
            if matches!(
                one.ty.present(),
                Type::Bool
                    | Type::Choice(_)
                    | Type::List(_)
                    | Type::Map(_)
                    | Type::Object(_)
                    | Type::Null
            ) {
                return self.error(node, format!("{} has no order", one.words()), None);
            }
        }
        if !comparable(&l.ty, &r.ty) {
            let help = literal_help(&l, &r, right).or_else(|| literal_help(&r, &l, left));
            self.error(
                node,
                format!("{} can't be compared with {}", l.words(), r.words()),
                help,
            );
        }
    }

    pub(super) fn membership(&mut self, node: &IdedExpr, item: &IdedExpr, container: &IdedExpr) {
        let (i, c) = (self.infer(item), self.infer(container));
        match c.ty.present() {
            Type::List(of) => {
                if let Expr::List(list) = &container.expr {
                    for element in &list.elements {
                        self.choice(&i, element);
                    }
                }
                self.choice(&Found::of(of.as_ref().clone()), item);
                if !comparable(&i.ty, of) {
                    self.error(
                        node,
                        format!("{} is never in a list of {of}", i.words()),
                        None,
                    );
                } else if has_object(of) {
                    self.error(
                        node,
                        "objects can't be compared as a whole",
                        Some("use `.exists(x, ..)` on their fields".to_owned()),
                    );
                }
            }
            Type::Map(_) => {
                if !is_text(&i.ty) {
                    self.error(
                        node,
                        format!("{} is never a key: keys are text", i.words()),
                        None,
                    );
                }
            }
            Type::Any => {}
            Type::Text | Type::Choice(_) => {
                self.error(
                    node,
                    "`in` takes a list or a map on its right",
                    Some("write `text.contains(part)`".to_owned()),
                );
            }
            Type::Bool
            | Type::Int
            | Type::Float
            | Type::Duration
            | Type::Time
            | Type::Object(_)
            | Type::Optional(_)
            | Type::Null => {
                self.error(node, "`in` takes a list or a map on its right", None);
            }
        }
    }

    pub(super) fn arithmetic(
        &mut self,
        node: &IdedExpr,
        operator: &str,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Type {
        let (l, r) = (self.infer(left), self.infer(right));
        let (additive, plus) = (
            matches!(operator, operators::ADD | operators::SUBSTRACT),
            operator == operators::ADD,
        );
        match (l.ty.present(), r.ty.present()) {
            (Type::Any, other) | (other, Type::Any) => other.clone(),
            (Type::Int, Type::Int) => Type::Int,
            (Type::Float, Type::Float) if operator != operators::MODULO => Type::Float,
            (Type::Text | Type::Choice(_), Type::Text | Type::Choice(_)) if plus => Type::Text,
            (Type::List(one), Type::List(other)) if plus => {
                let item = self.common(right, one, other);
                Type::List(Box::new(item))
            }
            (Type::Duration, Type::Duration) if additive => Type::Duration,
            (Type::Time, Type::Duration) if additive => Type::Time,
            (Type::Duration, Type::Time) if plus => Type::Time,
            (Type::Time, Type::Time) if !plus && additive => Type::Duration,
            (_, _) => {
                let sign = operator.trim_matches('_').to_owned();
                let help = literal_help(&l, &r, right).or_else(|| literal_help(&r, &l, left));
                self.fail(
                    node,
                    format!("`{sign}` can't take {} and {}", l.words(), r.words()),
                    help,
                )
                .ty
            }
        }
    }

    /// The type that holds both.
    pub(super) fn common(&mut self, node: &IdedExpr, one: &Type, other: &Type) -> Type {
        match (one, other) {
            (Type::Any, ty) | (ty, Type::Any) => ty.clone(),
            (Type::Null, Type::Null) => Type::Null,
            (Type::Null, ty) | (ty, Type::Null) => Type::Optional(Box::new(ty.present().clone())),
            (one, other) if one == other => one.clone(),
            (one, other) if one.present() == other.present() => {
                Type::Optional(Box::new(one.present().clone()))
            }
            (one, other) if is_text(one) && is_text(other) => Type::Text,
            (Type::List(one), Type::List(other)) => {
                let item = self.common(node, one, other);
                Type::List(Box::new(item))
            }
            (one, other) => {
                self.fail(node, format!("{one} and {other} don't mix here"), None)
                    .ty
            }
        }
    }
}

/// Whether two values can be equal at all.
fn comparable(left: &Type, right: &Type) -> bool {
    match (left.present(), right.present()) {
        (Type::Any | Type::Null, _)
        | (_, Type::Any | Type::Null)
        | (Type::Int | Type::Float, Type::Int | Type::Float)
        | (Type::Text | Type::Choice(_), Type::Text | Type::Choice(_)) => true,
        (Type::List(one), Type::List(other)) | (Type::Map(one), Type::Map(other)) => {
            comparable(one, other)
        }
        (one, other) => one == other,
    }
}

/// Whether there is an object in it: one with a field that is unknown would compare as different, silently.
fn has_object(ty: &Type) -> bool {
    match ty.present() {
        Type::Object(_) => true,
        Type::List(item) | Type::Map(item) => has_object(item),
        Type::Bool
        | Type::Int
        | Type::Float
        | Type::Text
        | Type::Choice(_)
        | Type::Duration
        | Type::Time
        | Type::Optional(_)
        | Type::Null
        | Type::Any => false,
    }
}

/// How to write a literal that was meant as a length of time or a point in time.
fn literal_help(fact: &Found, other: &Found, literal: &IdedExpr) -> Option<String> {
    match (fact.ty.present(), other.ty.present(), &literal.expr) {
        (Type::Duration, Type::Int, Expr::Literal(LiteralValue::Int(number))) => Some(format!(
            "write `days({0})`, `hours({0})`, `minutes({0})` or `seconds({0})`",
            number.inner()
        )),
        (Type::Duration, Type::Text, Expr::Literal(LiteralValue::String(_))) => Some(
            "write a length of time as `days(90)`, `hours(12)`, `minutes(10)` or `seconds(30)`"
                .to_owned(),
        ),
        (Type::Time, Type::Text, Expr::Literal(LiteralValue::String(text))) => {
            Some(format!("write `timestamp('{}')`", text.inner()))
        }
        (_, _, _) => None,
    }
}
