//! One process of a function: its `bootstrap`, and the Runtime API that it polls.
//!
//! Every process has its own loopback port, as every execution environment on AWS
//! has its own Runtime API. A process handles one event at a time. It ends when it
//! exceeds its time, when it exits by itself, and when it is dropped.

use std::convert::Infallible;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Answers of synchronous invocations are at most 6 MB on AWS.
const RESPONSE_LIMIT: usize = 6 << 20;

/// A process needs its own time to start; AWS gives ten seconds.
const INIT: Duration = Duration::from_secs(10);

/// How often starting is tried again while another process still holds the file for writing.
const BUSY_TRIES: u32 = 50;

/// An event for a process.
pub(super) struct Job {
    pub(super) request_id: String,
    pub(super) payload: Bytes,
    pub(super) timeout: Duration,
}

/// How an event ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The function answered.
    Answer(Bytes),
    /// The function reported an error, or its process failed: the error object.
    Failure(Bytes),
}

/// A running process.
pub(super) struct Process {
    child: Child,
    jobs: mpsc::UnboundedSender<Queued>,
    server: JoinHandle<()>,
    output: Output,
}

struct Queued {
    job: Job,
    /// Told when the process has taken the event: its time counts from then.
    taken: oneshot::Sender<()>,
    reply: oneshot::Sender<Ended>,
}

impl Process {
    /// Starts the command, which knows its folder and its environment.
    pub(super) async fn start(mut command: Command, function_arn: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let api = listener.local_addr()?.to_string();
        let (sender, receiver) = pipe::pipe()?;
        let output_fd = sender.into_blocking_fd()?;
        let errors_fd = output_fd.try_clone()?;
        command
            .env("AWS_LAMBDA_RUNTIME_API", &api)
            .stdin(Stdio::null())
            .stdout(Stdio::from(output_fd))
            .stderr(Stdio::from(errors_fd))
            .kill_on_drop(true);
        let child = spawn(&mut command).await?;
        // The command holds the writing ends; the pipe must end with the process.
        drop(command);
        let (jobs, queue) = mpsc::unbounded_channel();
        let runtime_api = Arc::new(RuntimeApi {
            function_arn: function_arn.to_owned(),
            queue: tokio::sync::Mutex::new(queue),
            current: Mutex::new(None),
        });
        Ok(Self {
            child,
            jobs,
            server: tokio::spawn(serve(listener, runtime_api)),
            output: Output {
                pipe: receiver,
                partial: Vec::new(),
                lines: Vec::new(),
            },
        })
    }

    /// Whether the process still runs.
    pub(super) fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Runs one event; the process is dead afterwards when it exceeded its time or exited.
    pub(super) async fn run(&mut self, job: Job) -> Ended {
        let timeout = job.timeout;
        let request_id = job.request_id.clone();
        let (reply, mut answer) = oneshot::channel();
        let (taken, mut was_taken) = oneshot::channel();
        let begun = Instant::now();
        let queued = Queued { job, taken, reply };
        if self.jobs.send(queued).is_err() {
            return failure("Runtime.Unknown", &request_id, "the runtime API ended");
        }
        let mut end = std::pin::pin!(tokio::time::sleep(INIT + timeout));
        let mut waiting = true;
        let ended = loop {
            tokio::select! {
                biased;
                ended = &mut answer => {
                    break ended.unwrap_or_else(|_| {
                        failure("Runtime.Unknown", &request_id, "the runtime API ended")
                    });
                }
                _ = &mut was_taken, if waiting => {
                    waiting = false;
                    end.as_mut().reset(tokio::time::Instant::now() + timeout);
                }
                status = self.child.wait() => {
                    // An error report may have been posted just before the exit.
                    if let Ok(ended) = answer.try_recv() {
                        break ended;
                    }
                    let status = status.map_or_else(|error| error.kind().to_string(), |status| status.to_string());
                    let text = format!("Runtime exited with error: {status}");
                    break failure("Runtime.ExitError", &request_id, &text);
                }
                () = &mut end => {
                    // A process that can't be killed has ended already.
                    drop(self.child.start_kill());
                    drop(self.child.wait().await);
                    let seconds = timeout.as_secs_f64();
                    let text = format!("Task timed out after {seconds:.2} seconds");
                    break failure("Sandbox.Timedout", &request_id, &text);
                }
                () = self.output.read() => {}
            }
        };
        self.output.drain();
        self.output.report(&request_id, begun.elapsed());
        ended
    }

    /// The lines that the process wrote since the last call.
    pub(super) fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.output.lines)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Starts a command; waits while the executable is still open for writing in a process being forked.
async fn spawn(command: &mut Command) -> std::io::Result<Child> {
    let mut tries = 0;
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == std::io::ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES =>
            {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            result => return result,
        }
    }
}

fn failure(kind: &str, request_id: &str, text: &str) -> Ended {
    let message = format!("RequestId: {request_id} Error: {text}");
    let body = json!({"errorType": kind, "errorMessage": message});
    Ended::Failure(Bytes::from(body.to_string()))
}

