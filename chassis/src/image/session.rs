//! Knowing whether a build goes on: what it makes on its way looks just like what a dead one has left.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::error::BuildError;
use crate::node::blocking;

/// A mark that holds as long as the value, or its process, lives. Any number of builds share it.
#[derive(Debug)]
pub(crate) struct Session {
    path: PathBuf,
    lock: File,
}

impl Session {
    /// Says that a build goes on. Waits for whoever removes what dead builds have left, which does not take long.
    pub(crate) async fn begin() -> Result<Self, BuildError> {
        blocking(|| Self::take(&mark(), FlockOperation::LockShared)).await
    }

    /// Takes care that no build begins; `None` when one goes on.
    pub(crate) fn forbid() -> Result<Option<Self>, BuildError> {
        match Self::take(&mark(), FlockOperation::NonBlockingLockExclusive) {
            Ok(session) => Ok(Some(session)),
            Err(BuildError::Session { source, .. })
                if source.kind() == io::ErrorKind::WouldBlock =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn take(path: &Path, operation: FlockOperation) -> Result<Self, BuildError> {
        let failed = |source| BuildError::Session {
            path: path.to_owned(),
            source,
        };
        loop {
            let options = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path);
            let lock = options.map_err(failed)?;
            rustix::fs::flock(&lock, operation).map_err(|e| failed(e.into()))?;
            // The last one before may have removed the file in between: then this is a lock on nothing.
            let ours = lock.metadata().map(|m| (m.dev(), m.ino())).ok();
            let there = std::fs::metadata(path).map(|m| (m.dev(), m.ino())).ok();
            if ours == there {
                let path = path.to_owned();
                return Ok(Self { path, lock });
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The last one removes the file.
        if rustix::fs::flock(&self.lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _gone_already = std::fs::remove_file(&self.path);
        }
    }
}

/// One file for the machine, because engines are the machine's and not of a state root.
fn mark() -> PathBuf {
    let folder = if Path::new("/run/lock").is_dir() {
        "/run/lock"
    } else {
        "/run"
    };
    let uid = rustix::process::getuid().as_raw();
    Path::new(folder).join(format!("ofm-build-{uid}.lock"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn builds_share_the_mark_and_the_last_one_takes_it_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let shared = FlockOperation::NonBlockingLockShared;
        let alone = FlockOperation::NonBlockingLockExclusive;
        let first = Session::take(&path, shared).unwrap();
        let second = Session::take(&path, shared).unwrap();
        assert!(Session::take(&path, alone).is_err());
        drop(first);
        assert!(path.exists() && Session::take(&path, alone).is_err());
        drop(second);
        assert!(!path.exists());
        drop(Session::take(&path, alone).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn a_build_waits_until_none_is_forbidden() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let alone = Session::take(&path, FlockOperation::NonBlockingLockExclusive).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let taken = Session::take(&path, FlockOperation::LockShared);
                sender.send(taken).unwrap();
            });
            let early = receiver.recv_timeout(Duration::from_millis(100));
            assert!(early.is_err(), "{early:?}");
            drop(alone);
            let taken = receiver.recv().unwrap().unwrap();
            assert!(path.exists());
            drop(taken);
        });
        assert!(!path.exists());
    }
}
