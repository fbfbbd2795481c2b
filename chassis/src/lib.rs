//! Emulated multi-node OVN clusters on one machine, for test harnesses and for the command `ofm`.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = ofm::Cluster::builder().chassis(3).start().await?;
//! let output = cluster.node("ovn-chassis-1")?.exec(["ip", "addr"]).await?;
//! println!("{}", output.text());
//! let vm = cluster.vm("sw01p1")?;
//! println!("{:?}", vm.ping("21.0.0.3".parse()?).await?);
//! cluster.stop().await?;
//! # Ok(()) }
//! ```
//!
//! A cluster is tied to the process that started it: when that ends, by a panic or by SIGKILL, the kernel takes the
//! cluster away. [`Cluster::detach`] lets it live on.
#![forbid(unsafe_code)]

mod apply;
mod builder;
mod change;
mod clock;
mod cluster;
pub mod copy;
mod dhcp;
mod error;
mod event;
pub mod host;
pub mod image;
pub mod inventory;
pub mod lab;
pub mod name;
mod node;
mod ping;
mod pki;
pub mod plan;
pub mod runtime;
mod schemas;
mod seed;
mod software;
pub mod spec;
pub mod state;
pub mod status;
pub mod timings;
pub mod topology;
pub mod trace;
mod user;
mod vm;

pub use builder::Builder;
pub use change::Applied;
pub use cluster::Cluster;
pub use error::Error;
pub use event::{Event, Phase};
pub use lab::Lab;
pub use node::NodeHandle;
pub use software::{Software, Source, Sources};
pub use spec::ClusterSpec;
pub use timings::Timings;
pub use topology::Topology;
pub use trace::Trace;
pub use user::User;
pub use vm::Vm;
