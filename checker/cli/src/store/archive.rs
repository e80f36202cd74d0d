//! A folder of runs: finds the end of its chain, and puts the next run behind it.
//!
//! A run appears whole or not at all: it is written under a hidden name, brought to disk and renamed. Two checkers that
//! record at once take turns by a lock, so that a chain never forks.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use checker_core::control::Sources;
use checker_core::evidence::Contents;
use checker_core::evidence::bundle::{EARLIER, Position, SealError, seal};
use checker_core::evidence::manifest::{Judged, Link, MANIFEST, Manifest, digest};
use checker_core::observation::Facts;
use checker_core::run::Run;

use super::folder::{Nowhere, Writing};
use super::index;
use super::keys::{self, Signer};
use crate::failure::Failure;

/// The link to the newest run.
pub(crate) const LATEST: &str = "latest";
/// So many earlier runs are kept in a run, for trends: a year of nights.
const EARLIER_RUNS: usize = 400;
/// The sequence number stands within so many bytes of a manifest.
const HEAD_BYTES: u64 = 512;

/// How the chain goes on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chaining {
    /// The manifest of the run before, where it is not in the folder.
    pub(crate) previous: Option<PathBuf>,
    /// Begins a chain.
    pub(crate) genesis: bool,
    /// Whether a first run needs no word for it.
    pub(crate) lab: bool,
}

/// A folder of runs.
#[derive(Debug)]
pub(crate) struct Archive {
    out: PathBuf,
    chaining: Chaining,
}

/// What is recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recording<'a> {
    /// Controls, waivers and baseline, as they were read.
    pub(crate) sources: &'a Sources,
    /// Everything that was asked.
    pub(crate) facts: &'a Facts,
    /// The run, as it was judged.
    pub(crate) run: &'a Run,
    /// All else that it follows from.
    pub(crate) judged: &'a Judged,
    /// Further reports by name, which a verification does not render again.
    pub(crate) further: &'a [(&'a str, &'a str)],
    /// Who signs.
    pub(crate) signer: &'a Signer,
}

/// A run in its folder.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// The folder.
    pub(crate) folder: PathBuf,
    /// Its place in the chain.
    pub(crate) sequence: u64,
    /// SHA-256 of its manifest.
    pub(crate) digest: String,
    /// Whether it was there already.
    pub(crate) again: bool,
}

/// The run that the next one follows.
#[derive(Debug)]
struct Head {
    folder: PathBuf,
    manifest: Manifest,
    digest: String,
}

impl Archive {
    /// Opens a folder of runs, and refuses now what could not be recorded later.
    pub(crate) fn open(out: &Path, chaining: Chaining) -> Result<Self, Failure> {
        fs::create_dir_all(out).map_err(|error| broken(out, "make the folder", &error))?;
        let archive = Self {
            out: out.to_owned(),
            chaining,
        };
        let lock = archive.lock()?;
        archive.head()?;
        drop(lock);
        Ok(archive)
    }

