//! Tells the linker how to lay the executable out, which decides how much of it a run keeps in memory.
//!
//! The functions that a run calls are a sixth of all, and would lie scattered over the whole: `link-order.txt` names them
//! (`.ci/link-order` makes it), and the linker puts them side by side. Relocations are written in their short form. A name
//! that no longer exists is passed over. Not every linker and C library knows both, so that a small program is built and
//! run with them first; where that fails, the executable is the same and larger in memory.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;

/// The functions of a run, one a line.
const ORDER: &str = "link-order.txt";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={ORDER}");
    let order = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join(ORDER);
    let layouts = [
        vec!["-Wl,-z,pack-relative-relocs".to_owned()],
        vec![
            format!("-Wl,--symbol-ordering-file={}", order.display()),
            "-Wl,--no-warn-symbol-ordering".to_owned(),
        ],
    ];
    for layout in layouts {
        if works(&layout)? {
            for argument in layout {
                println!("cargo:rustc-link-arg-bins={argument}");
            }
        }
    }
    Ok(())
}

/// Whether a program that is linked like this can be built here and, where it is for this machine, runs.
fn works(layout: &[String]) -> io::Result<bool> {
    let folder = PathBuf::from(variable("OUT_DIR")?);
    let (source, program) = (folder.join("probe.rs"), folder.join("probe"));
    fs::write(&source, "fn main() {}\n")?;
    let target = variable("TARGET")?;
    let mut rustc = Command::new(variable("RUSTC")?);
    rustc.arg("--target").arg(&target);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut argument = OsString::from("linker=");
        argument.push(linker);
        rustc.arg("-C").arg(argument);
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    rustc.args(flags.split('\u{1f}').filter(|flag| !flag.is_empty()));
    for argument in layout {
        rustc.arg("-C").arg(format!("link-arg={argument}"));
    }
    let built = rustc.arg("-o").arg(&program).arg(&source).output()?;
    let runs = || -> io::Result<bool> {
        let native = variable("HOST")? == target;
        Ok(!native || Command::new(&program).status()?.success())
    };
    Ok(built.status.success() && runs()?)
}

fn variable(name: &str) -> io::Result<OsString> {
    env::var_os(name).ok_or_else(|| io::Error::other(format!("cargo did not set `{name}`")))
}
