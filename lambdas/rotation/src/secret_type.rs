//! What kind of secret is rotated, from its tag `secret_type`.

use std::collections::BTreeMap;

use crate::error::RotationError;

/// The tag that names the type. Without it nothing is rotated: overwriting a secret by a default is how
/// outages are made.
pub const TYPE_TAG: &str = "secret_type";

/// The tag that names the member of a JSON secret that holds the key, where the usual names don't.
pub const MEMBER_TAG: &str = "secret_member";

/// The types of secrets that the platform manages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretType {
    /// A key that we hand to callers of our interfaces.
    ApiKey,
    /// A key that signs webhook bodies.
    WebhookSecret,
    /// A symmetric key that signs tokens.
    JwtKey,
    /// A key that encrypts data at rest; old versions stay readable.
    EncryptionKey,
    /// A login of a `PostgreSQL` database.
    DatabaseCredential,
    /// A client secret of an identity provider.
    OauthSecret,
}

impl SecretType {
    /// Reads the type from a secret's tags.
    ///
    /// # Errors
    /// [`RotationError::TypeMissing`] or [`RotationError::TypeUnknown`].
    pub fn of_tags(tags: &BTreeMap<String, String>) -> Result<Self, RotationError> {
        match tags.get(TYPE_TAG).map(String::as_str) {
            Some("API_KEY") => Ok(Self::ApiKey),
            Some("WEBHOOK_SECRET") => Ok(Self::WebhookSecret),
            Some("JWT_KEY") => Ok(Self::JwtKey),
            Some("ENCRYPTION_KEY") => Ok(Self::EncryptionKey),
            Some("DATABASE_CREDENTIAL") => Ok(Self::DatabaseCredential),
            Some("OAUTH_SECRET") => Ok(Self::OauthSecret),
            Some(_) => Err(RotationError::TypeUnknown),
            None => Err(RotationError::TypeMissing),
        }
    }

    /// The text of the tag.
    pub fn name(self) -> &'static str {
        match self {
            Self::ApiKey => "API_KEY",
            Self::WebhookSecret => "WEBHOOK_SECRET",
            Self::JwtKey => "JWT_KEY",
            Self::EncryptionKey => "ENCRYPTION_KEY",
            Self::DatabaseCredential => "DATABASE_CREDENTIAL",
            Self::OauthSecret => "OAUTH_SECRET",
        }
    }

    /// Whether old versions must stay readable for as long as data is encrypted with them.
    pub fn keeps_old_keys(self) -> bool {
        match self {
            Self::EncryptionKey => true,
            Self::ApiKey
            | Self::WebhookSecret
            | Self::JwtKey
            | Self::DatabaseCredential
            | Self::OauthSecret => false,
        }
    }

    /// The names under which a JSON secret of this type usually holds its key.
    pub fn usual_members(self) -> &'static [&'static str] {
        match self {
            Self::ApiKey => &["api_key", "apiKey", "key", "value"],
            Self::WebhookSecret => &["webhook_secret", "webhookSecret", "secret", "key", "value"],
            Self::JwtKey => &["jwt_key", "jwtKey", "signing_key", "key", "value"],
            Self::EncryptionKey => &["encryption_key", "encryptionKey", "key", "value"],
            Self::DatabaseCredential => &["password"],
            Self::OauthSecret => &["client_secret"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SecretType, TYPE_TAG};
    use crate::error::RotationError;
    use std::collections::BTreeMap;

    #[test]
    fn a_type_is_never_assumed() {
        let tagged = |value: &str| BTreeMap::from([(TYPE_TAG.to_owned(), value.to_owned())]);
        for kind in [
            "API_KEY",
            "WEBHOOK_SECRET",
            "JWT_KEY",
            "ENCRYPTION_KEY",
            "DATABASE_CREDENTIAL",
            "OAUTH_SECRET",
        ] {
            assert_eq!(
                SecretType::of_tags(&tagged(kind)).map(SecretType::name),
                Ok(kind)
            );
        }
        assert_eq!(
            SecretType::of_tags(&tagged("api_key")),
            Err(RotationError::TypeUnknown)
        );
        assert_eq!(
            SecretType::of_tags(&tagged("")),
            Err(RotationError::TypeUnknown)
        );
        assert_eq!(
            SecretType::of_tags(&BTreeMap::new()),
            Err(RotationError::TypeMissing)
        );
    }
}
