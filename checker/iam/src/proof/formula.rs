//! Boolean formulas and their satisfaction.
//!
//! In: a formula over numbered atoms. Out: values of the atoms that make it true, or the certainty that none do.
//! The work is done by the SAT solver `batsat` on a clause form that is equivalent, not merely equisatisfiable, in the
//! formula's own atoms.

use std::collections::BTreeMap;

use batsat::{BasicSolver, Lit, SolverInterface as _, lbool};

/// A formula; the constructors simplify.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Formula {
    Constant(bool),
    Atom(u32),
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
}

impl Formula {
    pub(crate) fn negate(self) -> Self {
        match self {
            Self::Constant(value) => Self::Constant(!value),
            Self::Not(inner) => *inner,
            other @ (Self::Atom(_) | Self::All(_) | Self::Any(_)) => Self::Not(Box::new(other)),
        }
    }

    pub(crate) fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Self::Constant(true) => {}
                Self::Constant(false) => return Self::Constant(false),
                Self::All(inner) => kept.extend(inner),
                other @ (Self::Atom(_) | Self::Not(_) | Self::Any(_)) => kept.push(other),
            }
        }
        kept.sort_unstable();
        kept.dedup();
        match kept.len() {
            0 => Self::Constant(true),
            1 => kept.pop().unwrap_or(Self::Constant(true)),
            _ => Self::All(kept),
        }
    }

    pub(crate) fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Self::Constant(false) => {}
                Self::Constant(true) => return Self::Constant(true),
                Self::Any(inner) => kept.extend(inner),
                other @ (Self::Atom(_) | Self::Not(_) | Self::All(_)) => kept.push(other),
            }
        }
        kept.sort_unstable();
        kept.dedup();
        match kept.len() {
            0 => Self::Constant(false),
            1 => kept.pop().unwrap_or(Self::Constant(false)),
            _ => Self::Any(kept),
        }
    }

    /// The atoms in it.
    pub(crate) fn atoms(&self, into: &mut std::collections::BTreeSet<u32>) {
        match self {
            Self::Constant(_) => {}
            Self::Atom(atom) => {
                into.insert(*atom);
            }
            Self::Not(inner) => inner.atoms(into),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.atoms(into)),
        }
    }
}

/// Values of atoms that satisfy the formula, or `None`.
pub(crate) fn satisfy(formula: &Formula) -> Option<BTreeMap<u32, bool>> {
    let mut encoder = Encoder {
        solver: BasicSolver::default(),
        atoms: BTreeMap::new(),
    };
    let whole = encoder.encode(formula);
    encoder.solver.add_clause_reuse(&mut vec![whole]);
    if encoder.solver.solve_limited(&[]) != lbool::TRUE {
        return None;
    }
    let solver = &encoder.solver;
    Some(
        encoder
            .atoms
            .iter()
            .map(|(atom, literal)| (*atom, solver.value_lit(*literal) == lbool::TRUE))
            .collect(),
    )
}

struct Encoder {
    solver: BasicSolver,
    atoms: BTreeMap<u32, Lit>,
}

impl Encoder {
    fn fresh(&mut self) -> Lit {
        Lit::new(self.solver.new_var_default(), true)
    }

    /// A literal that is equivalent to the formula.
    fn encode(&mut self, formula: &Formula) -> Lit {
        match formula {
            Formula::Constant(value) => {
                let literal = self.fresh();
                self.solver
                    .add_clause_reuse(&mut vec![if *value { literal } else { !literal }]);
                literal
            }
            Formula::Atom(atom) => {
                if let Some(known) = self.atoms.get(atom) {
                    return *known;
                }
                let literal = self.fresh();
                self.atoms.insert(*atom, literal);
                literal
            }
            Formula::Not(inner) => !self.encode(inner),
            Formula::Any(parts) => self.gate(parts, true),
            Formula::All(parts) => self.gate(parts, false),
        }
    }

    /// `out <=> p1 or p2 ..`, or the same for "and" by negating every side.
    fn gate(&mut self, parts: &[Formula], disjunction: bool) -> Lit {
        let inputs: Vec<Lit> = parts
            .iter()
            .map(|part| self.encode(part))
            .map(|literal| literal.apply_sign(disjunction))
            .collect();
        let out = self.fresh();
        for input in &inputs {
            self.solver.add_clause_reuse(&mut vec![!*input, out]);
        }
        let mut clause = inputs;
        clause.push(!out);
        self.solver.add_clause_reuse(&mut clause);
        out.apply_sign(disjunction)
    }
}
