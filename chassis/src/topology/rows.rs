//! A topology as rows of a northbound database.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use ovsdb_client::value::{Datum, Row};
use uuid::Uuid;

use super::{Dhcp, Port, Router, RouterId, Switch, SwitchId, Topology};
use crate::name::MacAddr;

/// A row to begin a database with: table, UUID, columns.
pub type TableRow = (&'static str, Uuid, Row);

impl Topology {
    /// The rows of a northbound database with this topology, except `NB_Global` and what belongs to that.
    ///
    /// The UUIDs depend on the names only.
    pub fn rows(&self) -> Vec<TableRow> {
        let mut rows = Vec::new();
        for (index, switch) in self.switches.iter().enumerate() {
            self.switch_rows(SwitchId(index), switch, &mut rows);
        }
        for (index, router) in self.routers.iter().enumerate() {
            self.router_rows(RouterId(index), router, &mut rows);
        }
        rows
    }

    fn switch_rows(&self, id: SwitchId, switch: &Switch, rows: &mut Vec<TableRow>) {
        let mut ports = Vec::new();
        let mut config = BTreeMap::new();
        let mut dhcp_options = None;
        if switch.transit {
            config.insert("interconn-ts", switch.name.clone());
        }
        if let Some(dhcp) = &switch.dhcp {
            config.insert("subnet", dhcp.subnet.to_string());
            if let Some((first, last)) = dhcp.exclude {
                config.insert("exclude_ips", format!("{first}..{last}"));
            }
            dhcp_options = Some(dhcp_row(rows, &switch.name, dhcp));
        }
        for connection in self.connections.iter().filter(|c| c.switch == id) {
            let Some((router, _)) = self.names_of(connection) else {
                continue;
            };
            let (name, peer) = (&switch.name, format!("{router}-{}", switch.name));
            let port = format!("{name}-{router}");
            // Of a port of a transit switch, ovn-ic tells the other zones the addresses that the router has.
            let addresses = (!switch.transit).then_some("router");
            let row = Row::new()
                .set("name", &port)
                .set("type", "router")
                .set("addresses", addresses)
                .set("options", Datum::map([("router-port", peer)]));
            ports.push(push(rows, "Logical_Switch_Port", &port, row));
        }
        for port in &switch.ports {
            let row = Row::new().set("name", port.name());
            let row = match port {
                Port::Plain { mac, ips, .. } => row.set("addresses", [address_list(*mac, ips)]),
                Port::Localnet { network, .. } => row
                    .set("type", "localnet")
                    .set("addresses", ["unknown"])
                    .set("options", Datum::map([("network_name", network)])),
            };
            ports.push(push(rows, "Logical_Switch_Port", port.name(), row));
        }
        for (_, vm) in self.vms.iter().filter(|(switch, _)| *switch == id) {
            let ips: Vec<IpAddr> = vm.addresses.iter().map(IpNet::addr).collect();
            let mut addresses = address_list(vm.mac, &ips);
            if vm.dhcp {
                addresses.push_str(" dynamic");
            }
            let mut row = Row::new()
                .set("name", &vm.port)
                .set("addresses", [addresses]);
            if let Some(address) = vm.dhcp_address.filter(|_| vm.dhcp) {
                // northd writes this column, and keeps what is there as long as it is free.
                let given = address_list(vm.mac, &[address.into()]);
                row = row.set("dynamic_addresses", Some(given));
            }
            if let (true, Some(options)) = (vm.dhcp, dhcp_options) {
                row = row.set("dhcpv4_options", [options]);
            }
            ports.push(push(rows, "Logical_Switch_Port", &vm.port, row));
        }
        let row = Row::new()
            .set("name", &switch.name)
            .set("other_config", Datum::map(config))
            .set("ports", ports);
        push(rows, "Logical_Switch", &switch.name, row);
    }

    fn router_rows(&self, id: RouterId, router: &Router, rows: &mut Vec<TableRow>) {
        let mut ports = Vec::new();
        for connection in self.connections.iter().filter(|c| c.router == id) {
            let Some((router, switch)) = self.names_of(connection) else {
                continue;
            };
            let port = format!("{router}-{switch}");
            let mut gateways = Vec::new();
            for (chassis, priority) in &connection.gateway_chassis {
                let name = format!("{port}-{chassis}");
                let row = Row::new()
                    .set("name", &name)
                    .set("chassis_name", chassis)
                    .set("priority", *priority);
                gateways.push(push(rows, "Gateway_Chassis", &name, row));
            }
            let networks: Vec<_> = connection.networks.iter().map(IpNet::to_string).collect();
            let row = Row::new()
                .set("name", &port)
                .set("mac", connection.mac.to_string())
                .set("networks", networks)
                .set("gateway_chassis", gateways);
            ports.push(push(rows, "Logical_Router_Port", &port, row));
        }
        let mut nats = Vec::new();
        for nat in &router.nats {
            let logical = match nat.logical_ip {
                net if net.prefix_len() == net.max_prefix_len() => net.addr().to_string(),
                net => net.to_string(),
            };
            let name = format!(
                "{}/{}/{}/{logical}",
                router.name,
                nat.kind.as_str(),
                nat.external_ip
            );
            let mut row = Row::new()
                .set("type", nat.kind.as_str())
                .set("external_ip", nat.external_ip.to_string())
                .set("logical_ip", logical)
                .set("options", Datum::map([("stateless", "false")]));
            if let Some((port, mac)) = &nat.distributed {
                row = row
                    .set("logical_port", Some(port.as_str()))
                    .set("external_mac", Some(mac.to_string()));
            }
            nats.push(push(rows, "NAT", &name, row));
        }
        let row = Row::new()
            .set("name", &router.name)
            .set("ports", ports)
            .set("nat", nats);
        push(rows, "Logical_Router", &router.name, row);
    }
}

/// As the column `addresses` of `Logical_Switch_Port` has them.
fn address_list(mac: MacAddr, ips: &[IpAddr]) -> String {
    let mut text = mac.to_string();
    for ip in ips {
        text.push_str(&format!(" {ip}"));
    }
    text
}

fn dhcp_row(rows: &mut Vec<TableRow>, switch: &str, dhcp: &Dhcp) -> Uuid {
    let options = [
        ("lease_time", dhcp.lease_time.to_string()),
        ("router", dhcp.router.to_string()),
        ("server_id", dhcp.router.to_string()),
        ("server_mac", dhcp.server_mac.to_string()),
    ];
    let row = Row::new()
        .set("cidr", dhcp.subnet.to_string())
        .set("options", Datum::map(options));
    push(rows, "DHCP_Options", switch, row)
}

/// Adds a row under a UUID made of its table and name.
pub(crate) fn push(rows: &mut Vec<TableRow>, table: &'static str, name: &str, row: Row) -> Uuid {
    let text = format!("ofm/{table}/{name}");
    let uuid = Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes());
    rows.push((table, uuid, row));
    uuid
}
