//! The nodes: their names and addresses, and of what each consists.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;

use super::addresses::Hosts;
use super::zones::zone_of;
use super::{
    Datapath, HostFacts, LinkPlan, NodePlan, PUBLIC_BRIDGE, Plan, PlanErrors, Role, TapPlan,
    UNDERLAY_BRIDGE, check, container, daemons, databases, node_dir,
};
use crate::name::{MacAddr, NodeName};
use crate::spec::{ChassisSpec, ClusterSpec, DatabaseMode, Workload};
use crate::topology::demo;

/// A node of which nothing else is decided yet.
#[derive(Debug, Clone)]
pub(super) struct NamedNode {
    pub(super) role: Role,
    pub(super) zone: u32,
    /// Its number among the centrals of its zone, from 1; 1 for any other node.
    pub(super) member: u32,
    pub(super) name: NodeName,
    pub(super) address: IpAddr,
}

/// The roles, zones, members and names of the nodes that have addresses in the underlay, in the order of these.
pub(crate) fn raw_names(spec: &ClusterSpec) -> impl Iterator<Item = (Role, u32, u32, String)> {
    let names = &spec.names;
    let central = move |zone| match &names.central {
        Some(name) => name.clone(),
        None => format!("{}{zone}", names.central_prefix),
    };
    let members = spec.database.centrals();
    let raft = spec.database == DatabaseMode::Raft;
    let centrals = (1..=spec.zones).flat_map(move |zone| {
        (1..=members).map(move |member| {
            let name = central(zone);
            let name = if raft {
                format!("{name}-{member}")
            } else {
                name
            };
            (Role::Central, zone, member, name)
        })
    });
    let numbered = move |role, count, prefix: &'_ String| {
        let prefix = prefix.clone();
        (1..=count).map(move |n| (role, zone_of(n, spec.zones), 1, format!("{prefix}{n}")))
    };
    let present = |name: &str| spec.absent.iter().all(|absent| absent.as_str() != name);
    let gateways = numbered(Role::Gateway, spec.gateways(), &names.gateway_prefix);
    let relays = (1..=spec.zones).flat_map(move |zone| {
        let relays = 1..=spec.relays;
        relays.map(move |n| (Role::Relay, zone, 1, format!("{}-relay-{n}", central(zone))))
    });
    let chassis = numbered(Role::Chassis, spec.chassis(), &names.chassis_prefix);
    let others = (1..).zip(&spec.others).map(|(n, other)| {
        let zone = other.zone.unwrap_or(zone_of(n, spec.zones));
        (role_of(other), zone, 1, other.name.to_string())
    });
    centrals
        .chain(gateways.filter(move |(.., name)| present(name)))
        .chain(relays)
        .chain(chassis.filter(move |(.., name)| present(name)))
        .chain(others)
}

fn role_of(chassis: &ChassisSpec) -> Role {
    if chassis.gateway {
        Role::Gateway
    } else {
        Role::Chassis
    }
}

/// The zones and names of the gateways and chassis.
pub(crate) fn chassis_names(spec: &ClusterSpec) -> impl Iterator<Item = (u32, String)> {
    let chassis = raw_names(spec).filter(|(role, ..)| role.is_chassis());
    chassis.map(|(_, zone, _, name)| (zone, name))
}

/// The nodes of a spec that was checked.
pub(super) fn names(spec: &ClusterSpec) -> Vec<NamedNode> {
    let hosts = Hosts::of(spec.underlay);
    let first = first_address(spec);
    (0..)
        .zip(raw_names(spec))
        .map(|(index, (role, zone, member, name))| NamedNode {
            role,
            zone,
            member,
            name: name.parse().expect("the names were checked"),
            address: hosts.after(first, index),
        })
        .collect()
}

/// The address of the first node, asked for or by default.
pub(super) fn first_address(spec: &ClusterSpec) -> IpAddr {
    let second = Hosts::of(spec.underlay).second();
    spec.first_address.unwrap_or(second)
}

/// The names of the hosts of a zone: on the physical network, and on the underlay.
pub(super) fn host_names(zone: u32) -> [String; 2] {
    ["ext", "int"].map(|place| format!("ovnfake-{place}{zone}"))
}

/// Whether the zones have hosts outside of OVN.
pub(crate) fn has_hosts(spec: &ClusterSpec) -> bool {
    spec.workload == Workload::Demo
}

/// The address of a zone's host on the underlay: before the first node if there is room, at the end for other zones.
pub(super) fn host_address(spec: &ClusterSpec, zone: u32) -> IpAddr {
    let hosts = Hosts::of(spec.underlay);
    let before = hosts.first() < first_address(spec);
    match zone {
        1 if before => hosts.first(),
        zone => hosts.before_last(zone - 1 - u32::from(before)),
    }
}

impl Plan {
    /// Decides on a gateway or chassis that a running cluster is to get.
    ///
    /// # Errors
    /// All problems of it, at once.
    pub(crate) fn add_chassis(
        &mut self,
        spec: &ClusterSpec,
        facts: &HostFacts,
        chassis: &ChassisSpec,
    ) -> Result<&NodePlan, PlanErrors> {
        let problems = check::check_chassis(self, spec, facts, chassis);
        if !problems.is_empty() {
            return Err(PlanErrors { problems });
        }
        let role = role_of(chassis);
        let population = |zone: &u32| {
            let nodes = self.nodes.iter().filter(|node| node.role == role);
            nodes.filter(|node| node.zone == *zone).count()
        };
        let emptiest = (1..=self.zones.len() as u32).min_by_key(population);
        let named = NamedNode {
            role,
            zone: chassis.zone.or(emptiest).unwrap_or(1),
            member: 1,
            name: chassis.name.clone(),
            address: self.next_address,
        };
        self.add_node(spec, facts, &named);
        self.next_address = Hosts::of(self.underlay).after(self.next_address, 1);
        let added = self.nodes.last_mut().expect("it was added just now");
        if let Some(remote) = &chassis.remote {
            added.remote = Some(remote.clone());
        }
        Ok(added)
    }

