//! A real `PostgreSQL` of the machine, on its own port, with TLS by an authority made for the test, the
//! statement log on and statement statistics loaded. It ends with the value that holds it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::skipped::skipped;

const BINARIES: &str = "/usr/lib/postgresql/15/bin";

pub(crate) struct Postgres {
    directory: TempDir,
    user: Option<u32>,
    child: Child,
    pub(crate) port: u16,
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Postgres {
    /// `None`, said loudly, where the machine has no `PostgreSQL` 15 or no openssl.
    pub(crate) fn start(tls: bool) -> Option<Self> {
        if !Path::new(BINARIES).join("initdb").exists()
            || run(Command::new("openssl").arg("version")).is_none()
        {
            skipped("database tests", "Debian's postgresql-15 and openssl");
            return None;
        }
        let directory = TempDir::new().unwrap();
        let root = directory.path();
        // PostgreSQL refuses to run as root.
        let is_root = run(Command::new("id").arg("-u")).unwrap().trim() == "0";
        let user: Option<u32> = is_root.then(|| {
            run(Command::new("id").args(["-u", "postgres"]))
                .unwrap()
                .trim()
                .parse()
                .unwrap()
        });
        certificates(root);
        for name in ["", "server.key", "server.crt"] {
            chown(root.join(name), user, None).unwrap();
        }
        fs::set_permissions(root.join("server.key"), fs::Permissions::from_mode(0o600)).unwrap();
        let data = root.join("data");
        let mut initdb = Command::new(format!("{BINARIES}/initdb"));
        initdb
            .args([
                "--no-sync",
                "--auth=trust",
                "--username=admin",
                "--encoding=UTF8",
                "--no-locale",
                "-D",
            ])
            .arg(&data);
        run(as_user(&mut initdb, user)).expect("initdb");
        fs::write(
            data.join("pg_hba.conf"),
            "local all admin trust\nhost all all 127.0.0.1/32 scram-sha-256\n",
        )
        .unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let log = fs::File::create(root.join("log")).unwrap();
        let mut server = Command::new(format!("{BINARIES}/postgres"));
        server.arg("-D").arg(&data);
        for setting in [
            format!("port={port}"),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", root.display()),
            "shared_preload_libraries=pg_stat_statements".to_owned(),
            "log_statement=ddl".to_owned(),
            "log_min_messages=info".to_owned(),
            "log_connections=on".to_owned(),
            "fsync=off".to_owned(),
            format!("ssl={}", if tls { "on" } else { "off" }),
            format!("ssl_cert_file={}", root.join("server.crt").display()),
            format!("ssl_key_file={}", root.join("server.key").display()),
        ] {
            server.args(["-c", &setting]);
        }
        as_user(&mut server, user).stdout(Stdio::null()).stderr(log);
        let child = server.spawn().unwrap();
        let postgres = Self {
            directory,
            user,
            child,
            port,
        };
        let begun = Instant::now();
        while postgres.try_sql("SELECT 1").is_none() {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{}",
                postgres.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        postgres.sql("CREATE EXTENSION pg_stat_statements");
        Some(postgres)
    }

    /// Runs SQL as the administrator, over the local socket.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.try_sql(sql)
            .unwrap_or_else(|| panic!("{sql}: {}", self.log()))
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.directory.path().join("ca.crt")
    }

    fn try_sql(&self, sql: &str) -> Option<String> {
        let mut psql = Command::new(format!("{BINARIES}/psql"));
        psql.args([
            "-X",
            "-A",
            "-t",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "admin",
            "-d",
            "postgres",
            "-c",
            sql,
        ]);
        psql.arg("-h")
            .arg(self.directory.path())
            .arg("-p")
            .arg(self.port.to_string());
        run(as_user(&mut psql, self.user)).map(|text| text.trim().to_owned())
    }
}

/// An authority, and a certificate for `localhost` by it.
fn certificates(root: &Path) {
    let openssl = |arguments: &[&str]| {
        run(Command::new("openssl").args(arguments).current_dir(root))
            .unwrap_or_else(|| panic!("{arguments:?}"));
    };
    let key = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ];
    let authority = [
        "req",
        "-x509",
        "-subj",
        "/CN=test authority",
        "-days",
        "2",
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
    ];
    openssl(&[&authority[..], &key[..]].concat());
    let request = [
        "req",
        "-subj",
        "/CN=localhost",
        "-keyout",
        "server.key",
        "-out",
        "server.csr",
    ];
    openssl(&[&request[..], &key[..]].concat());
    fs::write(
        root.join("names"),
        "subjectAltName=DNS:localhost,DNS:alias.bank\n",
    )
    .unwrap();
    openssl(&[
        "x509",
        "-req",
        "-in",
        "server.csr",
        "-CA",
        "ca.crt",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        "names",
        "-out",
        "server.crt",
    ]);
}

fn as_user(command: &mut Command, user: Option<u32>) -> &mut Command {
    match user {
        Some(user) => command.uid(user).current_dir("/"),
        None => command,
    }
}

fn run(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
