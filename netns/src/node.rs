//! A node: PID 1 of its own pid namespace, and everything that lives and dies with it.

use std::io;
use std::os::fd::OwnedFd;

use rustix::mount::{MoveMountFlags, OpenTreeFlags};

use crate::error::{EnterError, NodeError};
use crate::keeper::Keeper;
use crate::namespaces::{Namespaces, on_fresh_thread};
use crate::nursery::Nursery;
use crate::process::{Process, ProcessId};
use crate::root::RootFs;
use crate::spawn::Command;

/// A node. Cheap to clone; dropping it does not end the node, its keeper does.
#[derive(Debug, Clone)]
pub struct Node {
    process: Process,
    origin: Origin,
}

/// Who made a node's first process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A [`Nursery`].
    Keeper,
    /// A container engine.
    Engine,
}

impl Node {
    /// Creates a node below a keeper, with its own pid, mount, network, UTS and IPC namespaces. Blocks for some
    /// milliseconds. For several, a [`Nursery`] is faster.
    ///
    /// # Errors
    /// With the step that the node could not take.
    pub fn create(keeper: &Keeper, root: &RootFs) -> Result<Self, NodeError> {
        Nursery::create(keeper, [root])?.make(root.hostname())
    }

    /// Takes a process that a nursery made for a node.
    pub(crate) fn made(process: Process) -> Self {
        Self {
            process,
            origin: Origin::Keeper,
        }
    }

    /// Opens a node that lives already.
    ///
    /// # Errors
    /// `NotFound` when it is gone.
    pub fn open(id: ProcessId) -> io::Result<Self> {
        Ok(Self {
            process: Process::open(id)?,
            origin: Origin::Keeper,
        })
    }

    /// Takes the first process of a container for a node. An engine tells its number only, which may mean another process
    /// here or by now; so `is_it` looks, inside the process's namespaces, for something that this container alone has.
    ///
    /// # Errors
    /// [`NodeError::Stranger`] when it does not find it; or when the process is gone.
    pub fn adopt(
        name: &str,
        pid: i32,
        is_it: impl FnOnce() -> bool + Send,
    ) -> Result<Self, NodeError> {
        let process = Process::with_pid(pid).map_err(|source| NodeError::Prepare {
            node: name.to_owned(),
            step: "open its process",
            source,
        })?;
        let node = Self {
            process,
            origin: Origin::Engine,
        };
        if node.namespaces().run(is_it)? {
            Ok(node)
        } else {
            Err(NodeError::Stranger {
                node: name.to_owned(),
                pid,
            })
        }
    }

    /// Opens a node that is a container and lives already.
    ///
    /// # Errors
    /// `NotFound` when it is gone.
    pub fn open_container(id: ProcessId) -> io::Result<Self> {
        Ok(Self {
            process: Process::open(id)?,
            origin: Origin::Engine,
        })
    }

    /// The node's first process. Killing it ends everything in the node.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The node's namespaces, for code that is to run in it.
    pub fn namespaces(&self) -> Namespaces {
        match self.origin {
            Origin::Keeper => Namespaces::node_of(&self.process),
            Origin::Engine => Namespaces::container_of(&self.process),
        }
    }

    /// The process that has this number in the node's own pid namespace, if there is one.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub fn process_numbered(&self, number: i32) -> io::Result<Option<Process>> {
        let namespace = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/pid"));
        let own = namespace(self.process.pid())?;
        for entry in std::fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            // What is gone by now is not it.
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
            let innermost =
                numbers.and_then(|numbers| numbers.split_whitespace().last()?.parse().ok());
            if innermost != Some(number) || namespace(pid).ok().as_ref() != Some(&own) {
                continue;
            }
            let Ok(process) = Process::with_pid(pid) else {
                continue;
            };
            // Still the same one, now that it is held.
            if namespace(pid).ok().as_ref() == Some(&own) {
                return Ok(Some(process));
            }
        }
        Ok(None)
    }

    /// A program to be run in the node.
    pub fn command(&self, program: impl Into<std::ffi::OsString>) -> Command {
        let command = Command::new(self.namespaces(), program);
        match self.origin {
            Origin::Keeper => command,
            Origin::Engine => command.confined_like(&self.process),
        }
    }

    /// Creates a network namespace inside the node and names it as ip-netns(8) does, so that `ip netns exec NAME` in the
    /// node finds it. It lives until it is deleted there or the node ends.
    ///
    /// # Errors
    /// When the name is taken or the kernel refuses.
    pub fn create_netns(&self, name: &str) -> Result<OwnedFd, NodeError> {
        let path = format!("/run/netns/{name}");
        let create = || -> io::Result<OwnedFd> {
            let net = new_network()?;
            self.namespaces().run(|| {
                std::fs::create_dir_all("/run/netns")?;
                std::fs::File::create_new(&path)?;
                // A path to the namespace exists only in the host's /proc, which is not seen here: mount by descriptor.
                let flags = OpenTreeFlags::OPEN_TREE_CLONE
                    | OpenTreeFlags::AT_EMPTY_PATH
                    | OpenTreeFlags::OPEN_TREE_CLOEXEC;
                let tree = rustix::mount::open_tree(&net, "", flags)?;
                let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
                rustix::mount::move_mount(&tree, "", rustix::fs::CWD, path.as_str(), flags)?;
                io::Result::Ok(())
            })??;
            Ok(net)
        };
        create().map_err(|source| NodeError::Setup {
            node: format!("with pid {}", self.process.pid()),
            step: format!("create the network namespace {name}"),
            source,
        })
    }

    /// Takes the name from a network namespace of the node. It ends, with its links, when nothing runs in it any more. One
    /// that is not there is no error.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn delete_netns(&self, name: &str) -> Result<(), NodeError> {
        let path = format!("/run/netns/{name}");
        let delete = || -> io::Result<()> {
            match rustix::mount::unmount(path.as_str(), rustix::mount::UnmountFlags::DETACH) {
                // It is no mount, or not there at all.
                Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {}
                Err(e) => return Err(e.into()),
            }
            match std::fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
                _ => Ok(()),
            }
        };
        let deleted = self.namespaces().run(delete)?;
        deleted.map_err(|source| NodeError::Setup {
            node: format!("with pid {}", self.process.pid()),
            step: format!("delete the network namespace {name}"),
            source,
        })
    }

    /// Opens a network namespace of the node by its ip-netns(8) name.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn open_netns(&self, name: &str) -> Result<OwnedFd, NodeError> {
        let path = format!("/run/netns/{name}");
        self.namespaces()
            .run(|| std::fs::File::open(&path).map(OwnedFd::from))?
            .map_err(|source| NodeError::Setup {
                node: format!("with pid {}", self.process.pid()),
                step: format!("open its network namespace {name}"),
                source,
            })
    }
}

/// A network namespace that lives as long as the descriptor or a mount of it.
fn new_network() -> io::Result<OwnedFd> {
    on_fresh_thread(|| {
        // SAFETY: NEWNET does not touch the descriptor table, which is what makes unshare unsafe.
        unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }?;
        Ok(std::fs::File::open("/proc/thread-self/ns/net")?.into())
    })?
}

impl From<EnterError> for io::Error {
    fn from(error: EnterError) -> Self {
        io::Error::other(error)
    }
}
