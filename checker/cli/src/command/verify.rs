//! `checker verify`: a run, or a folder of runs, checked offline from its files alone.

use std::path::{Path, PathBuf};

use checker_core::evidence::AllowedSigners;
use checker_core::evidence::attestation::signed_root;
use checker_core::evidence::chain::{self, Chain, Outside, Placed};
use checker_core::evidence::manifest::{MANIFEST, Manifest, digest};
use checker_core::evidence::proof::Proof;
use checker_core::evidence::verify::{Problem, Verification, verify};
use checker_core::run::Run;
use clap::Args;
use serde_json::json;

use super::controls::Format;
use crate::console::{Console, data};
use crate::failure::Failure;
use crate::store::archive::LATEST;
use crate::store::folder;

/// Options of `checker verify`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The folder of a run, or a folder of runs.
    #[arg(value_name = "RUN|FOLDER")]
    path: PathBuf,
    /// Who may sign: the auditor's own file, as ssh-keygen(1) describes it.
    #[arg(long, value_name = "FILE")]
    allowed_signers: Option<PathBuf>,
    /// SHA-256 of the newest manifest, as it was published outside the folder.
    #[arg(long, value_name = "SHA256")]
    head: Option<String>,
    /// The manifest before the first run, where earlier runs are kept elsewhere.
    #[arg(long, value_name = "FILE")]
    previous: Option<PathBuf>,
    /// Instead prints a proof that this file, such as `evidence/<sha256>.json`, belongs to the run.
    #[arg(long, value_name = "FILE", conflicts_with = "proof")]
    prove: Option<String>,
    /// Instead checks a file against such a proof and the attestation of its run.
    #[arg(
        long,
        value_name = "PROOF",
        requires = "attestation",
        requires = "allowed_signers"
    )]
    proof: Option<PathBuf>,
    /// The `attestation.json` of the run that the proof is about.
    #[arg(long, value_name = "FILE")]
    attestation: Option<PathBuf>,
    /// The form of the result.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// A run with what was found out about it.
struct Checked {
    name: String,
    found: Verification,
}

/// Verifies.
pub(super) fn run(arguments: &Arguments, console: Console) -> Result<u8, Failure> {
    let signers = arguments
        .allowed_signers
        .as_deref()
        .map(signers)
        .transpose()?;
    if let (Some(proof), Some(attestation), Some(signers)) =
        (&arguments.proof, &arguments.attestation, &signers)
    {
        return proven(&arguments.path, proof, attestation, signers, console);
    }
    if let Some(file) = &arguments.prove {
        return prove(&arguments.path, file);
    }
    let outside = Outside {
        head: arguments.head.as_deref().map(head).transpose()?,
        before: arguments
            .previous
            .as_deref()
            .map(manifest_digest)
            .transpose()?,
    };
    let path = std::fs::canonicalize(&arguments.path).map_err(|error| {
        Failure::Usage(format!(
            "`{}` can't be read: {error}",
            arguments.path.display()
        ))
    })?;
    let single = is_run(&path);
    let folders = if single {
        vec![path.clone()]
    } else {
        runs(&path)?
    };
    let mut checked = Vec::new();
    for folder in &folders {
        console.progress(&format!("verifying {}", folder.display()));
        checked.push(check(folder, signers.as_ref())?);
    }
    console.progress_done();
    let mut chain = if single {
        one(&checked, &outside)
    } else {
        chain::check(placed(&checked), &outside)
    };
    if !single {
        same_signer(&checked, &mut chain);
        chain
            .problems
            .extend(chain::trends(checked.iter().filter_map(|run| {
                let outline = run.found.run.as_ref()?;
                Some((run.name.as_str(), outline, run.found.earlier.as_slice()))
            })));
    }
    match arguments.format {
        Format::Text => tell(&checked, &chain, console),
        Format::Json => data(&format!("{}\n", as_json(&checked, &chain))),
    }
    let holds = chain.problems.is_empty() && checked.iter().all(|run| run.found.holds());
    if !holds {
        return Ok(1);
    }
    if signers.is_none() && checked.iter().any(|run| run.found.needs_signers) {
        return Err(Failure::Usage(
            "nothing is wrong with the files, but who signed is not proven: give the file of the keys that you trust with \
             --allowed-signers FILE"
                .to_owned(),
        ));
    }
    Ok(0)
}

