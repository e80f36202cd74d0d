//! The only files: control files and programs in, run folders out.
//!
//! A run folder appears whole or not at all: it is written under a temporary name, synced, then renamed.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use checker_core::diagnostic::Diagnostic;
use checker_core::observation::Facts;
use checker_core::report;
use checker_core::run::Run;

use crate::failure::Failure;

/// Control files larger than this are refused before they are read.
const LARGEST_CONTROL: u64 = 1 << 20;

/// The control files of a folder, sorted by name, `waivers.yaml` left out.
pub(crate) fn control_files(folder: &Path) -> Result<Vec<(String, String)>, Failure> {
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
    paths
        .into_iter()
        .map(|path| Ok((path.display().to_string(), read_text(&path)?)))
        .collect()
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

/// Writes the folder of a run below `out` and points `out/latest` at it. Returns the folder.
pub(crate) fn write_run(out: &Path, run: &Run, facts: &Facts) -> Result<PathBuf, Failure> {
    let broken = |what: &str, error: &dyn std::fmt::Display| {
        Failure::Broken(format!(
            "failed to write {what} below `{}`: {error}",
            out.display()
        ))
    };
    let folder = out.join(&run.run_id);
    let temporary = out.join(format!(".{}.{}", run.run_id, std::process::id()));
    fs::create_dir_all(temporary.join("evidence")).map_err(|error| broken("the run", &error))?;
    let json = run.to_json().map_err(|error| broken("run.json", &error))?;
    let reports = report::files(run, &[]).map_err(|error| broken("the reports", &error))?;
    write(&temporary.join("run.json"), &json).map_err(|error| broken("run.json", &error))?;
    for report in &reports {
        write(&temporary.join(report.name), &report.text)
            .map_err(|error| broken(report.name, &error))?;
    }
    for record in facts.records() {
        let name = temporary
            .join("evidence")
            .join(format!("{}.json", record.digest));
        write(&name, &record.text).map_err(|error| broken("evidence", &error))?;
    }
    if folder.exists() {
        // The same facts at the same time: the folder is replaced by an equal one.
        fs::remove_dir_all(&folder).map_err(|error| broken("the run", &error))?;
    }
    fs::rename(&temporary, &folder).map_err(|error| broken("the run", &error))?;
    point_latest(out, &run.run_id).map_err(|error| broken("`latest`", &error))?;
    Ok(folder)
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Replaces the link in one step, so that `latest` always points at a whole run.
fn point_latest(out: &Path, run_id: &str) -> std::io::Result<()> {
    let link = out.join(format!(".latest.{}", std::process::id()));
    match fs::remove_file(&link) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    std::os::unix::fs::symlink(run_id, &link)?;
    fs::rename(&link, out.join("latest"))
}
