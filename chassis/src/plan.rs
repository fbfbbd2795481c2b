//! Everything about a cluster, decided before anything is touched.
//!
//! A plan is plain data: the same spec on the same host gives the same plan, and it can be printed,
//! compared, stored and read back.

mod addresses;
mod check;
pub mod container;
mod daemons;
pub mod databases;
mod node;
pub(crate) mod nodes;
pub mod ovs;
mod problem;
pub(crate) mod zones;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::name::{ClusterName, NodeName};
use crate::software::Software;
use crate::spec::{ClusterSpec, DatabaseMode, Encapsulation};
use crate::topology::VmSpec;
use addresses::Hosts;

pub use container::{ContainerPlan, EngineFacts, EnginePlan, RuntimePlan};
pub use databases::{DatabasePlan, RaftPlan, nb_rows, sb_rows};
pub(crate) use node::SchemaPlace;
pub use node::{DaemonPlan, LinkPlan, NodePlan, Role, TapPlan, VmPlan};
pub(crate) use nodes::chassis_names;
pub use ovs::ovs_rows;
pub use problem::{PlanErrors, PlanProblem};
pub use zones::ZonePlan;
pub(crate) use zones::zone_of;

/// What a plan depends on besides the spec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostFacts {
    /// The programs and schemas of Open vSwitch and OVN, for each role that the cluster has.
    pub software: BTreeMap<Role, Software>,
    /// Whether the kernel has the datapath `openvswitch`.
    pub openvswitch_datapath: bool,
    /// The names of the host's interfaces.
    pub interfaces: BTreeSet<String>,
    /// Directory with the state of all clusters.
    pub state_root: PathBuf,
    /// The container engine, if the nodes are to be containers.
    pub engine: Option<EngineFacts>,
}

/// A cluster with everything decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Name of the cluster.
    pub cluster: ClusterName,
    /// Datapath of the switches.
    pub datapath: Datapath,
    /// Directory with the state of this cluster.
    pub state_dir: PathBuf,
    /// The folder of this machine that all nodes show as `/data`.
    pub data: PathBuf,
    /// What provides the nodes.
    pub runtime: RuntimePlan,
    /// How each zone's databases are served.
    pub database: DatabaseMode,
    /// Whether databases are reached by TLS.
    pub tls: bool,
    /// Whether the southbound databases let a chassis change only what concerns itself.
    pub rbac: bool,
    /// Whether databases begin with what the daemons would write at their start.
    pub seed: bool,
    /// How long a daemon may take until it serves, and then all of them until the cluster is ready.
    pub ready_timeout: Duration,
    /// How `ovn-ic` reaches the databases of the interconnection, if there is one.
    pub interconnection: Option<InterconnectionPlan>,
    /// Subnet of the underlay.
    pub underlay: IpNet,
    /// MTU of the underlay in bytes.
    pub mtu: u32,
    /// The interface of this machine that joins the underlay.
    pub uplink: Option<String>,
    /// What all chassis are configured with.
    pub chassis: ChassisSettings,
    /// Bridges of the underlay.
    pub bridges: Vec<BridgePlan>,
    /// The availability zones.
    pub zones: Vec<ZonePlan>,
    /// The nodes: centrals, gateways, relays, chassis, hosts, and chassis that came later.
    pub nodes: Vec<NodePlan>,
    /// The index of the next node. None is given twice.
    pub next_index: u32,
    /// The address of the next node in the underlay. None is given twice.
    pub next_address: IpAddr,
    /// The number of the next VM. None is given twice.
    pub next_vm: u32,
}

/// The interconnection of the zones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterconnectionPlan {
    /// The central that serves its databases.
    pub central: NodeName,
    /// Where the northbound database of the interconnection is.
    pub nb_remote: String,
    /// Where its southbound database is.
    pub sb_remote: String,
    /// The transit switches that it begins with.
    pub transit_switches: Vec<String>,
}

