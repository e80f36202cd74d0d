//! What controls may speak of: populations, probes and the variables that are always there.
//!
//! Supplied by whoever produces the facts; the catalogue checks control files against it.

use crate::expression::Scope;
use crate::expression::types::{Field, Type};

/// All that control files may name.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    /// The kinds of things that can be inspected.
    pub populations: Vec<PopulationDecl>,
    /// The kinds of probes that leave a trace.
    pub probes: Vec<ProbeDecl>,
    /// Variables of every condition and sentence, besides `params`: `now`, `stage`.
    pub globals: Vec<Field>,
}

/// A kind of thing that can be inspected.
#[derive(Clone, Debug)]
pub struct PopulationDecl {
    /// The name after `of:`.
    pub name: String,
    /// The variable that stands for one of them in conditions.
    pub variable: String,
    /// Its type.
    pub ty: Type,
    /// The names after `where:`, each with what it selects.
    pub filters: Vec<NameDecl>,
    /// The names after `reconcile:`, each with what it compares.
    pub reconciliations: Vec<NameDecl>,
    /// One sentence.
    pub doc: String,
}

/// A name with its meaning.
#[derive(Clone, Debug)]
pub struct NameDecl {
    /// The name.
    pub name: String,
    /// One sentence.
    pub doc: String,
}

impl NameDecl {
    /// A name with its meaning.
    pub fn new(name: impl Into<String>, doc: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            doc: doc.into(),
        }
    }
}

/// A kind of probe.
#[derive(Clone, Debug)]
pub struct ProbeDecl {
    /// Its key: `rotate`, `anomaly`, `denied` or `sweep`.
    pub name: String,
    /// The type of `trace` in its expectations.
    pub trace: Type,
    /// One sentence.
    pub doc: String,
}

impl Vocabulary {
    /// The scope of what speaks of no population: the globals and the control's parameters.
    pub(super) fn scope(&self, params: &Type) -> Scope {
        self.globals
            .iter()
            .fold(Scope::new(), |scope, field| {
                scope.with(field.name.clone(), field.ty.clone())
            })
            .with("params", params.clone())
    }
}
