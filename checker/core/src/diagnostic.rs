//! What is wrong with an input file, where, and what to write instead.
//!
//! Every reader of files that people write (controls, waivers, programs) collects all of its diagnostics
//! before it gives up. Deliberately no verdicts here: a wrong file is an error of its author, never a finding.

use std::fmt;

use serde::Serialize;

/// One error in one file, at one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Diagnostic {
    /// The file or folder, as it was given.
    pub path: String,
    /// Line and column, both from 1, counted in characters; nothing when the whole file is meant.
    pub at: Option<(usize, usize)>,
    /// What is wrong: a lower-case fragment.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error about a whole file or folder.
    pub fn whole(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            at: None,
            message: message.into(),
            help: None,
        }
    }

    /// An error at a line and column.
    pub fn at(
        path: impl Into<String>,
        line: usize,
        column: usize,
        message: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            at: Some((line, column)),
            message: message.into(),
            help: None,
        }
    }

    /// With advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With advice, if there is any.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if let Some((line, column)) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// "did you mean" for a name that is close to a known one, otherwise the known ones.
pub fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(close) = closest(name, known.iter().copied()) {
        return Some(format!("did you mean `{close}`?"));
    }
    match known.len() {
        0 => None,
        1..=24 => Some(format!(
            "known are {}",
            known
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ")
        )),
        many => Some(format!("there are {many} known ones, and none is close")),
    }
}

/// The known name with the fewest edits, if a third of the characters or less differ.
pub fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(name);
    let limit = (folded.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (edits(&folded, &fold(candidate)), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Case and the kind of dash don't make a name different to a person.
fn fold(name: &str) -> String {
    name.chars()
        .take(80)
        .flat_map(char::to_lowercase)
        .map(|c| if c == '_' { '-' } else { c })
        .collect()
}

/// The edit distance in which a swap of neighbours counts once (optimal string alignment).
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut previous_char = None;
    for (row, l) in left.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, r) in right.iter().enumerate() {
            let at =
                |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX / 2);
            let mut best = (at(&last, column) + usize::from(l != *r))
                .min(at(&last, column + 1) + 1)
                .min(at(&current, column) + 1);
            let swapped = column
                .checked_sub(1)
                .is_some_and(|before| right.get(before) == Some(&l) && previous_char == Some(*r));
            if swapped {
                best = best.min(at(&before_last, column - 1) + 1);
            }
            current.push(best);
        }
        before_last = last;
        last = current;
        previous_char = Some(l);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Diagnostic, closest, edits, suggestion};

    #[test]
    fn counts_edits() {
        for (left, right, distance) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "acb", 1),
            ("kitten", "sitting", 3),
            ("", "ab", 2),
            ("ab", "", 2),
        ] {
            assert_eq!(edits(left, right), distance, "{left} {right}");
        }
    }

    #[test]
    fn suggests_the_closest_name_or_lists_the_known_ones() {
        let known = ["title", "owner", "severity", "max_age"];
        assert_eq!(closest("titel", known), Some("title"));
        assert_eq!(closest("max-age", known), Some("max_age"));
        assert_eq!(closest("Severity", known), Some("severity"));
        assert_eq!(closest("population", known), None);
        assert_eq!(
            suggestion("zzz", ["a-name"]),
            Some("known are `a-name`".to_owned())
        );
        assert_eq!(suggestion("zzz", []), None);
    }

    #[test]
    fn prints_place_message_and_help() {
        let diagnostic = Diagnostic::at("controls/a.yaml", 4, 3, "unknown key `titel`")
            .help("did you mean `title`?");
        assert_eq!(
            diagnostic.to_string(),
            "controls/a.yaml:4:3: unknown key `titel` (did you mean `title`?)"
        );
        assert_eq!(
            Diagnostic::whole("controls", "no control").to_string(),
            "controls: no control"
        );
    }
}
