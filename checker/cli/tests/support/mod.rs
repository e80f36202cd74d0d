//! An embedded AWS in a process of its own, for tests that run the built checker against it.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use aws_smithy_http_client::Builder;
use aws_types::SdkConfig;
use aws_types::region::Region;

/// The region of the program.
pub(crate) const REGION: &str = "ap-southeast-2";

/// An embedded AWS in a process of its own, stopped at the end.
pub(crate) struct Lab {
    process: Child,
    /// Where it answers.
    pub(crate) endpoint: String,
}

impl Lab {
    /// Starts one with the program deployed.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// The same, with further options of `checker lab`.
    pub(crate) fn with(options: &[&str]) -> Self {
        let mut process = checker()
            .args(["lab", "--port", "0"])
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let endpoint = line
            .trim()
            .strip_prefix("export AWS_ENDPOINT_URL=")
            .unwrap()
            .to_owned();
        Self { process, endpoint }
    }

    /// Ends it at once.
    pub(crate) fn stop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }

    /// A configuration with its administrator's credentials, which it did not issue.
    pub(crate) async fn administrator(&self) -> SdkConfig {
        aws_config::defaults(aws_config::BehaviorVersion::latest())
            .http_client(Builder::new().build_http())
            .endpoint_url(&self.endpoint)
            .region(Region::new(REGION))
            .test_credentials()
            .load()
            .await
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The built checker, in the repository.
pub(crate) fn checker() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_checker"));
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    command
}
