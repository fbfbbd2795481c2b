//! A chassis' own Open vSwitch, watched for tunnels and ports.

use std::collections::BTreeSet;

use ovsdb_client::{MonitorTable, Snapshot, WaitError};
use tokio::time::Instant;

use super::missing;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::Phase;
use crate::node::NodeHandle;
use crate::plan::NodePlan;
use crate::plan::ovs::TUNNELS;

/// Waits until a chassis has a tunnel to each of its peers and `ovn-installed` on each of its VMs' ports.
pub(super) async fn wait(
    cluster: &Cluster,
    handle: &NodeHandle,
    deadline: Instant,
) -> Result<(), Error> {
    let ports = handle.plan.vms.iter().map(|vm| vm.iface_id.clone());
    let wanted = peers(cluster, handle).into_iter().chain(ports).collect();
    let done = |rows: &Snapshot| missing(&wanted, &present(rows));
    until_none(handle, deadline, "no tunnel to or installed port", done).await
}

/// Waits until a chassis has a tunnel to each of its peers, and none to a chassis that there is no more.
pub(super) async fn wait_for_tunnels(
    cluster: &Cluster,
    handle: &NodeHandle,
    deadline: Instant,
) -> Result<(), Error> {
    let wanted = peers(cluster, handle);
    let nodes = cluster.plan().nodes.iter();
    let there: BTreeSet<String> = nodes.map(|node| node.address.to_string()).collect();
    let wrong = |rows: &Snapshot| {
        let tunnels = tunnels(rows);
        let stale = tunnels.difference(&there).cloned();
        missing(&wanted, &tunnels)
            .into_iter()
            .chain(stale)
            .collect()
    };
    until_none(handle, deadline, "no tunnel to, or still one to", wrong).await
}

/// Waits until a chassis has a tunnel to one of its peers.
pub(crate) async fn wait_for_tunnel(
    handle: &NodeHandle,
    peer: &NodePlan,
    deadline: Instant,
) -> Result<(), Error> {
    let wanted = BTreeSet::from([peer.address.to_string()]);
    let wrong = |rows: &Snapshot| missing(&wanted, &tunnels(rows));
    until_none(handle, deadline, "no tunnel to", wrong).await
}

/// The addresses of the chassis to which a chassis should have tunnels: of those that run.
fn peers(cluster: &Cluster, handle: &NodeHandle) -> BTreeSet<String> {
    let peers = cluster.plan().peers(&handle.plan);
    let peers = peers.filter(|peer| cluster.handles().contains_key(peer.name.as_str()));
    peers.map(|peer| peer.address.to_string()).collect()
}

/// Waits until a look at the interfaces finds nothing wrong any more.
async fn until_none(
    handle: &NodeHandle,
    deadline: Instant,
    complaint: &str,
    wrong: impl Fn(&Snapshot) -> Vec<String>,
) -> Result<(), Error> {
    let name = &handle.plan.name;
    let columns = ["name", "type", "options", "ofport", "external_ids"];
    let monitor = handle
        .ovs()
        .await?
        .monitor(
            "Open_vSwitch",
            &[MonitorTable::new("Interface").columns(columns)],
        )
        .await
        .map_err(|e| Error::in_node(name, "watching its database", e))?;
    let result = monitor
        .wait_until(deadline, |rows| wrong(rows).is_empty().then_some(()))
        .await;
    result.map_err(|error| match error {
        WaitError::Timeout { waited } => Error::NotReady {
            node: name.to_string(),
            phase: Phase::Ready,
            missing: format!("{complaint} {}", wrong(&monitor.snapshot()).join(", ")),
            waited,
            log: handle.log_tail("ovn-controller"),
        },
        ended => Error::in_node(name, "watching its database", ended),
    })
}

/// The far ends of the tunnels and the logical ports that ovs-vswitchd and ovn-controller have finished.
fn present(rows: &Snapshot) -> BTreeSet<String> {
    let mut present = tunnels(rows);
    for (_, row) in rows.rows("Interface") {
        let there = row.i64("ofport").is_some_and(|port| port > 0);
        if there && row.map_get("external_ids", "ovn-installed") == Some("true") {
            present.extend(row.map_get("external_ids", "iface-id").map(str::to_owned));
        }
    }
    present
}

/// The far ends of the tunnels that ovs-vswitchd has finished.
fn tunnels(rows: &Snapshot) -> BTreeSet<String> {
    rows.rows("Interface")
        .filter(|(_, row)| row.str("type").is_some_and(|kind| TUNNELS.contains(&kind)))
        .filter(|(_, row)| row.i64("ofport").is_some_and(|port| port > 0))
        .filter_map(|(_, row)| row.map_get("options", "remote_ip").map(str::to_owned))
        .collect()
}

/// How many chassis a chassis has tunnels to right now.
pub(crate) fn count_tunnels(rows: &Snapshot) -> usize {
    tunnels(rows).len()
}
