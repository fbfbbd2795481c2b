//! What a new node does to itself, prepared as data before it exists.
//!
//! Between the clone and the end of these steps nothing may be allocated, so every path is a C string already.

use std::ffi::{CStr, CString};
use std::fmt;

use rustix::fs::{CWD, FileType, Mode};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

/// One system call, or a few that belong together.
#[derive(Debug)]
pub(crate) enum Step {
    Hostname(CString),
    /// Stops mounts from travelling between the node and the host (mount_namespaces(7)).
    PrivateMounts,
    Mount {
        kind: &'static CStr,
        target: CString,
        flags: MountFlags,
        options: CString,
    },
    Bind {
        source: CString,
        target: CString,
    },
    /// Makes a directory; one that is there already is fine.
    Directory {
        path: CString,
        mode: u32,
    },
    CharacterDevice {
        path: CString,
        major: u32,
        minor: u32,
    },
    Symlink {
        target: &'static CStr,
        link: CString,
    },
    /// Makes the directory `/` and lets go of everything else.
    PivotInto(CString),
}

impl Step {
    /// Takes the step. Async-signal-safe: raw system calls only.
    pub(crate) fn take(&self) -> Result<(), Errno> {
        match self {
            Step::Hostname(name) => rustix::system::sethostname(name.as_bytes()),
            Step::PrivateMounts => rustix::mount::mount_change(
                c"/",
                MountPropagationFlags::REC | MountPropagationFlags::PRIVATE,
            ),
            Step::Mount {
                kind,
                target,
                flags,
                options,
            } => rustix::mount::mount(*kind, target.as_c_str(), *kind, *flags, options.as_c_str()),
            Step::Bind { source, target } => {
                rustix::mount::mount_bind(source.as_c_str(), target.as_c_str())
            }
            Step::Directory { path, mode } => {
                match rustix::fs::mkdirat(CWD, path.as_c_str(), Mode::from_raw_mode(*mode)) {
                    Err(Errno::EXIST) => Ok(()),
                    other => other,
                }
            }
            Step::CharacterDevice { path, major, minor } => rustix::fs::mknodat(
                CWD,
                path.as_c_str(),
                FileType::CharacterDevice,
                Mode::from_raw_mode(0o666),
                rustix::fs::makedev(*major, *minor),
            ),
            Step::Symlink { target, link } => rustix::fs::symlinkat(*target, CWD, link.as_c_str()),
            Step::PivotInto(path) => {
                rustix::process::chdir(path.as_c_str())?;
                // Old and new root in one place; the old one is on top and is taken off (pivot_root(2), NOTES).
                rustix::process::pivot_root(c".", c".")?;
                rustix::mount::unmount(c".", UnmountFlags::DETACH)?;
                rustix::process::chdir(c"/")
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Hostname(name) => write!(f, "set its host name {name:?}"),
            Step::PrivateMounts => write!(f, "make its mounts private"),
            Step::Mount { kind, target, .. } => write!(f, "mount {kind:?} on {target:?}"),
            Step::Bind { source, target } => write!(f, "bind {source:?} to {target:?}"),
            Step::Directory { path, .. } => write!(f, "make the directory {path:?}"),
            Step::CharacterDevice { path, .. } => write!(f, "make the device {path:?}"),
            Step::Symlink { link, .. } => write!(f, "make the link {link:?}"),
            Step::PivotInto(path) => write!(f, "make {path:?} its root"),
        }
    }
}
