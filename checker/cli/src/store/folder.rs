//! One run's files: written whole or not at all, and read again without trusting them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use checker_core::evidence::manifest::is_path;
use checker_core::evidence::verify::Problem;
use checker_core::evidence::{Bundle, Store};

/// Files longer than this are no file of a run; they are named and not read.
const LARGEST: u64 = 256 << 20;
/// All files of a run together.
const LARGEST_RUN: u64 = 1 << 30;
/// Up to so many files each is synced by itself.
#[cfg(target_os = "linux")]
const SYNCED_ALONE: usize = 64;

/// A run's folder while it is written.
#[derive(Debug)]
pub(crate) struct Writing {
    folder: PathBuf,
    files: Vec<PathBuf>,
}

impl Writing {
    /// Begins a folder that does not exist yet.
    pub(crate) fn begin(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            files: Vec::new(),
        })
    }

    /// Brings everything to disk: many files by one call for their whole file system, a few one by one.
    pub(crate) fn end(self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if self.files.len() > SYNCED_ALONE {
            rustix::fs::syncfs(File::open(&self.folder)?)?;
            return Ok(());
        }
        for file in &self.files {
            File::open(file)?.sync_all()?;
        }
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                File::open(entry.path())?.sync_all()?;
            }
        }
        File::open(&self.folder)?.sync_all()
    }
}

impl Store for Writing {
    type File<'a> = File;

    fn create(&mut self, path: &str) -> io::Result<File> {
        let path = self.folder.join(path);
        if let Some(parent) = path.parent().filter(|parent| *parent != self.folder) {
            fs::create_dir_all(parent)?;
        }
        let file = File::create_new(&path)?;
        self.files.push(path);
        Ok(file)
    }
}

/// Where the files of a run go that is only measured.
#[derive(Debug)]
pub(crate) struct Nowhere;

impl Store for Nowhere {
    type File<'a> = io::Sink;

    fn create(&mut self, _path: &str) -> io::Result<io::Sink> {
        Ok(io::sink())
    }
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
