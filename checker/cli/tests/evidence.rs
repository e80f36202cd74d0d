//! Runs of the built checker against auditors and attackers: folders on disk, chains, keys, and the script that verifies
//! without the checker.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::format_collect,
    reason = "a test harness stops at the first thing that is not as it should be"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::Value;

/// Three runs in a chain, made once; every test works on its own copy.
static CHAIN: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    for hour in 1..=3 {
        let now = format!("2026-11-26T0{hour}:00:00Z");
        ok(&run(&["--now", &now], folder.path()));
    }
    folder
});

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn checker(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_checker"))
        .args(arguments)
        .current_dir(repository())
        .env_remove("GITHUB_STEP_SUMMARY")
        .env_remove("AWS_ENDPOINT_URL")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap()
}

/// A run of one control without probes, which is quick.
fn run(arguments: &[&str], out: &Path) -> Output {
    let mut all = vec!["run", "--only", "FR-278", "--no-probes", "--out", text(out)];
    all.extend(arguments);
    checker(&all)
}

/// Probes that were not carried out leave a run inconclusive; recorded it is all the same.
fn ok(output: &Output) {
    let code = output.status.code();
    assert!(
        code == Some(0) || code == Some(3),
        "{code:?}: {}",
        said(output)
    );
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn copied(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    let status = Command::new("cp")
        .args(["-a", &format!("{}/.", text(from)), text(to.path())])
        .status()
        .unwrap();
    assert!(status.success());
    to
}

/// The runs of a folder, in the order of their chain.
fn runs(out: &Path) -> Vec<PathBuf> {
    let mut runs: Vec<(u64, PathBuf)> = fs::read_dir(out)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| {
            (
                manifest(&entry.path())["sequence"].as_u64().unwrap(),
                entry.path(),
            )
        })
        .collect();
    runs.sort();
    runs.into_iter().map(|(_, path)| path).collect()
}

fn manifest(run: &Path) -> Value {
    serde_json::from_slice(&fs::read(run.join("manifest.json")).unwrap()).unwrap()
}

fn sha256(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8_lossy(&output.stdout)[..64].to_owned()
}

fn verify(arguments: &[&str]) -> (i32, String) {
    let mut all = vec!["verify"];
    all.extend(arguments);
    let output = checker(&all);
    (output.status.code().unwrap(), said(&output))
}

fn script(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(repository().join("docs/verify.sh"))
        .args(arguments)
        .output()
        .unwrap();
    (output.status.code().unwrap(), said(&output))
}

