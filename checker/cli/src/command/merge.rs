//! `checker merge`: the runs of several shards, accounts or regions as one run.
//!
//! Every part is verified first, which judges it again from its own files: a part whose verdicts are not reached again is
//! refused, so that a merged run rests on evidence alone. The merged run is sealed, signed and chained like any other,
//! and `verify` judges it again part by part.

use std::path::{Path, PathBuf};

use checker_core::diagnostic::Diagnostic;
use checker_core::evidence::manifest::{MANIFEST, SIGNATURE};
use checker_core::evidence::verify::{self, Verification, verify};
use checker_core::evidence::{AllowedSigners, Bundle, Judged, Manifest};
use checker_core::merge::{PartJudged, merge};
use checker_core::observation::Facts;
use checker_core::run::{Run, Target};
use clap::Args;

use crate::console::Console;
use crate::examination::together;
use crate::failure::Failure;
use crate::store::archive::{Archive, Chaining, LATEST, Recording};
use crate::store::{folder, keys};

/// Options of `checker merge`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The folders of the runs: every shard of every place, once.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The folder that receives the merged run's folder; not that of a shard.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The manifest of the run before, where that is not in the folder.
    #[arg(long, value_name = "FILE")]
    previous: Option<PathBuf>,
    /// Begins a chain.
    #[arg(long)]
    genesis: bool,
    /// Who may have signed the parts, as ssh-keygen(1) describes it; without it, a key given with `--signing-key` must have.
    #[arg(long, value_name = "FILE")]
    allowed_signers: Option<PathBuf>,
    /// The private key that signs (OpenSSH, Ed25519); a merged run of a lab has the lab's own.
    #[arg(long, value_name = "FILE")]
    signing_key: Option<PathBuf>,
}

/// One run that is to be merged.
struct PartOfRun {
    bundle: Bundle,
    manifest: Manifest,
    run: Run,
}

/// Merges them.
pub(super) fn merged(arguments: &Arguments, console: Console) -> Result<u8, Failure> {
    let trusted = Trusted::of(arguments)?;
    let mut parts = Vec::new();
    for path in &arguments.runs {
        console.progress(&format!("judging {} again", path.display()));
        parts.push(part(path, &trusted)?);
    }
    let usage = |error: &dyn std::fmt::Display| Failure::Usage(format!("failed to {error}"));
    let run = merge(parts.iter().map(|part| part.run.clone()).collect())
        .map_err(|error| usage(&error))?;
    let lab = run.target == Target::Lab;
    let archive = Archive::open(
        &arguments.out,
        Chaining {
            previous: arguments.previous.clone(),
            genesis: arguments.genesis,
            lab: lab || arguments.signing_key.is_none(),
        },
    )?;
    let signer = match &arguments.signing_key {
        Some(path) => keys::given(path)?,
        None if lab => archive.lab_signer()?,
        None => {
            return Err(Failure::Usage(
                "a run on AWS is signed: give the key with --signing-key FILE".to_owned(),
            ));
        }
    };
    let Some(first) = parts.first() else {
        return Err(Failure::Usage("give the runs to merge".to_owned()));
    };
    let sources = verify::sources(&first.bundle, &first.manifest)
        .map_err(|problems| wrong(&arguments.runs, &problems))?;
    let mut facts = Facts::default();
    for part in &parts {
        facts.keep(verify::facts(&part.bundle).map_err(|it| wrong(&arguments.runs, &it))?);
    }
    let only = first.manifest.judged.only.clone();
    let judged = parts
        .iter()
        .map(|part| PartJudged {
            setting: part.manifest.judged.setting.clone(),
            about: part.manifest.judged.about.clone(),
        })
        .collect();
    let whole = together(facts, run);
    let recorded = archive.record(Recording {
        sources: &sources,
        facts: &whole.facts,
        run: &whole.run,
        judged: &Judged {
            setting: whole.setting,
            about: whole.about,
            only,
            resource: None,
            parts: judged,
        },
        signer: &signer,
        further: &[],
    })?;
    console.progress_done();
    console.run(&whole.run);
    super::run::tell(&recorded, console);
    Ok(whole.run.verdict.exit_code())
}

/// Whose parts are taken: anybody could have sealed a run anew.
enum Trusted {
    /// Those that a file names.
    Signers(AllowedSigners),
    /// Those that the key signed which signs the whole.
    Own(String),
    /// A lab is its own witness.
    Lab,
}

impl Trusted {
    fn of(arguments: &Arguments) -> Result<Self, Failure> {
        match (&arguments.allowed_signers, &arguments.signing_key) {
            (Some(path), _) => super::verify::signers(path).map(Self::Signers),
            (None, Some(path)) => Ok(Self::Own(keys::given(path)?.key.fingerprint())),
            (None, None) => Ok(Self::Lab),
        }
    }

    /// What is wrong with the signature of a part that is whole otherwise.
    fn refuses(&self, found: &Verification) -> Option<String> {
        let Self::Own(own) = self else {
            return None;
        };
        let (by, _) = found.signed_by.as_ref()?;
        let by = by.fingerprint();
        (by != *own).then(|| {
            format!("was signed by {by}, not by the key that signs the whole: say who may sign with --allowed-signers FILE")
        })
    }
}

/// A run, verified.
fn part(path: &Path, trusted: &Trusted) -> Result<PartOfRun, Failure> {
    let shown = path.display().to_string();
    if !path.join(MANIFEST).exists() && path.join(LATEST).exists() {
        let newest = path.join(LATEST).display().to_string();
        return Err(Failure::Files(vec![
            Diagnostic::whole(&shown, "is a folder of runs")
                .help(format!("give one run of it, such as {newest}")),
        ]));
    }
    let (bundle, odd) = folder::read(path).map_err(|error| {
        Failure::Files(vec![
            Diagnostic::whole(&shown, format!("cannot be read: {error}"))
                .help("give the folder of a run, such as reports/latest"),
        ])
    })?;
    let found = match trusted {
        Trusted::Signers(signers) => verify(&bundle, Some(signers)),
        Trusted::Own(_) | Trusted::Lab => verify(&bundle, None),
    };
    let signature = trusted
        .refuses(&found)
        .map(|what| verify::Problem::new(SIGNATURE, what));
    let problems: Vec<_> = odd
        .iter()
        .chain(&found.problems)
        .chain(&signature)
        .cloned()
        .collect();
    if !problems.is_empty() {
        return Err(wrong(&[path.to_owned()], &problems));
    }
    match (found.manifest, found.run) {
        (Some(manifest), Some(run))
            if manifest.judged.parts.is_empty() && manifest.judged.resource.is_none() =>
        {
            Ok(PartOfRun {
                bundle,
                manifest,
                run,
            })
        }
        _ => Err(Failure::Files(vec![Diagnostic::whole(
            shown,
            "is merged already, or speaks of one resource only",
        )])),
    }
}

fn wrong(paths: &[PathBuf], problems: &[verify::Problem]) -> Failure {
    let shown = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>()
        .join(", ");
    Failure::Files(
        problems
            .iter()
            .map(|problem| Diagnostic::whole(format!("{shown}: {}", problem.file), &problem.what))
            .collect(),
    )
}