/// Standard output and standard error, in the order they were written.
struct Output {
    pipe: pipe::Receiver,
    partial: Vec<u8>,
    lines: Vec<String>,
}

impl Output {
    /// Waits for output and takes it; waits for ever once the pipe is closed.
    async fn read(&mut self) {
        match self.pipe.readable().await {
            Ok(()) if self.take() != Taken::Closed => {}
            Ok(()) | Err(_) => std::future::pending().await,
        }
    }

    /// Takes what is there without waiting.
    fn drain(&mut self) {
        while self.take() == Taken::Some {}
    }

    /// Takes one buffer.
    fn take(&mut self) -> Taken {
        let mut buffer = [0; 8192];
        match self.pipe.try_read(&mut buffer) {
            Ok(0) => Taken::Closed,
            Ok(read) => {
                self.keep(buffer.get(..read).unwrap_or_default());
                Taken::Some
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Taken::None,
            Err(_) => Taken::Closed,
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
        while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            let text = String::from_utf8_lossy(&line);
            self.lines.push(text.trim_end().to_owned());
        }
    }

    fn report(&mut self, request_id: &str, took: Duration) {
        let millis = took.as_secs_f64() * 1000.0;
        self.lines
            .insert(0, format!("START RequestId: {request_id} Version: $LATEST"));
        self.lines.push(format!("END RequestId: {request_id}"));
        self.lines.push(format!(
            "REPORT RequestId: {request_id}\tDuration: {millis:.2} ms"
        ));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    Some,
    None,
    Closed,
}

/// What the process talks to.
struct RuntimeApi {
    function_arn: String,
    queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<Queued>>,
    current: Mutex<Option<(String, oneshot::Sender<Ended>)>>,
}

async fn serve(listener: TcpListener, api: Arc<RuntimeApi>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        drop(stream.set_nodelay(true));
        let api = Arc::clone(&api);
        let answer = service_fn(move |request| respond(Arc::clone(&api), request));
        connections.spawn(async move {
            // The process may end in the middle of a request.
            drop(
                http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), answer)
                    .await,
            );
        });
    }
}

async fn respond(
    api: Arc<RuntimeApi>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().trim_start_matches("/2018-06-01/runtime/");
    let steps: Vec<&str> = path.split('/').collect();
    Ok(match (parts.method, steps.as_slice()) {
        (Method::GET, ["invocation", "next"]) => api.next().await,
        (Method::POST, ["invocation", id, "response"]) => {
            if let Ok(body) = Limited::new(body, RESPONSE_LIMIT).collect().await {
                api.end(id, Ended::Answer(body.to_bytes()))
            } else {
                let text =
                    "Response payload size exceeded maximum allowed payload size (6291556 bytes).";
                api.end(id, failure("Function.ResponseSizeTooLarge", id, text));
                status(StatusCode::PAYLOAD_TOO_LARGE)
            }
        }
        (Method::POST, ["invocation", id, "error"]) => {
            let body = body
                .collect()
                .await
                .map(http_body_util::Collected::to_bytes);
            api.end(id, Ended::Failure(body.unwrap_or_default()))
        }
        (Method::POST, ["init", "error"]) => {
            let body = body
                .collect()
                .await
                .map(http_body_util::Collected::to_bytes);
            api.fail_init(body.unwrap_or_default()).await
        }
        _ => status(StatusCode::NOT_FOUND),
    })
}

impl RuntimeApi {
    async fn next(&self) -> Response<Full<Bytes>> {
        let Some(Queued { job, taken, reply }) = self.queue.lock().await.recv().await else {
            return status(StatusCode::GONE);
        };
        // The invoker may have given up already.
        taken.send(()).unwrap_or_default();
        let deadline = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            + job.timeout;
        let mut response = Response::new(Full::new(job.payload));
        let headers = [
            ("lambda-runtime-aws-request-id", job.request_id.clone()),
            (
                "lambda-runtime-deadline-ms",
                deadline.as_millis().to_string(),
            ),
            (
                "lambda-runtime-invoked-function-arn",
                self.function_arn.clone(),
            ),
            (
                "lambda-runtime-trace-id",
                "Root=1-00000000-000000000000000000000000;Sampled=0".to_owned(),
            ),
            ("content-type", "application/json".to_owned()),
        ];
        for (name, value) in headers {
            if let Ok(value) = http::HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((job.request_id, reply));
        response
    }

    fn end(&self, id: &str, ended: Ended) -> Response<Full<Bytes>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match current.take() {
            Some((expected, reply)) if expected == id => {
                // The invoker may have given up already.
                drop(reply.send(ended));
                status(StatusCode::ACCEPTED)
            }
            other => {
                *current = other;
                status(StatusCode::BAD_REQUEST)
            }
        }
    }

    async fn fail_init(&self, error: Bytes) -> Response<Full<Bytes>> {
        // A process is started for an event, so one is queued or about to be.
        if let Some(Queued { reply, .. }) = self.queue.lock().await.recv().await {
            drop(reply.send(Ended::Failure(error)));
        }
        status(StatusCode::ACCEPTED)
    }
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
    *response.status_mut() = status;
    response
}
