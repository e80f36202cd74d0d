//! The Lambda host: unpacks a function's zip, keeps its processes warm, runs events.
//!
//! A process gets what AWS gives it: the function's environment, the variables that
//! Lambda sets, credentials of the function's role, and the endpoint of the lab.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::{Notify, Semaphore};

use super::Function;
pub(crate) use super::process::Ended;
use super::process::{Job, Process};
use crate::clock::Clock;
use crate::credentials::RoleSession;
use crate::iam::resource_access::role_may;
use crate::replacement::Replacement;
use crate::shared::Shared;

/// Processes of one function that run at the same time; further events wait.
const CONCURRENCY: usize = 8;

/// How long a process's credentials last, in the lab's time.
const CREDENTIALS_HOURS: i64 = 12;

/// How long after one process of a function the next one is started, while events wait: starting one takes longer than
/// most events do, so that those that wait are soon handled by one that is there.
const PATIENCE: Duration = Duration::from_millis(100);

/// Unpacked code larger than this is refused, as on AWS.
const UNPACKED_LIMIT: u64 = 250 << 20;

/// All processes of a lab's functions.
pub(crate) struct Host {
    folder: TempDir,
    replaced: Vec<Replacement>,
    pools: Mutex<BTreeMap<String, Arc<Pool>>>,
}

/// The processes of one revision of a function.
struct Pool {
    revision: String,
    folder: PathBuf,
    slots: Semaphore,
    /// Shared by every event that is handled or about to be.
    busy: Arc<()>,
    idle: Mutex<Idle>,
    /// Tells one of those that wait that a process is idle, or has ended.
    freed: Notify,
    unpacked: tokio::sync::OnceCell<Result<(), String>>,
}

/// Processes that wait for an event, and when the last one was started.
#[derive(Default)]
struct Idle {
    warm: Vec<Warm>,
    started: Option<Instant>,
}

struct Warm {
    process: Process,
    stream: String,
    expires: DateTime<Utc>,
}

/// How an invocation ended, with what the function wrote.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) ended: Ended,
    /// The lines of its log, START to REPORT.
    pub(crate) lines: Vec<String>,
}

impl Host {
    /// A host without processes; its folder goes when it is dropped.
    pub(crate) fn new(replaced: Vec<Replacement>) -> std::io::Result<Self> {
        Ok(Self {
            replaced,
            folder: tempfile::Builder::new().prefix("checker-lab-").tempdir()?,
            pools: Mutex::default(),
        })
    }

    /// Runs one event in a process of the function.
    pub(crate) async fn run(
        &self,
        shared: &Arc<Shared>,
        function: &Function,
        request_id: &str,
        payload: Bytes,
    ) -> Finished {
        if !function.runtime.starts_with("provided") {
            return refused(
                request_id,
                "the lab only runs the custom runtimes `provided*`",
            );
        }
        let pool = self.pool(function);
        let Ok(slot) = pool.slots.acquire().await else {
            return refused(request_id, "the host has stopped");
        };
        let unpacked = pool
            .unpacked
            .get_or_init(|| unpack_in_background(Arc::clone(&function.code), pool.folder.clone()))
            .await;
        if let Err(problem) = unpacked {
            return refused(request_id, problem);
        }
        let (idle, busy) = pool.idle_or_own(&shared.clock).await;
        let mut warm = match idle {
            Some(warm) => warm,
            None => match start(shared, function, &pool.folder, self.program(function)).await {
                Ok(warm) => warm,
                Err(error) => {
                    let text = format!("fork/exec /var/task/bootstrap: {}", error.kind());
                    return failed("Runtime.InvalidEntrypoint", request_id, &text);
                }
            },
        };
        let seconds = u64::try_from(function.timeout).unwrap_or(3);
        let job = Job {
            request_id: request_id.to_owned(),
            payload,
            timeout: Duration::from_secs(seconds),
        };
        let ended = warm.process.run(job).await;
        let lines = warm.process.take_lines();
        keep_log(shared, function, &warm.stream, &lines);
        if warm.process.alive() {
            pool.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .warm
                .push(warm);
        }
        drop(busy);
        pool.freed.notify_one();
        drop(slot);
        Finished { ended, lines }
    }

