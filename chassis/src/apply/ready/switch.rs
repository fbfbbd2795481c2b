//! A chassis' own Open vSwitch, watched for tunnels and ports.

use std::collections::BTreeSet;

use ovsdb_client::{MonitorTable, Snapshot, WaitError};
use tokio::time::Instant;

use super::missing;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::Phase;
use crate::node::NodeHandle;

/// The types of tunnels, as `Interface.type` names them.
const TUNNELS: [&str; 2] = ["geneve", "vxlan"];

/// Waits until a chassis has a tunnel to each of its peers and `ovn-installed` on each of its VMs' ports.
pub(super) async fn wait(
    cluster: &Cluster,
    handle: &NodeHandle,
    deadline: Instant,
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
    let peers = cluster.plan().peers(&handle.plan);
    let peers = peers.filter(|peer| cluster.handles().contains_key(peer.name.as_str()));
    let wanted: BTreeSet<String> = peers
        .map(|peer| peer.address.to_string())
        .chain(handle.plan.vms.iter().map(|vm| vm.iface_id.clone()))
        .collect();
    let result = monitor
        .wait_until(deadline, |rows| {
            wanted.is_subset(&present(rows)).then_some(())
        })
        .await;
    result.map_err(|error| match error {
        WaitError::Timeout { waited } => {
            let missing = missing(&wanted, &present(&monitor.snapshot()));
            Error::NotReady {
                node: name.to_string(),
                phase: Phase::Ready,
                missing: format!("no tunnel to or installed port {}", missing.join(", ")),
                waited,
                log: handle.log_tail("ovn-controller"),
            }
        }
        ended => Error::in_node(name, "watching its database", ended),
    })
}

/// The far ends of the tunnels and the logical ports that ovs-vswitchd and ovn-controller have finished.
fn present(rows: &Snapshot) -> BTreeSet<String> {
    rows.rows("Interface")
        .filter(|(_, row)| row.i64("ofport").is_some_and(|port| port > 0))
        .filter_map(|(_, row)| {
            if row.str("type").is_some_and(|kind| TUNNELS.contains(&kind)) {
                row.map_get("options", "remote_ip").map(|ip| ip.to_string())
            } else if row.map_get("external_ids", "ovn-installed") == Some("true") {
                row.map_get("external_ids", "iface-id")
                    .map(|id| id.to_string())
            } else {
                None
            }
        })
        .collect()
}

/// How many chassis a chassis has tunnels to right now.
pub(crate) fn count_tunnels(rows: &Snapshot) -> usize {
    let rows = rows.rows("Interface");
    rows.filter(|(_, row)| row.str("type").is_some_and(|kind| TUNNELS.contains(&kind)))
        .filter(|(_, row)| row.i64("ofport").is_some_and(|port| port > 0))
        .filter_map(|(_, row)| row.map_get("options", "remote_ip").map(str::to_owned))
        .collect::<BTreeSet<_>>()
        .len()
}
