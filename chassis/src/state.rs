//! The state folder: what a cluster is, on disk, for the processes that come after the one which started it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use ofm_netns::ProcessId;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::event::Phase;
use crate::name::ClusterName;
use crate::pki::Authority;
use crate::plan::Plan;
use crate::spec::ClusterSpec;

/// The lock of a state folder. Its keeper holds it as long as it lives.
pub(crate) const LOCK: &str = "lock";
const STATE: &str = "state.json";
/// Locked by whoever changes a cluster that runs.
const CHANGE: &str = "change.lock";
/// Certificate and private key of the cluster's authority, which no node ever sees.
const AUTHORITY: &str = "authority.pem";

/// Where clusters keep their folders unless told otherwise: `/run/ofm`, or below `$XDG_RUNTIME_DIR` for other users.
///
/// Where `/run` is on a disk, as in many containers and virtual machines, and there is room in memory, it is `/dev/shm/ofm`:
/// a node has some forty files and sockets, and a disk's file system makes them ten times slower than tmpfs.
pub fn default_root() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(folder) if !rustix::process::geteuid().is_root() => Path::new(&folder).join("ofm"),
        _ if is_shm_better() => SHM.into(),
        _ => PathBuf::from("/run/ofm"),
    }
}

fn is_shm_better() -> bool {
    let root = rustix::process::geteuid().is_root();
    root && in_memory(Path::new("/run")).is_none() && is_ours_in_memory()
}

/// The folder for clusters in memory.
const SHM: &str = "/dev/shm/ofm";

/// How many bytes the memory for the folders of clusters must hold, at least. Docker gives a container 64 MB.
const ROOM: u64 = 1 << 30;

/// Whether [`SHM`] is a folder in memory that only root changes. Everybody may make files beside it, so it is made here, and
/// then looked at.
fn is_ours_in_memory() -> bool {
    let Some(room) = in_memory(Path::new("/dev/shm")) else {
        return false;
    };
    let _there_already = rustix::fs::mkdir(SHM, rustix::fs::Mode::from_raw_mode(0o755));
    let folder = std::fs::symlink_metadata(SHM);
    let ours = folder.is_ok_and(|folder| folder.is_dir() && folder.uid() == 0);
    ours && room >= ROOM
}

/// The size in bytes of the file system of a folder, if that is in memory.
fn in_memory(folder: &Path) -> Option<u64> {
    /// `TMPFS_MAGIC` of statfs(2).
    const TMPFS: rustix::fs::FsWord = 0x0102_1994;
    let file_system = rustix::fs::statfs(folder).ok()?;
    let is_tmpfs = file_system.f_type == TMPFS;
    is_tmpfs.then(|| file_system.f_blocks * u64::try_from(file_system.f_bsize).unwrap_or(0))
}

/// Lists the clusters that have a folder below `root` by name, and whether their keepers live.
///
/// # Errors
/// When the folder cannot be read. That it does not exist is no error.
pub(crate) fn list(root: &Path) -> io::Result<Vec<(ClusterName, bool)>> {
    let entries = match std::fs::read_dir(root) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut clusters = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().into_string().ok();
        if let Some(name) = name.and_then(|name| name.parse::<ClusterName>().ok()) {
            clusters.push((name, is_locked(&entry.path())));
        }
    }
    clusters.sort();
    Ok(clusters)
}

/// A process as it is written down.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Recorded {
    pid: i32,
    start_time: u64,
}

impl From<ProcessId> for Recorded {
    fn from(id: ProcessId) -> Self {
        Self {
            pid: id.pid,
            start_time: id.start_time,
        }
    }
}

impl From<Recorded> for ProcessId {
    fn from(recorded: Recorded) -> Self {
        Self {
            pid: recorded.pid,
            start_time: recorded.start_time,
        }
    }
}

