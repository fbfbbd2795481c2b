//! Phases `chassis` and `ready`: seeing in the databases that the cluster is what was asked for.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use ovsdb_client::monitor::{Monitor, MonitorTable, Replica, WaitError};
use ovsdb_client::transaction::{Condition, Mutation, Transaction};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::Phase;
use crate::node::NodeHandle;
use crate::plan::Role;

/// How long a cluster may take from its daemons' start until it is ready.
const DEADLINE: Duration = Duration::from_secs(120);

pub(crate) async fn wait(cluster: &Cluster, clock: &mut Clock) -> Result<(), Error> {
    let deadline = Instant::now() + DEADLINE;
    let central = cluster.node(cluster.plan().central().name.as_str())?;
    let chassis: Vec<&NodeHandle> = cluster
        .handles()
        .values()
        .filter(|handle| handle.plan.role != Role::Central)
        .collect();

    let began = clock.begin(Phase::Chassis, chassis.len());
    let mut sb = cluster
        .sb()
        .await?
        .monitor(
            "OVN_Southbound",
            &[
                MonitorTable::new("Chassis").columns(["name"]),
                MonitorTable::new("Chassis_Private").columns(["name", "nb_cfg"]),
                MonitorTable::new("Port_Binding").columns(["logical_port", "chassis", "up"]),
            ],
        )
        .await
        .map_err(|e| Error::in_node(&central.plan.name, "watching the southbound database", e))?;
    // The plan puts Chassis rows there beforehand; a Chassis_Private row is written by a controller only.
    let names: BTreeSet<String> = chassis.iter().map(|c| c.plan.name.to_string()).collect();
    let wanted = "chassis have not registered";
    wait_for_all(
        &mut sb,
        deadline,
        clock,
        Phase::Chassis,
        &central,
        &names,
        wanted,
        |view| {
            let rows = view.rows("Chassis_Private");
            rows.filter_map(|(_, row)| row.str("name").map(str::to_owned))
                .collect()
        },
    )
    .await?;
    clock.end(Phase::Chassis, began);

    let began = clock.begin(Phase::Ready, chassis.len());
    let mut datapaths: FuturesUnordered<_> = chassis
        .iter()
        .map(|handle| datapath(cluster, handle, deadline))
        .collect();
    let mut done = 0;
    while let Some(result) = datapaths.next().await {
        result?;
        done += 1;
        clock.progress(Phase::Ready, done, chassis.len());
    }
    let ports: BTreeSet<String> = cluster.plan().vms().map(|vm| vm.iface_id.clone()).collect();
    let wanted = "logical ports are not up";
    wait_for_all(
        &mut sb,
        deadline,
        clock,
        Phase::Ready,
        &central,
        &ports,
        wanted,
        |view| {
            let rows = view.rows("Port_Binding");
            rows.filter(|(_, row)| row.bool("up") == Some(true) && row.uuid("chassis").is_some())
                .filter_map(|(_, row)| row.str("logical_port").map(str::to_owned))
                .collect()
        },
    )
    .await?;
    // Now that every tunnel is there, every controller has to say that what follows from it is installed.
    let generation = next_generation(cluster).await?;
    let wanted = "chassis have not acknowledged nb_cfg";
    wait_for_all(
        &mut sb,
        deadline,
        clock,
        Phase::Ready,
        &central,
        &names,
        wanted,
        |view| {
            let rows = view.rows("Chassis_Private");
            rows.filter(|(_, row)| row.i64("nb_cfg").is_some_and(|n| n >= generation))
                .filter_map(|(_, row)| row.str("name").map(str::to_owned))
                .collect()
        },
    )
    .await?;
    clock.end(Phase::Ready, began);
    Ok(())
}

