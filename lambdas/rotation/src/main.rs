//! The rotation function's process: `bootstrap` in its package.

use std::process::ExitCode;

fn main() -> ExitCode {
    lambda_host::run(rotation::serve())
}
