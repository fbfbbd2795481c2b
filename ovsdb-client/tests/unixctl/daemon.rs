//! Daemons of their own for a test, with all their files in one directory.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use ovsdb_client::unixctl::{Unixctl, find_socket};
use tempfile::TempDir;

/// No test waits longer for anything that should happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A running daemon; it dies with this value.
pub(crate) struct Daemon {
    process: Child,
    rundir: PathBuf,
    name: String,
}

/// A directory for the files of a test, or nothing when a program is missing.
///
/// Says so then, and fails where everything is required.
pub(crate) fn rundir(programs: &[&str]) -> Option<TempDir> {
    let Some(missing) = programs.iter().find(|path| !Path::new(path).exists()) else {
        return Some(tempfile::tempdir().unwrap());
    };
    let required = std::env::var("OFM_TEST_REQUIRE").is_ok_and(|what| what == "all");
    assert!(!required, "{missing} is missing and OFM_TEST_REQUIRE=all");
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    {
        eprintln!("skipped: {missing} is missing");
    }
    None
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where these tests start programs"
)]
fn command(program: &str) -> Command {
    Command::new(program)
}

/// Runs a program to its end, which must be a good one.
pub(crate) fn run(program: &str, arguments: &[&str]) {
    let output = command(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {said}");
}

/// Asks again and again until the answer is yes.
pub(crate) async fn until(mut condition: impl AsyncFnMut() -> bool) {
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    let asking = async {
        while !condition().await {
            pace.tick().await;
        }
    };
    tokio::time::timeout(DEADLINE, asking)
        .await
        .expect("what should happen happens in time");
}

impl Daemon {
    /// Starts a daemon that keeps what it makes in `rundir`.
    pub(crate) fn start(rundir: &TempDir, program: &str, arguments: &[&str]) -> Self {
        let rundir = rundir.path().to_owned();
        let process = command(program)
            .args(arguments)
            .args(["-vconsole:off", "-vsyslog:off"])
            .envs([("OVS_RUNDIR", &rundir), ("OVN_RUNDIR", &rundir)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let name = Path::new(program).file_name().unwrap().to_str().unwrap();
        Self {
            process,
            rundir,
            name: name.to_owned(),
        }
    }

    /// Says that the daemon's files have another name than its program.
    pub(crate) fn named(mut self, name: String) -> Self {
        self.name = name;
        self
    }

    /// Connects to the control socket as soon as there is one.
    pub(crate) async fn connect(&self) -> Unixctl {
        let mut connected = None;
        until(async || {
            if let Ok(socket) = find_socket(&self.rundir, &self.name) {
                connected = Unixctl::connect(socket).await.ok();
            }
            connected.is_some()
        })
        .await;
        connected.unwrap()
    }

    /// Waits for the end of the process.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }

    /// Stops the process, as a debugger does.
    pub(crate) fn stop(&self) {
        run("/bin/kill", &["-STOP", &self.process.id().to_string()]);
    }

    /// Lets the process go on.
    pub(crate) fn resume(&self) {
        run("/bin/kill", &["-CONT", &self.process.id().to_string()]);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended on its own, which the test has noticed in another way.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
