//! A logical topology and the fake VMs on it, as code.

use std::net::IpAddr;

use ipnet::IpNet;
use ovsdb_client::value::{Datum, Row};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::name::{MacAddr, NodeName};

/// A row to begin a database with: table, UUID, columns.
pub type TableRow = (&'static str, Uuid, Row);

/// Milliseconds of silence after which a database server probes a client.
const INACTIVITY_PROBE: i64 = 180_000;

/// Logical switches and routers, how they are connected, and the VMs.
///
/// ```
/// use ofm::topology::{Topology, VmSpec};
///
/// let mut t = Topology::new();
/// let sw0 = t.switch("sw0");
/// let lr0 = t.router("lr0");
/// t.connect(lr0, sw0, "00:00:00:00:ff:01".parse()?, &["10.0.0.1/24".parse()?]);
/// t.vm(sw0, VmSpec {
///     name: "vm1".into(),
///     port: "sw0-vm1".into(),
///     chassis: 1,
///     mac: "50:54:00:00:00:01".parse()?,
///     addresses: vec!["10.0.0.2/24".parse()?],
///     gateways: vec!["10.0.0.1".parse()?],
///     mtu: 1400,
/// });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Topology {
    switches: Vec<String>,
    routers: Vec<String>,
    connections: Vec<Connection>,
    vms: Vec<(SwitchId, VmSpec)>,
}

/// A logical switch of the topology that gave out this handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SwitchId(usize);

/// A logical router of the topology that gave out this handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RouterId(usize);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Connection {
    router: RouterId,
    switch: SwitchId,
    mac: MacAddr,
    networks: Vec<IpNet>,
}

/// A fake VM: a network namespace on a chassis with one interface, bound to a logical switch port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VmSpec {
    /// Name of the VM and of its interface, at most 13 bytes.
    pub name: String,
    /// Name of its logical switch port, which is the `iface-id` of its interface.
    pub port: String,
    /// Number of the chassis that it runs on, from 1.
    pub chassis: u32,
    /// Address of its interface.
    pub mac: MacAddr,
    /// IP addresses of its interface.
    pub addresses: Vec<IpNet>,
    /// Default gateways, at most one per address family.
    pub gateways: Vec<IpAddr>,
    /// MTU of its interface in bytes; 1400 leaves room for Geneve in an underlay of 1500.
    pub mtu: u32,
}

impl Topology {
    /// Makes an empty topology.
    pub const fn new() -> Self {
        Self {
            switches: Vec::new(),
            routers: Vec::new(),
            connections: Vec::new(),
            vms: Vec::new(),
        }
    }

    /// Adds a logical switch.
    pub fn switch(&mut self, name: impl Into<String>) -> SwitchId {
        self.switches.push(name.into());
        SwitchId(self.switches.len() - 1)
    }

    /// Adds a logical router.
    pub fn router(&mut self, name: impl Into<String>) -> RouterId {
        self.routers.push(name.into());
        RouterId(self.routers.len() - 1)
    }

    /// Connects a router to a switch.
    ///
    /// The port of the router is named `<router>-<switch>`, that of the switch
    /// `<switch>-<router>`.
    pub fn connect(
        &mut self,
        router: RouterId,
        switch: SwitchId,
        mac: MacAddr,
        networks: &[IpNet],
    ) {
        self.connections.push(Connection {
            router,
            switch,
            mac,
            networks: networks.to_vec(),
        });
    }

    /// Adds a fake VM with its port on a switch.
    pub fn vm(&mut self, switch: SwitchId, vm: VmSpec) {
        self.vms.push((switch, vm));
    }

    /// The VMs, in the order in which they were added.
    pub fn vms(&self) -> impl Iterator<Item = &VmSpec> {
        self.vms.iter().map(|(_, vm)| vm)
    }