/// What is the same in the Open vSwitch databases of all chassis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChassisSettings {
    /// How packets between chassis are encapsulated.
    pub encapsulation: Encapsulation,
    /// `ovn-monitor-all` of ovn-controller(8).
    pub monitor_all: bool,
    /// `ovn-remote-probe-interval` in milliseconds.
    pub remote_probe_interval: u32,
    /// `ovn-openflow-probe-interval` in seconds.
    pub openflow_probe_interval: u32,
}

/// Kind of datapath, `datapath_type` of a bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Datapath {
    /// In userspace, by `ovs-vswitchd`.
    Netdev,
    /// In the kernel.
    System,
}

impl Datapath {
    /// Returns the value for `datapath_type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Netdev => "netdev",
            Self::System => "system",
        }
    }
}

/// A bridge of the underlay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BridgePlan {
    /// Name of the bridge.
    pub name: String,
    /// Its ifindex in the namespace of the underlay.
    pub index: u32,
}

impl Plan {
    /// Decides everything.
    ///
    /// # Errors
    /// All problems of the spec on this host, at once.
    pub fn new(spec: &ClusterSpec, facts: &HostFacts) -> Result<Self, PlanErrors> {
        let topologies = zones::topologies(spec);
        let state_dir = facts.state_root.join(spec.name.as_str());
        let problems = check::check(spec, facts, &topologies, &state_dir);
        if !problems.is_empty() {
            return Err(PlanErrors { problems });
        }

        let datapath = spec.datapath.decide(facts.openvswitch_datapath);
        let mut plan = Self {
            cluster: spec.name.clone(),
            datapath,
            data: spec.data.clone().unwrap_or_else(|| state_dir.join("data")),
            state_dir,
            runtime: container::runtime(datapath, facts),
            database: spec.database,
            tls: spec.tls,
            rbac: spec.rbac,
            seed: spec.seed,
            ready_timeout: Duration::from_secs(spec.ready_timeout.into()),
            interconnection: None,
            underlay: spec.underlay.trunc(),
            mtu: spec.mtu,
            uplink: spec.uplink.clone(),
            chassis: ChassisSettings {
                encapsulation: spec.encapsulation,
                monitor_all: spec.monitor_all,
                remote_probe_interval: spec.remote_probe_interval,
                openflow_probe_interval: spec.openflow_probe_interval,
            },
            bridges: bridges(spec),
            zones: Vec::new(),
            nodes: Vec::new(),
            next_index: 0,
            next_address: nodes::first_address(spec),
            next_vm: 0,
        };
        let named = nodes::names(spec);
        plan.add_zones(spec, &named, topologies);
        for node in &named {
            plan.add_node(spec, facts, node);
        }
        let hosts = Hosts::of(spec.underlay);
        plan.next_address = hosts.after(plan.next_address, named.len() as u32);
        plan.add_hosts(spec);
        plan.place_vms(spec);
        Ok(plan)
    }

    /// Whether there is the physical network `public`.
    pub(crate) fn has_public(&self) -> bool {
        let mut bridges = self.bridges.iter();
        bridges.any(|bridge| bridge.index == PUBLIC_BRIDGE)
    }

    /// The first central of the first zone.
    pub fn central(&self) -> &NodePlan {
        self.nodes
            .iter()
            .find(|node| node.role == Role::Central)
            .expect("every plan has a central")
    }

    /// The centrals of a zone.
    pub fn centrals(&self, zone: u32) -> impl Iterator<Item = &NodePlan> {
        let nodes = self.nodes.iter();
        nodes.filter(move |node| node.role == Role::Central && node.zone == zone)
    }

    /// The zone of a number, from 1.
    ///
    /// # Panics
    /// When there is none. The zones of nodes exist.
    pub fn zone(&self, number: u32) -> &ZonePlan {
        &self.zones[number as usize - 1]
    }

    /// The node of a name.
    pub fn node_named(&self, name: &str) -> Option<&NodePlan> {
        self.nodes.iter().find(|node| node.name.as_str() == name)
    }

