//! ovsdb-server processes that can be killed, stopped and started again.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ovsdb_client::Remote;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::ChildStderr;

const SERVER: &str = "/usr/sbin/ovsdb-server";
const APPCTL: &str = "/usr/bin/ovs-appctl";
const DEADLINE: Duration = Duration::from_secs(20);

/// What is missing to run real servers, if something is.
pub(crate) fn missing() -> Option<&'static str> {
    [SERVER, APPCTL]
        .into_iter()
        .find(|program| !Path::new(program).exists())
}

/// Whether a test may not be left out because a program is missing.
pub(crate) fn everything_is_required() -> bool {
    std::env::var("OFM_TEST_REQUIRE").is_ok_and(|what| what == "all")
}

/// An ovsdb-server that may run. It dies with this value.
#[derive(Debug)]
pub(crate) struct Server {
    directory: PathBuf,
    name: String,
    arguments: Vec<String>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    process: Option<Child>,
    /// The database files, which a later start is given again.
    files: Vec<PathBuf>,
    /// Ports of the TCP listeners, in the order of the log.
    ports: Vec<u16>,
}

impl Server {
    /// Describes a server whose sockets have `name` and are in `directory`, which is absolute.
    pub(crate) fn new(directory: &Path, name: &str) -> Self {
        Self {
            directory: directory.to_owned(),
            name: name.to_owned(),
            arguments: Vec::new(),
            state: Mutex::new(State {
                process: None,
                files: Vec::new(),
                ports: Vec::new(),
            }),
        }
    }

    /// Lets the server listen, or look for listeners, elsewhere besides.
    pub(crate) fn remote_option(mut self, remote: &str) -> Self {
        self.arguments.push(format!("--remote={remote}"));
        self
    }

    /// Lets the server serve a file from its start on.
    pub(crate) fn file(self, file: PathBuf) -> Self {
        self.state().files.push(file);
        self
    }

    /// Starts the process, the first time or again, and waits until it says that it serves.
    pub(crate) async fn start(&self) {
        let mut command = command(SERVER);
        let files = self.state().files.clone();
        if files.is_empty() {
            command.arg("--no-dbs");
        }
        command
            .args(files)
            .arg(format!("--remote=punix:{}", self.socket().display()))
            .arg(format!("--unixctl={}", self.control().display()))
            .args(&self.arguments)
            .args(["-vconsole:info", "-vsyslog:off"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let log = ChildStderr::from_std(process.stderr.take().unwrap()).unwrap();
        // Known before anything can fail, so that it does not outlive the test.
        self.state().process = Some(process);
        let mut log = BufReader::new(log).lines();
        let ports = tokio::time::timeout(DEADLINE, read_log(&mut log)).await;
        self.state().ports = ports.expect("the server is up in time");
        // A full pipe would stop the server.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
    }

    /// Kills the process as nothing can that it could prepare for.
    pub(crate) fn kill(&self) {
        let Some(mut process) = self.state().process.take() else {
            return;
        };
        // It may have died on its own, which the test notices in another way.
        let _ = process.kill();
        let _ = process.wait();
    }

    /// Stops the process where it stands; its sockets stay open.
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a stopped process go on.
    pub(crate) fn cont(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let state = self.state();
        let process = state.process.as_ref().expect("the server runs");
        kill_process(Pid::from_child(process), signal).unwrap();
    }

    /// Gives a command to the running server, as ovs-appctl(8) does, and returns what it says.
    pub(crate) async fn control_with(&self, arguments: &[&str]) -> String {
        let mut command = command(APPCTL);
        command.arg("-t").arg(self.control()).args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output());
        let output: Output = output.await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        said.into_owned()
    }

    /// Serves one more database file.
    pub(crate) async fn add(&self, file: PathBuf) {
        self.control_with(&["ovsdb-server/add-db", file.to_str().unwrap()])
            .await;
        self.state().files.push(file);
    }

    /// Serves the database of a file no more.
    pub(crate) async fn remove(&self, database: &str, file: &Path) {
        self.state().files.retain(|served| served != file);
        self.control_with(&["ovsdb-server/remove-db", database])
            .await;
    }

    /// Path of the Unix socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join(format!("{}.sock", self.name))
    }

    /// Where to connect.
    pub(crate) fn remote(&self) -> Remote {
        Remote::Unix(self.socket())
    }

    /// The first TCP port on which it listens.
    pub(crate) fn port(&self) -> u16 {
        *self.state().ports.first().expect("there is a TCP listener")
    }

    fn control(&self) -> PathBuf {
        self.directory.join(format!("{}.ctl", self.name))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn command(program: &str) -> Command {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where these tests start programs"
    )]
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command
}

/// Follows the log up to the line that the server writes when it serves. Returns its TCP ports.
async fn read_log(log: &mut Lines<BufReader<ChildStderr>>) -> Vec<u16> {
    let mut seen = String::new();
    let mut ports = Vec::new();
    while let Some(line) = log.next_line().await.unwrap() {
        if let Some((_, port)) = line.split_once("listening on port ") {
            ports.push(port.trim().parse().unwrap());
        }
        if line.contains("ovsdb-server (Open vSwitch)") {
            return ports;
        }
        seen.push_str(&line);
        seen.push('\n');
    }
    panic!("the server ended:\n{seen}");
}