/// Prints the proof that a file belongs to a run.
fn prove(run: &Path, file: &str) -> Result<u8, Failure> {
    let path = run.join(MANIFEST);
    let manifest = Manifest::read(&read(&path)?)
        .map_err(|error| Failure::Usage(format!("`{}` {error}", path.display())))?;
    let proof = Proof::of(&manifest, file)
        .ok_or_else(|| Failure::Usage(format!("the run's manifest lists no file `{file}`")))?;
    data(&proof.text());
    Ok(0)
}

/// Checks that a file belongs to the run whose attestation somebody trusted has signed.
fn proven(
    file: &Path,
    proof: &Path,
    attestation: &Path,
    signers: &AllowedSigners,
    console: Console,
) -> Result<u8, Failure> {
    let parsed: Proof = serde_json::from_slice(&read(proof)?)
        .map_err(|_error| Failure::Usage(format!("`{}` is no proof", proof.display())))?;
    let envelope = String::from_utf8_lossy(&read(attestation)?).into_owned();
    let wrong = match (parsed.holds(&read(file)?), signed_root(&envelope, signers)) {
        (Err(what), _) => format!("{}: {what}", proof.display()),
        (_, Err(what)) => format!("{}: {what}", attestation.display()),
        (Ok(()), Ok(root)) if root != parsed.root => {
            format!("{}: leads to the root of another run", proof.display())
        }
        (Ok(()), Ok(_)) => {
            console.line(&format!(
                "ok      {} is {} of run {}",
                file.display(),
                parsed.entry.path,
                parsed.run_id
            ));
            return Ok(0);
        }
    };
    console.line(&format!("WRONG {wrong}"));
    Ok(1)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|error| Failure::Usage(format!("`{}` can't be read: {error}", path.display())))
}

/// Reads and checks the files of a run.
fn check(path: &Path, signers: Option<&AllowedSigners>) -> Result<Checked, Failure> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let (bundle, odd) = folder::read(path).map_err(|error| {
        Failure::Broken(format!("failed to read `{}`: {error}", path.display()))
    })?;
    let mut found = verify(&bundle, signers);
    found.problems.splice(0..0, odd);
    // A year of nights is verified at once; of each only its outline is needed further on.
    found.run = found.run.map(Run::outline);
    Ok(Checked { name, found })
}

fn is_run(path: &Path) -> bool {
    [MANIFEST, "run.json", "evidence"]
        .iter()
        .any(|name| path.join(name).symlink_metadata().is_ok())
}

/// The runs of a folder: every folder in it that is not hidden. Links such as `latest` lead to the same runs.
fn runs(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::Usage(format!("`{}` can't be read: {error}", folder.display()))
    };
    let mut runs = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && entry.file_type().map_err(unreadable)?.is_dir() {
            runs.push(entry.path());
        }
    }
    if runs.is_empty() {
        return Err(Failure::Usage(format!(
            "`{}` holds no run",
            folder.display()
        )));
    }
    runs.sort();
    Ok(runs)
}

fn placed(checked: &[Checked]) -> Vec<Placed> {
    // Where links were followed, as a CI job does with its artefacts, `latest` is a run a second time.
    let copy = |run: &Checked| {
        run.name == LATEST
            && checked
                .iter()
                .any(|other| other.name != run.name && other.found.digest == run.found.digest)
    };
    checked
        .iter()
        .filter(|run| !copy(run))
        .filter_map(|run| {
            Some(Placed {
                name: run.name.clone(),
                manifest: run.found.manifest.clone()?,
                digest: run.found.digest.clone(),
            })
        })
        .collect()
}

/// One run by itself: its place in the chain can only be compared with what is known outside.
fn one(checked: &[Checked], outside: &Outside) -> Chain {
    let mut chain = Chain::default();
    for run in checked {
        let before = run
            .found
            .manifest
            .as_ref()
            .and_then(|manifest| manifest.previous.as_ref())
            .map(|link| link.manifest.as_str());
        if let Some(given) = &outside.before
            && before != Some(given.as_str())
        {
            chain.problems.push(Problem::new(
                &run.name,
                "does not follow the manifest given with --previous",
            ));
        }
        match &outside.head {
            Some(head) if *head == run.found.digest => {}
            Some(head) => chain.problems.push(Problem::new(
                &run.name,
                format!("is not the published head {head}: its manifest is {}", run.found.digest),
            )),
            None => chain.unproven.push(
                "that this is the newest run, and that none before it is missing: verify the folder of runs, with \
                 --head SHA256"
                    .to_owned(),
            ),
        }
    }
    chain
}