/// Waits until everything wanted was seen; if it is not, says what is missing.
#[expect(
    clippy::too_many_arguments,
    reason = "what, where, when, and how to say it"
)]
async fn wait_for_all(
    monitor: &mut Monitor,
    deadline: Instant,
    clock: &Clock,
    phase: Phase,
    handle: &NodeHandle,
    wanted: &BTreeSet<String>,
    complaint: &str,
    seen: impl Fn(&Replica) -> BTreeSet<String>,
) -> Result<(), Error> {
    let result = monitor
        .wait_until(deadline, |view| {
            let missing = wanted.difference(&seen(view)).count();
            clock.progress(phase, wanted.len() - missing, wanted.len());
            (missing == 0).then_some(())
        })
        .await;
    result.map_err(|error| match error {
        WaitError::Timeout { waited } => {
            let seen = seen(monitor.view());
            let missing: Vec<_> = wanted.difference(&seen).cloned().collect();
            let suspect = missing.first().cloned().unwrap_or_default();
            Error::NotReady {
                node: handle.plan.name.to_string(),
                phase,
                missing: format!("{} {complaint}: {}", missing.len(), missing.join(", ")),
                waited,
                log: format!("{}\nlook first at {suspect}", handle.log_tail("ovn-northd")),
            }
        }
        ended => Error::in_node(&handle.plan.name, "watching its database", ended),
    })
}

/// Waits until a chassis has a tunnel to each other one and `ovn-installed` on each of its VMs' ports.
async fn datapath(cluster: &Cluster, handle: &NodeHandle, deadline: Instant) -> Result<(), Error> {
    let name = &handle.plan.name;
    let columns = ["name", "type", "options", "ofport", "external_ids"];
    let mut monitor = handle
        .ovs()
        .await?
        .monitor(
            "Open_vSwitch",
            &[MonitorTable::new("Interface").columns(columns)],
        )
        .await
        .map_err(|e| Error::in_node(name, "watching its database", e))?;
    let wanted: BTreeSet<String> = tunnels_of(cluster, handle)
        .chain(handle.plan.vms.iter().map(|vm| vm.iface_id.clone()))
        .collect();
    let result = monitor
        .wait_until(deadline, |view| {
            wanted.is_subset(&present(view)).then_some(())
        })
        .await;
    result.map_err(|error| match error {
        WaitError::Timeout { waited } => {
            let present = present(monitor.view());
            let missing: Vec<_> = wanted.difference(&present).cloned().collect();
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

/// The addresses to which a chassis should have tunnels.
fn tunnels_of(cluster: &Cluster, handle: &NodeHandle) -> impl Iterator<Item = String> {
    let own = handle.plan.address;
    let nodes = cluster.plan().nodes.iter();
    nodes
        .filter(move |node| node.role != Role::Central && node.address != own)
        .map(|node| node.address.to_string())
}

/// The far ends of the tunnels and the logical ports that ovs-vswitchd and ovn-controller have finished.
fn present(view: &Replica) -> BTreeSet<String> {
    view.rows("Interface")
        .filter(|(_, row)| row.i64("ofport").is_some_and(|port| port > 0))
        .filter_map(|(_, row)| {
            if row.str("type") == Some("geneve") {
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

/// How many tunnels a chassis has right now.
pub(crate) fn count_tunnels(view: &Replica) -> usize {
    let rows = view.rows("Interface");
    rows.filter(|(_, row)| {
        row.str("type") == Some("geneve") && row.i64("ofport").is_some_and(|port| port > 0)
    })
    .count()
}

/// Raises `NB_Global.nb_cfg` and returns its new value (ovn-nb(5)).
async fn next_generation(cluster: &Cluster) -> Result<i64, Error> {
    let nb = cluster.nb().await?;
    let mut transaction = Transaction::new();
    let all: [Condition; 0] = [];
    transaction.mutate("NB_Global", all.clone(), [Mutation::add("nb_cfg", 1)]);
    let select = transaction.select("NB_Global", all, ["nb_cfg"]);
    let outcome = nb
        .transact("OVN_Northbound", transaction)
        .await
        .map_err(|e| Error::in_node(cluster.name(), "raising nb_cfg", e))?;
    let row = outcome.rows(select).and_then(|rows| rows.first());
    row.and_then(|row| row.i64("nb_cfg"))
        .ok_or_else(|| Error::in_node(cluster.name(), "raising nb_cfg", "NB_Global has no row"))
}
