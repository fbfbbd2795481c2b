//! The configuration of the Open vSwitch of a node.

use std::collections::BTreeMap;

use ovsdb_client::value::{Datum, Row};
use uuid::Uuid;

use super::{NodePlan, Plan, Role};
use crate::topology::{PUBLIC_NETWORK, TableRow, push};

/// The types of tunnels, as `Interface.type` names them.
pub(crate) const TUNNELS: [&str; 2] = ["geneve", "vxlan"];

/// What ovn-controller writes into the database of its switch, for it to begin with. By default nothing.
///
/// `other_config` is not among it: ovn-controller writes `vlan-limit` there, which ovs-vswitchd would then obey, while
/// otherwise it does so only when it is started again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Written {
    /// Columns of `Datapath`, by the type of the datapath.
    pub datapaths: BTreeMap<String, Row>,
    /// Columns of `QoS`, and the names of the ports that have it.
    pub qos: Vec<(Row, Vec<String>)>,
    /// Columns of `Flow_Table`, and the numbers of the tables of `br-int` that have them.
    pub flow_tables: Vec<(Row, Vec<i64>)>,
    /// Tunnels, which are ports of `br-int`.
    pub tunnels: Vec<Port>,
}

/// A port with one interface, both of the same name.
#[derive(Debug, Clone, PartialEq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Further columns of `Port`.
    pub port: Row,
    /// Further columns of `Interface`.
    pub interface: Row,
}

impl Port {
    fn new(name: &str, interface: Row) -> Self {
        Self {
            name: name.to_owned(),
            port: Row::new(),
            interface,
        }
    }
}

/// The rows with which the database of a gateway's or chassis' switch begins: its whole configuration, so that ovs-vswitchd
/// configures itself once.
///
/// The UUIDs are the same for the same plan.
pub fn ovs_rows(plan: &Plan, node: &NodePlan, written: &Written) -> Vec<TableRow> {
    let mut rows = Vec::new();
    let mut insert = |table: &'static str, row: Row| {
        let name = format!("{}/{}", node.name, rows.len());
        push(&mut rows, table, &name, row)
    };
    let mut qos_of: BTreeMap<&str, Uuid> = BTreeMap::new();
    for (qos, ports) in &written.qos {
        let qos = insert("QoS", qos.clone());
        qos_of.extend(ports.iter().map(|port| (port.as_str(), qos)));
    }
    let mut flow_tables = Vec::new();
    for (row, numbers) in &written.flow_tables {
        let table = insert("Flow_Table", row.clone());
        flow_tables.extend(numbers.iter().map(|number| (*number, table)));
    }
    let datapaths = written.datapaths.iter();
    let datapaths = datapaths.map(|(kind, row)| (kind.as_str(), insert("Datapath", row.clone())));
    let datapaths = Datum::map(datapaths.collect::<Vec<_>>());

    let mut bridge = |name: &str, ports: &[Port], row: Row| {
        let local = Port::new(name, Row::new().set("type", "internal"));
        let mut inserted = Vec::new();
        for port in std::iter::once(&local).chain(ports) {
            let interface = insert("Interface", port.interface.clone().set("name", &port.name));
            let row = port.port.clone().set("name", &port.name);
            let row = row.set("interfaces", [interface]);
            let row = match qos_of.get(port.name.as_str()) {
                Some(qos) => row.set("qos", [*qos]),
                None => row,
            };
            inserted.push(insert("Port", row));
        }
        let row = row
            .set("name", name)
            .set("datapath_type", plan.datapath.as_str())
            .set("ports", inserted);
        insert("Bridge", row)
    };

    let mut bridges = Vec::new();
    if let Some(tap) = &node.tap {
        let hwaddr = Datum::map([("hwaddr", tap.mac.to_string())]);
        let row = Row::new().set("other_config", hwaddr);
        let uplinks = node.links.iter().take(1);
        let uplinks = uplinks.map(|link| Port::new(&link.node_name, Row::new()));
        let uplinks: Vec<_> = uplinks.collect();
        bridges.push(bridge(&tap.name, &uplinks, row));
    }
    if plan.has_public() {
        let public = [Port::new("eth2", Row::new())];
        bridges.push(bridge("br-ex", &public, Row::new()));
    }
    let vms = node.vms.iter().map(|vm| {
        let id = Datum::map([("iface-id", vm.iface_id.as_str())]);
        Port::new(&vm.outer_name, Row::new().set("external_ids", id))
    });
    let ports: Vec<_> = vms.chain(written.tunnels.iter().cloned()).collect();
    let row = Row::new()
        .set("flow_tables", Datum::map(flow_tables))
        .set("fail_mode", "secure")
        .set("other_config", Datum::map([("disable-in-band", "true")]));
    bridges.push(bridge("br-int", &ports, row));

    let row = Row::new()
        .set("bridges", bridges)
        .set("datapaths", datapaths)
        .set("external_ids", external_ids(plan, node))
        .set("next_cfg", 1);
    insert("Open_vSwitch", row);
    rows
}

