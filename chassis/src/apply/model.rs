//! What a controller writes of itself into its databases, for others to begin with.
//!
//! Every controller completes its own rows in the southbound database, and all others hear of it: among N chassis N times N
//! messages. And whatever it writes into the database of its switch lets that configure itself again, with N tunnels. What
//! controllers write depends on the version of OVN. So one of them writes first, and the others begin with rows made like
//! its own, and find nothing to do. A row that is not as its controller wants it is written again, as it would have been
//! anyway.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use ovsdb_client::value::{Atom, Datum, Row};
use ovsdb_client::{Condition, Monitor, MonitorTable, Transaction};
use tokio::time::Instant;

use super::ready;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::node::NodeHandle;
use crate::plan::ovs::{Port, TUNNELS, Written};
use crate::plan::{NodePlan, Plan, Role};

/// The one key of `Chassis.other_config` that differs between the gateways and the chassis of a cluster.
const OPTIONS: &str = "ovn-cms-options";

/// What one controller has written.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    /// Its chassis.
    chassis: NodePlan,
    /// `Chassis.other_config` as a controller writes it at its start. A row that had more than that would be written twice.
    other_config: BTreeMap<Atom, Atom>,
    /// What it is in the end.
    complete: BTreeMap<Atom, Atom>,
    /// Another chassis of its zone, if there is one; the only one to which there are tunnels in `written`.
    peer: Option<NodePlan>,
    written: Written,
}

impl Model {
    /// Waits until the first controller of a cluster has written all that it writes at its start.
    pub(crate) async fn first(cluster: &Cluster, handle: &NodeHandle) -> Result<Self, Error> {
        let deadline = Instant::now() + cluster.plan().ready_timeout;
        let peer = peers(cluster, &handle.plan).next();
        if let Some(peer) = peer {
            ready::wait_for_tunnel(cluster, handle, peer, deadline).await?;
        }
        // Some of it depends on its tunnels. It is done with that when it acknowledges what came after them.
        ready::wait_for_first_acknowledgement(cluster, handle, deadline).await?;
        Self::of(cluster, handle, peer).await
    }

    /// The same, but with what its controller wrote first into `Chassis.other_config`.
    pub(crate) fn beginning_with(self, other_config: BTreeMap<Atom, Atom>) -> Self {
        Self {
            other_config,
            ..self
        }
    }

    /// What a controller has written that has been running for a while and is like those of new nodes.
    pub(crate) async fn known(cluster: &Cluster, new: &[NodePlan]) -> Result<Option<Self>, Error> {
        let plan = cluster.plan();
        let mut own = new.iter().filter(|new| plan.is_own_chassis(new));
        let Some(first) = own.next().filter(|_| plan.seed) else {
            return Ok(None);
        };
        let new: BTreeSet<_> = new.iter().map(|node| &node.name).collect();
        let runs = |node: &NodePlan| {
            !new.contains(&node.name) && cluster.handles().contains_key(node.name.as_str())
        };
        let running = cluster.handles().values();
        let alike = running.filter(|handle| {
            let own = runs(&handle.plan) && plan.is_own_chassis(&handle.plan);
            own && same_software(&handle.plan, first)
        });
        for handle in alike {
            let peer = peers(cluster, &handle.plan).find(|peer| runs(peer));
            // One whose daemons do not run is no model.
            if let Ok(model) = Self::of(cluster, handle, peer).await {
                return Ok(Some(model));
            }
        }
        Ok(None)
    }

    /// What a controller has written by now.
    async fn of(
        cluster: &Cluster,
        handle: &NodeHandle,
        peer: Option<&NodePlan>,
    ) -> Result<Self, Error> {
        let other_config = other_config(cluster, handle);
        let written = written(cluster, handle, peer);
        let (other_config, written) = futures::try_join!(other_config, written)?;
        Ok(Self {
            chassis: handle.plan.clone(),
            complete: other_config.clone(),
            other_config,
            peer: peer.cloned(),
            written,
        })
    }

