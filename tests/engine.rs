//! Container engines of the tests' own: a daemon with private folders and a private mount namespace, which shares
//! neither images nor containers nor network with an engine of the host.

mod api;
mod folders;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::inotify;
use rustix::process::{Pid, PidfdFlags, Signal};

use folders::Folders;

const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(20);
/// How long the exit of a killed daemon may take after its sockets are closed.
const KILLED: Duration = Duration::from_secs(1);
/// For one request to the daemon.
const REQUEST: Duration = Duration::from_secs(30);

/// Executes a program after mounts: of size $1, if that is not empty, at $2, and at the folders up to `--`.
const MOUNT_AND_EXEC: &str = r#"set -e
if [ -n "$1" ]; then mount -t tmpfs -o "size=$1" tmpfs "$2"; fi
shift 2
while [ "$1" != -- ]; do mkdir -p "$1"; mount -t tmpfs tmpfs "$1"; shift; done
shift
exec "$@""#;

/// crun refuses hosts with both cgroup versions, so runc runs the containers. Locks are files because Podman's default
/// is one shared memory segment for all Podmans of a host.
const CONTAINERS_CONF: &str = r#"[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"

[engine.runtimes]
runc = ["/usr/bin/runc", "/usr/sbin/runc"]
"#;

/// Which container engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// dockerd, which brings its own containerd.
    Docker,
    /// The API service of Podman.
    Podman,
}

impl EngineKind {
    /// Its name as `ofm` takes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }

    /// The programs that an engine of this kind needs, for [`missing`](crate::missing).
    pub fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Docker => &["dockerd", "containerd", "runc", "setpriv", "unshare"],
            Self::Podman => &["podman", "conmon", "runc", "setpriv", "unshare"],
        }
    }

    /// Folders of the host that the daemon uses wherever its own folders are. It is given empty ones instead, so that
    /// it leaves nothing there, not even if it is killed, and no configuration of the host counts.
    fn private(self) -> &'static [&'static str] {
        match self {
            Self::Docker => &["/etc/docker", "/run/containerd", "/run/docker"],
            Self::Podman => &["/run/runc", "/var/lib/containers/cache"],
        }
    }
}

/// How an engine differs from an ordinary one.
#[derive(Debug, Default)]
pub struct EngineOptions {
    /// Where images and containers are, instead of in a folder of the engine's own. It is the caller's to remove.
    pub data_root: Option<PathBuf>,
    /// How many bytes images and containers may take: the data root is a tmpfs of this size, seen by the daemon only.
    pub data_limit: Option<u64>,
    /// Capabilities that the daemon lacks, named as setpriv(1) does: `net_admin`. Without `sys_admin` Podman takes
    /// itself for rootless, goes on in a user namespace, and writes to folders of its user.
    pub drop_capabilities: Vec<String>,
}

/// A running daemon. Dropping it does what [`stop`](Self::stop) does and ignores errors.
///
/// The daemon ends with the test program, even if that is killed: the kernel kills it. Its containers and their
/// monitors then stay until the next engine starts, which removes what dead test programs left.
#[derive(Debug)]
pub struct Engine {
    kind: EngineKind,
    folders: Folders,
    pid: Pid,
    pidfd: OwnedFd,
    /// Set once the daemon and its folders are gone.
    stopped: bool,
}

impl Engine {
    /// Starts a daemon and waits until it answers.
    ///
    /// # Errors
    /// When it cannot be started, ends, or does not answer in time; the message has its log.
    pub fn start(kind: EngineKind) -> io::Result<Self> {
        Self::start_with(kind, EngineOptions::default())
    }

