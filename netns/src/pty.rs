//! A terminal of a node's own, for interactive programs.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

/// The master side of a pseudo-terminal of the node's devpts, so that tty(1) in the node finds it.
#[derive(Debug)]
pub struct Pty {
    master: OwnedFd,
    slave: OwnedFd,
}

impl Pty {
    /// Opens a pair; the calling thread must be in the node.
    pub(crate) fn open() -> io::Result<Self> {
        let master = rustix::fs::open(
            "/dev/pts/ptmx",
            OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        rustix::pty::unlockpt(&master)?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags)?;
        Ok(Self { master, slave })
    }

    /// Sets its size in character cells.
    ///
    /// # Errors
    /// The kernel's.
    pub fn resize(&self, size: Winsize) -> io::Result<()> {
        Ok(rustix::termios::tcsetwinsize(&self.master, size)?)
    }

    /// Lets go of the program's side, so that reading ends when the program does.
    #[must_use]
    pub fn into_master(self) -> OwnedFd {
        self.master
    }

    pub(crate) fn attach(&self, command: &mut Command) -> io::Result<()> {
        command
            .stdin(self.slave.try_clone()?)
            .stdout(self.slave.try_clone()?)
            .stderr(self.slave.try_clone()?);
        let slave = self.slave.try_clone()?;
        // SAFETY: the closure allocates nothing and makes two async-signal-safe system calls; the descriptor is owned by
        // the closure.
        unsafe {
            command.pre_exec(move || {
                rustix::process::setsid()?;
                rustix::process::ioctl_tiocsctty(&slave)?;
                Ok(())
            })
        };
        Ok(())
    }
}

impl AsFd for Pty {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }
}
