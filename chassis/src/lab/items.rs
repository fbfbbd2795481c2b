//! What a topology file consists of.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use ipnet::{IpNet, Ipv4Net};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::{MacAddr, NodeName};
use crate::topology::NatKind;

/// What the nodes of each role are called.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Names {
    /// The name of the only central; with RAFT a number follows it. Default: made from the prefix.
    pub central: Option<String>,
    /// What the number of the zone follows in the name of its central. Default: `ovn-central-az`.
    pub central_prefix: Option<String>,
    /// What the number follows in the name of a gateway. Default: `ovn-gw-`.
    pub gateway_prefix: Option<String>,
    /// What the number follows in the name of a chassis. Default: `ovn-chassis-`.
    pub chassis_prefix: Option<String>,
}

impl Names {
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            central: self.central.or(other.central),
            central_prefix: self.central_prefix.or(other.central_prefix),
            gateway_prefix: self.gateway_prefix.or(other.gateway_prefix),
            chassis_prefix: self.chassis_prefix.or(other.chassis_prefix),
        }
    }
}

/// The images of single roles.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Images {
    /// Image of the centrals.
    pub central: Option<String>,
    /// Image of the gateways.
    pub gateway: Option<String>,
    /// Image of the relays.
    pub relay: Option<String>,
    /// Image of the chassis.
    pub chassis: Option<String>,
}

impl Images {
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            central: self.central.or(other.central),
            gateway: self.gateway.or(other.gateway),
            relay: self.relay.or(other.relay),
            chassis: self.chassis.or(other.chassis),
        }
    }
}

/// A gateway or chassis by a name of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedChassis {
    /// Its name: a-z, 0-9 and '-', at most 63 bytes.
    #[schemars(
        with = "String",
        length(min = 1, max = 63),
        regex(pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    )]
    pub name: NodeName,
    /// Whether it is a gateway. Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub gateway: bool,
    /// The number of its availability zone, from 1. Default: dealt round robin.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub zone: Option<u32>,
    /// The southbound databases that it uses, as `ssl:IP:PORT`, several separated by commas. Default: those of its zone.
    #[serde(default)]
    pub remote: Option<String>,
}

/// Open vSwitch and OVN of single roles.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Software {
    /// Of the centrals.
    #[serde(skip_serializing_if = "is_default")]
    pub central: SoftwarePaths,
    /// Of the gateways.
    #[serde(skip_serializing_if = "is_default")]
    pub gateway: SoftwarePaths,
    /// Of the relays.
    #[serde(skip_serializing_if = "is_default")]
    pub relay: SoftwarePaths,
    /// Of the chassis.
    #[serde(skip_serializing_if = "is_default")]
    pub chassis: SoftwarePaths,
}

/// Where Open vSwitch and OVN of a role are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SoftwarePaths {
    /// Open vSwitch, relative to the file; / is this machine's.
    pub ovs: Option<PathBuf>,
    /// OVN, relative to the file; / is this machine's.
    pub ovn: Option<PathBuf>,
}

impl Software {
    pub(super) fn or(self, other: Self) -> Self {
        let of = |own: SoftwarePaths, other: SoftwarePaths| SoftwarePaths {
            ovs: own.ovs.or(other.ovs),
            ovn: own.ovn.or(other.ovn),
        };
        Self {
            central: of(self.central, other.central),
            gateway: of(self.gateway, other.gateway),
            relay: of(self.relay, other.relay),
            chassis: of(self.chassis, other.chassis),
        }
    }

    pub(super) fn each_mut(&mut self) -> [&mut SoftwarePaths; 4] {
        [
            &mut self.central,
            &mut self.gateway,
            &mut self.relay,
            &mut self.chassis,
        ]
    }
}

/// A logical switch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    /// Its name, unique in its zone, unless it joins zones.
    pub name: String,
    /// The number of its availability zone, from 1. Default: 1.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub zone: Option<u32>,
    /// Whether ovn-ic joins it with the switches of its name in other zones. Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub transit: bool,
    /// The physical network that it is joined to, by a port named `ln-<switch>`. Each chassis reaches the network `public`.
    #[serde(default)]
    pub localnet: Option<String>,
    /// How OVN gives addresses to VMs that ask by DHCP. Default: not at all.
    #[serde(default)]
    pub dhcp: Option<Dhcp>,
    /// Ports to which neither a VM nor a router is bound.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
}

/// A port of a switch to which neither a VM nor a router is bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// The physical network that it leads to, if it does.
    #[serde(default)]
    pub localnet: Option<String>,
    /// Its MAC address. Default: made from its name.
    #[serde(default)]
    #[schemars(with = "Option<Mac>")]
    pub mac: Option<MacAddr>,
    /// Its IP addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
}

