//! Connections to databases: only to hosts that the function's settings name, only over TLS with a verified
//! certificate, never with a fallback.
//!
//! `DATABASE_HOSTS` is a comma-separated list of `host`, `host:port` or either with `=name`: the name that the
//! certificate must have where it is not the host (an alias in DNS). Without a port 5432 is meant.
//! `DATABASE_CA_FILE` is a PEM file of the only authorities to trust, such as the bundle of RDS; without it
//! the system's are. Error texts are SQLSTATE codes: the server's own text may repeat a statement.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lambda_host::{Environment, EnvironmentError};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use secrecy::ExposeSecret as _;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::database::credential::Credential;
use crate::error::RotationError;

/// How long one exchange with a database may take.
pub const PATIENCE: Duration = Duration::from_secs(8);

/// Which databases may be reached, and whose certificates are trusted.
#[derive(Debug, Clone, Default)]
pub struct Databases {
    /// Host and port, and the name on the certificate.
    hosts: BTreeMap<(String, u16), String>,
    ca_file: Option<String>,
}

/// What a server says to a login.
#[derive(Debug)]
pub enum Login {
    /// The login works.
    Accepted(Session),
    /// User or password are wrong, or the user may not log in.
    Refused,
}

/// An open connection; it ends when this is dropped.
#[derive(Debug)]
pub struct Session {
    /// The client of the connection.
    pub client: Client,
    traffic: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.traffic.abort();
    }
}

impl Databases {
    /// Reads `DATABASE_HOSTS` and `DATABASE_CA_FILE`.
    ///
    /// # Errors
    /// A host entry that cannot be read.
    pub fn from_environment(environment: &Environment) -> Result<Self, EnvironmentError> {
        let mut hosts = BTreeMap::new();
        let entries = environment
            .get("DATABASE_HOSTS")
            .unwrap_or_default()
            .split(',')
            .map(str::trim);
        for entry in entries.filter(|entry| !entry.is_empty()) {
            let (place, name) = entry
                .split_once('=')
                .map_or((entry, None), |(place, name)| (place, Some(name)));
            let (host, port) = match place.split_once(':') {
                Some((host, port)) => (host, port.parse().ok()),
                None => (place, Some(5432)),
            };
            let name = name.unwrap_or(host);
            let (false, false, Some(port)) = (host.is_empty(), name.is_empty(), port) else {
                let expected =
                    "a list of host, host:port or host:port=certificate-name is expected";
                return Err(EnvironmentError::Unusable {
                    name: "DATABASE_HOSTS",
                    expected,
                });
            };
            hosts.insert((host.to_owned(), port), name.to_owned());
        }
        Ok(Self {
            hosts,
            ca_file: environment.get("DATABASE_CA_FILE").map(str::to_owned),
        })
    }

    /// Logs in.
    ///
    /// # Errors
    /// A host that is not allowed, a server that cannot be reached or verified. Wrong credentials are no error.
    pub async fn login(&self, credential: &Credential) -> Result<Login, RotationError> {
        let place = (credential.host.clone(), credential.port);
        let certificate_name = self
            .hosts
            .get(&place)
            .ok_or(RotationError::HostNotAllowed)?;
        let mut tls = MakeRustlsConnect::new(self.tls()?);
        let tls = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut tls, certificate_name)
            .map_err(|_| database("verify the database's certificate", "NoCertificateName"))?;
        let mut config = Config::new();
        config
            .user(&credential.username)
            .password(credential.password.expose_secret())
            .dbname(&credential.database)
            .application_name("secrets-rotation")
            .ssl_mode(SslMode::Require);
        let connecting = async {
            let stream = TcpStream::connect(&place)
                .await
                .map_err(|_| Connecting::Unreachable)?;
            config
                .connect_raw(stream, tls)
                .await
                .map_err(Connecting::Failed)
        };
        let doing = "connect to the database";
        match timeout(PATIENCE, connecting).await {
            Ok(Ok((client, connection))) => {
                // What the connection says at its end is heard by the client's own calls.
                let traffic = tokio::spawn(async move { drop(connection.await) });
                Ok(Login::Accepted(Session { client, traffic }))
            }
            Ok(Err(Connecting::Failed(error))) => match error.code() {
                Some(
                    &SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                ) => Ok(Login::Refused),
                _ => Err(failed(doing, &error)),
            },
            Ok(Err(Connecting::Unreachable)) => Err(database(doing, "NoConnection")),
            Err(_) => Err(database(doing, "Timeout")),
        }
    }

    fn tls(&self) -> Result<ClientConfig, RotationError> {
        let mut roots = RootCertStore::empty();
        match &self.ca_file {
            Some(file) => {
                let certificates = CertificateDer::pem_file_iter(file)
                    .into_iter()
                    .flatten()
                    .flatten();
                roots.add_parsable_certificates(certificates);
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            return Err(database(
                "verify the database's certificate",
                "NoTrustedAuthority",
            ));
        }
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map(|builder| builder.with_root_certificates(roots).with_no_client_auth())
            .map_err(|_| database("verify the database's certificate", "NoProtocol"))
    }
}

enum Connecting {
    Unreachable,
    Failed(tokio_postgres::Error),
}

/// Runs a statement or a few, within patience.
///
/// # Errors
/// Its failure or a timeout.
pub async fn within<T>(
    doing: &'static str,
    work: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, RotationError> {
    match timeout(PATIENCE, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failed(doing, &error)),
        Err(_) => Err(database(doing, "Timeout")),
    }
}

/// Reduces an error to its SQLSTATE, or to the way it failed.
fn failed(doing: &'static str, error: &tokio_postgres::Error) -> RotationError {
    if let Some(state) = error.code() {
        return database(doing, state.code());
    }
    // The crate keeps its kinds to itself; their texts are fixed.
    let tls = error
        .to_string()
        .starts_with("error performing TLS handshake");
    database(doing, if tls { "TlsRefused" } else { "ConnectionLost" })
}

fn database(doing: &'static str, state: &str) -> RotationError {
    RotationError::Database {
        doing,
        state: state.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::Databases;
    use lambda_host::Environment;

    #[test]
    fn hosts_ports_and_certificate_names() {
        let read = |text: &str| {
            let environment: Environment = [("DATABASE_HOSTS", text)].into_iter().collect();
            Databases::from_environment(&environment)
                .ok()
                .map(|databases| {
                    databases
                        .hosts
                        .into_iter()
                        .map(|((host, port), name)| format!("{host} {port} {name}"))
                        .collect::<Vec<_>>()
                })
        };
        let expected = ["db 5432 db.rds.amazonaws.com", "x 6432 x"]
            .map(str::to_owned)
            .to_vec();
        assert_eq!(read("x:6432, db=db.rds.amazonaws.com"), Some(expected));
        assert_eq!(read(""), Some(Vec::new()));
        for broken in ["x:port", ":5432", "x="] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }
}
