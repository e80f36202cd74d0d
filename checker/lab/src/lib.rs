//! An embedded AWS for one process, and the Pulumi YAML program applied to it.
//!
//! [`Lab::start`] serves the AWS protocols on a loopback port, [`program`]
//! evaluates a Pulumi YAML program and applies it through the ordinary SDK
//! clients. The lab is strict: what AWS refuses it refuses, and an operation or
//! member that it doesn't know is an error that names it, never silence.
//!
//! Reading order: [`lab`](crate::Lab) (the handle), `server` (HTTP to call and
//! back), `protocol` (model-driven validation and codecs), `service` (the seam
//! of a handler), `world` (the state), then one file a service.
//!
//! It deliberately shares no code with the checker's reading of the facts: an
//! emulator that did would agree with the checker's bugs.

pub mod program;

mod credentials;
mod ids;
mod rotation;
mod service;
mod world;

mod cloudtrail;
mod cloudwatch;
mod events;
mod iam;
mod kms;
mod lambda;
mod logs;
mod secretsmanager;
mod sns;
mod sqs;
mod ssm;
mod sts;
mod tagging;
