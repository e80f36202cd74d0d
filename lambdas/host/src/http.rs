//! One HTTP exchange with a service that is not AWS, over the client that the AWS calls use already.
//!
//! It follows no redirects and keeps nothing of an answer but its status and its body, which is wiped after
//! use. Which addresses may be asked is the caller's business.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use zeroize::Zeroizing;

/// Longest body that is read.
const LONGEST: usize = 1 << 20;

/// A client with its connections.
#[derive(Debug, Clone)]
pub struct HttpClient {
    plain: Arc<OnceLock<Connector>>,
    tls: Arc<OnceLock<Connector>>,
    patience: Duration,
}

/// A request.
#[derive(Clone, Copy)]
pub struct Exchange<'a> {
    /// `GET`, `POST`, ..
    pub method: &'a str,
    /// Absolute address.
    pub url: &'a str,
    /// Headers; their values may be secret.
    pub headers: &'a [(&'static str, &'a str)],
    /// Body; empty for none.
    pub body: &'a str,
}

/// What came back.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Zeroizing<Vec<u8>>,
}

/// No answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Address or headers are none.
    #[error("the request cannot be built")]
    Request,
    /// No connection, no trusted certificate, or no answer.
    #[error("no connection")]
    Connection,
    /// The answer took too long.
    #[error("timeout")]
    Timeout,
    /// The body is longer than anything expected.
    #[error("too long an answer")]
    TooLong,
}

impl HttpClient {
    /// A client that waits that long for an answer.
    pub fn new(patience: Duration) -> Self {
        Self {
            plain: Arc::default(),
            tls: Arc::default(),
            patience,
        }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// No answer. A status of refusal is an answer.
    pub async fn send(&self, exchange: Exchange<'_>) -> Result<Answer, HttpError> {
        let mut request = HttpRequest::new(SdkBody::from(exchange.body));
        request
            .set_method(exchange.method)
            .map_err(|_| HttpError::Request)?;
        request
            .set_uri(exchange.url.to_owned())
            .map_err(|_| HttpError::Request)?;
        let length = exchange.body.len().to_string();
        for (name, value) in exchange
            .headers
            .iter()
            .copied()
            .chain([("content-length", length.as_str())])
        {
            request
                .headers_mut()
                .try_insert(name, value.to_owned())
                .map_err(|_| HttpError::Request)?;
        }
        // Made when first needed: reading the machine's root certificates takes milliseconds of the start.
        let connector = if exchange.url.starts_with("http://") {
            self.plain.get_or_init(|| {
                Connector::builder()
                    .sleep_impl(TokioSleep::new())
                    .build_http()
            })
        } else {
            let builder = || Connector::builder().sleep_impl(TokioSleep::new());
            self.tls.get_or_init(|| {
                builder()
                    .tls_provider(Provider::Rustls(CryptoMode::Ring))
                    .build()
            })
        };
        let exchanged = async {
            let response = connector
                .call(request)
                .await
                .map_err(|_| HttpError::Connection)?;
            let status = response.status().as_u16();
            let mut stream = ByteStream::new(response.into_body());
            let mut body = Zeroizing::new(Vec::new());
            while let Some(part) = stream.next().await {
                let part = part.map_err(|_| HttpError::Connection)?;
                if body.len() + part.len() > LONGEST {
                    return Err(HttpError::TooLong);
                }
                body.extend_from_slice(&part);
            }
            Ok(Answer { status, body })
        };
        tokio::time::timeout(self.patience, exchanged)
            .await
            .unwrap_or(Err(HttpError::Timeout))
    }
}
