//! A chassis' own Open vSwitch, watched for tunnels and ports.

use std::collections::BTreeSet;

use ovsdb_client::value::Datum;
use ovsdb_client::{Client, Condition, MonitorTable, Snapshot, WaitError};
use tokio::time::Instant;

use super::missing;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::Phase;
use crate::node::NodeHandle;
use crate::plan::ovs::TUNNELS;

/// What is to be true of the interfaces of a switch.
struct Wanted<'a, F> {
    /// Which rows to look at: those that meet one of these, or all.
    conditions: Vec<Condition>,
    /// What an error says before the names of what is wrong.
    complaint: &'a str,
    /// The names of what is wrong.
    wrong: F,
}

/// Waits until a chassis has a tunnel to each of its peers and `ovn-installed` on each of its VMs' ports.
pub(super) async fn wait(
    cluster: &Cluster,
    handle: &NodeHandle,
    deadline: Instant,
) -> Result<(), Error> {
    let ports = handle.plan.vms.iter().map(|vm| vm.iface_id.clone());
    let wanted = peers(cluster, handle).into_iter().chain(ports).collect();
    let wanted = Wanted {
        conditions: Vec::new(),
        complaint: "no tunnel to or installed port",
        wrong: |rows: &Snapshot| missing(&wanted, &present(rows)),
    };
    until_right(cluster, handle, handle.ovs().await?, deadline, wanted).await
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
    let wanted = Wanted {
        conditions: Vec::new(),
        complaint: "no tunnel to, or still one to",
        wrong: |rows: &Snapshot| {
            let tunnels = tunnels(rows);
            let mut wrong = missing(&wanted, &tunnels);
            wrong.extend(tunnels.difference(&there).cloned());
            wrong
        },
    };
    until_right(cluster, handle, handle.ovs().await?, deadline, wanted).await
}

/// Waits until a chassis has tunnels to some of its peers, looking at no others.
pub(super) async fn wait_for_tunnels_to(
    cluster: &Cluster,
    handle: &NodeHandle,
    ovs: Client,
    peers: &BTreeSet<String>,
    deadline: Instant,
) -> Result<(), Error> {
    let wanted = Wanted {
        conditions: leading_to(peers),
        complaint: "no tunnel to",
        wrong: |rows: &Snapshot| missing(peers, &tunnels(rows)),
    };
    until_right(cluster, handle, ovs, deadline, wanted).await
}

/// Waits until a chassis has no tunnels to addresses of chassis that there are no more.
pub(super) async fn wait_for_no_tunnels_to(
    cluster: &Cluster,
    handle: &NodeHandle,
    ovs: Client,
    gone: &BTreeSet<String>,
    deadline: Instant,
) -> Result<(), Error> {
    let wanted = Wanted {
        conditions: leading_to(gone),
        complaint: "still a tunnel to",
        wrong: |rows: &Snapshot| tunnels(rows).into_iter().collect(),
    };
    until_right(cluster, handle, ovs, deadline, wanted).await
}

/// Waits until a look at the interfaces finds nothing wrong any more.
async fn until_right<F: Fn(&Snapshot) -> Vec<String>>(
    cluster: &Cluster,
    handle: &NodeHandle,
    ovs: Client,
    deadline: Instant,
    wanted: Wanted<'_, F>,
) -> Result<(), Error> {
    let (name, wrong) = (&handle.plan.name, wanted.wrong);
    let columns = ["type", "options", "ofport", "external_ids"];
    let interfaces = MonitorTable::new("Interface").columns(columns);
    let conditions = wanted.conditions.into_iter();
    let interfaces = [conditions.fold(interfaces, MonitorTable::condition)];
    let monitor = cluster.monitor(&handle.plan, &ovs, DATABASE, &interfaces);
    let monitor = monitor.await?;
    let right = |rows: &Snapshot| wrong(rows).is_empty().then_some(());
    let result = monitor.wait_until(deadline, right).await;
    result.map_err(|error| match error {
        WaitError::Timeout { waited } => Error::NotReady {
            node: name.to_string(),
            phase: Phase::Ready,
            missing: format!(
                "{} {}",
                wanted.complaint,
                wrong(&monitor.snapshot()).join(", ")
            ),
            waited,
            log: handle.log_tail("ovn-controller"),
        },
        ended => Error::in_node(name, "watching its database", ended),
    })
}

/// The name of the database of a switch.
const DATABASE: &str = "Open_vSwitch";

/// The interfaces that lead to addresses.
fn leading_to(addresses: &BTreeSet<String>) -> Vec<Condition> {
    let options = addresses.iter().map(|a| Datum::map([("remote_ip", a)]));
    options.map(|o| Condition::includes("options", o)).collect()
}

/// The addresses of the chassis to which a chassis should have tunnels: of those that run.
fn peers(cluster: &Cluster, handle: &NodeHandle) -> BTreeSet<String> {
    let peers = cluster.plan().peers(&handle.plan);
    let peers = peers.filter(|peer| cluster.handles().contains_key(peer.name.as_str()));
    peers.map(|peer| peer.address.to_string()).collect()
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
