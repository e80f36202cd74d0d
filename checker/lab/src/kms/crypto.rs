//! Encryption that round-trips and notices a wrong key, context or ciphertext.
//!
//! It is a keystream of SHA-256, good enough for a lab that never holds real
//! values, and no protection at all.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Key, invalid_state, unsupported};
use crate::service::{Answer, ApiError, Call};
use crate::world::World;

const MAGIC: &[u8] = b"lab1";
const NONCE: usize = 16;
const SEAL: usize = 32;

pub(super) fn encrypt(world: &mut World, call: &Call<'_>) -> Answer {
    refuse_unserved(call)?;
    let nonce = world.ids.alphanumeric(NONCE);
    let key = world.kms.find(call)?;
    ready(key)?;
    let plain = bytes(call, "Plaintext")?;
    if plain.len() > 4096 {
        return Err(ApiError::new(
            "ValidationException",
            "Plaintext is longer than 4096 bytes",
        ));
    }
    let blob = seal(key, nonce.as_bytes(), &context(call), &plain);
    Ok(json!({
        "CiphertextBlob": STANDARD.encode(blob),
        "KeyId": key.arn,
        "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
    }))
}

pub(super) fn decrypt(world: &mut World, call: &Call<'_>) -> Answer {
    refuse_unserved(call)?;
    let blob = bytes(call, "CiphertextBlob")?;
    let invalid = || ApiError::new("InvalidCiphertextException", "the ciphertext is not valid");
    let (id, rest) = opened(&blob).ok_or_else(invalid)?;
    let here = call.arn("key/");
    let key = world
        .kms
        .keys
        .values()
        .find(|key| key.id == id && key.arn.starts_with(&here))
        .ok_or_else(invalid)?;
    if let Some(given) = call.text("KeyId")
        && world.kms.named(call, given)?.arn != key.arn
    {
        return Err(ApiError::new(
            "IncorrectKeyException",
            "The key ID in the request does not identify a CMK that can perform this operation.",
        ));
    }
    ready(key)?;
    let plain = unseal(key, &context(call), rest).ok_or_else(invalid)?;
    Ok(json!({
        "KeyId": key.arn,
        "Plaintext": STANDARD.encode(plain),
        "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
    }))
}

pub(super) fn generate_data_key(world: &mut World, call: &Call<'_>) -> Answer {
    refuse_unserved(call)?;
    let length = match (call.text("KeySpec"), call.number("NumberOfBytes")) {
        (Some("AES_128"), None) => 16,
        (Some(_), None) => 32,
        (None, Some(length)) => usize::try_from(length).unwrap_or(32),
        (Some(_), Some(_)) | (None, None) => {
            return Err(ApiError::new(
                "ValidationException",
                "give exactly one of KeySpec and NumberOfBytes",
            ));
        }
    };
    let nonce = world.ids.alphanumeric(NONCE);
    let key = world.kms.find(call)?;
    ready(key)?;
    let mut plain = vec![0; length];
    getrandom::fill(&mut plain)
        .map_err(|_| ApiError::internal("the system has no random source"))?;
    let blob = seal(key, nonce.as_bytes(), &context(call), &plain);
    Ok(json!({
        "CiphertextBlob": STANDARD.encode(blob),
        "Plaintext": STANDARD.encode(plain),
        "KeyId": key.arn,
    }))
}

/// The key that a call's ciphertext names.
pub(super) fn key_of(world: &World, call: &Call<'_>) -> Option<String> {
    let blob = bytes(call, "CiphertextBlob").ok()?;
    let (id, _) = opened(&blob)?;
    let arn = world.kms.arn_of(call.region, call.account, &id)?;
    Some(arn.to_owned())
}

fn refuse_unserved(call: &Call<'_>) -> Result<(), ApiError> {
    let algorithm = call.text("EncryptionAlgorithm");
    if algorithm.is_some_and(|algorithm| algorithm != "SYMMETRIC_DEFAULT") {
        return Err(unsupported("the lab only encrypts with SYMMETRIC_DEFAULT"));
    }
    for member in ["DryRun", "DryRunModifiers", "Recipient"] {
        if call.input.contains_key(member) {
            return Err(unsupported(&format!("the lab does not serve `{member}`")));
        }
    }
    Ok(())
}

fn ready(key: &Key) -> Result<(), ApiError> {
    if key.encrypts() {
        return Ok(());
    }
    if key.spec == "SYMMETRIC_DEFAULT" {
        let state = key.state();
        return Err(invalid_state(&format!("{} is {state}.", key.arn)));
    }
    Err(unsupported("the lab only encrypts with symmetric keys"))
}

fn bytes(call: &Call<'_>, member: &str) -> Result<Vec<u8>, ApiError> {
    STANDARD
        .decode(call.required(member)?)
        .map_err(|_| ApiError::new("ValidationException", format!("`{member}` is not base64")))
}

/// The encryption context as one text; objects are ordered by key.
fn context(call: &Call<'_>) -> String {
    call.input
        .get("EncryptionContext")
        .map(Value::to_string)
        .unwrap_or_default()
}

fn seal(key: &Key, nonce: &[u8], context: &str, plain: &[u8]) -> Vec<u8> {
    let hidden = stream(key, nonce, plain);
    let id = key.id.as_bytes();
    let length = u8::try_from(id.len()).unwrap_or(u8::MAX);
    let mut blob = MAGIC.to_vec();
    blob.push(length);
    blob.extend_from_slice(id);
    blob.extend_from_slice(nonce);
    blob.extend_from_slice(&mark(key, nonce, context, &hidden));
    blob.extend_from_slice(&hidden);
    blob
}

/// The key's id and the sealed rest of a ciphertext.
fn opened(blob: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = blob.strip_prefix(MAGIC)?.split_first()?;
    let (id, rest) = rest.split_at_checked(usize::from(*length))?;
    Some((String::from_utf8(id.to_vec()).ok()?, rest))
}

fn unseal(key: &Key, context: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, rest) = sealed.split_at_checked(NONCE)?;
    let (seal, hidden) = rest.split_at_checked(SEAL)?;
    (mark(key, nonce, context, hidden) == seal).then(|| stream(key, nonce, hidden))
}

fn mark(key: &Key, nonce: &[u8], context: &str, hidden: &[u8]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in [&key.material, nonce, context.as_bytes(), hidden] {
        hash.update(part);
        hash.update([0]);
    }
    hash.finalize().to_vec()
}

fn stream(key: &Key, nonce: &[u8], text: &[u8]) -> Vec<u8> {
    text.chunks(SEAL)
        .zip(0_u32..)
        .flat_map(|(chunk, block)| {
            let mut hash = Sha256::new();
            hash.update(&key.material);
            hash.update(nonce);
            hash.update(block.to_be_bytes());
            let pad = hash.finalize();
            let pairs = chunk.iter().zip(pad);
            pairs.map(|(byte, pad)| byte ^ pad).collect::<Vec<u8>>()
        })
        .collect()
}
