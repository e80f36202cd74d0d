//! `attestation.json`: an in-toto test-result statement in a DSSE envelope, for supply-chain tools.
//!
//! In: a manifest and the key. Out: the envelope; and whether an envelope is exactly the one that belongs to a
//! manifest. The statement is derived from the manifest, so that the two can't disagree.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::manifest::{MANIFEST, Manifest};
use super::signature::{Key, SignatureError, SignedBy};
use super::signers::AllowedSigners;
use crate::run::Run;
use crate::verdict::Verdict;

const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The tree in the subjects of a statement.
pub const TREE: &str = "files of the run, RFC 6962 tree";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<Signed>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    keyid: String,
    sig: String,
}

/// <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Resource>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: TestResult,
}

/// <https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md>
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TestResult {
    result: String,
    configuration: Vec<Resource>,
    passed_tests: Vec<String>,
    warned_tests: Vec<String>,
    failed_tests: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Resource {
    name: String,
    digest: Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Digest {
    sha256: String,
}

/// The text of the envelope.
pub fn attest(
    manifest: &Manifest,
    manifest_digest: &str,
    run: &Run,
    key: &Key,
) -> Result<String, SignatureError> {
    let statement = statement(manifest, manifest_digest, run);
    let sig = key.sign_bare(&pre_authentication(&statement))?;
    Ok(envelope(&statement, key.fingerprint(), sig))
}

/// Whether a text is the envelope of a manifest, signed by the key that signed the manifest.
pub fn belongs(
    text: &str,
    manifest: &Manifest,
    manifest_digest: &str,
    run: &Run,
    by: &SignedBy,
) -> Result<(), String> {
    let found: Envelope =
        serde_json::from_str(text).map_err(|_error| "is no DSSE envelope".to_owned())?;
    let [signed] = found.signatures.as_slice() else {
        return Err("has not exactly one signature".to_owned());
    };
    let expected = statement(manifest, manifest_digest, run);
    if found.payload != STANDARD.encode(&expected) {
        return Err("its statement is not the one of this run".to_owned());
    }
    // The key id is not signed, so it is compared as well: one statement has one envelope.
    if envelope(&expected, by.fingerprint(), signed.sig.clone()) != text {
        return Err("is not written as an envelope is: it was changed".to_owned());
    }
    if !by.fits_bare(&pre_authentication(&expected), &signed.sig) {
        return Err("its signature does not fit".to_owned());
    }
    Ok(())
}

/// The root of the tree of files that an envelope signs, if one of these signers signed it.
pub fn signed_root(text: &str, signers: &AllowedSigners) -> Result<String, String> {
    let found: Envelope =
        serde_json::from_str(text).map_err(|_error| "is no DSSE envelope".to_owned())?;
    let payload = STANDARD
        .decode(&found.payload)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or("its payload is no text in base64")?;
    let signed = found.payload_type == PAYLOAD_TYPE
        && found.signatures.iter().any(|signed| {
            signers
                .keys()
                .any(|key| key.fits_bare(&pre_authentication(&payload), &signed.sig))
        });
    if !signed {
        return Err("nobody whom the signers file names has signed it".to_owned());
    }
    let statement: Statement = serde_json::from_str(&payload)
        .map_err(|_error| "its payload is no test-result statement".to_owned())?;
    statement
        .subject
        .into_iter()
        .find(|subject| subject.name == TREE)
        .map(|subject| subject.digest.sha256)
        .ok_or_else(|| "its statement names no tree of files".to_owned())
}

fn statement(manifest: &Manifest, manifest_digest: &str, run: &Run) -> String {
    let of = |wanted: &[Verdict]| -> Vec<String> {
        run.controls
            .iter()
            .filter(|control| wanted.contains(&control.verdict))
            .map(|control| control.id.clone())
            .collect()
    };
    let resource = |name: &str, sha256: &str| Resource {
        name: name.to_owned(),
        digest: Digest {
            sha256: sha256.to_owned(),
        },
    };
    let configuration = manifest
        .controls
        .iter()
        .chain(&manifest.waivers)
        .chain(&manifest.baseline)
        .map(|source| resource(&source.file, &source.sha256))
        .collect();
    let statement = Statement {
        kind: "https://in-toto.io/Statement/v1".to_owned(),
        subject: vec![
            resource(MANIFEST, manifest_digest),
            resource(TREE, &manifest.root),
        ],
        predicate_type: "https://in-toto.io/attestation/test-result/v0.1".to_owned(),
        predicate: TestResult {
            // `WARNED` reads as passed to many tools; what was not seen has not passed.
            result: if run.verdict.exit_code() == 0 {
                "PASSED"
            } else {
                "FAILED"
            }
            .to_owned(),
            configuration,
            passed_tests: of(&[Verdict::Pass, Verdict::Waived, Verdict::NotApplicable]),
            warned_tests: of(&[Verdict::Inconclusive]),
            failed_tests: of(&[Verdict::Fail]),
        },
    };
    serde_json::to_string(&statement).unwrap_or_default()
}

fn envelope(statement: &str, keyid: String, sig: String) -> String {
    let envelope = Envelope {
        payload: STANDARD.encode(statement),
        payload_type: PAYLOAD_TYPE.to_owned(),
        signatures: vec![Signed { keyid, sig }],
    };
    let mut text = serde_json::to_string_pretty(&envelope).unwrap_or_default();
    text.push('\n');
    text
}

/// DSSE's pre-authentication encoding: `DSSEv1 SP len SP type SP len SP body`.
fn pre_authentication(payload: &str) -> Vec<u8> {
    format!(
        "DSSEv1 {} {PAYLOAD_TYPE} {} {payload}",
        PAYLOAD_TYPE.len(),
        payload.len()
    )
    .into_bytes()
}