    /// Ends all processes.
    pub(crate) async fn stop(&self) {
        let pools = std::mem::take(&mut *self.pools.lock().unwrap_or_else(PoisonError::into_inner));
        for pool in pools.values() {
            pool.slots.close();
            pool.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .warm
                .clear();
        }
        // Gives the runtime the chance to reap what was killed.
        tokio::task::yield_now().await;
    }

    /// What runs instead of the function's own code, if anything does.
    fn program(&self, function: &Function) -> Option<&Replacement> {
        self.replaced
            .iter()
            .find(|replacement| replacement.function == function.name)
    }

    /// The pool of a function's current revision; older processes end when they are idle.
    fn pool(&self, function: &Function) -> Arc<Pool> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let current = pools
            .get(&function.arn)
            .filter(|pool| pool.revision == function.revision);
        if let Some(pool) = current {
            return Arc::clone(pool);
        }
        let pool = Arc::new(Pool {
            revision: function.revision.clone(),
            folder: self.folder.path().join(&function.revision),
            slots: Semaphore::new(CONCURRENCY),
            busy: Arc::default(),
            idle: Mutex::default(),
            freed: Notify::new(),
            unpacked: tokio::sync::OnceCell::new(),
        });
        pools.insert(function.arn.clone(), Arc::clone(&pool));
        pool
    }
}

impl Pool {
    /// A warm process, or nothing where the event gets one of its own; with it, the event's share of those handled.
    async fn idle_or_own(&self, clock: &Clock) -> (Option<Warm>, Arc<()>) {
        loop {
            let wait = match self.look(clock.now()) {
                Ok(found) => return found,
                Err(wait) => wait,
            };
            // Either way it looks again.
            drop(tokio::time::timeout(wait, self.freed.notified()).await);
        }
    }

    /// A warm process whose credentials are still good, or leave to start one; otherwise how long to wait.
    fn look(&self, now: DateTime<Utc>) -> Result<(Option<Warm>, Arc<()>), Duration> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(mut warm) = idle.warm.pop() {
            if warm.expires > now && warm.process.alive() {
                return Ok((Some(warm), Arc::clone(&self.busy)));
            }
        }
        let nobody = Arc::strong_count(&self.busy) == 1;
        let waited = idle.started.map_or(PATIENCE, |at| at.elapsed());
        match PATIENCE.checked_sub(waited) {
            Some(left) if !nobody && !left.is_zero() => Err(left),
            Some(_) | None => {
                idle.started = Some(Instant::now());
                Ok((None, Arc::clone(&self.busy)))
            }
        }
    }
}

