//! Phases `chassis` and `ready`: seeing in the databases that the cluster is what was asked for.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use ovsdb_client::{Condition, Monitor, MonitorTable, Mutation, Snapshot, Transaction, WaitError};
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
    let sb = Southbound::watch(cluster, &central, deadline).await?;
    // The plan puts Chassis rows there beforehand; a Chassis_Private row is written by a controller only.
    let names: BTreeSet<String> = chassis.iter().map(|c| c.plan.name.to_string()).collect();
    let registered = |rows: &Snapshot| {
        let rows = rows.rows("Chassis_Private");
        rows.filter_map(|(_, row)| row.str("name").map(str::to_owned))
            .collect()
    };
    let complaint = "chassis have not registered";
    sb.wait(clock, Phase::Chassis, &names, complaint, registered)
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
    let up = |rows: &Snapshot| {
        let rows = rows.rows("Port_Binding");
        rows.filter(|(_, row)| row.bool("up") == Some(true) && row.uuid("chassis").is_some())
            .filter_map(|(_, row)| row.str("logical_port").map(str::to_owned))
            .collect()
    };
    let complaint = "logical ports are not up";
    sb.wait(clock, Phase::Ready, &ports, complaint, up).await?;
    // Now that every tunnel is there, every controller has to say that what follows from it is installed.
    let generation = next_generation(cluster).await?;
    let acknowledged = |rows: &Snapshot| {
        let rows = rows.rows("Chassis_Private");
        rows.filter(|(_, row)| row.i64("nb_cfg").is_some_and(|n| n >= generation))
            .filter_map(|(_, row)| row.str("name").map(str::to_owned))
            .collect()
    };
    let complaint = "chassis have not acknowledged nb_cfg";
    sb.wait(clock, Phase::Ready, &names, complaint, acknowledged)
        .await?;
    clock.end(Phase::Ready, began);
    Ok(())
}

/// The southbound database, watched for what the controllers write into it.
struct Southbound<'a> {
    monitor: Monitor,
    central: &'a NodeHandle,
    deadline: Instant,
}

impl<'a> Southbound<'a> {
    async fn watch(
        cluster: &Cluster,
        central: &'a NodeHandle,
        deadline: Instant,
    ) -> Result<Self, Error> {
        let tables = [
            MonitorTable::new("Chassis").columns(["name"]),
            MonitorTable::new("Chassis_Private").columns(["name", "nb_cfg"]),
            MonitorTable::new("Port_Binding").columns(["logical_port", "chassis", "up"]),
        ];
        let sb = cluster.sb().await?;
        let monitor = sb.monitor("OVN_Southbound", &tables).await.map_err(|e| {
            Error::in_node(&central.plan.name, "watching the southbound database", e)
        })?;
        Ok(Self {
            monitor,
            central,
            deadline,
        })
    }

    /// Waits until everything wanted was seen; if it is not, says what is missing.
    async fn wait(
        &self,
        clock: &Clock,
        phase: Phase,
        wanted: &BTreeSet<String>,
        complaint: &str,
        seen: impl Fn(&Snapshot) -> BTreeSet<String>,
    ) -> Result<(), Error> {
        let all_seen = self.monitor.wait_until(self.deadline, |rows| {
            let missing = wanted.difference(&seen(rows)).count();
            clock.progress(phase, wanted.len() - missing, wanted.len());
            (missing == 0).then_some(())
        });
        all_seen.await.map_err(|error| match error {
            WaitError::Timeout { waited } => {
                let seen = seen(&self.monitor.snapshot());
                let missing: Vec<_> = wanted.difference(&seen).cloned().collect();
                let suspect = missing.first().cloned().unwrap_or_default();
                let log = self.central.log_tail("ovn-northd");
                Error::NotReady {
                    node: self.central.plan.name.to_string(),
                    phase,
                    missing: format!("{} {complaint}: {}", missing.len(), missing.join(", ")),
                    waited,
                    log: format!("{log}\nlook first at {suspect}"),
                }
            }
            ended => Error::in_node(&self.central.plan.name, "watching its database", ended),
        })
    }
}

/// Waits until a chassis has a tunnel to each other one and `ovn-installed` on each of its VMs' ports.
async fn datapath(cluster: &Cluster, handle: &NodeHandle, deadline: Instant) -> Result<(), Error> {
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
    let wanted: BTreeSet<String> = tunnels_of(cluster, handle)
        .chain(handle.plan.vms.iter().map(|vm| vm.iface_id.clone()))
        .collect();
    let result = monitor
        .wait_until(deadline, |rows| {
            wanted.is_subset(&present(rows)).then_some(())
        })
        .await;
    result.map_err(|error| match error {
        WaitError::Timeout { waited } => {
            let present = present(&monitor.snapshot());
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
fn present(rows: &Snapshot) -> BTreeSet<String> {
    rows.rows("Interface")
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
pub(crate) fn count_tunnels(rows: &Snapshot) -> usize {
    let rows = rows.rows("Interface");
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