/// How OVN gives IPv4 addresses to the VMs of a switch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dhcp {
    /// The subnet from which addresses are given.
    #[schemars(with = "String")]
    pub subnet: Ipv4Net,
    /// The default gateway that VMs are told, and the address of the server.
    pub router: Ipv4Addr,
    /// First and last address of a range that is never given. Default: none.
    #[serde(default)]
    pub exclude: Option<[Ipv4Addr; 2]>,
    /// Seconds that a lease lasts. Default: 3600.
    #[serde(default)]
    pub lease_time: Option<u32>,
    /// The MAC address of the server. Default: `c0:ff:ee:00:00:01`.
    #[serde(default)]
    #[schemars(with = "Option<Mac>")]
    pub server_mac: Option<MacAddr>,
}

/// A logical router.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Router {
    /// Its name, unique in its zone.
    pub name: String,
    /// The number of its availability zone, from 1. Default: 1.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub zone: Option<u32>,
    /// Its ports, each on a switch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<RouterPort>,
    /// How it translates addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nat: Vec<Nat>,
}

/// A port of a router on a switch. It is named `<router>-<switch>`, and its peer `<switch>-<router>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouterPort {
    /// The switch, of the same zone.
    pub switch: String,
    /// Its MAC address. Default: made from its name.
    #[serde(default)]
    #[schemars(with = "Option<Mac>")]
    pub mac: Option<MacAddr>,
    /// Its addresses, each with the length of its network's prefix.
    #[schemars(with = "Vec<String>")]
    pub networks: Vec<IpNet>,
    /// The chassis that may host it, where it leads out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<GatewayChassis>,
}

/// A chassis that may host a router's port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewayChassis {
    /// The name of a gateway or chassis of the zone.
    pub chassis: String,
    /// Of several chassis that are alive, the one of the highest priority hosts the port. Default: 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0, max = 32767))]
    pub priority: i64,
}

/// A translation of addresses by a router.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nat {
    /// Which direction.
    #[serde(rename = "type")]
    pub kind: NatKind,
    /// The address outside.
    pub external_ip: IpAddr,
    /// The address or network inside.
    #[serde(with = "address_or_network")]
    #[schemars(with = "String")]
    pub logical_ip: IpNet,
    /// The port inside of a translation that is done on the VM's own chassis. Goes with `mac`.
    #[serde(default)]
    pub port: Option<String>,
    /// The MAC address outside of a translation that is done on the VM's own chassis. Goes with `port`.
    #[serde(default)]
    #[schemars(with = "Option<Mac>")]
    pub mac: Option<MacAddr>,
}

/// A fake VM: a network namespace on a chassis with one interface, bound to a port of a switch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vm {
    /// Name of the VM and of its interface, at most 13 bytes.
    #[schemars(length(min = 1, max = 13))]
    pub name: String,
    /// The switch, of the zone of its chassis.
    pub switch: String,
    /// Number of the chassis that it runs on, from 1.
    #[schemars(range(min = 1))]
    pub chassis: u32,
    /// MAC address of its interface. Default: made from the name of its port.
    #[serde(default)]
    #[schemars(with = "Option<Mac>")]
    pub mac: Option<MacAddr>,
    /// Addresses of its interface, each with the length of its network's prefix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub addresses: Vec<IpNet>,
    /// Default gateways, at most one per IP version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<IpAddr>,
    /// Whether it asks for an IPv4 address by DHCP. Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dhcp: bool,
    /// The address that it is to get by DHCP. Default: OVN chooses.
    #[serde(default)]
    pub dhcp_address: Option<Ipv4Addr>,
    /// Name of its port. Default: `<switch>-<name>`.
    #[serde(default)]
    pub port: Option<String>,
    /// MTU of its interface in bytes. Default: 1400.
    #[serde(default)]
    pub mtu: Option<u32>,
}

/// A MAC address, as in 50:51:00:00:00:03.
#[derive(JsonSchema)]
#[schemars(inline)]
#[expect(dead_code, reason = "it stands for another type in the schema")]
struct Mac(#[schemars(regex(pattern = "^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$"))] String);

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &i64) -> bool {
    *value == 0
}

/// An address without a prefix is a network of one.
mod address_or_network {
    use std::net::IpAddr;

    use ipnet::IpNet;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(net: &IpNet, serializer: S) -> Result<S::Ok, S::Error> {
        if net.prefix_len() == net.max_prefix_len() {
            serializer.collect_str(&net.addr())
        } else {
            serializer.collect_str(net)
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<IpNet, D::Error> {
        let text = String::deserialize(from)?;
        let address = text.parse::<IpAddr>().map(IpNet::from);
        let net = address.or_else(|_| text.parse());
        net.map_err(|_| de::Error::custom(format!("{text:?} is no address and no network")))
    }
}
