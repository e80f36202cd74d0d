//! An embedded AWS for one process, and the Pulumi YAML program applied to it.
//!
//! [`Lab::start`] serves the AWS protocols on a loopback port, [`program`]
//! evaluates a Pulumi YAML program and applies it through the ordinary SDK
//! clients. The lab is strict: what AWS refuses it refuses, and an operation or
//! member that it doesn't know is an error that names it, never silence.
//!
//! Reading order: [`Lab`] (the handle), `server` (HTTP to call and
//! back), `protocol` (model-driven validation and codecs), `service` (the seam
//! of a handler), `world` (the state), then one file a service.
//!
//! It deliberately shares no code with the checker's reading of the facts: an
//! emulator that did would agree with the checker's bugs.

pub mod program;

mod authorise;
mod catalog;
mod clock;
mod control;
mod credentials;
mod fault;
mod few;
mod fill;
mod ids;
mod lab;
mod protocol;
mod replacement;
mod rotation;
mod schedule;
mod server;
mod service;
mod shared;
mod trail;
mod world;

mod cloudtrail;
mod cloudwatch;
mod events;
mod iam;
mod kms;
mod lambda;
mod logs;
mod scheduler;
mod secretsmanager;
mod sns;
mod sqs;
mod ssm;
mod sts;
mod tagging;
mod walk;

pub use fault::{Fault, FaultError, FaultKind, Faults};
pub use lab::{Lab, LabClock, LabError, LabOptions};
pub use replacement::{Replacement, ReplacementError};
