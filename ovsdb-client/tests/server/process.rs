//! An ovsdb-server of its own for a test.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ovsdb_client::Client;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::ChildStderr;

const PROGRAM: &str = "/usr/sbin/ovsdb-server";
const DEADLINE: Duration = Duration::from_secs(20);

/// A running server; it dies with this value.
pub(crate) struct Server {
    process: Child,
    directory: tempfile::TempDir,
    tcp: Option<SocketAddr>,
}

/// A directory for the files of one server, or nothing when there is no server to run.
pub(crate) fn directory() -> Option<tempfile::TempDir> {
    installed(PROGRAM).then(|| tempfile::tempdir().unwrap())
}

/// Whether a program is there. Says so if not, and fails where everything is required.
pub(crate) fn installed(program: &str) -> bool {
    if Path::new(program).exists() {
        return true;
    }
    let required = std::env::var("OFM_TEST_REQUIRE").is_ok_and(|what| what == "all");
    assert!(!required, "{program} is missing and OFM_TEST_REQUIRE=all");
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    {
        eprintln!("skipped: {program} is missing");
    }
    false
}

/// Text of an installed schema.
pub(crate) fn schema(path: &str) -> String {
    std::fs::read_to_string(path).unwrap()
}

impl Server {
    /// Serves a file of `directory` on a Unix socket, and on another remote if given one.
    ///
    /// Returns when the server says that it is up.
    pub(crate) async fn start(
        directory: tempfile::TempDir,
        file: &str,
        remote: Option<&str>,
    ) -> Self {
        let remote = remote.map(|remote| format!("--remote={remote}"));
        Self::start_with(directory, file, remote).await
    }

    /// The same with any arguments.
    pub(crate) async fn start_with(
        directory: tempfile::TempDir,
        file: &str,
        arguments: impl IntoIterator<Item = String>,
    ) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place where these tests start the server"
        )]
        let mut command = Command::new(PROGRAM);
        command
            .arg(directory.path().join(file))
            .arg(format!(
                "--remote=punix:{}",
                directory.path().join("db.sock").display()
            ))
            .arg(format!(
                "--unixctl={}",
                directory.path().join("db.ctl").display()
            ))
            .args(["-vconsole:info", "-vsyslog:off"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let log = ChildStderr::from_std(process.stderr.take().unwrap()).unwrap();
        let mut server = Self {
            process,
            directory,
            tcp: None,
        };
        let mut log = BufReader::new(log).lines();
        tokio::time::timeout(DEADLINE, server.read_log(&mut log))
            .await
            .expect("the server is up in time");
        // A full pipe would stop the server.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        server
    }

    /// Follows the log up to the line that the server writes when it serves.
    async fn read_log(&mut self, log: &mut Lines<BufReader<ChildStderr>>) {
        let mut seen = String::new();
        while let Some(line) = log.next_line().await.unwrap() {
            if let Some((_, port)) = line.split_once("listening on port ") {
                let port: u16 = port.trim().parse().unwrap();
                self.tcp = Some((Ipv4Addr::LOCALHOST, port).into());
            }
            if line.contains("ovsdb-server (Open vSwitch)") {
                return;
            }
            seen.push_str(&line);
            seen.push('\n');
        }
        panic!("the server ended:\n{seen}");
    }

    /// Connects over the Unix socket.
    #[allow(dead_code, reason = "not every binary that shares this file needs it")]
    pub(crate) async fn connect(&self) -> Client {
        Client::connect_unix(self.socket()).await.unwrap()
    }

    /// Path of the Unix socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("db.sock")
    }

    /// The TCP port.
    pub(crate) fn tcp(&self) -> SocketAddr {
        self.tcp.expect("the server listens on a TCP port")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have died on its own, which the test has noticed in another way.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
