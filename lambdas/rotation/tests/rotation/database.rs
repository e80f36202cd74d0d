//! `DATABASE_CREDENTIAL` against a real `PostgreSQL`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rotation::RotationError;
use rotation::database::connection::Login;
use rotation::database::credential::Credential;
use rotation::store::Content;
use serde_json::{Value, json};

use crate::postgres_server::Postgres;
use crate::secrets_server::Server;

const APP: &str = "bank/app";
const MASTER: &str = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:bank/master-AbCdEf";
const FIRST: &str = "CANARY-first-password";

/// A database with owner role, first user and rotator, and a function that may reach it.
struct Bench {
    postgres: Postgres,
    secrets: Server,
}

impl Bench {
    async fn start() -> Option<Self> {
        let postgres = Postgres::start(true)?;
        postgres.sql(
            "CREATE ROLE app_owner NOLOGIN;
             CREATE ROLE rotator LOGIN CREATEROLE PASSWORD 'CANARY-master';
             CREATE ROLE app_a LOGIN PASSWORD 'CANARY-first-password' IN ROLE app_owner;
             ALTER ROLE app_a SET role TO app_owner;
             GRANT CREATE ON SCHEMA public TO app_owner",
        );
        let secrets = Self::function(&postgres, &format!("localhost:{}", postgres.port)).await;
        let bench = Self { postgres, secrets };
        bench.secrets.add(
            APP,
            "DATABASE_CREDENTIAL",
            Some(&bench.secret(&[]).to_string()),
        );
        let master = bench.secret(&[
            ("username", json!("rotator")),
            ("password", json!("CANARY-master")),
        ]);
        bench
            .secrets
            .add(MASTER, "DATABASE_CREDENTIAL", Some(&master.to_string()));
        Some(bench)
    }

    async fn function(postgres: &Postgres, hosts: &str) -> Server {
        let authority = postgres.authority();
        Server::start_with(&[
            ("DATABASE_HOSTS", hosts),
            ("DATABASE_CA_FILE", authority.to_str().unwrap()),
        ])
        .await
    }

    /// The first value of the application's secret, with members changed.
    fn secret(&self, changes: &[(&str, Value)]) -> Value {
        let mut secret = json!({"engine": "postgres", "host": "localhost", "port": self.postgres.port,
            "dbname": "postgres", "username": "app_a", "password": FIRST, "owner_role": "app_owner",
            "masterarn": MASTER, "probe_query": "SELECT 1", "note": "kept"});
        for (member, value) in changes {
            secret[member] = value.clone();
        }
        secret
    }

    fn reset(&self, changes: &[(&str, Value)]) {
        self.secrets.add(
            APP,
            "DATABASE_CREDENTIAL",
            Some(&self.secret(changes).to_string()),
        );
    }

    fn value(&self, label: &str) -> Value {
        serde_json::from_str(&self.secrets.text(APP, label).unwrap()).unwrap()
    }

    async fn logs_in(&self, secret: &Value) -> bool {
        logs_in(&self.secrets, secret).await
    }
}

pub(crate) async fn logs_in(secrets: &Server, secret: &Value) -> bool {
    let credential = Credential::parse(Content::Text(secret.to_string().into())).unwrap();
    matches!(
        secrets.rotator.databases.login(&credential).await,
        Ok(Login::Accepted(_))
    )
}

