//! The files of a run: what is rendered from it, what it rests on, and the manifest that seals them.
//!
//! In: [`Contents`] and the run's [`Position`] in the chain. Out: files in a [`Store`]. The same rendering serves the recording
//! of a run, its later verification and `checker report`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use sha2::{Digest as _, Sha256};

use super::attestation;
use super::guide;
use super::manifest::{
    self, ATTESTATION, Entry, Judged, Link, MANIFEST, Manifest, SIGNATURE, Source,
};
use super::population;
use super::signature::{Key, SignatureError};
use crate::control::{SourceFile, Sources};
use crate::observation::{Answer, Facts, Observation, hex};
use crate::report::{Out, REPORTS, Report};
use crate::run::Run;

/// Files by their path below the run's folder.
pub type Bundle = BTreeMap<String, Vec<u8>>;

/// Where the files of a run go.
pub trait Store {
    /// A file that is being written.
    type File<'a>: Write
    where
        Self: 'a;

    /// Begins a file.
    fn create(&mut self, path: &str) -> io::Result<Self::File<'_>>;
}

impl Store for Bundle {
    type File<'a> = &'a mut Vec<u8>;

    fn create(&mut self, path: &str) -> io::Result<Self::File<'_>> {
        Ok(self.entry(path.to_owned()).or_default())
    }
}

/// What the runs before looked like, for trends; itself a file of the run.
pub const EARLIER: &str = "earlier.json";
/// Who may sign, where the run says so itself.
pub const SIGNERS: &str = "allowed_signers";

/// What a run consists of.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// Controls, waivers and baseline, as they were read.
    pub sources: &'a Sources,
    /// Everything that was asked.
    pub facts: &'a Facts,
    /// The run, as it was judged.
    pub run: &'a Run,
    /// All else that it follows from.
    pub judged: &'a Judged,
    /// The outlines of the runs before it, oldest first.
    pub earlier: &'a [Run],
    /// Further reports by name, which are kept but not rendered again by a verification.
    pub further: &'a [(&'a str, &'a str)],
    /// The job that ran the checker.
    pub job: &'a BTreeMap<String, String>,
    /// The signers file, in the lab.
    pub signers: Option<&'a str>,
}

/// A place in a chain.
#[derive(Debug, Clone)]
pub struct Position {
    /// From 1.
    pub sequence: u64,
    /// The run before.
    pub previous: Option<Link>,
}

/// What seals a run.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// Its files and its place in the chain.
    pub manifest: Manifest,
    /// SHA-256 of the manifest.
    pub digest: String,
}