/// The contents of `state.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    /// What was asked for.
    pub(crate) spec: ClusterSpec,
    pub(crate) plan: Plan,
    pub(crate) keeper: Option<Recorded>,
    /// By node name.
    pub(crate) nodes: BTreeMap<String, Recorded>,
    /// Durations of the phases that are over.
    pub(crate) phases: BTreeMap<Phase, Duration>,
    /// Addresses that VMs got by DHCP, by name.
    #[serde(default)]
    pub(crate) leases: BTreeMap<String, IpNet>,
    /// Whether the start came to its end.
    pub(crate) ready: bool,
}

/// The folder of one cluster, locked. The lock is shared with the keeper, so it is held as long as either lives.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    lock: File,
}

impl StateDir {
    /// Takes the folder for a new cluster and removes what a dead one may have left in it.
    pub(crate) fn create(path: &Path, name: &ClusterName) -> Result<Self, Error> {
        loop {
            let failed = |action, source| Error::state(action, path, source);
            std::fs::create_dir_all(path).map_err(|e| failed("making the folder", e))?;
            let lock = match open_lock(path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                // Podman makes a folder of what it is to show in a container and does not find, as when it serves a
                // request after the end of the cluster that made it. Nobody holds that for a lock.
                Err(e) if e.kind() == io::ErrorKind::IsADirectory => {
                    std::fs::remove_dir(path.join(LOCK)).map_err(|e| failed("emptying", e))?;
                    continue;
                }
                other => other.map_err(|e| failed("opening the lock in", e))?,
            };
            if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
                let name = name.to_string();
                return Err(Error::Running { name });
            }
            let dir = Self {
                path: path.to_owned(),
                lock,
            };
            // Somebody may have removed the folder between the opening and the locking: then this is a lock on nothing.
            if dir.is_current() {
                dir.clear().map_err(|e| failed("emptying", e))?;
                return Ok(dir);
            }
        }
    }

    /// The lock, for the keeper to inherit.
    pub(crate) fn lock(&self) -> &File {
        &self.lock
    }

    /// Writes the state, at once or not at all.
    pub(crate) fn write(&self, state: &State) -> Result<(), Error> {
        write(&self.path, state)
    }

    /// Makes a certificate authority for the cluster and keeps it here, so that nodes that come later get certificates too.
    pub(crate) fn new_authority(&self, cluster: &ClusterName) -> Result<Authority, Error> {
        let path = self.path.join(AUTHORITY);
        let keep = || -> io::Result<Authority> {
            let authority = Authority::create(cluster).map_err(io::Error::other)?;
            let text = authority.certificate().to_owned() + &authority.key();
            let mut options = File::options();
            options.write(true).create_new(true).mode(0o600);
            options.open(&path)?.write_all(text.as_bytes())?;
            Ok(authority)
        };
        keep().map_err(|e| Error::state("making", &path, e))
    }

    /// Removes the folder; the lock goes last.
    pub(crate) fn remove(self) -> Result<(), Error> {
        self.clear()
            .and_then(|()| std::fs::remove_file(self.path.join(LOCK)))
            .and_then(|()| std::fs::remove_dir(&self.path))
            .map_err(|e| Error::state("removing", &self.path, e))
    }

    fn is_current(&self) -> bool {
        let ours = self.lock.metadata().map(|m| (m.dev(), m.ino()));
        let there = std::fs::metadata(self.path.join(LOCK)).map(|m| (m.dev(), m.ino()));
        matches!((ours, there), (Ok(a), Ok(b)) if a == b)
    }

    fn clear(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_name() == LOCK {
                continue;
            }
            if entry.file_type()?.is_dir() {
                std::fs::remove_dir_all(entry.path())?;
            } else {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// Makes a folder below another one, which has to be there. That of a cluster that somebody has stopped meanwhile does not
/// come back that way.
pub(crate) fn make_below(folder: &Path, path: &Path) -> io::Result<()> {
    let below = path.strip_prefix(folder).map_err(io::Error::other)?;
    let mut made = folder.to_owned();
    for part in below.components() {
        made.push(part);
        match std::fs::create_dir(&made) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The right to change a cluster that runs. Others wait for it.
pub(crate) struct ChangeLock {
    path: PathBuf,
    _lock: File,
}

impl ChangeLock {
    /// Waits until nobody else changes the cluster. Blocks.
    pub(crate) fn take(path: &Path) -> Result<Self, Error> {
        let file = path.join(CHANGE);
        let mut options = File::options();
        let lock = options.write(true).create(true).truncate(false).open(&file);
        let lock = lock.and_then(|lock| {
            rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
            Ok(lock)
        });
        Ok(Self {
            path: path.to_owned(),
            _lock: lock.map_err(|e| Error::state("locking", &file, e))?,
        })
    }

    /// Writes the state, at once or not at all.
    pub(crate) fn write(&self, state: &State) -> Result<(), Error> {
        write(&self.path, state)
    }
}

/// Reads the state of a cluster that may be running.
pub(crate) fn read(path: &Path, name: &ClusterName) -> Result<State, Error> {
    let file = path.join(STATE);
    let not_running = || Error::NotRunning {
        name: name.to_string(),
    };
    if !is_locked(path) {
        return Err(not_running());
    }
    match std::fs::read(&file) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(not_running()),
        other => other
            .and_then(|bytes| Ok(serde_json::from_slice(&bytes)?))
            .map_err(|e| Error::state("reading", &file, e)),
    }
}

/// The certificate authority of a cluster that another process started.
pub(crate) fn authority(path: &Path) -> Result<Authority, Error> {
    let path = path.join(AUTHORITY);
    let read = || -> io::Result<Authority> {
        let text = std::fs::read_to_string(&path)?;
        let key = text
            .find("-----BEGIN PRIVATE KEY-----")
            .unwrap_or(text.len());
        let (certificate, key) = text.split_at(key);
        Authority::from_pem(certificate, key).map_err(io::Error::other)
    };
    read().map_err(|e| Error::state("reading", &path, e))
}

/// The state that a folder holds, whether or not its cluster lives; `None` when there is none that can be read.
pub(crate) fn stored(path: &Path) -> Option<State> {
    let bytes = std::fs::read(path.join(STATE)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn write(folder: &Path, state: &State) -> Result<(), Error> {
    let path = folder.join(STATE);
    let temporary = folder.join("state.json.new");
    serde_json::to_vec_pretty(state)
        .map_err(io::Error::from)
        .and_then(|bytes| std::fs::write(&temporary, bytes))
        .and_then(|()| std::fs::rename(&temporary, &path))
        .map_err(|e| Error::state("writing", &path, e))
}

fn open_lock(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path.join(LOCK))
}

/// Whether somebody, which is a keeper or the process that makes one, holds the folder's lock.
pub(crate) fn is_locked(path: &Path) -> bool {
    File::open(path.join(LOCK))
        .is_ok_and(|lock| rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_folder_is_made_in_one_that_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let nodes = root.path().join("nodes");
        make_below(root.path(), &nodes).unwrap();
        make_below(&nodes, &nodes.join("a/run/ovn")).unwrap();
        make_below(&nodes, &nodes.join("a/run/ovn")).unwrap();
        assert!(nodes.join("a/run/ovn").is_dir());
        std::fs::remove_dir_all(&nodes).unwrap();
        let gone = make_below(&nodes, &nodes.join("a")).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
        assert!(!nodes.exists());
        let elsewhere = make_below(&nodes, &root.path().join("b"));
        assert!(elsewhere.is_err());
    }

    #[test]
    fn a_folder_belongs_to_one_and_is_removed_whole() {
        let root = tempfile::tempdir().unwrap();
        let name: ClusterName = "one".parse().unwrap();
        let path = root.path().join("one");
        let dir = StateDir::create(&path, &name).unwrap();
        std::fs::create_dir_all(path.join("nodes/a")).unwrap();
        assert!(matches!(
            StateDir::create(&path, &name),
            Err(Error::Running { .. })
        ));
        let listed = list(root.path()).unwrap();
        assert_eq!(listed, [(name.clone(), true)]);
        drop(dir);
        assert_eq!(list(root.path()).unwrap(), [(name.clone(), false)]);
        let again = StateDir::create(&path, &name).unwrap();
        assert!(!path.join("nodes").exists());
        again.remove().unwrap();
        assert!(!path.exists());
    }
}
