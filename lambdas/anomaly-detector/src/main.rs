//! The detector's process: `bootstrap` in its package.

use std::process::ExitCode;

fn main() -> ExitCode {
    lambda_host::run(anomaly_detector::serve())
}