/// What ovn-controller(8) reads, and what ovs-ctl(8) would set.
pub(crate) fn external_ids(plan: &Plan, node: &NodePlan) -> BTreeMap<&'static str, String> {
    let settings = &plan.chassis;
    let mut ids = BTreeMap::from([
        ("system-id", node.name.to_string()),
        ("hostname", node.hostname.clone()),
        ("rundir", "/var/run/openvswitch".to_owned()),
        ("ovn-encap-ip", node.address.to_string()),
        ("ovn-encap-type", settings.encapsulation.types().join(",")),
        (
            "ovn-openflow-probe-interval",
            settings.openflow_probe_interval.to_string(),
        ),
        (
            "ovn-remote-probe-interval",
            settings.remote_probe_interval.to_string(),
        ),
        (
            "ovn-bridge-datapath-type",
            plan.datapath.as_str().to_owned(),
        ),
        ("ovn-is-interconn", "true".to_owned()),
    ]);
    if let Some(remote) = &node.remote {
        ids.insert("ovn-remote", remote.clone());
    }
    if plan.has_public() {
        ids.insert("ovn-bridge-mappings", format!("{PUBLIC_NETWORK}:br-ex"));
    }
    if settings.monitor_all {
        ids.insert("ovn-monitor-all", "true".to_owned());
    }
    if node.role == Role::Gateway {
        ids.insert("ovn-cms-options", "enable-chassis-as-gw".to_owned());
    }
    ids
}

#[cfg(test)]
mod tests {
    use ovsdb_client::Schema;
    use ovsdb_client::file::DatabaseFile;

    use super::super::tests::{facts, schema};
    use super::*;
    use crate::spec::{ClusterSpec, DatapathChoice};

    #[test]
    fn configuration_fits_the_schema() {
        let Some(text) = schema("/usr/share/openvswitch/vswitch.ovsschema") else {
            return;
        };
        let schema = Schema::parse(&text).unwrap();
        let prefixes = Row::new().set("prefixes", Datum::set(["ip_src", "ip_dst"]));
        let written = Written {
            flow_tables: vec![(prefixes, vec![0, 1, 254])],
            ..Written::default()
        };
        for datapath in [DatapathChoice::Netdev, DatapathChoice::System] {
            let spec = ClusterSpec {
                datapath,
                ..ClusterSpec::default()
            };
            let plan = Plan::new(&spec, &facts()).unwrap();
            for node in plan.nodes.iter().filter(|node| node.role.is_chassis()) {
                let mut file = DatabaseFile::new(&schema);
                for (table, uuid, row) in ovs_rows(&plan, node, &written) {
                    file.insert_as(table, uuid, row);
                }
                file.to_bytes().unwrap();
            }
        }
    }
}