#[test]
fn a_chain_holds_with_and_without_the_checker() {
    let out = CHAIN.path();
    let runs = runs(out);
    assert_eq!(runs.len(), 3);
    assert_eq!(
        fs::canonicalize(out.join("latest")).unwrap(),
        fs::canonicalize(&runs[2]).unwrap()
    );
    let head = sha256(&runs[2].join("manifest.json"));
    let signers = runs[0].join("allowed_signers");
    let (code, said) = verify(&[
        text(out),
        "--allowed-signers",
        text(&signers),
        "--head",
        &head,
    ]);
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("not proven"), "{said}");
    let (code, said) = script(&[text(out), text(&signers), &head]);
    assert_eq!((code, said.contains("ok: 3 run(s)")), (0, true), "{said}");
    let (code, said) = script(&[text(&runs[1]), text(&signers)]);
    assert_eq!(code, 0, "{said}");
    // Trends need the runs before: each run carries their outlines.
    let earlier: Value =
        serde_json::from_slice(&fs::read(runs[2].join("earlier.json")).unwrap()).unwrap();
    assert_eq!(earlier.as_array().unwrap().len(), 2);
    let key = fs::metadata(out.join("lab-signing-key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(key & 0o777, 0o600);
}

#[test]
fn stock_ssh_keygen_accepts_the_signature_for_its_namespace_only() {
    let run = &runs(CHAIN.path())[0];
    let check = |namespace: &str| {
        Command::new("ssh-keygen")
            .args([
                "-Y",
                "verify",
                "-f",
                "allowed_signers",
                "-I",
                "checker-lab",
                "-n",
                namespace,
            ])
            .args(["-s", "manifest.json.sig"])
            .current_dir(run)
            .stdin(fs::File::open(run.join("manifest.json")).unwrap())
            .output()
            .unwrap()
    };
    let accepted = check("compliance-evidence");
    assert!(accepted.status.success(), "{}", said(&accepted));
    assert!(!check("file").status.success());
}

/// Changes a copy of the chain; both verifiers must refuse it, and ours must say this.
fn attack(what: &str, expected: &str, change: impl Fn(&[PathBuf], &Path)) {
    let head = sha256(&runs(CHAIN.path())[2].join("manifest.json"));
    let out = copied(CHAIN.path());
    let runs = runs(out.path());
    let signers = tempfile::NamedTempFile::new().unwrap();
    fs::copy(runs[0].join("allowed_signers"), signers.path()).unwrap();
    change(&runs, out.path());
    let (out, signers) = (text(out.path()), text(signers.path()));
    let (code, said) = verify(&[out, "--allowed-signers", signers, "--head", &head]);
    assert_eq!(code, 1, "{what}: {said}");
    assert!(
        said.contains(expected),
        "{what}: expected {expected}: {said}"
    );
    let (code, said) = script(&[out, signers, &head]);
    assert_eq!(code, 1, "{what}, script: {said}");
}

fn first_evidence(run: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> = fs::read_dir(run.join("evidence"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files[0].clone()
}

#[test]
fn a_run_that_is_gone_twice_there_or_elsewhere_is_named_by_both() {
    let gone =
        |index: usize| move |runs: &[PathBuf], _: &Path| fs::remove_dir_all(&runs[index]).unwrap();
    attack("in the middle", "run number 2 is missing", gone(1));
    attack("at the end", "is not the newest run", gone(2));
    attack(
        "at the beginning",
        "the runs before it are missing",
        gone(0),
    );
    attack("twice", "the chain forks", |runs, out| {
        let status = Command::new("cp")
            .args(["-a", text(&runs[1]), text(&out.join("copy"))])
            .status()
            .unwrap();
        assert!(status.success());
    });
    attack(
        "a folder that is no run",
        "manifest.json: is missing",
        |_, out| {
            fs::create_dir(out.join("more")).unwrap();
            fs::write(out.join("more/run.json"), "{}").unwrap();
        },
    );
}

#[test]
fn a_file_that_is_gone_added_changed_or_a_link_is_named_by_both() {
    let originals = runs(CHAIN.path());
    let name = first_evidence(&originals[0]);
    let name = name.file_name().unwrap().to_str().unwrap();
    attack(
        "a manifest is gone",
        "manifest.json: is missing",
        |runs, _| {
            fs::remove_file(runs[1].join("manifest.json")).unwrap();
        },
    );
    attack(
        "evidence is gone",
        &format!("evidence/{name}: was removed"),
        |runs, _| {
            fs::remove_file(first_evidence(&runs[0])).unwrap();
        },
    );
    attack(
        "a byte of evidence",
        &format!("evidence/{name}: was changed"),
        |runs, _| {
            let file = first_evidence(&runs[0]);
            let mut bytes = fs::read(&file).unwrap();
            bytes[5] ^= 1;
            fs::write(&file, bytes).unwrap();
        },
    );
    attack("a file is added", "notes.txt: was added", |runs, _| {
        fs::write(runs[0].join("notes.txt"), "x").unwrap();
    });
    attack("a hidden file is added", ".x: was added", |runs, _| {
        fs::write(runs[0].join(".x"), "x").unwrap();
    });
    attack(
        "a folder is added",
        "evidence/more: is a folder",
        |runs, _| {
            fs::create_dir_all(runs[0].join("evidence/more")).unwrap();
            fs::write(runs[0].join("evidence/more/x"), "x").unwrap();
        },
    );
    attack("evidence is a link", "is a symbolic link", |runs, out| {
        let file = first_evidence(&runs[0]);
        fs::rename(&file, out.join("kept")).unwrap();
        symlink(out.join("kept"), &file).unwrap();
    });
    attack(
        "a folder is a link",
        "evidence: is a symbolic link",
        |runs, out| {
            fs::rename(runs[0].join("evidence"), out.join(".kept")).unwrap();
            symlink(out.join(".kept"), runs[0].join("evidence")).unwrap();
        },
    );
    attack("a huge file", "evidence/huge: was not read", |runs, _| {
        let file = fs::File::create(runs[0].join("evidence/huge")).unwrap();
        file.set_len(1 << 40).unwrap();
    });
}

#[test]
fn another_key_signs_nothing_here() {
    let out = copied(CHAIN.path());
    let runs = runs(out.path());
    let keys = tempfile::tempdir().unwrap();
    let key = keys.path().join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f", text(&key)])
        .status()
        .unwrap();
    assert!(made.success());
    let theirs = keys.path().join("theirs");
    fs::write(
        &theirs,
        format!(
            "eve {}",
            fs::read_to_string(key.with_extension("pub")).unwrap()
        ),
    )
    .unwrap();
    let (code, said) = verify(&[text(&runs[2]), "--allowed-signers", text(&theirs)]);
    assert!(
        code == 1 && said.contains("does not name this key"),
        "{code} {said}"
    );
    // Signed again by the attacker, who puts their own key into the run: the chain has another signer.
    fs::remove_file(runs[2].join("manifest.json.sig")).unwrap();
    let signed = Command::new("ssh-keygen")
        .args([
            "-q",
            "-Y",
            "sign",
            "-f",
            text(&key),
            "-n",
            "compliance-evidence",
            text(&runs[2].join("manifest.json")),
        ])
        .status()
        .unwrap();
    assert!(signed.success());
    let (code, said) = verify(&[text(&runs[2])]);
    assert!(
        code == 1 && said.contains("does not name this key"),
        "{code} {said}"
    );
    let broken = keys.path().join("broken");
    fs::write(&broken, "someone no-such-option ssh-ed25519 AAAA\n").unwrap();
    let (code, said) = verify(&[text(&runs[2]), "--allowed-signers", text(&broken)]);
    assert!(
        code == 2 && said.contains("line 1: unknown option"),
        "{code} {said}"
    );
}

#[test]
fn a_chain_never_starts_anew_in_silence() {
    let out = copied(CHAIN.path());
    let runs = runs(out.path());
    let check = |output: &Output, expected: &str| {
        assert!(
            output.status.code() == Some(2) && said(output).contains(expected),
            "{:?} {}",
            output.status.code(),
            said(output)
        );
    };
    check(&run(&["--genesis"], out.path()), "holds a chain already");
    let elsewhere = tempfile::tempdir().unwrap();
    let unreachable = [
        "--target",
        "aws",
        "--endpoint-url",
        "http://192.0.2.1:9",
        "--now",
        "2026-11-26T09:00:00Z",
    ];
    check(&run(&unreachable, elsewhere.path()), "--genesis");
    let mut genesis = unreachable.to_vec();
    genesis.push("--genesis");
    check(&run(&genesis, elsewhere.path()), "--signing-key");
    let old = runs[1].join("manifest.json");
    check(
        &run(&["--previous", text(&old)], out.path()),
        "the chain would fork",
    );
    let next = tempfile::tempdir().unwrap();
    ok(&run(
        &["--previous", text(&runs[2].join("manifest.json"))],
        next.path(),
    ));
    let written = manifest(&next.path().join("latest"));
    assert_eq!(written["sequence"], 4);
    assert_eq!(
        written["previous"]["manifest"],
        Value::from(sha256(&runs[2].join("manifest.json")))
    );
    let (code, said) = verify(&[
        text(next.path()),
        "--previous",
        text(&runs[2].join("manifest.json")),
    ]);
    assert_eq!(code, 0, "{said}");
    // A newest run that can't be read ends the chain until somebody looks.
    fs::write(runs[2].join("manifest.json"), "{}").unwrap();
    check(&run(&[], out.path()), "is no manifest");
}

#[test]
fn the_same_run_again_is_kept_and_two_at_once_take_turns() {
    let out = tempfile::tempdir().unwrap();
    let several: Vec<std::thread::JoinHandle<Output>> = (0..3)
        .map(|hour| {
            let path = out.path().to_owned();
            std::thread::spawn(move || {
                run(&["--now", &format!("2026-11-26T1{hour}:00:00Z")], &path)
            })
        })
        .collect();
    for done in several {
        ok(&done.join().unwrap());
    }
    let sequences: Vec<u64> = runs(out.path())
        .iter()
        .map(|run| manifest(run)["sequence"].as_u64().unwrap())
        .collect();
    assert_eq!(sequences, [1, 2, 3]);
    let (code, said) = verify(&[text(out.path())]);
    assert_eq!(code, 0, "{said}");
    assert!(fs::read_dir(out.path()).unwrap().all(|entry| {
        !entry
            .unwrap()
            .file_name()
            .to_string_lossy()
            .ends_with(".tmp")
    }));
}

#[test]
fn a_run_is_rendered_again_byte_by_byte_compared_and_sampled() {
    let runs = runs(CHAIN.path());
    let again = tempfile::tempdir().unwrap();
    ok(&checker(&[
        "report",
        text(&runs[1]),
        "--out",
        text(again.path()),
    ]));
    for name in [
        "run.json",
        "junit.xml",
        "population.csv",
        "HOW-TO-VERIFY.md",
        "earlier.json",
    ] {
        assert!(
            fs::read(again.path().join(name)).unwrap() == fs::read(runs[1].join(name)).unwrap(),
            "{name}"
        );
    }
    let same = checker(&["diff", text(&runs[1]), text(&runs[1])]);
    assert_eq!(same.status.code(), Some(0), "{}", said(&same));
    let draw = |n: &str| {
        let output = checker(&["sample", text(&runs[1]), "--n", n, "--format", "json"]);
        let sample: Value = serde_json::from_slice(&output.stdout).unwrap();
        sample
    };
    assert_eq!(draw("2"), draw("2"));
    let (two, three) = (draw("2"), draw("3"));
    assert_eq!(two["sample"][0], three["sample"][0]);
    assert_eq!(
        two["seed"],
        Value::from(sha256(&runs[1].join("manifest.json")))
    );
    assert!(!two["sample"][0]["evidence"].as_array().unwrap().is_empty());
}

#[test]
fn one_file_is_proven_with_proof_and_attestation_alone() {
    let run = &runs(CHAIN.path())[0];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proof.json");
    let proof = checker(&["verify", text(run), "--prove", "junit.xml"]);
    fs::write(&path, &proof.stdout).unwrap();
    let attestation = run.join("attestation.json");
    let signers = run.join("allowed_signers");
    let check = |file: &Path| {
        verify(&[
            text(file),
            "--proof",
            text(&path),
            "--attestation",
            text(&attestation),
            "--allowed-signers",
            text(&signers),
        ])
    };
    let (code, said) = check(&run.join("junit.xml"));
    assert_eq!(code, 0, "{said}");
    let (code, said) = check(&run.join("run.json"));
    assert!(
        code == 1 && said.contains("is about another file"),
        "{said}"
    );
}

#[test]
fn a_key_that_others_may_read_or_that_is_no_key_signs_nothing() {
    let out = copied(CHAIN.path());
    fs::set_permissions(
        out.path().join("lab-signing-key"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let open = run(&[], out.path());
    assert!(
        open.status.code() == Some(4) && said(&open).contains("others may read it"),
        "{}",
        said(&open)
    );
    let none = run(&["--signing-key", "/nonexistent"], out.path());
    assert_eq!(none.status.code(), Some(4), "{}", said(&none));
}

/// `checker lab`, stopped at its end.
struct Lab {
    process: std::process::Child,
    address: String,
}

impl Lab {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_checker"))
            .args(["lab", "--port", "0"])
            .current_dir(repository())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = process.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
        let address = line.trim().rsplit("http://").next().unwrap().to_owned();
        Self { process, address }
    }

    /// One call of Secrets Manager, as an administrator.
    fn secrets_manager(&self, operation: &str, body: &Value) {
        let body = body.to_string();
        let mut stream = std::net::TcpStream::connect(&self.address).unwrap();
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Target: secretsmanager.{operation}\r\n\
             X-Amz-Date: 20261126T000000Z\r\nAuthorization: AWS4-HMAC-SHA256 \
             Credential=lab/20261126/ap-southeast-2/secretsmanager/aws4_request, SignedHeaders=host, Signature=00\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        );
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A value in every form in which it could slip through: as it is, escaped, in base64 at each offset, in hexadecimal,
/// percent-encoded, backwards, and its digests.
fn forms(value: &str) -> Vec<Vec<u8>> {
    use base64::Engine as _;
    use sha2::Digest as _;
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let mut forms = vec![
        value.to_owned(),
        serde_json::to_string(value)
            .unwrap()
            .trim_matches('"')
            .to_owned(),
        hex(value.as_bytes()),
        hex(value.as_bytes()).to_uppercase(),
        value.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        value.replace('<', "&lt;").replace('&', "&amp;"),
        value.chars().rev().collect(),
    ];
    for engine in [
        base64::engine::general_purpose::STANDARD_NO_PAD,
        base64::engine::general_purpose::URL_SAFE_NO_PAD,
    ] {
        for offset in 0..3 {
            let padded = format!("{}{value}", "x".repeat(offset));
            let encoded = engine.encode(padded);
            // Without what mixes with its neighbours.
            forms.push(encoded[4.min(4 * offset)..encoded.len() - 2].to_owned());
        }
    }
    let digest = sha2::Sha256::digest(value.as_bytes());
    forms.extend([
        hex(&digest),
        base64::engine::general_purpose::STANDARD.encode(digest),
    ]);
    let digest = sha2::Sha512::digest(value.as_bytes());
    forms.extend([
        hex(&digest),
        base64::engine::general_purpose::STANDARD.encode(digest),
    ]);
    forms.into_iter().map(String::into_bytes).collect()
}

fn holds(text: &[u8], form: &[u8]) -> bool {
    text.windows(form.len()).any(|window| window == form)
}

#[test]
fn no_file_of_a_run_holds_a_stored_value() {
    let lab = Lab::start();
    let canaries = [
        "canary-7f3e9a51c2d84b06<&\"e1",
        "kanarie-0d9b62e8f7a14c35-zz",
    ];
    lab.secrets_manager(
        "CreateSecret",
        &serde_json::json!({
            "Name": "bank-app/canary", "SecretString": canaries[0], "ClientRequestToken": "11111111-2222-3333-4444-555555555555",
            "Tags": [{"Key": "owner", "Value": "tests"}],
        }),
    );
    lab.secrets_manager(
        "PutSecretValue",
        &serde_json::json!({
            "SecretId": "bank-app/canary",
            "SecretString": serde_json::json!({"username": "app", "password": canaries[1]}).to_string(),
            "ClientRequestToken": "21111111-2222-3333-4444-555555555555",
        }),
    );
    let out = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_checker"))
        .args([
            "run",
            "--target",
            "aws",
            "--endpoint-url",
            &format!("http://{}", lab.address),
        ])
        .args(["--out", text(out.path())])
        .current_dir(repository())
        .envs([
            ("AWS_ACCESS_KEY_ID", "lab"),
            ("AWS_SECRET_ACCESS_KEY", "lab"),
            ("AWS_REGION", "ap-southeast-2"),
        ])
        .output()
        .unwrap();
    assert!(
        output
            .status
            .code()
            .is_some_and(|code| code != 2 && code != 4),
        "{}",
        said(&output)
    );
    let run = fs::canonicalize(out.path().join("latest")).unwrap();
    let mut texts = vec![("what was said".to_owned(), said(&output).into_bytes())];
    let mut folders = vec![run];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                texts.push((text(&path).to_owned(), fs::read(&path).unwrap()));
            }
        }
    }
    assert!(
        texts
            .iter()
            .any(|(_, bytes)| holds(bytes, b"bank-app/canary")),
        "the secret itself must have been seen"
    );
    for canary in canaries {
        for form in forms(canary) {
            for (name, bytes) in &texts {
                assert!(
                    !holds(bytes, &form),
                    "{name} holds {}",
                    String::from_utf8_lossy(&form)
                );
            }
        }
    }
}
