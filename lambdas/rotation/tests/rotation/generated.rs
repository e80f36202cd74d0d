//! `API_KEY`, `WEBHOOK_SECRET`, `JWT_KEY` and `ENCRYPTION_KEY`.

use std::collections::BTreeSet;

use rotation::RotationError;

use crate::secrets_server::{Server, Version};

const KINDS: [&str; 4] = ["API_KEY", "WEBHOOK_SECRET", "JWT_KEY", "ENCRYPTION_KEY"];

#[tokio::test]
async fn every_generated_type_is_rotated_and_the_old_value_stays_readable() {
    let server = Server::start().await;
    for kind in KINDS {
        server.add(kind, kind, Some(r#"{"owner":"team-a","key":"old"}"#));
        server.rotate(kind, "v-2").await.unwrap();
        let current = server.text(kind, "AWSCURRENT").unwrap();
        assert!(
            current.starts_with(r#"{"owner":"team-a","key":""#) && current.len() >= 70,
            "{kind}"
        );
        assert_eq!(
            server.text(kind, "AWSPREVIOUS").as_deref(),
            Some(r#"{"owner":"team-a","key":"old"}"#)
        );
        server.rotate(kind, "v-3").await.unwrap();
        assert_eq!(server.text(kind, "AWSPREVIOUS"), Some(current));
    }
}

#[tokio::test]
async fn the_first_value_is_made_where_there_is_none() {
    let server = Server::start().await;
    for kind in KINDS {
        server.add(kind, kind, None);
        server.rotate(kind, "v-1").await.unwrap();
        assert_eq!(
            server.text(kind, "AWSCURRENT").map(|text| text.len()),
            Some(43),
            "{kind}"
        );
    }
    let moves = server
        .state
        .lock()
        .unwrap()
        .calls
        .iter()
        .filter(|(_, body)| body["RemoveFromVersionId"].is_string())
        .count();
    assert_eq!(moves, 0, "nothing to remove the label from");
}

#[tokio::test]
async fn the_rotation_token_is_passed_on() {
    let server = Server::start().await;
    server.add("s", "API_KEY", None);
    server.rotate("s", "v-1").await.unwrap();
    let state = server.state.lock().unwrap();
    let (_, put) = state
        .calls
        .iter()
        .find(|(name, _)| name == "putsecretvalue")
        .unwrap();
    assert_eq!(put["RotationToken"], "rt-1");
}

#[tokio::test]
async fn the_checks_of_every_step() {
    let server = Server::start().await;
    for step in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
        server.add("s", "API_KEY", Some("old"));
        let code = |result: Result<_, RotationError>| result.err().map(|error| error.code());
        assert_eq!(
            code(server.step("s", "v-2", step).await),
            Some("NoStage"),
            "{step}"
        );
        assert_eq!(
            server.step("s", "v-first", step).await.unwrap()["done"],
            "already_current",
            "{step}"
        );
        server.edit("s", |secret| {
            let labels = BTreeSet::from(["KEY-1".to_owned()]);
            secret.versions.insert(
                "v-2".to_owned(),
                Version {
                    labels,
                    ..Version::default()
                },
            );
        });
        assert_eq!(
            code(server.step("s", "v-2", step).await),
            Some("NotPending"),
            "{step}"
        );
        server.stage("s", "v-2");
        for (tags, expected) in [(Some("PASSWORD"), "TypeUnknown"), (None, "TypeMissing")] {
            server.edit("s", |secret| match tags {
                Some(tag) => drop(secret.tags.insert("secret_type".to_owned(), tag.to_owned())),
                None => secret.tags.clear(),
            });
            assert_eq!(
                code(server.step("s", "v-2", step).await),
                Some(expected),
                "{step}"
            );
        }
        server.edit("s", |secret| secret.rotation_enabled = Some(false));
        assert_eq!(
            code(server.step("s", "v-2", step).await),
            Some("RotationDisabled"),
            "{step}"
        );
        assert_eq!(
            server.text("s", "AWSCURRENT").as_deref(),
            Some("old"),
            "{step}"
        );
    }
}

#[tokio::test]
async fn a_step_may_be_repeated() {
    let server = Server::start().await;
    server.add("s", "ENCRYPTION_KEY", Some("old"));
    server.stage("s", "v-2");
    for (step, again) in [
        ("createSecret", "already_there"),
        ("setSecret", "set"),
        ("testSecret", "tested"),
        ("finishSecret", "already_current"),
    ] {
        server.step("s", "v-2", step).await.unwrap();
        let value = server.text("s", "AWSPENDING");
        assert_eq!(server.step("s", "v-2", step).await.unwrap()["done"], again);
        assert_eq!(
            server.text("s", "AWSPENDING"),
            value,
            "{step} again keeps the value"
        );
    }
}

#[tokio::test]
async fn trying_permissions_needs_no_pending_value_but_promoting_does() {
    let server = Server::start().await;
    server.add("s", "API_KEY", Some("old"));
    server.stage("s", "v-2");
    assert_eq!(
        server.step("s", "v-2", "testSecret").await.unwrap()["done"],
        "tried_permissions"
    );
    for step in ["setSecret", "finishSecret"] {
        assert_eq!(
            server.step("s", "v-2", step).await,
            Err(RotationError::PendingEmpty),
            "{step}"
        );
    }
    assert_eq!(server.text("s", "AWSCURRENT").as_deref(), Some("old"));
}

#[tokio::test]
async fn a_version_that_is_slow_to_appear_is_waited_for() {
    let server = Server::start().await;
    server.add("s", "API_KEY", Some("old"));
    server.stage("s", "v-2");
    server.step("s", "v-2", "createSecret").await.unwrap();
    for step in ["setSecret", "testSecret", "finishSecret"] {
        server.state.lock().unwrap().stale_reads = 3;
        server.step("s", "v-2", step).await.unwrap();
    }
    assert_eq!(server.holder("s", "AWSCURRENT").as_deref(), Some("v-2"));
}

#[tokio::test]
async fn old_encryption_keys_keep_a_label_and_the_limit_is_never_reached() {
    let server = Server::start().await;
    server.add("s", "ENCRYPTION_KEY", Some("the loader's key"));
    let mut warned = 0;
    let mut refused = None;
    for number in 0..30 {
        let token = format!("v-{number}");
        server.stage("s", &token);
        match server.step("s", &token, "createSecret").await {
            Ok(answer) => {
                warned += usize::from(
                    answer["warning"]["labels"]
                        .as_u64()
                        .is_some_and(|n| n >= 15),
                );
            }
            Err(error) => {
                refused = Some((number, error));
                break;
            }
        }
        for step in ["setSecret", "testSecret", "finishSecret"] {
            server.step("s", &token, step).await.unwrap();
        }
        let count = server.edit("s", |secret| secret.versions.len());
        assert_eq!(count, number + 2, "no version is lost");
    }
    let (number, error) = refused.unwrap();
    assert_eq!(
        (number, error),
        (16, RotationError::LabelsExhausted { labels: 20 })
    );
    assert_eq!(warned, 5);
    let first = server.edit("s", |secret| secret.versions["v-first"].clone());
    assert_eq!(first.text.as_deref(), Some("the loader's key"));
    assert_eq!(first.labels, BTreeSet::from(["KEY-20260101".to_owned()]));
}

#[tokio::test]
async fn a_doctored_pending_value_is_not_promoted() {
    let server = Server::start().await;
    server.add(
        "s",
        "API_KEY",
        Some(r#"{"key":"old","callback":"https://ours"}"#),
    );
    server.stage("s", "v-2");
    let doctored = format!(
        r#"{{"key":"{}","callback":"https://theirs"}}"#,
        "x".repeat(50)
    );
    server.edit("s", |secret| {
        secret.versions.get_mut("v-2").unwrap().text = Some(doctored);
    });
    let error = server.rotate("s", "v-2").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "test the pending version: it differs from the current one in more than its key"
    );
    assert_eq!(server.holder("s", "AWSCURRENT").as_deref(), Some("v-first"));
}
