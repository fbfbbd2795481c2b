//! Programs in a node: the one place of the workspace where a program is executed.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;

use rustix::fs::MemfdFlags;
use rustix::process::{Pid, PidfdFlags};

use crate::confinement::Confinement;
use crate::cpu::{CpuTime, wait_for_child};
use crate::credentials::Credentials;
use crate::error::SpawnError;
use crate::namespaces::{Namespaces, on_fresh_thread};
use crate::process::{Process, wait_for_end};
use crate::pty::Pty;

/// The search path of a node's programs, as ovn-ctl sets it.
pub const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where a program's standard streams lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdio {
    /// Nothing in, and what comes out is kept in memory for [`Child::output`].
    Capture,
    /// The caller's own.
    Inherit,
    /// Nothing in, and what comes out is lost.
    Null,
}

/// A program to be run in a node, with an environment that has nothing of the caller's but `TERM`.
#[derive(Debug, Clone)]
pub struct Command {
    namespaces: Namespaces,
    program: OsString,
    args: Vec<OsString>,
    envs: Vec<(OsString, OsString)>,
    stdio: Stdio,
    /// Where its output and its errors go, instead of where `stdio` says.
    stdout: Option<Arc<OwnedFd>>,
    stderr: Option<Arc<OwnedFd>>,
    /// The process whose cgroups and capabilities it gets; without one it has the caller's.
    confined_like: Option<Process>,
    /// Where it starts, if not in the node's root folder.
    folder: Option<PathBuf>,
    credentials: Option<Credentials>,
    /// Whether it is in a session of its own.
    own_session: bool,
}

impl Command {
    pub(crate) fn new(namespaces: Namespaces, program: impl Into<OsString>) -> Self {
        Self {
            namespaces,
            program: program.into(),
            args: Vec::new(),
            envs: Vec::new(),
            stdio: Stdio::Capture,
            stdout: None,
            stderr: None,
            confined_like: None,
            folder: None,
            credentials: None,
            own_session: false,
        }
    }

    /// Gives it the cgroups and the capability bounding set of a process.
    pub(crate) fn confined_like(mut self, process: &Process) -> Self {
        self.confined_like = Some(process.clone());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.envs.push((key.into(), value.into()));
        self
    }

    /// Sets environment variables.
    #[must_use]
    pub fn envs<K: Into<OsString>, V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let variables = variables.into_iter();
        self.envs
            .extend(variables.map(|(key, value)| (key.into(), value.into())));
        self
    }

    /// Says where its streams lead; [`Stdio::Capture`] unless told otherwise.
    #[must_use]
    pub fn stdio(mut self, stdio: Stdio) -> Self {
        self.stdio = stdio;
        self
    }

    /// Appends what it writes to a file, and gives it nothing to read.
    #[must_use]
    pub fn output_to(self, file: File) -> Self {
        let file = Arc::new(file.into());
        self.stdio(Stdio::Null).stdout_to(&file).stderr_to(&file)
    }

    /// Has it write there, wherever else its streams lead.
    #[must_use]
    pub fn stdout_to(mut self, stream: &Arc<OwnedFd>) -> Self {
        self.stdout = Some(Arc::clone(stream));
        self
    }

    /// Has it write its errors there, wherever else its streams lead.
    #[must_use]
    pub fn stderr_to(mut self, stream: &Arc<OwnedFd>) -> Self {
        self.stderr = Some(Arc::clone(stream));
        self
    }

    /// Starts it in a folder of the node, instead of `/`.
    #[must_use]
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Runs it as that user instead of the caller's.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Gives it a session of its own, so that what is typed at the caller's terminal is no concern of it.
    #[must_use]
    pub fn own_session(mut self) -> Self {
        self.own_session = true;
        self
    }

    /// Runs it in other namespaces than the node's own, as those of a VM.
    #[must_use]
    pub fn namespaces(mut self, namespaces: Namespaces) -> Self {
        self.namespaces = namespaces;
        self
    }

    /// Starts the program. Blocks until it is executed, a millisecond or so.
    ///
    /// # Errors
    /// When the node is gone or the program cannot be started.
    pub fn spawn(self) -> Result<Child, SpawnError> {
        self.start(None)
    }

    /// Starts the program on a terminal of the node's own, which it controls.
    ///
    /// # Errors
    /// As [`Command::spawn`], and when the node has no terminal to give.
    pub fn spawn_on_terminal(self) -> Result<(Child, Pty), SpawnError> {
        let program = self.name();
        let pty = self
            .namespaces
            .run(Pty::open)?
            .map_err(|source| SpawnError::Start { program, source })?;
        let child = self.start(Some(&pty))?;
        Ok((child, pty))
    }

    fn name(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }

    fn start(self, pty: Option<&Pty>) -> Result<Child, SpawnError> {
        let program = self.name();
        let failed = |source| SpawnError::Start {
            program: program.clone(),
            source,
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place where programs are executed: OVS and OVN daemons, and what the user asked for"
        )]
        let mut command = std::process::Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .env("PATH", SEARCH_PATH)
            .env("HOME", "/root")
            .env("LC_ALL", "C.UTF-8")
            .envs(self.envs);
        if let Some(term) = std::env::var_os("TERM") {
            command.env("TERM", term);
        }
        let mut captured = None;
        if let Some(pty) = pty {
            pty.attach(&mut command).map_err(failed)?;
        } else if self.stdio == Stdio::Null {
            let null = std::process::Stdio::null;
            command.stdin(null()).stdout(null()).stderr(null());
        } else if self.stdio == Stdio::Capture {
            let (out, err) = (
                memory_file().map_err(failed)?,
                memory_file().map_err(failed)?,
            );
            command
                .stdin(std::process::Stdio::null())
                .stdout(out.try_clone().map_err(failed)?)
                .stderr(err.try_clone().map_err(failed)?);
            captured = Some((out, err));
        }
        if let Some(stream) = &self.stdout {
            command.stdout(stream.try_clone().map_err(failed)?);
        }
        if let Some(stream) = &self.stderr {
            command.stderr(stream.try_clone().map_err(failed)?);
        }
        if let Some(process) = &self.confined_like {
            let confinement = Confinement::of(process).map_err(failed)?;
            confinement.apply(&mut command);
        }
        if self.own_session && pty.is_none() {
            // SAFETY: setsid(2) is async-signal-safe; the closure allocates nothing.
            unsafe { command.pre_exec(|| Ok(rustix::process::setsid().map(drop)?)) };
        }
        // Last, because it takes privileges away.
        if let Some(credentials) = self.credentials {
            credentials.apply(&mut command);
        }
        // A child takes its namespaces, and where it starts, from the thread that starts it.
        let (namespaces, folder) = (&self.namespaces, &self.folder);
        let enter = || {
            namespaces.enter()?;
            if let Some(folder) = folder {
                let refused = |source| SpawnError::Folder {
                    folder: folder.clone(),
                    source,
                };
                // It changes that of this thread only: `enter` has seen to that.
                rustix::process::chdir(folder).map_err(|e| refused(e.into()))?;
            }
            command.spawn().map_err(failed)
        };
        let child = on_fresh_thread(enter).map_err(failed)??;
        let pid = child.id() as i32;
        // The number cannot pass to another process before we have waited for this one.
        let pidfd = Pid::from_raw(pid)
            .ok_or(std::io::Error::from(std::io::ErrorKind::InvalidData))
            .and_then(|pid| Ok(rustix::process::pidfd_open(pid, PidfdFlags::empty())?))
            .map_err(failed)?;
        Ok(Child {
            process: Process::from_pidfd(pidfd, pid),
            program,
            captured,
            end: None,
        })
    }
}

