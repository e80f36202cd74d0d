//! `checker iam` and `--scp` from outside: arguments, exit codes, and what is said and printed.
//!
//! `data/iam/commands.json` holds the cases. Those marked `live` ask an embedded AWS, served by the same binary as if it
//! were an account, in which the administrator lost its boundary.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test harness stops at the first thing that is not as it should be"
)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    arguments: Vec<String>,
    #[serde(default)]
    live: bool,
    exit: i32,
    /// What stderr must hold.
    #[serde(default)]
    says: Vec<String>,
    /// What stdout must hold.
    #[serde(default)]
    prints: Vec<String>,
}

/// An embedded AWS on a port, stopped with the tests.
struct Served {
    process: Child,
    endpoint: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn main() {
    let arguments = Arguments::from_args();
    let cases: Vec<Case> =
        serde_json::from_str(&fs::read_to_string(data().join("commands.json")).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let needs_live = !arguments.list && cases.iter().any(|case| case.live);
    let served = Arc::new(needs_live.then(|| serve(folder.path())));
    let endpoint = served
        .as_ref()
        .as_ref()
        .map(|served| served.endpoint.clone());
    let trials = cases
        .into_iter()
        .map(|case| {
            let endpoint = endpoint.clone();
            let out = folder.path().join(case.name.replace(' ', "-"));
            Trial::test(case.name.clone(), move || check(&case, endpoint, &out))
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(served);
    conclusion.exit();
}

fn check(case: &Case, endpoint: Option<String>, out: &Path) -> Result<(), Failed> {
    let data = data().display().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_checker"));
    command.current_dir(root()).env("NO_COLOR", "1");
    if case.arguments.first().is_some_and(|first| first != "run") {
        command.arg("iam");
    }
    command.args(
        case.arguments
            .iter()
            .map(|text| text.replace("{data}", &data)),
    );
    if case.live {
        let endpoint = endpoint.expect("the lab is served");
        command
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_REGION", "ap-southeast-2")
            .args(["--endpoint-url", &endpoint]);
        if case.arguments.first().is_some_and(|first| first == "run") {
            let key = key(out);
            command.args(["--target", "aws", "--signing-key"]).arg(key);
            command.arg("--out").arg(out);
        }
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = format!("exit {:?}\n{said}\n{printed}", output.status.code());
    if output.status.code() != Some(case.exit) {
        return Err(Failed::from(format!(
            "expected exit {}, got {told}",
            case.exit
        )));
    }
    let missing = |wanted: &[String], text: &str| {
        wanted
            .iter()
            .find(|wanted| !text.contains(wanted.as_str()))
            .cloned()
    };
    match missing(&case.says, &said).or_else(|| missing(&case.prints, &printed)) {
        Some(wanted) => Err(Failed::from(format!("`{wanted}` is missing: {told}"))),
        None => Ok(()),
    }
}

/// A signing key of the test's own.
fn key(out: &Path) -> PathBuf {
    fs::create_dir_all(out).unwrap();
    let path = out.join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&path)
        .status();
    assert!(
        made.is_ok_and(|status| status.success()),
        "ssh-keygen is needed"
    );
    path
}

/// Serves the program with an administrator who lost its boundary.
fn serve(folder: &Path) -> Served {
    let program = folder.join("program");
    copy(&root().join("infra-pulumi-yaml"), &program);
    let file = program.join("prerequisites/Pulumi.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let bounded = "within the boundary\n      permissionsBoundary: ${boundary.arn}\n";
    assert!(text.contains(bounded));
    fs::write(&file, text.replace(bounded, "within the boundary\n")).unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_checker"))
        .current_dir(root())
        .args(["lab", "--port", "0", "--program"])
        .arg(&program)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let endpoint = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| Some(line.split_once("AWS_ENDPOINT_URL=")?.1.to_owned()))
        .expect("the lab says where it is");
    // The rest of what it prints is read, so that it never waits for us.
    std::thread::spawn(move || lines.for_each(drop));
    Served { process, endpoint }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/iam")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