    /// Starts a daemon that differs from an ordinary one.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_with(kind: EngineKind, options: EngineOptions) -> io::Result<Self> {
        folders::sweep();
        let folders = Folders::create(options.data_root.as_deref())?;
        let sockets = inotify::init(inotify::CreateFlags::CLOEXEC)?;
        inotify::add_watch(&sockets, folders.run(), inotify::WatchFlags::CREATE)?;
        let log = File::create(folders.run().join("log"))?;
        let mut command = confined(kind, &folders, &options);
        daemon(kind, &folders, &mut command)?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let (pid, pidfd) = spawn(command)?;
        let engine = Self {
            kind,
            folders,
            pid,
            pidfd,
            stopped: false,
        };
        match engine.wait_until_it_answers(&sockets) {
            Ok(()) => Ok(engine),
            Err(e) => Err(engine.error(format!("did not start: {e}"))),
        }
    }

    /// Which engine it is.
    pub fn kind(&self) -> EngineKind {
        self.kind
    }

    /// The daemon's Unix socket.
    pub fn socket(&self) -> &Path {
        self.folders.socket()
    }

    /// The daemon's address, as `DOCKER_HOST` has it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The folder with its images and containers, as the daemon sees it.
    pub fn data(&self) -> &Path {
        self.folders.data()
    }

    /// The process id of the daemon.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// What the daemon has written so far.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.folders.run().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Asks the daemon something and returns the body of its answer. A body to be sent is JSON or a tar.
    ///
    /// # Errors
    /// When it does not answer, or with another status than 2xx.
    pub fn request(&self, method: &str, path: &str, body: &[u8]) -> io::Result<String> {
        api::request(self.socket(), method, path, body, REQUEST)
    }

    /// Removes the containers, ends the daemon and whatever belongs to it, and removes its folders.
    ///
    /// # Errors
    /// The first one; the steps after it are done nevertheless.
    pub fn stop(mut self) -> io::Result<()> {
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.stopped, true) {
            return Ok(());
        }
        // A test may have halted it, or killed it: then its containers are killed below.
        let _gone = rustix::process::pidfd_send_signal(&self.pidfd, Signal::CONT);
        let removed = self
            .remove_containers()
            .or_else(|e| match has_ended(&self.pidfd, KILLED)? {
                true => Ok(()),
                false => Err(e),
            });
        let _gone = rustix::process::pidfd_send_signal(&self.pidfd, Signal::TERM);
        let ended = has_ended(&self.pidfd, STOP).and_then(|ended| match ended {
            true => Ok(()),
            false => Err(self.error(format!("did not end in {STOP:?}"))),
        });
        removed.and(ended).and(self.folders.clear(STOP))
    }

    fn remove_containers(&self) -> io::Result<()> {
        let list = self.request("GET", "/containers/json?all=true", b"")?;
        let list: Vec<serde_json::Value> = serde_json::from_str(&list)?;
        for id in list.iter().filter_map(|container| container["Id"].as_str()) {
            // The timeout is Podman's: how long a process may live on after SIGTERM.
            let path = format!("/containers/{id}?force=true&v=true&timeout=0");
            self.request("DELETE", &path, b"")?;
        }
        Ok(())
    }

    fn error(&self, what: String) -> io::Error {
        let log = self.log();
        let end = crate::last_lines(&log);
        io::Error::other(format!("{} {what}\n{end}", self.kind.as_str()))
    }

    fn wait_until_it_answers(&self, sockets: &OwnedFd) -> io::Result<()> {
        let deadline = Instant::now() + START;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::other(format!("did not answer in {START:?}")));
            }
            if has_ended(&self.pidfd, Duration::ZERO)? {
                return Err(io::Error::other("ended"));
            }
            if self.socket().exists() {
                // Refused means that the daemon is between bind(2) and listen(2). From then on, it lets a request wait.
                match api::request(self.socket(), "GET", "/_ping", b"", left) {
                    Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
                        std::thread::yield_now()
                    }
                    answer => return answer.map(|_ok| ()),
                }
            } else {
                let mut watched = [&self.pidfd, sockets].map(|fd| PollFd::new(fd, PollFlags::IN));
                rustix::event::poll(&mut watched, left.try_into().ok().as_ref())?;
                if !watched[1].revents().is_empty() {
                    rustix::io::read(sockets, &mut [0u8; 4096])?;
                }
            }
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _best_effort = self.end();
    }
}

