//! No value, in no encoding, in any log: every type of secret is rotated in the lab by the real processes, with
//! their logging turned up as far as an environment can, through every kind of failure; then everything that can
//! be read (logs, trail, queues, public state, the database's log and statistics) is searched for every value
//! that any version ever had. The search itself is shown to find each encoding.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests"
)]

#[path = "../../../lambdas/rotation/tests/rotation/identity_provider.rs"]
#[expect(dead_code, reason = "the function's own tests use all of it")]
mod identity_provider;
#[path = "../../../lambdas/rotation/tests/rotation/postgres_server.rs"]
mod postgres_server;
#[path = "../../../lambdas/rotation/tests/rotation/script.rs"]
#[expect(dead_code, reason = "the function's own tests use all of it")]
mod script;
#[path = "../../../lambdas/rotation/tests/rotation/skipped.rs"]
mod skipped;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use aws_sdk_lambda::types::Environment;
use aws_sdk_secretsmanager::types::{RotationRulesType, Tag};
use checker_lab::program::{ApplyOptions, Program, apply};
use checker_lab::{Fault, Lab, LabOptions, Replacement};
use serde_json::{Value, json};

use identity_provider::Provider;
use postgres_server::Postgres;

const ROTATION: &str = "bank-secrets-rotation-dev";
const DETECTOR: &str = "bank-secrets-anomaly-dev";

/// A value's end that is cut off by a log's length limit must still be found.
const PART: usize = 12;

/// Members of a secret's JSON that are values; the others are addresses and names.
const VALUES: [&str; 6] = [
    "api_key",
    "key",
    "password",
    "client_secret",
    "registration_access_token",
    "token",
];

struct Scene {
    lab: Lab,
    secrets: aws_sdk_secretsmanager::Client,
    lambda: aws_sdk_lambda::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    sqs: aws_sdk_sqs::Client,
    trail: aws_sdk_cloudtrail::Client,
    made: Vec<String>,
}

impl Scene {
    /// The program in a lab, with both functions as loud as an environment can make them.
    async fn new(replace: Vec<Replacement>, settings: &[(&str, &str)]) -> Self {
        let lab = Lab::start(LabOptions {
            replace,
            ..LabOptions::default()
        })
        .await
        .unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra-pulumi-yaml");
        for folder in [root.join("prerequisites"), root] {
            let program = Program::load(&folder, "dev").unwrap_or_else(|errors| panic!("{errors}"));
            let options = ApplyOptions {
                account: lab.account().to_owned(),
                stand_in: Some(PathBuf::from(env!("CARGO_BIN_EXE_checker"))),
            };
            apply(&program, &lab.sdk_config(), &options)
                .await
                .unwrap_or_else(|error| panic!("{error}"));
        }
        lab.settle().await;
        let config = lab.sdk_config();
        let scene = Self {
            secrets: aws_sdk_secretsmanager::Client::new(&config),
            lambda: aws_sdk_lambda::Client::new(&config),
            logs: aws_sdk_cloudwatchlogs::Client::new(&config),
            sqs: aws_sdk_sqs::Client::new(&config),
            trail: aws_sdk_cloudtrail::Client::new(&config),
            made: Vec::new(),
            lab,
        };
        for function in [ROTATION, DETECTOR] {
            scene.turn_up(function, settings).await;
        }
        scene
    }

