//! The only files: control files and programs in, run folders out and in again.
//!
//! [`archive`] is a folder of runs with its chain, [`folder`] one run's files, [`index`] the page over all runs, [`keys`]
//! what signs.

use std::fs;
use std::path::{Path, PathBuf};

use checker_core::control::{SourceFile, Sources};
use checker_core::diagnostic::Diagnostic;

use crate::failure::Failure;

pub(crate) mod archive;
pub(crate) mod folder;
mod index;
pub(crate) mod keys;

/// Control files larger than this are refused before they are read.
const LARGEST_CONTROL: u64 = 1 << 20;

/// The texts of a folder of controls: `*.yaml` sorted by name, `waivers.yaml` and `baseline.json`.
pub(crate) fn sources(folder: &Path) -> Result<Sources, Failure> {
    let shown = folder.display().to_string();
    let entries = fs::read_dir(folder).map_err(|error| {
        Failure::Files(vec![
            Diagnostic::whole(
                &shown,
                format!("the folder of controls cannot be read: {error}"),
            )
            .help("give the folder with --controls DIR"),
        ])
    })?;
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|error| Failure::Broken(format!("failed to list `{shown}`: {error}")))?
            .path();
        let is_control = path
            .extension()
            .is_some_and(|extension| extension == "yaml")
            && path.file_name().is_some_and(|name| name != "waivers.yaml");
        if is_control {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path: &Path| -> Result<SourceFile, Failure> {
        Ok(SourceFile {
            path: path.display().to_string(),
            text: read_text(path)?,
        })
    };
    let optional = |name: &str| -> Result<Option<SourceFile>, Failure> {
        let path = folder.join(name);
        path.exists().then(|| read(&path)).transpose()
    };
    Ok(Sources {
        folder: shown.clone(),
        controls: paths
            .iter()
            .map(|path| read(path))
            .collect::<Result<_, _>>()?,
        waivers: optional("waivers.yaml")?,
        baseline: optional("baseline.json")?,
    })
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let shown = path.display().to_string();
    let wrong = |message: String| Failure::Files(vec![Diagnostic::whole(&shown, message)]);
    let size = fs::metadata(path)
        .map_err(|error| wrong(format!("cannot be read: {error}")))?
        .len();
    if size > LARGEST_CONTROL {
        return Err(wrong(format!(
            "is {size} bytes long; a control has at most {LARGEST_CONTROL}"
        )));
    }
    let bytes = fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        wrong(format!("is not UTF-8 after {good} bytes"))
    })
}
