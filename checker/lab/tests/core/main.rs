//! The lab through the real SDK clients: protocol, Secrets Manager, KMS, Lambda, rotation, clock, faults.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that can't set itself up has failed"
)]

mod asynchronous;
mod authorisation;
mod function;
mod keys;
mod lambda;
mod protocol;
mod rotation;
mod schedule;
mod secrets;
mod stage;
mod telling;
