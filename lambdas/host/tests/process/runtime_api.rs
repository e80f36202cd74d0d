//! A function's real process behind a Lambda Runtime API that hands it given payloads, for the tests of the
//! functions: they include this file by its path.

use std::process::Stdio;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// What a process did with its payloads.
pub(crate) struct Served {
    /// `response` or `error`, and the body, in order.
    pub(crate) outcomes: Vec<(String, String)>,
    /// All that the process wrote to its standard output and error.
    pub(crate) written: String,
}

/// Starts `binary` with `settings` and the noisiest logging that an environment can ask for, hands it the
/// payloads one by one, and ends it.
pub(crate) async fn serve(binary: &str, settings: &[(&str, &str)], payloads: &[Vec<u8>]) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let process = tokio::process::Command::new(binary)
        .env_clear()
        .envs(settings.iter().copied())
        .env("AWS_LAMBDA_RUNTIME_API", &address)
        .env("AWS_LAMBDA_FUNCTION_NAME", "test")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("RUST_LOG", "trace")
        .env("AWS_LAMBDA_LOG_LEVEL", "TRACE")
        .env("RUST_BACKTRACE", "full")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (outcomes, asked_again) = tokio::select! {
        outcomes = hand_out(&listener, payloads) => (outcomes, true),
        () = tokio::time::sleep(std::time::Duration::from_mins(1)) => (Vec::new(), false),
    };
    assert!(
        asked_again,
        "the process did not come back for another payload"
    );
    let mut process = process;
    process.start_kill().unwrap();
    let output = process.wait_with_output().await.unwrap();
    let written = [output.stdout, output.stderr].concat();
    Served {
        outcomes,
        written: String::from_utf8_lossy(&written).into_owned(),
    }
}

async fn hand_out(listener: &TcpListener, payloads: &[Vec<u8>]) -> Vec<(String, String)> {
    let mut outcomes = Vec::new();
    let mut handed = 0;
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = Vec::new();
        while let Some((head, body)) = request(&mut stream, &mut buffer).await {
            let answer = if head.contains("/invocation/next") {
                let Some(payload) = payloads.get(handed) else {
                    return outcomes;
                };
                handed += 1;
                let headers = "lambda-runtime-aws-request-id: i-1\r\nlambda-runtime-deadline-ms: 9999999999999\r\n\
                     lambda-runtime-invoked-function-arn: arn:aws:lambda:r:1:function:f\r\n";
                let length = payload.len();
                [
                    format!("HTTP/1.1 200 OK\r\n{headers}content-length: {length}\r\n\r\n")
                        .as_bytes(),
                    payload,
                ]
                .concat()
            } else {
                let kind = if head.contains("/error ") {
                    "error"
                } else {
                    "response"
                };
                outcomes.push((kind.to_owned(), body));
                b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_vec()
            };
            if stream.write_all(&answer).await.is_err() {
                break;
            }
        }
    }
}

/// The next request on a connection: head and body.
async fn request(
    stream: &mut tokio::net::TcpStream,
    buffer: &mut Vec<u8>,
) -> Option<(String, String)> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let length = head.to_ascii_lowercase().lines().find_map(|line| {
                line.strip_prefix("content-length: ")
                    .and_then(|length| length.parse::<usize>().ok())
            });
            let whole = end + 4 + length.unwrap_or(0);
            if buffer.len() >= whole {
                let body = String::from_utf8_lossy(&buffer[end + 4..whole]).into_owned();
                buffer.drain(..whole);
                return Some((head, body));
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}
