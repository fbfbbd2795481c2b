//! The process that makes nodes.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use rustix::process::PidfdFlags;
use rustix::thread::ThreadNameSpaceType;

use crate::clone::{become_holder, block_signals, clone_process, exit_now, hold};
use crate::cpu::{CpuTime, wait_for_child};
use crate::error::NodeError;
use crate::keeper::Keeper;
use crate::namespaces::on_fresh_thread;
use crate::node::Node;
use crate::process::Process;
use crate::root::RootFs;
use crate::step::Step;

/// How long a node may take to set itself up; a few milliseconds are usual.
const SETUP_SECONDS: i64 = 20;
/// What the node sends when every step was taken.
const READY: u32 = u32::MAX;

/// A process below a keeper that makes nodes when it is told to.
///
/// A node's first process is a copy of the one that makes it, and copying this one is dear: the larger it is and the more
/// threads write into what is shared until they do, the dearer. So it is copied once, with all that is to be known of some
/// nodes, and the copy makes them. It ends when the nursery is dropped; its nodes are the keeper's from then on.
#[derive(Debug)]
pub struct Nursery {
    process: Process,
    /// Where it is told which node to make next.
    orders: OwnedFd,
    nodes: Vec<Prepared>,
    /// Whether its end was waited for.
    ended: bool,
}

/// All that has to be known of a node before it is made.
#[derive(Debug)]
struct Prepared {
    hostname: String,
    steps: Vec<Step>,
}

impl Nursery {
    /// Prepares nodes with these roots.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn create<'a>(
        keeper: &Keeper,
        roots: impl IntoIterator<Item = &'a RootFs>,
    ) -> Result<Self, NodeError> {
        let failed = |step, source| NodeError::Nursery { step, source };
        let nodes = roots.into_iter().map(|root| Prepared {
            hostname: root.hostname().to_owned(),
            steps: root.steps(),
        });
        let nodes: Vec<_> = nodes.collect();
        let (orders, taken) =
            socket_pair().map_err(|e| failed("make the socket that it listens to", e))?;
        let cloned = on_fresh_thread(|| {
            block_signals();
            clone_below(keeper, &nodes, taken.as_raw_fd())
        })
        .map_err(|e| failed("start a thread", e))?
        .map_err(|e| failed("clone a process below the keeper", e))?;
        Ok(Self {
            process: cloned,
            orders,
            nodes,
            ended: false,
        })
    }

    /// Makes the node of that host name, once. Blocks for some milliseconds; several may be made at once.
    ///
    /// # Errors
    /// [`NodeError::Unprepared`], or with the step that the node could not take.
    pub fn make(&self, hostname: &str) -> Result<Node, NodeError> {
        let mut nodes = self.nodes.iter().enumerate();
        let Some((k, Prepared { steps, .. })) = nodes.find(|(_, node)| node.hostname == hostname)
        else {
            return Err(NodeError::Unprepared {
                node: hostname.to_owned(),
            });
        };
        let prepare = |step, source| NodeError::Prepare {
            node: hostname.to_owned(),
            step,
            source,
        };
        let (ours, report) =
            socket_pair().map_err(|e| prepare("make the socket it reports to", e))?;
        // The kernel translates the sender's pid for the receiver, across pid namespaces (unix(7)).
        rustix::net::sockopt::set_socket_passcred(&ours, true)
            .map_err(|e| prepare("ask for credentials", e.into()))?;
        self.order(k, report.as_fd())
            .map_err(|e| prepare("ask for it", e))?;
        drop(report);

        match read_report(&ours, hostname)? {
            (READY, _, pid) => {
                let pidfd = rustix::process::Pid::from_raw(pid)
                    .ok_or(io::Error::from(io::ErrorKind::InvalidData))
                    .and_then(|pid| Ok(rustix::process::pidfd_open(pid, PidfdFlags::empty())?))
                    .map_err(|e| prepare("open its process", e))?;
                // The node keeps its end of the socket as long as it lives. So if that end is still open now, the pidfd
                // was opened on the node and not on a later owner of its number.
                let mut fds = [PollFd::new(&ours, PollFlags::IN)];
                match rustix::event::poll(&mut fds, Some(&Timespec::default())) {
                    Ok(0) => Ok(Node::made(Process::from_pidfd(pidfd, pid))),
                    _ => Err(vanished(hostname)),
                }
            }
            (step, errno, _) => Err(NodeError::Setup {
                node: hostname.to_owned(),
                step: steps
                    .get(step as usize)
                    .map_or_else(|| "start".into(), Step::to_string),
                source: io::Error::from_raw_os_error(errno),
            }),
        }
    }

    /// Asks for a node that is to report there.
    fn order(&self, k: usize, report: BorrowedFd<'_>) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let report = [report];
        control.push(SendAncillaryMessage::ScmRights(&report));
        rustix::net::sendmsg(
            &self.orders,
            &[IoSlice::new(&k.to_ne_bytes())],
            &mut control,
            SendFlags::NOSIGNAL,
        )?;
        Ok(())
    }

    /// Ends the process, whose nodes stay, and returns what it used of the processors.
    pub fn end(mut self) -> CpuTime {
        self.finish()
    }

    fn finish(&mut self) -> CpuTime {
        if std::mem::replace(&mut self.ended, true) {
            return CpuTime::default();
        }
        // As good as the end of the orders, and certain.
        self.process.kill();
        let waited = wait_for_child(self.process.pid());
        waited.map_or_else(|_| CpuTime::default(), |(_, cpu)| cpu)
    }
}

