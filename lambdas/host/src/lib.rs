//! What both functions share with each other and with nothing else: settings from the environment, AWS
//! clients, a log that cannot be turned up, fixed failure texts and the loop of the Lambda Runtime API.
//!
//! It deliberately has no tracing subscriber: the AWS SDK writes whole response bodies at TRACE, and no
//! environment variable may be able to switch that on. The only lines a function writes are those of [`log`].

pub mod client;
pub mod environment;
pub mod failure;
pub mod http;
pub mod log;
pub mod runtime;

pub use client::{Patience, sdk_config};
pub use environment::{Environment, EnvironmentError};
pub use failure::{AwsFailure, Failure};
pub use http::{Answer, Exchange, HttpClient, HttpError};
pub use runtime::{HostError, run, serve};
