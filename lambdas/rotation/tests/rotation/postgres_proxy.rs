//! A way to a `PostgreSQL` server that can be cut: everything the function sends is a call of the [`Script`],
//! whether it belongs to TLS, to the login or to a statement.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::script::{Fate, Script};

/// How long an answer is waited for that nobody will hear: long enough for a commit.
const ANSWER: Duration = Duration::from_millis(150);

/// Forwards connections to `port`, and returns the port of its own.
pub(crate) async fn start(port: u16, script: Script) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            tokio::spawn(forward(client, server, script.clone()));
        }
    });
    own
}

/// Both connections end with this, in whatever state they are.
async fn forward(mut client: TcpStream, mut server: TcpStream, script: Script) {
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let read = read.unwrap_or(0);
                if read == 0 {
                    return;
                }
                let fate = script.arrive();
                if !matches!(fate, Some(Fate::Refused | Fate::KilledBefore))
                    && server.write_all(&up[..read]).await.is_err()
                {
                    return;
                }
                if matches!(fate, Some(Fate::Lost | Fate::KilledAfter)) {
                    drop(tokio::time::timeout(ANSWER, server.read(&mut down)).await);
                }
                if matches!(fate, Some(Fate::KilledBefore | Fate::KilledAfter)) {
                    script.kill();
                }
                if fate.is_some() {
                    return;
                }
            }
            read = server.read(&mut down) => {
                let read = read.unwrap_or(0);
                if read == 0 || client.write_all(&down[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}