    /// Takes turns with other checkers that use the folder.
    fn lock(&self) -> Result<File, Failure> {
        let path = self.out.join(".lock");
        let file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|error| broken(&self.out, "lock the folder", &error))?;
        file.lock()
            .map_err(|error| broken(&self.out, "lock the folder", &error))?;
        Ok(file)
    }

    /// The lab's key in this folder, made if there is none.
    pub(crate) fn lab_signer(&self) -> Result<Signer, Failure> {
        let lock = self.lock()?;
        let signer = keys::of_lab(&self.out);
        drop(lock);
        signer
    }

    /// Writes a run as the next of the chain, and points `latest` at it.
    pub(crate) fn record(&self, recording: Recording<'_>) -> Result<Recorded, Failure> {
        let lock = self.lock()?;
        let run = recording.run;
        let folder = self.out.join(&run.run_id);
        let head = self.head()?;
        let position = Position {
            sequence: head.as_ref().map_or(1, |head| head.manifest.sequence + 1),
            previous: head.as_ref().map(|head| Link {
                run_id: head.manifest.run_id.clone(),
                manifest: head.digest.clone(),
            }),
        };
        let earlier = head.map_or_else(Vec::new, |head| earlier(&head.folder));
        let contents = Contents {
            sources: recording.sources,
            facts: recording.facts,
            run,
            judged: recording.judged,
            earlier: &earlier,
            further: recording.further,
            job: &job(),
            signers: recording.signer.signers.as_deref(),
        };
        let key = &recording.signer.key;
        let failed = |error: SealError| Failure::Broken(format!("failed to {error}"));
        if folder.exists() {
            let sealed = seal(contents, position, key, &mut Nowhere).map_err(failed)?;
            return same(&folder, &sealed.manifest);
        }
        let broken = |what: &str, error: std::io::Error| broken(&self.out, what, &error);
        self.sweep()
            .map_err(|error| broken("clear the folder", error))?;
        let temporary = self.out.join(format!(".{}.tmp", run.run_id));
        let written = Writing::begin(&temporary)
            .map_err(SealError::from)
            .and_then(|mut writing| {
                let sealed = seal(contents, position, key, &mut writing)?;
                writing.end()?;
                fs::rename(&temporary, &folder)?;
                Ok(sealed)
            });
        let sealed = written.map_err(|error| {
            // A full disk is the likely reason: what is there of the run must not keep it full.
            drop(fs::remove_dir_all(&temporary));
            if let SealError::Write(error) = error {
                broken("write the run into", error)
            } else {
                failed(error)
            }
        })?;
        self.point_latest(&run.run_id)
            .and_then(|()| File::open(&self.out)?.sync_all())
            .map_err(|error| broken("point `latest` at the run", error))?;
        index::write(&self.out, run, sealed.manifest.sequence, &earlier).map_err(|error| {
            let what = format!(
                "write `index.html` beside run {}, which is recorded, into",
                run.run_id
            );
            broken(&what, error)
        })?;
        drop(lock);
        Ok(Recorded {
            folder,
            sequence: sealed.manifest.sequence,
            digest: sealed.digest,
            again: false,
        })
    }

    /// The run that the next one follows; nothing when the next one begins the chain.
    fn head(&self) -> Result<Option<Head>, Failure> {
        let newest = newest(&self.out)?;
        let Chaining {
            previous,
            genesis,
            lab,
        } = &self.chaining;
        let out = self.out.display();
        match (newest, previous) {
            (Some(folder), _) if *genesis => Err(Failure::Usage(format!(
                "`{out}` holds a chain already, its newest run is {}; --genesis begins one in a folder without runs (--out DIR)",
                folder.display()
            ))),
            (Some(folder), given) => {
                let head = Head::read(&folder.join(MANIFEST))?;
                match given.as_ref().map(|given| Head::read(given)).transpose()? {
                    Some(given) if given.digest != head.digest => Err(Failure::Usage(format!(
                        "--previous is run {}, but the newest run in `{out}` is {}: the chain would fork",
                        given.manifest.run_id, head.manifest.run_id
                    ))),
                    Some(_) | None => Ok(Some(head)),
                }
            }
            (None, Some(given)) => Head::read(given).map(Some),
            (None, None) if *genesis || *lab => Ok(None),
            (None, None) => Err(Failure::Usage(format!(
                "`{out}` holds no run to follow: give the manifest of the run before with --previous FILE, or begin a chain \
                 with --genesis"
            ))),
        }
    }

    /// Removes what a crash left behind; whoever holds the lock is alone here.
    fn sweep(&self) -> std::io::Result<()> {
        for entry in fs::read_dir(&self.out)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') && name.ends_with(".tmp") {
                if entry.file_type()?.is_dir() {
                    fs::remove_dir_all(entry.path())?;
                } else {
                    fs::remove_file(entry.path())?;
                }
            }
        }
        Ok(())
    }

    /// Replaces the link in one step, so that `latest` always points at a whole run.
    fn point_latest(&self, run_id: &str) -> std::io::Result<()> {
        let link = self.out.join(".latest.tmp");
        std::os::unix::fs::symlink(run_id, &link)?;
        fs::rename(&link, self.out.join(LATEST))
    }
}

impl Head {
    fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let wrong = |what: &dyn std::fmt::Display| {
            Failure::Usage(format!(
                "the chain can't go on from `{shown}`: it {what} (see `checker verify`; a new chain begins in another folder, \
                 with --out DIR)"
            ))
        };
        let bytes = fs::read(path).map_err(|error| wrong(&format!("can't be read: {error}")))?;
        let manifest = Manifest::read(&bytes).map_err(|error| wrong(&error))?;
        Ok(Self {
            folder: path.parent().unwrap_or(Path::new(".")).to_owned(),
            digest: digest(&bytes),
            manifest,
        })
    }
}

/// The outlines that the next run takes over: what the run before knew, and that run itself. Without its files a
/// trend begins anew; the chain does not depend on it.
fn earlier(folder: &Path) -> Vec<Run> {
    let read = |name: &str| fs::read(folder.join(name)).ok();
    let mut runs: Vec<Run> = read(EARLIER)
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    runs.extend(
        read("run.json")
            .and_then(|bytes| serde_json::from_slice::<Run>(&bytes).ok())
            .map(Run::outline),
    );
    let surplus = runs.len().saturating_sub(EARLIER_RUNS);
    runs.drain(..surplus);
    runs
}

