//! The folders of an engine, and what can be told by them: which processes are the engine's, and whether the test
//! program that made them still lives.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use rustix::process::{Pid, PidfdFlags, Signal};

const PREFIX: &str = "ofm-t-";
/// How many letters tempfile puts after the prefix.
const LETTERS: usize = 6;
/// Sockets have short paths (unix(7): 108 bytes), image layers need a real disk.
const RUN: &str = "/run";
const DISK: &str = "/var/tmp";
const LOCK: FlockOperation = FlockOperation::NonBlockingLockExclusive;
/// How long killed processes may take to end where nobody is told.
const DROP: Duration = Duration::from_secs(10);

/// Two folders of the same name, one for sockets and one for images, and a lock that tells that they are in use.
#[derive(Debug)]
pub(super) struct Folders {
    name: String,
    run: PathBuf,
    data: PathBuf,
    socket: PathBuf,
    /// Held until this process ends, however that is.
    lock: Option<File>,
}

impl Folders {
    pub(super) fn create(data_root: Option<&Path>) -> io::Result<Self> {
        let run = tempfile::Builder::new()
            .prefix(PREFIX)
            .rand_bytes(LETTERS)
            .tempdir_in(RUN)?;
        let run = run.keep();
        let name = run.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        if let Some(data_root) = data_root {
            std::os::unix::fs::symlink(data_root, run.join("data"))?;
        }
        let mut folders = Self::open(name);
        folders.lock = Some(lock(&run)?);
        let mut private = DirBuilder::new();
        private.mode(0o700);
        private.create(folders.disk())?;
        private.create(folders.scratch())?;
        private.recursive(true).create(&folders.data)?;
        Ok(folders)
    }

    fn open(name: String) -> Self {
        let run = Path::new(RUN).join(&name);
        let own = Path::new(DISK).join(&name).join("data");
        Self {
            socket: run.join("engine.sock"),
            data: std::fs::read_link(run.join("data")).unwrap_or(own),
            name,
            run,
            lock: None,
        }
    }

    pub(super) fn run(&self) -> &Path {
        &self.run
    }

    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// For temporary files.
    pub(super) fn scratch(&self) -> PathBuf {
        self.disk().join("tmp")
    }

    fn disk(&self) -> PathBuf {
        Path::new(DISK).join(&self.name)
    }

    /// Whether the test program that made them is dead. If so, no other one can take them any more.
    fn is_abandoned(&mut self) -> bool {
        if !self.run.exists() {
            return true;
        }
        // If there is no lock, the folder is just being made or removed.
        let lock = File::open(self.run.join("lock")).ok();
        self.lock = lock.filter(|l| rustix::fs::flock(l, LOCK).is_ok());
        self.lock.is_some()
    }

    /// Kills the processes that are left, with the cgroups of their containers, and removes the folders.
    pub(super) fn clear(&mut self, deadline: Duration) -> io::Result<()> {
        self.kill_left(Instant::now() + deadline)?;
        // In this order: what has no folder in /run is taken for dead.
        for folder in [self.disk(), self.run.clone()] {
            match std::fs::remove_dir_all(&folder) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(io::Error::other(format!("{}: {e}", folder.display())));
                }
                _ => {}
            }
        }
        self.lock = None;
        Ok(())
    }

    fn kill_left(&self, deadline: Instant) -> io::Result<()> {
        let mut cgroups = BTreeSet::new();
        loop {
            let left = self.processes();
            if left.is_empty() {
                break;
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("processes do not end: {left:?}")));
            }
            cgroups.extend(left.iter().flat_map(|pid| container_cgroups(*pid)));
            for pid in left {
                let Ok(pidfd) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else {
                    continue;
                };
                // The number may have got another process since.
                if self.owns(pid) {
                    let _gone = rustix::process::pidfd_send_signal(&pidfd, Signal::KILL);
                    super::has_ended(&pidfd, deadline.saturating_duration_since(Instant::now()))?;
                }
            }
        }
        for cgroup in cgroups {
            let _not_empty = std::fs::remove_dir(cgroup);
        }
        Ok(())
    }

    /// The engine's processes and those of its containers.
    fn processes(&self) -> Vec<Pid> {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok();
        let pids = entries.filter_map(number).filter_map(Pid::from_raw);
        pids.filter(|pid| self.owns(*pid)).collect()
    }

    fn owns(&self, pid: Pid) -> bool {
        let read = |file: &str| {
            let bytes = std::fs::read(format!("/proc/{}/{file}", pid.as_raw_nonzero()));
            String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
        };
        // Whatever the daemon starts has one of these of it, except containers.
        let is_ours = |variable: &str| match variable.split_once('=') {
            Some(("TMPDIR", path)) => Path::new(path).starts_with(self.disk()),
            Some(("CONTAINERS_CONF", path)) => Path::new(path).starts_with(&self.run),
            _ => false,
        };
        if read("environ").split('\0').any(is_ours) {
            return true;
        }
        // A container's root is an overlay of folders in the data root (proc_pid_mountinfo(5): field 5, and options).
        let data = self.data.to_string_lossy();
        let is_root = |line: &&str| line.split(' ').nth(4) == Some("/");
        let mounts = read("mountinfo");
        let mut roots = mounts.lines().filter(is_root);
        roots.any(|line| line.contains(&*data))
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        if self.lock.is_some() {
            let _best_effort = self.clear(DROP);
        }
    }
}

/// The cgroups of a container's process, in all hierarchies (cgroups(7)). Their names end in the container's id.
fn container_cgroups(pid: Pid) -> Vec<PathBuf> {
    let file = format!("/proc/{}/cgroup", pid.as_raw_nonzero());
    let memberships = std::fs::read_to_string(file).unwrap_or_default();
    let is_id =
        |path: &&str| path.len() > 64 && path.bytes().rev().take(64).all(|b| b.is_ascii_hexdigit());
    let paths = memberships
        .lines()
        .filter_map(|line| line.splitn(3, ':').nth(2))
        .filter(is_id);
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut roots: Vec<_> = hierarchies.map(|entry| entry.path()).collect();
    roots.push(root.to_owned());
    let paths = paths.flat_map(|path| roots.iter().map(move |root| root.join(&path[1..])));
    paths.filter(|path| path.is_dir()).collect()
}

/// Makes the lock of a folder. Whoever sees it, sees it locked.
fn lock(folder: &Path) -> io::Result<File> {
    let unlocked = folder.join("lock.new");
    let lock = File::create(&unlocked)?;
    rustix::fs::flock(&lock, LOCK)?;
    std::fs::rename(unlocked, folder.join("lock"))?;
    Ok(lock)
}

/// Removes what engines of dead test programs left.
pub(super) fn sweep() {
    let is_name = |n: &String| n.starts_with(PREFIX) && n.len() == PREFIX.len() + LETTERS;
    for parent in [RUN, DISK] {
        let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        for name in names.filter(is_name) {
            let mut folders = Folders::open(name);
            if folders.is_abandoned() {
                let _best_effort = folders.clear(DROP);
            }
        }
    }
}
