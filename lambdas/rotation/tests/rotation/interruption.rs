//! A rotation that is interrupted anywhere and then tried again: for every type of secret, every call that the
//! function makes (to Secrets Manager, the database, the identity provider) is refused, or loses its answer, or
//! the function dies before or after it. Afterwards whoever reads the secret gets in, and the same rotation,
//! tried again as the service does, goes through.
//!
//! Two ways of rotating have only one login at a time, by their nature: a database's single user and a provider
//! of RFC 7592. There the current value may be refused until the rotation is tried again; never after.

use serde_json::{Value, json};

use crate::database;
use crate::identity_provider::Provider;
use crate::postgres_proxy;
use crate::postgres_server::Postgres;
use crate::script::{FATES, Fate, Script};
use crate::secrets_server::Server;

const ID: &str = "bank/interrupted";
const MASTER: &str = "bank/master";
const MANAGEMENT: &str = "bank/management";

/// Where the secret's value must be accepted.
enum Verifier {
    /// Nowhere but with the reader.
    Nobody,
    Database(Postgres, u16),
    Provider(Provider),
}

/// A secret, and everything around it.
struct Scene {
    script: Script,
    secrets: Server,
    verifier: Verifier,
    kind: &'static str,
    /// Further members of the secret.
    members: Value,
    /// Whether there is only one login at a time.
    one_login: bool,
}

impl Scene {
    async fn generated(kind: &'static str) -> Self {
        Self::new(
            kind,
            json!({"key": "old", "owner": "team"}),
            &[],
            Verifier::Nobody,
        )
        .await
    }

    async fn database(strategy: &str) -> Option<Self> {
        let postgres = Postgres::start(true)?;
        postgres.sql(
            "CREATE ROLE app_owner NOLOGIN;
             CREATE ROLE rotator LOGIN CREATEROLE PASSWORD 'CANARY-master';
             CREATE ROLE app_a LOGIN IN ROLE app_owner;
             ALTER ROLE app_a SET role TO app_owner",
        );
        let script = Script::default();
        let port = postgres_proxy::start(postgres.port, script.clone()).await;
        let members = json!({"engine": "postgres", "host": "localhost", "port": port, "dbname": "postgres",
            "username": "app_a", "password": "CANARY-old", "owner_role": "app_owner", "masterarn": MASTER,
            "strategy": strategy, "probe_query": "SELECT 1"});
        let authority = postgres.authority();
        let hosts = format!("localhost:{port}");
        let settings = [
            ("DATABASE_HOSTS", hosts.as_str()),
            ("DATABASE_CA_FILE", authority.to_str().unwrap()),
        ];
        let verifier = Verifier::Database(postgres, port);
        let mut scene = Self::new("DATABASE_CREDENTIAL", members, &settings, verifier).await;
        scene.secrets.state.lock().unwrap().script = script.clone();
        scene.script = script;
        scene.one_login = strategy == "single-user";
        Some(scene)
    }

    async fn provider(adapter: &str) -> Self {
        let provider = Provider::start().await;
        let origin = provider.origin.clone();
        let members = json!({"client_id": "app/1", "client_secret": "CANARY-old", "secret_id": "s-0",
            "token_endpoint": format!("{origin}/token"), "adapter": adapter,
            "management_url": format!("{origin}/manage"), "management_secret_arn": MANAGEMENT,
            "registration_client_uri": format!("{origin}/register/app1"), "registration_access_token": "CANARY-rat-0"});
        let script = provider.script();
        let settings = [("OAUTH_ORIGINS", origin.as_str())];
        let verifier = Verifier::Provider(provider);
        let mut scene = Self::new("OAUTH_SECRET", members, &settings, verifier).await;
        scene.secrets.state.lock().unwrap().script = script.clone();
        scene.script = script;
        scene.one_login = adapter == "rfc7592";
        scene
    }

    async fn new(
        kind: &'static str,
        members: Value,
        settings: &[(&str, &str)],
        verifier: Verifier,
    ) -> Self {
        let secrets = Server::start_with(settings).await;
        let script = secrets.state.lock().unwrap().script.clone();
        Self {
            script,
            secrets,
            verifier,
            kind,
            members,
            one_login: false,
        }
    }

