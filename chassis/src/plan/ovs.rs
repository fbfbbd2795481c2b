//! The configuration of the Open vSwitch of a node.

use std::collections::BTreeMap;

use ovsdb_client::Transaction;
use ovsdb_client::value::{Atom, Datum, Row};

use super::{NodePlan, Plan, Role};

/// The types of tunnels, as `Interface.type` names them.
pub(crate) const TUNNELS: [&str; 2] = ["geneve", "vxlan"];

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

/// Makes the transaction that configures the Open vSwitch of a gateway or chassis, whose database
/// must be empty. Tunnels are made later by ovn-controller, unless there are some to begin with.
///
/// All of it is one transaction, so that `ovs-vswitchd` configures itself once.
pub fn ovs_transaction(plan: &Plan, node: &NodePlan, tunnels: &[Port]) -> Transaction {
    let mut txn = Transaction::new();
    configure(plan, node, tunnels, |table, row| txn.insert(table, row));
    txn
}

fn configure<R>(
    plan: &Plan,
    node: &NodePlan,
    tunnels: &[Port],
    mut insert: impl FnMut(&'static str, Row) -> R,
) where
    R: Into<Atom>,
{
    let mut bridge = |name: &str, ports: &[Port], row: Row| {
        let local = Port::new(name, Row::new().set("type", "internal"));
        let mut inserted = Vec::new();
        for port in std::iter::once(&local).chain(ports) {
            let interface = insert("Interface", port.interface.clone().set("name", &port.name));
            let port = port.port.clone().set("name", &port.name);
            inserted.push(insert("Port", port.set("interfaces", [interface])));
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
    bridges.push(bridge(
        "br-ex",
        &[Port::new("eth2", Row::new())],
        Row::new(),
    ));
    let vms = node.vms.iter().map(|vm| {
        let id = Datum::map([("iface-id", vm.iface_id.as_str())]);
        Port::new(&vm.outer_name, Row::new().set("external_ids", id))
    });
    let ports: Vec<_> = vms.chain(tunnels.iter().cloned()).collect();
    let row = Row::new()
        .set("fail_mode", "secure")
        .set("other_config", Datum::map([("disable-in-band", "true")]));
    bridges.push(bridge("br-int", &ports, row));

    let row = Row::new()
        .set("bridges", bridges)
        .set("external_ids", external_ids(plan, node))
        .set("next_cfg", 1);
    insert("Open_vSwitch", row);
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
        ("ovn-bridge-mappings", "public:br-ex".to_owned()),
        ("ovn-is-interconn", "true".to_owned()),
    ]);
    if let Some(remote) = &node.remote {
        ids.insert("ovn-remote", remote.clone());
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
        for datapath in [DatapathChoice::Netdev, DatapathChoice::System] {
            let spec = ClusterSpec {
                datapath,
                ..ClusterSpec::default()
            };
            let plan = Plan::new(&spec, &facts()).unwrap();
            for node in plan.nodes.iter().filter(|node| node.role.is_chassis()) {
                let mut file = DatabaseFile::new(&schema);
                let mut rows = 0;
                configure(&plan, node, &[], |table, row| {
                    rows += 1;
                    file.insert(table, row)
                });
                file.to_bytes().unwrap();
                assert_eq!(ovs_transaction(&plan, node, &[]).len(), rows);
            }
        }
    }
}
