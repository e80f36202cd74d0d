//! The handle on a running lab: start it, point clients at it, move its clock,
//! plant faults, fill it, stop it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_types::SdkConfig;
use aws_types::region::Region;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::fault::{Fault, Faults};
use crate::lambda::host::Host;
use crate::replacement::Replacement;
use crate::shared::Shared;
use crate::world::World;

/// How a lab is started; `Default` is the bank's account and region on a free port.
#[derive(Debug, Clone)]
pub struct LabOptions {
    /// The loopback port; 0 takes a free one.
    pub port: u16,
    /// The twelve-digit account.
    pub account: String,
    /// The home region.
    pub region: String,
    /// The time to start at; `None` is now.
    pub clock: Option<DateTime<Utc>>,
    /// Faults planted from the beginning.
    pub faults: Vec<Fault>,
    /// Functions whose process is another executable than their own code.
    pub replace: Vec<Replacement>,
    /// Begins rotations and never carries them out: for questions that no rotation can change.
    pub still: bool,
    /// Delivers events to no function, which is left with its log group: for questions that no handled event can change.
    pub quiet: bool,
}

/// A running embedded AWS. Dropping it stops it.
pub struct Lab {
    shared: Arc<Shared>,
    address: SocketAddr,
    server: JoinHandle<()>,
    ticker: JoinHandle<()>,
}

/// The lab's clock.
#[derive(Clone)]
pub struct LabClock {
    shared: Arc<Shared>,
}

/// Why a lab can't be started or filled.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The port is taken, or loopback is not available.
    #[error("listen on loopback port {port}: {source}")]
    Listen {
        /// The port asked for.
        port: u16,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder for the functions' code can't be made.
    #[error("make a temporary folder for functions: {0}")]
    Folder(std::io::Error),
    /// The account is not twelve digits.
    #[error("start the lab: the account `{0}` is not twelve digits")]
    Account(String),
    /// There is no function with this ARN to rotate the secrets with.
    #[error("fill the lab: there is no function `{0}`")]
    NoFunction(String),
}

impl Default for LabOptions {
    fn default() -> Self {
        Self {
            port: 0,
            account: "647751526084".to_owned(),
            region: "ap-southeast-2".to_owned(),
            clock: None,
            faults: Vec::new(),
            replace: Vec::new(),
            still: false,
            quiet: false,
        }
    }
}

impl Lab {
    /// Serves an empty AWS on loopback; needs a running Tokio runtime.
    pub async fn start(options: LabOptions) -> Result<Self, LabError> {
        let digits = options.account.bytes().all(|byte| byte.is_ascii_digit());
        if options.account.len() != 12 || !digits {
            return Err(LabError::Account(options.account));
        }
        let port = options.port;
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .map_err(|source| LabError::Listen { port, source })?;
        let address = listener
            .local_addr()
            .map_err(|source| LabError::Listen { port, source })?;
        let host = Host::new(options.replace).map_err(LabError::Folder)?;
        let world = World {
            account: options.account,
            region: options.region,
            ..World::default()
        };
        let clock = Clock::starting(options.clock.unwrap_or_else(Utc::now));
        let runtime = tokio::runtime::Handle::current();
        let mut shared = Shared::new(world, clock, host, runtime);
        shared.still = options.still;
        shared.quiet = options.quiet;
        let shared = Arc::new(shared);
        shared.endpoint.get_or_init(|| format!("http://{address}"));
        for fault in options.faults {
            shared.faults.plant(fault);
        }
        let server = tokio::spawn(crate::server::serve(listener, Arc::clone(&shared)));
        let ticker = tokio::spawn(Arc::clone(&shared).tick());
        Ok(Self {
            shared,
            address,
            server,
            ticker,
        })
    }

    /// `http://127.0.0.1:<port>`
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The home region.
    pub fn region(&self) -> &str {
        &self.shared.region
    }

    /// The account.
    pub fn account(&self) -> &str {
        &self.shared.account
    }

    /// The lab's clock.
    pub fn clock(&self) -> LabClock {
        LabClock {
            shared: Arc::clone(&self.shared),
        }
    }

    /// The planted faults.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Waits until no rotation and no asynchronous invocation is in flight.
    pub async fn settle(&self) {
        self.shared.settle().await;
    }

    /// Adds `n` managed secrets `bank-lab/fill/000001`, ..., rotated by the function within the last days.
    ///
    /// They are tagged like the secrets that the function rotates already, and leave
    /// no `CloudTrail` events.
    pub fn fill_secrets(&self, n: u32, function_arn: &str) -> Result<(), LabError> {
        let now = self.shared.clock.now();
        self.shared
            .act(|world| crate::fill::secrets(world, n, function_arn, now))
    }

    /// Decides what the next key is called and what the ARN of the next secret ends with.
    pub(crate) fn decide_ids(&self, key: Option<String>, suffix: Option<String>) {
        self.shared.act(|world| world.ids.decide(key, suffix));
    }

    /// A configuration that points SDK clients at the lab, with its administrator's credentials.
    pub fn sdk_config(&self) -> SdkConfig {
        let credentials = Credentials::new(
            "AKIALABADMINISTRATOR",
            "lab-administrator",
            None,
            None,
            "checker-lab",
        );
        self.sdk_config_with(credentials)
    }

    /// The same with other credentials, e.g. those that `AssumeRole` answered.
    pub fn sdk_config_with(&self, credentials: Credentials) -> SdkConfig {
        SdkConfig::builder()
            .behavior_version(
                aws_smithy_runtime_api::client::behavior_version::BehaviorVersion::latest(),
            )
            .region(Region::new(self.shared.region.clone()))
            .endpoint_url(self.endpoint())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .sleep_impl(TokioSleep::new())
            .build()
    }

    /// Stops serving, and ends the functions' processes.
    pub async fn stop(self) {
        self.server.abort();
        self.ticker.abort();
        self.shared.host.stop().await;
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.server.abort();
        self.ticker.abort();
    }
}

impl LabClock {
    /// The lab's time.
    pub fn now(&self) -> DateTime<Utc> {
        self.shared.clock.now()
    }

    /// Waits until no rotation and no asynchronous invocation is in flight.
    pub async fn settle(&self) {
        self.shared.settle().await;
    }

    /// Moves the clock on and runs everything that becomes due, in order.
    ///
    /// It returns when the last rotation has ended; 91 days take about a second.
    pub async fn advance(&self, by: Duration) {
        let by = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
        let target = self
            .now()
            .checked_add_signed(by)
            .unwrap_or(DateTime::<Utc>::MAX_UTC);
        self.shared.advance(target).await;
    }
}