/// Runs that name their signer themselves must at least all have the same one.
fn same_signer(checked: &[Checked], chain: &mut Chain) {
    let mut runs: Vec<&Checked> = checked.iter().collect();
    runs.sort_by_key(|run| {
        run.found
            .manifest
            .as_ref()
            .map_or(0, |manifest| manifest.sequence)
    });
    let mut last: Option<(&str, String)> = None;
    for run in runs {
        let Some((by, _)) = &run.found.signed_by else {
            continue;
        };
        if !run.found.names_its_signer {
            continue;
        }
        let fingerprint = by.fingerprint();
        if let Some((before, key)) = &last
            && *key != fingerprint
        {
            chain.problems.push(Problem::new(
                &run.name,
                format!("is signed by {fingerprint}, and {before} by {key}: somebody else's key, or a new one (--allowed-signers)"),
            ));
        }
        last = Some((&run.name, fingerprint));
    }
}

fn tell(checked: &[Checked], chain: &Chain, console: Console) {
    for run in checked {
        let found = &run.found;
        let about = found
            .manifest
            .as_ref()
            .map_or_else(String::new, |manifest| {
                format!(
                    ": number {}, {} {}, verdict {}",
                    manifest.sequence,
                    target(manifest),
                    manifest.judged.setting.account,
                    manifest.verdict.word()
                )
            });
        let word = if found.holds() { "ok" } else { "NOT OK" };
        console.line(&format!("{word:<7} {}{about}", run.name));
        if let Some((by, principals)) = &found.signed_by {
            let who = principals.as_deref().unwrap_or("nobody known");
            console.line(&format!("        signed by {who} ({})", by.fingerprint()));
        }
        console.line(&format!("        manifest {}", found.digest));
        for problem in &found.problems {
            console.line(&format!("  WRONG {}: {}", problem.file, problem.what));
        }
        for gap in &found.unproven {
            console.line(&format!("  not proven: {gap}"));
        }
    }
    for problem in &chain.problems {
        console.line(&format!("WRONG {}: {}", problem.file, problem.what));
    }
    for gap in &chain.unproven {
        console.line(&format!("not proven: {gap}"));
    }
}

fn as_json(checked: &[Checked], chain: &Chain) -> serde_json::Value {
    let problems = |problems: &[Problem]| -> Vec<serde_json::Value> {
        problems
            .iter()
            .map(|problem| json!({"file": problem.file, "what": problem.what}))
            .collect()
    };
    let holds = chain.problems.is_empty() && checked.iter().all(|run| run.found.holds());
    json!({
        "holds": holds,
        "runs": checked.iter().map(|run| json!({
            "run": run.name,
            "holds": run.found.holds(),
            "manifest": run.found.digest,
            "sequence": run.found.manifest.as_ref().map(|manifest| manifest.sequence),
            "target": run.found.manifest.as_ref().map(target),
            "verdict": run.found.manifest.as_ref().map(|manifest| manifest.verdict),
            "signed_by": run.found.signed_by.as_ref().map(|(by, _)| by.fingerprint()),
            "principals": run.found.signed_by.as_ref().and_then(|(_, principals)| principals.clone()),
            "problems": problems(&run.found.problems),
            "not_proven": run.found.unproven,
        })).collect::<Vec<_>>(),
        "chain": {"problems": problems(&chain.problems), "not_proven": chain.unproven},
    })
}

fn target(manifest: &Manifest) -> &'static str {
    manifest.judged.about.target.word()
}

/// Reads a file of signers.
pub(super) fn signers(path: &Path) -> Result<AllowedSigners, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("`{shown}` can't be read: {error}")))?;
    AllowedSigners::read(&text).map_err(|error| Failure::Usage(format!("{shown}: {error}")))
}

/// A head as it is printed: the digest, alone or after its sequence number.
fn head(text: &str) -> Result<String, Failure> {
    let digest = text
        .rsplit([' ', ':'])
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    if digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(digest);
    }
    Err(Failure::Usage(format!(
        "`{text}` is no head: it is the SHA-256 of a manifest, 64 hexadecimal digits"
    )))
}

fn manifest_digest(path: &Path) -> Result<String, Failure> {
    let bytes = read(path)?;
    Manifest::read(&bytes)
        .map_err(|error| Failure::Usage(format!("`{}` {error}", path.display())))?;
    Ok(digest(&bytes))
}
