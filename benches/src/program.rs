//! Programs that are measured from the outside.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::task::spawn_blocking;

use crate::cpu::Times;

/// How long a program may take. More than a start of 500 chassis does.
const DEADLINE: Duration = Duration::from_secs(30 * 60);
/// How long it may take to clean up when it is told to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program of the host that is to be run.
#[expect(
    clippy::disallowed_methods,
    reason = "a bench runs ofm as its users do, and what it is compared with"
)]
pub fn program(path: impl AsRef<Path>) -> Command {
    Command::new(path.as_ref())
}

/// A program that has come to its end.
#[derive(Debug)]
pub struct Finished {
    /// From its start to its end.
    pub wall: Duration,
    /// Processor time of the program, and of the children that it has waited for.
    pub cpu: Times,
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub output: String,
    /// What it wrote to standard error.
    pub errors: String,
}

impl Finished {
    /// Takes only success for an answer.
    ///
    /// # Errors
    /// With the end of what the program wrote.
    pub fn success(self, what: &str) -> anyhow::Result<Self> {
        let text = [self.output.trim(), self.errors.trim()].join("\n");
        ensure!(
            self.status.success(),
            "{what} failed ({}):\n{}",
            self.status,
            last_lines(text.trim())
        );
        Ok(self)
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Runs a program to its end. Its output goes to files: what it starts, and goes on when it has ended, may have inherited it.
///
/// Dropping the future tells the program to end, and waits for that.
///
/// # Errors
/// When it cannot be started, or does not end.
pub async fn run(mut command: Command) -> anyhow::Result<Finished> {
    let what = command.get_program().to_string_lossy().into_owned();
    let (output, errors) = (tempfile::tempfile()?, tempfile::tempfile()?);
    command
        .stdin(std::process::Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(errors.try_clone()?)
        // Ctrl-C is for this process, which then ends the others in order.
        .process_group(0);
    let began = Instant::now();
    let child = command.spawn().with_context(|| what.clone())?;
    let mut running = Running::new(child)?;
    let pidfd = running.pidfd.try_clone()?;
    let ended = spawn_blocking(move || ends_within(&pidfd, DEADLINE)).await?;
    ensure!(ended, "{what} has not ended after {DEADLINE:?}");
    let wall = began.elapsed();
    // It is there until it is waited for.
    let cpu = Times::of(running.pid.as_raw_nonzero().get())?;
    Ok(Finished {
        wall,
        cpu,
        status: running.wait()?,
        output: contents(output)?,
        errors: contents(errors)?,
    })
}

fn contents(mut file: File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A child in a process group of its own.
struct Running {
    child: Child,
    pid: Pid,
    pidfd: OwnedFd,
    waited: bool,
}

impl Running {
    fn new(child: Child) -> anyhow::Result<Self> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.context("a child has a number")?;
        Ok(Self {
            child,
            pid,
            pidfd: pidfd_open(pid, PidfdFlags::empty())?,
            waited: false,
        })
    }

    fn wait(&mut self) -> io::Result<ExitStatus> {
        self.waited = true;
        self.child.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.waited {
            return;
        }
        // It is gone only when it was waited for.
        let _gone = kill_process_group(self.pid, Signal::TERM);
        if !ends_within(&self.pidfd, PATIENCE) {
            let _gone = kill_process_group(self.pid, Signal::KILL);
        }
        let _status = self.child.wait();
    }
}

fn ends_within(pidfd: &OwnedFd, deadline: Duration) -> bool {
    let began = Instant::now();
    loop {
        let left = deadline.saturating_sub(began.elapsed());
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
        match rustix::event::poll(&mut fds, Some(&timeout)) {
            // A signal came, which others see to.
            Err(Errno::INTR) => {}
            ended => return ended == Ok(1),
        }
    }
}

/// Takes back what a program has started, by another run of it, unless it was told that this was done.
#[derive(Debug)]
pub struct TakeBack(Option<Command>);

impl TakeBack {
    /// Runs this when it is dropped. That must do no harm where nothing is to be taken back.
    pub fn by(command: Command) -> Self {
        Self(Some(command))
    }

    /// There is nothing to take back any more.
    pub fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for TakeBack {
    fn drop(&mut self) {
        if let Some(mut command) = self.0.take() {
            // Why it was to be done is told already.
            let _output = command.output();
        }
    }
}

/// Measures, until it is done or somebody wants it to end (Ctrl-C, SIGTERM); then everything is taken back.
///
/// # Errors
/// Those of the measurement, and that it was interrupted.
pub fn measure(measurement: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            biased;
            _ = interrupt.recv() => anyhow::bail!("interrupted; what ran was ended"),
            _ = terminate.recv() => anyhow::bail!("interrupted; what ran was ended"),
            result = measurement => result,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = program("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_program_is_waited_for_and_not_its_descendants() {
        let finished = run(shell("sleep 60 & echo $!; echo why >&2; exit 3"))
            .await
            .unwrap();
        assert!(finished.wall < Duration::from_secs(30));
        assert_eq!(finished.status.code(), Some(3));
        let pid: i32 = finished.output.trim().parse().unwrap();
        let error = finished.success("it").unwrap_err().to_string();
        assert!(error.contains("why"), "{error}");
        let _gone = rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
    }

    #[tokio::test]
    async fn children_count_apart() {
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let finished = run(shell(&format!("sh -c '{busy}'; true"))).await.unwrap();
        assert!(finished.cpu.children > finished.cpu.own, "{finished:?}");
    }

    #[tokio::test]
    async fn a_program_that_is_given_up_is_told_to_end() {
        let folder = tempfile::tempdir().unwrap();
        let told = folder.path().join("told");
        let script = format!(
            "trap 'touch {}; exit' TERM; sleep 60 & wait",
            told.display()
        );
        let soon = tokio::time::timeout(Duration::from_secs(1), run(shell(&script)));
        assert!(soon.await.is_err());
        assert!(told.exists());
    }

    #[test]
    fn what_was_started_is_taken_back_once() {
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("made");
        let touch = || shell(&format!("touch {}", made.display()));
        TakeBack::by(touch()).done();
        assert!(!made.exists());
        drop(TakeBack::by(touch()));
        assert!(made.exists());
    }
}
