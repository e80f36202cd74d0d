//! Talking to identity providers: only to origins that the function's settings name, and tokens as a proof that
//! a client secret works.
//!
//! `OAUTH_ORIGINS` is a comma-separated list of origins, `https://` unless the host is this machine. A
//! secret's own addresses must begin with one of them: whoever can write a secret cannot make the function
//! send credentials elsewhere.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_host::{Answer, Environment, EnvironmentError, Exchange, HttpClient};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::error::RotationError;
use crate::oauth::client::OauthClient;

/// How often a token is asked for: providers take a while until a new secret is known everywhere.
const TRIES: u32 = 5;

/// The identity providers that may be asked.
#[derive(Debug, Clone)]
pub struct Providers {
    origins: Vec<String>,
    http: HttpClient,
}

#[derive(Deserialize)]
struct Token {
    access_token: Option<String>,
    scope: Option<String>,
}

impl Providers {
    /// Reads `OAUTH_ORIGINS`.
    ///
    /// # Errors
    /// An entry that is no origin, or not encrypted.
    pub fn from_environment(environment: &Environment) -> Result<Self, EnvironmentError> {
        let entries = environment
            .get("OAUTH_ORIGINS")
            .unwrap_or_default()
            .split(',')
            .map(str::trim);
        let origins: Vec<String> = entries
            .filter(|entry| !entry.is_empty())
            .map(str::to_owned)
            .collect();
        if origins.iter().all(|origin| is_origin(origin)) {
            Ok(Self {
                origins,
                http: HttpClient::new(Duration::from_secs(8)),
            })
        } else {
            let expected = "a list of origins such as https://idp.example is expected";
            Err(EnvironmentError::Unusable {
                name: "OAUTH_ORIGINS",
                expected,
            })
        }
    }

    /// Whether an address may be asked.
    ///
    /// # Errors
    /// [`RotationError::OriginNotAllowed`].
    pub fn check_origin(&self, url: &str) -> Result<(), RotationError> {
        let under = |origin: &String| {
            url.strip_prefix(origin.as_str())
                .is_some_and(|path| path.starts_with('/'))
        };
        if self.origins.iter().any(under) {
            Ok(())
        } else {
            Err(RotationError::OriginNotAllowed)
        }
    }

    /// Sends a request to a provider.
    ///
    /// # Errors
    /// An address that is not allowed, or no answer.
    pub async fn ask(
        &self,
        doing: &'static str,
        exchange: Exchange<'_>,
    ) -> Result<Answer, RotationError> {
        self.check_origin(exchange.url)?;
        self.http
            .send(exchange)
            .await
            .map_err(|error| RotationError::Idp {
                doing,
                answer: error.to_string(),
            })
    }

    /// Gets a token with a client's secret, trying a few times.
    ///
    /// # Errors
    /// The provider gives none, or one without the client's scope.
    pub async fn get_token(
        &self,
        client: &OauthClient,
        settle: Duration,
    ) -> Result<(), RotationError> {
        let doing = "get a token with the client secret";
        let mut pause = settle.saturating_mul(10);
        for _ in 1..TRIES {
            let answer = self.ask_for_token(doing, client).await?;
            if answer.status == 200 {
                return check_token(doing, client, &answer);
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
        let answer = self.ask_for_token(doing, client).await?;
        if answer.status == 200 {
            check_token(doing, client, &answer)
        } else {
            Err(refused(doing, &answer))
        }
    }

    async fn ask_for_token(
        &self,
        doing: &'static str,
        client: &OauthClient,
    ) -> Result<Answer, RotationError> {
        let id = encoded(&client.id);
        let secret = Zeroizing::new(encoded(client.secret.expose_secret()));
        let scope = client
            .scope
            .as_deref()
            .map(|scope| format!("&scope={}", encoded(scope)))
            .unwrap_or_default();
        let mut body = Zeroizing::new(format!("grant_type=client_credentials{scope}"));
        let mut headers = vec![
            ("content-type", "application/x-www-form-urlencoded"),
            ("accept", "application/json"),
        ];
        let pair = Zeroizing::new(format!("{id}:{}", secret.as_str()));
        let basic = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
        if client.secret_in_body {
            body = Zeroizing::new(format!(
                "{}&client_id={id}&client_secret={}",
                body.as_str(),
                secret.as_str()
            ));
        } else {
            headers.push(("authorization", &basic));
        }
        self.ask(
            doing,
            Exchange {
                method: "POST",
                url: &client.token_endpoint,
                headers: &headers,
                body: &body,
            },
        )
        .await
    }
}

/// Reads an answer's JSON.
///
/// # Errors
/// Another status than those expected, or another form. The body is not repeated.
pub fn read<T: DeserializeOwned>(
    doing: &'static str,
    answer: &Answer,
    expected: &[u16],
) -> Result<T, RotationError> {
    if !expected.contains(&answer.status) {
        return Err(refused(doing, answer));
    }
    serde_json::from_slice(&answer.body).map_err(|_| RotationError::Idp {
        doing,
        answer: "an answer of another form".to_owned(),
    })
}

/// The error for a status that was not hoped for.
pub fn refused(doing: &'static str, answer: &Answer) -> RotationError {
    RotationError::Idp {
        doing,
        answer: format!("HTTP {}", answer.status),
    }
}

/// Percent-encoding of everything but RFC 3986's unreserved characters: fit for paths and forms alike.
pub fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let digit = |nibble: u8| {
                char::from_digit(u32::from(nibble), 16)
                    .unwrap_or('0')
                    .to_ascii_uppercase()
            };
            encoded.extend(['%', digit(byte >> 4), digit(byte & 0xf)]);
        }
    }
    encoded
}

fn check_token(
    doing: &'static str,
    client: &OauthClient,
    answer: &Answer,
) -> Result<(), RotationError> {
    let token: Token = read(doing, answer, &[200])?;
    let given = token
        .scope
        .map(|scope| scope.split(' ').map(str::to_owned).collect::<Vec<_>>());
    let wanted = client
        .scope
        .as_deref()
        .unwrap_or_default()
        .split_whitespace();
    let complete = given.is_none_or(|given| {
        wanted
            .into_iter()
            .all(|scope| given.iter().any(|given| given == scope))
    });
    if token.access_token.is_none_or(|token| token.is_empty()) || !complete {
        return Err(RotationError::Unfit {
            problem: "the provider gives no token with the client's scope for it",
        });
    }
    Ok(())
}

fn is_origin(text: &str) -> bool {
    let (host, local) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(host), _) => (host, true),
        (None, Some(host)) => (
            host,
            matches!(host.split(':').next(), Some("127.0.0.1" | "localhost")),
        ),
        (None, None) => return false,
    };
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    local && !host.is_empty() && host.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::{encoded, is_origin};

    #[test]
    fn origins_are_encrypted_and_have_no_path() {
        for (text, expected) in [
            ("https://idp.bank", true),
            ("https://idp.bank:8443", true),
            ("http://127.0.0.1:9", true),
            ("http://idp.bank", false),
            ("http://localhost.evil.example", false),
            ("https://", false),
            ("https://idp.bank/path", false),
            ("https://idp.bank@evil.example", false),
            ("idp.bank", false),
        ] {
            assert_eq!(is_origin(text), expected, "{text}");
        }
    }

    #[test]
    fn everything_unusual_is_encoded() {
        assert_eq!(encoded("a/b:c?d%é~"), "a%2Fb%3Ac%3Fd%25%C3%A9~");
    }
}