/// A client that fetches the secret and connects, 20 times a second.
fn reader(
    secrets: &Server,
) -> (
    Arc<AtomicBool>,
    Arc<AtomicUsize>,
    Arc<AtomicUsize>,
    tokio::task::JoinHandle<()>,
) {
    let (stop, good, bad) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
    );
    let (secrets, halt, well, ill) = (
        secrets.clone(),
        Arc::clone(&stop),
        Arc::clone(&good),
        Arc::clone(&bad),
    );
    let reading = tokio::spawn(async move {
        while !halt.load(Ordering::Relaxed) {
            let text = secrets.text(APP, "AWSCURRENT").unwrap();
            let secret: Value = serde_json::from_str(&text).unwrap();
            let counter = if logs_in(&secrets, &secret).await {
                &well
            } else {
                &ill
            };
            counter.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    (stop, good, bad, reading)
}

#[tokio::test]
async fn alternating_users_rotate_under_a_reader_and_no_password_is_logged() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let (stop, good, bad, reading) = reader(&bench.secrets);
    let mut passwords = vec![];
    for (round, user) in ["app_b", "app_a", "app_b", "app_a"].into_iter().enumerate() {
        let before = bench.value("AWSCURRENT");
        bench
            .secrets
            .rotate(APP, &format!("v-{round}"))
            .await
            .unwrap();
        let (current, previous) = (bench.value("AWSCURRENT"), bench.value("AWSPREVIOUS"));
        assert_eq!(
            (&current["username"], &current["note"]),
            (&json!(user), &json!("kept"))
        );
        assert_eq!(previous, before);
        assert!(
            bench.logs_in(&current).await && bench.logs_in(&previous).await,
            "both work after a rotation"
        );
        passwords.push(current["password"].as_str().unwrap().to_owned());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    stop.store(true, Ordering::Relaxed);
    reading.await.unwrap();
    assert_eq!(
        bad.load(Ordering::Relaxed),
        0,
        "no login of a reader failed"
    );
    assert!(good.load(Ordering::Relaxed) >= 20, "{good:?} logins");

    // What the second user makes belongs to the owner role, and the first may change it.
    let current =
        Credential::parse(Content::Text(bench.value("AWSCURRENT").to_string().into())).unwrap();
    let previous =
        Credential::parse(Content::Text(bench.value("AWSPREVIOUS").to_string().into())).unwrap();
    for (credential, sql) in [
        (previous, "CREATE TABLE made (x int)"),
        (current, "ALTER TABLE made ADD y int"),
    ] {
        let Login::Accepted(session) = bench
            .secrets
            .rotator
            .databases
            .login(&credential)
            .await
            .unwrap()
        else {
            panic!("refused");
        };
        session.client.batch_execute(sql).await.unwrap();
    }
    assert_eq!(
        bench
            .postgres
            .sql("SELECT tableowner FROM pg_tables WHERE tablename = 'made'"),
        "app_owner"
    );

    let log = bench.postgres.log();
    let statistics = bench.postgres.sql("SELECT query FROM pg_stat_statements");
    assert!(log.contains("ALTER TABLE made"), "the statement log is on");
    assert!(statistics.contains("set_config"), "statistics are on");
    for password in &passwords {
        assert!(!log.contains(password) && !statistics.contains(password));
    }
    assert!(
        !statistics.contains("SCRAM-SHA-256$") && !log.contains("SCRAM-SHA-256$"),
        "not even the verifier"
    );
}

#[tokio::test]
async fn a_failed_statement_logs_no_password_either() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    bench.postgres.sql("ALTER ROLE rotator NOCREATEROLE");
    // Neon's path sends the password itself, which makes this the harder case.
    bench.reset(&[("engine", json!("neon"))]);
    let error = bench.secrets.rotate(APP, "v-1").await.unwrap_err();
    assert_eq!(error.to_string(), "change the role's password: `42501`");
    let password = bench.value("AWSPENDING")["password"]
        .as_str()
        .unwrap()
        .to_owned();
    let log = bench.postgres.log();
    assert!(log.contains("the role was not changed"), "{log}");
    assert!(!log.contains(&password));
    // Once the right is there, the same rotation goes through.
    bench.postgres.sql("ALTER ROLE rotator CREATEROLE");
    bench.secrets.rotate(APP, "v-1").await.unwrap();
    assert_eq!(bench.value("AWSCURRENT")["password"], json!(password));
    assert!(bench.logs_in(&bench.value("AWSCURRENT")).await);
    assert!(!bench.postgres.log().contains(&password));
    assert!(
        !bench
            .postgres
            .sql("SELECT query FROM pg_stat_statements")
            .contains(&password)
    );
}

#[tokio::test]
async fn a_single_user_changes_its_own_password() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let single = [
        ("strategy", json!("single-user")),
        ("masterarn", Value::Null),
    ];
    bench.reset(&single);
    for round in 0..2 {
        bench
            .secrets
            .rotate(APP, &format!("v-{round}"))
            .await
            .unwrap();
        assert!(bench.logs_in(&bench.value("AWSCURRENT")).await);
        assert!(
            !bench.logs_in(&bench.value("AWSPREVIOUS")).await,
            "the old password is dead"
        );
    }
    // An interrupted rotation: the database already has the password of the version before.
    let current = bench.value("AWSCURRENT");
    bench.postgres.sql(&format!(
        "ALTER ROLE app_a PASSWORD '{}'",
        bench.value("AWSPREVIOUS")["password"].as_str().unwrap()
    ));
    assert!(!bench.logs_in(&current).await);
    bench.secrets.rotate(APP, "v-9").await.unwrap();
    assert!(bench.logs_in(&bench.value("AWSCURRENT")).await);
}

