//! `OAUTH_SECRET` against an identity provider of its own.

use rotation::RotationError;
use serde_json::{Value, json};

use crate::identity_provider::Provider;
use crate::script::Fate;
use crate::secrets_server::Server;

const APP: &str = "bank/oauth";

struct Bench {
    provider: Provider,
    secrets: Server,
}

impl Bench {
    async fn start() -> Self {
        let provider = Provider::start().await;
        let secrets = Server::start_with(&[("OAUTH_ORIGINS", &provider.origin)]).await;
        let bench = Self { provider, secrets };
        bench.secrets.add(
            "bank/management",
            "API_KEY",
            Some(r#"{"token":"CANARY-management"}"#),
        );
        bench.reset(&[]);
        bench
    }

    fn reset(&self, changes: &[(&str, Value)]) {
        let origin = &self.provider.origin;
        let mut secret = json!({"client_id": "app/1", "client_secret": "CANARY-old", "secret_id": "s-0",
            "token_endpoint": format!("{origin}/token"), "scope": "read", "note": 1.50,
            "management_url": format!("{origin}/manage/"), "management_secret_arn": "bank/management",
            "registration_client_uri": format!("{origin}/register/app1"), "registration_access_token": "CANARY-rat-0"});
        for (member, value) in changes {
            secret[member] = value.clone();
        }
        self.secrets
            .add(APP, "OAUTH_SECRET", Some(&secret.to_string()));
    }

    fn value(&self, label: &str) -> Value {
        serde_json::from_str(&self.secrets.text(APP, label).unwrap()).unwrap()
    }

    fn secret(&self, label: &str) -> String {
        self.value(label)["client_secret"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    async fn failure(&self, token: &str) -> String {
        let error = self.secrets.rotate(APP, token).await.unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("CANARY"),
            "{error:?}"
        );
        error.to_string()
    }
}

#[tokio::test]
async fn two_secrets_overlap_until_the_rotation_after() {
    let bench = Bench::start().await;
    let mut known = vec!["CANARY-old".to_owned()];
    for round in 1..=4 {
        bench
            .secrets
            .rotate(APP, &format!("v-{round}"))
            .await
            .unwrap();
        assert_eq!(bench.secret("AWSPREVIOUS"), *known.last().unwrap());
        known.push(bench.secret("AWSCURRENT"));
        assert!(bench.provider.accepts(&bench.secret("AWSCURRENT")));
        assert!(
            bench.provider.accepts(&bench.secret("AWSPREVIOUS")),
            "the previous secret still works"
        );
        assert_eq!(
            bench.provider.state.lock().unwrap().secrets.len(),
            2,
            "no orphans"
        );
        assert_eq!(bench.value("AWSCURRENT")["note"], json!(1.50));
    }
    known.dedup();
    assert_eq!(known.len(), 5);
}

#[tokio::test]
async fn a_lost_answer_makes_no_orphan() {
    for shows_once in [false, true] {
        let bench = Bench::start().await;
        bench.provider.state.lock().unwrap().shows_once = shows_once;
        bench.secrets.rotate(APP, "v-1").await.unwrap();
        let script = bench.provider.script();
        bench.secrets.state.lock().unwrap().script = script.clone();
        for call in 0.. {
            let token = format!("w-{call}");
            script.arm(call, Fate::KilledAfter);
            drop(script.run(bench.secrets.rotate(APP, &token)).await);
            let struck = script.disarm();
            bench.secrets.rotate(APP, &token).await.unwrap();
            assert_eq!(
                bench.provider.state.lock().unwrap().secrets.len(),
                2,
                "{call}"
            );
            if !struck {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_provider_that_is_slow_to_know_the_secret_is_waited_for() {
    let bench = Bench::start().await;
    bench.provider.state.lock().unwrap().slow_tokens = 3;
    bench.secrets.rotate(APP, "v-1").await.unwrap();
    bench.provider.state.lock().unwrap().slow_tokens = 99;
    assert_eq!(
        bench.failure("v-2").await,
        "get a token with the client secret: `HTTP 401`"
    );
    assert_eq!(
        bench.secrets.holder(APP, "AWSCURRENT").as_deref(),
        Some("v-1")
    );
}

#[tokio::test]
async fn registration_management_rotates_where_the_provider_does() {
    for rotates_token in [false, true] {
        let bench = Bench::start().await;
        bench.provider.state.lock().unwrap().rotates_token = rotates_token;
        bench.reset(&[("adapter", json!("rfc7592"))]);
        for round in 1..=3 {
            bench
                .secrets
                .rotate(APP, &format!("v-{round}"))
                .await
                .unwrap();
            assert!(
                bench.provider.accepts(&bench.secret("AWSCURRENT")),
                "{round}"
            );
            let stored = bench.value("AWSCURRENT")["registration_access_token"]
                .as_str()
                .unwrap()
                .to_owned();
            assert_eq!(
                stored,
                bench.provider.state.lock().unwrap().registration_token,
                "{round}"
            );
        }
    }
}

#[tokio::test]
async fn a_new_secret_that_was_not_stored_is_found_again() {
    let bench = Bench::start().await;
    bench.reset(&[("adapter", json!("rfc7592"))]);
    bench.secrets.stage(APP, "v-1");
    // DescribeSecret, current and pending value, then the put that never happens.
    let script = bench.secrets.state.lock().unwrap().script.clone();
    script.arm(3, Fate::KilledBefore);
    let step = bench.secrets.step(APP, "v-1", "createSecret");
    assert_eq!(script.run(step).await, None);
    script.disarm();
    assert!(
        !bench.provider.accepts("CANARY-old"),
        "the provider has moved on"
    );
    bench.secrets.rotate(APP, "v-1").await.unwrap();
    assert!(bench.provider.accepts(&bench.secret("AWSCURRENT")));
    let calls = bench
        .provider
        .state
        .lock()
        .unwrap()
        .calls
        .iter()
        .filter(|call| call.starts_with("PUT"))
        .count();
    assert_eq!(calls, 1);
}

#[tokio::test]
async fn what_only_the_function_knows_is_stored_again_at_once() {
    let bench = Bench::start().await;
    bench.reset(&[("adapter", json!("rfc7592"))]);
    // With the old registration token gone, an answer that is not stored would lock everybody out.
    bench.provider.state.lock().unwrap().rotates_token = true;
    bench.secrets.stage(APP, "v-1");
    let script = bench.secrets.state.lock().unwrap().script.clone();
    script.arm(3, Fate::Refused);
    bench
        .secrets
        .step(APP, "v-1", "createSecret")
        .await
        .unwrap();
    assert!(script.disarm());
    bench.secrets.rotate(APP, "v-1").await.unwrap();
    assert!(bench.provider.accepts(&bench.secret("AWSCURRENT")));
}

#[tokio::test]
async fn a_provider_that_does_not_rotate_is_a_clear_failure() {
    let bench = Bench::start().await;
    bench.reset(&[("adapter", json!("rfc7592"))]);
    bench.provider.state.lock().unwrap().rotates = false;
    assert_eq!(
        bench.secrets.rotate(APP, "v-1").await,
        Err(RotationError::IdpDoesNotRotate)
    );
    assert!(bench.secrets.text(APP, "AWSPENDING").is_none());
    // A new access token is stored even then: nothing else opens the client's configuration again.
    bench.provider.state.lock().unwrap().rotates_token = true;
    assert_eq!(
        bench.secrets.rotate(APP, "v-2").await,
        Err(RotationError::IdpDoesNotRotate)
    );
    let stored = bench.value("AWSPENDING")["registration_access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        stored,
        bench.provider.state.lock().unwrap().registration_token
    );
    assert!(
        bench
            .failure("v-2")
            .await
            .contains("its client secret is the current one")
    );
    assert_eq!(
        bench.secrets.holder(APP, "AWSCURRENT").as_deref(),
        Some("v-first")
    );
}

#[tokio::test]
async fn guards() {
    let bench = Bench::start().await;
    let origin = bench.provider.origin.clone();
    for (member, value, expected) in [
        (
            "token_endpoint",
            json!("https://evil.example/token"),
            "not under an origin",
        ),
        (
            "token_endpoint",
            json!(format!("{origin}.evil.example/token")),
            "not under an origin",
        ),
        (
            "management_url",
            json!("http://169.254.169.254/"),
            "not under an origin",
        ),
        (
            "management_secret_arn",
            json!("bank/none"),
            "it has no current value",
        ),
        ("scope", json!("admin"), "no token with the client's scope"),
        ("client_secret", Value::Null, "it has no `client_secret`"),
        ("secret_id", json!(7), "whose members are texts"),
        ("adapter", json!("CANARY"), "`adapter`"),
        ("client_id", json!("other"), "`HTTP 404`"),
    ] {
        bench.reset(&[(member, value)]);
        let text = bench.failure(&format!("v-{member}-{expected}")).await;
        assert!(text.contains(expected), "{member}: {text}");
        assert_eq!(
            bench.secrets.holder(APP, "AWSCURRENT").as_deref(),
            Some("v-first"),
            "{member}"
        );
        bench
            .provider
            .state
            .lock()
            .unwrap()
            .secrets
            .retain(|id, _| id == "s-0");
    }
    bench.reset(&[("previous_secret_id", json!("s-0"))]);
    bench.secrets.rotate(APP, "v-doctored").await.unwrap();
    assert!(
        bench.provider.accepts("CANARY-old"),
        "the current secret is never deleted"
    );
    bench.secrets.add(APP, "OAUTH_SECRET", None);
    assert!(
        bench
            .failure("v-1")
            .await
            .contains("OAUTH_SECRET has no first value yet; its owner must put one")
    );
}

#[tokio::test]
async fn trying_permissions_uses_the_current_secret() {
    let bench = Bench::start().await;
    bench.secrets.stage(APP, "v-1");
    assert_eq!(
        bench.secrets.step(APP, "v-1", "testSecret").await.unwrap()["done"],
        "tried_permissions"
    );
    assert_eq!(bench.provider.state.lock().unwrap().calls, ["POST /token"]);
}
