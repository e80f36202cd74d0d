//! One run's files: written whole or not at all, and read again without trusting them.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use checker_core::evidence::Bundle;
use checker_core::evidence::manifest::is_path;
use checker_core::evidence::verify::Problem;

/// Files longer than this are no file of a run; they are named and not read.
const LARGEST: u64 = 256 << 20;
/// All files of a run together.
const LARGEST_RUN: u64 = 1 << 30;
/// Up to so many files each is synced by itself.
const SYNCED_ALONE: usize = 64;

/// Writes the files of a run into a folder that does not exist yet, and makes sure that they are on disk.
pub(crate) fn write(folder: &Path, bundle: &Bundle) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let alone = bundle.len() <= SYNCED_ALONE || !cfg!(target_os = "linux");
    for (path, bytes) in bundle {
        let path = folder.join(path);
        if let Some(parent) = path.parent().filter(|parent| *parent != folder) {
            fs::create_dir_all(parent)?;
        }
        let mut file = File::create_new(&path)?;
        file.write_all(bytes)?;
        if alone {
            file.sync_all()?;
        }
    }
    sync(folder, alone)
}

/// Many files are brought to disk by one call for their whole file system; a few, and all folders, one by one.
fn sync(folder: &Path, alone: bool) -> std::io::Result<()> {
    if !alone {
        #[cfg(target_os = "linux")]
        rustix::fs::syncfs(File::open(folder)?)?;
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(folder)?.sync_all()
}

/// Reads the files of a run. What is no plain file of a run is named instead of being followed or read.
pub(crate) fn read(folder: &Path) -> std::io::Result<(Bundle, Vec<Problem>)> {
    let mut reading = Reading {
        bundle: Bundle::new(),
        odd: Vec::new(),
        left: LARGEST_RUN,
    };
    reading.folder(folder, "")?;
    Ok((reading.bundle, reading.odd))
}

struct Reading {
    bundle: Bundle,
    odd: Vec<Problem>,
    left: u64,
}

impl Reading {
    fn folder(&mut self, folder: &Path, below: &str) -> std::io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = format!("{below}{}", entry.file_name().to_string_lossy());
            let about = fs::symlink_metadata(entry.path())?;
            if about.is_dir() {
                if below.is_empty() && is_path(&name) {
                    self.folder(&entry.path(), &format!("{name}/"))?;
                } else {
                    self.odd(&name, "is a folder that no run holds");
                }
            } else if about.is_symlink() {
                self.odd(&name, "is a symbolic link; a run holds plain files only");
            } else if !about.is_file() {
                self.odd(&name, "is no plain file");
            } else if !is_path(&name) {
                self.odd(&name, "was added: no run holds a file of this name");
            } else if about.len() > LARGEST || about.len() > self.left {
                self.odd(&name, format!("was not read: {} bytes", about.len()));
            } else {
                self.left -= about.len();
                self.bundle.insert(name, fs::read(entry.path())?);
            }
        }
        Ok(())
    }

    fn odd(&mut self, name: &str, what: impl Into<String>) {
        let name: String = name.chars().filter(|c| !c.is_control()).collect();
        self.odd.push(Problem::new(name, what));
    }
}
