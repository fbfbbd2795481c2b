//! Links, addresses and routes of the network below a cluster: a batch of netlink requests, applied in a namespace.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! use ofm_netns::Keeper;
//! use ofm_underlay::{Batch, LOOPBACK, Netlink};
//!
//! let keeper = Keeper::create(&[])?;
//! let netlink = Netlink::open(&keeper.underlay())?;
//! let mut batch = Batch::new();
//! batch.up(LOOPBACK, "lo").bridge("br0", 10).address(10, "br0", "192.0.2.1/24".parse()?);
//! netlink.apply(batch, Duration::from_secs(5)).await?;
//! # Ok(()) }
//! ```
//!
//! Interface indexes are chosen by the caller, so that a later request of a batch can name what an earlier one creates.
//! Every request must be acknowledged by the kernel; one that is refused is reported with what it was to do, the error
//! number and the kernel's own explanation.
#![forbid(unsafe_code)]

mod batch;
mod datapath;
mod error;
mod ext_ack;
mod netlink;

pub use batch::{Batch, LOOPBACK, VethEnd};
pub use datapath::has_openvswitch_datapath;
pub use error::{BatchError, OpenError, RequestError};
pub use netlink::Netlink;