/// The folder of the run with the highest sequence number. `latest` is not asked: after a crash it may lag behind.
fn newest(out: &Path) -> Result<Option<PathBuf>, Failure> {
    let mut newest: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
    let entries = fs::read_dir(out).map_err(|error| broken(out, "list the folder", &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| broken(out, "list the folder", &error))?;
        if entry.file_name() == LATEST && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            return Err(Failure::Usage(format!(
                "`{}` is a copy of a run where a link belongs, as artefacts of CI jobs have it: remove it",
                entry.path().display()
            )));
        }
        let is_run = entry.file_type().is_ok_and(|kind| kind.is_dir())
            && !entry.file_name().to_string_lossy().starts_with('.');
        let manifest = entry.path().join(MANIFEST);
        if is_run && manifest.exists() {
            let sequence = sequence(&manifest).ok_or_else(|| {
                Failure::Usage(format!(
                    "`{}` is no manifest: the chain in this folder is broken (see `checker verify`; a new chain begins in another \
                     folder, with --out DIR)",
                    manifest.display()
                ))
            })?;
            newest.entry(sequence).or_default().push(entry.path());
        }
    }
    match newest.pop_last() {
        Some((sequence, mut folders)) => match (folders.pop(), folders.pop()) {
            (Some(one), Some(other)) => Err(Failure::Usage(format!(
                "the chain forks: `{}` and `{}` are both number {sequence}",
                one.display(),
                other.display()
            ))),
            (one, _) => Ok(one),
        },
        None => Ok(None),
    }
}

/// The sequence number at the beginning of a manifest, which may be long.
fn sequence(manifest: &Path) -> Option<u64> {
    let mut text = String::new();
    File::open(manifest)
        .ok()?
        .take(HEAD_BYTES)
        .read_to_string(&mut text)
        .ok()?;
    text.lines().find_map(|line| {
        line.trim()
            .strip_prefix("\"sequence\": ")?
            .strip_suffix(',')?
            .parse()
            .ok()
    })
}

/// The same facts at the same time are the same run: it is kept as it stands, and never replaced.
fn same(folder: &Path, sealed: &Manifest) -> Result<Recorded, Failure> {
    let bytes = fs::read(folder.join(MANIFEST)).ok();
    let manifest = bytes
        .as_deref()
        .and_then(|bytes| Manifest::read(bytes).ok());
    let (Some(bytes), Some(manifest)) = (bytes, manifest) else {
        return Err(other(folder));
    };
    let kept = |manifest: &Manifest| -> BTreeMap<String, String> {
        let files = manifest.files.iter().filter(|entry| {
            entry.path == "run.json"
                || entry.path.starts_with("evidence/")
                || entry.path.starts_with("controls/")
        });
        files
            .map(|entry| (entry.path.clone(), entry.sha256.clone()))
            .collect()
    };
    let equal = kept(&manifest) == kept(sealed);
    if !equal {
        return Err(other(folder));
    }
    Ok(Recorded {
        folder: folder.to_owned(),
        sequence: manifest.sequence,
        digest: digest(&bytes),
        again: true,
    })
}

fn other(folder: &Path) -> Failure {
    Failure::Broken(format!(
        "failed to record the run: `{}` exists and holds something else; a recorded run is never replaced",
        folder.display()
    ))
}

/// What the environment says about the job that runs us.
fn job() -> BTreeMap<String, String> {
    const NAMES: [&str; 10] = [
        "GITHUB_REPOSITORY",
        "GITHUB_WORKFLOW",
        "GITHUB_RUN_ID",
        "GITHUB_RUN_ATTEMPT",
        "GITHUB_SHA",
        "GITHUB_ACTOR",
        "CI_PROJECT_PATH",
        "CI_PIPELINE_ID",
        "CI_JOB_ID",
        "CI_COMMIT_SHA",
    ];
    NAMES
        .iter()
        .filter_map(|name| {
            let value = std::env::var(name).ok()?;
            let value: String = value
                .chars()
                .filter(|c| !c.is_control())
                .take(200)
                .collect();
            (!value.is_empty()).then(|| ((*name).to_owned(), value))
        })
        .collect()
}

fn broken(out: &Path, what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::Broken(format!("failed to {what} `{}`: {error}", out.display()))
}
