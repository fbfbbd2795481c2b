//! A logical topology and the fake VMs on it, as code.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::MacAddr;

pub(crate) mod demo;
mod rows;

pub use rows::TableRow;
pub(crate) use rows::push;

/// The physical network that each chassis reaches.
pub(crate) const PUBLIC_NETWORK: &str = "public";

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
///     ..VmSpec::default()
/// });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Topology {
    switches: Vec<Switch>,
    routers: Vec<Router>,
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

/// A connection between a router and a switch of the topology that gave out this handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnectionId(usize);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Switch {
    pub(crate) name: String,
    /// Whether it joins availability zones.
    pub(crate) transit: bool,
    pub(crate) dhcp: Option<Dhcp>,
    pub(crate) ports: Vec<Port>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Router {
    pub(crate) name: String,
    pub(crate) nats: Vec<Nat>,
}

/// A port that no VM is bound to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Port {
    Plain {
        name: String,
        mac: MacAddr,
        ips: Vec<IpAddr>,
    },
    Localnet {
        name: String,
        network: String,
    },
}

impl Port {
    pub(crate) fn name(&self) -> &String {
        match self {
            Port::Plain { name, .. } | Port::Localnet { name, .. } => name,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Connection {
    router: RouterId,
    switch: SwitchId,
    pub(crate) mac: MacAddr,
    pub(crate) networks: Vec<IpNet>,
    pub(crate) gateway_chassis: Vec<(String, i64)>,
}

/// How OVN gives addresses to VMs of a switch that ask by DHCP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dhcp {
    /// The subnet from which addresses are given.
    pub subnet: Ipv4Net,
    /// First and last address of a range that is never given.
    pub exclude: Option<(Ipv4Addr, Ipv4Addr)>,
    /// The default gateway that clients are told, and the address of the server.
    pub router: Ipv4Addr,
    /// The hardware address of the server.
    pub server_mac: MacAddr,
    /// How many seconds a lease lasts.
    pub lease_time: u32,
}

/// A translation of addresses by a router, as the table `NAT` of ovn-nb(5) has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nat {
    /// Which direction.
    #[serde(rename = "type")]
    pub kind: NatKind,
    /// The address outside.
    pub external_ip: IpAddr,
    /// The address or network inside.
    pub logical_ip: IpNet,
    /// The port inside and the MAC address outside of a translation that is done on the VM's own chassis.
    #[serde(default)]
    pub distributed: Option<(String, MacAddr)>,
}

/// Direction of a translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NatKind {
    /// Of the source, on the way out.
    Snat,
    /// Of the destination, on the way in.
    Dnat,
    /// Both: a floating address.
    DnatAndSnat,
}

impl NatKind {
    const fn as_str(self) -> &'static str {
        match self {
            NatKind::Snat => "snat",
            NatKind::Dnat => "dnat",
            NatKind::DnatAndSnat => "dnat_and_snat",
        }
    }
}

/// A fake VM: a network namespace on a chassis with one interface, bound to a logical switch port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
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
    /// Whether it asks for an IPv4 address by DHCP, which its switch must offer ([`Topology::dhcp`]).
    pub dhcp: bool,
    /// The address that it is to get by DHCP. Default: OVN chooses.
    pub dhcp_address: Option<Ipv4Addr>,
    /// MTU of its interface in bytes; 1400 leaves room for Geneve in an underlay of 1500.
    pub mtu: u32,
}