    pub(super) fn add_node(&mut self, spec: &ClusterSpec, facts: &HostFacts, named: &NamedNode) {
        let index = self.take_index();
        let role = named.role;
        let mut node = self.bare_node(index, named);
        let net = IpNet::new_assert(named.address, self.underlay.prefix_len());
        let behind_tap = role.is_chassis() && self.datapath == Datapath::Netdev;
        let mut uplink = self.link(index, 1, if behind_tap { "eth1-uplink" } else { "eth1" });
        if behind_tap {
            node.tap = Some(TapPlan {
                name: "eth1".to_owned(),
                index: 12,
                mac: self.mac(index, 3),
                address: net,
            });
        } else {
            uplink.addresses = vec![net];
        }
        let public = self.has_public().then(|| self.link(index, 2, "eth2"));
        node.links = [uplink].into_iter().chain(public).collect();
        let software = &facts.software[&role];
        node.root = software.root().map(Path::to_owned);
        node.env = software.environment();
        node.env.extend(spec.env.clone());
        node.databases = databases::databases(self, spec, named, software);
        node.daemons = daemons::daemons(self, named, software);
        if role.is_chassis() {
            let others = spec.others.iter().filter(|other| other.name == named.name);
            let own = others.filter_map(|other| other.remote.clone()).next();
            let zones = || {
                Some(
                    self.zones
                        .get(named.zone as usize - 1)?
                        .chassis_remote
                        .clone(),
                )
            };
            node.remote = own.or_else(|| spec.remote.clone()).or_else(zones);
        }
        node.container = container::container(self, spec, &node);
        self.nodes.push(node);
    }

    /// A number that no node has had.
    fn take_index(&mut self) -> u32 {
        self.next_index += 1;
        self.next_index - 1
    }

    /// A node without links, in which nothing runs.
    fn bare_node(&self, index: u32, named: &NamedNode) -> NodePlan {
        NodePlan {
            name: named.name.clone(),
            role: named.role,
            zone: named.zone,
            index,
            address: named.address,
            hostname: named.name.to_string(),
            dir: node_dir(&self.state_dir, named.name.as_str()),
            links: Vec::new(),
            tap: None,
            root: None,
            env: BTreeMap::new(),
            container: None,
            remote: None,
            databases: Vec::new(),
            daemons: Vec::new(),
            vms: Vec::new(),
        }
    }

    /// A node's link to the bridge of a number: 1 for the underlay, 2 for the physical network.
    fn link(&self, node: u32, number: u32, name: &str) -> LinkPlan {
        LinkPlan {
            bridge_index: match number {
                1 => UNDERLAY_BRIDGE,
                _ => PUBLIC_BRIDGE,
            },
            outer_name: format!("n{node}-eth{number}"),
            outer_index: 9 + 2 * node + number,
            node_name: name.to_owned(),
            node_index: 9 + number,
            mac: self.mac(node, number),
            addresses: Vec::new(),
            gateways: Vec::new(),
            checksum_offload: self.datapath == Datapath::System,
        }
    }

    /// The demo's hosts, with the addresses that they have in ovn-fake-multinode.
    pub(crate) fn add_hosts(&mut self, spec: &ClusterSpec) {
        if !has_hosts(spec) {
            return;
        }
        for zone in 1..=spec.zones {
            let [outside, inside] = host_names(zone);
            let (mac, addresses, gateway) = demo::outside(zone);
            self.add_host(zone, 2, &outside, mac, addresses.into(), vec![gateway]);
            let address = host_address(spec, zone);
            let address = IpNet::new_assert(address, self.underlay.prefix_len());
            self.add_host(zone, 1, &inside, demo::inside(zone), vec![address], vec![]);
        }
        let hosts = self.nodes.iter_mut();
        for host in hosts.filter(|node| node.role == Role::Host) {
            host.env.clone_from(&spec.env);
        }
    }

    fn add_host(
        &mut self,
        zone: u32,
        bridge: u32,
        name: &str,
        mac: MacAddr,
        addresses: Vec<IpNet>,
        gateways: Vec<IpAddr>,
    ) {
        let index = self.take_index();
        let named = NamedNode {
            role: Role::Host,
            zone,
            member: 1,
            name: name.parse().expect("it is made of a word and a number"),
            address: addresses[0].addr(),
        };
        let node = self.bare_node(index, &named);
        let link = LinkPlan {
            mac,
            addresses,
            gateways,
            ..self.link(index, bridge, name)
        };
        self.nodes.push(NodePlan {
            links: vec![link],
            ..node
        });
    }
}

impl Plan {
    /// A locally administered address for an interface of a node. Clusters of different names have different ones, because
    /// uplinks may join their underlays; `link` is below 256.
    fn mac(&self, node: u32, link: u32) -> MacAddr {
        let name = self.cluster.as_str().bytes();
        // FNV-1a, folded to 16 bits.
        let hash = name.fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        let [a, b] = ((hash >> 16 ^ hash) as u16).to_be_bytes();
        let [.., c, d] = node.to_be_bytes();
        MacAddr([0x0a, link.to_be_bytes()[3], a, b, c, d])
    }
}
