//! A large organisation's first day: shards and their merge, accounts and their roles, and what is typed wrong.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test harness stops at the first thing that is not as it should be"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use support::{Lab, REGION, checker};

mod support;

const ACCOUNT: &str = "647751526084";
/// What the checker's policy lets it read.
const READS: &str = include_str!("../../../infra-pulumi-yaml/ci/permissions.json");

/// Where a test's runs and keys are.
struct Desk {
    folder: tempfile::TempDir,
    endpoint: String,
    credentials: [(&'static str, String); 3],
}

impl Desk {
    /// At a lab, with its administrator's credentials.
    fn at(endpoint: &str) -> Self {
        let desk = Self {
            folder: tempfile::tempdir().unwrap(),
            endpoint: endpoint.to_owned(),
            credentials: [
                ("AWS_ACCESS_KEY_ID", "lab".to_owned()),
                ("AWS_SECRET_ACCESS_KEY", "lab".to_owned()),
                ("AWS_SESSION_TOKEN", String::new()),
            ],
        };
        desk.key("key");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A key of this name, and a signers file that names it.
    fn key(&self, name: &str) {
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(self.path(name))
            .status()
            .unwrap();
        assert!(made.success());
        let public = fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap();
        let line = format!("auditor@bank namespaces=\"compliance-evidence\" {public}");
        fs::write(self.path(&format!("{name}.signers")), line).unwrap();
    }

    /// `checker run` on the live account, signed with a key.
    fn command(&self, name: &str, key: &str, arguments: &[&str]) -> Command {
        let mut command = checker();
        command
            .args(["run", "--target", "aws", "--genesis", "--endpoint-url"])
            .arg(&self.endpoint)
            .arg("--out")
            .arg(self.path(name))
            .arg("--signing-key")
            .arg(self.path(key))
            .args(arguments)
            .envs(self.credentials.iter().map(|(name, value)| (name, value)))
            .env("AWS_REGION", REGION)
            .env_remove("AWS_ENDPOINT_URL")
            .env_remove("GITHUB_STEP_SUMMARY");
        command
    }

    fn run(&self, name: &str, arguments: &[&str]) -> Output {
        self.command(name, "key", arguments).output().unwrap()
    }

    fn judged(&self, name: &str) -> Value {
        let text = fs::read(self.path(name).join("latest/run.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// `checker merge` of runs in their folders.
    fn merge(&self, out: &str, parts: &[&str], arguments: &[&str]) -> Output {
        checker()
            .arg("merge")
            .args(parts.iter().map(|part| self.path(part)))
            .args(["--genesis", "--out"])
            .arg(self.path(out))
            .arg("--signing-key")
            .arg(self.path("key"))
            .args(arguments)
            .env_remove("GITHUB_STEP_SUMMARY")
            .output()
            .unwrap()
    }

    /// A merge that is refused, for this reason, and writes nothing.
    fn refused(&self, parts: &[&str], expected: &str) {
        let out = self.path("refused");
        drop(fs::remove_dir_all(&out));
        refusal(&self.merge("refused", parts, &[]), 2, expected);
        assert!(!out.join("latest").exists(), "{expected}");
    }

    fn verified(&self, name: &str) {
        let output = checker()
            .args(["verify"])
            .arg(self.path(name))
            .arg("--allowed-signers")
            .arg(self.path("key.signers"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}: {}", said(&output));
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn refusal(output: &Output, code: i32, expected: &str) {
    let said = said(output);
    assert!(
        output.status.code() == Some(code) && said.contains(expected),
        "{:?}, expected {code} and `{expected}`: {said}",
        output.status.code()
    );
}

/// Every finding but for its evidence, and the verdict of every control.
fn findings(run: &Value) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::from([("verdict".to_owned(), run["verdict"].clone())]);
    for control in run["controls"].as_array().unwrap() {
        let id = control["id"].as_str().unwrap();
        all.insert(id.to_owned(), control["verdict"].clone());
        for finding in control["findings"].as_array().unwrap() {
            let mut finding = finding.clone();
            finding.as_object_mut().unwrap().remove("evidence");
            let key = format!("{id} {} {}", finding["assertion"], finding["resource"]);
            assert!(all.insert(key.clone(), finding).is_none(), "{key} twice");
        }
    }
    all
}

fn calls(run: &Value, operation: &str) -> u64 {
    run["api_calls"][operation].as_u64().unwrap_or_default()
}

#[test]
fn shards_make_the_run_that_one_checker_makes() {
    let lab = Lab::with(&["--secrets", "12"]);
    let desk = Desk::at(&lab.endpoint);
    let now = chrono::Utc::now().to_rfc3339();
    let shards = ["1/3", "2/3", "3/3"];
    let names = ["one", "two", "three"];
    let running: Vec<_> = names
        .iter()
        .zip(shards)
        .map(|(name, shard)| {
            let mut command = desk.command(name, "key", &["--now", &now, "--shard", shard]);
            command.stderr(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    let whole = desk.run("whole", &["--now", &now]);
    assert_eq!(whole.status.code(), Some(3), "{}", said(&whole));
    for mut shard in running {
        shard.wait().unwrap();
    }
    let latest = ["one/latest", "two/latest", "three/latest"];
    let merged = desk.merge("merged", &latest, &[]);
    assert_eq!(merged.status.code(), Some(3), "{}", said(&merged));
    let (whole, merged) = (desk.judged("whole"), desk.judged("merged"));
    assert_eq!(findings(&merged), findings(&whole));
    assert_eq!(merged["parts"].as_array().unwrap().len(), 3);
    desk.verified("three");
    desk.verified("merged");
    // What is judged once is asked once: the other shards ask only their own secrets.
    let policies = "secretsmanager:GetResourcePolicy";
    let others = calls(&desk.judged("two"), policies) + calls(&desk.judged("three"), policies);
    let all = calls(&whole, policies);
    assert!(others < all, "{others} of {all}");
    assert_eq!(calls(&desk.judged("two"), "iam:SimulatePrincipalPolicy"), 0);

    // The rest is the same whatever was judged: one control is quicker.
    let desk = Desk::at(&lab.endpoint);
    let only = ["--only", "AML-007", "--now", &now];
    desk.run("whole", &only);
    for (name, shard) in names.iter().zip(shards) {
        desk.run(name, &[&only[..], &["--shard", shard]].concat());
    }
    let merged = desk.merge("merged", &latest, &[]);
    assert_eq!(merged.status.code(), Some(0), "{}", said(&merged));
    refuses_other_parts(&desk, &now);
    edited_or_forged(&desk, &now);
}

/// Parts that do not make one run.
fn refuses_other_parts(desk: &Desk, now: &str) {
    let whole = ["one/latest", "two/latest", "three/latest", "whole/latest"];
    let second = |name: &str, arguments: &[&str]| {
        desk.run(name, &[&["--only", "AML-007"], arguments].concat());
    };
    desk.refused(&whole[..2], "of 3, these are missing: 3");
    desk.refused(&whole, "a run that is no shard is among them");
    let twice = [whole[0], whole[1], whole[1], whole[2]];
    desk.refused(&twice, "a shard is there twice");
    desk.refused(&["merged/latest"], "is merged already");
    desk.refused(&["one", whole[1], whole[2]], "one run of it, such as");
    desk.refused(&["nowhere"], "cannot be read");
    desk.run(
        "only",
        &["--now", now, "--shard", "2/3", "--only", "FR-278"],
    );
    desk.refused(
        &[whole[0], "only/latest", whole[2]],
        "they differ in their controls or parameters",
    );
    second("fourth", &["--now", now, "--shard", "2/4"]);
    desk.refused(
        &[whole[0], "fourth/latest", whole[2]],
        "they are not all cut into the same number",
    );
    let yesterday = chrono::Utc::now() - chrono::TimeDelta::hours(25);
    second("old", &["--now", &yesterday.to_rfc3339(), "--shard", "2/3"]);
    desk.refused(
        &[whole[0], "old/latest", whole[2]],
        "they were judged more than a day apart",
    );
}

/// Parts that somebody touched, or sealed anew with a key of their own.
fn edited_or_forged(desk: &Desk, now: &str) {
    let parts = ["one/latest", "edited/latest", "three/latest"];
    let copied = Command::new("cp")
        .arg("-a")
        .args([desk.path("two"), desk.path("edited")])
        .status()
        .unwrap();
    assert!(copied.success());
    let file = fs::read_dir(desk.path("edited/latest/evidence"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| fs::read_to_string(path).unwrap().contains("bank"))
        .unwrap();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("bank", "bonk")).unwrap();
    desk.refused(&parts, "was changed: its SHA-256 is");

    desk.key("other");
    let forged = desk
        .command(
            "forged",
            "other",
            &["--only", "AML-007", "--now", now, "--shard", "2/3"],
        )
        .output()
        .unwrap();
    assert_eq!(forged.status.code(), Some(0), "{}", said(&forged));
    let parts = ["one/latest", "forged/latest", "three/latest"];
    desk.refused(&parts, "not by the key that signs the whole");
    let signers = desk.path("key.signers");
    let named = desk.merge(
        "named",
        &parts,
        &["--allowed-signers", signers.to_str().unwrap()],
    );
    refusal(&named, 2, "does not name this key");
    let both = desk.path("both");
    let mut text = fs::read_to_string(&signers).unwrap();
    text.push_str(&fs::read_to_string(desk.path("other.signers")).unwrap());
    fs::write(&both, text).unwrap();
    let both = ["--allowed-signers", both.to_str().unwrap()];
    assert_eq!(
        desk.merge("both-sign", &parts, &both).status.code(),
        Some(0)
    );
}

#[tokio::test]
async fn shards_that_saw_other_things_pass_nothing() {
    let lab = Lab::start();
    let desk = Desk::at(&lab.endpoint);
    let only = ["--only", "FR-277", "--shard"];
    desk.run("one", &[&only[..], &["1/2"]].concat());
    aws_sdk_secretsmanager::Client::new(&lab.administrator().await)
        .create_secret()
        .name("bank-new/between")
        .secret_string("made between two shards")
        .send()
        .await
        .unwrap();
    desk.run("two", &[&only[..], &["2/2"]].concat());
    let merged = desk.merge("merged", &["one/latest", "two/latest"], &[]);
    assert_ne!(merged.status.code(), Some(0), "{}", said(&merged));
    desk.verified("merged");
    let all = findings(&desk.judged("merged"));
    let secrets = &all["FR-277 \"secrets\" \"secrets\""];
    assert_eq!(secrets["verdict"], "inconclusive");
    let because = secrets["because"].to_string();
    assert!(
        because.contains("shard 2/2 says: secrets are complete: 5 found")
            && because.contains("the shards did not see the same"),
        "{secrets}"
    );
}

/// A role of the lab's account that another of its roles may become, with a condition in its trust policy.
async fn role(lab: &Lab, name: &str, condition: &str) {
    let iam = aws_sdk_iam::Client::new(&lab.administrator().await);
    let trust = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"sts:AssumeRole",
        "Principal":{{"AWS":"arn:aws:iam::{ACCOUNT}:root"}}{condition}}}]}}"#
    );
    iam.create_role()
        .role_name(name)
        .assume_role_policy_document(trust)
        .send()
        .await
        .unwrap();
    let assume = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}"#;
    for (policy, text) in [("reads", READS), ("assumes", assume)] {
        iam.put_role_policy()
            .role_name(name)
            .policy_name(policy)
            .policy_document(text)
            .send()
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn an_account_that_is_not_entered_is_inconclusive_by_name() {
    let lab = Lab::start();
    role(&lab, "org-hub", "").await;
    let condition = r#","Condition":{"StringEquals":{"sts:ExternalId":"given-by-the-account"}}"#;
    role(&lab, "org-checker", condition).await;
    let mut desk = Desk::at(&lab.endpoint);
    // The administrator is asked for no external id: a role of the account enters another.
    let session = aws_sdk_sts::Client::new(&lab.administrator().await)
        .assume_role()
        .role_arn(format!("arn:aws:iam::{ACCOUNT}:role/org-hub"))
        .role_session_name("hub")
        .send()
        .await
        .unwrap();
    let credentials = session.credentials().unwrap();
    desk.credentials = [
        ("AWS_ACCESS_KEY_ID", credentials.access_key_id().to_owned()),
        (
            "AWS_SECRET_ACCESS_KEY",
            credentials.secret_access_key().to_owned(),
        ),
        ("AWS_SESSION_TOKEN", credentials.session_token().to_owned()),
    ];
    let account = |id: &str, external: &str, regions: &str| {
        format!(
            "  - id: {id}\n    role: arn:aws:iam::{id}:role/org-checker\n{external}    regions: [{regions}]\n"
        )
    };
    let judged = |name: &str, accounts: &[String]| {
        let file = desk.path(&format!("{name}.yaml"));
        fs::write(&file, format!("accounts:\n{}", accounts.concat())).unwrap();
        let file = file.to_str().unwrap();
        let output = desk.run(name, &["--accounts", file, "--only", "AML-007"]);
        (output.status.code(), said(&output), desk.judged(name))
    };
    let right = "    external_id: given-by-the-account\n";
    let (code, said, run) = judged("entered", &[account(ACCOUNT, right, REGION)]);
    assert_eq!(
        (code, &run["account"]),
        (Some(0), &ACCOUNT.into()),
        "{said}"
    );
    desk.verified("entered");

    let wrong = "    external_id: of-somebody-else\n";
    for (name, external, advice) in [
        (
            "wrong",
            wrong,
            "must let it in with the external id of the file",
        ),
        ("none", "", "may ask for an `external_id`"),
    ] {
        let (code, said, run) = judged(name, &[account(ACCOUNT, external, REGION)]);
        assert_eq!(code, Some(3), "{said}");
        assert!(
            said.contains("sts:AssumeRole was not answered (AccessDenied)"),
            "{said}"
        );
        assert!(said.contains(advice), "{said}");
        let passed = findings(&run)
            .values()
            .filter(|it| it["verdict"] == "pass")
            .count();
        assert_eq!(passed, 0, "{run}");
    }

    // An id with a leading zero needs no quotes, and one account that is not entered takes no other's place.
    let missing = account("012345678901", "", REGION);
    let entered = account(ACCOUNT, right, REGION);
    let (code, said, run) = judged("missing", &[entered, missing]);
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("account 012345678901: `arn:aws:iam::012345678901:role"),
        "{said}"
    );
    let accounts: Vec<_> = run["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["account"].clone())
        .collect();
    assert_eq!(accounts, ["012345678901", ACCOUNT]);
    desk.verified("missing");
}

/// A file of accounts that can be read.
const FINE: &str = "accounts:\n  - id: \"111122223333\"\n    role: arn:aws:iam::111122223333:role/c\n    regions: [eu-west-1]\n";

/// The file of accounts, the command line on which FILE is that file, and why it is refused.
const REFUSED: [(&str, &[&str], &str); 17] = [
    (
        FINE,
        &["--shard", "0/3"],
        "expected `i/n` with i from 1 to n",
    ),
    (
        FINE,
        &["--shard", "4/3"],
        "expected `i/n` with i from 1 to n",
    ),
    (
        FINE,
        &["--shard", "1/0"],
        "expected `i/n` with i from 1 to n",
    ),
    (
        FINE,
        &["--shard", "1/2", "--accounts", "FILE"],
        "cannot be used with '--accounts",
    ),
    (
        FINE,
        &["--shard", "1/2", "--resource", "arn:x"],
        "cannot be used with '--resource",
    ),
    (
        FINE,
        &["--shard", "1/2", "--regions", "eu-west-1,eu-west-2"],
        "--shard cuts the populations of one region",
    ),
    (
        FINE,
        &["--probes", "--accounts", "FILE"],
        "--probes are for one account and region",
    ),
    (
        FINE,
        &["--probes", "--regions", "eu-west-1,eu-west-2"],
        "--probes are for one account and region",
    ),
    (FINE, &["--regions", "sydney"], "`sydney` is no region"),
    (FINE, &["--regions", ""], "`` is no region"),
    (FINE, &["--lab-secrets", "5"], "are for --target lab"),
    (
        "",
        &["--accounts", "FILE"],
        "accounts.yaml:1:1: the file is empty",
    ),
    (
        "accounts: []\n",
        &["--accounts", "FILE"],
        "no account is given",
    ),
    (
        "accounts: [\n",
        &["--accounts", "FILE"],
        "accounts.yaml:1:11: unclosed bracket '[' (",
    ),
    (
        "accounts: x\n",
        &["--accounts", "FILE"],
        "accounts.yaml:1:11: expected a list (",
    ),
    (
        FINE,
        &["--accounts", "/nowhere.yaml"],
        "/nowhere.yaml: cannot be read",
    ),
    (FINE, &["--accounts", "/"], "/: cannot be read"),
];

#[test]
fn what_cannot_work_is_refused_before_anything_is_asked() {
    // Nobody answers there, and nobody is asked.
    let desk = Desk::at("http://127.0.0.1:9");
    let accounts = desk.path("accounts.yaml");
    let file = accounts.to_str().unwrap();
    for (text, arguments, expected) in REFUSED {
        let arguments: Vec<&str> = arguments
            .iter()
            .map(|it| if *it == "FILE" { file } else { it })
            .collect();
        fs::write(&accounts, text).unwrap();
        refusal(&desk.run("out", &arguments), 2, expected);
        assert!(!desk.path("out/latest").exists(), "{expected}");
    }
    let twice = format!("{FINE}{}", FINE.trim_start_matches("accounts:\n"));
    fs::write(&accounts, twice).unwrap();
    let twice = desk.run("out", &["--accounts", file]);
    refusal(
        &twice,
        2,
        "accounts.yaml:5:9: account `111122223333` is there twice",
    );

    let own = |arguments: &[&str]| {
        let out = desk.path("out");
        checker()
            .arg("run")
            .arg("--out")
            .arg(out)
            .args(arguments)
            .output()
            .unwrap()
    };
    let elsewhere = ["--endpoint-url", "http://127.0.0.1:9"];
    refusal(&own(&elsewhere), 2, "--endpoint-url needs --target aws");
    let nowhere = ["--target", "aws", "--endpoint-url", "127.0.0.1:9"];
    refusal(&own(&nowhere), 2, "expected an address such as http://");
    refusal(
        &own(&["--log-format", "json", "--shard", "0"]),
        2,
        "{\"level\":\"error\"",
    );
    let file = desk.path("key");
    let output = checker().args(["run", "--out"]).arg(file).output().unwrap();
    refusal(&output, 4, "failed to make the folder");
}

#[test]
fn a_copy_without_links_holds_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let (out, copy) = (folder.path().join("out"), folder.path().join("copy"));
    let run = |out: &Path| {
        let arguments = ["run", "--only", "AML-007", "--no-probes", "--out"];
        checker().args(arguments).arg(out).output().unwrap()
    };
    assert_eq!(run(&out).status.code(), Some(0));
    // An artefact of a CI job follows links: `latest` is the run a second time.
    let copied = Command::new("cp").arg("-rL").args([&out, &copy]).status();
    assert!(copied.unwrap().success());
    let verified = checker().arg("verify").arg(&copy).output().unwrap();
    assert_eq!(verified.status.code(), Some(0), "{}", said(&verified));
    refusal(&run(&copy), 2, "is a copy of a run where a link belongs");
    // Another run of that name is part of no chain.
    let own = copy.join("latest/manifest.json");
    let text = fs::read_to_string(&own).unwrap();
    fs::write(&own, text.replace("\"stage\"", "\"stale\"")).unwrap();
    let verified = checker().arg("verify").arg(&copy).output().unwrap();
    assert_eq!(verified.status.code(), Some(1), "{}", said(&verified));
}

#[test]
fn a_run_that_does_not_fit_on_the_disk_leaves_nothing() {
    let out = tempfile::tempdir().unwrap();
    // No file may be longer than a few blocks: the same as a full disk, for whoever writes.
    let output = Command::new("sh")
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 8; exec \"$@\"",
            "sh",
            env!("CARGO_BIN_EXE_checker"),
        ])
        .args(["run", "--only", "FR-278", "--no-probes", "--out"])
        .arg(out.path())
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .output()
        .unwrap();
    refusal(&output, 4, "failed to write the run into");
    let left: Vec<_> = fs::read_dir(out.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("lab-signing-key") && name != ".lock")
        .collect();
    assert_eq!(left, [""; 0]);
}

/// What a connection carries up to the end of its body.
fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    let mut some = [0; 4096];
    loop {
        let read = stream.read(&mut some).ok().filter(|read| *read > 0)?;
        all.extend_from_slice(&some[..read]);
        let text = String::from_utf8_lossy(&all).to_lowercase();
        let Some((head, _)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .split_once("content-length: ")
            .map_or("0", |(_, after)| after);
        let length: usize = length.lines().next().unwrap().parse().unwrap();
        if all.len() >= head.len() + 4 + length {
            return Some(all);
        }
    }
}

/// The lab, but for who asks: those credentials are said to be of another account.
fn of_another_account(lab: &Lab, other: &'static str) -> String {
    let lab = lab.endpoint.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, lab) = (stream.unwrap(), lab.clone());
            std::thread::spawn(move || {
                let mut behind = TcpStream::connect(lab).unwrap();
                while let Some(request) = message(&mut stream) {
                    behind.write_all(&request).unwrap();
                    let mut answer = message(&mut behind).unwrap();
                    if String::from_utf8_lossy(&request).contains("GetCallerIdentity") {
                        answer = String::from_utf8(answer)
                            .unwrap()
                            .replace(ACCOUNT, other)
                            .into_bytes();
                    }
                    if stream.write_all(&answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    endpoint
}

#[tokio::test]
async fn credentials_of_another_account_show_nothing() {
    let lab = Lab::start();
    role(&lab, "org-checker", "").await;
    let desk = Desk::at(&of_another_account(&lab, "999988887777"));
    let accounts = desk.path("accounts.yaml");
    let text = format!(
        "accounts:\n  - id: {ACCOUNT}\n    role: arn:aws:iam::{ACCOUNT}:role/org-checker\n    regions: [{REGION}]\n"
    );
    fs::write(&accounts, text).unwrap();
    let arguments = [
        "--only",
        "AML-007",
        "--accounts",
        accounts.to_str().unwrap(),
    ];
    let expected = "account 647751526084 is meant, and these credentials are of 999988887777";
    refusal(&desk.run("out", &arguments), 3, expected);
    let run = desk.judged("out");
    let passed = findings(&run)
        .values()
        .filter(|it| it["verdict"] == "pass")
        .count();
    assert_eq!(passed, 0, "{run}");
    desk.verified("out");
}

#[test]
fn a_page_of_a_proxy_is_no_aws() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            drop(stream.read(&mut [0; 4096]));
            drop(stream.write_all(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 14\r\nconnection: close\r\n\r\n<html>Hi<html>",
            ));
        }
    });
    let desk = Desk::at(&endpoint);
    let output = desk.run("out", &["--only", "FR-278"]);
    refusal(&output, 3, "look at what answers there: the endpoint");
    let passed = findings(&desk.judged("out"))
        .values()
        .filter(|it| it["verdict"] == "pass")
        .count();
    assert_eq!(passed, 0);
    desk.verified("out");
}

#[test]
fn programs_read_what_people_read() {
    let shown = |format: &str| {
        let arguments = ["controls", "show", "FR-278", "--format", format];
        checker().args(arguments).output().unwrap().stdout
    };
    let json: Value = serde_json::from_slice(&shown("json")).unwrap();
    assert_eq!(json["parameters"]["max_age"], "90d");
    let mut facts: Vec<String> = json["parameters"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| format!("parameter {name} = {}", value.as_str().unwrap()))
        .collect();
    for check in json["checks"].as_array().unwrap() {
        facts.push(check["id"].as_str().unwrap().to_owned());
        let rules = check["rules"].as_array().unwrap().iter();
        facts.extend(rules.map(|rule| format!("  {}", rule.as_str().unwrap())));
    }
    let text = String::from_utf8(shown("text")).unwrap();
    let (prose, listed) = text.split_once("\nparameter ").unwrap();
    let listed = format!("parameter {listed}");
    let listed = listed.lines().filter(|line| !line.is_empty());
    let listed: Vec<String> = listed.map(str::to_owned).collect();
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    assert_eq!(sorted(facts), sorted(listed));
    for fact in ["title", "severity", "owner", "source", "statement"] {
        assert!(
            prose.contains(json[fact].as_str().unwrap()),
            "{fact}: {prose}"
        );
    }
    let script = checker().args(["completions", "bash"]).output().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), script.stdout).unwrap();
    let parsed = Command::new("bash")
        .arg("-n")
        .arg(file.path())
        .status()
        .unwrap();
    assert!(parsed.success());
}
