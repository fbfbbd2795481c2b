//! A node: what it does, and of what it consists.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{ContainerPlan, DatabasePlan};
use crate::name::{MacAddr, NodeName};

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs the databases and northd.
    Central,
    /// Is a chassis that may host gateway ports.
    Gateway,
    /// Passes on what chassis read and write in the southbound database.
    Relay,
    /// Is a chassis that runs VMs.
    Chassis,
    /// Is no part of OVN: a machine on one of the underlay's bridges.
    Host,
}

impl Role {
    /// Whether a node of this role is a chassis to OVN, with Open vSwitch and tunnels.
    pub const fn is_chassis(self) -> bool {
        matches!(self, Role::Gateway | Role::Chassis)
    }

    /// Whether a node of this role serves databases to others.
    pub const fn is_server(self) -> bool {
        matches!(self, Role::Central | Role::Relay)
    }
}

/// A node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodePlan {
    /// Name of the node.
    pub name: NodeName,
    /// What it does.
    pub role: Role,
    /// The number of its availability zone, from 1.
    pub zone: u32,
    /// Its number among all nodes, from 0.
    pub index: u32,
    /// Its address: in the underlay, unless it is a host outside.
    pub address: IpAddr,
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
    /// The southbound databases that it uses, `ovn-remote` of ovn-controller(8), if it is a chassis.
    pub remote: Option<String>,
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
    /// IP addresses of the end in the node.
    pub addresses: Vec<IpNet>,
    /// Default gateways by way of it.
    pub gateways: Vec<IpAddr>,
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
    pub address: IpNet,
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

/// Where a schema is: the image or the root file system that has it, unless the host does, and its path in that.
pub(crate) type SchemaPlace = (Option<PathBuf>, PathBuf);

impl NodePlan {
    /// Where a daemon of it logs, as a path of the host: the node's `/var/log` is a folder there.
    pub fn log_of(&self, daemon: &DaemonPlan) -> Option<PathBuf> {
        let mut args = daemon.args.iter();
        let log = args.find_map(|arg| arg.strip_prefix("--log-file=/var/log/"))?;
        Some(self.dir.join("log").join(log))
    }

    /// Where the schema of one of its databases is.
    pub(crate) fn schema_place(&self, database: &DatabasePlan) -> SchemaPlace {
        let image = self.container.as_ref().map(|c| PathBuf::from(&c.image));
        let root = image.or_else(|| self.root.clone());
        (root, database.schema.clone())
    }

    /// The interface with its address in the underlay, by ifindex and hardware address.
    pub(crate) fn port(&self) -> Option<(u32, MacAddr)> {
        let tap = self.tap.as_ref().map(|tap| (tap.index, tap.mac));
        let link = self.links.iter().find(|link| !link.addresses.is_empty());
        tap.or(link.map(|link| (link.node_index, link.mac)))
    }
}

impl DaemonPlan {
    /// Whether it serves a database.
    pub(crate) fn is_database_server(&self) -> bool {
        self.name.starts_with("ovsdb-server")
    }

    /// Whether it programs a switch as the southbound database wants it.
    pub(crate) fn is_controller(&self) -> bool {
        self.name == "ovn-controller"
    }
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
    /// Whether it asks for an IPv4 address by DHCP.
    pub dhcp: bool,
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
