//! The lock by which processes of Open vSwitch keep off each other's database files.
//!
//! It is a POSIX record lock on a file `.<name>.~lock~` beside the database, or beside what a
//! symbolic link leads to (`lib/lockfile.c`). Lock files are never removed: another process may
//! be about to lock the one that is there.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, fcntl_getlk};

/// Devices and inodes of the lock files that this process has locked.
///
/// A POSIX lock belongs to the process, not to the descriptor: a second one would be granted, and
/// closing any descriptor of the file releases them all.
static OURS: Mutex<Option<HashSet<(u64, u64)>>> = Mutex::new(None);

/// A lock on a database file, held until it is dropped.
#[derive(Debug)]
pub(super) struct FileLock {
    /// Dropped, hence closed, while the registry is locked.
    file: Option<File>,
    identity: (u64, u64),
}

/// Why a file was not locked.
#[derive(Debug)]
pub(super) enum LockError {
    /// Someone else has it; `None` if that is this process, or unknown.
    Held(Option<u32>),
    Io(io::Error),
}

impl From<io::Error> for LockError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl FileLock {
    /// Locks the database at `path`, where symbolic links have been followed.
    pub(super) fn acquire(path: &Path) -> Result<Self, LockError> {
        let owner = fs::metadata(path)?;
        Self::open(path, Some(&owner))
    }

    /// Locks a database that may not exist, unless it was never locked before: then no server
    /// believes to have it open.
    pub(super) fn acquire_if_used(path: &Path) -> Result<Option<Self>, LockError> {
        match Self::open(path, None) {
            Err(LockError::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            result => result.map(Some),
        }
    }

    /// Opens and locks the lock file; makes it for an owner if one is given.
    fn open(path: &Path, owner: Option<&fs::Metadata>) -> Result<Self, LockError> {
        let path = lock_path(path);
        let mut registry = OURS.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = registry.get_or_insert_default();
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        if let Ok(metadata) = fs::metadata(&path)
            && ours.contains(&identity(metadata))
        {
            return Err(LockError::Held(None));
        }
        if let Some(owner) = owner {
            create(&path, owner)?;
        }
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let identity = identity(file.metadata()?);
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::AGAIN | Errno::ACCESS) => return Err(LockError::Held(holder(&file))),
            Err(error) => return Err(LockError::Io(error.into())),
        }
        ours.insert(identity);
        Ok(Self {
            file: Some(file),
            identity,
        })
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        let mut registry = OURS.lock().unwrap_or_else(PoisonError::into_inner);
        self.file = None;
        registry.get_or_insert_default().remove(&self.identity);
    }
}

/// Makes a lock file that is not there, and that the server can open later: it may be another user
/// than this process.
fn create(path: &Path, owner: &fs::Metadata) -> io::Result<()> {
    let mut options = OpenOptions::new();
    match options.write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => give(&file, owner),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Gives a file to the owner of another one.
pub(super) fn give(file: &File, owner: &fs::Metadata) -> io::Result<()> {
    let now = file.metadata()?;
    if (now.uid(), now.gid()) == (owner.uid(), owner.gid()) {
        return Ok(());
    }
    fchown(file, Some(owner.uid()), Some(owner.gid()))
}

fn holder(file: &File) -> Option<u32> {
    let wanted = Flock::from(FlockType::WriteLock);
    let holder = fcntl_getlk(file, &wanted).ok()??.pid?;
    holder.as_raw_nonzero().get().try_into().ok()
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".~lock~");
    path.with_file_name(name)
}

/// Follows symbolic links as servers do: up to ten, and a dangling one to the file that it names.
pub(super) fn follow_links(path: &Path) -> PathBuf {
    let mut followed = path.to_owned();
    for _ in 0..10 {
        let Ok(target) = fs::read_link(&followed) else {
            return followed;
        };
        followed = match followed.parent() {
            Some(directory) => directory.join(target),
            None => target,
        };
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_once_in_a_process_and_released() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pets.db");
        fs::write(&path, "").unwrap();
        assert!(FileLock::acquire_if_used(&path).unwrap().is_none());
        let lock = FileLock::acquire(&path).unwrap();
        assert!(directory.path().join(".pets.db.~lock~").exists());
        for _ in 0..2 {
            assert!(matches!(
                FileLock::acquire(&path),
                Err(LockError::Held(None))
            ));
        }
        drop(lock);
        assert!(FileLock::acquire_if_used(&path).unwrap().is_some());
        FileLock::acquire(&path).unwrap();
    }

    #[test]
    fn links_are_followed_to_what_they_name() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::os::unix::fs::symlink("b", at("a")).unwrap();
        std::os::unix::fs::symlink(at("c"), at("b")).unwrap();
        std::os::unix::fs::symlink("loop", at("loop")).unwrap();
        assert_eq!(follow_links(&at("a")), at("c"));
        assert_eq!(follow_links(&at("c")), at("c"));
        assert_eq!(follow_links(&at("loop")), at("loop"));
    }
}