/// Why a run could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// No signature.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Our own format could not be written.
    #[error("render the attestation: {0}")]
    Json(#[from] serde_json::Error),
    /// A file could not be written.
    #[error("write the run: {0}")]
    Write(#[from] io::Error),
}

/// The files that are rendered from a run.
pub fn rendered() -> impl Iterator<Item = Report> {
    let own = [
        Report::new("run.json", |run, _, out| Ok(run.write_json(out)?)),
        Report::new("population.csv", |run, _, out| {
            out.write_all(population::csv(run).as_bytes())
        }),
        Report::new("HOW-TO-VERIFY.md", |run, _, out| {
            out.write_all(guide::text(run).as_bytes())
        }),
        Report::new(EARLIER, |_, earlier, out| write_earlier(earlier, out)),
    ];
    own.into_iter().chain(REPORTS)
}

/// Seals and signs a run. Its files are written one after the other, as they are rendered, so that no memory has to hold
/// them; the manifest comes last.
pub fn seal<S: Store>(
    contents: Contents<'_>,
    position: Position,
    key: &Key,
    store: &mut S,
) -> Result<Sealed, SealError> {
    let mut sealing = Sealing {
        store,
        files: Vec::new(),
    };
    for report in rendered() {
        sealing.put(report.name, |out| {
            report.write(contents.run, contents.earlier, out)
        })?;
    }
    for (name, text) in contents.further {
        sealing.keep(name, text)?;
    }
    for (digest, text) in &contents.facts.files().texts {
        sealing.keep(&format!("evidence/{digest}.json"), text)?;
    }
    let mut names = BTreeSet::new();
    let mut source = |file: &SourceFile| -> Result<Source, SealError> {
        let name = stored_name(&file.path, &mut names);
        Ok(Source {
            path: file.path.clone(),
            sha256: sealing.keep(&name, &file.text)?,
            file: name,
        })
    };
    let Sources {
        controls,
        waivers,
        baseline,
        ..
    } = contents.sources;
    let controls = controls.iter().map(&mut source).collect::<Result<_, _>>()?;
    let waivers = waivers.as_ref().map(&mut source).transpose()?;
    let baseline = baseline.as_ref().map(&mut source).transpose()?;
    if let Some(signers) = contents.signers {
        sealing.keep(SIGNERS, signers)?;
    }
    let Sealing { store, mut files } = sealing;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    let run = contents.run;
    let manifest = Manifest {
        version: manifest::VERSION,
        sequence: position.sequence,
        previous: position.previous,
        run_id: run.run_id.clone(),
        verdict: run.verdict,
        tool: run.tool.clone(),
        caller: match contents.facts.get(&Observation::Caller) {
            Ok(Answer::Caller(caller)) => Some(caller.arn.clone()),
            Ok(_) | Err(_) => None,
        },
        job: contents.job.clone(),
        judged: contents.judged.clone(),
        controls,
        waivers,
        baseline,
        parameters: run
            .controls
            .iter()
            .map(|control| (control.id.clone(), control.parameters.clone()))
            .collect(),
        not_proven: run.not_proven.clone(),
        root: manifest::root(&files),
        files,
    };
    let text = manifest.text();
    let digest = manifest::digest(text.as_bytes());
    let mut put = |path: &str, text: &str| store.create(path)?.write_all(text.as_bytes());
    put(SIGNATURE, &key.sign(text.as_bytes())?)?;
    put(
        ATTESTATION,
        &attestation::attest(&manifest, &digest, run, key)?,
    )?;
    put(MANIFEST, &text)?;
    Ok(Sealed { manifest, digest })
}

/// The files of a run on their way into its store.
struct Sealing<'a, S> {
    store: &'a mut S,
    files: Vec<Entry>,
}

impl<S: Store> Sealing<'_, S> {
    /// Writes a file, and returns its SHA-256.
    fn put(
        &mut self,
        path: &str,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<String> {
        let mut measured = Measured {
            file: self.store.create(path)?,
            hash: Sha256::new(),
            size: 0,
        };
        write(&mut measured)?;
        let sha256 = hex(&measured.hash.finalize());
        self.files.push(Entry {
            path: path.to_owned(),
            sha256: sha256.clone(),
            size: measured.size,
        });
        Ok(sha256)
    }

    /// Writes a text as it is.
    fn keep(&mut self, path: &str, text: &str) -> io::Result<String> {
        self.put(path, |out| out.write_all(text.as_bytes()))
    }
}

/// A file of which it is known what has gone into it.
struct Measured<W> {
    file: W,
    hash: Sha256,
    size: u64,
}

impl<W: Write> Write for Measured<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        self.size += u64::try_from(written).unwrap_or(u64::MAX);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The outlines of earlier runs, one a line.
fn write_earlier(earlier: &[Run], out: &mut Out<'_>) -> io::Result<()> {
    out.write_all(b"[")?;
    for (at, run) in earlier.iter().enumerate() {
        out.write_all(if at == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut *out, run)?;
    }
    let end = if earlier.is_empty() { "]\n" } else { "\n]\n" };
    out.write_all(end.as_bytes())
}

/// A name below `controls/` for a file that was read from anywhere.
fn stored_name(path: &str, names: &mut BTreeSet<String>) -> String {
    let base: String = path
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or_default()
        .trim_start_matches('.')
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
                c
            } else {
                '_'
            }
        })
        .collect();
    let mut name = format!("controls/{base}");
    while base.is_empty() || !names.insert(name.clone()) {
        name = format!("controls/{}-{base}", names.len() + 1);
        if names.insert(name.clone()) {
            return name;
        }
    }
    name
}
