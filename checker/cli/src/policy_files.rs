//! Policy documents in files: single ones, and the service control policies that somebody hands in, because no call of
//! the account itself shows them.
//!
//! In: a file, or a folder of JSON documents: one level (`DIR/*.json`) or several (`DIR/<level>/*.json`, from the root of
//! the organisation down, in the order of their names). Out: compiled policies, and an observation that is recorded as
//! evidence like any other. What is wrong is shown with file, line and column.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use checker_core::diagnostic::Diagnostic;
use checker_core::observation::answer::ControlLevel;
use checker_core::observation::{Answer, Observation, Observed, Origin, Outcome};
use checker_iam::{Policy, PolicyError, PolicyKind};

use crate::failure::Failure;

/// Reads a folder of service control policies.
pub(crate) fn control_policies(folder: &Path) -> Result<Observed, Failure> {
    let mut all = Vec::new();
    for (name, files) in folders_of(folder)? {
        let policies = files
            .iter()
            .map(|path| Ok((self::name(path), document(path, PolicyKind::Identity)?.0)))
            .collect::<Result<BTreeMap<_, _>, Failure>>()?;
        all.push(ControlLevel { name, policies });
    }
    Ok(Observed {
        observation: Observation::ControlPolicies,
        origin: Origin::default(),
        outcome: Outcome::Seen(Answer::ControlPolicies(all)),
    })
}

/// The compiled policies of a folder, level by level.
pub(crate) fn levels(
    folder: &Path,
    kind: PolicyKind,
) -> Result<Vec<(String, Vec<Policy>)>, Failure> {
    folders_of(folder)?
        .into_iter()
        .map(|(name, files)| {
            let policies = files.iter().map(|path| Ok(document(path, kind)?.1));
            Ok((name, policies.collect::<Result<_, Failure>>()?))
        })
        .collect()
}

/// The files of each level: those of the folder itself, then those of each folder in it.
fn folders_of(folder: &Path) -> Result<Vec<(String, Vec<PathBuf>)>, Failure> {
    let (files, folders) = entries(folder)?;
    let mut levels = Vec::new();
    if !files.is_empty() {
        levels.push((String::new(), files));
    }
    for level in folders {
        let (files, _) = entries(&level)?;
        if files.is_empty() {
            return Err(wrong(
                &level,
                "holds no *.json: a level without policies would deny everything",
            ));
        }
        levels.push((name(&level), files));
    }
    if levels.is_empty() {
        return Err(wrong(folder, "holds no policy (*.json)"));
    }
    Ok(levels)
}

/// One policy document, checked.
pub(crate) fn document(path: &Path, kind: PolicyKind) -> Result<(String, Policy), Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| wrong(path, &format!("cannot be read: {error}")))?;
    let policy = Policy::parse(&text, kind).map_err(|error| misplaced(path, &error))?;
    if let Some(operator) = policy.unknown_operators().first() {
        return Err(wrong(
            path,
            &format!("the condition operator `{operator}` is not known"),
        ));
    }
    let policy = policy.named(&name(path));
    Ok((text, policy))
}

/// Files and folders of a folder, each sorted by name.
fn entries(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Failure> {
    let unreadable =
        |error: std::io::Error| wrong(folder, &format!("the folder cannot be read: {error}"));
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            folders.push(path);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(path);
        }
    }
    files.sort();
    folders.sort();
    Ok((files, folders))
}

fn name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn wrong(path: &Path, message: &str) -> Failure {
    Failure::Files(vec![Diagnostic::whole(path.display().to_string(), message)])
}

fn misplaced(path: &Path, error: &PolicyError) -> Failure {
    let shown = path.display().to_string();
    let place = match error {
        PolicyError::Syntax { line, column, .. } => Some((*line, *column)),
        PolicyError::Shape { position, .. } => position.0,
        PolicyError::TooLong { .. } => None,
    };
    let message = match error {
        PolicyError::Syntax { message, .. } => message.clone(),
        PolicyError::Shape { path, message, .. } => format!("{message} at `{path}`"),
        PolicyError::TooLong { .. } => error.to_string(),
    };
    Failure::Files(vec![match place {
        Some((line, column)) => Diagnostic::at(&shown, line, column, message),
        None => Diagnostic::whole(&shown, message),
    }])
}
