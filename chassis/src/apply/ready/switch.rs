//! A chassis' own Open vSwitch, watched for tunnels and ports.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use ovsdb_client::value::Datum;
use ovsdb_client::{Client, Condition, Monitor, MonitorTable, Schema, Snapshot, WaitError};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::missing;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::Phase;
use crate::node::NodeHandle;
use crate::plan::SchemaPlace;
use crate::plan::ovs::TUNNELS;

/// The databases of switches, watched. What their schema is, is asked once for each kind of software.
#[derive(Default)]
pub(super) struct Switches {
    schemas: Mutex<BTreeMap<SchemaPlace, Arc<OnceCell<Schema>>>>,
}

/// What is to be true of the interfaces of a switch.
struct Wanted<'a, F> {
    /// Which rows to look at: those that meet one of these, or all.
    conditions: Vec<Condition>,
    /// What an error says before the names of what is wrong.
    complaint: &'a str,
    /// The names of what is wrong.
    wrong: F,
}

impl Switches {
    /// Waits until a chassis has a tunnel to each of its peers and `ovn-installed` on each of its VMs' ports.
    pub(super) async fn wait(
        &self,
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
        self.until_right(handle, handle.ovs().await?, deadline, wanted)
            .await
    }

    /// Waits until a chassis has a tunnel to each of its peers, and none to a chassis that there is no more.
    pub(super) async fn wait_for_tunnels(
        &self,
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
        self.until_right(handle, handle.ovs().await?, deadline, wanted)
            .await
    }

    /// Waits until a chassis has tunnels to some of its peers, looking at no others.
    pub(super) async fn wait_for_tunnels_to(
        &self,
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
        self.until_right(handle, ovs, deadline, wanted).await
    }

    /// Waits until a chassis has no tunnels to addresses of chassis that there are no more.
    pub(super) async fn wait_for_no_tunnels_to(
        &self,
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
        self.until_right(handle, ovs, deadline, wanted).await
    }

    /// Waits until a look at the interfaces finds nothing wrong any more.
    async fn until_right<F: Fn(&Snapshot) -> Vec<String>>(
        &self,
        handle: &NodeHandle,
        ovs: Client,
        deadline: Instant,
        wanted: Wanted<'_, F>,
    ) -> Result<(), Error> {
        let (name, wrong) = (&handle.plan.name, wanted.wrong);
        let columns = ["type", "options", "ofport", "external_ids"];
        let interfaces = MonitorTable::new("Interface").columns(columns);
        let conditions = wanted.conditions.into_iter();
        let interfaces = conditions.fold(interfaces, MonitorTable::condition);
        let monitor = self.monitor(handle, &ovs, &[interfaces]).await?;
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

    async fn monitor(
        &self,
        handle: &NodeHandle,
        client: &Client,
        tables: &[MonitorTable],
    ) -> Result<Monitor, Error> {
        let failed = |e: Box<dyn std::error::Error + Send + Sync>| {
            Error::in_node(&handle.plan.name, "watching its database", e)
        };
        let mut databases = handle.plan.databases.iter();
        let database = databases.find(|database| database.name == DATABASE);
        let schema = database.map(|database| {
            let place = handle.plan.schema_place(database);
            let mut schemas = self.schemas.lock().unwrap_or_else(PoisonError::into_inner);
            schemas.entry(place).or_default().clone()
        });
        if let Some(schema) = schema {
            let schema = schema.get_or_try_init(|| client.get_schema(DATABASE)).await;
            let schema = schema.map_err(|e| failed(e.into()))?;
            if let Ok(monitor) = client.monitor_as(schema, tables).await {
                return Ok(monitor);
            }
        }
        // Somebody has converted its database.
        let monitor = client.monitor(DATABASE, tables).await;
        monitor.map_err(|e| failed(e.into()))
    }
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