    /// Everything as before the first rotation.
    fn reset(&self) {
        self.secrets
            .add(ID, self.kind, Some(&self.members.to_string()));
        match &self.verifier {
            Verifier::Nobody => {}
            Verifier::Database(postgres, port) => {
                postgres.sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN ('app_a', 'app_b', 'rotator');
                     DROP ROLE IF EXISTS app_b; ALTER ROLE app_a PASSWORD 'CANARY-old'",
                );
                let master = json!({"engine": "postgres", "host": "localhost", "port": port,
                    "username": "rotator", "password": "CANARY-master"});
                self.secrets
                    .add(MASTER, "DATABASE_CREDENTIAL", Some(&master.to_string()));
            }
            Verifier::Provider(provider) => {
                provider.reset();
                self.secrets
                    .add(MANAGEMENT, "API_KEY", Some("CANARY-management"));
            }
        }
    }

    /// Whether whoever reads the version with this label gets in.
    async fn works(&self, label: &str) -> bool {
        let Some(text) = self.secrets.text(ID, label) else {
            return false;
        };
        let value: Value = serde_json::from_str(&text).unwrap();
        match &self.verifier {
            Verifier::Nobody => value["key"].as_str().is_some_and(|key| !key.is_empty()),
            Verifier::Database(..) => database::logs_in(&self.secrets, &value).await,
            Verifier::Provider(provider) => {
                provider.accepts(value["client_secret"].as_str().unwrap())
            }
        }
    }

    /// One rotation with one interruption; `false` once there is no such call.
    async fn interrupted(&self, at: usize, fate: Fate) -> bool {
        let place = format!("{} {} {at} {fate:?}", self.kind, self.members["strategy"]);
        self.reset();
        self.script.arm(at, fate);
        let outcome = self.script.run(self.secrets.rotate(ID, "v-2")).await;
        let struck = self.script.disarm();
        assert!(
            !format!("{outcome:?}").contains("CANARY"),
            "{place}: {outcome:?}"
        );
        if !struck {
            assert_eq!(outcome, Some(Ok(())), "{place}");
            return false;
        }
        assert!(self.secrets.text(ID, "AWSCURRENT").is_some(), "{place}");
        if !self.one_login {
            assert!(self.works("AWSCURRENT").await, "{place}: current");
        }
        let again = self.secrets.rotate(ID, "v-2").await;
        assert_eq!(again, Ok(()), "{place}: again");
        assert_eq!(
            self.secrets.holder(ID, "AWSCURRENT").as_deref(),
            Some("v-2"),
            "{place}"
        );
        assert!(self.works("AWSCURRENT").await, "{place}: rotated");
        assert_eq!(
            self.secrets.holder(ID, "AWSPREVIOUS").as_deref(),
            Some("v-first"),
            "{place}"
        );
        if !self.one_login {
            assert!(self.works("AWSPREVIOUS").await, "{place}: previous");
        }
        true
    }

    /// Every call with every fate; returns how many interruptions that were.
    async fn everywhere(&self) -> usize {
        let mut interruptions = 0;
        for fate in FATES {
            interruptions += self.at_every_call(|_| fate).await;
        }
        interruptions
    }

    /// Every call with the fate that belongs to it.
    async fn at_every_call(&self, fate: impl Fn(usize) -> Fate) -> usize {
        let mut at = 0;
        while self.interrupted(at, fate(at)).await {
            at += 1;
        }
        at
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_types() {
    for kind in ["API_KEY", "WEBHOOK_SECRET", "JWT_KEY", "ENCRYPTION_KEY"] {
        let interruptions = Scene::generated(kind).await.everywhere().await;
        assert!(interruptions >= 4 * 10, "{kind}: {interruptions}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn database_users() {
    // A rotation sends a database about fifty packets, and a connection that is cut before or after one leaves
    // the same behind whether the function lives on or not: so every packet is struck, the fates taking turns.
    // `EVERY_FATE=1`, as in the nightly run, strikes every packet with every fate.
    let all = std::env::var_os("EVERY_FATE").is_some();
    for (strategy, first) in [("alternating-users", 0), ("single-user", 1)] {
        let Some(scene) = Scene::database(strategy).await else {
            return;
        };
        let interruptions = if all {
            scene.everywhere().await
        } else {
            let fate = |at: usize| FATES[(at + first) % FATES.len()];
            scene.at_every_call(fate).await
        };
        assert!(interruptions >= 40, "{strategy}: {interruptions}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_secrets() {
    for adapter in ["two-secrets", "rfc7592"] {
        let interruptions = Scene::provider(adapter).await.everywhere().await;
        assert!(interruptions >= 4 * 12, "{adapter}: {interruptions}");
    }
}
