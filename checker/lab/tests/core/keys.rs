//! KMS: keys, aliases, rotation, and encryption that round-trips.

use aws_sdk_kms::error::ProvideErrorMetadata as _;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeyManagerType, KeyState, OriginType, Tag};

use crate::stage::Stage;

async fn key(stage: &Stage) -> String {
    let created = stage.kms.create_key().description("financial").send().await;
    created.unwrap().key_metadata.unwrap().key_id
}

#[tokio::test]
async fn a_key_is_described_by_its_alias() {
    let stage = Stage::new().await;
    let id = key(&stage).await;
    let alias = stage.kms.create_alias().alias_name("alias/bank/financial");
    alias.target_key_id(&id).send().await.unwrap();
    let described = stage
        .kms
        .describe_key()
        .key_id("alias/bank/financial")
        .send()
        .await;
    let metadata = described.unwrap().key_metadata.unwrap();
    assert_eq!(metadata.key_id, id);
    assert_eq!(metadata.origin, Some(OriginType::AwsKms));
    assert_eq!(metadata.multi_region, Some(false));
    let own = stage
        .kms
        .describe_key()
        .key_id("alias/aws/secretsmanager")
        .send()
        .await;
    let own = own.unwrap().key_metadata.unwrap();
    assert_eq!(own.key_manager, Some(KeyManagerType::Aws));
}

#[tokio::test]
async fn rotation_and_tags_are_kept() {
    let stage = Stage::new().await;
    let id = key(&stage).await;
    stage
        .kms
        .enable_key_rotation()
        .key_id(&id)
        .rotation_period_in_days(90)
        .send()
        .await
        .unwrap();
    let status = stage
        .kms
        .get_key_rotation_status()
        .key_id(&id)
        .send()
        .await
        .unwrap();
    assert!(status.key_rotation_enabled);
    assert_eq!(status.rotation_period_in_days, Some(90));
    let tag = Tag::builder()
        .tag_key("team")
        .tag_value("red")
        .build()
        .unwrap();
    stage
        .kms
        .tag_resource()
        .key_id(&id)
        .tags(tag.clone())
        .send()
        .await
        .unwrap();
    let tags = stage
        .kms
        .list_resource_tags()
        .key_id(&id)
        .send()
        .await
        .unwrap();
    assert_eq!(tags.tags(), [tag]);
}

#[tokio::test]
async fn what_is_encrypted_decrypts_only_in_its_context() {
    let stage = Stage::new().await;
    let id = key(&stage).await;
    let encrypt = stage.kms.encrypt().key_id(&id).encryption_context("a", "b");
    let sealed = encrypt
        .plaintext(Blob::new("text"))
        .send()
        .await
        .unwrap()
        .ciphertext_blob
        .unwrap();
    let decrypt = stage
        .kms
        .decrypt()
        .ciphertext_blob(sealed.clone())
        .encryption_context("a", "b");
    assert_eq!(
        decrypt.send().await.unwrap().plaintext,
        Some(Blob::new("text"))
    );
    let decrypt = stage
        .kms
        .decrypt()
        .ciphertext_blob(sealed)
        .encryption_context("a", "c");
    let refused = decrypt.send().await.unwrap_err().into_service_error();
    assert!(refused.is_invalid_ciphertext_exception());
}

#[tokio::test]
async fn a_deleted_key_takes_its_secrets_along() {
    let stage = Stage::new().await;
    let id = key(&stage).await;
    let create = stage
        .secrets
        .create_secret()
        .name("bank/one")
        .kms_key_id(&id);
    create.secret_string("value").send().await.unwrap();
    let deletion = stage
        .kms
        .schedule_key_deletion()
        .key_id(&id)
        .pending_window_in_days(7);
    assert_eq!(
        deletion.send().await.unwrap().key_state,
        Some(KeyState::PendingDeletion)
    );
    let read = stage
        .secrets
        .get_secret_value()
        .secret_id("bank/one")
        .send()
        .await;
    assert!(
        read.unwrap_err()
            .into_service_error()
            .is_decryption_failure()
    );
    let create = stage
        .secrets
        .create_secret()
        .name("bank/two")
        .kms_key_id("alias/none");
    let refused = create.secret_string("value").send().await.unwrap_err();
    assert_eq!(refused.code(), Some("EncryptionFailure"));
}
