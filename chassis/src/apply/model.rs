//! What a controller writes of itself into its databases, for others to begin with.
//!
//! Every controller completes its own rows in the southbound database, and all others hear of it: among N chassis N times N
//! messages. And each of them makes its tunnels only once its switch runs, which then configures itself again. What
//! controllers write depends on the version of OVN. So one of them writes first, and the rows of the others are made like
//! its own before they run, so that they find nothing to do. A row that is not as its controller wants it is written again,
//! as it would have been anyway.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use futures::future::try_join_all;
use ovsdb_client::value::{Atom, Datum, Row};
use ovsdb_client::{Condition, MonitorTable, Snapshot, Transaction, WaitError};
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::error::Error;
use crate::event::Phase;
use crate::node::NodeHandle;
use crate::plan::ovs::{Port, TUNNELS};
use crate::plan::{NodePlan, Role};

/// How long a controller may take to write its rows.
const DEADLINE: Duration = Duration::from_secs(60);

/// The one key of `Chassis.other_config` that differs between the gateways and the chassis of a cluster.
const OPTIONS: &str = "ovn-cms-options";

/// What one controller has written.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    /// Its own chassis.
    chassis: NodePlan,
    /// `Chassis.other_config`.
    other_config: Datum,
    /// Its tunnels to one other chassis, if there is another one in its zone.
    sample: Option<(NodePlan, Vec<Port>)>,
}

impl Model {
    /// Waits until the controller of a chassis has written its rows.
    pub(crate) async fn of(cluster: &Cluster, handle: &NodeHandle) -> Result<Self, Error> {
        let peers = cluster.plan().peers(&handle.plan);
        let peer = peers
            .filter(|peer| peer.zone == handle.plan.zone)
            .find(|peer| cluster.handles().contains_key(peer.name.as_str()));
        let tunnels = async {
            let Some(peer) = peer else { return Ok(None) };
            let tunnels = tunnels(handle, peer.address).await?;
            Ok(Some((peer.clone(), tunnels)))
        };
        let (other_config, sample) = futures::try_join!(other_config(cluster, handle), tunnels)?;
        Ok(Self {
            chassis: handle.plan.clone(),
            other_config,
            sample,
        })
    }

    /// What a controller has written that runs already and is like those of new nodes.
    pub(crate) async fn known(
        cluster: &Cluster,
        new: &[&NodeHandle],
    ) -> Result<Option<Self>, Error> {
        let plan = cluster.plan();
        let Some(first) = new.iter().find(|handle| plan.is_own_chassis(&handle.plan)) else {
            return Ok(None);
        };
        let new: BTreeSet<_> = new.iter().map(|handle| &handle.plan.name).collect();
        let mut running = cluster.handles().values();
        let model = running.find(|handle| {
            let is_new = new.contains(&handle.plan.name);
            !is_new && plan.is_own_chassis(&handle.plan) && same_software(&handle.plan, &first.plan)
        });
        match model {
            Some(handle) => Ok(Some(Self::of(cluster, handle).await?)),
            None => Ok(None),
        }
    }

    /// Makes the rows of chassis in the southbound databases like those of the model.
    pub(crate) async fn write<'a>(
        &self,
        cluster: &Cluster,
        others: impl Iterator<Item = &'a NodeHandle>,
    ) -> Result<(), Error> {
        let mut transactions: BTreeMap<u32, Transaction> = BTreeMap::new();
        for other in others.filter(|other| other.plan.name != self.chassis.name) {
            let named = [Condition::eq("name", other.plan.name.as_str())];
            let row = Row::new().set("other_config", self.other_config(other.plan.role));
            let transaction = transactions.entry(other.plan.zone).or_default();
            transaction.update("Chassis", named, row);
        }
        let write = |(zone, transaction)| async move {
            let sb = cluster.sb_of(zone).await?;
            let done = sb.transact("OVN_Southbound", transaction).await;
            done.map_err(|e| Error::in_node(cluster.name(), "writing what controllers would", e))
        };
        try_join_all(transactions.into_iter().map(write)).await?;
        Ok(())
    }

    /// Whether a chassis has the same programs, which would write the same.
    pub(crate) fn suits(&self, chassis: &NodePlan) -> bool {
        same_software(&self.chassis, chassis)
    }

    /// The `other_config` of a chassis.
    pub(crate) fn other_config(&self, role: Role) -> Datum {
        let pairs = self.other_config.map_iter();
        let mut pairs: BTreeMap<Atom, Atom> = pairs.map(|(k, v)| (k.clone(), v.clone())).collect();
        let options = match role {
            Role::Gateway => "enable-chassis-as-gw",
            _ => "",
        };
        pairs.insert(OPTIONS.into(), options.into());
        Datum::map(pairs)
    }

    /// The tunnels of a chassis to its peers.
    pub(crate) fn tunnels<'a>(
        &self,
        chassis: &NodePlan,
        peers: impl Iterator<Item = &'a NodePlan>,
    ) -> Vec<Port> {
        let Some((sampled, sample)) = &self.sample else {
            return Vec::new();
        };
        let mut tunnels = Vec::new();
        // ovn-controller names a tunnel by the first characters of its peer's name, and a number.
        let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
        for peer in peers.filter(|peer| peer.zone == chassis.zone) {
            let instead = [
                (sampled.name.to_string(), peer.name.to_string()),
                (sampled.address.to_string(), peer.address.to_string()),
                (
                    self.chassis.address.to_string(),
                    chassis.address.to_string(),
                ),
            ];
            for tunnel in sample {
                let prefix: String = peer.name.as_str().chars().take(6).collect();
                let number = numbers.entry(prefix.clone()).or_default();
                tunnels.push(Port {
                    name: format!("ovn-{prefix}-{number:x}"),
                    port: translate(&tunnel.port, &instead),
                    interface: translate(&tunnel.interface, &instead),
                });
                *number += 1;
            }
        }
        tunnels
    }
}

