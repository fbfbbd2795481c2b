//! The configuration of the Open vSwitch of a node.

use std::collections::BTreeMap;

use ovsdb_client::Transaction;
use ovsdb_client::value::{Atom, Datum, Row};

use super::{NodePlan, Plan, Role};

/// Makes the transaction that configures the Open vSwitch of a gateway or chassis, whose database
/// must be empty.
///
/// All of it is one transaction, so that `ovs-vswitchd` configures itself once.
pub fn ovs_transaction(plan: &Plan, node: &NodePlan) -> Transaction {
    let mut txn = Transaction::new();
    configure(plan, node, |table, row| txn.insert(table, row));
    txn
}

/// A port to be: name, type of its interface, `external_ids` of its interface.
type Port<'a> = (&'a str, &'a str, Option<(&'a str, &'a str)>);

fn configure<R>(plan: &Plan, node: &NodePlan, mut insert: impl FnMut(&'static str, Row) -> R)
where
    R: Into<Atom>,
{
    let mut bridge = |name: &str, ports: &[Port<'_>], row: Row| {
        let local = [(name, "internal", None)];
        let mut inserted = Vec::new();
        for (name, kind, id) in local.iter().chain(ports) {
            let interface = Row::new()
                .set("name", *name)
                .set("type", *kind)
                .set("external_ids", Datum::map(*id));
            let interface = insert("Interface", interface);
            let port = Row::new().set("name", *name).set("interfaces", [interface]);
            inserted.push(insert("Port", port));
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
        let uplinks: Vec<_> = uplinks.map(|l| (l.node_name.as_str(), "", None)).collect();
        bridges.push(bridge(&tap.name, &uplinks, row));
    }
    bridges.push(bridge("br-ex", &[("eth2", "", None)], Row::new()));
    let vms: Vec<_> = (node.vms.iter())
        .map(|vm| {
            let id = ("iface-id", vm.iface_id.as_str());
            (vm.outer_name.as_str(), "", Some(id))
        })
        .collect();
    let row = Row::new()
        .set("fail_mode", "secure")
        .set("other_config", Datum::map([("disable-in-band", "true")]));
    bridges.push(bridge("br-int", &vms, row));

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
                configure(&plan, node, |table, row| {
                    rows += 1;
                    file.insert(table, row)
                });
                file.to_bytes().unwrap();
                assert_eq!(ovs_transaction(&plan, node).len(), rows);
            }
        }
    }
}
