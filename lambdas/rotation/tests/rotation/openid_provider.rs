//! RFC 7592 against a certified implementation: `oidc-provider` from npm, installed by `.ci/run`.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rotation::RotationError;
use serde_json::{Value, json};

use crate::secrets_server::Server;
use crate::skipped::skipped;

const APP: &str = "bank/oauth";

/// The provider's process, and the function with a secret for its client.
struct Bench {
    process: Child,
    secrets: Server,
    client: Value,
}

impl Drop for Bench {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Bench {
    async fn start(options: &[&str]) -> Option<Self> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.ci/oidc-provider");
        if !folder.join("node_modules/oidc-provider").exists() {
            skipped(
                "tests against a real OpenID provider",
                "oidc-provider (`npm ci --prefix .ci/oidc-provider`)",
            );
            return None;
        }
        let mut process = Command::new("node")
            .arg(folder.join("provider.mjs"))
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let client: Value = serde_json::from_str(&line).unwrap();
        let origin = client["origin"].as_str().unwrap();
        let secrets = Server::start_with(&[("OAUTH_ORIGINS", origin)]).await;
        let mut secret = json!({"adapter": "rfc7592", "token_endpoint": format!("{origin}/token")});
        for member in [
            "client_id",
            "client_secret",
            "registration_client_uri",
            "registration_access_token",
        ] {
            secret[member] = client[member].clone();
        }
        secrets.add(APP, "OAUTH_SECRET", Some(&secret.to_string()));
        Some(Self {
            process,
            secrets,
            client,
        })
    }

    fn value(&self, label: &str) -> Value {
        serde_json::from_str(&self.secrets.text(APP, label).unwrap()).unwrap()
    }
}

#[tokio::test]
async fn a_provider_that_rotates_is_followed() {
    for options in [
        &["--rotates-secret"][..],
        &["--rotates-secret", "--rotates-token"],
    ] {
        let Some(bench) = Bench::start(options).await else {
            return;
        };
        let mut secrets = vec![bench.client["client_secret"].clone()];
        for round in 1..=3 {
            // The test step gets a token with the new secret from the provider itself.
            bench
                .secrets
                .rotate(APP, &format!("v-{round}"))
                .await
                .unwrap();
            let current = bench.value("AWSCURRENT");
            assert_eq!(current["client_id"], bench.client["client_id"]);
            assert!(
                !secrets.contains(&current["client_secret"]),
                "{options:?} {round}"
            );
            let kept =
                bench.client["registration_access_token"] == current["registration_access_token"];
            assert_eq!(kept, options.len() == 1, "{options:?} {round}");
            secrets.push(current["client_secret"].clone());
        }
        // The provider refuses the secret before.
        bench.secrets.edit(APP, |secret| {
            let previous = secret.versions["v-2"].text.clone();
            secret.versions.get_mut("v-3").unwrap().text = previous;
        });
        bench.secrets.stage(APP, "v-4");
        let refused = bench
            .secrets
            .step(APP, "v-4", "testSecret")
            .await
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            "get a token with the client secret: `HTTP 401`"
        );
    }
}

#[tokio::test]
async fn a_provider_that_keeps_the_secret_is_a_clear_failure() {
    for options in [&[][..], &["--rotates-token"]] {
        let Some(bench) = Bench::start(options).await else {
            return;
        };
        let outcome = bench.secrets.rotate(APP, "v-1").await;
        assert_eq!(outcome, Err(RotationError::IdpDoesNotRotate), "{options:?}");
        assert_eq!(
            bench.secrets.holder(APP, "AWSCURRENT").as_deref(),
            Some("v-first")
        );
        // The client still gets its tokens with the secret it has.
        bench.secrets.stage(APP, "v-2");
        let tried = bench.secrets.step(APP, "v-2", "testSecret").await.unwrap();
        assert_eq!(tried["done"], "tried_permissions", "{options:?}");
    }
}