    /// Makes the rows of all other chassis in the southbound databases like those of the model.
    pub(crate) async fn announce(&self, cluster: &Cluster) -> Result<(), Error> {
        let plan = cluster.plan();
        let others = plan.nodes.iter();
        let others = others.filter(|node| plan.is_own_chassis(node) && self.suits(node));
        let mut transactions: BTreeMap<u32, Transaction> = BTreeMap::new();
        for other in others.filter(|other| other.name != self.chassis.name) {
            let named = [Condition::eq("name", other.name.as_str())];
            let row = Row::new().set("other_config", self.other_config(other.role));
            let transaction = transactions.entry(other.zone).or_default();
            transaction.update("Chassis", named, row);
        }
        let write = async |(zone, transaction)| {
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

    /// What a controller adds to `Chassis.other_config` some time after its start.
    pub(crate) fn added(&self) -> BTreeMap<Atom, Atom> {
        let complete = self.complete.iter();
        let added = complete.filter(|(key, value)| self.other_config.get(key) != Some(value));
        added
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// `Chassis.other_config` of a chassis, for it to begin with.
    pub(crate) fn other_config(&self, role: Role) -> Datum {
        let mut pairs = self.other_config.clone();
        let options = match role {
            Role::Gateway => "enable-chassis-as-gw",
            _ => "",
        };
        pairs.insert(OPTIONS.into(), options.into());
        Datum::map(pairs)
    }

    /// What the controller of a chassis would write into the database of its switch.
    pub(crate) fn written(&self, plan: &Plan, chassis: &NodePlan) -> Written {
        let own = [
            (self.chassis.name.to_string(), chassis.name.to_string()),
            (
                self.chassis.address.to_string(),
                chassis.address.to_string(),
            ),
        ];
        let mut tunnels = Vec::new();
        // ovn-controller names a tunnel by the first characters of its peer's name, and a number.
        let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
        let peers = plan.peers(chassis);
        for peer in peers.filter(|peer| peer.zone == chassis.zone) {
            let Some(sampled) = &self.peer else { break };
            let mut instead = own.to_vec();
            instead.push((sampled.name.to_string(), peer.name.to_string()));
            instead.push((sampled.address.to_string(), peer.address.to_string()));
            for tunnel in &self.written.tunnels {
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
        Written {
            tunnels,
            ..self.written.clone()
        }
    }
}

/// Whether two chassis have the same programs.
fn same_software(a: &NodePlan, b: &NodePlan) -> bool {
    let image = |node: &NodePlan| node.container.as_ref().map(|c| c.image.clone());
    let programs = |node: &NodePlan| -> Vec<_> {
        let daemons = node.daemons.iter();
        daemons.map(|daemon| daemon.program.clone()).collect()
    };
    a.root == b.root && image(a) == image(b) && programs(a) == programs(b)
}

/// The other chassis of the same zone.
fn peers<'a>(cluster: &'a Cluster, of: &'a NodePlan) -> impl Iterator<Item = &'a NodePlan> {
    let zone = of.zone;
    let peers = cluster.plan().peers(of);
    peers.filter(move |peer| peer.zone == zone)
}

/// `Chassis.other_config` by now.
async fn other_config(
    cluster: &Cluster,
    handle: &NodeHandle,
) -> Result<BTreeMap<Atom, Atom>, Error> {
    let rows = row_of(cluster, handle).await?.snapshot();
    let mut rows = rows.rows("Chassis");
    Ok(rows
        .next()
        .map_or_else(BTreeMap::new, |(_, row)| pairs(row, "other_config")))
}

/// The row of a chassis in the southbound database.
pub(super) async fn row_of(cluster: &Cluster, handle: &NodeHandle) -> Result<Monitor, Error> {
    let tables = [MonitorTable::new("Chassis")
        .columns(["other_config"])
        .condition(Condition::eq("name", handle.plan.name.as_str()))];
    cluster.monitor_southbound(handle.plan.zone, &tables).await
}

/// What a controller has written into the database of its switch; of its tunnels those to one peer.
async fn written(
    cluster: &Cluster,
    handle: &NodeHandle,
    peer: Option<&NodePlan>,
) -> Result<Written, Error> {
    let tables = [
        MonitorTable::new("Open_vSwitch").columns(["datapaths"]),
        MonitorTable::new("Datapath")
            .columns(["datapath_version", "external_ids"])
            .optional(),
        MonitorTable::new("Bridge").columns(["name", "flow_tables"]),
        MonitorTable::new("Flow_Table").columns(["prefixes"]),
        MonitorTable::new("QoS").columns(["type", "other_config", "external_ids"]),
        MonitorTable::new("Port").columns([
            "name",
            "interfaces",
            "qos",
            "external_ids",
            "other_config",
        ]),
        MonitorTable::new("Interface").columns(["type", "options", "external_ids", "other_config"]),
    ];
    let ovs = handle.ovs().await?;
    let monitor = cluster.monitor(&handle.plan, &ovs, "Open_vSwitch", &tables);
    let rows = monitor.await?.snapshot();
    let mut written = Written::default();
    for (_, root) in rows.rows("Open_vSwitch") {
        for (kind, uuid) in pairs(root, "datapaths") {
            let row = uuid.as_uuid().and_then(|uuid| rows.row("Datapath", uuid));
            if let (Some(kind), Some(row)) = (kind.as_str(), row) {
                written.datapaths.insert(kind.to_owned(), Row::clone(row));
            }
        }
    }
    let mut bridges = rows.rows("Bridge");
    let bridge = bridges.find(|(_, bridge)| bridge.str("name") == Some("br-int"));
    let tables = bridge.and_then(|(_, bridge)| bridge.get("flow_tables"));
    for (uuid, table) in rows.rows("Flow_Table") {
        let numbered = tables.into_iter().flat_map(Datum::map_iter);
        let of = numbered.filter(|(_, of)| of.as_uuid() == Some(uuid));
        let numbers: Vec<_> = of.filter_map(|(number, _)| number.as_i64()).collect();
        // Other bridges have none; whoever gave them one has to do so again.
        if !numbers.is_empty() {
            written.flow_tables.push((Row::clone(table), numbers));
        }
    }
    for (uuid, qos) in rows.rows("QoS") {
        let ports = rows
            .rows("Port")
            .filter(|(_, port)| port.uuid("qos") == Some(uuid));
        let ports = ports.filter_map(|(_, port)| Some(port.str("name")?.to_owned()));
        written.qos.push((Row::clone(qos), ports.collect()));
    }
    let peer = peer.map(|peer| peer.address.to_string());
    for (uuid, interface) in rows.rows("Interface") {
        let kind = interface.str("type").unwrap_or_default();
        let remote = interface.map_get("options", "remote_ip");
        if !TUNNELS.contains(&kind) || remote.is_none() || remote != peer.as_deref() {
            continue;
        }
        let mut ports = rows.rows("Port").map(|(_, row)| row);
        let port = ports.find(|port| port.uuids("interfaces").any(|of| of == uuid));
        written.tunnels.extend(port.map(|port| Port {
            name: port.str("name").unwrap_or_default().to_owned(),
            port: only(port, &["external_ids", "other_config"]),
            interface: Row::clone(interface),
        }));
    }
    Ok(written)
}

/// The pairs of a column that is a map.
pub(super) fn pairs(row: &Row, column: &str) -> BTreeMap<Atom, Atom> {
    let pairs = row.get(column).into_iter().flat_map(Datum::map_iter);
    pairs
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// These columns of a row.
fn only(row: &Row, columns: &[&str]) -> Row {
    let mut only = Row::new();
    for column in columns {
        if let Some(datum) = row.get(column) {
            only.insert(*column, datum.clone());
        }
    }
    only
}

/// Puts other words in the place of some, wherever a row has them.
fn translate(row: &Row, instead: &[(String, String)]) -> Row {
    let mut translated = Row::new();
    for (column, datum) in row.iter() {
        translated.insert(column, translate_datum(datum, instead));
    }
    translated
}

fn translate_datum(datum: &Datum, instead: &[(String, String)]) -> Datum {
    let atom = |atom: &Atom| match atom.as_str() {
        Some(text) => translate_text(text, instead).into(),
        None => atom.clone(),
    };
    match datum {
        Datum::Atom(one) => Datum::Atom(atom(one)),
        Datum::Set(set) => Datum::set(set.iter().map(atom)),
        Datum::Map(map) => Datum::map(map.iter().map(|(key, value)| (key.clone(), atom(value)))),
    }
}

/// Words are what stands between the delimiters of a tunnel's name (`ovn-chassis-id`).
fn translate_text(text: &str, instead: &[(String, String)]) -> String {
    let word = |word: &str| {
        let new = instead.iter().find(|(old, _)| old == word);
        new.map_or(word, |(_, new)| new).to_owned()
    };
    let words = text.split_inclusive(['@', '%']);
    words
        .map(|part| match part.strip_suffix(['@', '%']) {
            Some(inner) => word(inner) + &part[inner.len()..],
            None => word(part),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_are_replaced_once() {
        let instead = [
            ("ovn-chassis-1", "ovn-chassis-12"),
            ("ovn-chassis-12", "ovn-gw-1"),
            ("10.0.0.1", "10.0.0.12"),
            ("10.0.0.12", "10.0.0.3"),
        ];
        let instead = instead.map(|(old, new)| (old.to_owned(), new.to_owned()));
        for (old, new) in [
            ("ovn-chassis-12@10.0.0.12", "ovn-gw-1@10.0.0.3"),
            (
                "ovn-chassis-12@10.0.0.12%10.0.0.1",
                "ovn-gw-1@10.0.0.3%10.0.0.12",
            ),
            ("10.0.0.123", "10.0.0.123"),
            ("flow", "flow"),
            ("", ""),
        ] {
            assert_eq!(translate_text(old, &instead), new);
        }
    }
}
