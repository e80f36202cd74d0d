//! Keys that sign runs: the lab's own, made on first use, or the one that was given.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use checker_core::evidence::Key;
use checker_core::evidence::signature::{LAB_SIGNER, signers_line};

use crate::failure::Failure;

/// The lab's key in a folder of runs; its public half has `.pub` at its end.
const LAB_KEY: &str = "lab-signing-key";

/// The key that signs a run.
#[derive(Debug)]
pub(crate) struct Signer {
    /// The key.
    pub(crate) key: Key,
    /// The signers file that goes into the run: only the lab is its own witness.
    pub(crate) signers: Option<String>,
}

/// The key that was given with `--signing-key`.
pub(crate) fn given(path: &Path) -> Result<Signer, Failure> {
    let text = fs::read_to_string(path).map_err(|error| {
        Failure::Broken(format!(
            "failed to read the signing key `{}`: {error}",
            path.display()
        ))
    })?;
    let key = Key::read(&text)
        .map_err(|error| Failure::Broken(format!("failed to {error}: `{}`", path.display())))?;
    Ok(Signer { key, signers: None })
}

/// The lab's key in a folder of runs, made if there is none.
pub(crate) fn of_lab(out: &Path) -> Result<Signer, Failure> {
    let path = out.join(LAB_KEY);
    let broken = |error: &dyn std::fmt::Display| {
        Failure::Broken(format!(
            "failed to make the lab's signing key `{}`: {error}",
            path.display()
        ))
    };
    let key = match fs::read_to_string(&path) {
        Ok(text) => {
            private(&path)?;
            Key::read(&text).map_err(|error| {
                Failure::Broken(format!("failed to {error}: `{}`", path.display()))
            })?
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).map_err(|error| broken(&error))?;
            let key = Key::from_seed(&seed, LAB_SIGNER).map_err(|error| broken(&error))?;
            let text = key.to_openssh().map_err(|error| broken(&error))?;
            write(&path, &text, 0o600).map_err(|error| broken(&error))?;
            let public = path.with_extension("pub");
            write(&public, &format!("{} {LAB_SIGNER}\n", key.public()), 0o644)
                .map_err(|error| broken(&error))?;
            key
        }
        Err(error) => return Err(broken(&error)),
    };
    let signers = Some(signers_line(LAB_SIGNER, &key));
    Ok(Signer { key, signers })
}

/// A key that others may read is nobody's signature.
fn private(path: &Path) -> Result<(), Failure> {
    let mode = fs::metadata(path)
        .map_err(|error| Failure::Broken(format!("failed to read `{}`: {error}", path.display())))?
        .permissions()
        .mode();
    let others = mode & 0o077;
    if others == 0 {
        return Ok(());
    }
    Err(Failure::Broken(format!(
        "failed to use `{}`: others may read it (chmod 600)",
        path.display()
    )))
}

fn write(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
