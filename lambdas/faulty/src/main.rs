//! `faulty-function BEHAVIOUR`: a rotation function or a detector that misbehaves in exactly one way, so that a test
//! can show that the checker notices it. The real functions have no switch for any of this, and nothing deploys it.
//!
//! The lab runs it instead of a function of the program:
//! * in Rust: `LabOptions { replace: vec!["bank-secrets-rotation-dev=target/release/faulty-function rotation-no-promote".parse()?], .. }`
//! * outside: `checker run --lab-function 'bank-secrets-rotation-dev=target/release/faulty-function rotation-no-promote'`,
//!   and the same option of `checker lab`.
//!
//! Without an argument it lists its behaviours. Build it with `cargo build --release -p faulty-function`.

mod behaviour;
mod detector;
mod rotator;

use std::process::ExitCode;

use behaviour::{Behaviour, Which};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let Some(behaviour) = Behaviour::named(&name) else {
        lambda_host::log::line(
            lambda_host::log::Level::Error,
            "NoSuchBehaviour",
            &[("behaviours", &behaviour::names())],
        );
        return ExitCode::from(2);
    };
    match behaviour.which {
        Which::Rotation(fault) => lambda_host::run(rotator::serve(fault)),
        Which::Detector(fault) => lambda_host::run(detector::serve(fault)),
    }
}
