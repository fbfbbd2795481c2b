//! Everything about a cluster, decided before anything is touched.
//!
//! A plan is plain data: the same spec on the same host gives the same plan, and it can be printed,
//! compared, stored and read back.

mod check;
pub mod container;
mod daemons;
pub mod databases;
pub mod ovs;
mod problem;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

use crate::name::{ClusterName, MacAddr, NodeName};
use crate::software::Software;
use crate::spec::{ClusterSpec, Workload};
use crate::topology::Topology;

pub use container::{ContainerPlan, EngineFacts, EnginePlan, RuntimePlan};
pub use databases::{nb_rows, sb_rows};
pub use ovs::ovs_transaction;
pub use problem::{PlanErrors, PlanProblem};

const CENTRAL_NAME: &str = "ovn-central-az1";

/// What a plan depends on besides the spec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostFacts {
    /// The programs and schemas of Open vSwitch and OVN, for each role that the cluster has.
    pub software: BTreeMap<Role, Software>,
    /// Whether the kernel has the datapath `openvswitch`.
    pub openvswitch_datapath: bool,
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
    /// What provides the nodes.
    pub runtime: RuntimePlan,
    /// Subnet of the underlay.
    pub underlay: Ipv4Net,
    /// Bridges of the underlay.
    pub bridges: Vec<BridgePlan>,
    /// The nodes: the central, the gateways, the chassis.
    pub nodes: Vec<NodePlan>,
    /// Contents of the northbound database.
    pub topology: Topology,
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

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs the databases and northd.
    Central,
    /// Is a chassis that may host gateway ports.
    Gateway,
    /// Is a chassis that runs VMs.
    Chassis,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodePlan {
    /// Name of the node.
    pub name: NodeName,
    /// What it does.
    pub role: Role,
    /// Its number among all nodes, from 0.
    pub index: u32,
    /// Its address in the underlay.
    pub address: Ipv4Addr,
    /// Its host name.
    pub hostname: String,
    /// Directory with its files.
    pub dir: PathBuf,
    /// Its links to the bridges.
    pub links: Vec<LinkPlan>,
    /// The interface with its address, where the link has none.
    pub tap: Option<TapPlan>,
    /// The root file system that it sees instead of the host's or of its image's.
    pub root: Option<PathBuf>,
    /// The environment variables of all its programs.
    pub env: BTreeMap<String, String>,
    /// The container that it is, unless the runtime is native.
    pub container: Option<ContainerPlan>,
    /// Its databases.
    pub databases: Vec<DatabasePlan>,
    /// Its daemons, in the order of their start.
    pub daemons: Vec<DaemonPlan>,
    /// The VMs that it runs.
    pub vms: Vec<VmPlan>,
}

/// A veth pair between a bridge of the underlay and a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkPlan {
    /// ifindex of the bridge.
    pub bridge_index: u32,
    /// Name of the end at the bridge.
    pub outer_name: String,
    /// ifindex of the end at the bridge.
    pub outer_index: u32,
    /// Name of the end in the node.
    pub node_name: String,
    /// ifindex of the end in the node.
    pub node_index: u32,
    /// MAC address of the end in the node.
    pub mac: MacAddr,
    /// IP address of the end in the node.
    pub address: Option<Ipv4Net>,
    /// Whether the end in the node may leave checksums to be filled in later; a userspace datapath
    /// would not.
    pub checksum_offload: bool,
}

/// A persistent tap, which is the local port of an OVS bridge of the same name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TapPlan {
    /// Name of the tap.
    pub name: String,
    /// Its ifindex.
    pub index: u32,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its IP address.
    pub address: Ipv4Net,
}

/// A database of a node, made from its schema before any daemon runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatabasePlan {
    /// Name of the database, as its schema has it.
    pub name: String,
    /// Path of its file as seen in the node.
    pub file: PathBuf,
    /// Path of its schema as seen in the node.
    pub schema: PathBuf,
}

/// A daemon of a node. It detaches itself once it serves, and has no monitor process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DaemonPlan {
    /// Name of the daemon, unique in the node.
    pub name: String,
    /// Path of its program.
    pub program: PathBuf,
    /// Its arguments, without the name of the program.
    pub args: Vec<String>,
    /// Path of its pidfile as seen in the node.
    pub pidfile: PathBuf,
}

/// A fake VM: a namespace inside a chassis and the veth pair that joins the two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VmPlan {
    /// Name of the VM and of its interface.
    pub name: String,
    /// Name of its logical switch port.
    pub iface_id: String,
    /// The chassis that runs it.
    pub node: NodeName,
    /// MAC address of its interface.
    pub mac: MacAddr,
    /// IP addresses of its interface.
    pub addresses: Vec<IpNet>,
    /// Its default gateways.
    pub gateways: Vec<IpAddr>,
    /// MTU of its interface in bytes.
    pub mtu: u32,
    /// Name of the end in the chassis, a port of `br-int`.
    pub outer_name: String,
    /// ifindex of the end in the chassis.
    pub outer_index: u32,
    /// ifindex of its interface.
    pub inner_index: u32,
    /// Whether its interface may leave checksums to be filled in later.
    pub checksum_offload: bool,
}