/// The beginning of a command line, up to where the daemon's goes: it dies with the thread that starts it, and has a
/// mount namespace of its own, from which no mount spreads (unshare(1) makes all of them private). All of these
/// programs execute the next one, so the daemon has the process id of the first.
fn confined(kind: EngineKind, folders: &Folders, options: &EngineOptions) -> Command {
    let size = options.data_limit.map(|bytes| bytes.to_string());
    let mut command = crate::program(Path::new("setpriv"));
    command
        .args(["--pdeathsig", "KILL", "--", "unshare", "--mount", "--"])
        .args(["sh", "-c", MOUNT_AND_EXEC, "sh"])
        .arg(size.unwrap_or_default())
        .arg(folders.data())
        .args(kind.private())
        .arg("--");
    if !options.drop_capabilities.is_empty() {
        let minus = format!("-{}", options.drop_capabilities.join(",-"));
        command.args(["setpriv", "--bounding-set", &minus]);
        command.args(["--inh-caps", &minus, "--"]);
    }
    command
}

/// The daemon's own command line.
fn daemon(kind: EngineKind, folders: &Folders, command: &mut Command) -> io::Result<()> {
    let run = folders.run();
    let host = format!("unix://{}", folders.socket().display());
    match kind {
        EngineKind::Docker => command
            .args(["dockerd", "--host", &host, "--data-root"])
            .arg(folders.data())
            .arg("--exec-root")
            .arg(run.join("exec"))
            .arg("--pidfile")
            .arg(run.join("pid"))
            // The network of the host stays as it is.
            .args([
                "--bridge=none",
                "--iptables=false",
                "--ip-forward=false",
                "--ip-masq=false",
            ]),
        EngineKind::Podman => {
            let conf = run.join("containers.conf");
            std::fs::write(&conf, CONTAINERS_CONF)?;
            command
                .env("CONTAINERS_CONF", conf)
                .args(["podman", "--root"])
                .arg(folders.data())
                .arg("--runroot")
                .arg(run.join("run"))
                .arg("--tmpdir")
                .arg(run.join("tmp"))
                .args([
                    "--storage-driver",
                    "overlay",
                    "system",
                    "service",
                    "--time=0",
                    &host,
                ])
        }
    };
    // What an interrupted import leaves is removed with the other folders, and processes are known by it.
    command.env("TMPDIR", folders.scratch());
    Ok(())
}

/// Starts a program from a thread that ends after it. The signal that `setpriv --pdeathsig` asks for comes when the
/// thread ends that started the program (PR_SET_PDEATHSIG(2const)), and those that run tests may end early.
fn spawn(mut command: Command) -> io::Result<(Pid, OwnedFd)> {
    let (tell, told) = std::sync::mpsc::channel();
    let keep = move || {
        let started = command.spawn().and_then(|child| {
            let pid = Pid::from_child(&child);
            Ok((
                child,
                pid,
                rustix::process::pidfd_open(pid, PidfdFlags::empty())?,
            ))
        });
        let (told, child) = match started {
            Ok((child, pid, pidfd)) => (tell.send(Ok((pid, pidfd))), Some(child)),
            Err(e) => (tell.send(Err(e)), None),
        };
        if let (Ok(()), Some(mut child)) = (told, child) {
            let _reaped = child.wait();
        }
    };
    std::thread::Builder::new()
        .name("engine".into())
        .spawn(keep)?;
    told.recv().map_err(io::Error::other)?
}

/// Waits until a process has ended, and whether it has.
fn has_ended(pidfd: &OwnedFd, within: Duration) -> io::Result<bool> {
    let within = within.try_into().map_err(io::Error::other)?;
    let ended = rustix::event::poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&within))?;
    Ok(ended > 0)
}