impl Drop for Nursery {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Two ends that keep the limits of messages, and end when the other end does.
fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

fn vanished(hostname: &str) -> NodeError {
    NodeError::Vanished {
        node: hostname.to_owned(),
    }
}

/// Clones the process that makes nodes into the keeper's pid namespace. Only a process that already *is* in a pid namespace
/// may nest one in it.
fn clone_below(keeper: &Keeper, nodes: &[Prepared], orders: RawFd) -> io::Result<Process> {
    rustix::thread::move_into_thread_name_spaces(keeper.as_fd(), ThreadNameSpaceType::PROCESS_ID)?;
    // SAFETY: the closure captures prepared data only and makes async-signal-safe calls: `become_holder`, recvmsg, clone3,
    // send, close and _exit; and `live`, which takes the steps with raw system calls on C strings.
    let cloned = unsafe { clone_process(0, || serve(nodes, orders)) }?;
    Ok(Process::from_pidfd(cloned.pidfd, cloned.pid))
}

/// The nursery's whole life: nodes, until nobody can ask for one any more.
fn serve(nodes: &[Prepared], orders: RawFd) -> ! {
    let namespaces = libc::CLONE_NEWPID
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC;
    become_holder(c"ofm-nursery", &[orders]);
    // SAFETY: the descriptor is open in this process; `become_holder` spared it.
    let orders = unsafe { BorrowedFd::borrow_raw(orders) };
    loop {
        let Ok((k, report)) = next_order(orders) else {
            exit_now(0)
        };
        let Some(Prepared { steps, .. }) = nodes.get(k) else {
            continue;
        };
        let report_fd = report.as_raw_fd();
        // SAFETY: `live` makes async-signal-safe calls on prepared data.
        if let Err(e) = unsafe { clone_process(namespaces, || live(steps, report_fd)) } {
            send_report(report_fd, steps.len() as u32, e.raw_os_error().unwrap_or(0));
        }
    }
}

/// The number of the node that is to be made next, and where it is to report. Fails when nobody can ask any more.
fn next_order(orders: BorrowedFd<'_>) -> Result<(usize, OwnedFd), rustix::io::Errno> {
    let mut message = [0_u8; size_of::<usize>()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(
            orders,
            &mut [IoSliceMut::new(&mut message)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )
    })?;
    let report = control.drain().find_map(|part| match part {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    match report {
        Some(report) if received.bytes == message.len() => {
            Ok((usize::from_ne_bytes(message), report))
        }
        _ => Err(rustix::io::Errno::PIPE),
    }
}

/// The node's whole life.
fn live(steps: &[Step], report: RawFd) -> ! {
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

fn send_report(report: RawFd, step: u32, errno: i32) {
    let mut message = [0_u8; 8];
    message[..4].copy_from_slice(&step.to_ne_bytes());
    message[4..].copy_from_slice(&errno.to_ne_bytes());
    // SAFETY: the descriptor is open in this process; `become_holder` spared it.
    let report = unsafe { BorrowedFd::borrow_raw(report) };
    // If nobody listens any more, the keeper is about to end this process.
    let _nobody = rustix::net::send(report, &message, SendFlags::NOSIGNAL);
}

/// The step, its error number, and the sender's pid.
fn read_report(socket: &OwnedFd, node: &str) -> Result<(u32, i32, i32), NodeError> {
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
        Err(_) => return Err(vanished(node)),
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
    .map_err(|_| vanished(node))?;
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
        _ => Err(vanished(node)),
    }
}