    async fn turn_up(&self, function: &str, settings: &[(&str, &str)]) {
        let found = self
            .lambda
            .get_function_configuration()
            .function_name(function);
        let found = found.send().await.unwrap();
        let mut variables = found.environment.unwrap().variables.unwrap();
        let loud = [
            ("RUST_LOG", "trace"),
            ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
            ("RUST_BACKTRACE", "full"),
        ];
        variables.extend(
            loud.iter()
                .chain(settings)
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let environment = Environment::builder()
            .set_variables(Some(variables))
            .build();
        let update = self.lambda.update_function_configuration();
        let update = update.function_name(function).environment(environment);
        update.send().await.unwrap();
    }

    /// A secret of a type with its first value, rotating.
    async fn secret(&mut self, name: &str, kind: &str, value: &str) -> String {
        let tag = Tag::builder().key("secret_type").value(kind).build();
        let create = self.secrets.create_secret().name(name).secret_string(value);
        let create = create.kms_key_id("alias/bank/operational").tags(tag);
        let arn = create.send().await.unwrap().arn.unwrap();
        self.made.push(arn.clone());
        arn
    }

    async fn rotate(&self, secret: &str) {
        let function = format!(
            "arn:aws:lambda:{}:{}:function:{ROTATION}",
            self.lab.region(),
            self.lab.account()
        );
        let rules = RotationRulesType::builder()
            .automatically_after_days(90)
            .build();
        let rotate = self.secrets.rotate_secret().secret_id(secret);
        let rotate = rotate.rotation_lambda_arn(function).rotation_rules(rules);
        // A rotation that failed before is tried again, and the call says so.
        if let Err(error) = rotate.send().await {
            let error = error.into_service_error();
            assert!(error.is_invalid_request_exception(), "{error:?}");
        }
        self.lab.settle().await;
    }

    async fn was_rotated(&self, secret: &str) -> bool {
        let described = self.secrets.describe_secret().secret_id(secret).send();
        described.await.unwrap().last_rotated_date.is_some()
    }

    /// The values of all versions of all secrets of the lab.
    async fn values(&self) -> BTreeSet<String> {
        let mut values = BTreeSet::new();
        let listed = self.secrets.list_secrets().max_results(100).send().await;
        for secret in listed.unwrap().secret_list() {
            let arn = secret.arn().unwrap();
            let versions = self.secrets.list_secret_version_ids().secret_id(arn);
            let versions = versions.include_deprecated(true).send().await.unwrap();
            for version in versions.versions() {
                let read = self.secrets.get_secret_value().secret_id(arn);
                let read = read.version_id(version.version_id().unwrap()).send().await;
                let Some(text) = read.ok().and_then(|read| read.secret_string) else {
                    continue;
                };
                match serde_json::from_str::<BTreeMap<String, Value>>(&text) {
                    Ok(members) => values.extend(
                        VALUES
                            .iter()
                            .filter_map(|name| members.get(*name)?.as_str().map(str::to_owned)),
                    ),
                    Err(_no_object) => drop(values.insert(text)),
                }
            }
        }
        values
    }

    /// Everything that can be read without the right to read values, each with the place it was read from.
    async fn readable(&self) -> Vec<(String, Vec<u8>)> {
        let mut texts = Vec::new();
        let groups = self.logs.describe_log_groups().send().await.unwrap();
        for group in groups.log_groups() {
            let name = group.log_group_name().unwrap();
            let mut pages = self
                .logs
                .filter_log_events()
                .log_group_name(name)
                .into_paginator()
                .send();
            while let Some(page) = pages.next().await {
                for event in page.unwrap().events() {
                    texts.push((
                        name.to_owned(),
                        event.message().unwrap().as_bytes().to_vec(),
                    ));
                }
            }
        }
        let mut pages = self.trail.lookup_events().into_paginator().send();
        while let Some(page) = pages.next().await {
            for event in page.unwrap().events() {
                let text = event.cloud_trail_event().unwrap().as_bytes().to_vec();
                texts.push(("CloudTrail".to_owned(), text));
            }
        }
        for queue in self.sqs.list_queues().send().await.unwrap().queue_urls() {
            loop {
                let received = self.sqs.receive_message().queue_url(queue);
                let received = received
                    .max_number_of_messages(10)
                    .message_attribute_names("All");
                let received = received.visibility_timeout(600).send().await.unwrap();
                if received.messages().is_empty() {
                    break;
                }
                for message in received.messages() {
                    texts.push((queue.clone(), format!("{message:?}").into_bytes()));
                    let body = message.body().unwrap_or_default().as_bytes().to_vec();
                    texts.push((queue.clone(), body));
                }
            }
        }
        let secrets = self.secrets.list_secrets().max_results(100).send().await;
        texts.push((
            "ListSecrets".to_owned(),
            format!("{secrets:?}").into_bytes(),
        ));
        let functions = self.lambda.list_functions().send().await;
        texts.push((
            "ListFunctions".to_owned(),
            format!("{functions:?}").into_bytes(),
        ));
        texts
    }

    /// Where which encoding of which value stands; never the value itself.
    async fn found(
        &self,
        values: &BTreeSet<String>,
        more: Vec<(String, Vec<u8>)>,
    ) -> BTreeSet<String> {
        let mut texts = self.readable().await;
        texts.extend(more);
        let texts: Vec<(String, String)> = texts
            .iter()
            .map(|(place, text)| (place.clone(), searchable(text)))
            .collect();
        let mut found = BTreeSet::new();
        for (number, value) in values.iter().enumerate() {
            for (encoding, needle) in needles(value) {
                let needle = searchable(&needle);
                for (place, text) in &texts {
                    if text.contains(&needle) {
                        found.insert(format!("value {number} as {encoding} in {place}"));
                    }
                }
            }
        }
        found
    }
}

/// A character for each byte: the search for a text is fast, and exact for any bytes.
fn searchable(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// A value's encodings, as they may stand in a longer text.
fn needles(value: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = value.as_bytes();
    let hex = |upper: bool| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            if upper {
                write!(text, "{byte:02X}").unwrap();
            } else {
                write!(text, "{byte:02x}").unwrap();
            }
            text
        })
    };
    let url = bytes.iter().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            write!(text, "%{byte:02X}").unwrap();
        }
        text
    });
    let quoted = json!(value).to_string();
    let utf16 = |order: fn(u16) -> [u8; 2]| value.encode_utf16().flat_map(order).collect();
    let mut needles = vec![
        ("raw", bytes.to_vec()),
        ("JSON", quoted.as_bytes()[1..quoted.len() - 1].to_vec()),
        ("URL", url.into_bytes()),
        ("hex", hex(false).into_bytes()),
        ("HEX", hex(true).into_bytes()),
        ("UTF-16LE", utf16(u16::to_le_bytes)),
        ("UTF-16BE", utf16(u16::to_be_bytes)),
    ];
    // Both ends are characters that the neighbours of the value share.
    for (alignment, name, safe) in [
        (0, "base64, aligned", "base64url, aligned"),
        (1, "base64, shifted by one", "base64url, shifted by one"),
        (2, "base64, shifted by two", "base64url, shifted by two"),
    ] {
        let text = base64(&[&vec![b'x'; alignment], bytes].concat());
        let begin = [0, 2, 3][alignment];
        let end = text.trim_end_matches('=').len() - 1;
        needles.push((name, text.as_bytes()[begin..end].to_vec()));
        let text = text.replace('+', "-").replace('/', "_");
        needles.push((safe, text.as_bytes()[begin..end].to_vec()));
    }
    if value.is_ascii() && value.len() > 2 * PART {
        needles.push(("its beginning", bytes[..PART].to_vec()));
        needles.push(("its end", bytes[bytes.len() - PART..].to_vec()));
    }
    needles
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn database(port: u16, changes: &[(&str, Value)]) -> String {
    let mut secret = json!({"engine": "postgres", "host": "localhost", "port": port, "dbname": "postgres",
        "username": "app_a", "password": "CNRY/first+password \"of\" app_a", "owner_role": "app_owner",
        "masterarn": "bank-leak/master"});
    for (member, value) in changes {
        secret[member] = value.clone();
    }
    secret.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(
    clippy::too_many_lines,
    reason = "one story: everything that can go wrong, then one search"
)]
async fn no_value_is_anywhere() {
    let Some(postgres) = Postgres::start(true) else {
        return;
    };
    postgres.sql(
        "CREATE ROLE app_owner NOLOGIN;
         CREATE ROLE rotator LOGIN CREATEROLE PASSWORD 'CNRY-the-password-of-the-master';
         CREATE ROLE app_a LOGIN PASSWORD 'CNRY/first+password \"of\" app_a' IN ROLE app_owner;
         ALTER ROLE app_a SET role TO app_owner",
    );
    // What the test itself wrote stands before.
    let before = postgres.log().len();
    postgres.sql("SELECT pg_stat_statements_reset()");
    let provider = Provider::start().await;
    let origin = provider.origin.clone();
    let port = postgres.port;
    let authority = postgres.authority();
    let mut scene = Scene::new(
        Vec::new(),
        &[
            ("DATABASE_HOSTS", &format!("localhost:{port},localhost:1")),
            ("DATABASE_CA_FILE", authority.to_str().unwrap()),
            ("OAUTH_ORIGINS", &origin),
        ],
    )
    .await;

    // Everything that works.
    let master = json!({"engine": "postgres", "host": "localhost", "port": port, "username": "rotator",
        "password": "CNRY-the-password-of-the-master"});
    scene
        .secret(
            "bank-leak/master",
            "DATABASE_CREDENTIAL",
            &master.to_string(),
        )
        .await;
    scene
        .secret(
            "bank-leak/management",
            "API_KEY",
            r#"{"token":"CANARY-management"}"#,
        )
        .await;
    let oauth = |changes: &[(&str, Value)]| {
        let mut secret = json!({"client_id": "app/1", "client_secret": "CANARY-old", "secret_id": "s-0",
            "token_endpoint": format!("{origin}/token"), "management_url": format!("{origin}/manage"),
            "management_secret_arn": "bank-leak/management",
            "registration_client_uri": format!("{origin}/register/app1"), "registration_access_token": "CANARY-rat-0"});
        for (member, value) in changes {
            secret[member] = value.clone();
        }
        secret.to_string()
    };
    let mut good = Vec::new();
    for kind in ["API_KEY", "WEBHOOK_SECRET", "JWT_KEY", "ENCRYPTION_KEY"] {
        let value = json!({"key": format!("CNRY \"quoted\" + / {kind} value"), "owner": "team"});
        let name = format!("bank-leak/{}", kind.to_lowercase());
        good.push(scene.secret(&name, kind, &value.to_string()).await);
    }
    good.push(
        scene
            .secret(
                "bank-leak/database",
                "DATABASE_CREDENTIAL",
                &database(port, &[]),
            )
            .await,
    );
    good.push(
        scene
            .secret("bank-leak/oauth", "OAUTH_SECRET", &oauth(&[]))
            .await,
    );
    for secret in &good {
        for _ in 0..2 {
            scene.rotate(secret).await;
        }
        assert!(scene.was_rotated(secret).await, "{secret}");
    }

    // Everything that fails: content that is none, logins that are refused, servers that are down or that
    // repeat what they were sent.
    let mut bad = Vec::new();
    for (name, kind, value) in [
        (
            "no-object",
            "DATABASE_CREDENTIAL",
            "CNRY-a-password-that-stands-alone".to_owned(),
        ),
        (
            "half",
            "OAUTH_SECRET",
            r#"{"client_secret":"CNRY-half-an-object"#.to_owned(),
        ),
        (
            "wrong-type",
            "DATABASE_CREDENTIAL",
            database(port, &[("port", json!("CNRY-no-port-but-a-password"))]),
        ),
        (
            "refused",
            "DATABASE_CREDENTIAL",
            database(port, &[("password", json!("CNRY-the-wrong-password"))]),
        ),
        (
            "down",
            "DATABASE_CREDENTIAL",
            database(1, &[("password", json!("CNRY-password-of-a-dead-server"))]),
        ),
        (
            "no-probe",
            "DATABASE_CREDENTIAL",
            database(
                port,
                &[(
                    "probe_query",
                    json!("SELECT 'CNRY-in-a-query' FROM nothing"),
                )],
            ),
        ),
        (
            "echo",
            "OAUTH_SECRET",
            oauth(&[
                ("client_secret", json!("CNRY-a-secret-that-is-refused")),
                ("client_id", json!("other")),
            ]),
        ),
        (
            "two-keys",
            "API_KEY",
            r#"{"key":"CNRY-one-of-two-keys","api_key":"CNRY-the-other-of-two"}"#.to_owned(),
        ),
        ("no-type", "PASSWORD", "CNRY-of-an-unknown-type".to_owned()),
    ] {
        bad.push(
            scene
                .secret(&format!("bank-leak/{name}"), kind, &value)
                .await,
        );
    }
    for secret in &bad {
        scene.rotate(secret).await;
        assert!(!scene.was_rotated(secret).await, "{secret}");
    }
    for fault in [
        "secretsmanager:GetSecretValue=malformed-body*2",
        "secretsmanager:PutSecretValue=malformed-body*1",
        "secretsmanager:DescribeSecret=wrong-type*1",
        "secretsmanager:PutSecretValue=server-error*9",
    ] {
        scene.lab.faults().plant(fault.parse::<Fault>().unwrap());
        scene.rotate(&good[0]).await;
        scene.lab.faults().clear();
    }
    // A detector that fails, is retried, and leaves dead letters.
    scene
        .lab
        .faults()
        .plant("sns:Publish=access-denied".parse::<Fault>().unwrap());
    scene.rotate(&good[1]).await;
    let put = scene.secrets.put_secret_value().secret_id(&good[2]);
    put.secret_string(r#"{"key":"CNRY-put-by-hand-while-alerts-fail"}"#)
        .send()
        .await
        .unwrap();
    scene
        .lab
        .clock()
        .advance(std::time::Duration::from_mins(10))
        .await;
    scene.lab.faults().clear();
    // Events that carry what they should not.
    let carried = "CNRY-carried-by-an-event";
    for event in [
        json!({"detail": {"eventName": "PutSecretValue", "eventSource": "secretsmanager.amazonaws.com", "eventID": "leak",
            "requestParameters": {"secretId": "bank-leak/api_key", "secretString": carried}, "errorMessage": carried,
            "responseElements": {"secretString": carried}, "userIdentity": {"type": "Root", "accessKeyId": carried}}}).to_string(),
        json!([carried]).to_string(),
        json!(carried).to_string(),
    ] {
        let payload = aws_sdk_lambda::primitives::Blob::new(event);
        let invoke = scene.lambda.invoke().function_name(DETECTOR).payload(payload);
        assert_eq!(invoke.send().await.unwrap().function_error(), None);
    }

    let mut values = scene.values().await;
    assert!(values.len() >= 25, "{} values", values.len());
    values.insert(carried.to_owned());
    let statistics = postgres.sql("SELECT query FROM pg_stat_statements");
    assert!(statistics.contains("set_config"), "the statistics are on");
    let log = postgres.log()[before..].to_owned();
    let more = vec![
        ("the database's log".to_owned(), log.into_bytes()),
        (
            "the database's statistics".to_owned(),
            statistics.into_bytes(),
        ),
    ];
    let places: BTreeSet<String> = scene
        .readable()
        .await
        .into_iter()
        .map(|(place, _)| place)
        .collect();
    for place in [
        "CloudTrail",
        "/aws/lambda/bank-secrets-rotation-dev",
        "/aws/secretsmanager/bank-access-dev",
    ] {
        assert!(places.contains(place), "{places:?}");
    }
    let dead = |place: &String| place.contains("dead-letters");
    assert!(places.iter().any(dead), "{places:?}");
    assert_eq!(scene.found(&values, more).await, BTreeSet::new());
    scene.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_search_finds_every_encoding_and_a_function_that_leaks() {
    let checker = Path::new(env!("CARGO_BIN_EXE_checker"));
    let faulty = checker.with_file_name("faulty-function");
    let replace = format!("{ROTATION}={} rotation-logs-value", faulty.display());
    let replace = replace
        .parse()
        .expect("`cargo build --release -p faulty-function` builds what this test needs");
    let scene = Scene::new(vec![replace], &[]).await;
    let values = scene.values().await;
    let found = scene.found(&values, Vec::new()).await;
    let place = format!(" as raw in /aws/lambda/{ROTATION}");
    assert!(
        found.iter().any(|found| found.ends_with(&place)),
        "{found:?}"
    );

    let value = "decoy \"with\" + / and ünusual characters".to_owned();
    let expected: BTreeSet<&str> = needles(&value).iter().map(|(name, _)| *name).collect();
    let mut seen = BTreeSet::new();
    for (name, needle) in needles(&value) {
        let text = [b"before ", needle.as_slice(), b" after"].concat();
        let found = scene
            .found(
                &BTreeSet::from([value.clone()]),
                vec![("the decoy".to_owned(), text)],
            )
            .await;
        assert!(
            found.contains(&format!("value 0 as {name} in the decoy")),
            "{name}: {found:?}"
        );
        seen.insert(name);
    }
    assert_eq!(seen, expected);
    // Base64 of a longer text, wherever in it the value stands.
    for before in ["", "a", "ab", "abc"] {
        let text = base64(format!("{before}{value}zzz").as_bytes()).into_bytes();
        let found = scene
            .found(
                &BTreeSet::from([value.clone()]),
                vec![("the decoy".to_owned(), text)],
            )
            .await;
        assert!(
            found.iter().any(|found| found.contains("base64")),
            "{before}: {found:?}"
        );
    }
    scene.lab.stop().await;
}

/// What one look reads from a queue is hidden from the next one: it stays found when the search has to be repeated.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_in_a_queue_stays_found_when_the_search_is_repeated() {
    let scene = Scene::new(Vec::new(), &[]).await;
    let read = scene.secrets.get_secret_value();
    let read = read.secret_id("bank-platform/rotation/probe-dev").send();
    let value = read.await.unwrap().secret_string.unwrap();
    let queue = scene.sqs.get_queue_url();
    let queue = queue.queue_name("bank-secrets-anomaly-dead-letters-dev");
    let url = queue.send().await.unwrap().queue_url.unwrap();
    let letter = scene.sqs.send_message().queue_url(url);
    let letter = letter.message_body(format!("it was {value}"));
    letter.send().await.unwrap();
    // The first search misses a log, so that there is a second one.
    let fault: Fault = "logs:FilterLogEvents=access-denied*1".parse().unwrap();
    scene.lab.faults().plant(fault);
    let out = tempfile::tempdir().unwrap();
    let mut run = tokio::process::Command::new(env!("CARGO_BIN_EXE_checker"));
    run.args(["run", "--target", "aws", "--probes", "--only", "DT-001"])
        .args(["--endpoint-url", &scene.lab.endpoint(), "--out"])
        .arg(out.path())
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .env("AWS_REGION", scene.lab.region())
        .env("AWS_ACCESS_KEY_ID", "lab")
        .env("AWS_SECRET_ACCESS_KEY", "lab");
    let ended = run.output().await.unwrap();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let text = std::fs::read(out.path().join("latest/run.json")).unwrap();
    let run: Value = serde_json::from_slice(&text).unwrap();
    let findings = run["controls"][0]["findings"].as_array().unwrap();
    let swept = findings
        .iter()
        .find(|finding| finding["assertion"] == "no-value-written-down")
        .unwrap();
    assert_eq!(swept["verdict"], "fail", "{swept}");
    assert!(swept.to_string().contains("dead-letters"), "{swept}");
    scene.lab.stop().await;
}