impl Plan {
    /// Decides everything.
    ///
    /// # Errors
    /// All problems of the spec on this host, at once.
    pub fn new(spec: &ClusterSpec, facts: &HostFacts) -> Result<Self, PlanErrors> {
        let topology = match &spec.workload {
            Workload::Demo => Topology::demo(spec.chassis),
            Workload::None => Topology::new(),
            Workload::Custom(topology) => topology.clone(),
        };
        let state_dir = facts.state_root.join(spec.name.as_str());
        let problems = check::check(spec, facts, &topology, &state_dir);
        if !problems.is_empty() {
            return Err(PlanErrors { problems });
        }

        let datapath = spec.datapath.decide(facts.openvswitch_datapath);
        let mut plan = Self {
            cluster: spec.name.clone(),
            datapath,
            state_dir,
            runtime: container::runtime(datapath, facts),
            underlay: spec.underlay.trunc(),
            bridges: [("br-ovn", 2), ("br-ovn-ext", 3)]
                .map(|(name, index)| BridgePlan {
                    name: name.to_owned(),
                    index,
                })
                .into(),
            nodes: Vec::new(),
            topology,
        };
        for (index, (role, name)) in (0..).zip(node_names(spec)) {
            let address = Ipv4Addr::from_bits(spec.first_address.to_bits() + index);
            let mut node = plan.node(index, role, name, address, &facts.software[&role]);
            node.container = container::container(&plan, spec, &node);
            plan.nodes.push(node);
        }
        plan.place_vms(1 + spec.gateways);
        Ok(plan)
    }

    /// The node that runs the databases.
    pub fn central(&self) -> &NodePlan {
        self.nodes
            .iter()
            .find(|node| node.role == Role::Central)
            .expect("every plan has a central")
    }

    /// The node of a name.
    pub fn node_named(&self, name: &str) -> Option<&NodePlan> {
        self.nodes.iter().find(|node| node.name.as_str() == name)
    }

    /// All VMs, chassis by chassis.
    pub fn vms(&self) -> impl Iterator<Item = &VmPlan> {
        self.nodes.iter().flat_map(|node| &node.vms)
    }

    fn node(
        &self,
        index: u32,
        role: Role,
        name: String,
        address: Ipv4Addr,
        software: &Software,
    ) -> NodePlan {
        let net = Ipv4Net::new_assert(address, self.underlay.prefix_len());
        let switch = role != Role::Central;
        let behind_tap = switch && self.datapath == Datapath::Netdev;
        let link = |number: u32, node_name: &str, address| LinkPlan {
            bridge_index: 1 + number,
            outer_name: format!("n{index}-eth{number}"),
            outer_index: 9 + 2 * index + number,
            node_name: node_name.to_owned(),
            node_index: 9 + number,
            mac: mac(index, number),
            address,
            checksum_offload: self.datapath == Datapath::System,
        };
        let mut links = vec![if behind_tap {
            link(1, "eth1-uplink", None)
        } else {
            link(1, "eth1", Some(net))
        }];
        if switch {
            links.push(link(2, "eth2", None));
        }
        NodePlan {
            role,
            index,
            address,
            dir: node_dir(&self.state_dir, &name),
            hostname: name.clone(),
            name: name
                .parse()
                .expect("names made of a role and a number are valid"),
            links,
            tap: behind_tap.then(|| TapPlan {
                name: "eth1".to_owned(),
                index: 12,
                mac: mac(index, 3),
                address: net,
            }),
            root: software.root().map(Path::to_owned),
            env: software.environment(),
            container: None,
            databases: databases::databases(role, software),
            daemons: daemons::daemons(role, software),
            vms: Vec::new(),
        }
    }

    /// Gives each VM to its chassis; `first` is the index of the first chassis.
    fn place_vms(&mut self, first: u32) {
        for (k, vm) in (0..).zip(self.topology.vms()) {
            let index = (first + vm.chassis - 1) as usize;
            let node = &mut self.nodes[index];
            node.vms.push(VmPlan {
                name: vm.name.clone(),
                iface_id: vm.port.clone(),
                node: node.name.clone(),
                mac: vm.mac,
                addresses: vm.addresses.clone(),
                gateways: vm.gateways.clone(),
                mtu: vm.mtu,
                outer_name: vm_outer_name(&vm.name),
                outer_index: 100 + 2 * k,
                inner_index: 101 + 2 * k,
                checksum_offload: self.datapath == Datapath::System,
            });
        }
    }
}

/// The nodes' roles and names, in the order of their addresses.
fn node_names(spec: &ClusterSpec) -> impl Iterator<Item = (Role, String)> {
    let gateways = (1..=spec.gateways).map(|n| (Role::Gateway, gateway_name(n)));
    let chassis = (1..=spec.chassis).map(|n| (Role::Chassis, chassis_name(n)));
    let central = [(Role::Central, CENTRAL_NAME.to_owned())].into_iter();
    central.chain(gateways).chain(chassis)
}

fn gateway_name(number: u32) -> String {
    format!("ovn-gw-{number}")
}

fn chassis_name(number: u32) -> String {
    format!("ovn-chassis-{number}")
}

fn node_dir(state_dir: &Path, name: &str) -> PathBuf {
    state_dir.join("nodes").join(name)
}

fn vm_outer_name(vm: &str) -> String {
    format!("{vm}-p")
}

/// A locally administered address for an interface of a node; `link` is below 256.
fn mac(node: u32, link: u32) -> MacAddr {
    let [a, b, c, d] = node.to_be_bytes();
    MacAddr([0x0a, link.to_be_bytes()[3], a, b, c, d])
}

#[cfg(test)]
mod tests;
