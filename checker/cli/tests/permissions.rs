//! The printed policy is enough, and every action in it is needed: the built checker runs with exactly that policy against
//! an embedded AWS of its own, then with one action less.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is not as it should be"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use aws_sdk_secretsmanager::types::{RotationRulesType, Tag};
use serde_json::Value;

mod support;

use support::{Lab, REGION, checker};

const ROLE: &str = "bank-compliance-checker-dev";
fn printed(arguments: &[&str]) -> Value {
    let output = checker()
        .arg("permissions")
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every action of a policy.
fn actions(policy: &Value) -> BTreeSet<String> {
    policy["Statement"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|statement| statement["Action"].as_array().unwrap())
        .map(|action| action.as_str().unwrap().to_owned())
        .collect()
}

fn without(policy: &Value, action: &str) -> Value {
    let mut policy = policy.clone();
    let statements = policy["Statement"].as_array_mut().unwrap();
    for statement in statements.iter_mut() {
        let actions = statement["Action"].as_array_mut().unwrap();
        actions.retain(|known| known != action);
    }
    statements.retain(|statement| !statement["Action"].as_array().unwrap().is_empty());
    policy
}

/// Gives the checker's role exactly this policy and nothing else.
async fn grant(iam: &aws_sdk_iam::Client, policy: &Value) {
    let held = iam.list_role_policies().role_name(ROLE).send().await;
    for name in held.unwrap().policy_names() {
        iam.delete_role_policy()
            .role_name(ROLE)
            .policy_name(name)
            .send()
            .await
            .unwrap();
    }
    iam.put_role_policy()
        .role_name(ROLE)
        .policy_name("exactly")
        .policy_document(policy.to_string())
        .send()
        .await
        .unwrap();
}

/// A run as the checker's role: the rules that are inconclusive, and whatever else is not passed.
async fn run(lab: &Lab, sts: &aws_sdk_sts::Client, probes: bool) -> (BTreeSet<String>, Value) {
    let wanted = if probes { "--probes" } else { "--no-probes" };
    let (_, said, run) = attempt(lab, sts, &[wanted]).await;
    let run = run.expect(&said);
    let mut inconclusive = BTreeSet::new();
    for control in run["controls"].as_array().unwrap() {
        for finding in control["findings"].as_array().unwrap() {
            if finding["verdict"] == "inconclusive" || finding["verdict"] == "fail" {
                inconclusive.insert(format!(
                    "{}.{}",
                    control["id"].as_str().unwrap(),
                    finding["assertion"].as_str().unwrap()
                ));
            }
        }
    }
    (inconclusive, run)
}

/// A run as the checker's role: its exit code, what it says, and the run that it wrote.
async fn attempt(
    lab: &Lab,
    sts: &aws_sdk_sts::Client,
    wanted: &[&str],
) -> (Option<i32>, String, Option<Value>) {
    let session = sts
        .assume_role()
        .role_arn(format!("arn:aws:iam::647751526084:role/{ROLE}"))
        .role_session_name("test")
        .send()
        .await
        .unwrap();
    let credentials = session.credentials().unwrap();
    let out = tempfile::tempdir().unwrap();
    let key = out.path().join("key");
    assert!(
        Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&key)
            .status()
            .unwrap()
            .success()
    );
    let output = checker()
        .args(["run", "--target", "aws", "--stage", "dev", "--genesis"])
        .args(["--endpoint-url", &lab.endpoint])
        .args(wanted)
        .arg("--signing-key")
        .arg(&key)
        .arg("--out")
        .arg(out.path().join("runs"))
        .env("AWS_ACCESS_KEY_ID", credentials.access_key_id())
        .env("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key())
        .env("AWS_SESSION_TOKEN", credentials.session_token())
        .env("AWS_REGION", REGION)
        .output()
        .unwrap();
    let text = std::fs::read_to_string(out.path().join("runs/latest/run.json")).ok();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
        text.map(|text| serde_json::from_str(&text).unwrap()),
    )
}

