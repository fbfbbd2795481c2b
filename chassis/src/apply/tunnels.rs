//! What a datapath in userspace knows of the far ends of its tunnels.
//!
//! It has a table of neighbours of its own, apart from the kernel's (`lib/tnl-neigh-cache.c` of Open vSwitch). A packet whose
//! tunnel leads to an address that is not there is dropped, and ARP or neighbour discovery asks for the address; so the first
//! packet between each two chassis would be lost.

use futures::future::try_join_all;

use crate::error::Error;
use crate::node::NodeHandle;
use crate::plan::NodePlan;

/// How many commands of a connection ovs-vswitchd takes in one round of its main loop (`run_connection` in lib/unixctl.c). After
/// each round in which it was told of a neighbour it looks at all its ports anew (`tnl_conf_seq` in lib/dpif-netdev.c), which
/// with one connection would be the square of the neighbours.
const AT_ONCE: usize = 10;
/// How many connections a switch is told over at most.
const CONNECTIONS: usize = 16;

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
    let at_once = AT_ONCE.max(known.len().div_ceil(CONNECTIONS));
    let shares = known.chunks(at_once);
    let connections = handle.unixctls("ovs-vswitchd", shares.len()).await?;
    let told = connections
        .into_iter()
        .zip(shares)
        .map(async |(mut switch, share)| {
            let lists = share
                .iter()
                .map(|(address, mac)| [tap.name.as_str(), address, mac]);
            switch.call_each("tnl/neigh/set", lists).await
        });
    let told = try_join_all(told).await;
    told.map(drop)
        .map_err(|e| Error::in_node(&handle.plan.name, "telling its switch of others", e))
}
