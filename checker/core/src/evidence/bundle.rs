//! The files of a run: what is rendered from it, what it rests on, and the manifest that seals them.
//!
//! In: [`Contents`] and the run's [`Position`] in the chain. Out: the files of a [`Bundle`], one by one. The same rendering serves the recording
//! of a run, its later verification and `checker report`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::attestation;
use super::guide;
use super::manifest::{
    self, ATTESTATION, Entry, Judged, Link, MANIFEST, Manifest, SIGNATURE, Source,
};
use super::population;
use super::signature::{Key, SignatureError};
use crate::control::{SourceFile, Sources};
use crate::observation::{Answer, Facts, Observation};
use crate::report::{self, ReportError};
use crate::run::Run;

/// Files by their path below the run's folder.
pub type Bundle = BTreeMap<String, Vec<u8>>;

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

/// Why a run could not be rendered or sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Our own format could not be written.
    #[error("render `run.json`: {0}")]
    Json(#[from] serde_json::Error),
    /// A report could not be rendered.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// No signature.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// A file could not be written.
    #[error("write the run: {0}")]
    Write(#[from] io::Error),
}

/// The files that are rendered from a run, by name; each when it is asked for.
pub fn rendered<'a>(
    run: &'a Run,
    earlier: &'a [Run],
) -> impl Iterator<Item = Result<(String, String), SealError>> + 'a {
    let own = ["run.json", "population.csv", "HOW-TO-VERIFY.md", EARLIER].into_iter();
    let own = own.map(|name| {
        let text = match name {
            "run.json" => run.to_json()?,
            "population.csv" => population::csv(run),
            "HOW-TO-VERIFY.md" => guide::text(run),
            _ => earlier_text(earlier),
        };
        Ok((name.to_owned(), text))
    });
    let reports = report::files(run, earlier).map(|file| {
        file.map_or_else(
            |error| Err(error.into()),
            |file| Ok((file.name.to_owned(), file.text)),
        )
    });
    own.chain(reports)
}

/// Seals and signs a run. Every file goes to `write` with its path as soon as it is there, so that no memory has to hold all
/// of them; the manifest comes last.
pub fn seal(
    contents: Contents<'_>,
    position: Position,
    key: &Key,
    write: &mut dyn FnMut(&str, &[u8]) -> io::Result<()>,
) -> Result<Sealed, SealError> {
    let mut files = Vec::new();
    let mut keep = |path: &str, bytes: &[u8]| -> Result<(), SealError> {
        files.push(Entry::of(path, bytes));
        Ok(write(path, bytes)?)
    };
    for file in rendered(contents.run, contents.earlier) {
        let (name, text) = file?;
        keep(&name, text.as_bytes())?;
    }
    for (name, text) in contents.further {
        keep(name, text.as_bytes())?;
    }
    for (digest, text) in &contents.facts.files().texts {
        keep(&format!("evidence/{digest}.json"), text.as_bytes())?;
    }
    let mut names = BTreeSet::new();
    let mut source = |file: &SourceFile| -> Result<Source, SealError> {
        let source = Source {
            path: file.path.clone(),
            file: stored_name(&file.path, &mut names),
            sha256: manifest::digest(file.text.as_bytes()),
        };
        keep(&source.file, file.text.as_bytes())?;
        Ok(source)
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
        keep(SIGNERS, signers.as_bytes())?;
    }
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
    write(SIGNATURE, key.sign(text.as_bytes())?.as_bytes())?;
    let attestation = attestation::attest(&manifest, &digest, run, key)?;
    write(ATTESTATION, attestation.as_bytes())?;
    write(MANIFEST, text.as_bytes())?;
    Ok(Sealed { manifest, digest })
}

/// The outlines of earlier runs, one a line.
fn earlier_text(earlier: &[Run]) -> String {
    let lines: Vec<String> = earlier
        .iter()
        .map(|run| serde_json::to_string(run).unwrap_or_default())
        .collect();
    if lines.is_empty() {
        return "[]\n".to_owned();
    }
    format!("[\n{}\n]\n", lines.join(",\n"))
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
