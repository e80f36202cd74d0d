//! The loop of the Lambda Runtime API around one handler, and the process around the loop.
//!
//! The handler gets the event's raw text, whatever it is: a payload that a JSON parser refuses must reach the
//! function, because for the detector an unreadable event is itself a finding. A panicking handler fails its
//! invocation with a fixed text and the loop goes on.

use std::future::Future;
use std::process::ExitCode;
use std::task::{Context, Poll};

use lambda_runtime::tower::Layer;
use lambda_runtime::{Diagnostic, LambdaEvent, LambdaInvocation, Runtime, Service, service_fn};
use serde_json::Value;

use crate::environment::{Environment, EnvironmentError};
use crate::failure::Failure;
use crate::log;

/// The process could not serve events.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A setting is missing or unusable.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The Runtime API could not be reached or ended.
    #[error("talk to the lambda runtime api")]
    RuntimeApi,
    /// The asynchronous runtime could not be built.
    #[error("start the asynchronous runtime")]
    Start(#[source] std::io::Error),
}

/// What Lambda promises to set. `lambda_runtime` panics without them.
const REQUIRED: [&str; 4] = [
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_RUNTIME_API",
];

/// Runs a function's `serve` to its end: the whole of its `main`.
pub fn run<F: Future<Output = Result<(), HostError>>>(serving: F) -> ExitCode {
    log::quiet_panics();
    let ended = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(HostError::Start)
        .and_then(|runtime| runtime.block_on(serving));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::line(
                log::Level::Error,
                "NotServing",
                &[("failed_to", &error.to_string())],
            );
            ExitCode::FAILURE
        }
    }
}

/// Serves events until the Runtime API ends, handing each one's raw text to `handle`.
///
/// # Errors
/// A missing Lambda variable, or a Runtime API that cannot be reached.
pub async fn serve<H, F>(environment: &Environment, handle: H) -> Result<(), HostError>
where
    H: Fn(String) -> F,
    F: Future<Output = Result<Value, Failure>> + Send + 'static,
{
    for name in REQUIRED {
        environment.required(name)?;
    }
    if environment
        .get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        .and_then(|size| size.parse::<i32>().ok())
        .is_none()
    {
        let name = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";
        return Err(EnvironmentError::Unusable {
            name,
            expected: "a number of megabytes is expected",
        }
        .into());
    }
    // A task of its own: its panic becomes a join error here, before the runtime crate would print its message.
    let handler = service_fn(|event: LambdaEvent<String>| {
        let task = tokio::spawn(handle(event.payload));
        async move {
            let outcome = task.await.unwrap_or_else(|_| Err(panicked()));
            if let Err(failure) = &outcome {
                log::line(
                    log::Level::Error,
                    failure.code,
                    &[("failed_to", &failure.text)],
                );
            }
            outcome.map_err(Diagnostic::from)
        }
    });
    Runtime::new(handler)
        .layer(AnyBody)
        .run()
        .await
        .map_err(|_| HostError::RuntimeApi)
}

fn panicked() -> Failure {
    Failure {
        code: "Panicked",
        text: "handle the event: the function panicked".to_owned(),
    }
}

/// Turns any payload into a JSON string, which the runtime crate cannot fail to parse.
struct AnyBody;

struct AnyBodyService<S>(S);

impl<S> Layer<S> for AnyBody {
    type Service = AnyBodyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AnyBodyService(inner)
    }
}

impl<S: Service<LambdaInvocation>> Service<LambdaInvocation> for AnyBodyService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut invocation: LambdaInvocation) -> Self::Future {
        let text = Value::String(String::from_utf8_lossy(&invocation.body).into_owned());
        invocation.body = text.to_string().into();
        self.0.call(invocation)
    }
}