    /// Makes the demo for a number of chassis: VM `sw01p1` of switch `sw01` on the first chassis,
    /// VM `sw11p1` of switch `sw11` on the second if there is one, and router `lr1` between the
    /// switches.
    pub fn demo(chassis: u32) -> Self {
        let ip4 = |net: u8, host, prefix| net4([net, 0, 0, host], prefix);
        let ip6 = |net, host, prefix| net6([net, 0, 0, 0, 0, 0, 0, host], prefix);

        let mut t = Self::new();
        let sw01 = t.switch("sw01");
        let sw11 = t.switch("sw11");
        let lr1 = t.router("lr1");
        t.connect(
            lr1,
            sw01,
            MacAddr([0x00, 0x01, 0, 0, 0xff, 0x01]),
            &[ip4(11, 1, 24), ip6(0x1001, 0xa, 64)],
        );
        t.connect(
            lr1,
            sw11,
            MacAddr([0x00, 0x01, 0, 0, 0xff, 0x02]),
            &[ip4(21, 1, 24), ip6(0x2001, 0xa, 64)],
        );
        t.vm(
            sw01,
            VmSpec {
                name: "sw01p1".to_owned(),
                port: "sw01-port1".to_owned(),
                chassis: 1,
                mac: MacAddr([0x50, 0x51, 0, 0, 0, 0x03]),
                addresses: vec![ip4(11, 3, 24), ip6(0x1001, 3, 64)],
                gateways: vec![ip4(11, 1, 24).addr(), ip6(0x1001, 0xa, 64).addr()],
                mtu: 1400,
            },
        );
        t.vm(
            sw11,
            VmSpec {
                name: "sw11p1".to_owned(),
                port: "sw11-port1".to_owned(),
                chassis: chassis.clamp(1, 2),
                mac: MacAddr([0x40, 0x51, 0, 0, 0, 0x03]),
                addresses: vec![ip4(21, 3, 24), ip6(0x2001, 3, 64)],
                gateways: vec![ip4(21, 1, 24).addr(), ip6(0x2001, 0xa, 64).addr()],
                mtu: 1400,
            },
        );
        t
    }

    /// The rows of a northbound database with this topology, `NB_Global` and its connection
    /// `ptcp:6641` included.
    ///
    /// `central` becomes the name in `NB_Global`. The UUIDs depend on the names only.
    pub fn nb_rows(&self, central: &NodeName) -> Vec<TableRow> {
        let mut rows = global_rows("NB_Global", 6641, Row::new().set("name", central.as_str()));

        for (index, switch) in self.switches.iter().enumerate() {
            let mut ports = Vec::new();
            for connection in self.connections.iter().filter(|c| c.switch.0 == index) {
                let Some(router) = self.routers.get(connection.router.0) else {
                    continue;
                };
                let port = format!("{switch}-{router}");
                let row = Row::new()
                    .set("name", &port)
                    .set("type", "router")
                    .set("addresses", ["router"])
                    .set(
                        "options",
                        Datum::map([("router-port", format!("{router}-{switch}"))]),
                    );
                ports.push(push(&mut rows, "Logical_Switch_Port", &port, row));
            }
            for (_, vm) in self.vms.iter().filter(|(switch, _)| switch.0 == index) {
                let mut addresses = vm.mac.to_string();
                for address in &vm.addresses {
                    addresses.push_str(&format!(" {}", address.addr()));
                }
                let row = Row::new()
                    .set("name", &vm.port)
                    .set("addresses", [addresses]);
                ports.push(push(&mut rows, "Logical_Switch_Port", &vm.port, row));
            }
            let row = Row::new().set("name", switch).set("ports", ports);
            push(&mut rows, "Logical_Switch", switch, row);
        }

        for (index, router) in self.routers.iter().enumerate() {
            let mut ports = Vec::new();
            for connection in self.connections.iter().filter(|c| c.router.0 == index) {
                let Some(switch) = self.switches.get(connection.switch.0) else {
                    continue;
                };
                let port = format!("{router}-{switch}");
                let networks: Vec<_> = connection.networks.iter().map(IpNet::to_string).collect();
                let row = Row::new()
                    .set("name", &port)
                    .set("mac", connection.mac.to_string())
                    .set("networks", networks);
                ports.push(push(&mut rows, "Logical_Router_Port", &port, row));
            }
            let row = Row::new().set("name", router).set("ports", ports);
            push(&mut rows, "Logical_Router", router, row);
        }
        rows
    }

