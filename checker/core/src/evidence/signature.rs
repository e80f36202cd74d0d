//! SSHSIG: signatures that stock `ssh-keygen -Y verify` accepts.
//!
//! In: a message and an Ed25519 key, or a signature file. Out: the signature file, or who signed. One signature has
//! one file: what does not encode to itself again is refused, so that no byte of it can be changed unnoticed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use signature::{Signer as _, Verifier as _};
use ssh_key::private::Ed25519Keypair;
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, PublicKey, Signature, SshSig};

/// What signatures are made for; a signature for anything else is not accepted.
pub const NAMESPACE: &str = "compliance-evidence";

/// Who signs in the lab.
pub const LAB_SIGNER: &str = "checker-lab";

/// A key that signs.
pub struct Key(PrivateKey);

/// Why a key or a signature is not accepted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SignatureError {
    /// The text is no OpenSSH private key.
    #[error(
        "read the key: it is no private key in OpenSSH form (make one with `ssh-keygen -t ed25519`)"
    )]
    NoKey,
    /// The key needs a passphrase.
    #[error("read the key: it is encrypted; a nightly run has nobody to ask for a passphrase")]
    Encrypted,
    /// Another kind of key.
    #[error(
        "read the key: it is `{0}`, and only ssh-ed25519 is used (make one with `ssh-keygen -t ed25519`)"
    )]
    Kind(String),
    /// Signing did not work.
    #[error("sign")]
    Unsigned,
    /// The file is no signature.
    #[error("is no SSH signature")]
    NoSignature,
    /// The file could be written in another way.
    #[error("is not written as a signature file is: it was changed")]
    NotCanonical,
    /// Made for something else.
    #[error("was made for `{0}`, not for `{NAMESPACE}`")]
    Namespace(String),
    /// Does not fit the message.
    #[error("does not fit: the signed file or the signature was changed")]
    Wrong,
}

impl Key {
    /// Reads a private key in OpenSSH form.
    pub fn read(text: &str) -> Result<Self, SignatureError> {
        let key = PrivateKey::from_openssh(text).map_err(|_error| SignatureError::NoKey)?;
        if key.is_encrypted() {
            return Err(SignatureError::Encrypted);
        }
        if key.algorithm() != Algorithm::Ed25519 {
            return Err(SignatureError::Kind(key.algorithm().to_string()));
        }
        Ok(Self(key))
    }

    /// The key of 32 random bytes.
    pub fn from_seed(seed: &[u8; 32], comment: &str) -> Result<Self, SignatureError> {
        PrivateKey::new(Ed25519Keypair::from_seed(seed).into(), comment)
            .map(Self)
            .map_err(|_error| SignatureError::NoKey)
    }

    /// The private key in OpenSSH form, as `ssh-keygen` writes it.
    pub fn to_openssh(&self) -> Result<String, SignatureError> {
        self.0
            .to_openssh(LineEnding::LF)
            .map(|text| text.as_str().to_owned())
            .map_err(|_error| SignatureError::NoKey)
    }

    /// The public key, one line without a comment.
    pub fn public(&self) -> String {
        public_line(self.0.public_key().key_data())
    }

    /// The signature file of a message.
    pub fn sign(&self, message: &[u8]) -> Result<String, SignatureError> {
        self.0
            .sign(NAMESPACE, HashAlg::Sha512, message)
            .and_then(|signature| signature.to_pem(LineEnding::LF))
            .map(|text| format!("{}\n", text.trim_end()))
            .map_err(|_error| SignatureError::Unsigned)
    }

    /// The bare Ed25519 signature of a message, in base64, as DSSE wants it.
    pub(crate) fn sign_bare(&self, message: &[u8]) -> Result<String, SignatureError> {
        self.0
            .try_sign(message)
            .map(|signature| STANDARD.encode(signature.as_bytes()))
            .map_err(|_error| SignatureError::Unsigned)
    }

    /// The fingerprint, as `ssh-keygen -l` shows it.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.fingerprint())
    }
}

/// A public key that made a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedBy(KeyData);

impl From<&PublicKey> for SignedBy {
    fn from(key: &PublicKey) -> Self {
        Self(key.key_data().clone())
    }
}

impl SignedBy {
    /// Its fingerprint, as `ssh-keygen -l` shows it.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    /// Whether it is this key.
    pub(crate) fn is(&self, key: &PublicKey) -> bool {
        self.0 == *key.key_data()
    }

    /// Whether a bare signature in base64 fits a message.
    pub(crate) fn fits_bare(&self, message: &[u8], signature: &str) -> bool {
        let Ok(bytes) = STANDARD.decode(signature) else {
            return false;
        };
        Signature::new(Algorithm::Ed25519, bytes)
            .is_ok_and(|signature| self.0.verify(message, &signature).is_ok())
    }
}

/// The key that signed a message, if the signature file is in order and fits.
pub fn verify(message: &[u8], file: &[u8]) -> Result<SignedBy, SignatureError> {
    let text = std::str::from_utf8(file).map_err(|_error| SignatureError::NoSignature)?;
    let signature = SshSig::from_pem(text).map_err(|_error| SignatureError::NoSignature)?;
    let again = signature
        .to_pem(LineEnding::LF)
        .map_err(|_error| SignatureError::NotCanonical)?;
    if format!("{}\n", again.trim_end()) != text
        || signature.version() != SshSig::VERSION
        || !signature.reserved().is_empty()
    {
        return Err(SignatureError::NotCanonical);
    }
    if signature.namespace() != NAMESPACE {
        return Err(SignatureError::Namespace(signature.namespace().to_owned()));
    }
    if signature.algorithm() != Algorithm::Ed25519 || signature.hash_alg() != HashAlg::Sha512 {
        return Err(SignatureError::Kind(signature.algorithm().to_string()));
    }
    let key = PublicKey::from(signature.public_key().clone());
    key.verify(NAMESPACE, message, &signature)
        .map_err(|_error| SignatureError::Wrong)?;
    Ok(SignedBy(signature.public_key().clone()))
}

fn public_line(key: &KeyData) -> String {
    PublicKey::from(key.clone())
        .to_openssh()
        .unwrap_or_default()
}

/// The `allowed_signers` line of a key.
pub fn signers_line(principal: &str, key: &Key) -> String {
    format!("{principal} namespaces=\"{NAMESPACE}\" {}\n", key.public())
}