#[tokio::test]
async fn reading_needs_exactly_what_is_printed() {
    let lab = Lab::start();
    let administrator = lab.administrator().await;
    let iam = aws_sdk_iam::Client::new(&administrator);
    let sts = aws_sdk_sts::Client::new(&administrator);
    // A secret whose first rotation is still to come: the list does not say how old its value is.
    let secrets = aws_sdk_secretsmanager::Client::new(&administrator);
    secrets
        .create_secret()
        .name("bank-app/by-hand")
        .secret_string("put by a person")
        .tags(Tag::builder().key("secret_type").value("API_KEY").build())
        .send()
        .await
        .unwrap();
    secrets
        .rotate_secret()
        .secret_id("bank-app/by-hand")
        .rotation_lambda_arn(format!(
            "arn:aws:lambda:{REGION}:647751526084:function:bank-secrets-rotation-dev"
        ))
        .rotation_rules(
            RotationRulesType::builder()
                .automatically_after_days(90)
                .build(),
        )
        .rotate_immediately(false)
        .send()
        .await
        .unwrap();

    let policy = printed(&[]);
    let before = {
        let everything = serde_json::json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["*"], "Resource": ["*"]},
            {"Effect": "Deny", "Action": ["secretsmanager:GetSecretValue"], "Resource": ["*"]}]});
        grant(&iam, &everything).await;
        let (_, run) = run(&lab, &sts, false).await;
        unseen(&run)
    };
    grant(&iam, &policy).await;
    let (_, enough) = run(&lab, &sts, false).await;
    assert_eq!(unseen(&enough), before, "the printed policy is not enough");
    for action in actions(&policy) {
        grant(&iam, &without(&policy, &action)).await;
        let (_, less) = run(&lab, &sts, false).await;
        assert!(
            unseen(&less).is_superset(&before) && unseen(&less) != before,
            "{action} is not needed"
        );
    }
}

/// What a run could not see: inconclusive findings, and what it says was not proven.
fn unseen(run: &Value) -> BTreeSet<String> {
    let gaps = run["not_proven"].as_array().expect("a run");
    let gaps = gaps.iter().map(ToString::to_string);
    run["controls"]
        .as_array()
        .expect("a run")
        .iter()
        .flat_map(|control| {
            control["findings"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|finding| finding["verdict"] == "inconclusive")
                .map(|finding| {
                    format!(
                        "{}.{} {}",
                        control["id"].as_str().unwrap(),
                        finding["assertion"].as_str().unwrap(),
                        finding["resource"].as_str().unwrap()
                    )
                })
        })
        .chain(gaps)
        .collect()
}

#[tokio::test]
async fn credentials_that_can_read_values_are_refused_unless_they_are_allowed() {
    let lab = Lab::start();
    let administrator = lab.administrator().await;
    let iam = aws_sdk_iam::Client::new(&administrator);
    let sts = aws_sdk_sts::Client::new(&administrator);
    let mut policy = printed(&[]);
    policy["Statement"]
        .as_array_mut()
        .unwrap()
        .push(serde_json::json!({
        "Effect": "Allow", "Action": ["secretsmanager:GetSecret*"],
        "Resource": ["arn:aws:secretsmanager:*:*:secret:bank-aml/*"]}));
    grant(&iam, &policy).await;
    let (status, said, _) = attempt(&lab, &sts, &["--no-probes"]).await;
    assert_eq!(status, Some(2));
    assert!(
        said.contains(ROLE) && said.contains("--may-read-values"),
        "{said}"
    );
    let (status, _, run) = attempt(&lab, &sts, &["--no-probes", "--may-read-values"]).await;
    assert!(matches!(status, Some(0 | 1 | 3)));
    let says = |run: &Value| {
        run["not_proven"]
            .to_string()
            .contains("own credentials can read values of secrets")
    };
    assert!(says(&run.unwrap()));
    // The probe secret is what the probes are there for.
    let probe = policy["Statement"]
        .as_array_mut()
        .unwrap()
        .last_mut()
        .unwrap();
    probe["Resource"] = serde_json::json!([
        "arn:aws:secretsmanager:*:*:secret:bank-platform/rotation/probe-dev-??????"
    ]);
    grant(&iam, &policy).await;
    let (status, said, run) = attempt(&lab, &sts, &["--no-probes"]).await;
    assert!(matches!(status, Some(0 | 1 | 3)), "{said}");
    assert!(!says(&run.unwrap()));
}

