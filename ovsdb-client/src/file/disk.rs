//! Files appear and change on the disk as a whole: a temporary file, flushed, then renamed.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::error::CreateError;
use super::lock::{FileLock, LockError, follow_links, give};

/// What a new file has to survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A crash of this process: another process sees the whole file or none.
    Process,
    /// A loss of power: the file and its directory are flushed to the disk as well.
    Disk,
}

/// Makes a file that must not exist yet, and that no server believes to have open.
pub(super) fn create(path: &Path, bytes: &[u8], durability: Durability) -> Result<(), CreateError> {
    let owned = || path.to_owned();
    let write = |source| CreateError::Write {
        path: owned(),
        source,
    };
    let _lock = match FileLock::acquire_if_used(&follow_links(path)) {
        Ok(lock) => lock,
        Err(LockError::Held(pid)) => return Err(CreateError::Held { path: owned(), pid }),
        Err(LockError::Io(source)) => return Err(write(source)),
    };
    write_new(path, bytes, durability).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => CreateError::Exists { path: owned() },
        _ => write(source),
    })
}

fn write_new(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let file = temporary(path, bytes, durability)?;
    file.persist_noclobber(path)?;
    flush_directory(path, durability)
}

/// Puts a file in the place of one that exists, with its owner and its mode.
pub(super) fn replace(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<File> {
    let old = fs::metadata(path)?;
    let file = temporary(path, bytes, durability)?;
    give(file.as_file(), &old)?;
    file.as_file().set_permissions(old.permissions())?;
    let file = file.persist(path)?;
    flush_directory(path, durability)?;
    Ok(file)
}

/// A file in the same directory, so that it can be renamed.
fn temporary(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new()
        .prefix(".ovsdb-")
        // The mode that ovsdb-server gives its files.
        .permissions(Permissions::from_mode(0o640))
        .tempfile_in(directory(path))?;
    file.write_all(bytes)?;
    if durability == Durability::Disk {
        file.as_file().sync_all()?;
    }
    Ok(file)
}

fn flush_directory(path: &Path, durability: Durability) -> io::Result<()> {
    match durability {
        Durability::Process => Ok(()),
        Durability::Disk => File::open(directory(path))?.sync_all(),
    }
}

fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => ".".into(),
    }
}
