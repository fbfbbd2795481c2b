//! The process whose life is the cluster's life.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use std::sync::{Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags};
use rustix::pipe::PipeFlags;

use crate::clone::{become_holder, block_signals, clone_process, exit_now, hold};
use crate::error::KeeperError;
use crate::namespaces::{self, Namespaces};
use crate::process::{Process, ProcessId};

/// PID 1 of a cluster's outer pid namespace, and the holder of the network namespace of its underlay.
///
/// A keeper that was created here is tied to this process: when this process ends, however it ends, or drops the keeper,
/// the keeper ends and takes all nodes with it. [`Keeper::detach`] unties it.
#[derive(Debug)]
pub struct Keeper {
    process: Process,
    /// The write end of the pipe that the keeper listens to; `None` once detached or when opened by identity.
    tie: Mutex<Option<OwnedFd>>,
}

impl Keeper {
    /// Creates a keeper. It keeps the descriptors of `inherit` open, which is how a lock can live as long as it does.
    ///
    /// # Errors
    /// When the kernel refuses the namespaces (`EPERM` without CAP_SYS_ADMIN).
    pub fn create(inherit: &[BorrowedFd<'_>]) -> Result<Self, KeeperError> {
        let (listen, tie) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)
            .map_err(|e| prepare("make the pipe it listens to", e.into()))?;
        let listen_fd = listen.as_raw_fd();
        let mut keep: Vec<RawFd> = inherit.iter().map(AsRawFd::as_raw_fd).collect();
        keep.push(listen_fd);
        keep.sort_unstable();

        let cloned = namespaces::on_fresh_thread(|| {
            block_signals();
            // SAFETY: the closure captures prepared data only and calls `become_holder` and `keep_alive`, which make
            // async-signal-safe calls.
            unsafe {
                clone_process(libc::CLONE_NEWPID | libc::CLONE_NEWNET, || {
                    become_holder(c"ofm-keeper", &keep);
                    keep_alive(listen_fd)
                })
            }
        })
        .map_err(|e| prepare("start a thread", e))?
        .map_err(|e| prepare("clone a process into new pid and network namespaces", e))?;
        Ok(Self {
            process: Process::from_pidfd(cloned.pidfd, cloned.pid),
            tie: Mutex::new(Some(tie)),
        })
    }

    /// Opens a keeper that lives already; it is not tied to this process.
    ///
    /// # Errors
    /// `NotFound` when it is gone.
    pub fn open(id: ProcessId) -> io::Result<Self> {
        Ok(Self {
            process: Process::open(id)?,
            tie: Mutex::new(None),
        })
    }

    /// Lets the keeper live on when this process ends.
    ///
    /// # Errors
    /// `EPIPE` when the keeper is dead.
    pub fn detach(&self) -> io::Result<()> {
        let tie = self
            .tie
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(tie) = tie {
            rustix::io::write(&tie, b"d")?;
        }
        Ok(())
    }

    /// The keeper's process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The first processes of all nodes below it whose nursery has ended.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub fn nodes(&self) -> io::Result<Vec<Process>> {
        self.process.children()
    }

    /// The network namespace that holds the cluster's underlay.
    pub fn underlay(&self) -> Namespaces {
        Namespaces::network_of(&self.process)
    }
}

impl AsFd for Keeper {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }
}

fn prepare(step: &'static str, source: io::Error) -> KeeperError {
    KeeperError::Prepare { step, source }
}

/// The keeper's whole life: end with the pipe, unless a byte came through it first.
fn keep_alive(listen: RawFd) -> ! {
    // SAFETY: the descriptor is open in this process; it was spared by `become_holder`.
    let listen = unsafe { BorrowedFd::borrow_raw(listen) };
    loop {
        let mut fds = [PollFd::new(&listen, PollFlags::IN)];
        if rustix::event::poll(&mut fds, None).is_err() {
            continue;
        }
        let mut byte = [0_u8];
        match rustix::io::read(listen, &mut byte) {
            Ok(0) => exit_now(0),
            Ok(_) => hold(),
            Err(_) => continue,
        }
    }
}
