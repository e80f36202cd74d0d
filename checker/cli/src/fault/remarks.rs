//! What people wrote about faults: further faults by hand, and why some may survive.
//!
//! In: `.config/faults.yaml`. Out: [`Remarks`]. A reason names the faults that it is about by id, with `*` for any
//! text. A reason that no surviving fault needs is reported, so that none outlives its cause, and so is one that fits a
//! fault which a rule notices, so that it can't excuse the day on which no rule does.

use std::path::Path;

use checker_core::diagnostic::Diagnostic;
use checker_lab::program::{Edit, ProgramFile};
use serde::Deserialize;
use serde_json::Value;

use super::Fault;
use super::sheet::Hand;
use crate::failure::Failure;

/// Everything that is written about faults.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Remarks {
    /// Faults that nothing generates.
    #[serde(default)]
    more: Vec<ByHand>,
    /// Faults that may survive.
    #[serde(default)]
    equivalent: Vec<Reason>,
}

/// A fault written by hand.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ByHand {
    /// Its id.
    id: String,
    /// In words.
    what: String,
    /// The program that it is planted in: the folder's name, without it the program itself.
    #[serde(default)]
    program: Option<String>,
    edits: Vec<EditByHand>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EditByHand {
    /// JSON pointer into `Pulumi.yaml`.
    at: String,
    /// What stands there afterwards; without it, it is taken out.
    #[serde(default)]
    to: Option<Value>,
}

/// Why some faults may survive.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    /// Their ids, with `*` for any text.
    faults: Vec<String>,
    /// The reason, for a reviewer.
    reason: String,
}

impl Remarks {
    /// Reads the file; where there is none, nothing is written.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => {
                let message = format!("cannot be read: {error}");
                return Err(Failure::Files(vec![Diagnostic::whole(shown, message)]));
            }
        };
        let remarks: Self = serde_yaml::from_str(&text).map_err(|error| {
            let message = error.without_snippet().to_string();
            let at = error.location().map(|at| {
                let number = |it: u64| usize::try_from(it).unwrap_or_default();
                (number(at.line()), number(at.column()))
            });
            Failure::Files(vec![match at {
                Some((line, column)) => Diagnostic::at(&shown, line, column, message),
                None => Diagnostic::whole(&shown, message),
            }])
        })?;
        match remarks
            .equivalent
            .iter()
            .find(|it| it.reason.trim().len() < 20)
        {
            Some(short) => Err(Failure::Files(vec![
                Diagnostic::whole(
                    &shown,
                    format!("`{}` has no reason", short.faults.join(", ")),
                )
                .help("write for a reviewer why no rule should notice"),
            ])),
            None => Ok(remarks),
        }
    }

    /// The faults written by hand for one program; `folder` is empty for the program itself.
    pub(crate) fn more(&self, folder: &str, hand: &Hand<'_>) -> Vec<Fault> {
        self.more
            .iter()
            .filter(|fault| fault.program.as_deref().unwrap_or_default() == folder)
            .filter_map(|fault| {
                let edits = fault
                    .edits
                    .iter()
                    .map(|edit| Edit {
                        file: ProgramFile::Program,
                        at: edit.at.clone(),
                        to: edit.to.clone(),
                    })
                    .collect();
                hand.fault(&fault.id, &fault.what, edits)
            })
            .collect()
    }

    /// Why a fault may survive.
    pub(crate) fn reason(&self, id: &str) -> Option<&str> {
        self.equivalent
            .iter()
            .find(|entry| entry.faults.iter().any(|pattern| fits(pattern, id)))
            .map(|entry| entry.reason.trim())
    }

    /// Patterns that fit none of these ids.
    pub(crate) fn unneeded(&self, survivors: &[&str]) -> Vec<String> {
        self.equivalent
            .iter()
            .flat_map(|entry| &entry.faults)
            .filter(|pattern| !survivors.iter().any(|id| fits(pattern, id)))
            .cloned()
            .collect()
    }

    /// Patterns that fit one of these ids of faults that a rule notices, each with the first.
    pub(crate) fn too_broad(&self, killed: &[&str]) -> Vec<String> {
        self.equivalent
            .iter()
            .flat_map(|entry| &entry.faults)
            .filter_map(|pattern| {
                let noticed = killed.iter().find(|id| fits(pattern, id))?;
                Some(format!("{pattern} (fits {noticed})"))
            })
            .collect()
    }
}

/// Whether a text fits a pattern in which `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut left) = text.strip_prefix(head) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match left.split_once(part) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_covers_what_survives_and_nothing_else() {
        let remarks: Remarks = serde_yaml::from_str(
            "equivalent: [{faults: ['a~*', b~1, c~1], reason: because a reviewer said so}]",
        )
        .unwrap_or_default();
        assert_eq!(remarks.reason("a~2"), Some("because a reviewer said so"));
        assert_eq!(remarks.reason("d~1"), None);
        assert_eq!(remarks.unneeded(&["a~1", "b~1"]), ["c~1"]);
        assert_eq!(
            remarks.too_broad(&["d~1", "a~2", "a~3"]),
            ["a~* (fits a~2)"]
        );
    }

    #[test]
    fn patterns_fit() {
        let cases = [
            ("a.b~c", "a.b~c", true),
            ("a.b~c", "a.b~cd", false),
            ("*Alarm.*~*", "xAlarm.period~1", true),
            ("*Alarm.*~missing", "xAlarm.period~1", false),
            ("a*", "ba", false),
            ("*", "", true),
            ("a*a", "a", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }
}
