//! The files of a run: what is rendered from it, what it rests on, and the manifest that seals them.
//!
//! In: [`Contents`] and the run's [`Position`] in the chain. Out: a [`Bundle`]. The same rendering serves the recording
//! of a run, its later verification and `checker report`.

use std::collections::{BTreeMap, BTreeSet};

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
    /// The run, not condensed.
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

/// A run that is ready to be written.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// Its files.
    pub bundle: Bundle,
    /// Its place in the chain.
    pub sequence: u64,
    /// SHA-256 of its manifest.
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
}

/// The files that are rendered from a run, by name. `run` is not condensed.
pub fn rendered(run: &Run, earlier: &[Run]) -> Result<Vec<(String, String)>, SealError> {
    let written = run.clone().condensed();
    let json = written.to_json()?;
    let mut files = vec![
        ("run.json".to_owned(), json),
        ("population.csv".to_owned(), population::csv(run)),
        ("HOW-TO-VERIFY.md".to_owned(), guide::text(run)),
        (EARLIER.to_owned(), earlier_text(earlier)),
    ];
    files.extend(
        report::files(&written, earlier)?
            .into_iter()
            .map(|file| (file.name.to_owned(), file.text)),
    );
    Ok(files)
}

/// All files of a run, sealed and signed.
pub fn seal(contents: Contents<'_>, position: Position, key: &Key) -> Result<Sealed, SealError> {
    let mut bundle: Bundle = rendered(contents.run, contents.earlier)?
        .into_iter()
        .map(|(name, text)| (name, text.into_bytes()))
        .collect();
    for (name, text) in contents.further {
        bundle.insert((*name).to_owned(), (*text).as_bytes().to_vec());
    }
    for (digest, text) in &contents.facts.files().texts {
        bundle.insert(format!("evidence/{digest}.json"), text.clone().into_bytes());
    }
    let mut names = BTreeSet::new();
    let mut keep = |file: &SourceFile| -> Source {
        let source = Source {
            path: file.path.clone(),
            file: stored_name(&file.path, &mut names),
            sha256: manifest::digest(file.text.as_bytes()),
        };
        bundle.insert(source.file.clone(), file.text.clone().into_bytes());
        source
    };
    let controls = contents.sources.controls.iter().map(&mut keep).collect();
    let waivers = contents.sources.waivers.as_ref().map(&mut keep);
    let baseline = contents.sources.baseline.as_ref().map(&mut keep);
    if let Some(signers) = contents.signers {
        bundle.insert(SIGNERS.to_owned(), signers.to_owned().into_bytes());
    }
    let files: Vec<Entry> = bundle
        .iter()
        .map(|(path, bytes)| Entry::of(path, bytes))
        .collect();
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
    bundle.insert(
        SIGNATURE.to_owned(),
        key.sign(text.as_bytes())?.into_bytes(),
    );
    bundle.insert(
        ATTESTATION.to_owned(),
        attestation::attest(&manifest, &digest, run, key)?.into_bytes(),
    );
    bundle.insert(MANIFEST.to_owned(), text.into_bytes());
    Ok(Sealed {
        bundle,
        sequence: manifest.sequence,
        digest,
    })
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