/// A program that was started in a node. Dropping it before its end kills it.
#[derive(Debug)]
pub struct Child {
    process: Process,
    program: String,
    captured: Option<(File, File)>,
    /// How it ended and what it used, once it was waited for.
    end: Option<(ExitStatus, CpuTime)>,
}

/// What a program left behind.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
    /// What it used. Of a daemon that went to the background, what it used until then.
    pub cpu: CpuTime,
}

impl Output {
    /// Standard output as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text; what is not UTF-8 is replaced.
    pub fn error_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

impl Child {
    /// Lets it run on, also after the end of this process. As long as this process lives, a thread waits for its end:
    /// the namespaces of a node stay until the exit status of everything in it was taken (pid_namespaces(7)).
    ///
    /// # Errors
    /// When there is no thread to be had; then it is killed.
    pub fn leave(mut self) -> std::io::Result<()> {
        let reap = move || self.end = wait_for_child(self.process.pid()).ok();
        std::thread::Builder::new()
            .name("ofm-reaper".to_owned())
            .spawn(reap)
            .map(drop)
    }

    /// Its process, for signals.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Waits for its end. A daemon that it left in the node does not count.
    ///
    /// # Errors
    /// When the kernel does not let us wait.
    pub async fn wait(&mut self) -> Result<ExitStatus, SpawnError> {
        Ok(self.end().await?.0)
    }

    async fn end(&mut self) -> Result<(ExitStatus, CpuTime), SpawnError> {
        if let Some(end) = self.end {
            return Ok(end);
        }
        let program = &self.program;
        let failed = |source| SpawnError::Wait {
            program: program.clone(),
            source,
        };
        let pidfd = self.process.clone_fd().map_err(failed)?;
        wait_for_end(pidfd).await.map_err(failed)?;
        let end = wait_for_child(self.process.pid()).map_err(failed)?;
        self.end = Some(end);
        Ok(end)
    }

    /// Waits for its end and returns what it wrote, which is empty unless it was captured.
    ///
    /// # Errors
    /// When the kernel does not let us wait or read.
    pub async fn output(mut self) -> Result<Output, SpawnError> {
        let (status, cpu) = self.end().await?;
        let program = self.program.clone();
        let failed = |source| SpawnError::Wait { program, source };
        let (stdout, stderr) = match self.captured.take() {
            None => (Vec::new(), Vec::new()),
            Some((out, err)) => contents(out)
                .and_then(|o| Ok((o, contents(err)?)))
                .map_err(failed)?,
        };
        Ok(Output {
            status,
            stdout,
            stderr,
            cpu,
        })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.end.is_none() {
            self.process.kill();
            // It is dead or dying: this takes its status and leaves no zombie.
            let _status = wait_for_child(self.process.pid());
        }
    }
}

/// A file without a name or a place; unlike a pipe it neither fills up nor stays open because of a grandchild.
fn memory_file() -> std::io::Result<File> {
    let fd: OwnedFd = rustix::fs::memfd_create("ofm-output", MemfdFlags::CLOEXEC)?;
    Ok(fd.into())
}

fn contents(mut file: File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
