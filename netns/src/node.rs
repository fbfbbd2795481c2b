//! A node: PID 1 of its own pid namespace, and everything that lives and dies with it.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::mount::{MoveMountFlags, OpenTreeFlags};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType,
};
use rustix::process::PidfdFlags;
use rustix::thread::ThreadNameSpaceType;

use crate::clone::{become_holder, block_signals, clone_process, exit_now, hold};
use crate::error::{EnterError, NodeError};
use crate::keeper::Keeper;
use crate::namespaces::{Namespaces, on_fresh_thread};
use crate::process::{Process, ProcessId};
use crate::root::RootFs;
use crate::spawn::Command;
use crate::step::Step;

/// How long a node may take to set itself up; a few milliseconds are usual.
const SETUP_SECONDS: i64 = 20;
/// What the node sends when every step was taken.
const READY: u32 = u32::MAX;

/// A node. Cheap to clone; dropping it does not end the node, its keeper does.
#[derive(Debug, Clone)]
pub struct Node {
    process: Process,
    origin: Origin,
}

/// Who made a node's first process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// [`Node::create`].
    Keeper,
    /// A container engine.
    Engine,
}

impl Node {
    /// Creates a node below a keeper, with its own pid, mount, network, UTS and IPC namespaces. Blocks for some
    /// milliseconds; several may be created at once.
    ///
    /// # Errors
    /// With the step that the node could not take.
    pub fn create(keeper: &Keeper, root: &RootFs) -> Result<Self, NodeError> {
        let node = root.hostname();
        let prepare = |step, source| NodeError::Prepare {
            node: node.to_owned(),
            step,
            source,
        };
        let steps = root.steps();
        let (ours, report) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(|e| prepare("make the socket it reports to", e.into()))?;
        // The kernel translates the sender's pid for the receiver, across pid namespaces (unix(7)).
        rustix::net::sockopt::set_socket_passcred(&ours, true)
            .map_err(|e| prepare("ask for credentials", e.into()))?;

        on_fresh_thread(|| {
            block_signals();
            clone_below(keeper, &steps, report.as_raw_fd())
        })
        .map_err(|e| prepare("start a thread", e))?
        .map_err(|e| prepare("clone its first process", e))?;
        drop(report);

        match read_report(&ours, node)? {
            (READY, _, pid) => {
                let pidfd = rustix::process::Pid::from_raw(pid)
                    .ok_or(io::Error::from(io::ErrorKind::InvalidData))
                    .and_then(|pid| Ok(rustix::process::pidfd_open(pid, PidfdFlags::empty())?))
                    .map_err(|e| prepare("open its process", e))?;
                // The node keeps its end of the socket as long as it lives. So if that end is still open now, the pidfd
                // was opened on the node and not on a later owner of its number.
                let mut fds = [PollFd::new(&ours, PollFlags::IN)];
                match rustix::event::poll(&mut fds, Some(&Timespec::default())) {
                    Ok(0) => Ok(Self {
                        process: Process::from_pidfd(pidfd, pid),
                        origin: Origin::Keeper,
                    }),
                    _ => Err(NodeError::Vanished { node: node.into() }),
                }
            }
            (step, errno, _) => Err(NodeError::Setup {
                node: node.into(),
                step: steps
                    .get(step as usize)
                    .map_or_else(|| "start".into(), Step::to_string),
                source: io::Error::from_raw_os_error(errno),
            }),
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

/// Clones a process into the keeper's pid namespace which clones the node and ends, so that the node is the keeper's
/// child. The step between is needed: only a process that already *is* in a pid namespace may nest one in it.
fn clone_below(keeper: &Keeper, steps: &[Step], report: i32) -> io::Result<()> {
    rustix::thread::move_into_thread_name_spaces(keeper.as_fd(), ThreadNameSpaceType::PROCESS_ID)?;
    // SAFETY: the closure captures prepared data only and makes async-signal-safe calls: `become_holder`, clone3, send and
    // _exit; and `live`, which takes the steps with raw system calls on C strings.
    let between = unsafe { clone_process(0, || clone_node(steps, report)) }?;
    let between = Process::from_pidfd(between.pidfd, between.pid);
    between.wait_blocking(std::time::Duration::from_secs(SETUP_SECONDS as u64));
    Ok(())
}

/// The life of the process between: it makes the node, inside the keeper's pid namespace.
fn clone_node(steps: &[Step], report: i32) -> ! {
    let namespaces = libc::CLONE_NEWPID
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC;
    become_holder(c"ofm-node", &[report]);
    // SAFETY: `live` makes async-signal-safe calls on prepared data.
    match unsafe { clone_process(namespaces, || live(steps, report)) } {
        Ok(_) => exit_now(0),
        Err(e) => {
            send_report(report, steps.len() as u32, e.raw_os_error().unwrap_or(0));
            exit_now(1)
        }
    }
}

/// The node's whole life.
fn live(steps: &[Step], report: i32) -> ! {
    become_holder(c"ofm-node", &[report]);
    rustix::process::umask(rustix::fs::Mode::empty());
    for (k, step) in steps.iter().enumerate() {
        if let Err(e) = step.take() {
            send_report(report, k as u32, e.raw_os_error());
            exit_now(1);
        }
    }
    send_report(report, READY, 0);
    hold()
}

fn send_report(report: i32, step: u32, errno: i32) {
    let mut message = [0_u8; 8];
    message[..4].copy_from_slice(&step.to_ne_bytes());
    message[4..].copy_from_slice(&errno.to_ne_bytes());
    // SAFETY: the descriptor is open in this process; `become_holder` spared it.
    let report = unsafe { BorrowedFd::borrow_raw(report) };
    // If nobody listens any more, the keeper is about to end this process.
    let _nobody = rustix::net::send(report, &message, rustix::net::SendFlags::NOSIGNAL);
}

/// The step, its error number, and the sender's pid.
fn read_report(socket: &OwnedFd, node: &str) -> Result<(u32, i32, i32), NodeError> {
    let vanished = || NodeError::Vanished { node: node.into() };
    let deadline = Timespec {
        tv_sec: SETUP_SECONDS,
        tv_nsec: 0,
    };
    let mut fds = [PollFd::new(socket, PollFlags::IN)];
    match rustix::event::poll(&mut fds, Some(&deadline)) {
        Ok(0) => {
            return Err(NodeError::Silent {
                node: node.into(),
                seconds: SETUP_SECONDS,
            });
        }
        Ok(_) => {}
        Err(_) => return Err(vanished()),
    }
    let mut message = [0_u8; 8];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::net::recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut message)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )
    .map_err(|_| vanished())?;
    let sender = control.drain().find_map(|m| match m {
        RecvAncillaryMessage::ScmCredentials(c) => Some(c.pid.as_raw_nonzero().get()),
        _ => None,
    });
    let word = |k: usize| [message[k], message[k + 1], message[k + 2], message[k + 3]];
    match (received.bytes, sender) {
        (8, Some(pid)) => Ok((
            u32::from_ne_bytes(word(0)),
            i32::from_ne_bytes(word(4)),
            pid,
        )),
        _ => Err(vanished()),
    }
}

impl From<EnterError> for io::Error {
    fn from(error: EnterError) -> Self {
        io::Error::other(error)
    }
}
