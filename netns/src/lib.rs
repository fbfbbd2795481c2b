//! Namespaces and the processes that hold them: a cluster's keeper, its nodes, and the programs in a node.
//!
//! A *keeper* is PID 1 of an outer pid namespace; a *node* is PID 1 of a pid namespace inside it, with its own mount,
//! network, UTS and IPC namespaces. Killing the keeper ends every node and every program in them, by the kernel's own
//! rules (pid_namespaces(7)), so nothing needs to be undone.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use ofm_netns::{Keeper, Node, RootFs};
//!
//! let keeper = Keeper::create(&[])?;
//! let node = Node::create(&keeper, &RootFs::new("node-1", "/run/example/stage"))?;
//! let name = node.namespaces().run(|| std::fs::read_to_string("/proc/sys/kernel/hostname"))??;
//! assert_eq!(name.trim(), "node-1");
//! # Ok(()) }
//! ```
//!
//! Every piece of unsafe code of the workspace is in this crate. Threads that enter a namespace are made for that and
//! end there; no thread of the caller ever changes its namespaces.
#![expect(
    unsafe_code,
    reason = "clone3, ioctl, wait4 and pre_exec have no safe form; each use states why it is sound"
)]

mod clone;
mod confinement;
mod cpu;
mod credentials;
mod descriptors;
mod error;
mod ioctl;
mod keeper;
mod namespaces;
mod node;
mod nursery;
mod process;
mod pty;
mod root;
mod spawn;
mod step;

pub use confinement::capabilities;
pub use cpu::{CpuTime, processes_in};
pub use credentials::Credentials;
pub use descriptors::keep_descriptors;
pub use error::{EnterError, KeeperError, NodeError, SpawnError};
pub use ioctl::{create_tap, set_tx_checksum};
pub use keeper::Keeper;
pub use namespaces::{Namespaces, in_chroot};
pub use node::Node;
pub use nursery::Nursery;
pub use process::{Process, ProcessId};
pub use pty::Pty;
pub use root::{HostMount, RootFs};
pub use spawn::{Child, Command, Output, SEARCH_PATH, Stdio};