    /// Whether a node is a gateway or chassis that uses the southbound database of its zone, and not somebody else's.
    pub(crate) fn is_own_chassis(&self, node: &NodePlan) -> bool {
        let zone = self.zones.get(node.zone as usize - 1);
        let own = zone.is_some_and(|zone| node.remote.as_ref() == Some(&zone.chassis_remote));
        own && node.role.is_chassis()
    }

    /// The gateways and chassis to which a gateway or chassis has tunnels: all others of its zone, and those of other
    /// zones where they are interconnected. What those have that use somebody else's databases is not known here.
    pub fn peers(&self, of: &NodePlan) -> impl Iterator<Item = &NodePlan> {
        let (own, zone, known) = (of.name.clone(), of.zone, self.is_own_chassis(of));
        let across = self.interconnection.is_some();
        self.nodes
            .iter()
            .filter(move |node| known && self.is_own_chassis(node))
            .filter(move |node| node.name != own && (across || node.zone == zone))
    }

    /// The nodes with the databases of a zone's chassis: its centrals and relays.
    pub(crate) fn servers(&self, zone: u32) -> impl Iterator<Item = &NodePlan> {
        let nodes = self.nodes.iter();
        nodes.filter(move |node| node.role.is_server() && node.zone == zone)
    }

    /// All VMs, chassis by chassis.
    pub fn vms(&self) -> impl Iterator<Item = &VmPlan> {
        self.nodes.iter().flat_map(|node| &node.vms)
    }

    /// Gives each VM to its chassis. Those of chassis that are left out are left out too.
    fn place_vms(&mut self, spec: &ClusterSpec) {
        let topologies = self.zones.iter().map(|zone| &zone.topology);
        let vms: Vec<_> = topologies.flat_map(|t| t.vms()).cloned().collect();
        for vm in vms {
            self.place_vm(spec, vm);
        }
    }

    /// Gives a VM to its chassis, if that is there.
    pub(crate) fn place_vm(&mut self, spec: &ClusterSpec, vm: VmSpec) -> Option<&VmPlan> {
        let chassis = format!("{}{}", spec.names.chassis_prefix, vm.chassis);
        let checksum_offload = self.datapath == Datapath::System;
        let mut nodes = self.nodes.iter_mut();
        let node = nodes.find(|node| node.name.as_str() == chassis)?;
        let number = self.next_vm;
        self.next_vm += 1;
        node.vms.push(VmPlan {
            outer_name: vm_outer_name(&vm.name),
            name: vm.name,
            iface_id: vm.port,
            node: node.name.clone(),
            mac: vm.mac,
            addresses: vm.addresses,
            gateways: vm.gateways,
            dhcp: vm.dhcp,
            mtu: vm.mtu,
            outer_index: 100 + 2 * number,
            inner_index: 101 + 2 * number,
            checksum_offload,
        });
        node.vms.last()
    }
}

fn bridges(spec: &ClusterSpec) -> Vec<BridgePlan> {
    let public = spec.public.then_some(("br-ovn-ext", PUBLIC_BRIDGE));
    let bridges = [("br-ovn", UNDERLAY_BRIDGE)].into_iter().chain(public);
    let bridges = bridges.map(|(name, index)| BridgePlan {
        name: name.to_owned(),
        index,
    });
    bridges.collect()
}

/// The ifindex of the bridge on which the nodes have their addresses.
pub(crate) const UNDERLAY_BRIDGE: u32 = 2;
/// The ifindex of the bridge that is the physical network `public`.
const PUBLIC_BRIDGE: u32 = 3;
/// The ifindex of the uplink among them.
pub(crate) const UPLINK: u32 = 4;

/// Where the nodes of a cluster have their folders.
pub(crate) fn nodes_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("nodes")
}

fn node_dir(state_dir: &Path, name: &str) -> PathBuf {
    nodes_dir(state_dir).join(name)
}

fn vm_outer_name(vm: &str) -> String {
    format!("{vm}-p")
}

#[cfg(test)]
pub(crate) mod tests;