    /// Every name that must be unique, with the kind of thing that it names.
    pub(crate) fn names(&self) -> Vec<(&'static str, String)> {
        let mut names = Vec::new();
        names.extend(self.switches.iter().map(|n| ("logical switch", n.clone())));
        names.extend(self.routers.iter().map(|n| ("logical router", n.clone())));
        for connection in &self.connections {
            let (Some(router), Some(switch)) = (
                self.routers.get(connection.router.0),
                self.switches.get(connection.switch.0),
            ) else {
                continue;
            };
            names.push(("logical router port", format!("{router}-{switch}")));
            names.push(("logical switch port", format!("{switch}-{router}")));
        }
        for vm in self.vms() {
            names.push(("VM", vm.name.clone()));
            names.push(("logical switch port", vm.port.clone()));
        }
        names
    }

    /// What refers to a switch or router of another topology.
    pub(crate) fn strays(&self) -> Vec<String> {
        let no_switch = |switch: SwitchId| switch.0 >= self.switches.len();
        let connections = self.connections.iter().enumerate();
        connections
            .filter(|(_, c)| no_switch(c.switch) || c.router.0 >= self.routers.len())
            .map(|(index, _)| format!("connection {}", index + 1))
            .chain(
                (self.vms.iter())
                    .filter(|(switch, _)| no_switch(*switch))
                    .map(|(_, vm)| format!("VM {:?}", vm.name)),
            )
            .collect()
    }
}

fn net4(octets: [u8; 4], prefix: u8) -> IpNet {
    IpNet::new_assert(octets.into(), prefix)
}

fn net6(segments: [u16; 8], prefix: u8) -> IpNet {
    IpNet::new_assert(segments.into(), prefix)
}

/// The `*_Global` row of an OVN database and the connection that it listens on.
pub(crate) fn global_rows(table: &'static str, port: u16, global: Row) -> Vec<TableRow> {
    let mut rows = Vec::new();
    let target = format!("ptcp:{port}");
    let row = Row::new()
        .set("target", &target)
        .set("inactivity_probe", Some(INACTIVITY_PROBE));
    let connection = push(&mut rows, "Connection", &target, row);
    push(
        &mut rows,
        table,
        "",
        global.set("connections", [connection]),
    );
    rows
}

/// Adds a row under a UUID made of its table and name.
pub(crate) fn push(rows: &mut Vec<TableRow>, table: &'static str, name: &str, row: Row) -> Uuid {
    let text = format!("ofm/{table}/{name}");
    let uuid = Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes());
    rows.push((table, uuid, row));
    uuid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demo_has_the_ports_and_addresses_of_the_demo() {
        let rows = Topology::demo(2).nb_rows(&"ovn-central-az1".parse().unwrap());
        let named = |table, name| {
            let mut rows = rows.iter().filter(|(t, _, _)| *t == table);
            &rows
                .find(|(_, _, row)| row.str("name") == Some(name))
                .unwrap()
                .2
        };
        assert_eq!(
            named("Logical_Switch_Port", "sw01-port1").str("addresses"),
            Some("50:51:00:00:00:03 11.0.0.3 1001::3")
        );
        assert_eq!(
            named("Logical_Switch_Port", "sw11-lr1").map_get("options", "router-port"),
            Some("lr1-sw11")
        );
        assert_eq!(
            named("Logical_Router_Port", "lr1-sw11").get("networks"),
            Some(&Datum::set(["21.0.0.1/24", "2001::a/64"]))
        );
        assert_eq!(named("Logical_Router", "lr1").uuids("ports").count(), 2);
    }

    #[test]
    fn demo_with_one_chassis_keeps_both_vms_on_it() {
        let chassis = |n| {
            Topology::demo(n)
                .vms()
                .map(|vm| vm.chassis)
                .collect::<Vec<_>>()
        };
        assert_eq!(chassis(1), [1, 1]);
        assert_eq!(chassis(5), [1, 2]);
    }
}
