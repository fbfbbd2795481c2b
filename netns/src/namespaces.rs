//! Running code in the namespaces of another process.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType, UnshareFlags};

use crate::error::EnterError;
use crate::process::Process;

/// A set of namespaces that threads can be moved into. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Namespaces {
    process: Process,
    types: ThreadNameSpaceType,
    /// A network namespace to enter after those of `process`: an inner one, as of a VM.
    inner_net: Option<Arc<OwnedFd>>,
}

impl Namespaces {
    /// Only the network namespace of a process.
    pub fn network_of(process: &Process) -> Self {
        Self {
            process: process.clone(),
            types: ThreadNameSpaceType::NETWORK,
            inner_net: None,
        }
    }

    /// Everything that makes a node: mount, network, UTS, IPC, and pid for the children of the thread.
    pub(crate) fn node_of(process: &Process) -> Self {
        Self {
            process: process.clone(),
            types: ThreadNameSpaceType::MOUNT
                | ThreadNameSpaceType::NETWORK
                | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
                | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
                | ThreadNameSpaceType::PROCESS_ID,
            inner_net: None,
        }
    }

    /// Everything that makes a container: as for a node, and the cgroup namespace.
    pub(crate) fn container_of(process: &Process) -> Self {
        let mut namespaces = Self::node_of(process);
        namespaces.types |= ThreadNameSpaceType::CONTROL_GROUP;
        namespaces
    }

    /// The same, but with another network namespace.
    #[must_use]
    pub fn with_network(&self, net: OwnedFd) -> Self {
        Self {
            inner_net: Some(Arc::new(net)),
            ..self.clone()
        }
    }

    /// Runs `f` on a fresh thread inside these namespaces and waits for it. Blocks the caller.
    ///
    /// Sockets that `f` creates stay in these namespaces, whoever uses them later. A panic of `f` goes on in the caller.
    ///
    /// # Errors
    /// When the thread cannot be made or moved.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> Result<T, EnterError> {
        on_fresh_thread(|| self.enter().map(|()| f())).map_err(EnterError::Thread)?
    }

    /// A descriptor of the network namespace, for links that are to be created into it.
    ///
    /// # Errors
    /// When its process is gone, or the caller may not look at that.
    pub fn network_fd(&self) -> Result<OwnedFd, EnterError> {
        let open = || match &self.inner_net {
            Some(net) => net.try_clone(),
            None => File::open(format!("/proc/{}/ns/net", self.process.pid())).map(OwnedFd::from),
        };
        let netns = open().map_err(|source| self.refused("network", source))?;
        // Only as long as the process lives is its number no other's.
        if !self.process.is_alive() {
            let gone = io::Error::new(io::ErrorKind::NotFound, "the process is gone");
            return Err(self.refused("network", gone));
        }
        Ok(netns)
    }

    /// Moves the calling thread, which must be a fresh one that ends afterwards.
    pub(crate) fn enter(&self) -> Result<(), EnterError> {
        // setns(2) into a mount namespace is refused to a thread that shares its working directory with others.
        // SAFETY: FS does not touch the descriptor table, which is what makes unshare unsafe.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FS) }
            .map_err(|e| self.refused("filesystem", e.into()))?;
        rustix::thread::move_into_thread_name_spaces(self.process.as_fd(), self.types)
            .map_err(|e| self.refused("node's", e.into()))?;
        if let Some(net) = &self.inner_net {
            rustix::thread::move_into_link_name_space(
                net.as_fd(),
                Some(LinkNameSpaceType::Network),
            )
            .map_err(|e| self.refused("inner network", e.into()))?;
        }
        Ok(())
    }

    fn refused(&self, what: &'static str, source: io::Error) -> EnterError {
        EnterError::Enter {
            what,
            pid: self.process.pid(),
            source,
        }
    }
}

/// Whether the caller's root folder is not the one with which its mount namespace begins, as after chroot(2). There no node
/// can be made: a thread that enters a node's mount namespace gets the root with which that begins (setns(2)).
///
/// # Errors
/// When the caller may not enter even its own mount namespace.
pub fn in_chroot() -> io::Result<bool> {
    let own = Namespaces {
        process: Process::current()?,
        types: ThreadNameSpaceType::MOUNT,
        inner_net: None,
    };
    let root = || {
        let root = rustix::fs::stat("/")?;
        io::Result::Ok((root.st_dev, root.st_ino))
    };
    let first = own.run(root).map_err(io::Error::other)??;
    Ok(first != root()?)
}

/// Runs `f` on a thread that ends with it, so that whatever `f` does to its thread needs no undoing.
pub(crate) fn on_fresh_thread<T: Send>(f: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("ofm-namespace".into())
            .spawn_scoped(scope, f)?;
        match thread.join() {
            Ok(value) => Ok(value),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