#[tokio::test]
async fn guards() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let code = |result: Result<(), RotationError>| result.err().map(|error| error.to_string());
    for (what, changes, expected) in [
        (
            "a host that is not allowed",
            vec![("host", json!("evil.example"))],
            "its host and port are not in `DATABASE_HOSTS`",
        ),
        (
            "a port that is not allowed",
            vec![("port", json!(5432))],
            "its host and port are not in `DATABASE_HOSTS`",
        ),
        (
            "a current login that does not work",
            vec![("password", json!("CANARY-wrong"))],
            "the current user was refused",
        ),
        (
            "a master's secret that is not there",
            vec![("masterarn", json!("arn:none"))],
            "it has no current value",
        ),
        (
            "the secret as its own master",
            vec![("masterarn", json!(APP))],
            "its `masterarn` is the secret itself",
        ),
        (
            "a privileged other user",
            vec![("alternate_username", json!("rotator"))],
            "change the role's password: `42501`",
        ),
        (
            "a privileged owner",
            vec![("owner_role", json!("admin"))],
            "change the role's password: `42501`",
        ),
        (
            "an owner that does not exist",
            vec![("owner_role", json!("nobody_owner"))],
            "change the role's password: `42704`",
        ),
        (
            "a probe query that fails",
            vec![("probe_query", json!("SELECT * FROM nothing_here"))],
            "run the secret's probe query: `42P01`",
        ),
        (
            "a probe query that writes",
            vec![("probe_query", json!("CREATE TABLE t (x int)"))],
            "run the secret's probe query: `25006`",
        ),
    ] {
        bench.reset(&changes);
        let text = code(bench.secrets.rotate(APP, &format!("v-{what}")).await).unwrap();
        assert!(
            text.contains(expected) && !text.contains("CANARY"),
            "{what}: {text}"
        );
        assert_eq!(
            bench.secrets.holder(APP, "AWSCURRENT").as_deref(),
            Some("v-first"),
            "{what}"
        );
    }
    // A master's secret for another host.
    let elsewhere = bench.secret(&[
        ("username", json!("rotator")),
        ("host", json!("evil.example")),
    ]);
    bench
        .secrets
        .add(MASTER, "DATABASE_CREDENTIAL", Some(&elsewhere.to_string()));
    bench.reset(&[]);
    let text = code(bench.secrets.rotate(APP, "v-1").await).unwrap();
    assert!(
        text.contains("not the host of its master's secret"),
        "{text}"
    );
    // A pending version that somebody doctored is not followed.
    bench.reset(&[]);
    bench.secrets.stage(APP, "v-1");
    let doctored = bench.secret(&[
        ("username", json!("app_b")),
        ("password", json!("x")),
        ("owner_role", json!("admin")),
    ]);
    bench.secrets.edit(APP, |secret| {
        secret.versions.get_mut("v-1").unwrap().text = Some(doctored.to_string());
    });
    let text = code(bench.secrets.rotate(APP, "v-1").await).unwrap();
    assert!(text.contains("its user, owner role or master"), "{text}");
    // Without a first value there is nothing to rotate.
    bench.secrets.add(APP, "DATABASE_CREDENTIAL", None);
    let text = code(bench.secrets.rotate(APP, "v-1").await).unwrap();
    assert!(
        text.contains("DATABASE_CREDENTIAL has no first value yet; its owner must put one"),
        "{text}"
    );
}

