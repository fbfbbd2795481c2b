//! What a datapath in userspace knows of the far ends of its tunnels.
//!
//! It has a table of neighbours of its own, apart from the kernel's (`lib/tnl-neigh-cache.c` of Open vSwitch). A packet whose
//! tunnel leads to an address that is not there is dropped, and ARP or neighbour discovery asks for the address; so the first
//! packet between each two chassis would be lost.

use crate::error::Error;
use crate::node::NodeHandle;
use crate::plan::NodePlan;

/// Tells a node's switch the hardware addresses of others. On the kernel's datapath, which asks the kernel, there is nothing to
/// be told.
pub(crate) async fn acquaint<'a>(
    handle: &NodeHandle,
    others: impl Iterator<Item = &'a NodePlan>,
) -> Result<(), Error> {
    let Some(tap) = &handle.plan.tap else {
        return Ok(());
    };
    let known = others.filter_map(|other| {
        let (_, mac) = other.port()?;
        Some((other.address.to_string(), mac.to_string()))
    });
    let known: Vec<_> = known.collect();
    if known.is_empty() {
        return Ok(());
    }
    let mut switch = handle.unixctl("ovs-vswitchd").await?;
    let lists = known
        .iter()
        .map(|(address, mac)| [tap.name.as_str(), address, mac]);
    let told = switch.call_each("tnl/neigh/set", lists).await;
    told.map_err(|e| Error::in_node(&handle.plan.name, "telling its switch of others", e))
}
