//! The availability zones: their names, where their databases are, and what is in them.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::addresses::with_port;
use super::nodes::NamedNode;
use super::{InterconnectionPlan, Plan, Role};
use crate::name::NodeName;
use crate::spec::{ClusterSpec, DatabaseMode, Workload};
use crate::topology::Topology;
use crate::topology::demo::DemoPlace;

/// Ports on which databases are served, as ovn-ctl(8) has them.
pub(super) mod port {
    pub(in crate::plan) const NB: u16 = 6641;
    pub(in crate::plan) const SB: u16 = 6642;
    pub(in crate::plan) const NB_RAFT: u16 = 6643;
    pub(in crate::plan) const SB_RAFT: u16 = 6644;
    pub(in crate::plan) const IC_NB: u16 = 6645;
    pub(in crate::plan) const IC_SB: u16 = 6646;
    /// For northd and relays, where chassis have to use a connection with fewer rights.
    pub(in crate::plan) const SB_UNRESTRICTED: u16 = 16642;
}

/// An availability zone: databases, and the gateways and chassis that use them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ZonePlan {
    /// Its number, from 1.
    pub number: u32,
    /// Its name, `NB_Global.name`: that of its first central.
    pub name: NodeName,
    /// Where its northbound database is, for clients on other nodes.
    pub nb_remote: String,
    /// Where its southbound database is, for northd and relays on other nodes.
    pub sb_remote: String,
    /// Where its chassis find the southbound database: at relays if it has any.
    pub chassis_remote: String,
    /// Contents of its northbound database.
    pub topology: Topology,
}

impl Plan {
    /// A connection method for a client.
    pub(super) fn remote(&self, address: std::net::IpAddr, port: u16) -> String {
        let method = if self.tls { "ssl" } else { "tcp" };
        format!("{method}:{}", with_port(address, port))
    }

    /// A connection method for a server, on all addresses of the underlay's IP version.
    pub(super) fn listener(&self, port: u16) -> String {
        let method = if self.tls { "pssl" } else { "ptcp" };
        match self.underlay {
            IpNet::V4(_) => format!("{method}:{port}"),
            IpNet::V6(_) => format!("{method}:{port}:[::]"),
        }
    }

    pub(super) fn add_zones(
        &mut self,
        spec: &ClusterSpec,
        nodes: &[NamedNode],
        topologies: Vec<Topology>,
    ) {
        let unrestricted = if spec.rbac && spec.database == DatabaseMode::Raft {
            port::SB_UNRESTRICTED
        } else {
            port::SB
        };
        for (number, topology) in (1..).zip(topologies) {
            let of = |role| {
                nodes
                    .iter()
                    .filter(move |n| n.role == role && n.zone == number)
            };
            let remotes = |role, port| {
                let remotes = of(role).map(|node| self.remote(node.address, port));
                remotes.collect::<Vec<_>>().join(",")
            };
            let relayed = of(Role::Relay).next().is_some();
            let server = if relayed { Role::Relay } else { Role::Central };
            let zone = ZonePlan {
                number,
                name: of(Role::Central)
                    .map(|node| node.name.clone())
                    .next()
                    .expect("every zone has a central"),
                nb_remote: remotes(Role::Central, port::NB),
                sb_remote: remotes(Role::Central, unrestricted),
                chassis_remote: remotes(server, port::SB),
                topology,
            };
            self.zones.push(zone);
        }
        let first = nodes.iter().find(|node| node.role == Role::Central);
        if let Some(central) = first.filter(|_| spec.interconnection) {
            let transit_switches = self
                .zones
                .iter()
                .flat_map(|z| z.topology.transit_switches());
            let mut transit_switches: Vec<_> = transit_switches.map(str::to_owned).collect();
            transit_switches.sort();
            transit_switches.dedup();
            self.interconnection = Some(InterconnectionPlan {
                central: central.name.clone(),
                nb_remote: self.remote(central.address, port::IC_NB),
                sb_remote: self.remote(central.address, port::IC_SB),
                transit_switches,
            });
        }
    }
}

/// What each zone's northbound database is to hold.
pub(crate) fn topologies(spec: &ClusterSpec) -> Vec<Topology> {
    let mut given = match &spec.workload {
        Workload::Custom(topologies) => topologies.clone(),
        Workload::Demo | Workload::None => Vec::new(),
    };
    for zone in 1 + given.len() as u32..=spec.zones {
        given.push(match spec.workload {
            Workload::Demo => demo(spec, zone),
            Workload::None | Workload::Custom(_) => Topology::new(),
        });
    }
    given
}

fn demo(spec: &ClusterSpec, zone: u32) -> Topology {
    let second = zone.saturating_add(spec.zones);
    let gateway = format!("{}{zone}", spec.names.gateway_prefix);
    Topology::demo_at(DemoPlace {
        zone,
        zones: spec.zones,
        chassis: [
            zone,
            if second <= spec.chassis() {
                second
            } else {
                zone
            },
        ],
        gateway: (zone <= spec.gateways()).then_some(&gateway),
        interconnection: spec.interconnection,
    })
}

/// The zone of the gateway or chassis of a number, both from 1: they are dealt round robin.
pub(crate) fn zone_of(number: u32, zones: u32) -> u32 {
    (number - 1) % zones.max(1) + 1
}