#[tokio::test]
async fn trying_permissions_needs_no_pending_value() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    bench.secrets.stage(APP, "v-1");
    assert_eq!(
        bench.secrets.step(APP, "v-1", "testSecret").await.unwrap()["done"],
        "tried_permissions"
    );
    bench.reset(&[("masterarn", json!("arn:none"))]);
    bench.secrets.stage(APP, "v-1");
    assert_eq!(
        bench.secrets.step(APP, "v-1", "testSecret").await,
        Err(RotationError::MasterMissing)
    );
}

#[tokio::test]
async fn only_verified_tls_is_spoken() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let refused = |result: Result<(), RotationError>| result.unwrap_err().to_string();
    let port = bench.postgres.port;
    // The certificate's name is the one that the settings give, not the host.
    for (hosts, expected) in [
        (format!("127.0.0.1:{port}=alias.bank"), None),
        (
            format!("127.0.0.1:{port}"),
            Some("connect to the database: `TlsRefused`"),
        ),
        (
            format!("127.0.0.1:{port}=other.bank"),
            Some("connect to the database: `TlsRefused`"),
        ),
    ] {
        let function = Bench::function(&bench.postgres, &hosts).await;
        function.add(
            APP,
            "DATABASE_CREDENTIAL",
            Some(
                &bench
                    .secret(&[
                        ("host", json!("127.0.0.1")),
                        ("strategy", json!("single-user")),
                    ])
                    .to_string(),
            ),
        );
        function.stage(APP, "v-1");
        let outcome = function.step(APP, "v-1", "testSecret").await.map(drop);
        assert_eq!(
            outcome.err().map(|error| error.to_string()).as_deref(),
            expected,
            "{hosts}"
        );
    }
    // An authority that is not ours.
    let hosts = format!("localhost:{port}");
    let function = Server::start_with(&[
        ("DATABASE_HOSTS", &hosts),
        ("DATABASE_CA_FILE", "/etc/hostname"),
    ])
    .await;
    function.add(
        APP,
        "DATABASE_CREDENTIAL",
        Some(&bench.secret(&[]).to_string()),
    );
    assert!(refused(function.rotate(APP, "v-1").await).ends_with("`NoTrustedAuthority`"));
    let function = Server::start_with(&[("DATABASE_HOSTS", &hosts)]).await;
    function.add(
        APP,
        "DATABASE_CREDENTIAL",
        Some(&bench.secret(&[]).to_string()),
    );
    let text = refused(function.rotate(APP, "v-1").await);
    assert!(
        text.ends_with("`TlsRefused`") || text.ends_with("`NoTrustedAuthority`"),
        "{text}"
    );
    // A server without TLS gets no password.
    let plain = Postgres::start(false).unwrap();
    let function = Bench::function(&plain, &format!("localhost:{}", plain.port)).await;
    let secret = bench.secret(&[("port", json!(plain.port))]);
    function.add(APP, "DATABASE_CREDENTIAL", Some(&secret.to_string()));
    let begun = Instant::now();
    assert_eq!(
        refused(function.rotate(APP, "v-1").await),
        "connect to the database: `TlsRefused`"
    );
    assert!(begun.elapsed() < Duration::from_secs(8));
    assert!(!plain.log().contains("connection authorized: user=app"));
}
