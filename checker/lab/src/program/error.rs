//! What is wrong with a program, and where.
//!
//! Every stage collects its errors instead of stopping at the first, so that one run lists all of a file at once. A
//! message is a lower-case fragment with the user's text in backticks; it never holds a secret's value.

use std::fmt;

/// A place in a text file: line and column count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// The line, from 1; 0 where the text has no place for it.
    pub line: u64,
    /// The column in characters, from 1; 0 where the text has no place for it.
    pub column: u64,
}

impl Position {
    /// The first character of a file.
    pub const START: Self = Self { line: 1, column: 1 };

    /// The place `columns` characters further on the same line.
    pub(crate) fn forward(self, columns: usize) -> Self {
        let columns = u64::try_from(columns).unwrap_or(0);
        Self {
            line: self.line,
            column: self.column.saturating_add(columns),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One thing that is wrong, with its place and, where there is one, a way out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProgramError {
    /// The file, as the caller named its folder.
    pub path: String,
    /// The line, from 1.
    pub line: u64,
    /// The column in characters, from 1.
    pub column: u64,
    /// What is wrong: a lower-case fragment.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.path, self.line, self.column, self.message
        )?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ProgramError {}

/// All that is wrong with a program, in the order of its files and lines; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramErrors(Vec<ProgramError>);

impl ProgramErrors {
    /// The errors, in the order of files and lines.
    pub fn errors(&self) -> &[ProgramError] {
        &self.0
    }
}

impl fmt::Display for ProgramErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ProgramErrors {}

impl From<ProgramError> for ProgramErrors {
    fn from(error: ProgramError) -> Self {
        Self(vec![error])
    }
}

/// Collects errors of one file.
#[derive(Debug, Clone)]
pub(crate) struct Problems {
    path: String,
    found: Vec<ProgramError>,
}

impl Problems {
    pub(crate) fn of(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            found: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, at: Position, message: impl Into<String>) {
        let error = self.error(at, message, None);
        self.found.push(error);
    }

    pub(crate) fn push_with_help(
        &mut self,
        at: Position,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let error = self.error(at, message, Some(help.into()));
        self.found.push(error);
    }

    /// Adds an error about a name that isn't among `known`, with the nearest one as the help.
    pub(crate) fn push_unknown<'a>(
        &mut self,
        at: Position,
        message: impl Into<String>,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) {
        let known: Vec<&str> = known.into_iter().collect();
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if !known.is_empty() && known.len() <= 12 => Some(format!(
                "known are {}",
                known
                    .iter()
                    .map(|name| format!("`{name}`"))
                    .collect::<Vec<_>>()
                    .join(", ")
            )),
            None => None,
        };
        let error = self.error(at, message, help);
        self.found.push(error);
    }

    pub(crate) fn error(
        &self,
        at: Position,
        message: impl Into<String>,
        help: Option<String>,
    ) -> ProgramError {
        ProgramError {
            path: self.path.clone(),
            line: at.line,
            column: at.column,
            message: message.into(),
            help,
        }
    }

    pub(crate) fn add(&mut self, error: ProgramError) {
        self.found.push(error);
    }

    /// Nothing found yet in the same file.
    pub(crate) fn emptied(&self) -> Self {
        Self::of(&self.path)
    }

    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.found.extend(other.found);
    }

    /// The errors themselves, sorted by place, each once.
    pub(crate) fn into_sorted(self) -> Vec<ProgramError> {
        let mut found = self.found;
        found.sort_by(|a, b| {
            (&a.path, a.line, a.column, &a.message).cmp(&(&b.path, b.line, b.column, &b.message))
        });
        found.dedup();
        found
    }

    /// `Ok` when nothing was found.
    pub(crate) fn finish(self) -> Result<(), ProgramErrors> {
        if self.found.is_empty() {
            Ok(())
        } else {
            Err(ProgramErrors(self.into_sorted()))
        }
    }
}

/// The known name nearest to a misspelt one, if one is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (name.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edit distance (Levenshtein, letters compared without case), which finds a typo's origin.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().flat_map(char::to_lowercase).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = Vec::with_capacity(row.len());
        next.push(left);
        for (to, above) in b.iter().zip(row.iter().skip(1)) {
            let replaced = diagonal + usize::from(from != *to);
            left = replaced.min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