impl Default for VmSpec {
    fn default() -> Self {
        Self {
            name: String::new(),
            port: String::new(),
            chassis: 1,
            mac: MacAddr([0; 6]),
            addresses: Vec::new(),
            gateways: Vec::new(),
            dhcp: false,
            dhcp_address: None,
            mtu: 1400,
        }
    }
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
        self.add_switch(name.into(), false)
    }

    /// Adds a switch that `ovn-ic` joins with those of the same name in other availability zones (ovn-ic-nb(5)).
    pub fn transit_switch(&mut self, name: impl Into<String>) -> SwitchId {
        self.add_switch(name.into(), true)
    }

    fn add_switch(&mut self, name: String, transit: bool) -> SwitchId {
        self.switches.push(Switch {
            name,
            transit,
            dhcp: None,
            ports: Vec::new(),
        });
        SwitchId(self.switches.len() - 1)
    }

    /// Adds a logical router.
    pub fn router(&mut self, name: impl Into<String>) -> RouterId {
        self.routers.push(Router {
            name: name.into(),
            nats: Vec::new(),
        });
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
    ) -> ConnectionId {
        self.connections.push(Connection {
            router,
            switch,
            mac,
            networks: networks.to_vec(),
            gateway_chassis: Vec::new(),
        });
        ConnectionId(self.connections.len() - 1)
    }

    /// Lets a chassis host the router's port; of several that are alive the one of the highest priority does, 0 to 32767.
    pub fn gateway_chassis(&mut self, at: ConnectionId, chassis: impl Into<String>, priority: i64) {
        if let Some(connection) = self.connections.get_mut(at.0) {
            connection.gateway_chassis.push((chassis.into(), priority));
        }
    }

    /// Offers addresses by DHCP on a switch.
    pub fn dhcp(&mut self, switch: SwitchId, dhcp: Dhcp) {
        if let Some(switch) = self.switches.get_mut(switch.0) {
            switch.dhcp = Some(dhcp);
        }
    }

    /// Adds a port that no VM is bound to.
    pub fn port(
        &mut self,
        switch: SwitchId,
        name: impl Into<String>,
        mac: MacAddr,
        ips: &[IpAddr],
    ) {
        let (name, ips) = (name.into(), ips.to_vec());
        self.add_port(switch, Port::Plain { name, mac, ips });
    }

    /// Joins a switch to a physical network, by a port of type `localnet`. Each chassis reaches the network `public`.
    pub fn localnet(
        &mut self,
        switch: SwitchId,
        name: impl Into<String>,
        network: impl Into<String>,
    ) {
        let (name, network) = (name.into(), network.into());
        self.add_port(switch, Port::Localnet { name, network });
    }

    fn add_port(&mut self, switch: SwitchId, port: Port) {
        if let Some(switch) = self.switches.get_mut(switch.0) {
            switch.ports.push(port);
        }
    }

    /// Lets a router translate addresses.
    pub fn nat(&mut self, router: RouterId, nat: Nat) {
        if let Some(router) = self.routers.get_mut(router.0) {
            router.nats.push(nat);
        }
    }

    /// Adds a fake VM with its port on a switch.
    pub fn vm(&mut self, switch: SwitchId, vm: VmSpec) {
        self.vms.push((switch, vm));
    }

    /// The VMs, in the order in which they were added.
    pub fn vms(&self) -> impl Iterator<Item = &VmSpec> {
        self.vms.iter().map(|(_, vm)| vm)
    }

    /// The names of the switches, in the order in which they were added.
    pub fn switch_names(&self) -> impl Iterator<Item = &str> {
        self.switches.iter().map(|switch| switch.name.as_str())
    }

    /// The names of the routers, in the order in which they were added.
    pub fn router_names(&self) -> impl Iterator<Item = &str> {
        self.routers.iter().map(|router| router.name.as_str())
    }

    /// The switches, in the order in which they were added.
    pub(crate) fn switches(&self) -> &[Switch] {
        &self.switches
    }

    /// The routers, in the order in which they were added, each with its connections and the switches of these.
    pub(crate) fn routers(&self) -> impl Iterator<Item = (&Router, Vec<(&Connection, &Switch)>)> {
        let connections = |id| {
            let own = self.connections.iter().filter(move |c| c.router == id);
            own.filter_map(|c| Some((c, self.switches.get(c.switch.0)?)))
                .collect()
        };
        let routers = self.routers.iter().enumerate();
        routers.map(move |(index, router)| (router, connections(RouterId(index))))
    }

    /// The VMs with their switches, in the order in which they were added.
    pub(crate) fn placed_vms(&self) -> impl Iterator<Item = (&Switch, &VmSpec)> {
        let vms = self.vms.iter();
        vms.filter_map(|(switch, vm)| Some((self.switches.get(switch.0)?, vm)))
    }

    /// The VMs that ask a switch for an address which does not offer any.
    pub(crate) fn without_dhcp(&self) -> impl Iterator<Item = &VmSpec> {
        let offers = |switch: &SwitchId| {
            self.switches
                .get(switch.0)
                .is_some_and(|s| s.dhcp.is_some())
        };
        let vms = self.vms.iter();
        vms.filter(move |(switch, vm)| vm.dhcp && !offers(switch))
            .map(|(_, vm)| vm)
    }

    /// The names of the ports that lead to a physical network.
    pub(crate) fn localnets<'a>(&'a self, of: &'a str) -> impl Iterator<Item = &'a str> {
        let ports = self.switches.iter().flat_map(|switch| &switch.ports);
        ports.filter_map(move |port| match port {
            Port::Localnet { name, network } if network == of => Some(name.as_str()),
            _ => None,
        })
    }

    /// The switches that join zones.
    pub(crate) fn transit_switches(&self) -> impl Iterator<Item = &str> {
        let transit = self.switches.iter().filter(|switch| switch.transit);
        transit.map(|switch| switch.name.as_str())
    }

    /// The networks to which `ovn-ic` tells another zone the way: those of routers that share a transit switch with it,
    /// in the IP versions that both have addresses of there.
    pub(crate) fn advertised_to(&self, other: &Topology) -> BTreeSet<IpNet> {
        let shared = |connection: &&Connection, there: &Topology| {
            let switch = self.switches.get(connection.switch.0)?;
            let joint = there.connections.iter().find(|c| {
                let far = there.switches.get(c.switch.0);
                far.is_some_and(|far| far.transit && far.name == switch.name)
            })?;
            Some(joint.networks.clone())
        };
        let mut networks = BTreeSet::new();
        for joint in &self.connections {
            let Some(far) = shared(&joint, other) else {
                continue;
            };
            let version = |v4: bool| {
                let has = |nets: &[IpNet]| nets.iter().any(|net| matches!(net, IpNet::V4(_)) == v4);
                has(&joint.networks) && has(&far)
            };
            let own = self
                .connections
                .iter()
                .filter(|c| c.router == joint.router && c.switch != joint.switch);
            let own = own.flat_map(|c| &c.networks);
            networks.extend(
                own.filter(|net| version(matches!(net, IpNet::V4(_))))
                    .map(IpNet::trunc),
            );
        }
        networks
    }

    /// The router ports that a gateway is to host, as the southbound database names their bindings.
    pub(crate) fn hosted_ports(&self) -> impl Iterator<Item = String> {
        let hosted = self
            .connections
            .iter()
            .filter(|c| !c.gateway_chassis.is_empty());
        hosted.filter_map(|c| {
            let (router, switch) = self.names_of(c)?;
            Some(format!("cr-{router}-{switch}"))
        })
    }

    fn names_of(&self, connection: &Connection) -> Option<(&str, &str)> {
        let router = self.routers.get(connection.router.0)?;
        let switch = self.switches.get(connection.switch.0)?;
        Some((&router.name, &switch.name))
    }

    /// Every name that must be unique, with the kind of thing that it names.
    pub(crate) fn names(&self) -> Vec<(&'static str, String)> {
        let mut names = Vec::new();
        for switch in &self.switches {
            names.push(("logical switch", switch.name.clone()));
            for port in &switch.ports {
                names.push(("logical switch port", port.name().clone()));
            }
        }
        names.extend((self.routers.iter()).map(|r| ("logical router", r.name.clone())));
        for (router, switch) in self.connections.iter().filter_map(|c| self.names_of(c)) {
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
            .filter(|(_, c)| self.names_of(c).is_none())
            .map(|(index, _)| format!("connection {}", index + 1))
            .chain(
                (self.vms.iter())
                    .filter(|(switch, _)| no_switch(*switch))
                    .map(|(_, vm)| format!("VM {:?}", vm.name)),
            )
            .collect()
    }
}

#[cfg(test)]
mod tests;