async fn start(
    shared: &Arc<Shared>,
    function: &Function,
    folder: &Path,
    replaced: Option<&Replacement>,
) -> std::io::Result<Warm> {
    let now = shared.clock.now();
    let expires = now
        .checked_add_signed(TimeDelta::hours(CREDENTIALS_HOURS))
        .unwrap_or(now);
    let (issued, stream) = shared.act(|world| {
        let role_id = world
            .iam
            .role_by_arn(&function.role)
            .map_or_else(|| "AROADELETED".to_owned(), |role| role.id.clone());
        let session = RoleSession {
            role_arn: function.role.clone(),
            role_id,
            session_name: function.name.clone(),
            session_policies: Vec::new(),
            tags: BTreeMap::new(),
            source_identity: None,
            issued: now,
            access_key: String::new(),
        };
        let issued = world.credentials.issue(&mut world.ids, session, expires);
        let stream = format!("{}/[$LATEST]{}", now.format("%Y/%m/%d"), world.ids.hex(32));
        (issued, stream)
    });
    let task_root = folder.to_string_lossy().into_owned();
    let mut environment: Vec<(String, String)> = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("LANG", "en_US.UTF-8"),
        ("TZ", ":UTC"),
        ("_HANDLER", function.handler.as_str()),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
        ("AWS_REGION", region_of(&function.arn)),
        ("AWS_DEFAULT_REGION", region_of(&function.arn)),
        ("AWS_LAMBDA_FUNCTION_NAME", function.name.as_str()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", function.log_group.as_str()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", stream.as_str()),
        ("LAMBDA_TASK_ROOT", task_root.as_str()),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("AWS_ACCESS_KEY_ID", issued.access_key.as_str()),
        ("AWS_SECRET_ACCESS_KEY", issued.secret_key.as_str()),
        ("AWS_SESSION_TOKEN", issued.session_token.as_str()),
        (
            "AWS_ENDPOINT_URL",
            shared.endpoint.get().map_or("", String::as_str),
        ),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    environment.push((
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE".to_owned(),
        function.memory.to_string(),
    ));
    environment.extend(function.environment.clone());
    let mut command = match replaced {
        None => Command::new(folder.join("bootstrap")),
        Some(replacement) => {
            let mut command = Command::new(&replacement.executable);
            command.args(&replacement.arguments);
            command
        }
    };
    command.current_dir(folder).env_clear().envs(environment);
    let process = Process::start(command, &function.arn).await?;
    Ok(Warm {
        process,
        stream,
        expires,
    })
}

fn region_of(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap_or_default()
}

async fn unpack_in_background(code: Arc<[u8]>, folder: PathBuf) -> Result<(), String> {
    tokio::task::spawn_blocking(move || unpack(&code, &folder))
        .await
        .map_err(|_| "unpacking was interrupted".to_owned())?
}

/// Unpacks a zip; only paths inside the folder are written.
fn unpack(code: &[u8], folder: &Path) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| format!("can't unpack the code: {error}");
    std::fs::create_dir_all(folder).map_err(|error| text(&error))?;
    let mut archive = zip::ZipArchive::new(Cursor::new(code)).map_err(|error| text(&error))?;
    let mut left = UNPACKED_LIMIT;
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).map_err(|error| text(&error))?;
        let Some(inside) = entry.enclosed_name() else {
            return Err("can't unpack the code: a path leads outside".to_owned());
        };
        let path = folder.join(inside);
        if entry.is_dir() {
            std::fs::create_dir_all(&path).map_err(|error| text(&error))?;
            continue;
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| text(&error))?;
        }
        let mode = entry.unix_mode().unwrap_or(0o644) & 0o777;
        let mut bytes = Vec::new();
        let read = entry
            .by_ref()
            .take(left + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| text(&error))?;
        left = u64::try_from(read)
            .ok()
            .and_then(|read| left.checked_sub(read))
            .ok_or_else(|| "can't unpack the code: it is larger than 250 MB".to_owned())?;
        std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&path)
            .and_then(|mut file| file.write_all(&bytes))
            .map_err(|error| text(&error))?;
    }
    Ok(())
}

/// Keeps what a function wrote in its log group, if its role may write there.
pub(super) fn keep_log(shared: &Arc<Shared>, function: &Function, stream: &str, lines: &[String]) {
    let now = shared.clock.now();
    shared.act(|world| {
        let region = region_of(&function.arn);
        let group = format!(
            "arn:aws:logs:{region}:{}:log-group:{}:log-stream:{stream}",
            world.account, function.log_group
        );
        let may = |action| role_may(&world.iam, &function.role, action, &group, None);
        if !may("logs:CreateLogStream") || !may("logs:PutLogEvents") {
            return;
        }
        crate::logs::write(world, region, &function.log_group, stream, lines, now);
    });
}

fn refused(request_id: &str, problem: &str) -> Finished {
    failed("Runtime.Refused", request_id, problem)
}

fn failed(kind: &str, request_id: &str, problem: &str) -> Finished {
    let message = format!("RequestId: {request_id} Error: {problem}");
    let body = json!({"errorType": kind, "errorMessage": message});
    Finished {
        ended: Ended::Failure(Bytes::from(body.to_string())),
        lines: Vec::new(),
    }
}
