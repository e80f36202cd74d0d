//! Rotations end to end: the function's own code and the real AWS client against a small server that keeps
//! the rules of Secrets Manager (immutable versions, empty pending versions, label moves, label quota).

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "tests"
)]

mod database;
mod generated;
mod identity_provider;
mod interruption;
mod oauth;
mod openid_provider;
mod postgres_proxy;
mod postgres_server;
mod process;
#[path = "../../../host/tests/process/runtime_api.rs"]
mod runtime_api;
mod script;
mod secrets_server;
mod skipped;