#[tokio::test]
async fn probing_needs_no_more_than_what_is_printed() {
    let lab = Lab::start();
    let administrator = lab.administrator().await;
    let iam = aws_sdk_iam::Client::new(&administrator);
    let sts = aws_sdk_sts::Client::new(&administrator);
    // As the program has it, then with exactly the printed policy.
    let (before, deployed) = run(&lab, &sts, true).await;
    assert!(!measurements(&deployed).is_empty());
    let policy = printed(&["--probes"]);
    assert_eq!(
        held(&iam).await,
        actions(&policy),
        "the program gives its role other actions"
    );
    grant(&iam, &policy).await;
    let (after, enough) = run(&lab, &sts, true).await;
    assert_eq!(after, before, "the printed policy is not enough");
    assert_eq!(measurements(&enough), measurements(&deployed));
    // Whatever the probes alone need is needed.
    let reading = actions(&printed(&[]));
    let probing: Vec<String> = actions(&policy).difference(&reading).cloned().collect();
    assert!(!probing.is_empty());
    let rounds = if std::env::var_os("THOROUGH").is_some() {
        probing.len()
    } else {
        2
    };
    for action in probing.iter().take(rounds) {
        grant(&iam, &without(&policy, action)).await;
        let (less, _) = run(&lab, &sts, true).await;
        assert_ne!(less, before, "{action} is not needed");
    }
}

/// Every action that the checker's role is allowed.
async fn held(iam: &aws_sdk_iam::Client) -> BTreeSet<String> {
    let names = iam
        .list_role_policies()
        .role_name(ROLE)
        .send()
        .await
        .unwrap();
    let mut held = BTreeSet::new();
    for name in names.policy_names() {
        let policy = iam.get_role_policy().role_name(ROLE).policy_name(name);
        let encoded = policy.send().await.unwrap().policy_document;
        let text = percent_encoding::percent_decode_str(&encoded)
            .decode_utf8()
            .unwrap();
        for statement in serde_json::from_str::<Value>(&text).unwrap()["Statement"]
            .as_array()
            .unwrap()
        {
            let allowed = &statement["Action"];
            let one = std::slice::from_ref(allowed);
            let each = allowed.as_array().map_or(one, Vec::as_slice);
            held.extend(
                each.iter()
                    .map(|action| action.as_str().unwrap().to_owned()),
            );
        }
    }
    held
}

/// What the probes measured, by name.
fn measurements(run: &Value) -> BTreeSet<String> {
    let measured = run["measurements"].as_array().expect("a run");
    measured
        .iter()
        .map(|one| format!("{} {}", one["probe"], one["what"]))
        .collect()
}

/// The nightly role is given what the files beside its program hold.
#[test]
fn the_files_of_the_nightly_role_are_what_is_printed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra-pulumi-yaml/ci");
    for (name, arguments) in [
        ("permissions.json", &[][..]),
        ("permissions-probes.json", &["--probes", "--as", "caller"]),
    ] {
        let text = format!("{:#}\n", printed(arguments));
        let file = folder.join(name);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(&file).unwrap_or_default(),
            text,
            "{name} is stale: UPDATE=1 cargo test --release --workspace --test permissions"
        );
    }
}

#[test]
fn no_policy_lets_anyone_read_a_value_that_is_not_a_probes() {
    for arguments in [&[][..], &["--probes"], &["--probes", "--as", "caller"]] {
        let mut policy = printed(arguments);
        for forbidden in [
            "secretsmanager:GetSecretValue",
            "secretsmanager:BatchGetSecretValue",
        ] {
            assert!(!actions(&policy).contains(forbidden), "{arguments:?}");
        }
        // To write a probe's value takes the key, through Secrets Manager and for that secret only.
        policy["Statement"]
            .as_array_mut()
            .unwrap()
            .retain(|statement| {
                let of = &statement["Condition"]["ArnLike"]["kms:EncryptionContext:SecretARN"];
                !of.as_array().is_some_and(|secrets| {
                    secrets.iter().all(|secret| {
                        let secret = secret.as_str().unwrap();
                        secret.contains(":secret:bank-platform/rotation/probe-")
                            || secret.contains(":secret:bank-platform/denied-")
                    })
                })
            });
        assert!(!actions(&policy).contains("kms:Decrypt"), "{arguments:?}");
    }
}