/// Whether two chassis have the same programs.
pub(crate) fn same_software(a: &NodePlan, b: &NodePlan) -> bool {
    let image = |node: &NodePlan| node.container.as_ref().map(|c| c.image.clone());
    let programs = a.daemons.iter().zip(&b.daemons);
    a.root == b.root
        && image(a) == image(b)
        && programs.into_iter().all(|(a, b)| a.program == b.program)
}

/// Replaces whole words in the values of a row, in one pass: what was put in is not looked at again.
fn translate(row: &Row, instead: &[(String, String)]) -> Row {
    let text = |text: &str| -> String {
        text.split_inclusive(['@', '%'])
            .map(|word| {
                let end = word.trim_end_matches(['@', '%']).len();
                let (word, delimiter) = word.split_at(end);
                let new = instead.iter().find(|(old, _)| old == word);
                new.map_or(word, |(_, new)| new).to_owned() + delimiter
            })
            .collect()
    };
    let atom = |atom: &Atom| {
        atom.as_str()
            .map_or_else(|| atom.clone(), |old| text(old).into())
    };
    let mut translated = Row::new();
    for (column, datum) in row.iter() {
        let datum = match datum {
            Datum::Map(_) => Datum::map(datum.map_iter().map(|(k, v)| (k.clone(), atom(v)))),
            Datum::Set(_) => Datum::set(datum.set_iter().map(atom)),
            Datum::Atom(one) => Datum::Atom(atom(one)),
        };
        translated.insert(column, datum);
    }
    translated
}

async fn other_config(cluster: &Cluster, handle: &NodeHandle) -> Result<Datum, Error> {
    let name = handle.plan.name.as_str();
    let failed = |e: Box<dyn std::error::Error + Send + Sync>| failed(name, "southbound", e);
    let sb = cluster.sb_of(handle.plan.zone).await?;
    let tables = [MonitorTable::new("Chassis")
        .columns(["name", "other_config"])
        .condition(Condition::eq("name", name))];
    let monitor = sb
        .monitor("OVN_Southbound", &tables)
        .await
        .map_err(|e| failed(e.into()))?;
    let written = |rows: &Snapshot| {
        let mut rows = rows.rows("Chassis").map(|(_, row)| row);
        let config = rows.find_map(|row| row.get("other_config").cloned())?;
        (!config.is_empty()).then_some(config)
    };
    let config = monitor.wait_until(Instant::now() + DEADLINE, written).await;
    config.map_err(|error| not_written(handle, error, "southbound"))
}

/// The tunnels that a controller has made to an address.
async fn tunnels(handle: &NodeHandle, address: IpAddr) -> Result<Vec<Port>, Error> {
    let name = handle.plan.name.as_str();
    let failed = |e: Box<dyn std::error::Error + Send + Sync>| failed(name, "own", e);
    let address = address.to_string();
    let tables = [
        MonitorTable::new("Port").columns(["interfaces", "external_ids", "other_config"]),
        MonitorTable::new("Interface").columns(["type", "options", "external_ids", "other_config"]),
    ];
    let ovs = handle.ovs().await?;
    let monitor = ovs
        .monitor("Open_vSwitch", &tables)
        .await
        .map_err(|e| failed(e.into()))?;
    let columns = |row: &Row, names: &[&str]| {
        let pairs = names
            .iter()
            .filter_map(|name| Some((*name, row.get(name)?.clone())));
        pairs.fold(Row::new(), |row, (name, datum)| row.set(name, datum))
    };
    let made = |rows: &Snapshot| {
        let mut tunnels = Vec::new();
        for (uuid, interface) in rows.rows("Interface") {
            let leads_there = interface.map_get("options", "remote_ip") == Some(&address);
            let is_tunnel = interface
                .str("type")
                .is_some_and(|kind| TUNNELS.contains(&kind));
            if !(leads_there && is_tunnel) {
                continue;
            }
            let mut ports = rows.rows("Port").map(|(_, row)| row);
            let port = ports.find(|port| port.uuids("interfaces").any(|of| of == uuid))?;
            tunnels.push(Port {
                name: String::new(),
                port: columns(port, &["external_ids", "other_config"]),
                interface: columns(
                    interface,
                    &["type", "options", "external_ids", "other_config"],
                ),
            });
        }
        (!tunnels.is_empty()).then_some(tunnels)
    };
    let tunnels = monitor.wait_until(Instant::now() + DEADLINE, made).await;
    tunnels.map_err(|error| not_written(handle, error, "own"))
}

fn failed(node: &str, database: &str, error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    let action = format!("reading what it wrote into its {database} database");
    Error::in_node(node, action, error)
}

fn not_written(handle: &NodeHandle, error: WaitError, database: &str) -> Error {
    match error {
        WaitError::Timeout { waited } => Error::NotReady {
            node: handle.plan.name.to_string(),
            phase: Phase::Daemons,
            missing: format!("its controller has not written into its {database} database"),
            waited,
            log: handle.log_tail("ovn-controller"),
        },
        ended => failed(handle.plan.name.as_str(), database, ended.into()),
    }
}
